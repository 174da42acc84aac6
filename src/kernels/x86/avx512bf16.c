/* SPDX-License-Identifier: Apache-2.0 */
/* What AVX-512 BF16 does better than AVX-512 with VNNI: products of bf16. */
#include "kernels/x86/vec_avx512.h"

#include <string.h>

/* Pairs of bf16 in the type that the instruction wants; compilers differ in what that is. */
typedef __m512bh operands;
#define OPERAND_SIZE sizeof(uint16_t)
#define OPERAND_STEP ((size_t)32)

VEC operands as_operands(__m512i v)
{
    operands o;
    memcpy(&o, &v, sizeof o);
    return o;
}

VEC operands operand_load(const void *p)
{
    return as_operands(_mm512_loadu_si512(p));
}

VEC operands operand_load_part(const void *p, size_t n)
{
    return as_operands(_mm512_maskz_loadu_epi16((__mmask32)((1ull << n) - 1), p));
}

VEC vf operand_dot(operands w, operands x, vf sum)
{
    return _mm512_dpbf16_ps(sum, w, x);
}

#include "kernels/vec/tile.h"

static RW_ROUND_FN(round_bf16_avx512bf16)
{
    for (; n >= LANES; n -= LANES, to += LANES, x += LANES) {
        __m256bh h = _mm512_cvtneps_pbh(v_load(x));
        memcpy(to, &h, sizeof h);
    }
    if (n) {
        __m256bh h = _mm512_cvtneps_pbh(v_load_part(x, n));
        memcpy(to, &h, n * sizeof *to);
    }
}

/* Sums of n (1 or 4) rows. Meanwhile the next four are fetched, which may be the next call's. */
VEC void rows_bf16(float *y, const uint16_t *x, const uint8_t *w, size_t cols, size_t stride,
                   const size_t n)
{
    vf acc[4];
    EACH (r, n)
        acc[r] = v_zero();
    for (; cols >= OPERAND_STEP; cols -= OPERAND_STEP, x += OPERAND_STEP, w += 64) {
        operands xk = operand_load(x);
        EACH (r, n) {
            prefetch(w + r * stride, 4 * stride);
            acc[r] = operand_dot(operand_load(w + r * stride), xk, acc[r]);
        }
    }
    if (cols) {
        operands xk = operand_load_part(x, cols);
        EACH (r, n)
            acc[r] = operand_dot(operand_load_part(w + r * stride, cols), xk, acc[r]);
    }
    if (n == 4)
        v_sum4(y, acc[0], acc[1], acc[2], acc[3]);
    else
        *y = v_sum(acc[0]);
}

static RW_MATVEC_BF16_FN(matvec_bf16_avx512bf16)
{
    const uint8_t *row = w;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4)
        rows_bf16(y + r, x, row + r * stride, cols, stride, 4);
    for (; r < rows; r++)
        rows_bf16(y + r, x, row + r * stride, cols, stride, 1);
}

static RW_MATMUL_BF16_FN(matmul_bf16_avx512bf16)
{
    multiply(piece, y, sums, x, w);
}

#define BF16_CHAINS 12 /* independent sums: more than latency × rate */

/* The factors go through volatile, so that nothing can be worked out beforehand. */
static RW_PROBE_OPS_FN(probe_bf16_avx512bf16)
{
    volatile uint16_t factor = 0x3c00; /* 2⁻⁷ */
    vf acc[BF16_CHAINS];
    operands a = as_operands(_mm512_set1_epi16((short)factor));
    EACH (j, BF16_CHAINS)
        acc[j] = v_set((float)j + 1);
    for (size_t i = 0; i < iterations; i++)
        EACH (j, BF16_CHAINS)
            acc[j] = _mm512_dpbf16_ps(acc[j], a, a);
    EACH (j, BF16_CHAINS - 1)
        acc[0] = v_add(acc[0], acc[j + 1]);
    *ops = iterations * BF16_CHAINS * LANES * 2 * 2;
    return (double)v_sum(acc[0]);
}

void rw_kernels_avx512bf16(struct rw_kernels *kernels)
{
    kernels->round_bf16 = round_bf16_avx512bf16;
    kernels->matvec_bf16 = matvec_bf16_avx512bf16;
    kernels->matmul_bf16 = matmul_bf16_avx512bf16;
    kernels->probe_bf16 = probe_bf16_avx512bf16;
}
