/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RWKV-7's time mix for one head: what comes before the recurrence, the recurrence
 *
 *     u = S a;   S ← S·diag(w) + u bᵀ + v kᵀ;   y = S r          S [N, N], value index × key index
 *
 * and what comes after it. Formulas stand at the declarations in kernels.h.
 */
#include <math.h>

#include "kernels/ref/ref_int.h"

#define DECAY_SCALE 0.60653065971263342 /* κ = e^−½ */
#define NORM_FLOOR 1e-12f

static double sigmoid(float x)
{
    return 1 / (1 + exp(-(double)x));
}

static RW_WKV7_INPUTS_FN(wkv7_inputs_ref)
{
    const struct rw_wkv7_head *h = head;
    float square[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        float kk = h->k[i] * h->k_k[i];
        square[i % LANES] += kk * kk;
    }
    float scale = 1.0f / fmaxf(sqrtf(lanes_sum(square)), NORM_FLOOR);
    for (size_t i = 0; i < n; i++) {
        float kk = h->k[i] * h->k_k[i] * scale;
        float eta = (float)sigmoid(h->a0[i] + h->a[i]);
        h->w[i] = (float)exp(-DECAY_SCALE * sigmoid(h->w0[i] + h->w[i]));
        h->a[i] = -kk;
        h->b[i] = kk * eta;
        h->k[i] *= 1 + (eta - 1) * h->k_a[i];
    }
    if (!h->v_first)
        return;
    for (size_t i = 0; i < n; i++)
        h->v[i] += (h->v_first[i] - h->v[i]) * (float)sigmoid(h->v0[i] + h->gate[i]);
}

static RW_WKV7_FN(wkv7_ref)
{
    for (size_t t = 0; t < tokens; t++) {
        for (size_t i = 0; i < n; i++) {
            float *s = S + i * n;
            float acc[LANES] = {0};
            lanes_dot(acc, s, a + t * ld, n);
            float u = lanes_sum(acc), vi = v[t * ld + i];
            for (size_t j = 0; j < n; j++)
                s[j] = s[j] * w[t * ld + j] + u * b[t * ld + j] + vi * k[t * ld + j];
            for (size_t j = 0; j < LANES; j++)
                acc[j] = 0;
            lanes_dot(acc, s, r + t * ld, n);
            y[t * ld + i] = lanes_sum(acc);
        }
    }
}

static RW_WKV7_OUTPUT_FN(wkv7_output_ref)
{
    float sum[LANES] = {0}, square[LANES] = {0}, bonus[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        sum[i % LANES] += y[i];
        bonus[i % LANES] += r[i] * k[i] * r_k[i];
    }
    float mean = lanes_sum(sum) / (float)n, s = lanes_sum(bonus);
    for (size_t i = 0; i < n; i++)
        square[i % LANES] += (y[i] - mean) * (y[i] - mean);
    float scale = 1.0f / sqrtf(lanes_sum(square) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        out[i] = ((y[i] - mean) * scale * weight[i] + bias[i] + s * v[i]) * g[i];
}

void rw_ref_wkv7(struct rw_kernels *kernels)
{
    kernels->wkv7_inputs = wkv7_inputs_ref;
    kernels->wkv7 = wkv7_ref;
    kernels->wkv7_output = wkv7_output_ref;
}
