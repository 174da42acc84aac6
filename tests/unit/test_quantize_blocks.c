/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor/quantize.c: what the exact decoders read back from the blocks, measured against bounds,
 * against rounding without a search, against an exhaustive search, and against the blocks that
 * libggml makes of the same numbers (vectors/dequant); and numbers that are no weights of a model.
 */
#include "unit.h"

#include <jansson.h>
#include <math.h>

#include "base/cursor.h"
#include "base/half.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/status.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"
#include "tensor/quantize.h"

#define N 4096 /* numbers of a row in these tests */
#define MAX_BYTES (N * 34 / 32)

#define EACH_TYPE(t) for (int t = RWKV_DTYPE_Q4_0; t < RWKV_DTYPE_MODEL_COUNT; t++)

/* Σ w (x − back)² of what is read back, over Σ w x²; weights may be NULL. */
static double relative_error(const float *x, const float *back, const float *w, size_t n)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)back[i], weight = w ? w[i] : 1;
        error += weight * d * d;
        size += weight * (double)x[i] * (double)x[i];
    }
    return sqrt(error / size);
}

/* Quantize with weights `by`, read back, and measure with weights `measured`. */
static double loss(int type, const float *x, size_t n, const float *by, const float *measured)
{
    static uint8_t bytes[MAX_BYTES];
    static float back[N];
    assert_true(rw_quantize((rwkv_dtype)type, bytes, x, n, by));
    assert_true(rw_to_f32((rwkv_dtype)type, back, bytes, n));
    return relative_error(x, back, measured, n);
}

static void fill_normal(float *x, size_t n, uint64_t seed, float scale)
{
    struct rw_rng rng;
    rw_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rw_rng_normal(&rng) * scale;
}

/* Weights over three orders of magnitude. */
static void fill_weights(float *w, size_t n)
{
    fill_normal(w, n, 99, 1.2f);
    for (size_t i = 0; i < n; i++)
        w[i] = expf(w[i]);
}

/* The relative error that normal numbers have at each type, and little more. */
static const float bounds[RWKV_DTYPE_MODEL_COUNT] = {
    [RWKV_DTYPE_Q4_0] = 0.083f,  [RWKV_DTYPE_Q4_1] = 0.071f,   [RWKV_DTYPE_Q5_0] = 0.041f,
    [RWKV_DTYPE_Q5_1] = 0.034f,  [RWKV_DTYPE_Q8_0] = 0.0050f,  [RWKV_DTYPE_Q2_K] = 0.27f,
    [RWKV_DTYPE_Q3_K] = 0.148f,  [RWKV_DTYPE_Q4_K] = 0.071f,   [RWKV_DTYPE_Q5_K] = 0.035f,
    [RWKV_DTYPE_Q6_K] = 0.0172f, [RWKV_DTYPE_IQ4_NL] = 0.075f, [RWKV_DTYPE_IQ4_XS] = 0.076f,
};

static void test_bounds(void **state)
{
    static float x[N];
    (void)state;
    fill_normal(x, N, 1, 0.02f);
    EACH_TYPE(t)
    {
        double found = loss(t, x, N, NULL, NULL);
        if (!(found < (double)bounds[t]))
            fail_msg("%s: relative error %g, wanted %g", rwkv_dtype_name((rwkv_dtype)t), found,
                     (double)bounds[t]);
    }
}

/* With weights, the weighted error is less than without them. */
static void test_importance(void **state)
{
    static float x[N], w[N];
    (void)state;
    fill_normal(x, N, 2, 0.02f);
    fill_weights(w, N);
    EACH_TYPE(t)
    {
        double with = loss(t, x, N, w, w), without = loss(t, x, N, NULL, w);
        if (!(with < 0.95 * without))
            fail_msg("%s: weighted error %g with importance, %g without",
                     rwkv_dtype_name((rwkv_dtype)t), with, without);
    }
}

/* Only the proportions of weights matter, however large or small they are. */
static void test_scale_of_weights(void **state)
{
    static float x[256], w[256], scaled[256];
    uint8_t a[256 * 34 / 32], b[256 * 34 / 32];
    size_t size;
    (void)state;
    fill_normal(x, 256, 3, 1);
    fill_weights(w, 256);
    EACH_TYPE(t)
    {
        rw_dtype_size((rwkv_dtype)t, 256, &size);
        rw_quantize((rwkv_dtype)t, a, x, 256, w);
        for (int e = -90; e <= 90; e += 90) {
            for (int i = 0; i < 256; i++)
                scaled[i] = ldexpf(w[i], e);
            rw_quantize((rwkv_dtype)t, b, x, 256, scaled);
            assert_memory_equal(a, b, size);
        }
    }
}

/* Scale by the largest magnitude, codes rounded: what the search has to be better than. */
static double naive_loss(const float *x, size_t n, int low, int high)
{
    static float back[N];
    for (size_t at = 0; at < n; at += 32) {
        float extreme = 0;
        for (size_t i = at; i < at + 32; i++)
            extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
        float d = rw_f16_to_f32(rw_f32_to_f16(extreme / (float)low));
        for (size_t i = at; i < at + 32; i++) {
            float q = roundf(x[i] / d);
            q = q < (float)low ? (float)low : q > (float)high ? (float)high : q;
            back[i] = d * q;
        }
    }
    return relative_error(x, back, NULL, n);
}

static void test_naive(void **state)
{
    static float x[N];
    (void)state;
    fill_normal(x, N, 4, 0.02f);
    assert_true(loss(RWKV_DTYPE_Q4_0, x, N, NULL, NULL) < 0.96 * naive_loss(x, N, -8, 7));
    assert_true(loss(RWKV_DTYPE_Q5_0, x, N, NULL, NULL) < 0.96 * naive_loss(x, N, -16, 15));
    assert_true(loss(RWKV_DTYPE_Q8_0, x, N, NULL, NULL) < 0.96 * naive_loss(x, N, -127, 127));
}

/* Every scale an f16 can have, for blocks of Q4_0. */
static double exhaustive_loss(const float *x, const float *w)
{
    double best = INFINITY;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float d = rw_f16_to_f32((uint16_t)h), back[32];
        if (!(fabsf(d) > 0.01f && fabsf(d) < 2))
            continue;
        for (int i = 0; i < 32; i++) {
            float q = rintf(x[i] / d);
            back[i] = d * (q < -8 ? -8 : q > 7 ? 7 : q);
        }
        double found = relative_error(x, back, w, 32);
        best = found < best ? found : best;
    }
    return best;
}

static void test_exhaustive(void **state)
{
    float x[32], w[32];
    double sum = 0, sum_best = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        fill_normal(x, 32, 100 + seed, 1);
        fill_weights(w, 32);
        const float *weights = seed % 2 ? w : NULL;
        double found = loss(RWKV_DTYPE_Q4_0, x, 32, weights, weights);
        double best = exhaustive_loss(x, weights);
        assert_true(found >= best * 0.9999);
        assert_true(found < best * 1.10);
        sum += found;
        sum_best += best;
    }
    assert_true(sum < sum_best * 1.02);
}

static void check_finite(int type, const float *x, size_t n)
{
    static uint8_t bytes[MAX_BYTES];
    static float back[N];
    assert_true(rw_quantize((rwkv_dtype)type, bytes, x, n, NULL));
    assert_true(rw_to_f32((rwkv_dtype)type, back, bytes, n));
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(back[i]));
}

static void test_plain_blocks(void **state)
{
    static float x[256], back[256];
    static uint8_t bytes[MAX_BYTES];
    (void)state;
    EACH_TYPE(t)
    {
        memset(x, 0, sizeof x);
        rw_quantize((rwkv_dtype)t, bytes, x, 256, NULL);
        rw_to_f32((rwkv_dtype)t, back, bytes, 256);
        for (int i = 0; i < 256; i++)
            assert_true(back[i] == 0);
        /* One value throughout, of either sign: every type can hold it well. */
        for (int sign = -1; sign <= 1; sign += 2) {
            for (int i = 0; i < 256; i++)
                x[i] = (float)sign * 0.0371f;
            assert_true(loss(t, x, 256, NULL, NULL) < 0.01);
        }
        /* One number, the rest zero, for which IQ4 has no level: 1 of 127 comes nearest. */
        memset(x, 0, sizeof x);
        x[77] = -3;
        assert_true(loss(t, x, 256, NULL, NULL) < 0.05);
    }
}

/* The smallest scale is 2⁻²⁴: numbers around it are kept as far as they can be, smaller ones
 * vanish, and the largest survive. */
static void test_extremes(void **state)
{
    static float x[256];
    (void)state;
    EACH_TYPE(t)
    {
        fill_normal(x, 256, 5, 0x1p-17f);
        assert_true(loss(t, x, 256, NULL, NULL) < 0.5);
        fill_normal(x, 256, 5, 1e-40f);
        check_finite(t, x, 256);
        fill_normal(x, 256, 5, 1);
        for (int i = 0; i < 256; i++)
            x[i] *= RW_QUANTIZE_MAX / 5;
        assert_true(loss(t, x, 256, NULL, NULL) < (double)bounds[t] * 1.2);
        for (int i = 0; i < 256; i++)
            x[i] = i % 3 ? RW_QUANTIZE_MAX : -RW_QUANTIZE_MAX;
        assert_true(loss(t, x, 256, NULL, NULL) < 0.25);
    }
}

/* What callers refuse must do no harm here: codes stay in their range, nothing is undefined. */
static void test_hostile(void **state)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, 0x1p-127f};
    static float x[256], w[256];
    static uint8_t bytes[MAX_BYTES];
    (void)state;
    EACH_TYPE(t)
    {
        for (size_t i = 0; i < RW_COUNT(bad); i++) {
            fill_normal(x, 256, 6, 1);
            fill_weights(w, 256);
            x[i] = bad[i];
            x[200 + i] = bad[(i * 5 + (size_t)t) % RW_COUNT(bad)];
            assert_true(rw_quantize((rwkv_dtype)t, bytes, x, 256, w));
            fill_normal(x, 256, 6, 1);
            w[i] = bad[i];
            w[200 + i] = bad[(i * 3 + (size_t)t) % RW_COUNT(bad)];
            assert_true(rw_quantize((rwkv_dtype)t, bytes, x, 256, w));
            check_finite(t, x, 256);
        }
        memset(w, 0, sizeof w);
        assert_true(loss(t, x, 256, w, NULL) < 1.5 * (double)bounds[t]);
        w[3] = 1; /* and all but one without weight */
        assert_true(loss(t, x, 256, w, NULL) < 2);
    }
}

static void test_refusals(void **state)
{
    float x[256] = {0};
    uint8_t bytes[MAX_BYTES];
    (void)state;
    assert_false(rw_quantize(RWKV_DTYPE_F32, bytes, x, 32, NULL));
    assert_false(rw_quantize(RWKV_DTYPE_I8, bytes, x, 32, NULL));
    EACH_TYPE(t)
    {
        assert_false(rw_quantize((rwkv_dtype)t, bytes, x, 31, NULL));
        assert_false(
            rw_quantize((rwkv_dtype)t, bytes, x, rw_dtype((rwkv_dtype)t)->block + 16u, NULL));
        assert_true(rw_quantize((rwkv_dtype)t, bytes, x, 0, NULL));
    }
}

/* --- against libggml -------------------------------------------------------------------------- */

static struct rw_map map;
static json_t *header;

static const float *vector(const char *type, const char *suffix, size_t *n)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", type, suffix);
    json_t *offsets = json_object_get(json_object_get(header, name), "data_offsets");
    size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
    size_t end = (size_t)json_integer_value(json_array_get(offsets, 1));
    assert_non_null(offsets);
    *n = (end - begin) / sizeof(float);
    float *copy = malloc(end - begin);
    memcpy(copy, map.data + 8 + rw_load_u64(map.data) + begin, end - begin);
    return copy;
}

static int open_vectors(void **state)
{
    char path[1024];
    rwkv_error err = {0};
    (void)state;
    if (rw_map_open(&map, unit_shared(path, "vectors/dequant/dequant.safetensors"), &err))
        return -1;
    header = json_loadb((const char *)map.data + 8, (size_t)rw_load_u64(map.data), 0, NULL);
    return header ? 0 : -1;
}

static int close_vectors(void **state)
{
    (void)state;
    json_decref(header);
    rw_map_close(&map);
    return 0;
}

static void test_against_libggml(void **state)
{
    size_t n;
    const float *x = vector("x", "", &n);
    (void)state;
    assert_true(n <= N);
    EACH_TYPE(t)
    {
        size_t count;
        const float *theirs = vector(rwkv_dtype_name((rwkv_dtype)t), ".f32", &count);
        assert_int_equal(count, n);
        double found = loss(t, x, n, NULL, NULL);
        double other = relative_error(x, theirs, NULL, n);
        if (!(found <= other))
            fail_msg("%s: relative error %g, libggml's %g", rwkv_dtype_name((rwkv_dtype)t), found,
                     other);
        free((void *)theirs);
    }
    free((void *)x);
}

int main(void)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_bounds),           cmocka_unit_test(test_importance),
        cmocka_unit_test(test_scale_of_weights), cmocka_unit_test(test_naive),
        cmocka_unit_test(test_exhaustive),       cmocka_unit_test(test_plain_blocks),
        cmocka_unit_test(test_extremes),         cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_refusals),
    };
    const struct CMUnitTest vectors[] = {cmocka_unit_test(test_against_libggml)};
    int failed = cmocka_run_group_tests(alone, NULL, NULL);
    if (failed)
        return failed;
    unit_need_shared("vectors/dequant/dequant.safetensors");
    return cmocka_run_group_tests(vectors, open_vectors, close_vectors);
}
