/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv_file.h: argument checks and calls down; nothing else. */
#include "rwkv_file.h"

#include <string.h>

#include "api/api_int.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/engine.h"
#include "formats/format.h"

struct rwkv_file {
    struct rw_file *file;
    struct rw_str value; /* the text last handed out by rwkv_file_meta */
};

rwkv_status rwkv_file_open(const char *path, rwkv_file **out, rwkv_error *err)
{
    REQUIRE(path && out);
    struct rwkv_file *f = rw_calloc(1, sizeof *f);
    if (!f)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    rwkv_status status = rw_file_open(&f->file, path, err);
    if (status == RWKV_OK)
        *out = f;
    else
        rw_free(f);
    return status;
}

void rwkv_file_close(rwkv_file *file)
{
    if (!file)
        return;
    rw_file_close(file->file);
    rw_str_fini(&file->value);
    rw_free(file);
}

const char *rwkv_file_format(const rwkv_file *file)
{
    return file->file->format->name;
}

size_t rwkv_file_count(const rwkv_file *file)
{
    return file->file->n_tensors;
}

void rwkv_file_tensor(const rwkv_file *file, size_t index, rwkv_tensor_info *out)
{
    const struct rw_named_tensor *named = &file->file->tensors[index];
    *out = (rwkv_tensor_info){.name = named->name,
                              .dtype = named->tensor.dtype,
                              .n_dims = named->tensor.n_dims,
                              .n_elements = rw_tensor_elements(&named->tensor),
                              .n_bytes = rw_tensor_bytes(&named->tensor)};
    memcpy(out->shape, named->tensor.shape, sizeof out->shape);
}

size_t rwkv_file_find(const rwkv_file *file, const char *name)
{
    return rw_file_find_index(file->file, name);
}

void rwkv_file_read(const rwkv_file *file, size_t index, void *to)
{
    const struct rw_tensor *t = &file->file->tensors[index].tensor;
    rw_tensor_copy(t, 0, rw_tensor_elements(t), to);
}

rwkv_status rwkv_file_read_f32(const rwkv_file *file, size_t index, float *to, rwkv_error *err)
{
    const struct rw_named_tensor *named = &file->file->tensors[index];
    if (!rw_tensor_copy_f32(&named->tensor, 0, rw_tensor_elements(&named->tensor), to))
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: tensor %s: type %s has no values here",
                       file->file->path, named->name, rwkv_dtype_name(named->tensor.dtype));
    return RWKV_OK;
}

rwkv_status rwkv_file_sha256(const rwkv_file *file, size_t index, char out[65], rwkv_error *err)
{
    return rw_tensor_sha256(&file->file->tensors[index].tensor, out)
               ? RWKV_OK
               : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a piece of a tensor");
}

size_t rwkv_file_meta_count(const rwkv_file *file)
{
    return file->file->n_meta;
}

void rwkv_file_meta(rwkv_file *file, size_t index, const char **key, const char **value)
{
    const struct rw_meta *meta = &file->file->meta[index];
    rw_str_reset(&file->value);
    rw_meta_render(meta, &file->value);
    *key = meta->key;
    *value = file->value.data && !file->value.failed ? file->value.data : "";
}

static rwkv_status check_tensor(const rwkv_write_tensor *t, size_t i, const char *path,
                                rwkv_error *err)
{
    if (!t->name)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: tensor %zu: wanted a name, found NULL", path,
                       i);
    if (t->n_dims > RWKV_MAX_DIMS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: tensor %s: wanted at most %d dimensions, found %zu", path, t->name,
                       RWKV_MAX_DIMS, t->n_dims);
    if ((size_t)t->dtype >= RWKV_DTYPE_COUNT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: tensor %s: no such type: %d", path, t->name,
                       (int)t->dtype);
    return RWKV_OK;
}

rwkv_status rwkv_file_write(const char *path, const rwkv_write_tensor *tensors, size_t n_tensors,
                            rwkv_error *err)
{
    REQUIRE(path && (tensors || n_tensors == 0));
    if (rw_has_suffix(path, ".gguf"))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted a name that ends in .safetensors or .pth", path);
    struct rw_writer *w = NULL;
    rwkv_status status = RWKV_OK;
    struct rw_named_tensor *named = rw_calloc(n_tensors, sizeof *named);
    if (!named)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    for (size_t i = 0; i < n_tensors; i++) {
        RW_GO(check_tensor(&tensors[i], i, path, err));
        named[i].name = tensors[i].name;
        rw_tensor_init(&named[i].tensor, tensors[i].dtype, tensors[i].n_dims, tensors[i].shape,
                       tensors[i].data);
    }
    struct rw_write_plan plan = {.tensors = named, .n_tensors = n_tensors};
    RW_GO(rw_writer_open(&w, path, &plan, err));
    for (size_t i = 0; i < n_tensors; i++) {
        size_t bytes = rw_tensor_bytes(&named[i].tensor);
        if (bytes && !tensors[i].data)
            RW_GO(rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: tensor %s: wanted %zu bytes, found NULL",
                          path, tensors[i].name, bytes));
        RW_GO(rw_writer_data(w, tensors[i].data, bytes, err));
    }
    status = rw_writer_commit(w, err);
    w = NULL;
done:
    rw_writer_discard(w);
    rw_free(named);
    return status;
}

rwkv_status rwkv_convert(const char *in, const char *out, const rwkv_convert_options *options,
                         rwkv_error *err)
{
    static const rwkv_convert_options none;
    REQUIRE(in && out);
    return rw_convert(in, out, options ? options : &none, err);
}
