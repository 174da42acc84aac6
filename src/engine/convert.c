/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion of a model between containers, namings and plain types. What is written is a list of
 * outputs, each put together from one parameter (or the six that a GGUF fuses); data is streamed in
 * pieces, so no tensor need be in memory whole.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/output.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/convert_int.h"

#define PIECE ((size_t)1 << 16) /* elements; a multiple of every block */

static bool is_matrix(const struct rw_spec *spec)
{
    return spec->kind == RW_KIND_MATRIX || spec->kind == RW_KIND_PAIR;
}

/* Types a GGUF holds as F32 whatever the file's type: vectors and, as llama.cpp's converter has it,
 * the pair of the decay. */
static bool is_f32_in_gguf(const struct rw_spec *spec)
{
    return !is_matrix(spec) || spec == &rw_rwkv7_specs[RW_SPEC_w1] ||
           spec == &rw_rwkv7_specs[RW_SPEC_w2];
}

static rwkv_dtype output_dtype(const struct conversion *c, const struct rw_param *param)
{
    rwkv_dtype own = param->tensor.dtype;
    bool gguf = c->naming == RW_NAMES_GGUF;
    if (gguf && is_f32_in_gguf(param->spec))
        return RWKV_DTYPE_F32;
    if (c->options->has_dtype && (is_matrix(param->spec) || !gguf))
        return c->options->dtype;
    /* Block types exist in GGUF only; their values are exact in F32. */
    return rw_dtype_is_block(own) && !gguf ? RWKV_DTYPE_F32 : own;
}

/* Rows and columns as the output stores a matrix. */
static void stored_shape(const struct conversion *c, const struct rw_param *param, size_t shape[2],
                         bool *swap)
{
    bool out_transposed = param->spec->kind == RW_KIND_PAIR && c->naming != RW_NAMES_BLINKDL;
    *swap = out_transposed != param->transposed;
    shape[0] = param->tensor.shape[*swap ? 1 : 0];
    shape[1] = param->tensor.shape[*swap ? 0 : 1];
}

static void shape_vector(const struct conversion *c, const struct rw_param *param,
                         struct rw_tensor *t)
{
    size_t n = c->params.sizes.n_embd, head = c->params.sizes.head_size;
    bool three = param->spec->kind == RW_KIND_VECTOR && c->naming != RW_NAMES_GGUF &&
                 (c->naming == RW_NAMES_BLINKDL || rw_has_prefix(param->spec->names[1], "attn.x_"));
    if (param->spec->kind == RW_KIND_HEADS && c->naming != RW_NAMES_GGUF)
        rw_tensor_init(t, RWKV_DTYPE_F32, 2, (size_t[]){n / head, head}, NULL);
    else if (three)
        rw_tensor_init(t, RWKV_DTYPE_F32, 3, (size_t[]){1, 1, n}, NULL);
    else
        rw_tensor_init(t, RWKV_DTYPE_F32, 1, &n, NULL);
}

static rwkv_status add_output(struct conversion *c, const struct rw_param *param, const char *name,
                              rwkv_error *err)
{
    struct output *o = &c->outputs[c->n_outputs];
    struct rw_tensor t;
    if (is_matrix(param->spec) && !param->unused) {
        size_t shape[2];
        stored_shape(c, param, shape, &o->swap);
        rw_tensor_init(&t, output_dtype(c, param), 2, shape, NULL);
        if (o->swap && rw_dtype_is_block(t.dtype))
            t.dtype = RWKV_DTYPE_F32; /* blocks run along rows that the output does not have */
    } else if (param->unused) {
        rw_tensor_init(&t, output_dtype(c, param), param->tensor.n_dims, param->tensor.shape, NULL);
    } else {
        shape_vector(c, param, &t);
        t.dtype = output_dtype(c, param);
    }
    char *copy = rw_strdup(name);
    if (!copy)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a tensor's name");
    o->sources[0] = param;
    o->n_sources = 1;
    c->tensors[c->n_outputs].name = copy;
    c->tensors[c->n_outputs].tensor = t;
    c->bytes += rw_tensor_bytes(&t);
    c->n_outputs++;
    return RWKV_OK;
}

/* The mixes that a GGUF stores in one tensor [6, 1, 1, C]. */
static rwkv_status add_fused(struct conversion *c, size_t block, rwkv_error *err)
{
    char name[128];
    const struct rw_param *first = rw_params_find(&c->params, RW_SPEC_x_r, block);
    struct output *o = &c->outputs[c->n_outputs];
    struct rw_named_tensor *named = &c->tensors[c->n_outputs];
    rw_param_name(name, first->spec, RW_NAMES_GGUF, block);
    RW_TRY(add_output(c, first, name, err));
    size_t one = rw_tensor_bytes(&named->tensor);
    rw_tensor_init(&named->tensor, RWKV_DTYPE_F32, 4, (size_t[]){6, 1, 1, c->params.sizes.n_embd},
                   NULL);
    for (size_t i = 1; i < 6; i++)
        o->sources[i] = rw_params_find(&c->params, (enum rw_spec_id)(RW_SPEC_x_r + i), block);
    o->n_sources = 6;
    c->bytes += 5 * one;
    return RWKV_OK;
}

/* llama.cpp's loader demands v0, v1, v2 in block 0 and never uses them: copies of a0, a1, a2. */
static rwkv_status add_dummies(struct conversion *c, rwkv_error *err)
{
    char name[128];
    for (size_t i = 0; i < 3; i++) {
        rw_param_name(name, &rw_rwkv7_specs[RW_SPEC_v0 + i], RW_NAMES_GGUF, 0);
        RW_TRY(add_output(c, rw_params_find(&c->params, (enum rw_spec_id)(RW_SPEC_a0 + i), 0), name,
                          err));
    }
    return RWKV_OK;
}

rwkv_status rw_conversion_list(struct conversion *c, rwkv_error *err)
{
    size_t most = c->params.n_params + 3; /* the dummies */
    c->outputs = rw_calloc(most, sizeof *c->outputs);
    c->tensors = rw_calloc(most, sizeof *c->tensors);
    if (!c->outputs || !c->tensors)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tensors", most);
    for (size_t i = 0; i < c->params.n_params; i++) {
        const struct rw_param *param = &c->params.params[i];
        size_t id = (size_t)(param->spec - rw_rwkv7_specs);
        char name[128];
        if (param->unused && c->naming != RW_NAMES_BLINKDL)
            continue;
        if (c->naming == RW_NAMES_GGUF && id >= RW_SPEC_x_r && id <= RW_SPEC_x_g) {
            if (id == RW_SPEC_x_r)
                RW_TRY(add_fused(c, param->block, err));
            continue;
        }
        if (c->naming == RW_NAMES_GGUF && id == RW_SPEC_g1 && param->block == 0)
            RW_TRY(add_dummies(c, err));
        rw_param_name(name, param->spec, c->naming, param->block);
        RW_TRY(add_output(c, param, name, err));
    }
    return RWKV_OK;
}

/* --- data ------------------------------------------------------------------------------------- */

rwkv_status rw_conversion_progress(struct conversion *c, size_t bytes, rwkv_error *err)
{
    c->done += bytes;
    if (c->options->progress && c->options->progress(c->options->progress_user, c->done, c->bytes))
        return rw_fail(err, RWKV_ERROR_CANCELLED, "stopped after %llu of %llu bytes",
                       (unsigned long long)c->done, (unsigned long long)c->bytes);
    return RWKV_OK;
}

static rwkv_status write_piece(struct conversion *c, struct rw_writer *w,
                               const struct rw_tensor *from, rwkv_dtype to, size_t at, size_t n,
                               rwkv_error *err)
{
    size_t bytes;
    rw_dtype_size(to, n, &bytes);
    if (to == from->dtype) {
        rw_tensor_copy(from, at, n, c->piece);
        RW_TRY(rw_writer_data(w, c->piece, bytes, err));
    } else {
        rw_tensor_copy_f32(from, at, n, c->floats);
        rw_from_f32(to, c->piece, c->floats, n);
        RW_TRY(rw_writer_data(w, c->piece, bytes, err));
    }
    return rw_conversion_progress(c, bytes, err);
}

/* A block-typed matrix that the output stores the other way round: whole in memory, as floats. Only
 * low-rank halves are ever so. */
static rwkv_status swap_blocks(struct rw_tensor *t, float **floats, rwkv_error *err)
{
    size_t n = rw_tensor_elements(t), shape[] = {t->shape[0], t->shape[1]};
    *floats = rw_alloc(n, sizeof **floats);
    if (!*floats)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a matrix of %zu numbers", n);
    rw_tensor_copy_f32(t, 0, n, *floats);
    rw_tensor_init(t, RWKV_DTYPE_F32, 2, shape, *floats);
    return RWKV_OK;
}

rwkv_status rw_conversion_view(const struct output *o, size_t i, struct rw_tensor *view,
                               float **floats, rwkv_error *err)
{
    *view = o->sources[i]->tensor;
    *floats = NULL;
    if (!o->swap)
        return RWKV_OK;
    if (rw_dtype_is_block(view->dtype))
        RW_TRY(swap_blocks(view, floats, err));
    size_t shape = view->shape[0], stride = view->stride[0];
    view->shape[0] = view->shape[1];
    view->stride[0] = view->stride[1];
    view->shape[1] = shape;
    view->stride[1] = stride;
    return RWKV_OK;
}

static rwkv_status write_source(struct conversion *c, struct rw_writer *w, const struct output *o,
                                size_t i, rwkv_dtype to, rwkv_error *err)
{
    struct rw_tensor from;
    float *floats;
    RW_TRY(rw_conversion_view(o, i, &from, &floats, err));
    size_t n = rw_tensor_elements(&from);
    rwkv_status status = RWKV_OK;
    for (size_t at = 0; at < n && status == RWKV_OK; at += PIECE)
        status = write_piece(c, w, &from, to, at, RW_MIN(PIECE, n - at), err);
    rw_free(floats);
    return status;
}

static rwkv_status write_outputs(struct conversion *c, const char *path, rwkv_error *err)
{
    struct rw_writer *w = NULL;
    rwkv_status status;
    struct rw_write_plan plan = {c->tensors, c->n_outputs, c->meta.items, c->meta.count};
    RW_GO(rw_writer_open(&w, path, &plan, err));
    for (size_t i = 0; i < c->n_outputs; i++)
        for (size_t j = 0; j < c->outputs[i].n_sources; j++)
            RW_GO(write_source(c, w, &c->outputs[i], j, c->tensors[i].tensor.dtype, err));
    status = rw_writer_commit(w, err);
    w = NULL;
done:
    rw_writer_discard(w);
    return status;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* config.json is written, and read, beside safetensors with Hugging Face's names only. */
static bool has_config(const struct conversion *c, const char *out)
{
    return c->naming == RW_NAMES_HF && rw_has_suffix(out, ".safetensors");
}

/* Refuse to lose what only some kinds of files can say. */
static rwkv_status check_config(const struct conversion *c, const char *out, rwkv_error *err)
{
    const struct rw_params *p = &c->params;
    if (p->no_ln0 && !has_config(c, out))
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: the model has no norm after the embedding (norm_first = false), which "
                       "only safetensors in the Hugging Face naming can say",
                       p->file->path);
    if (p->norm_eps != RW_NORM_EPS && !has_config(c, out) && c->naming != RW_NAMES_GGUF)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: the epsilon of the model's norms is %g, not %g, which only GGUF and "
                       "safetensors in the Hugging Face naming can say",
                       p->file->path, (double)p->norm_eps, (double)RW_NORM_EPS);
    return RWKV_OK;
}

static rwkv_status choose_naming(struct conversion *c, const char *out, rwkv_error *err)
{
    bool gguf = rw_has_suffix(out, ".gguf");
    if (!gguf && !rw_has_suffix(out, ".pth") && !rw_has_suffix(out, ".safetensors"))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted a name that ends in .pth, .safetensors or .gguf", out);
    if (gguf && c->options->naming != RWKV_NAMING_AUTO)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: GGUF has names of its own, a naming cannot be chosen", out);
    c->naming = gguf                                   ? RW_NAMES_GGUF
                : c->options->naming == RWKV_NAMING_HF ? RW_NAMES_HF
                                                       : RW_NAMES_BLINKDL;
    RW_TRY(check_config(c, out, err));
    rwkv_dtype type = c->options->dtype;
    if (c->options->has_dtype && type != RWKV_DTYPE_F32 && type != RWKV_DTYPE_F16 &&
        type != RWKV_DTYPE_BF16)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "type: wanted F32, F16 or BF16, found %s",
                       rwkv_dtype_name(type));
    return RWKV_OK;
}

static rwkv_status check_target(const char *path, bool overwrite, rwkv_error *err)
{
    if (!overwrite && access(path, F_OK) == 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: exists already", path);
    return RWKV_OK;
}

/* A model and its config.json: neither takes its name before all that can fail is done. */
static rwkv_status write_folder(struct conversion *c, const char *out, const char *config,
                                rwkv_error *err)
{
    struct rw_output *written;
    RW_TRY(rw_conversion_config(c, config, &written, err));
    rwkv_status status = write_outputs(c, out, err);
    if (status == RWKV_OK)
        return rw_output_commit(written, err);
    rw_output_discard(written);
    return status;
}

static rwkv_status begin(struct conversion *c, const struct rw_file *file, const char *out,
                         rwkv_error *err)
{
    RW_TRY(rw_params_open(&c->params, file, err));
    RW_TRY(choose_naming(c, out, err));
    return check_target(out, c->options->overwrite, err);
}

rwkv_status rw_conversion_open(struct conversion *c, const char *in, const char *out,
                               rwkv_error *err)
{
    RW_TRY(rw_file_open(&c->file, in, err));
    return begin(c, c->file, out, err);
}

static rwkv_status convert(struct conversion *c, const char *out, rwkv_error *err)
{
    char config[4096];
    bool with_config = has_config(c, out);
    int n = snprintf(config, sizeof config, "%.*sconfig.json", (int)(rw_basename(out) - out), out);
    if (n < 0 || (size_t)n >= sizeof config)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: too long a path", out);
    if (with_config)
        RW_TRY(check_target(config, c->options->overwrite, err));
    RW_TRY(rw_conversion_list(c, err));
    RW_TRY(rw_conversion_meta(c, err));
    c->piece = rw_alloc(PIECE, sizeof(double));
    c->floats = rw_alloc(PIECE, sizeof(float));
    if (!c->piece || !c->floats)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a piece of a tensor");
    return with_config ? write_folder(c, out, config, err) : write_outputs(c, out, err);
}

void rw_conversion_fini(struct conversion *c)
{
    for (size_t i = 0; i < c->n_outputs; i++)
        rw_free((void *)c->tensors[i].name);
    rw_free(c->outputs);
    rw_free(c->tensors);
    rw_free(c->piece);
    rw_free(c->floats);
    rw_conversion_meta_fini(c);
}

rwkv_status rw_convert(const char *in, const char *out, const rwkv_convert_options *options,
                       rwkv_error *err)
{
    struct rw_file *file;
    RW_TRY(rw_file_open(&file, in, err));
    rwkv_status status = rw_convert_file(file, out, options, err);
    rw_file_close(file);
    return status;
}

rwkv_status rw_convert_file(const struct rw_file *file, const char *out,
                            const rwkv_convert_options *options, rwkv_error *err)
{
    struct conversion c = {.options = options};
    rwkv_status status = begin(&c, file, out, err);
    if (status == RWKV_OK)
        status = convert(&c, out, err);
    rw_conversion_fini(&c);
    rw_params_close(&c.params);
    return status;
}
