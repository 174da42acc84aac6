/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler of many sequences. A step has three parts: under the lock, sequences leave that are
 * cancelled or late, waiting ones join, and batch_plan.c says how many tokens each gets; then one
 * evaluation; then tokens are chosen where there are new logits. The lists change under the lock
 * only, and `working` only in the stepping thread, which therefore reads it without.
 */
#include "engine/batch_int.h"

#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"

/* Logits from which a step's tokens are chosen, when it pays to wake other threads for them. */
#define WORTH_SHARING 32768

/* --- sequences -------------------------------------------------------------------------------- */

static void free_sequence(struct rw_batch_sequence *s)
{
    if (!s)
        return;
    rw_generation_fini(&s->generation);
    if (!s->keep_state)
        rw_session_free(s->session);
    rw_str_fini(&s->spare);
    rw_free(s->stop_tokens);
    rw_free(s->tokens);
    rw_free(s->marks);
    rw_free(s);
}

static rwkv_status check_marks(const rwkv_batch_request *r, size_t n_tokens, rwkv_error *err)
{
    size_t last = 0;
    for (size_t i = 0; i < r->n_marks; last = r->marks[i++])
        if (r->marks[i] <= last || r->marks[i] > n_tokens)
            return rw_fail(err, RWKV_ERROR_ARGUMENT,
                           "mark %zu: wanted more than %zu and at most %zu tokens, found %zu", i,
                           last, n_tokens, r->marks[i]);
    return RWKV_OK;
}

static void *copy_of(const void *list, size_t n, size_t size)
{
    void *copy = rw_alloc(n, size);
    if (copy && n)
        memcpy(copy, list, n * size);
    return copy;
}

static rwkv_status take_prompt(struct rwkv_model *model, struct rw_batch_sequence *s,
                               const rwkv_batch_request *r, rwkv_error *err)
{
    if (r->prompt)
        return rw_encode_prompt(model, r->prompt, r->prompt_size, &s->tokens, &s->n_tokens, err);
    RW_TRY(rw_check_tokens(r->tokens, r->n_tokens, model->info.n_vocab, err));
    s->tokens = copy_of(r->tokens, r->n_tokens, sizeof *s->tokens);
    s->n_tokens = r->n_tokens;
    return s->tokens ? RWKV_OK
                     : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a prompt of %zu tokens",
                               r->n_tokens);
}

/* The options are copied with what they point to, or what they point to is copied by its user. */
static rwkv_status take_options(struct rwkv_model *model, struct rw_batch_sequence *s,
                                const rwkv_batch_request *r, rwkv_error *err)
{
    if (r->options)
        s->options = *r->options;
    RW_TRY(check_marks(r, s->n_tokens, err));
    s->stop_tokens = copy_of(s->options.stop_tokens, s->options.n_stop_tokens, sizeof(int32_t));
    s->marks = copy_of(r->marks, r->n_marks, sizeof *s->marks);
    s->n_marks = r->n_marks;
    if (!s->stop_tokens || !s->marks)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a sequence");
    s->options.stop_tokens = s->stop_tokens;
    return rw_generation_init(&s->generation, model, &s->options, err);
}

/* A session at the beginning or, with `from`, where that stands. */
static rwkv_status take_session(struct rwkv_model *model, struct rw_batch_sequence *s,
                                const rwkv_batch_request *r, rwkv_error *err)
{
    if ((r->session && r->session->model != model) || (r->from && r->from->model != model))
        return rw_fail(err, RWKV_ERROR_STATE, "the session is of another model than the batch");
    const struct rwkv_session *begin = r->from ? r->from : r->session;
    if (s->n_tokens == 0 && !(begin && begin->has_logits))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "an empty prompt, and no text before it: nothing to continue");
    s->session = r->session;
    s->keep_state = r->session != NULL;
    if (r->from && !r->session)
        RW_TRY(rw_session_new(model, &s->session, err));
    return RWKV_OK;
}

static rwkv_status new_sequence(struct rwkv_model *model, const rwkv_batch_request *r,
                                struct rw_batch_sequence **out, rwkv_error *err)
{
    rwkv_status status;
    struct rw_batch_sequence *s = rw_calloc(1, sizeof *s);
    if (!s)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a sequence");
    atomic_init(&s->cancelled, false);
    s->group = r->group;
    s->user = r->user;
    s->only_prompt = r->only_prompt != 0;
    s->added = rw_env_seconds();
    s->deadline = r->timeout > 0 ? s->added + r->timeout : 0;
    RW_GO(take_prompt(model, s, r, err));
    RW_GO(take_options(model, s, r, err));
    RW_GO(take_session(model, s, r, err));
    *out = s;
    return RWKV_OK;
done:
    free_sequence(s);
    return status;
}

/* --- the batch -------------------------------------------------------------------------------- */

static bool take_memory(struct rwkv_batch *b, const struct rwkv_model *model, size_t max)
{
    size_t threads = model->host->threads;
    b->working = rw_alloc(max, sizeof *b->working);
    b->aside = rw_alloc(max, sizeof *b->aside);
    b->segments = rw_alloc(max, sizeof *b->segments);
    b->pool = rw_alloc(max, sizeof *b->pool);
    b->memory = rw_calloc(threads, sizeof *b->memory);
    if (!b->working || !b->aside || !b->segments || !b->pool || !b->memory)
        return false;
    for (; b->n_memory < threads; b->n_memory++)
        if (!(b->memory[b->n_memory] = rw_candidates_new(model->info.n_vocab)))
            return false;
    return true;
}

static void free_memory(struct rwkv_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n_memory; i++)
        rw_candidates_free(b->memory[i]);
    rw_free(b->memory);
    rw_free(b->working);
    rw_free(b->waiting);
    rw_free(b->aside);
    rw_free(b->segments);
    rw_free(b->pool);
    rw_free(b);
}

rwkv_status rw_batch_new(struct rwkv_model *model, const rwkv_batch_options *options,
                         struct rwkv_batch **out, rwkv_error *err)
{
    size_t chunk = model->info.chunk;
    size_t max = options->max_sequences ? options->max_sequences : RW_BATCH_DEFAULT;
    if (max > RW_BATCH_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "max_sequences: wanted 1 to %d, found %zu",
                       RW_BATCH_MAX, max);
    if (options->step_tokens == 1 || options->step_tokens > chunk)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "step_tokens: wanted 2 to %zu, the model's chunk, found %zu", chunk,
                       options->step_tokens);
    if (!rw_model_vocab(model, err))
        return model->vocab_error.code;
    struct rwkv_batch *b = rw_calloc(1, sizeof *b);
    if (!b || !take_memory(b, model, max)) {
        free_memory(b);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a batch of %zu sequences", max);
    }
    b->max = max;
    b->step_tokens = options->step_tokens ? options->step_tokens : chunk;
    rw_model_retain(model);
    b->model = model;
    pthread_mutex_init(&b->lock, NULL);
    *out = b;
    return RWKV_OK;
}

/* The events of the last step are over, and with them the sequences that had their last one. */
static void clear_reports(struct rwkv_batch *b)
{
    while (b->reports) {
        struct rw_batch_sequence *s = b->reports;
        b->reports = s->next_report;
        s->events = 0;
        s->reporting = false;
        if (!s->finished)
            continue;
        if (!s->keep_state && s->session && b->n_pool < b->max) {
            b->pool[b->n_pool++] = s->session;
            s->session = NULL;
        }
        free_sequence(s);
    }
    b->last_report = NULL;
}

void rw_batch_free(struct rwkv_batch *b)
{
    if (!b)
        return;
    clear_reports(b);
    for (size_t i = 0; i < b->n_working; i++)
        free_sequence(b->working[i]);
    for (size_t i = 0; i < b->n_waiting; i++)
        free_sequence(b->waiting[i]);
    for (size_t i = 0; i < b->n_pool; i++)
        rw_session_free(b->pool[i]);
    pthread_mutex_destroy(&b->lock);
    rw_model_release(b->model);
    free_memory(b);
}

/* Under the lock. */
static bool is_used(const struct rwkv_batch *b, const struct rwkv_session *session)
{
    for (size_t i = 0; i < b->n_working; i++)
        if (b->working[i]->session == session)
            return true;
    for (size_t i = 0; i < b->n_waiting; i++)
        if (b->waiting[i]->session == session)
            return true;
    return false;
}

rwkv_status rw_batch_add(struct rwkv_batch *b, const rwkv_batch_request *request, uint64_t *id,
                         rwkv_error *err)
{
    struct rw_batch_sequence *s;
    rwkv_status status = RWKV_OK;
    RW_TRY(new_sequence(b->model, request, &s, err));
    pthread_mutex_lock(&b->lock);
    if (s->session && is_used(b, s->session))
        status = rw_fail(err, RWKV_ERROR_ARGUMENT, "the session is used in this batch already");
    else if (!rw_grow((void **)&b->waiting, b->n_waiting, &b->waiting_capacity, sizeof(void *)))
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory for one more sequence");
    if (status == RWKV_OK) {
        if (request->from)
            rw_session_copy(s->session, request->from);
        s->id = ++b->last_id;
        if (id)
            *id = s->id;
        b->waiting[b->n_waiting++] = s;
    }
    pthread_mutex_unlock(&b->lock);
    if (status != RWKV_OK)
        free_sequence(s);
    return status;
}

void rw_batch_cancel(struct rwkv_batch *b, uint64_t id)
{
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < b->n_working; i++)
        if (b->working[i]->id == id)
            atomic_store(&b->working[i]->cancelled, true);
    for (size_t i = 0; i < b->n_waiting; i++)
        if (b->waiting[i]->id == id)
            atomic_store(&b->waiting[i]->cancelled, true);
    pthread_mutex_unlock(&b->lock);
}

size_t rw_batch_count(struct rwkv_batch *b)
{
    pthread_mutex_lock(&b->lock);
    size_t count = b->n_working + b->n_waiting;
    pthread_mutex_unlock(&b->lock);
    return count;
}

/* --- events ----------------------------------------------------------------------------------- */

static void report(struct rwkv_batch *b, struct rw_batch_sequence *s, rwkv_batch_kind kind)
{
    s->events |= 1u << kind;
    if (s->reporting)
        return;
    s->reporting = true;
    s->next_report = NULL;
    if (b->last_report)
        b->last_report->next_report = s;
    else
        b->reports = s;
    b->last_report = s;
}

/* The last event. Its text comes from the stream, so the token's moves aside with its memory. */
static void finish(struct rwkv_batch *b, struct rw_batch_sequence *s, double now)
{
    struct rw_generation *g = &s->generation;
    struct rw_str shown = g->stream.text;
    g->stream.text = s->spare;
    s->spare = shown;
    if (g->result.finish != RWKV_FINISH_ERROR && rw_generation_end(g, &s->error) != RWKV_OK)
        g->result.finish = RWKV_FINISH_ERROR;
    if (s->prompt_done > 0)
        g->result.generate_seconds = now - s->prompt_done;
    else if (s->started > 0)
        g->result.prompt_seconds = now - s->started;
    s->finished = true;
    report(b, s, RWKV_BATCH_FINISHED);
}

static void fail(struct rw_batch_sequence *s)
{
    s->generation.over = true;
    s->generation.has_token = false;
    s->generation.result.finish = RWKV_FINISH_ERROR;
}

int rw_batch_next(struct rwkv_batch *b, rwkv_batch_event *event)
{
    struct rw_batch_sequence *s = b->reports;
    while (s && s->events == 0)
        s = s->next_report;
    if (!s)
        return 0;
    *event = (rwkv_batch_event){.kind = (rwkv_batch_kind)__builtin_ctz(s->events),
                                .id = s->id,
                                .user = s->user,
                                .token = s->generation.token,
                                .text = "",
                                .session = s->session,
                                .result = s->generation.result,
                                .queue_seconds = s->started > 0 ? s->started - s->added : 0};
    s->events &= s->events - 1;
    if (event->kind == RWKV_BATCH_TOKEN && s->shown_size) {
        event->text = s->shown;
        event->text_size = s->shown_size;
    } else if (event->kind == RWKV_BATCH_FINISHED) {
        if (s->generation.stream.text.size) {
            event->text = s->generation.stream.text.data;
            event->text_size = s->generation.stream.text.size;
        }
        if (!s->keep_state)
            event->session = NULL;
        if (event->result.finish == RWKV_FINISH_ERROR)
            event->error = &s->error;
    }
    return 1;
}

/* --- joining and leaving ---------------------------------------------------------------------- */

/* Whether nothing remains to be done: over, and no token that belongs into a state. */
static bool is_done(const struct rw_batch_sequence *s)
{
    return s->generation.over && !(s->keep_state && s->generation.has_token);
}

/* End it if somebody or the clock wants it. */
static void look_for_end(struct rw_batch_sequence *s, double now)
{
    if (atomic_load(&s->cancelled) || rw_generation_cancelled(&s->generation))
        rw_generation_stop(&s->generation, RWKV_FINISH_CALLER);
    else if (s->deadline > 0 && now >= s->deadline)
        rw_generation_stop(&s->generation, RWKV_FINISH_DEADLINE);
}

/* Take those out of a list that are done; how many remain. */
static size_t drop_done(struct rwkv_batch *b, struct rw_batch_sequence **list, size_t n, double now)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        look_for_end(list[i], now);
        if (is_done(list[i]))
            finish(b, list[i], now);
        else
            list[left++] = list[i];
    }
    return left;
}

/* Give a sequence what it works in. */
static rwkv_status settle(struct rwkv_batch *b, struct rw_batch_sequence *s, rwkv_error *err)
{
    if (!s->session && b->n_pool > 0) {
        s->session = b->pool[--b->n_pool];
        rw_session_reset(s->session);
    }
    if (!s->session)
        RW_TRY(rw_session_new(b->model, &s->session, err));
    s->generation.session = s->session;
    return RWKV_OK;
}

/* Under the lock: those that are done leave, waiting ones take their places. */
static void change_shift(struct rwkv_batch *b, double now)
{
    b->n_working = drop_done(b, b->working, b->n_working, now);
    b->n_waiting = drop_done(b, b->waiting, b->n_waiting, now);
    while (b->n_working < b->max && b->n_waiting > 0) {
        size_t chosen = rw_batch_choose_waiting(b);
        struct rw_batch_sequence *s = b->waiting[chosen];
        b->n_waiting--;
        memmove(&b->waiting[chosen], &b->waiting[chosen + 1],
                (b->n_waiting - chosen) * sizeof(void *));
        s->started = now;
        if (settle(b, s, &s->error) == RWKV_OK) {
            b->working[b->n_working++] = s;
        } else {
            fail(s);
            finish(b, s, now);
        }
    }
}

/* --- a step ----------------------------------------------------------------------------------- */

static rwkv_status evaluate(struct rwkv_batch *b, rwkv_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_working; i++) {
        struct rw_batch_sequence *s = b->working[i];
        if (s->slice == 0)
            continue;
        const int32_t *tokens = rw_batch_reads(s) ? s->tokens + s->generation.result.prompt_tokens
                                                  : &s->generation.token;
        b->segments[n++] = (rwkv_segment){s->session, tokens, s->slice, NULL, NULL};
    }
    return rw_segments_eval(b->segments, n, err);
}

/* A slice of the prompt has been read. */
static void advance_prompt(struct rwkv_batch *b, struct rw_batch_sequence *s, double now)
{
    rwkv_generate_result *result = &s->generation.result;
    result->prompt_tokens += s->slice;
    if (s->mark < s->n_marks && s->marks[s->mark] == result->prompt_tokens) {
        s->mark++;
        report(b, s, RWKV_BATCH_MARK);
    }
    if (rw_batch_reads(s))
        return;
    rw_free(s->tokens);
    s->tokens = NULL;
    s->prompt_done = now;
    result->prompt_seconds = now - s->started;
    if (s->only_prompt)
        rw_generation_stop(&s->generation, RWKV_FINISH_LENGTH);
}

static void choose(void *batch, size_t piece, size_t thread)
{
    struct rwkv_batch *b = batch;
    struct rw_batch_sequence *s = b->aside[piece];
    if (rw_generation_next(&s->generation, b->memory[thread], &s->error) != RWKV_OK)
        fail(s);
}

/* Tokens for the sequences aside. Over a large vocabulary that takes as long as a good part of the
 * evaluation, so all threads do it. */
static void choose_all(struct rwkv_batch *b, size_t n)
{
    struct rwkv_model *model = b->model;
    struct rw_backend *be = model->host;
    if (n * model->info.n_vocab < WORTH_SHARING) {
        for (size_t i = 0; i < n; i++)
            choose(b, i, 0);
        return;
    }
    pthread_mutex_lock(&model->lock);
    rw_backend_each(be, choose, b, n);
    pthread_mutex_unlock(&model->lock);
}

/* Tell of the tokens chosen for the sequences aside; how many there are. */
static size_t report_chosen(struct rwkv_batch *b, size_t n)
{
    size_t tokens = 0;
    for (size_t i = 0; i < n; i++) {
        struct rw_batch_sequence *s = b->aside[i];
        if (!s->generation.has_token)
            continue;
        s->shown = s->generation.stream.text.data;
        s->shown_size = s->generation.stream.text.size;
        report(b, s, RWKV_BATCH_TOKEN);
        tokens++;
    }
    return tokens;
}

/* What follows from the evaluation for one sequence; whether it needs its next token. */
static bool advance(struct rwkv_batch *b, struct rw_batch_sequence *s, rwkv_batch_stats *stats,
                    double now)
{
    struct rw_generation *g = &s->generation;
    stats->working += s->slice > 0;
    if (rw_batch_reads(s)) {
        stats->prompt_tokens += s->slice;
        advance_prompt(b, s, now);
    } else if (s->slice > 0) {
        g->has_token = false;
    }
    if (s->n_tokens == 0 && s->prompt_done == 0)
        advance_prompt(b, s, now); /* there was nothing to read */
    look_for_end(s, now);
    return !g->over && !rw_batch_reads(s) && !g->has_token;
}

static void advance_all(struct rwkv_batch *b, rwkv_batch_stats *stats)
{
    double now = rw_env_seconds();
    size_t n = 0;
    for (size_t i = 0; i < b->n_working; i++)
        if (advance(b, b->working[i], stats, now))
            b->aside[n++] = b->working[i];
    choose_all(b, n);
    stats->generated_tokens = report_chosen(b, n);
}

rwkv_status rw_batch_step(struct rwkv_batch *b, rwkv_batch_stats *stats, rwkv_error *err)
{
    rwkv_batch_stats unwanted;
    double start = rw_env_seconds();
    stats = stats ? stats : &unwanted;
    *stats = (rwkv_batch_stats){0};
    clear_reports(b);
    pthread_mutex_lock(&b->lock);
    change_shift(b, start);
    stats->waiting = b->n_waiting;
    rw_batch_plan(b);
    pthread_mutex_unlock(&b->lock);
    RW_TRY(evaluate(b, err));
    advance_all(b, stats);
    double now = rw_env_seconds();
    pthread_mutex_lock(&b->lock);
    size_t left = 0;
    for (size_t i = 0; i < b->n_working; i++) {
        if (is_done(b->working[i]))
            finish(b, b->working[i], now);
        else
            b->working[left++] = b->working[i];
    }
    b->n_working = left;
    pthread_mutex_unlock(&b->lock);
    stats->seconds = now - start;
    return RWKV_OK;
}
