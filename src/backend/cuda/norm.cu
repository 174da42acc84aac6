/* SPDX-License-Identifier: Apache-2.0 */
/* LayerNorm, and the token shift with its mixes. */
#include "backend/cuda/cuda_kernels.h"
#include "backend/cuda/device.h"

#define THREADS 256

/* The sum over the block, the same for every thread. `sums` [WARP] is scratch. */
static __device__ __forceinline__ float block_sum(float value, float *sums)
{
    for (unsigned step = WARP / 2; step > 0; step /= 2)
        value += __shfl_xor_sync(ALL_LANES, value, step);
    if (threadIdx.x % WARP == 0)
        sums[threadIdx.x / WARP] = value;
    __syncthreads();
    float total = 0;
    for (unsigned i = 0; i < THREADS / WARP; i++)
        total += sums[i];
    __syncthreads();
    return total;
}

/* One block a token. */
__global__ void __launch_bounds__(THREADS)
    layer_norm(float *y, const float *x, const float *weight, const float *bias, float eps,
               uint32_t channels)
{
    __shared__ float sums[WARP];
    const float *from = x + (size_t)blockIdx.x * channels;
    float *to = y + (size_t)blockIdx.x * channels;
    float sum = 0, square = 0;
    for (uint32_t c = threadIdx.x; c < channels; c += THREADS)
        sum += from[c];
    float mean = block_sum(sum, sums) / (float)channels;
    for (uint32_t c = threadIdx.x; c < channels; c += THREADS)
        square += (from[c] - mean) * (from[c] - mean);
    float scale = 1.0f / sqrtf(block_sum(square, sums) / (float)channels + eps);
    for (uint32_t c = threadIdx.x; c < channels; c += THREADS)
        to[c] = (from[c] - mean) * scale * weight[c] + bias[c];
}

void rw_cuda_launch_layer_norm(float *y, const float *x, const float *weight, const float *bias,
                               float eps, uint32_t tokens, uint32_t channels, cudaStream_t stream)
{
    RW_LAUNCH(layer_norm, tokens, THREADS, 0, stream)(y, x, weight, bias, eps, channels);
}

/* One block a token. */
__global__ void __launch_bounds__(THREADS) mix_tokens(const rw_cuda_mix op)
{
    uint32_t t = blockIdx.x;
    const rw_cuda_span span = op.spans[op.span_of[t]];
    const float *now = op.norm + (size_t)t * op.channels;
    const float *before = t == span.first ? span.state + op.shift : now - op.channels;
    for (uint32_t c = threadIdx.x; c < op.channels; c += THREADS) {
        float x = now[c], d = before[c] - x;
        for (uint32_t i = 0; i < op.n_mix; i++)
            op.out[i][(size_t)t * op.channels + c] = x + d * op.mu[i][c];
    }
}

/* One block a sequence, after all of its tokens have seen the old one. */
__global__ void __launch_bounds__(THREADS) shift_states(const rw_cuda_mix op)
{
    const rw_cuda_span span = op.spans[blockIdx.x];
    const float *last = op.norm + (size_t)(span.first + span.count - 1) * op.channels;
    for (uint32_t c = threadIdx.x; c < op.channels; c += THREADS)
        span.state[op.shift + c] = last[c];
}

void rw_cuda_launch_mix(const struct rw_cuda_mix *mix, cudaStream_t stream)
{
    RW_LAUNCH(mix_tokens, mix->tokens, THREADS, 0, stream)(*mix);
    RW_LAUNCH(shift_states, mix->n_spans, THREADS, 0, stream)(*mix);
}
