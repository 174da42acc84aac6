/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"
#include "tensor/convert.h"

void rw_tensor_init(struct rw_tensor *t, rwkv_dtype dtype, size_t n_dims, const size_t *shape,
                    const void *data)
{
    assert(n_dims <= RWKV_MAX_DIMS);
    *t = (struct rw_tensor){.dtype = dtype, .n_dims = n_dims, .data = data};
    size_t stride = 1;
    for (size_t i = n_dims; i-- > 0;) {
        t->shape[i] = shape[i];
        t->stride[i] = stride;
        stride *= shape[i];
    }
}

size_t rw_tensor_elements(const struct rw_tensor *t)
{
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

size_t rw_tensor_bytes(const struct rw_tensor *t)
{
    const struct rw_dtype_info *info = rw_dtype(t->dtype);
    return rw_tensor_elements(t) / info->block * info->bytes;
}

bool rw_tensor_contiguous(const struct rw_tensor *t)
{
    size_t stride = 1;
    for (size_t i = t->n_dims; i-- > 0;) {
        if (t->shape[i] != 1 && t->stride[i] != stride)
            return rw_tensor_elements(t) == 0;
        stride *= t->shape[i];
    }
    return true;
}

/* Walks the elements of a strided view in row-major order. */
struct walk {
    const struct rw_tensor *t;
    size_t index[RWKV_MAX_DIMS];
    size_t at; /* offset of the current element, in elements */
};

static struct walk walk_from(const struct rw_tensor *t, size_t first)
{
    struct walk w = {.t = t};
    for (size_t i = t->n_dims; i-- > 0;) {
        w.index[i] = first % t->shape[i];
        first /= t->shape[i];
        w.at += w.index[i] * t->stride[i];
    }
    return w;
}

static void walk_next(struct walk *w)
{
    for (size_t i = w->t->n_dims; i-- > 0;) {
        w->at += w->t->stride[i];
        if (++w->index[i] < w->t->shape[i])
            return;
        w->at -= w->t->stride[i] * w->t->shape[i];
        w->index[i] = 0;
    }
}

void rw_tensor_copy(const struct rw_tensor *t, size_t first, size_t count, void *to)
{
    if (count == 0)
        return;
    const struct rw_dtype_info *info = rw_dtype(t->dtype);
    if (rw_tensor_contiguous(t)) {
        memcpy(to, t->data + first / info->block * info->bytes, count / info->block * info->bytes);
        return;
    }
    assert(info->block == 1);
    struct walk w = walk_from(t, first);
    uint8_t *out = to;
    for (size_t i = 0; i < count; i++, out += info->bytes) {
        memcpy(out, t->data + w.at * info->bytes, info->bytes);
        walk_next(&w);
    }
}

bool rw_tensor_copy_f32(const struct rw_tensor *t, size_t first, size_t count, float *to)
{
    const struct rw_dtype_info *info = rw_dtype(t->dtype);
    if (count == 0)
        return true;
    if (rw_tensor_contiguous(t))
        return rw_to_f32(t->dtype, to, t->data + first / info->block * info->bytes, count);
    while (count > 0) {
        uint8_t part[256 * 8];
        size_t n = RW_MIN(count, (size_t)256);
        rw_tensor_copy(t, first, n, part);
        if (!rw_to_f32(t->dtype, to, part, n))
            return false;
        first += n;
        count -= n;
        to += n;
    }
    return true;
}

bool rw_tensor_sha256(const struct rw_tensor *t, char out[65])
{
    const struct rw_dtype_info *info = rw_dtype(t->dtype);
    const size_t most = (size_t)1 << 16; /* elements a piece: a multiple of every block */
    size_t n = rw_tensor_elements(t);
    uint8_t *piece = rw_alloc(most, 8);
    struct rw_sha256 h;
    if (!piece)
        return false;
    rw_sha256_init(&h);
    for (size_t at = 0; at < n; at += most) {
        size_t count = RW_MIN(n - at, most);
        rw_tensor_copy(t, at, count, piece);
        rw_sha256_add(&h, piece, count / info->block * info->bytes);
    }
    rw_sha256_hex(&h, out);
    rw_free(piece);
    return true;
}
