/* SPDX-License-Identifier: Apache-2.0 */
/* A job from stage to stage. Everything here is the inference thread's. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "server/worker_int.h"

#define MARK_EVERY 1024

static rwkv_store *store_of(const struct rw_worker *w, const struct rw_job *job)
{
    return job->no_cache ? NULL : w->options.store;
}

/* --- the prompt ------------------------------------------------------------------------------- */

/* Marks behind what the session has seen, counted from there: the job's own, one every now and
 * then, and the prompt's end. */
static size_t *make_marks(const struct rw_worker *w, const struct rw_job *job, size_t *n)
{
    size_t every = w->options.mark_every ? w->options.mark_every : MARK_EVERY;
    size_t done = job->work->done, rest = job->n_tokens - done, i = 0;
    size_t *marks = rw_alloc(job->n_marks + rest / every + 1, sizeof *marks);
    *n = 0;
    if (!marks || !store_of(w, job))
        return marks;
    for (size_t at = 0; at < rest;) {
        size_t next = at + every < rest ? at + every : rest;
        while (i < job->n_marks && job->marks[i] <= done + at)
            i++;
        if (i < job->n_marks && job->marks[i] < done + next)
            next = job->marks[i] - done;
        marks[(*n)++] = at = next;
    }
    return marks;
}

/* Put a sequence into the batch. */
static rwkv_status add(struct rw_choice *choice, rwkv_batch_request *request, rwkv_error *err)
{
    const struct rw_job *job = choice->job;
    double left = job->timeout - (rw_env_seconds() - job->work->submitted);
    request->session = choice->session;
    request->group = job->group;
    request->timeout = job->timeout > 0 ? RW_MAX(left, 1e-3) : 0;
    request->user = choice;
    return rwkv_batch_add(job->served->batch, request, &choice->id, err);
}

/* The only choice reads the prompt itself. */
static rwkv_status read_prompt(struct rw_worker *w, struct rw_job *job, rwkv_error *err)
{
    struct rw_job_work *work = job->work;
    bool single = job->n == 1 && !job->only_prompt;
    struct rw_choice *choice = single ? &work->choices[0] : &work->reader;
    size_t n_marks;
    size_t *marks = make_marks(w, job, &n_marks);
    if (!marks)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a prompt of %zu tokens",
                       job->n_tokens);
    rwkv_batch_request request = {.tokens = job->tokens + work->done,
                                  .n_tokens = job->n_tokens - work->done,
                                  .options = &job->options,
                                  .only_prompt = !single,
                                  .marks = marks,
                                  .n_marks = n_marks};
    choice->session = work->session;
    work->session = NULL;
    work->stage = single ? RW_STAGE_CHOICES : RW_STAGE_PROMPT;
    rwkv_status status = add(choice, &request, err);
    rw_free(marks);
    return status;
}

/* All choices begin where the prompt ends; the first takes over the session, after the others had
 * their copies. */
static rwkv_status begin_choices(struct rw_job *job, rwkv_error *err)
{
    struct rw_job_work *work = job->work;
    work->stage = RW_STAGE_CHOICES;
    for (size_t i = job->n; i-- > 0;) {
        struct rw_choice *choice = &work->choices[i];
        rwkv_generate_options options = job->options;
        options.sampler.seed += i;
        rwkv_batch_request request = {.tokens = job->tokens, .options = &options};
        if (i == 0) {
            choice->session = work->session;
            work->session = NULL;
        } else {
            RW_TRY(rwkv_session_new(job->served->model, &choice->session, err));
            request.from = work->session;
        }
        RW_TRY(add(choice, &request, err));
    }
    return RWKV_OK;
}

static void finish_prompt_only(struct rw_worker *w, struct rw_job *job)
{
    struct rw_job_event event = {.kind = RW_JOB_FINISHED,
                                 .result = {.prompt_tokens = job->n_tokens}};
    if (job->give_session) {
        event.session = job->work->session;
        job->work->session = NULL;
    }
    for (size_t i = 1; i < job->n; i++)
        rw_job_tell(
            w, job,
            &(struct rw_job_event){.kind = RW_JOB_FINISHED, .choice = i, .result = event.result});
    rw_job_tell(w, job, &event);
    rw_job_end(w, job, NULL);
}

void rw_job_read(struct rw_worker *w, struct rw_job *job)
{
    struct rw_job_work *work = job->work;
    rwkv_error err = {RWKV_OK, ""};
    bool read = work->done == job->n_tokens && rwkv_session_logits(work->session);
    if (!read)
        read_prompt(w, job, &err);
    else if (job->only_prompt)
        finish_prompt_only(w, job);
    else
        begin_choices(job, &err);
    if (err.code)
        rw_job_end_with(w, job, &err);
}

/* Its session: what was given, or what is remembered, or a new one. */
static rwkv_status take_session(struct rw_worker *w, struct rw_job *job, rwkv_error *err)
{
    struct rw_job_work *work = job->work;
    if (job->from) {
        work->session = job->from;
        job->from = NULL;
        job->no_cache = true; /* what it has seen before is not known by its tokens */
        return RWKV_OK;
    }
    RW_TRY(rwkv_session_new(job->served->model, &work->session, err));
    if (store_of(w, job) && !job->echo && job->kind == RW_JOB_GENERATE)
        RW_TRY(rwkv_store_find(w->options.store, work->session, &job->owner, job->tokens,
                               job->n_tokens, &work->done, err));
    return RWKV_OK;
}

void rw_job_begin(struct rw_worker *w, struct rw_job *job)
{
    struct rw_job_work *work = job->work;
    rwkv_error err = {RWKV_OK, ""};
    rwkv_status status = take_session(w, job, &err);
    if (status == RWKV_OK && job->kind == RW_JOB_EMBED) {
        work->sum = rw_calloc(job->served->info.n_embd, sizeof *work->sum);
        if (!work->sum)
            status = rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for a vector");
    }
    if (status != RWKV_OK) {
        rw_job_end_with(w, job, &err);
        return;
    }
    rw_job_tell(w, job,
                &(struct rw_job_event){.kind = RW_JOB_STARTED,
                                       .cached_tokens = work->done,
                                       .queue_seconds = rw_env_seconds() - work->submitted});
    work->stage = job->kind == RW_JOB_EMBED ? RW_STAGE_EMBEDDING : RW_STAGE_SCORING;
    if (job->kind == RW_JOB_GENERATE && !job->echo)
        rw_job_read(w, job);
}

/* --- what the batch says ---------------------------------------------------------------------- */

/* Remember the state after the first n tokens of the prompt and all that was chosen. That it cannot
 * be done is no reason to fail. */
static void remember(struct rw_worker *w, const struct rw_choice *choice,
                     const rwkv_session *session, size_t n_prompt)
{
    const struct rw_job *job = choice->job;
    rwkv_store *store = store_of(w, job);
    size_t n = n_prompt + choice->n;
    if (!store || n == 0 || rwkv_session_position(session) != n)
        return;
    if (choice->n == 0) {
        rwkv_store_put(store, session, &job->owner, job->tokens, n, NULL);
        return;
    }
    int32_t *tokens = rw_alloc(n, sizeof *tokens);
    if (!tokens)
        return;
    memcpy(tokens, job->tokens, n_prompt * sizeof *tokens);
    memcpy(tokens + n_prompt, choice->tokens, choice->n * sizeof *tokens);
    rwkv_store_put(store, session, &job->owner, tokens, n, NULL);
    rw_free(tokens);
}

static void take_token(struct rw_worker *w, struct rw_choice *choice, const rwkv_batch_event *event)
{
    struct rw_job *job = choice->job;
    struct rw_token_score top[RW_MAX_LOGPROBS];
    struct rw_job_event told = {.kind = RW_JOB_TOKEN,
                                .choice = choice->index,
                                .token = event->token,
                                .text = event->text,
                                .text_size = event->text_size,
                                .logprob = NAN};
    if (rw_grow((void **)&choice->tokens, choice->n, &choice->capacity, sizeof *choice->tokens))
        choice->tokens[choice->n] = event->token;
    else
        job->no_cache = true; /* what was chosen is not known in full */
    choice->n++;
    if (job->logprobs >= 0)
        rw_score_logits(rwkv_session_logits(event->session), job->served->info.n_vocab,
                        event->token, (size_t)job->logprobs, &told, top);
    rw_job_tell(w, job, &told);
}

/* The prompt has been read for all choices. */
static void end_reading(struct rw_worker *w, struct rw_choice *reader,
                        const rwkv_batch_event *event)
{
    struct rw_job *job = reader->job;
    struct rw_job_work *work = job->work;
    rwkv_error err = {RWKV_OK, ""};
    work->session = reader->session;
    reader->session = NULL;
    work->done += event->result.prompt_tokens;
    if (event->error) {
        rw_job_end_with(w, job, event->error);
    } else if (work->done < job->n_tokens) { /* cancelled, or late */
        for (size_t i = 0; i < job->n; i++)
            rw_job_tell(w, job,
                        &(struct rw_job_event){
                            .kind = RW_JOB_FINISHED, .choice = i, .result = event->result});
        rw_job_end(w, job, NULL);
    } else if (job->only_prompt) {
        finish_prompt_only(w, job);
    } else if (begin_choices(job, &err) != RWKV_OK) {
        rw_job_end_with(w, job, &err);
    }
}

static void end_choice(struct rw_worker *w, struct rw_choice *choice, const rwkv_batch_event *event)
{
    struct rw_job *job = choice->job;
    struct rw_job_event told = {.kind = RW_JOB_FINISHED,
                                .choice = choice->index,
                                .text = event->text,
                                .text_size = event->text_size,
                                .result = event->result};
    if (event->error) {
        rw_job_end_with(w, job, event->error);
        return;
    }
    remember(w, choice, choice->session, job->n_tokens);
    if (job->give_session) {
        told.session = choice->session;
        choice->session = NULL;
    }
    rw_job_tell(w, job, &told);
    if (--job->work->left == 0)
        rw_job_end(w, job, NULL);
}

void rw_job_take(struct rw_worker *w, const rwkv_batch_event *event)
{
    struct rw_choice *choice = event->user;
    struct rw_job *job = choice->job;
    if (event->kind == RWKV_BATCH_FINISHED)
        choice->id = 0;
    if (job->work->stage == RW_STAGE_OVER)
        return; /* another of its sequences failed */
    switch (event->kind) {
    case RWKV_BATCH_MARK:
        remember(w, choice, event->session, job->work->done + event->result.prompt_tokens);
        break;
    case RWKV_BATCH_TOKEN:
        take_token(w, choice, event);
        break;
    case RWKV_BATCH_FINISHED:
        if (choice->index == SIZE_MAX)
            end_reading(w, choice, event);
        else
            end_choice(w, choice, event);
        break;
    }
}

void rw_job_leave_batch(struct rw_job *job)
{
    struct rw_job_work *work = job->work;
    if (work->reader.id)
        rwkv_batch_cancel(job->served->batch, work->reader.id);
    for (size_t i = 0; i < job->n; i++)
        if (work->choices[i].id)
            rwkv_batch_cancel(job->served->batch, work->choices[i].id);
}

bool rw_job_is_in_batch(const struct rw_job *job)
{
    const struct rw_job_work *work = job->work;
    bool in = work->reader.id != 0;
    for (size_t i = 0; i < job->n; i++)
        in = in || work->choices[i].id != 0;
    return in;
}
