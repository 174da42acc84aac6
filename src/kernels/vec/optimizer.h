/* SPDX-License-Identifier: Apache-2.0 */
/* What an optimizer does with gradients: their norm, and a step of AdamW. Body for one instruction
 * set; see vec/base.h. */
#define SQUARE_LANES 16 /* the same in every set */
#define SQUARE_VECTORS (SQUARE_LANES / LANES)

typedef float singles __attribute__((vector_size(LANES * sizeof(float)), aligned(1), may_alias));
typedef double doubles __attribute__((vector_size(LANES * sizeof(double))));

/* Squares of floats are exact in double precision. */
static RW_SUM_SQUARES_FN(VEC_NAME(sum_squares))
{
    doubles sum[SQUARE_VECTORS] = {{0}};
    double lane[SQUARE_LANES];
    size_t i = 0;
    for (; i + SQUARE_LANES <= n; i += SQUARE_LANES)
        EACH (v, SQUARE_VECTORS) {
            const singles *p = (const singles *)(const void *)(x + i + v * LANES);
            doubles wide = __builtin_convertvector(*p, doubles);
            sum[v] += wide * wide;
        }
    memcpy(lane, sum, sizeof lane);
    for (size_t j = 0; i + j < n; j++)
        lane[j] += (double)x[i + j] * (double)x[i + j];
    for (size_t half = SQUARE_LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

static RW_ADAMW_FN(VEC_NAME(adamw))
{
    vf beta1 = v_set(step->beta1), rest1 = v_set(step->rest1);
    vf beta2 = v_set(step->beta2), rest2 = v_set(step->rest2);
    for (size_t i = 0; i < n; i += LANES) {
        size_t k = n - i < LANES ? n - i : LANES;
        vf q = v_mul(load_some(g + i, k), v_set(step->scale)), was = load_some(p + i, k);
        vf first = v_fma(beta1, load_some(m + i, k), v_mul(rest1, q));
        vf second = v_fma(beta2, load_some(v + i, k), v_mul(v_mul(rest2, q), q));
        vf root = v_sqrt(v_mul(second, v_set(step->inverse_c2)));
        vf way = v_div(v_mul(first, v_set(step->inverse_c1)), v_add(root, v_set(step->eps)));
        way = v_fma(v_set(step->decay), was, way);
        store_some(m + i, first, k);
        store_some(v + i, second, k);
        store_some(p + i, v_fma(v_set(-step->lr), way, was), k);
    }
}

static void put_optimizer(struct rw_kernels *kernels)
{
    kernels->sum_squares = VEC_NAME(sum_squares);
    kernels->adamw = VEC_NAME(adamw);
}
