/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of activations with weights. Threads share the output rows of every product in the list;
 * sums are never split, so neither the number of threads nor the cut into panels shows in a bit.
 * One token reads the weight where it lies; several tokens unpack a panel of rows to f32 first,
 * which gives the same values in the same order of summation (kernels.h).
 */
#include <stdint.h>

#include "backend/cpu/cpu_int.h"
#include "base/status.h"
#include "tensor/dtype.h"

struct job {
    struct rw_backend_cpu *cpu;
    const struct rw_matmul *ops;
    size_t n_ops;
    size_t n_tokens;
};

static void finish(const struct rw_kernels *k, enum rw_epilogue epilogue, float *y, size_t n)
{
    if (epilogue == RW_TANH)
        k->tanh(y, n);
    else if (epilogue == RW_SIGMOID)
        k->sigmoid(y, n);
    else if (epilogue == RW_RELU2)
        k->relu2(y, n);
}

/* Outputs [begin, end) of one product for one token. */
static void one_token(struct job *job, const struct rw_matmul *op, float *tile, size_t begin,
                      size_t end)
{
    const struct rw_kernels *k = &job->cpu->kernels;
    const struct rw_weight *w = op->w;
    for (size_t r = begin; r < end; r += RW_CPU_PANEL_ROWS) {
        size_t n = RW_MIN(end - r, (size_t)RW_CPU_PANEL_ROWS);
        float *y = op->epilogue == RW_ADD ? tile : op->y + r;
        if (w->input_major)
            k->matvec_t[w->dtype](y, op->x, rw_cpu_row(w, r), n, w->cols, w->stride);
        else
            k->matvec[w->dtype](y, op->x, rw_cpu_row(w, r), n, w->cols, w->stride);
        if (op->epilogue == RW_ADD)
            k->add(op->y + r, tile, n);
        else
            finish(k, op->epilogue, y, n);
    }
}

/* Rows [r, r + n) as f32: in place where they already are, else unpacked into the panel. */
static const float *panel_of(const struct rw_kernels *k, const struct rw_weight *w, size_t r,
                             size_t n, float *panel, size_t *ld)
{
    const uint8_t *from = rw_cpu_row(w, r);
    *ld = w->cols;
    if (w->input_major) {
        k->unpack_t[w->dtype](panel, from, n, w->cols, w->cols, w->stride);
        return panel;
    }
    if (w->dtype == RWKV_DTYPE_F32 && ((uintptr_t)from | w->stride) % sizeof(float) == 0) {
        *ld = w->stride / sizeof(float);
        return (const float *)(const void *)from;
    }
    for (size_t i = 0; i < n; i++)
        k->unpack[w->dtype](panel + i * w->cols, from + i * w->stride, w->cols);
    return panel;
}

/* Outputs [begin, end) of one product for all tokens. */
static void many_tokens(struct job *job, const struct rw_matmul *op, float *tile, float *panel,
                        size_t begin, size_t end)
{
    const struct rw_kernels *k = &job->cpu->kernels;
    const struct rw_weight *w = op->w;
    size_t tokens = job->n_tokens;
    size_t step = rw_cpu_panel_rows(w->cols);
    for (size_t r = begin; r < end; r += step) {
        size_t n = RW_MIN(end - r, step);
        size_t ld;
        const float *rows = panel_of(k, w, r, n, panel, &ld);
        if (op->epilogue == RW_ADD) {
            k->matmul(tile, op->x, rows, tokens, n, w->cols, n, w->cols, ld);
            for (size_t t = 0; t < tokens; t++)
                k->add(op->y + t * w->rows + r, tile + t * n, n);
        } else {
            k->matmul(op->y + r, op->x, rows, tokens, n, w->cols, w->rows, w->cols, ld);
            for (size_t t = 0; t < tokens; t++)
                finish(k, op->epilogue, op->y + t * w->rows + r, n);
        }
    }
}

static void part(void *ctx, size_t index, size_t count)
{
    struct job *job = ctx;
    float *tile = job->cpu->scratch + index * job->cpu->scratch_floats;
    for (size_t i = 0; i < job->n_ops; i++) {
        const struct rw_matmul *op = &job->ops[i];
        size_t begin, end;
        rw_pool_share(op->w->rows, 16, index, count, &begin, &end);
        if (job->n_tokens == 1)
            one_token(job, op, tile, begin, end);
        else
            many_tokens(job, op, tile, tile + job->cpu->tile_floats, begin, end);
    }
}

void rw_cpu_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                   size_t n_tokens)
{
    struct job job = {rw_cpu(be), ops, n_ops, n_tokens};
    if (n_tokens > 0)
        rw_pool_run(job.cpu->pool, part, &job);
}
