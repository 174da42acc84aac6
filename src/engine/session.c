/* SPDX-License-Identifier: Apache-2.0 */
/* Timelines, and evaluating several of them in one pass over the weights. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/engine.h"

rwkv_status rw_session_new(struct rwkv_model *model, struct rwkv_session **out, rwkv_error *err)
{
    struct rw_backend *be = model->rwkv7.backend;
    struct rwkv_session *s = rw_calloc(1, sizeof *s);
    if (s) {
        s->state = be->ops->alloc(be, model->rwkv7.layout.total);
        s->logits = rw_alloc_aligned(model->info.n_vocab, sizeof *s->logits);
        s->hidden = rw_alloc_aligned(model->info.n_embd, sizeof *s->hidden);
    }
    if (!s || !s->state || !s->logits || !s->hidden) {
        if (s) {
            be->ops->release(be, s->state);
            rw_free(s->logits);
            rw_free(s->hidden);
            rw_free(s);
        }
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a session of %llu bytes",
                       (unsigned long long)model->info.state_bytes);
    }
    rw_model_retain(model);
    s->model = model;
    *out = s;
    return RWKV_OK;
}

void rw_session_free(struct rwkv_session *s)
{
    if (!s)
        return;
    struct rw_backend *be = s->model->rwkv7.backend;
    be->ops->release(be, s->state);
    rw_free(s->logits);
    rw_free(s->hidden);
    rw_model_release(s->model);
    rw_free(s);
}

void rw_session_reset(struct rwkv_session *s)
{
    memset(s->state, 0, s->model->rwkv7.layout.total * sizeof *s->state);
    s->has_logits = false;
    s->position = 0;
}

void rw_session_copy(struct rwkv_session *to, const struct rwkv_session *from)
{
    if (to == from)
        return;
    memcpy(to->state, from->state, from->model->rwkv7.layout.total * sizeof *to->state);
    memcpy(to->logits, from->logits, from->model->info.n_vocab * sizeof *to->logits);
    memcpy(to->hidden, from->hidden, from->model->info.n_embd * sizeof *to->hidden);
    to->has_logits = from->has_logits;
    to->position = from->position;
}

/* --- evaluation ------------------------------------------------------------------------------- */

rwkv_status rw_check_tokens(const int32_t *tokens, size_t n_tokens, size_t n_vocab, rwkv_error *err)
{
    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || (size_t)tokens[i] >= n_vocab)
            return rw_fail(err, RWKV_ERROR_TOKEN, "token %zu: wanted an id of 0 to %zu, found %d",
                           i, n_vocab - 1, (int)tokens[i]);
    return RWKV_OK;
}

/* Under the model's lock: `busy` marks a session named before. */
static rwkv_status check_segments(const rwkv_segment *segments, size_t n, rwkv_error *err)
{
    struct rwkv_model *model = segments[0].session->model;
    rwkv_status status = RWKV_OK;
    size_t marked = 0;
    for (; marked < n && status == RWKV_OK; marked++) {
        struct rwkv_session *session = segments[marked].session;
        if (session->model != model || session->busy) {
            status = rw_fail(err, RWKV_ERROR_ARGUMENT, "segment %zu: %s", marked,
                             session->busy ? "its session is named twice"
                                           : "its session is of another model");
            break;
        }
        session->busy = true;
        status = rw_check_tokens(segments[marked].tokens, segments[marked].n_tokens,
                                 model->info.n_vocab, err);
    }
    for (size_t i = 0; i < marked; i++)
        segments[i].session->busy = false;
    return status;
}

/* Where an evaluation stands: `done` tokens of segment `at`. */
struct progress {
    const rwkv_segment *segments;
    size_t n, at, done;
};

/* The next piece of a segment, at most `room` tokens. */
static struct rw_sequence next_piece(struct progress *p, size_t room)
{
    const rwkv_segment *segment = &p->segments[p->at];
    struct rwkv_session *session = segment->session;
    const rwkv_model_info *info = &session->model->info;
    struct rw_sequence q = {.tokens = segment->tokens + p->done, .state = session->state};
    q.count = RW_MIN(segment->n_tokens - p->done, room);
    if (segment->logits)
        q.all_logits = segment->logits + p->done * info->n_vocab;
    if (segment->hidden)
        q.all_hidden = segment->hidden + p->done * info->n_embd;
    p->done += q.count;
    if (p->done == segment->n_tokens) {
        q.last_logits = session->logits;
        q.last_hidden = session->hidden;
        session->has_logits = true;
        session->position += segment->n_tokens;
        p->at++;
        p->done = 0;
    }
    return q;
}

/* Copies of weights are made while decoding. */
static void decoded(struct rwkv_model *model, bool alone)
{
    if (alone)
        rw_zeros_decoded(model);
    rw_packing_decoded(model, alone);
}

/* One step: as many tokens as a chunk holds, of as many segments as that takes. */
static void step(struct rwkv_model *model, struct progress *p)
{
    size_t room = model->info.chunk, n = 0;
    while (p->at < p->n && room > 0) {
        if (p->segments[p->at].n_tokens == 0) {
            p->at++;
            continue;
        }
        model->sequences[n] = next_piece(p, room);
        room -= model->sequences[n++].count;
    }
    if (n > 0)
        rw_rwkv7_forward(&model->rwkv7, model->sequences, n);
    if (n > 0 && model->sequences[0].count == 1)
        decoded(model, n == 1);
}

rwkv_status rw_segments_eval(const rwkv_segment *segments, size_t n, rwkv_error *err)
{
    if (n == 0)
        return RWKV_OK;
    struct rwkv_model *model = segments[0].session->model;
    pthread_mutex_lock(&model->lock);
    rwkv_status status = check_segments(segments, n, err);
    struct progress p = {segments, n, 0, 0};
    while (status == RWKV_OK && p.at < p.n)
        step(model, &p);
    pthread_mutex_unlock(&model->lock);
    return status;
}
