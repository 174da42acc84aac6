/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GPU for tests on machines that have none: as much of CUDA's language and runtime as
 * src/backend/cuda uses, on the CPU. A block's threads are fibers that run in turn from one
 * synchronization to the next; blocks run one after the other; streams do what they are told at
 * once. Device memory can be touched only while a kernel or a copy runs, so that a host that looks
 * at it dies. A kernel in which not all threads come to a synchronization ends the program.
 *
 * It shows that kernels compute what they should, not that they are fast, nor that they are free of
 * races: threads between two synchronizations run one after the other.
 */
#ifndef EMULATOR_CUDA_RUNTIME_H
#define EMULATOR_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>

#include "cuda_runtime_api.h"

#define RW_CUDA_EMULATED 1

/* --- the language ----------------------------------------------------------------------------- */

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
void __syncwarp(unsigned mask = 0xffffffffu);

namespace emulator
{
unsigned lane();
void *warp_memory(); /* 64 bytes for each lane */
void launch(dim3 grid, dim3 block, size_t shared, const std::function<void()> &thread);

template <typename T> T shuffle(T value, unsigned from)
{
    T *slots = static_cast<T *>(warp_memory());
    slots[lane()] = value;
    __syncwarp();
    T result = slots[from % 32];
    __syncwarp();
    return result;
}

float number(bool bf16, uint32_t pair, unsigned which);

/* src/backend/cuda/device.h: multiply_add. */
template <bool BF16> void multiply_add(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    struct operands {
        uint32_t a[4], b[2];
    };
    operands *all = static_cast<operands *>(warp_memory());
    unsigned g = lane() / 4, t = lane() % 4;
    std::memcpy(all[lane()].a, a, sizeof all->a);
    std::memcpy(all[lane()].b, b, sizeof all->b);
    __syncwarp();
    for (unsigned i = 0; i < 4; i++) {
        unsigned row = i / 2, column = 2 * t + i % 2;
        double sum = 0;
        for (unsigned k = 0; k < 16; k++) {
            const operands &x = all[4 * g + k % 8 / 2], &y = all[4 * column + k % 8 / 2];
            sum += (double)number(BF16, x.a[k / 8 * 2 + row], k % 2) *
                   (double)number(BF16, y.b[k / 8], k % 2);
        }
        c[i] = (float)((double)c[i] + sum);
    }
    __syncwarp();
}

/* What kernel<<<grid, block, shared, stream>>> is for a compiler of CUDA. */
template <typename K> auto bind(K kernel, dim3 grid, dim3 block, size_t shared, cudaStream_t)
{
    return [=](auto... arguments) { launch(grid, block, shared, [=] { kernel(arguments...); }); };
}
} // namespace emulator

template <typename T> T __shfl_xor_sync(unsigned, T value, unsigned bits)
{
    return emulator::shuffle(value, emulator::lane() ^ bits);
}

#endif
