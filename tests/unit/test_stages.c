/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models on several backends: whatever the strategy, the same bits. The devices are those of
 * tests/plugins/far.c, whose memory nobody but their operations can touch.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/status.h"
#include "models.h"
#include "rwkv_batch.h"
#include "rwkv_evaluate.h"

static const int32_t text[] = {72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100};
#define N RW_COUNT(text)
#define V 256
#define C 128

/* A model of two blocks: three layers. */
static const char *const strategies[] = {
    "cuda fp32",
    "cuda fp32 *1 -> cpu fp32",
    "cuda fp32 *2 -> cpu fp32",
    "cpu fp32 *1 -> cuda fp32",
    "cpu fp32 *2 -> cuda fp32",
    "cuda fp32 *1 -> cuda:1 fp32",
    "cuda fp32 *1 -> cpu fp32 *1 -> cuda fp32",
    "cuda:1 fp32 *1 -> cuda:0 fp32 *1 -> cuda:1 fp32",
    "cpu fp32 *1 -> cpu fp32",
};

static rwkv_model *open_with(const char *strategy, size_t chunk)
{
    return open_model(SMALL_F32, &(rwkv_model_options){.strategy = strategy, .chunk = chunk});
}

static void test_outputs(void **state)
{
    (void)state;
    static float logits[2][N * V], hidden[2][N * C];
    rwkv_model *cpu = open_with(NULL, 0);
    rwkv_session *want = new_session(cpu);
    assert_int_equal(rwkv_session_eval_all(want, text, N, logits[0], hidden[0], NULL), RWKV_OK);
    for (size_t i = 0; i < RW_COUNT(strategies); i++)
        for (size_t chunk = 0; chunk <= 5; chunk += 5) {
            rwkv_model *m = open_with(strategies[i], chunk);
            rwkv_session *s = new_session(m), *t = new_session(m);
            assert_int_equal(rwkv_session_eval_all(s, text, N, logits[1], hidden[1], NULL),
                             RWKV_OK);
            assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
            assert_memory_equal(hidden[0], hidden[1], sizeof hidden[0]);
            assert_same(want, s);
            for (size_t k = 0; k < N; k++)
                assert_int_equal(rwkv_session_eval(t, text + k, 1, NULL), RWKV_OK);
            assert_same(want, t);
            rwkv_session_free(s);
            rwkv_session_free(t);
            rwkv_model_close(m);
        }
    rwkv_session_free(want);
    rwkv_model_close(cpu);
}

/* Several sequences at once, more than rows of logits are made together. */
static void test_packed(void **state)
{
    (void)state;
    enum { SESSIONS = 19 };
    rwkv_model *cpu = open_with(NULL, 0);
    for (size_t i = 0; i < RW_COUNT(strategies); i++) {
        rwkv_model *m = open_with(strategies[i], 40);
        rwkv_segment segments[SESSIONS];
        for (size_t k = 0; k < SESSIONS; k++)
            segments[k] = (rwkv_segment){new_session(m), text, k % (N + 1), NULL, NULL};
        assert_int_equal(rwkv_segments_eval(segments, SESSIONS, NULL), RWKV_OK);
        for (size_t k = 0; k < SESSIONS; k++) {
            rwkv_session *alone = new_session(cpu);
            assert_int_equal(rwkv_session_eval(alone, text, k % (N + 1), NULL), RWKV_OK);
            assert_same(alone, segments[k].session);
            rwkv_session_free(alone);
            rwkv_session_free(segments[k].session);
        }
        rwkv_model_close(m);
    }
    rwkv_model_close(cpu);
}

/* Copied, reset, written, read by a model that is placed otherwise, looked at. */
static void test_states(void **state)
{
    (void)state;
    rwkv_model *cpu = open_with(NULL, 0);
    rwkv_session *want = new_session(cpu);
    assert_int_equal(rwkv_session_eval(want, text, N, NULL), RWKV_OK);
    for (size_t i = 0; i < RW_COUNT(strategies); i++) {
        rwkv_model *m = open_with(strategies[i], 0);
        rwkv_session *a = new_session(m), *b = new_session(m);
        assert_int_equal(rwkv_session_eval(a, text, 5, NULL), RWKV_OK);
        assert_int_equal(rwkv_session_copy(b, a, NULL), RWKV_OK);
        rwkv_session_reset(a);
        assert_int_equal(rwkv_session_eval(b, text + 5, N - 5, NULL), RWKV_OK);
        assert_int_equal(rwkv_session_eval(a, text, N, NULL), RWKV_OK);
        assert_same(want, a);
        assert_same(want, b);
        uint8_t *bytes = bytes_of(want);
        rwkv_session_reset(b);
        assert_int_equal(
            rwkv_session_state_read(b, bytes, rwkv_session_state_size(want), "a state", NULL),
            RWKV_OK);
        free(bytes);
        assert_same(want, b);
        for (size_t l = 0; l < 2; l++) {
            rwkv_layer_state x, y;
            assert_int_equal(rwkv_session_layer_state(want, l, &x, NULL), RWKV_OK);
            assert_int_equal(rwkv_session_layer_state(b, l, &y, NULL), RWKV_OK);
            assert_memory_equal(x.att_shift, y.att_shift, C * sizeof(float));
            assert_memory_equal(x.ffn_shift, y.ffn_shift, C * sizeof(float));
            assert_memory_equal(x.wkv, y.wkv, C * 64 * sizeof(float));
        }
        rwkv_session_free(a);
        rwkv_session_free(b);
        rwkv_model_close(m);
    }
    rwkv_session_free(want);
    rwkv_model_close(cpu);
}

static void test_tuned_states(void **state)
{
    (void)state;
    char path[] = "/tmp/rwkv-stages-XXXXXX.pth";
    int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    close(fd);
    rwkv_model *cpu = open_with(NULL, 0), *far = open_with(strategies[1], 0);
    rwkv_session *a = new_session(cpu), *b = new_session(far), *c = new_session(far);
    assert_int_equal(rwkv_session_eval(b, text, N, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_save_tuned(b, path, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_load(a, path, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_load(c, path, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(a, text, N, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(c, text, N, NULL), RWKV_OK);
    assert_same(a, c);
    remove(path);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_session_free(c);
    rwkv_model_close(cpu);
    rwkv_model_close(far);
}

static void expect_refusal(const char *strategy, rwkv_status code, const char *wanted)
{
    rwkv_model *m;
    rwkv_error err = {RWKV_OK, ""};
    char path[1024];
    const rwkv_model_options options = {.strategy = strategy};
    rwkv_status status = rwkv_model_open(unit_source(path, SMALL_F32), &options, &m, &err);
    if (status != code || !strstr(err.message, wanted))
        fail_msg("'%s': wanted '%s', found %d, '%s'", strategy, wanted, status, err.message);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal("cuda", RWKV_ERROR_ARGUMENT, "strategy: step 1: wanted fp32, fp16 or bf16");
    expect_refusal("cuda:2 fp32", RWKV_ERROR_ARGUMENT, "cuda:2: wanted one of the 2 devices here");
    expect_refusal("cuda fp32 *1 -> cpu fp32i8", RWKV_ERROR_ARGUMENT,
                   "strategy: step 2: the CPU reads matrices as the file has them");
}

int main(void)
{
    const char *plugin = getenv("RWKV_FAR_PLUGIN");
    if (!plugin) {
        fprintf(stderr, "skipped: RWKV_FAR_PLUGIN names no plugin\n");
        return 77;
    }
    setenv("RWKV_CUDA_PLUGIN", plugin, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs),  cmocka_unit_test(test_packed),
        cmocka_unit_test(test_states),   cmocka_unit_test(test_tuned_states),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
