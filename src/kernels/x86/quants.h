/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of the block types (vec/chunk.h), taken apart with 128- and 256-bit integer instructions
 * (AVX2). */
#ifndef RW_KERNELS_X86_QUANTS_H
#define RW_KERNELS_X86_QUANTS_H

#include <immintrin.h>

#include "kernels/vec/chunk.h"

VEC __m128i load16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

VEC __m256i load32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

VEC float half_at(const uint8_t *p)
{
    return _cvtsh_ss(bits16(p));
}

/* Eight bytes as floats. */
VEC __m256 floats8(uint64_t bytes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes)));
}

/* --- scales
 * --------------------------------------------------------------------------------------- */

/* The halves at the start of four blocks, `size` bytes each. */
VEC uint64_t halves4(const uint8_t *p, size_t size)
{
    return (uint64_t)bits16(p) | (uint64_t)bits16(p + size) << 16 |
           (uint64_t)bits16(p + 2 * size) << 32 | (uint64_t)bits16(p + 3 * size) << 48;
}

/* The halves at the start of `groups` blocks. They are put together by scalar instructions, which
 * leaves the vector units to the products. */
VEC void scales_small(float to[16], const uint8_t *p, size_t size, size_t groups)
{
    if (groups < GROUPS) {
        for (size_t g = 0; g < groups; g++)
            to[g] = half_at(p + g * size);
        return;
    }
    __m128i h = _mm_set_epi64x((long long)halves4(p + 4 * size, size), (long long)halves4(p, size));
    _mm256_storeu_ps(to, _mm256_cvtph_ps(h));
}

/* Four bits of scale and four of minimum for each 16 elements. */
VEC void scales_q2_k(struct chunk *c, const uint8_t *b)
{
    __m128i s = load16(b), low = _mm_set1_epi8(15);
    __m128i scale = _mm_and_si128(s, low), min = _mm_and_si128(_mm_srli_epi16(s, 4), low);
    __m256 d = _mm256_set1_ps(half_at(b + 80)), d_min = _mm256_set1_ps(-half_at(b + 82));
    for (int i = 0; i < 2; i++) {
        __m256 sf = floats8((uint64_t)_mm_cvtsi128_si64(scale));
        __m256 mf = floats8((uint64_t)_mm_cvtsi128_si64(min));
        _mm256_storeu_ps(c->scale + 8 * i, _mm256_mul_ps(d, sf));
        _mm256_storeu_ps(c->min + 8 * i, _mm256_mul_ps(d_min, mf));
        scale = _mm_srli_si128(scale, 8);
        min = _mm_srli_si128(min, 8);
    }
}

/* Six bits for each 16 elements, less 32: the low four of two scales in a byte, the high two of
 * four. */
VEC void scales_q3_k(struct chunk *c, const uint8_t *b)
{
    uint64_t low, high = bits32(b + 104);
    memcpy(&low, b + 96, sizeof low);
    __m256 d = _mm256_set1_ps(half_at(b + 108)), bias = _mm256_set1_ps(32);
    uint64_t pairs = high | high >> 2 << 32; /* shifted by 2 in the upper four bytes */
    uint64_t first = (low & 0x0f0f0f0f0f0f0f0f) | (pairs & 0x0303030303030303) << 4;
    uint64_t second = (low >> 4 & 0x0f0f0f0f0f0f0f0f) | (pairs >> 4 & 0x0303030303030303) << 4;
    _mm256_storeu_ps(c->scale, _mm256_mul_ps(d, _mm256_sub_ps(floats8(first), bias)));
    _mm256_storeu_ps(c->scale + 8, _mm256_mul_ps(d, _mm256_sub_ps(floats8(second), bias)));
}

/* Six bits of scale and of minimum for each 32 elements of Q4_K and Q5_K, in 12 bytes. */
VEC void scales_q45_k(struct chunk *c, const uint8_t *b)
{
    uint64_t s = bits32(b + 4), m = bits32(b + 8), both = bits32(b + 12);
    uint64_t scale = (s & 0x3f3f3f3f) | ((both & 0x0f0f0f0f) | (s >> 2 & 0x30303030)) << 32;
    uint64_t min = (m & 0x3f3f3f3f) | ((both >> 4 & 0x0f0f0f0f) | (m >> 2 & 0x30303030)) << 32;
    __m256 d = _mm256_set1_ps(half_at(b)), d_min = _mm256_set1_ps(-half_at(b + 2));
    _mm256_storeu_ps(c->scale, _mm256_mul_ps(d, floats8(scale)));
    _mm256_storeu_ps(c->min, _mm256_mul_ps(d_min, floats8(min)));
}

VEC void scales_q6_k(struct chunk *c, const uint8_t *b)
{
    __m256 d = _mm256_set1_ps(half_at(b + 208));
    for (int i = 0; i < 2; i++) {
        __m128i s = _mm_loadl_epi64((const __m128i *)(b + 192 + 8 * i));
        _mm256_storeu_ps(c->scale + 8 * i,
                         _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(s))));
    }
}

/* Six bits for each 32 elements, less 32: nibbles in four bytes, the high two in a word. */
VEC void scales_iq4_xs(struct chunk *c, const uint8_t *b)
{
    const __m256i shift4 = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i shift2 = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    __m256i low = _mm256_srlv_epi32(_mm256_set1_epi32((int)bits32(b + 4)), shift4);
    __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(bits16(b + 2)), shift2);
    low = _mm256_and_si256(low, _mm256_set1_epi32(15));
    high = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
    __m256i s = _mm256_sub_epi32(_mm256_or_si256(low, high), _mm256_set1_epi32(32));
    _mm256_storeu_ps(c->scale, _mm256_mul_ps(_mm256_set1_ps(half_at(b)), _mm256_cvtepi32_ps(s)));
}

/* --- codes
 * ---------------------------------------------------------------------------------------- */

/* The values of the codes of IQ4_NL and IQ4_XS. */
VEC __m128i iq4_values(void)
{
    return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

VEC void store32(int8_t *to, __m256i v)
{
    _mm256_storeu_si256((__m256i *)to, v);
}

/* 16 bytes to 32 nibbles: the low ones first. */
VEC __m256i nibbles(const uint8_t *qs)
{
    __m128i q = load16(qs);
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(q), _mm_srli_epi16(q, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 16 in each byte whose bit is set. */
VEC __m256i fifth_bits(uint32_t bits)
{
    const __m256i byte = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2,
                                          2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), byte);
    __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

VEC void codes_q4(struct chunk *c, const uint8_t *qs, size_t size, size_t groups, int bias)
{
    for (size_t g = 0; g < groups; g++) {
        __m256i q = nibbles(qs + g * size);
        store32(c->code + 32 * g, _mm256_sub_epi8(q, _mm256_set1_epi8((char)bias)));
    }
}

/* The fifth bits lie in the four bytes before the others. */
VEC void codes_q5(struct chunk *c, const uint8_t *qs, size_t size, size_t groups, int bias)
{
    for (size_t g = 0; g < groups; g++, qs += size) {
        __m256i q = _mm256_or_si256(nibbles(qs), fifth_bits(bits32(qs - 4)));
        store32(c->code + 32 * g, _mm256_sub_epi8(q, _mm256_set1_epi8((char)bias)));
    }
}

VEC void codes_iq4(struct chunk *c, const uint8_t *qs, size_t size, size_t groups)
{
    const __m256i values = _mm256_broadcastsi128_si256(iq4_values());
    for (size_t g = 0; g < groups; g++)
        store32(c->code + 32 * g, _mm256_shuffle_epi8(values, nibbles(qs + g * size)));
}

/* Two bits of each byte, four times over, for each 32 bytes. */
VEC void codes_q2_k(struct chunk *c, const uint8_t *qs)
{
    const __m256i three = _mm256_set1_epi8(3);
    for (int half = 0; half < 2; half++) {
        __m256i q = load32(qs + 32 * half);
        int8_t *to = c->code + 128 * half;
        store32(to, _mm256_and_si256(q, three));
        store32(to + 32, _mm256_and_si256(_mm256_srli_epi16(q, 2), three));
        store32(to + 64, _mm256_and_si256(_mm256_srli_epi16(q, 4), three));
        store32(to + 96, _mm256_and_si256(_mm256_srli_epi16(q, 6), three));
    }
}

/* As Q2_K, less 4 where the group's bit is not set. */
VEC void codes_q3_k(struct chunk *c, const uint8_t *b)
{
    __m256i high = load32(b);
    codes_q2_k(c, b + 32);
    for (int g = 0; g < GROUPS; g++) {
        __m256i bit = _mm256_set1_epi8((char)(1 << g));
        __m256i clear = _mm256_cmpeq_epi8(_mm256_and_si256(high, bit), _mm256_setzero_si256());
        __m256i below = _mm256_and_si256(clear, _mm256_set1_epi8(4));
        __m256i q = _mm256_loadu_si256((const __m256i *)(c->code + 32 * g));
        store32(c->code + 32 * g, _mm256_sub_epi8(q, below));
    }
}

/* Low nibbles of 32 bytes, then their high nibbles. */
VEC void codes_q4_k(struct chunk *c, const uint8_t *qs)
{
    const __m256i low = _mm256_set1_epi8(15);
    for (int i = 0; i < 4; i++) {
        __m256i q = load32(qs + 32 * i);
        store32(c->code + 64 * i, _mm256_and_si256(q, low));
        store32(c->code + 64 * i + 32, _mm256_and_si256(_mm256_srli_epi16(q, 4), low));
    }
}

VEC void codes_q5_k(struct chunk *c, const uint8_t *b)
{
    __m256i high = load32(b + 16);
    codes_q4_k(c, b + 48);
    for (int g = 0; g < GROUPS; g++) {
        __m256i bit = _mm256_set1_epi8((char)(1 << g));
        __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(high, bit), bit);
        __m256i q = _mm256_loadu_si256((const __m256i *)(c->code + 32 * g));
        store32(c->code + 32 * g, _mm256_or_si256(q, _mm256_and_si256(set, _mm256_set1_epi8(16))));
    }
}

/* Each half: 64 bytes of nibbles, low ones first, and 32 bytes with the two bits above them. */
VEC void codes_q6_k(struct chunk *c, const uint8_t *b)
{
    const __m256i low = _mm256_set1_epi8(15), two = _mm256_set1_epi8(0x30);
    const __m256i bias = _mm256_set1_epi8(32);
    for (int half = 0; half < 2; half++) {
        __m256i q0 = load32(b + 64 * half), q1 = load32(b + 64 * half + 32);
        __m256i high = load32(b + 128 + 32 * half), h[4], l[4];
        h[0] = _mm256_slli_epi16(high, 4);
        h[1] = _mm256_slli_epi16(high, 2);
        h[2] = high;
        h[3] = _mm256_srli_epi16(high, 2);
        l[0] = q0;
        l[1] = q1;
        l[2] = _mm256_srli_epi16(q0, 4);
        l[3] = _mm256_srli_epi16(q1, 4);
        for (int i = 0; i < 4; i++) {
            __m256i q = _mm256_or_si256(_mm256_and_si256(l[i], low), _mm256_and_si256(h[i], two));
            store32(c->code + 128 * half + 32 * i, _mm256_sub_epi8(q, bias));
        }
    }
}

#endif
