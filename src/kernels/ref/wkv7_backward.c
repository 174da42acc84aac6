/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back through RWKV-7's time mix for one head: what comes after the recurrence, the recurrence, and
 * what comes before it. Formulas stand at the declarations in kernels.h; those forward in wkv7.c.
 */
#include <math.h>
#include <string.h>

#include "kernels/ref/ref_int.h"

#define DECAY_SCALE 0.60653065971263342 /* κ = e^−½ */
#define NORM_FLOOR 1e-12f

static double sigmoid(float x)
{
    return 1 / (1 + exp(-(double)x));
}

/* --- after the recurrence ----------------------------------------------------------------------
 */

/* mean and 1 / sqrt(var + eps) of y [n] */
static void statistics(float *mean, float *scale, const float *y, float eps, size_t n)
{
    float sum[LANES] = {0}, square[LANES] = {0};
    for (size_t i = 0; i < n; i++)
        sum[i % LANES] += y[i];
    *mean = lanes_sum(sum) / (float)n;
    for (size_t i = 0; i < n; i++)
        square[i % LANES] += (y[i] - *mean) * (y[i] - *mean);
    *scale = 1.0f / sqrtf(lanes_sum(square) / (float)n + eps);
}

static RW_WKV7_OUTPUT_BACKWARD_FN(wkv7_output_backward_ref)
{
    const struct rw_wkv7_output_backward *h = head;
    float bonus[LANES] = {0}, dbonus[LANES] = {0}, tau[LANES] = {0}, along[LANES] = {0};
    float mean, scale;
    statistics(&mean, &scale, h->y, eps, n);
    for (size_t i = 0; i < n; i++) {
        float dz = h->dout[i] * h->g[i], hat = (h->y[i] - mean) * scale;
        bonus[i % LANES] += h->r[i] * h->k[i] * h->r_k[i];
        dbonus[i % LANES] += dz * h->v[i];
        tau[i % LANES] += dz * h->weight[i];
        along[i % LANES] += dz * h->weight[i] * hat;
    }
    float s = lanes_sum(bonus), ds = lanes_sum(dbonus);
    float tau_mean = lanes_sum(tau) / (float)n, along_mean = lanes_sum(along) / (float)n;
    for (size_t i = 0; i < n; i++) {
        float dz = h->dout[i] * h->g[i], hat = (h->y[i] - mean) * scale;
        h->dg[i] = h->dout[i] * (hat * h->weight[i] + h->bias[i] + s * h->v[i]);
        h->dy[i] = scale * (dz * h->weight[i] - tau_mean - hat * along_mean);
        h->dr[i] = ds * h->k[i] * h->r_k[i];
        h->dk[i] = ds * h->r[i] * h->r_k[i];
        h->dv[i] = s * dz;
        h->dr_k[i] = ds * h->r[i] * h->k[i];
        h->dweight[i] = dz * hat;
        h->dbias[i] = dz;
    }
}

/* --- the recurrence ----------------------------------------------------------------------------
 */

/* States [tokens, N, N] before each token, and u [tokens, N]; the state after a token is the next
 * one's. */
static void run_again(const struct rw_wkv7_chunk *c, float *states, float *u, const float *S,
                      size_t n)
{
    memcpy(states, S, n * n * sizeof *S);
    for (size_t t = 0; t < c->tokens; t++, u += n, states += n * n) {
        size_t at = t * c->ld;
        for (size_t i = 0; i < n; i++) {
            const float *s = states + i * n;
            float acc[LANES] = {0}, *next = states + (n + i) * n;
            lanes_dot(acc, s, c->a + at, n);
            u[i] = lanes_sum(acc);
            for (size_t j = 0; t + 1 < c->tokens && j < n; j++)
                next[j] = s[j] * c->w[at + j] + u[i] * c->b[at + j] + c->v[at + i] * c->k[at + j];
        }
    }
}

/* Row i of the state before token t, its u, and the row of G. */
static void row_back(const struct rw_wkv7_chunk *c, float *G, const float *S, float u, size_t t,
                     size_t i, size_t n)
{
    const float *r = c->r + t * c->ld, *w = c->w + t * c->ld, *k = c->k + t * c->ld;
    const float *a = c->a + t * c->ld, *b = c->b + t * c->ld;
    float dy = c->dy[t * n + i], v = c->v[t * c->ld + i], dv[LANES] = {0}, du[LANES] = {0};
    for (size_t j = 0; j < n; j++) {
        float after = S[j] * w[j] + u * b[j] + v * k[j];
        c->dr[t * n + j] += after * dy;
        G[j] += dy * r[j];
    }
    lanes_dot(dv, G, k, n);
    lanes_dot(du, G, b, n);
    c->dv[t * n + i] += lanes_sum(dv);
    float du_i = lanes_sum(du);
    for (size_t j = 0; j < n; j++) {
        c->dk[t * n + j] += G[j] * v;
        c->db[t * n + j] += G[j] * u;
        c->da[t * n + j] += S[j] * du_i;
        c->dw[t * n + j] += G[j] * S[j];
        G[j] = G[j] * w[j] + du_i * a[j];
    }
}

static RW_WKV7_BACKWARD_FN(wkv7_backward_ref)
{
    const struct rw_wkv7_chunk *c = chunk;
    float *states = work, *u = work + RW_WKV7_CHUNK * n * n;
    float *const written[] = {c->dw, c->da, c->db};
    for (size_t i = 0; i < 3; i++)
        memset(written[i], 0, c->tokens * n * sizeof *written[i]);
    run_again(c, states, u, S, n);
    for (size_t t = c->tokens; t-- > 0;)
        for (size_t i = 0; i < n; i++)
            row_back(c, G + i * n, states + (t * n + i) * n, u[t * n + i], t, i, n);
}

/* --- before the recurrence ---------------------------------------------------------------------
 */

/* kk = ξ / max(‖ξ‖, floor) with ξ = k∘k_k: δξ = (δkk − kk (kk·δkk)) / ‖ξ‖, or δkk / floor. */
static void back_to_key(const struct rw_wkv7_inputs_backward *h, size_t n)
{
    float square[LANES] = {0}, along[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        float xi = h->k[i] * h->k_k[i];
        square[i % LANES] += xi * xi;
    }
    float norm = sqrtf(lanes_sum(square)), scale = 1.0f / fmaxf(norm, NORM_FLOOR);
    for (size_t i = 0; i < n; i++) {
        float eta = (float)sigmoid(h->a0[i] + h->a[i]);
        along[i % LANES] += h->k[i] * h->k_k[i] * scale * (h->db[i] * eta - h->da[i]);
    }
    float part = norm > NORM_FLOOR ? lanes_sum(along) : 0;
    for (size_t i = 0; i < n; i++) {
        float eta = (float)sigmoid(h->a0[i] + h->a[i]), k = h->k[i], dk = h->dk[i];
        float kk = k * h->k_k[i] * scale, dxi = (h->db[i] * eta - h->da[i] - kk * part) * scale;
        float deta = h->db[i] * kk + dk * k * h->k_a[i];
        h->dk_k[i] = dxi * k;
        h->dk_a[i] = dk * k * (eta - 1);
        h->dk[i] = dk * (1 + (eta - 1) * h->k_a[i]) + dxi * h->k_k[i];
        h->da[i] = deta * eta * (1 - eta);
    }
}

static RW_WKV7_INPUTS_BACKWARD_FN(wkv7_inputs_backward_ref)
{
    const struct rw_wkv7_inputs_backward *h = head;
    back_to_key(h, n);
    for (size_t i = 0; i < n; i++) {
        double sigma = sigmoid(h->w0[i] + h->w[i]), decay = exp(-DECAY_SCALE * sigma);
        h->dw[i] *= (float)(-DECAY_SCALE * decay * sigma * (1 - sigma));
    }
    for (size_t i = 0; h->v_first && i < n; i++) {
        float part = (float)sigmoid(h->v0[i] + h->gate[i]), dv = h->dv[i];
        h->dv_first[i] = fmaf(dv, part, h->dv_first[i]);
        h->dgate[i] = dv * (h->v_first[i] - h->v[i]) * part * (1 - part);
        h->dv[i] = dv * (1 - part);
    }
}

void rw_ref_wkv7_backward(struct rw_kernels *kernels)
{
    kernels->wkv7_output_backward = wkv7_output_backward_ref;
    kernels->wkv7_backward = wkv7_backward_ref;
    kernels->wkv7_inputs_backward = wkv7_inputs_backward_ref;
}
