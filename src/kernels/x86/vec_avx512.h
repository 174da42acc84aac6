/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 16 floats: AVX-512 F, BW, VL and DQ. The operations are listed in vec/base.h. */
#ifndef RW_KERNELS_X86_VEC_AVX512_H
#define RW_KERNELS_X86_VEC_AVX512_H

#include <immintrin.h>

#include "kernels/vec/base.h"

#define LANES 16
#define TILE_ROWS \
    4 /* of the register tile of matmul: 24 sums, 6 inputs, 1 weight of 32 registers */
#define TILE_TOKENS 6

typedef __m512 vf;

VEC __mmask16 v_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

VEC vf v_zero(void)
{
    return _mm512_setzero_ps();
}

VEC vf v_set(float a)
{
    return _mm512_set1_ps(a);
}

VEC vf v_load(const void *p)
{
    return _mm512_loadu_ps(p);
}

VEC vf v_load_part(const void *p, size_t n)
{
    return _mm512_maskz_loadu_ps(v_mask(n), p);
}

VEC void v_store(void *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

VEC void v_store_part(void *p, vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, v_mask(n), v);
}

VEC vf v_keep(vf v, size_t n)
{
    return _mm512_maskz_mov_ps(v_mask(n), v);
}

VEC vf v_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

VEC vf v_load_f16_part(const void *p, size_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(v_mask(n), p));
}

VEC vf v_from_bf16(__m256i v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

VEC vf v_load_bf16(const void *p)
{
    return v_from_bf16(_mm256_loadu_si256(p));
}

VEC vf v_load_bf16_part(const void *p, size_t n)
{
    return v_from_bf16(_mm256_maskz_loadu_epi16(v_mask(n), p));
}

VEC vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

VEC vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

VEC vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

VEC vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

VEC vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

VEC vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

VEC vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}

VEC vf v_to_bf16(vf a)
{
    __m512i bits = _mm512_castps_si512(a);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    up = _mm512_mask_or_epi32(up, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32(-0x10000)));
}

VEC vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

VEC vf v_scale(vf p, vf n)
{
    return _mm512_scalef_ps(p, n);
}

VEC vf v_abs(vf a)
{
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}

VEC vf v_negate(vf a)
{
    return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a);
}

VEC vf v_copysign(vf magnitude, vf sign)
{
    return _mm512_or_ps(magnitude, _mm512_and_ps(_mm512_set1_ps(-0.0f), sign));
}

VEC vf v_negative(vf a, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_LT_OQ), no, yes);
}

VEC float v_sum(vf v)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* From 16 to 8 lanes two vectors share one, from 8 to 4 all four do: a quarter of 128 bits each. */
VEC void v_sum4(float *p, vf a, vf b, vf c, vf d)
{
    vf ab = v_add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    vf cd = v_add(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    vf four = v_add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    vf two = v_add(four, _mm512_permute_ps(four, 0x4e));
    vf one = v_add(two, _mm512_permute_ps(two, 0xb1));
    const __m512i firsts = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
    _mm_storeu_ps(p, _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, one)));
}

/* Squares of 4 in each quarter first, then the quarters. */
VEC void v_transpose(vf rows[LANES])
{
    vf t[LANES];
    EACH (n, 4) {
        size_t i = 4 * n;
        vf a = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        vf b = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
        vf c = _mm512_unpacklo_ps(rows[i + 2], rows[i + 3]);
        vf d = _mm512_unpackhi_ps(rows[i + 2], rows[i + 3]);
        t[i] = _mm512_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    EACH (i, 4) {
        vf a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88);
        vf b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
        vf c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        vf d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
        rows[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        rows[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        rows[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        rows[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

#endif
