/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wkv7_inputs, wkv7 and wkv7_output against the same formulas in double; and the recurrence gives
 * the same bits whether tokens come together or one by one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "harness.h"

#define ROUNDS 40
#define KAPPA 0.60653065971263342

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static size_t pick_head(struct context *ctx)
{
    static const size_t usual[] = {64, 32, 128, RW_WKV7_MAX_HEAD};
    size_t i = pick(ctx, 0, 15);
    return i < 4 ? usual[i] : pick(ctx, 1, 80);
}

/* --- wkv7_inputs
 * ---------------------------------------------------------------------------------- */

enum { W, A, B, K, V, V_FIRST, GATE, W0, A0, V0, K_K, K_A, N_INPUTS };

static void check_inputs(struct context *ctx, float *const *in, const struct buffer *out, size_t n,
                         bool first)
{
    double norm = 0;
    for (size_t i = 0; i < n; i++)
        norm += pow((double)in[K][i] * (double)in[K_K][i], 2);
    norm = fmax(sqrt(norm), 1e-12);
    for (size_t i = 0; i < n; i++) {
        double k = (double)in[K][i], kk = k * (double)in[K_K][i] / norm, v = (double)in[V][i];
        double eta = sigmoid((double)in[A0][i] + (double)in[A][i]);
        double gain = 1 + (eta - 1) * (double)in[K_A][i], step = (double)in[V_FIRST][i] - v;
        double part = sigmoid((double)in[V0][i] + (double)in[GATE][i]);
        double want[] = {
            [W] = exp(-KAPPA * sigmoid((double)in[W0][i] + (double)in[W][i])),
            [A] = -kk,
            [B] = kk * eta,
            [K] = k * gain,
            [V] = first ? v : v + step * part,
        };
        double size[] = {[W] = 1,
                         [A] = fabs(kk),
                         [B] = fabs(kk),
                         [K] = fabs(k) * (1 + fabs((double)in[K_A][i])),
                         [V] = 2 * (fabs(v) + fabs(step))};
        for (int j = W; j <= V; j++)
            expect(ctx,
                   close_enough(floats(out[j])[i], want[j], 16, j == A || j == B ? n : 1, size[j]),
                   "output %d, %zu of %zu: want %g, found %g", j, i, n, want[j],
                   (double)floats(out[j])[i]);
    }
}

static void test_inputs(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick_head(ctx);
        bool first = round % 4 == 0, hostile = round % 5 == 4;
        struct buffer b[N_INPUTS];
        float *before[N_INPUTS];
        for (int j = 0; j < N_INPUTS; j++) {
            b[j] = floats_random(ctx, n, hostile);
            before[j] = malloc(n * sizeof(float));
            memcpy(before[j], b[j].data, n * sizeof(float));
        }
        struct rw_wkv7_head head = {.w = floats(b[W]),
                                    .a = floats(b[A]),
                                    .b = floats(b[B]),
                                    .k = floats(b[K]),
                                    .v = floats(b[V]),
                                    .w0 = floats(b[W0]),
                                    .a0 = floats(b[A0]),
                                    .k_k = floats(b[K_K]),
                                    .k_a = floats(b[K_A])};
        if (!first) {
            head.v_first = floats(b[V_FIRST]);
            head.gate = floats(b[GATE]);
            head.v0 = floats(b[V0]);
        }
        ctx->kernels->wkv7_inputs(&head, n);
        if (!hostile)
            check_inputs(ctx, before, b, n, first);
        for (int j = 0; j < N_INPUTS; j++) {
            expect(ctx, buffer_intact(&b[j]), "wrote outside array %d, n %zu", j, n);
            free(before[j]);
            buffer_free(&b[j]);
        }
    }
}

/* --- the recurrence
 * ------------------------------------------------------------------------------- */

enum { IN_R, IN_W, IN_K, IN_V, IN_A, IN_B, N_STEP };

struct problem {
    size_t n, tokens, ld;
    struct buffer in[N_STEP], y, S;
    double *S64, *size; /* [n, n]: the state, and the same of absolute values */
};

static void problem_new(struct context *ctx, struct problem *p, bool hostile)
{
    p->n = pick_head(ctx);
    p->tokens = pick(ctx, 0, 6);
    p->ld = p->n + pick(ctx, 0, 70);
    size_t extent = p->tokens ? (p->tokens - 1) * p->ld + p->n : 0;
    for (int j = 0; j < N_STEP; j++) {
        p->in[j] = floats_random(ctx, extent, hostile);
        float scale = j == IN_A || j == IN_B ? 1 / sqrtf((float)p->n) : 1;
        for (size_t i = 0; i < extent; i++)
            floats(p->in[j])[i] *= scale;
    }
    for (size_t i = 0; i < extent; i++)
        floats(p->in[IN_W])[i] = 0.55f + 0.45f * (float)rw_rng_uniform(&ctx->rng);
    p->y = floats_new(ctx, extent);
    p->S = floats_random(ctx, p->n * p->n, hostile);
    p->S64 = malloc(p->n * p->n * sizeof(double));
    p->size = malloc(p->n * p->n * sizeof(double));
    for (size_t i = 0; i < p->n * p->n; i++) {
        p->S64[i] = (double)floats(p->S)[i];
        p->size[i] = fabs(p->S64[i]);
    }
}

static void problem_free(struct problem *p)
{
    for (int j = 0; j < N_STEP; j++)
        buffer_free(&p->in[j]);
    buffer_free(&p->y);
    buffer_free(&p->S);
    free(p->S64);
    free(p->size);
}

static double at(const struct problem *p, int j, size_t t, size_t i)
{
    return (double)floats(p->in[j])[t * p->ld + i];
}

/* One row of one token in double; returns y and its absolute sum. */
static double step_in_double(struct problem *p, size_t t, size_t i, double *magnitude)
{
    double *S = p->S64 + i * p->n, *size = p->size + i * p->n, u = 0, u_size = 0, y = 0;
    for (size_t j = 0; j < p->n; j++) {
        u += S[j] * at(p, IN_A, t, j);
        u_size += size[j] * fabs(at(p, IN_A, t, j));
    }
    *magnitude = 0;
    for (size_t j = 0; j < p->n; j++) {
        double vk = at(p, IN_V, t, i) * at(p, IN_K, t, j);
        S[j] = S[j] * at(p, IN_W, t, j) + u * at(p, IN_B, t, j) + vk;
        size[j] = size[j] * at(p, IN_W, t, j) + u_size * fabs(at(p, IN_B, t, j)) + fabs(vk);
        y += S[j] * at(p, IN_R, t, j);
        *magnitude += size[j] * fabs(at(p, IN_R, t, j));
    }
    return y;
}

static void run(struct context *ctx, const struct problem *p, float *y, float *S, size_t first,
                size_t tokens)
{
    const float *in[N_STEP];
    for (int j = 0; j < N_STEP; j++)
        in[j] = floats(p->in[j]) + first * p->ld;
    ctx->kernels->wkv7(y + first * p->ld, S, in[IN_R], in[IN_W], in[IN_K], in[IN_V], in[IN_A],
                       in[IN_B], tokens, p->ld, p->n);
}

static void check_values(struct context *ctx, struct problem *p)
{
    for (size_t t = 0; t < p->tokens; t++)
        for (size_t i = 0; i < p->n; i++) {
            double magnitude, want = step_in_double(p, t, i, &magnitude);
            float got = floats(p->y)[t * p->ld + i];
            expect(ctx, close_enough(got, want, 4 * (double)(t + 1), p->n, magnitude),
                   "N %zu, token %zu, y[%zu]: want %g, found %g", p->n, t, i, want, (double)got);
        }
    for (size_t i = 0; i < p->n * p->n; i++)
        expect(ctx,
               close_enough(floats(p->S)[i], p->S64[i], 4 * (double)p->tokens, p->n, p->size[i]),
               "N %zu, S[%zu]: want %g, found %g", p->n, i, p->S64[i], (double)floats(p->S)[i]);
}

/* A state that overflows becomes infinite; zeros that fill up a vector must not make NaN of it. */
static void check_overflow(struct context *ctx, size_t n)
{
    enum { TOKENS = 3, MOST = 20 };
    float ones[TOKENS * MOST], S[MOST * MOST], y[TOKENS * MOST];
    for (size_t i = 0; i < TOKENS * n; i++)
        ones[i] = 1;
    for (size_t i = 0; i < n * n; i++)
        S[i] = 0x1p127f;
    ones[0] = 2; /* so that Σ S a overflows where n is 1 */
    ctx->kernels->wkv7(y, S, ones, ones, ones, ones, ones, ones, TOKENS, n, n);
    for (size_t i = 0; i < TOKENS * n; i++)
        expect(ctx, y[i] == INFINITY, "N %zu: want infinity, found y[%zu] = %g", n, i,
               (double)y[i]);
}

static void test_wkv7(struct context *ctx)
{
    for (size_t n = 1; n <= 20; n++)
        check_overflow(ctx, n);
    for (int round = 0; round < ROUNDS; round++) {
        bool hostile = round % 5 == 4;
        struct problem p;
        problem_new(ctx, &p, hostile);
        size_t n2 = p.n * p.n, extent = p.y.size / sizeof(float);
        float *S = malloc(n2 * sizeof *S), *y = malloc((extent + 1) * sizeof *y);
        memcpy(S, p.S.data, n2 * sizeof *S);
        run(ctx, &p, floats(p.y), floats(p.S), 0, p.tokens);
        for (size_t t = 0; t < p.tokens; t++)
            run(ctx, &p, y, S, t, 1);
        for (size_t i = 0; i < n2; i++)
            expect(ctx, same_bits(S[i], floats(p.S)[i]), "N %zu: S differs one by one", p.n);
        for (size_t i = 0; i < extent; i++)
            if (i % p.ld < p.n)
                expect(ctx, same_bits(y[i], floats(p.y)[i]), "N %zu: y differs one by one", p.n);
        if (!hostile)
            check_values(ctx, &p);
        expect(ctx, buffer_intact(&p.y) && buffer_intact(&p.S), "wrote outside, N %zu", p.n);
        free(S);
        free(y);
        problem_free(&p);
    }
}

/* --- wkv7_output
 * ---------------------------------------------------------------------------------- */

enum { Y, R, OUT_K, OUT_V, G, R_K, WEIGHT, BIAS, N_OUTPUT };

static void check_output(struct context *ctx, const struct buffer *in, const float *y,
                         const float *out, float eps, size_t n)
{
    double mean = 0, var = 0, s = 0, s_size = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        double term =
            (double)floats(in[R])[i] * (double)floats(in[OUT_K])[i] * (double)floats(in[R_K])[i];
        s += term;
        s_size += fabs(term);
        mean += (double)y[i] / (double)n;
        largest = fmax(largest, fabs((double)y[i]));
    }
    for (size_t i = 0; i < n; i++)
        var += ((double)y[i] - mean) * ((double)y[i] - mean) / (double)n;
    double scale = 1 / sqrt(var + (double)eps);
    for (size_t i = 0; i < n; i++) {
        double w = (double)floats(in[WEIGHT])[i], b = (double)floats(in[BIAS])[i];
        double v = (double)floats(in[OUT_V])[i], g = (double)floats(in[G])[i];
        double want = (((double)y[i] - mean) * scale * w + b + s * v) * g;
        double size = 2 * largest * scale * fabs(w) + fabs(b) + s_size * fabs(v);
        expect(ctx, close_enough(out[i], want, 8, n, size * fabs(g)),
               "%zu of %zu: want %g, found %g", i, n, want, (double)out[i]);
    }
}

static void test_output(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick_head(ctx);
        bool hostile = round % 5 == 4, in_place = round % 2;
        struct buffer b[N_OUTPUT], out = floats_new(ctx, n);
        for (int j = 0; j < N_OUTPUT; j++)
            b[j] = floats_random(ctx, n, hostile);
        float *y = malloc(n * sizeof *y), *to = in_place ? floats(b[Y]) : floats(out);
        memcpy(y, b[Y].data, n * sizeof *y);
        ctx->kernels->wkv7_output(to, floats(b[Y]), floats(b[R]), floats(b[OUT_K]),
                                  floats(b[OUT_V]), floats(b[G]), floats(b[R_K]), floats(b[WEIGHT]),
                                  floats(b[BIAS]), 64e-5f, n);
        if (!hostile)
            check_output(ctx, b, y, to, 64e-5f, n);
        expect(ctx, buffer_intact(&out) && buffer_intact(&b[Y]), "wrote outside, n %zu", n);
        free(y);
        buffer_free(&out);
        for (int j = 0; j < N_OUTPUT; j++)
            buffer_free(&b[j]);
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define HEAD 64
#define TOKENS 128

struct bench_wkv7 {
    float in[N_STEP][TOKENS * HEAD], y[TOKENS * HEAD], S[HEAD * HEAD];
    size_t tokens;
};

/* Each thread has a head of its own. */
static void wkv7_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    struct bench_wkv7 *b = (struct bench_wkv7 *)user + index;
    kernels->wkv7(b->y, b->S, b->in[IN_R], b->in[IN_W], b->in[IN_K], b->in[IN_V], b->in[IN_A],
                  b->in[IN_B], b->tokens, HEAD, HEAD);
}

/* 9 N² operations a token: the floor is 5 of the machine's instructions for them. */
static void bench_wkv7(struct context *ctx)
{
    size_t threads = bench_threads();
    struct bench_wkv7 *b = rw_alloc_aligned(threads, sizeof *b);
    static const size_t tokens[] = {1, TOKENS};
    for (size_t i = 0; expect(ctx, b != NULL, "no memory for the benchmark") && i < 2; i++) {
        char shape[32];
        double flops = 9.0 * HEAD * HEAD * (double)(tokens[i] * threads);
        struct work work = {wkv7_part, b, 0, flops, 0, NULL};
        memset(b, 0, threads * sizeof *b);
        for (size_t t = 0; t < threads; t++) {
            b[t].tokens = tokens[i];
            for (int j = 0; j < N_STEP; j++)
                fill_floats(ctx, b[t].in[j], TOKENS * HEAD, false);
            for (size_t k = 0; k < TOKENS * HEAD; k++) {
                b[t].in[IN_W][k] = 0.9f;
                b[t].in[IN_A][k] *= 0.1f;
                b[t].in[IN_B][k] *= 0.1f;
            }
        }
        snprintf(shape, sizeof shape, "T%zu N64", tokens[i]);
        bench(ctx, shape, &work);
    }
    rw_free(b);
}

/* The inputs are made anew each time: the kernel works in place, and its outputs would shrink to
 * denormals in time. */
static void inputs_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    static _Alignas(64) float x[N_INPUTS * HEAD];
    struct rw_wkv7_head head;
    float **arrays[] = {&head.w, &head.a, &head.b, &head.k, &head.v};
    const float **fixed[] = {&head.v_first, &head.gate, &head.w0, &head.a0,
                             &head.v0,      &head.k_k,  &head.k_a};
    if (index)
        return;
    memcpy(x, user, sizeof x);
    for (size_t i = 0; i < 5; i++)
        *arrays[i] = x + i * HEAD;
    for (size_t i = 0; i < 7; i++)
        *fixed[i] = x + (5 + i) * HEAD;
    kernels->wkv7_inputs(&head, HEAD);
}

static void output_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    float *x = user;
    if (index == 0)
        kernels->wkv7_output(x, x + HEAD, x + 2 * HEAD, x + 3 * HEAD, x + 4 * HEAD, x + 5 * HEAD,
                             x + 6 * HEAD, x + 7 * HEAD, x + 8 * HEAD, 64e-5f, HEAD);
}

static void bench_around(struct context *ctx)
{
    static _Alignas(64) float x[N_INPUTS * HEAD];
    bool inputs = strcmp(ctx->name, "wkv7_inputs") == 0;
    struct work work = {inputs ? inputs_part : output_part, x, 0, 0, HEAD, "element"};
    fill_floats(ctx, x, N_INPUTS * HEAD, false);
    bench(ctx, "N64", &work);
}

void register_wkv7(void)
{
    register_kernel("wkv7_inputs", ENTRY(wkv7_inputs), RWKV_DTYPE_F32, test_inputs, bench_around);
    register_kernel("wkv7", ENTRY(wkv7), RWKV_DTYPE_F32, test_wkv7, bench_wkv7);
    register_kernel("wkv7_output", ENTRY(wkv7_output), RWKV_DTYPE_F32, test_output, bench_around);
}
