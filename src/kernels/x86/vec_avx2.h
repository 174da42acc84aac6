/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 8 floats: AVX2 with FMA and F16C. The operations are listed in vec/base.h. */
#ifndef RW_KERNELS_X86_VEC_AVX2_H
#define RW_KERNELS_X86_VEC_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels/vec/base.h"

#define LANES 8
#define TILE_ROWS \
    4 /* of the register tile of matmul: 12 sums, 3 inputs, 1 weight of 16 registers */
#define TILE_TOKENS 3

typedef __m256 vf;

/* All bits set in the first n lanes. */
VEC __m256i v_mask(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

VEC vf v_zero(void)
{
    return _mm256_setzero_ps();
}

VEC vf v_set(float a)
{
    return _mm256_set1_ps(a);
}

VEC vf v_load(const void *p)
{
    return _mm256_loadu_ps(p);
}

VEC vf v_load_part(const void *p, size_t n)
{
    return _mm256_maskload_ps(p, v_mask(n));
}

VEC void v_store(void *p, vf v)
{
    _mm256_storeu_ps(p, v);
}

VEC void v_store_part(void *p, vf v, size_t n)
{
    _mm256_maskstore_ps(p, v_mask(n), v);
}

VEC vf v_keep(vf v, size_t n)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(v_mask(n)));
}

/* The first n < 8 elements of 16 bits, the others 0; there is no masked load of them. */
VEC __m128i v_load_16bit_part(const void *p, size_t n)
{
    uint16_t part[8] = {0};
    memcpy(part, p, n * sizeof *part);
    return _mm_loadu_si128((const __m128i *)part);
}

VEC vf v_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

VEC vf v_load_f16_part(const void *p, size_t n)
{
    return _mm256_cvtph_ps(v_load_16bit_part(p, n));
}

VEC vf v_from_bf16(__m128i v)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

VEC vf v_load_bf16(const void *p)
{
    return v_from_bf16(_mm_loadu_si128(p));
}

VEC vf v_load_bf16_part(const void *p, size_t n)
{
    return v_from_bf16(v_load_16bit_part(p, n));
}

VEC vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

VEC vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

VEC vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

VEC vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

VEC vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

VEC vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

VEC vf v_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}

VEC vf v_to_bf16(vf a)
{
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    vf nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
    vf quiet = _mm256_or_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x400000)));
    up = _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(up), quiet, nan));
    return _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(-0x10000)));
}

VEC vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

VEC vf v_power_of_two(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* In two steps, for 2ⁿ alone may be out of range; only the second can round. */
VEC vf v_scale(vf p, vf n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    vf first = v_power_of_two(half), second = v_power_of_two(_mm256_sub_epi32(whole, half));
    return _mm256_mul_ps(_mm256_mul_ps(p, first), second);
}

VEC vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

VEC vf v_negate(vf a)
{
    return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a);
}

VEC vf v_copysign(vf magnitude, vf sign)
{
    return _mm256_or_ps(magnitude, _mm256_and_ps(_mm256_set1_ps(-0.0f), sign));
}

VEC vf v_negative(vf a, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_LT_OQ));
}

VEC float v_sum(vf v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* From 8 to 4 lanes two vectors share one, from 4 to 2 all four do: a c in one half, b d in the
 * other. */
VEC void v_sum4(float *p, vf a, vf b, vf c, vf d)
{
    vf ab = v_add(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    vf cd = v_add(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    vf two = v_add(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    vf one = v_add(_mm256_shuffle_ps(two, two, 0x88), _mm256_shuffle_ps(two, two, 0xdd));
    __m128 ac = _mm256_castps256_ps128(one), bd = _mm256_extractf128_ps(one, 1);
    _mm_storeu_ps(p, _mm_unpacklo_ps(ac, bd));
}

/* Squares of 4 in each half first, then the halves. */
VEC void v_transpose(vf rows[LANES])
{
    vf t[LANES];
    EACH (n, 2) {
        size_t i = 4 * n;
        vf a = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        vf b = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
        vf c = _mm256_unpacklo_ps(rows[i + 2], rows[i + 3]);
        vf d = _mm256_unpackhi_ps(rows[i + 2], rows[i + 3]);
        t[i] = _mm256_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    EACH (i, 4) {
        rows[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

#endif
