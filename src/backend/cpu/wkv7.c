/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time mix between its products: threads share the heads of all sequences. A head of a sequence
 * is one piece of work, run over all of its tokens, so its state stays in one core's cache.
 */
#include <assert.h>

#include "backend/cpu/cpu_int.h"
#include "base/status.h"

#define TOKENS ((size_t)64) /* gone through at a time */

static_assert(RW_MAX_HEAD_SIZE <= RW_WKV7_MAX_HEAD, "kernels take every head size");

struct job {
    struct rw_backend_cpu *cpu;
    const struct rw_wkv7 *op;
    const struct rw_batch *batch;
};

static void run_inputs(const struct rw_kernels *k, const struct rw_wkv7 *op, size_t at, size_t c)
{
    struct rw_wkv7_head head = {
        .w = op->w + at,
        .a = op->a + at,
        .b = op->b + at,
        .k = op->k + at,
        .v = op->v + at,
        .v_first = op->v_first ? op->v_first + at : NULL,
        .gate = op->v_gate ? op->v_gate + at : NULL,
        .w0 = op->w0 + c,
        .a0 = op->a0 + c,
        .v0 = op->v0 ? op->v0 + c : NULL,
        .k_k = op->k_k + c,
        .k_a = op->k_a + c,
    };
    k->wkv7_inputs(&head, op->head_size);
}

/* `count` tokens, whose first row is at `first`. */
static void run_tokens(const struct rw_kernels *k, const struct rw_wkv7 *op, float *S, size_t first,
                       size_t count, size_t c)
{
    size_t n = op->head_size, channels = op->heads * n;
    for (size_t t = 0; t < count; t++)
        run_inputs(k, op, first + t * channels, c);
    k->wkv7(op->y + first, S, op->r + first, op->w + first, op->k + first, op->v + first,
            op->a + first, op->b + first, count, channels, n);
    for (size_t t = 0; t < count; t++) {
        size_t at = first + t * channels;
        k->wkv7_output(op->out + at, op->y + at, op->r + at, op->k + at, op->v + at, op->g + at,
                       op->r_k + c, op->norm_weight + c, op->norm_bias + c, op->eps, n);
    }
}

/* Rows of a head are far apart: what one step of a token leaves is still in the second cache for
 * the next one if there are not too many. */
static void run_head(const struct rw_kernels *k, const struct rw_wkv7 *op,
                     const struct rw_span *span, size_t h)
{
    size_t n = op->head_size, channels = op->heads * n;
    float *S = span->state + op->state + h * n * n;
    for (size_t t = 0; t < span->count; t += TOKENS)
        run_tokens(k, op, S, (span->first + t) * channels + h * n, RW_MIN(span->count - t, TOKENS),
                   h * n);
}

static void one_head(void *ctx, size_t piece, size_t thread)
{
    const struct job *job = ctx;
    size_t heads = job->op->heads;
    run_head(&job->cpu->kernels, job->op, &job->batch->spans[piece / heads], piece % heads);
}

void rw_cpu_wkv7(struct rw_backend *be, const struct rw_wkv7 *op, const struct rw_batch *batch)
{
    struct job job = {rw_cpu(be), op, batch};
    rw_pool_each(job.cpu->pool, one_head, &job, batch->n_spans * op->heads);
}
