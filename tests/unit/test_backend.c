/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend/cpu: a product has the same bits whatever the number of tokens and threads, at sizes that
 * are cut into panels, pieces and blocks of tokens; so have the norms and heads of several spans.
 */
#include "unit.h"

#include <math.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/rng.h"
#include "tensor/dtype.h"

#define MANY_TOKENS 200 /* more than the backend takes at a time */

static struct rw_backend *open_backend(size_t threads, unsigned cpu, size_t tokens, size_t cols)
{
    struct rw_backend *be = NULL;
    rwkv_error err;

    assert_int_equal(rw_backend_cpu_new(&be, threads, cpu, &err), RWKV_OK);
    assert_int_equal(be->ops->prepare(be, tokens, cols, &err), RWKV_OK);
    return be;
}

static void fill(struct rw_rng *rng, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rw_rng_normal(rng);
}

/* Random bits whose 16-bit halves are finite and moderate in every type: scales and values alike.
 */
static void fill_weight(struct rw_rng *rng, uint8_t *w, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        w[i] = (uint8_t)(i % 2 ? 0x20 | (rw_rng_u64(rng) & 0x9f) : rw_rng_u64(rng));
}

struct product {
    struct rw_weight w;
    uint8_t *data;
    float *x, *y, *one;
    size_t tokens;
};

static void product_open(struct product *p, struct rw_rng *rng, rwkv_dtype dtype, bool input_major,
                         size_t rows, size_t cols)
{
    const struct rw_dtype_info *type = rw_dtype(dtype);
    size_t stride = (input_major ? rows : cols) / type->block * type->bytes;
    size_t bytes = (input_major ? cols : rows) * stride;

    p->tokens = MANY_TOKENS;
    p->data = rw_alloc(bytes, 1);
    p->x = rw_alloc(p->tokens * cols, sizeof(float));
    p->y = rw_alloc(p->tokens * rows, sizeof(float));
    p->one = rw_alloc(rows, sizeof(float));
    assert_true(p->data && p->x && p->y && p->one);
    fill_weight(rng, p->data, bytes);
    fill(rng, p->x, p->tokens * cols);
    p->w = (struct rw_weight){p->data, dtype, input_major, rows, cols, stride};
}

static void product_close(struct product *p)
{
    rw_free(p->data);
    rw_free(p->x);
    rw_free(p->y);
    rw_free(p->one);
}

/* All tokens together against one at a time, on another number of threads. */
static void check_product(struct product *p, unsigned cpu, size_t tokens, enum rw_epilogue epilogue)
{
    struct rw_backend *many = open_backend(3, cpu, tokens, p->w.cols);
    struct rw_backend *single = open_backend(1, cpu, 1, p->w.cols);
    size_t rows = p->w.rows;

    for (size_t i = 0; i < tokens * rows; i++)
        p->y[i] = (float)(i % 7);
    const struct rw_matmul op = {p->y, p->x, &p->w, epilogue};
    many->ops->matmul(many, &op, 1, tokens);
    for (size_t t = 0; t<tokens; t += tokens> 8 ? 37 : 1) {
        for (size_t r = 0; r < rows; r++)
            p->one[r] = (float)((t * rows + r) % 7);
        const struct rw_matmul alone = {p->one, p->x + t * p->w.cols, &p->w, epilogue};
        single->ops->matmul(single, &alone, 1, 1);
        assert_memory_equal(p->one, p->y + t * rows, rows * sizeof(float));
    }
    many->ops->free(many);
    single->ops->free(single);
}

/* More products in one list than are done at the same time: each as if alone. */
static void check_list(struct product *p, unsigned cpu, size_t tokens)
{
    enum { OPS = 11 };
    struct rw_backend *be = open_backend(2, cpu, tokens, p->w.cols);
    size_t n = tokens * p->w.rows;
    float *y = rw_alloc(OPS * n, sizeof *y);
    struct rw_matmul ops[OPS];

    assert_non_null(y);
    for (size_t i = 0; i < OPS; i++)
        ops[i] = (struct rw_matmul){y + i * n, p->x + i * p->w.cols, &p->w, RW_STORE};
    be->ops->matmul(be, ops, OPS, tokens);
    for (size_t i = 0; i < OPS; i++) {
        const struct rw_matmul alone = {p->y, ops[i].x, &p->w, RW_STORE};
        be->ops->matmul(be, &alone, 1, tokens);
        assert_memory_equal(y + i * n, p->y, n * sizeof *y);
    }
    be->ops->free(be);
    rw_free(y);
}

static void test_products(void **state)
{
    static const struct {
        size_t rows, cols;
    } shapes[] = {{70, 256}, {65, 2304}, {3, 1280}};
    struct rw_rng rng;
    struct product p;

    (void)state;
    rw_rng_init(&rng, 1);
    for (rwkv_dtype dtype = 0; dtype < RWKV_DTYPE_MODEL_COUNT; dtype++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            product_open(&p, &rng, dtype, false, shapes[s].rows, shapes[s].cols);
            check_product(&p, rw_cpu_detect(), 5, s ? RW_STORE : RW_ADD);
            product_close(&p);
        }
}

/* More tokens than are taken at a time, with every epilogue. */
static void test_many_tokens(void **state)
{
    struct rw_rng rng;
    struct product p;

    (void)state;
    rw_rng_init(&rng, 2);
    product_open(&p, &rng, RWKV_DTYPE_BF16, false, 68, 1040);
    for (enum rw_epilogue e = RW_STORE; e <= RW_RELU2; e++)
        check_product(&p, rw_cpu_detect(), MANY_TOKENS, e);
    check_product(&p, 0, 9, RW_STORE);
    product_close(&p);
}

/* How far the outputs of two instruction sets are apart, against their size. */
static double difference(struct product *p, unsigned a, unsigned b)
{
    struct rw_backend *first = open_backend(1, a, 1, p->w.cols);
    struct rw_backend *second = open_backend(1, b, 1, p->w.cols);
    const struct rw_matmul ops[] = {{p->y, p->x, &p->w, RW_STORE}, {p->one, p->x, &p->w, RW_STORE}};
    double squares = 0, size = 0;

    first->ops->matmul(first, &ops[0], 1, 1);
    second->ops->matmul(second, &ops[1], 1, 1);
    for (size_t r = 0; r < p->w.rows; r++) {
        squares += pow((double)p->y[r] - (double)p->one[r], 2);
        size += pow((double)p->y[r], 2);
    }
    first->ops->free(first);
    second->ops->free(second);
    return sqrt(squares / size);
}

/* Where the machine can, large weights of BF16 meet rounded activations, and no others. */
static void test_use_of_bf16(void **state)
{
    unsigned cpu = rw_cpu_detect(), without = cpu & ~(unsigned)RW_CPU_AVX512_BF16;
    struct rw_rng rng;
    struct product p;

    (void)state;
    if (cpu == without)
        skip();
    rw_rng_init(&rng, 6);
    product_open(&p, &rng, RWKV_DTYPE_BF16, false, 512, 512);
    double d = difference(&p, cpu, without);
    assert_true(d > 1e-5 && d < 1e-2);
    p.w.rows--;
    assert_true(difference(&p, cpu, without) == 0);
    product_close(&p);
    product_open(&p, &rng, RWKV_DTYPE_BF16, true, 512, 512);
    assert_true(difference(&p, cpu, without) == 0);
    product_close(&p);
}

/* Large weights of BF16 may be multiplied in BF16, several at once. */
static void test_bf16(void **state)
{
    struct rw_rng rng;
    struct product p;

    (void)state;
    rw_rng_init(&rng, 5);
    product_open(&p, &rng, RWKV_DTYPE_BF16, false, 530, 2100);
    check_product(&p, rw_cpu_detect(), 5, RW_ADD);
    check_product(&p, rw_cpu_detect(), 1, RW_STORE);
    check_list(&p, rw_cpu_detect(), 13);
    product_close(&p);
}

static void test_input_major(void **state)
{
    static const rwkv_dtype plain[] = {RWKV_DTYPE_F32, RWKV_DTYPE_F16, RWKV_DTYPE_BF16};
    struct rw_rng rng;
    struct product p;

    (void)state;
    rw_rng_init(&rng, 3);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        product_open(&p, &rng, plain[i], true, 70, 1100);
        check_product(&p, rw_cpu_detect(), 5, RW_TANH);
        check_product(&p, 0, 5, RW_STORE);
        product_close(&p);
    }
}

/* --- norm and token shift, heads: spans of several sequences against one at a time -------------
 */

#define C 128
#define HEAD 64
#define STATE (C + C * HEAD)

static const size_t counts[] = {1, 9, 1, 1, 30, 8, 16, 1};
#define SPANS (sizeof counts / sizeof *counts)
#define TOKENS (1 + 9 + 1 + 1 + 30 + 8 + 16 + 1)

struct time_mix {
    float in[8][TOKENS * C], out[2][TOKENS * C], state[SPANS][STATE], parameters[8][C];
};

static void mix_spans(struct rw_backend *be, struct time_mix *m, size_t first, size_t n_spans)
{
    struct rw_span spans[SPANS];
    size_t at = 0, begin = 0;

    for (size_t s = 0; s < first; s++)
        begin += counts[s];
    for (size_t s = 0; s < n_spans; at += counts[first + s++])
        spans[s] = (struct rw_span){at, counts[first + s], m->state[first + s]};
    const struct rw_batch batch = {at, n_spans, spans};
    float *out[] = {m->out[0] + begin * C};
    const float *mu[] = {m->parameters[0]};
    const struct rw_norm_mix norm_mix = {.norm = m->in[7] + begin * C,
                                         .out = out,
                                         .x = m->in[0] + begin * C,
                                         .weight = m->parameters[1],
                                         .bias = m->parameters[2],
                                         .mu = mu,
                                         .n_mix = 1,
                                         .eps = 1e-5f,
                                         .channels = C};
    be->ops->norm_mix(be, &norm_mix, &batch);
    const struct rw_wkv7 wkv7 = {.out = m->out[1] + begin * C,
                                 .y = m->out[1] + begin * C,
                                 .r = m->in[1] + begin * C,
                                 .g = m->in[0] + begin * C,
                                 .w = m->in[2] + begin * C,
                                 .k = m->in[3] + begin * C,
                                 .v = m->in[4] + begin * C,
                                 .a = m->in[5] + begin * C,
                                 .b = m->in[6] + begin * C,
                                 .w0 = m->parameters[3],
                                 .a0 = m->parameters[4],
                                 .k_k = m->parameters[5],
                                 .k_a = m->parameters[6],
                                 .r_k = m->parameters[7],
                                 .norm_weight = m->parameters[1],
                                 .norm_bias = m->parameters[2],
                                 .eps = 1e-5f,
                                 .state = C,
                                 .heads = C / HEAD,
                                 .head_size = HEAD};
    be->ops->wkv7(be, &wkv7, &batch);
}

static void test_spans(void **state)
{
    struct time_mix *together = rw_alloc(1, sizeof *together), *alone = rw_alloc(1, sizeof *alone);
    struct rw_backend *many = open_backend(3, rw_cpu_detect(), TOKENS, C);
    struct rw_backend *single = open_backend(1, rw_cpu_detect(), TOKENS, C);
    struct rw_rng rng;

    (void)state;
    assert_true(together && alone);
    rw_rng_init(&rng, 4);
    fill(&rng, (float *)together, sizeof *together / sizeof(float));
    memcpy(alone, together, sizeof *alone);
    mix_spans(many, together, 0, SPANS);
    for (size_t s = 0; s < SPANS; s++)
        mix_spans(single, alone, s, 1);
    assert_memory_equal(together, alone, sizeof *alone);
    many->ops->free(many);
    single->ops->free(single);
    rw_free(together);
    rw_free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),    cmocka_unit_test(test_many_tokens),
        cmocka_unit_test(test_use_of_bf16), cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_input_major), cmocka_unit_test(test_spans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
