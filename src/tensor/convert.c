/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bytes of every element type mean, one block at a time. All scales are f16 and every
 * product of a scale and a code but Q6_K's is exact in f32, so a value is rounded at most once and
 * the order of the multiplications does not matter.
 *
 * Layouts: GGUF's block types (the table in docs/model.md "quantized blocks"). e is an element's
 * index in its block. Blocks of 32 keep element e < 16 in the low and e + 16 in the high nibble of
 * one byte.
 */
#include "tensor/convert.h"

#include <string.h>

#include "base/cursor.h"
#include "base/half.h"
#include "tensor/dtype.h"
#include "tensor/iq4.h"

#define SMALL 32  /* elements of a block of Q4_0 … Q8_0 and IQ4_NL */
#define LARGE 256 /* of a block of the K types and IQ4_XS */

static float half_at(const uint8_t *p)
{
    return rw_f16_to_f32(rw_load_u16(p));
}

static int nibble(const uint8_t *qs, int e)
{
    return e < 16 ? qs[e] & 15 : qs[e - 16] >> 4;
}

/* --- blocks of 32 to float -------------------------------------------------------------------- */

static void unpack_q4_0(float *to, const uint8_t *b)
{
    float d = half_at(b);
    for (int e = 0; e < SMALL; e++)
        to[e] = d * (float)(nibble(b + 2, e) - 8);
}

static void unpack_q4_1(float *to, const uint8_t *b)
{
    float d = half_at(b), m = half_at(b + 2);
    for (int e = 0; e < SMALL; e++)
        to[e] = d * (float)nibble(b + 4, e) + m;
}

static void unpack_q5_0(float *to, const uint8_t *b)
{
    float d = half_at(b);
    uint32_t high = rw_load_u32(b + 2);
    for (int e = 0; e < SMALL; e++)
        to[e] = d * (float)((nibble(b + 6, e) | (int)(high >> e & 1) << 4) - 16);
}

static void unpack_q5_1(float *to, const uint8_t *b)
{
    float d = half_at(b), m = half_at(b + 2);
    uint32_t high = rw_load_u32(b + 4);
    for (int e = 0; e < SMALL; e++)
        to[e] = d * (float)(nibble(b + 8, e) | (int)(high >> e & 1) << 4) + m;
}

static void unpack_q8_0(float *to, const uint8_t *b)
{
    float d = half_at(b);
    for (int e = 0; e < SMALL; e++)
        to[e] = d * (float)(int8_t)b[2 + e];
}

static void unpack_iq4_nl(float *to, const uint8_t *b)
{
    float d = half_at(b);
    for (int e = 0; e < SMALL; e++)
        to[e] = d * (float)rw_iq4_values[nibble(b + 2, e)];
}

/* --- blocks of 256 to float ------------------------------------------------------------------- */

/* The two-bit code of element e: each 32 bytes hold the codes of 128 elements, 32 at each shift. */
static int two_bits(const uint8_t *qs, int e)
{
    return qs[32 * (e / 128) + e % 32] >> 2 * (e % 128 / 32) & 3;
}

static void unpack_q2_k(float *to, const uint8_t *b)
{
    const uint8_t *scales = b, *qs = b + 16;
    float d = half_at(b + 80), d_min = half_at(b + 82);
    for (int e = 0; e < LARGE; e++) {
        uint8_t s = scales[e / 16];
        to[e] = d * (float)(s & 15) * (float)two_bits(qs, e) - d_min * (float)(s >> 4);
    }
}

static void unpack_q3_k(float *to, const uint8_t *b)
{
    const uint8_t *high = b, *qs = b + 32, *s = b + 96;
    float d = half_at(b + 108);
    for (int e = 0; e < LARGE; e++) {
        int g = e / 16;
        int scale = (s[g % 8] >> 4 * (g / 8) & 15) | (s[8 + g % 4] >> 2 * (g / 4) & 3) << 4;
        int below = high[e % 32] >> (e / 32) & 1 ? 0 : 4;
        to[e] = d * (float)(scale - 32) * (float)(two_bits(qs, e) - below);
    }
}

/* Scale and minimum j < 8 of Q4_K and Q5_K: six bits each, packed into 12 bytes. */
static void scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

static void unpack_q4_k(float *to, const uint8_t *b)
{
    const uint8_t *qs = b + 16;
    float d = half_at(b), d_min = half_at(b + 2);
    for (int j = 0; j < 8; j++) {
        int scale, min;
        scale_min(b + 4, j, &scale, &min);
        for (int i = 0; i < 32; i++) {
            int q = qs[32 * (j / 2) + i] >> 4 * (j % 2) & 15;
            *to++ = d * (float)scale * (float)q - d_min * (float)min;
        }
    }
}

static void unpack_q5_k(float *to, const uint8_t *b)
{
    const uint8_t *high = b + 16, *qs = b + 48;
    float d = half_at(b), d_min = half_at(b + 2);
    for (int j = 0; j < 8; j++) {
        int scale, min;
        scale_min(b + 4, j, &scale, &min);
        for (int i = 0; i < 32; i++) {
            int q = (qs[32 * (j / 2) + i] >> 4 * (j % 2) & 15) | (high[i] >> j & 1) << 4;
            *to++ = d * (float)scale * (float)q - d_min * (float)min;
        }
    }
}

static void unpack_q6_k(float *to, const uint8_t *b)
{
    const uint8_t *low = b, *high = b + 128, *scales = b + 192;
    float d = half_at(b + 208);
    for (int e = 0; e < LARGE; e++) {
        int q = low[64 * (e / 128) + e % 64] >> 4 * (e % 128 / 64) & 15;
        q |= (high[32 * (e / 128) + e % 32] >> 2 * (e % 128 / 32) & 3) << 4;
        to[e] = d * (float)(int8_t)scales[e / 16] * (float)(q - 32);
    }
}

static void unpack_iq4_xs(float *to, const uint8_t *b)
{
    const uint8_t *low = b + 4, *qs = b + 8;
    float d = half_at(b);
    int high = rw_load_u16(b + 2);
    for (int j = 0; j < 8; j++, qs += 16) {
        int scale = (low[j / 2] >> 4 * (j % 2) & 15) | (high >> 2 * j & 3) << 4;
        for (int e = 0; e < 32; e++)
            *to++ = d * (float)(scale - 32) * (float)rw_iq4_values[nibble(qs, e)];
    }
}

typedef void (*unpack_fn)(float *to, const uint8_t *block);

static const unpack_fn unpackers[RWKV_DTYPE_COUNT] = {
    [RWKV_DTYPE_Q4_0] = unpack_q4_0,     [RWKV_DTYPE_Q4_1] = unpack_q4_1,
    [RWKV_DTYPE_Q5_0] = unpack_q5_0,     [RWKV_DTYPE_Q5_1] = unpack_q5_1,
    [RWKV_DTYPE_Q8_0] = unpack_q8_0,     [RWKV_DTYPE_Q2_K] = unpack_q2_k,
    [RWKV_DTYPE_Q3_K] = unpack_q3_k,     [RWKV_DTYPE_Q4_K] = unpack_q4_k,
    [RWKV_DTYPE_Q5_K] = unpack_q5_k,     [RWKV_DTYPE_Q6_K] = unpack_q6_k,
    [RWKV_DTYPE_IQ4_NL] = unpack_iq4_nl, [RWKV_DTYPE_IQ4_XS] = unpack_iq4_xs,
};

static bool blocks_to_f32(rwkv_dtype dtype, float *to, const uint8_t *from, size_t n)
{
    const struct rw_dtype_info *info = rw_dtype(dtype);
    if (!unpackers[dtype] || n % info->block)
        return false;
    for (size_t i = 0; i < n; i += info->block, from += info->bytes)
        unpackers[dtype](to + i, from);
    return true;
}

/* --- plain types to float --------------------------------------------------------------------- */

/* One loop over unaligned elements of a C type. */
#define CONVERT(ctype, value)                       \
    for (size_t i = 0; i < n; i++) {                \
        ctype v;                                    \
        memcpy(&v, bytes + i * sizeof v, sizeof v); \
        to[i] = (value);                            \
    }                                               \
    return true

static bool integers_to_f32(rwkv_dtype dtype, float *to, const uint8_t *bytes, size_t n)
{
    switch (dtype) {
    case RWKV_DTYPE_I64:
        CONVERT(int64_t, (float)v);
    case RWKV_DTYPE_I32:
        CONVERT(int32_t, (float)v);
    case RWKV_DTYPE_I16:
        CONVERT(int16_t, (float)v);
    case RWKV_DTYPE_I8:
        CONVERT(int8_t, (float)v);
    case RWKV_DTYPE_U64:
        CONVERT(uint64_t, (float)v);
    case RWKV_DTYPE_U32:
        CONVERT(uint32_t, (float)v);
    case RWKV_DTYPE_U16:
        CONVERT(uint16_t, (float)v);
    case RWKV_DTYPE_U8:
        CONVERT(uint8_t, (float)v);
    case RWKV_DTYPE_BOOL:
        CONVERT(uint8_t, v ? 1.0f : 0.0f);
    default:
        return false;
    }
}

bool rw_to_f32(rwkv_dtype dtype, float *to, const void *from, size_t n)
{
    const uint8_t *bytes = from;
    switch (dtype) {
    case RWKV_DTYPE_F32:
        if (n)
            memcpy(to, bytes, n * sizeof *to);
        return true;
    case RWKV_DTYPE_F16:
        CONVERT(uint16_t, rw_f16_to_f32(v));
    case RWKV_DTYPE_BF16:
        CONVERT(uint16_t, rw_bf16_to_f32(v));
    case RWKV_DTYPE_F64:
        CONVERT(double, (float)v);
    default:
        break;
    }
    if (dtype < RWKV_DTYPE_MODEL_COUNT)
        return blocks_to_f32(dtype, to, bytes, n);
    return integers_to_f32(dtype, to, bytes, n);
}

/* --- float to plain types --------------------------------------------------------------------- */

bool rw_from_f32(rwkv_dtype dtype, void *to, const float *from, size_t n)
{
    uint8_t *bytes = to;
    if (dtype == RWKV_DTYPE_F32) {
        if (n)
            memcpy(bytes, from, n * sizeof *from);
        return true;
    }
    if (dtype == RWKV_DTYPE_F16) {
        for (size_t i = 0; i < n; i++)
            rw_store_u16(bytes + 2 * i, rw_f32_to_f16(from[i]));
        return true;
    }
    if (dtype == RWKV_DTYPE_BF16) {
        for (size_t i = 0; i < n; i++)
            rw_store_u16(bytes + 2 * i, rw_f32_to_bf16(from[i]));
        return true;
    }
    return false;
}
