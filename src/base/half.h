/* SPDX-License-Identifier: Apache-2.0 */
/* 16-bit floats in plain integer arithmetic: exact, round to nearest even, NaN stays NaN. */
#ifndef RW_BASE_HALF_H
#define RW_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float rw_bits_to_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t rw_f32_to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float rw_bf16_to_f32(uint16_t h)
{
    return rw_bits_to_f32((uint32_t)h << 16);
}

static inline uint16_t rw_f32_to_bf16(float f)
{
    uint32_t u = rw_f32_to_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); /* NaN: keep it one */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float rw_f16_to_f32(uint16_t h);
uint16_t rw_f32_to_f16(float f);

#endif
