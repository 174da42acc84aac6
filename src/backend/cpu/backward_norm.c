/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back through norms and the token shift, a slice of tokens at a time: first threads share its
 * tokens, each row of which makes derivatives by x; then its channels, for the parameters' sums
 * over tokens.
 */
#include <string.h>

#include "backend/cpu/cpu_int.h"
#include "base/status.h"

#define TOKENS ((size_t)8)    /* of a piece of work */
#define CHANNELS ((size_t)64) /* the same */
#define MAX_MIX 8

struct job {
    struct rw_backend_cpu *cpu;
    float *dx, *dweight, *dbias;
    const float *dy; /* without a token shift */
    const float *x, *weight;
    float eps;
    size_t channels;
    const struct rw_norm_mix_backward *mix; /* NULL: no token shift */
    const struct rw_grad_batch *batch;
    size_t begin, end; /* the slice */
};

/* The first span that ends after row t. */
static const struct rw_grad_span *span_of(const struct rw_grad_batch *batch, size_t t)
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

static float *norm_row(const struct job *job, size_t t)
{
    return job->cpu->backward.rows + (t - job->begin) * job->channels;
}

static void mix_row(const struct job *job, float *own, float *carry, size_t t)
{
    const struct rw_norm_mix_backward *op = job->mix;
    const float *dout[MAX_MIX];
    for (size_t i = 0; i < op->n_mix; i++)
        dout[i] = op->dout[i] + t * op->channels;
    job->cpu->kernels.mix_backward(own, carry, dout, op->mu, op->n_mix, op->channels);
}

/* Derivatives by the norms of rows [begin, end), last row first: each gets from its own outputs and
 * from those of the next row, or what the state left behind has for it. */
static void by_norms(const struct job *job, size_t begin, size_t end, float *scratch)
{
    const struct rw_kernels *k = &job->cpu->kernels;
    size_t c = job->channels;
    const struct rw_grad_span *span = span_of(job->batch, end - 1);
    float *next = scratch, *now = scratch + c;
    if (end < span->first + span->count)
        mix_row(job, now, next, end); /* its own part is another piece's */
    for (size_t t = end; t-- > begin;) {
        while (t < span->first)
            span--;
        float *row = norm_row(job, t);
        mix_row(job, row, now, t);
        if (t + 1 < span->first + span->count)
            k->add(row, next, c);
        else if (span->dstate)
            k->add(row, span->dstate + job->mix->shift, c);
        float *swap = next;
        next = now;
        now = swap;
    }
}

static void tokens_piece(void *ctx, size_t piece, size_t thread)
{
    const struct job *job = ctx;
    size_t c = job->channels, begin = job->begin + piece * TOKENS;
    size_t end = RW_MIN(begin + TOKENS, job->end);
    if (job->mix)
        by_norms(job, begin, end, rw_cpu_thread_scratch(job->cpu, thread));
    else
        memcpy(norm_row(job, begin), job->dy + begin * c, (end - begin) * c * sizeof(float));
    for (size_t t = begin; t < end; t++)
        job->cpu->kernels.layer_norm_backward(
            job->dx + t * c, job->cpu->backward.stats + 2 * (t - job->begin), norm_row(job, t),
            job->x + t * c, job->weight, job->eps, job->mix != NULL, c);
}

/* Shares of one row in channels [c, c + n) of dmu. */
static void mix_weights(const struct job *job, size_t t, const float *prev, size_t c, size_t n)
{
    const struct rw_norm_mix_backward *op = job->mix;
    const float *dout[MAX_MIX];
    float *dmu[MAX_MIX];
    for (size_t i = 0; i < op->n_mix; i++) {
        dout[i] = op->dout[i] + t * op->channels + c;
        dmu[i] = op->dmu[i] + c;
    }
    job->cpu->kernels.mix_weights(dmu, dout, op->norm + t * op->channels + c, prev + c, op->n_mix,
                                  n);
}

static void channels_piece(void *ctx, size_t piece, size_t thread)
{
    const struct job *job = ctx;
    size_t c = piece * CHANNELS, n = RW_MIN(job->channels - c, CHANNELS);
    const struct rw_grad_span *span = job->mix ? span_of(job->batch, job->begin) : NULL;
    for (size_t t = job->begin; t < job->end; t++) {
        job->cpu->kernels.norm_weights(job->dweight + c, job->dbias + c, norm_row(job, t) + c,
                                       job->x + t * job->channels + c,
                                       job->cpu->backward.stats + 2 * (t - job->begin), n);
        if (!job->mix)
            continue;
        while (t >= span->first + span->count)
            span++;
        mix_weights(job, t,
                    t == span->first ? span->initial + job->mix->shift
                                     : job->mix->norm + (t - 1) * job->channels,
                    c, n);
    }
}

static void run(struct job *job, size_t n_tokens)
{
    for (job->begin = 0; job->begin < n_tokens; job->begin = job->end) {
        job->end = RW_MIN(job->begin + (size_t)RW_CPU_NORM_SLICE, n_tokens);
        rw_pool_each(job->cpu->pool, tokens_piece, job,
                     (job->end - job->begin + TOKENS - 1) / TOKENS);
        rw_pool_each(job->cpu->pool, channels_piece, job,
                     (job->channels + CHANNELS - 1) / CHANNELS);
    }
}

/* What the states get is written when all of what they held has been read. */
void rw_cpu_norm_mix_backward(struct rw_backend *be, const struct rw_norm_mix_backward *op,
                              const struct rw_grad_batch *batch)
{
    struct job job = {
        .cpu = rw_cpu(be),
        .dx = op->dx,
        .dweight = op->dweight,
        .dbias = op->dbias,
        .x = op->x,
        .weight = op->weight,
        .eps = op->eps,
        .channels = op->channels,
        .mix = op,
        .batch = batch,
    };
    run(&job, batch->tokens);
    for (size_t s = 0; s < batch->n_spans; s++)
        if (batch->spans[s].dstate)
            mix_row(&job, rw_cpu_thread_scratch(job.cpu, 0), batch->spans[s].dstate + op->shift,
                    batch->spans[s].first);
}

void rw_cpu_layer_norm_backward(struct rw_backend *be, float *dx, float *dweight, float *dbias,
                                const float *dy, const float *x, const float *weight, float eps,
                                size_t n_tokens, size_t channels)
{
    struct job job = {
        .cpu = rw_cpu(be),
        .dx = dx,
        .dweight = dweight,
        .dbias = dbias,
        .dy = dy,
        .x = x,
        .weight = weight,
        .eps = eps,
        .channels = channels,
    };
    run(&job, n_tokens);
}
