/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA backend, on a device that tests/plugins/emulator pretends to be or, given `device`, on
 * what is here: near the CPU, as far as the numbers allow that are multiplied; and the same request
 * gives the same bytes, alone or in a batch, whole or split.
 */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"
#include "base/status.h"
#include "models.h"
#include "rwkv_quantize.h"
#include "rwkv_trainer.h"

static const int32_t text[] = {72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100};
#define N RW_COUNT(text)
#define MOST_LOGITS 256

static size_t n_devices;

static rwkv_model *open_with(const char *name, const char *strategy, size_t chunk)
{
    return open_model(name, &(rwkv_model_options){.strategy = strategy, .chunk = chunk});
}

/* The largest difference, as a part of the largest logit. */
static double difference(const float *found, const float *wanted, size_t n)
{
    double most = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)found[i] - (double)wanted[i]));
        largest = fmax(largest, fabs((double)wanted[i]));
    }
    return most / largest;
}

/* The model `name` on the device, and `plain`, which has the same numbers, on the CPU. */
static void check_near_to(const char *plain, const char *name, const char *strategy, double bound)
{
    static float wanted[N * MOST_LOGITS], found[N * MOST_LOGITS], hidden[N * 256];
    rwkv_model *cpu = open_with(plain, NULL, 0), *gpu = open_with(name, strategy, 0);
    rwkv_session *a = new_session(cpu), *b = new_session(gpu);
    rwkv_model_info info;
    rwkv_model_get_info(cpu, &info);
    size_t n = N * info.n_vocab;
    assert_true(info.n_vocab <= MOST_LOGITS);
    assert_int_equal(rwkv_session_eval_all(a, text, N, wanted, hidden, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval_all(b, text, N, found, hidden, NULL), RWKV_OK);
    double d = difference(found, wanted, n);
    if (!(d <= bound))
        fail_msg("%s, '%s': off by %g, wanted %g", name, strategy, d, bound);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(cpu);
    rwkv_model_close(gpu);
}

static void check_near(const char *name, const char *strategy, double bound)
{
    check_near_to(name, name, strategy, bound);
}

static void test_near_the_cpu(void **state)
{
    (void)state;
    static const char *const names[] = {SMALL_F32, SMALL_F16, SMALL_GGUF};
    for (size_t i = 0; i < RW_COUNT(names); i++) {
        check_near(names[i], "cuda fp32", 1e-5);
        check_near(names[i], "cuda fp16", 1e-2);
        check_near(names[i], "cuda bf16", 1e-1);
        check_near(names[i], "cuda fp16 *1 -> cpu fp32", 1e-2);
    }
    check_near(SMALL_F32, "cuda fp16i8", 2e-2);
}

static void temporary(char path[32])
{
    strcpy(path, "/tmp/rwkv-cuda-XXXXXX.gguf");
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    close(fd);
}

/* Against the same numbers in f32, since the CPU rounds the inputs of block types to bytes. */
static void test_block_types(void **state)
{
    (void)state;
    char path[32], plain[32], from[1024];
    static const rwkv_dtype types[] = {RWKV_DTYPE_Q8_0, RWKV_DTYPE_Q4_0, RWKV_DTYPE_Q5_1};
    const rwkv_convert_options f32 = {
        .dtype = RWKV_DTYPE_F32, .has_dtype = 1, .vocab = "bytes", .overwrite = 1};
    temporary(path);
    temporary(plain);
    for (size_t i = 0; i < RW_COUNT(types); i++) {
        const rwkv_quantize_options options = {.dtype = types[i], .vocab = "bytes", .overwrite = 1};
        rwkv_error err;
        if (rwkv_quantize(unit_source(from, SMALL_F32), path, &options, &err) != RWKV_OK ||
            rwkv_convert(path, plain, &f32, &err) != RWKV_OK)
            fail_msg("%s", err.message);
        check_near_to(plain, path, "cuda fp32", 1e-5);
        check_near_to(plain, path, "cuda fp16", 1e-2);
    }
    remove(path);
    remove(plain);
}

/* Token by token, in chunks, among others, and on two devices. */
static void check_same_bytes(const char *strategy, const char *rest)
{
    enum { SESSIONS = 7 };
    char split[64];
    if (n_devices > 1)
        snprintf(split, sizeof split, "%s %s", strategy, rest);
    else /* the same one twice */
        snprintf(split, sizeof split, "%s *1 -> %s", strategy, strategy);
    rwkv_model *m = open_with(SMALL_F32, strategy, 40), *two = open_with(SMALL_F32, split, 5);
    rwkv_segment segments[SESSIONS];
    rwkv_session *steps = new_session(m), *parts = new_session(two);
    for (size_t k = 0; k < N; k++)
        assert_int_equal(rwkv_session_eval(steps, text + k, 1, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(parts, text, N, NULL), RWKV_OK);
    for (size_t k = 0; k < SESSIONS; k++)
        segments[k] = (rwkv_segment){new_session(m), text, k == 3 ? N : k + 1, NULL, NULL};
    assert_int_equal(rwkv_segments_eval(segments, SESSIONS, NULL), RWKV_OK);
    assert_same(steps, parts);
    assert_same(steps, segments[3].session);
    for (size_t k = 0; k < SESSIONS; k++)
        rwkv_session_free(segments[k].session);
    rwkv_session_free(steps);
    rwkv_session_free(parts);
    rwkv_model_close(m);
    rwkv_model_close(two);
}

static void test_same_bytes(void **state)
{
    (void)state;
    check_same_bytes("cuda fp32", "*1 -> cuda:1 fp32");
    check_same_bytes("cuda fp16", "*2 -> cuda:1 fp16");
    check_same_bytes("cuda bf16", "*1 -> cuda:1 bf16");
    check_same_bytes("cuda fp16i8", "*1 -> cuda:1 fp16i8");
}

/* Heads that no kernel is for. */
static void test_refused(void **state)
{
    (void)state;
    char path[32];
    rwkv_model *m;
    rwkv_error err;
    rwkv_init_options init = {.n_layer = 2,
                              .n_embd = 48,
                              .n_vocab = 256,
                              .head_size = 24,
                              .vocab = "bytes",
                              .overwrite = 1};
    const rwkv_model_options gpu = {.strategy = "cuda fp32", .vocab = "bytes"};
    temporary(path);
    assert_int_equal(rwkv_init(path, &init, &err), RWKV_OK);
    assert_int_equal(rwkv_model_open(path, &gpu, &m, &err), RWKV_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "heads of 24 channels"));
    remove(path);
}

/* Why there is no device to test on, or NULL. The plugin itself must be right in any case. */
static const char *missing(const char *variable, rwkv_error *err)
{
    const struct rw_plugin *plugin;
    const char *path = getenv(variable);
    if (!path) {
        snprintf(err->message, sizeof err->message,
                 "%s names no plugin (no compiler for it, or a sanitizer)", variable);
        return err->message;
    }
    setenv("RWKV_CUDA_PLUGIN", path, 1);
    if (rw_plugin_find(&plugin, err) != RWKV_OK) {
        fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
    return plugin->count(&n_devices, err) == RWKV_OK ? NULL : err->message;
}

int main(int argc, char **argv)
{
    bool real = argc > 1 && strcmp(argv[1], "device") == 0;
    rwkv_error err;
    const char *why = missing(real ? "RWKV_BUILT_PLUGIN" : "RWKV_EMULATED_PLUGIN", &err);
    if (why) {
        fprintf(stderr, "skipped: %s\n", why);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near_the_cpu),
        cmocka_unit_test(test_block_types),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
