/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zeros of the channel mix: products that skip them have the bits of those that do not, for
 * every type and instruction set, before copies are made, meanwhile and after; zeros are counted;
 * weights with numbers that are not finite are left alone.
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
#include "tensor/convert.h"
#include "tensor/dtype.h"

static const char *const sets[] = {"ref",        "avx2", "avxvnni",      "avx512",   "avx512vnni",
                                   "avx512bf16", "neon", "neon-dotprod", "neon-i8mm"};

/* --- products --------------------------------------------------------------------------------- */

#define ROWS 200 /* a tile and a half */
#define COLS 768

struct product {
    struct rw_backend *backend;
    struct rw_weight w;
    struct rw_channels channels;
    uint8_t *data;
    float x[COLS], dense[ROWS], live[ROWS];
    struct rw_rng rng;
};

static size_t data_bytes(const struct product *p)
{
    return p->w.rows * p->w.stride;
}

/* Finite and moderate in every type: scales and values alike. */
static void fill_weight(struct product *p)
{
    for (size_t i = 0; i < data_bytes(p); i++)
        p->data[i] = (uint8_t)(i % 2 ? 0x20 | (rw_rng_u64(&p->rng) & 0x9f) : rw_rng_u64(&p->rng));
}

static bool product_open(struct product *p, const char *cpu, rwkv_dtype dtype, size_t rows)
{
    const struct rw_dtype_info *type = rw_dtype(dtype);
    int ok;
    unsigned mask = rw_cpu_from_name(cpu, &ok);
    *p = (struct product){0};
    if (!ok)
        return false;
    assert_int_equal(rw_backend_cpu_new(&p->backend, 2, mask, NULL), RWKV_OK);
    assert_int_equal(p->backend->ops->prepare(p->backend, 1, COLS, NULL), RWKV_OK);
    rw_rng_init(&p->rng, 11);
    p->w = (struct rw_weight){.dtype = dtype, .rows = rows, .cols = COLS};
    p->w.stride = COLS / type->block * type->bytes;
    p->w.channels = &p->channels;
    p->w.data = p->data = rw_alloc(data_bytes(p), 1);
    assert_non_null(p->data);
    return true;
}

static void product_close(struct product *p)
{
    p->backend->ops->free(p->backend);
    rw_free(p->channels.tiles);
    rw_free(p->data);
}

/* Copy the weight as it is now; what `channels` says. */
static bool copy(struct product *p)
{
    const struct rw_backend_ops *ops = p->backend->ops;
    size_t bytes = ops->channels_bytes(p->backend, &p->w);
    rw_free(p->channels.tiles);
    p->channels.tiles = NULL;
    if (bytes == 0)
        return false;
    uint8_t *tiles = rw_alloc(bytes + 8, 1); /* at any address; nothing is written behind it */
    assert_non_null(tiles);
    memset(tiles + bytes, 0xa5, 8);
    bool useful = ops->channels(p->backend, tiles, &p->w);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(tiles[bytes + i], 0xa5);
    p->channels.tiles = tiles;
    return useful;
}

static void multiply(struct product *p, float *y, bool channels, enum rw_epilogue epilogue)
{
    struct rw_weight w = p->w;
    if (!channels)
        w.channels = NULL;
    const struct rw_matmul op = {y, p->x, &w, epilogue};
    for (size_t r = 0; r < w.rows; r++)
        y[r] = epilogue == RW_ADD ? -0.0f : 7;
    p->backend->ops->matmul(p->backend, &op, 1, 1);
}

static void check_same(struct product *p, enum rw_epilogue epilogue)
{
    multiply(p, p->dense, false, epilogue);
    multiply(p, p->live, true, epilogue);
    for (size_t r = 0; r < p->w.rows; r++)
        if (memcmp(&p->dense[r], &p->live[r], sizeof(float)) != 0 &&
            !(isnan(p->dense[r]) && isnan(p->live[r])))
            fail_msg("%s %s: row %zu: %a without skipping, %a with", p->backend->isa,
                     rwkv_dtype_name(p->w.dtype), r, (double)p->dense[r], (double)p->live[r]);
}

/* Inputs of which a share is zero, the others of both signs. */
static void fill_inputs(struct product *p, double zeros, float size)
{
    for (size_t k = 0; k < COLS; k++)
        p->x[k] = rw_rng_uniform(&p->rng) < zeros ? 0 : size * (float)rw_rng_normal(&p->rng);
}

static void check_inputs(struct product *p)
{
    static const double shares[] = {0.3, 0.5, 0.8, 0.99, 1};
    for (size_t i = 0; i < RW_COUNT(shares); i++) {
        fill_inputs(p, shares[i], 1);
        check_same(p, i % 2 ? RW_ADD : RW_STORE);
    }
    fill_inputs(p, 0.9, 1);
    memset(p->x + 64, 0, 128 * sizeof(float)); /* whole blocks */
    check_same(p, RW_RELU2);
    fill_inputs(p, 0.9, 1e-40f);
    check_same(p, RW_STORE);
    static const float hostile[] = {NAN, INFINITY, -INFINITY, 3e38f, -0.0f};
    for (size_t i = 0; i < RW_COUNT(hostile); i++) {
        fill_inputs(p, 0.9, 1e30f);
        p->x[i * 100] = hostile[i];
        check_same(p, RW_STORE);
    }
}

/* Products too small for a float are zeros with a sign, which the zeros that follow them change:
 * every sum is a zero, and its sign is of the last product. */
static void check_underflow(struct product *p)
{
    const float small = 0x1p-24f;
    size_t bytes = rw_dtype(p->w.dtype)->bytes;
    for (size_t i = 0; i < p->w.rows * COLS; i++)
        rw_from_f32(p->w.dtype, p->data + i * bytes, &small, 1);
    assert_true(copy(p));
    for (size_t k = 0; k < COLS; k++)
        p->x[k] = k < COLS / 2 ? -0x1p-149f : 0;
    check_same(p, RW_STORE);
    for (size_t k = 0; k < COLS; k++)
        p->x[k] = k >= COLS / 2 ? -0x1p-149f : 0;
    check_same(p, RW_ADD);
}

static void products(void **state)
{
    (void)state;
    size_t copied = 0;
    for (size_t s = 0; s < RW_COUNT(sets); s++)
        for (rwkv_dtype t = 0; t < RWKV_DTYPE_MODEL_COUNT; t++) {
            struct product p;
            if (!product_open(&p, sets[s], t, t % 2 ? ROWS : 64))
                continue;
            fill_weight(&p);
            bool useful = copy(&p);
            assert_int_equal(useful, p.backend->ops->channels_bytes(p.backend, &p.w) > 0);
            if (useful) {
                check_inputs(&p);
                if (!rw_dtype_is_block(t))
                    check_underflow(&p);
                copied++;
            }
            product_close(&p);
        }
    if (copied == 0)
        skip();
}

/* One number that is not finite: 0xffff is a NaN in F16, BF16 and the upper half of F32; blocks
 * have their F16 scales somewhere. */
static void not_finite(void **state)
{
    (void)state;
    for (rwkv_dtype t = 0; t < RWKV_DTYPE_MODEL_COUNT; t++) {
        struct product p;
        product_open(&p, "auto", t, ROWS);
        fill_weight(&p);
        const struct rw_dtype_info *type = rw_dtype(t);
        bool useful = copy(&p);
        memset(p.data + (ROWS - 1) * p.w.stride + 2 * type->bytes, 0xff, type->bytes);
        if (useful)
            assert_false(copy(&p));
        product_close(&p);
    }
}

static void counts(void **state)
{
    (void)state;
    struct product p;
    product_open(&p, "auto", RWKV_DTYPE_F16, ROWS);
    fill_weight(&p);
    fill_inputs(&p, 0.6, 1);
    size_t zeros = 0;
    for (size_t k = 0; k < COLS; k++)
        zeros += p.x[k] == 0;
    multiply(&p, p.live, true, RW_STORE);
    multiply(&p, p.live, true, RW_STORE);
    assert_int_equal(p.channels.inputs, 2 * COLS);
    assert_int_equal(p.channels.zeros, 2 * zeros);
    const struct rw_backend_ops *ops = p.backend->ops;
    if (ops->channels_bytes(p.backend, &p.w)) {
        assert_true(ops->channels_pay(p.backend, &p.w, 100, 60));
        assert_false(ops->channels_pay(p.backend, &p.w, 100, 10));
        assert_false(ops->channels_pay(p.backend, &p.w, 0, 0));
    }
    product_close(&p);
}

/* --- models ----------------------------------------------------------------------------------- */

#define LAYERS 3
#define VOCAB 256
#define FFN 1024

static char path[1024];

static void make_model(rwkv_dtype dtype)
{
    const rwkv_random_model shape = {.n_layer = LAYERS,
                                     .n_embd = 256,
                                     .n_vocab = VOCAB,
                                     .n_ffn = FFN,
                                     .dtype = dtype,
                                     .seed = 3};
    rwkv_error err = {0};
    snprintf(path, sizeof path, "/tmp/rwkv-test-%ld-zeros.gguf", (long)getpid());
    if (rwkv_random_model_write(path, &shape, &err))
        fail_msg("%s", err.message);
}

static rwkv_model *open_with(const char *cpu, rwkv_zeros zeros)
{
    rwkv_model *m = NULL;
    rwkv_error err = {0};
    const rwkv_model_options options = {.threads = 2, .cpu = cpu, .zeros = zeros, .vocab = "bytes"};
    if (rwkv_model_open(path, &options, &m, &err))
        fail_msg("%s", err.message);
    return m;
}

/* One token at a time, with prompts and a second session between: the logits of all of it. */
#define STEPS 12
static void walk(rwkv_model *m, float logits[STEPS][VOCAB])
{
    rwkv_session *a = new_session(m), *b = new_session(m);
    for (size_t i = 0; i < STEPS; i++) {
        const int32_t tokens[] = {(int32_t)(i * 29 % VOCAB), 5, (int32_t)i, 9};
        const rwkv_segment both[] = {{a, tokens, 1, NULL, NULL}, {b, tokens + 1, 2, NULL, NULL}};
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
    float without[STEPS][VOCAB], with[STEPS][VOCAB];
    rwkv_model *off = open_with(cpu, RWKV_ZEROS_OFF), *on = open_with(cpu, RWKV_ZEROS_ON);
    rwkv_model_zeros z;
    rwkv_model_info info;
    walk(off, without);
    for (int round = 0; round < 2; round++) {
        walk(on, with);
        assert_memory_equal(with, without, sizeof with);
    }
    rwkv_model_get_zeros(off, &z);
    assert_int_equal(z.inputs, LAYERS * FFN * (STEPS / 2)); /* half of the steps are of one token */
    assert_true(z.zeros > z.inputs / 5 && z.zeros < z.inputs / 5 * 4);
    assert_int_equal(z.layers, 0);
    rwkv_model_get_info(on, &info);
    rwkv_model_get_zeros(on, &z);
    assert_int_equal(z.layers, info.zeros_bytes ? LAYERS : 0);
    assert_int_equal(z.bytes, info.zeros_bytes);
    rwkv_model_close(on);
    rwkv_model_close(off);
}

static void models(void **state)
{
    (void)state;
    static const rwkv_dtype types[] = {RWKV_DTYPE_F16,  RWKV_DTYPE_BF16, RWKV_DTYPE_Q8_0,
                                       RWKV_DTYPE_Q4_0, RWKV_DTYPE_Q4_K, RWKV_DTYPE_Q6_K};
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

/* By itself it begins after so many tokens as tell the share of zeros. */
static void by_itself(void **state)
{
    (void)state;
    make_model(RWKV_DTYPE_Q8_0);
    rwkv_model *m = open_with(NULL, RWKV_ZEROS_AUTO);
    rwkv_session *s = new_session(m);
    rwkv_model_zeros z;
    rwkv_model_info info;
    const int32_t token = 7;
    for (int i = 0; i < 31; i++)
        assert_int_equal(rwkv_session_eval(s, &token, 1, NULL), RWKV_OK);
    rwkv_model_get_zeros(m, &z);
    assert_int_equal(z.layers, 0);
    for (int i = 0; i < LAYERS; i++)
        assert_int_equal(rwkv_session_eval(s, &token, 1, NULL), RWKV_OK);
    rwkv_model_get_zeros(m, &z);
    rwkv_model_get_info(m, &info);
    assert_int_equal(z.layers, info.zeros_bytes ? LAYERS : 0);
    rwkv_session_free(s);
    rwkv_model_close(m);
    unlink(path);
}

/* No copy beyond the limit of memory. */
static void limited(void **state)
{
    (void)state;
    make_model(RWKV_DTYPE_Q8_0);
    rwkv_model_info info;
    assert_int_equal(rwkv_model_plan(path, NULL, &info, NULL), RWKV_OK);
    rwkv_model_options options = {.zeros = RWKV_ZEROS_ON};
    options.memory_limit =
        info.private_bytes + info.state_bytes + info.scratch_bytes + info.zeros_bytes / LAYERS;
    rwkv_model *m = NULL;
    assert_int_equal(rwkv_model_open(path, &options, &m, NULL), RWKV_OK);
    rwkv_session *s = new_session(m);
    const int32_t token = 7;
    for (int i = 0; i < 5; i++)
        assert_int_equal(rwkv_session_eval(s, &token, 1, NULL), RWKV_OK);
    rwkv_model_zeros z;
    rwkv_model_get_zeros(m, &z);
    assert_int_equal(z.layers, info.zeros_bytes ? 1 : 0);
    rwkv_session_free(s);
    rwkv_model_close(m);
    unlink(path);
}

/* Sessions of several threads, while copies are made and looked at. */
static void *decode(void *user)
{
    rwkv_model *m = user;
    rwkv_session *s = new_session(m);
    rwkv_model_zeros z;
    for (int32_t i = 0; i < 6; i++) {
        assert_int_equal(rwkv_session_eval(s, &i, 1, NULL), RWKV_OK);
        rwkv_model_get_zeros(m, &z);
        assert_true(z.zeros < z.inputs);
    }
    rwkv_session_free(s);
    return NULL;
}

static void from_many_threads(void **state)
{
    (void)state;
    make_model(RWKV_DTYPE_Q8_0);
    rwkv_model *m = open_with(NULL, RWKV_ZEROS_ON);
    pthread_t threads[3];
    for (size_t i = 0; i < RW_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode, m), 0);
    for (size_t i = 0; i < RW_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    rwkv_model_close(m);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(not_finite),
        cmocka_unit_test(counts),
        cmocka_unit_test(models),
        cmocka_unit_test(by_itself),
        cmocka_unit_test(limited),
        cmocka_unit_test(from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
