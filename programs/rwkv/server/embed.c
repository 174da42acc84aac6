/* SPDX-License-Identifier: Apache-2.0 */
#include "server/embed.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "text_in.h"

static void free_embed(struct rw_call *call)
{
    struct rw_embed *embed = call->work;
    for (size_t i = 0; i < embed->n; i++) {
        rw_job_fini(&embed->jobs[i].job);
        rw_free(embed->jobs[i].vector);
    }
    rw_free(embed->jobs);
    rw_free(embed->inputs);
    rw_free(embed);
}

static void cancel(struct rw_call *call)
{
    struct rw_embed *embed = call->work;
    for (size_t i = 0; i < embed->n; i++)
        if (embed->jobs[i].running)
            rw_worker_cancel(call->server->worker, &embed->jobs[i].job);
}

static void no_memory(struct rw_call *call)
{
    rw_api_fail(&call->error, 503, "server_error", "no_memory", "no memory for a request");
}

struct rw_embed *rw_embed_new(struct rw_call *call, size_t n, void (*end)(struct rw_embed *embed))
{
    struct rw_embed *embed = rw_calloc(1, sizeof *embed);
    if (embed) {
        embed->inputs = rw_calloc(n, sizeof *embed->inputs);
        embed->jobs = rw_calloc(n, sizeof *embed->jobs);
    }
    if (!embed || !embed->inputs || !embed->jobs) {
        if (embed) {
            rw_free(embed->inputs);
            rw_free(embed->jobs);
            rw_free(embed);
        }
        no_memory(call);
        rw_call_refused(call);
        return NULL;
    }
    embed->call = call;
    embed->n = n;
    embed->end = end;
    call->work = embed;
    call->free_work = free_embed;
    call->left = cancel;
    return embed;
}

struct rw_embed *rw_embed_read_inputs(struct rw_call *call, const char *name,
                                      void (*end)(struct rw_embed *embed))
{
    struct rw_fields *f = &call->fields;
    const json_t *input = json_object_get(f->object, name), *first = json_array_get(input, 0);
    bool several = json_is_string(first) || json_is_array(first);
    size_t n = several ? json_array_size(input) : 1;
    if (!json_is_string(input) && !json_is_integer(first) && !several)
        rw_field_fail(f, name, "wanted a text, a list of texts or of ids, found %s",
                      rw_kind_of(input));
    else if (n > RW_MAX_PROMPTS)
        rw_field_fail(f, name, "wanted at most %d texts, found %zu", RW_MAX_PROMPTS, n);
    if (rw_call_refused(call))
        return NULL;
    struct rw_embed *embed = rw_embed_new(call, n, end);
    for (size_t i = 0; embed && i < n; i++)
        embed->inputs[i] = several ? json_array_get(input, i) : input;
    return embed;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void read_ids(struct rw_fields *f, const json_t *list, size_t n_vocab, struct rw_tokens *to)
{
    rwkv_error err;
    for (size_t i = 0; i < json_array_size(list) && !f->error->status; i++) {
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || (size_t)value >= n_vocab)
            rw_field_fail(f, "input", "wanted ids from 0 to %zu, found %s at %zu", n_vocab - 1,
                          json_is_integer(id) ? "another" : rw_kind_of(id), i);
        else if (rw_tokens_add(to, (int32_t)value, &err) != RWKV_OK)
            rw_api_fail_with(f->error, &err);
    }
}

/* The tokens of an input go over to its job. */
static void fill_job(struct rw_embed *embed, size_t i)
{
    rwkv_error err;
    struct rw_tokens tokens = {0};
    struct rw_call *call = embed->call;
    struct rw_job *job = &embed->jobs[i].job;
    const json_t *input = embed->inputs[i];
    rw_job_init(job, RW_JOB_EMBED, call->served);
    if (json_is_array(input))
        read_ids(&call->fields, input, call->served->info.n_vocab, &tokens);
    else if (!json_is_string(input))
        rw_field_fail(&call->fields, "input", "wanted a text, found %s", rw_kind_of(input));
    else if (rw_encode(call->served->vocab, json_string_value(input), json_string_length(input),
                       &tokens, &err) != RWKV_OK)
        rw_api_fail_with(&call->error, &err);
    if (tokens.count == 0 || tokens.count > RW_MAX_PROMPT_TOKENS)
        rw_field_fail(&call->fields, "input", "text %zu: wanted 1 to %d tokens, found %zu", i,
                      RW_MAX_PROMPT_TOKENS, tokens.count);
    job->tokens = tokens.ids;
    job->n_tokens = tokens.count;
}

/* --- vectors ---------------------------------------------------------------------------------- */

/* Keep the first `dimensions`, scaled to length 1. */
static void take_vector(struct rw_embed_job *j, const float *from, size_t size)
{
    struct rw_embed *embed = j->embed;
    size_t n = embed->dimensions > 0 ? (size_t)embed->dimensions : size;
    double sum = 0;
    j->vector = rw_alloc(n, sizeof *j->vector);
    embed->size = n;
    for (size_t c = 0; c < n; c++)
        sum += (double)from[c] * (double)from[c];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t c = 0; j->vector && c < n; c++)
        j->vector[c] = (float)((double)from[c] * scale);
    if (!j->vector)
        rw_api_fail(&embed->error, 503, "server_error", "no_memory", "no memory for a vector");
}

static void take_event(struct rw_job *job, const struct rw_job_event *event)
{
    struct rw_embed_job *j = job->user;
    struct rw_embed *embed = j->embed;
    struct rw_call *call = embed->call;
    if (event->kind == RW_JOB_STARTED)
        call->queue_seconds = event->queue_seconds;
    if (event->kind == RW_JOB_VECTOR)
        take_vector(j, event->vector, event->size);
    if (event->kind != RW_JOB_OVER)
        return;
    j->running = false;
    if (event->error && !embed->error.status)
        embed->error = *event->error;
    if (--embed->left == 0 && call->x) {
        call->prompt_tokens = rw_embed_tokens(embed);
        rw_metrics_prompt(call->server->metrics, call->prompt_tokens, 0);
        if (embed->error.status)
            rw_call_fail(call, &embed->error);
        else
            embed->end(embed);
    }
    rw_call_release(call);
}

static void read_inputs(struct rw_call *call)
{
    struct rw_embed *embed = call->work;
    if ((size_t)embed->dimensions > call->served->info.n_embd)
        rw_field_fail(&call->fields, "dimensions", "wanted at most %zu, found %lld",
                      call->served->info.n_embd, (long long)embed->dimensions);
    for (size_t i = 0; i < embed->n && !call->error.status; i++)
        fill_job(embed, i);
}

static void submit(struct rw_call *call)
{
    struct rw_embed *embed = call->work;
    rw_call_queue(call, embed->n);
    if (rw_call_refused(call))
        return;
    embed->left = embed->n;
    for (size_t i = 0; i < embed->n; i++) {
        struct rw_embed_job *j = &embed->jobs[i];
        j->embed = embed;
        j->running = true;
        j->job.owner = call->owner;
        j->job.group = call->group;
        j->job.pooling = embed->pooling;
        j->job.timeout = rw_call_seconds_left(call);
        j->job.event = take_event;
        j->job.user = j;
        rw_call_hold(call);
    }
    for (size_t i = 0; i < embed->n; i++)
        rw_worker_submit(call->server->worker, &embed->jobs[i].job);
}

void rw_embed_start(struct rw_embed *embed, const char *model)
{
    static const char *const poolings[] = {
        [RW_POOL_MEAN] = "mean", [RW_POOL_LAST] = "last", [RW_POOL_LAST + 1] = NULL};
    int pooling = RW_POOL_MEAN;
    struct rw_call *call = embed->call;
    rw_field_word(&call->fields, "pooling", poolings, &pooling);
    embed->pooling = (enum rw_pooling)pooling;
    if (!rw_call_refused(call))
        rw_call_prepare(call, model, read_inputs, submit);
}

size_t rw_embed_tokens(const struct rw_embed *embed)
{
    size_t n = 0;
    for (size_t i = 0; i < embed->n; i++)
        n += embed->jobs[i].job.n_tokens;
    return n;
}
