/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products in integers: to the bit what kernels.h defines, and as near to the exact product as
 * activations of 8 bits allow. Blocks are taken apart here a second time, one element at a time and
 * straight from their description, so that nothing is shared with what is tested.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/str.h"
#include "dot.h"
#include "harness.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

#define ROUNDS 40
#define UNTOUCHED 12345.0f

/* --- what the contract says of weights -----------------------------------------------------------
 */

/* An element's value is scale · code + min. */
struct element {
    float scale, min;
    int code;
};

static float half_at(const uint8_t *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return rw_f16_to_f32(bits);
}

static int nibble(const uint8_t *q, size_t e)
{
    return e < 16 ? q[e] & 15 : q[e - 16] >> 4;
}

static int bit(const uint8_t *bytes, size_t i)
{
    return bytes[i / 8] >> i % 8 & 1;
}

static int iq4(int nibble_code)
{
    static const int values[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                 1,    13,   25,  38,  53,  69,  89,  113};
    return values[nibble_code];
}

/* Element e of a block of 32. */
static struct element element_of_32(rwkv_dtype dtype, const uint8_t *b, size_t e)
{
    struct element it = {.scale = half_at(b)};
    switch (dtype) {
    case RWKV_DTYPE_Q4_0:
        it.code = nibble(b + 2, e) - 8;
        break;
    case RWKV_DTYPE_Q4_1:
        it.code = nibble(b + 4, e);
        it.min = half_at(b + 2);
        break;
    case RWKV_DTYPE_Q5_0:
        it.code = nibble(b + 6, e) + 16 * bit(b + 2, e) - 16;
        break;
    case RWKV_DTYPE_Q5_1:
        it.code = nibble(b + 8, e) + 16 * bit(b + 4, e);
        it.min = half_at(b + 2);
        break;
    case RWKV_DTYPE_Q8_0:
        it.code = (int8_t)b[2 + e];
        break;
    default: /* IQ4_NL */
        it.code = iq4(nibble(b + 2, e));
        break;
    }
    return it;
}

/* Two bits of element e where four elements share a byte. */
static int two_bits(const uint8_t *q, size_t e)
{
    return q[32 * (e / 128) + e % 32] >> 2 * (e % 128 / 32) & 3;
}

/* Four bits of element e where elements 32 or 64 (`half`) apart share a byte. */
static int four_bits(const uint8_t *q, size_t e, size_t half)
{
    int byte = q[half * (e / (2 * half)) + e % half];
    return e % (2 * half) < half ? byte & 15 : byte >> 4;
}

static struct element element_of_q45_k(bool five, const uint8_t *b, size_t e)
{
    const uint8_t *s = b + 4;
    size_t j = e / 32;
    int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    int min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
    int code =
        five ? four_bits(b + 48, e, 32) + 16 * (b[16 + e % 32] >> j & 1) : four_bits(b + 16, e, 32);
    return (struct element){half_at(b) * (float)scale, -half_at(b + 2) * (float)min, code};
}

static struct element element_of_q3_k(const uint8_t *b, size_t e)
{
    const uint8_t *s = b + 96;
    size_t g = e / 16;
    int scale = (s[g % 8] >> 4 * (g / 8) & 15) | (s[8 + g % 4] >> 2 * (g / 4) & 3) << 4;
    int code = two_bits(b + 32, e) - (b[e % 32] >> e / 32 & 1 ? 0 : 4);
    return (struct element){half_at(b + 108) * (float)(scale - 32), 0, code};
}

static struct element element_of_iq4_xs(const uint8_t *b, size_t e)
{
    size_t j = e / 32;
    int high = b[2 + j / 4] >> 2 * (j % 4) & 3, low = b[4 + j / 2] >> 4 * (j % 2) & 15;
    return (struct element){half_at(b) * (float)((low | high << 4) - 32), 0,
                            iq4(nibble(b + 8 + 16 * j, e % 32))};
}

/* Element e of a block of 256. */
static struct element element_of_256(rwkv_dtype dtype, const uint8_t *b, size_t e)
{
    switch (dtype) {
    case RWKV_DTYPE_Q2_K:
        return (struct element){half_at(b + 80) * (float)(b[e / 16] & 15),
                                -half_at(b + 82) * (float)(b[e / 16] >> 4), two_bits(b + 16, e)};
    case RWKV_DTYPE_Q3_K:
        return element_of_q3_k(b, e);
    case RWKV_DTYPE_Q4_K:
    case RWKV_DTYPE_Q5_K:
        return element_of_q45_k(dtype == RWKV_DTYPE_Q5_K, b, e);
    case RWKV_DTYPE_Q6_K:
        return (struct element){half_at(b + 208) * (float)(int8_t)b[192 + e / 16], 0,
                                (four_bits(b, e, 64) | two_bits(b + 128, e) << 4) - 32};
    default:
        return element_of_iq4_xs(b, e);
    }
}

static struct element element_of(rwkv_dtype dtype, const uint8_t *row, size_t k)
{
    const struct rw_dtype_info *info = rw_dtype(dtype);
    const uint8_t *block = row + k / info->block * info->bytes;
    return info->block == 32 ? element_of_32(dtype, block, k % 32)
                             : element_of_256(dtype, block, k % 256);
}

static bool has_min(rwkv_dtype dtype)
{
    return dtype == RWKV_DTYPE_Q4_1 || dtype == RWKV_DTYPE_Q5_1 || dtype == RWKV_DTYPE_Q2_K ||
           dtype == RWKV_DTYPE_Q4_K || dtype == RWKV_DTYPE_Q5_K;
}

size_t dot_group_of(rwkv_dtype dtype)
{
    return dtype == RWKV_DTYPE_Q2_K || dtype == RWKV_DTYPE_Q3_K || dtype == RWKV_DTYPE_Q6_K ? 16
                                                                                            : 32;
}

/* A weight as the kernels get it, and taken apart. */
struct weight {
    rwkv_dtype dtype;
    size_t rows, cols, stride;
    struct buffer raw;
    struct element *element; /* [rows, cols] */
    float *value;            /* [rows, cols]: what the library says they are */
};

enum kind { PLAIN, HOSTILE, EXTREME };

static struct weight weight_new(struct context *ctx, rwkv_dtype dtype, size_t rows, size_t cols,
                                enum kind kind)
{
    size_t bytes = cols / rw_dtype(dtype)->block * rw_dtype(dtype)->bytes;
    struct weight w = {.dtype = dtype, .rows = rows, .cols = cols};
    w.stride = bytes + (pick(ctx, 0, 2) ? 0 : pick(ctx, 1, 100));
    w.raw = buffer_new(ctx, rows ? (rows - 1) * w.stride + bytes : 0, 1);
    w.element = malloc((rows * cols + 1) * sizeof *w.element);
    w.value = malloc((rows * cols + 1) * sizeof *w.value);
    for (size_t r = 0; r < rows; r++) {
        uint8_t *row = w.raw.data + r * w.stride;
        fill_weights(ctx, dtype, row, cols, kind == HOSTILE);
        if (kind == EXTREME)
            fill_extreme_codes(ctx, dtype, row, cols);
        rw_to_f32(dtype, w.value + r * cols, row, cols);
        for (size_t k = 0; k < cols; k++)
            w.element[r * cols + k] = element_of(dtype, row, k);
    }
    return w;
}

static void weight_free(struct weight *w)
{
    buffer_free(&w->raw);
    free(w->element);
    free(w->value);
}

/* --- and of activations --------------------------------------------------------------------------
 */

static void round_block(int8_t *code, float *scale, int32_t *sum, const float *x)
{
    float m = 0, inverse;
    bool finite = true;
    for (size_t k = 0; k < 32; k++) {
        finite = finite && isfinite(x[k]);
        m = fmaxf(m, fabsf(x[k]));
    }
    inverse = 127 / m;
    bool codes = finite && isfinite(inverse);
    *scale = !finite ? NAN : codes ? m / 127 : 0;
    sum[0] = sum[1] = 0;
    for (size_t k = 0; k < 32; k++) {
        code[k] = codes ? (int8_t)rintf(x[k] * inverse) : 0;
        sum[k / 16] += code[k];
    }
}

/* Rows of activations, rounded here, in buffers of their own. */
struct input {
    size_t tokens, cols, ld; /* ld in codes */
    struct buffer code, scale, sum;
    float *x; /* [tokens, cols], before rounding */
};

static struct rw_dot_input input_at(const struct input *in, size_t t, size_t col)
{
    size_t at = t * in->ld + col;
    return (struct rw_dot_input){(int8_t *)in->code.data + at, floats(in->scale) + at / 32,
                                 (int32_t *)(void *)in->sum.data + at / 16};
}

/* Blocks of one value, of either sign: the codes are ±127. */
static void fill_extreme_inputs(struct context *ctx, float *x, size_t n)
{
    for (size_t k = 0; k < n; k++)
        x[k] = k % 32 ? x[k - 1] : pick(ctx, 0, 1) ? 1.5f : -1.5f;
}

static struct input input_new(struct context *ctx, size_t tokens, size_t cols, enum kind kind)
{
    struct input in = {.tokens = tokens, .cols = cols, .ld = cols + 32 * pick(ctx, 0, 2)};
    size_t n = tokens ? (tokens - 1) * in.ld + cols : 0;
    in.code = buffer_new(ctx, n, 1);
    in.scale = floats_new(ctx, n / 32);
    in.sum = buffer_new(ctx, n / 16 * sizeof(int32_t), sizeof(int32_t));
    in.x = malloc((tokens * cols + 1) * sizeof *in.x);
    fill_floats(ctx, in.x, tokens * cols, kind == HOSTILE && pick(ctx, 0, 1));
    if (kind == EXTREME)
        fill_extreme_inputs(ctx, in.x, tokens * cols);
    for (size_t t = 0; t < tokens; t++)
        for (size_t k = 0; k < cols; k += 32) {
            struct rw_dot_input to = input_at(&in, t, k);
            round_block(to.code, to.scale, to.sum, in.x + t * cols + k);
        }
    return in;
}

static void input_free(struct input *in)
{
    buffer_free(&in->code);
    buffer_free(&in->scale);
    buffer_free(&in->sum);
    free(in->x);
}

/* --- and of products -----------------------------------------------------------------------------
 */

static float product(const struct weight *w, size_t r, const struct input *in, size_t t)
{
    const size_t group = dot_group_of(w->dtype);
    const struct rw_dot_input x = input_at(in, t, 0);
    float acc = 0;
    for (size_t k = 0; k < w->cols; k += group) {
        const struct element *e = w->element + r * w->cols + k;
        int32_t sum = 0, sum_x = 0;
        for (size_t i = 0; i < group; i++) {
            sum += e[i].code * x.code[k + i];
            sum_x += x.code[k + i];
        }
        acc = fmaf((float)sum, e->scale * x.scale[k / 32], acc);
        if (has_min(w->dtype))
            acc = fmaf(e->min, x.scale[k / 32] * (float)sum_x, acc);
    }
    return acc;
}

/* Near Σ w·x of the values themselves: with the rounded activations but for the rounding of the
 * sums, with those before rounding but for half a step of each. */
static void check_near(struct context *ctx, const struct weight *w, size_t r,
                       const struct input *in, size_t t, float got)
{
    const struct rw_dot_input x = input_at(in, t, 0);
    double rounded = 0, exact = 0, size = 0, room = 0;
    for (size_t k = 0; k < w->cols; k++) {
        const struct element *e = &w->element[r * w->cols + k];
        double value = w->value[r * w->cols + k], d = x.scale[k / 32];
        rounded += value * d * x.code[k];
        exact += value * in->x[t * w->cols + k];
        /* Parts of a value may be larger than their sum. */
        size += (fabs((double)e->scale * e->code) + fabs((double)e->min)) * fabs(d * x.code[k]);
        room += fabs(value) * d * 0.5 * (1 + 0x1p-14);
    }
    expect(ctx, close_enough(got, rounded, 4, w->cols, size),
           "row %zu of %zu x %zu: want %.9g, found %.9g", r, w->rows, w->cols, rounded,
           (double)got);
    room += 4 * sqrt((double)w->cols) * 0x1p-24 * size;
    expect(ctx, fabs(got - exact) <= room,
           "row %zu of %zu x %zu: without rounding %.9g, found %.9g, which is more than %g off", r,
           w->rows, w->cols, exact, (double)got, room);
}

static void check_output(struct context *ctx, const struct weight *w, size_t r,
                         const struct input *in, size_t t, float got, enum kind kind)
{
    float want = product(w, r, in, t);
    expect(
        ctx, same_bits(got, want), "%s: token %zu of %zu, row %zu of %zu x %zu: want %a, found %a",
        rwkv_dtype_name(w->dtype), t, in->tokens, r, w->rows, w->cols, (double)want, (double)got);
    if (kind != HOSTILE)
        check_near(ctx, w, r, in, t, got);
}

/* --- every instruction set the same --------------------------------------------------------------
 */

/* The seed is the same in every instruction set, so are the inputs, and so must all outputs be. */
struct outputs {
    uint64_t hash;
    bool known;
};

static void add_floats(struct outputs *o, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t both[2] = {o->hash, isnan(y[i]) ? 0x7fc00000 : rw_f32_to_bits(y[i])};
        o->hash = rw_hash(both, sizeof both);
    }
}

static void expect_the_same(struct context *ctx, struct outputs *first, const struct outputs *mine)
{
    expect(ctx, !first->known || first->hash == mine->hash,
           "other results than those of the instruction sets before");
    *first = (struct outputs){mine->hash, true};
}

/* --- quantize ------------------------------------------------------------------------------------
 */

static void check_rounding(struct context *ctx, const float *x, size_t n, struct outputs *outputs)
{
    struct buffer code = buffer_new(ctx, n, 1), scale = floats_new(ctx, n / 32);
    struct buffer sum = buffer_new(ctx, n / 16 * sizeof(int32_t), sizeof(int32_t));
    int32_t *sums = (int32_t *)(void *)sum.data;
    ctx->kernels->quantize((int8_t *)code.data, floats(scale), sums, x, n);
    for (size_t k = 0; k < n; k += 32) {
        int8_t want_code[32];
        float want, got = floats(scale)[k / 32];
        int32_t want_sum[2];
        round_block(want_code, &want, want_sum, x + k);
        expect(ctx, same_bits(got, want), "scale of block %zu: want %a, found %a", k / 32,
               (double)want, (double)got);
        for (size_t i = 0; i < 32; i++)
            expect(ctx, (int8_t)code.data[k + i] == want_code[i],
                   "%a in a block of scale %a: want %d, found %d", (double)x[k + i], (double)want,
                   want_code[i], (int8_t)code.data[k + i]);
        for (size_t i = 0; i < 2; i++)
            expect(ctx, sums[k / 16 + i] == want_sum[i], "sum %zu: want %d, found %d", i,
                   want_sum[i], sums[k / 16 + i]);
    }
    add_floats(outputs, floats(scale), n / 32);
    expect(ctx, buffer_intact(&code) && buffer_intact(&scale) && buffer_intact(&sum),
           "wrote outside the outputs");
    buffer_free(&code);
    buffer_free(&scale);
    buffer_free(&sum);
}

/* One value that is special, or too small or large, at every place of a block. */
static void check_special_values(struct context *ctx, struct outputs *outputs)
{
    static const float values[] = {NAN,       -NAN,       INFINITY, -INFINITY, FLT_MAX,  -FLT_MAX,
                                   0x1p-149f, -0x1p-130f, FLT_MIN,  127.0f,    0x1p-100f};
    float x[32], limit = 127 / FLT_MAX;
    for (size_t i = 0; i < sizeof values / sizeof *values * 32; i++) {
        for (size_t k = 0; k < 32; k++)
            x[k] = i % 2 ? 0 : -0x1p-149f * (float)k;
        x[i % 32] = values[i / 32];
        check_rounding(ctx, x, 32, outputs);
    }
    /* Where 127 / m ceases to be infinite. */
    for (int i = 0; i < 20; i++)
        limit = nextafterf(limit, 0);
    for (int i = 0; i < 40; i++, limit = nextafterf(limit, 1)) {
        for (size_t k = 0; k < 32; k++)
            x[k] = (k % 2 ? limit : -limit) * (float)k / 31;
        check_rounding(ctx, x, 32, outputs);
    }
    /* Halves, to be rounded to even. */
    for (int first = -127; first < 127; first++) {
        for (size_t k = 0; k < 32; k++)
            x[k] = fminf((float)first + (float)k / 2, 127);
        x[7] = 127;
        check_rounding(ctx, x, 32, outputs);
    }
}

static void test_quantize(struct context *ctx)
{
    static struct outputs first;
    struct outputs mine = {0};
    check_special_values(ctx, &mine);
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = 32 * pick(ctx, 0, 20);
        struct buffer x = floats_random(ctx, n, i % 3 == 1);
        float size = ldexpf(1, (int)pick(ctx, 0, 250) - 149);
        for (size_t k = 0; k < n; k++)
            floats(x)[k] *= i % 3 == 2 ? size : 1;
        check_rounding(ctx, floats(x), n, &mine);
        buffer_free(&x);
    }
    expect_the_same(ctx, &first, &mine);
}

/* --- matvec_dot ----------------------------------------------------------------------------------
 */

static enum kind kind_of(int round)
{
    return round % 4 == 1 ? HOSTILE : round % 4 == 3 ? EXTREME : PLAIN;
}

static size_t pick_rows(struct context *ctx)
{
    static const size_t rows[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 45};
    return rows[pick(ctx, 0, sizeof rows / sizeof *rows - 1)];
}

/* None, a block, a few; at times more than two pieces of any kernel. */
static size_t pick_cols(struct context *ctx, rwkv_dtype dtype, bool many)
{
    size_t block = rw_dtype(dtype)->block;
    return (many ? pick(ctx, 2100 / block, 5000 / block) : pick(ctx, 0, 800 / block)) * block;
}

static void test_matvec_dot(struct context *ctx)
{
    static struct outputs first[RWKV_DTYPE_MODEL_COUNT];
    struct outputs mine = {0};
    for (int i = 0; i < ROUNDS; i++) {
        size_t rows = pick_rows(ctx), cols = pick_cols(ctx, ctx->dtype, i % 10 == 9);
        struct weight w = weight_new(ctx, ctx->dtype, rows, cols, kind_of(i));
        struct input in = input_new(ctx, 1, cols, kind_of(i));
        struct rw_dot_input x = input_at(&in, 0, 0);
        struct buffer y = floats_new(ctx, rows);
        ctx->kernels->matvec_dot[ctx->dtype](floats(y), &x, w.raw.data, rows, cols, w.stride);
        for (size_t r = 0; r < rows; r++)
            check_output(ctx, &w, r, &in, 0, floats(y)[r], kind_of(i));
        expect(ctx, buffer_intact(&y), "%zu x %zu: wrote outside y", rows, cols);
        add_floats(&mine, floats(y), rows);
        buffer_free(&y);
        input_free(&in);
        weight_free(&w);
    }
    expect_the_same(ctx, &first[ctx->dtype], &mine);
}

/* --- panel ---------------------------------------------------------------------------------------
 */

/* A panel in buffers of just its size. */
struct panel {
    struct buffer code, scale, min;
    struct rw_panel panel;
};

static struct panel panel_new(struct context *ctx, rwkv_dtype dtype, size_t cols)
{
    size_t groups = cols / dot_group_of(dtype) * RW_PANEL_ROWS;
    struct panel p = {.code = buffer_new(ctx, cols * RW_PANEL_ROWS, 1),
                      .scale = floats_new(ctx, groups),
                      .min = floats_new(ctx, has_min(dtype) ? groups : 0)};
    p.panel =
        (struct rw_panel){p.code.data, floats(p.scale), has_min(dtype) ? floats(p.min) : NULL};
    return p;
}

static void panel_free(struct context *ctx, struct panel *p)
{
    expect(ctx, buffer_intact(&p->code) && buffer_intact(&p->scale) && buffer_intact(&p->min),
           "wrote outside the panel");
    buffer_free(&p->code);
    buffer_free(&p->scale);
    buffer_free(&p->min);
}

/* Codes lie in the panel with an offset that is the instruction set's own. */
static void check_panel_row(struct context *ctx, const struct panel *p, const struct weight *w,
                            size_t r)
{
    const size_t group = dot_group_of(w->dtype);
    uint8_t offset = 0;
    for (size_t k = 0; k < w->cols; k++) {
        const struct element *e = &w->element[r * w->cols + k];
        size_t g = k / group * RW_PANEL_ROWS + r;
        uint8_t code = p->code.data[(k / 4 * RW_PANEL_ROWS + r) * 4 + k % 4];
        offset = k ? offset : (uint8_t)(code - e->code);
        expect(ctx, code == (uint8_t)(e->code + offset), "code [%zu, %zu]: want %d + %d, found %d",
               r, k, e->code, offset, code);
        expect(ctx, same_bits(p->panel.scale[g], e->scale),
               "scale of [%zu, %zu]: want %a, found %a", r, k, (double)e->scale,
               (double)p->panel.scale[g]);
        if (has_min(w->dtype))
            expect(ctx, same_bits(p->panel.min[g], e->min), "min of [%zu, %zu]: want %a, found %a",
                   r, k, (double)e->min, (double)p->panel.min[g]);
    }
}

static void test_panel(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        size_t rows = pick(ctx, 1, RW_PANEL_ROWS), cols = pick_cols(ctx, ctx->dtype, i % 10 == 9);
        struct weight w = weight_new(ctx, ctx->dtype, rows, cols, kind_of(i));
        struct panel p = panel_new(ctx, ctx->dtype, cols);
        ctx->kernels->panel[ctx->dtype](&p.panel, w.raw.data, rows, cols, w.stride);
        for (size_t r = 0; r < rows; r++)
            check_panel_row(ctx, &p, &w, r);
        for (size_t g = 0; g < cols / dot_group_of(ctx->dtype) * RW_PANEL_ROWS; g++)
            if (g % RW_PANEL_ROWS >= rows)
                expect(ctx, p.panel.scale[g] == 0 && (!p.panel.min || p.panel.min[g] == 0),
                       "row %zu of %zu is not zero", g % RW_PANEL_ROWS, rows);
        panel_free(ctx, &p);
        weight_free(&w);
    }
}

/* --- pack ----------------------------------------------------------------------------------------
 */

/* All rows, in a buffer of just their size. */
static struct buffer pack_all(struct context *ctx, const struct weight *w)
{
    const struct rw_dtype_info *info = rw_dtype(w->dtype);
    size_t bytes = w->cols / info->block * info->bytes * RW_PANEL_ROWS;
    size_t n = (w->rows + RW_PANEL_ROWS - 1) / RW_PANEL_ROWS;
    struct buffer packed = buffer_new(ctx, n * bytes, 1);
    for (size_t i = 0; i < n; i++) {
        size_t r = i * RW_PANEL_ROWS, left = w->rows - r;
        ctx->kernels->pack[w->dtype](packed.data + i * bytes, w->raw.data + r * w->stride,
                                     left < RW_PANEL_ROWS ? left : RW_PANEL_ROWS, w->cols,
                                     w->stride);
    }
    expect(ctx, buffer_intact(&packed), "wrote outside the packed rows");
    return packed;
}

/* The panel of the first rows from column k on. */
static void check_packed_panel(struct context *ctx, const struct weight *w, const uint8_t *packed,
                               size_t k)
{
    const struct rw_dtype_info *info = rw_dtype(w->dtype);
    size_t rows = w->rows < RW_PANEL_ROWS ? w->rows : RW_PANEL_ROWS, cols = w->cols - k;
    size_t at = k / info->block * info->bytes, groups = cols / dot_group_of(w->dtype);
    struct panel want = panel_new(ctx, w->dtype, cols), got = panel_new(ctx, w->dtype, cols);
    RW_PANEL_FN((*panel)) = ctx->kernels->panel[w->dtype];
    panel(&want.panel, w->raw.data + at, rows, cols, w->stride);
    panel(&got.panel, packed + at * RW_PANEL_ROWS, rows, cols, 0);
    expect(ctx, memcmp(want.code.data, got.code.data, cols * RW_PANEL_ROWS) == 0,
           "columns [%zu, %zu): other codes in the panel of packed rows", k, w->cols);
    for (size_t i = 0; i < groups * RW_PANEL_ROWS; i++)
        expect(ctx,
               same_bits(want.panel.scale[i], got.panel.scale[i]) &&
                   (!want.panel.min || same_bits(want.panel.min[i], got.panel.min[i])),
               "columns [%zu, %zu): other scales in the panel of packed rows", k, w->cols);
    panel_free(ctx, &want);
    panel_free(ctx, &got);
}

/* Packed or not, the products and panels are the same. */
static void test_pack(struct context *ctx)
{
    for (int i = 0; i < ROUNDS; i++) {
        size_t rows = pick_rows(ctx), block = rw_dtype(ctx->dtype)->block;
        size_t cols = i == 0 ? 8192 + 3 * block : pick_cols(ctx, ctx->dtype, i % 10 == 9);
        struct weight w = weight_new(ctx, ctx->dtype, rows, cols, kind_of(i));
        struct input in = input_new(ctx, 1, cols, kind_of(i));
        struct rw_dot_input x = input_at(&in, 0, 0);
        struct buffer y = floats_new(ctx, rows), packed = pack_all(ctx, &w);
        ctx->kernels->matvec_dot[ctx->dtype](floats(y), &x, packed.data, rows, cols, 0);
        for (size_t r = 0; r < rows; r++)
            check_output(ctx, &w, r, &in, 0, floats(y)[r], kind_of(i));
        expect(ctx, buffer_intact(&y), "%zu x %zu: wrote outside y", rows, cols);
        if (rows > 0)
            check_packed_panel(ctx, &w, packed.data, pick(ctx, 0, cols / block) * block);
        buffer_free(&packed);
        buffer_free(&y);
        input_free(&in);
        weight_free(&w);
    }
}

/* --- matmul_dot ----------------------------------------------------------------------------------
 */

#define MAX_PANELS 8

/* Pieces of columns one after the other, each with its panels. */
static void multiply(struct context *ctx, float *y, size_t ldy, const struct input *in,
                     const struct weight *w, size_t piece)
{
    const struct rw_dtype_info *info = rw_dtype(w->dtype);
    size_t n_panels = (w->rows + RW_PANEL_ROWS - 1) / RW_PANEL_ROWS;
    for (size_t k = 0; k == 0 || k < w->cols; k += piece) {
        size_t cols = w->cols - k < piece ? w->cols - k : piece;
        struct panel panels[MAX_PANELS];
        struct rw_panel list[MAX_PANELS];
        struct rw_dot_input x = input_at(in, 0, k);
        for (size_t i = 0; i < n_panels; i++) {
            size_t r = i * RW_PANEL_ROWS, left = w->rows - r;
            panels[i] = panel_new(ctx, w->dtype, cols);
            list[i] = panels[i].panel;
            ctx->kernels->panel[w->dtype](
                &list[i], w->raw.data + r * w->stride + k / info->block * info->bytes,
                left < RW_PANEL_ROWS ? left : RW_PANEL_ROWS, cols, w->stride);
        }
        ctx->kernels->matmul_dot(y, &x, list, w->dtype, in->tokens, w->rows, cols, ldy, in->ld,
                                 k == 0);
        for (size_t i = 0; i < n_panels; i++)
            panel_free(ctx, &panels[i]);
    }
}

/* One token alone has the same bits. */
static void check_same_as_matvec(struct context *ctx, const struct weight *w,
                                 const struct input *in, size_t t, const float *y)
{
    float *alone = malloc((w->rows + 1) * sizeof *alone);
    struct rw_dot_input x = input_at(in, t, 0);
    ctx->kernels->matvec_dot[w->dtype](alone, &x, w->raw.data, w->rows, w->cols, w->stride);
    for (size_t r = 0; r < w->rows; r++)
        expect(ctx, same_bits(y[r], alone[r]),
               "%s: token %zu, row %zu of %zu x %zu: not matvec_dot's", rwkv_dtype_name(w->dtype),
               t, r, w->rows, w->cols);
    free(alone);
}

static void test_product(struct context *ctx, rwkv_dtype dtype, int round, struct outputs *mine)
{
    const enum kind kind = kind_of(round);
    size_t tokens = pick(ctx, 0, 20), rows = pick(ctx, 0, 1) ? pick_rows(ctx) : pick(ctx, 0, 70);
    size_t cols = pick_cols(ctx, dtype, round % 10 == 9), block = rw_dtype(dtype)->block;
    size_t piece = pick(ctx, 1, round % 2 ? cols / block + 1 : 3) * block;
    size_t ldy = rows + pick(ctx, 0, 3) + 1, n_y = tokens ? (tokens - 1) * ldy + rows : 0;
    struct weight w = weight_new(ctx, dtype, rows, cols, kind);
    struct input in = input_new(ctx, tokens, cols, kind);
    struct buffer y = floats_new(ctx, n_y);
    for (size_t i = 0; i < n_y; i++)
        floats(y)[i] = UNTOUCHED;
    multiply(ctx, floats(y), ldy, &in, &w, piece);
    for (size_t t = 0; t < tokens; t++) {
        for (size_t r = 0; r < rows; r++)
            check_output(ctx, &w, r, &in, t, floats(y)[t * ldy + r], kind);
        check_same_as_matvec(ctx, &w, &in, t, floats(y) + t * ldy);
        add_floats(mine, floats(y) + t * ldy, rows);
    }
    for (size_t i = 0; i < n_y; i++)
        if (i % ldy >= rows)
            expect(ctx, floats(y)[i] == UNTOUCHED, "wrote between rows of y");
    expect(ctx, buffer_intact(&y), "wrote outside y");
    buffer_free(&y);
    input_free(&in);
    weight_free(&w);
}

static void test_matmul_dot(struct context *ctx)
{
    static struct outputs first;
    struct outputs mine = {0};
    for (rwkv_dtype dtype = 0; dtype < RWKV_DTYPE_MODEL_COUNT; dtype++)
        for (int i = 0; rw_dtype_is_block(dtype) && i < ROUNDS; i++)
            test_product(ctx, dtype, i, &mine);
    expect_the_same(ctx, &first, &mine);
}

void register_dot(void)
{
    char name[32];
    register_when(IN_INTEGERS, "quantize", ENTRY(quantize), 0, test_quantize, bench_quantize);
    for (size_t i = 0; i < RWKV_DTYPE_MODEL_COUNT; i++) {
        rwkv_dtype dtype = (rwkv_dtype)i;
        if (!rw_dtype_is_block(dtype))
            continue;
        snprintf(name, sizeof name, "matvec_dot_%s", rwkv_dtype_name(dtype));
        register_when(IN_INTEGERS, name, ENTRY(matvec_dot) + i, dtype, test_matvec_dot,
                      bench_matvec_dot);
        snprintf(name, sizeof name, "panel_%s", rwkv_dtype_name(dtype));
        register_when(IN_INTEGERS, name, ENTRY(panel) + i, dtype, test_panel, bench_panel);
        snprintf(name, sizeof name, "pack_%s", rwkv_dtype_name(dtype));
        register_when(IN_INTEGERS, name, ENTRY(pack) + i, dtype, test_pack, bench_pack);
    }
    register_when(IN_INTEGERS, "matmul_dot", ENTRY(matmul_dot), 0, test_matmul_dot,
                  bench_matmul_dot);
}
