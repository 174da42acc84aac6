/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wkv7_output_backward, wkv7_backward and wkv7_inputs_backward against the same formulas in double;
 * the formulas themselves are checked against central differences in tests/unit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "harness.h"

#define ROUNDS 40
#define KAPPA 0.60653065971263342

static size_t pick_head(struct context *ctx, size_t largest)
{
    static const size_t usual[] = {64, 32, 128, RW_WKV7_MAX_HEAD};
    size_t i = pick(ctx, 0, 15), n = i < 4 ? usual[i] : pick(ctx, 1, 80);
    return n <= largest ? n : largest;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* --- wkv7_output_backward
 * ------------------------------------------------------------------------- */

enum { DOUT, Y, OUT_R, OUT_K, OUT_V, OUT_G, R_K, WEIGHT, BIAS, N_OUT_IN };
enum { DY, DR, DK, DV, DG, DR_K, DWEIGHT, DBIAS, N_OUT };

/* Means and sums of one head, and the sums of absolute values. */
struct output_sums {
    double mean, scale, s, ds, tau, along;
    double largest, s_size, ds_size, tau_size;
};

static struct output_sums sum_up(double in[N_OUT_IN][RW_WKV7_MAX_HEAD], double eps, size_t n)
{
    struct output_sums o = {0};
    double var = 0;
    for (size_t i = 0; i < n; i++) {
        o.mean += in[Y][i] / (double)n;
        o.largest = fmax(o.largest, fabs(in[Y][i]));
    }
    for (size_t i = 0; i < n; i++)
        var += (in[Y][i] - o.mean) * (in[Y][i] - o.mean) / (double)n;
    o.scale = 1 / sqrt(var + eps);
    for (size_t i = 0; i < n; i++) {
        double dz = in[DOUT][i] * in[OUT_G][i], rk = in[OUT_R][i] * in[OUT_K][i] * in[R_K][i];
        o.s += rk;
        o.s_size += fabs(rk);
        o.ds += dz * in[OUT_V][i];
        o.ds_size += fabs(dz * in[OUT_V][i]);
        o.tau += dz * in[WEIGHT][i] / (double)n;
        o.tau_size = fmax(o.tau_size, fabs(dz * in[WEIGHT][i]));
        o.along += dz * in[WEIGHT][i] * (in[Y][i] - o.mean) * o.scale / (double)n;
    }
    return o;
}

static void check_output(struct context *ctx, double in[N_OUT_IN][RW_WKV7_MAX_HEAD],
                         const struct buffer *out, double eps, size_t n)
{
    struct output_sums o = sum_up(in, eps, n);
    double hat_size = 2 * o.largest * o.scale;
    for (size_t i = 0; i < n; i++) {
        double r = in[OUT_R][i], k = in[OUT_K][i], v = in[OUT_V][i], r_k = in[R_K][i];
        double dz = in[DOUT][i] * in[OUT_G][i], hat = (in[Y][i] - o.mean) * o.scale;
        const double want[] = {
            [DY] = o.scale * (dz * in[WEIGHT][i] - o.tau - hat * o.along),
            [DR] = o.ds * k * r_k,
            [DK] = o.ds * r * r_k,
            [DV] = o.s * dz,
            [DG] = in[DOUT][i] * (hat * in[WEIGHT][i] + in[BIAS][i] + o.s * v),
            [DR_K] = o.ds * r * k,
            [DWEIGHT] = dz * hat,
            [DBIAS] = dz,
        };
        const double size[] = {
            [DY] = o.scale * o.tau_size * (2 + hat_size * (hat_size + 1)),
            [DR] = o.ds_size * fabs(k * r_k),
            [DK] = o.ds_size * fabs(r * r_k),
            [DV] = o.s_size * fabs(dz),
            [DG] = fabs(in[DOUT][i]) *
                   (hat_size * fabs(in[WEIGHT][i]) + fabs(in[BIAS][i]) + o.s_size * fabs(v)),
            [DR_K] = o.ds_size * fabs(r * k),
            [DWEIGHT] = fabs(dz) * hat_size,
            [DBIAS] = fabs(dz),
        };
        for (int j = 0; j < N_OUT; j++)
            expect(ctx, close_enough(floats(out[j])[i], want[j], 16, n, size[j]),
                   "output %d, %zu of %zu: want %g, found %g", j, i, n, want[j],
                   (double)floats(out[j])[i]);
    }
}

static void test_output(struct context *ctx)
{
    static double exact[N_OUT_IN][RW_WKV7_MAX_HEAD];
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick_head(ctx, RW_WKV7_MAX_HEAD);
        bool hostile = round % 5 == 4;
        struct buffer in[N_OUT_IN], out[N_OUT];
        for (int j = 0; j < N_OUT_IN; j++) {
            in[j] = floats_random(ctx, n, hostile);
            for (size_t i = 0; i < n; i++)
                exact[j][i] = (double)floats(in[j])[i];
        }
        for (int j = 0; j < N_OUT; j++)
            out[j] = floats_new(ctx, n);
        const struct rw_wkv7_output_backward head = {
            floats(out[DY]),   floats(out[DR]),   floats(out[DK]),      floats(out[DV]),
            floats(out[DG]),   floats(out[DR_K]), floats(out[DWEIGHT]), floats(out[DBIAS]),
            floats(in[DOUT]),  floats(in[Y]),     floats(in[OUT_R]),    floats(in[OUT_K]),
            floats(in[OUT_V]), floats(in[OUT_G]), floats(in[R_K]),      floats(in[WEIGHT]),
            floats(in[BIAS])};
        ctx->kernels->wkv7_output_backward(&head, 64e-5f, n);
        if (!hostile)
            check_output(ctx, exact, out, (double)64e-5f, n);
        for (int j = 0; j < N_OUT; j++) {
            expect(ctx, buffer_intact(&out[j]), "wrote outside output %d, n %zu", j, n);
            buffer_free(&out[j]);
        }
        for (int j = 0; j < N_OUT_IN; j++)
            buffer_free(&in[j]);
    }
}

/* --- the recurrence
 * ------------------------------------------------------------------------------- */

enum { IN_R, IN_W, IN_K, IN_V, IN_A, IN_B, N_STEP };
enum { BY_R, BY_W, BY_K, BY_V, BY_A, BY_B, N_BY };

/* A value and the sum of the absolute values that made it. */
struct sized {
    double value, size;
};

struct problem {
    size_t n, tokens, ld;
    struct buffer in[N_STEP], dy, S, G, by[N_BY], work;
    struct sized *exact[N_BY], *states, *u, *G64; /* as the arrays, and a state for each token */
};

static struct sized sized(float x)
{
    return (struct sized){(double)x, fabs((double)x)};
}

static void plus(struct sized *sum, struct sized a, struct sized b)
{
    sum->value += a.value * b.value;
    sum->size += a.size * b.size;
}

static struct sized *sized_copy(struct buffer b)
{
    size_t n = b.size / sizeof(float);
    struct sized *copy = malloc((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = sized(floats(b)[i]);
    return copy;
}

static void problem_new(struct context *ctx, struct problem *p, bool hostile)
{
    p->n = pick_head(ctx, 128);
    p->tokens = pick(ctx, 1, p->n > 64 ? 3 : RW_WKV7_CHUNK);
    p->ld = p->n + pick(ctx, 0, 70);
    size_t size = (p->tokens - 1) * p->ld + p->n, n2 = p->n * p->n;
    for (int j = 0; j < N_STEP; j++) {
        p->in[j] = floats_random(ctx, size, hostile);
        for (size_t i = 0; i < size && (j == IN_A || j == IN_B); i++)
            floats(p->in[j])[i] /= sqrtf((float)p->n);
    }
    for (size_t i = 0; i < size; i++)
        floats(p->in[IN_W])[i] = 0.55f + 0.45f * (float)rw_rng_uniform(&ctx->rng);
    p->dy = floats_random(ctx, p->tokens * p->n, hostile);
    p->S = floats_random(ctx, n2, hostile);
    p->G = floats_random(ctx, n2, hostile);
    p->work = floats_new(ctx, RW_WKV7_WORK(p->n));
    for (int j = 0; j < N_BY; j++) {
        p->by[j] = floats_random(ctx, p->tokens * p->n, hostile);
        p->exact[j] = sized_copy(p->by[j]);
        if (j == BY_W || j == BY_A || j == BY_B)
            memset(p->exact[j], 0, p->tokens * p->n * sizeof *p->exact[j]);
    }
    p->G64 = sized_copy(p->G);
    p->states = calloc((p->tokens + 1) * n2, sizeof *p->states);
    p->u = calloc(p->tokens * p->n, sizeof *p->u);
    for (size_t i = 0; i < n2; i++)
        p->states[i] = sized(floats(p->S)[i]);
}

static void problem_free(struct problem *p)
{
    for (int j = 0; j < N_STEP; j++)
        buffer_free(&p->in[j]);
    for (int j = 0; j < N_BY; j++) {
        buffer_free(&p->by[j]);
        free(p->exact[j]);
    }
    buffer_free(&p->dy);
    buffer_free(&p->S);
    buffer_free(&p->G);
    buffer_free(&p->work);
    free(p->G64);
    free(p->states);
    free(p->u);
}

static struct sized at(const struct problem *p, int j, size_t t, size_t i)
{
    return sized(floats(p->in[j])[t * p->ld + i]);
}

static void forward_in_double(struct problem *p)
{
    size_t n = p->n;
    for (size_t t = 0; t < p->tokens; t++)
        for (size_t i = 0; i < n; i++) {
            const struct sized *s = p->states + (t * n + i) * n;
            struct sized *next = p->states + ((t + 1) * n + i) * n, *u = p->u + t * n + i;
            for (size_t j = 0; j < n; j++)
                plus(u, s[j], at(p, IN_A, t, j));
            for (size_t j = 0; j < n; j++) {
                plus(&next[j], s[j], at(p, IN_W, t, j));
                plus(&next[j], *u, at(p, IN_B, t, j));
                plus(&next[j], at(p, IN_V, t, i), at(p, IN_K, t, j));
            }
        }
}

static void back_in_double(struct problem *p, size_t t, size_t i)
{
    size_t n = p->n, row = t * n + i;
    struct sized dy = sized(floats(p->dy)[row]), du = {0, 0}, *G = p->G64 + i * n;
    struct sized v = at(p, IN_V, t, i);
    for (size_t j = 0; j < n; j++) {
        plus(&p->exact[BY_R][t * n + j], p->states[(row + n) * n + j], dy);
        plus(&G[j], dy, at(p, IN_R, t, j));
        plus(&p->exact[BY_V][row], G[j], at(p, IN_K, t, j));
        plus(&du, G[j], at(p, IN_B, t, j));
    }
    for (size_t j = 0; j < n; j++) {
        struct sized s = p->states[row * n + j], before = G[j];
        plus(&p->exact[BY_K][t * n + j], before, v);
        plus(&p->exact[BY_B][t * n + j], before, p->u[row]);
        plus(&p->exact[BY_A][t * n + j], s, du);
        plus(&p->exact[BY_W][t * n + j], before, s);
        G[j] = (struct sized){0, 0};
        plus(&G[j], before, at(p, IN_W, t, j));
        plus(&G[j], du, at(p, IN_A, t, j));
    }
}

static void run(struct context *ctx, const struct problem *p)
{
    const struct rw_wkv7_chunk chunk = {
        floats(p->by[BY_R]), floats(p->by[BY_W]), floats(p->by[BY_K]),
        floats(p->by[BY_V]), floats(p->by[BY_A]), floats(p->by[BY_B]),
        floats(p->dy),       floats(p->in[IN_R]), floats(p->in[IN_W]),
        floats(p->in[IN_K]), floats(p->in[IN_V]), floats(p->in[IN_A]),
        floats(p->in[IN_B]), p->tokens,           p->ld};
    ctx->kernels->wkv7_backward(&chunk, floats(p->G), floats(p->work), floats(p->S), p->n);
}

static void check_values(struct context *ctx, struct problem *p)
{
    forward_in_double(p);
    for (size_t t = p->tokens; t-- > 0;)
        for (size_t i = 0; i < p->n; i++)
            back_in_double(p, t, i);
    double factor = 8 * (double)p->tokens;
    for (int j = 0; j < N_BY; j++)
        for (size_t i = 0; i < p->tokens * p->n; i++)
            expect(ctx,
                   close_enough(floats(p->by[j])[i], p->exact[j][i].value, factor, p->n,
                                p->exact[j][i].size),
                   "N %zu, %zu tokens, derivative %d, %zu: want %g, found %g", p->n, p->tokens, j,
                   i, p->exact[j][i].value, (double)floats(p->by[j])[i]);
    for (size_t i = 0; i < p->n * p->n; i++)
        expect(ctx, close_enough(floats(p->G)[i], p->G64[i].value, factor, p->n, p->G64[i].size),
               "N %zu, G[%zu]: want %g, found %g", p->n, i, p->G64[i].value,
               (double)floats(p->G)[i]);
}

static void test_wkv7(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        bool hostile = round % 5 == 4;
        struct problem p;
        problem_new(ctx, &p, hostile);
        run(ctx, &p);
        if (!hostile)
            check_values(ctx, &p);
        for (int j = 0; j < N_BY; j++)
            expect(ctx, buffer_intact(&p.by[j]), "wrote outside derivative %d, N %zu", j, p.n);
        expect(ctx, buffer_intact(&p.G) && buffer_intact(&p.work), "wrote outside, N %zu", p.n);
        problem_free(&p);
    }
}

/* --- wkv7_inputs_backward
 * ------------------------------------------------------------------------- */

enum { DB, W, A, K, V, V_FIRST, GATE, W0, A0, V0, K_K, K_A, N_IN };
enum { IN_DW, IN_DA, IN_DK, IN_DV, IN_DV_FIRST, IN_DGATE, IN_DK_K, IN_DK_A, N_INOUT };

static void check_inputs(struct context *ctx, double in[N_IN][RW_WKV7_MAX_HEAD],
                         double d[N_INOUT][RW_WKV7_MAX_HEAD], const struct buffer *out, size_t n,
                         bool first)
{
    double norm = 0, part = 0, part_size = 0;
    for (size_t i = 0; i < n; i++)
        norm += pow(in[K][i] * in[K_K][i], 2);
    norm = fmax(sqrt(norm), 1e-12);
    for (size_t i = 0; i < n; i++) {
        double eta = sigmoid(in[A0][i] + in[A][i]), kk = in[K][i] * in[K_K][i] / norm;
        part += kk * (in[DB][i] * eta - d[IN_DA][i]);
        part_size += fabs(kk) * (fabs(in[DB][i]) + fabs(d[IN_DA][i]));
    }
    for (size_t i = 0; i < n; i++) {
        double k = in[K][i], kk = k * in[K_K][i] / norm, eta = sigmoid(in[A0][i] + in[A][i]);
        double sigma = sigmoid(in[W0][i] + in[W][i]), dk = d[IN_DK][i], dv = d[IN_DV][i];
        double mixed = first ? 0 : sigmoid(in[V0][i] + in[GATE][i]);
        double step = in[V_FIRST][i] - in[V][i];
        double dxi = (in[DB][i] * eta - d[IN_DA][i] - kk * part) / norm;
        double dxi_size = (fabs(in[DB][i]) + fabs(d[IN_DA][i]) + fabs(kk) * part_size) / norm;
        const double want[] = {
            [IN_DW] = d[IN_DW][i] * exp(-KAPPA * sigma) * -KAPPA * sigma * (1 - sigma),
            [IN_DA] = (in[DB][i] * kk + dk * k * in[K_A][i]) * eta * (1 - eta),
            [IN_DK] = dk * (1 + (eta - 1) * in[K_A][i]) + dxi * in[K_K][i],
            [IN_DV] = dv * (1 - mixed),
            [IN_DV_FIRST] = d[IN_DV_FIRST][i] + dv * mixed,
            [IN_DGATE] = dv * step * mixed * (1 - mixed),
            [IN_DK_K] = dxi * k,
            [IN_DK_A] = dk * k * (eta - 1),
        };
        const double size[] = {
            [IN_DW] = fabs(d[IN_DW][i]),
            [IN_DA] = fabs(in[DB][i] * kk) + fabs(dk * k * in[K_A][i]),
            [IN_DK] = fabs(dk) * (1 + fabs(in[K_A][i])) + dxi_size * fabs(in[K_K][i]),
            [IN_DV] = fabs(dv),
            [IN_DV_FIRST] = fabs(d[IN_DV_FIRST][i]) + fabs(dv),
            [IN_DGATE] = fabs(dv) * (fabs(in[V][i]) + fabs(in[V_FIRST][i])),
            [IN_DK_K] = dxi_size * fabs(k),
            [IN_DK_A] = fabs(dk * k),
        };
        for (int j = 0; j < N_INOUT; j++)
            if (!first || (j != IN_DV_FIRST && j != IN_DGATE))
                expect(ctx, close_enough(floats(out[j])[i], want[j], 16, n, size[j]),
                       "output %d, %zu of %zu: want %g, found %g", j, i, n, want[j],
                       (double)floats(out[j])[i]);
    }
}

static void exact_copy(double *to, struct buffer from)
{
    for (size_t i = 0; i < from.size / sizeof(float); i++)
        to[i] = (double)floats(from)[i];
}

static void test_inputs(struct context *ctx)
{
    static double in64[N_IN][RW_WKV7_MAX_HEAD], d64[N_INOUT][RW_WKV7_MAX_HEAD];
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick_head(ctx, RW_WKV7_MAX_HEAD);
        bool first = round % 4 == 0, hostile = round % 5 == 4;
        struct buffer in[N_IN], d[N_INOUT];
        for (int j = 0; j < N_IN; j++) {
            in[j] = floats_random(ctx, n, hostile);
            exact_copy(in64[j], in[j]);
        }
        for (int j = 0; j < N_INOUT; j++) {
            d[j] = floats_random(ctx, n, hostile);
            exact_copy(d64[j], d[j]);
        }
        const struct rw_wkv7_inputs_backward head = {
            .dw = floats(d[IN_DW]),
            .da = floats(d[IN_DA]),
            .dk = floats(d[IN_DK]),
            .dv = floats(d[IN_DV]),
            .dv_first = first ? NULL : floats(d[IN_DV_FIRST]),
            .dgate = first ? NULL : floats(d[IN_DGATE]),
            .dk_k = floats(d[IN_DK_K]),
            .dk_a = floats(d[IN_DK_A]),
            .db = floats(in[DB]),
            .w = floats(in[W]),
            .a = floats(in[A]),
            .k = floats(in[K]),
            .v = floats(in[V]),
            .v_first = first ? NULL : floats(in[V_FIRST]),
            .gate = first ? NULL : floats(in[GATE]),
            .w0 = floats(in[W0]),
            .a0 = floats(in[A0]),
            .v0 = first ? NULL : floats(in[V0]),
            .k_k = floats(in[K_K]),
            .k_a = floats(in[K_A]),
        };
        ctx->kernels->wkv7_inputs_backward(&head, n);
        if (!hostile)
            check_inputs(ctx, in64, d64, d, n, first);
        for (int j = 0; j < N_IN; j++)
            buffer_free(&in[j]);
        for (int j = 0; j < N_INOUT; j++) {
            expect(ctx, buffer_intact(&d[j]), "wrote outside array %d, n %zu", j, n);
            buffer_free(&d[j]);
        }
    }
}

/* A key of zeros: no norm to divide by. */
static void test_inputs_and_zeros(struct context *ctx)
{
    float z[N_IN][3] = {{0}}, d[N_INOUT][3] = {{0}};
    const struct rw_wkv7_inputs_backward head = {.dw = d[IN_DW],
                                                 .da = d[IN_DA],
                                                 .dk = d[IN_DK],
                                                 .dv = d[IN_DV],
                                                 .dk_k = d[IN_DK_K],
                                                 .dk_a = d[IN_DK_A],
                                                 .db = z[DB],
                                                 .w = z[W],
                                                 .a = z[A],
                                                 .k = z[K],
                                                 .v = z[V],
                                                 .w0 = z[W0],
                                                 .a0 = z[A0],
                                                 .k_k = z[K_K],
                                                 .k_a = z[K_A]};
    ctx->kernels->wkv7_inputs_backward(&head, 3);
    for (int j = 0; j < N_INOUT; j++)
        for (int i = 0; i < 3; i++)
            expect(ctx, d[j][i] == 0, "zeros give %g in array %d", (double)d[j][i], j);
    test_inputs(ctx);
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define HEAD 64

struct bench_wkv7 {
    float in[N_STEP][RW_WKV7_CHUNK * HEAD], dy[RW_WKV7_CHUNK * HEAD];
    float by[N_BY][RW_WKV7_CHUNK * HEAD];
    float S[HEAD * HEAD], G[HEAD * HEAD], work[RW_WKV7_WORK(HEAD)];
};

/* Each thread has a head of its own. */
static void wkv7_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_wkv7 *b = (struct bench_wkv7 *)user + index;
    const struct rw_wkv7_chunk c = {b->by[BY_R], b->by[BY_W],   b->by[BY_K], b->by[BY_V],
                                    b->by[BY_A], b->by[BY_B],   b->dy,       b->in[IN_R],
                                    b->in[IN_W], b->in[IN_K],   b->in[IN_V], b->in[IN_A],
                                    b->in[IN_B], RW_WKV7_CHUNK, HEAD};
    kernels->wkv7_backward(&c, b->G, b->work, b->S, HEAD);
}

/* A token takes 7 N² operations forward and 20 N² back. */
static void bench_wkv7(struct context *ctx)
{
    size_t threads = bench_threads();
    struct bench_wkv7 *b = rw_alloc_aligned(threads, sizeof *b);
    double flops = 27.0 * HEAD * HEAD * RW_WKV7_CHUNK * (double)threads;
    struct work work = {wkv7_part, b, 0, flops, 0, NULL};
    if (!expect(ctx, b != NULL, "no memory for the benchmark"))
        return;
    memset(b, 0, threads * sizeof *b);
    for (size_t t = 0; t < threads; t++) {
        for (int j = 0; j < N_STEP; j++)
            fill_floats(ctx, b[t].in[j], RW_WKV7_CHUNK * HEAD, false);
        fill_floats(ctx, b[t].dy, RW_WKV7_CHUNK * HEAD, false);
        fill_floats(ctx, b[t].S, HEAD * HEAD, false);
        for (size_t k = 0; k < RW_WKV7_CHUNK * HEAD; k++) {
            b[t].in[IN_W][k] = 0.9f;
            b[t].in[IN_A][k] *= 0.1f;
            b[t].in[IN_B][k] *= 0.1f;
        }
    }
    bench(ctx, "T16 N64", &work);
    rw_free(b);
}

static void around_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    float(*x)[HEAD] = user;
    const struct rw_wkv7_output_backward after = {x[0],  x[1],  x[2],  x[3],  x[4],  x[5],
                                                  x[6],  x[7],  x[8],  x[9],  x[10], x[11],
                                                  x[12], x[13], x[14], x[15], x[16]};
    if (index == 0)
        kernels->wkv7_output_backward(&after, 64e-5f, HEAD);
}

static void before_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    float(*x)[HEAD] = user;
    const struct rw_wkv7_inputs_backward before = {x[0],  x[1],  x[2],  x[3],  x[4],  x[5],  x[6],
                                                   x[7],  x[8],  x[9],  x[10], x[11], x[12], x[13],
                                                   x[14], x[15], x[16], x[17], x[18], x[19]};
    if (index)
        return;
    memset(x, 0, 8 * sizeof *x); /* or derivatives would shrink to denormals in time */
    kernels->wkv7_inputs_backward(&before, HEAD);
}

static void bench_around(struct context *ctx)
{
    static _Alignas(64) float x[20][HEAD];
    bool after = strcmp(ctx->name, "wkv7_output_backward") == 0;
    struct work work = {after ? around_part : before_part, x, 0, 0, HEAD, "element"};
    fill_floats(ctx, x[0], 20 * HEAD, false);
    bench(ctx, "N64", &work);
}

void register_wkv7_backward(void)
{
    register_kernel("wkv7_output_backward", ENTRY(wkv7_output_backward), RWKV_DTYPE_F32,
                    test_output, bench_around);
    register_kernel("wkv7_backward", ENTRY(wkv7_backward), RWKV_DTYPE_F32, test_wkv7, bench_wkv7);
    register_kernel("wkv7_inputs_backward", ENTRY(wkv7_inputs_backward), RWKV_DTYPE_F32,
                    test_inputs_and_zeros, bench_around);
}
