/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types of four and five bits with AVX-512: the 16 (or 2 × 16) values that a group's codes can mean
 * are worked out once, and a permutation looks them up. Its index is the low four bits of each
 * lane, so nibbles need no masking.
 */
#ifndef RW_KERNELS_X86_QUANTS_AVX512_H
#define RW_KERNELS_X86_QUANTS_AVX512_H

#include "kernels/x86/quants.h"
#include "kernels/x86/vec_avx512.h"

#define CHUNK_LOOKUP 1

VEC int chunk_lookup(rwkv_dtype type)
{
    return type != RWKV_DTYPE_Q8_0 && chunk_scale_step(type) == 32;
}

VEC vf count_from(float first)
{
    return _mm512_add_ps(_mm512_set1_ps(first),
                         _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* The meanings of codes 0 … 15, before scale and minimum. */
VEC vf code_values(rwkv_dtype type)
{
    switch (type) {
    case RWKV_DTYPE_Q4_0:
        return count_from(-8);
    case RWKV_DTYPE_Q5_0:
        return count_from(-16);
    case RWKV_DTYPE_IQ4_NL:
    case RWKV_DTYPE_IQ4_XS:
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(iq4_values()));
    default:
        return count_from(0);
    }
}

VEC vf table(rwkv_dtype type, const struct chunk *c, size_t g, vf values)
{
    vf scale = v_set(c->scale[g]);
    return chunk_has_min(type) ? v_fma(values, scale, v_set(c->min[g])) : v_mul(values, scale);
}

/* Nibbles of group g, one a lane: its first and last 16 elements. The bits above are of no account.
 */
VEC void chunk_nibbles(rwkv_dtype type, __m512i q[2], const uint8_t *p, size_t g)
{
    if (type == RWKV_DTYPE_Q4_K || type == RWKV_DTYPE_Q5_K) {
        const uint8_t *qs = p + (type == RWKV_DTYPE_Q4_K ? 16 : 48) + 32 * (g / 2);
        const __m512i shift = _mm512_set1_epi32(g % 2 ? 4 : 0);
        q[0] = _mm512_srlv_epi32(_mm512_cvtepu8_epi32(load16(qs)), shift);
        q[1] = _mm512_srlv_epi32(_mm512_cvtepu8_epi32(load16(qs + 16)), shift);
        return;
    }
    const uint8_t *qs = type == RWKV_DTYPE_Q4_0 || type == RWKV_DTYPE_IQ4_NL ? p + 18 * g + 2
                        : type == RWKV_DTYPE_Q4_1                            ? p + 20 * g + 4
                        : type == RWKV_DTYPE_Q5_0                            ? p + 22 * g + 6
                        : type == RWKV_DTYPE_Q5_1                            ? p + 24 * g + 8
                                                                             : p + 16 * g + 8;
    q[0] = _mm512_cvtepu8_epi32(load16(qs));
    q[1] = _mm512_srli_epi32(q[0], 4);
}

/* The fifth bit of each element of group g, at its place in a code; the other bits are anything. */
VEC void chunk_fifths(rwkv_dtype type, __m512i bit[2], const uint8_t *p, size_t g)
{
    if (type == RWKV_DTYPE_Q5_K) {
        EACH (i, 2) {
            __m512i bytes = _mm512_cvtepu8_epi32(load16(p + 16 + 16 * i));
            bit[i] = _mm512_rolv_epi32(bytes, _mm512_set1_epi32(4 - (int)g));
        }
        return;
    }
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t bits = bits32(type == RWKV_DTYPE_Q5_0 ? p + 22 * g + 2 : p + 24 * g + 4);
    __m512i all = _mm512_set1_epi32((int)bits);
    EACH (i, 2)
        bit[i] = _mm512_rorv_epi32(all, _mm512_add_epi32(lane, _mm512_set1_epi32(16 * (int)i - 4)));
}

VEC void chunk_group_lookup(rwkv_dtype type, vf w[2], const struct chunk *c, const uint8_t *p,
                            size_t g)
{
    vf values = code_values(type), low = table(type, c, g, values);
    __m512i q[2], bit[2];
    chunk_nibbles(type, q, p, g);
    if (type != RWKV_DTYPE_Q5_0 && type != RWKV_DTYPE_Q5_1 && type != RWKV_DTYPE_Q5_K) {
        EACH (i, 2)
            w[i] = _mm512_permutexvar_ps(q[i], low);
        return;
    }
    vf high = table(type, c, g, v_add(values, v_set(16)));
    const __m512i fifth = _mm512_set1_epi32(16);
    chunk_fifths(type, bit, p, g);
    EACH (i, 2) {
        __m512i code = _mm512_ternarylogic_epi32(bit[i], q[i], fifth, 0xe4); /* fifth ? bit : q */
        w[i] = _mm512_permutex2var_ps(low, code, high);
    }
}

#endif
