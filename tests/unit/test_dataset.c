/* SPDX-License-Identifier: Apache-2.0 */
/*
 * train/order.c and train/dataset.c: the orders are bijections and the official one is the
 * official one; no sample reads what is held out; datasets of any size from two tokens on.
 */
#include "formats.h"

#include <math.h>
#include <stdbool.h>

#include "formats/binidx.h"
#include "train/dataset.h"
#include "train/order.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    make_folder(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

/* --- orders --- */

static bool is_prime(uint64_t n)
{
    for (uint64_t d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n >= 2;
}

static void test_primes(void **state)
{
    uint64_t wanted = 0;
    size_t poor = 0, largest_poor = 0;
    (void)state;
    for (uint64_t slots = 0; slots < 5000; slots++) {
        if (slots >= 1 && (slots - 1) % 3 == 2 && is_prime(slots - 1))
            wanted = slots - 1;
        assert_int_equal(rw_magic_prime(slots, 1), wanted);
        assert_int_equal(rw_magic_prime(slots * 7 + slots % 7, 7), wanted);
        if (slots >= 4 && (double)wanted <= 0.9 * (double)slots) {
            poor++;
            largest_poor = slots;
        }
    }
    assert_int_equal(poor, 66); /* as the reference counts them */
    assert_int_equal(largest_poor, 227);
}

static void test_primes_of_the_reference(void **state)
{
    (void)state;
    assert_int_equal(rw_magic_prime(1498226207, 512), 2926181);
    assert_int_equal(rw_magic_prime(1498226207, 4096), 365759);
    assert_int_equal(rw_magic_prime(332115325534, 4096), 81082817);
    assert_int_equal(rw_magic_prime(1, 512), 0);
    assert_int_equal(rw_magic_prime(3 * 512 - 1, 512), 0);
    assert_int_equal(rw_magic_prime(3 * 512, 512), 2);
    assert_true(rw_magic_prime(UINT64_MAX, 1) == 18446744073709551557u);
}

/* Numbers of an implementation in integers of any size. */
static void test_slots(void **state)
{
    static const struct {
        uint64_t prime, number, slot;
    } cases[] = {
        {2926181, 0, 1808479},
        {2926181, 1, 2763108},
        {2926181, 2, 2010037},
        {2926181, 40320, 1232952},
        {2926181, 1000000, 1256191},
        {81082817, 0, 50111936},
        {81082817, 2, 55697200},
        {81082817, 40320, 67748563},
        {18446744073709551557u, 1, 17418742259747389676u},
        {18446744073709551557u, 18446744073709551555u, 7046029254386352069u},
        {18446744073709551557u, UINT64_MAX, 3736857752298964385u},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(rw_magic_slot(cases[i].prime, cases[i].number) == cases[i].slot);
}

/* Every p samples in a row, from any number on, are in every slot once. */
static void expect_bijection(uint64_t p, uint64_t first)
{
    bool *seen = calloc(p, sizeof *seen);
    for (uint64_t i = 0; i < p; i++) {
        uint64_t slot = rw_magic_slot(p, first + i);
        assert_true(slot < p && !seen[slot]);
        seen[slot] = true;
    }
    free(seen);
}

static void test_official_is_a_bijection(void **state)
{
    (void)state;
    for (uint64_t p = 2; p < 1000; p++)
        if (p % 3 == 2 && is_prime(p)) {
            expect_bijection(p, 0);
            expect_bijection(p, UINT64_MAX - 3 * p);
        }
    expect_bijection(10007, 123456);
}

static void test_shuffling_is_a_bijection(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4096, 4097};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            uint64_t n = sizes[s];
            bool *seen = calloc(n, sizeof *seen);
            for (uint64_t i = 0; i < n; i++) {
                uint64_t to = rw_shuffled(n, 42, epoch, i);
                assert_true(to < n && !seen[to]);
                assert_true(to == rw_shuffled(n, 42, epoch, i));
                seen[to] = true;
            }
            free(seen);
        }
    for (uint64_t n = UINT64_MAX; n > UINT64_MAX - 3; n--)
        for (uint64_t i = 0; i < 100; i++)
            assert_true(rw_shuffled(n, 1, i, n - 1 - i) < n);
}

/* Seeds and epochs each give an order of their own, in which where a number goes says nothing
 * about where the next one does: of 24 orders of 4, none is missing in 2000 epochs or comes much
 * too often. */
static void test_shuffling_shuffles(void **state)
{
    size_t same = 0, counts[256] = {0}, orders = 0;
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        same += rw_shuffled(1000, 1, 0, i) == rw_shuffled(1000, 1, 1, i);
        same += rw_shuffled(1000, 1, 0, i) == rw_shuffled(1000, 2, 0, i);
        same += rw_shuffled(1000, 1, 0, i) == i;
    }
    assert_true(same < 20); /* 3 wanted */
    for (uint64_t epoch = 0; epoch < 2000; epoch++) {
        size_t code = 0;
        for (uint64_t i = 0; i < 4; i++)
            code = code << 2 | rw_shuffled(4, 7, epoch, i);
        counts[code]++;
    }
    for (size_t i = 0; i < 256; i++) {
        orders += counts[i] > 0;
        assert_true(counts[i] < 200);
    }
    assert_int_equal(orders, 24);
}

/* --- datasets --- */

/* n tokens 0, 1, 2 …; the file is called `name`. */
static void write_data(const char *name, size_t n)
{
    char path[512];
    struct rw_binidx_writer *w;
    assert_int_equal(rw_binidx_writer_open(&w, in_folder(path, folder, name), 65537, NULL),
                     RWKV_OK);
    for (size_t i = 0; i < n; i++) {
        int32_t token = (int32_t)i;
        assert_int_equal(rw_binidx_writer_add(w, &token, 1, NULL), RWKV_OK);
    }
    assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    assert_int_equal(rw_binidx_writer_commit(w, NULL), RWKV_OK);
}

static rwkv_status open_data(struct rw_dataset **d, const struct rw_dataset_options *o,
                             rwkv_error *err)
{
    char path[512];
    return rw_dataset_open(d, in_folder(path, folder, "data"), o, err);
}

/* Consecutive tokens from `start` on. */
static void expect_run(const int32_t *tokens, size_t n, uint64_t start)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tokens[i], start + i);
}

/* Two epochs: each sample is where it is said to begin and ends before what is held out; each
 * epoch has every one of its windows once. */
static void expect_epochs(const struct rw_dataset *d, const struct rw_dataset_options *o)
{
    const struct rw_dataset_info *info = rw_dataset_info(d);
    int32_t *tokens = malloc((o->ctx + 1) * sizeof *tokens);
    uint64_t *last = calloc(info->windows, sizeof *last);
    for (uint64_t k = 0; k < 2 * info->windows; k++) {
        uint64_t step = k / o->batch, i = k % o->batch, start = rw_dataset_start(d, step, i);
        assert_int_equal(start % o->ctx, 0);
        assert_true(start / o->ctx < info->windows);
        assert_true(start + o->ctx < info->train_tokens);
        assert_int_equal(rw_dataset_sample(d, step, i, tokens, NULL, NULL), RWKV_OK);
        expect_run(tokens, o->ctx + 1, start);
        assert_int_equal(last[start / o->ctx], k / info->windows);
        last[start / o->ctx]++;
    }
    for (uint64_t w = 0; w < info->held_out; w++) {
        assert_int_equal(rw_dataset_held_out(d, w, tokens, NULL, NULL), RWKV_OK);
        expect_run(tokens, o->ctx + 1, info->train_tokens + w * o->ctx);
    }
    if (info->held_out)
        assert_int_equal(tokens[o->ctx], info->n_tokens - 1);
    free(tokens);
    free(last);
}

static uint64_t wanted_held_out(const struct rw_dataset_options *o, size_t n)
{
    uint64_t windows = (uint64_t)((double)n * o->held_out / (double)o->ctx);
    return o->held_out > 0 && windows == 0 ? 1 : windows;
}

static void try_size(size_t n, const struct rw_dataset_options *o)
{
    struct rw_dataset *d = NULL;
    rwkv_error err = {0};
    uint64_t held = wanted_held_out(o, n), apart = held ? held * o->ctx + 1 : 0;
    bool fits = n >= apart + o->ctx + 1;
    if (fits && o->order == RW_ORDER_OFFICIAL)
        fits = (n - apart) / o->ctx >= 3;
    rwkv_status status = open_data(&d, o, &err);
    if (!fits) {
        assert_int_equal(status, RWKV_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "data: wanted at least "));
        return;
    }
    if (status != RWKV_OK)
        fail_msg("%zu tokens: %s", n, err.message);
    const struct rw_dataset_info *info = rw_dataset_info(d);
    assert_int_equal(info->n_tokens, n);
    assert_int_equal(info->held_out, held);
    assert_int_equal(info->train_tokens, n - apart);
    assert_int_equal(info->windows, o->order == RW_ORDER_OFFICIAL
                                        ? rw_magic_prime(n - apart, o->ctx)
                                        : (n - apart - 1) / o->ctx);
    expect_epochs(d, o);
    rw_dataset_close(d);
}

static void test_every_size(void **state)
{
    static const size_t sizes[] = {2,  3,  4,  5,  6,   7,   8,   9,   10,  11,   12,   13,
                                   16, 17, 24, 32, 100, 128, 129, 255, 257, 1000, 1025, 3001};
    static const double shares[] = {0, 0.01, 0.25, 0.9};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        write_data("data", sizes[s]);
        for (size_t ctx = 1; ctx <= 128; ctx = ctx * 2 + (ctx == 4))
            for (size_t h = 0; h < sizeof shares / sizeof *shares; h++)
                for (int order = 0; order < 2; order++)
                    try_size(sizes[s], &(struct rw_dataset_options){.ctx = ctx,
                                                                    .batch = 1 + s % 5,
                                                                    .n_vocab = 65537,
                                                                    .held_out = shares[h],
                                                                    .order = order,
                                                                    .seed = s});
    }
}

/* The formula of the official trainer, by epoch, index and rank. */
static void test_official_order(void **state)
{
    const struct rw_dataset_options o = {.ctx = 4, .batch = 12, .n_vocab = 65537};
    const uint64_t world = 3, micro = 4;
    struct rw_dataset *d;
    (void)state;
    write_data("data", 60000);
    assert_int_equal(open_data(&d, &o, NULL), RWKV_OK);
    uint64_t p = rw_dataset_info(d)->windows;
    assert_int_equal(p, rw_magic_prime(60000, 4));
    assert_true(rw_dataset_info(d)->share > 0.9);
    for (uint64_t epoch = 0; epoch < 3; epoch++)
        for (uint64_t idx = 0; idx < 40320 / world; idx += 7)
            for (uint64_t rank = 0; rank < world; rank++) {
                uint64_t ii = 1 + epoch * 40320 + idx * world + rank;
                uint64_t factor = (uint64_t)((double)p * 0.61803398874989484820);
                uint64_t start = factor * (ii * ii % p * ii % p) % p * 4;
                uint64_t j = idx / micro, m = idx % micro;
                assert_int_equal(rw_dataset_start(d, epoch * (40320 / 12) + j, m * world + rank),
                                 start);
            }
    rw_dataset_close(d);
}

/* A run of any length: nothing overflows, and a step is the same whoever asks. */
static void test_far_steps(void **state)
{
    struct rw_dataset_options o = {.ctx = 8, .batch = SIZE_MAX, .n_vocab = 65537, .seed = 3};
    int32_t tokens[9];
    (void)state;
    write_data("data", 1000);
    for (int order = 0; order < 2; order++) {
        struct rw_dataset *d;
        o.order = order;
        assert_int_equal(open_data(&d, &o, NULL), RWKV_OK);
        assert_int_equal(rw_dataset_sample(d, UINT64_MAX, UINT64_MAX, tokens, NULL, NULL), RWKV_OK);
        expect_run(tokens, 9, rw_dataset_start(d, UINT64_MAX, UINT64_MAX));
        assert_int_equal(rw_dataset_start(d, UINT64_MAX - 1, SIZE_MAX),
                         rw_dataset_start(d, UINT64_MAX, 0));
        rw_dataset_close(d);
    }
}

static void expect_refusal(const struct rw_dataset_options *o, rwkv_status status, const char *why)
{
    struct rw_dataset *d;
    rwkv_error err = {0};
    assert_int_equal(open_data(&d, o, &err), status);
    if (!strstr(err.message, why))
        fail_msg("wanted '%s' in '%s'", why, err.message);
}

static void test_refusals(void **state)
{
    const struct rw_dataset_options good = {.ctx = 8, .batch = 1, .n_vocab = 65537};
    struct rw_dataset_options o = good;
    (void)state;
    write_data("data", 23);
    o.ctx = 0;
    expect_refusal(&o, RWKV_ERROR_ARGUMENT, "wanted samples of 1 to 2147483647 tokens, found 0");
    o = good;
    o.batch = 0;
    expect_refusal(&o, RWKV_ERROR_ARGUMENT, "wanted at least 1 sample a step");
    o = good;
    o.n_vocab = 0;
    expect_refusal(&o, RWKV_ERROR_ARGUMENT, "wanted a vocabulary of 1 to 2^31 ids");
    o = good;
    o.held_out = 1;
    expect_refusal(&o, RWKV_ERROR_ARGUMENT, "less than 1, found 1");
    o.held_out = NAN;
    expect_refusal(&o, RWKV_ERROR_ARGUMENT, "wanted a held-out share");
    expect_refusal(&good, RWKV_ERROR_ARGUMENT,
                   "data: wanted at least 24 tokens (3 samples) for the official order of samples, "
                   "found 23 to train on");
    o = good;
    o.held_out = 0.01;
    o.ctx = 11;
    expect_refusal(&o, RWKV_ERROR_ARGUMENT,
                   "data: wanted at least 24 tokens, 12 held out and 12 for one sample, found 23");
}

/* Tokens of another vocabulary, and files that have changed, are noticed. */
static void test_notices(void **state)
{
    const struct rw_dataset_options o = {
        .ctx = 10, .batch = 1, .n_vocab = 99, .held_out = 0.2, .order = RW_ORDER_SHUFFLED};
    struct rw_dataset *d;
    char before[65];
    int32_t tokens[11];
    rwkv_error err = {0};
    (void)state;
    write_data("data", 100);
    assert_int_equal(open_data(&d, &o, NULL), RWKV_OK);
    assert_int_equal(rw_dataset_held_out(d, 0, tokens, NULL, &err), RWKV_OK);
    assert_int_equal(rw_dataset_held_out(d, 1, tokens, NULL, &err), RWKV_ERROR_TOKEN);
    assert_non_null(strstr(err.message, "data.bin: token 99: wanted an id from 0 to 98, found 99"));
    strcpy(before, rw_dataset_info(d)->fingerprint);
    rw_dataset_close(d);
    write_data("data", 100);
    assert_int_equal(open_data(&d, &o, NULL), RWKV_OK);
    assert_string_equal(rw_dataset_info(d)->fingerprint, before);
    rw_dataset_close(d);
    write_data("data", 101);
    assert_int_equal(open_data(&d, &o, NULL), RWKV_OK);
    assert_string_not_equal(rw_dataset_info(d)->fingerprint, before);
    rw_dataset_close(d);
    rw_dataset_close(NULL);
}

/* Documents of a prompt of 5000 tokens and an answer of two: in a sample that has both, and in one
 * longer than what is looked at at once. */
static void test_answers(void **state)
{
    struct rw_dataset_options o = {.ctx = 5001, .batch = 3, .n_vocab = 65537, .held_out = 0.1};
    struct rw_dataset *d;
    char path[512];
    struct rw_binidx_writer *w;
    int32_t *tokens = malloc((o.ctx + 1) * sizeof *tokens), *targets = malloc(o.ctx * 4);
    size_t answers = 0;
    (void)state;
    o.order = RW_ORDER_SHUFFLED;
    assert_int_equal(rw_binidx_writer_open(&w, in_folder(path, folder, "data"), 65537, NULL),
                     RWKV_OK);
    for (int32_t i = 0; i < 60024; i++) {
        assert_int_equal(rw_binidx_writer_add(w, &i, 1, NULL), RWKV_OK);
        if (i % 5002 == 4999)
            assert_int_equal(rw_binidx_writer_end_piece(w, NULL), RWKV_OK);
        if (i % 5002 == 5001)
            assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    }
    assert_int_equal(rw_binidx_writer_commit(w, NULL), RWKV_OK);
    for (o.answers = false;; o.answers = true) {
        assert_int_equal(open_data(&d, &o, NULL), RWKV_OK);
        for (uint64_t step = 0; step < 7; step++) {
            uint64_t wanted = 0;
            for (uint64_t i = 0; i <= o.batch; i++) { /* and one that is held out */
                rwkv_status status = i < o.batch
                                         ? rw_dataset_sample(d, step, i, tokens, targets, NULL)
                                         : rw_dataset_held_out(d, 0, tokens, targets, NULL);
                assert_int_equal(status, RWKV_OK);
                for (size_t j = 0; j < o.ctx; j++) {
                    bool learned = !o.answers || tokens[j + 1] % 5002 >= 5000;
                    assert_int_equal(targets[j], learned ? tokens[j + 1] : -1);
                    wanted += i < o.batch && learned;
                }
            }
            assert_int_equal(rw_dataset_step_targets(d, step), wanted);
            answers += o.answers ? wanted : 0;
        }
        rw_dataset_close(d);
        if (o.answers)
            break;
    }
    assert_in_range(answers, 21, 42); /* of 42 there are, held-out ones among them */
    write_data("data", 60024);
    expect_refusal(&o, RWKV_ERROR_ARGUMENT,
                   "data: wanted prompts and answers, to learn the answers only, found no prompts");
    free(tokens);
    free(targets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primes),
        cmocka_unit_test(test_primes_of_the_reference),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_official_is_a_bijection),
        cmocka_unit_test(test_shuffling_is_a_bijection),
        cmocka_unit_test(test_shuffling_shuffles),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_official_order),
        cmocka_unit_test(test_far_steps),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
