/* SPDX-License-Identifier: Apache-2.0 */
/* Back through norms, token shift, functions of one element, and the loss. Body for one instruction
 * set; see vec/base.h. */

/* --- functions of one element ------------------------------------------------------------------
 */

VEC vf v_tanh_slope(vf y)
{
    return v_fma(v_negate(y), y, v_set(1));
}

VEC vf v_sigmoid_slope(vf y)
{
    return v_fma(v_negate(y), y, y);
}

VEC vf v_relu2_slope(vf y)
{
    vf root = v_sqrt(y);
    return v_add(root, root);
}

#define MAP_BACKWARD(name)                                             \
    static RW_MAP_BACKWARD_FN(VEC_NAME(name##_backward))               \
    {                                                                  \
        for (size_t i = 0; i < n; i += LANES) {                        \
            size_t m = n - i < LANES ? n - i : LANES;                  \
            vf slope = v_##name##_slope(load_some(y + i, m));          \
            store_some(dy + i, v_mul(load_some(dy + i, m), slope), m); \
        }                                                              \
    }
MAP_BACKWARD(tanh)
MAP_BACKWARD(sigmoid)
MAP_BACKWARD(relu2)

/* --- token shift -------------------------------------------------------------------------------
 */

static RW_MIX_BACKWARD_FN(VEC_NAME(mix_backward))
{
    for (size_t c = 0; c < n; c += LANES) {
        size_t m = n - c < LANES ? n - c : LANES;
        vf kept = v_zero(), given = v_zero();
        for (size_t i = 0; i < n_mix; i++) {
            vf d = load_some(dout[i] + c, m), part = load_some(mu[i] + c, m);
            kept = v_fma(d, v_sub(v_set(1), part), kept);
            given = v_fma(d, part, given);
        }
        store_some(own + c, kept, m);
        store_some(carry + c, given, m);
    }
}

static RW_MIX_WEIGHTS_FN(VEC_NAME(mix_weights))
{
    for (size_t c = 0; c < n; c += LANES) {
        size_t m = n - c < LANES ? n - c : LANES;
        vf step = v_sub(load_some(prev + c, m), load_some(x + c, m));
        for (size_t i = 0; i < n_mix; i++) {
            vf sum = v_fma(load_some(dout[i] + c, m), step, load_some(dmu[i] + c, m));
            store_some(dmu[i] + c, sum, m);
        }
    }
}

/* --- norms -------------------------------------------------------------------------------------
 */

static RW_LAYER_NORM_BACKWARD_FN(VEC_NAME(layer_norm_backward))
{
    stats[0] = mean_of(x, n);
    stats[1] = inverse_deviation(x, stats[0], eps, n);
    vf mean = v_set(stats[0]), scale = v_set(stats[1]), sum = v_zero(), along = v_zero();
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        vf hat = v_mul(v_sub(load_some(x + i, m), mean), scale);
        vf tau = v_mul(load_some(dy + i, m), load_some(weight + i, m));
        sum = v_add(sum, tau);
        along = v_fma(tau, m < LANES ? v_keep(hat, m) : hat, along);
    }
    vf tau_mean = v_set(v_sum(sum) / (float)n), along_mean = v_set(v_sum(along) / (float)n);
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        vf hat = v_mul(v_sub(load_some(x + i, m), mean), scale);
        vf tau = v_mul(load_some(dy + i, m), load_some(weight + i, m));
        vf d = v_mul(scale, v_fma(v_negate(hat), along_mean, v_sub(tau, tau_mean)));
        store_some(dx + i, add ? v_add(load_some(dx + i, m), d) : d, m);
    }
}

static RW_NORM_WEIGHTS_FN(VEC_NAME(norm_weights))
{
    vf mean = v_set(stats[0]), scale = v_set(stats[1]);
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        vf hat = v_mul(v_sub(load_some(x + i, m), mean), scale), d = load_some(dy + i, m);
        store_some(dweight + i, v_fma(d, hat, load_some(dweight + i, m)), m);
        store_some(dbias + i, v_add(load_some(dbias + i, m), d), m);
    }
}

/* --- loss --------------------------------------------------------------------------------------
 */

#define LOSS_BLOCK ((size_t)64 * LANES) /* terms added up in single precision */

/* The largest of n; NaN does not count. */
VEC float largest_of(const float *x, size_t n)
{
    float lanes[LANES], most = -INFINITY;
    vf top = v_set(most);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        top = v_max(v_load(x + i), top);
    v_store(lanes, top);
    for (size_t j = 0; j < LANES; j++)
        most = lanes[j] > most ? lanes[j] : most;
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* x = exp(x − top); their sum. */
VEC double exponentials(float *x, float top, size_t n)
{
    double total = 0;
    vf center = v_set(top);
    for (size_t block = 0; block < n; block += LOSS_BLOCK) {
        size_t end = n - block < LOSS_BLOCK ? n : block + LOSS_BLOCK;
        vf sum = v_zero();
        for (size_t i = block; i < end; i += LANES) {
            size_t m = end - i < LANES ? end - i : LANES;
            vf e = v_exp(v_sub(load_some(x + i, m), center));
            store_some(x + i, e, m);
            sum = v_add(sum, m < LANES ? v_keep(e, m) : e);
        }
        total += (double)v_sum(sum);
    }
    return total;
}

static RW_CROSS_ENTROPY_FN(VEC_NAME(cross_entropy))
{
    float top = largest_of(x, n), wanted = x[target];
    size_t first = 0;
    while (first + 1 < n && x[first] != top)
        first++;
    double sum = exponentials(x, top, n);
    double at_target = ((double)x[target] / sum - 1) * (double)scale;
    vf factor = v_set((float)((double)scale / sum));
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        store_some(x + i, v_mul(load_some(x + i, m), factor), m);
    }
    x[target] = (float)at_target;
    x[first] += scale * l2wrap * top;
    return log(sum) + (double)top - (double)wanted;
}

static void put_backward(struct rw_kernels *kernels)
{
    kernels->tanh_backward = VEC_NAME(tanh_backward);
    kernels->sigmoid_backward = VEC_NAME(sigmoid_backward);
    kernels->relu2_backward = VEC_NAME(relu2_backward);
    kernels->mix_backward = VEC_NAME(mix_backward);
    kernels->mix_weights = VEC_NAME(mix_weights);
    kernels->layer_norm_backward = VEC_NAME(layer_norm_backward);
    kernels->norm_weights = VEC_NAME(norm_weights);
    kernels->cross_entropy = VEC_NAME(cross_entropy);
}
