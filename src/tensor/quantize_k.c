/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of 256 elements: Q2_K … Q6_K, IQ4_XS. A block is cut into runs of 16 or 32; each run has a
 * scale, and for some types a minimum, of a few bits, which an f16 of the whole block multiplies.
 * Layouts: tensor/convert.c.
 *
 * The search: every run is fitted alone, with scales that may be any number. The largest of them
 * gives the f16. Then, for each run, the whole numbers around the wanted scale and minimum are
 * tried, with codes to match; for the codes that come out, the best f16 follows by least squares;
 * and again, until the error of the block does not get smaller.
 */
#include "base/cursor.h"
#include "tensor/quantize_int.h"

#define N RW_FIT_BLOCK

static void put_half(uint8_t *to, float v)
{
    rw_store_u16(to, rw_f32_to_f16(v));
}

/* --- scale and minimum: Q2_K, Q4_K, Q5_K ------------------------------------------------------ */

struct line_form {
    int n, runs;   /* elements of a run, runs of the block */
    int max, most; /* the largest code; the largest scale and minimum */
    struct rw_guesses guesses;
};

/* x̂ = d·scale·q − d_min·minimum */
struct line_block {
    float d, d_min; /* f16 */
    int scale[RW_FIT_RUNS], minimum[RW_FIT_RUNS];
    float q[N];
    float error;
};

/* The best scale and minimum of run j among those next to what is there, and codes to match. */
static inline float place_line(struct line_block *b, int j, const float *x, const float *w,
                               struct line_form form)
{
    const struct rw_grid grid = {0, (float)form.max, false};
    float best = INFINITY, q[RW_FIT_RUN];
    bool any = false; /* an error may be infinite */
    int scale = b->scale[j], minimum = b->minimum[j];
    for (int s = scale - 1; s <= scale + 1; s++) {
        for (int m = minimum - 1; m <= minimum + 1; m++) {
            if (s < 0 || m < 0 || s > form.most || m > form.most)
                continue;
            float error = rw_fit_try(q, x, w, form.n, b->d * (float)s, -b->d_min * (float)m, grid);
            if (!any || !(error >= best)) {
                any = true;
                best = error;
                b->scale[j] = s;
                b->minimum[j] = m;
                memcpy(b->q + j * form.n, q, (size_t)form.n * sizeof *q);
            }
        }
    }
    return best;
}

/* d and d_min for the scales, minimums and codes there are. */
static inline void refit_line(struct line_block *b, const float *x, const float *w,
                              struct line_form form)
{
    double ss = 0, sm = 0, mm = 0, sx = 0, mx = 0;
    for (int j = 0; j < form.runs; j++) {
        struct rw_fit_sums a;
        double s = b->scale[j], m = -b->minimum[j];
        rw_fit_add_x(&a, x + j * form.n, w + j * form.n, form.n);
        rw_fit_add_q(&a, b->q + j * form.n, x + j * form.n, w + j * form.n, form.n);
        ss += s * s * (double)a.qq;
        sm += s * m * (double)a.q;
        mm += m * m * (double)a.w;
        sx += s * (double)a.qx;
        mx += m * (double)a.x;
    }
    double det = ss * mm - sm * sm;
    if (det > 1e-9 * ss * mm) {
        b->d = rw_fit_half((float)((sx * mm - mx * sm) / det));
        b->d_min = rw_fit_half((float)((mx * ss - sx * sm) / det));
    } else if (ss > 0) { /* no minimums */
        b->d = rw_fit_half((float)(sx / ss));
    }
}

static inline void fit_line_block(struct line_block *best, const float *x, const float *w,
                                  struct line_form form)
{
    struct rw_line lines[RW_FIT_RUNS];
    struct line_block b;
    float s = 0, m = 0;
    for (int j = 0; j < form.runs; j++) {
        lines[j] =
            rw_fit_line(x + j * form.n, w + j * form.n, form.n, form.max, true, form.guesses);
        s = lines[j].s > s ? lines[j].s : s;
        m = -lines[j].m > m ? -lines[j].m : m;
    }
    b.d = rw_fit_half(s / (float)form.most);
    b.d_min = rw_fit_half(m / (float)form.most);
    for (int j = 0; j < form.runs; j++) {
        b.scale[j] = rw_fit_int(b.d > 0 ? lines[j].s / b.d : 0, 0, form.most);
        b.minimum[j] = rw_fit_int(b.d_min > 0 ? -lines[j].m / b.d_min : 0, 0, form.most);
    }
    best->error = INFINITY;
    for (int i = 0; i < RW_FIT_ROUNDS; i++) {
        b.error = 0;
        for (int j = 0; j < form.runs; j++)
            b.error += place_line(&b, j, x + j * form.n, w + j * form.n, form);
        if (i > 0 && !(b.error < best->error))
            break;
        *best = b;
        refit_line(&b, x, w, form);
    }
}

/* Six-bit scales and minimums of eight runs into 12 bytes. */
static void put_scales_minimums(uint8_t *to, const struct line_block *b)
{
    memset(to, 0, 12);
    for (int j = 0; j < 4; j++) {
        int s = b->scale[j + 4], m = b->minimum[j + 4];
        to[j] = (uint8_t)(b->scale[j] | (s >> 4) << 6);
        to[j + 4] = (uint8_t)(b->minimum[j] | (m >> 4) << 6);
        to[j + 8] = (uint8_t)((s & 15) | (m & 15) << 4);
    }
}

/* Low four bits of codes into 128 bytes: 32 codes and the 32 after them share bytes. */
static void put_nibbles(uint8_t *to, const float *q)
{
    for (int e = 0; e < N; e += 64)
        for (int i = 0; i < 32; i++)
            *to++ = (uint8_t)(((int)q[e + i] & 15) | ((int)q[e + 32 + i] & 15) << 4);
}

/* Two bits of each code, from bit `from` on, into 64 bytes: those of 32 elements share a shift. */
static void put_pairs(uint8_t *to, const int *q, int from)
{
    memset(to, 0, N / 4);
    for (int e = 0; e < N; e++)
        to[32 * (e / 128) + e % 32] |= (uint8_t)((q[e] >> from & 3) << 2 * (e % 128 / 32));
}

void rw_quantize_q2_k(uint8_t *to, const float *x, const float *w)
{
    struct line_block b;
    int q[N];
    fit_line_block(&b, x, w, (struct line_form){16, 16, 3, 15, {-1, 2, 6, 3}});
    for (int j = 0; j < 16; j++)
        to[j] = (uint8_t)(b.scale[j] | b.minimum[j] << 4);
    for (int e = 0; e < N; e++)
        q[e] = (int)b.q[e];
    put_pairs(to + 16, q, 0);
    put_half(to + 80, b.d);
    put_half(to + 82, b.d_min);
}

void rw_quantize_q4_k(uint8_t *to, const float *x, const float *w)
{
    struct line_block b;
    fit_line_block(&b, x, w, (struct line_form){32, 8, 15, 63, {-2, 3, 10, 3}});
    put_half(to, b.d);
    put_half(to + 2, b.d_min);
    put_scales_minimums(to + 4, &b);
    put_nibbles(to + 16, b.q);
}

void rw_quantize_q5_k(uint8_t *to, const float *x, const float *w)
{
    struct line_block b;
    fit_line_block(&b, x, w, (struct line_form){32, 8, 31, 63, {-3, 3, 12, 3}});
    put_half(to, b.d);
    put_half(to + 2, b.d_min);
    put_scales_minimums(to + 4, &b);
    memset(to + 16, 0, 32);
    for (int e = 0; e < N; e++)
        to[16 + e % 32] |= (uint8_t)(((int)b.q[e] >> 4) << e / 32);
    put_nibbles(to + 48, b.q);
}

/* --- scale alone: Q3_K, Q6_K, IQ4_XS ---------------------------------------------------------- */

struct ray_form {
    int n, runs;
    struct rw_grid grid;
    int low, high; /* the scales there are */
    struct rw_guesses guesses;
};

/* x̂ = d·scale·q */
struct ray_block {
    float d; /* f16 */
    int scale[RW_FIT_RUNS];
    float q[N];
    float error;
};

static inline float place_ray(struct ray_block *b, int j, const float *x, const float *w,
                              struct ray_form form)
{
    float best = INFINITY, q[RW_FIT_RUN];
    bool any = false; /* an error may be infinite */
    int scale = b->scale[j];
    for (int s = scale - 1; s <= scale + 1; s++) {
        if (s < form.low || s > form.high)
            continue;
        float error = rw_fit_try(q, x, w, form.n, b->d * (float)s, 0, form.grid);
        if (!any || !(error >= best)) {
            any = true;
            best = error;
            b->scale[j] = s;
            memcpy(b->q + j * form.n, q, (size_t)form.n * sizeof *q);
        }
    }
    return best;
}

static inline void refit_ray(struct ray_block *b, const float *x, const float *w,
                             struct ray_form form)
{
    double ss = 0, sx = 0;
    for (int j = 0; j < form.runs; j++) {
        struct rw_fit_sums a;
        double s = b->scale[j];
        rw_fit_add_q(&a, b->q + j * form.n, x + j * form.n, w + j * form.n, form.n);
        ss += s * s * (double)a.qq;
        sx += s * (double)a.qx;
    }
    if (ss > 0)
        b->d = rw_fit_half((float)(sx / ss));
}

static inline void fit_ray_block(struct ray_block *best, const float *x, const float *w,
                                 struct ray_form form)
{
    struct rw_line rays[RW_FIT_RUNS];
    struct ray_block b;
    float extreme = 0;
    for (int j = 0; j < form.runs; j++) {
        rays[j] = rw_fit_ray(x + j * form.n, w + j * form.n, form.n, form.grid, form.guesses);
        extreme = fabsf(rays[j].s) > fabsf(extreme) ? rays[j].s : extreme;
    }
    b.d = rw_fit_half(extreme / (float)form.low); /* the longer side of the scales */
    for (int j = 0; j < form.runs; j++)
        b.scale[j] = rw_fit_int(b.d != 0 ? rays[j].s / b.d : 0, form.low, form.high);
    best->error = INFINITY;
    for (int i = 0; i < RW_FIT_ROUNDS; i++) {
        b.error = 0;
        for (int j = 0; j < form.runs; j++)
            b.error += place_ray(&b, j, x + j * form.n, w + j * form.n, form);
        if (i > 0 && !(b.error < best->error))
            break;
        *best = b;
        refit_ray(&b, x, w, form);
    }
}

void rw_quantize_q3_k(uint8_t *to, const float *x, const float *w)
{
    struct ray_block b;
    int q[N];
    fit_ray_block(&b, x, w, (struct ray_form){16, 16, {-4, 3, false}, -32, 31, {-1, 3, 16, 1}});
    memset(to, 0, 32);
    for (int e = 0; e < N; e++) {
        q[e] = (int)b.q[e] + 4;
        to[e % 32] |= (uint8_t)((q[e] >> 2) << e / 32);
    }
    put_pairs(to + 32, q, 0);
    memset(to + 96, 0, 12);
    for (int j = 0; j < 16; j++) {
        int s = b.scale[j] + 32;
        to[96 + j % 8] |= (uint8_t)((s & 15) << 4 * (j / 8));
        to[104 + j % 4] |= (uint8_t)((s >> 4) << 2 * (j / 4));
    }
    put_half(to + 108, b.d);
}

void rw_quantize_q6_k(uint8_t *to, const float *x, const float *w)
{
    struct ray_block b;
    int q[N];
    fit_ray_block(&b, x, w, (struct ray_form){16, 16, {-32, 31, false}, -128, 127, {-4, 6, 20, 1}});
    memset(to, 0, 128);
    for (int e = 0; e < N; e++) {
        q[e] = (int)b.q[e] + 32;
        to[64 * (e / 128) + e % 64] |= (uint8_t)((q[e] & 15) << 4 * (e % 128 / 64));
    }
    put_pairs(to + 128, q, 4);
    for (int j = 0; j < 16; j++)
        to[192 + j] = (uint8_t)(int8_t)b.scale[j];
    put_half(to + 208, b.d);
}

void rw_quantize_iq4_xs(uint8_t *to, const float *x, const float *w)
{
    struct ray_block b;
    int high = 0;
    fit_ray_block(&b, x, w, (struct ray_form){32, 8, {-127, 113, true}, -32, 31, {-32, 64, 24, 1}});
    put_half(to, b.d);
    memset(to + 4, 0, 4);
    for (int j = 0; j < 8; j++) {
        int s = b.scale[j] + 32;
        to[4 + j / 2] |= (uint8_t)((s & 15) << 4 * (j % 2));
        high |= (s >> 4) << 2 * j;
        for (int i = 0; i < 16; i++)
            to[8 + 16 * j + i] =
                (uint8_t)(rw_iq4_code(b.q[32 * j + i]) | rw_iq4_code(b.q[32 * j + 16 + i]) << 4);
    }
    rw_store_u16(to + 2, (uint16_t)high);
}
