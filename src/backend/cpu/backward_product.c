/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of training: threads share tiles of the outputs. Each output is one chain of sums, which
 * goes through its tile's part of the operands piece by piece and waits in the output meanwhile.
 */
#include "backend/cpu/cpu_int.h"
#include "base/status.h"

#define MAX_OPS 8               /* done at the same time */
#define LEAST_ROWS ((size_t)48) /* of a tile: a multiple of the kernels' tiles */
#define TILES_A_THREAD 4        /* or threads would wait for the last one */

/* out [rows, cols] (+)= Σ_i A(i, row) B(i, col), as kernels.h has it. */
struct product {
    float *out;
    const float *a, *b;
    struct rw_product whole;
    enum rw_epilogue epilogue;
};

struct job {
    struct rw_backend_cpu *cpu;
    const struct product *products;
    size_t n;
    size_t rows; /* of a tile */
    bool bf16;
};

static size_t tiles_across(const struct product *p)
{
    return (p->whole.cols + RW_PRODUCT_COLS - 1) / RW_PRODUCT_COLS;
}

static size_t tiles(const struct job *job, const struct product *p)
{
    return (p->whole.rows + job->rows - 1) / job->rows * tiles_across(p);
}

static size_t all_tiles(const struct job *job)
{
    size_t count = 0;
    for (size_t i = 0; i < job->n; i++)
        count += tiles(job, &job->products[i]);
    return count;
}

static void tile(const struct job *job, const struct product *p, size_t index, float *scratch)
{
    const struct rw_kernels *k = &job->cpu->kernels;
    size_t row = index / tiles_across(p) * job->rows;
    size_t col = index % tiles_across(p) * RW_PRODUCT_COLS;
    const float *a = p->a + row * p->whole.a_row, *b = p->b + col * p->whole.b_col;
    float *out = p->out + row * p->whole.ld + col;
    struct rw_product part = p->whole;
    part.rows = RW_MIN(p->whole.rows - row, job->rows);
    part.cols = RW_MIN(p->whole.cols - col, (size_t)RW_PRODUCT_COLS);
    for (size_t i = 0; i < p->whole.depth; i += RW_PRODUCT_DEPTH) {
        part.depth = RW_MIN(p->whole.depth - i, (size_t)RW_PRODUCT_DEPTH);
        (job->bf16 ? k->product_bf16 : k->product)(out, scratch, a + i * part.a_depth,
                                                   b + i * part.b_depth, &part);
        part.first = false;
    }
    for (size_t r = 0; p->epilogue != RW_STORE && r < part.rows; r++)
        rw_cpu_finish(k, p->epilogue, out + r * part.ld, part.cols);
}

static void piece(void *ctx, size_t index, size_t thread)
{
    const struct job *job = ctx;
    const struct product *p = job->products;
    for (; index >= tiles(job, p); p++)
        index -= tiles(job, p);
    tile(job, p, index, rw_cpu_thread_scratch(job->cpu, thread));
}

static void multiply(struct rw_backend *be, const struct product *products, size_t n,
                     enum rw_precision precision)
{
    struct job job = {rw_cpu(be), products, n, RW_PRODUCT_ROWS, precision == RW_PRECISION_BF16};
    while (job.rows > LEAST_ROWS && all_tiles(&job) < TILES_A_THREAD * be->threads)
        job.rows /= 2;
    rw_pool_each(job.cpu->pool, piece, &job, all_tiles(&job));
}

static struct product forward(const struct rw_matmul *op, size_t tokens)
{
    const struct rw_weight *w = op->w;
    bool add = op->epilogue == RW_ADD;
    return (struct product){
        .out = op->y,
        .a = op->x,
        .b = w->data,
        .whole = {tokens, w->rows, w->cols, w->cols, 1, w->cols, 1, w->rows, !add},
        .epilogue = add ? RW_STORE : op->epilogue,
    };
}

void rw_cpu_train_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                         size_t n_tokens, enum rw_precision precision)
{
    if (precision == RW_PRECISION_F32) {
        be->ops->matmul(be, ops, n_ops, n_tokens);
        return;
    }
    for (size_t n; n_ops > 0; ops += n, n_ops -= n) {
        struct product products[MAX_OPS];
        n = RW_MIN(n_ops, (size_t)MAX_OPS);
        for (size_t i = 0; i < n; i++)
            products[i] = forward(&ops[i], n_tokens);
        multiply(be, products, n, precision);
    }
}

static struct product by_inputs(const struct rw_matmul_dx *op, size_t tokens)
{
    size_t rows = op->rows, cols = op->cols;
    return (struct product){
        .out = op->dx,
        .a = op->dy,
        .b = op->w,
        .whole = {tokens, cols, rows, rows, 1, 1, cols, cols, !op->add},
    };
}

void rw_cpu_matmul_dx(struct rw_backend *be, const struct rw_matmul_dx *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision)
{
    for (size_t n; n_ops > 0; ops += n, n_ops -= n) {
        struct product products[MAX_OPS];
        n = RW_MIN(n_ops, (size_t)MAX_OPS);
        for (size_t i = 0; i < n; i++)
            products[i] = by_inputs(&ops[i], n_tokens);
        multiply(be, products, n, precision);
    }
}

static struct product by_weights(const struct rw_matmul_dw *op, size_t tokens)
{
    size_t rows = op->rows, cols = op->cols;
    return (struct product){
        .out = op->dw,
        .a = op->dy,
        .b = op->x,
        .whole = {rows, cols, tokens, 1, rows, 1, cols, cols, false},
    };
}

void rw_cpu_matmul_dw(struct rw_backend *be, const struct rw_matmul_dw *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision)
{
    for (size_t n; n_ops > 0; ops += n, n_ops -= n) {
        struct product products[MAX_OPS];
        n = RW_MIN(n_ops, (size_t)MAX_OPS);
        for (size_t i = 0; i < n; i++)
            products[i] = by_weights(&ops[i], n_tokens);
        multiply(be, products, n, precision);
    }
}
