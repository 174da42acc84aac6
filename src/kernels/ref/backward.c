/* SPDX-License-Identifier: Apache-2.0 */
/* Back through norms, token shift, functions of one element, and the loss. */
#include <math.h>

#include "kernels/ref/ref_int.h"

static RW_MAP_BACKWARD_FN(tanh_backward_ref)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= fmaf(-y[i], y[i], 1);
}

static RW_MAP_BACKWARD_FN(sigmoid_backward_ref)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= fmaf(-y[i], y[i], y[i]);
}

static RW_MAP_BACKWARD_FN(relu2_backward_ref)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= 2 * sqrtf(y[i]);
}

static RW_MIX_BACKWARD_FN(mix_backward_ref)
{
    for (size_t c = 0; c < n; c++) {
        float kept = 0, given = 0;
        for (size_t i = 0; i < n_mix; i++) {
            kept = fmaf(dout[i][c], 1 - mu[i][c], kept);
            given = fmaf(dout[i][c], mu[i][c], given);
        }
        own[c] = kept;
        carry[c] = given;
    }
}

static RW_MIX_WEIGHTS_FN(mix_weights_ref)
{
    for (size_t i = 0; i < n_mix; i++)
        for (size_t c = 0; c < n; c++)
            dmu[i][c] = fmaf(dout[i][c], prev[c] - x[c], dmu[i][c]);
}

static RW_LAYER_NORM_BACKWARD_FN(layer_norm_backward_ref)
{
    float sum[LANES] = {0}, square[LANES] = {0}, tau[LANES] = {0}, along[LANES] = {0};
    for (size_t i = 0; i < n; i++)
        sum[i % LANES] += x[i];
    float mean = lanes_sum(sum) / (float)n;
    for (size_t i = 0; i < n; i++)
        square[i % LANES] += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / sqrtf(lanes_sum(square) / (float)n + eps);
    for (size_t i = 0; i < n; i++) {
        tau[i % LANES] += dy[i] * weight[i];
        along[i % LANES] += dy[i] * weight[i] * ((x[i] - mean) * scale);
    }
    float tau_mean = lanes_sum(tau) / (float)n, along_mean = lanes_sum(along) / (float)n;
    for (size_t i = 0; i < n; i++) {
        float hat = (x[i] - mean) * scale;
        float d = scale * (dy[i] * weight[i] - tau_mean - hat * along_mean);
        dx[i] = add ? dx[i] + d : d;
    }
    stats[0] = mean;
    stats[1] = scale;
}

static RW_NORM_WEIGHTS_FN(norm_weights_ref)
{
    for (size_t i = 0; i < n; i++) {
        dweight[i] = fmaf(dy[i], (x[i] - stats[0]) * stats[1], dweight[i]);
        dbias[i] += dy[i];
    }
}

/* The largest logit, the first of equals; 0 where all are NaN. */
static size_t largest(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static RW_CROSS_ENTROPY_FN(cross_entropy_ref)
{
    size_t top = largest(x, n);
    double max = (double)x[top], sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - max);
    double loss = log(sum) + max - (double)x[target];
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(exp((double)x[i] - max) / sum - (i == target)) * scale;
    x[top] += scale * l2wrap * (float)max;
    return loss;
}

void rw_ref_backward(struct rw_kernels *kernels)
{
    kernels->tanh_backward = tanh_backward_ref;
    kernels->sigmoid_backward = sigmoid_backward_ref;
    kernels->relu2_backward = relu2_backward_ref;
    kernels->mix_backward = mix_backward_ref;
    kernels->mix_weights = mix_weights_ref;
    kernels->layer_norm_backward = layer_norm_backward_ref;
    kernels->norm_weights = norm_weights_ref;
    kernels->cross_entropy = cross_entropy_ref;
}
