/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RWKV-7's time mix for one head: what comes before the recurrence, the recurrence
 *
 *     u = S a;   S ← S·diag(w) + u bᵀ + v kᵀ;   y = S r          S [N, N], value index × key index
 *
 * and what comes after it; formulas at kernels/kernels.h (wkv7_inputs, wkv7, wkv7_output). A block
 * has one head of one sequence; thread i has row i of S in registers, from the first token to the
 * last.
 */
#include "backend/cuda/cuda_kernels.h"
#include "backend/cuda/device.h"

#define DECAY_SCALE 0.60653065971263342f /* e^−½ */
#define NORM_FLOOR 1e-12f

static __device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* What the threads of a head show each other. */
template <int N> struct head_vectors {
    float r[N], w[N], k[N], a[N], b[N];
    float first[N], second[N]; /* terms of sums */
};

/* In one order for every thread, from shared memory. */
template <int N> static __device__ __forceinline__ float sum(const float *terms)
{
    float lanes[4] = {0, 0, 0, 0};
    RW_UNROLL
    for (int j = 0; j < N; j++)
        lanes[j % 4] += terms[j];
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

template <int N> static __device__ __forceinline__ float dot(const float *s, const float *x)
{
    float lanes[4] = {0, 0, 0, 0};
    RW_UNROLL
    for (int j = 0; j < N; j++)
        lanes[j % 4] = fmaf(s[j], x[j], lanes[j % 4]);
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

/* The inputs of a token in shared memory; the thread's value. `c`: the channel, `at`: with the
 * token's row. */
template <int N>
static __device__ __forceinline__ float inputs(head_vectors<N> *h, const rw_cuda_wkv7 &op, size_t c,
                                               size_t at)
{
    unsigned i = threadIdx.x;
    float k = op.k[at], v = op.v[at], kk = k * op.k_k[c];
    float eta = sigmoid(op.a0[c] + op.a[at]);
    h->first[i] = kk * kk;
    h->r[i] = op.r[at];
    h->w[i] = expf(-DECAY_SCALE * sigmoid(op.w0[c] + op.w[at]));
    h->k[i] = k * (1.0f + (eta - 1.0f) * op.k_a[c]);
    h->second[i] = h->r[i] * h->k[i] * op.r_k[c];
    __syncthreads();
    kk *= 1.0f / fmaxf(sqrtf(sum<N>(h->first)), NORM_FLOOR);
    h->a[i] = -kk;
    h->b[i] = kk * eta;
    if (op.v_first)
        v += (op.v_first[at] - v) * sigmoid(op.v0[c] + op.v_gate[at]);
    return v;
}

template <int N>
static __device__ __forceinline__ float step(float *s, const head_vectors<N> *h, float v)
{
    float u = dot<N>(s, h->a);
    RW_UNROLL
    for (int j = 0; j < N; j++)
        s[j] = fmaf(s[j], h->w[j], fmaf(u, h->b[j], v * h->k[j]));
    return dot<N>(s, h->r);
}

/* Group norm, bonus and gate. */
template <int N>
static __device__ __forceinline__ float output(head_vectors<N> *h, const rw_cuda_wkv7 &op, size_t c,
                                               size_t at, float y, float v, float bonus)
{
    h->first[threadIdx.x] = y;
    __syncthreads();
    float d = y - sum<N>(h->first) / N;
    h->second[threadIdx.x] = d * d;
    __syncthreads();
    float scale = 1.0f / sqrtf(sum<N>(h->second) / N + op.eps);
    return (d * scale * op.norm_weight[c] + op.norm_bias[c] + bonus * v) * op.g[at];
}

template <int N> __global__ void __launch_bounds__(N) wkv7(const rw_cuda_wkv7 op)
{
    __shared__ head_vectors<N> h;
    const rw_cuda_span span = op.spans[blockIdx.y];
    unsigned i = threadIdx.x;
    size_t channels = (size_t)op.heads * N, c = (size_t)blockIdx.x * N + i;
    float *state = span.state + op.state + c * N;
    float s[N];
    RW_UNROLL
    for (int j = 0; j < N; j += 4)
        *reinterpret_cast<float4 *>(s + j) = *reinterpret_cast<const float4 *>(state + j);
    for (uint32_t t = 0; t < span.count; t++) {
        size_t at = (span.first + t) * channels + c;
        float v = inputs<N>(&h, op, c, at);
        float bonus = sum<N>(h.second);
        __syncthreads();
        float y = step<N>(s, &h, v);
        __syncthreads();
        op.out[at] = output<N>(&h, op, c, at, y, v, bonus);
        __syncthreads();
    }
    RW_UNROLL
    for (int j = 0; j < N; j += 4)
        *reinterpret_cast<float4 *>(state + j) = *reinterpret_cast<const float4 *>(s + j);
}

void rw_cuda_launch_wkv7(const struct rw_cuda_wkv7 *op, cudaStream_t stream)
{
    dim3 grid(op->heads, op->n_spans);
    switch (op->head_size) {
    case 16:
        RW_LAUNCH(wkv7<16>, grid, 16, 0, stream)(*op);
        break;
    case 32:
        RW_LAUNCH(wkv7<32>, grid, 32, 0, stream)(*op);
        break;
    case 64:
        RW_LAUNCH(wkv7<64>, grid, 64, 0, stream)(*op);
        break;
    case 128:
        RW_LAUNCH(wkv7<128>, grid, 128, 0, stream)(*op);
        break;
    }
}
