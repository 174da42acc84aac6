/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products y = W x of several weights in one launch.
 *
 * A block has RW_CUDA_ROWS outputs and TILE·8 tokens; its warps share the inputs, a piece of
 * RW_CUDA_PIECE each, and their sums are added in the order of the pieces. In a warp lane 4g + t
 * has outputs g and g + 8 and of each 32 inputs the eight from 8t on: one load of 16 bytes a row,
 * and the operands of two matrix instructions, in whatever order those take their inputs, which is
 * the same for weights and tokens.
 *
 * In f32 the lanes have the same shares, sum them by fused multiply-adds, and then the four of a
 * row in pairs.
 */
#include "backend/cuda/cuda_kernels.h"
#include "backend/cuda/device.h"

#define WARPS 8
#define THREADS (WARPS * WARP)
#define ROWS RW_CUDA_ROWS
#define DEPTH RW_CUDA_DEPTH
#define PIECE RW_CUDA_PIECE

enum { STORE, ADD, TANH, SIGMOID, RELU2 }; /* enum rw_epilogue */

static __device__ __forceinline__ void store(float *y, float sum, uint32_t epilogue)
{
    switch (epilogue) {
    case STORE:
        *y = sum;
        break;
    case ADD:
        *y += sum;
        break;
    case TANH:
        *y = tanhf(sum);
        break;
    case SIGMOID:
        *y = 1.0f / (1.0f + expf(-sum));
        break;
    case RELU2:
        sum = sum > 0 ? sum : 0;
        *y = sum * sum;
        break;
    }
}

/* The product that a block works at, and its first output. */
static __device__ __forceinline__ const rw_cuda_product &find(const rw_cuda_products &all,
                                                              uint32_t *row)
{
    uint32_t tile = blockIdx.x, i = 0;
    for (; i + 1 < all.n; i++) {
        uint32_t tiles = (all.items[i].rows + ROWS - 1) / ROWS;
        if (tile < tiles)
            break;
        tile -= tiles;
    }
    *row = tile * ROWS;
    return all.items[i];
}

/* --- operands --------------------------------------------------------------------------------- */

/* Eight numbers of a weight's row from column k on, a multiple of eight. */
template <bool BF16>
static __device__ __forceinline__ void read_weight(uint32_t to[4], const rw_cuda_product &p,
                                                   uint32_t row, uint32_t k)
{
    size_t at = (size_t)row * p.depth + k;
    if (p.layout == RW_CUDA_Q8_0) {
        uint2 bytes = *reinterpret_cast<const uint2 *>(static_cast<const int8_t *>(p.w) + at);
        float scale = f16_value(static_cast<const uint16_t *>(p.scales)[at / 32]);
        for (int i = 0; i < 4; i++) {
            uint32_t two = (i < 2 ? bytes.x : bytes.y) >> (i % 2 * 16);
            to[i] = pair_of<BF16>(scale * (float)(int8_t)two, scale * (float)(int8_t)(two >> 8));
        }
        return;
    }
    uint4 numbers = *reinterpret_cast<const uint4 *>(static_cast<const uint16_t *>(p.w) + at);
    to[0] = numbers.x;
    to[1] = numbers.y;
    to[2] = numbers.z;
    to[3] = numbers.w;
}

/* The same in f32. */
static __device__ __forceinline__ void read_weight_f32(float to[8], const rw_cuda_product &p,
                                                       uint32_t row, uint32_t k)
{
    size_t at = (size_t)row * p.depth + k;
    if (p.layout == RW_CUDA_Q8_0) {
        const int8_t *bytes = static_cast<const int8_t *>(p.w) + at;
        float scale = f16_value(static_cast<const uint16_t *>(p.scales)[at / 32]);
        for (int i = 0; i < 8; i++)
            to[i] = scale * (float)bytes[i];
        return;
    }
    const float *from = static_cast<const float *>(p.w) + at;
    for (int i = 0; i < 8; i++)
        to[i] = from[i];
}

/* Eight inputs of a token from k on; zeros where there is none. */
static __device__ __forceinline__ void read_inputs(float to[8], const rw_cuda_product &p,
                                                   uint32_t token, uint32_t tokens, uint32_t k)
{
    const float *x = p.x + (size_t)token * p.cols + k;
    if (token < tokens && p.cols % 4 == 0 && k + 8 <= p.cols) {
        float4 low = *reinterpret_cast<const float4 *>(x);
        float4 high = *reinterpret_cast<const float4 *>(x + 4);
        to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
        to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
        return;
    }
    for (uint32_t i = 0; i < 8; i++)
        to[i] = token < tokens && k + i < p.cols ? x[i] : 0.0f;
}

/* --- a piece ---------------------------------------------------------------------------------- */

/* Sums [TILE][4] over one piece, as multiply_add leaves them, for outputs from `row` and tokens
 * from `token` on. */
template <int TILE, bool BF16>
static __device__ __forceinline__ void piece_of_16(float sums[TILE][4], const rw_cuda_product &p,
                                                   uint32_t row, uint32_t token, uint32_t tokens,
                                                   uint32_t begin, uint32_t end)
{
    uint32_t g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    for (uint32_t k = begin + 8 * t; k < end; k += DEPTH) {
        uint32_t low[4], high[4];
        read_weight<BF16>(low, p, row + g, k);
        read_weight<BF16>(high, p, row + g + 8, k);
        const uint32_t a[2][4] = {{low[0], high[0], low[1], high[1]},
                                  {low[2], high[2], low[3], high[3]}};
        RW_UNROLL
        for (int n = 0; n < TILE; n++) {
            float x[8];
            read_inputs(x, p, token + n * 8 + g, tokens, k);
            const uint32_t b[2][2] = {{pair_of<BF16>(x[0], x[1]), pair_of<BF16>(x[2], x[3])},
                                      {pair_of<BF16>(x[4], x[5]), pair_of<BF16>(x[6], x[7])}};
            multiply_add<BF16>(sums[n], a[0], b[0]);
            multiply_add<BF16>(sums[n], a[1], b[1]);
        }
    }
}

/* The same in f32 for eight tokens. */
static __device__ __forceinline__ void piece_of_32(float sums[4], const rw_cuda_product &p,
                                                   uint32_t row, uint32_t token, uint32_t tokens,
                                                   uint32_t begin, uint32_t end)
{
    uint32_t g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    float shares[2][8] = {};
    for (uint32_t k = begin + 8 * t; k < end; k += DEPTH) {
        float w[2][8];
        read_weight_f32(w[0], p, row + g, k);
        read_weight_f32(w[1], p, row + g + 8, k);
        for (uint32_t n = 0; n < 8; n++) {
            float x[8];
            read_inputs(x, p, token + n, tokens, k);
            for (int half = 0; half < 2; half++)
                for (int i = 0; i < 8; i++)
                    shares[half][n] = fmaf(w[half][i], x[i], shares[half][n]);
        }
    }
    for (int half = 0; half < 2; half++)
        for (uint32_t n = 0; n < 8; n++) {
            float share = shares[half][n];
            share += __shfl_xor_sync(ALL_LANES, share, 1);
            share += __shfl_xor_sync(ALL_LANES, share, 2);
            if (n / 2 == t)
                sums[2 * half + n % 2] = share;
        }
}

/* --- the kernel ------------------------------------------------------------------------------- */

template <int TILE, rw_cuda_numbers NUMBERS>
__global__ void __launch_bounds__(THREADS) multiply(const rw_cuda_products all)
{
    constexpr int TOKENS = TILE * 8, MINE = (ROWS * TOKENS + THREADS - 1) / THREADS;
    __shared__ float parts[WARPS][ROWS][TOKENS];
    uint32_t row, warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    const rw_cuda_product &p = find(all, &row);
    uint32_t token = blockIdx.y * TOKENS, pieces = (p.depth + PIECE - 1) / PIECE;
    float totals[MINE] = {};
    for (uint32_t first = 0; first < pieces; first += WARPS) {
        uint32_t begin = (first + warp) * PIECE;
        uint32_t end = begin + PIECE < p.depth ? begin + PIECE : p.depth;
        float sums[TILE][4] = {};
        if (begin < p.depth) {
            if (NUMBERS == RW_CUDA_IN_F32)
                piece_of_32(sums[0], p, row, token, all.tokens, begin, end);
            else
                piece_of_16<TILE, NUMBERS == RW_CUDA_IN_BF16>(sums, p, row, token, all.tokens,
                                                              begin, end);
        }
        RW_UNROLL
        for (int n = 0; n < TILE; n++)
            for (int i = 0; i < 4; i++)
                parts[warp][g + i / 2 * 8][n * 8 + 2 * t + i % 2] = sums[n][i];
        __syncthreads();
        uint32_t left = pieces - first < WARPS ? pieces - first : WARPS;
        for (int i = 0; i < MINE; i++) {
            uint32_t at = threadIdx.x + i * THREADS;
            for (uint32_t w = 0; w < left && at < ROWS * TOKENS; w++)
                totals[i] += parts[w][at / TOKENS][at % TOKENS];
        }
        __syncthreads();
    }
    for (int i = 0; i < MINE; i++) {
        uint32_t at = threadIdx.x + i * THREADS, r = row + at / TOKENS, n = token + at % TOKENS;
        if (at < ROWS * TOKENS && r < p.rows && n < all.tokens)
            store(p.y + (size_t)n * p.rows + r, totals[i], p.epilogue);
    }
}

template <int TILE, rw_cuda_numbers NUMBERS>
static void launch(const rw_cuda_products &all, cudaStream_t stream)
{
    uint32_t tiles = 0;
    for (uint32_t i = 0; i < all.n; i++)
        tiles += (all.items[i].rows + ROWS - 1) / ROWS;
    dim3 grid(tiles, (all.tokens + TILE * 8 - 1) / (TILE * 8));
    RW_LAUNCH((multiply<TILE, NUMBERS>), grid, THREADS, 0, stream)(all);
}

template <rw_cuda_numbers NUMBERS>
static void launch_tiles(const rw_cuda_products &all, cudaStream_t stream)
{
    if (all.tokens <= 8)
        launch<1, NUMBERS>(all, stream);
    else if (all.tokens <= 16)
        launch<2, NUMBERS>(all, stream);
    else
        launch<4, NUMBERS>(all, stream);
}

void rw_cuda_launch_products(const struct rw_cuda_products *all, enum rw_cuda_numbers numbers,
                             cudaStream_t stream)
{
    if (numbers == RW_CUDA_IN_F32)
        launch<1, RW_CUDA_IN_F32>(*all, stream);
    else if (numbers == RW_CUDA_IN_F16)
        launch_tiles<RW_CUDA_IN_F16>(*all, stream);
    else
        launch_tiles<RW_CUDA_IN_BF16>(*all, stream);
}
