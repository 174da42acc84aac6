/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/pool.c: every part and every piece runs exactly once, the caller sees what the workers
 * wrote, regions may follow at once or after the workers fell asleep, with more threads than
 * processors too. Runs under TSan as well.
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

#define PIECES 64

struct pieces {
    size_t runs[PIECES]; /* written by one piece each, without atomics: TSan watches */
    size_t threads;
    size_t scratch[MANY + 1]; /* by the thread's name, the last of wrong names: TSan watches too */
    long pause_us;            /* of every eighth piece */
};

static void count_piece(void *ctx, size_t piece, size_t thread)
{
    struct pieces *p = ctx;

    p->scratch[thread < p->threads ? thread : MANY]++;
    p->runs[piece]++;
    if (p->pause_us && piece % 8 == 0)
        nanosleep(&(struct timespec){0, p->pause_us * 1000}, NULL);
}

static void run_pieces(size_t threads, size_t regions, long pause_us)
{
    struct rw_pool *pool = rw_pool_new(threads);
    struct pieces p = {.threads = threads, .pause_us = pause_us};
    size_t want[PIECES] = {0}, total = 0, sum = 0;

    assert_non_null(pool);
    for (size_t i = 0; i < regions; i++) {
        size_t pieces = i * 7 % (PIECES + 1);
        for (size_t k = 0; k < pieces; k++)
            want[k]++;
        total += pieces;
        rw_pool_each(pool, count_piece, &p, pieces);
        assert_memory_equal(p.runs, want, sizeof want);
        if (pause_us && i % 8 == 0)
            nanosleep(&(struct timespec){0, 3000000}, NULL); /* let the workers fall asleep */
    }
    for (size_t t = 0; t < MANY; t++)
        sum += p.scratch[t];
    assert_int_equal(sum, total);
    assert_int_equal(p.scratch[MANY], 0);
    rw_pool_free(pool);
}

static void test_pieces(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= MANY; threads++)
        run_pieces(threads, 1000, 0);
    run_pieces(2, 30, 200);
    run_pieces(MANY, 30, 200);
}

/* Pieces and parts in turn: a worker that was late for one must not be missed by the other. */
static void test_pieces_and_parts(void **state)
{
    struct rw_pool *pool = rw_pool_new(4);
    struct pieces p = {.threads = 4};
    struct work work = {{0}, 0};

    (void)state;
    assert_non_null(pool);
    for (size_t i = 0; i < 2000; i++) {
        rw_pool_each(pool, count_piece, &p, 3);
        rw_pool_run(pool, count_part, &work);
        for (size_t t = 0; t < 4; t++) {
            assert_int_equal(p.runs[t], t < 3 ? i + 1 : 0);
            assert_int_equal(work.runs[t], i + 1);
        }
    }
    rw_pool_free(pool);
}

static void test_unused(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= MANY; threads++)
        rw_pool_free(rw_pool_new(threads));
    rw_pool_free(NULL);
}

static void count_piece_only(void *ctx, size_t piece, size_t thread)
{
    size_t *pieces = ctx;

    (void)thread;
    pieces[piece]++;
}

/* The end follows a region at once: workers are anywhere between seeing that one and sleeping. None
 * may take the end for a region that it was too late for, and sleep on. */
static void test_freed_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        struct rw_pool *pool = rw_pool_new(2 + i % 15);
        size_t pieces[MANY] = {0};

        assert_non_null(pool);
        rw_pool_each(pool, count_piece_only, pieces, MANY);
        rw_pool_free(pool);
        for (size_t piece = 0; piece < MANY; piece++)
            assert_int_equal(pieces[piece], 1);
    }
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
        cmocka_unit_test(test_pieces),          cmocka_unit_test(test_pieces_and_parts),
        cmocka_unit_test(test_unused),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_freed_at_once),   cmocka_unit_test(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
