/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search that every block type shares: for a run of n numbers x with weights w, codes q on a
 * grid and the line s·q + m (or s·q) that comes nearest to x.
 *
 *   given s and m, the best codes are those nearest to (x − m)/s;
 *   given codes, the best s and m solve linear equations in Σw, Σwq, Σwq², Σwx, Σwqx (least
 *   squares), and the error follows from the same sums.
 *
 * Neither step makes the error larger, so the two are repeated from the best of a number of first
 * guesses. Guesses matter: the error has many valleys. They are ways to lay the grid over the range
 * of x, some wider, some narrower than it, since numbers of little weight may be cut off.
 *
 * Functions are inline and take n and the grid as constants, so that each type gets loops of its
 * own that the compiler turns into vector instructions. Sums are taken in four lanes whatever the
 * machine has, so that results are the same everywhere.
 */
#ifndef RW_TENSOR_QUANTIZE_INT_H
#define RW_TENSOR_QUANTIZE_INT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/half.h"
#include "tensor/iq4.h"

#define RW_FIT_RUN 32    /* elements of the longest run */
#define RW_FIT_BLOCK 256 /* of the longest block */
#define RW_FIT_RUNS 16   /* runs of a block, at most */
#define RW_FIT_ROUNDS 4  /* times that steps are repeated, at most */

/* The values that codes have: the whole numbers from low to high, or those of IQ4. */
struct rw_grid {
    float low, high;
    bool iq4;
};

typedef float rw_lanes __attribute__((vector_size(16)));
typedef int32_t rw_lanes_mask __attribute__((vector_size(16)));

static inline rw_lanes rw_lanes_load(const float *p)
{
    rw_lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void rw_lanes_store(float *p, rw_lanes v)
{
    memcpy(p, &v, sizeof v);
}

static inline rw_lanes rw_lanes_all(float v)
{
    return (rw_lanes){v, v, v, v};
}

/* a where the lane of `where` is −1, b where it is 0. */
static inline rw_lanes rw_lanes_choose(rw_lanes_mask where, rw_lanes a, rw_lanes b)
{
    return (rw_lanes)((where & (rw_lanes_mask)a) | (~where & (rw_lanes_mask)b));
}

static inline float rw_lanes_sum(rw_lanes v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

/* --- codes for a line ------------------------------------------------------------------------- */

/* Numbers to the nearest levels of IQ4: a step up at each middle between two. */
static inline rw_lanes rw_iq4_nearest(rw_lanes v)
{
    rw_lanes level = rw_lanes_all(rw_iq4_values[0]);
    for (int i = 1; i < RW_IQ4_LEVELS; i++) {
        float below = rw_iq4_values[i - 1], above = rw_iq4_values[i];
        rw_lanes_mask up = v > rw_lanes_all((below + above) * 0.5f);
        level += rw_lanes_choose(up, rw_lanes_all(above - below), rw_lanes_all(0));
    }
    return level;
}

/* The code of a level. */
static inline int rw_iq4_code(float level)
{
    int code = 0;
    while (code < RW_IQ4_LEVELS - 1 && (float)rw_iq4_values[code] < level)
        code++;
    return code;
}

/* x·inverse + offset, to the nearest of the grid. NaN gives its low end. Adding 1.5·2²³ leaves no
 * bits behind the point: that rounds, to even. */
static inline rw_lanes rw_fit_code(rw_lanes x, float inverse, float offset, struct rw_grid grid)
{
    const rw_lanes low = rw_lanes_all(grid.low), high = rw_lanes_all(grid.high);
    const rw_lanes rounder = rw_lanes_all(0x1.8p23f);
    rw_lanes v = x * rw_lanes_all(inverse) + rw_lanes_all(offset);
    v = rw_lanes_choose(v > low, v, low);
    v = rw_lanes_choose(v < high, v, high);
    return grid.iq4 ? rw_iq4_nearest(v) : (v + rounder) - rounder;
}

/* Codes for the line s·q + m, and its error Σ w (x − s·q − m)². */
static inline float rw_fit_try(float *q, const float *x, const float *w, int n, float s, float m,
                               struct rw_grid grid)
{
    float inverse = s != 0 ? 1 / s : 0, offset = -m * inverse;
    rw_lanes error = {0}, step = rw_lanes_all(s), start = rw_lanes_all(m);
    for (int i = 0; i < n; i += 4) {
        rw_lanes v = rw_lanes_load(x + i), code = rw_fit_code(v, inverse, offset, grid);
        rw_lanes rest = v - (step * code + start);
        error += rw_lanes_load(w + i) * rest * rest;
        rw_lanes_store(q + i, code);
    }
    return rw_lanes_sum(error);
}

/* --- the line for codes ----------------------------------------------------------------------- */

struct rw_fit_sums {
    float w, x, xx;  /* Σw, Σwx, Σwx² */
    float q, qq, qx; /* Σwq, Σwq², Σwqx */
};

static inline void rw_fit_add_x(struct rw_fit_sums *sums, const float *x, const float *w, int n)
{
    rw_lanes a = {0}, b = {0}, c = {0};
    for (int i = 0; i < n; i += 4) {
        rw_lanes v = rw_lanes_load(x + i), weight = rw_lanes_load(w + i);
        a += weight;
        b += weight * v;
        c += weight * v * v;
    }
    sums->w = rw_lanes_sum(a);
    sums->x = rw_lanes_sum(b);
    sums->xx = rw_lanes_sum(c);
}

static inline void rw_fit_add_q(struct rw_fit_sums *sums, const float *q, const float *x,
                                const float *w, int n)
{
    rw_lanes a = {0}, b = {0}, c = {0};
    for (int i = 0; i < n; i += 4) {
        rw_lanes v = rw_lanes_load(q + i), weighted = rw_lanes_load(w + i) * v;
        a += weighted;
        b += weighted * v;
        c += weighted * rw_lanes_load(x + i);
    }
    sums->q = rw_lanes_sum(a);
    sums->qq = rw_lanes_sum(b);
    sums->qx = rw_lanes_sum(c);
}

/* The same for the codes of x·inverse + offset. */
static inline void rw_fit_add_codes(struct rw_fit_sums *sums, const float *x, const float *w, int n,
                                    float inverse, float offset, struct rw_grid grid)
{
    rw_lanes a = {0}, b = {0}, c = {0};
    for (int i = 0; i < n; i += 4) {
        rw_lanes v = rw_lanes_load(x + i), code = rw_fit_code(v, inverse, offset, grid);
        rw_lanes weighted = rw_lanes_load(w + i) * code;
        a += weighted;
        b += weighted * code;
        c += weighted * v;
    }
    sums->q = rw_lanes_sum(a);
    sums->qq = rw_lanes_sum(b);
    sums->qx = rw_lanes_sum(c);
}

struct rw_line {
    float s, m;
    float error;
};

/* The best s for m = 0. */
static inline struct rw_line rw_fit_scale(const struct rw_fit_sums *a)
{
    struct rw_line line = {.s = a->qq > 0 ? a->qx / a->qq : 0};
    line.error = (float)((double)a->xx - (double)line.s * (double)a->qx);
    return line;
}

/* The best s and m; with `below`, the best with m ≤ 0 ≤ s. */
static inline struct rw_line rw_fit_both(const struct rw_fit_sums *a, bool below)
{
    double w = a->w, x = a->x, q = a->q, qq = a->qq, qx = a->qx;
    double det = w * qq - q * q;
    if (!(det > 0))
        return (struct rw_line){.error = INFINITY}; /* one code for all: no guess leads there */
    double s = (w * qx - x * q) / det, m = (qq * x - q * qx) / det;
    if (below && m > 0)
        return rw_fit_scale(a);
    double error = (double)a->xx + s * s * qq + m * m * w + 2 * (s * m * q - s * qx - m * x);
    return (struct rw_line){(float)s, (float)m, (float)error};
}

/* --- runs ------------------------------------------------------------------------------------- */

/* How first guesses are laid: `steps` + 1 sizes of the grid, from `from` codes fewer than span the
 * numbers to `to` more; each at `shifts` places. */
struct rw_guesses {
    float from, to;
    int steps, shifts;
};

static inline void rw_fit_range(const float *x, int n, float *low, float *high)
{
    float a = x[0], b = x[0];
    for (int i = 1; i < n; i++) {
        a = x[i] < a ? x[i] : a;
        b = x[i] > b ? x[i] : b;
    }
    *low = a;
    *high = b;
}

/* The line s·q + m for codes 0 … max. With `below`, m ≤ 0 ≤ s. */
static inline struct rw_line rw_fit_line(const float *x, const float *w, int n, int max, bool below,
                                         struct rw_guesses guesses)
{
    const struct rw_grid grid = {0, (float)max, false};
    float low, high;
    struct rw_fit_sums sums;
    rw_fit_range(x, n, &low, &high);
    if (below && low > 0)
        low = 0;
    if (!(high > low))
        return (struct rw_line){.m = low};
    struct rw_line best = {(high - low) / (float)max, low, INFINITY};
    rw_fit_add_x(&sums, x, w, n);
    for (int i = 0; i <= guesses.steps; i++) {
        float more = guesses.from + (guesses.to - guesses.from) * (float)i / (float)guesses.steps;
        float inverse = ((float)max + more) / (high - low);
        for (int j = 0; j < guesses.shifts; j++) {
            /* More codes than the grid has are cut off above, on both sides, or below. */
            float shift = guesses.shifts > 1 ? more * (float)j / (float)(guesses.shifts - 1) : 0;
            rw_fit_add_codes(&sums, x, w, n, inverse, -low * inverse - shift, grid);
            struct rw_line line = rw_fit_both(&sums, below);
            best = line.error < best.error ? line : best;
        }
    }
    for (int i = 0; i < RW_FIT_ROUNDS && best.s != 0; i++) {
        rw_fit_add_codes(&sums, x, w, n, 1 / best.s, -best.m / best.s, grid);
        struct rw_line line = rw_fit_both(&sums, below);
        if (!(line.error < best.error))
            break;
        best = line;
    }
    return best;
}

/* The line s·q, s of either sign. The number of the largest magnitude is laid on both ends of the
 * grid. */
static inline struct rw_line rw_fit_ray(const float *x, const float *w, int n, struct rw_grid grid,
                                        struct rw_guesses guesses)
{
    float low, high;
    struct rw_fit_sums sums;
    rw_fit_range(x, n, &low, &high);
    float extreme = high > -low ? high : low;
    if (extreme == 0)
        return (struct rw_line){0};
    struct rw_line best = {.s = extreme / grid.low, .error = INFINITY};
    rw_fit_add_x(&sums, x, w, n);
    for (int i = 0; i <= guesses.steps; i++) {
        float more = guesses.from + (guesses.to - guesses.from) * (float)i / (float)guesses.steps;
        for (int end = 0; end < 2; end++) {
            float inverse = (end ? grid.high + more : grid.low - more) / extreme;
            rw_fit_add_codes(&sums, x, w, n, inverse, 0, grid);
            struct rw_line line = rw_fit_scale(&sums);
            best = line.error < best.error ? line : best;
        }
    }
    for (int i = 0; i < RW_FIT_ROUNDS && best.s != 0; i++) {
        rw_fit_add_codes(&sums, x, w, n, 1 / best.s, 0, grid);
        struct rw_line line = rw_fit_scale(&sums);
        if (!(line.error < best.error))
            break;
        best = line;
    }
    return best;
}

/* --- f16 scales ------------------------------------------------------------------------------- */

/* The f16 next to v and within its finite range; for v ≠ 0 never 0, so that the smallest numbers
 * are kept as far as can be. */
static inline float rw_fit_half(float v)
{
    float h = rw_f16_to_f32(rw_f32_to_f16(v));
    if (h == 0 && v != 0)
        return v > 0 ? 0x1p-24f : -0x1p-24f;
    if (!(h <= 65504.0f))
        return 65504.0f;
    return h < -65504.0f ? -65504.0f : h;
}

/* v to the nearest whole number in [low, high]; NaN gives low. */
static inline int rw_fit_int(float v, int low, int high)
{
    if (!(v > (float)low))
        return low;
    return v >= (float)high ? high : (int)floorf(v + 0.5f);
}

/* The encoders of a block of each type: x and w [block]. w is finite, ≥ 0 and not all zero. */
typedef void (*rw_quantize_fn)(uint8_t *to, const float *x, const float *w);

void rw_quantize_q4_0(uint8_t *to, const float *x, const float *w);
void rw_quantize_q4_1(uint8_t *to, const float *x, const float *w);
void rw_quantize_q5_0(uint8_t *to, const float *x, const float *w);
void rw_quantize_q5_1(uint8_t *to, const float *x, const float *w);
void rw_quantize_q8_0(uint8_t *to, const float *x, const float *w);
void rw_quantize_iq4_nl(uint8_t *to, const float *x, const float *w);
void rw_quantize_q2_k(uint8_t *to, const float *x, const float *w);
void rw_quantize_q3_k(uint8_t *to, const float *x, const float *w);
void rw_quantize_q4_k(uint8_t *to, const float *x, const float *w);
void rw_quantize_q5_k(uint8_t *to, const float *x, const float *w);
void rw_quantize_q6_k(uint8_t *to, const float *x, const float *w);
void rw_quantize_iq4_xs(uint8_t *to, const float *x, const float *w);

#endif
