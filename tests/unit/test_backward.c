/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend/backward.h on the CPU, all but products and the recurrence: against central differences
 * of the same formulas in double, with the reference kernels and with this machine's; and the same
 * bits for any number of threads and for a batch in one piece or in several.
 */
#include "backward.h"

#include "allocations.h"

/* --- norm and token shift ----------------------------------------------------------------------
 */

enum { C = 70, N_MIX = 6, SPANS = 3, TOKENS = 1 + 19 + 9 };
static const size_t counts[SPANS] = {1, 19, 9};

enum { NM_X, NM_WEIGHT, NM_BIAS, NM_STATE, NM_MU, NM_COUNT = NM_MU + N_MIX };

struct norm_mix {
    struct problem p;
    float dout[N_MIX][TOKENS * C], dstate[SPANS][C], norm[TOKENS * C];
    double normed[TOKENS * C];
};

static void layer_norm_exact(double *y, const double *x, const double *weight, const double *bias,
                             size_t n)
{
    double mean = 0, var = 0;

    for (size_t c = 0; c < n; c++)
        mean += x[c] / (double)n;
    for (size_t c = 0; c < n; c++)
        var += (x[c] - mean) * (x[c] - mean) / (double)n;
    for (size_t c = 0; c < n; c++)
        y[c] = (x[c] - mean) / sqrt(var + 1e-5) * weight[c] + bias[c];
}

static double norm_mix_loss(const struct problem *p)
{
    struct norm_mix *m = (struct norm_mix *)p;
    double loss = 0;

    for (size_t s = 0, t = 0; s < SPANS; s++) {
        const double *prev = p->v[NM_STATE].exact + s * C;

        for (size_t end = t + counts[s]; t < end; t++) {
            double *norm = m->normed + t * C;

            layer_norm_exact(norm, p->v[NM_X].exact + t * C, p->v[NM_WEIGHT].exact,
                             p->v[NM_BIAS].exact, C);
            for (size_t i = 0; i < N_MIX; i++)
                for (size_t c = 0; c < C; c++)
                    loss += (double)m->dout[i][t * C + c] *
                            (norm[c] + (prev[c] - norm[c]) * p->v[NM_MU + i].exact[c]);
            prev = norm;
        }
        for (size_t c = 0; c < C; c++)
            loss += (double)m->dstate[s][c] * prev[c];
    }
    return loss;
}

static struct norm_mix *norm_mix_new(uint64_t seed)
{
    struct norm_mix *m = rw_calloc(1, sizeof *m);
    struct rw_rng rng;

    assert_non_null(m);
    rw_rng_init(&rng, seed);
    m->p.loss = norm_mix_loss;
    variable(&m->p, &rng, NM_X, "x", TOKENS * C, 1);
    variable(&m->p, &rng, NM_WEIGHT, "weight", C, 1);
    variable(&m->p, &rng, NM_BIAS, "bias", C, 1);
    variable(&m->p, &rng, NM_STATE, "state", SPANS * C, 1);
    for (size_t i = 0; i < N_MIX; i++)
        variable(&m->p, &rng, NM_MU + i, "mu", C, 0.5);
    fill(&rng, m->dout[0], N_MIX * TOKENS * C);
    fill(&rng, m->dstate[0], SPANS * C);
    norm_mix_loss(&m->p);
    for (size_t i = 0; i < TOKENS * C; i++)
        m->norm[i] = (float)m->normed[i];
    return m;
}

static void norm_mix_free(struct norm_mix *m)
{
    problem_free(&m->p);
    rw_free(m);
}

/* Spans [first, first + n) as one batch; derivatives by states go from dstate to the variable's. */
static void norm_mix_back(struct rw_backend *be, struct norm_mix *m, size_t first, size_t n)
{
    struct rw_grad_span spans[SPANS];
    struct rw_grad_batch batch = {0, n, spans};
    const float *dout[N_MIX], *mu[N_MIX];
    float *dmu[N_MIX];
    size_t begin = 0;

    for (size_t s = 0; s < first; s++)
        begin += counts[s] * C;
    for (size_t s = first; s < first + n; s++) {
        float *d = m->p.v[NM_STATE].d + s * C;

        memcpy(d, m->dstate[s], C * sizeof *d);
        spans[s - first] = (struct rw_grad_span){batch.tokens, counts[s],
                                                 m->p.v[NM_STATE].value + s * C - 3, d - 3};
        batch.tokens += counts[s];
    }
    for (size_t i = 0; i < N_MIX; i++) {
        dout[i] = m->dout[i] + begin;
        mu[i] = m->p.v[NM_MU + i].value;
        dmu[i] = m->p.v[NM_MU + i].d;
    }
    const struct rw_norm_mix_backward op = {.dx = m->p.v[NM_X].d + begin,
                                            .dweight = m->p.v[NM_WEIGHT].d,
                                            .dbias = m->p.v[NM_BIAS].d,
                                            .dmu = dmu,
                                            .dout = dout,
                                            .x = m->p.v[NM_X].value + begin,
                                            .norm = m->norm + begin,
                                            .weight = m->p.v[NM_WEIGHT].value,
                                            .mu = mu,
                                            .n_mix = N_MIX,
                                            .shift = 3,
                                            .eps = 1e-5f,
                                            .channels = C};
    be->ops->backward->norm_mix(be, &op, &batch);
}

static void test_norm_mix(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_COUNT(machines); i++) {
        struct norm_mix *m = norm_mix_new(1);
        struct rw_backend *be = open_backend(2, machines[i], TOKENS);

        norm_mix_back(be, m, 0, SPANS);
        check_gradient(&m->p, 2e-5);
        be->ops->free(be);
        norm_mix_free(m);
    }
}

static void test_norm_mix_bits(void **state)
{
    struct norm_mix *one = norm_mix_new(2), *other = norm_mix_new(2);
    struct rw_backend *be = open_backend(1, rw_cpu_detect(), TOKENS);

    (void)state;
    norm_mix_back(be, one, 0, SPANS);
    be->ops->free(be);
    for (size_t threads = 1; threads <= 3; threads++) {
        be = open_backend(threads, rw_cpu_detect(), TOKENS);
        reset_gradients(&other->p);
        norm_mix_back(be, other, 0, 1);
        norm_mix_back(be, other, 1, 2);
        assert_same_gradients(&one->p, &other->p);
        be->ops->free(be);
    }
    norm_mix_free(one);
    norm_mix_free(other);
}

/* Without derivatives by states, and more tokens than are taken at a time. */
static void test_norm_mix_long(void **state)
{
    enum { LONG = 700, FEW = 9 };
    struct rw_rng rng;
    struct rw_backend *be[] = {open_backend(1, rw_cpu_detect(), LONG),
                               open_backend(3, rw_cpu_detect(), LONG)};
    float *in, *result[2];
    const float *dout, *mu;

    (void)state;
    rw_rng_init(&rng, 3);
    in = filled(&rng, (3 * LONG + 3) * FEW);
    dout = in + 2 * LONG * FEW;
    mu = in + 3 * LONG * FEW;
    for (size_t i = 0; i < 2; i++) {
        float *d = result[i] = rw_calloc((LONG + 3) * FEW, sizeof *d), *dmu;
        const struct rw_grad_span span = {0, LONG, in + (3 * LONG + 2) * FEW, NULL};
        const struct rw_grad_batch batch = {LONG, 1, &span};

        assert_non_null(d);
        dmu = d + 2 * FEW;
        const struct rw_norm_mix_backward op = {.dx = d + 3 * FEW,
                                                .dweight = d,
                                                .dbias = d + FEW,
                                                .dmu = &dmu,
                                                .dout = &dout,
                                                .x = in,
                                                .norm = in + LONG * FEW,
                                                .weight = mu + FEW,
                                                .mu = &mu,
                                                .n_mix = 1,
                                                .eps = 1e-5f,
                                                .channels = FEW};
        be[i]->ops->backward->norm_mix(be[i], &op, &batch);
        be[i]->ops->free(be[i]);
    }
    assert_memory_equal(result[0], result[1], (LONG + 3) * FEW * sizeof(float));
    rw_free(result[0]);
    rw_free(result[1]);
    rw_free(in);
}

/* --- layer norm --------------------------------------------------------------------------------
 */

struct layer_norm {
    struct problem p;
    float dy[TOKENS * C];
};

static double layer_norm_loss(const struct problem *p)
{
    const struct layer_norm *m = (const struct layer_norm *)p;
    double loss = 0, y[C];

    for (size_t t = 0; t < TOKENS; t++) {
        layer_norm_exact(y, p->v[0].exact + t * C, p->v[1].exact, p->v[2].exact, C);
        for (size_t c = 0; c < C; c++)
            loss += (double)m->dy[t * C + c] * y[c];
    }
    return loss;
}

static void layer_norm_back(struct rw_backend *be, struct problem *p, const float *dy, size_t begin,
                            size_t tokens)
{
    be->ops->backward->layer_norm(be, p->v[0].d + begin * C, p->v[1].d, p->v[2].d, dy + begin * C,
                                  p->v[0].value + begin * C, p->v[1].value, 1e-5f, tokens, C);
}

/* dx in the place of dy too; and in two pieces. */
static void test_layer_norm(void **state)
{
    static struct layer_norm m = {.p.loss = layer_norm_loss};
    struct rw_rng rng;
    float before[C], *dx;

    (void)state;
    rw_rng_init(&rng, 4);
    variable(&m.p, &rng, 0, "x", TOKENS * C, 2);
    variable(&m.p, &rng, 1, "weight", C, 1);
    variable(&m.p, &rng, 2, "bias", C, 1);
    fill(&rng, m.dy, TOKENS * C);
    dx = m.p.v[0].d;
    for (size_t i = 0; i < RW_COUNT(machines); i++) {
        struct rw_backend *be = open_backend(3, machines[i], TOKENS);

        reset_gradients(&m.p);
        memcpy(dx, m.dy, sizeof m.dy);
        layer_norm_back(be, &m.p, dx, 0, TOKENS);
        check_gradient(&m.p, 2e-5);
        memcpy(before, m.p.v[1].d, sizeof before);
        reset_gradients(&m.p);
        layer_norm_back(be, &m.p, m.dy, 0, 10);
        layer_norm_back(be, &m.p, m.dy, 10, TOKENS - 10);
        assert_memory_equal(before, m.p.v[1].d, sizeof before);
        check_gradient(&m.p, 2e-5);
        be->ops->free(be);
    }
    problem_free(&m.p);
}

/* --- loss --------------------------------------------------------------------------------------
 */

enum { VOCAB = 77, ROWS = 5 };

struct loss {
    struct problem p;
    float l2wrap;
};

static const int32_t targets[ROWS] = {3, -1, 76, 0, 40};

/* L2Wrap is the derivative of l2wrap/2 · (largest logit)², and no part of the loss. */
static double cross_entropy_exact(const struct problem *p)
{
    const struct loss *m = (const struct loss *)p;
    double total = 0;

    for (size_t t = 0; t < ROWS; t++) {
        const double *x = p->v[0].exact + t * VOCAB;
        double max = x[0], sum = 0;

        for (size_t i = 1; i < VOCAB; i++)
            max = fmax(max, x[i]);
        for (size_t i = 0; i < VOCAB; i++)
            sum += exp(x[i] - max);
        if (targets[t] >= 0)
            total += (log(sum) + max - x[targets[t]] + (double)m->l2wrap / 2 * max * max) / 7;
    }
    return total;
}

static void test_cross_entropy(void **state)
{
    static struct loss m = {.p.loss = cross_entropy_exact};
    struct rw_rng rng;
    double loss[ROWS], total, want;

    (void)state;
    rw_rng_init(&rng, 8);
    variable(&m.p, &rng, 0, "logits", ROWS * VOCAB, 3);
    for (size_t i = 0; i < 4; i++) {
        struct rw_backend *be = open_backend(2, machines[i % 2], ROWS);

        m.l2wrap = i < 2 ? 0.125f : 0;
        memcpy(m.p.v[0].d, m.p.v[0].value, ROWS * VOCAB * sizeof(float));
        const struct rw_cross_entropy op = {
            .logits = m.p.v[0].d,
            .loss = loss,
            .targets = targets,
            .tokens = ROWS,
            .vocab = VOCAB,
            .scale = 1.0f / 7,
            .l2wrap = m.l2wrap,
        };
        be->ops->backward->cross_entropy(be, &op);
        check_gradient(&m.p, 1e-5);
        assert_true(loss[1] == 0);
        for (size_t k = 0; k < VOCAB; k++)
            assert_true(m.p.v[0].d[VOCAB + k] == 0);
        m.l2wrap = 0;
        want = cross_entropy_exact(&m.p);
        total = 0;
        for (size_t t = 0; t < ROWS; t++)
            total += loss[t] / 7;
        assert_true(fabs(total - want) < 1e-6);
        be->ops->free(be);
    }
    problem_free(&m.p);
}

/* The first of equal logits gets L2Wrap's part. */
static void test_largest(void **state)
{
    const int32_t target = 2;
    double loss;

    (void)state;
    for (size_t i = 0; i < RW_COUNT(machines); i++) {
        struct rw_backend *be = open_backend(1, machines[i], 1);
        float x[50] = {0};

        x[17] = x[33] = x[40] = 1;
        const struct rw_cross_entropy op = {x, &loss, &target, 1, 50, 1, 0.5f};
        be->ops->backward->cross_entropy(be, &op);
        assert_true(x[33] == x[40]);
        assert_true(fabsf(x[17] - x[33] - 0.5f) < 1e-6f);
        be->ops->free(be);
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* --- the rest ----------------------------------------------------------------------------------
 */

enum { MANY = 40000 }; /* more than a piece of work */

static void test_epilogues(void **state)
{
    struct rw_rng rng;
    float *x, *dy;

    (void)state;
    rw_rng_init(&rng, 12);
    x = filled(&rng, MANY);
    dy = rw_alloc(MANY, sizeof *dy);
    assert_non_null(dy);
    for (size_t m = 0; m < RW_COUNT(machines); m++)
        for (enum rw_epilogue e = RW_TANH; e <= RW_RELU2; e++) {
            struct rw_backend *be = open_backend(3, machines[m], 1);
            float *y = rw_alloc(MANY, sizeof *y);

            assert_non_null(y);
            for (size_t i = 0; i < MANY; i++) {
                double v = (double)x[i];
                y[i] = (float)(e == RW_TANH      ? tanh(v)
                               : e == RW_SIGMOID ? sigmoid(v)
                                                 : pow(fmax(v, 0), 2));
                dy[i] = 3;
            }
            be->ops->backward->epilogue(be, e, dy, y, MANY);
            for (size_t i = 0; i < MANY; i++) {
                double v = (double)x[i], s = sigmoid(v);
                double want = e == RW_TANH      ? 1 - tanh(v) * tanh(v)
                              : e == RW_SIGMOID ? s * (1 - s)
                                                : 2 * fmax(v, 0);
                assert_true(fabs((double)dy[i] - 3 * want) < 1e-5);
            }
            rw_free(y);
            be->ops->free(be);
        }
    rw_free(x);
    rw_free(dy);
}

static void test_embed(void **state)
{
    static const int32_t tokens[] = {4, 0, 4, 2, 4};
    enum { EC = 130, EV = 5 };
    struct rw_rng rng;
    float *dx, *table, *want;

    (void)state;
    rw_rng_init(&rng, 13);
    dx = filled(&rng, RW_COUNT(tokens) * EC);
    table = filled(&rng, EV * EC);
    want = rw_alloc(EV * EC, sizeof *want);
    assert_non_null(want);
    memcpy(want, table, EV * EC * sizeof *want);
    for (size_t t = 0; t < RW_COUNT(tokens); t++)
        for (size_t c = 0; c < EC; c++)
            want[(size_t)tokens[t] * EC + c] += dx[t * EC + c];
    struct rw_backend *be = open_backend(2, rw_cpu_detect(), 8);
    be->ops->backward->embed(be, table, dx, tokens, RW_COUNT(tokens), EC);
    assert_memory_equal(want, table, EV * EC * sizeof *want);
    be->ops->free(be);
    rw_free(dx);
    rw_free(table);
    rw_free(want);
}

static void test_arrays(void **state)
{
    struct rw_backend *be = open_backend(2, rw_cpu_detect(), 8);
    float *x = rw_alloc(MANY, sizeof *x), *y = rw_alloc(MANY, sizeof *y);

    (void)state;
    assert_true(x && y);
    for (size_t i = 0; i < MANY; i++)
        x[i] = (float)i;
    be->ops->backward->copy(be, y, x, MANY);
    assert_memory_equal(x, y, MANY * sizeof *x);
    be->ops->backward->add(be, y, x, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_true(y[i] == 2 * x[i]);
    be->ops->backward->zero(be, y, MANY - 1);
    for (size_t i = 0; i < MANY - 1; i++)
        assert_true(y[i] == 0);
    assert_true(y[MANY - 1] == 2 * (MANY - 1));
    rw_free(x);
    rw_free(y);
    be->ops->free(be);
}

static void test_sum_squares(void **state)
{
    struct rw_rng rng;
    double want = 0, got[4];
    float *x;

    (void)state;
    rw_rng_init(&rng, 14);
    x = filled(&rng, MANY);
    x[MANY - 3] = 0;
    for (size_t i = 0; i < MANY; i++)
        want += (double)x[i] * (double)x[i];
    for (size_t i = 0; i < 4; i++) {
        struct rw_backend *be = open_backend(i % 3 + 1, i == 3 ? 0 : rw_cpu_detect(), 1);

        x[MANY - 3] = 0;
        got[i] = be->ops->backward->sum_squares(be, x, MANY);
        x[MANY - 3] = NAN;
        assert_true(isnan(be->ops->backward->sum_squares(be, x, MANY)));
        be->ops->free(be);
    }
    assert_true(fabs(got[0] / want - 1) < 1e-12);
    for (size_t i = 1; i < 4; i++)
        assert_memory_equal(&got[0], &got[i], sizeof *got);
    rw_free(x);
}

static void test_adamw(void **state)
{
    struct rw_rng rng;
    float *in, *out[4];

    (void)state;
    rw_rng_init(&rng, 15);
    in = filled(&rng, 4 * MANY);
    for (size_t i = 2 * MANY; i < 3 * MANY; i++)
        in[i] *= in[i]; /* v ≥ 0 */
    for (size_t i = 0; i < 4; i++) {
        struct rw_backend *be = open_backend(i % 3 + 1, i == 3 ? 0 : rw_cpu_detect(), 1);
        float *p = out[i] = rw_alloc(4 * MANY, sizeof *p);

        assert_non_null(p);
        memcpy(p, in, 4 * MANY * sizeof *p);
        const struct rw_adamw op = {.p = p,
                                    .m = p + MANY,
                                    .v = p + 2 * MANY,
                                    .g = p + 3 * MANY,
                                    .n = MANY,
                                    .scale = 0.5f,
                                    .lr = 0.01f,
                                    .beta1 = 0.875,
                                    .beta2 = 0.984375,
                                    .eps = 1e-8f,
                                    .decay = 0.1f,
                                    .c1 = 0.3,
                                    .c2 = 0.05};
        be->ops->backward->adamw(be, &op);
        assert_memory_equal(out[0], p, 4 * MANY * sizeof *p);
        be->ops->free(be);
    }
    for (size_t i = 0; i < MANY; i++) {
        double p = (double)in[i], m = (double)in[MANY + i], v = (double)in[2 * MANY + i];
        double g = 0.5 * (double)in[3 * MANY + i];

        m = 0.875 * m + 0.125 * g;
        v = 0.984375 * v + 0.015625 * g * g;
        p -= (double)0.01f * (m / 0.3 / (sqrt(v / 0.05) + 1e-8) + (double)0.1f * p);
        assert_true(fabs((double)out[0][i] - p) <= 1e-6 * (1 + fabs(p)));
    }
    for (size_t i = 0; i < 4; i++)
        rw_free(out[i]);
    rw_free(in);
}

/* --- scratch -----------------------------------------------------------------------------------
 */

static void test_scratch(void **state)
{
    struct rw_backend *be = open_backend(2, rw_cpu_detect(), 64), *more;
    const struct rw_backward_ops *ops = be->ops->backward;
    rwkv_error err;
    char size[32];

    (void)state;
    size_t some = ops->scratch_bytes(be, 4096, 2048, 64);
    more = open_backend(3, rw_cpu_detect(), 64);
    assert_true(ops->scratch_bytes(be, 8192, 2048, 64) > some);
    assert_true(ops->scratch_bytes(be, 4096, 2048, 128) > some);
    assert_true(ops->scratch_bytes(more, 4096, 2048, 64) > some);
    assert_int_equal(ops->prepare(be, 128, MAX_COLS, 64, &err), RWKV_OK);
    let_aligned_fail(true);
    rwkv_status status = ops->prepare(be, 4096, 2048, 64, &err);
    let_aligned_fail(false);
    if (COUNTS) {
        snprintf(size, sizeof size, "%zu bytes", some);
        assert_int_equal(status, RWKV_ERROR_MEMORY);
        assert_non_null(strstr(err.message, size));
    }
    be->ops->free(be);
    more->ops->free(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_mix),      cmocka_unit_test(test_norm_mix_bits),
        cmocka_unit_test(test_norm_mix_long), cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_largest),
        cmocka_unit_test(test_epilogues),     cmocka_unit_test(test_embed),
        cmocka_unit_test(test_arrays),        cmocka_unit_test(test_sum_squares),
        cmocka_unit_test(test_adamw),         cmocka_unit_test(test_scratch),
    };

    machines[1] = rw_cpu_detect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
