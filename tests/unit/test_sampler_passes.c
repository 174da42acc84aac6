/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text/sampler_passes.c. Each of the passes, as compiled for every instruction set that this
 * machine has, against the plainest way to say the same: to the bit, but for the exponentials,
 * whose bits must be the same in all and near those of the C library.
 */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "text/sampler_passes.h"

#define MOST 1100

static const struct rw_passes *sets[3];
static const char *names[3];
static size_t n_sets;

static float x[MOST + 1], y[MOST + 1];

static void fill(float *values, size_t n, uint64_t seed)
{
    struct rw_rng rng;
    rw_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(20 * rw_rng_uniform(&rng) - 10);
}

/* Sizes around those of vectors and blocks. */
static size_t next_size(size_t n)
{
    return n < 140 ? n + 1 : n + 157;
}

static void expect_bits(const char *pass, const char *name, size_t n, const void *found,
                        const void *wanted, size_t bytes)
{
    if (memcmp(found, wanted, bytes) != 0)
        fail_msg("%s of %zu, %s: other bits", pass, n, name);
}

static float plain_max(const float *values, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (values[i] > max)
            max = values[i];
    return max;
}

/* The sum as it is defined: eight sums of every eighth, the rest to the first. */
static double plain_sum(const float *values, size_t n)
{
    double lane[8] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i < n / 8 * 8 ? i % 8 : 0] += (double)values[i];
    for (size_t j = 1; j < 8; j++)
        lane[0] += lane[j];
    return lane[0];
}

static void test_maxima(void **state)
{
    (void)state;
    float block[MOST], wanted[MOST];
    for (size_t n = 0; n <= MOST; n = next_size(n))
        for (size_t k = 0; k < n_sets; k++) {
            fill(x + 1, n, n); /* one on, so that vectors are not aligned */
            if (n > 3)
                x[1 + n / 2] = NAN;
            float max = plain_max(x + 1, n), found = sets[k]->max(x + 1, n);
            expect_bits("max", names[k], n, &found, &max, sizeof max);
            size_t blocks = sets[k]->block_max(block, x + 1, n);
            assert_int_equal(blocks, (n + RW_PASS_BLOCK - 1) / RW_PASS_BLOCK);
            for (size_t b = 0; b < blocks; b++)
                wanted[b] = plain_max(x + 1 + b * RW_PASS_BLOCK,
                                      RW_MIN((size_t)RW_PASS_BLOCK, n - b * RW_PASS_BLOCK));
            expect_bits("block_max", names[k], n, block, wanted, blocks * sizeof *block);
        }
}

static void test_load(void **state)
{
    (void)state;
    static const float odd[] = {NAN, -0.0f, INFINITY, -INFINITY, 0.0f, -NAN, 1e-45f, -3e38f};
    float z[MOST], wanted[MOST];
    for (size_t n = 0; n <= MOST; n = next_size(n))
        for (size_t k = 0; k < n_sets; k++) {
            fill(x + 1, n, n);
            for (size_t i = n % 3; i < n; i += 3)
                x[1 + i] = odd[(i + n) % RW_COUNT(odd)];
            for (size_t i = 0; i < n; i++)
                wanted[i] = isnan(x[1 + i]) ? -INFINITY : x[1 + i] == 0 ? 0.0f : x[1 + i];
            float max = plain_max(wanted, n), found = sets[k]->load(z, x + 1, n);
            expect_bits("load", names[k], n, &found, &max, sizeof max);
            expect_bits("load", names[k], n, z, wanted, n * sizeof *z);
        }
}

static void test_sum(void **state)
{
    (void)state;
    for (size_t n = 0; n <= MOST; n = next_size(n))
        for (size_t k = 0; k < n_sets; k++) {
            fill(x + 1, n, n);
            double found = sets[k]->sum(x + 1, n), wanted = plain_sum(x + 1, n);
            expect_bits("sum", names[k], n, &found, &wanted, sizeof wanted);
        }
}

static void test_weights(void **state)
{
    (void)state;
    float first[MOST];
    for (size_t n = 1; n <= MOST; n = next_size(n))
        for (size_t k = 0; k < n_sets; k++) {
            fill(x + 1, n, n);
            for (size_t i = 0; i < n; i++)
                x[1 + i] *= i % 5 ? 1 : 6; /* some too small to count */
            if (n > 2)
                x[2] = -INFINITY;
            float max = plain_max(x + 1, n);
            double sum = sets[k]->weigh(y + 1, x + 1, n, max), wanted = plain_sum(y + 1, n);
            expect_bits("sum of weigh", names[k], n, &sum, &wanted, sizeof sum);
            for (size_t i = 0; i < n; i++) {
                double d = (double)(x[1 + i] - max), e = d < -87 ? 0 : exp(d);
                if (!(fabs((double)y[1 + i] - e) <= e / (1 << 22)))
                    fail_msg("e^%g: wanted %g, found %g, %s", d, e, (double)y[1 + i], names[k]);
            }
            if (k == 0)
                memcpy(first, y + 1, n * sizeof *first);
            expect_bits("weigh", names[k], n, y + 1, first, n * sizeof *first);
        }
}

static void test_reaching(void **state)
{
    (void)state;
    uint32_t index[MOST];
    static const float leasts[] = {-20, -3, 9, 9.9f, 20};
    for (size_t n = 0; n <= MOST; n = next_size(n))
        for (size_t k = 0; k < n_sets; k++)
            for (size_t l = 0; l < RW_COUNT(leasts); l++) {
                fill(x + 1, n, n);
                if (n > 4) {
                    x[1] = leasts[l];
                    x[n / 2 + 1] = NAN;
                }
                size_t found = sets[k]->reaching(index, x + 1, n, leasts[l]), next = 0;
                for (size_t i = 0; i < n; i++)
                    if (x[1 + i] >= leasts[l]) {
                        assert_true(next < found);
                        assert_int_equal(index[next++], i);
                    }
                assert_int_equal(next, found);
            }
}

/* Where the running sum comes to exceed a number that lies in a block, for every block. */
static void test_find(void **state)
{
    (void)state;
    for (size_t n = 1; n <= MOST; n = next_size(n))
        for (size_t k = 0; k < n_sets; k++) {
            fill(x + 1, n, n);
            for (size_t i = 1; i <= n; i++)
                x[i] = (i / 64) % 2 ? 0 : 11 + x[i]; /* every other two blocks weigh nothing */
            double before = 0, left;
            size_t last = 0;
            for (size_t begin = 0; begin < n; begin += RW_PASS_BLOCK) {
                double part = plain_sum(x + 1 + begin, RW_MIN((size_t)RW_PASS_BLOCK, n - begin));
                if (part == 0)
                    continue;
                left = before + part / 2;
                assert_int_equal(sets[k]->find(x + 1, n, &left), begin);
                assert_true(fabs(left - part / 2) < 1e-9);
                before += part;
                last = begin;
            }
            left = before * 1.01;
            assert_int_equal(sets[k]->find(x + 1, n, &left), last);
        }
}

int main(void)
{
    sets[n_sets] = &rw_passes_plain;
    names[n_sets++] = "plain";
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        sets[n_sets] = &rw_passes_avx2;
        names[n_sets++] = "AVX2";
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
        sets[n_sets] = &rw_passes_avx512;
        names[n_sets++] = "AVX-512";
    }
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maxima),   cmocka_unit_test(test_load),
        cmocka_unit_test(test_sum),      cmocka_unit_test(test_weights),
        cmocka_unit_test(test_reaching), cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
