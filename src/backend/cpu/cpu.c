/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU as a backend: owns the thread pool, the table of kernels and each thread's scratch.
 * Memory is ordinary memory, so weights are used where the file is mapped.
 */
#include <stdint.h>
#include <string.h>

#include "backend/cpu/cpu_int.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/status.h"
#include "tensor/dtype.h"

static void free_inputs(struct rw_backend_cpu *cpu)
{
    rw_free(cpu->rounded);
    rw_free(cpu->dot.code);
    rw_free(cpu->dot.scale);
    rw_free(cpu->dot.sum);
    rw_free(cpu->live.channel);
    rw_free(cpu->live.code);
    rw_free(cpu->live.count);
    rw_free(cpu->live.value);
}

static void cpu_free(struct rw_backend *be)
{
    struct rw_backend_cpu *cpu = rw_cpu(be);
    rw_pool_free(cpu->pool);
    free_inputs(cpu);
    rw_free(cpu->scratch);
    rw_cpu_backward_free(cpu);
    rw_free(cpu);
}

/* A tile of outputs [tokens, panel rows]; with it go the sums of each of its outputs. */
static size_t tile_floats(size_t tokens)
{
    return RW_MIN(tokens, (size_t)RW_CPU_TOKENS) * RW_CPU_PANEL_ROWS;
}

static size_t scratch_floats(size_t tokens)
{
    return tile_floats(tokens) * (1 + RW_CPU_LANES) + RW_CPU_PANEL_ROWS * RW_CPU_PANEL_COLS;
}

/* Inputs of the widest product in BF16; several narrower ones share them. */
static size_t rounded_size(const struct rw_backend_cpu *cpu, size_t tokens, size_t max_cols)
{
    return cpu->kernels.round_bf16 ? tokens * max_cols : 0;
}

/* The same for products in integers. */
static size_t dot_size(const struct rw_backend_cpu *cpu, size_t tokens, size_t max_cols)
{
    return cpu->kernels.quantize ? tokens * max_cols : 0;
}

static size_t dot_bytes(size_t size)
{
    return size + size / 32 * sizeof(float) + size / 16 * sizeof(int32_t);
}

/* Live inputs of the widest product; to a group of 16 at most. */
static size_t live_bytes(size_t max_cols)
{
    return (max_cols + RW_LIVE_AHEAD) * sizeof(uint32_t) + max_cols * (1 + sizeof(float)) +
           max_cols / 16;
}

static size_t cpu_scratch_bytes(const struct rw_backend *be, size_t tokens, size_t max_cols)
{
    const struct rw_backend_cpu *cpu = (const struct rw_backend_cpu *)be;
    return be->threads * scratch_floats(tokens) * sizeof(float) +
           rounded_size(cpu, tokens, max_cols) * sizeof *cpu->rounded +
           dot_bytes(dot_size(cpu, tokens, max_cols)) + live_bytes(max_cols);
}

static rwkv_status cpu_prepare(struct rw_backend *be, size_t tokens, size_t max_cols,
                               rwkv_error *err)
{
    struct rw_backend_cpu *cpu = rw_cpu(be);
    rw_free(cpu->scratch);
    free_inputs(cpu);
    cpu->tile_floats = tile_floats(tokens);
    cpu->scratch_floats = scratch_floats(tokens);
    cpu->rounded_size = rounded_size(cpu, tokens, max_cols);
    cpu->scratch = rw_alloc_aligned(be->threads * cpu->scratch_floats, sizeof(float));
    cpu->rounded = rw_alloc_aligned(cpu->rounded_size, sizeof *cpu->rounded);
    cpu->dot_size = dot_size(cpu, tokens, max_cols);
    cpu->dot.code = rw_alloc_aligned(cpu->dot_size, 1);
    cpu->dot.scale = rw_alloc_aligned(cpu->dot_size / 32, sizeof *cpu->dot.scale);
    cpu->dot.sum = rw_alloc_aligned(cpu->dot_size / 16, sizeof *cpu->dot.sum);
    cpu->live.channel = rw_alloc_aligned(max_cols + RW_LIVE_AHEAD, sizeof *cpu->live.channel);
    cpu->live.code = rw_alloc_aligned(max_cols, 1);
    cpu->live.count = rw_alloc_aligned(max_cols / 16, 1);
    cpu->live.value = rw_alloc_aligned(max_cols, sizeof *cpu->live.value);
    if (!cpu->scratch || !cpu->rounded || !cpu->dot.code || !cpu->dot.scale || !cpu->dot.sum ||
        !cpu->live.channel || !cpu->live.code || !cpu->live.count || !cpu->live.value)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu bytes of scratch",
                       cpu_scratch_bytes(be, tokens, max_cols));
    return RWKV_OK;
}

static float *cpu_alloc(struct rw_backend *be, size_t floats)
{
    (void)be;
    float *p = rw_alloc_aligned(floats, sizeof(float));
    if (p)
        memset(p, 0, floats * sizeof(float));
    return p;
}

static void cpu_release(struct rw_backend *be, float *p)
{
    (void)be;
    rw_free(p);
}

static void cpu_clear(struct rw_backend *be, float *p, size_t floats)
{
    (void)be;
    memset(p, 0, floats * sizeof(float));
}

static void cpu_copy(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    (void)be;
    memcpy(to, from, floats * sizeof(float));
}

struct rows_job {
    float *const *to;
    const float *from;
    size_t floats;
};

static void copy_row(void *ctx, size_t row, size_t thread)
{
    (void)thread;
    const struct rows_job *job = ctx;
    memcpy(job->to[row], job->from + row * job->floats, job->floats * sizeof(float));
}

static void cpu_copy_rows(struct rw_backend *be, float *const *to, const float *from, size_t rows,
                          size_t floats)
{
    rw_pool_each(rw_cpu(be)->pool, copy_row, &(struct rows_job){to, from, floats}, rows);
}

static void cpu_embed(struct rw_backend *be, float *x, const struct rw_weight *table,
                      const int32_t *tokens, size_t n_tokens)
{
    const struct rw_kernels *k = &rw_cpu(be)->kernels;
    for (size_t t = 0; t < n_tokens; t++) {
        const uint8_t *row = rw_cpu_row(table, (size_t)tokens[t]);
        if (table->input_major)
            k->unpack_t[table->dtype](x + t * table->cols, row, 1, table->cols, table->cols,
                                      table->stride);
        else
            k->unpack[table->dtype](x + t * table->cols, row, table->cols);
    }
}

static void cpu_layer_norm(struct rw_backend *be, float *y, const float *x, const float *weight,
                           const float *bias, float eps, size_t n_tokens, size_t channels)
{
    for (size_t t = 0; t < n_tokens; t++)
        rw_cpu(be)->kernels.layer_norm(y + t * channels, x + t * channels, weight, bias, eps,
                                       channels);
}

#define NORM_TOKENS 8 /* rows of a piece of work */

struct norm_mix_job {
    struct rw_backend_cpu *cpu;
    const struct rw_norm_mix *op;
    const struct rw_batch *batch;
};

static void norm_piece(void *ctx, size_t piece, size_t thread)
{
    const struct norm_mix_job *job = ctx;
    const struct rw_norm_mix *op = job->op;
    size_t c = op->channels, begin = piece * NORM_TOKENS;
    size_t end = RW_MIN(begin + NORM_TOKENS, job->batch->tokens);
    for (size_t t = begin; t < end; t++)
        job->cpu->kernels.layer_norm(op->norm + t * c, op->x + t * c, op->weight, op->bias, op->eps,
                                     c);
}

static void mix_row(const struct norm_mix_job *job, size_t t, const float *prev)
{
    const struct rw_norm_mix *op = job->op;
    float *out[8];
    for (size_t i = 0; i < op->n_mix; i++)
        out[i] = op->out[i] + t * op->channels;
    job->cpu->kernels.mix(out, op->norm + t * op->channels, prev, op->mu, op->n_mix, op->channels);
}

/* The first span that ends after row t. */
static const struct rw_span *span_of(const struct rw_batch *batch, size_t t)
{
    size_t low = 0, high = batch->n_spans;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (batch->spans[middle].first + batch->spans[middle].count <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return &batch->spans[low];
}

static void mix_piece(void *ctx, size_t piece, size_t thread)
{
    const struct norm_mix_job *job = ctx;
    const struct rw_norm_mix *op = job->op;
    size_t begin = piece * NORM_TOKENS;
    size_t end = RW_MIN(begin + NORM_TOKENS, job->batch->tokens);
    const struct rw_span *span = span_of(job->batch, begin);
    for (size_t t = begin; t < end; t++) {
        while (t >= span->first + span->count)
            span++;
        mix_row(job, t,
                t == span->first ? span->state + op->shift : op->norm + (t - 1) * op->channels);
    }
}

/* The pieces of one token are one, which the caller does without waking anyone. */
static void cpu_norm_mix(struct rw_backend *be, const struct rw_norm_mix *op,
                         const struct rw_batch *batch)
{
    struct norm_mix_job job = {rw_cpu(be), op, batch};
    size_t pieces = (batch->tokens + NORM_TOKENS - 1) / NORM_TOKENS;
    rw_pool_each(job.cpu->pool, norm_piece, &job, pieces);
    rw_pool_each(job.cpu->pool, mix_piece, &job, pieces);
    for (size_t s = 0; s < batch->n_spans; s++) {
        const struct rw_span *span = &batch->spans[s];
        memcpy(span->state + op->shift, op->norm + (span->first + span->count - 1) * op->channels,
               op->channels * sizeof(float));
    }
}

static void cpu_each(struct rw_backend *be, rw_pool_piece_fn fn, void *ctx, size_t pieces)
{
    rw_pool_each(((struct rw_backend_cpu *)be)->pool, fn, ctx, pieces);
}

static const struct rw_backend_ops cpu_ops = {
    .name = "cpu",
    .host_memory = true,
    .free = cpu_free,
    .scratch_bytes = cpu_scratch_bytes,
    .prepare = cpu_prepare,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .clear = cpu_clear,
    .copy = cpu_copy,
    .upload = cpu_copy,
    .download = cpu_copy,
    .download_rows = cpu_copy_rows,
    .embed = cpu_embed,
    .layer_norm = cpu_layer_norm,
    .norm_mix = cpu_norm_mix,
    .matmul = rw_cpu_matmul,
    .packed_bytes = rw_cpu_packed_bytes,
    .pack = rw_cpu_pack,
    .channels_bytes = rw_cpu_channels_bytes,
    .channels_pay = rw_cpu_channels_pay,
    .channels = rw_cpu_channels,
    .wkv7 = rw_cpu_wkv7,
    .each = cpu_each,
    .backward = &rw_cpu_backward_ops,
    .measure = rw_cpu_measure,
};

rwkv_status rw_backend_cpu_new(struct rw_backend **out, size_t threads, unsigned cpu_mask,
                               rwkv_error *err)
{
    if (threads == 0)
        threads = rw_pool_default_threads();
    struct rw_backend_cpu *cpu = rw_calloc(1, sizeof *cpu);
    if (!cpu)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a backend");
    cpu->pool = rw_pool_new(threads);
    if (!cpu->pool) {
        rw_free(cpu);
        return rw_fail(err, RWKV_ERROR_MEMORY, "cannot start %zu threads", threads);
    }
    rw_kernels_init(&cpu->kernels, cpu_mask);
    cpu->base = (struct rw_backend){&cpu_ops, rw_cpu_name(cpu_mask), threads};
    *out = &cpu->base;
    return RWKV_OK;
}
