/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two files cannot take their names at the same moment. When both new ones are on the disk, the old
 * pair takes other names, first its tokens, then its index; then the new tokens take their name,
 * then the new index; then the old pair goes. However the process ends,
 *
 *   - NAME.idx is never found beside tokens it does not describe: it is the old index only before
 *     the new tokens are there, and the new one only after;
 *   - the old pair or the new one is whole: under NAME, or the old one under NAME.replaced (its
 *     index may still be under NAME, or its tokens may be so again).
 *
 * Where a step fails, all steps before are undone. What a killed process left behind is undone by
 * the next that writes NAME.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/output.h"
#include "base/status.h"
#include "formats/binidx.h"
#include "formats/binidx_int.h"

#define PIECE 4096 /* tokens written at once */
#define LAST ((uint32_t)1 << 31)

struct rw_binidx_writer {
    char *name;
    char *bin_path, *idx_path; /* the names to take, */
    char *bin_old, *idx_old;   /* and those of the old pair meanwhile */
    struct rw_output *bin, *idx;
    size_t n_vocab, width;
    uint32_t *sizes; /* [n_pieces], with LAST where one ends its document */
    size_t n_pieces, n_documents, capacity;
    uint64_t current; /* tokens of the piece being written */
};

static bool find_names(struct rw_binidx_writer *w, const char *path)
{
    w->name = rw_binidx_path(path, "");
    w->bin_path = rw_binidx_path(path, ".bin");
    w->idx_path = rw_binidx_path(path, ".idx");
    w->bin_old = rw_binidx_path(path, RW_BINIDX_REPLACED ".bin");
    w->idx_old = rw_binidx_path(path, RW_BINIDX_REPLACED ".idx");
    return w->name && w->bin_path && w->idx_path && w->bin_old && w->idx_old;
}

rwkv_status rw_binidx_writer_open(struct rw_binidx_writer **out, const char *path, size_t n_vocab,
                                  rwkv_error *err)
{
    assert(n_vocab <= (size_t)INT32_MAX + 1);
    struct rw_binidx_writer *w = rw_calloc(1, sizeof *w);
    rwkv_status status;
    if (!w || !find_names(w, path))
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path));
    w->n_vocab = n_vocab;
    w->width = n_vocab <= (size_t)UINT16_MAX + 1 ? 2 : 4;
    RW_GO(rw_output_open(&w->bin, w->bin_path, err));
    RW_GO(rw_output_open(&w->idx, w->idx_path, err));
    *out = w;
done:
    if (status != RWKV_OK)
        rw_binidx_writer_discard(w);
    return status;
}

rwkv_status rw_binidx_writer_add(struct rw_binidx_writer *w, const int32_t *tokens, size_t n,
                                 rwkv_error *err)
{
    uint8_t bytes[4 * PIECE];
    if (n > RW_BINIDX_PIECE_MAX - w->current)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: document %zu: wanted at most %llu tokens",
                       w->name, w->n_documents, (unsigned long long)RW_BINIDX_PIECE_MAX);
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

rwkv_status rw_binidx_writer_end_piece(struct rw_binidx_writer *w, rwkv_error *err)
{
    if (!rw_grow((void **)&w->sizes, w->n_pieces, &w->capacity, sizeof *w->sizes))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the sizes of %zu documents",
                       w->name, w->n_documents + 1);
    w->sizes[w->n_pieces++] = (uint32_t)w->current;
    w->current = 0;
    return RWKV_OK;
}

rwkv_status rw_binidx_writer_end(struct rw_binidx_writer *w, rwkv_error *err)
{
    RW_TRY(rw_binidx_writer_end_piece(w, err));
    w->sizes[w->n_pieces - 1] |= LAST;
    w->n_documents++;
    return RWKV_OK;
}

static rwkv_status write_header(struct rw_binidx_writer *w, rwkv_error *err)
{
    uint8_t header[BINIDX_HEADER];
    memcpy(header, BINIDX_MAGIC, BINIDX_MAGIC_SIZE);
    rw_store_u64(header + 9, BINIDX_VERSION);
    header[17] = w->width == 2 ? BINIDX_CODE_U16 : BINIDX_CODE_I32;
    rw_store_u64(header + 18, w->n_pieces);
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
    for (size_t i = 0; i < w->n_pieces; i++) {
        uint8_t size[4];
        rw_store_u32(size, w->sizes[i] & ~LAST);
        RW_TRY(rw_output_write(w->idx, size, sizeof size, err));
    }
    for (size_t i = 0; i < w->n_pieces; i++) {
        RW_TRY(write_u64(w, pointer, err));
        pointer += (uint64_t)(w->sizes[i] & ~LAST) * w->width;
    }
    RW_TRY(write_u64(w, 0, err));
    for (size_t i = 0; i < w->n_pieces; i++)
        if (w->sizes[i] & LAST)
            RW_TRY(write_u64(w, i + 1, err));
    return RWKV_OK;
}

/* --- both names ------------------------------------------------------------------------------- */

static bool is_pair(const struct rw_binidx_writer *w)
{
    return access(w->bin_path, F_OK) == 0 && access(w->idx_path, F_OK) == 0;
}

/* The two below have nothing to do where the file is not there. */
static rwkv_status rename_file(const char *from, const char *to, rwkv_error *err)
{
    if (rename(from, to) == 0 || errno == ENOENT)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot be renamed to %s: %s", from, to,
                   strerror(errno));
}

static rwkv_status remove_file(const char *path, rwkv_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot replace: %s", path, strerror(errno));
}

/* Give the old pair its names again, from any state in which it has not both. */
static rwkv_status put_back(const struct rw_binidx_writer *w, rwkv_error *err)
{
    RW_TRY(rename_file(w->bin_old, w->bin_path, err));
    return rename_file(w->idx_old, w->idx_path, err);
}

static rwkv_status remove_old(const struct rw_binidx_writer *w, rwkv_error *err)
{
    RW_TRY(remove_file(w->bin_old, err));
    return remove_file(w->idx_old, err);
}

/* Free both names. One file alone is no pair to be kept, but an index must not be found beside the
 * new tokens. */
static rwkv_status put_aside(const struct rw_binidx_writer *w, bool *aside, rwkv_error *err)
{
    if (!is_pair(w))
        RW_TRY(put_back(w, err));
    if (!is_pair(w))
        return remove_file(w->idx_path, err);
    RW_TRY(remove_old(w, err)); /* of a process that was killed at the very end */
    *aside = true;
    RW_TRY(rename_file(w->bin_path, w->bin_old, err));
    return rename_file(w->idx_path, w->idx_old, err);
}

static rwkv_status take_names(struct rw_binidx_writer *w, rwkv_error *err)
{
    struct rw_output *bin = w->bin, *idx = w->idx;
    w->bin = NULL;
    RW_TRY(rw_output_commit(bin, err));
    w->idx = NULL;
    rwkv_status status = rw_output_commit(idx, err);
    if (status != RWKV_OK)
        unlink(w->bin_path); /* or the old one comes in its place */
    return status;
}

rwkv_status rw_binidx_writer_commit(struct rw_binidx_writer *w, rwkv_error *err)
{
    bool aside = false;
    rwkv_status status;
    assert(w->current == 0);
    RW_GO(write_index(w, err));
    RW_GO(rw_output_sync(w->bin, err));
    RW_GO(rw_output_sync(w->idx, err));
    RW_GO(put_aside(w, &aside, err));
    RW_GO(take_names(w, err));
    aside = false;
    RW_GO(remove_old(w, err));
done:
    if (aside)
        put_back(w, NULL);
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
    rw_free(w->bin_path);
    rw_free(w->idx_path);
    rw_free(w->bin_old);
    rw_free(w->idx_old);
    rw_free(w->sizes);
    rw_free(w);
}
