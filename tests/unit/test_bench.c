/* SPDX-License-Identifier: Apache-2.0 */
/* What `rwkv bench` asks the library: limits, memory, the work of a token. */
#include "unit.h"

#include <math.h>

#include "base/env.h"
#include "models.h"
#include "rwkv_bench.h"

static rwkv_meter *new_meter(const char *cpu)
{
    rwkv_meter *meter = NULL;
    rwkv_model_options options = {.threads = 2, .cpu = cpu};
    rwkv_model *model = open_model(SMALL_F32, &options);
    assert_int_equal(rwkv_meter_new(model, &meter, NULL), RWKV_OK);
    rwkv_model_close(model); /* the meter has its own reference */
    return meter;
}

static void meters_measure(void **state)
{
    (void)state;
    rwkv_meter *meter = new_meter("auto");
    for (int i = 0; i < 9; i++) /* once around the memory, and on */
        for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++) {
            double limit = rwkv_meter_measure(meter, l);
            assert_true(isfinite(limit) && limit >= 0);
            if (l == RWKV_LIMIT_READ || l == RWKV_LIMIT_F32)
                assert_true(limit > 1e6);
        }
    rwkv_meter_free(meter);
}

static void plain_c_has_no_dot_products(void **state)
{
    (void)state;
    rwkv_meter *meter = new_meter("ref");
    assert_true(rwkv_meter_measure(meter, RWKV_LIMIT_F32) > 1e6);
    assert_true(rwkv_meter_measure(meter, RWKV_LIMIT_BF16) == 0);
    assert_true(rwkv_meter_measure(meter, RWKV_LIMIT_INT8) == 0);
    rwkv_meter_free(meter);
    rwkv_meter_free(NULL);
}

static void meters_want_a_model(void **state)
{
    (void)state;
    rwkv_meter *meter = NULL;
    rwkv_error err = {0};
    assert_int_equal(rwkv_meter_new(NULL, &meter, &err), RWKV_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "model"));
    assert_null(meter);
}

static void work_of_a_token(void **state)
{
    (void)state;
    rwkv_model_info info;
    rwkv_model *model = open_model(SMALL_F32, NULL);
    rwkv_model_get_info(model, &info);
    assert_int_equal(info.head_bytes, info.n_vocab * info.n_embd * sizeof(float));
    assert_true(info.head_bytes < info.token_bytes);
    assert_true(2 * info.n_vocab * info.n_embd < info.token_flops);
    rwkv_model_close(model);
}

/* The peak goes up with what is used, and after a reset no longer tells of what was given back. */
static void peak_memory(void **state)
{
    (void)state;
    size_t n = (size_t)64 << 20;
    rw_env_memory_peak_reset();
    uint64_t before = rw_env_memory_peak();
    volatile char *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i += 1024)
        p[i] = 1;
    uint64_t most = rw_env_memory_peak();
    assert_true(most >= before + n / 2);
    free((void *)p);
    rw_env_memory_peak_reset();
#ifdef __SANITIZE_ADDRESS__ /* it keeps freed memory for a while */
    assert_true(rw_env_memory_peak() > 0);
#else
    if (access("/proc/self/clear_refs", W_OK) == 0)
        assert_true(rw_env_memory_peak() <= most - n / 2);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meters_measure),      cmocka_unit_test(plain_c_has_no_dot_products),
        cmocka_unit_test(meters_want_a_model), cmocka_unit_test(work_of_a_token),
        cmocka_unit_test(peak_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
