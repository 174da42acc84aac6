/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products in integers against the machine's limits: one token against the rate of reading memory,
 * many tokens against the rate of multiplying bytes.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "dot.h"
#include "tensor/dtype.h"

#define BENCH_BYTES ((size_t)256 << 20) /* of a weight that one token is multiplied with */
#define PANELS 4                        /* of a thread, as the backend has them */
#define ROWS (PANELS * RW_PANEL_ROWS)
#define COLS 2048

static size_t bytes_of(rwkv_dtype dtype, size_t cols)
{
    return cols / rw_dtype(dtype)->block * rw_dtype(dtype)->bytes;
}

/* Activations before rounding and after. */
struct input {
    float *x;
    struct rw_dot_input rounded;
};

static bool input_new(struct context *ctx, struct input *in, size_t n)
{
    *in = (struct input){rw_alloc_aligned(n, sizeof(float)),
                         {rw_alloc_aligned(n, 1), rw_alloc_aligned(n / 32, sizeof(float)),
                          rw_alloc_aligned(n / 16, sizeof(int32_t))}};
    if (!in->x || !in->rounded.code || !in->rounded.scale || !in->rounded.sum)
        return expect(ctx, false, "no memory for the benchmark");
    fill_floats(ctx, in->x, n, false);
    ctx->kernels->quantize(in->rounded.code, in->rounded.scale, in->rounded.sum, in->x, n);
    return true;
}

static void input_free(struct input *in)
{
    rw_free(in->x);
    rw_free(in->rounded.code);
    rw_free(in->rounded.scale);
    rw_free(in->rounded.sum);
}

/* `rows` rows that are all the same. */
static uint8_t *weights_new(struct context *ctx, rwkv_dtype dtype, size_t rows, size_t cols)
{
    size_t stride = bytes_of(dtype, cols);
    uint8_t *w = rw_alloc_aligned(rows * stride, 1);
    if (!expect(ctx, w, "no memory for the benchmark"))
        return NULL;
    fill_weights(ctx, dtype, w, cols, false);
    for (size_t r = 1; r < rows; r++)
        memcpy(w + r * stride, w, stride);
    return w;
}

/* --- quantize ------------------------------------------------------------------------------------
 */

static void quantize_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct input *in = user;
    struct rw_dot_input to = in->rounded;
    size_t at = index * COLS;
    kernels->quantize(to.code + at, to.scale + at / 32, to.sum + at / 16, in->x + at, COLS);
}

void bench_quantize(struct context *ctx)
{
    struct input in;
    size_t n = COLS * bench_threads();
    if (input_new(ctx, &in, n)) {
        struct work work = {.part = quantize_part,
                            .user = &in,
                            .units = (double)n,
                            .what = "value",
                            .no_ref = true};
        bench(ctx, "[2048]", &work);
    }
    input_free(&in);
}

/* --- matvec_dot ----------------------------------------------------------------------------------
 */

struct bench_matvec {
    rwkv_dtype dtype;
    size_t rows, cols, stride;
    uint8_t *w;
    float *y;
    struct input in;
    bool packed;
};

/* The reference multiplies without rounding. */
static void matvec_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_matvec *b = user;
    size_t begin, end;
    rw_pool_share(b->rows, RW_PANEL_ROWS, index, count, &begin, &end);
    const uint8_t *w = b->w + begin * b->stride;
    if (kernels->quantize)
        kernels->matvec_dot[b->dtype](b->y + begin, &b->in.rounded, w, end - begin, b->cols,
                                      b->packed ? 0 : b->stride);
    else
        kernels->matvec[b->dtype](b->y + begin, b->in.x, w, end - begin, b->cols, b->stride);
}

/* The rows are all the same, so one group of them packed serves all. */
static void pack_rows(struct context *ctx, struct bench_matvec *b)
{
    size_t bytes = RW_PANEL_ROWS * b->stride;
    ctx->kernels->pack[b->dtype](b->w, b->w + bytes, RW_PANEL_ROWS, b->cols, b->stride);
    for (size_t r = RW_PANEL_ROWS; r < b->rows; r += RW_PANEL_ROWS)
        memcpy(b->w + r * b->stride, b->w, bytes);
}

static void bench_one_token(struct context *ctx, size_t cols, bool packed)
{
    struct bench_matvec b = {.dtype = ctx->dtype, .cols = cols, .packed = packed};
    char shape[32];
    b.stride = bytes_of(b.dtype, b.cols);
    b.rows = BENCH_BYTES / b.stride / 64 * 64;
    b.w = weights_new(ctx, b.dtype, b.rows, b.cols);
    b.y = rw_alloc_aligned(b.rows, sizeof(float));
    if (input_new(ctx, &b.in, b.cols) && b.w && expect(ctx, b.y, "no memory for y")) {
        struct work work = {.part = matvec_part,
                            .user = &b,
                            .bytes = (double)(b.rows * b.stride),
                            .units = (double)(b.rows * b.cols),
                            .what = "weight",
                            .no_ref = packed};
        if (packed)
            pack_rows(ctx, &b);
        snprintf(shape, sizeof shape, "[%zu, %zu]", b.rows, b.cols);
        bench(ctx, shape, &work);
    }
    input_free(&b.in);
    rw_free(b.w);
    rw_free(b.y);
}

void bench_matvec_dot(struct context *ctx)
{
    bench_one_token(ctx, 768, false);
    bench_one_token(ctx, 2048, false);
}

/* --- panel, matmul_dot ---------------------------------------------------------------------------
 */

/* What a thread of the backend works on: a few panels against the tokens of a chunk. */
struct bench_matmul {
    rwkv_dtype dtype;
    size_t tokens;
    bool with_panels; /* taken apart each time, not once beforehand */
    bool packed;      /* from rows that are packed */
    uint8_t *w;       /* of all threads, as is `in` */
    struct input in;
    struct rw_panel *panels; /* of each thread, as is y */
    float *y;
};

static void take_apart(const struct bench_matmul *b, const struct rw_kernels *kernels, size_t index)
{
    size_t stride = bytes_of(b->dtype, COLS);
    for (size_t i = 0; i < PANELS; i++)
        kernels->panel[b->dtype](&b->panels[index * PANELS + i], b->w + i * RW_PANEL_ROWS * stride,
                                 RW_PANEL_ROWS, COLS, b->packed ? 0 : stride);
}

static void matmul_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_matmul *b = user;
    if (b->with_panels)
        take_apart(b, kernels, index);
    kernels->matmul_dot(b->y + index * b->tokens * ROWS, &b->in.rounded, b->panels + index * PANELS,
                        b->dtype, b->tokens, ROWS, COLS, ROWS, COLS, 1);
}

/* Scales and minima lie at the end of a panel's codes. */
static bool panels_new(struct bench_matmul *b, size_t threads)
{
    size_t codes = COLS * RW_PANEL_ROWS, numbers = COLS / 16 * RW_PANEL_ROWS;
    uint8_t *at = rw_alloc_aligned(threads * PANELS, codes + 2 * numbers * sizeof(float));
    b->panels = rw_alloc(threads * PANELS, sizeof *b->panels);
    if (!at || !b->panels) {
        rw_free(at);
        return false;
    }
    for (size_t i = 0; i < threads * PANELS; i++, at += codes + 2 * numbers * sizeof(float)) {
        float *scale = (float *)(void *)(at + codes);
        b->panels[i] = (struct rw_panel){at, scale, scale + numbers};
    }
    return true;
}

static void bench_tokens(struct context *ctx, rwkv_dtype dtype, size_t tokens, bool with_panels,
                         bool packed)
{
    size_t threads = bench_threads();
    struct bench_matmul b = {
        .dtype = dtype, .tokens = tokens, .with_panels = with_panels, .packed = packed};
    bool panels = panels_new(&b, threads);
    char shape[48];
    b.w = weights_new(ctx, dtype, ROWS, COLS);
    b.y = rw_alloc_aligned(threads * tokens * ROWS, sizeof(float));
    if (input_new(ctx, &b.in, tokens * COLS) && b.w && expect(ctx, panels && b.y, "no memory")) {
        struct work work = {.part = matmul_part,
                            .user = &b,
                            .ops = 2.0 * (double)(tokens * ROWS * COLS * threads),
                            .no_ref = true,
                            .peak = PEAK_INT8};
        for (size_t i = 0; i < threads; i++)
            take_apart(&b, ctx->kernels, i);
        snprintf(shape, sizeof shape, "T%zu R%d K%d %s", tokens, ROWS, COLS,
                 with_panels ? "" : rwkv_dtype_name(dtype));
        bench(ctx, shape, &work);
    }
    if (panels)
        rw_free(b.panels[0].code);
    rw_free(b.panels);
    input_free(&b.in);
    rw_free(b.w);
    rw_free(b.y);
}

/* Taking a weight apart and multiplying with it: few tokens show what the former costs. */
void bench_panel(struct context *ctx)
{
    static const size_t tokens[] = {2, 16, 128};
    for (size_t i = 0; i < 3; i++)
        bench_tokens(ctx, ctx->dtype, tokens[i], true, false);
}

/* The same of a weight that is packed. */
void bench_pack(struct context *ctx)
{
    bench_one_token(ctx, 768, true);
    bench_one_token(ctx, 2048, true);
    bench_tokens(ctx, ctx->dtype, 16, true, true);
}

/* One type of each kind: groups of 32 and of 16, with minima and without, codes of eight bits. */
void bench_matmul_dot(struct context *ctx)
{
    static const rwkv_dtype kinds[] = {RWKV_DTYPE_Q4_0, RWKV_DTYPE_Q8_0, RWKV_DTYPE_Q4_K,
                                       RWKV_DTYPE_Q6_K, RWKV_DTYPE_Q2_K};
    static const size_t tokens[] = {16, 128};
    for (size_t i = 0; i < 5; i++)
        for (size_t t = 0; t < 2; t++)
            bench_tokens(ctx, kinds[i], tokens[t], false, false);
}
