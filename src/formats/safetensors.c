/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors: the length of a header (u64), the header in JSON, the data of all tensors.
 * https://huggingface.co/docs/safetensors gives the layout; the checks are those of its reference
 * reader and a few more. Refused: holes, overlaps, names that occur twice, types that are no whole
 * bytes, deep nesting. Models in several files and config.json: safetensors_folder.c.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/status.h"
#include "base/str.h"
#include "base/utf8.h"
#include "formats/format.h"
#include "formats/json.h"
#include "formats/safetensors_int.h"

#define MAX_HEADER ((size_t)100000000) /* bytes, as in the reference reader */
#define MAX_ENTRY ((size_t)65536)      /* bytes of JSON that describe one tensor */
#define MAX_METADATA ((size_t)65536)   /* members of __metadata__ */

/* --- one tensor --- */

static rwkv_status read_size(const struct rw_part *part, const char *name, const char *field,
                             const json_t *value, size_t *out, rwkv_error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": %s: wanted integers in 0 … 2^63-1, found %s", part->path,
                       name, field, rw_json_kind(value));
    *out = (size_t)json_integer_value(value);
    return RWKV_OK;
}

static rwkv_status read_dtype(const struct rw_part *part, const char *name, const json_t *value,
                              rwkv_dtype *out, rwkv_error *err)
{
    if (!json_is_string(value))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": dtype: wanted a string, found %s", part->path, name,
                       rw_json_kind(value));
    *out = rw_dtype_from_safetensors(json_string_value(value), json_string_length(value));
    if (*out == RWKV_DTYPE_COUNT)
        return rw_fail(
            err, RWKV_ERROR_UNSUPPORTED,
            "%s: tensor \"%s\": dtype: wanted F32, F16, BF16 or another whole-byte type, "
            "found \"%s\"",
            part->path, name, json_string_value(value));
    return RWKV_OK;
}

static rwkv_status read_shape(const struct rw_part *part, const char *name, const json_t *value,
                              size_t *n_dims, size_t shape[RWKV_MAX_DIMS], rwkv_error *err)
{
    if (!json_is_array(value))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": shape: wanted an array, found %s", part->path, name,
                       rw_json_kind(value));
    *n_dims = json_array_size(value);
    if (*n_dims > RWKV_MAX_DIMS)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: tensor \"%s\": shape: wanted at most %d dimensions, found %zu",
                       part->path, name, RWKV_MAX_DIMS, *n_dims);
    for (size_t i = 0; i < *n_dims; i++)
        RW_TRY(read_size(part, name, "shape", json_array_get(value, i), &shape[i], err));
    return RWKV_OK;
}

/* The bytes of a tensor; its range in the data must be as long. */
static rwkv_status check_bytes(const struct rw_part *part, const char *name,
                               const struct rw_tensor *t, size_t begin, size_t end, rwkv_error *err)
{
    size_t elements = 1, bytes;
    for (size_t i = 0; i < t->n_dims; i++)
        if (!rw_mul(elements, t->shape[i], &elements))
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s: tensor \"%s\": shape: the number of elements overflows", part->path,
                           name);
    if (!rw_dtype_size(t->dtype, elements, &bytes))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": shape: the number of bytes overflows", part->path, name);
    if (begin > end || end > part->size)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": data_offsets: wanted a range in the %zu bytes of data, "
                       "found %zu to %zu",
                       part->path, name, part->size, begin, end);
    if (end - begin != bytes)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": data_offsets: wanted %zu bytes for its shape, found %zu",
                       part->path, name, bytes, end - begin);
    return RWKV_OK;
}

static rwkv_status read_entry(struct rw_file *file, const struct rw_part *part, const json_t *key,
                              const json_t *entry, rwkv_error *err)
{
    const char *name = json_string_value(key);
    if (!json_is_object(entry))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: tensor \"%s\": wanted an object, found %s",
                       part->path, name, rw_json_kind(entry));
    rwkv_dtype dtype = RWKV_DTYPE_COUNT;
    size_t n_dims = 0, shape[RWKV_MAX_DIMS], begin = 0, end = 0;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    RW_TRY(read_dtype(part, name, json_object_get(entry, "dtype"), &dtype, err));
    RW_TRY(read_shape(part, name, json_object_get(entry, "shape"), &n_dims, shape, err));
    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": data_offsets: wanted an array of two, found %s of %zu",
                       part->path, name, rw_json_kind(offsets), json_array_size(offsets));
    RW_TRY(read_size(part, name, "data_offsets", json_array_get(offsets, 0), &begin, err));
    RW_TRY(read_size(part, name, "data_offsets", json_array_get(offsets, 1), &end, err));

    struct rw_tensor t;
    rw_tensor_init(&t, dtype, n_dims, shape, NULL);
    RW_TRY(check_bytes(part, name, &t, begin, end, err));
    t.data = part->data + begin;
    return rw_file_add_tensor(file, name, json_string_length(key), &t, err);
}

/* --- the header --- */

rwkv_status rw_safetensors_keep_string(struct rw_file *file, const json_t *value,
                                       struct rw_meta *meta, rwkv_error *err)
{
    size_t size = json_string_length(value);
    char *copy = rw_strndup(json_string_value(value), size);
    RW_TRY(rw_file_keep(file, copy, err));
    *meta = (struct rw_meta){.type = RW_META_STRING, .value.s = {copy, size}};
    return RWKV_OK;
}

static rwkv_status read_metadata(struct rw_file *file, const char *path, struct rw_bytes text,
                                 bool keep, rwkv_error *err)
{
    struct rw_json walk = {.path = path, .place = "__metadata__", .text = text};
    json_auto_t *key = NULL, *value = NULL;
    struct rw_meta meta;
    for (;;) {
        RW_TRY(rw_json_next_string(&walk, &key, &value, err));
        if (!key)
            return RWKV_OK;
        if (!keep)
            continue;
        if (file->n_meta == MAX_METADATA)
            return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: __metadata__: more than %zu members",
                           path, MAX_METADATA);
        RW_TRY(rw_safetensors_keep_string(file, value, &meta, err));
        RW_TRY(rw_file_add_meta(file, json_string_value(key), json_string_length(key), meta, err));
    }
}

/* One member of the header: a tensor, or the metadata, of which only the text is noted. */
static rwkv_status read_member(struct rw_file *file, const struct rw_part *part,
                               const struct rw_json *walk, const json_t *key, struct rw_bytes value,
                               struct rw_bytes *metadata, rwkv_error *err)
{
    const char *name = json_string_value(key);
    if (strcmp(name, "__metadata__") == 0) {
        if (metadata->data)
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s: __metadata__: occurs twice", part->path);
        *metadata = value;
        return RWKV_OK;
    }
    if (value.size > MAX_ENTRY)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: tensor \"%s\": wanted at most %zu bytes of JSON, found %zu", part->path,
                       name, MAX_ENTRY, value.size);
    json_auto_t *entry = NULL;
    RW_TRY(rw_json_decode(walk, value, &entry, err));
    return read_entry(file, part, key, entry, err);
}

/* Find the header's text and the data behind it. */
static rwkv_status split(const struct rw_map *map, struct rw_part *part, struct rw_bytes *header,
                         rwkv_error *err)
{
    struct rw_cursor c = rw_cursor_make(map->data, map->size);
    uint64_t size = rw_cursor_u64(&c);
    if (c.failed)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: header: wanted 8 bytes for its length, found a file of %zu", part->path,
                       map->size);
    if (size > MAX_HEADER || size > rw_cursor_left(&c))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: header: wanted a length of at most %zu bytes, found %llu", part->path,
                       RW_MIN(rw_cursor_left(&c), MAX_HEADER), (unsigned long long)size);
    const char *text = (const char *)rw_cursor_bytes(&c, size);
    if (size == 0 || text[0] != '{')
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: header: wanted a JSON object, found none",
                       part->path);
    if (!rw_utf8_valid(text, (size_t)size))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: header: not valid UTF-8", part->path);
    *header = (struct rw_bytes){text, (size_t)size};
    part->data = map->data + c.at;
    part->size = rw_cursor_left(&c);
    return RWKV_OK;
}

rwkv_status rw_safetensors_read_part(struct rw_file *file, size_t map, struct rw_part *part,
                                     bool keep_metadata, rwkv_error *err)
{
    struct rw_json walk = {.path = part->path, .place = "header"};
    struct rw_bytes value, metadata = {0};
    RW_TRY(split(&file->maps[map], part, &walk.text, err));
    part->first = file->n_tensors;
    json_auto_t *key = NULL;
    for (;;) {
        RW_TRY(rw_json_next(&walk, &key, &value, err));
        if (!key)
            break;
        RW_TRY(read_member(file, part, &walk, key, value, &metadata, err));
    }
    part->end = file->n_tensors;
    if (metadata.data)
        RW_TRY(read_metadata(file, part->path, metadata, keep_metadata, err));
    return RWKV_OK;
}

static rwkv_status read_single(struct rw_file *file, rwkv_error *err)
{
    struct rw_part part = {.path = file->path};
    RW_TRY(rw_safetensors_read_part(file, 0, &part, true, err));
    RW_TRY(rw_file_build_index(file, err)); /* first, or a name twice would be called an overlap */
    return rw_file_check_layout(file, &part, true, err);
}

/* --- the format --- */

/* A JSON object behind a length that a header may have, or the text of an index. */
static bool probe(const uint8_t *head, size_t size)
{
    bool single = size > 8 && head[8] == '{' && rw_load_u64(head) <= MAX_HEADER;
    return single || head[0] == '{';
}

static rwkv_status read_safetensors(struct rw_file *file, rwkv_error *err)
{
    bool index = rw_has_suffix(file->path, ".json");
    if (index && file->borrowed)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: an index of several files cannot be opened from memory", file->path);
    RW_TRY(index ? rw_safetensors_read_index(file, err) : read_single(file, err));
    return file->borrowed ? RWKV_OK : rw_safetensors_add_config(file, err);
}

const struct rw_format rw_format_safetensors = {
    .name = "safetensors",
    .suffix = ".safetensors",
    .probe = probe,
    .read = read_safetensors,
    .writer = &rw_safetensors_writer,
};
