/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks of 256 elements of the block types, taken apart: codes as signed bytes in the order of the
 * elements, scales and minima as floats. The value of an element is code · scale (+ min), rounded
 * once, which is what rw_to_f32 makes of it: the layouts stand there. Each instruction set has a
 * header that fills chunks (x86/quants.h, arm/quants.h): scales_… and codes_… for vec/blocks.h.
 */
#ifndef RW_KERNELS_VEC_CHUNK_H
#define RW_KERNELS_VEC_CHUNK_H

#include <stdint.h>
#include <string.h>

#include "kernels/vec/base.h"

#define CHUNK 256
#define GROUPS 8 /* of 32 elements in a chunk */

/* `scale` and `min` are one for each 16 elements in Q2_K, Q3_K and Q6_K, one for each 32 in others.
 */
struct chunk {
    float scale[16];
    float min[16];
    int8_t code[CHUNK];
};

VEC uint16_t bits16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

VEC uint32_t bits32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Bytes of a whole chunk. */
VEC size_t chunk_size(rwkv_dtype type)
{
    switch (type) {
    case RWKV_DTYPE_Q4_0:
    case RWKV_DTYPE_IQ4_NL:
        return 18 * GROUPS;
    case RWKV_DTYPE_Q4_1:
        return 20 * GROUPS;
    case RWKV_DTYPE_Q5_0:
        return 22 * GROUPS;
    case RWKV_DTYPE_Q5_1:
        return 24 * GROUPS;
    case RWKV_DTYPE_Q8_0:
        return 34 * GROUPS;
    case RWKV_DTYPE_Q2_K:
        return 84;
    case RWKV_DTYPE_Q3_K:
        return 110;
    case RWKV_DTYPE_Q4_K:
        return 144;
    case RWKV_DTYPE_Q5_K:
        return 176;
    case RWKV_DTYPE_Q6_K:
        return 210;
    default:
        return 136; /* IQ4_XS */
    }
}

/* Elements a scale is for. */
VEC size_t chunk_scale_step(rwkv_dtype type)
{
    return type == RWKV_DTYPE_Q2_K || type == RWKV_DTYPE_Q3_K || type == RWKV_DTYPE_Q6_K ? 16 : 32;
}

VEC int chunk_has_min(rwkv_dtype type)
{
    return type == RWKV_DTYPE_Q4_1 || type == RWKV_DTYPE_Q5_1 || type == RWKV_DTYPE_Q2_K ||
           type == RWKV_DTYPE_Q4_K || type == RWKV_DTYPE_Q5_K;
}

#endif
