/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights on their way to the device: rows of numbers in the order in which kernels read them,
 * padded with zeros to full tiles. A few rows at a time, so that there is never a second copy in
 * the host's memory.
 */
#include <string.h>

#include "backend/cuda/cuda_int.h"
#include "base/alloc.h"
#include "base/half.h"
#include "base/status.h"
#include "tensor/quantize.h"
#include "tensor/tensor.h"

#define PART ((size_t)1 << 20) /* numbers that are converted together */
#define BLOCK 32               /* of RW_CUDA_Q8_0 */

static size_t padded(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static enum rw_cuda_layout layout_of(const struct rw_weight *w, const struct rw_placing *placing)
{
    bool bytes = (placing->i8 || w->dtype == RWKV_DTYPE_Q8_0) && w->cols % BLOCK == 0;
    if (bytes)
        return RW_CUDA_Q8_0;
    return placing->numbers == RWKV_DTYPE_F32   ? RW_CUDA_F32
           : placing->numbers == RWKV_DTYPE_F16 ? RW_CUDA_F16
                                                : RW_CUDA_BF16;
}

static enum rw_cuda_numbers numbers_of(const struct rw_placing *placing)
{
    return placing->numbers == RWKV_DTYPE_F32   ? RW_CUDA_IN_F32
           : placing->numbers == RWKV_DTYPE_F16 ? RW_CUDA_IN_F16
                                                : RW_CUDA_IN_BF16;
}

static size_t number_bytes(enum rw_cuda_layout layout)
{
    return layout == RW_CUDA_F32 ? 4 : layout == RW_CUDA_Q8_0 ? 1 : 2;
}

/* Rows [first, first + n) of the weight, [n, cols], whichever way it is stored. */
static void read_rows(const struct rw_weight *w, size_t first, size_t n, float *to)
{
    struct rw_tensor t = {.dtype = w->dtype, .n_dims = 2};
    size_t stored = w->input_major ? w->rows : w->cols;
    t.shape[0] = 1;
    t.shape[1] = stored;
    t.stride[0] = stored;
    t.stride[1] = 1;
    t.data = w->data;
    if (!w->input_major) {
        for (size_t r = 0; r < n; r++) {
            t.data = (const uint8_t *)w->data + (first + r) * w->stride;
            rw_tensor_copy_f32(&t, 0, w->cols, to + r * w->cols);
        }
        return;
    }
    for (size_t k = 0; k < w->cols; k++)
        for (size_t r = 0; r < n; r++) {
            t.data = (const uint8_t *)w->data + k * w->stride;
            rw_tensor_copy_f32(&t, first + r, 1, to + r * w->cols + k);
        }
}

/* --- a part ----------------------------------------------------------------------------------- */

/* Some rows in the device's layout, on the host. */
struct part {
    float *numbers;   /* [rows, cols] */
    uint8_t *data;    /* [rows, depth] */
    uint16_t *scales; /* [rows, depth / BLOCK] */
    uint8_t *blocks;  /* one row of Q8_0 */
};

static void put_bytes(struct part *p, size_t row, const float *from, size_t cols, size_t depth)
{
    const size_t block_bytes = 2 + BLOCK;
    rw_quantize(RWKV_DTYPE_Q8_0, p->blocks, from, cols, NULL);
    for (size_t b = 0; b < cols / BLOCK; b++) {
        memcpy(p->data + row * depth + b * BLOCK, p->blocks + b * block_bytes + 2, BLOCK);
        memcpy(&p->scales[row * (depth / BLOCK) + b], p->blocks + b * block_bytes, 2);
    }
}

/* The blocks of the file as they are. */
static void put_blocks(struct part *p, size_t row, const uint8_t *from, size_t cols, size_t depth)
{
    const size_t block_bytes = 2 + BLOCK;
    for (size_t b = 0; b < cols / BLOCK; b++) {
        memcpy(p->data + row * depth + b * BLOCK, from + b * block_bytes + 2, BLOCK);
        memcpy(&p->scales[row * (depth / BLOCK) + b], from + b * block_bytes, 2);
    }
}

static void put_numbers(struct part *p, enum rw_cuda_layout layout, size_t row, const float *from,
                        size_t cols, size_t depth)
{
    float *f32 = (float *)(void *)p->data + row * depth;
    uint16_t *half = (uint16_t *)(void *)p->data + row * depth;
    if (layout == RW_CUDA_F32)
        memcpy(f32, from, cols * sizeof *from);
    else if (layout == RW_CUDA_F16)
        for (size_t k = 0; k < cols; k++)
            half[k] = rw_f32_to_f16(from[k]);
    else
        for (size_t k = 0; k < cols; k++)
            half[k] = rw_f32_to_bf16(from[k]);
}

static void fill_part(struct part *p, const struct rw_weight *w, const struct rw_cuda_weight *to,
                      size_t first, size_t n)
{
    bool as_is = to->layout == RW_CUDA_Q8_0 && w->dtype == RWKV_DTYPE_Q8_0;
    if (!as_is)
        read_rows(w, first, n, p->numbers);
    for (size_t r = 0; r < n; r++) {
        const float *row = p->numbers + r * w->cols;
        if (as_is)
            put_blocks(p, r, (const uint8_t *)w->data + (first + r) * w->stride, w->cols,
                       to->depth);
        else if (to->layout == RW_CUDA_Q8_0)
            put_bytes(p, r, row, w->cols, to->depth);
        else
            put_numbers(p, to->layout, r, row, w->cols, to->depth);
    }
}

static bool take_part(struct part *p, size_t rows, size_t cols, size_t depth)
{
    p->numbers = rw_alloc(rows * cols, sizeof *p->numbers);
    p->data = rw_calloc(rows * depth, sizeof(float)); /* padding stays zero */
    p->scales = rw_calloc(rows * (depth / BLOCK), sizeof *p->scales);
    p->blocks = rw_alloc(depth / BLOCK, 2 + BLOCK);
    return p->numbers && p->data && p->scales && p->blocks;
}

static void free_part(struct part *p)
{
    rw_free(p->numbers);
    rw_free(p->data);
    rw_free(p->scales);
    rw_free(p->blocks);
}

/* --- the whole -------------------------------------------------------------------------------- */

static struct rw_cuda_weight describe(const struct rw_weight *w, const struct rw_placing *placing)
{
    return (struct rw_cuda_weight){
        .layout = layout_of(w, placing),
        .numbers = numbers_of(placing),
        .depth = padded(w->cols, RW_CUDA_DEPTH),
    };
}

static size_t scale_bytes_of(const struct rw_cuda_weight *w, size_t rows)
{
    return w->layout == RW_CUDA_Q8_0 ? rows * (w->depth / BLOCK) * 2 : 0;
}

uint64_t rw_cuda_placed_bytes(const struct rw_backend *be, const struct rw_weight *w,
                              const struct rw_placing *placing)
{
    (void)be;
    struct rw_cuda_weight to = describe(w, placing);
    size_t rows = padded(w->rows, RW_CUDA_ROWS);
    return rows * to.depth * number_bytes(to.layout) + scale_bytes_of(&to, rows);
}

static rwkv_status take_device(struct rw_cuda *c, struct rw_cuda_weight *to, size_t rows,
                               rwkv_error *err)
{
    size_t bytes = rows * to->depth * number_bytes(to->layout);
    size_t scale_bytes = scale_bytes_of(to, rows);
    to->data = rw_cuda_take(c, bytes);
    to->scales = scale_bytes ? rw_cuda_take(c, scale_bytes) : NULL;
    if (!to->data || (scale_bytes && !to->scales))
        return rw_fail(err, RWKV_ERROR_MEMORY, "cuda:%d: no memory for a matrix of %zu bytes",
                       c->device, bytes + scale_bytes);
    rw_cuda_see(c, cudaMemsetAsync(to->data, 0, bytes, c->stream));
    if (to->scales)
        rw_cuda_see(c, cudaMemsetAsync(to->scales, 0, scale_bytes, c->stream));
    return RWKV_OK;
}

static void upload_part(struct rw_cuda *c, const struct part *p, const struct rw_cuda_weight *to,
                        size_t first, size_t n)
{
    size_t row = to->depth * number_bytes(to->layout), scale_row = to->depth / BLOCK * 2;
    rw_cuda_see(c, cudaMemcpyAsync((uint8_t *)to->data + first * row, p->data, n * row,
                                   cudaMemcpyHostToDevice, c->stream));
    if (to->scales)
        rw_cuda_see(c, cudaMemcpyAsync((uint8_t *)to->scales + first * scale_row, p->scales,
                                       n * scale_row, cudaMemcpyHostToDevice, c->stream));
    rw_cuda_see(c, cudaStreamSynchronize(c->stream)); /* the part is filled again */
}

rwkv_status rw_cuda_place(struct rw_backend *be, struct rw_weight *w,
                          const struct rw_placing *placing, rwkv_error *err)
{
    struct rw_cuda *c = rw_cuda(be);
    struct part part = {0};
    struct rw_cuda_weight *to = rw_calloc(1, sizeof *to);
    if (!to)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a weight");
    *to = describe(w, placing);
    to->next = c->weights;
    c->weights = to;
    size_t rows = RW_MIN(RW_MAX(PART / to->depth, (size_t)1), w->rows);
    RW_TRY(take_device(c, to, padded(w->rows, RW_CUDA_ROWS), err));
    bool taken = take_part(&part, rows, w->cols, to->depth);
    for (size_t first = 0; taken && first < w->rows; first += rows) {
        size_t n = RW_MIN(rows, w->rows - first);
        fill_part(&part, w, to, first, n);
        upload_part(c, &part, to, first, n);
    }
    free_part(&part);
    if (!taken)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to convert a matrix");
    w->data = to;
    return RWKV_OK;
}
