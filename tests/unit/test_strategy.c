/* SPDX-License-Identifier: Apache-2.0 */
/* Strategy strings: what is read, who gets which layers, and what is refused. */
#include "unit.h"

#include <string.h>

#include "base/status.h"
#include "engine/strategy.h"

static struct rw_strategy parsed(const char *text)
{
    struct rw_strategy s;
    rwkv_error err;
    if (rw_strategy_parse(text, &s, &err) != RWKV_OK)
        fail_msg("'%s': %s", text, err.message);
    return s;
}

static void test_steps(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        bool counted, streams;
        size_t count;
    } cases[] = {
        {"cpu fp32", "cpu fp32", false, false, 0},
        {"cuda fp16", "cuda fp16", false, false, 0},
        {"  cuda:1\tbf16i8 *7+ ", "cuda:1 bf16i8", true, true, 7},
        {"cuda:0 fp16 *0", "cuda fp16", true, false, 0},
        {"cuda:1023 fp32i8 *1000000", "cuda:1023 fp32i8", true, false, 1000000},
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        char name[32];
        struct rw_strategy s = parsed(cases[i].text);
        rw_step_name(&s.steps[0], name);
        assert_int_equal(s.n, 1);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(s.steps[0].counted, cases[i].counted);
        assert_int_equal(s.steps[0].streams, cases[i].streams);
        assert_int_equal(s.steps[0].count, cases[i].count);
    }
}

/* Layers as a text: a letter for the step of each, small where it is streamed. */
static void check_places(const char *text, size_t n, const char *wanted)
{
    struct rw_place places[64];
    char found[65] = "";
    struct rw_strategy s = parsed(text);
    rw_strategy_place(&s, n, places);
    for (size_t i = 0; i < n; i++)
        found[i] = (char)((places[i].streamed ? 'a' : 'A') + (int)places[i].step);
    if (strcmp(found, wanted) != 0)
        fail_msg("'%s' of %zu layers: wanted %s, found %s", text, n, wanted, found);
}

static void test_places(void **state)
{
    (void)state;
    check_places("cpu fp32", 13, "AAAAAAAAAAAAA");
    check_places("cuda fp16 *10 -> cpu fp32", 13, "AAAAAAAAAABBB");
    check_places("cuda:0 fp16 *12 -> cuda:1 fp16", 25, "AAAAAAAAAAAABBBBBBBBBBBBB");
    check_places("cuda fp16 *6+", 13, "AAAAAAaaaaaaa");
    check_places("cuda fp16i8 *12 -> cuda fp16 *0+ -> cpu fp32 *1", 25,
                 "AAAAAAAAAAAAbbbbbbbbbbbbC");
    /* More than there are: the surplus is cut, and later steps get nothing. */
    check_places("cuda fp16 *20 -> cpu fp32", 13, "AAAAAAAAAAAAA");
    check_places("cuda fp16 *5 -> cuda:1 fp16 *20 -> cpu fp32 *3", 13, "AAAAABBBBBBBB");
    check_places("cuda fp16 *20+", 13, "AAAAAAAAAAAAA");
    /* Fewer: the last step gets what is left. */
    check_places("cuda fp16 *5 -> cpu fp32 *3", 13, "AAAAABBBBBBBB");
    check_places("cuda fp16 *0", 3, "AAA");
    /* Free steps in turn. */
    check_places("cuda fp16 -> cuda:1 fp16 -> cpu fp32", 13, "AAAABBBBCCCCC");
    check_places("cuda fp16 -> cpu fp32 *2 -> cuda:1 fp16", 13, "AAAAABBCCCCCC");
    /* A step that streams leaves nothing to free ones. */
    check_places("cuda fp16 *2+ -> cpu fp32", 6, "AAaaaa");
}

static void expect_refusal(const char *text, const char *wanted)
{
    struct rw_strategy s;
    rwkv_error err = {RWKV_OK, ""};
    assert_int_equal(rw_strategy_parse(text, &s, &err), RWKV_ERROR_ARGUMENT);
    if (!strstr(err.message, wanted))
        fail_msg("'%s': wanted '%s' in '%s'", text, wanted, err.message);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal("", "step 1: wanted cpu, cuda or cuda:N, found ''");
    expect_refusal("gpu fp16", "found 'gpu'");
    expect_refusal("cudafp16", "found 'cudafp16'");
    expect_refusal("mps fp16", "found 'mps'");
    expect_refusal("cpu:1 fp32", "found 'cpu:1'");
    expect_refusal("cuda: fp16", "found 'cuda:'");
    expect_refusal("cuda:x fp16", "found 'cuda:x'");
    expect_refusal("cuda:1024 fp16", "found 'cuda:1024'");
    expect_refusal("cuda:99999999999999999999 fp16", "found 'cuda:9999");
    expect_refusal("cuda", "step 1: wanted fp32, fp16 or bf16, or one of these with i8, found ''");
    expect_refusal("cuda fp16i4", "found 'fp16i4'");
    expect_refusal("cuda i8", "found 'i8'");
    expect_refusal("cuda fp16 10", "step 1: wanted a number of layers, *N or *N+, found '10'");
    expect_refusal("cuda fp16 *", "found '*'");
    expect_refusal("cuda fp16 *-1", "found '*-1'");
    expect_refusal("cuda fp16 *1000001", "found '*1000001'");
    expect_refusal("cuda fp16 *3++", "found '*3++'");
    expect_refusal("cuda fp16 *3 x", "wanted -> before the next step, found 'x'");
    expect_refusal("cuda fp16 *3 ->", "step 2: wanted cpu, cuda or cuda:N, found ''");
    expect_refusal("cuda fp16 *3 -> -> cpu fp32", "step 2: wanted cpu");
    expect_refusal("cpu fp32 *3+", "step 1: wanted a device other than the CPU");
    expect_refusal("cuda fp16 *3+ -> cuda:1 fp16 *2+", "wanted one step with +, found 2");
    char many[RW_MAX_STEPS * 12 + 32] = "cpu fp32";
    for (int i = 0; i < RW_MAX_STEPS; i++)
        strcat(many, "->cpu fp32");
    expect_refusal(many, "wanted at most 64 steps");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
