/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back through the time mix on the CPU: against central differences in double; and the same bits
 * for any number of threads, for a batch in one piece or in several, and for a sequence cut into
 * spans.
 */
#include "backward.h"

#define KAPPA 0.60653065971263342 /* e^−½ */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

enum { HEADS = 3, N = 10, WC = HEADS * N, LENGTH = 57, STATE = 5 + WC * N };
enum { R, W, K, V, A, G, V_FIRST, GATE, W0, A0, V0, K_K, K_A, R_K, WEIGHT, BIAS, S0, WKV_COUNT };
static const char *const names[] = {
    "r",  "w",  "k",   "v",   "a",   "g",      "v_first", "v_gate",       "w0",
    "a0", "v0", "k_k", "k_a", "r_k", "weight", "bias",    "initial state"};

struct wkv7 {
    struct problem p;
    size_t counts[8], n_spans;
    bool first;     /* block 0: no value mix */
    bool stateless; /* dstate is NULL */
    float dout[LENGTH * WC], dstate[8 * STATE];
    float terms[RW_WKV7_TERMS][LENGTH * WC];
};

/* What the recurrence gets. */
struct token {
    double w[N], a[N], b[N], k[N], v[N];
};

static void token_exact(struct token *o, const struct wkv7 *m, size_t at, size_t c)
{
    const struct variable *v = m->p.v;
    double norm = 0;

    for (size_t i = 0; i < N; i++)
        norm += pow(v[K].exact[at + i] * v[K_K].exact[c + i], 2);
    norm = fmax(sqrt(norm), 1e-12);
    for (size_t i = 0; i < N; i++) {
        double k = v[K].exact[at + i], kk = k * v[K_K].exact[c + i] / norm;
        double eta = sigmoid(v[A0].exact[c + i] + v[A].exact[at + i]);
        double part = m->first ? 0 : sigmoid(v[V0].exact[c + i] + v[GATE].exact[at + i]);

        o->w[i] = exp(-KAPPA * sigmoid(v[W0].exact[c + i] + v[W].exact[at + i]));
        o->a[i] = -kk;
        o->b[i] = kk * eta;
        o->k[i] = k * (1 + (eta - 1) * v[K_A].exact[c + i]);
        o->v[i] = v[V].exact[at + i];
        if (!m->first)
            o->v[i] += (v[V_FIRST].exact[at + i] - o->v[i]) * part;
    }
}

/* The share of one head of one token in the loss. */
static double output_exact(const struct wkv7 *m, const struct token *x, const double *y, size_t at,
                           size_t c)
{
    const struct variable *v = m->p.v;
    double mean = 0, var = 0, s = 0, loss = 0;

    for (size_t i = 0; i < N; i++) {
        mean += y[i] / N;
        s += v[R].exact[at + i] * x->k[i] * v[R_K].exact[c + i];
    }
    for (size_t i = 0; i < N; i++)
        var += (y[i] - mean) * (y[i] - mean) / N;
    for (size_t i = 0; i < N; i++) {
        double hat = (y[i] - mean) / sqrt(var + 64e-5);
        double z = hat * v[WEIGHT].exact[c + i] + v[BIAS].exact[c + i] + s * x->v[i];

        loss += (double)m->dout[at + i] * z * v[G].exact[at + i];
    }
    return loss;
}

static double head_loss(const struct wkv7 *m, size_t first, size_t count, size_t span, size_t c)
{
    double S[N * N], y[N], loss = 0;
    const float *dS = m->dstate + span * STATE + 5 + c * N;
    struct token x;

    memcpy(S, m->p.v[S0].exact + span * STATE + 5 + c * N, sizeof S);
    for (size_t t = first; t < first + count; t++) {
        token_exact(&x, m, t * WC + c, c);
        for (size_t i = 0; i < N; i++) {
            double u = 0;

            y[i] = 0;
            for (size_t j = 0; j < N; j++)
                u += S[i * N + j] * x.a[j];
            for (size_t j = 0; j < N; j++) {
                S[i * N + j] = S[i * N + j] * x.w[j] + u * x.b[j] + x.v[i] * x.k[j];
                y[i] += S[i * N + j] * m->p.v[R].exact[t * WC + c + j];
            }
        }
        loss += output_exact(m, &x, y, t * WC + c, c);
    }
    for (size_t i = 0; !m->stateless && i < N * N; i++)
        loss += (double)dS[i] * S[i];
    return loss;
}

static double wkv7_loss(const struct problem *p)
{
    const struct wkv7 *m = (const struct wkv7 *)p;
    double loss = 0;

    for (size_t s = 0, first = 0; s < m->n_spans; first += m->counts[s++])
        for (size_t h = 0; h < HEADS; h++)
            loss += head_loss(m, first, m->counts[s], s, h * N);
    return loss;
}

static struct wkv7 *wkv7_new(uint64_t seed, bool first, bool stateless)
{
    static const size_t spans[] = {16, 1, 17, 7, 16}; /* LENGTH together */
    struct wkv7 *m = rw_calloc(1, sizeof *m);
    struct rw_rng rng;

    assert_non_null(m);
    rw_rng_init(&rng, seed);
    m->p.loss = wkv7_loss;
    m->first = first;
    m->stateless = stateless;
    m->n_spans = RW_COUNT(spans);
    memcpy(m->counts, spans, sizeof spans);
    for (size_t i = 0; i < WKV_COUNT; i++)
        variable(&m->p, &rng, i, names[i],
                 i < W0   ? (size_t)LENGTH * WC
                 : i < S0 ? (size_t)WC
                          : m->n_spans * STATE,
                 1);
    fill(&rng, m->dout, RW_COUNT(m->dout));
    fill(&rng, m->dstate, RW_COUNT(m->dstate));
    return m;
}

static void wkv7_free(struct wkv7 *m)
{
    problem_free(&m->p);
    rw_free(m);
}

static void with_value_mix(struct rw_wkv7_backward *op, const struct variable *v, size_t at)
{
    op->dv_first = v[V_FIRST].d + at;
    op->dv_gate = v[GATE].d + at;
    op->dv0 = v[V0].d;
    op->v_first = v[V_FIRST].value + at;
    op->v_gate = v[GATE].value + at;
    op->v0 = v[V0].value;
}

/* Derivatives by the states left behind become those by what the spans begin with, in place. */
static void wkv7_back(struct rw_backend *be, struct wkv7 *m, size_t first, size_t n)
{
    struct variable *v = m->p.v;
    struct rw_grad_span spans[8];
    struct rw_grad_batch batch = {0, n, spans};
    size_t at = 0;

    for (size_t s = 0; s < first; s++)
        at += m->counts[s] * WC;
    for (size_t s = first; s < first + n; s++) {
        float *d = v[S0].d + s * STATE;

        if (!m->stateless)
            memcpy(d + 5, m->dstate + s * STATE + 5, (STATE - 5) * sizeof *d);
        spans[s - first] = (struct rw_grad_span){batch.tokens, m->counts[s],
                                                 v[S0].value + s * STATE, m->stateless ? NULL : d};
        batch.tokens += m->counts[s];
    }
    struct rw_wkv7_backward op = {.dr = v[R].d + at,
                                  .dw = v[W].d + at,
                                  .dk = v[K].d + at,
                                  .dv = v[V].d + at,
                                  .da = v[A].d + at,
                                  .dg = v[G].d + at,
                                  .dw0 = v[W0].d,
                                  .da0 = v[A0].d,
                                  .dk_k = v[K_K].d,
                                  .dk_a = v[K_A].d,
                                  .dr_k = v[R_K].d,
                                  .dnorm_weight = v[WEIGHT].d,
                                  .dnorm_bias = v[BIAS].d,
                                  .dout = m->dout + at,
                                  .r = v[R].value + at,
                                  .w = v[W].value + at,
                                  .k = v[K].value + at,
                                  .v = v[V].value + at,
                                  .a = v[A].value + at,
                                  .g = v[G].value + at,
                                  .w0 = v[W0].value,
                                  .a0 = v[A0].value,
                                  .k_k = v[K_K].value,
                                  .k_a = v[K_A].value,
                                  .r_k = v[R_K].value,
                                  .norm_weight = v[WEIGHT].value,
                                  .norm_bias = v[BIAS].value,
                                  .eps = 64e-5f,
                                  .state = 5,
                                  .heads = HEADS,
                                  .head_size = N};
    if (!m->first)
        with_value_mix(&op, v, at);
    for (size_t i = 0; i < RW_WKV7_TERMS; i++)
        op.terms[i] = m->terms[i];
    be->ops->backward->wkv7(be, &op, &batch);
}

static void test_wkv7(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct wkv7 *m = wkv7_new(5, i < 2, i == 1);
        struct rw_backend *be = open_backend(2, machines[i % 2], LENGTH);

        wkv7_back(be, m, 0, m->n_spans);
        if (m->stateless)
            m->p.n_variables = S0; /* not wanted, so not written */
        check_gradient(&m->p, 5e-5);
        m->p.n_variables = WKV_COUNT;
        be->ops->free(be);
        wkv7_free(m);
    }
}

static void test_wkv7_bits(void **state)
{
    struct wkv7 *one = wkv7_new(6, false, false), *other = wkv7_new(6, false, false);
    struct rw_backend *be = open_backend(1, rw_cpu_detect(), LENGTH);

    (void)state;
    wkv7_back(be, one, 0, one->n_spans);
    be->ops->free(be);
    for (size_t threads = 1; threads <= 3; threads++) {
        be = open_backend(threads, rw_cpu_detect(), LENGTH);
        reset_gradients(&other->p);
        wkv7_back(be, other, 0, 2);
        wkv7_back(be, other, 2, 1);
        wkv7_back(be, other, 3, 2);
        assert_same_gradients(&one->p, &other->p);
        be->ops->free(be);
    }
    wkv7_free(one);
    wkv7_free(other);
}

/* The state that `first` tokens of the only sequence leave behind. */
static void state_after(struct rw_backend *be, const struct wkv7 *m, size_t tokens, float *to)
{
    const struct variable *v = m->p.v;
    const struct rw_span span = {0, tokens, to};
    const struct rw_batch batch = {tokens, 1, &span};
    static float in[6][LENGTH * WC];
    static const int which[] = {W, K, V, A};

    for (size_t i = 0; i < RW_COUNT(which); i++)
        memcpy(in[i], v[which[i]].value, sizeof in[i]);
    memcpy(to, v[S0].value, STATE * sizeof *to);
    const struct rw_wkv7 op = {.out = in[5],
                               .y = in[5],
                               .r = v[R].value,
                               .g = v[G].value,
                               .w = in[0],
                               .k = in[1],
                               .v = in[2],
                               .a = in[3],
                               .b = in[4],
                               .v_first = v[V_FIRST].value,
                               .v_gate = v[GATE].value,
                               .w0 = v[W0].value,
                               .a0 = v[A0].value,
                               .v0 = v[V0].value,
                               .k_k = v[K_K].value,
                               .k_a = v[K_A].value,
                               .r_k = v[R_K].value,
                               .norm_weight = v[WEIGHT].value,
                               .norm_bias = v[BIAS].value,
                               .eps = 64e-5f,
                               .state = 5,
                               .heads = HEADS,
                               .head_size = N};
    be->ops->wkv7(be, &op, &batch);
}

/* A sequence in two spans, the last first, handing its derivative by the state to the one before:
 * the same derivatives by activations as in one span. */
static void test_wkv7_cut(void **state)
{
    struct wkv7 *one = wkv7_new(7, false, false), *other = wkv7_new(7, false, false);
    struct rw_backend *be = open_backend(2, rw_cpu_detect(), LENGTH);
    size_t cut = 21;

    (void)state;
    one->n_spans = 1;
    one->counts[0] = LENGTH;
    wkv7_back(be, one, 0, 1);
    other->counts[0] = cut;
    other->counts[1] = LENGTH - cut;
    memcpy(other->dstate + STATE, one->dstate, STATE * sizeof(float));
    state_after(be, one, cut, other->p.v[S0].value + STATE);
    wkv7_back(be, other, 1, 1);
    memcpy(other->dstate, other->p.v[S0].d + STATE, STATE * sizeof(float));
    wkv7_back(be, other, 0, 1);
    for (size_t i = R; i <= GATE; i++)
        assert_memory_equal(one->p.v[i].d, other->p.v[i].d, LENGTH * WC * sizeof(float));
    assert_memory_equal(one->p.v[S0].d, other->p.v[S0].d, STATE * sizeof(float));
    be->ops->free(be);
    wkv7_free(one);
    wkv7_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wkv7),
        cmocka_unit_test(test_wkv7_bits),
        cmocka_unit_test(test_wkv7_cut),
    };

    machines[1] = rw_cpu_detect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
