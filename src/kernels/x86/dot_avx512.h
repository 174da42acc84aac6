/* SPDX-License-Identifier: Apache-2.0 */
/* Integers in vectors of 512 bits, with VNNI where the compiler is told so. The operations are
 * listed in vec/dot.h. */
#ifndef RW_KERNELS_X86_DOT_AVX512_H
#define RW_KERNELS_X86_DOT_AVX512_H

#include "kernels/vec/dot_rows.h"
#include "kernels/x86/vec_avx512.h"

#define DOT_TOKENS 6 /* 12 sums of integers and 12 of floats, 2 of weights, 1 input */
#define DOT_VECTORS 2
#ifdef __AVX512VNNI__
#define DOT_WIDE_OFFSET 128
#else
#define DOT_WIDE_OFFSET 0
#endif

typedef __m512i vi;
typedef vi vi_same;

#define VI_FORGET(v) __asm__("" : "+v"(v))

VEC vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

VEC void vi_store(void *p, vi v)
{
    _mm512_storeu_si512(p, v);
}

VEC vi vi_load_u16(const void *p)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}

VEC vi vi_set(int n)
{
    return _mm512_set1_epi32(n);
}

VEC vi vi_bytes(int n)
{
    return _mm512_set1_epi8((char)n);
}

VEC vi vi_broadcast(const int8_t *p)
{
    int dword;
    __builtin_memcpy(&dword, p, sizeof dword);
    return _mm512_set1_epi32(dword);
}

VEC vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}

VEC vi vi_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}

VEC vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}

/* Shifts of the compiler's own vectors take constants and variables alike. */
typedef uint32_t vi_unsigned __attribute__((vector_size(64)));
typedef int32_t vi_signed __attribute__((vector_size(64)));

VEC vi vi_shift_left(vi v, int n)
{
    return (vi)((vi_unsigned)v << n);
}

VEC vi vi_shift_right(vi v, int n)
{
    return (vi)((vi_unsigned)v >> n);
}

VEC vi vi_shift_right_signed(vi v, int n)
{
    return (vi)((vi_signed)v >> n);
}

/* The byte that holds the four bits is copied to the whole dword, where each byte tests its own. */
VEC vi vi_fifth(vi v, size_t j)
{
    const __m512i dword = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    __m512i byte = _mm512_add_epi8(dword, _mm512_set1_epi8((char)(j / 2)));
    __m512i bit = _mm512_set1_epi32(j % 2 ? (int)0x80402010 : 0x08040201);
    __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(v, byte), bit);
    return _mm512_maskz_mov_epi8(set, _mm512_set1_epi8(16));
}

VEC vi vi_wide(vi v)
{
    return DOT_WIDE_OFFSET ? _mm512_xor_si512(v, _mm512_set1_epi8((char)0x80)) : v;
}

VEC vi vi_iq4(vi v)
{
    const __m128i values =
        _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    return _mm512_shuffle_epi8(vi_wide(_mm512_broadcast_i32x4(values)), v);
}

VEC vi vi_dot(vi sum, vi codes, vi x, int wide)
{
#ifdef __AVX512VNNI__
    (void)wide;
    return _mm512_dpbusd_epi32(sum, codes, x);
#else
    if (wide) { /* |code| times the input with the code's sign */
        x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(codes), _mm512_setzero_si512(), x);
        codes = _mm512_abs_epi8(codes);
    }
    __m512i pairs = _mm512_maddubs_epi16(codes, x);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#endif
}

VEC __m128i row_piece(const struct image_rows *rows, size_t r, size_t at)
{
    return _mm_loadu_si128((const __m128i *)(image_row(rows, r) + at));
}

VEC __m512i rows_piece(const struct image_rows *rows, size_t r, size_t at)
{
    __m512i v = _mm512_castsi128_si512(row_piece(rows, r, at));
    v = _mm512_inserti32x4(v, row_piece(rows, r + 4, at), 1);
    v = _mm512_inserti32x4(v, row_piece(rows, r + 8, at), 2);
    return _mm512_inserti32x4(v, row_piece(rows, r + 12, at), 3);
}

/* Rows i, i + 4, i + 8, i + 12 in the quarters of a vector; then a square of 4 in each quarter. */
VEC void vi_interleave(uint8_t *to, const struct image_rows *rows, size_t at, size_t r)
{
    __m512i a = rows_piece(rows, r, at), b = rows_piece(rows, r + 1, at);
    __m512i c = rows_piece(rows, r + 2, at), d = rows_piece(rows, r + 3, at);
    __m512i ab = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    __m512i cd = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    vi_store(to, _mm512_unpacklo_epi64(ab, cd));
    vi_store(to + IMAGE_DWORD, _mm512_unpackhi_epi64(ab, cd));
    vi_store(to + 2 * IMAGE_DWORD, _mm512_unpacklo_epi64(ab_high, cd_high));
    vi_store(to + 3 * IMAGE_DWORD, _mm512_unpackhi_epi64(ab_high, cd_high));
}

VEC void vi_zip(vi v[4])
{
    vi ab = _mm512_unpacklo_epi8(v[0], v[1]), ab_high = _mm512_unpackhi_epi8(v[0], v[1]);
    vi cd = _mm512_unpacklo_epi8(v[2], v[3]), cd_high = _mm512_unpackhi_epi8(v[2], v[3]);
    v[0] = _mm512_unpacklo_epi16(ab, cd);
    v[1] = _mm512_unpackhi_epi16(ab, cd);
    v[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    v[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}

VEC vf v_from_vi(vi v)
{
    return _mm512_cvtepi32_ps(v);
}

VEC void v_store_codes(int8_t *p, vf v)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}

VEC float v_max_all(vf v)
{
    return _mm512_reduce_max_ps(v);
}

#endif
