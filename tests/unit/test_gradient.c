/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of a whole model: against central differences of a float64 model, in every
 * instruction set; and the bits, which neither checkpoints, threads, micro-batches nor what was
 * evaluated before may change.
 */
#include "gradient_reference.h"

#include <limits.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/rng.h"
#include "base/status.h"
#include "train/gradient.h"

#define MAX_SEQUENCES 4
#define MAX_COUNT 96 /* tokens of a sequence */

static const char *const sets[] = {"ref",        "avx2", "avxvnni",      "avx512",   "avx512vnni",
                                   "avx512bf16", "neon", "neon-dotprod", "neon-i8mm"};

/* A model of random parameters, and texts for it. */
struct fixture {
    struct rw_parameters p;
    float *values; /* [floats] */
    size_t n, state;
    struct rw_gradient_sequence sequences[MAX_SEQUENCES];
    int32_t tokens[MAX_SEQUENCES][MAX_COUNT], targets[MAX_SEQUENCES][MAX_COUNT];
    float *initial[MAX_SEQUENCES], *dfinal[MAX_SEQUENCES]; /* [state] */
    struct rw_rng rng;
};

static float uniform(struct rw_rng *rng, double low, double high)
{
    return (float)(low + (high - low) * rw_rng_uniform(rng));
}

/* Numbers of a size that leaves no nonlinearity saturated. */
static float random_value(struct rw_rng *rng, const struct rw_parameter *one)
{
    enum rw_spec_id id = rw_parameter_id(one);
    if (one->spec->kind == RW_KIND_MATRIX || one->spec->kind == RW_KIND_PAIR)
        return (float)(rw_rng_normal(rng) / sqrt((double)one->cols));
    if ((id >= RW_SPEC_x_r && id <= RW_SPEC_x_g) || id == RW_SPEC_ffn_x_k)
        return uniform(rng, 0, 1);
    if (id == RW_SPEC_w0)
        return uniform(rng, -3, 1);
    bool bias = strstr(one->name, "bias") != NULL;
    if ((one->spec->kind == RW_KIND_NORM && !bias) || id == RW_SPEC_k_k)
        return uniform(rng, 0.7, 1.3);
    return uniform(rng, -0.4, 0.4);
}

static float *random_floats(struct rw_rng *rng, size_t n, double scale)
{
    float *values = rw_alloc_aligned(n, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(scale * rw_rng_normal(rng));
    return values;
}

static void make_sequences(struct fixture *f, const size_t *counts)
{
    for (size_t i = 0; i < f->n; i++) {
        for (size_t t = 0; t < counts[i]; t++) {
            f->tokens[i][t] = (int32_t)rw_rng_below(&f->rng, f->p.sizes.n_vocab);
            f->targets[i][t] = (int32_t)rw_rng_below(&f->rng, f->p.sizes.n_vocab);
        }
        f->targets[i][counts[i] / 2] = -1;
        f->initial[i] = random_floats(&f->rng, f->state, 0.3);
        f->dfinal[i] = random_floats(&f->rng, f->state, 0.1);
        f->sequences[i] = (struct rw_gradient_sequence){.tokens = f->tokens[i],
                                                        .targets = f->targets[i],
                                                        .count = counts[i],
                                                        .initial = f->initial[i]};
    }
}

static void fixture_init(struct fixture *f, const struct rw_sizes *sizes, const size_t *counts,
                         size_t n)
{
    const struct rw_ranks ranks = {5, 3, 4, 6};
    struct rw_params params;
    rwkv_error err = {0};
    *f = (struct fixture){.n = n};
    rw_rng_init(&f->rng, 5);
    if (rw_params_make(&params, sizes, &ranks, RWKV_DTYPE_F32, &err) ||
        rw_parameters_init(&f->p, &params, &err))
        fail_msg("%s", err.message);
    rw_params_close(&params);
    f->state = rw_gradient_state_floats(&f->p);
    f->values = rw_alloc_aligned(f->p.floats, sizeof *f->values);
    assert_non_null(f->values);
    memset(f->values, 0, f->p.floats * sizeof *f->values);
    for (size_t i = 0; i < f->p.n; i++)
        for (size_t j = 0; j < f->p.list[i].count; j++)
            f->values[f->p.list[i].offset + j] = random_value(&f->rng, &f->p.list[i]);
    make_sequences(f, counts);
}

static void fixture_fini(struct fixture *f)
{
    for (size_t i = 0; i < f->n; i++) {
        rw_free(f->initial[i]);
        rw_free(f->dfinal[i]);
    }
    rw_free(f->values);
    rw_parameters_fini(&f->p);
}

/* How a gradient is made. */
struct way {
    const char *cpu;
    size_t threads;
    bool checkpoint, alone; /* alone: each sequence in a call of its own */
    enum rw_precision precision;
    float l2wrap;
};

struct outcome {
    float *gradient;              /* [floats] */
    float *dstate[MAX_SEQUENCES]; /* [state]: by the initial states */
    float *final[MAX_SEQUENCES];
    double loss;
};

static struct rw_backend *new_backend(const struct way *way)
{
    struct rw_backend *be;
    rwkv_error err = {0};
    int ok;
    unsigned mask = rw_cpu_from_name(way->cpu, &ok);
    assert_true(ok);
    if (rw_backend_cpu_new(&be, way->threads, mask, &err))
        fail_msg("%s", err.message);
    return be;
}

static struct rw_gradient *new_gradient(const struct fixture *f, const struct way *way,
                                        struct rw_backend *be, size_t tokens)
{
    struct rw_gradient *g;
    rwkv_error err = {0};
    const struct rw_gradient_options options = {.sequences = MAX_SEQUENCES,
                                                .tokens = tokens,
                                                .checkpoint = way->checkpoint,
                                                .precision = way->precision,
                                                .l2wrap = way->l2wrap};
    if (rw_gradient_new(&g, &f->p, be, &options, &err))
        fail_msg("%s", err.message);
    return g;
}

/* Everything of the fixture, into `out`, which adds to nothing. */
static void run(struct fixture *f, struct rw_gradient *g, const struct way *way, float scale,
                struct outcome *out)
{
    *out = (struct outcome){.gradient = rw_calloc(f->p.floats, sizeof *out->gradient)};
    assert_non_null(out->gradient);
    for (size_t i = 0; i < f->n; i++) {
        out->dstate[i] = rw_alloc(f->state, sizeof *out->dstate[i]);
        out->final[i] = rw_alloc(f->state, sizeof *out->final[i]);
        assert_true(out->dstate[i] && out->final[i]);
        memcpy(out->dstate[i], f->dfinal[i], f->state * sizeof *out->dstate[i]);
        f->sequences[i].dstate = out->dstate[i];
        f->sequences[i].final = out->final[i];
    }
    size_t at_once = way->alone ? 1 : f->n;
    for (size_t i = 0; i < f->n; i += at_once)
        rw_gradient_add(g, f->values, out->gradient, f->sequences + i, at_once, scale, &out->loss);
}

static void outcome_fini(struct outcome *out)
{
    rw_free(out->gradient);
    for (size_t i = 0; i < MAX_SEQUENCES; i++) {
        rw_free(out->dstate[i]);
        rw_free(out->final[i]);
    }
}

static void evaluate(struct fixture *f, const struct way *way, float scale, struct outcome *out)
{
    struct rw_backend *be = new_backend(way);
    struct rw_gradient *g = new_gradient(f, way, be, MAX_SEQUENCES * MAX_COUNT);
    run(f, g, way, scale, out);
    rw_gradient_free(g);
    be->ops->free(be);
}

/* --- central differences ---------------------------------------------------------------------- */

#define SCALE 0.25
#define L2WRAP 0.125
#define STEP 1e-5
#define BOUND 2e-5 /* of a tensor's largest derivative; f32 makes some 1e-6 */

/* What the gradient is taken of: losses, and the states left behind times dfinal. */
static double objective(const struct fixture *f, const struct reference *m, double *const *initial)
{
    double sum = 0, *state = malloc(f->state * sizeof *state);
    assert_non_null(state);
    for (size_t i = 0; i < f->n; i++) {
        const struct rw_gradient_sequence *q = &f->sequences[i];
        memcpy(state, initial[i], f->state * sizeof *state);
        sum += SCALE * ref_loss(m, q->tokens, q->targets, q->count, state, L2WRAP);
        for (size_t j = 0; j < f->state; j++)
            sum += (double)f->dfinal[i][j] * state[j];
    }
    free(state);
    return sum;
}

static double *widen(const float *from, size_t n)
{
    double *to = malloc(n * sizeof *to);
    assert_non_null(to);
    for (size_t i = 0; i < n; i++)
        to[i] = (double)from[i];
    return to;
}

/* The derivatives by n numbers at `x`, which lie inside values or initial. */
static double *differences(const struct fixture *f, const double *values, double *const *initial,
                           double *x, size_t n)
{
    double *d = malloc(n * sizeof *d);
    const struct reference m = ref_model(&f->p, values);
    assert_non_null(d);
    for (size_t i = 0; i < n; i++) {
        double kept = x[i];
        x[i] = kept + STEP;
        double above = objective(f, &m, initial);
        x[i] = kept - STEP;
        d[i] = (above - objective(f, &m, initial)) / (2 * STEP);
        x[i] = kept;
    }
    return d;
}

static void assert_near(const char *cpu, const char *name, const double *wanted, const float *found,
                        size_t n, double bound)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(wanted[i]));
    assert_true(largest > 0);
    for (size_t i = 0; i < n; i++)
        if (!(fabs(wanted[i] - (double)found[i]) <= bound * largest))
            fail_msg("%s: %s [%zu]: wanted %.9g, found %.9g; the largest is %.3g", cpu, name, i,
                     wanted[i], (double)found[i], largest);
}

/* Wide enough for two heads of odd size and ranks that differ. */
static const struct rw_sizes tiny = {
    .n_layer = 3, .n_embd = 10, .n_vocab = 9, .n_ffn = 14, .head_size = 5};
static const size_t tiny_counts[] = {5, 1, 4};

struct truth {
    double *values, *initial[MAX_SEQUENCES];
    double *by_values, *by_initial[MAX_SEQUENCES];
};

static void truth_init(struct truth *truth, const struct fixture *f)
{
    truth->values = widen(f->values, f->p.floats);
    for (size_t i = 0; i < f->n; i++)
        truth->initial[i] = widen(f->initial[i], f->state);
    truth->by_values = differences(f, truth->values, truth->initial, truth->values, f->p.floats);
    for (size_t i = 0; i < f->n; i++)
        truth->by_initial[i] =
            differences(f, truth->values, truth->initial, truth->initial[i], f->state);
}

static void truth_fini(struct truth *truth, size_t n)
{
    free(truth->values);
    free(truth->by_values);
    for (size_t i = 0; i < n; i++) {
        free(truth->initial[i]);
        free(truth->by_initial[i]);
    }
}

static void central_differences(void **unused)
{
    struct fixture f;
    struct truth truth;
    (void)unused;
    fixture_init(&f, &tiny, tiny_counts, 3);
    truth_init(&truth, &f);
    for (size_t s = 0; s < RW_COUNT(sets); s++) {
        int ok;
        rw_cpu_from_name(sets[s], &ok);
        if (!ok)
            continue;
        const struct way way = {.cpu = sets[s], .threads = 2, .l2wrap = (float)L2WRAP};
        struct outcome out;
        evaluate(&f, &way, (float)SCALE, &out);
        for (size_t i = 0; i < f.p.n; i++) {
            const struct rw_parameter *one = &f.p.list[i];
            assert_near(sets[s], one->name, truth.by_values + one->offset,
                        out.gradient + one->offset, one->count, BOUND);
        }
        for (size_t i = 0; i < f.n; i++)
            assert_near(sets[s], "initial state", truth.by_initial[i], out.dstate[i], f.state,
                        BOUND);
        outcome_fini(&out);
    }
    truth_fini(&truth, f.n);
    fixture_fini(&f);
}

/* The loss is the float64 one, with a backward pass and without; L2Wrap is not in it. */
static void losses(void **unused)
{
    struct fixture f;
    struct outcome out;
    const struct way way = {.threads = 2, .l2wrap = 0.5f};
    double wanted = 0, alone = 0;
    (void)unused;
    fixture_init(&f, &tiny, tiny_counts, 3);
    double *values = widen(f.values, f.p.floats);
    const struct reference m = ref_model(&f.p, values);
    for (size_t i = 0; i < f.n; i++) {
        double *state = widen(f.initial[i], f.state);
        wanted += ref_loss(&m, f.tokens[i], f.targets[i], f.sequences[i].count, state, 0);
        free(state);
    }
    evaluate(&f, &way, 1, &out);
    assert_true(fabs(out.loss - wanted) < 1e-5 * wanted);
    struct rw_backend *be = new_backend(&way);
    struct rw_gradient *g = new_gradient(&f, &way, be, 16);
    for (size_t i = 0; i < f.n; i++)
        f.sequences[i].final = NULL;
    rw_gradient_loss(g, f.values, f.sequences, f.n, &alone);
    assert_true(alone == out.loss);
    rw_gradient_free(g);
    be->ops->free(be);
    free(values);
    outcome_fini(&out);
    fixture_fini(&f);
}

/* --- bits ------------------------------------------------------------------------------------- */

static const struct rw_sizes small = {
    .n_layer = 3, .n_embd = 64, .n_vocab = 70, .n_ffn = 100, .head_size = 32};
static const size_t small_counts[] = {37, 96, 1, 64};

static void assert_same(const struct fixture *f, const struct outcome *a, const struct outcome *b)
{
    assert_memory_equal(a->gradient, b->gradient, f->p.floats * sizeof *a->gradient);
    for (size_t i = 0; i < f->n; i++) {
        assert_memory_equal(a->dstate[i], b->dstate[i], f->state * sizeof *a->dstate[i]);
        assert_memory_equal(a->final[i], b->final[i], f->state * sizeof *a->final[i]);
    }
    assert_true(a->loss == b->loss);
}

static void same_bits(void **unused)
{
    static const struct way ways[] = {
        {.threads = 1, .checkpoint = true},
        {.threads = 2},
        {.threads = 3},
        {.threads = 3, .checkpoint = true},
        {.threads = 1, .alone = true},
        {.threads = 2, .alone = true, .checkpoint = true},
    };
    struct fixture f;
    struct outcome first, other;
    (void)unused;
    fixture_init(&f, &small, small_counts, 4);
    for (int precision = RW_PRECISION_F32; precision <= RW_PRECISION_BF16; precision++) {
        struct way way = {.threads = 1, .precision = (enum rw_precision)precision};
        evaluate(&f, &way, 0.01f, &first);
        assert_true(isfinite(first.loss) && first.loss > 0);
        for (size_t i = 0; i < RW_COUNT(ways); i++) {
            way = ways[i];
            way.precision = (enum rw_precision)precision;
            evaluate(&f, &way, 0.01f, &other);
            assert_same(&f, &first, &other);
            outcome_fini(&other);
        }
        outcome_fini(&first);
    }
    fixture_fini(&f);
}

/* Nothing of a longer batch is left in a shorter one's, or the other way round. */
static void again(void **unused)
{
    const struct way way = {.threads = 2};
    struct fixture f;
    struct outcome first, other;
    (void)unused;
    fixture_init(&f, &small, small_counts, 4);
    struct rw_backend *be = new_backend(&way);
    struct rw_gradient *g = new_gradient(&f, &way, be, MAX_SEQUENCES * MAX_COUNT);
    run(&f, g, &way, 0.01f, &first);
    f.n = 1;
    struct outcome shorter, fresh;
    run(&f, g, &way, 0.01f, &shorter);
    evaluate(&f, &way, 0.01f, &fresh);
    assert_same(&f, &shorter, &fresh);
    f.n = 4;
    run(&f, g, &way, 0.01f, &other);
    assert_same(&f, &first, &other);
    rw_gradient_free(g);
    be->ops->free(be);
    outcome_fini(&first);
    outcome_fini(&shorter);
    outcome_fini(&fresh);
    outcome_fini(&other);
    fixture_fini(&f);
}

/* bf16 rounds the products, and is not far from f32 all the same. */
static void precision(void **unused)
{
    const struct way f32 = {.threads = 2}, bf16 = {.threads = 2, .precision = RW_PRECISION_BF16};
    struct fixture f;
    struct outcome exact, rounded;
    (void)unused;
    fixture_init(&f, &small, small_counts, 4);
    evaluate(&f, &f32, 0.01f, &exact);
    evaluate(&f, &bf16, 0.01f, &rounded);
    assert_true(rounded.loss != exact.loss && fabs(rounded.loss / exact.loss - 1) < 0.01);
    double square = 0, off = 0;
    for (size_t i = 0; i < f.p.floats; i++) {
        double d = (double)rounded.gradient[i] - (double)exact.gradient[i];
        square += (double)exact.gradient[i] * (double)exact.gradient[i];
        off += d * d;
    }
    assert_true(off > 0 && sqrt(off / square) < 0.05);
    outcome_fini(&exact);
    outcome_fini(&rounded);
    fixture_fini(&f);
}

/* --- texts in two pieces ---------------------------------------------------------------------- */

/* The first piece forward, the second with its gradient, the first again with the derivative by the
 * state between them. */
static void run_pieces(struct fixture *f, struct rw_gradient *g, float scale, struct outcome *out)
{
    struct rw_gradient_sequence *q = &f->sequences[0];
    size_t half = q->count / 3;
    double unused = 0;
    *out = (struct outcome){.gradient = rw_calloc(f->p.floats, sizeof *out->gradient),
                            .dstate = {rw_alloc(f->state, sizeof(float))},
                            .final = {rw_alloc(f->state, sizeof(float))}};
    assert_true(out->gradient && out->dstate[0] && out->final[0]);
    memcpy(out->dstate[0], f->dfinal[0], f->state * sizeof(float));
    struct rw_gradient_sequence first = *q, second = *q;
    first.count = half;
    first.final = out->final[0];
    first.dstate = NULL;
    rw_gradient_loss(g, f->values, &first, 1, &out->loss);
    second.tokens += half;
    second.targets += half;
    second.count -= half;
    second.initial = out->final[0];
    second.final = out->final[0]; /* may be the initial one */
    second.dstate = out->dstate[0];
    rw_gradient_add(g, f->values, out->gradient, &second, 1, scale, &out->loss);
    first.final = NULL;
    first.dstate = out->dstate[0];
    rw_gradient_add(g, f->values, out->gradient, &first, 1, scale, &unused);
}

static void through_the_state(void **unused)
{
    const struct way way = {.threads = 2};
    struct fixture f;
    struct outcome whole, pieces;
    (void)unused;
    fixture_init(&f, &small, (const size_t[]){90}, 1);
    struct rw_backend *be = new_backend(&way);
    struct rw_gradient *g = new_gradient(&f, &way, be, MAX_COUNT);
    run(&f, g, &way, 0.01f, &whole);
    run_pieces(&f, g, 0.01f, &pieces);
    assert_memory_equal(whole.final[0], pieces.final[0], f.state * sizeof(float));
    assert_true(whole.loss == pieces.loss);
    double *wanted = widen(whole.gradient, f.p.floats);
    for (size_t i = 0; i < f.p.n; i++)
        assert_near("auto", f.p.list[i].name, wanted + f.p.list[i].offset,
                    pieces.gradient + f.p.list[i].offset, f.p.list[i].count, 1e-5);
    free(wanted);
    wanted = widen(whole.dstate[0], f.state);
    assert_near("auto", "initial state", wanted, pieces.dstate[0], f.state, 1e-5);
    free(wanted);
    rw_gradient_free(g);
    be->ops->free(be);
    outcome_fini(&whole);
    outcome_fini(&pieces);
    fixture_fini(&f);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* What is planned is what is kept: of all blocks, or of one. */
static void plan(void **unused)
{
    struct fixture f;
    struct rw_gradient_plan all, one;
    struct rw_gradient_options options = {.sequences = 2, .tokens = 128};
    (void)unused;
    fixture_init(&f, &small, small_counts, 1);
    struct rw_backend *be = new_backend(&(struct way){.threads = 1});
    rw_gradient_plan(&all, &f.p, be, &options);
    options.checkpoint = true;
    rw_gradient_plan(&one, &f.p, be, &options);
    /* as docs/training.md says */
    size_t block = 18 * small.n_embd + small.n_ffn + 5 + 3 + 4 + 6;
    size_t inputs = (small.n_layer + 1) * small.n_embd;
    assert_int_equal(all.saved, (inputs + small.n_layer * block) * options.tokens * sizeof(float));
    assert_int_equal(one.saved, (inputs + block) * options.tokens * sizeof(float));
    assert_int_equal(all.total, all.saved + all.work + all.scratch);
    be->ops->free(be);
    fixture_fini(&f);
}

/* The backend's own memory, counted, or refused. */
static float *(*alloc_of_backend)(struct rw_backend *be, size_t floats);
static size_t floats_taken;
static bool refuse;

static float *count_alloc(struct rw_backend *be, size_t floats)
{
    floats_taken += floats;
    return refuse ? NULL : alloc_of_backend(be, floats);
}

static void memory(void **unused)
{
    struct fixture f;
    struct outcome out;
    struct rw_gradient_plan planned;
    struct rw_gradient *g;
    rwkv_error err = {0};
    const struct way way = {.threads = 1, .checkpoint = true};
    const struct rw_gradient_options options = {.sequences = 2, .tokens = 128};
    (void)unused;
    fixture_init(&f, &small, small_counts, 2);
    struct rw_backend *be = new_backend(&way);
    struct rw_backend_ops ops = *be->ops;
    const struct rw_backend_ops *own = be->ops;
    alloc_of_backend = ops.alloc;
    ops.alloc = count_alloc;
    be->ops = &ops;
    rw_gradient_plan(&planned, &f.p, be, &options);
    refuse = true;
    assert_int_equal(rw_gradient_new(&g, &f.p, be, &options, &err), RWKV_ERROR_MEMORY);
    refuse = false;
    floats_taken = 0;
    assert_int_equal(rw_gradient_new(&g, &f.p, be, &options, &err), RWKV_OK);
    f.sequences[1].count = 90;
    run(&f, g, &way, 1, &out);
    size_t taken = floats_taken * sizeof(float);
    assert_true(taken <= planned.saved + planned.work);
    assert_true(taken >= (planned.saved + planned.work) / 100 * 95);
    rw_gradient_free(g);
    ops.backward = NULL;
    assert_int_equal(rw_gradient_new(&g, &f.p, be, &options, &err), RWKV_ERROR_UNSUPPORTED);
    assert_string_equal(err.message, "the backend 'cpu' cannot train");
    be->ops = own;
    be->ops->free(be);
    outcome_fini(&out);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(central_differences),
        cmocka_unit_test(losses),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(again),
        cmocka_unit_test(precision),
        cmocka_unit_test(through_the_state),
        cmocka_unit_test(plan),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
