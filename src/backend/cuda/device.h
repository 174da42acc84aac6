/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels are written in: CUDA C++, but for launches and memory shared by a block, which are
 * macros so that a test can run the same source without a GPU; and the few instructions that have
 * no name in the language.
 */
#ifndef RW_BACKEND_CUDA_DEVICE_H
#define RW_BACKEND_CUDA_DEVICE_H

#include <cuda_runtime.h>
#include <stdint.h>

#define WARP 32
#define ALL_LANES 0xffffffffu

#if defined(RW_CUDA_EMULATED)
#define RW_LAUNCH(kernel, grid, block, shared, stream) \
    emulator::bind(kernel, grid, block, shared, stream)
#define RW_UNROLL
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define RW_UNROLL _Pragma("unroll")
#define RW_LAUNCH(kernel, grid, block, shared, stream) kernel<<<grid, block, shared, stream>>>
#endif

/* --- numbers ---------------------------------------------------------------------------------- */

#define F16_MAX 65504.0f

#if defined(RW_CUDA_EMULATED)

extern "C" {
#include "base/half.h"
}

static inline uint16_t f16_bits(float x)
{
    return rw_f32_to_f16(x);
}

static inline uint16_t bf16_bits(float x)
{
    return rw_f32_to_bf16(x);
}

static inline float f16_value(uint16_t bits)
{
    return rw_f16_to_f32(bits);
}

#else

__device__ __forceinline__ uint16_t f16_bits(float x)
{
    return __half_as_ushort(__float2half_rn(x));
}

__device__ __forceinline__ uint16_t bf16_bits(float x)
{
    return __bfloat16_as_ushort(__float2bfloat16_rn(x));
}

__device__ __forceinline__ float f16_value(uint16_t bits)
{
    return __half2float(__ushort_as_half(bits));
}

#endif

/* Two numbers as a product's operands, the first in the low half. What is too large for 16 bits
 * becomes the largest, rather than infinite; NaN stays. */
template <bool BF16> __device__ __forceinline__ uint32_t pair_of(float first, float second)
{
    if (BF16)
        return bf16_bits(first) | (uint32_t)bf16_bits(second) << 16;
    first = first > F16_MAX ? F16_MAX : first < -F16_MAX ? -F16_MAX : first;
    second = second > F16_MAX ? F16_MAX : second < -F16_MAX ? -F16_MAX : second;
    return f16_bits(first) | (uint32_t)f16_bits(second) << 16;
}

/* --- products --------------------------------------------------------------------------------- */

/* c [16, 8] += a [16, 16] · b [16, 8] of a warp, in 32-bit floats: lane 4g + t holds of a rows g
 * and g + 8 at columns 2t, 2t + 1 (a[0], a[1]) and 2t + 8, 2t + 9 (a[2], a[3]); of b column g at
 * the same rows (b[0], b[1]); of c columns 2t, 2t + 1 of rows g (c[0], c[1]) and g + 8. PTX ISA,
 * "mma.m16n8k16". */
template <bool BF16>
__device__ __forceinline__ void multiply_add(float c[4], const uint32_t a[4], const uint32_t b[2])
{
#if defined(RW_CUDA_EMULATED)
    emulator::multiply_add<BF16>(c, a, b);
#elif __CUDA_ARCH__ >= 800
    if (BF16)
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
            "{%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
            "{%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else /* Turing: half as deep, and no bf16, which is refused when the device is opened */
    for (int half = 0; half < 2; half++)
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
            "{%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}

#endif
