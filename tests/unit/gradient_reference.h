/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RWKV-7 in float64, a token at a time, as docs/model.md has it: the truth that gradients are
 * compared with by central differences. Slow, and independent of the library but for the list of
 * parameters.
 */
#ifndef UNIT_GRADIENT_REFERENCE_H
#define UNIT_GRADIENT_REFERENCE_H

#include <math.h>
#include <string.h>

#include "train/parameters.h"
#include "unit.h"

#define REF_MAX 64   /* the widest vector */
#define REF_LAYERS 3 /* at most */

/* Numbers in the layout of the parameters. */
struct reference {
    const struct rw_parameters *p;
    const double *values;
    const struct rw_parameter *table[REF_LAYERS][RW_SPEC_COUNT];
};

static struct reference ref_model(const struct rw_parameters *p, const double *values)
{
    struct reference m = {.p = p, .values = values};
    assert_true(p->sizes.n_layer <= REF_LAYERS);
    for (size_t i = 0; i < p->n; i++)
        m.table[p->list[i].block][rw_parameter_id(&p->list[i])] = &p->list[i];
    return m;
}

static const double *ref_tensor(const struct reference *m, enum rw_spec_id id, size_t block)
{
    return m->values + m->table[block][id]->offset;
}

static size_t ref_rows(const struct reference *m, enum rw_spec_id id, size_t block)
{
    return m->table[block][id]->rows;
}

/* y [rows] = W x */
static void ref_product(const struct reference *m, double *y, enum rw_spec_id id, size_t block,
                        const double *x, size_t cols)
{
    const double *w = ref_tensor(m, id, block);
    for (size_t r = 0; r < ref_rows(m, id, block); r++) {
        y[r] = 0;
        for (size_t k = 0; k < cols; k++)
            y[r] += w[r * cols + k] * x[k];
    }
}

static void ref_norm(double *y, const double *x, const double *weight, const double *bias, size_t n,
                     double eps)
{
    double mean = 0, var = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) / sqrt(var + eps) * weight[i] + bias[i];
}

static double ref_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* y = w0 + w2 f(w1 x); f: 0 none, 1 tanh, 2 sigmoid; w0 may be NULL. */
static void ref_pair(const struct reference *m, double *y, enum rw_spec_id w1, size_t l,
                     const double *x, int f, const double *w0)
{
    double h[REF_MAX];
    size_t c = m->p->sizes.n_embd, rank = ref_rows(m, w1, l);
    ref_product(m, h, w1, l, x, c);
    for (size_t i = 0; i < rank; i++)
        h[i] = f == 1 ? tanh(h[i]) : f == 2 ? ref_sigmoid(h[i]) : h[i];
    ref_product(m, y, (enum rw_spec_id)(w1 + 1), l, h, rank);
    for (size_t i = 0; w0 && i < c; i++)
        y[i] += w0[i];
}

/* mixed = xx + (shift − xx)∘mu */
static void ref_mix(double *mixed, const double *xx, const double *shift, const double *mu,
                    size_t c)
{
    for (size_t i = 0; i < c; i++)
        mixed[i] = xx[i] + (shift[i] - xx[i]) * mu[i];
}

struct ref_vectors {
    double r[REF_MAX], w[REF_MAX], k[REF_MAX], v[REF_MAX], rate[REF_MAX], g[REF_MAX], kk[REF_MAX];
};

/* One head of the recurrence, its norm and bonus: y [N]. */
static void ref_head(const struct reference *m, size_t l, double *y, double *s,
                     const struct ref_vectors *x, size_t at)
{
    size_t n = m->p->sizes.head_size;
    const double *r_k = ref_tensor(m, RW_SPEC_r_k, l);
    double raw[REF_MAX], bonus = 0;
    for (size_t i = 0; i < n; i++) {
        double removed = 0;
        raw[i] = 0;
        for (size_t j = 0; j < n; j++)
            removed += s[i * n + j] * x->kk[at + j];
        for (size_t j = 0; j < n; j++) {
            double *e = &s[i * n + j];
            *e = *e * x->w[at + j] - removed * x->kk[at + j] * x->rate[at + j] +
                 x->v[at + i] * x->k[at + j];
            raw[i] += *e * x->r[at + j];
        }
        bonus += x->r[at + i] * x->k[at + i] * r_k[at + i];
    }
    ref_norm(y, raw, ref_tensor(m, RW_SPEC_ln_x_weight, l) + at,
             ref_tensor(m, RW_SPEC_ln_x_bias, l) + at, n, 64e-5);
    for (size_t i = 0; i < n; i++)
        y[i] = (y[i] + bonus * x->v[at + i]) * x->g[at + i];
}

/* From what the products gave to what the recurrence wants. */
static void ref_inputs(const struct reference *m, size_t l, struct ref_vectors *x, double *v_first,
                       const double *gate)
{
    size_t c = m->p->sizes.n_embd, n = m->p->sizes.head_size;
    const double *k_k = ref_tensor(m, RW_SPEC_k_k, l), *k_a = ref_tensor(m, RW_SPEC_k_a, l);
    if (l == 0)
        memcpy(v_first, x->v, c * sizeof *v_first);
    for (size_t at = 0; at < c; at += n) {
        double square = 0;
        for (size_t i = at; i < at + n; i++)
            square += x->k[i] * k_k[i] * x->k[i] * k_k[i];
        for (size_t i = at; i < at + n; i++)
            x->kk[i] = x->k[i] * k_k[i] / sqrt(square);
    }
    for (size_t i = 0; i < c; i++) {
        x->w[i] = exp(-exp(-0.5) * ref_sigmoid(x->w[i]));
        x->rate[i] = ref_sigmoid(x->rate[i]);
        x->k[i] *= 1 + (x->rate[i] - 1) * k_a[i];
        if (l > 0)
            x->v[i] += (v_first[i] - x->v[i]) * ref_sigmoid(gate[i]);
    }
}

static void ref_time_mix(const struct reference *m, size_t l, double *x, double *v_first,
                         double *state)
{
    struct ref_vectors u;
    size_t c = m->p->sizes.n_embd, n = m->p->sizes.head_size;
    double xx[REF_MAX], mix[6][REF_MAX], gate[REF_MAX], y[REF_MAX], out[REF_MAX];
    ref_norm(xx, x, ref_tensor(m, RW_SPEC_ln1_weight, l), ref_tensor(m, RW_SPEC_ln1_bias, l), c,
             1e-5);
    for (size_t i = 0; i < 6; i++)
        ref_mix(mix[i], xx, state, ref_tensor(m, (enum rw_spec_id)(RW_SPEC_x_r + i), l), c);
    memcpy(state, xx, c * sizeof *state);
    ref_product(m, u.r, RW_SPEC_att_r, l, mix[0], c);
    ref_product(m, u.k, RW_SPEC_att_k, l, mix[2], c);
    ref_product(m, u.v, RW_SPEC_att_v, l, mix[3], c);
    ref_pair(m, u.w, RW_SPEC_w1, l, mix[1], 1, ref_tensor(m, RW_SPEC_w0, l));
    ref_pair(m, u.rate, RW_SPEC_a1, l, mix[4], 0, ref_tensor(m, RW_SPEC_a0, l));
    ref_pair(m, u.g, RW_SPEC_g1, l, mix[5], 2, NULL);
    if (l > 0)
        ref_pair(m, gate, RW_SPEC_v1, l, mix[3], 0, ref_tensor(m, RW_SPEC_v0, l));
    ref_inputs(m, l, &u, v_first, gate);
    for (size_t at = 0; at < c; at += n)
        ref_head(m, l, y + at, state + 2 * c + at * n, &u, at);
    ref_product(m, out, RW_SPEC_att_o, l, y, c);
    for (size_t i = 0; i < c; i++)
        x[i] += out[i];
}

static void ref_channel_mix(const struct reference *m, size_t l, double *x, double *shift)
{
    size_t c = m->p->sizes.n_embd;
    double xx[REF_MAX], mix[REF_MAX], h[REF_MAX], out[REF_MAX];
    ref_norm(xx, x, ref_tensor(m, RW_SPEC_ln2_weight, l), ref_tensor(m, RW_SPEC_ln2_bias, l), c,
             1e-5);
    ref_mix(mix, xx, shift, ref_tensor(m, RW_SPEC_ffn_x_k, l), c);
    memcpy(shift, xx, c * sizeof *shift);
    ref_product(m, h, RW_SPEC_ffn_k, l, mix, c);
    for (size_t i = 0; i < m->p->sizes.n_ffn; i++)
        h[i] = h[i] > 0 ? h[i] * h[i] : 0;
    ref_product(m, out, RW_SPEC_ffn_v, l, h, m->p->sizes.n_ffn);
    for (size_t i = 0; i < c; i++)
        x[i] += out[i];
}

/* Sum of losses of a sequence, plus l2wrap/2 times the largest logit's square at each target: what
 * L2Wrap is the derivative of. The state goes on. */
static double ref_loss(const struct reference *m, const int32_t *tokens, const int32_t *targets,
                       size_t count, double *state, double l2wrap)
{
    size_t c = m->p->sizes.n_embd, vocab = m->p->sizes.n_vocab, n = m->p->sizes.head_size;
    double loss = 0;
    for (size_t t = 0; t < count; t++) {
        double x[REF_MAX], v_first[REF_MAX], logits[REF_MAX], sum = 0, largest = -INFINITY;
        ref_norm(x, ref_tensor(m, RW_SPEC_emb, 0) + (size_t)tokens[t] * c,
                 ref_tensor(m, RW_SPEC_ln0_weight, 0), ref_tensor(m, RW_SPEC_ln0_bias, 0), c, 1e-5);
        for (size_t l = 0; l < m->p->sizes.n_layer; l++) {
            double *layer = state + l * (2 * c + c * n);
            ref_time_mix(m, l, x, v_first, layer);
            ref_channel_mix(m, l, x, layer + c);
        }
        if (targets[t] < 0)
            continue;
        ref_norm(x, x, ref_tensor(m, RW_SPEC_ln_out_weight, 0),
                 ref_tensor(m, RW_SPEC_ln_out_bias, 0), c, 1e-5);
        ref_product(m, logits, RW_SPEC_head, 0, x, c);
        for (size_t i = 0; i < vocab; i++) {
            sum += exp(logits[i]);
            largest = fmax(largest, logits[i]);
        }
        loss += log(sum) - logits[targets[t]] + l2wrap * largest * largest / 2;
    }
    return loss;
}

#endif
