/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of training on the CPU, in both precisions: against sums in double; and the same bits
 * for any number of threads, and for a batch in one piece or in several.
 */
#include "backward.h"

#include "base/half.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

enum { PT = 300, PR = 270, PK = 530 }; /* more than a tile each way */

struct product {
    float *dy, *w, *x, *dx, *dw;
};

static void product_new(struct product *p, uint64_t seed)
{
    struct rw_rng rng;

    rw_rng_init(&rng, seed);
    p->dy = filled(&rng, PT * PR);
    p->w = filled(&rng, PR * PK);
    p->x = filled(&rng, PT * PK);
    p->dx = filled(&rng, PT * PK);
    p->dw = filled(&rng, PR * PK);
}

static void product_free(struct product *p)
{
    rw_free(p->dy);
    rw_free(p->w);
    rw_free(p->x);
    rw_free(p->dx);
    rw_free(p->dw);
}

static float rounded(float x, enum rw_precision precision)
{
    return precision == RW_PRECISION_BF16 ? rw_bf16_to_f32(rw_f32_to_bf16(x)) : x;
}

/* Σ a[i·step_a] b[i·step_b] from `sum` on, and the sum of absolute values. */
static double chain(const float *a, size_t step_a, const float *b, size_t step_b, size_t n,
                    enum rw_precision precision, double *size, double sum)
{
    *size = fabs(sum);
    for (size_t i = 0; i < n; i++) {
        double term =
            (double)rounded(a[i * step_a], precision) * (double)rounded(b[i * step_b], precision);
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

static void check_sum(const char *what, size_t i, double want, float got, double size, size_t n)
{
    if (!(fabs((double)got - want) <= 2 * sqrt((double)n) * 0x1p-24 * size))
        fail_msg("%s[%zu]: want %g, found %g", what, i, want, (double)got);
}

static void test_products(void **state)
{
    struct product p;
    double size, want;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        enum rw_precision precision = i < 2 ? RW_PRECISION_F32 : RW_PRECISION_BF16;
        struct rw_backend *be = open_backend(2, machines[i % 2], PT);
        size_t dx_at = PK * 299 + 21, dw_at = PK * 204 + 529;

        product_new(&p, 9);
        double dx0 = (double)p.dx[dx_at], dw0 = (double)p.dw[dw_at];
        const struct rw_matmul_dx dx[] = {{p.dx, p.dy, p.w, PR, PK, true}};
        const struct rw_matmul_dw dw[] = {{p.dw, p.dy, p.x, PR, PK}};
        be->ops->backward->matmul_dx(be, dx, 1, PT, precision);
        be->ops->backward->matmul_dw(be, dw, 1, PT, precision);
        want = chain(p.dy + 299 * PR, 1, p.w + 21, PK, PR, precision, &size, dx0);
        check_sum("dx", dx_at, want, p.dx[dx_at], size, PR);
        want = chain(p.dy + 204, PR, p.x + 529, PK, PT, precision, &size, dw0);
        check_sum("dw", dw_at, want, p.dw[dw_at], size, PT);
        be->ops->free(be);
        product_free(&p);
    }
}

/* The forward pass's products with rounded operands, and what becomes of them. */
static void test_forward_products(void **state)
{
    struct product p;
    double size, want;

    (void)state;
    for (enum rw_epilogue e = RW_STORE; e <= RW_RELU2; e++) {
        struct rw_backend *be = open_backend(2, machines[e % 2], PT);
        size_t at = 299 * PR + 269;

        product_new(&p, 10);
        for (size_t i = 0; i < PT * PK; i++)
            p.x[i] *= 0.05f;
        float before = p.dy[at];
        const struct rw_weight w = {p.w, RWKV_DTYPE_F32, false, PR, PK, PK * sizeof(float)};
        const struct rw_matmul op = {p.dy, p.x, &w, e};
        be->ops->backward->matmul(be, &op, 1, PT, RW_PRECISION_BF16);
        want = chain(p.x + 299 * PK, 1, p.w + 269 * PK, 1, PK, RW_PRECISION_BF16, &size,
                     e == RW_ADD ? (double)before : 0);
        want = e == RW_TANH      ? tanh(want)
               : e == RW_SIGMOID ? sigmoid(want)
               : e == RW_RELU2   ? pow(fmax(want, 0), 2)
                                 : want;
        check_sum("y", at, want, p.dy[at], e == RW_RELU2 ? 2 * size * size : size + 1, PK);
        be->ops->free(be);
        product_free(&p);
    }
}

/* dw of all tokens at once, and of one part after the other, even in BF16 (of even lengths); dx of
 * all tokens or some; on any number of threads; and several products in one list. */
static void product_bits(enum rw_precision precision, size_t cut)
{
    struct product whole, parts;
    struct rw_backend *be = open_backend(1, rw_cpu_detect(), PT);

    product_new(&whole, 11);
    const struct rw_matmul_dx dx = {whole.dx, whole.dy, whole.w, PR, PK, false};
    const struct rw_matmul_dw dw = {whole.dw, whole.dy, whole.x, PR, PK};
    be->ops->backward->matmul_dx(be, &dx, 1, PT, precision);
    be->ops->backward->matmul_dw(be, &dw, 1, PT, precision);
    be->ops->free(be);
    for (size_t threads = 1; threads <= 3; threads++) {
        product_new(&parts, 11);
        be = open_backend(threads, rw_cpu_detect(), PT);
        for (size_t t = 0; t < PT; t += cut) {
            size_t n = RW_MIN(PT - t, cut);
            const struct rw_matmul_dx d[] = {
                {parts.dx + t * PK, parts.dy + t * PR, parts.w, PR, PK, false},
                {whole.x, parts.dy + t * PR, parts.w, PR, PK, false}};
            const struct rw_matmul_dw sum = {parts.dw, parts.dy + t * PR, parts.x + t * PK, PR, PK};
            be->ops->backward->matmul_dx(be, d, 2, n, precision);
            be->ops->backward->matmul_dw(be, &sum, 1, n, precision);
            assert_memory_equal(whole.x, parts.dx + t * PK, n * PK * sizeof(float));
        }
        assert_memory_equal(whole.dx, parts.dx, PT * PK * sizeof(float));
        assert_memory_equal(whole.dw, parts.dw, PR * PK * sizeof(float));
        be->ops->free(be);
        product_free(&parts);
    }
    product_free(&whole);
}

static void test_product_bits(void **state)
{
    (void)state;
    product_bits(RW_PRECISION_F32, 101);
    product_bits(RW_PRECISION_BF16, 46);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_forward_products),
        cmocka_unit_test(test_product_bits),
    };

    machines[1] = rw_cpu_detect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
