/* SPDX-License-Identifier: Apache-2.0 */
/* Learning rates against their formulas, worked out by hand. */
#include "unit.h"

#include <math.h>

#include "train/schedule.h"

static void check(const struct rw_schedule *s, uint64_t step, double wanted)
{
    double found = rw_schedule_rate(s, step);
    if (!(fabs(found - wanted) <= 1e-12 * fabs(wanted)))
        fail_msg("step %llu: wanted %.17g, found %.17g", (unsigned long long)step, wanted, found);
}

static void test_cosine(void **state)
{
    const struct rw_schedule s = {
        .kind = RW_SCHEDULE_COSINE, .peak = 2e-3, .last = 2e-4, .steps = 30, .warmup = 5};
    check(&s, 0, 2e-5);
    check(&s, 1, 2e-3 * (0.01 + 0.99 / 5));
    check(&s, 4, 2e-3 * (0.01 + 0.99 * 4 / 5));
    check(&s, 5, 2e-3);
    check(&s, 10, 2e-3 * (0.55 + 0.45 * 0.80901699437494745)); /* cos 36° */
    check(&s, 29, 2e-3 * (0.55 - 0.45 * 0.99211470131447788)); /* cos 172.8° */
    check(&s, 30, 2e-4);
    check(&s, 1000, 2e-4);
}

static void test_no_warmup(void **state)
{
    const struct rw_schedule s = {
        .kind = RW_SCHEDULE_COSINE, .peak = 1, .last = 0, .steps = 4, .warmup = 0};
    check(&s, 0, 1);
    check(&s, 2, 0.5);
    assert_true(fabs(rw_schedule_rate(&s, 4)) < 1e-15);
}

static void test_linear(void **state)
{
    const struct rw_schedule s = {
        .kind = RW_SCHEDULE_LINEAR, .peak = 1e-3, .last = 1e-4, .steps = 110, .warmup = 10};
    check(&s, 5, 1e-3 * (0.01 + 0.99 * 0.5));
    check(&s, 10, 1e-3);
    check(&s, 60, 5.5e-4);
    check(&s, 110, 1e-4);
}

static void test_constant(void **state)
{
    const struct rw_schedule s = {
        .kind = RW_SCHEDULE_CONSTANT, .peak = 1e-3, .last = 1e-5, .steps = 100, .warmup = 4};
    check(&s, 0, 1e-5);
    check(&s, 2, 1e-3 * (0.01 + 0.495));
    check(&s, 4, 1e-3);
    check(&s, 99, 1e-3);
}

static void test_wsd(void **state)
{
    const struct rw_schedule s = {
        .kind = RW_SCHEDULE_WSD, .peak = 1e-3, .last = 0, .steps = 100, .warmup = 10, .decay = 20};
    check(&s, 0, 1e-5);
    check(&s, 10, 1e-3);
    check(&s, 80, 1e-3);
    check(&s, 90, 5e-4);
    check(&s, 95, 2.5e-4);
    assert_true(rw_schedule_rate(&s, 100) == 0);
}

static void refused(struct rw_schedule s, const char *why)
{
    rwkv_error err;
    assert_int_equal(rw_schedule_check(&s, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, why);
}

static void test_check(void **state)
{
    struct rw_schedule good = {
        .kind = RW_SCHEDULE_WSD, .peak = 1e-3, .last = 0, .steps = 10, .warmup = 2, .decay = 8};
    struct rw_schedule s = good;
    assert_int_equal(rw_schedule_check(&s, NULL), RWKV_OK);
    s.peak = 0;
    refused(s, "learning rate: wanted one above 0 and a last one of at least 0, found 0 and 0");
    s = good;
    s.last = -1;
    refused(s, "learning rate: wanted one above 0 and a last one of at least 0, found 0.001 and "
               "-1");
    s = good;
    s.peak = NAN;
    refused(s, "learning rate: wanted one above 0 and a last one of at least 0, found nan and 0");
    s = good;
    s.warmup = 10;
    refused(s, "learning rate: wanted fewer steps of warm-up than the run has, found 10 of 10");
    s = good;
    s.decay = 9;
    refused(s, "learning rate: wanted 1 to 8 steps of decay, found 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cosine), cmocka_unit_test(test_no_warmup),
        cmocka_unit_test(test_linear), cmocka_unit_test(test_constant),
        cmocka_unit_test(test_wsd),    cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
