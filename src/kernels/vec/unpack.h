/* SPDX-License-Identifier: Apache-2.0 */
/* Plain weights to f32, straight and transposed. Body for one instruction set; see vec/base.h. */
#include <string.h>

VEC void unpack_plain(rwkv_dtype type, float *to, const uint8_t *from, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(to + i, plain_load(type, from + i * plain_size(type)));
    if (i < n)
        v_store_part(to + i, plain_load_part(type, from + i * plain_size(type), n - i), n - i);
}

/* A square of weights, n_rows × n_cols ≤ LANES of it real. */
VEC void unpack_square(rwkv_dtype type, float *to, const uint8_t *w, size_t n_rows, size_t n_cols,
                       size_t ld, size_t stride)
{
    vf square[LANES];
    EACH (k, LANES) {
        const uint8_t *row = w + k * stride;
        square[k] = k >= n_cols       ? v_zero()
                    : n_rows == LANES ? plain_load(type, row)
                                      : plain_load_part(type, row, n_rows);
    }
    v_transpose(square);
    EACH (r, LANES) {
        if (r >= n_rows)
            break;
        if (n_cols == LANES)
            v_store(to + r * ld, square[r]);
        else
            v_store_part(to + r * ld, square[r], n_cols);
    }
}

VEC void unpack_t(rwkv_dtype type, float *to, const uint8_t *w, size_t rows, size_t cols, size_t ld,
                  size_t stride)
{
    for (size_t r = 0; r < rows; r += LANES) {
        size_t n_rows = rows - r < LANES ? rows - r : LANES;
        const uint8_t *from = w + r * plain_size(type);
        size_t k = 0;
        for (; n_rows == LANES && k + LANES <= cols; k += LANES)
            unpack_square(type, to + r * ld + k, from + k * stride, LANES, LANES, ld, stride);
        for (; k < cols; k += LANES)
            unpack_square(type, to + r * ld + k, from + k * stride, n_rows,
                          cols - k < LANES ? cols - k : LANES, ld, stride);
    }
}

static RW_UNPACK_FN(VEC_NAME(unpack_f32))
{
    if (n)
        memcpy(to, from, n * sizeof *to);
}

static RW_UNPACK_FN(VEC_NAME(unpack_f16))
{
    unpack_plain(RWKV_DTYPE_F16, to, from, n);
}

static RW_UNPACK_FN(VEC_NAME(unpack_bf16))
{
    unpack_plain(RWKV_DTYPE_BF16, to, from, n);
}

static RW_UNPACK_T_FN(VEC_NAME(unpack_t_f32))
{
    unpack_t(RWKV_DTYPE_F32, to, w, rows, cols, ld, stride);
}

static RW_UNPACK_T_FN(VEC_NAME(unpack_t_f16))
{
    unpack_t(RWKV_DTYPE_F16, to, w, rows, cols, ld, stride);
}

static RW_UNPACK_T_FN(VEC_NAME(unpack_t_bf16))
{
    unpack_t(RWKV_DTYPE_BF16, to, w, rows, cols, ld, stride);
}

static void put_unpack(struct rw_kernels *kernels)
{
    kernels->unpack[RWKV_DTYPE_F32] = VEC_NAME(unpack_f32);
    kernels->unpack[RWKV_DTYPE_F16] = VEC_NAME(unpack_f16);
    kernels->unpack[RWKV_DTYPE_BF16] = VEC_NAME(unpack_bf16);
    kernels->unpack_t[RWKV_DTYPE_F32] = VEC_NAME(unpack_t_f32);
    kernels->unpack_t[RWKV_DTYPE_F16] = VEC_NAME(unpack_t_f16);
    kernels->unpack_t[RWKV_DTYPE_BF16] = VEC_NAME(unpack_t_bf16);
}
