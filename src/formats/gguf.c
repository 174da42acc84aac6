/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF versions 2 and 3: magic, counts, metadata, descriptions of tensors, padding, data. The
 * layout is that of ggml's docs/gguf.md. All integers are little-endian; a tensor's sizes are
 * listed fastest first and reversed here. Refused: big-endian files, arrays of arrays, element
 * types that we cannot compute with, tensors that overlap or leave the file.
 *
 * A model may be split into files NAME-00001-of-0000N.gguf, each complete in itself; the first has
 * the metadata and is the one to open.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/status.h"
#include "base/str.h"
#include "formats/gguf_int.h"

#define MAX_COUNT 65536u         /* tensors, and metadata, of one file */
#define MAX_KEY 65535u           /* bytes of a metadata key */
#define MAX_ALIGNMENT (1u << 20) /* bytes */
#define MIN_META 13              /* bytes the shortest metadata takes: key length, type, one byte */
#define MIN_INFO 32 /* the shortest description: name length, rank, size, type, offset */

struct reader {
    struct rw_file *file;
    const char *path; /* of this part */
    struct rw_cursor c;
    size_t n_tensors, n_meta;
    size_t first_meta; /* place in file->meta of this part's first */
    size_t alignment;
};

static rwkv_status fail_cut(const struct reader *r, const char *place, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_FORMAT,
                   "%s: %s: wanted more than the %zu bytes left at byte %zu of the file", r->path,
                   place, rw_cursor_left(&r->c), r->c.at);
}

/* --- the head --- */

static rwkv_status check_version(const struct reader *r, uint32_t version, rwkv_error *err)
{
    if ((version & 0xffff) == 0 && version != 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: version: wanted a little-endian file, found a big-endian one", r->path);
    if (version != 2 && version != RW_GGUF_VERSION)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: version: wanted 2 or %d, found %u",
                       r->path, RW_GGUF_VERSION, version);
    return RWKV_OK;
}

static rwkv_status check_count(const struct reader *r, const char *what, uint64_t count,
                               size_t min_size, size_t *out, rwkv_error *err)
{
    if (count > rw_cursor_left(&r->c) / min_size || count > MAX_COUNT)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: number of %s: wanted at most %zu in a file of %zu bytes, found %llu",
                       r->path, what, RW_MIN(rw_cursor_left(&r->c) / min_size, (size_t)MAX_COUNT),
                       r->c.size, (unsigned long long)count);
    *out = (size_t)count;
    return RWKV_OK;
}

static rwkv_status read_head(struct reader *r, rwkv_error *err)
{
    const uint8_t *magic = rw_cursor_bytes(&r->c, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted \"GGUF\" as the first bytes", r->path);
    uint32_t version = rw_cursor_u32(&r->c);
    uint64_t n_tensors = rw_cursor_u64(&r->c);
    uint64_t n_meta = rw_cursor_u64(&r->c);
    if (r->c.failed)
        return fail_cut(r, "head", err);
    RW_TRY(check_version(r, version, err));
    RW_TRY(check_count(r, "tensors", n_tensors, MIN_INFO, &r->n_tensors, err));
    return check_count(r, "metadata", n_meta, MIN_META, &r->n_meta, err);
}

/* --- metadata --- */

size_t rw_gguf_value_size(uint32_t type)
{
    static const uint8_t sizes[] = {
        [RW_META_U8] = 1,  [RW_META_I8] = 1,  [RW_META_U16] = 2, [RW_META_I16] = 2,
        [RW_META_U32] = 4, [RW_META_I32] = 4, [RW_META_F32] = 4, [RW_META_BOOL] = 1,
        [RW_META_U64] = 8, [RW_META_I64] = 8, [RW_META_F64] = 8,
    };
    return type < RW_COUNT(sizes) ? sizes[type] : 0;
}

/* False, and the cursor failed, when it does not fit into the file. */
static bool read_string(struct reader *r, struct rw_bytes *out)
{
    uint64_t size = rw_cursor_u64(&r->c);
    const uint8_t *data = rw_cursor_bytes(&r->c, size);
    *out = (struct rw_bytes){(const char *)data, data ? (size_t)size : 0};
    return data;
}

/* Booleans are the bytes 0 and 1. */
static bool are_booleans(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] > 1)
            return false;
    return true;
}

static void read_number(struct reader *r, struct rw_meta *meta)
{
    switch (meta->type) {
    case RW_META_U8:
    case RW_META_BOOL:
        meta->value.u = rw_cursor_u8(&r->c);
        break;
    case RW_META_U16:
        meta->value.u = rw_cursor_u16(&r->c);
        break;
    case RW_META_U32:
        meta->value.u = rw_cursor_u32(&r->c);
        break;
    case RW_META_U64:
        meta->value.u = rw_cursor_u64(&r->c);
        break;
    case RW_META_I8:
        meta->value.i = (int8_t)rw_cursor_u8(&r->c);
        break;
    case RW_META_I16:
        meta->value.i = (int16_t)rw_cursor_u16(&r->c);
        break;
    case RW_META_I32:
        meta->value.i = rw_cursor_i32(&r->c);
        break;
    case RW_META_I64:
        meta->value.i = rw_cursor_i64(&r->c);
        break;
    case RW_META_F32:
        meta->value.f = (double)rw_cursor_f32(&r->c);
        break;
    default:
        meta->value.f = rw_cursor_f64(&r->c);
    }
}

/* The items stay where they are in the file; strings among them are walked to find the end. */
static rwkv_status read_array(struct reader *r, const char *place, struct rw_meta *meta,
                              rwkv_error *err)
{
    uint32_t item = rw_cursor_u32(&r->c);
    uint64_t count = rw_cursor_u64(&r->c);
    size_t size = item == RW_META_STRING ? 8 : rw_gguf_value_size(item);
    if (r->c.failed)
        return fail_cut(r, place, err);
    if (item == RW_META_ARRAY)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: %s: arrays of arrays are not supported",
                       r->path, place);
    if (size == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: items: wanted a type below 13, found %u",
                       r->path, place, item);
    if (count > rw_cursor_left(&r->c) / size)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s: wanted at most %zu items, all that fit, found %llu", r->path, place,
                       rw_cursor_left(&r->c) / size, (unsigned long long)count);
    meta->item = (enum rw_meta_type)item;
    meta->count = (size_t)count;
    const uint8_t *start = r->c.data + r->c.at;
    struct rw_bytes string;
    if (item != RW_META_STRING)
        rw_cursor_bytes(&r->c, count * size);
    for (size_t i = 0; item == RW_META_STRING && i < meta->count; i++)
        if (!read_string(r, &string))
            return fail_cut(r, place, err);
    meta->items = (struct rw_bytes){(const char *)start, (size_t)(r->c.data + r->c.at - start)};
    if (item == RW_META_BOOL && !are_booleans(start, meta->count))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted booleans 0 and 1, found another",
                       r->path, place);
    return RWKV_OK;
}

static rwkv_status read_value(struct reader *r, const char *place, struct rw_meta *meta,
                              rwkv_error *err)
{
    uint32_t type = rw_cursor_u32(&r->c);
    if (r->c.failed)
        return fail_cut(r, place, err);
    meta->type = (enum rw_meta_type)type;
    if (type == RW_META_ARRAY)
        return read_array(r, place, meta, err);
    if (type == RW_META_STRING)
        read_string(r, &meta->value.s);
    else if (rw_gguf_value_size(type) > 0)
        read_number(r, meta);
    else
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted a type below 13, found %u", r->path,
                       place, type);
    if (r->c.failed)
        return fail_cut(r, place, err);
    if (type == RW_META_BOOL && meta->value.u > 1)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted a boolean 0 or 1, found %u", r->path,
                       place, (unsigned)meta->value.u);
    return RWKV_OK;
}

static rwkv_status read_meta(struct reader *r, rwkv_error *err)
{
    struct rw_bytes key;
    struct rw_meta meta = {0};
    char place[160];
    if (!read_string(r, &key))
        return fail_cut(r, "key of metadata", err);
    if (key.size == 0 || key.size > MAX_KEY)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: key of metadata: wanted 1 to %u bytes, found %zu", r->path, MAX_KEY,
                       key.size);
    snprintf(place, sizeof place, "metadata \"%.*s\"", (int)RW_MIN(key.size, (size_t)128),
             key.data);
    RW_TRY(read_value(r, place, &meta, err));
    return rw_file_add_meta(r->file, key.data, key.size, meta, err);
}

/* One of this part's own metadata; there are few of interest, and names are not yet sorted. */
static const struct rw_meta *find_meta(const struct reader *r, const char *key)
{
    for (size_t i = r->first_meta; i < r->file->n_meta; i++)
        if (strcmp(r->file->meta[i].key, key) == 0)
            return &r->file->meta[i];
    return NULL;
}

static rwkv_status read_alignment(struct reader *r, rwkv_error *err)
{
    const struct rw_meta *meta = find_meta(r, "general.alignment");
    r->alignment = RW_GGUF_ALIGNMENT;
    if (!meta)
        return RWKV_OK;
    uint64_t value = meta->type == RW_META_U32 ? meta->value.u : 0;
    if (value == 0 || value > MAX_ALIGNMENT || (value & (value - 1)) != 0)
        return rw_fail(
            err, RWKV_ERROR_FORMAT,
            "%s: general.alignment: wanted a u32, a power of two up to %u, found %s %llu", r->path,
            MAX_ALIGNMENT, meta->type == RW_META_U32 ? "u32" : "another type,",
            (unsigned long long)value);
    r->alignment = (size_t)value;
    return RWKV_OK;
}

/* --- tensors --- */

struct info {
    struct rw_bytes name;
    size_t n_dims;
    size_t shape[RW_GGUF_MAX_DIMS]; /* row-major */
    rwkv_dtype dtype;
    size_t bytes;
    uint64_t offset; /* in the data */
    char place[96];  /* "tensor \"NAME\"" */
};

/* Types of ggml that no RWKV file needs, or that it has given up. */
static const char *unusable_type(uint32_t id)
{
    static const char *const names[] = {
        [4] = "Q4_2",        [5] = "Q4_3",        [9] = "Q8_1",        [15] = "Q8_K",
        [16] = "IQ2_XXS",    [17] = "IQ2_XS",     [18] = "IQ3_XXS",    [19] = "IQ1_S",
        [21] = "IQ3_S",      [22] = "IQ2_S",      [29] = "IQ1_M",      [31] = "Q4_0_4_4",
        [32] = "Q4_0_4_8",   [33] = "Q4_0_8_8",   [34] = "TQ1_0",      [35] = "TQ2_0",
        [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8", [39] = "MXFP4",
    };
    return id < RW_COUNT(names) ? names[id] : NULL;
}

static rwkv_status check_type(const struct reader *r, struct info *info, uint32_t id,
                              rwkv_error *err)
{
    info->dtype = rw_dtype_from_gguf(id);
    if (info->dtype != RWKV_DTYPE_COUNT)
        return RWKV_OK;
    if (unusable_type(id))
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: %s: elements of type %s are not supported",
                       r->path, info->place, unusable_type(id));
    return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted a known element type, found number %u",
                   r->path, info->place, id);
}

/* Sizes, fastest first, into a row-major shape and bytes. */
static rwkv_status check_shape(const struct reader *r, struct info *info, const uint64_t *ne,
                               rwkv_error *err)
{
    size_t elements = 1, block = rw_dtype(info->dtype)->block;
    for (size_t i = 0; i < info->n_dims; i++) {
        if (ne[i] == 0 || ne[i] > INT64_MAX)
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted sizes in 1 … 2^63-1, found %llu",
                           r->path, info->place, (unsigned long long)ne[i]);
        info->shape[info->n_dims - 1 - i] = (size_t)ne[i];
        if (!rw_mul(elements, (size_t)ne[i], &elements))
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: the number of elements overflows",
                           r->path, info->place);
    }
    if (ne[0] % block != 0)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s: wanted rows of a multiple of %zu elements for type %s, found %llu",
                       r->path, info->place, block, rwkv_dtype_name(info->dtype),
                       (unsigned long long)ne[0]);
    if (!rw_dtype_size(info->dtype, elements, &info->bytes))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: the number of bytes overflows", r->path,
                       info->place);
    return RWKV_OK;
}

static rwkv_status read_info(struct reader *r, struct info *info, rwkv_error *err)
{
    uint64_t ne[RW_GGUF_MAX_DIMS] = {0};
    if (!read_string(r, &info->name))
        return fail_cut(r, "name of a tensor", err);
    snprintf(info->place, sizeof info->place, "tensor \"%.*s\"",
             (int)RW_MIN(info->name.size, (size_t)RW_GGUF_MAX_NAME), info->name.data);
    if (info->name.size > RW_GGUF_MAX_NAME)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s…: wanted a name of at most %d bytes, found %zu", r->path,
                       info->place, RW_GGUF_MAX_NAME, info->name.size);
    uint32_t n_dims = rw_cursor_u32(&r->c);
    if (!r->c.failed && (n_dims == 0 || n_dims > RW_GGUF_MAX_DIMS))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted 1 to %d dimensions, found %u",
                       r->path, info->place, RW_GGUF_MAX_DIMS, n_dims);
    info->n_dims = n_dims;
    for (size_t i = 0; i < info->n_dims; i++)
        ne[i] = rw_cursor_u64(&r->c);
    uint32_t type = rw_cursor_u32(&r->c);
    info->offset = rw_cursor_u64(&r->c);
    if (r->c.failed)
        return fail_cut(r, info->place, err);
    RW_TRY(check_type(r, info, type, err));
    RW_TRY(check_shape(r, info, ne, err));
    if (info->offset % r->alignment != 0)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s: wanted an offset that is a multiple of %zu, found %llu", r->path,
                       info->place, r->alignment, (unsigned long long)info->offset);
    return RWKV_OK;
}

static rwkv_status add_tensor(struct reader *r, const struct rw_part *part, const struct info *info,
                              rwkv_error *err)
{
    if (info->offset > part->size || info->bytes > part->size - info->offset)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s: wanted %zu bytes at offset %llu, found %zu bytes of data in all",
                       r->path, info->place, info->bytes, (unsigned long long)info->offset,
                       part->size);
    struct rw_tensor t;
    rw_tensor_init(&t, info->dtype, info->n_dims, info->shape, part->data + info->offset);
    return rw_file_add_tensor(r->file, info->name.data, info->name.size, &t, err);
}

/* Two passes: where the data begins is known only behind the last description. */
static rwkv_status read_tensors(struct reader *r, rwkv_error *err)
{
    struct rw_cursor descriptions = r->c;
    struct info info;
    for (size_t i = 0; i < r->n_tensors; i++)
        RW_TRY(read_info(r, &info, err));
    size_t padding = (r->alignment - r->c.at % r->alignment) % r->alignment;
    size_t start = RW_MIN(r->c.at + padding, r->c.size);
    struct rw_part part = {.path = r->path,
                           .first = r->file->n_tensors,
                           .data = r->c.data + start,
                           .size = r->c.size - start};
    r->c = descriptions;
    for (size_t i = 0; i < r->n_tensors; i++) {
        RW_TRY(read_info(r, &info, err));
        RW_TRY(add_tensor(r, &part, &info, err));
    }
    part.end = r->file->n_tensors;
    if (r->file->n_maps == 1) /* or a name that occurs twice would be called an overlap */
        RW_TRY(rw_file_build_index(r->file, err));
    return rw_file_check_layout(r->file, &part, false, err);
}

/* --- parts --- */

/* What a file says of its place in a split model; a whole one is part 0 of 1. */
struct split {
    uint64_t no, count;
};

static struct split find_split(const struct reader *r)
{
    struct split split = {0, 1};
    rw_meta_u64(find_meta(r, "split.no"), &split.no);
    if (!rw_meta_u64(find_meta(r, "split.count"), &split.count) || split.count == 0)
        split = (struct split){0, 1};
    return split;
}

static rwkv_status read_part(struct rw_file *file, size_t map, const char *path,
                             struct split *split, rwkv_error *err)
{
    const struct rw_map *m = &file->maps[map];
    struct reader r = {.file = file,
                       .path = path,
                       .c = rw_cursor_make(m->data, m->size),
                       .first_meta = file->n_meta};
    RW_TRY(read_head(&r, err));
    for (size_t i = 0; i < r.n_meta; i++)
        RW_TRY(read_meta(&r, err));
    RW_TRY(read_alignment(&r, err));
    RW_TRY(read_tensors(&r, err));
    *split = find_split(&r);
    return RWKV_OK;
}

/* "NAME-00001-of-0000N.gguf": how many bytes are NAME; false for another form or number. */
static bool split_name(const char *path, uint64_t count, size_t *prefix)
{
    char suffix[64];
    snprintf(suffix, sizeof suffix, "-00001-of-%05llu.gguf", (unsigned long long)count);
    *prefix = strlen(path) - RW_MIN(strlen(suffix), strlen(path));
    return rw_has_suffix(path, suffix);
}

static rwkv_status add_part(struct rw_file *file, size_t prefix, struct split wanted,
                            rwkv_error *err)
{
    struct rw_str name = {0};
    rw_str_add(&name, file->path, prefix);
    rw_str_printf(&name, "-%05llu-of-%05llu.gguf", (unsigned long long)wanted.no + 1,
                  (unsigned long long)wanted.count);
    char *path = rw_str_take(&name);
    size_t map, n_meta = file->n_meta;
    struct split found;
    RW_TRY(rw_file_keep(file, path, err));
    RW_TRY(rw_file_add_map(file, path, &map, err));
    RW_TRY(read_part(file, map, path, &found, err));
    file->n_meta = n_meta; /* what matters is in the first */
    if (found.no != wanted.no || found.count != wanted.count)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: wanted part %llu of %llu, found part %llu of %llu", path,
                       (unsigned long long)wanted.no + 1, (unsigned long long)wanted.count,
                       (unsigned long long)found.no + 1, (unsigned long long)found.count);
    return RWKV_OK;
}

static rwkv_status read_others(struct rw_file *file, uint64_t count, rwkv_error *err)
{
    size_t prefix;
    uint64_t total;
    if (file->borrowed)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: a model in %llu files cannot be opened from memory", file->path,
                       (unsigned long long)count);
    if (!split_name(file->path, count, &prefix))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: the first of %llu files: wanted a name that ends in "
                       "-00001-of-%05llu.gguf",
                       file->path, (unsigned long long)count, (unsigned long long)count);
    for (uint64_t no = 1; no < count; no++)
        RW_TRY(add_part(file, prefix, (struct split){no, count}, err));
    if (rw_file_meta_u64(file, "split.tensors.count", &total) && total != file->n_tensors)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted %llu tensors in %llu files, found %zu",
                       file->path, (unsigned long long)total, (unsigned long long)count,
                       file->n_tensors);
    return RWKV_OK;
}

static rwkv_status read_gguf(struct rw_file *file, rwkv_error *err)
{
    struct split split;
    RW_TRY(read_part(file, 0, file->path, &split, err));
    if (split.no != 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: this is part %llu of %llu of a model: open the first", file->path,
                       (unsigned long long)split.no + 1, (unsigned long long)split.count);
    return split.count == 1 ? RWKV_OK : read_others(file, split.count, err);
}

/* --- the format --- */

static bool probe(const uint8_t *head, size_t size)
{
    return size >= 4 && memcmp(head, "GGUF", 4) == 0;
}

const struct rw_format rw_format_gguf = {
    .name = "gguf",
    .suffix = ".gguf",
    .probe = probe,
    .read = read_gguf,
    .writer = &rw_gguf_writer,
};
