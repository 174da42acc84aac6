/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all readers share: finding the file that is meant, choosing its format by its first bytes
 * (or, when no format knows them, by its name, so that the message is about what the name
 * promises), the lists of tensors and metadata, and looking names up.
 *
 * Names come from files that may be hostile. They are kept in sorted order and found by bisection:
 * a hash table would be quadratic for names chosen to collide.
 */
#include "formats/format.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/status.h"
#include "base/str.h"

/* Probed in this order: the surest signs first. */
static const struct rw_format *const formats[] = {
    &rw_format_gguf,
    &rw_format_pth,
    &rw_format_safetensors,
};

const struct rw_format *rw_format_by_suffix(const char *path)
{
    for (size_t i = 0; i < RW_COUNT(formats); i++)
        if (rw_has_suffix(path, formats[i]->suffix))
            return formats[i];
    return NULL;
}

/* --- the lists --- */

static rwkv_status fail_memory(const struct rw_file *file, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the list of tensors", file->path);
}

rwkv_status rw_file_keep(struct rw_file *file, void *block, rwkv_error *err)
{
    void *strings = file->strings;
    if (!block || !rw_grow(&strings, file->n_strings, &file->strings_capacity, sizeof(char *))) {
        rw_free(block);
        return fail_memory(file, err);
    }
    file->strings = strings;
    file->strings[file->n_strings++] = block;
    return RWKV_OK;
}

/* A terminated copy of a name that lives as long as the file. */
static rwkv_status keep_name(struct rw_file *file, const char *name, size_t n, const char **out,
                             rwkv_error *err)
{
    if (n && memchr(name, 0, n))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: name \"%.*s\": contains a zero byte",
                       file->path, (int)RW_MIN(n, (size_t)100), name);
    char *copy = rw_strndup(name, n);
    RW_TRY(rw_file_keep(file, copy, err));
    *out = copy;
    return RWKV_OK;
}

rwkv_status rw_file_add_tensor(struct rw_file *file, const char *name, size_t n,
                               const struct rw_tensor *tensor, rwkv_error *err)
{
    const char *copy;
    RW_TRY(keep_name(file, name, n, &copy, err));
    void *tensors = file->tensors;
    if (!rw_grow(&tensors, file->n_tensors, &file->tensors_capacity, sizeof *file->tensors))
        return fail_memory(file, err);
    file->tensors = tensors;
    file->tensors[file->n_tensors++] = (struct rw_named_tensor){copy, *tensor};
    return RWKV_OK;
}

rwkv_status rw_file_add_meta(struct rw_file *file, const char *key, size_t n, struct rw_meta meta,
                             rwkv_error *err)
{
    RW_TRY(keep_name(file, key, n, &meta.key, err));
    void *list = file->meta;
    if (!rw_grow(&list, file->n_meta, &file->meta_capacity, sizeof *file->meta))
        return fail_memory(file, err);
    file->meta = list;
    file->meta[file->n_meta++] = meta;
    return RWKV_OK;
}

rwkv_status rw_file_add_map(struct rw_file *file, const char *path, size_t *index, rwkv_error *err)
{
    struct rw_map *maps = rw_realloc(file->maps, file->n_maps + 1, sizeof *maps);
    if (!maps)
        return fail_memory(file, err);
    file->maps = maps;
    RW_TRY(rw_map_open(&maps[file->n_maps], path, err));
    *index = file->n_maps++;
    return RWKV_OK;
}

/* --- looking names up --- */

struct rw_index {
    size_t n_tensors, n_meta; /* that were there when it was built */
    size_t order[]; /* places of the tensors, by name; then those of the metadata, by key */
};

typedef const char *name_fn(const struct rw_file *file, size_t i);

static const char *tensor_name(const struct rw_file *file, size_t i)
{
    return file->tensors[i].name;
}

static const char *meta_key(const struct rw_file *file, size_t i)
{
    return file->meta[i].key;
}

struct naming {
    const struct rw_file *file;
    name_fn *name;
};

static int compare_names(const void *a, const void *b, void *user)
{
    const struct naming *by = user;
    return strcmp(by->name(by->file, *(const size_t *)a), by->name(by->file, *(const size_t *)b));
}

static rwkv_status sort_names(struct naming by, const char *what, size_t *order, size_t n,
                              rwkv_error *err)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof *order, compare_names, &by);
    for (size_t i = 1; i < n; i++)
        if (compare_names(&order[i - 1], &order[i], &by) == 0)
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s \"%s\": occurs twice", by.file->path,
                           what, by.name(by.file, order[i]));
    return RWKV_OK;
}

rwkv_status rw_file_build_index(struct rw_file *file, rwkv_error *err)
{
    struct rw_index *index = file->index;
    if (index && index->n_tensors == file->n_tensors && index->n_meta == file->n_meta)
        return RWKV_OK;
    rw_free(index);
    size_t n = file->n_tensors + file->n_meta;
    file->index = index = rw_calloc(1, sizeof *index + n * sizeof *index->order);
    if (!index)
        return fail_memory(file, err);
    RW_TRY(sort_names((struct naming){file, tensor_name}, "tensor", index->order, file->n_tensors,
                      err));
    RW_TRY(sort_names((struct naming){file, meta_key}, "metadata", index->order + file->n_tensors,
                      file->n_meta, err));
    index->n_tensors = file->n_tensors;
    index->n_meta = file->n_meta;
    return RWKV_OK;
}

static size_t find_name(struct naming by, const size_t *order, size_t n, const char *name)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int side = strcmp(name, by.name(by.file, order[middle]));
        if (side == 0)
            return order[middle];
        if (side < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return SIZE_MAX;
}

size_t rw_file_find_index(const struct rw_file *file, const char *name)
{
    const struct rw_index *index = file->index; /* NULL: a file that exists as a name only */
    if (!index)
        return SIZE_MAX;
    return find_name((struct naming){file, tensor_name}, index->order, index->n_tensors, name);
}

const struct rw_tensor *rw_file_find(const struct rw_file *file, const char *name)
{
    size_t i = rw_file_find_index(file, name);
    return i == SIZE_MAX ? NULL : &file->tensors[i].tensor;
}

const struct rw_meta *rw_file_meta(const struct rw_file *file, const char *key)
{
    const struct rw_index *index = file->index;
    if (!index)
        return NULL;
    size_t i = find_name((struct naming){file, meta_key}, index->order + index->n_tensors,
                         index->n_meta, key);
    return i == SIZE_MAX ? NULL : &file->meta[i];
}

/* --- where the data lies --- */

struct span {
    size_t begin, end; /* in the part's data */
    const char *name;
};

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* `spans` are in order. */
static rwkv_status check_spans(const struct span *spans, size_t n, const struct rw_part *part,
                               bool dense, rwkv_error *err)
{
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin < end)
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s: tensor \"%s\": begins at byte %zu of the data, inside \"%s\", "
                           "which ends at %zu",
                           part->path, spans[i].name, spans[i].begin, spans[i - 1].name, end);
        if (dense && spans[i].begin > end)
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s: tensor \"%s\": wanted its data at byte %zu, where the one before "
                           "ends, found it at %zu",
                           part->path, spans[i].name, end, spans[i].begin);
        end = spans[i].end;
    }
    if (dense && end != part->size)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: data: wanted %zu bytes, all in tensors, found %zu", part->path, end,
                       part->size);
    return RWKV_OK;
}

rwkv_status rw_file_check_layout(const struct rw_file *file, const struct rw_part *part, bool dense,
                                 rwkv_error *err)
{
    size_t n = part->end - part->first;
    struct span *spans = rw_alloc(n, sizeof *spans);
    if (!spans)
        return fail_memory(file, err);
    for (size_t i = 0; i < n; i++) {
        const struct rw_named_tensor *t = &file->tensors[part->first + i];
        size_t begin = (size_t)(t->tensor.data - part->data);
        spans[i] = (struct span){begin, begin + rw_tensor_bytes(&t->tensor), t->name};
    }
    qsort(spans, n, sizeof *spans, compare_spans);
    rwkv_status status = check_spans(spans, n, part, dense, err);
    rw_free(spans);
    return status;
}

/* --- values of metadata --- */

static bool is_unsigned(const struct rw_meta *meta)
{
    return meta->type == RW_META_U8 || meta->type == RW_META_U16 || meta->type == RW_META_U32 ||
           meta->type == RW_META_U64;
}

static bool is_signed(const struct rw_meta *meta)
{
    return meta->type == RW_META_I8 || meta->type == RW_META_I16 || meta->type == RW_META_I32 ||
           meta->type == RW_META_I64;
}

bool rw_meta_u64(const struct rw_meta *meta, uint64_t *out)
{
    if (meta && is_unsigned(meta))
        *out = meta->value.u;
    else if (meta && is_signed(meta) && meta->value.i >= 0)
        *out = (uint64_t)meta->value.i;
    else
        return false;
    return true;
}

bool rw_meta_f64(const struct rw_meta *meta, double *out)
{
    if (meta && (meta->type == RW_META_F32 || meta->type == RW_META_F64))
        *out = meta->value.f;
    else if (meta && is_unsigned(meta))
        *out = (double)meta->value.u;
    else if (meta && is_signed(meta))
        *out = (double)meta->value.i;
    else
        return false;
    return true;
}

bool rw_file_meta_u64(const struct rw_file *file, const char *key, uint64_t *out)
{
    return rw_meta_u64(rw_file_meta(file, key), out);
}

bool rw_file_meta_f64(const struct rw_file *file, const char *key, double *out)
{
    return rw_meta_f64(rw_file_meta(file, key), out);
}

bool rw_file_meta_string(const struct rw_file *file, const char *key, struct rw_bytes *out)
{
    const struct rw_meta *meta = rw_file_meta(file, key);
    if (!meta || meta->type != RW_META_STRING)
        return false;
    *out = meta->value.s;
    return true;
}

bool rw_meta_next_string(const struct rw_meta *array, size_t *at, struct rw_bytes *out)
{
    if (array->type != RW_META_ARRAY || array->item != RW_META_STRING || *at >= array->items.size)
        return false;
    struct rw_cursor c = rw_cursor_make(array->items.data, array->items.size);
    rw_cursor_seek(&c, *at);
    uint64_t size = rw_cursor_u64(&c);
    const uint8_t *data = rw_cursor_bytes(&c, size);
    if (!data)
        return false;
    *out = (struct rw_bytes){(const char *)data, (size_t)size};
    *at = c.at;
    return true;
}

/* --- opening --- */

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The file meant by `path`: itself, or what a folder of the Hugging Face kind holds. */
static rwkv_status resolve(const char *path, char **out, rwkv_error *err)
{
    static const char *const names[] = {"model.safetensors.index.json", "model.safetensors"};
    if (!is_directory(path)) {
        *out = rw_strdup(path);
        return *out ? RWKV_OK : rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to open", path);
    }
    for (size_t i = 0; i < RW_COUNT(names); i++) {
        struct rw_str name = {0};
        rw_str_printf(&name, "%s%s%s", path, rw_has_suffix(path, "/") ? "" : "/", names[i]);
        char *found = rw_str_take(&name);
        if (!found)
            return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to open", path);
        if (access(found, F_OK) == 0) {
            *out = found;
            return RWKV_OK;
        }
        rw_free(found);
    }
    return rw_fail(err, RWKV_ERROR_IO,
                   "%s: wanted a file or a folder with %s or %s, found a folder without them", path,
                   names[0], names[1]);
}

static rwkv_status file_new(struct rw_file **out, const char *path, rwkv_error *err)
{
    struct rw_file *file = rw_calloc(1, sizeof *file);
    if (file)
        file->path = rw_strdup(path);
    if (!file || !file->path) {
        rw_free(file);
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to open", path);
    }
    *out = file;
    return RWKV_OK;
}

static rwkv_status fail_unknown(const struct rw_file *file, rwkv_error *err)
{
    const struct rw_map *map = &file->maps[0];
    char hex[8 * 3 + 1] = "", text[8 + 1] = "";
    for (size_t i = 0; i < RW_MIN(map->size, (size_t)8); i++) {
        static const char digits[] = "0123456789abcdef";
        memcpy(hex + 3 * i, (char[]){' ', digits[map->data[i] >> 4], digits[map->data[i] & 15], 0},
               4);
        text[i] = map->data[i] >= 0x20 && map->data[i] < 0x7f ? (char)map->data[i] : '.';
    }
    return rw_fail(err, RWKV_ERROR_FORMAT, "%s: not a %s file: starts with%s (\"%s\")", file->path,
                   RW_FORMAT_SUFFIXES, hex, text);
}

/* Choose the format of maps[0] and read it. */
static rwkv_status read_file(struct rw_file *file, rwkv_error *err)
{
    const struct rw_map *map = &file->maps[0];
    if (map->size == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted a %s file, found an empty file",
                       file->path, RW_FORMAT_SUFFIXES);
    for (size_t i = 0; i < RW_COUNT(formats) && !file->format; i++)
        if (formats[i]->probe(map->data, map->size))
            file->format = formats[i];
    if (!file->format)
        file->format = rw_format_by_suffix(file->path);
    if (!file->format)
        return fail_unknown(file, err);
    RW_TRY(file->format->read(file, err));
    return rw_file_build_index(file, err);
}

rwkv_status rw_file_open(struct rw_file **out, const char *path, rwkv_error *err)
{
    char *found;
    size_t index;
    struct rw_file *file = NULL;
    RW_TRY(resolve(path, &found, err));
    rwkv_status status;
    RW_GO(file_new(&file, found, err));
    RW_GO(rw_file_add_map(file, found, &index, err));
    RW_GO(read_file(file, err));
    *out = file;
    file = NULL;
done:
    rw_file_close(file);
    rw_free(found);
    return status;
}

rwkv_status rw_file_open_memory(struct rw_file **out, const void *data, size_t size,
                                const char *name, rwkv_error *err)
{
    struct rw_file *file;
    RW_TRY(file_new(&file, name, err));
    file->borrowed = true;
    file->maps = rw_calloc(1, sizeof *file->maps);
    rwkv_status status;
    if (!file->maps) {
        status = fail_memory(file, err);
        goto done;
    }
    file->n_maps = 1;
    file->maps[0] = (struct rw_map){data, size};
    RW_GO(read_file(file, err));
    *out = file;
    file = NULL;
done:
    rw_file_close(file);
    return status;
}

void rw_file_close(struct rw_file *file)
{
    if (!file)
        return;
    for (size_t i = file->borrowed ? 1 : 0; i < file->n_maps; i++)
        rw_map_close(&file->maps[i]);
    for (size_t i = 0; i < file->n_strings; i++)
        rw_free(file->strings[i]);
    rw_free(file->strings);
    rw_free(file->maps);
    rw_free(file->tensors);
    rw_free(file->meta);
    rw_free(file->index);
    rw_free(file->path);
    rw_free(file);
}
