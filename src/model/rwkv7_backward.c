/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RWKV-7 from bottom to top: rwkv7.c read upwards. With y ← x for "y is the derivative by x":
 *
 *     dx ← the last block's output, from the head and LN_out, a slice of tokens at a time
 *     for each block, the last first:
 *         Wv′ += dxᵀ ffn       dffn = dx Wv′ ∘ relu²′       Wk′ += dffnᵀ x_k
 *         dx += LN2 and token shift, backwards, of dffn Wk′
 *         Wo += dxᵀ z          dz = dx Wo
 *         dr, dw, dk, dv, da, dg, dgate ← the recurrence backwards, of dz
 *         w2 += dwᵀ hw         dhw = dw w2 ∘ tanh′          w1 += dhwᵀ x_w; so for a, v, g
 *         Wr += drᵀ x_r; so for k, v
 *         dx += LN1 and token shift, backwards, of dr Wr, dhw w1, dk Wk, dv Wv + dhv v1, …
 *     emb[token] += LN0 backwards of dx
 *
 * The forward pass is the one of rwkv7.c, run on buffers that are kept; with checkpointing it runs
 * again, block by block, on the same inputs.
 */
#include "model/rwkv7_backward.h"

#include <string.h>

#include "base/status.h"
#include "model/rwkv7_int.h"

/* --- memory ----------------------------------------------------------------------------------- */

/* Enough rows that the head's gradient is not carried to and fro for a few of them, in 64 MiB where
 * a vocabulary allows it. */
size_t rw_rwkv7_head_slice(const struct rw_sizes *sizes, size_t tokens)
{
    size_t rows = ((size_t)1 << 24) / sizes->n_vocab;
    rows = RW_MIN(RW_MAX(rows, (size_t)64), (size_t)1024);
    return RW_MIN(rows, tokens);
}

static float *take(struct rw_arena *arena, size_t rows, size_t cols)
{
    return rw_arena_take(arena, rows * cols, sizeof(float));
}

static void reserve_saved(const struct rw_rwkv7_training *m, struct rw_rwkv7_saved *s,
                          struct rw_arena *arena)
{
    const struct rw_rwkv7 *f = &m->forward;
    size_t t = m->max_tokens, c = f->sizes.n_embd;
    float **full[] = {&s->norm1, &s->norm2, &s->r,    &s->w, &s->k,      &s->v,
                      &s->a,     &s->g,     &s->gate, &s->z, &s->middle, &s->ffn_mix};
    for (size_t i = 0; i < RW_COUNT(full); i++)
        *full[i] = take(arena, t, c);
    for (size_t i = 0; i < RW_COUNT(s->mix); i++)
        s->mix[i] = take(arena, t, c);
    s->hw = take(arena, t, f->rank_w);
    s->ha = take(arena, t, f->rank_a);
    s->hv = take(arena, t, f->rank_v);
    s->hg = take(arena, t, f->rank_g);
    s->ffn = take(arena, t, f->sizes.n_ffn);
}

static void reserve_kept(struct rw_rwkv7_training *m, struct rw_arena *kept, struct rw_arena *host)
{
    size_t layers = m->forward.sizes.n_layer, n_saved = m->checkpoint ? 1 : layers;
    m->x = rw_arena_take(host, layers + 1, sizeof *m->x);
    m->saved = rw_arena_take(host, n_saved, sizeof *m->saved);
    for (size_t l = 0; l <= layers; l++) {
        float *x = take(kept, m->max_tokens, m->forward.sizes.n_embd);
        if (m->x)
            m->x[l] = x;
    }
    for (size_t i = 0; i < n_saved; i++) {
        struct rw_rwkv7_saved measured;
        reserve_saved(m, m->saved ? &m->saved[i] : &measured, kept);
    }
}

static void reserve_work(struct rw_rwkv7_training *m, struct rw_arena *work)
{
    const struct rw_rwkv7 *f = &m->forward;
    size_t t = m->max_tokens, c = f->sizes.n_embd;
    size_t slice = rw_rwkv7_head_slice(&f->sizes, t);
    float **full[] = {&m->v_first, &m->dv_first, &m->dx, &m->dr, &m->dw,
                      &m->dk,      &m->dv,       &m->da, &m->dg, &m->dgate};
    for (size_t i = 0; i < RW_COUNT(full); i++)
        *full[i] = take(work, t, c);
    for (size_t i = 0; i < RW_COUNT(m->work); i++)
        m->work[i] = take(work, t, c);
    m->dhw = take(work, t, f->rank_w);
    m->dha = take(work, t, f->rank_a);
    m->dhv = take(work, t, f->rank_v);
    m->dhg = take(work, t, f->rank_g);
    m->dffn = take(work, t, f->sizes.n_ffn);
    m->hidden = take(work, slice, c);
    m->dhidden = take(work, slice, c);
    m->logits = take(work, slice, f->sizes.n_vocab);
    m->states = take(work, m->max_sequences, f->layout.total);
    m->zero_state = take(work, 1, f->layout.total);
}

void rw_rwkv7_training_reserve(struct rw_rwkv7_training *m, struct rw_arena *kept,
                               struct rw_arena *work, struct rw_arena *host)
{
    reserve_kept(m, kept, host);
    reserve_work(m, work);
    m->spans = rw_arena_take(host, m->max_sequences, sizeof *m->spans);
    m->grad_spans = rw_arena_take(host, m->max_sequences, sizeof *m->grad_spans);
    m->ids = rw_arena_take(host, m->max_tokens, sizeof *m->ids);
    m->targets = rw_arena_take(host, m->max_tokens, sizeof *m->targets);
    m->loss =
        rw_arena_take(host, rw_rwkv7_head_slice(&m->forward.sizes, m->max_tokens), sizeof *m->loss);
}

/* --- the batch -------------------------------------------------------------------------------- */

static struct rw_batch pack(struct rw_rwkv7_training *m,
                            const struct rw_gradient_sequence *sequences, size_t n)
{
    struct rw_batch batch = {.n_spans = n, .spans = m->spans};
    for (size_t i = 0; i < n; i++) {
        const struct rw_gradient_sequence *q = &sequences[i];
        float *state = m->states + i * m->forward.layout.total;
        const float *initial = q->initial ? q->initial : m->zero_state;
        m->spans[i] = (struct rw_span){batch.tokens, q->count, state};
        m->grad_spans[i] = (struct rw_grad_span){batch.tokens, q->count, initial, q->dstate};
        memcpy(m->ids + batch.tokens, q->tokens, q->count * sizeof *q->tokens);
        memcpy(m->targets + batch.tokens, q->targets, q->count * sizeof *q->targets);
        batch.tokens += q->count;
    }
    return batch;
}

static void copy(struct rw_rwkv7_training *m, float *to, const float *from, size_t n)
{
    m->forward.backend->ops->backward->copy(m->forward.backend, to, from, n);
}

static void zero(struct rw_rwkv7_training *m, float *x, size_t n)
{
    m->forward.backend->ops->backward->zero(m->forward.backend, x, n);
}

static void hand_states_out(struct rw_rwkv7_training *m,
                            const struct rw_gradient_sequence *sequences, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sequences[i].final)
            copy(m, sequences[i].final, m->spans[i].state, m->forward.layout.total);
}

/* --- downwards -------------------------------------------------------------------------------- */

static struct rw_rwkv7_saved *saved_of(const struct rw_rwkv7_training *m, size_t l)
{
    return &m->saved[m->checkpoint ? 0 : l];
}

/* The block's part of the states, as before the first token. */
static void reset_states(struct rw_rwkv7_training *m, size_t l, const struct rw_batch *batch)
{
    size_t at = l * m->forward.layout.layer;
    for (size_t i = 0; i < batch->n_spans; i++)
        copy(m, batch->spans[i].state + at, m->grad_spans[i].initial + at, m->forward.layout.layer);
}

/* The recurrence works on copies of what it changes. */
static void protect_inputs(struct rw_rwkv7_training *m, const struct rw_rwkv7_saved *s, bool first,
                           size_t n)
{
    struct rw_rwkv7_scratch *f = &m->forward.scratch;
    f->w = m->work[1];
    f->k = m->work[2];
    f->a = m->work[3];
    f->v = m->work[4];
    f->b = m->work[5];
    copy(m, f->w, s->w, n);
    copy(m, f->k, s->k, n);
    copy(m, f->a, s->a, n);
    if (!first)
        copy(m, f->v, s->v, n);
}

static void keep_inputs(struct rw_rwkv7_training *m, const struct rw_rwkv7_saved *s, float *x)
{
    struct rw_rwkv7_scratch *f = &m->forward.scratch;
    f->x = x;
    f->norm = s->norm1;
    memcpy(f->mix, s->mix, sizeof s->mix);
    f->r = s->r;
    f->w = s->w;
    f->k = s->k;
    f->v = s->v;
    f->a = s->a;
    f->g = s->g;
    f->gate = s->gate;
    f->v_first = m->v_first;
    f->hw = s->hw;
    f->ha = s->ha;
    f->hv = s->hv;
    f->hg = s->hg;
}

/* Block l from x[l] on, all but its last product, kept. */
static void forward_block(struct rw_rwkv7_training *m, size_t l, const struct rw_batch *batch)
{
    const struct rw_rwkv7_saved *s = saved_of(m, l);
    struct rw_rwkv7_scratch *f = &m->forward.scratch;
    size_t n = batch->tokens * m->forward.sizes.n_embd;
    reset_states(m, l, batch);
    keep_inputs(m, s, m->x[l]);
    rw_rwkv7_time_mix_inputs(&m->forward, l, batch);
    protect_inputs(m, s, l == 0, n);
    copy(m, s->middle, m->x[l], n);
    f->x = s->middle;
    f->y = s->z;
    rw_rwkv7_time_mix_output(&m->forward, l, batch);
    f->norm = s->norm2;
    f->mix[0] = s->ffn_mix;
    f->ffn = s->ffn;
    rw_rwkv7_channel_mix_inputs(&m->forward, l, batch);
}

static void forward(struct rw_rwkv7_training *m, const struct rw_batch *batch)
{
    m->forward.scratch.x = m->x[0];
    rw_rwkv7_embed(&m->forward, m->ids, batch->tokens);
    for (size_t l = 0; l < m->forward.sizes.n_layer; l++) {
        forward_block(m, l, batch);
        copy(m, m->x[l + 1], saved_of(m, l)->middle, batch->tokens * m->forward.sizes.n_embd);
        m->forward.scratch.x = m->x[l + 1];
        rw_rwkv7_channel_mix_output(&m->forward, l, batch);
    }
}

/* --- products backwards ----------------------------------------------------------------------- */

/* The gradient of a matrix y = W x. */
static struct rw_matmul_dw by_weight(float *dw, const float *dy, const float *x,
                                     const struct rw_weight *w)
{
    return (struct rw_matmul_dw){dw, dy, x, w->rows, w->cols};
}

/* And by its input. */
static struct rw_matmul_dx by_input(float *dx, const float *dy, const struct rw_weight *w)
{
    return (struct rw_matmul_dx){dx, dy, w->data, w->rows, w->cols, false};
}

static void matmul_dw(struct rw_rwkv7_training *m, const struct rw_matmul_dw *ops, size_t n,
                      size_t n_tokens)
{
    struct rw_backend *be = m->forward.backend;
    be->ops->backward->matmul_dw(be, ops, n, n_tokens, m->precision);
}

static void matmul_dx(struct rw_rwkv7_training *m, const struct rw_matmul_dx *ops, size_t n,
                      size_t n_tokens)
{
    struct rw_backend *be = m->forward.backend;
    be->ops->backward->matmul_dx(be, ops, n, n_tokens, m->precision);
}

/* --- upwards ---------------------------------------------------------------------------------- */

/* The loss of one slice of tokens; with `scale`, dx of these tokens and the gradients of head and
 * ln_out. */
static void head_slice(struct rw_rwkv7_training *m, size_t row, size_t count, const float *scale,
                       double *loss)
{
    const struct rw_rwkv7_weights *w = &m->forward.weights;
    struct rw_backend *be = m->forward.backend;
    const struct rw_backward_ops *backward = be->ops->backward;
    size_t c = m->forward.sizes.n_embd;
    const float *x = m->x[m->forward.sizes.n_layer] + row * c;
    be->ops->layer_norm(be, m->hidden, x, w->ln_out_weight, w->ln_out_bias, m->forward.norm_eps,
                        count, c);
    rw_rwkv7_matmul(&m->forward, &(struct rw_matmul){m->logits, m->hidden, &w->head, RW_STORE}, 1,
                    count);
    const struct rw_cross_entropy entropy = {
        .logits = m->logits,
        .loss = m->loss,
        .targets = m->targets + row,
        .tokens = count,
        .vocab = m->forward.sizes.n_vocab,
        .scale = scale ? *scale : 0,
        .l2wrap = m->l2wrap,
    };
    backward->cross_entropy(be, &entropy);
    for (size_t t = 0; t < count; t++)
        *loss += m->loss[t];
    if (!scale)
        return;
    const struct rw_matmul_dw dw = by_weight(m->gradients.head, m->logits, m->hidden, &w->head);
    const struct rw_matmul_dx dx = by_input(m->dhidden, m->logits, &w->head);
    matmul_dw(m, &dw, 1, count);
    matmul_dx(m, &dx, 1, count);
    backward->layer_norm(be, m->dx + row * c, m->gradients.ln_out_weight, m->gradients.ln_out_bias,
                         m->dhidden, x, w->ln_out_weight, m->forward.norm_eps, count, c);
}

static void head(struct rw_rwkv7_training *m, size_t tokens, const float *scale, double *loss)
{
    size_t slice = rw_rwkv7_head_slice(&m->forward.sizes, m->max_tokens);
    for (size_t row = 0; row < tokens; row += slice)
        head_slice(m, row, RW_MIN(slice, tokens - row), scale, loss);
}

static void channel_mix_backward(struct rw_rwkv7_training *m, size_t l,
                                 const struct rw_grad_batch *batch)
{
    const struct rw_rwkv7_saved *s = saved_of(m, l);
    const struct rw_rwkv7_block *w = &m->forward.weights.blocks[l];
    const struct rw_rwkv7_block_gradients *g = &m->gradients.blocks[l];
    struct rw_backend *be = m->forward.backend;
    const struct rw_backward_ops *backward = be->ops->backward;
    float *dmix = m->work[0];
    const struct rw_matmul_dx outer = by_input(m->dffn, m->dx, &w->ffn_v);
    const struct rw_matmul_dx inner = by_input(dmix, m->dffn, &w->ffn_k);
    matmul_dx(m, &outer, 1, batch->tokens);
    backward->epilogue(be, RW_RELU2, m->dffn, s->ffn, batch->tokens * m->forward.sizes.n_ffn);
    matmul_dx(m, &inner, 1, batch->tokens);
    const struct rw_matmul_dw dw[] = {
        by_weight(g->ffn_v, m->dx, s->ffn, &w->ffn_v),
        by_weight(g->ffn_k, m->dffn, s->ffn_mix, &w->ffn_k),
    };
    matmul_dw(m, dw, RW_COUNT(dw), batch->tokens);
    const struct rw_norm_mix_backward norm_mix = {
        .dx = m->dx,
        .dweight = g->ln2_weight,
        .dbias = g->ln2_bias,
        .dmu = &g->ffn_x_k,
        .dout = (const float *[]){dmix},
        .x = s->middle,
        .norm = s->norm2,
        .weight = w->ln2_weight,
        .mu = &w->ffn_x_k,
        .n_mix = 1,
        .shift = l * m->forward.layout.layer + m->forward.layout.ffn_shift,
        .eps = m->forward.norm_eps,
        .channels = m->forward.sizes.n_embd,
    };
    backward->norm_mix(be, &norm_mix, batch);
}

/* dz is work[0]; the rest of it is scratch. */
static void wkv7_backward(struct rw_rwkv7_training *m, size_t l, const struct rw_grad_batch *batch)
{
    const struct rw_rwkv7_saved *s = saved_of(m, l);
    const struct rw_rwkv7_block *w = &m->forward.weights.blocks[l];
    const struct rw_rwkv7_block_gradients *g = &m->gradients.blocks[l];
    struct rw_backend *be = m->forward.backend;
    bool first = l == 0;
    const struct rw_wkv7_backward op = {
        .dr = m->dr,
        .dw = m->dw,
        .dk = m->dk,
        .dv = m->dv,
        .da = m->da,
        .dg = m->dg,
        .dv_first = first ? NULL : m->dv_first,
        .dv_gate = first ? NULL : m->dgate,
        .dw0 = g->w0,
        .da0 = g->a0,
        .dv0 = first ? NULL : g->v0,
        .dk_k = g->k_k,
        .dk_a = g->k_a,
        .dr_k = g->r_k,
        .dnorm_weight = g->ln_x_weight,
        .dnorm_bias = g->ln_x_bias,
        .terms = {m->work[1], m->work[2], m->work[3], m->work[4], m->work[5]},
        .dout = m->work[0],
        .r = s->r,
        .w = s->w,
        .k = s->k,
        .v = first ? m->v_first : s->v,
        .a = s->a,
        .g = s->g,
        .v_first = first ? NULL : m->v_first,
        .v_gate = first ? NULL : s->gate,
        .w0 = w->w0,
        .a0 = w->a0,
        .v0 = first ? NULL : w->v0,
        .k_k = w->k_k,
        .k_a = w->k_a,
        .r_k = w->r_k,
        .norm_weight = w->ln_x_weight,
        .norm_bias = w->ln_x_bias,
        .eps = RW_GROUP_NORM_EPS,
        .state = l * m->forward.layout.layer + m->forward.layout.wkv,
        .heads = m->forward.sizes.n_embd / m->forward.sizes.head_size,
        .head_size = m->forward.sizes.head_size,
    };
    be->ops->backward->wkv7(be, &op, batch);
    if (first) /* all blocks have read its values */
        be->ops->backward->add(be, m->dv, m->dv_first, batch->tokens * m->forward.sizes.n_embd);
}

/* Through the outer halves of the low-rank pairs and what lies between the halves. */
static void outer_products_backward(struct rw_rwkv7_training *m, size_t l, size_t tokens)
{
    const struct rw_rwkv7_saved *s = saved_of(m, l);
    const struct rw_rwkv7_block *w = &m->forward.weights.blocks[l];
    const struct rw_rwkv7_block_gradients *g = &m->gradients.blocks[l];
    struct rw_backend *be = m->forward.backend;
    const struct rw_matmul_dw dw[] = {
        by_weight(g->w2, m->dw, s->hw, &w->w2),
        by_weight(g->a2, m->da, s->ha, &w->a2),
        by_weight(g->g2, m->dg, s->hg, &w->g2),
        by_weight(g->v2, m->dgate, s->hv, &w->v2),
    };
    const struct rw_matmul_dx dx[] = {
        by_input(m->dhw, m->dw, &w->w2),
        by_input(m->dha, m->da, &w->a2),
        by_input(m->dhg, m->dg, &w->g2),
        by_input(m->dhv, m->dgate, &w->v2),
    };
    size_t left_out = l == 0 ? 1 : 0;
    matmul_dw(m, dw, RW_COUNT(dw) - left_out, tokens);
    matmul_dx(m, dx, RW_COUNT(dx) - left_out, tokens);
    be->ops->backward->epilogue(be, RW_TANH, m->dhw, s->hw, tokens * w->w1.rows);
    be->ops->backward->epilogue(be, RW_SIGMOID, m->dhg, s->hg, tokens * w->g1.rows);
}

/* Through the six products and the inner halves, to the mixes in `work`. */
static void inner_products_backward(struct rw_rwkv7_training *m, size_t l, size_t tokens)
{
    const struct rw_rwkv7_saved *s = saved_of(m, l);
    const struct rw_rwkv7_block *w = &m->forward.weights.blocks[l];
    const struct rw_rwkv7_block_gradients *g = &m->gradients.blocks[l];
    const float *x_r = s->mix[0], *x_w = s->mix[1], *x_k = s->mix[2];
    const float *x_v = s->mix[3], *x_a = s->mix[4], *x_g = s->mix[5];
    const struct rw_matmul_dw dw[] = {
        by_weight(g->att_r, m->dr, x_r, &w->att_r), by_weight(g->att_k, m->dk, x_k, &w->att_k),
        by_weight(g->att_v, m->dv, x_v, &w->att_v), by_weight(g->w1, m->dhw, x_w, &w->w1),
        by_weight(g->a1, m->dha, x_a, &w->a1),      by_weight(g->g1, m->dhg, x_g, &w->g1),
        by_weight(g->v1, m->dhv, x_v, &w->v1),
    };
    const struct rw_matmul_dx dx[] = {
        by_input(m->work[0], m->dr, &w->att_r), by_input(m->work[1], m->dhw, &w->w1),
        by_input(m->work[2], m->dk, &w->att_k), by_input(m->work[3], m->dv, &w->att_v),
        by_input(m->work[4], m->dha, &w->a1),   by_input(m->work[5], m->dhg, &w->g1),
    };
    matmul_dw(m, dw, RW_COUNT(dw) - (l == 0 ? 1 : 0), tokens);
    matmul_dx(m, dx, RW_COUNT(dx), tokens);
    if (l == 0)
        return;
    struct rw_matmul_dx residual = by_input(m->work[3], m->dhv, &w->v1);
    residual.add = true;
    matmul_dx(m, &residual, 1, tokens);
}

static void time_mix_backward(struct rw_rwkv7_training *m, size_t l,
                              const struct rw_grad_batch *batch)
{
    const struct rw_rwkv7_saved *s = saved_of(m, l);
    const struct rw_rwkv7_block *w = &m->forward.weights.blocks[l];
    const struct rw_rwkv7_block_gradients *g = &m->gradients.blocks[l];
    const struct rw_matmul_dw dw = by_weight(g->att_o, m->dx, s->z, &w->att_o);
    const struct rw_matmul_dx dx = by_input(m->work[0], m->dx, &w->att_o);
    matmul_dw(m, &dw, 1, batch->tokens);
    matmul_dx(m, &dx, 1, batch->tokens);
    wkv7_backward(m, l, batch);
    outer_products_backward(m, l, batch->tokens);
    inner_products_backward(m, l, batch->tokens);
    const float *mu[] = {w->x_r, w->x_w, w->x_k, w->x_v, w->x_a, w->x_g};
    float *const dmu[] = {g->x_r, g->x_w, g->x_k, g->x_v, g->x_a, g->x_g};
    const struct rw_norm_mix_backward norm_mix = {
        .dx = m->dx,
        .dweight = g->ln1_weight,
        .dbias = g->ln1_bias,
        .dmu = dmu,
        .dout = (const float *const *)m->work,
        .x = m->x[l],
        .norm = s->norm1,
        .weight = w->ln1_weight,
        .mu = mu,
        .n_mix = 6,
        .shift = l * m->forward.layout.layer + m->forward.layout.att_shift,
        .eps = m->forward.norm_eps,
        .channels = m->forward.sizes.n_embd,
    };
    m->forward.backend->ops->backward->norm_mix(m->forward.backend, &norm_mix, batch);
}

static void embed_backward(struct rw_rwkv7_training *m, size_t tokens)
{
    const struct rw_rwkv7_weights *w = &m->forward.weights;
    struct rw_backend *be = m->forward.backend;
    size_t c = m->forward.sizes.n_embd;
    if (!m->forward.no_ln0) {
        float *x = m->work[0];
        be->ops->embed(be, x, &w->emb, m->ids, tokens);
        be->ops->backward->layer_norm(be, m->dx, m->gradients.ln0_weight, m->gradients.ln0_bias,
                                      m->dx, x, w->ln0_weight, m->forward.norm_eps, tokens, c);
    }
    be->ops->backward->embed(be, m->gradients.emb, m->dx, m->ids, tokens, c);
}

/* --- the whole -------------------------------------------------------------------------------- */

void rw_rwkv7_loss(struct rw_rwkv7_training *m, const struct rw_gradient_sequence *sequences,
                   size_t n, double *loss)
{
    struct rw_batch batch = pack(m, sequences, n);
    forward(m, &batch);
    head(m, batch.tokens, NULL, loss);
    hand_states_out(m, sequences, n);
}

static void tell(const struct rw_rwkv7_training *m, size_t l)
{
    if (m->passed)
        m->passed(m->passed_user, l);
}

void rw_rwkv7_gradient(struct rw_rwkv7_training *m, const struct rw_gradient_sequence *sequences,
                       size_t n, float scale, double *loss)
{
    struct rw_batch batch = pack(m, sequences, n);
    const struct rw_grad_batch upwards = {batch.tokens, n, m->grad_spans};
    size_t last = m->forward.sizes.n_layer - 1;
    forward(m, &batch);
    head(m, batch.tokens, &scale, loss);
    zero(m, m->dv_first, batch.tokens * m->forward.sizes.n_embd);
    tell(m, last + 1);
    for (size_t l = last + 1; l-- > 0;) {
        if (m->checkpoint && l < last)
            forward_block(m, l, &batch);
        channel_mix_backward(m, l, &upwards);
        time_mix_backward(m, l, &upwards);
        tell(m, l);
    }
    embed_backward(m, batch.tokens);
    hand_states_out(m, sequences, n);
}
