/* SPDX-License-Identifier: Apache-2.0 */
/* Guarded memory, random values and the oracles of the kernel tests. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/half.h"
#include "harness.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

#define PATTERN 0xa5

/* --- memory
 * --------------------------------------------------------------------------------------- */

struct buffer buffer_new(struct context *ctx, size_t size, size_t align)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (size + 64 + page - 1) / page * page;
    uint8_t *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, room, PROT_READ | PROT_WRITE) != 0) {
        perror("mmap");
        exit(1);
    }
    struct buffer b = {.map = map + page, .map_size = room, .size = size};
    size_t slack = room - size, place;
    switch (pick(ctx, 0, 3)) {
    case 0:
        place = 0;
        break;
    case 1:
        place = pick(ctx, 0, 64 / align - 1) * align;
        break;
    default:
        place = slack / align * align;
        break;
    }
    memset(b.map, PATTERN, room);
    b.data = b.map + place;
    return b;
}

void buffer_free(struct buffer *b)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap(b->map - page, b->map_size + 2 * page);
}

static bool is_pattern(const uint8_t *from, const uint8_t *to)
{
    for (; from < to; from++)
        if (*from != PATTERN)
            return false;
    return true;
}

bool buffer_intact(const struct buffer *b)
{
    return is_pattern(b->map, b->data) && is_pattern(b->data + b->size, b->map + b->map_size);
}

struct buffer floats_new(struct context *ctx, size_t n)
{
    return buffer_new(ctx, n * sizeof(float), sizeof(float));
}

/* --- values
 * --------------------------------------------------------------------------------------- */

size_t pick(struct context *ctx, size_t low, size_t high)
{
    return low + (size_t)rw_rng_below(&ctx->rng, high - low + 1);
}

static float hostile_float(struct context *ctx)
{
    static const float list[] = {0.0f,     -0.0f,     1e-45f, -1e-45f, 0x1p-127f, -0x1.8p-130f,
                                 INFINITY, -INFINITY, NAN,    3.4e38f, -3.4e38f,  0x1p-126f,
                                 1.0f,     -1.0f,     88.8f,  -104.0f};
    return list[pick(ctx, 0, sizeof list / sizeof *list - 1)];
}

void fill_floats(struct context *ctx, float *x, size_t n, bool hostile)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)rw_rng_normal(&ctx->rng);
        if (hostile && pick(ctx, 0, 3) == 0)
            x[i] = hostile_float(ctx);
    }
}

struct buffer floats_random(struct context *ctx, size_t n, bool hostile)
{
    struct buffer b = floats_new(ctx, n);
    fill_floats(ctx, floats(b), n, hostile);
    return b;
}

/* Where a block's f16 scales lie; −1: none. */
static void scales_at(rwkv_dtype dtype, int at[2])
{
    at[0] = 0;
    at[1] = -1;
    switch (dtype) {
    case RWKV_DTYPE_Q4_1:
    case RWKV_DTYPE_Q5_1:
    case RWKV_DTYPE_Q4_K:
    case RWKV_DTYPE_Q5_K:
        at[1] = 2;
        break;
    case RWKV_DTYPE_Q2_K:
        at[0] = 80;
        at[1] = 82;
        break;
    case RWKV_DTYPE_Q3_K:
        at[0] = 108;
        break;
    case RWKV_DTYPE_Q6_K:
        at[0] = 208;
        break;
    default:
        break;
    }
}

static void put_half(struct context *ctx, uint8_t *to)
{
    uint16_t h = rw_f32_to_f16((float)rw_rng_normal(&ctx->rng) * 0.01f);
    memcpy(to, &h, sizeof h);
}

void fill_weights(struct context *ctx, rwkv_dtype dtype, uint8_t *to, size_t n, bool hostile)
{
    const struct rw_dtype_info *info = rw_dtype(dtype);
    size_t bytes = n / info->block * info->bytes;
    int at[2];
    if (!hostile && info->block == 1) {
        for (size_t i = 0; i < n; i++) {
            float v = (float)rw_rng_normal(&ctx->rng);
            rw_from_f32(dtype, to + i * info->bytes, &v, 1);
        }
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)rw_rng_u64(&ctx->rng);
    scales_at(dtype, at);
    for (size_t i = 0; !hostile && i < bytes; i += info->bytes)
        for (int j = 0; j < 2; j++)
            if (at[j] >= 0)
                put_half(ctx, to + i + at[j]);
}

void fill_extreme_codes(struct context *ctx, rwkv_dtype dtype, uint8_t *to, size_t n)
{
    static const uint8_t bytes[] = {0x00, 0x7f, 0x80, 0xff};
    const struct rw_dtype_info *info = rw_dtype(dtype);
    const uint8_t byte = bytes[pick(ctx, 0, sizeof bytes - 1)];
    int at[2];
    scales_at(dtype, at);
    for (size_t i = 0; i < n / info->block * info->bytes; i++) {
        int place = (int)(i % info->bytes) & ~1;
        if (place != at[0] && place != at[1])
            to[i] = byte;
    }
}

void fill_underflow(rwkv_dtype dtype, uint8_t *w, float *x, size_t n)
{
    const float small = 0x1p-24f;
    for (size_t i = 0; i < n; i++) {
        rw_from_f32(dtype, w + i * rw_dtype(dtype)->bytes, &small, 1);
        x[i] = -0x1p-149f;
    }
}

bool same_bits(float a, float b)
{
    return rw_f32_to_bits(a) == rw_f32_to_bits(b) || (isnan(a) && isnan(b));
}

float sum_in_lanes(const struct context *ctx, const float *w, const float *x, size_t n)
{
    float lane[16] = {0};
    for (size_t k = 0; k < n; k++) {
        float *acc = &lane[k % ctx->lanes];
        *acc = ctx->fused ? fmaf(w[k], x[k], *acc) : *acc + w[k] * x[k];
    }
    /* The vectors fill up the last step with zeros, which makes -0 of an empty product +0. */
    for (size_t j = n % ctx->lanes; ctx->fused && j && j < ctx->lanes; j++)
        lane[j] += 0.0f;
    for (size_t half = ctx->lanes / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

bool close_enough(double got, double want, double factor, size_t n, double magnitude)
{
    double room = factor * sqrt((double)n) * 0x1p-24 * magnitude + ((double)n + 1) * 0x1p-149;
    return fabs(got - want) <= room;
}

double sum_in_double(const float *w, const float *x, size_t n, double *magnitude)
{
    double sum = 0;
    *magnitude = 0;
    for (size_t k = 0; k < n; k++) {
        double product = (double)w[k] * (double)x[k];
        sum += product;
        *magnitude += fabs(product);
    }
    return sum;
}

double ulps(float got, double want)
{
    int exponent;
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : HUGE_VAL;
    if (isinf(got) || isinf(want))
        return (double)got == want ? 0 : HUGE_VAL;
    frexp(want, &exponent); /* want = m · 2^exponent, ½ ≤ m < 1 */
    exponent = exponent < -125 ? -125 : exponent;
    return fabs((double)got - want) / ldexp(1, exponent - 24);
}
