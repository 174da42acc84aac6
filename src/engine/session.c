/* SPDX-License-Identifier: Apache-2.0 */
/* Timelines, and evaluating several of them in one pass over the weights. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/engine.h"

/* Floats of a state that are with a stage. */
static size_t part_floats(const struct rwkv_model *m, size_t stage)
{
    const struct rw_stage *s = &m->stages.stages[stage];
    return (s->end - s->first) * m->rwkv7.layout.layer;
}

static bool take_memory(struct rwkv_session *s, const struct rwkv_model *m)
{
    s->logits = rw_alloc_aligned(m->info.n_vocab, sizeof *s->logits);
    s->hidden = rw_alloc_aligned(m->info.n_embd, sizeof *s->hidden);
    s->parts = rw_calloc(m->stages.n, sizeof *s->parts);
    if (!s->logits || !s->hidden || !s->parts)
        return false;
    for (size_t i = 0; i < m->stages.n; i++) {
        struct rw_backend *be = m->stages.stages[i].backend;
        size_t n = part_floats(m, i);
        if (n > 0 && !(s->parts[i] = be->ops->alloc(be, n)))
            return false;
    }
    return true;
}

static void free_memory(struct rwkv_session *s, const struct rwkv_model *m)
{
    for (size_t i = 0; s->parts && i < m->stages.n; i++) {
        struct rw_backend *be = m->stages.stages[i].backend;
        be->ops->release(be, s->parts[i]);
    }
    rw_free(s->parts);
    rw_free(s->mirror);
    rw_free(s->logits);
    rw_free(s->hidden);
    rw_free(s);
}

rwkv_status rw_session_new(struct rwkv_model *model, struct rwkv_session **out, rwkv_error *err)
{
    struct rwkv_session *s = rw_calloc(1, sizeof *s);
    if (!s || !take_memory(s, model)) {
        if (s)
            free_memory(s, model);
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
    struct rwkv_model *model = s->model;
    free_memory(s, model);
    rw_model_release(model);
}

void rw_session_reset(struct rwkv_session *s)
{
    for (size_t i = 0; i < s->model->stages.n; i++) {
        struct rw_backend *be = s->model->stages.stages[i].backend;
        if (s->parts[i])
            be->ops->clear(be, s->parts[i], part_floats(s->model, i));
    }
    s->has_logits = false;
    s->position = 0;
}

void rw_session_copy(struct rwkv_session *to, const struct rwkv_session *from)
{
    const struct rwkv_model *m = from->model;
    if (to == from)
        return;
    for (size_t i = 0; i < m->stages.n; i++) {
        struct rw_backend *be = m->stages.stages[i].backend;
        if (to->parts[i])
            be->ops->copy(be, to->parts[i], from->parts[i], part_floats(m, i));
    }
    memcpy(to->logits, from->logits, m->info.n_vocab * sizeof *to->logits);
    memcpy(to->hidden, from->hidden, m->info.n_embd * sizeof *to->hidden);
    to->has_logits = from->has_logits;
    to->position = from->position;
}

/* How many of floats [at, at + n) of the state are with a stage, and from where in its part. The
 * states of stages follow each other as their blocks do. */
static size_t share(const struct rwkv_model *m, size_t stage, size_t at, size_t n, size_t *from)
{
    size_t begin = m->stages.stages[stage].first * m->rwkv7.layout.layer;
    size_t end = begin + part_floats(m, stage);
    *from = at > begin ? at - begin : 0;
    size_t first = begin + *from, last = RW_MIN(at + n, end);
    return last > first ? last - first : 0;
}

void rw_session_get(const struct rwkv_session *s, size_t at, size_t n, float *to)
{
    for (size_t i = 0; i < s->model->stages.n; i++) {
        struct rw_backend *be = s->model->stages.stages[i].backend;
        size_t from, count = share(s->model, i, at, n, &from);
        if (count > 0)
            be->ops->download(be, to, s->parts[i] + from, count);
        to += count;
    }
}

void rw_session_put(struct rwkv_session *s, size_t at, size_t n, const float *from)
{
    for (size_t i = 0; i < s->model->stages.n; i++) {
        struct rw_backend *be = s->model->stages.stages[i].backend;
        size_t to, count = share(s->model, i, at, n, &to);
        if (count > 0)
            be->ops->upload(be, s->parts[i] + to, from, count);
        from += count;
    }
}

rwkv_status rw_session_view(struct rwkv_session *s, const float **out, rwkv_error *err)
{
    size_t total = s->model->rwkv7.layout.total;
    *out = s->parts[0];
    if (rw_stages_on_host(s->model))
        return RWKV_OK;
    if (!s->mirror && !(s->mirror = rw_alloc(total, sizeof *s->mirror)))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a copy of the state");
    rw_session_get(s, 0, total, s->mirror);
    *out = s->mirror;
    return RWKV_OK;
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
    struct rw_sequence q = {.tokens = segment->tokens + p->done};
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
static rwkv_status step(struct rwkv_model *model, struct progress *p, rwkv_error *err)
{
    size_t room = model->info.chunk, n = 0;
    while (p->at < p->n && room > 0) {
        if (p->segments[p->at].n_tokens == 0) {
            p->at++;
            continue;
        }
        model->stepping[n] = p->segments[p->at].session;
        model->sequences[n] = next_piece(p, room);
        room -= model->sequences[n++].count;
    }
    if (n > 0)
        RW_TRY(rw_stages_forward(model, model->sequences, model->stepping, n, err));
    if (n > 0 && model->sequences[0].count == 1)
        decoded(model, n == 1);
    return RWKV_OK;
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
        status = step(model, &p, err);
    pthread_mutex_unlock(&model->lock);
    return status;
}
