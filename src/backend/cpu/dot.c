/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products in integers (kernels.h): weights of block types times activations rounded to 8 bits. The
 * activations are rounded once, before threads share the rows of the weights; weights are used
 * where they lie, taken apart in the cache panel by panel.
 */
#include <assert.h>

#include "backend/cpu/cpu_int.h"
#include "base/status.h"

#define PIECE_COLS 2048 /* of a panel; of a multiple of the largest block */
#define ROUND_TOKENS 4  /* of a piece of work */
#define PANELS (RW_CPU_PANEL_ROWS / RW_PANEL_ROWS)

struct rounding {
    struct rw_backend_cpu *cpu;
    const float *x;
    struct rw_dot_input to;
    size_t tokens, cols;
};

static void round_piece(void *ctx, size_t piece, size_t thread)
{
    (void)thread;
    const struct rounding *r = ctx;
    size_t end = RW_MIN(r->tokens, (piece + 1) * ROUND_TOKENS);
    for (size_t t = piece * ROUND_TOKENS; t < end; t++) {
        size_t at = t * r->cols;
        r->cpu->kernels.quantize(r->to.code + at, r->to.scale + at / 32, r->to.sum + at / 16,
                                 r->x + at, r->cols);
    }
}

size_t rw_cpu_round_int8(struct rw_backend_cpu *cpu, struct rw_dot_input *rounded,
                         const struct rw_matmul *ops, size_t n_ops, size_t tokens)
{
    size_t used = 0;
    for (size_t i = 0; i < n_ops; i++) {
        size_t cols = ops[i].w->cols;
        rounded[i] = (struct rw_dot_input){0};
        if (!cpu->kernels.quantize || !rw_dtype_is_block(ops[i].w->dtype))
            continue;
        if (used + tokens * cols > cpu->dot_size)
            return i;
        struct rounding r = {cpu, ops[i].x, cpu->dot, tokens, cols};
        r.to.code += used;
        r.to.scale += used / 32;
        r.to.sum += used / 16;
        rw_pool_each(cpu->pool, round_piece, &r, (tokens + ROUND_TOKENS - 1) / ROUND_TOKENS);
        rounded[i] = r.to;
        used += tokens * cols;
    }
    return n_ops;
}

/* --- packed weights --------------------------------------------------------------------------- */

#define PACK_ROWS 64 /* of a piece of work */

/* Bytes of one row, without what may lie between two. */
static size_t row_bytes(const struct rw_weight *w)
{
    const struct rw_dtype_info *type = rw_dtype(w->dtype);
    return w->cols / type->block * type->bytes;
}

/* Types that are not multiplied in integers gain too little. */
size_t rw_cpu_packed_bytes(const struct rw_backend *be, const struct rw_weight *w)
{
    const struct rw_backend_cpu *cpu = (const struct rw_backend_cpu *)be;
    if (!cpu->kernels.pack[w->dtype])
        return 0;
    return (w->rows + RW_PANEL_ROWS - 1) / RW_PANEL_ROWS * RW_PANEL_ROWS * row_bytes(w);
}

struct packing {
    const struct rw_backend_cpu *cpu;
    const struct rw_weight *w;
    uint8_t *to;
};

static void pack_piece(void *ctx, size_t piece, size_t thread)
{
    (void)thread;
    const struct packing *p = ctx;
    const struct rw_weight *w = p->w;
    size_t end = RW_MIN((piece + 1) * PACK_ROWS, w->rows);
    for (size_t r = piece * PACK_ROWS; r < end; r += RW_PANEL_ROWS)
        p->cpu->kernels.pack[w->dtype](p->to + r * row_bytes(w), rw_cpu_row(w, r),
                                       RW_MIN(end - r, (size_t)RW_PANEL_ROWS), w->cols, w->stride);
}

void rw_cpu_pack(struct rw_backend *be, void *to, const struct rw_weight *w)
{
    struct packing p = {rw_cpu(be), w, to};
    rw_pool_each(p.cpu->pool, pack_piece, &p, (w->rows + PACK_ROWS - 1) / PACK_ROWS);
}

struct rw_cpu_rows rw_cpu_dot_rows(const struct rw_weight *w, size_t row, size_t col)
{
    const struct rw_dtype_info *type = rw_dtype(w->dtype);
    const size_t at = col / type->block * type->bytes;
    const uint8_t *packed = w->packed;
    if (packed)
        return (struct rw_cpu_rows){packed + row * row_bytes(w) + RW_PANEL_ROWS * at, 0};
    return (struct rw_cpu_rows){rw_cpu_row(w, row) + at, w->stride};
}

/* --- many tokens ------------------------------------------------------------------------------ */

/* Room for the panels in the thread's scratch: codes, then scales and minima. */
static void panels_init(struct rw_panel *panels, float *scratch)
{
    uint8_t *code = (uint8_t *)scratch;
    float *numbers = scratch + PANELS * RW_PANEL_ROWS * PIECE_COLS / sizeof(float);
    size_t groups = PIECE_COLS / 16 * RW_PANEL_ROWS;
    for (size_t i = 0; i < PANELS; i++, code += RW_PANEL_ROWS * PIECE_COLS, numbers += 2 * groups)
        panels[i] = (struct rw_panel){code, numbers, numbers + groups};
}

static_assert(PANELS * RW_PANEL_ROWS * PIECE_COLS * (1 + 2 * sizeof(float) / 16) <=
                  RW_CPU_PANEL_ROWS * RW_CPU_PANEL_COLS * sizeof(float),
              "panels fit where unpacked weights go");

void rw_cpu_multiply_int8(const struct rw_backend_cpu *cpu, float *y, const struct rw_dot_input *x,
                          const struct rw_weight *w, float *scratch, size_t row, size_t rows,
                          size_t tokens, size_t ldy)
{
    const struct rw_kernels *k = &cpu->kernels;
    struct rw_panel panels[PANELS];
    panels_init(panels, scratch);
    for (size_t col = 0; col < w->cols; col += PIECE_COLS) {
        size_t cols = RW_MIN(w->cols - col, (size_t)PIECE_COLS);
        for (size_t r = 0; r < rows; r += RW_PANEL_ROWS) {
            const struct rw_cpu_rows from = rw_cpu_dot_rows(w, row + r, col);
            k->panel[w->dtype](&panels[r / RW_PANEL_ROWS], from.data,
                               RW_MIN(rows - r, (size_t)RW_PANEL_ROWS), cols, from.stride);
        }
        struct rw_dot_input piece = {x->code + col, x->scale + col / 32, x->sum + col / 16};
        k->matmul_dot(y, &piece, panels, w->dtype, tokens, rows, cols, ldy, w->cols, col == 0);
    }
}
