/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers in pairs of NEON registers, with the dot products of Armv8.2 and the matrix products of
 * Armv8.6 where the compiler is told so. The operations are listed in vec/dot.h. Bytes are
 * multiplied with their signs, so wide codes are the values themselves.
 */
#ifndef RW_KERNELS_ARM_DOT_NEON_H
#define RW_KERNELS_ARM_DOT_NEON_H

#include "kernels/arm/vec_neon.h"
#include "kernels/vec/dot_rows.h"

/* The tile: 12 registers of sums of integers and 12 of floats, 4 of weights, 1 of inputs. */
#ifdef __ARM_FEATURE_MATMUL_INT8
#define DOT_TOKENS 6
#define DOT_VECTORS 1
#else
#define DOT_TOKENS 3
#define DOT_VECTORS 2
#endif
#define DOT_WIDE_OFFSET 0

typedef struct {
    int32x4_t low, high;
} vi;

/* Four bytes for all dwords: the dot product repeats them by itself. */
#ifdef __ARM_FEATURE_DOTPROD
typedef int8x8_t vi_same;
#else
typedef int8x16_t vi_same;
#endif

#define VI_FORGET(v) __asm__("" : "+w"((v).low), "+w"((v).high))

/* --- 4 dwords --------------------------------------------------------------------------------- */

VEC int32x4_t dwords_load(const uint8_t *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

VEC void dwords_store(uint8_t *p, int32x4_t v)
{
    vst1q_u8(p, vreinterpretq_u8_s32(v));
}

/* Byte j / 2 of each dword, which holds the four bits, goes to all of the dword, where each byte
 * tests its own. */
VEC int32x4_t dwords_fifth(int32x4_t v, size_t j)
{
    static const uint32_t first[4] = {0, 0x04040404, 0x08080808, 0x0c0c0c0c};
    uint8x16_t byte =
        vaddq_u8(vreinterpretq_u8_u32(vld1q_u32(first)), vdupq_n_u8((uint8_t)(j / 2)));
    uint32x4_t bit = vdupq_n_u32(j % 2 ? 0x80402010 : 0x08040201);
    uint8x16_t set = vtstq_u8(vqtbl1q_u8(vreinterpretq_u8_s32(v), byte), vreinterpretq_u8_u32(bit));
    return vreinterpretq_s32_u8(vandq_u8(set, vdupq_n_u8(16)));
}

VEC int32x4_t dwords_iq4(int32x4_t v)
{
    static const int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};
    return vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(values), vreinterpretq_u8_s32(v)));
}

/* Without the instruction: two products, of −127 … 127 and −128 … 127, fit into 16 bits. */
VEC int32x4_t dwords_dot(int32x4_t sum, int32x4_t dwords, vi_same x)
{
    const int8x16_t codes = vreinterpretq_s8_s32(dwords);
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_lane_s32(sum, codes, x, 0);
#else
    int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(x)), high = vmull_high_s8(codes, x);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
#endif
}

/* --- 8 dwords --------------------------------------------------------------------------------- */

VEC vi vi_load(const void *p)
{
    return (vi){dwords_load(p), dwords_load((const uint8_t *)p + 16)};
}

VEC void vi_store(void *p, vi v)
{
    dwords_store(p, v.low);
    dwords_store((uint8_t *)p + 16, v.high);
}

VEC vi vi_load_u16(const void *p)
{
    uint16x8_t v = load_16bit(p);
    return (vi){vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(v))),
                vreinterpretq_s32_u32(vmovl_high_u16(v))};
}

VEC vi vi_set(int n)
{
    return (vi){vdupq_n_s32(n), vdupq_n_s32(n)};
}

VEC vi vi_bytes(int n)
{
    int32x4_t v = vreinterpretq_s32_s8(vdupq_n_s8((int8_t)n));
    return (vi){v, v};
}

VEC vi_same vi_broadcast(const int8_t *p)
{
    uint32_t dword;
    memcpy(&dword, p, sizeof dword);
#ifdef __ARM_FEATURE_DOTPROD
    return vcreate_s8(dword);
#else
    return vreinterpretq_s8_u32(vdupq_n_u32(dword));
#endif
}

VEC vi vi_and(vi a, vi b)
{
    return (vi){vandq_s32(a.low, b.low), vandq_s32(a.high, b.high)};
}

VEC vi vi_or(vi a, vi b)
{
    return (vi){vorrq_s32(a.low, b.low), vorrq_s32(a.high, b.high)};
}

VEC vi vi_sub(vi a, vi b)
{
    return (vi){vsubq_s32(a.low, b.low), vsubq_s32(a.high, b.high)};
}

/* Shifts in the compiler's own notation take constants and variables alike. */
VEC vi vi_shift_left(vi v, int n)
{
    return (vi){(int32x4_t)((uint32x4_t)v.low << n), (int32x4_t)((uint32x4_t)v.high << n)};
}

VEC vi vi_shift_right(vi v, int n)
{
    return (vi){(int32x4_t)((uint32x4_t)v.low >> n), (int32x4_t)((uint32x4_t)v.high >> n)};
}

VEC vi vi_shift_right_signed(vi v, int n)
{
    return (vi){v.low >> n, v.high >> n};
}

VEC vi vi_fifth(vi v, size_t j)
{
    return (vi){dwords_fifth(v.low, j), dwords_fifth(v.high, j)};
}

VEC vi vi_wide(vi v)
{
    return v;
}

VEC vi vi_iq4(vi v)
{
    return (vi){dwords_iq4(v.low), dwords_iq4(v.high)};
}

VEC vi vi_dot(vi sum, vi codes, vi_same x, int wide)
{
    (void)wide; /* codes below 128 have no sign */
    return (vi){dwords_dot(sum.low, codes.low, x), dwords_dot(sum.high, codes.high, x)};
}

/* Four rows from r on: a square of dwords. */
VEC void interleave_four(uint8_t *to, const struct image_rows *rows, size_t at, size_t r)
{
    float32x4_t v[4];
    EACH (i, 4)
        v[i] = four_load(image_row(rows, r + i) + at);
    four_transpose(&v[0], &v[1], &v[2], &v[3]);
    EACH (i, 4)
        four_store(to + i * IMAGE_DWORD, v[i]);
}

VEC void vi_interleave(uint8_t *to, const struct image_rows *rows, size_t at, size_t r)
{
    interleave_four(to, rows, at, r);
    interleave_four(to + 16, rows, at, r + 4);
}

VEC int32x4_t zip_bytes(uint8x16_t ab, uint8x16_t cd, int high)
{
    uint16x8_t a = vreinterpretq_u16_u8(ab), c = vreinterpretq_u16_u8(cd);
    return vreinterpretq_s32_u16(high ? vzip2q_u16(a, c) : vzip1q_u16(a, c));
}

VEC void zip_four(int32x4_t *v0, int32x4_t *v1, int32x4_t *v2, int32x4_t *v3)
{
    uint8x16_t a = vreinterpretq_u8_s32(*v0), b = vreinterpretq_u8_s32(*v1);
    uint8x16_t c = vreinterpretq_u8_s32(*v2), d = vreinterpretq_u8_s32(*v3);
    uint8x16_t ab = vzip1q_u8(a, b), ab_high = vzip2q_u8(a, b);
    uint8x16_t cd = vzip1q_u8(c, d), cd_high = vzip2q_u8(c, d);
    *v0 = zip_bytes(ab, cd, 0);
    *v1 = zip_bytes(ab, cd, 1);
    *v2 = zip_bytes(ab_high, cd_high, 0);
    *v3 = zip_bytes(ab_high, cd_high, 1);
}

VEC void vi_zip(vi v[4])
{
    zip_four(&v[0].low, &v[1].low, &v[2].low, &v[3].low);
    zip_four(&v[0].high, &v[1].high, &v[2].high, &v[3].high);
}

VEC vf v_from_vi(vi v)
{
    return (vf){vcvtq_f32_s32(v.low), vcvtq_f32_s32(v.high)};
}

VEC void v_store_codes(int8_t *p, vf v)
{
    int16x8_t words =
        vcombine_s16(vmovn_s32(vcvtq_s32_f32(v.low)), vmovn_s32(vcvtq_s32_f32(v.high)));
    vst1_s8(p, vmovn_s16(words));
}

VEC float v_max_all(vf v)
{
    return vmaxvq_f32(vmaxq_f32(v.low, v.high));
}

#ifdef __ARM_FEATURE_MATMUL_INT8
#define VI_DOT_TILE

VEC int32x4_t first_halves(int32x4_t a, int32x4_t b)
{
    return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

VEC int32x4_t second_halves(int32x4_t a, int32x4_t b)
{
    return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

/* One instruction multiplies 8 columns of two tokens by those of two rows: half as many as dot
 * products take, for two more to lay the columns of 8 rows together, which serve all tokens. The
 * last of an odd number of tokens is paired with itself. */
VEC void vi_dot_tile(vi sum[DOT_TOKENS][DOT_VECTORS], const int8_t *const *x, const int32_t *init,
                     const uint8_t *code, const size_t columns, const size_t tokens)
{
    int32x4_t acc[DOT_TOKENS / 2][4];
    EACH (p, (tokens + 1) / 2) {
        const size_t a = 2 * p, b = a + 1 < tokens ? a + 1 : a;
        EACH (q, 4)
            acc[p][q] = vcombine_s32(vdup_n_s32(init[a]), vdup_n_s32(init[b]));
    }
    EACH (k, columns / 8) {
        vi even = vi_load(code + 2 * k * IMAGE_DWORD),
           odd = vi_load(code + (2 * k + 1) * IMAGE_DWORD);
        const int32x4_t w[4] = {vzip1q_s32(even.low, odd.low), vzip2q_s32(even.low, odd.low),
                                vzip1q_s32(even.high, odd.high), vzip2q_s32(even.high, odd.high)};
        EACH (p, (tokens + 1) / 2) {
            const size_t a = 2 * p, b = a + 1 < tokens ? a + 1 : a;
            int8x16_t pair = vcombine_s8(vld1_s8(x[a] + 8 * k), vld1_s8(x[b] + 8 * k));
            EACH (q, 4)
                acc[p][q] = vmmlaq_s32(acc[p][q], pair, vreinterpretq_s8_s32(w[q]));
        }
    }
    EACH (t, tokens) {
        const int32x4_t *a = acc[t / 2];
        sum[t][0] = t % 2 ? (vi){second_halves(a[0], a[1]), second_halves(a[2], a[3])}
                          : (vi){first_halves(a[0], a[1]), first_halves(a[2], a[3])};
    }
}
#endif

#endif
