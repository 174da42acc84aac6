/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RWKV-7 from top to bottom. For each block l, with xx = LN1(x), d = prev − xx (token shift):
 *
 *     x_c = xx + d∘x_c                              for c in r, w, k, v, a, g
 *     r = Wr x_r        k = Wk x_k        v = Wv x_v
 *     w = exp(−e^−½ σ(w0 + tanh(x_w w1) w2))
 *     v = v + (v_first − v)∘σ(v0 + (x_v v1) v2)     (block 0: v_first = v)
 *     η = σ(a0 + (x_a a1) a2)           g = σ(x_g g1) g2
 *     kk = k∘k_k / ‖k∘k_k‖ per head     k = k∘(1 + (η − 1)∘k_a)
 *     S = S·diag(w) − (S·kk)(kk∘η)ᵀ + v kᵀ          y = S r
 *     x = x + Wo ((GroupNorm(y) + (r·(k∘r_k)) v) ∘ g)
 *     xx = LN2(x)                       x = x + Wv′ max(0, Wk′ (xx + d∘x_k))²
 *
 * and logits = head LN_out(x). Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic State
 * Evolution". One token or many, one sequence or many: the same lines.
 */
#include <string.h>

#include "model/rwkv7_int.h"

struct rw_state_layout rw_rwkv7_state_layout(const struct rw_sizes *sizes)
{
    size_t c = sizes->n_embd;
    struct rw_state_layout layout = {.att_shift = 0, .ffn_shift = c, .wkv = 2 * c};
    layout.layer = 2 * c + c * sizes->head_size;
    layout.total = layout.layer * sizes->n_layer;
    return layout;
}

void rw_rwkv7_reserve(struct rw_rwkv7 *m, struct rw_arena *memory, struct rw_arena *host,
                      size_t tokens)
{
    struct rw_rwkv7_scratch *s = &m->scratch;
    size_t c = m->sizes.n_embd;
    float **full[] = {&s->x, &s->norm, &s->r, &s->w, &s->k,       &s->v,
                      &s->a, &s->b,    &s->g, &s->y, &s->v_first, &s->gate};
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++)
        *full[i] = rw_arena_take(memory, tokens * c, sizeof(float));
    for (size_t i = 0; i < 6; i++)
        s->mix[i] = rw_arena_take(memory, tokens * c, sizeof(float));
    s->hw = rw_arena_take(memory, tokens * m->rank_w, sizeof(float));
    s->ha = rw_arena_take(memory, tokens * m->rank_a, sizeof(float));
    s->hv = rw_arena_take(memory, tokens * m->rank_v, sizeof(float));
    s->hg = rw_arena_take(memory, tokens * m->rank_g, sizeof(float));
    s->wanted = rw_arena_take(memory, (tokens < RW_HEAD_TOKENS ? RW_HEAD_TOKENS : tokens) * c,
                              sizeof(float));
    s->ffn = rw_arena_take(memory, tokens * m->sizes.n_ffn, sizeof(float));
    s->logits = rw_arena_take(memory, RW_HEAD_TOKENS * m->sizes.n_vocab, sizeof(float));
    s->spans = rw_arena_take(host, tokens, sizeof *s->spans);
    s->ids = rw_arena_take(host, tokens, sizeof *s->ids);
}

void rw_rwkv7_matmul(struct rw_rwkv7 *m, const struct rw_matmul *ops, size_t n, size_t n_tokens)
{
    if (m->precision == RW_PRECISION_F32)
        m->backend->ops->matmul(m->backend, ops, n, n_tokens);
    else
        m->backend->ops->backward->matmul(m->backend, ops, n, n_tokens, m->precision);
}

static void matmul(struct rw_rwkv7 *m, const struct rw_matmul *ops, size_t n,
                   const struct rw_batch *batch)
{
    if (m->observer.see)
        m->observer.see(m->observer.user, ops, n, batch->tokens);
    rw_rwkv7_matmul(m, ops, n, batch->tokens);
}

/* The six products and the inner halves of the low-rank pairs, then the outer halves. */
static void time_mix_products(struct rw_rwkv7 *m, const struct rw_rwkv7_block *block, bool first,
                              const struct rw_batch *batch)
{
    struct rw_rwkv7_scratch *s = &m->scratch;
    float *x_r = s->mix[0], *x_w = s->mix[1], *x_k = s->mix[2];
    float *x_v = s->mix[3], *x_a = s->mix[4], *x_g = s->mix[5];
    const struct rw_matmul inner[] = {
        {s->r, x_r, &block->att_r, RW_STORE},
        {s->k, x_k, &block->att_k, RW_STORE},
        {first ? s->v_first : s->v, x_v, &block->att_v, RW_STORE},
        {s->hw, x_w, &block->w1, RW_TANH},
        {s->ha, x_a, &block->a1, RW_STORE},
        {s->hg, x_g, &block->g1, RW_SIGMOID},
        {s->hv, x_v, &block->v1, RW_STORE},
    };
    const struct rw_matmul outer[] = {
        {s->w, s->hw, &block->w2, RW_STORE},
        {s->a, s->ha, &block->a2, RW_STORE},
        {s->g, s->hg, &block->g2, RW_STORE},
        {s->gate, s->hv, &block->v2, RW_STORE},
    };
    size_t left_out = first ? 1 : 0; /* block 0 has no value residual: its v is v_first */
    matmul(m, inner, sizeof inner / sizeof inner[0] - left_out, batch);
    matmul(m, outer, sizeof outer / sizeof outer[0] - left_out, batch);
}

void rw_rwkv7_time_mix_inputs(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch)
{
    struct rw_rwkv7_scratch *s = &m->scratch;
    const struct rw_rwkv7_block *block = &m->weights.blocks[l];
    const float *mu[] = {block->x_r, block->x_w, block->x_k, block->x_v, block->x_a, block->x_g};
    const struct rw_norm_mix norm_mix = {
        .norm = s->norm,
        .out = s->mix,
        .x = s->x,
        .weight = block->ln1_weight,
        .bias = block->ln1_bias,
        .mu = mu,
        .n_mix = 6,
        .shift = (l - m->first) * m->layout.layer + m->layout.att_shift,
        .eps = m->norm_eps,
        .channels = m->sizes.n_embd,
    };
    m->backend->ops->norm_mix(m->backend, &norm_mix, batch);
    time_mix_products(m, block, l == 0, batch);
}

void rw_rwkv7_time_mix_output(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch)
{
    struct rw_rwkv7_scratch *s = &m->scratch;
    const struct rw_rwkv7_block *block = &m->weights.blocks[l];
    bool first = l == 0;
    const struct rw_wkv7 wkv7 = {
        .out = s->y,
        .y = s->y,
        .r = s->r,
        .g = s->g,
        .w = s->w,
        .k = s->k,
        .v = first ? s->v_first : s->v,
        .a = s->a,
        .b = s->b,
        .v_first = first ? NULL : s->v_first,
        .v_gate = first ? NULL : s->gate,
        .w0 = block->w0,
        .a0 = block->a0,
        .v0 = first ? NULL : block->v0,
        .k_k = block->k_k,
        .k_a = block->k_a,
        .r_k = block->r_k,
        .norm_weight = block->ln_x_weight,
        .norm_bias = block->ln_x_bias,
        .eps = RW_GROUP_NORM_EPS,
        .state = (l - m->first) * m->layout.layer + m->layout.wkv,
        .heads = m->sizes.n_embd / m->sizes.head_size,
        .head_size = m->sizes.head_size,
    };
    m->backend->ops->wkv7(m->backend, &wkv7, batch);
    matmul(m, &(struct rw_matmul){s->x, s->y, &block->att_o, RW_ADD}, 1, batch);
}

void rw_rwkv7_channel_mix_inputs(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch)
{
    struct rw_rwkv7_scratch *s = &m->scratch;
    const struct rw_rwkv7_block *block = &m->weights.blocks[l];
    const struct rw_norm_mix norm_mix = {
        .norm = s->norm,
        .out = s->mix,
        .x = s->x,
        .weight = block->ln2_weight,
        .bias = block->ln2_bias,
        .mu = &block->ffn_x_k,
        .n_mix = 1,
        .shift = (l - m->first) * m->layout.layer + m->layout.ffn_shift,
        .eps = m->norm_eps,
        .channels = m->sizes.n_embd,
    };
    m->backend->ops->norm_mix(m->backend, &norm_mix, batch);
    matmul(m, &(struct rw_matmul){s->ffn, s->mix[0], &block->ffn_k, RW_RELU2}, 1, batch);
}

void rw_rwkv7_channel_mix_output(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch)
{
    struct rw_rwkv7_scratch *s = &m->scratch;
    const struct rw_rwkv7_block *block = &m->weights.blocks[l];
    matmul(m, &(struct rw_matmul){s->x, s->ffn, &block->ffn_v, RW_ADD}, 1, batch);
}

void rw_rwkv7_embed(struct rw_rwkv7 *m, const int32_t *ids, size_t n_tokens)
{
    const struct rw_backend_ops *ops = m->backend->ops;
    float *x = m->scratch.x;
    ops->embed(m->backend, x, &m->weights.emb, ids, n_tokens);
    if (!m->no_ln0)
        ops->layer_norm(m->backend, x, x, m->weights.ln0_weight, m->weights.ln0_bias, m->norm_eps,
                        n_tokens, m->sizes.n_embd);
}

/* hidden = LN_out(x) for one row or a run of rows of x, into `wanted` from row `at` on. */
static float *hidden_rows(struct rw_rwkv7 *m, size_t at, size_t row, size_t count)
{
    size_t c = m->sizes.n_embd;
    float *to = m->scratch.wanted + at * c;
    m->backend->ops->layer_norm(m->backend, to, m->scratch.x + row * c, m->weights.ln_out_weight,
                                m->weights.ln_out_bias, m->norm_eps, count, c);
    return to;
}

static void head(struct rw_rwkv7 *m, float *logits, const float *hidden, size_t count)
{
    rw_rwkv7_matmul(m, &(struct rw_matmul){logits, hidden, &m->weights.head, RW_STORE}, 1, count);
}

/* Logits of single rows that lie together in `wanted` but go to different places: through a buffer,
 * so that the head is read once for all of them. */
static void head_scattered(struct rw_rwkv7 *m, float **places, size_t count)
{
    if (count == 1 && m->backend->ops->host_memory) {
        head(m, places[0], m->scratch.wanted, 1);
        return;
    }
    head(m, m->scratch.logits, m->scratch.wanted, count);
    m->backend->ops->download_rows(m->backend, places, m->scratch.logits, count, m->sizes.n_vocab);
}

/* Logits of a run of rows, to host memory. */
static void head_run(struct rw_rwkv7 *m, float *logits, const float *hidden, size_t count)
{
    size_t c = m->sizes.n_embd, v = m->sizes.n_vocab;
    if (m->backend->ops->host_memory) {
        head(m, logits, hidden, count);
        return;
    }
    for (size_t done = 0; done < count; done += RW_HEAD_TOKENS) {
        size_t n = count - done < RW_HEAD_TOKENS ? count - done : RW_HEAD_TOKENS;
        head(m, m->scratch.logits, hidden + done * c, n);
        m->backend->ops->download(m->backend, logits + done * v, m->scratch.logits, n * v);
    }
}

/* Sequences that want the outputs of every token: a run of rows each. */
static void outputs_of_all(struct rw_rwkv7 *m, const struct rw_sequence *sequences, size_t n)
{
    size_t row = 0;
    for (size_t i = 0; i < n; row += sequences[i++].count) {
        const struct rw_sequence *q = &sequences[i];
        if (!q->all_logits && !q->all_hidden)
            continue;
        const float *hidden = hidden_rows(m, 0, row, q->count);
        if (q->all_hidden)
            m->backend->ops->download(m->backend, q->all_hidden, hidden,
                                      q->count * m->sizes.n_embd);
        if (q->all_logits)
            head_run(m, q->all_logits, hidden, q->count);
    }
}

/* Sequences that want the outputs of their last token: some rows from here and there. */
static void outputs_of_last(struct rw_rwkv7 *m, const struct rw_sequence *sequences, size_t n)
{
    float *places[RW_HEAD_TOKENS];
    size_t waiting = 0, end = 0;
    for (size_t i = 0; i < n; i++) {
        const struct rw_sequence *q = &sequences[i];
        end += q->count;
        if (!q->last_logits && !q->last_hidden)
            continue;
        const float *hidden = hidden_rows(m, waiting, end - 1, 1);
        if (q->last_hidden)
            m->backend->ops->download(m->backend, q->last_hidden, hidden, m->sizes.n_embd);
        if (q->last_logits)
            places[waiting++] = q->last_logits;
        if (waiting == RW_HEAD_TOKENS) {
            head_scattered(m, places, waiting);
            waiting = 0;
        }
    }
    if (waiting)
        head_scattered(m, places, waiting);
}

struct rw_batch rw_rwkv7_pack(struct rw_rwkv7 *m, const struct rw_sequence *sequences, size_t n)
{
    struct rw_batch batch = {.n_spans = n, .spans = m->scratch.spans};
    for (size_t i = 0; i < n; i++) {
        const struct rw_sequence *q = &sequences[i];
        m->scratch.spans[i] = (struct rw_span){batch.tokens, q->count, q->state};
        memcpy(m->scratch.ids + batch.tokens, q->tokens, q->count * sizeof *q->tokens);
        batch.tokens += q->count;
    }
    return batch;
}

void rw_rwkv7_blocks(struct rw_rwkv7 *m, const struct rw_batch *batch, size_t begin, size_t end)
{
    for (size_t l = begin; l < end; l++) {
        rw_rwkv7_time_mix_inputs(m, l, batch);
        rw_rwkv7_time_mix_output(m, l, batch);
        rw_rwkv7_channel_mix_inputs(m, l, batch);
        rw_rwkv7_channel_mix_output(m, l, batch);
    }
}

void rw_rwkv7_outputs(struct rw_rwkv7 *m, const struct rw_sequence *sequences, size_t n)
{
    outputs_of_all(m, sequences, n);
    outputs_of_last(m, sequences, n);
}

void rw_rwkv7_forward(struct rw_rwkv7 *m, const struct rw_sequence *sequences, size_t n)
{
    struct rw_batch batch = rw_rwkv7_pack(m, sequences, n);
    rw_rwkv7_embed(m, m->scratch.ids, batch.tokens);
    rw_rwkv7_blocks(m, &batch, 0, m->sizes.n_layer);
    rw_rwkv7_outputs(m, sequences, n);
}
