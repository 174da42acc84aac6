/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of containers: files made of hand-written bytes, opened from a heap block of their
 * exact size, where AddressSanitizer sees one byte too many read; and a folder for files on disk.
 */
#ifndef FORMATS_H
#define FORMATS_H

#include "unit.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/str.h"
#include "formats/format.h"

struct opened {
    struct rw_file *file; /* NULL: it failed, and err says why */
    void *block;
    rwkv_error err;
};

static inline struct opened open_bytes(const void *data, size_t size, const char *name)
{
    struct opened o = {.block = rw_alloc(size, 1)};
    assert_non_null(o.block);
    if (size)
        memcpy(o.block, data, size);
    rw_file_open_memory(&o.file, o.block, size, name, &o.err);
    return o;
}

static inline void close_opened(struct opened *o)
{
    rw_file_close(o->file);
    rw_free(o->block);
}

/* Whether opening fails with this status and a one-line message that begins with the file's name
 * and contains `part`. */
static inline bool failed_with(const rwkv_error *err, const char *name, rwkv_status status,
                               const char *part)
{
    if (err->code == status && rw_has_prefix(err->message, name) && strstr(err->message, part))
        return true;
    print_message("wanted %s and \"%s\", found %s and \"%s\"\n", rwkv_status_name(status), part,
                  rwkv_status_name(err->code), err->message);
    return false;
}

static inline void put_u32(struct rw_str *s, uint32_t value)
{
    uint8_t bytes[4];
    rw_store_u32(bytes, value);
    rw_str_add(s, bytes, sizeof bytes);
}

static inline void put_u64(struct rw_str *s, uint64_t value)
{
    uint8_t bytes[8];
    rw_store_u64(bytes, value);
    rw_str_add(s, bytes, sizeof bytes);
}

/* --- files on disk --- */

static inline const char *in_folder(char path[512], const char *folder, const char *name)
{
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static inline void write_bytes(const char *folder, const char *name, const void *data, size_t size)
{
    char path[512];
    FILE *file = fopen(in_folder(path, folder, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    write_bytes(folder, name, text, strlen(text));
}

/* A fresh folder, to be removed with its files by remove_folder. */
static inline void make_folder(char folder[64])
{
    strcpy(folder, "/tmp/rwkv-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static inline void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    char path[512];
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            unlink(in_folder(path, folder, entry->d_name));
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}

/* --- writing and comparing --- */

/* Write everything that `file` holds, its data in pieces of at most `piece` bytes. */
static inline rwkv_status write_again(const struct rw_file *file, const char *path, size_t piece,
                                      rwkv_error *err)
{
    struct rw_write_plan plan = {file->tensors, file->n_tensors, file->meta, file->n_meta};
    struct rw_writer *w;
    rwkv_status status = rw_writer_open(&w, path, &plan, err);
    if (status != RWKV_OK)
        return status;
    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct rw_tensor *t = &file->tensors[i].tensor;
        size_t size = rw_tensor_bytes(t);
        uint8_t *data = rw_alloc(size, 1);
        assert_non_null(data);
        rw_tensor_copy(t, 0, rw_tensor_elements(t), data);
        for (size_t at = 0; at < size; at += piece) {
            size_t n = size - at < piece ? size - at : piece;
            assert_int_equal(rw_writer_data(w, data + at, n, err), RWKV_OK);
        }
        rw_free(data);
    }
    return rw_writer_commit(w, err);
}

/* The same names, types, shapes and bytes. */
static inline void assert_same_tensors(const struct rw_file *a, const struct rw_file *b)
{
    assert_int_equal(a->n_tensors, b->n_tensors);
    for (size_t i = 0; i < a->n_tensors; i++) {
        const struct rw_tensor *x = &a->tensors[i].tensor;
        const struct rw_tensor *y = rw_file_find(b, a->tensors[i].name);
        assert_non_null(y);
        assert_int_equal(x->dtype, y->dtype);
        assert_int_equal(x->n_dims, y->n_dims);
        for (size_t d = 0; d < x->n_dims; d++)
            assert_int_equal(x->shape[d], y->shape[d]);
        size_t n = rw_tensor_elements(x), size = rw_tensor_bytes(x);
        uint8_t *bytes = rw_alloc(size * 2, 1);
        assert_non_null(bytes);
        rw_tensor_copy(x, 0, n, bytes);
        rw_tensor_copy(y, 0, n, bytes + size);
        assert_memory_equal(bytes, bytes + size, size);
        rw_free(bytes);
    }
}

#endif
