/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of 8 floats: two registers of NEON, as every 64-bit ARM has it. The operations are listed
 * in vec/base.h. Eight lanes keep twice as many sums going as four, which these cores need to be
 * busy; and sums of eight lanes with fused operations have the bits of AVX2.
 */
#ifndef RW_KERNELS_ARM_VEC_NEON_H
#define RW_KERNELS_ARM_VEC_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "kernels/vec/base.h"

#define LANES 8
#define TILE_ROWS \
    4 /* of the register tile of matmul: 24 registers of sums, 6 of inputs, 2 of a weight */
#define TILE_TOKENS 3

typedef struct {
    float32x4_t low, high;
} vf;

/* --- 4 lanes ---------------------------------------------------------------------------------- */

VEC float32x4_t four_load(const uint8_t *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}

VEC void four_store(uint8_t *p, float32x4_t v)
{
    vst1q_u8(p, vreinterpretq_u8_f32(v));
}

VEC float32x4_t four_from_f16(uint16x4_t v)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(v));
}

/* With the bits of `other` where the sign is. */
VEC float32x4_t four_copysign(float32x4_t v, float32x4_t other)
{
    return vbslq_f32(vdupq_n_u32(0x80000000), other, v);
}

VEC float32x4_t four_power_of_two(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* In two steps, for 2ⁿ alone may be out of range; only the second can round. */
VEC float32x4_t four_scale(float32x4_t p, float32x4_t n)
{
    int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    p = vmulq_f32(p, four_power_of_two(half));
    return vmulq_f32(p, four_power_of_two(vsubq_s32(whole, half)));
}

VEC float32x4_t four_to_bf16(float32x4_t a)
{
    uint32x4_t bits = vreinterpretq_u32_f32(a);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    up = vbslq_u32(vceqq_f32(a, a), up, quiet);
    return vreinterpretq_f32_u32(vandq_u32(up, vdupq_n_u32(0xffff0000)));
}

/* --- 8 lanes ---------------------------------------------------------------------------------- */

VEC vf v_set(float a)
{
    return (vf){vdupq_n_f32(a), vdupq_n_f32(a)};
}

VEC vf v_zero(void)
{
    return v_set(0);
}

VEC vf v_load(const void *p)
{
    return (vf){four_load(p), four_load((const uint8_t *)p + 16)};
}

/* There are no masked loads and stores: parts go through memory. */
VEC vf v_load_part(const void *p, size_t n)
{
    float part[LANES] = {0};
    memcpy(part, p, n * sizeof *part);
    return v_load(part);
}

VEC void v_store(void *p, vf v)
{
    four_store(p, v.low);
    four_store((uint8_t *)p + 16, v.high);
}

VEC void v_store_part(void *p, vf v, size_t n)
{
    float part[LANES];
    v_store(part, v);
    memcpy(p, part, n * sizeof *part);
}

VEC vf v_keep(vf v, size_t n)
{
    float part[LANES];
    v_store(part, v);
    return v_load_part(part, n);
}

VEC uint16x8_t load_16bit(const void *p)
{
    return vreinterpretq_u16_u8(vld1q_u8(p));
}

VEC uint16x8_t load_16bit_part(const void *p, size_t n)
{
    uint16_t part[LANES] = {0};
    memcpy(part, p, n * sizeof *part);
    return vld1q_u16(part);
}

VEC vf v_from_f16(uint16x8_t v)
{
    return (vf){four_from_f16(vget_low_u16(v)), four_from_f16(vget_high_u16(v))};
}

VEC vf v_load_f16(const void *p)
{
    return v_from_f16(load_16bit(p));
}

VEC vf v_load_f16_part(const void *p, size_t n)
{
    return v_from_f16(load_16bit_part(p, n));
}

VEC vf v_from_bf16(uint16x8_t v)
{
    return (vf){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(v), 16)),
                vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(v), 16))};
}

VEC vf v_load_bf16(const void *p)
{
    return v_from_bf16(load_16bit(p));
}

VEC vf v_load_bf16_part(const void *p, size_t n)
{
    return v_from_bf16(load_16bit_part(p, n));
}

VEC vf v_add(vf a, vf b)
{
    return (vf){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)};
}

VEC vf v_sub(vf a, vf b)
{
    return (vf){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)};
}

VEC vf v_mul(vf a, vf b)
{
    return (vf){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
}

VEC vf v_div(vf a, vf b)
{
    return (vf){vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)};
}

VEC vf v_fma(vf a, vf b, vf c)
{
    return (vf){vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}

/* The instruction for it gives NaN where either is one. */
VEC vf v_max(vf a, vf b)
{
    return (vf){vbslq_f32(vcgtq_f32(a.low, b.low), a.low, b.low),
                vbslq_f32(vcgtq_f32(a.high, b.high), a.high, b.high)};
}

VEC vf v_sqrt(vf a)
{
    return (vf){vsqrtq_f32(a.low), vsqrtq_f32(a.high)};
}

VEC vf v_to_bf16(vf a)
{
    return (vf){four_to_bf16(a.low), four_to_bf16(a.high)};
}

VEC vf v_round(vf a)
{
    return (vf){vrndnq_f32(a.low), vrndnq_f32(a.high)};
}

VEC vf v_scale(vf p, vf n)
{
    return (vf){four_scale(p.low, n.low), four_scale(p.high, n.high)};
}

VEC vf v_abs(vf a)
{
    return (vf){vabsq_f32(a.low), vabsq_f32(a.high)};
}

VEC vf v_negate(vf a)
{
    return (vf){vnegq_f32(a.low), vnegq_f32(a.high)};
}

VEC vf v_copysign(vf magnitude, vf sign)
{
    return (vf){four_copysign(magnitude.low, sign.low), four_copysign(magnitude.high, sign.high)};
}

VEC vf v_negative(vf a, vf yes, vf no)
{
    return (vf){vbslq_f32(vcltzq_f32(a.low), yes.low, no.low),
                vbslq_f32(vcltzq_f32(a.high), yes.high, no.high)};
}

VEC float v_sum(vf v)
{
    float32x4_t four = vaddq_f32(v.low, v.high);
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* From 4 to 2 lanes two vectors share a register, from 2 to 1 all four do. */
VEC float32x4_t halves_added(float32x4_t a, float32x4_t b)
{
    float64x2_t x = vreinterpretq_f64_f32(a), y = vreinterpretq_f64_f32(b);
    return vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(x, y)),
                     vreinterpretq_f32_f64(vzip2q_f64(x, y)));
}

VEC void v_sum4(float *p, vf a, vf b, vf c, vf d)
{
    float32x4_t ab = halves_added(vaddq_f32(a.low, a.high), vaddq_f32(b.low, b.high));
    float32x4_t cd = halves_added(vaddq_f32(c.low, c.high), vaddq_f32(d.low, d.high));
    vst1q_f32(p, vpaddq_f32(ab, cd));
}

/* A square of 4. */
VEC void four_transpose(float32x4_t *a, float32x4_t *b, float32x4_t *c, float32x4_t *d)
{
    float32x4_t ac = vzip1q_f32(*a, *c), ac_high = vzip2q_f32(*a, *c);
    float32x4_t bd = vzip1q_f32(*b, *d), bd_high = vzip2q_f32(*b, *d);
    *a = vzip1q_f32(ac, bd);
    *b = vzip2q_f32(ac, bd);
    *c = vzip1q_f32(ac_high, bd_high);
    *d = vzip2q_f32(ac_high, bd_high);
}

/* Squares of 4 first; then the two off the diagonal change places. */
VEC void v_transpose(vf rows[LANES])
{
    EACH (n, 2) {
        vf *r = rows + 4 * n;
        four_transpose(&r[0].low, &r[1].low, &r[2].low, &r[3].low);
        four_transpose(&r[0].high, &r[1].high, &r[2].high, &r[3].high);
    }
    EACH (i, 4) {
        float32x4_t high = rows[i].high;
        rows[i].high = rows[i + 4].low;
        rows[i + 4].low = high;
    }
}

#endif
