/* SPDX-License-Identifier: Apache-2.0 */
/* Integers in vectors of 256 bits, with AVX-VNNI where the compiler is told so. The operations are
 * listed in vec/dot.h. */
#ifndef RW_KERNELS_X86_DOT_AVX2_H
#define RW_KERNELS_X86_DOT_AVX2_H

#include "kernels/vec/dot_rows.h"
#include "kernels/x86/vec_avx2.h"

#define DOT_TOKENS 4 /* 8 sums of integers, 2 of weights, 1 input; the sums of floats in memory */
#define DOT_VECTORS 2
#ifdef __AVXVNNI__
#define DOT_WIDE_OFFSET 128
#else
#define DOT_WIDE_OFFSET 0
#endif

typedef __m256i vi;
typedef vi vi_same;

#define VI_FORGET(v) __asm__("" : "+v"(v))

VEC vi vi_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

VEC void vi_store(void *p, vi v)
{
    _mm256_storeu_si256(p, v);
}

VEC vi vi_load_u16(const void *p)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}

VEC vi vi_set(int n)
{
    return _mm256_set1_epi32(n);
}

VEC vi vi_bytes(int n)
{
    return _mm256_set1_epi8((char)n);
}

VEC vi vi_broadcast(const int8_t *p)
{
    int dword;
    memcpy(&dword, p, sizeof dword);
    return _mm256_set1_epi32(dword);
}

VEC vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}

VEC vi vi_or(vi a, vi b)
{
    return _mm256_or_si256(a, b);
}

VEC vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}

/* Shifts of the compiler's own vectors take constants and variables alike. */
typedef uint32_t vi_unsigned __attribute__((vector_size(32)));
typedef int32_t vi_signed __attribute__((vector_size(32)));

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
    const __m256i dword = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404,
                                            0x08080808, 0x0c0c0c0c);
    __m256i byte = _mm256_add_epi8(dword, _mm256_set1_epi8((char)(j / 2)));
    __m256i bit = _mm256_set1_epi32(j % 2 ? (int)0x80402010 : 0x08040201);
    __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(v, byte), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(spread, bit), _mm256_set1_epi8(16));
}

VEC vi vi_wide(vi v)
{
    return DOT_WIDE_OFFSET ? _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80)) : v;
}

VEC vi vi_iq4(vi v)
{
    const __m128i values =
        _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    return _mm256_shuffle_epi8(vi_wide(_mm256_broadcastsi128_si256(values)), v);
}

VEC vi vi_dot(vi sum, vi codes, vi x, int wide)
{
#ifdef __AVXVNNI__
    (void)wide;
    return _mm256_dpbusd_avx_epi32(sum, codes, x);
#else
    if (wide) { /* |code| times the input with the code's sign */
        x = _mm256_sign_epi8(x, codes);
        codes = _mm256_abs_epi8(codes);
    }
    __m256i pairs = _mm256_maddubs_epi16(codes, x);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

VEC __m128i row_piece(const struct image_rows *rows, size_t r, size_t at)
{
    return _mm_loadu_si128((const __m128i *)(image_row(rows, r) + at));
}

VEC __m256i rows_piece(const struct image_rows *rows, size_t r, size_t at)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(row_piece(rows, r, at)),
                                   row_piece(rows, r + 4, at), 1);
}

/* Rows i and i + 4 in the halves of a vector; then a square of 4 in each half. */
VEC void vi_interleave(uint8_t *to, const struct image_rows *rows, size_t at, size_t r)
{
    __m256i a = rows_piece(rows, r, at), b = rows_piece(rows, r + 1, at);
    __m256i c = rows_piece(rows, r + 2, at), d = rows_piece(rows, r + 3, at);
    __m256i ab = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
    __m256i cd = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
    vi_store(to, _mm256_unpacklo_epi64(ab, cd));
    vi_store(to + IMAGE_DWORD, _mm256_unpackhi_epi64(ab, cd));
    vi_store(to + 2 * IMAGE_DWORD, _mm256_unpacklo_epi64(ab_high, cd_high));
    vi_store(to + 3 * IMAGE_DWORD, _mm256_unpackhi_epi64(ab_high, cd_high));
}

VEC void vi_zip(vi v[4])
{
    vi ab = _mm256_unpacklo_epi8(v[0], v[1]), ab_high = _mm256_unpackhi_epi8(v[0], v[1]);
    vi cd = _mm256_unpacklo_epi8(v[2], v[3]), cd_high = _mm256_unpackhi_epi8(v[2], v[3]);
    v[0] = _mm256_unpacklo_epi16(ab, cd);
    v[1] = _mm256_unpackhi_epi16(ab, cd);
    v[2] = _mm256_unpacklo_epi16(ab_high, cd_high);
    v[3] = _mm256_unpackhi_epi16(ab_high, cd_high);
}

VEC vf v_from_vi(vi v)
{
    return _mm256_cvtepi32_ps(v);
}

VEC void v_store_codes(int8_t *p, vf v)
{
    __m256i n = _mm256_cvtps_epi32(v);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(words, words));
}

VEC float v_max_all(vf v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#endif
