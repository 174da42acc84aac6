/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation of texts: against sums written out here, in any cut, in windows, beside a base. */
#include "unit.h"

#include <math.h>

#include "models.h"
#include "rwkv_bench.h"
#include "rwkv_evaluate.h"

#define SMALL_Q4_1 "tests/data/gguf/long-f16-Q4_1.gguf" /* the same weights as SMALL_GGUF */
#define N 300                                           /* tokens: more than are scored at once */
#define V 128

static int32_t text[N];

static int make_text(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < N; i++, x = x * 1664525u + 1013904223u)
        text[i] = (int32_t)(i % 7 ? x >> 25 : 1 + i % 11);
    return 0;
}

static rwkv_evaluator *new_evaluator(rwkv_model *m, size_t window, rwkv_model *base)
{
    rwkv_evaluator *e = NULL;
    rwkv_evaluate_options options = {.window = window, .base = base};
    rwkv_error err = {0};
    if (rwkv_evaluator_new(m, &options, &e, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return e;
}

/* Feed the first n tokens in pieces of that size. */
static rwkv_evaluation evaluate(rwkv_model *m, size_t window, rwkv_model *base, size_t n,
                                size_t piece)
{
    rwkv_evaluation r;
    rwkv_error err = {0};
    rwkv_evaluator *e = new_evaluator(m, window, base);
    for (size_t at = 0; at < n; at += piece)
        if (rwkv_evaluator_feed(e, text + at, piece < n - at ? piece : n - at, &err) != RWKV_OK)
            fail_msg("%s", err.message);
    rwkv_evaluator_result(e, &r);
    rwkv_evaluator_free(e);
    assert_true(r.seconds > 0);
    r.seconds = 0;
    return r;
}

static size_t vocabulary(rwkv_model *m)
{
    rwkv_model_info info;
    rwkv_model_get_info(m, &info);
    return info.n_vocab;
}

/* ln of the probabilities [n, V] that follow each token of a text. */
static double *log_probabilities(rwkv_model *m, const int32_t *tokens, size_t n)
{
    size_t v = vocabulary(m);
    rwkv_session *s = new_session(m);
    float *logits = malloc(n * v * sizeof *logits);
    double *p = malloc(n * v * sizeof *p);
    assert_int_equal(rwkv_session_eval_all(s, tokens, n, logits, NULL, NULL), RWKV_OK);
    for (size_t t = 0; t < n; t++) {
        long double sum = 0;
        for (size_t i = 0; i < v; i++)
            sum += expl(logits[t * v + i]);
        for (size_t i = 0; i < v; i++)
            p[t * v + i] = (double)(logits[t * v + i] - logl(sum));
    }
    rwkv_session_free(s);
    free(logits);
    return p;
}

/* Mean and standard error of n values, in two passes. */
static rwkv_estimate estimate(const double *x, size_t n)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    return (rwkv_estimate){mean, sqrt(squares / (double)(n - 1) / (double)n)};
}

static void assert_near(double found, double wanted)
{
    if (!(fabs(found - wanted) <= 1e-12 * (1 + fabs(wanted))))
        fail_msg("wanted %.12g, found %.12g", wanted, found);
}

static void assert_estimate(rwkv_estimate found, rwkv_estimate wanted)
{
    assert_near(found.mean, wanted.mean);
    assert_near(found.error, wanted.error);
}

static void whole_text(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, NULL);
    double *p = log_probabilities(m, text, N), loss[N];
    for (size_t t = 1; t < N; t++)
        loss[t] = -p[(t - 1) * V + (size_t)text[t]];
    rwkv_estimate wanted = estimate(loss + 1, N - 1);
    rwkv_evaluation r = evaluate(m, 0, NULL, N, N);
    assert_int_equal(r.tokens, N);
    assert_int_equal(r.scored, N - 1);
    assert_estimate(r.loss, wanted);
    assert_near(r.perplexity.mean, exp(wanted.mean));
    assert_near(r.perplexity.error, exp(wanted.mean) * wanted.error);
    size_t bytes = 0, size;
    for (size_t t = 1; t < N; t++) {
        rwkv_vocab_token(rwkv_model_vocab(m, NULL), text[t], &size);
        bytes += size;
    }
    assert_int_equal(r.scored_bytes, bytes);
    assert_near(r.bits_per_byte, wanted.mean * (N - 1) / log(2) / (double)bytes);
    assert_true(r.base_loss.mean == 0 && r.divergence.mean == 0 && r.same_top.mean == 0);
    free(p);
    rwkv_model_close(m);
}

static void beginnings(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_F16, NULL); /* without a vocabulary */
    rwkv_evaluator *e = new_evaluator(m, 0, NULL);
    rwkv_model_close(m); /* held by the evaluator */
    rwkv_evaluation r, zero = {0};
    rwkv_evaluator_result(e, &r);
    assert_memory_equal(&r, &zero, sizeof r);
    assert_int_equal(rwkv_evaluator_feed(e, NULL, 0, NULL), RWKV_OK);
    assert_int_equal(rwkv_evaluator_feed(e, text, 1, NULL), RWKV_OK);
    rwkv_evaluator_result(e, &r);
    assert_true(r.tokens == 1 && r.scored == 0 && r.loss.mean == 0 && r.perplexity.mean == 0);
    assert_int_equal(rwkv_evaluator_feed(e, text + 1, 1, NULL), RWKV_OK);
    rwkv_evaluator_result(e, &r);
    assert_true(r.scored == 1 && r.loss.mean > 0 && isinf(r.loss.error));
    assert_true(r.scored_bytes == 0 && r.bits_per_byte == 0);
    rwkv_evaluator_free(e);
    rwkv_evaluator_free(NULL);
}

static void same_bits(void **state)
{
    (void)state;
    static const struct {
        int threads;
        size_t chunk, piece;
    } cases[] = {{1, 128, 1}, {2, 7, 300}, {3, 1, 130}, {2, 4096, 128}, {1, 100, 129}};
    for (size_t window = 0; window <= 37; window += 37) {
        rwkv_model *m = open_model(SMALL_Q4_1, &(rwkv_model_options){.threads = 1});
        rwkv_model *base = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1});
        rwkv_evaluation wanted = evaluate(m, window, base, N, N);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            rwkv_model_options o = {.threads = cases[i].threads, .chunk = cases[i].chunk};
            rwkv_model *other = open_model(SMALL_Q4_1, &o);
            rwkv_evaluation found = evaluate(other, window, base, N, cases[i].piece);
            assert_memory_equal(&found, &wanted, sizeof found);
            rwkv_model_close(other);
        }
        rwkv_model_close(m);
        rwkv_model_close(base);
    }
}

/* Each window alone, its tokens from window/2 + 1 on scored; the last one is not full. */
static void windows(void **state)
{
    (void)state;
    static const size_t sizes[] = {3, 4, 41, 256};
    rwkv_model *m = open_model(SMALL_GGUF, NULL);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        size_t window = sizes[k], n = 0;
        double loss[N];
        for (size_t start = 0; start < N; start += window) {
            size_t length = window < N - start ? window : N - start;
            double *p = log_probabilities(m, text + start, length);
            for (size_t t = window / 2 + 1; t < length; t++)
                loss[n++] = -p[(t - 1) * V + (size_t)text[start + t]];
            free(p);
        }
        rwkv_evaluation r = evaluate(m, window, NULL, N, 50);
        assert_int_equal(r.tokens, N);
        assert_int_equal(r.scored, n);
        assert_estimate(r.loss, estimate(loss, n));
    }
    rwkv_model_close(m);
}

static size_t most_likely(const double *p, size_t v)
{
    size_t top = 0;
    for (size_t i = 0; i < v; i++)
        if (p[i] > p[top])
            top = i;
    return top;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(rwkv_model *m, rwkv_model *base)
{
    size_t n = N - 1, v = vocabulary(m);
    double *q = log_probabilities(m, text, N), *p = log_probabilities(base, text, N);
    double base_loss[N], difference[N], divergence[N], same[N], squares = 0;
    for (size_t t = 0; t < n; t++) {
        const double *pt = p + t * v, *qt = q + t * v;
        int32_t next = text[t + 1];
        base_loss[t] = -pt[next];
        difference[t] = pt[next] - qt[next];
        divergence[t] = 0;
        for (size_t i = 0; i < v; i++)
            divergence[t] += exp(pt[i]) * (pt[i] - qt[i]);
        same[t] = most_likely(pt, v) == most_likely(qt, v);
        squares += pow(exp(qt[next]) - exp(pt[next]), 2);
    }
    rwkv_estimate ratio = estimate(difference, n);
    rwkv_evaluation r = evaluate(m, 0, base, N, N);
    assert_estimate(r.base_loss, estimate(base_loss, n));
    assert_near(r.base_perplexity.mean, exp(r.base_loss.mean));
    assert_near(r.perplexity_ratio.mean, exp(ratio.mean));
    assert_near(r.perplexity_ratio.error, exp(ratio.mean) * ratio.error);
    assert_near(r.perplexity_ratio.mean, r.perplexity.mean / r.base_perplexity.mean);
    assert_estimate(r.divergence, estimate(divergence, n));
    assert_estimate(r.same_top, estimate(same, n));
    assert_near(r.probability_rms, sqrt(squares / (double)n));
    qsort(divergence, n, sizeof *divergence, compare_doubles);
    assert_near(r.divergence_max, divergence[n - 1]);
    double p99 = divergence[(99 * n + 99) / 100 - 1];
    assert_true(fabs(r.divergence_p99 / p99 - 1) <= 0.005);
    assert_true(r.divergence.mean > 1e-3); /* they do differ */
    free(p);
    free(q);
    rwkv_model_close(m);
    rwkv_model_close(base);
}

static rwkv_model *random_model(uint64_t seed, size_t n_vocab)
{
    char path[1024];
    rwkv_model *m = NULL;
    rwkv_error err = {0};
    rwkv_random_model shape = {.n_layer = 1, .n_embd = 64, .n_vocab = n_vocab, .seed = seed};
    snprintf(path, sizeof path, "/tmp/rwkv-test-%ld.gguf", (long)getpid());
    if (rwkv_random_model_write(path, &shape, &err) != RWKV_OK ||
        rwkv_model_open(path, NULL, &m, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    unlink(path);
    return m;
}

static void beside_a_base(void **state)
{
    (void)state;
    compare(open_model(SMALL_Q4_1, NULL), open_model(SMALL_GGUF, NULL));
    for (size_t odd = 257; odd < 265; odd += 3)
        compare(random_model(1, odd), random_model(2, odd));
}

static void beside_itself(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, NULL);
    rwkv_evaluation r = evaluate(m, 0, m, N, N);
    assert_true(r.divergence.mean == 0 && r.divergence_max == 0 && r.divergence_p99 == 0);
    assert_true(r.same_top.mean == 1 && r.probability_rms == 0 && r.perplexity_ratio.mean == 1);
    assert_memory_equal(&r.loss, &r.base_loss, sizeof r.loss);
    rwkv_model_close(m);
}

static void refusals(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_F16, NULL), *other = open_model(SMALL_F32, NULL);
    rwkv_evaluator *e = NULL;
    rwkv_error err = {0};
    for (size_t window = 1; window < 3; window++) {
        rwkv_evaluate_options options = {.window = window};
        assert_int_equal(rwkv_evaluator_new(m, &options, &e, &err), RWKV_ERROR_ARGUMENT);
    }
    assert_string_equal(err.message, "window: wanted 0 or at least 3, found 2");
    rwkv_evaluate_options options = {.base = other};
    assert_int_equal(rwkv_evaluator_new(m, &options, &e, &err), RWKV_ERROR_MODEL);
    assert_non_null(strstr(err.message, "wanted a vocabulary of 128 tokens"));
    assert_non_null(strstr(err.message, "small-f32.safetensors"));
    assert_non_null(strstr(err.message, "found 256"));
    assert_int_equal(rwkv_evaluator_new(NULL, NULL, &e, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_evaluator_feed(NULL, text, 1, &err), RWKV_ERROR_ARGUMENT);
    assert_null(e);

    /* A token out of range: refused with its place in the text, and one can go on. */
    int32_t wrong[] = {5, 6, V};
    rwkv_evaluation r;
    e = new_evaluator(m, 0, NULL);
    assert_int_equal(rwkv_evaluator_feed(e, text, 10, &err), RWKV_OK);
    assert_int_equal(rwkv_evaluator_feed(e, wrong, 3, &err), RWKV_ERROR_TOKEN);
    assert_non_null(strstr(err.message, "token 12: wanted an id of 0 to 127"));
    wrong[2] = -1;
    assert_int_equal(rwkv_evaluator_feed(e, wrong, 3, &err), RWKV_ERROR_TOKEN);
    assert_int_equal(rwkv_evaluator_feed(e, text + 10, N - 10, &err), RWKV_OK);
    rwkv_evaluator_result(e, &r);
    rwkv_evaluation wanted = evaluate(m, 0, NULL, N, N);
    assert_int_equal(r.scored, N - 1);
    assert_memory_equal(&r.loss, &wanted.loss, sizeof r.loss);
    rwkv_evaluator_free(e);
    rwkv_model_close(m);
    rwkv_model_close(other);
}

/* A model whose logits become NaN with the embedding of token 77. */
static void logits_that_are_none(void **state)
{
    (void)state;
    static struct tensors t;
    const int32_t tokens[] = {1, 2, 3, 4, 5, 77, 1, 2};
    char path[1024];
    tensors_read(&t, SMALL_F32);
    float *emb = (float *)tensors_find(&t, "emb.weight")->data;
    emb[77 * 128] = NAN;
    tensors_write(&t, ".safetensors", path);
    tensors_free(&t);
    rwkv_model *m = NULL, *good = open_model(SMALL_F32, NULL);
    rwkv_error err = {0};
    rwkv_evaluation r;
    assert_int_equal(rwkv_model_open(path, NULL, &m, &err), RWKV_OK);
    for (int base = 0; base < 2; base++) {
        rwkv_evaluator *e = new_evaluator(base ? good : m, 0, base ? m : good);
        assert_int_equal(rwkv_evaluator_feed(e, tokens, 8, &err), RWKV_ERROR_MODEL);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, "token 6: wanted finite logits"));
        rwkv_evaluator_result(e, &r);
        assert_int_equal(r.scored, 5);
        assert_true(isfinite(r.loss.mean) && isfinite(r.divergence.mean));
        assert_int_equal(rwkv_evaluator_feed(e, tokens, 1, &err), RWKV_ERROR_ARGUMENT);
        rwkv_evaluator_free(e);
    }
    unlink(path);
    rwkv_model_close(m);
    rwkv_model_close(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_text),    cmocka_unit_test(beginnings),
        cmocka_unit_test(same_bits),     cmocka_unit_test(windows),
        cmocka_unit_test(beside_a_base), cmocka_unit_test(beside_itself),
        cmocka_unit_test(refusals),      cmocka_unit_test(logits_that_are_none),
    };
    return cmocka_run_group_tests(tests, make_text, NULL);
}
