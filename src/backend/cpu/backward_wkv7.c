/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back through the time mix between its products. Threads share the heads of all sequences. A head
 * of a sequence runs forward once more, with the state of every RW_WKV7_CHUNK tokens kept in the
 * thread's scratch; what went into the recurrence and came out waits where the derivatives go.
 * Then chunks are gone through from the last, each token's share of the parameters' derivatives is
 * left in `terms`, and at the end threads share channels to add those up in the order of tokens.
 */
#include <string.h>

#include "backend/cpu/cpu_int.h"
#include "base/status.h"

#define CHUNK ((size_t)RW_WKV7_CHUNK)
#define CHANNELS ((size_t)64) /* of a piece of the sums */

enum { TERM_K_K, TERM_K_A, TERM_R_K, TERM_WEIGHT, TERM_BIAS };

/* What waits until a chunk is gone through. */
#define WAITING_B TERM_K_K
#define WAITING_Y TERM_K_A

/* Rows [chunk, N] of the derivatives inside a chunk. */
enum { DY, DR, DW, DK, DV, DA, DB, N_INSIDE };

struct job {
    const struct rw_backend_cpu *cpu;
    const struct rw_wkv7_backward *op;
    const struct rw_grad_batch *batch;
};

/* One head of one sequence. */
struct head {
    const struct rw_kernels *kernels;
    const struct rw_wkv7_backward *op;
    const struct rw_grad_span *span;
    size_t c;      /* its first channel */
    size_t n, ld;  /* N, C */
    float *states; /* [chunks, N, N], and where the forward pass goes on */
    float *G;      /* [N, N], unless the caller wants it */
    float *inside; /* [N_INSIDE, chunk, N] */
    float *work;   /* of the kernel */
};

static size_t chunks(size_t tokens)
{
    return (tokens + CHUNK - 1) / CHUNK;
}

size_t rw_cpu_wkv7_scratch(size_t tokens, size_t n)
{
    return (chunks(tokens) + 2) * n * n + N_INSIDE * CHUNK * n + RW_WKV7_WORK(n);
}

/* --- memory ------------------------------------------------------------------------------------
 *
 * Rows of a head are far apart, and no processor guesses where the next one is: they are fetched to
 * the second cache while others are worked on.
 */
#define AHEAD ((size_t)8) /* tokens */

static void fetch(const float *const *arrays, size_t n_arrays, size_t at, size_t n)
{
    for (size_t i = 0; i < n_arrays; i++)
        for (size_t line = 0; arrays[i] && line < n; line += 16)
            __builtin_prefetch(arrays[i] + at + line, 0, 2);
}

/* What the forward pass reads and writes of a token. */
static void fetch_forward(const struct rw_wkv7_backward *op, size_t at, size_t n)
{
    const float *const arrays[] = {op->r,
                                   op->w,
                                   op->k,
                                   op->v,
                                   op->a,
                                   op->v_first,
                                   op->v_gate,
                                   op->dw,
                                   op->dk,
                                   op->dv,
                                   op->da,
                                   op->terms[WAITING_B],
                                   op->terms[WAITING_Y]};
    fetch(arrays, RW_COUNT(arrays), at, n);
}

/* The same of the way back. */
static void fetch_back(const struct rw_wkv7_backward *op, size_t at, size_t n)
{
    const float *const arrays[] = {
        op->r,        op->w,        op->k,        op->v,        op->a,        op->g,
        op->dr,       op->dw,       op->dk,       op->dv,       op->da,       op->dg,
        op->terms[0], op->terms[1], op->terms[2], op->terms[3], op->terms[4], op->dout,
        op->v_first,  op->v_gate,   op->dv_first, op->dv_gate};
    fetch(arrays, RW_COUNT(arrays), at, n);
}

/* --- forward -----------------------------------------------------------------------------------
 */

static size_t row_of(const struct head *h, size_t t)
{
    return (h->span->first + t) * h->ld + h->c;
}

static void inputs(const struct head *h, size_t at)
{
    const struct rw_wkv7_backward *op = h->op;
    size_t bytes = h->n * sizeof(float), c = h->c;
    memcpy(op->dw + at, op->w + at, bytes);
    memcpy(op->da + at, op->a + at, bytes);
    memcpy(op->dk + at, op->k + at, bytes);
    memcpy(op->dv + at, op->v + at, bytes);
    struct rw_wkv7_head head = {
        .w = op->dw + at,
        .a = op->da + at,
        .b = op->terms[WAITING_B] + at,
        .k = op->dk + at,
        .v = op->dv + at,
        .v_first = op->v_first ? op->v_first + at : NULL,
        .gate = op->v_gate ? op->v_gate + at : NULL,
        .w0 = op->w0 + c,
        .a0 = op->a0 + c,
        .v0 = op->v0 ? op->v0 + c : NULL,
        .k_k = op->k_k + c,
        .k_a = op->k_a + c,
    };
    h->kernels->wkv7_inputs(&head, h->n);
}

static void run_forward(const struct head *h)
{
    const struct rw_wkv7_backward *op = h->op;
    size_t n = h->n, square = n * n;
    float *S = h->states;
    memcpy(S, h->span->initial + op->state + h->c * n, square * sizeof *S);
    for (size_t t = 0; t < h->span->count; t += CHUNK, S += square) {
        size_t count = RW_MIN(h->span->count - t, CHUNK), at = row_of(h, t);
        for (size_t i = 0; i < count; i++) {
            if (t + i + AHEAD < h->span->count)
                fetch_forward(op, at + (i + AHEAD) * h->ld, n);
            inputs(h, at + i * h->ld);
        }
        memcpy(S + square, S, square * sizeof *S);
        h->kernels->wkv7(op->terms[WAITING_Y] + at, S + square, op->r + at, op->dw + at,
                         op->dk + at, op->dv + at, op->da + at, op->terms[WAITING_B] + at, count,
                         h->ld, n);
    }
}

/* --- back --------------------------------------------------------------------------------------
 */

static float *inside(const struct head *h, size_t what, size_t i)
{
    return h->inside + (what * CHUNK + i) * h->n;
}

static void output_back(const struct head *h, size_t i, size_t at)
{
    const struct rw_wkv7_backward *op = h->op;
    const struct rw_wkv7_output_backward back = {
        .dy = inside(h, DY, i),
        .dr = inside(h, DR, i),
        .dk = inside(h, DK, i),
        .dv = inside(h, DV, i),
        .dg = op->dg + at,
        .dr_k = op->terms[TERM_R_K] + at,
        .dweight = op->terms[TERM_WEIGHT] + at,
        .dbias = op->terms[TERM_BIAS] + at,
        .dout = op->dout + at,
        .y = op->terms[WAITING_Y] + at,
        .r = op->r + at,
        .k = op->dk + at,
        .v = op->dv + at,
        .g = op->g + at,
        .r_k = op->r_k + h->c,
        .weight = op->norm_weight + h->c,
        .bias = op->norm_bias + h->c,
    };
    h->kernels->wkv7_output_backward(&back, op->eps, h->n);
}

/* The derivatives inside move to where the caller wants them, and back through the inputs. */
static void inputs_back(const struct head *h, size_t i, size_t at)
{
    const struct rw_wkv7_backward *op = h->op;
    size_t bytes = h->n * sizeof(float), c = h->c;
    memcpy(op->dr + at, inside(h, DR, i), bytes);
    memcpy(op->dw + at, inside(h, DW, i), bytes);
    memcpy(op->dk + at, inside(h, DK, i), bytes);
    memcpy(op->dv + at, inside(h, DV, i), bytes);
    memcpy(op->da + at, inside(h, DA, i), bytes);
    const struct rw_wkv7_inputs_backward back = {
        .dw = op->dw + at,
        .da = op->da + at,
        .dk = op->dk + at,
        .dv = op->dv + at,
        .dv_first = op->v_first ? op->dv_first + at : NULL,
        .dgate = op->v_first ? op->dv_gate + at : NULL,
        .dk_k = op->terms[TERM_K_K] + at,
        .dk_a = op->terms[TERM_K_A] + at,
        .db = inside(h, DB, i),
        .w = op->w + at,
        .a = op->a + at,
        .k = op->k + at,
        .v = op->v + at,
        .v_first = op->v_first ? op->v_first + at : NULL,
        .gate = op->v_first ? op->v_gate + at : NULL,
        .w0 = op->w0 + c,
        .a0 = op->a0 + c,
        .v0 = op->v_first ? op->v0 + c : NULL,
        .k_k = op->k_k + c,
        .k_a = op->k_a + c,
    };
    h->kernels->wkv7_inputs_backward(&back, h->n);
}

static void chunk_back(const struct head *h, float *G, const float *S, size_t t, size_t count)
{
    const struct rw_wkv7_backward *op = h->op;
    size_t at = row_of(h, t);
    for (size_t i = 0; i < count; i++) {
        if (t > 0) /* the same of the chunk before, which is whole */
            fetch_back(op, at + i * h->ld - CHUNK * h->ld, h->n);
        output_back(h, i, at + i * h->ld);
    }
    const struct rw_wkv7_chunk chunk = {
        .dr = inside(h, DR, 0),
        .dw = inside(h, DW, 0),
        .dk = inside(h, DK, 0),
        .dv = inside(h, DV, 0),
        .da = inside(h, DA, 0),
        .db = inside(h, DB, 0),
        .dy = inside(h, DY, 0),
        .r = op->r + at,
        .w = op->dw + at,
        .k = op->dk + at,
        .v = op->dv + at,
        .a = op->da + at,
        .b = op->terms[WAITING_B] + at,
        .tokens = count,
        .ld = h->ld,
    };
    h->kernels->wkv7_backward(&chunk, G, h->work, S, h->n);
    for (size_t i = 0; i < count; i++)
        inputs_back(h, i, at + i * h->ld);
}

static void run_back(const struct head *h)
{
    size_t square = h->n * h->n, n_chunks = chunks(h->span->count);
    float *G = h->G;
    if (h->span->dstate)
        G = h->span->dstate + h->op->state + h->c * h->n;
    else
        memset(G, 0, square * sizeof *G);
    for (size_t i = n_chunks; i-- > 0;)
        chunk_back(h, G, h->states + i * square, i * CHUNK,
                   RW_MIN(h->span->count - i * CHUNK, CHUNK));
}

static void head_piece(void *ctx, size_t piece, size_t thread)
{
    const struct job *job = ctx;
    const struct rw_wkv7_backward *op = job->op;
    struct head h = {
        .kernels = &job->cpu->kernels,
        .op = op,
        .span = &job->batch->spans[piece / op->heads],
        .c = piece % op->heads * op->head_size,
        .n = op->head_size,
        .ld = op->heads * op->head_size,
        .G = rw_cpu_thread_scratch(job->cpu, thread),
    };
    h.inside = h.G + h.n * h.n;
    h.work = h.inside + N_INSIDE * CHUNK * h.n;
    h.states = h.work + RW_WKV7_WORK(h.n);
    run_forward(&h);
    run_back(&h);
}

/* --- the parameters ----------------------------------------------------------------------------
 */

static void sums_piece(void *ctx, size_t piece, size_t thread)
{
    const struct job *job = ctx;
    const struct rw_wkv7_backward *op = job->op;
    const struct {
        float *sum;
        const float *terms;
    } sums[] = {
        {op->dw0, op->dw},
        {op->da0, op->da},
        {op->dk_k, op->terms[TERM_K_K]},
        {op->dk_a, op->terms[TERM_K_A]},
        {op->dr_k, op->terms[TERM_R_K]},
        {op->dnorm_weight, op->terms[TERM_WEIGHT]},
        {op->dnorm_bias, op->terms[TERM_BIAS]},
        {op->dv0, op->dv_gate},
    };
    size_t channels = op->heads * op->head_size;
    size_t c = piece * CHANNELS, n = RW_MIN(channels - c, CHANNELS);
    for (size_t i = 0; i < RW_COUNT(sums) - !op->v_first; i++)
        for (size_t t = 0; t < job->batch->tokens; t++)
            job->cpu->kernels.add(sums[i].sum + c, sums[i].terms + t * channels + c, n);
}

void rw_cpu_wkv7_backward(struct rw_backend *be, const struct rw_wkv7_backward *op,
                          const struct rw_grad_batch *batch)
{
    struct job job = {rw_cpu(be), op, batch};
    rw_pool_each(rw_cpu(be)->pool, head_piece, &job, batch->n_spans * op->heads);
    rw_pool_each(rw_cpu(be)->pool, sums_piece, &job,
                 (op->heads * op->head_size + CHANNELS - 1) / CHANNELS);
}
