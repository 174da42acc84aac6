/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed weights: products with them have the bits of those with the file's, for every type,
 * instruction set and number of tokens, before copies are made, meanwhile and after; they are made
 * when and as far as they should be.
 */
#include "models.h"

#include <math.h>
#include <pthread.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/rng.h"
#include "base/status.h"
#include "rwkv_bench.h"
#include "tensor/dtype.h"

static const char *const sets[] = {"ref",        "avx2", "avxvnni",      "avx512",   "avx512vnni",
                                   "avx512bf16", "neon", "neon-dotprod", "neon-i8mm"};

/* --- products --------------------------------------------------------------------------------- */

#define ROWS 203 /* one and a half pieces of any kernel, the last panel not full */
#define COLS 2304
#define TOKENS 9

static float x[TOKENS * COLS], want[TOKENS * ROWS], got[TOKENS * ROWS];

static void multiply(struct rw_backend *be, const struct rw_weight *w, float *y, size_t tokens)
{
    const struct rw_matmul op = {y, x, w, RW_STORE};
    be->ops->matmul(be, &op, 1, tokens);
}

static void check_product(struct rw_backend *be, const struct rw_weight *w, size_t tokens)
{
    multiply(be, w, got, tokens);
    for (size_t i = 0; i < tokens * w->rows; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0 && !(isnan(got[i]) && isnan(want[i])))
            fail_msg("%s %s, %zu x %zu: output %zu of %zu tokens: %a as it lies, %a packed",
                     be->isa, rwkv_dtype_name(w->dtype), w->rows, w->cols, i, tokens,
                     (double)want[i], (double)got[i]);
}

/* Copies end where they say, and the file's bytes are not looked at any more. */
static void check_weight(struct rw_backend *be, rwkv_dtype dtype, size_t rows, size_t cols)
{
    const struct rw_dtype_info *type = rw_dtype(dtype);
    struct rw_weight w = {.dtype = dtype, .rows = rows, .cols = cols};
    w.stride = cols / type->block * type->bytes + 6;
    size_t n = rows * w.stride, bytes = 0;
    uint8_t *data = rw_alloc(n, 1), *copy;
    struct rw_rng rng;
    rw_rng_init(&rng, 5);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)(i % 2 ? 0x20 | (rw_rng_u64(&rng) & 0x9f) : rw_rng_u64(&rng));
    w.data = data;
    bytes = be->ops->packed_bytes(be, &w);
    if (bytes > 0) {
        copy = rw_alloc_aligned(bytes + 8, 1);
        memset(copy + bytes, 0xa5, 8);
        be->ops->pack(be, copy, &w);
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(copy[bytes + i], 0xa5);
        for (size_t t = 1; t <= TOKENS; t += TOKENS - 1) {
            w.packed = NULL;
            multiply(be, &w, want, t);
            w.packed = copy;
            check_product(be, &w, t);
        }
        memset(data, 0xff, n);
        check_product(be, &w, TOKENS);
        rw_free(copy);
    }
    rw_free(data);
}

static void check_set(const char *cpu)
{
    int ok;
    unsigned mask = rw_cpu_from_name(cpu, &ok);
    struct rw_backend *be;
    if (!ok)
        return;
    assert_int_equal(rw_backend_cpu_new(&be, 2, mask, NULL), RWKV_OK);
    assert_int_equal(be->ops->prepare(be, TOKENS, COLS, NULL), RWKV_OK);
    for (rwkv_dtype t = 0; t < RWKV_DTYPE_MODEL_COUNT; t++) {
        check_weight(be, t, ROWS, 768);
        check_weight(be, t, 7, COLS);
    }
    be->ops->free(be);
}

static void products(void **state)
{
    (void)state;
    struct rw_rng rng;
    rw_rng_init(&rng, 3);
    for (size_t i = 0; i < RW_COUNT(x); i++)
        x[i] = (float)rw_rng_normal(&rng);
    for (size_t s = 0; s < RW_COUNT(sets); s++)
        check_set(sets[s]);
}

/* --- models ----------------------------------------------------------------------------------- */

#define LAYERS 3
#define VOCAB 256
#define MATRICES 6 /* of a layer; the low-rank pairs are not quantized */

static char path[1024];

static void make_model(rwkv_dtype dtype)
{
    const rwkv_random_model shape = {.n_layer = LAYERS,
                                     .n_embd = 256,
                                     .n_vocab = VOCAB,
                                     .n_ffn = 1024,
                                     .dtype = dtype,
                                     .seed = 3};
    rwkv_error err = {0};
    snprintf(path, sizeof path, "/tmp/rwkv-test-%ld-packing.gguf", (long)getpid());
    if (rwkv_random_model_write(path, &shape, &err))
        fail_msg("%s", err.message);
}

static rwkv_model *open_with(rwkv_model_options options)
{
    rwkv_model *m = NULL;
    rwkv_error err = {0};
    options.vocab = "bytes";
    if (rwkv_model_open(path, &options, &m, &err))
        fail_msg("%s", err.message);
    return m;
}

static size_t packed(const rwkv_model *m)
{
    rwkv_model_packing p;
    rwkv_model_get_packing(m, &p);
    assert_true((p.matrices > 0) == (p.bytes > 0));
    return p.matrices;
}

/* Tokens alone, prompts and several sequences in turn: the logits of all of it. */
#define STEPS 24
static void walk(rwkv_model *m, float logits[STEPS][VOCAB])
{
    rwkv_session *a = new_session(m), *b = new_session(m);
    for (size_t i = 0; i < STEPS; i++) {
        const int32_t tokens[] = {(int32_t)(i * 29 % VOCAB), 5, (int32_t)i, 9};
        const rwkv_segment both[] = {{a, tokens, 1, NULL, NULL}, {b, tokens + 1, 1, NULL, NULL}};
        if (i % 4 == 2)
            assert_int_equal(rwkv_segments_eval(both, 2, NULL), RWKV_OK);
        else
            assert_int_equal(rwkv_session_eval(a, tokens, i % 4 == 3 ? 4 : 1, NULL), RWKV_OK);
        memcpy(logits[i], rwkv_session_logits(a), sizeof logits[i]);
    }
    rwkv_session_free(a);
    rwkv_session_free(b);
}

static void check_model(const char *cpu)
{
    static float without[STEPS][VOCAB], with[STEPS][VOCAB];
    for (int zeros = RWKV_ZEROS_ON; zeros <= RWKV_ZEROS_OFF; zeros++) {
        rwkv_model_options o = {.threads = 2, .cpu = cpu, .zeros = (rwkv_zeros)zeros};
        o.packing = RWKV_PACKING_OFF;
        rwkv_model *off = open_with(o);
        walk(off, without);
        assert_int_equal(packed(off), 0);
        rwkv_model_close(off);
        for (o.packing = RWKV_PACKING_AUTO; o.packing <= RWKV_PACKING_ON; o.packing++) {
            rwkv_model *m = open_with(o);
            rwkv_model_info info;
            rwkv_model_packing p;
            walk(m, with);
            assert_memory_equal(with, without, sizeof with);
            rwkv_model_get_info(m, &info);
            rwkv_model_get_packing(m, &p);
            assert_true((p.matrices > 0) == (info.packed_bytes > 0));
            assert_true(p.bytes <= info.packed_bytes);
            if (zeros == RWKV_ZEROS_OFF)
                assert_int_equal(p.bytes, info.packed_bytes);
            rwkv_model_close(m);
        }
    }
}

static void models(void **state)
{
    (void)state;
    static const rwkv_dtype types[] = {RWKV_DTYPE_Q8_0, RWKV_DTYPE_Q4_K};
    for (size_t t = 0; t < RW_COUNT(types); t++) {
        make_model(types[t]);
        for (size_t s = 0; s < RW_COUNT(sets); s++) {
            int ok;
            rw_cpu_from_name(sets[s], &ok);
            if (ok)
                check_model(sets[s]);
        }
        unlink(path);
    }
}

/* Not by prompts, nor by the first tokens; then about a layer a token, the value matrices last. */
static void by_itself(void **state)
{
    (void)state;
    make_model(RWKV_DTYPE_Q4_0);
    rwkv_model *m = open_with((rwkv_model_options){.zeros = RWKV_ZEROS_AUTO});
    rwkv_session *s = new_session(m);
    const int32_t prompt[300] = {1, 2, 3};
    assert_int_equal(rwkv_session_eval(s, prompt, 300, NULL), RWKV_OK);
    for (size_t i = 1, before = 0; i < 80; i++, before = packed(m)) {
        assert_int_equal(rwkv_session_eval(s, prompt, 1, NULL), RWKV_OK);
        if (i < 4)
            assert_int_equal(packed(m), 0);
        else if (i < 6)
            assert_true(packed(m) > before && packed(m) < before + 2 * MATRICES);
        if (i < 32)
            assert_true(packed(m) <= LAYERS * (MATRICES - 1) + 1);
    }
    rwkv_model_zeros z;
    rwkv_model_get_zeros(m, &z);
    assert_int_equal(packed(m) + z.layers, LAYERS * MATRICES + 1);
    rwkv_session_free(s);
    rwkv_model_close(m);
    unlink(path);
}

/* No copy beyond the limit of memory, whenever they are made. */
static void limited(void **state)
{
    (void)state;
    make_model(RWKV_DTYPE_Q8_0);
    rwkv_model_info info;
    assert_int_equal(rwkv_model_plan(path, NULL, &info, NULL), RWKV_OK);
    for (int mode = RWKV_PACKING_AUTO; mode <= RWKV_PACKING_ON; mode++) {
        rwkv_model_options o = {.packing = (rwkv_packing)mode, .zeros = RWKV_ZEROS_OFF};
        o.memory_limit =
            info.private_bytes + info.state_bytes + info.scratch_bytes + info.packed_bytes / 2;
        rwkv_model *m = open_with(o);
        rwkv_session *s = new_session(m);
        const int32_t token = 7;
        for (int i = 0; i < 20; i++)
            assert_int_equal(rwkv_session_eval(s, &token, 1, NULL), RWKV_OK);
        rwkv_model_packing p;
        rwkv_model_get_packing(m, &p);
        assert_true(p.bytes > 0 && p.bytes <= info.packed_bytes / 2);
        rwkv_session_free(s);
        rwkv_model_close(m);
    }
    unlink(path);
}

/* Sessions of several threads, while copies are made and looked at. */
static void *decode(void *user)
{
    rwkv_model *m = user;
    rwkv_session *s = new_session(m);
    for (int32_t i = 0; i < 6; i++) {
        assert_int_equal(rwkv_session_eval(s, &i, 1, NULL), RWKV_OK);
        packed(m);
    }
    rwkv_session_free(s);
    return NULL;
}

static void from_many_threads(void **state)
{
    (void)state;
    make_model(RWKV_DTYPE_Q8_0);
    rwkv_model *m = open_with((rwkv_model_options){.threads = 2});
    pthread_t threads[3];
    for (size_t i = 0; i < RW_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode, m), 0);
    for (size_t i = 0; i < RW_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(packed(m) > 0);
    rwkv_model_close(m);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),          cmocka_unit_test(models),
        cmocka_unit_test(by_itself),         cmocka_unit_test(limited),
        cmocka_unit_test(from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
