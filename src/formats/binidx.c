/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The .idx, all integers little-endian: "MMIDIDX\0\0"; u64 version, 1; u8 code of the type; u64 n,
 * the number of items; u64 m; i32 sizes[n], in tokens; i64 pointers[n], bytes from the beginning of
 * the .bin; i64 documents[m], the item each document begins with, and n at the end.
 *
 * Items must lie one behind another and fill the .bin: the trainer reads it as one stream, so a gap
 * or an overlap would mean that the two files do not belong together.
 */
#include "formats/binidx.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "formats/binidx_int.h"

#define HASH_WHOLE ((size_t)256 << 20) /* files up to here are hashed whole, */
#define HASH_BLOCK ((size_t)64 << 10)  /* larger ones in so large */
#define HASH_BLOCKS 4096               /* and so many blocks */

/* Of tokens. */
static const struct type {
    uint8_t code;
    rwkv_dtype dtype;
    size_t width;
} types[] = {
    {1, RWKV_DTYPE_U8, 1},  {2, RWKV_DTYPE_I8, 1},
    {3, RWKV_DTYPE_I16, 2}, {BINIDX_CODE_I32, RWKV_DTYPE_I32, 4},
    {5, RWKV_DTYPE_I64, 8}, {BINIDX_CODE_U16, RWKV_DTYPE_U16, 2},
};

static uint64_t pointer(const struct rw_binidx *b, uint64_t item)
{
    return rw_load_u64(b->pointers + 8 * item);
}

static uint64_t document_item(const struct rw_binidx *b, uint64_t d)
{
    return rw_load_u64(b->documents + 8 * d);
}

/* --- checks ----------------------------------------------------------------------------------- */

static rwkv_status read_type(struct rw_binidx *b, struct rw_cursor *c, rwkv_error *err)
{
    const uint8_t *magic = rw_cursor_bytes(c, BINIDX_MAGIC_SIZE);
    if (!magic || memcmp(magic, BINIDX_MAGIC, BINIDX_MAGIC_SIZE) != 0)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s.idx: wanted an index of token data, beginning with MMIDIDX, found "
                       "something else",
                       b->name);
    uint64_t version = rw_cursor_u64(c);
    if (!c->failed && version != BINIDX_VERSION)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s.idx: wanted version %d, found %llu",
                       b->name, BINIDX_VERSION, (unsigned long long)version);
    uint8_t code = rw_cursor_u8(c);
    for (size_t i = 0; i < RW_COUNT(types) && !c->failed; i++)
        if (types[i].code == code) {
            b->dtype = types[i].dtype;
            b->width = types[i].width;
        }
    if (!c->failed && !b->width)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s.idx: wanted tokens of an integer type (code 1 to 5, or 8 for u16), "
                       "found code %u",
                       b->name, code);
    return RWKV_OK;
}

/* The two counts; and the file must be as long as they say. */
static rwkv_status read_counts(struct rw_binidx *b, struct rw_cursor *c, rwkv_error *err)
{
    uint64_t n = rw_cursor_u64(c), m = rw_cursor_u64(c), size, boundaries;
    if (c->failed)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s.idx: wanted a header of %d bytes, found %zu bytes", b->name,
                       BINIDX_HEADER, b->idx.size);
    if (m == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s.idx: wanted at least one boundary of documents, found none", b->name);
    if (__builtin_mul_overflow(n, 12, &size) || __builtin_mul_overflow(m, 8, &boundaries) ||
        __builtin_add_overflow(size, boundaries, &size) ||
        __builtin_add_overflow(size, BINIDX_HEADER, &size) || size != b->idx.size)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s.idx: wanted %d + 12 × %llu + 8 × %llu bytes, found %zu", b->name,
                       BINIDX_HEADER, (unsigned long long)n, (unsigned long long)m, b->idx.size);
    b->n_items = n;
    b->n_documents = m - 1;
    return RWKV_OK;
}

static rwkv_status check_items(const struct rw_binidx *b, const uint8_t *sizes, rwkv_error *err)
{
    uint64_t end = 0, all = b->bin.size;
    for (uint64_t i = 0; i < b->n_items; i++) {
        uint32_t size = rw_load_u32(sizes + 4 * i);
        if (size > INT32_MAX)
            return rw_fail(err, RWKV_ERROR_FORMAT, "%s.idx: item %llu: wanted a size ≥ 0, found %d",
                           b->name, (unsigned long long)i, (int32_t)size);
        if (pointer(b, i) != end)
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s.idx: item %llu: wanted it to begin at byte %llu of the .bin, behind "
                           "the one before, found %lld",
                           b->name, (unsigned long long)i, (unsigned long long)end,
                           (long long)pointer(b, i));
        if (size > (all - end) / b->width)
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s.idx: item %llu: wanted it to end by byte %llu, where the .bin does, "
                           "found %u tokens of %zu bytes from byte %llu on",
                           b->name, (unsigned long long)i, (unsigned long long)all, size, b->width,
                           (unsigned long long)end);
        end += size * (uint64_t)b->width;
    }
    if (end != all)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s.bin: wanted %llu bytes, as its .idx says, found %llu", b->name,
                       (unsigned long long)end, (unsigned long long)all);
    return RWKV_OK;
}

/* From 0 to the number of items, never less than the one before. */
static rwkv_status check_documents(const struct rw_binidx *b, rwkv_error *err)
{
    uint64_t least = 0, most = 0;
    for (uint64_t d = 0; d <= b->n_documents; d++) {
        uint64_t at = document_item(b, d);
        most = d == 0 ? 0 : b->n_items;
        least = d == b->n_documents ? b->n_items : least;
        if (at < least || at > most)
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s.idx: document boundary %llu: wanted an item from %llu to %llu, "
                           "found %lld",
                           b->name, (unsigned long long)d, (unsigned long long)least,
                           (unsigned long long)most, (long long)at);
        least = at;
    }
    return RWKV_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

char *rw_binidx_path(const char *path, const char *ending)
{
    struct rw_str s = {0};
    size_t n = strlen(path);
    if (rw_has_suffix(path, ".bin") || rw_has_suffix(path, ".idx"))
        n -= 4;
    rw_str_add(&s, path, n);
    rw_str_adds(&s, ending);
    return rw_str_take(&s);
}

/* Everything but the maps, which are there. */
static rwkv_status parse(struct rw_binidx *b, rwkv_error *err)
{
    struct rw_cursor c = rw_cursor_make(b->idx.data, b->idx.size);
    RW_TRY(read_type(b, &c, err));
    RW_TRY(read_counts(b, &c, err));
    const uint8_t *sizes = b->idx.data + BINIDX_HEADER;
    b->pointers = sizes + 4 * b->n_items;
    b->documents = b->pointers + 8 * b->n_items;
    RW_TRY(check_items(b, sizes, err));
    RW_TRY(check_documents(b, err));
    b->n_tokens = b->bin.size / b->width;
    return RWKV_OK;
}

rwkv_status rw_binidx_open_memory(struct rw_binidx *b, struct rw_map bin, struct rw_map idx,
                                  const char *name, rwkv_error *err)
{
    *b = (struct rw_binidx){.name = rw_strdup(name), .bin = bin, .idx = idx};
    rwkv_status status =
        b->name ? parse(b, err) : rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", name);
    if (status != RWKV_OK) {
        rw_free(b->name);
        *b = (struct rw_binidx){0};
    }
    return status;
}

static rwkv_status map_file(struct rw_map *map, const char *path, const char *ending,
                            rwkv_error *err)
{
    char *file = rw_binidx_path(path, ending);
    rwkv_status status =
        file ? rw_map_open(map, file, err) : rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    rw_free(file);
    return status;
}

/* What file the index is; zeros if there is none. Renaming changes the time. */
static struct stat index_of(const char *path)
{
    struct stat st = {0};
    char *file = rw_binidx_path(path, ".idx");
    if (!file || stat(file, &st) != 0)
        st = (struct stat){0};
    rw_free(file);
    return st;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whoever replaces the pair takes the index away before the tokens get new ones: if it was there
 * before and after, both are of the same pair. */
rwkv_status rw_binidx_open(struct rw_binidx *b, const char *path, rwkv_error *err)
{
    struct rw_map bin = {0}, idx = {0};
    struct stat before = index_of(path), after;
    rwkv_status status;
    char *name = rw_binidx_path(path, "");
    if (!name)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    RW_GO(map_file(&idx, path, ".idx", err));
    RW_GO(map_file(&bin, path, ".bin", err));
    after = index_of(path);
    if (!same_file(&before, &after))
        RW_GO(rw_fail(err, RWKV_ERROR_IO, "%s.idx: was replaced while it was opened", name));
    RW_GO(rw_binidx_open_memory(b, bin, idx, name, err));
done:
    if (status != RWKV_OK) {
        rw_map_close(&bin);
        rw_map_close(&idx);
    }
    rw_free(name);
    return status;
}

void rw_binidx_close(struct rw_binidx *b)
{
    rw_map_close(&b->bin);
    rw_map_close(&b->idx);
    rw_free(b->name);
    *b = (struct rw_binidx){0};
}

/* --- reading ---------------------------------------------------------------------------------- */

int64_t rw_binidx_token(const struct rw_binidx *b, uint64_t at)
{
    assert(at < b->n_tokens);
    const uint8_t *p = b->bin.data + at * b->width;
    switch (b->dtype) {
    case RWKV_DTYPE_U8:
        return *p;
    case RWKV_DTYPE_I8:
        return (int8_t)*p;
    case RWKV_DTYPE_U16:
        return rw_load_u16(p);
    case RWKV_DTYPE_I16:
        return (int16_t)rw_load_u16(p);
    case RWKV_DTYPE_I32:
        return (int32_t)rw_load_u32(p);
    default:
        return (int64_t)rw_load_u64(p);
    }
}

rwkv_status rw_binidx_read(const struct rw_binidx *b, uint64_t at, size_t n, size_t limit,
                           int32_t *tokens, rwkv_error *err)
{
    assert(at <= b->n_tokens && n <= b->n_tokens - at && limit <= (size_t)INT32_MAX + 1);
    for (size_t i = 0; i < n; i++) {
        int64_t token = rw_binidx_token(b, at + i);
        if (token < 0 || (uint64_t)token >= limit)
            return rw_fail(err, RWKV_ERROR_TOKEN,
                           "%s.bin: token %llu: wanted an id from 0 to %zu, found %lld", b->name,
                           (unsigned long long)(at + i), limit - 1, (long long)token);
        tokens[i] = (int32_t)token;
    }
    return RWKV_OK;
}

uint64_t rw_binidx_document(const struct rw_binidx *b, uint64_t d)
{
    assert(d <= b->n_documents);
    uint64_t item = document_item(b, d);
    return item < b->n_items ? pointer(b, item) / b->width : b->n_tokens;
}

/* The piece that has the token at this position: the last that begins there or before. */
static uint64_t find_item(const struct rw_binidx *b, uint64_t at)
{
    uint64_t low = 0, high = b->n_items;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (pointer(b, middle) / b->width <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The document that has a piece: the last that begins with it or before. */
static uint64_t find_document(const struct rw_binidx *b, uint64_t item)
{
    uint64_t low = 0, high = b->n_documents;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (document_item(b, middle) <= item)
            low = middle;
        else
            high = middle;
    }
    return low;
}

size_t rw_binidx_answers(const struct rw_binidx *b, uint64_t at, size_t n, uint8_t *answers)
{
    assert(at <= b->n_tokens && n <= b->n_tokens - at);
    if (n == 0)
        return 0;
    uint64_t item = find_item(b, at), d = find_document(b, item), end = at + n;
    size_t count = 0;
    for (; at < end; item++) {
        while (item >= document_item(b, d + 1))
            d++;
        uint64_t first = document_item(b, d), next = document_item(b, d + 1);
        bool answer = next - first == 1 || (item - first) % 2 == 1;
        uint64_t stop = item + 1 < b->n_items ? pointer(b, item + 1) / b->width : b->n_tokens;
        size_t part = (size_t)(RW_MIN(stop, end) - at);
        if (answers) {
            memset(answers, answer, part);
            answers += part;
        }
        count += answer ? part : 0;
        at += part;
    }
    return count;
}

static void hash_file(struct rw_sha256 *h, const struct rw_map *map)
{
    uint8_t size[8];
    rw_store_u64(size, map->size);
    rw_sha256_add(h, size, sizeof size);
    if (map->size <= HASH_WHOLE) {
        rw_sha256_add(h, map->data, map->size);
        return;
    }
    size_t last = map->size - HASH_BLOCK, step = last / (HASH_BLOCKS - 1);
    for (size_t i = 0; i + 1 < HASH_BLOCKS; i++)
        rw_sha256_add(h, map->data + i * step, HASH_BLOCK);
    rw_sha256_add(h, map->data + last, HASH_BLOCK);
}

void rw_binidx_fingerprint(const struct rw_binidx *b, char out[65])
{
    struct rw_sha256 h;
    rw_sha256_init(&h);
    hash_file(&h, &b->idx);
    hash_file(&h, &b->bin);
    rw_sha256_hex(&h, out);
}
