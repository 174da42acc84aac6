/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/pool.c: every part runs exactly once, the caller sees what the workers wrote, regions may
 * follow at once or after the workers fell asleep, with more threads than processors too. Runs
 * under TSan as well.
 */
#include "unit.h"

#include <string.h>
#include <time.h>

#include "base/pool.h"

#define MANY 8

struct work {
    size_t runs[MANY]; /* written by one part each, without atomics: TSan watches */
    size_t count;
};

static void count_part(void *ctx, size_t index, size_t count)
{
    struct work *work = ctx;

    work->runs[index]++;
    if (index == 0)
        work->count = count;
}

static void run_regions(size_t threads, size_t regions, long pause_us)
{
    struct rw_pool *pool = rw_pool_new(threads);
    struct work work = {{0}, 0};

    assert_non_null(pool);
    assert_int_equal(rw_pool_threads(pool), threads);
    for (size_t i = 0; i < regions; i++) {
        rw_pool_run(pool, count_part, &work);
        assert_int_equal(work.count, threads);
        for (size_t t = 0; t < MANY; t++)
            assert_int_equal(work.runs[t], t < threads ? i + 1 : 0);
        if (pause_us)
            nanosleep(&(struct timespec){0, pause_us * 1000}, NULL);
    }
    rw_pool_free(pool);
}

static void test_regions_at_once(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= MANY; threads++)
        run_regions(threads, 2000, 0);
}

static void test_regions_after_sleep(void **state)
{
    (void)state;
    run_regions(2, 50, 500);
    run_regions(MANY, 20, 500);
}

static void test_unused(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= MANY; threads++)
        rw_pool_free(rw_pool_new(threads));
    rw_pool_free(NULL);
}

static void test_limits(void **state)
{
    size_t threads = rw_pool_default_threads();
    struct rw_pool *pool = rw_pool_new(0);

    (void)state;
    assert_true(threads >= 1 && threads <= RW_MAX_THREADS);
    assert_non_null(pool);
    assert_int_equal(rw_pool_threads(pool), 1);
    rw_pool_free(pool);
}

static void test_shares(void **state)
{
    (void)state;
    for (size_t total = 0; total < 70; total++)
        for (size_t step = 1; step <= 16; step *= 2)
            for (size_t count = 1; count <= MANY; count++) {
                size_t begin, end, next = 0;
                for (size_t i = 0; i < count; i++) {
                    rw_pool_share(total, step, i, count, &begin, &end);
                    assert_int_equal(begin, next);
                    assert_true(begin == total || begin % step == 0);
                    assert_true(end >= begin);
                    next = end;
                }
                assert_int_equal(next, total);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regions_at_once), cmocka_unit_test(test_regions_after_sleep),
        cmocka_unit_test(test_unused),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
