/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise of docs/architecture.md from end to end, for every block type: logits have the same
 * bits whatever the number of threads, however a prompt is cut, and whatever shares the batch.
 */
#include "models.h"

#include <math.h>

#include "base/status.h"
#include "rwkv_bench.h"
#include "tensor/dtype.h"

#define TOKENS 70 /* more than one chunk of 64 */
#define VOCAB 256

static char path[1024];

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

/* Rows of one block of the largest kind and of nine: more than a piece of any kernel. */
static void make_model(rwkv_dtype dtype)
{
    const rwkv_random_model shape = {
        .n_layer = 1, .n_embd = 256, .n_vocab = VOCAB, .n_ffn = 2304, .dtype = dtype, .seed = 9};
    rwkv_error err = {0};

    snprintf(path, sizeof path, "/tmp/rwkv-test-%ld-bits.gguf", (long)getpid());
    if (rwkv_random_model_write(path, &shape, &err))
        fail_msg("%s", err.message);
}

/* Logits of the tokens alone, or between two other sequences. */
static void evaluate(rwkv_model *model, bool packed, float *logits)
{
    rwkv_session *s[3];
    int32_t tokens[TOKENS];
    rwkv_error err = {0};

    for (size_t i = 0; i < TOKENS; i++)
        tokens[i] = (int32_t)((i * 7919 + i * i * 31 + 5) % VOCAB);
    for (size_t i = 0; i < RW_COUNT(s); i++)
        s[i] = new_session(model);
    const rwkv_segment segments[] = {{s[0], tokens + 3, 11, NULL, NULL},
                                     {s[1], tokens, TOKENS, logits, NULL},
                                     {s[2], tokens + 30, 1, NULL, NULL}};
    if (rwkv_segments_eval(packed ? segments : segments + 1, packed ? 3 : 1, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < RW_COUNT(s); i++)
        rwkv_session_free(s[i]);
}

static void check_type(rwkv_dtype dtype)
{
    static const size_t chunks[] = {128, 64, 16, 7, 1};
    static float wanted[TOKENS * VOCAB], found[TOKENS * VOCAB];

    make_model(dtype);
    for (int threads = 1; threads <= 3; threads++)
        for (size_t c = 0; c < RW_COUNT(chunks); c++) {
            rwkv_model *model;
            const rwkv_model_options options = {.threads = threads, .chunk = chunks[c]};
            rwkv_error err = {0};
            bool first = threads == 1 && c == 0;

            if (rwkv_model_open(path, &options, &model, &err))
                fail_msg("%s", err.message);
            for (int packed = 0; packed < 2; packed++) {
                evaluate(model, packed, first && !packed ? wanted : found);
                if (!(first && !packed) && memcmp(wanted, found, sizeof found) != 0)
                    fail_msg("%s: %d threads, chunks of %zu, %s: other bits",
                             rwkv_dtype_name(dtype), threads, chunks[c],
                             packed ? "packed" : "alone");
            }
            rwkv_model_close(model);
        }
    for (size_t i = 0; i < TOKENS * VOCAB; i++)
        assert_true(isfinite(wanted[i]));
    assert_true(wanted[0] != wanted[1] && wanted[0] != wanted[VOCAB]);
}

static void test_block_types(void **state)
{
    (void)state;
    for (rwkv_dtype dtype = 0; dtype < RWKV_DTYPE_MODEL_COUNT; dtype++)
        if (rw_dtype_is_block(dtype))
            check_type(dtype);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_block_types, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
