/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of the block types (vec/chunk.h), taken apart with NEON: 16 codes in a register. Scales
 * are few and left to the compiler. */
#ifndef RW_KERNELS_ARM_QUANTS_H
#define RW_KERNELS_ARM_QUANTS_H

#include <arm_neon.h>

#include "kernels/vec/chunk.h"

VEC float half_at(const uint8_t *p)
{
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(bits16(p)))), 0);
}

/* --- scales ----------------------------------------------------------------------------------- */

/* The halves at the start of `groups` blocks of `size` bytes. */
VEC void scales_small(float to[16], const uint8_t *p, size_t size, size_t groups)
{
    for (size_t g = 0; g < groups; g++)
        to[g] = half_at(p + g * size);
}

/* Four bits of scale and four of minimum for each 16 elements. */
VEC void scales_q2_k(struct chunk *c, const uint8_t *b)
{
    const float d = half_at(b + 80), d_min = -half_at(b + 82);
    for (size_t g = 0; g < 16; g++) {
        c->scale[g] = d * (float)(b[g] & 15);
        c->min[g] = d_min * (float)(b[g] >> 4);
    }
}

/* Six bits for each 16 elements, less 32: the low four of two scales in a byte, the high two of
 * four. */
VEC void scales_q3_k(struct chunk *c, const uint8_t *b)
{
    const float d = half_at(b + 108);
    for (size_t g = 0; g < 16; g++) {
        int low = b[96 + g % 8] >> 4 * (g / 8) & 15, high = b[104 + g % 4] >> 2 * (g / 4) & 3;
        c->scale[g] = d * (float)((low | high << 4) - 32);
    }
}

/* Six bits of scale and of minimum for each 32 elements of Q4_K and Q5_K, in 12 bytes. */
VEC void scales_q45_k(struct chunk *c, const uint8_t *b)
{
    const float d = half_at(b), d_min = -half_at(b + 2);
    const uint8_t *s = b + 4, *m = b + 8, *both = b + 12;
    for (size_t g = 0; g < 4; g++) {
        c->scale[g] = d * (float)(s[g] & 63);
        c->scale[4 + g] = d * (float)((both[g] & 15) | s[g] >> 6 << 4);
        c->min[g] = d_min * (float)(m[g] & 63);
        c->min[4 + g] = d_min * (float)(both[g] >> 4 | m[g] >> 6 << 4);
    }
}

VEC void scales_q6_k(struct chunk *c, const uint8_t *b)
{
    const float d = half_at(b + 208);
    for (size_t g = 0; g < 16; g++)
        c->scale[g] = d * (float)(int8_t)b[192 + g];
}

/* Six bits for each 32 elements, less 32: nibbles in four bytes, the high two in a word. */
VEC void scales_iq4_xs(struct chunk *c, const uint8_t *b)
{
    const float d = half_at(b);
    const uint32_t lows = bits32(b + 4), highs = bits16(b + 2);
    for (size_t g = 0; g < GROUPS; g++) {
        uint32_t low = lows >> 4 * g & 15, high = highs >> 2 * g & 3;
        c->scale[g] = d * (float)((int)(low | high << 4) - 32);
    }
}

/* --- codes ------------------------------------------------------------------------------------ */

VEC uint8x16_t low_nibbles(uint8x16_t v)
{
    return vandq_u8(v, vdupq_n_u8(15));
}

VEC uint8x16_t high_nibbles(uint8x16_t v)
{
    return vshrq_n_u8(v, 4);
}

/* Less `bias`, as signed bytes. */
VEC void store_codes(int8_t *to, uint8x16_t code, int bias)
{
    vst1q_s8(to, vreinterpretq_s8_u8(vsubq_u8(code, vdupq_n_u8((uint8_t)bias))));
}

/* `value` in each byte of which a bit of `bits` is set. */
VEC uint8x16_t where_set(uint8x16_t v, uint8x16_t bits, int value)
{
    return vandq_u8(vtstq_u8(v, bits), vdupq_n_u8((uint8_t)value));
}

/* Low nibbles of 16 bytes, then their high ones. */
VEC void codes_q4(struct chunk *c, const uint8_t *qs, size_t size, size_t groups, int bias)
{
    for (size_t g = 0; g < groups; g++) {
        uint8x16_t q = vld1q_u8(qs + g * size);
        store_codes(c->code + 32 * g, low_nibbles(q), bias);
        store_codes(c->code + 32 * g + 16, high_nibbles(q), bias);
    }
}

/* The fifth bits lie in the four bytes before the others. */
VEC void codes_q5(struct chunk *c, const uint8_t *qs, size_t size, size_t groups, int bias)
{
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    for (size_t g = 0; g < groups; g++, qs += size) {
        uint8x16_t q = vld1q_u8(qs);
        uint8x16_t first = vcombine_u8(vdup_n_u8(qs[-4]), vdup_n_u8(qs[-3]));
        uint8x16_t last = vcombine_u8(vdup_n_u8(qs[-2]), vdup_n_u8(qs[-1]));
        first = vorrq_u8(low_nibbles(q), where_set(first, bit, 16));
        last = vorrq_u8(high_nibbles(q), where_set(last, bit, 16));
        store_codes(c->code + 32 * g, first, bias);
        store_codes(c->code + 32 * g + 16, last, bias);
    }
}

/* The values of the codes of IQ4_NL and IQ4_XS. */
VEC int8x16_t iq4_values(void)
{
    static const int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};
    return vld1q_s8(values);
}

VEC void codes_iq4(struct chunk *c, const uint8_t *qs, size_t size, size_t groups)
{
    const int8x16_t values = iq4_values();
    for (size_t g = 0; g < groups; g++) {
        uint8x16_t q = vld1q_u8(qs + g * size);
        vst1q_s8(c->code + 32 * g, vqtbl1q_s8(values, low_nibbles(q)));
        vst1q_s8(c->code + 32 * g + 16, vqtbl1q_s8(values, high_nibbles(q)));
    }
}

/* Two bits of each byte, four times over, for each 32 bytes. */
VEC uint8x16_t two_bits(const uint8_t *qs, size_t i)
{
    const uint8x16_t q = vld1q_u8(qs + i / 128 * 32 + i % 32);
    return vandq_u8(vshlq_u8(q, vdupq_n_s8((int8_t)(i / 32 % 4 * -2))), vdupq_n_u8(3));
}

VEC void codes_q2_k(struct chunk *c, const uint8_t *qs)
{
    for (size_t i = 0; i < CHUNK; i += 16)
        store_codes(c->code + i, two_bits(qs, i), 0);
}

/* Bit i / 32 of 32 bytes is for element i: `value` where it is set. */
VEC uint8x16_t bit_above(const uint8_t *bits, size_t i, int value)
{
    return where_set(vld1q_u8(bits + i % 32), vdupq_n_u8((uint8_t)(1 << i / 32)), value);
}

/* As Q2_K, less 4 where the bit is not set. */
VEC void codes_q3_k(struct chunk *c, const uint8_t *b)
{
    for (size_t i = 0; i < CHUNK; i += 16)
        store_codes(c->code + i, vorrq_u8(two_bits(b + 32, i), bit_above(b, i, 4)), 4);
}

/* Low nibbles of 32 bytes, then their high nibbles. */
VEC uint8x16_t k_nibbles(const uint8_t *qs, size_t i)
{
    uint8x16_t q = vld1q_u8(qs + i / 64 * 32 + i % 32);
    return i / 32 % 2 ? high_nibbles(q) : low_nibbles(q);
}

VEC void codes_q4_k(struct chunk *c, const uint8_t *qs)
{
    for (size_t i = 0; i < CHUNK; i += 16)
        store_codes(c->code + i, k_nibbles(qs, i), 0);
}

VEC void codes_q5_k(struct chunk *c, const uint8_t *b)
{
    for (size_t i = 0; i < CHUNK; i += 16)
        store_codes(c->code + i, vorrq_u8(k_nibbles(b + 48, i), bit_above(b + 16, i, 16)), 0);
}

/* Each half: 64 bytes of nibbles, low ones first, and 32 bytes with the two bits above them. */
VEC void codes_q6_k(struct chunk *c, const uint8_t *b)
{
    for (size_t i = 0; i < CHUNK; i += 16) {
        uint8x16_t low = vld1q_u8(b + i / 128 * 64 + i % 64);
        low = i / 64 % 2 ? high_nibbles(low) : low_nibbles(low);
        store_codes(c->code + i, vorrq_u8(low, vshlq_n_u8(two_bits(b + 128, i), 4)), 32);
    }
}

#endif
