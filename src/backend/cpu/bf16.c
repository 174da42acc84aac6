/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of BF16 weights with activations rounded to BF16, where the kernels have them. The
 * activations are rounded once, before threads share the rows of the weights; weights are used
 * where they lie.
 *
 * Which weights are multiplied so follows from their shape alone, not from how a file stores them:
 * the low-rank pairs, which some hold input-major, are left to f32.
 */
#include "backend/cpu/cpu_int.h"
#include "base/status.h"

#define LEAST 512 /* rows and columns */
#define PIECE_COLS 2048
#define ROUND_TOKENS 8 /* of a piece of work */

bool rw_cpu_takes_bf16(const struct rw_backend_cpu *cpu, const struct rw_weight *w)
{
    return cpu->kernels.round_bf16 && w->dtype == RWKV_DTYPE_BF16 && !w->input_major &&
           RW_MIN(w->rows, w->cols) >= LEAST;
}

struct rounding {
    struct rw_backend_cpu *cpu;
    const float *x;
    uint16_t *to;
    size_t tokens, cols;
};

static void round_piece(void *ctx, size_t piece, size_t thread)
{
    const struct rounding *r = ctx;
    size_t begin = piece * ROUND_TOKENS, n = RW_MIN(r->tokens - begin, (size_t)ROUND_TOKENS);
    r->cpu->kernels.round_bf16(r->to + begin * r->cols, r->x + begin * r->cols, n * r->cols);
}

size_t rw_cpu_round_bf16(struct rw_backend_cpu *cpu, const uint16_t **rounded,
                         const struct rw_matmul *ops, size_t n_ops, size_t tokens)
{
    size_t used = 0;
    for (size_t i = 0; i < n_ops; i++) {
        size_t cols = ops[i].w->cols;
        rounded[i] = NULL;
        if (!rw_cpu_takes_bf16(cpu, ops[i].w))
            continue;
        if (used + tokens * cols > cpu->rounded_size)
            return i;
        struct rounding r = {cpu, ops[i].x, cpu->rounded + used, tokens, cols};
        rw_pool_each(cpu->pool, round_piece, &r, (tokens + ROUND_TOKENS - 1) / ROUND_TOKENS);
        rounded[i] = r.to;
        used += tokens * cols;
    }
    return n_ops;
}

void rw_cpu_multiply_bf16(const struct rw_backend_cpu *cpu, float *y, const uint16_t *x,
                          const struct rw_weight *w, float *sums, size_t row, size_t rows,
                          size_t tokens, size_t ldy)
{
    const uint16_t *from = (const uint16_t *)(const void *)rw_cpu_row(w, row);
    struct rw_matmul_piece p = {.tokens = tokens,
                                .rows = rows,
                                .ldy = ldy,
                                .ldx = w->cols,
                                .ldw = w->stride / sizeof *x,
                                .next_stride = w->stride};
    for (size_t col = 0; col < w->cols; col += PIECE_COLS) {
        p.cols = RW_MIN(w->cols - col, (size_t)PIECE_COLS);
        p.first = col == 0;
        p.last = col + p.cols == w->cols;
        p.next = p.last ? NULL : from + col + p.cols;
        cpu->kernels.matmul_bf16(y, sums, x + col, from + col, &p);
    }
}
