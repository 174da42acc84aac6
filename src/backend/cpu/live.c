/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights by input channel (kernels.h, products with few live inputs), for one token: what of its
 * inputs is not zero is found once, before threads share the tiles. Where too much is, or no copy
 * by channel has been made, the weight is read as it lies; the result is the same.
 */
#include <string.h>

#include "backend/cpu/cpu_int.h"
#include "base/status.h"

/* The share of a weight's bytes that may be live: reading around zeros costs something itself, and
 * codes of five and six bits take eight by channel. */
#define MOST_BYTES 0.75

static size_t tiles(const struct rw_weight *w)
{
    return (w->rows + RW_TILE_ROWS - 1) / RW_TILE_ROWS;
}

/* Groups of 16 for the types that have them (kernels.h). */
static size_t group_of(rwkv_dtype dtype)
{
    return dtype == RWKV_DTYPE_Q2_K || dtype == RWKV_DTYPE_Q3_K || dtype == RWKV_DTYPE_Q6_K ? 16
                                                                                            : 32;
}

/* Types that are multiplied in a way that has no kernels for this are left alone. */
size_t rw_cpu_channels_bytes(const struct rw_backend *be, const struct rw_weight *w)
{
    const struct rw_backend_cpu *cpu = (const struct rw_backend_cpu *)be;
    if (w->input_major || !cpu->kernels.tile[w->dtype] || rw_cpu_takes_bf16(cpu, w))
        return 0;
    return tiles(w) * cpu->kernels.tile_bytes(w->dtype, w->cols);
}

bool rw_cpu_channels_pay(const struct rw_backend *be, const struct rw_weight *w, uint64_t inputs,
                         uint64_t zeros)
{
    double copy = (double)rw_cpu_channels_bytes(be, w), whole = (double)w->rows * (double)w->stride;
    return (double)(inputs - zeros) * copy < MOST_BYTES * (double)inputs * whole;
}

struct filling {
    struct rw_backend_cpu *cpu;
    const struct rw_weight *w;
    uint8_t *to;
    bool *finite; /* of each thread */
};

static void fill_tile(void *ctx, size_t piece, size_t thread)
{
    const struct filling *f = ctx;
    const struct rw_weight *w = f->w;
    const struct rw_kernels *k = &f->cpu->kernels;
    size_t row = piece * RW_TILE_ROWS;
    if (!k->tile[w->dtype](f->to + piece * k->tile_bytes(w->dtype, w->cols), rw_cpu_row(w, row),
                           RW_MIN(w->rows - row, (size_t)RW_TILE_ROWS), w->cols, w->stride))
        f->finite[thread] = false;
}

bool rw_cpu_channels(struct rw_backend *be, void *to, const struct rw_weight *w)
{
    bool finite[RW_MAX_THREADS];
    memset(finite, true, sizeof finite);
    struct filling f = {rw_cpu(be), w, to, finite};
    rw_pool_each(f.cpu->pool, fill_tile, &f, tiles(w));
    for (size_t i = 0; i < RW_MAX_THREADS; i++)
        if (!finite[i])
            return false;
    return true;
}

/* --- live inputs ------------------------------------------------------------------------------ */

static size_t zero_codes(const int8_t *code, size_t n)
{
    size_t zeros = 0;
    for (size_t i = 0; i < n; i++)
        zeros += code[i] == 0;
    return zeros;
}

static size_t zero_values(const float *x, size_t n)
{
    size_t zeros = 0;
    for (size_t i = 0; i < n; i++)
        zeros += x[i] == 0;
    return zeros;
}

/* The channels from k on whose codes are not zero, as many as 4 divides. */
static size_t live_group(struct rw_live *live, const int8_t *code, size_t k, size_t group)
{
    uint32_t *channel = live->channel + live->n;
    int8_t *to = live->code + live->n;
    size_t n = 0;
    for (size_t i = 0; i < group; i++) {
        channel[n] = (uint32_t)(k + i);
        to[n] = code[k + i];
        n += code[k + i] != 0;
    }
    for (; n == 0 || n % 4 != 0; n++) {
        channel[n] = (uint32_t)k;
        to[n] = 0;
    }
    return n;
}

static void find_live_codes(struct rw_live *live, size_t cols, size_t group)
{
    for (size_t k = 0; k < cols; k += group) {
        size_t n =
            live->dense.scale[k / 32] == 0 ? 0 : live_group(live, live->dense.code, k, group);
        live->count[k / group] = (uint8_t)n;
        live->n += n;
    }
}

static void find_live_values(struct rw_live *live, const float *x, size_t cols)
{
    for (size_t k = 0; k < cols; k++) {
        live->channel[live->n] = (uint32_t)k;
        live->value[live->n] = x[k];
        live->n += x[k] != 0;
    }
}

bool rw_cpu_find_live(struct rw_backend_cpu *cpu, struct rw_live *live, const struct rw_matmul *op,
                      const struct rw_dot_input *dot)
{
    const struct rw_weight *w = op->w;
    struct rw_channels *channels = w->channels;
    if (!channels)
        return false;
    size_t zeros = dot->code ? zero_codes(dot->code, w->cols) : zero_values(op->x, w->cols);
    channels->inputs += w->cols;
    channels->zeros += zeros;
    if (!channels->tiles || !rw_cpu_channels_pay(&cpu->base, w, w->cols, zeros))
        return false;
    *live = cpu->live;
    live->dense = *dot;
    if (dot->code)
        find_live_codes(live, w->cols, group_of(w->dtype));
    else
        find_live_values(live, op->x, w->cols);
    for (size_t i = 0; i < RW_LIVE_AHEAD; i++)
        live->channel[live->n + i] = 0;
    return true;
}

void rw_cpu_multiply_live(const struct rw_backend_cpu *cpu, float *y, const struct rw_live *live,
                          const struct rw_matmul *op, size_t row)
{
    const struct rw_kernels *k = &cpu->kernels;
    const struct rw_weight *w = op->w;
    const uint8_t *tile = w->channels->tiles;
    tile += row / RW_TILE_ROWS * k->tile_bytes(w->dtype, w->cols);
    k->matvec_live[w->dtype](y, live, tile, w->cols);
    for (size_t r = 0; r < RW_TILE_ROWS && row + r < w->rows; r++) {
        if (y[r] != 0)
            continue; /* a zero, whose sign is to be seen to */
        if (live->dense.code)
            k->matvec_dot[w->dtype](y + r, &live->dense, rw_cpu_row(w, row + r), 1, w->cols,
                                    w->stride);
        else
            k->matvec[w->dtype](y + r, op->x, rw_cpu_row(w, row + r), 1, w->cols, w->stride);
    }
}
