/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"

float rw_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = h >> 10 & 0x1f;
    uint32_t mantissa = h & 0x3ff;
    if (exponent == 0x1f)
        return rw_bits_to_f32(sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000 : 0));
    if (exponent != 0)
        return rw_bits_to_f32(sign | (exponent + 112) << 23 | mantissa << 13);
    /* Zero or subnormal: mantissa · 2^−24, exact in f32. */
    float magnitude = (float)mantissa * 0x1p-24f;
    return rw_bits_to_f32(sign | rw_f32_to_bits(magnitude));
}

uint16_t rw_f32_to_f16(float f)
{
    uint32_t u = rw_f32_to_bits(f);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    u &= 0x7fffffff;
    if (u > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x3ff));
    if (u >= 0x477ff000) /* 65520 and above round to infinity */
        return sign | 0x7c00;
    if (u < 0x38800000) {
        /* Below 2^−14: adding ½ makes the bits of the subnormal, rounded by the addition itself. */
        float rounded = rw_bits_to_f32(u) + 0.5f;
        return (uint16_t)(sign | (rw_f32_to_bits(rounded) - 0x3f000000));
    }
    u += 0xfff + (u >> 13 & 1);
    return (uint16_t)(sign | (u - 0x38000000) >> 13);
}
