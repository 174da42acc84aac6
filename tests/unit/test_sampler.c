/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text/sampler.c. The distribution of every option, alone and together, in both orders, is worked
 * out here in the plainest way, by sorting in double; then each draw of the sampler must be the
 * token in which its random number (the generator is known) falls, and the frequencies must agree
 * (chi-square). Penalties, bias, greedy and hostile logits are checked by hand.
 */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "rwkv.h"
#include "text/vocab.h"

#define MAX_VOCAB 1000

/* --- the distribution, plainly --- */

struct entry {
    int id;
    double score; /* what the cut at work sorts by, the best first */
};

static double p[MAX_VOCAB];
static struct entry sorted[MAX_VOCAB];

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->id - y->id;
}

static void normalise(size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i];
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
}

/* Keep the best until `mass` is reached, with all of equal score. */
static void keep_mass(size_t n, double mass)
{
    double sum = 0;
    size_t last = 0;
    qsort(sorted, n, sizeof *sorted, compare_entries);
    for (last = 0; last + 1 < n; last++)
        if ((sum += p[sorted[last].id]) >= mass)
            break;
    for (size_t i = last + 1; i < n; i++)
        if (sorted[i].score != sorted[last].score)
            p[sorted[i].id] = 0;
    normalise(n);
}

static void plain_top_p(const rwkv_sampler_options *o, size_t n)
{
    if (o->top_p <= 0 || o->top_p >= 1)
        return;
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct entry){(int)i, p[i]};
    keep_mass(n, (double)o->top_p);
}

static void plain_top_k(const rwkv_sampler_options *o, size_t n)
{
    if (o->top_k <= 0 || (size_t)o->top_k >= n)
        return;
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct entry){(int)i, p[i]};
    qsort(sorted, n, sizeof *sorted, compare_entries);
    for (size_t i = (size_t)o->top_k; i < n; i++)
        p[sorted[i].id] = 0;
    normalise(n);
}

static void plain_typical(const rwkv_sampler_options *o, size_t n)
{
    double entropy = 0;
    if (o->typical_p <= 0 || o->typical_p >= 1)
        return;
    for (size_t i = 0; i < n; i++)
        if (p[i] > 0)
            entropy -= p[i] * log(p[i]);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct entry){(int)i, p[i] > 0 ? -fabs(-log(p[i]) - entropy) : -INFINITY};
    keep_mass(n, (double)o->typical_p);
}

static void plain_min_p(const rwkv_sampler_options *o, size_t n)
{
    double best = 0;
    for (size_t i = 0; i < n; i++)
        best = fmax(best, p[i]);
    for (size_t i = 0; i < n; i++)
        if (p[i] < (double)o->min_p * best)
            p[i] = 0;
    normalise(n);
}

static void plain_temperature(const rwkv_sampler_options *o, size_t n)
{
    double best = 0;
    for (size_t i = 0; i < n; i++)
        best = fmax(best, p[i]);
    for (size_t i = 0; i < n; i++)
        p[i] = pow(p[i] / best, 1 / (o->temperature == 0 ? 1 : (double)o->temperature));
    normalise(n);
}

/* Fill p. */
static void work_out(const rwkv_sampler_options *o, const float *z, size_t n)
{
    double best = -INFINITY;
    for (size_t i = 0; i < n; i++)
        best = (double)z[i] > best ? (double)z[i] : best; /* fmax: gcc 12 for arm64 crashes */
    for (size_t i = 0; i < n; i++)
        p[i] = exp((double)z[i] - best);
    normalise(n);
    if (o->order == RWKV_ORDER_RWKV) {
        plain_top_p(o, n);
        plain_top_k(o, n);
        plain_typical(o, n);
        plain_min_p(o, n);
        plain_temperature(o, n);
    } else {
        plain_temperature(o, n);
        plain_top_k(o, n);
        plain_typical(o, n);
        plain_top_p(o, n);
        plain_min_p(o, n);
    }
}

/* --- draws against it --- */

static rwkv_sampler *make(const rwkv_sampler_options *o, size_t n)
{
    rwkv_sampler *s = NULL;
    rwkv_error err = {0};
    if (rwkv_sampler_new(o, NULL, n, &s, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return s;
}

/* Chi-square of counts against p, over the tokens expected at least 5 times; *cells of them. */
static double chi_square(const unsigned *counts, size_t n, double draws, int *cells)
{
    double sum = 0;
    *cells = 0;
    for (size_t i = 0; i < n; i++) {
        double expected = p[i] * draws;
        if (expected < 5)
            continue;
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
        ++*cells;
    }
    return sum;
}

static void check_draws(const rwkv_sampler_options *o, const float *z, size_t n, unsigned draws)
{
    static unsigned counts[MAX_VOCAB];
    static double below[MAX_VOCAB + 1]; /* the sum of p of all tokens of lower id */
    rwkv_sampler *s = make(o, n);
    struct rw_rng rng;
    int cells;

    work_out(o, z, n);
    for (size_t i = 0; i < n; i++)
        below[i + 1] = below[i] + p[i];
    memset(counts, 0, sizeof counts);
    rw_rng_init(&rng, o->seed);
    for (unsigned i = 0; i < draws; i++) {
        int32_t token = rwkv_sampler_sample(s, z);
        double u = rw_rng_uniform(&rng);
        assert_in_range(token, 0, n - 1);
        counts[token]++;
        if (p[token] == 0 || u < below[token] - 1e-6 || u > below[token + 1] + 1e-6)
            fail_msg("draw %u: token %d with p %g for %.9f, which is in (%.9f, %.9f)", i, token,
                     p[token], u, below[token], below[token + 1]);
    }
    double chi = chi_square(counts, n, draws, &cells);
    if (chi > cells + 5 * sqrt(2.0 * cells) + 5)
        fail_msg("chi-square %g over %d cells", chi, cells);
    rwkv_sampler_free(s);
}

/* Options alone and together; each is drawn from in both orders. */
static const rwkv_sampler_options settings[] = {
    {0},
    {.temperature = 0.5f},
    {.temperature = 1.7f},
    {.temperature = 0.01f},
    {.top_p = 0.5f},
    {.top_p = 0.85f},
    {.top_p = 0.999f},
    {.top_p = 1.0f},
    {.top_p = 1e-6f},
    {.top_k = 1},
    {.top_k = 7},
    {.top_k = 1000000},
    {.min_p = 0.05f},
    {.min_p = 0.5f},
    {.min_p = 1.0f},
    {.typical_p = 0.2f},
    {.typical_p = 0.9f},
    {.top_p = 0.5f, .top_k = 100, .temperature = 1.3f},
    {.top_p = 0.9f, .top_k = 5, .temperature = 0.7f},
    {.top_p = 0.3f, .typical_p = 0.6f, .temperature = 2},
    {.top_p = 0.95f, .top_k = 40, .typical_p = 0.8f, .min_p = 0.1f, .temperature = 0.9f},
};

static void check_settings(const float *z, size_t n, unsigned draws)
{
    for (size_t i = 0; i < RW_COUNT(settings) * 2; i++) {
        rwkv_sampler_options o = settings[i / 2];
        o.order = i % 2 ? RWKV_ORDER_TEMPERATURE_FIRST : RWKV_ORDER_RWKV;
        o.seed = i + 1;
        check_draws(&o, z, n, draws);
    }
}

static void fill_normal(float *z, size_t n, float scale, uint64_t seed)
{
    struct rw_rng rng;
    rw_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i++)
        z[i] = scale * (float)rw_rng_normal(&rng);
}

static void test_distributions(void **state)
{
    static const size_t sizes[] = {1, 2, 11, MAX_VOCAB};
    static float z[MAX_VOCAB];

    (void)state;
    for (size_t i = 0; i < RW_COUNT(sizes); i++) {
        fill_normal(z, sizes[i], 2.5f, i);
        check_settings(z, sizes[i], 600);
    }
    fill_normal(z, 300, 0.01f, 9); /* nearly uniform */
    check_settings(z, 300, 600);
    fill_normal(z, 300, 40, 10); /* most weights are nearly or exactly 0 */
    check_settings(z, 300, 600);
}

/* Ties: with the cutoff of top-p (all stay) and of top-k (those of lower id stay). */
static void test_ties(void **state)
{
    float z[40];

    (void)state;
    for (size_t i = 0; i < RW_COUNT(z); i++)
        z[i] = (float)(i * 7 % 10 / 2);
    check_settings(z, RW_COUNT(z), 600);
    for (size_t i = 0; i < RW_COUNT(z); i++)
        z[i] = i % 3 ? 0.0f : -0.0f;
    check_settings(z, RW_COUNT(z), 600);

    const rwkv_sampler_options half = {.top_p = 0.5f};
    work_out(&half, z, RW_COUNT(z));
    assert_true(p[39] > 0); /* this is what the reference says, too: all are equal */
}

static void test_full_vocabulary(void **state)
{
    enum { n = 65536 };
    float *z = test_malloc(n * sizeof *z);
    rwkv_sampler_options o = {.top_k = 50, .top_p = 0.9f, .temperature = 0.8f, .order = 1};
    rwkv_sampler *s = make(&o, n);

    (void)state;
    fill_normal(z, n, 3, 4);
    float sorted_z[51] = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < RW_COUNT(sorted_z); j++)
            if (z[i] > sorted_z[j]) {
                memmove(sorted_z + j + 1, sorted_z + j, (50 - j) * sizeof *sorted_z);
                sorted_z[j] = z[i];
                break;
            }
    for (int i = 0; i < 300; i++)
        assert_true(z[rwkv_sampler_sample(s, z)] > sorted_z[50]);
    rwkv_sampler_free(s);
    test_free(z);
}

/* The exponential inside, seen from outside: min-p cuts at a weight, and a high temperature
 * afterwards makes what was kept likely. It must be right to 4e-7 over its whole range, and 0 below
 * −87. */
static void test_exponential(void **state)
{
    (void)state;
    for (int i = 0; i <= 1000; i++) {
        float z[] = {0, -0.0869f * (float)i};
        for (int side = -1; side <= 1; side += 2) {
            double bound = exp((double)z[1]) * (1 + side * 4e-7);
            rwkv_sampler_options o = {.min_p = (float)fmin(bound, 1), .temperature = 1e6f};
            rwkv_sampler *s = make(&o, 2);
            int drawn = 0;
            for (int j = 0; j < 40; j++)
                drawn |= rwkv_sampler_sample(s, z);
            if (drawn != (side < 0 || bound > 1))
                fail_msg("e^%g is not within 4e-7 of %g", (double)z[1], exp((double)z[1]));
            rwkv_sampler_free(s);
        }
    }
    const rwkv_sampler_options flat = {.min_p = FLT_MIN, .temperature = 1e6f};
    rwkv_sampler *s = make(&flat, 2);
    for (int j = 0; j < 40; j++)
        assert_int_equal(rwkv_sampler_sample(s, (float[2]){0, -87.5f}), 0);
    rwkv_sampler_free(s);
}

/* --- greedy, penalties, bias --- */

static void test_greedy(void **state)
{
    const float z[] = {1, 5, -2, 5, 4.9f};
    const rwkv_logit_bias ban[] = {{1, -INFINITY}, {4, 0.2f}};
    rwkv_sampler_options o = {.greedy = 1, .temperature = 2, .top_k = 1};

    (void)state;
    rwkv_sampler *s = make(&o, 5);
    assert_int_equal(rwkv_sampler_sample(s, z), 1); /* the first of equal ones */
    rwkv_sampler_free(s);

    o.bias = ban;
    o.n_bias = 2;
    s = make(&o, 5);
    assert_int_equal(rwkv_sampler_sample(s, z), 4);
    rwkv_sampler_free(s);

    o = (rwkv_sampler_options){.greedy = 1, .presence = 1};
    s = make(&o, 5);
    rwkv_sampler_accept(s, 1);
    assert_int_equal(rwkv_sampler_sample(s, z), 3);
    rwkv_sampler_accept(s, 3);
    assert_int_equal(rwkv_sampler_sample(s, z), 4);
    rwkv_sampler_free(s);
}

/* The effective logit of `token`, which greedy prefers to a later rival of at most that logit. */
static double effective(rwkv_sampler *s, float *z, int token, int rival)
{
    double low = -50, high = 50;
    while (high - low > 1e-6) {
        double middle = (low + high) / 2;
        z[rival] = (float)middle;
        if (rwkv_sampler_sample(s, z) == token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Tokens: 0 "7", 1 " 0" (no part of the blanks and digits), 2 "ab", 3 " \t0", 4 none, 5 "12". */
static struct rwkv_vocab *small_vocab(void)
{
    static const char text[] = "0 '7' 1\n1 ' 0' 2\n2 'ab' 2\n3 ' \\t0' 3\n5 '12' 2\n";
    struct rwkv_vocab *vocab = NULL;
    assert_int_equal(rw_vocab_from_memory(text, sizeof text - 1, "small", &vocab, NULL), RWKV_OK);
    return vocab;
}

static void expect_effective(rwkv_sampler *s, const double wanted[6])
{
    for (int token = 0; token < 6; token++) {
        float z[8];
        for (int i = 0; i < 8; i++)
            z[i] = -100;
        z[token] = 10;
        double found = effective(s, z, token, 7);
        if (fabs(found - (10 - wanted[token])) > 1e-4)
            fail_msg("token %d: penalty %g, wanted %g", token, 10 - found, wanted[token]);
    }
}

/* Worked out by hand from the order of the official package: penalty = presence + count·frequency;
 * after each token all counts × decay, then += 1, or += 0 for digits and blanks. */
static void test_penalties(void **state)
{
    struct rwkv_vocab *vocab = small_vocab();
    const rwkv_sampler_options o = {
        .greedy = 1, .presence = 0.5f, .frequency = 0.25f, .penalty_decay = 0.5f};
    rwkv_sampler *s = NULL;

    (void)state;
    assert_int_equal(rwkv_sampler_new(&o, vocab, 8, &s, NULL), RWKV_OK);
    expect_effective(s, (double[6]){0, 0, 0, 0, 0, 0});
    rwkv_sampler_accept(s, 2); /* counts: 2: 1 */
    expect_effective(s, (double[6]){0, 0, 0.75, 0, 0, 0});
    rwkv_sampler_accept(s, 2); /* 2: 1.5 */
    expect_effective(s, (double[6]){0, 0, 0.875, 0, 0, 0});
    rwkv_sampler_accept(s, 0); /* 2: 0.75, 0: 0 */
    expect_effective(s, (double[6]){0.5, 0, 0.6875, 0, 0, 0});
    rwkv_sampler_accept(s, 1); /* 2: 0.375, 1: 1 */
    expect_effective(s, (double[6]){0.5, 0.75, 0.59375, 0, 0, 0});
    rwkv_sampler_accept(s, 3); /* 2: 0.1875, 1: 0.5, 3: 0 */
    rwkv_sampler_accept(s, 4); /* 2: 0.09375, 1: 0.25, 4: 1: no text is no digit */
    rwkv_sampler_accept(s, 5); /* 2: 0.046875, 1: 0.125, 4: 0.5, 5: 0 */
    expect_effective(s, (double[6]){0.5, 0.53125, 0.51171875, 0.5, 0.625, 0.5});
    rwkv_sampler_accept(s, -1); /* no tokens: nothing happens */
    rwkv_sampler_accept(s, 8);
    expect_effective(s, (double[6]){0.5, 0.53125, 0.51171875, 0.5, 0.625, 0.5});
    rwkv_sampler_reset(s);
    expect_effective(s, (double[6]){0, 0, 0, 0, 0, 0});
    rwkv_sampler_accept(s, 5);
    expect_effective(s, (double[6]){0, 0, 0, 0, 0, 0.5});
    rwkv_sampler_free(s);
    rw_vocab_release(vocab);
}

static void test_default_decay_without_vocabulary(void **state)
{
    const rwkv_sampler_options o = {.greedy = 1, .frequency = 2};
    rwkv_sampler *s = make(&o, 8);

    (void)state;
    rwkv_sampler_accept(s, 0);
    rwkv_sampler_accept(s, 5);
    expect_effective(s, (double[6]){2 * 0.996, 0, 0, 0, 0, 2});
    rwkv_sampler_free(s);
}

static void test_bias_and_penalties_change_the_distribution(void **state)
{
    const rwkv_logit_bias bias[] = {{3, -INFINITY}, {0, 1.5f}, {5, -0.5f}, {0, 0.25f}};
    rwkv_sampler_options o = {.presence = 0.5f, .frequency = 1, .bias = bias, .n_bias = 4};
    float z[8], changed[8];
    rwkv_sampler *s = make(&o, 8);
    struct rw_rng rng;

    (void)state;
    fill_normal(z, 8, 1, 5);
    memcpy(changed, z, sizeof z);
    rwkv_sampler_accept(s, 5);
    changed[5] -= 1.5f + 0.5f;
    changed[0] += 1.75f;
    changed[3] = -INFINITY;
    work_out(&(rwkv_sampler_options){0}, changed, 8);
    rw_rng_init(&rng, 0);
    for (int i = 0; i < 5000; i++) {
        double u = rw_rng_uniform(&rng), below = 0;
        int32_t token = rwkv_sampler_sample(s, z);
        assert_int_not_equal(token, 3);
        for (int j = 0; j < token; j++)
            below += p[j];
        assert_true(u >= below - 1e-6 && u <= below + p[token] + 1e-6);
    }
    rwkv_sampler_free(s);
}

/* --- hostile logits, reproducibility, options --- */

static void test_hostile_logits(void **state)
{
    const float nan_z[] = {NAN, 1, NAN, 2, -NAN, 0};
    const float none[] = {NAN, -INFINITY, NAN, -INFINITY, -INFINITY, NAN};
    const float infinite[] = {1, INFINITY, 3e38f, INFINITY, NAN, -INFINITY};
    const float wide[] = {-3.4e38f, 3.4e38f, 0, -1, 1, -FLT_MAX};
    const rwkv_logit_bias ban_all[] = {{0, -INFINITY}, {1, -INFINITY}, {2, -INFINITY},
                                       {3, -INFINITY}, {4, -INFINITY}, {5, -INFINITY}};

    (void)state;
    for (size_t i = 0; i < RW_COUNT(settings) * 3; i++) {
        rwkv_sampler_options o = settings[i / 3];
        o.order = i % 3 == 1;
        o.greedy = i % 3 == 2;
        rwkv_sampler *s = make(&o, 6);
        for (int j = 0; j < 50; j++) {
            int32_t t = rwkv_sampler_sample(s, nan_z);
            assert_true(t == 1 || t == 3 || t == 5);
            assert_int_equal(rwkv_sampler_sample(s, none), 1);
            t = rwkv_sampler_sample(s, infinite);
            assert_true(t == 1 || (t == 3 && !o.greedy));
            assert_int_equal(rwkv_sampler_sample(s, wide), 1);
        }
        rwkv_sampler_free(s);
        o.bias = ban_all;
        o.n_bias = RW_COUNT(ban_all);
        s = make(&o, 6); /* nothing is left: the largest logit as it was */
        assert_int_equal(rwkv_sampler_sample(s, nan_z), 3);
        assert_int_equal(rwkv_sampler_sample(s, infinite), 1);
        rwkv_sampler_free(s);
    }
}

static void test_nothing_but_nan(void **state)
{
    const float z[] = {NAN, NAN};
    const rwkv_logit_bias up[] = {{1, INFINITY}};
    const float down[] = {-INFINITY, -INFINITY};
    rwkv_sampler_options o = {0};
    rwkv_sampler *s = make(&o, 2);

    (void)state;
    assert_int_equal(rwkv_sampler_sample(s, z), 0);
    rwkv_sampler_free(s);
    o.bias = up;
    o.n_bias = 1;
    s = make(&o, 2); /* −∞ + ∞ is no number, thus −∞ */
    assert_int_equal(rwkv_sampler_sample(s, down), 0);
    assert_int_equal(rwkv_sampler_sample(s, (float[2]){9, 0}), 1);
    rwkv_sampler_free(s);
}

static void test_same_seed_same_draws(void **state)
{
    float z[500];
    rwkv_sampler_options o = {.seed = 42, .presence = 0.3f, .frequency = 0.3f, .top_p = 0.9f};
    int32_t first[100];
    int differ = 0;

    (void)state;
    fill_normal(z, RW_COUNT(z), 1, 6);
    rwkv_sampler *s = make(&o, RW_COUNT(z));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < RW_COUNT(first); i++) {
            int32_t token = rwkv_sampler_sample(s, z);
            if (round == 0)
                first[i] = token;
            assert_int_equal(token, first[i]);
            rwkv_sampler_accept(s, token);
        }
        rwkv_sampler_reset(s);
    }
    rwkv_sampler_free(s);
    o.seed = 43;
    s = make(&o, RW_COUNT(z));
    for (size_t i = 0; i < RW_COUNT(first); i++)
        differ += rwkv_sampler_sample(s, z) != first[i];
    assert_true(differ > 50);
    rwkv_sampler_free(s);
}

static void expect_refusal(rwkv_sampler_options o, size_t n, rwkv_status code, const char *wanted)
{
    rwkv_sampler *s = NULL;
    rwkv_error err = {0};
    assert_int_equal(rwkv_sampler_new(&o, NULL, n, &s, &err), code);
    if (!strstr(err.message, wanted))
        fail_msg("wanted \"%s\" in \"%s\"", wanted, err.message);
    assert_null(s);
}

static void test_refusals(void **state)
{
    const rwkv_logit_bias bad_token[] = {{0, 1}, {5, 1}}, bad_bias[] = {{0, NAN}};
    const rwkv_status bad = RWKV_ERROR_ARGUMENT;

    (void)state;
    expect_refusal((rwkv_sampler_options){.temperature = -1}, 5, bad, "temperature");
    expect_refusal((rwkv_sampler_options){.temperature = NAN}, 5, bad, "temperature");
    expect_refusal((rwkv_sampler_options){.top_p = -0.1f}, 5, bad, "top_p");
    expect_refusal((rwkv_sampler_options){.top_k = -1}, 5, bad, "top_k");
    expect_refusal((rwkv_sampler_options){.min_p = 1.5f}, 5, bad, "min_p: wanted a number from 0");
    expect_refusal((rwkv_sampler_options){.typical_p = -1}, 5, bad, "typical_p");
    expect_refusal((rwkv_sampler_options){.presence = INFINITY}, 5, bad, "presence");
    expect_refusal((rwkv_sampler_options){.frequency = NAN}, 5, bad, "frequency");
    expect_refusal((rwkv_sampler_options){.penalty_decay = 1.01f}, 5, bad, "penalty_decay");
    expect_refusal((rwkv_sampler_options){.order = (rwkv_sampler_order)7}, 5, bad, "order: 7");
    expect_refusal((rwkv_sampler_options){.n_bias = 2}, 5, bad, "bias: wanted 2, found NULL");
    expect_refusal((rwkv_sampler_options){.bias = bad_token, .n_bias = 2}, 5, RWKV_ERROR_TOKEN,
                   "bias 1: wanted a token from 0 to 4, found 5");
    expect_refusal((rwkv_sampler_options){.bias = bad_bias, .n_bias = 1}, 5, bad, "bias");
    expect_refusal((rwkv_sampler_options){0}, 0, bad, "found 0");
    assert_int_equal(rwkv_sampler_new(NULL, NULL, 5, NULL, NULL), bad);
    rwkv_sampler_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_full_vocabulary),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_default_decay_without_vocabulary),
        cmocka_unit_test(test_bias_and_penalties_change_the_distribution),
        cmocka_unit_test(test_hostile_logits),
        cmocka_unit_test(test_nothing_but_nan),
        cmocka_unit_test(test_same_seed_same_draws),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
