/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back through norms, the token shift, functions of one element and the loss; and the optimizer.
 * What is to have the same bits in every set is compared with chains written here, the rest with
 * computations in double.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "harness.h"

#define ROUNDS 60
#define MAX_MIX 6

static void expect_bits(struct context *ctx, const char *what, size_t i, size_t n, float want,
                        float got)
{
    expect(ctx, same_bits(want, got), "%s, %zu of %zu: want %a, found %a", what, i, n, (double)want,
           (double)got);
}

/* --- functions of one element
 * --------------------------------------------------------------------- */

static float map_expected(const struct context *ctx, float dy, float y)
{
    switch (ctx->name[0]) {
    case 't':
        return dy * fmaf(-y, y, 1);
    case 's':
        return dy * fmaf(-y, y, y);
    default:
        return dy * (2 * sqrtf(y));
    }
}

static void test_map(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick(ctx, 0, 100);
        struct buffer dy = floats_random(ctx, n, round % 2), y = floats_random(ctx, n, round % 2);
        float *before = malloc((n + 1) * sizeof *before);
        memcpy(before, dy.data, n * sizeof *before);
        if (ctx->name[0] == 't')
            ctx->kernels->tanh_backward(floats(dy), floats(y), n);
        else if (ctx->name[0] == 's')
            ctx->kernels->sigmoid_backward(floats(dy), floats(y), n);
        else
            ctx->kernels->relu2_backward(floats(dy), floats(y), n);
        for (size_t i = 0; i < n; i++)
            expect_bits(ctx, "dy", i, n, map_expected(ctx, before[i], floats(y)[i]), floats(dy)[i]);
        expect(ctx, buffer_intact(&dy), "wrote outside, n %zu", n);
        free(before);
        buffer_free(&dy);
        buffer_free(&y);
    }
}

/* --- token shift
 * ---------------------------------------------------------------------------------- */

struct mix {
    size_t n, n_mix;
    struct buffer dout[MAX_MIX], mu[MAX_MIX], dmu[MAX_MIX], x, prev, own, carry;
    const float *douts[MAX_MIX], *mus[MAX_MIX];
    float *dmus[MAX_MIX], *before[MAX_MIX];
};

static void mix_new(struct context *ctx, struct mix *m, bool hostile)
{
    m->n = pick(ctx, 0, 100);
    m->n_mix = pick(ctx, 0, 1) ? MAX_MIX : 1;
    for (size_t i = 0; i < m->n_mix; i++) {
        m->dout[i] = floats_random(ctx, m->n, hostile);
        m->mu[i] = floats_random(ctx, m->n, hostile);
        m->dmu[i] = floats_random(ctx, m->n, hostile);
        m->douts[i] = floats(m->dout[i]);
        m->mus[i] = floats(m->mu[i]);
        m->dmus[i] = floats(m->dmu[i]);
        m->before[i] = malloc((m->n + 1) * sizeof(float));
        memcpy(m->before[i], m->dmus[i], m->n * sizeof(float));
    }
    m->x = floats_random(ctx, m->n, hostile);
    m->prev = floats_random(ctx, m->n, hostile);
    m->own = floats_new(ctx, m->n);
    m->carry = floats_new(ctx, m->n);
}

static void mix_free(struct context *ctx, struct mix *m)
{
    for (size_t i = 0; i < m->n_mix; i++) {
        expect(ctx, buffer_intact(&m->dmu[i]), "wrote outside dmu, n %zu", m->n);
        buffer_free(&m->dout[i]);
        buffer_free(&m->mu[i]);
        buffer_free(&m->dmu[i]);
        free(m->before[i]);
    }
    expect(ctx, buffer_intact(&m->own) && buffer_intact(&m->carry), "wrote outside, n %zu", m->n);
    buffer_free(&m->x);
    buffer_free(&m->prev);
    buffer_free(&m->own);
    buffer_free(&m->carry);
}

static void test_mix_backward(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct mix m;
        mix_new(ctx, &m, round % 3 == 2);
        ctx->kernels->mix_backward(floats(m.own), floats(m.carry), m.douts, m.mus, m.n_mix, m.n);
        for (size_t c = 0; c < m.n; c++) {
            float own = 0, carry = 0;
            for (size_t i = 0; i < m.n_mix; i++) {
                own = fmaf(m.douts[i][c], 1 - m.mus[i][c], own);
                carry = fmaf(m.douts[i][c], m.mus[i][c], carry);
            }
            expect_bits(ctx, "own", c, m.n, own, floats(m.own)[c]);
            expect_bits(ctx, "carry", c, m.n, carry, floats(m.carry)[c]);
        }
        mix_free(ctx, &m);
    }
}

static void test_mix_weights(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct mix m;
        mix_new(ctx, &m, round % 3 == 2);
        ctx->kernels->mix_weights(m.dmus, m.douts, floats(m.x), floats(m.prev), m.n_mix, m.n);
        for (size_t i = 0; i < m.n_mix; i++)
            for (size_t c = 0; c < m.n; c++)
                expect_bits(ctx, "dmu", c, m.n,
                            fmaf(m.douts[i][c], floats(m.prev)[c] - floats(m.x)[c], m.before[i][c]),
                            m.dmus[i][c]);
        mix_free(ctx, &m);
    }
}

/* --- norms
 * ---------------------------------------------------------------------------------------- */

struct norm {
    double mean, scale, tau, along, largest, tau_size;
};

static struct norm norm_of(const float *dy, const float *x, const float *weight, double eps,
                           size_t n)
{
    struct norm o = {0};
    double var = 0;
    for (size_t i = 0; i < n; i++) {
        o.mean += (double)x[i] / (double)n;
        o.largest = fmax(o.largest, fabs((double)x[i]));
    }
    for (size_t i = 0; i < n; i++)
        var += pow((double)x[i] - o.mean, 2) / (double)n;
    o.scale = 1 / sqrt(var + eps);
    for (size_t i = 0; i < n; i++) {
        double tau = (double)dy[i] * (double)weight[i];
        o.tau += tau / (double)n;
        o.along += tau * ((double)x[i] - o.mean) * o.scale / (double)n;
        o.tau_size = fmax(o.tau_size, fabs(tau));
    }
    return o;
}

static void test_layer_norm_backward(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick(ctx, 1, 300);
        bool hostile = round % 5 == 4, add = round % 2, in_place = round % 3 == 0;
        struct buffer x = floats_random(ctx, n, hostile), weight = floats_random(ctx, n, hostile);
        struct buffer dy = floats_random(ctx, n, hostile), dx = floats_random(ctx, n, hostile);
        float *was = malloc(n * sizeof *was), *copy = malloc(n * sizeof *copy), stats[2];
        float *to = in_place ? floats(dy) : floats(dx);
        memcpy(was, to, n * sizeof *was);
        memcpy(copy, dy.data, n * sizeof *copy);
        ctx->kernels->layer_norm_backward(to, stats, floats(dy), floats(x), floats(weight), 1e-5f,
                                          add, n);
        struct norm o = norm_of(copy, floats(x), floats(weight), (double)1e-5f, n);
        double hat_size = 2 * o.largest * o.scale;
        double size = o.scale * o.tau_size * (2 + hat_size * (hat_size + 1));
        for (size_t i = 0; i < n && !hostile; i++) {
            double tau = (double)copy[i] * (double)floats(weight)[i];
            double hat = ((double)floats(x)[i] - o.mean) * o.scale;
            double want = o.scale * (tau - o.tau - hat * o.along) + (add ? (double)was[i] : 0);
            expect(ctx, close_enough(to[i], want, 8, n, size + (add ? fabs((double)was[i]) : 0)),
                   "%zu of %zu: want %g, found %g", i, n, want, (double)to[i]);
        }
        expect(ctx, hostile || close_enough(stats[0], o.mean, 4, n, o.largest), "mean, n %zu", n);
        expect(ctx, hostile || close_enough(stats[1], o.scale, 4, n, o.scale * (1 + hat_size)),
               "scale, n %zu: want %g, found %g", n, o.scale, (double)stats[1]);
        expect(ctx, buffer_intact(&dx) && buffer_intact(&dy), "wrote outside, n %zu", n);
        free(was);
        free(copy);
        buffer_free(&x);
        buffer_free(&weight);
        buffer_free(&dy);
        buffer_free(&dx);
    }
}

static void test_norm_weights(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick(ctx, 0, 100);
        bool hostile = round % 3 == 2;
        struct buffer dweight = floats_random(ctx, n, hostile), x = floats_random(ctx, n, hostile);
        struct buffer dbias = floats_random(ctx, n, hostile), dy = floats_random(ctx, n, hostile);
        float *weights = malloc((n + 1) * sizeof *weights), *bias = malloc((n + 1) * sizeof *bias);
        const float stats[] = {0.3f, 1.7f};
        memcpy(weights, dweight.data, n * sizeof *weights);
        memcpy(bias, dbias.data, n * sizeof *bias);
        ctx->kernels->norm_weights(floats(dweight), floats(dbias), floats(dy), floats(x), stats, n);
        for (size_t i = 0; i < n; i++) {
            float d = floats(dy)[i], hat = (floats(x)[i] - stats[0]) * stats[1];
            expect_bits(ctx, "dweight", i, n, fmaf(d, hat, weights[i]), floats(dweight)[i]);
            expect_bits(ctx, "dbias", i, n, bias[i] + d, floats(dbias)[i]);
        }
        expect(ctx, buffer_intact(&dweight) && buffer_intact(&dbias), "wrote outside, n %zu", n);
        free(weights);
        free(bias);
        buffer_free(&dweight);
        buffer_free(&dbias);
        buffer_free(&x);
        buffer_free(&dy);
    }
}

/* --- loss
 * ----------------------------------------------------------------------------------------- */

static void check_loss(struct context *ctx, const float *got, const float *x, size_t target,
                       double loss, size_t n)
{
    size_t top = 0;
    double sum = 0, scale = 0.25, l2wrap = 0.0078125;
    for (size_t i = 1; i < n; i++)
        top = x[i] > x[top] ? i : top;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)x[top]);
    double want = log(sum) + (double)x[top] - (double)x[target];
    expect(ctx, fabs(loss - want) <= 1e-6 * (1 + want), "loss of %zu: want %g, found %g", n, want,
           loss);
    for (size_t i = 0; i < n; i++) {
        double p = exp((double)x[i] - (double)x[top]) / sum;
        want = scale * (p - (i == target) + (i == top ? l2wrap * (double)x[top] : 0));
        double reach = (double)x[top] - (double)x[i]; /* is rounded before its exponential */
        double room = scale * (p * (1e-6 + 0x1p-23 * reach) + (i == target) * 1e-6);
        room += i == top ? 1e-6 * scale * fabs((double)x[top]) : 0;
        expect(ctx, fabs((double)got[i] - want) <= room + 1e-30,
               "derivative %zu of %zu: want %g, found %g", i, n, want, (double)got[i]);
    }
}

static void test_cross_entropy(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = round % 10 ? pick(ctx, 1, 200) : pick(ctx, 1000, 70000);
        bool hostile = round % 5 == 4;
        struct buffer x = floats_random(ctx, n, hostile);
        float *before = malloc(n * sizeof *before), offset = (float)pick(ctx, 0, 200) - 100;
        size_t target = pick(ctx, 0, n - 1);
        for (size_t i = 0; i < n; i++)
            floats(x)[i] = floats(x)[i] * (float)(1 + round % 30) + offset;
        if (round % 7 == 0) /* equals: the first is the largest */
            floats(x)[n - 1] = floats(x)[n / 2] = 500;
        memcpy(before, x.data, n * sizeof *before);
        double loss = ctx->kernels->cross_entropy(floats(x), target, 0.25f, 0.0078125f, n);
        if (!hostile)
            check_loss(ctx, floats(x), before, target, loss, n);
        expect(ctx, buffer_intact(&x), "wrote outside, n %zu", n);
        free(before);
        buffer_free(&x);
    }
}

/* --- optimizer
 * ------------------------------------------------------------------------------------ */

static void test_sum_squares(struct context *ctx)
{
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick(ctx, 0, 300);
        struct buffer x = floats_random(ctx, n, round % 3 == 2);
        double lane[16] = {0}, got = ctx->kernels->sum_squares(floats(x), n);
        for (size_t i = 0; i < n; i++)
            lane[i % 16] += (double)floats(x)[i] * (double)floats(x)[i];
        for (size_t half = 8; half; half /= 2)
            for (size_t j = 0; j < half; j++)
                lane[j] += lane[j + half];
        expect(ctx, got == lane[0] || (isnan(got) && isnan(lane[0])), "n %zu: want %a, found %a", n,
               lane[0], got);
        buffer_free(&x);
    }
}

static void test_adamw(struct context *ctx)
{
    const struct rw_adamw_step s = {0.7f, 0.01f, 0.9f, 0.1f, 0.99f, 0.01f, 1e-8f, 0.1f, 1.7f, 2.3f};
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = pick(ctx, 0, 100);
        struct buffer b[4];
        float *was[4];
        for (int j = 0; j < 4; j++) {
            b[j] = floats_random(ctx, n, round % 3 == 2);
            for (size_t i = 0; i < n && j == 2; i++)
                floats(b[j])[i] = fabsf(floats(b[j])[i]);
            was[j] = malloc((n + 1) * sizeof(float));
            memcpy(was[j], b[j].data, n * sizeof(float));
        }
        ctx->kernels->adamw(floats(b[0]), floats(b[1]), floats(b[2]), floats(b[3]), &s, n);
        for (size_t i = 0; i < n; i++) {
            float q = was[3][i] * s.scale;
            float m = fmaf(s.beta1, was[1][i], s.rest1 * q);
            float v = fmaf(s.beta2, was[2][i], s.rest2 * q * q);
            float way = m * s.inverse_c1 / (sqrtf(v * s.inverse_c2) + s.eps);
            float p = fmaf(-s.lr, fmaf(s.decay, was[0][i], way), was[0][i]);
            expect_bits(ctx, "m", i, n, m, floats(b[1])[i]);
            expect_bits(ctx, "v", i, n, v, floats(b[2])[i]);
            expect_bits(ctx, "p", i, n, p, floats(b[0])[i]);
        }
        for (int j = 0; j < 4; j++) {
            expect(ctx, buffer_intact(&b[j]), "wrote outside array %d, n %zu", j, n);
            free(was[j]);
            buffer_free(&b[j]);
        }
    }
}

/* --- benchmark
 * ------------------------------------------------------------------------------------ */

#define BENCH_N 2048

static void norm_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    float(*x)[BENCH_N] = user, stats[2];
    if (index == 0)
        kernels->layer_norm_backward(x[0], stats, x[1], x[2], x[3], 1e-5f, false, BENCH_N);
}

static void mix_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    float(*x)[BENCH_N] = user;
    const float *dout[] = {x[2], x[3], x[4], x[5], x[6], x[7]};
    const float *mu[] = {x[8], x[9], x[10], x[11], x[12], x[13]};
    if (index == 0)
        kernels->mix_backward(x[0], x[1], dout, mu, MAX_MIX, BENCH_N);
}

/* In place, again and again: what it computes soon means nothing, but takes its time. */
static void loss_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    if (index == 0)
        kernels->cross_entropy(user, 3, 1, 0, BENCH_N);
}

static void squares_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    volatile double keep = 0;
    if (index == 0)
        keep = kernels->sum_squares(user, BENCH_N);
    (void)keep;
}

static void adamw_part(void *user, const struct rw_kernels *kernels, size_t index, size_t count)
{
    static const struct rw_adamw_step step = {1, 1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f, 1, 1};
    float(*x)[BENCH_N] = user;
    if (index == 0)
        kernels->adamw(x[0], x[1], x[2], x[3], &step, BENCH_N);
}

static void bench_backward(struct context *ctx)
{
    static const struct {
        const char *name;
        void (*part)(void *user, const struct rw_kernels *kernels, size_t index, size_t count);
    } parts[] = {{"layer_norm_backward", norm_part},
                 {"mix_backward", mix_part},
                 {"cross_entropy", loss_part},
                 {"sum_squares", squares_part},
                 {"adamw", adamw_part}};
    float *x = rw_alloc_aligned(14 * BENCH_N, sizeof *x);
    for (size_t i = 0; expect(ctx, x != NULL, "no memory for the benchmark") && i < 5; i++) {
        struct work work = {parts[i].part, x, 0, 0, BENCH_N, "element"};
        if (strcmp(ctx->name, parts[i].name) != 0)
            continue;
        fill_floats(ctx, x, 14 * BENCH_N, false);
        for (size_t k = 0; k < BENCH_N; k++)
            x[2 * BENCH_N + k] = fabsf(x[2 * BENCH_N + k]); /* adamw's v */
        bench(ctx, "[2048]", &work);
    }
    rw_free(x);
}

void register_backward(void)
{
    register_kernel("tanh_backward", ENTRY(tanh_backward), RWKV_DTYPE_F32, test_map, NULL);
    register_kernel("sigmoid_backward", ENTRY(sigmoid_backward), RWKV_DTYPE_F32, test_map, NULL);
    register_kernel("relu2_backward", ENTRY(relu2_backward), RWKV_DTYPE_F32, test_map, NULL);
    register_kernel("mix_backward", ENTRY(mix_backward), RWKV_DTYPE_F32, test_mix_backward,
                    bench_backward);
    register_kernel("mix_weights", ENTRY(mix_weights), RWKV_DTYPE_F32, test_mix_weights, NULL);
    register_kernel("layer_norm_backward", ENTRY(layer_norm_backward), RWKV_DTYPE_F32,
                    test_layer_norm_backward, bench_backward);
    register_kernel("norm_weights", ENTRY(norm_weights), RWKV_DTYPE_F32, test_norm_weights, NULL);
    register_kernel("cross_entropy", ENTRY(cross_entropy), RWKV_DTYPE_F32, test_cross_entropy,
                    bench_backward);
    register_kernel("sum_squares", ENTRY(sum_squares), RWKV_DTYPE_F32, test_sum_squares,
                    bench_backward);
    register_kernel("adamw", ENTRY(adamw), RWKV_DTYPE_F32, test_adamw, bench_backward);
}
