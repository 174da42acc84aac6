/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two files cannot take their names at the same moment. Both are on the disk before the first does;
 * an index that is there already goes first and the new one comes last. So, however the process
 * ends, an index is never found beside tokens it does not describe.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/output.h"
#include "base/status.h"
#include "formats/binidx.h"
#include "formats/binidx_int.h"

#define PIECE 4096 /* tokens written at once */

struct rw_binidx_writer {
    char *name, *idx_path;
    struct rw_output *bin, *idx;
    size_t n_vocab, width;
    int32_t *sizes; /* [n_documents] */
    size_t n_documents, capacity;
    uint64_t current; /* tokens of the document being written */
};

rwkv_status rw_binidx_writer_open(struct rw_binidx_writer **out, const char *path, size_t n_vocab,
                                  rwkv_error *err)
{
    assert(n_vocab <= (size_t)INT32_MAX + 1);
    char *bin_path = rw_binidx_path(path, ".bin");
    struct rw_binidx_writer *w = rw_calloc(1, sizeof *w);
    rwkv_status status = RWKV_ERROR_MEMORY;
    if (w) {
        w->name = rw_binidx_path(path, "");
        w->idx_path = rw_binidx_path(path, ".idx");
        w->n_vocab = n_vocab;
        w->width = n_vocab <= (size_t)UINT16_MAX + 1 ? 2 : 4;
    }
    if (!w || !w->name || !w->idx_path || !bin_path)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path));
    RW_GO(rw_output_open(&w->bin, bin_path, err));
    RW_GO(rw_output_open(&w->idx, w->idx_path, err));
    *out = w;
done:
    rw_free(bin_path);
    if (status != RWKV_OK)
        rw_binidx_writer_discard(w);
    return status;
}

rwkv_status rw_binidx_writer_add(struct rw_binidx_writer *w, const int32_t *tokens, size_t n,
                                 rwkv_error *err)
{
    uint8_t bytes[4 * PIECE];
    if (n > RW_BINIDX_DOCUMENT_MAX - w->current)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: document %zu: wanted at most %llu tokens",
                       w->name, w->n_documents, (unsigned long long)RW_BINIDX_DOCUMENT_MAX);
    w->current += n;
    while (n > 0) {
        size_t part = RW_MIN(n, (size_t)PIECE);
        for (size_t i = 0; i < part; i++) {
            assert(tokens[i] >= 0 && (size_t)tokens[i] < w->n_vocab);
            if (w->width == 2)
                rw_store_u16(bytes + 2 * i, (uint16_t)tokens[i]);
            else
                rw_store_u32(bytes + 4 * i, (uint32_t)tokens[i]);
        }
        RW_TRY(rw_output_write(w->bin, bytes, part * w->width, err));
        tokens += part;
        n -= part;
    }
    return RWKV_OK;
}

rwkv_status rw_binidx_writer_end(struct rw_binidx_writer *w, rwkv_error *err)
{
    if (!rw_grow((void **)&w->sizes, w->n_documents, &w->capacity, sizeof *w->sizes))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the sizes of %zu documents",
                       w->name, w->n_documents + 1);
    w->sizes[w->n_documents++] = (int32_t)w->current;
    w->current = 0;
    return RWKV_OK;
}

static rwkv_status write_header(struct rw_binidx_writer *w, rwkv_error *err)
{
    uint8_t header[BINIDX_HEADER];
    memcpy(header, BINIDX_MAGIC, BINIDX_MAGIC_SIZE);
    rw_store_u64(header + 9, BINIDX_VERSION);
    header[17] = w->width == 2 ? BINIDX_CODE_U16 : BINIDX_CODE_I32;
    rw_store_u64(header + 18, w->n_documents);
    rw_store_u64(header + 26, w->n_documents + 1);
    return rw_output_write(w->idx, header, sizeof header, err);
}

static rwkv_status write_u64(struct rw_binidx_writer *w, uint64_t x, rwkv_error *err)
{
    uint8_t bytes[8];
    rw_store_u64(bytes, x);
    return rw_output_write(w->idx, bytes, sizeof bytes, err);
}

static rwkv_status write_index(struct rw_binidx_writer *w, rwkv_error *err)
{
    uint64_t pointer = 0;
    RW_TRY(write_header(w, err));
    for (size_t i = 0; i < w->n_documents; i++) {
        uint8_t size[4];
        rw_store_u32(size, (uint32_t)w->sizes[i]);
        RW_TRY(rw_output_write(w->idx, size, sizeof size, err));
    }
    for (size_t i = 0; i < w->n_documents; i++) {
        RW_TRY(write_u64(w, pointer, err));
        pointer += (uint64_t)w->sizes[i] * w->width;
    }
    for (size_t i = 0; i <= w->n_documents; i++)
        RW_TRY(write_u64(w, i, err));
    return RWKV_OK;
}

rwkv_status rw_binidx_writer_commit(struct rw_binidx_writer *w, rwkv_error *err)
{
    rwkv_status status;
    assert(w->current == 0);
    RW_GO(write_index(w, err));
    RW_GO(rw_output_sync(w->bin, err));
    RW_GO(rw_output_sync(w->idx, err));
    if (unlink(w->idx_path) != 0 && errno != ENOENT)
        RW_GO(rw_fail(err, RWKV_ERROR_IO, "%s: cannot replace: %s", w->idx_path, strerror(errno)));
    struct rw_output *bin = w->bin, *idx = w->idx;
    w->bin = NULL;
    RW_GO(rw_output_commit(bin, err));
    w->idx = NULL;
    RW_GO(rw_output_commit(idx, err));
done:
    rw_binidx_writer_discard(w);
    return status;
}

void rw_binidx_writer_discard(struct rw_binidx_writer *w)
{
    if (!w)
        return;
    rw_output_discard(w->bin);
    rw_output_discard(w->idx);
    rw_free(w->name);
    rw_free(w->idx_path);
    rw_free(w->sizes);
    rw_free(w);
}
