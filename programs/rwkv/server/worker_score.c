/* SPDX-License-Identifier: Apache-2.0 */
/* Log-probabilities of tokens, scores of prompts, vectors of texts. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "server/worker_int.h"

/* --- log-probabilities ------------------------------------------------------------------------ */

/* log Σ exp(z), the sum in double. NaN counts as nothing. */
static double log_sum(const float *z, size_t n)
{
    float max = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        max = z[i] > max ? z[i] : max;
    for (size_t i = 0; i < n; i++)
        if (z[i] == z[i])
            sum += (double)expf(z[i] - max);
    return (double)max + log(sum);
}

/* The k largest, of equal ones those of lower id first; how many there are. */
static size_t find_top(const float *z, size_t n, size_t k, struct rw_token_score *top)
{
    size_t count = 0;
    for (size_t i = 0; i < n && k > 0; i++) {
        if (!(z[i] > -INFINITY) || (count == k && z[i] <= top[k - 1].logprob))
            continue;
        size_t at = count < k ? count++ : k - 1;
        for (; at > 0 && top[at - 1].logprob < z[i]; at--)
            top[at] = top[at - 1];
        top[at] = (struct rw_token_score){(int32_t)i, z[i]};
    }
    return count;
}

void rw_score_logits(const float *logits, size_t n_vocab, int32_t token, size_t n_top,
                     struct rw_job_event *to, struct rw_token_score top[])
{
    double whole = log_sum(logits, n_vocab);
    to->logprob = (float)((double)logits[token] - whole);
    to->n_top = find_top(logits, n_vocab, n_top, top);
    to->top = top;
    for (size_t i = 0; i < to->n_top; i++)
        top[i].logprob = (float)((double)top[i].logprob - whole);
}

/* --- scores of a prompt ----------------------------------------------------------------------- */

static void tell_score(struct rw_worker *w, struct rw_job *job, size_t at, const float *logits)
{
    struct rw_token_score top[RW_MAX_LOGPROBS];
    struct rw_job_event event = {.kind = RW_JOB_SCORED, .token = job->tokens[at], .logprob = NAN};
    if (logits && job->logprobs >= 0)
        rw_score_logits(logits, job->served->info.n_vocab, event.token, (size_t)job->logprobs,
                        &event, top);
    rw_job_tell(w, job, &event);
}

static bool has_room(struct rw_worker *w, size_t floats)
{
    if (floats <= w->logits_size)
        return true;
    rw_free(w->logits);
    w->logits = rw_alloc_aligned(floats, sizeof *w->logits);
    w->logits_size = w->logits ? floats : 0;
    return w->logits != NULL;
}

/* The score of a slice's first token is in the logits before it. */
void rw_job_score_slice(struct rw_worker *w, struct rw_job *job, size_t room)
{
    rwkv_error err = {RWKV_OK, ""};
    struct rw_job_work *work = job->work;
    size_t n_vocab = job->served->info.n_vocab;
    size_t n = RW_MIN(job->n_tokens - work->done, RW_MIN(room, (size_t)RW_SCORE_SLICE));
    if (!has_room(w, RW_SCORE_SLICE * n_vocab)) {
        rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for the logits of %d tokens", RW_SCORE_SLICE);
        rw_job_end_with(w, job, &err);
        return;
    }
    if (n > 0)
        tell_score(w, job, work->done, rwkv_session_logits(work->session));
    if (rwkv_session_eval_all(work->session, job->tokens + work->done, n, w->logits, NULL, &err) !=
        RWKV_OK) {
        rw_job_end_with(w, job, &err);
        return;
    }
    for (size_t i = 1; i < n; i++)
        tell_score(w, job, work->done + i, w->logits + (i - 1) * n_vocab);
    work->done += n;
    if (work->done == job->n_tokens)
        rw_job_read(w, job);
}

/* --- vectors ---------------------------------------------------------------------------------- */

static void tell_vector(struct rw_worker *w, struct rw_job *job)
{
    size_t channels = job->served->info.n_embd;
    const float *last = rwkv_session_hidden(job->work->session);
    float *vector = rw_alloc(channels, sizeof *vector);
    rwkv_error err = {RWKV_OK, ""};
    if (!vector) {
        rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for a vector");
        rw_job_end_with(w, job, &err);
        return;
    }
    for (size_t c = 0; c < channels; c++)
        vector[c] = job->pooling == RW_POOL_LAST
                        ? last[c]
                        : (float)(job->work->sum[c] / (double)job->n_tokens);
    rw_job_tell(w, job,
                &(struct rw_job_event){.kind = RW_JOB_VECTOR, .vector = vector, .size = channels});
    rw_free(vector);
    rw_job_end(w, job, NULL);
}

static void add_rows(double *sum, const float *rows, size_t n, size_t channels)
{
    for (size_t t = 0; t < n; t++)
        for (size_t c = 0; c < channels; c++)
            sum[c] += (double)rows[t * channels + c];
}

#define EMBED_TOGETHER 64 /* texts */

struct pack {
    struct rw_job *jobs[EMBED_TOGETHER];
    rwkv_segment segments[EMBED_TOGETHER];
    size_t n, tokens;
};

static void collect(struct pack *p, struct rw_active *active, size_t room)
{
    for (struct rw_job *job = active->working; job; job = job->next) {
        struct rw_job_work *work = job->work;
        if (work->stage != RW_STAGE_EMBEDDING || p->n == EMBED_TOGETHER || p->tokens == room)
            continue;
        size_t n = RW_MIN(job->n_tokens - work->done, room - p->tokens);
        p->segments[p->n] = (rwkv_segment){
            .session = work->session, .tokens = job->tokens + work->done, .n_tokens = n};
        p->jobs[p->n++] = job;
        p->tokens += n;
    }
}

void rw_jobs_embed_slice(struct rw_worker *w, struct rw_active *active, size_t room)
{
    rwkv_error err = {RWKV_OK, ""};
    struct pack p = {.n = 0};
    size_t channels = active->served->info.n_embd;
    collect(&p, active, room);
    if (p.n == 0)
        return;
    float *rows = rw_alloc_aligned(p.tokens * channels, sizeof *rows);
    if (!rows)
        rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for %zu hidden states", p.tokens);
    for (size_t i = 0, at = 0; rows && i < p.n; at += p.segments[i++].n_tokens)
        p.segments[i].hidden = rows + at * channels;
    if (rows)
        rwkv_segments_eval(p.segments, p.n, &err);
    for (size_t i = 0; i < p.n; i++) {
        struct rw_job *job = p.jobs[i];
        if (err.code) {
            rw_job_end_with(w, job, &err);
            continue;
        }
        add_rows(job->work->sum, p.segments[i].hidden, p.segments[i].n_tokens, channels);
        job->work->done += p.segments[i].n_tokens;
        if (job->work->done == job->n_tokens)
            tell_vector(w, job);
    }
    rw_free(rows);
}
