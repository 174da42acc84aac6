/* SPDX-License-Identifier: Apache-2.0 */
/* Initial weights: every formula, orthogonal matrices and their distribution, seeds. */
#include "unit.h"

#include <math.h>

#include "base/pool.h"
#include "train/init.h"

#define MOST 4096 /* elements of a matrix here */

static struct rw_pool *pool;

static void orthogonal(float *out, size_t rows, size_t cols, float gain, uint64_t seed)
{
    assert_int_equal(rw_init_orthogonal(out, rows, cols, gain, seed, pool, NULL), RWKV_OK);
}

/* The largest difference of QᵀQ (or QQᵀ, of a wide matrix) from gain² times the unit matrix. */
static double distance(const float *q, size_t rows, size_t cols, double gain)
{
    bool tall = rows > cols;
    size_t k = tall ? cols : rows, n = tall ? rows : cols;
    double largest = 0;
    for (size_t a = 0; a < k; a++)
        for (size_t b = 0; b < k; b++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += tall ? (double)q[i * cols + a] * (double)q[i * cols + b]
                            : (double)q[a * cols + i] * (double)q[b * cols + i];
            largest = fmax(largest, fabs(sum - (a == b ? gain * gain : 0)));
        }
    return largest;
}

static void test_orthonormal(void **state)
{
    static const size_t shapes[][2] = {{1, 1},   {1, 7},   {7, 1},   {5, 5},   {33, 33}, {64, 32},
                                       {32, 64}, {61, 17}, {17, 61}, {100, 3}, {64, 64}};
    float q[MOST];
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        orthogonal(q, shapes[i][0], shapes[i][1], 1, i);
        assert_true(distance(q, shapes[i][0], shapes[i][1], 1) < 2e-6);
        orthogonal(q, shapes[i][0], shapes[i][1], 0.1f, i);
        assert_true(distance(q, shapes[i][0], shapes[i][1], 0.1) < 2e-8);
    }
}

/* Moments of the uniform distribution over orthogonal 3 × 3 matrices: of an element 0, 1/3, and of
 * its fourth power 3/15; of the trace 0 and 1. Without R's signs the diagonal would be lopsided. */
static void test_distribution(void **state)
{
    enum { DRAWS = 4000 };
    double first[9] = {0}, second[9] = {0}, fourth[9] = {0}, trace = 0, trace_squared = 0;
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        float q[9];
        orthogonal(q, 3, 3, 1, seed);
        for (size_t i = 0; i < 9; i++) {
            double x = (double)q[i];
            first[i] += x / DRAWS;
            second[i] += x * x / DRAWS;
            fourth[i] += x * x * x * x / DRAWS;
        }
        double t = (double)q[0] + (double)q[4] + (double)q[8];
        trace += t / DRAWS;
        trace_squared += t * t / DRAWS;
    }
    for (size_t i = 0; i < 9; i++) {
        assert_true(fabs(first[i]) < 0.04);
        assert_true(fabs(second[i] - 1.0 / 3) < 0.02);
        assert_true(fabs(fourth[i] - 0.2) < 0.02);
    }
    assert_true(fabs(trace) < 0.06);
    assert_true(fabs(trace_squared - 1) < 0.06);
}

static void test_single(void **state)
{
    int positive = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        float q;
        orthogonal(&q, 1, 1, 1, seed);
        assert_true(fabsf(fabsf(q) - 1) < 1e-6f);
        positive += q > 0;
    }
    assert_in_range(positive, 70, 130);
}

/* L 3, C 8, N 4: values of the reference's formulas, computed in Python. */
static const struct {
    enum rw_spec_id id;
    size_t block;
    float values[8];
} expected[] = {
    {RW_SPEC_x_r,
     0,
     {1, 0.340246f, 0.2421417f, 0.1781241f, 0.1294494f, 0.0897179f, 0.05591249f, 0.02635282f}},
    {RW_SPEC_x_w,
     0,
     {1, 0.8461069f, 0.7128254f, 0.5863547f, 0.4641133f, 0.3449235f, 0.2281105f, 0.1132376f}},
    {RW_SPEC_x_k,
     0,
     {1, 0.7667418f, 0.6210709f, 0.4967058f, 0.3844278f, 0.2803588f, 0.1823962f, 0.08923646f}},
    {RW_SPEC_ffn_x_k, 0, {1, 0.875f, 0.75f, 0.625f, 0.5f, 0.375f, 0.25f, 0.125f}},
    {RW_SPEC_w0,
     0,
     {-8, -4.920635f, -3.507937f, -0.4285714f, -4.571429f, -1.492063f, -0.07936508f, 3}},
    {RW_SPEC_a0,
     0,
     {-0.69f, -0.3661905f, -0.242381f, 0.08142857f, -0.4614286f, -0.137619f, -0.01380952f, 0.31f}},
    {RW_SPEC_v0,
     0,
     {0.93f, 0.8728571f, 0.8157143f, 0.7585714f, 0.7014286f, 0.6442857f, 0.5871429f, 0.53f}},
    {RW_SPEC_k_k,
     0,
     {0.76f, 0.7457143f, 0.7314286f, 0.7171429f, 0.7028571f, 0.6885714f, 0.6742857f, 0.66f}},
    {RW_SPEC_ln_x_weight,
     0,
     {0.4634631f, 0.4634631f, 0.4634631f, 0.4634631f, 0.4634631f, 0.4634631f, 0.4634631f,
      0.4634631f}},
    {RW_SPEC_x_r,
     1,
     {1, 0.2421417f, 0.1687621f, 0.1225868f, 0.08827751f, 0.06074395f, 0.03763127f, 0.01764663f}},
    {RW_SPEC_x_w,
     1,
     {1, 0.7128254f, 0.5647247f, 0.4448392f, 0.340246f, 0.245728f, 0.1585336f, 0.07699335f}},
    {RW_SPEC_x_k,
     1,
     {1, 0.6210709f, 0.4763529f, 0.3672756f, 0.2763654f, 0.1969474f, 0.12563f, 0.0604128f}},
    {RW_SPEC_ffn_x_k,
     1,
     {1, 0.3368499f, 0.2395432f, 0.1761313f, 0.1279582f, 0.0886609f, 0.05524164f, 0.02603175f}},
    {RW_SPEC_w0,
     1,
     {-8, -5.601328f, -4.602549f, -1.707935f, -5.823769f, -2.516931f, -0.6846164f, 3}},
    {RW_SPEC_ln_x_weight,
     1,
     {0.752898f, 0.752898f, 0.752898f, 0.752898f, 0.752898f, 0.752898f, 0.752898f, 0.752898f}},
    {RW_SPEC_x_r,
     2,
     {1, 0.1294494f, 0.08827751f, 0.06329663f, 0.0451584f, 0.03084777f, 0.01899606f, 0.008862587f}},
    {RW_SPEC_x_w,
     2,
     {1, 0.4641133f, 0.340246f, 0.2549089f, 0.1877476f, 0.1315116f, 0.08268525f, 0.03926765f}},
    {RW_SPEC_x_k,
     2,
     {1, 0.3844278f, 0.2763654f, 0.2045602f, 0.1493328f, 0.103868f, 0.06492245f, 0.03067694f}},
    {RW_SPEC_ffn_x_k,
     2,
     {1, 0.02534539f, 0.01696912f, 0.01203598f, 0.008520863f, 0.005785712f, 0.003545331f,
      0.001647178f}},
    {RW_SPEC_w0,
     2,
     {-8, -5.655329f, -4.732426f, -1.897959f, -6.040816f, -2.716553f, -0.814059f, 3}},
    {RW_SPEC_ln_x_weight, 2, {1, 1, 1, 1, 1, 1, 1, 1}},
};

static const struct rw_sizes small = {
    .n_layer = 3, .n_embd = 8, .n_vocab = 20, .n_ffn = 32, .head_size = 4};

static void fill(float *out, enum rw_spec_id id, size_t block, size_t rows, size_t cols,
                 uint64_t seed)
{
    const struct rw_init init = {.sizes = small, .seed = seed, .pool = pool};
    assert_int_equal(rw_init_tensor(out, &init, id, block, rows, cols, NULL), RWKV_OK);
}

static void check_vector(enum rw_spec_id id, size_t block, const float *wanted)
{
    float found[8];
    fill(found, id, block, 1, 8, 1);
    for (size_t i = 0; i < 8; i++)
        if (!(fabsf(found[i] - wanted[i]) <= 2e-6f))
            fail_msg("%s of block %zu, element %zu: wanted %g, found %g",
                     rw_rwkv7_specs[id].names[0], block, i, (double)wanted[i], (double)found[i]);
}

static void check_constant(enum rw_spec_id id, float value)
{
    const float wanted[] = {value, value, value, value, value, value, value, value};
    check_vector(id, 0, wanted);
    check_vector(id, 2, wanted);
}

static void test_vectors(void **state)
{
    static const struct {
        enum rw_spec_id id;
        float value;
    } constants[] = {
        {RW_SPEC_k_a, 1.02f},     {RW_SPEC_r_k, -0.04f},   {RW_SPEC_ln0_weight, 1},
        {RW_SPEC_ln1_weight, 1},  {RW_SPEC_ln2_weight, 1}, {RW_SPEC_ln_out_weight, 1},
        {RW_SPEC_ln0_bias, 0},    {RW_SPEC_ln1_bias, 0},   {RW_SPEC_ln2_bias, 0},
        {RW_SPEC_ln_out_bias, 0}, {RW_SPEC_ln_x_bias, 0},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        check_vector(expected[i].id, expected[i].block, expected[i].values);
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
        check_constant(constants[i].id, constants[i].value);
    /* These have the formula of another. */
    check_vector(RW_SPEC_x_g, 0, expected[0].values);
    check_vector(RW_SPEC_x_a, 0, expected[1].values);
    check_vector(RW_SPEC_x_v, 0, expected[2].values);
}

/* Which matrices are orthogonal, with which gain, in the orientation [out, in]. */
static void test_matrices(void **state)
{
    static const struct {
        enum rw_spec_id id;
        size_t rows, cols;
        double gain; /* 0: zeros */
    } wanted[] = {
        {RW_SPEC_att_r, 8, 8, 1},  {RW_SPEC_att_v, 8, 8, 1},  {RW_SPEC_att_k, 8, 8, 0.1},
        {RW_SPEC_att_o, 8, 8, 0},  {RW_SPEC_ffn_k, 32, 8, 1}, {RW_SPEC_ffn_v, 8, 32, 0},
        {RW_SPEC_w1, 4, 8, 0},     {RW_SPEC_a1, 4, 8, 0},     {RW_SPEC_v1, 4, 8, 0},
        {RW_SPEC_g1, 4, 8, 0},     {RW_SPEC_w2, 8, 4, 0.1},   {RW_SPEC_a2, 8, 4, 0.1},
        {RW_SPEC_v2, 8, 4, 0.1},   {RW_SPEC_g2, 8, 32, 0.2},  {RW_SPEC_head, 18, 8, 0.75},
        {RW_SPEC_head, 8, 8, 0.5}, {RW_SPEC_head, 4, 8, 0.5},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        float values[256], other[256];
        size_t rows = wanted[i].rows, cols = wanted[i].cols, bytes = rows * cols * sizeof *values;
        fill(values, wanted[i].id, 1, rows, cols, 1);
        assert_true(distance(values, rows, cols, wanted[i].gain) < 1e-6);
        fill(other, wanted[i].id, 2, rows, cols, 1);
        assert_true((memcmp(values, other, bytes) == 0) == (wanted[i].gain == 0));
    }
}

static void test_embedding(void **state)
{
    float values[160];
    double largest = 0, sum = 0;
    fill(values, RW_SPEC_emb, 0, 20, 8, 1);
    for (size_t i = 0; i < 160; i++) {
        largest = fmax(largest, fabs((double)values[i]));
        sum += (double)values[i];
    }
    assert_true(largest <= 1e-4 && largest > 0.9e-4);
    assert_true(fabs(sum / 160) < 2e-5);
}

static void test_seeds(void **state)
{
    static const enum rw_spec_id random[] = {RW_SPEC_emb, RW_SPEC_head, RW_SPEC_att_r, RW_SPEC_w2};
    struct rw_pool *many = rw_pool_new(3), *ours = pool;
    float a[64], b[64];
    for (size_t i = 0; i < sizeof random / sizeof random[0]; i++) {
        fill(a, random[i], 0, 8, 8, 5);
        pool = many;
        fill(b, random[i], 0, 8, 8, 5);
        pool = ours;
        assert_memory_equal(a, b, sizeof a);
        fill(b, random[i], 0, 8, 8, 6);
        assert_memory_not_equal(a, b, sizeof a);
    }
    fill(a, RW_SPEC_att_r, 0, 8, 8, 5);
    fill(b, RW_SPEC_att_v, 0, 8, 8, 5);
    assert_memory_not_equal(a, b, sizeof a);
    rw_pool_free(many);
}

static void test_ranks(void **state)
{
    static const size_t table[][5] = {
        {16, 32, 32, 32, 32},      {256, 32, 32, 32, 64},     {512, 64, 64, 32, 128},
        {768, 64, 64, 32, 128},    {1024, 64, 64, 64, 160},   {2048, 128, 128, 64, 224},
        {2560, 128, 128, 96, 256}, {4096, 160, 160, 96, 320},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rw_ranks r = rw_init_ranks(table[i][0]);
        assert_int_equal(r.w, table[i][1]);
        assert_int_equal(r.a, table[i][2]);
        assert_int_equal(r.v, table[i][3]);
        assert_int_equal(r.g, table[i][4]);
    }
}

static void test_sizes(void **state)
{
    rwkv_error err;
    assert_int_equal(rw_init_check(&small, &err), RWKV_OK);
    struct rw_sizes z = small;
    z.n_layer = 1;
    assert_int_equal(rw_init_check(&z, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, "initial weights: wanted at least 2 layers, found 1");
    z = small;
    z.head_size = 3;
    assert_int_equal(rw_init_check(&z, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, "initial weights: wanted a head size of 2 to 512 and a width "
                                     "that is a multiple of it, found 3 and 8");
    z = small;
    z.n_vocab = 0;
    assert_int_equal(rw_init_check(&z, &err), RWKV_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orthonormal), cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_single),      cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_matrices),    cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_seeds),       cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_sizes),
    };
    pool = rw_pool_new(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rw_pool_free(pool);
    return failed;
}
