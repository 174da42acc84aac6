/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of activations with weights. Threads share the output rows of every product in the list;
 * sums are never split, so neither the number of threads nor the cut into panels shows in a bit.
 * One token reads the weight where it lies; several tokens unpack a panel of rows to f32 first,
 * which gives the same values in the same order of summation (kernels.h).
 * Products in BF16 and in integers have files of their own.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "backend/cpu/cpu_int.h"
#include "base/status.h"
#include "tensor/dtype.h"

#define MAX_OPS 8          /* done at the same time */
#define ONE_TOKEN_ROWS 128 /* of a piece of work: enough to fetch the next while one is done */

static_assert(ONE_TOKEN_ROWS == RW_TILE_ROWS, "a piece of work is a tile");

struct job {
    struct rw_backend_cpu *cpu;
    const struct rw_matmul *ops;
    size_t n_ops;
    size_t n_tokens;
    const uint16_t *rounded[MAX_OPS]; /* inputs in BF16 of products that take them, or NULL */
    struct rw_dot_input dot[MAX_OPS]; /* inputs in integers of those that take them */
    size_t rows;                      /* of a piece of work */
    struct rw_live live; /* inputs of the first product, where `few` of them are not zero */
    bool few;
};

void rw_cpu_finish(const struct rw_kernels *k, enum rw_epilogue epilogue, float *y, size_t n)
{
    if (epilogue == RW_TANH)
        k->tanh(y, n);
    else if (epilogue == RW_SIGMOID)
        k->sigmoid(y, n);
    else if (epilogue == RW_RELU2)
        k->relu2(y, n);
}

static void dot_rows(const struct rw_kernels *k, float *y, const struct rw_dot_input *x,
                     const struct rw_weight *w, size_t row, size_t n)
{
    const struct rw_cpu_rows rows = rw_cpu_dot_rows(w, row, 0);
    k->matvec_dot[w->dtype](y, x, rows.data, n, w->cols, rows.stride);
}

/* Outputs [begin, end) of product i for one token. */
static void one_token(struct job *job, size_t i, float *tile, size_t begin, size_t end)
{
    const struct rw_kernels *k = &job->cpu->kernels;
    const struct rw_matmul *op = &job->ops[i];
    const struct rw_weight *w = op->w;
    for (size_t r = begin; r < end; r += RW_CPU_PANEL_ROWS) {
        size_t n = RW_MIN(end - r, (size_t)RW_CPU_PANEL_ROWS);
        float *y = op->epilogue == RW_ADD ? tile : op->y + r;
        if (job->dot[i].code)
            dot_rows(k, y, &job->dot[i], w, r, n);
        else if (job->rounded[i])
            k->matvec_bf16(y, job->rounded[i], rw_cpu_row(w, r), n, w->cols, w->stride);
        else if (w->input_major)
            k->matvec_t[w->dtype](y, op->x, rw_cpu_row(w, r), n, w->cols, w->stride);
        else
            k->matvec[w->dtype](y, op->x, rw_cpu_row(w, r), n, w->cols, w->stride);
        if (op->epilogue == RW_ADD)
            k->add(op->y + r, tile, n);
        else
            rw_cpu_finish(k, op->epilogue, y, n);
    }
}

/* A tile of outputs of the first product for one token with few live inputs. */
static void few_inputs(struct job *job, size_t row)
{
    const struct rw_kernels *k = &job->cpu->kernels;
    const struct rw_matmul *op = &job->ops[0];
    float y[RW_TILE_ROWS];
    size_t n = RW_MIN(op->w->rows - row, (size_t)RW_TILE_ROWS);
    rw_cpu_multiply_live(job->cpu, y, &job->live, op, row);
    rw_cpu_finish(k, op->epilogue, y, n);
    if (op->epilogue == RW_ADD)
        k->add(op->y + row, y, n);
    else
        memcpy(op->y + row, y, n * sizeof *y);
}

/* A part of a weight: rows [row, row + rows), columns [col, col + cols). */
struct panel {
    size_t row, rows, col, cols;
};

/* First byte of a row from a column on, which begins a block. */
static const uint8_t *panel_at(const struct rw_weight *w, size_t row, size_t col)
{
    const struct rw_dtype_info *type = rw_dtype(w->dtype);
    const uint8_t *from = rw_cpu_row(w, row);
    return w->input_major ? from + col * w->stride : from + col / type->block * type->bytes;
}

/* A panel as f32: in place where it already is, else unpacked into `to`. */
static const float *panel_of(const struct rw_kernels *k, const struct rw_weight *w,
                             const struct panel *p, float *to, size_t *ld)
{
    const uint8_t *from = panel_at(w, p->row, p->col);
    *ld = p->cols;
    if (w->input_major) {
        k->unpack_t[w->dtype](to, from, p->rows, p->cols, p->cols, w->stride);
        return to;
    }
    if (w->dtype == RWKV_DTYPE_F32 && ((uintptr_t)from | w->stride) % sizeof(float) == 0) {
        *ld = w->stride / sizeof(float);
        return (const float *)(const void *)from;
    }
    for (size_t i = 0; i < p->rows; i++)
        k->unpack[w->dtype](to + i * p->cols, from + i * w->stride, p->cols);
    return to;
}

/* Columns of a panel: K in equal parts, whole blocks of every type. */
static size_t panel_cols(size_t cols)
{
    size_t parts = (cols + RW_CPU_PANEL_COLS - 1) / RW_CPU_PANEL_COLS;
    return parts < 2 ? cols : (cols / parts + 255) & ~(size_t)255;
}

/* First byte of the panel that will be wanted after p, unless rows do not lie as they are read. */
static const void *next_panel(const struct rw_weight *w, const struct panel *p)
{
    size_t row = p->row, col = p->col + p->cols;
    if (col == w->cols) {
        row += p->rows;
        col = 0;
    }
    return w->input_major || row >= w->rows ? NULL : panel_at(w, row, col);
}

/* y [tokens, ldy] = the panel's rows times x, cut along K. */
static void multiply(const struct rw_backend_cpu *cpu, float *y, const float *x,
                     const struct rw_weight *w, float *unpacked, struct panel p, size_t tokens,
                     size_t ldy)
{
    float *sums = unpacked + RW_CPU_PANEL_ROWS * RW_CPU_PANEL_COLS;
    struct rw_matmul_piece piece = {
        .tokens = tokens, .rows = p.rows, .ldy = ldy, .ldx = w->cols, .next_stride = w->stride};
    size_t step = panel_cols(w->cols);
    for (p.col = 0; p.col < w->cols; p.col += step) {
        p.cols = RW_MIN(w->cols - p.col, step);
        const float *rows = panel_of(&cpu->kernels, w, &p, unpacked, &piece.ldw);
        piece.cols = p.cols;
        piece.first = p.col == 0;
        piece.last = p.col + p.cols == w->cols;
        piece.next = next_panel(w, &p);
        cpu->kernels.matmul(y, sums, x + p.col, rows, &piece);
    }
}

/* Outputs of the panel's rows for tokens [first, first + tokens) of product i. */
static void outputs(struct job *job, size_t i, float *tile, struct panel p, size_t first,
                    size_t tokens)
{
    const struct rw_kernels *k = &job->cpu->kernels;
    const struct rw_matmul *op = &job->ops[i];
    const struct rw_weight *w = op->w;
    bool add = op->epilogue == RW_ADD;
    float *to = op->y + first * w->rows + p.row, *y = add ? tile : to;
    float *unpacked = tile + job->cpu->tile_floats;
    size_t ldy = add ? p.rows : w->rows;
    if (job->dot[i].code) {
        size_t at = first * w->cols;
        struct rw_dot_input x = {job->dot[i].code + at, job->dot[i].scale + at / 32,
                                 job->dot[i].sum + at / 16};
        rw_cpu_multiply_int8(job->cpu, y, &x, w, unpacked, p.row, p.rows, tokens, ldy);
    } else if (job->rounded[i])
        rw_cpu_multiply_bf16(job->cpu, y, job->rounded[i] + first * w->cols, w, unpacked, p.row,
                             p.rows, tokens, ldy);
    else
        multiply(job->cpu, y, op->x + first * w->cols, w, unpacked, p, tokens, ldy);
    for (size_t t = 0; t < tokens; t++) {
        if (add)
            k->add(to + t * w->rows, tile + t * p.rows, p.rows);
        else
            rw_cpu_finish(k, op->epilogue, to + t * w->rows, p.rows);
    }
}

/* Outputs [begin, end) of product i for all tokens. */
static void many_tokens(struct job *job, size_t i, float *tile, size_t begin, size_t end)
{
    size_t tokens = job->n_tokens;
    for (size_t r = begin; r < end; r += RW_CPU_PANEL_ROWS) {
        struct panel p = {.row = r, .rows = RW_MIN(end - r, (size_t)RW_CPU_PANEL_ROWS)};
        for (size_t t = 0; t < tokens; t += RW_CPU_TOKENS)
            outputs(job, i, tile, p, t, RW_MIN(tokens - t, (size_t)RW_CPU_TOKENS));
    }
}

static size_t pieces(const struct job *job, size_t i)
{
    return (job->ops[i].w->rows + job->rows - 1) / job->rows;
}

static void piece(void *ctx, size_t index, size_t thread)
{
    struct job *job = ctx;
    float *tile = job->cpu->scratch + thread * job->cpu->scratch_floats;
    size_t i = 0;
    for (; index >= pieces(job, i); i++)
        index -= pieces(job, i);
    size_t begin = index * job->rows, end = RW_MIN(begin + job->rows, job->ops[i].w->rows);
    if (job->few && i == 0)
        few_inputs(job, begin);
    else if (job->n_tokens == 1)
        one_token(job, i, tile, begin, end);
    else
        many_tokens(job, i, tile, begin, end);
}

void rw_cpu_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                   size_t n_tokens)
{
    for (size_t n; n_tokens > 0 && n_ops > 0; ops += n, n_ops -= n) {
        struct job job = {.cpu = rw_cpu(be), .ops = ops, .n_tokens = n_tokens};
        job.rows = n_tokens == 1 ? ONE_TOKEN_ROWS : RW_CPU_PANEL_ROWS;
        n = rw_cpu_round_bf16(job.cpu, job.rounded, ops, RW_MIN(n_ops, (size_t)MAX_OPS), n_tokens);
        n = rw_cpu_round_int8(job.cpu, job.dot, ops, n, n_tokens);
        job.few = n_tokens == 1 && rw_cpu_find_live(job.cpu, &job.live, &ops[0], &job.dot[0]);
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            count += pieces(&job, i);
        rw_pool_each(job.cpu->pool, piece, &job, count);
    }
}
