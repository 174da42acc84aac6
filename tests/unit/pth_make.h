/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PyTorch checkpoints made by hand, for the tests of the reader: fragments of pickles, and zip
 * archives whose every field a test may then spoil.
 */
#ifndef PTH_MAKE_H
#define PTH_MAKE_H

#include "unit.h"

#include <string.h>

#include "base/cursor.h"
#include "base/hash.h"
#include "base/str.h"
#include "formats/format.h"

/* Bytes of a literal, zeros included. */
#define BYTES(text) text, sizeof(text) - 1

/* A string of fewer than 256 bytes, `n` written as an escape. */
#define TEXT(n, text) "X" n "\0\0\0" text
#define ID_TO(class, key, location, n) \
    "(" TEXT("\7", "storage") "ctorch\n" class "\n" key location n
#define KEY_0 TEXT("\1", "0")
#define CPU TEXT("\3", "cpu")
#define STORAGE_OF(class, n) ID_TO(class, KEY_0, CPU, n) "tQ"
#define STORAGE STORAGE_OF("FloatStorage", "K\4")
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define HOOKS "ccollections\nOrderedDict\n)R"
/* A tensor over a storage of four floats: offset, items of size and stride. */
#define VIEW(offset, size, stride) \
    REBUILD "(" STORAGE offset "(" size "t(" stride "t\x89" HOOKS "tR"
#define TENSOR VIEW("K\0", "K\4", "K\1")
#define NAMED_W TEXT("\1", "w") TENSOR "s"
#define STATE_DICT "\x80\2}" NAMED_W "."

static const float four_floats[4] = {1, 2, 3, 4};

struct part {
    const char *name;
    const void *data;
    size_t size;
};

static inline void make_u16(struct rw_str *s, size_t v)
{
    uint8_t bytes[2];
    rw_store_u16(bytes, (uint16_t)v);
    rw_str_add(s, bytes, sizeof bytes);
}

static inline void make_u32(struct rw_str *s, size_t v)
{
    make_u16(s, v & 0xffff);
    make_u16(s, v >> 16);
}

static inline void make_u64(struct rw_str *s, uint64_t v)
{
    make_u32(s, (size_t)(v & UINT32_MAX));
    make_u32(s, (size_t)(v >> 32));
}

/* The fields that local and central header share, from the version to the extra field's length. */
static inline void make_common(struct rw_str *s, const struct part *p, size_t size, size_t extra)
{
    make_u16(s, 20);
    make_u16(s, 0); /* flags */
    make_u16(s, 0); /* method */
    make_u32(s, 0); /* time and date */
    make_u32(s, rw_crc32(0, p->data, p->size));
    make_u32(s, size);
    make_u32(s, size);
    make_u16(s, strlen(p->name));
    make_u16(s, extra);
}

/* An archive of stored members; with `zip64`, everything that can be is in the 64-bit records. */
static inline struct rw_str make_zip(const struct part *parts, size_t n, bool zip64)
{
    struct rw_str s = {0};
    size_t local[8];
    assert_true(n <= 8);
    for (size_t i = 0; i < n; i++) {
        local[i] = s.size;
        rw_str_adds(&s, "PK\3\4");
        make_common(&s, &parts[i], 0, 0); /* torch leaves these sizes empty */
        rw_str_adds(&s, parts[i].name);
        rw_str_add(&s, parts[i].data, parts[i].size);
    }
    size_t directory = s.size;
    for (size_t i = 0; i < n; i++) {
        rw_str_add(&s, "PK\1\2\0\0", 6);
        make_common(&s, &parts[i], zip64 ? UINT32_MAX : parts[i].size, zip64 ? 5 + 28 : 0);
        rw_str_add(&s, "\0\0\0\0\0\0\0\0\0\0", 10); /* comment, disk, attributes */
        make_u32(&s, zip64 ? UINT32_MAX : local[i]);
        rw_str_adds(&s, parts[i].name);
        if (zip64) {
            rw_str_add(&s, "AB\1\0C", 5); /* some other extra field */
            make_u16(&s, 1);
            make_u16(&s, 24);
            make_u64(&s, parts[i].size);
            make_u64(&s, parts[i].size);
            make_u64(&s, local[i]);
        }
    }
    size_t end = s.size;
    if (zip64) {
        rw_str_adds(&s, "PK\6\6");
        make_u64(&s, 44);
        make_u32(&s, 45 | 45 << 16);
        make_u64(&s, 0); /* disks */
        make_u64(&s, n);
        make_u64(&s, n);
        make_u64(&s, end - directory);
        make_u64(&s, directory);
        rw_str_adds(&s, "PK\6\7");
        make_u32(&s, 0);
        make_u64(&s, end);
        make_u32(&s, 1);
    }
    rw_str_add(&s, "PK\5\6\0\0\0\0", 8);
    make_u16(&s, zip64 ? UINT16_MAX : n);
    make_u16(&s, zip64 ? UINT16_MAX : n);
    make_u32(&s, zip64 ? UINT32_MAX : end - directory);
    make_u32(&s, zip64 ? UINT32_MAX : directory);
    make_u16(&s, 0); /* comment */
    assert_false(s.failed);
    return s;
}

/* A checkpoint of that pickle, with one storage of four floats. */
static inline struct rw_str make_checkpoint(const char *pickle, size_t size, bool zip64)
{
    const struct part parts[] = {
        {"a/data.pkl", pickle, size},
        {"a/data/0", four_floats, sizeof four_floats},
        {"a/version", "3\n", 2},
    };
    return make_zip(parts, 3, zip64);
}

/* Open bytes as a file and close it; they lie in a block of their exact size, for the sanitizers.
 */
static inline rwkv_status open_bytes(const void *data, size_t size, struct rw_file **out,
                                     char **copy, rwkv_error *err)
{
    *copy = malloc(size ? size : 1);
    assert_non_null(*copy);
    memcpy(*copy, data, size);
    return rw_file_open_memory(out, *copy, size, "x.pth", err);
}

/* The bytes must be refused with a message that contains `message`. */
static inline void expect_refusal(const void *data, size_t size, const char *message)
{
    struct rw_file *file;
    char *copy;
    rwkv_error err = {0};
    assert_int_not_equal(open_bytes(data, size, &file, &copy, &err), RWKV_OK);
    free(copy);
    if (!strstr(err.message, message) || strncmp(err.message, "x.pth: ", 7) != 0)
        fail_msg("\"%s\" wanted, \"%s\" found", message, err.message);
}

/* The bytes must be a file whose tensors have these names, each followed by a blank. */
static inline void expect_names(const void *data, size_t size, const char *names)
{
    struct rw_file *file;
    char *copy;
    rwkv_error err = {0};
    struct rw_str found = {0};
    if (open_bytes(data, size, &file, &copy, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    rw_str_adds(&found, "");
    for (size_t i = 0; i < file->n_tensors; i++)
        rw_str_printf(&found, "%s ", file->tensors[i].name);
    assert_string_equal(found.data ? found.data : "", names);
    rw_str_fini(&found);
    rw_file_close(file);
    free(copy);
}

#endif
