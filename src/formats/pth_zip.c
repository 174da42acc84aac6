/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of a zip archive, zip64 included, as far as a checkpoint needs it: members stored
 * without compression, which are used where they lie in the file.
 *
 * Sizes and offsets come from the central directory alone; torch leaves those of the local headers
 * empty. Refused: compressed, encrypted and duplicate members, archives over several disks, bytes
 * before the archive or between its parts that shift offsets, and whatever points outside the file.
 * Records and field offsets: APPNOTE.TXT of PKWARE, 4.3 and 4.5.3.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/status.h"
#include "formats/pth_int.h"

#define END_SIGNATURE 0x06054b50U
#define END_SIZE 22
#define MAX_COMMENT 0xffff
#define LOCATOR64_SIGNATURE 0x07064b50U
#define LOCATOR64_SIZE 20
#define END64_SIGNATURE 0x06064b50U
#define END64_SIZE 56
#define CENTRAL_SIGNATURE 0x02014b50U
#define CENTRAL_SIZE 46
#define LOCAL_SIGNATURE 0x04034b50U
#define LOCAL_SIZE 30
#define EXTRA_ZIP64 0x0001
#define FLAG_ENCRYPTED 1

/* What the end records say. */
struct end {
    uint64_t entries;
    uint64_t size;   /* of the central directory */
    uint64_t offset; /* of it */
    size_t at;       /* where the end records begin, and the directory must have ended */
};

static rwkv_status bad_member(const struct rw_zip *zip, const struct rw_zip_member *m,
                              rwkv_status code, const char *what, rwkv_error *err)
{
    return rw_fail(err, code, "%s: zip member %.*s: %s", zip->path,
                   (int)RW_MIN(m->name_size, (size_t)RW_PTH_MAX_NAME), m->name, what);
}

/* --- the end records --- */

/* The last end record whose comment reaches exactly to the end of the file; NULL if there is none.
 */
static const uint8_t *find_end(const struct rw_zip *zip)
{
    if (zip->size < END_SIZE)
        return NULL;
    size_t last = zip->size - END_SIZE;
    for (size_t comment = 0; comment <= RW_MIN(last, (size_t)MAX_COMMENT); comment++) {
        const uint8_t *p = zip->data + last - comment;
        if (rw_load_u32(p) == END_SIGNATURE && rw_load_u16(p + 20) == comment)
            return p;
    }
    return NULL;
}

/* Does a 32-bit (or 16-bit) field agree with the 64-bit one that extends it? */
static bool extends(uint64_t wide, uint64_t narrow, uint64_t saturated)
{
    return narrow == saturated || narrow == wide;
}

static rwkv_status read_end64(const struct rw_zip *zip, const uint8_t *locator, struct end *end,
                              rwkv_error *err)
{
    size_t before = (size_t)(locator - zip->data);
    uint64_t at = rw_load_u64(locator + 8);
    if (before < END64_SIZE || at > before - END64_SIZE ||
        rw_load_u32(zip->data + at) != END64_SIGNATURE)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: zip64 locator: no zip64 end record at byte %" PRIu64, zip->path, at);
    const uint8_t *p = zip->data + at;
    struct end wide = {rw_load_u64(p + 32), rw_load_u64(p + 40), rw_load_u64(p + 48), (size_t)at};
    bool one_disk =
        rw_load_u32(p + 16) == 0 && rw_load_u32(p + 20) == 0 && rw_load_u64(p + 24) == wide.entries;
    if (!one_disk || !extends(wide.entries, end->entries, 0xffff) ||
        !extends(wide.size, end->size, UINT32_MAX) ||
        !extends(wide.offset, end->offset, UINT32_MAX))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: zip64 end record: does not agree with the end record", zip->path);
    *end = wide;
    return RWKV_OK;
}

static rwkv_status read_end(const struct rw_zip *zip, struct end *end, rwkv_error *err)
{
    const uint8_t *p = find_end(zip);
    if (!p)
        return rw_fail(
            err, RWKV_ERROR_FORMAT,
            "%s: zip end record: none at the end of the file; the file is cut off or damaged",
            zip->path);
    *end = (struct end){rw_load_u16(p + 10), rw_load_u32(p + 12), rw_load_u32(p + 16),
                        (size_t)(p - zip->data)};
    if (rw_load_u16(p + 4) != 0 || rw_load_u16(p + 6) != 0 || rw_load_u16(p + 8) != end->entries)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: zip end record: an archive over several disks", zip->path);
    if (end->at >= LOCATOR64_SIZE && rw_load_u32(p - LOCATOR64_SIZE) == LOCATOR64_SIGNATURE)
        RW_TRY(read_end64(zip, p - LOCATOR64_SIZE, end, err));
    if (end->offset > end->at || end->size > end->at - end->offset ||
        end->entries > end->size / CENTRAL_SIZE)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: zip end record: %" PRIu64 " members in %" PRIu64 " bytes at %" PRIu64
                       ", which do not fit before byte %zu",
                       zip->path, end->entries, end->size, end->offset, end->at);
    return RWKV_OK;
}

/* --- the central directory --- */

/* Take a field from the zip64 record where its 32 bits were not enough. */
static void widen(uint64_t *field, struct rw_cursor *record)
{
    if (*field == UINT32_MAX)
        *field = rw_cursor_u64(record);
}

/* Walk the extra fields for the zip64 record. A record that should be there and is not, or is
 * short, fails; so do extra fields that do not add up. */
static bool read_extra(struct rw_zip_member *m, struct rw_cursor extra)
{
    bool found = false;
    while (!found && rw_cursor_left(&extra) > 0) {
        uint16_t id = rw_cursor_u16(&extra);
        uint16_t size = rw_cursor_u16(&extra);
        const uint8_t *bytes = rw_cursor_bytes(&extra, size);
        if (!bytes)
            return false;
        if (id != EXTRA_ZIP64)
            continue;
        struct rw_cursor record = rw_cursor_make(bytes, size);
        widen(&m->size, &record);
        widen(&m->compressed, &record);
        widen(&m->local, &record);
        if (record.failed)
            return false;
        found = true;
    }
    return found ||
           (m->size != UINT32_MAX && m->compressed != UINT32_MAX && m->local != UINT32_MAX);
}

static rwkv_status read_member(const struct rw_zip *zip, struct rw_cursor *c,
                               struct rw_zip_member *m, rwkv_error *err)
{
    size_t at = c->at;
    const uint8_t *p = rw_cursor_bytes(c, CENTRAL_SIZE);
    const uint8_t *name = NULL, *extra = NULL;
    if (p && rw_load_u32(p) == CENTRAL_SIGNATURE) {
        name = rw_cursor_bytes(c, rw_load_u16(p + 28));
        extra = rw_cursor_bytes(c, rw_load_u16(p + 30));
        rw_cursor_bytes(c, rw_load_u16(p + 32));
    }
    if (!extra || c->failed)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: zip directory: no whole entry at byte %zu",
                       zip->path, zip->directory + at);
    *m = (struct rw_zip_member){
        .name = (const char *)name,
        .name_size = rw_load_u16(p + 28),
        .flags = rw_load_u16(p + 8),
        .method = rw_load_u16(p + 10),
        .compressed = rw_load_u32(p + 20),
        .size = rw_load_u32(p + 24),
        .local = rw_load_u32(p + 42),
    };
    if (!read_extra(m, rw_cursor_make(extra, rw_load_u16(p + 30))))
        return bad_member(zip, m, RWKV_ERROR_FORMAT, "its extra fields are damaged", err);
    if (m->method == 0 && m->compressed != m->size)
        return bad_member(zip, m, RWKV_ERROR_FORMAT, "stored, but with two different sizes", err);
    if (m->local > zip->directory || zip->directory - m->local < LOCAL_SIZE ||
        m->compressed > zip->directory - m->local - LOCAL_SIZE)
        return bad_member(zip, m, RWKV_ERROR_FORMAT, "reaches beyond the members' part of the file",
                          err);
    return RWKV_OK;
}

static int compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, RW_MIN(a_size, b_size));
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_name(const void *a, const void *b)
{
    const struct rw_zip_member *x = a, *y = b;
    return compare_names(x->name, x->name_size, y->name, y->name_size);
}

rwkv_status rw_zip_init(struct rw_zip *zip, const char *path, const uint8_t *data, size_t size,
                        rwkv_error *err)
{
    struct end end;
    *zip = (struct rw_zip){.path = path, .data = data, .size = size};
    RW_TRY(read_end(zip, &end, err));
    zip->directory = (size_t)end.offset;
    zip->members = rw_alloc((size_t)end.entries, sizeof *zip->members);
    if (!zip->members)
        return rw_fail(err, RWKV_ERROR_MEMORY,
                       "%s: no memory for a zip directory of %" PRIu64 " members", path,
                       end.entries);

    struct rw_cursor c = rw_cursor_make(data + end.offset, (size_t)end.size);
    for (; zip->n_members < end.entries; zip->n_members++)
        RW_TRY(read_member(zip, &c, &zip->members[zip->n_members], err));
    if (rw_cursor_left(&c) > 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: zip directory: %zu bytes after its %zu entries",
                       path, rw_cursor_left(&c), zip->n_members);

    qsort(zip->members, zip->n_members, sizeof *zip->members, by_name);
    for (size_t i = 1; i < zip->n_members; i++)
        if (by_name(&zip->members[i - 1], &zip->members[i]) == 0)
            return bad_member(zip, &zip->members[i], RWKV_ERROR_FORMAT,
                              "there are two of that name", err);
    return RWKV_OK;
}

void rw_zip_fini(struct rw_zip *zip)
{
    rw_free(zip->members);
    *zip = (struct rw_zip){0};
}

/* --- members --- */

const struct rw_zip_member *rw_zip_find(const struct rw_zip *zip, const char *name, size_t size)
{
    size_t low = 0, high = zip->n_members;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct rw_zip_member *m = &zip->members[mid];
        int order = compare_names(name, size, m->name, m->name_size);
        if (order == 0)
            return m;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

rwkv_status rw_zip_content(const struct rw_zip *zip, const struct rw_zip_member *m,
                           const uint8_t **content, rwkv_error *err)
{
    if (m->flags & FLAG_ENCRYPTED)
        return bad_member(zip, m, RWKV_ERROR_UNSUPPORTED, "plain data wanted, encrypted data found",
                          err);
    if (m->method != 0)
        return rw_fail(
            err, RWKV_ERROR_UNSUPPORTED,
            "%s: zip member %.*s: data stored plainly (method 0) wanted, method %u found",
            zip->path, (int)RW_MIN(m->name_size, (size_t)RW_PTH_MAX_NAME), m->name, m->method);
    /* The directory reader has seen that a header without name and the data fit. */
    const uint8_t *p = zip->data + m->local;
    if (rw_load_u32(p) != LOCAL_SIGNATURE)
        return bad_member(zip, m, RWKV_ERROR_FORMAT, "no local header where the directory says",
                          err);
    uint64_t room = zip->directory - m->local - LOCAL_SIZE - m->size;
    uint64_t name_size = rw_load_u16(p + 26), extra_size = rw_load_u16(p + 28);
    if (name_size + extra_size > room)
        return bad_member(zip, m, RWKV_ERROR_FORMAT, "its data reaches into the zip directory",
                          err);
    if (name_size != m->name_size || memcmp(p + LOCAL_SIZE, m->name, m->name_size) != 0)
        return bad_member(zip, m, RWKV_ERROR_FORMAT, "its local header has another name", err);
    *content = p + LOCAL_SIZE + name_size + extra_size;
    return RWKV_OK;
}
