/* SPDX-License-Identifier: Apache-2.0 */
/* From prompts to jobs, and from events to choices. generate_in.c reads the fields. */
#include "server/generate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "base/utf8.h"
#include "server/ids.h"

/* --- life ------------------------------------------------------------------------------------- */

static void free_choice(struct rw_gen_choice *c)
{
    rwkv_splitter_free(c->splitter);
    rw_str_fini(&c->content);
    rw_str_fini(&c->reasoning);
    rw_str_fini(&c->unshown);
    for (size_t i = 0; i < c->n_calls; i++) {
        rw_free(c->calls[i].name);
        rw_str_fini(&c->calls[i].arguments);
    }
    for (size_t i = 0; i < c->n_tokens; i++)
        rw_free(c->tokens[i].top);
    rw_free(c->calls);
    rw_free(c->tokens);
}

static void free_gen(struct rw_call *call)
{
    struct rw_gen *gen = call->work;
    for (size_t i = 0; i < gen->n_jobs; i++)
        rw_job_fini(&gen->jobs[i].job);
    for (size_t i = 0; i < gen->n_choices; i++)
        free_choice(&gen->choices[i]);
    rw_free(gen->jobs);
    rw_free(gen->choices);
    rw_free(gen->biases);
    rw_grammars_release(call->server->grammars, gen->grammar);
    rwkv_chat_prompt_fini(&gen->prompt);
    rw_conversation_fini(&gen->conversation);
    rw_free(gen);
}

/* The client has left. */
static void cancel(struct rw_call *call)
{
    struct rw_gen *gen = call->work;
    for (size_t i = 0; i < gen->n_jobs; i++)
        if (gen->jobs[i].running)
            rw_worker_cancel(call->server->worker, &gen->jobs[i].job);
}

struct rw_gen *rw_gen_new(struct rw_call *call, const struct rw_gen_format *format,
                          const char *id_prefix)
{
    struct rw_gen *gen = rw_calloc(1, sizeof *gen);
    if (!gen) {
        rw_api_fail(&call->error, 503, "server_error", "no_memory", "no memory for a request");
        rw_call_refused(call);
        return NULL;
    }
    gen->call = call;
    gen->format = format;
    gen->n = 1;
    gen->logprobs = -1;
    gen->created = (int64_t)rw_env_time();
    rw_make_id(id_prefix, gen->id, sizeof gen->id);
    call->work = gen;
    call->free_work = free_gen;
    call->left = cancel;
    return gen;
}

static void no_memory(struct rw_gen *gen)
{
    rw_api_fail(&gen->call->error, 503, "server_error", "no_memory", "no memory for a request");
}

/* --- prompts ---------------------------------------------------------------------------------- */

static void *copy_of(const void *from, size_t n, size_t size)
{
    void *copy = rw_alloc(n + 1, size);
    if (copy && n)
        memcpy(copy, from, n * size);
    return copy;
}

void rw_gen_add_prompt(struct rw_gen *gen, const int32_t *tokens, size_t n_tokens,
                       const size_t *marks, size_t n_marks)
{
    struct rw_call *call = gen->call;
    if (n_tokens > RW_MAX_PROMPT_TOKENS)
        rw_api_fail(&call->error, 400, "invalid_request_error", "context_length_exceeded",
                    "a prompt of %zu tokens: at most %d are read", n_tokens, RW_MAX_PROMPT_TOKENS);
    for (size_t i = 0; i < n_tokens && !call->error.status; i++)
        if ((size_t)tokens[i] >= call->served->info.n_vocab)
            rw_field_fail(&call->fields, "prompt", "wanted ids from 0 to %zu, found %d at %zu",
                          call->served->info.n_vocab - 1, (int)tokens[i], i);
    if (call->error.status)
        return;
    if (!rw_grow((void **)&gen->jobs, gen->n_jobs, &gen->jobs_capacity, sizeof *gen->jobs)) {
        no_memory(gen);
        return;
    }
    struct rw_gen_job *j = &gen->jobs[gen->n_jobs];
    *j = (struct rw_gen_job){.gen = gen, .prompt = gen->n_jobs++};
    rw_job_init(&j->job, RW_JOB_GENERATE, call->served);
    j->job.tokens = copy_of(tokens, n_tokens, sizeof *tokens);
    j->job.n_tokens = n_tokens;
    j->job.marks = copy_of(marks, n_marks, sizeof *marks);
    j->job.n_marks = n_marks;
    if (!j->job.tokens || !j->job.marks)
        no_memory(gen);
}

void rw_gen_add_conversation(struct rw_gen *gen)
{
    rwkv_error err;
    struct rw_call *call = gen->call;
    const rwkv_chat_prompt *p = &gen->prompt;
    if (call->error.status)
        return;
    if (rwkv_chat_encode(&gen->conversation.chat, call->served->vocab, &gen->prompt, &err) !=
        RWKV_OK) {
        rw_api_fail_with(&call->error, &err);
        return;
    }
    gen->calls.opening = p->text + p->opening;
    rw_gen_add_prompt(gen, p->tokens, p->n_tokens, p->marks, p->n_marks);
}

/* --- what became certain ---------------------------------------------------------------------- */

/* Bytes of tokens at the beginning of c->unshown that became `size` bytes of text. What is no UTF-8
 * is longer as text than it was. */
static size_t bytes_of_text(const struct rw_gen_choice *c, size_t size)
{
    size_t at = 0;
    while (size > 0 && at < c->unshown.size) {
        uint32_t code;
        size_t length, left = c->unshown.size - at;
        const uint8_t *bytes = (const uint8_t *)c->unshown.data + at;
        enum rw_utf8_kind kind = rw_utf8_next(bytes, left, &length, &code);
        size -= RW_MIN(size, kind == RW_UTF8_CHAR ? length : sizeof "\uFFFD" - 1);
        at += kind == RW_UTF8_PARTIAL ? left : length;
    }
    return at;
}

/* Show the tokens whose text is certain, now that `bytes` more of them are; returns how many were
 * shown before. */
static size_t show_tokens(struct rw_gen_choice *c, size_t bytes)
{
    size_t before = c->n_shown;
    c->certain_bytes += bytes;
    if (bytes > 0) {
        c->unshown.size -= bytes;
        memmove(c->unshown.data, c->unshown.data + bytes, c->unshown.size);
    }
    while (c->n_shown < c->n_tokens && c->tokens[c->n_shown].end <= c->certain_bytes)
        c->n_shown++;
    return before;
}

static void begin(struct rw_gen *gen, struct rw_gen_choice *c)
{
    if (!c->begun && gen->streaming && gen->format->begin)
        gen->format->begin(gen, c);
    c->begun = true;
}

static void tell_piece(struct rw_gen_choice *c, rwkv_piece kind, const char *text, size_t size,
                       size_t shown_before)
{
    struct rw_gen *gen = c->gen;
    if (!gen->streaming || (size == 0 && kind <= RWKV_PIECE_CONTENT && shown_before == c->n_shown))
        return;
    begin(gen, c);
    gen->format->piece(gen, c, kind, text, size, shown_before);
}

static void begin_call(struct rw_gen_choice *c, const char *name, size_t size)
{
    if (!rw_grow((void **)&c->calls, c->n_calls, &c->calls_capacity, sizeof *c->calls))
        return;
    struct rw_gen_tool_call *call = &c->calls[c->n_calls++];
    *call = (struct rw_gen_tool_call){.name = rw_strndup(name, size)};
    rw_make_id("call_", call->id, sizeof call->id);
}

/* A call that broke off is no call: what was written of it is text, where nobody was told yet. */
static void withdraw_call(struct rw_gen_choice *c, const char *text, size_t size)
{
    struct rw_gen_tool_call *call = &c->calls[--c->n_calls];
    rw_free(call->name);
    rw_str_fini(&call->arguments);
    rw_str_add(&c->content, text, size);
}

/* From the splitter. Tokens are shown with whatever piece comes next. */
static int take_piece(void *user, rwkv_piece kind, const char *text, size_t size)
{
    struct rw_gen_choice *c = user;
    struct rw_gen_tool_call *call = c->n_calls ? &c->calls[c->n_calls - 1] : NULL;
    switch (kind) {
    case RWKV_PIECE_REASONING:
        rw_str_add(&c->reasoning, text, size);
        break;
    case RWKV_PIECE_CONTENT:
        rw_str_add(&c->content, text, size);
        break;
    case RWKV_PIECE_CALL:
        begin_call(c, text, size);
        break;
    case RWKV_PIECE_ARGUMENTS:
        if (call)
            rw_str_add(&call->arguments, text, size);
        break;
    case RWKV_PIECE_CALL_END:
        if (call)
            call->whole = true;
        break;
    case RWKV_PIECE_CALL_CUT:
        if (call && !c->gen->streaming)
            withdraw_call(c, text, size);
        break;
    }
    tell_piece(c, kind, text, size, c->n_shown);
    return 0;
}

/* Text for which `bytes` of the tokens stand. */
static void take_text(struct rw_gen_choice *c, const char *text, size_t size, size_t bytes)
{
    rwkv_error err;
    size_t before = show_tokens(c, bytes);
    if (!c->splitter) {
        rw_str_add(&c->content, text, size);
        tell_piece(c, RWKV_PIECE_CONTENT, text, size, before);
        return;
    }
    if (before < c->n_shown)
        tell_piece(c, RWKV_PIECE_CONTENT, "", 0, before);
    if (size > 0 && rwkv_splitter_push(c->splitter, text, size, &err) != RWKV_OK)
        rw_api_fail_with(&c->gen->error, &err);
}

static void take_token(struct rw_gen_choice *c, const struct rw_job_event *event)
{
    size_t size;
    if (c->gen->logprobs < 0)
        return;
    if (!rw_grow((void **)&c->tokens, c->n_tokens, &c->tokens_capacity, sizeof *c->tokens))
        return;
    struct rw_gen_token *t = &c->tokens[c->n_tokens++];
    const char *bytes = rwkv_vocab_token(c->gen->call->served->vocab, event->token, &size);
    rw_str_add(&c->unshown, bytes, size);
    c->token_bytes += size;
    *t = (struct rw_gen_token){
        .token = event->token, .logprob = event->logprob, .end = c->token_bytes};
    t->top = copy_of(event->top, event->n_top, sizeof *t->top);
    t->n_top = t->top ? event->n_top : 0;
}

/* --- events ----------------------------------------------------------------------------------- */

static void note_first_token(struct rw_gen *gen, struct rw_gen_choice *c)
{
    struct rw_metrics *metrics = gen->call->server->metrics;
    double now = rw_env_seconds();
    if (gen->call->first_token_seconds == 0) {
        gen->call->first_token_seconds = now - gen->call->start;
        rw_metrics_time(metrics, RW_TIMING_FIRST_TOKEN, gen->call->first_token_seconds);
    }
    if (c->last_token > 0)
        rw_metrics_time(metrics, RW_TIMING_BETWEEN, now - c->last_token);
    c->last_token = now;
}

static const char *finish_of(const struct rw_gen_choice *c, const rwkv_generate_result *result)
{
    if (result->finish == RWKV_FINISH_LENGTH || result->finish == RWKV_FINISH_DEADLINE)
        return "length";
    return c->n_calls > 0 && c->calls[c->n_calls - 1].whole ? "tool_calls" : "stop";
}

static void finish_choice(struct rw_gen *gen, struct rw_gen_choice *c,
                          const struct rw_job_event *event)
{
    rwkv_error err;
    size_t before = c->n_shown;
    if (event->text_size > 0)
        take_text(c, event->text, event->text_size, bytes_of_text(c, event->text_size));
    if (c->splitter && rwkv_splitter_finish(c->splitter, &err) != RWKV_OK)
        rw_api_fail_with(&gen->error, &err);
    c->finish = finish_of(c, &event->result);
    gen->generated_tokens += event->result.generated_tokens;
    gen->prompt_seconds = fmax(gen->prompt_seconds, event->result.prompt_seconds);
    gen->generate_seconds = fmax(gen->generate_seconds, event->result.generate_seconds);
    gen->call->finish = c->finish;
    rw_metrics_finish(gen->call->server->metrics, c->finish, event->result.generated_tokens);
    if (!gen->streaming)
        return;
    begin(gen, c);
    if (gen->format->finish)
        gen->format->finish(gen, c, RW_MAX(before, c->n_shown));
}

static void start_stream(struct rw_gen *gen)
{
    if (gen->stream && !gen->streaming)
        gen->streaming = rw_call_stream(gen->call, gen->format->stream_type);
}

/* All jobs are over, and the state is saved. */
void rw_gen_end(struct rw_gen *gen)
{
    struct rw_call *call = gen->call;
    call->prompt_tokens = gen->prompt_tokens;
    call->cached_tokens = gen->cached_tokens;
    call->generated_tokens = gen->generated_tokens;
    rw_metrics_prompt(call->server->metrics, gen->prompt_tokens, gen->cached_tokens);
    if (!call->x)
        return;
    if (gen->error.status && gen->streaming)
        rw_call_send_error(call, &gen->error);
    else if (gen->error.status)
        rw_call_fail(call, &gen->error);
    else
        gen->format->end(gen);
}

static void take_over(struct rw_gen *gen, struct rw_gen_job *j, const struct rw_job_event *event)
{
    j->running = false;
    if (event->error && !gen->error.status)
        gen->error = *event->error;
    gen->jobs_left--;
    if (gen->error.status)
        cancel(gen->call); /* one prompt of several failed */
    if (gen->jobs_left == 0 && !gen->saving)
        rw_gen_end(gen);
    rw_call_release(gen->call);
}

/* A token of the prompt, for all its choices; after the last one, the prompt's text. */
static void take_scored(struct rw_gen *gen, struct rw_gen_job *j, const struct rw_job_event *event)
{
    rwkv_error err;
    size_t size = 0;
    char *text = NULL;
    const struct rw_job *job = &j->job;
    struct rw_gen_choice *choices = &gen->choices[j->prompt * gen->n];
    for (size_t i = 0; i < gen->n; i++)
        take_token(&choices[i], event);
    if (++j->scored < job->n_tokens)
        return;
    const rwkv_vocab *vocab = gen->call->served->vocab;
    if (rwkv_vocab_decode(vocab, job->tokens, job->n_tokens, NULL, 0, &size, &err) == RWKV_OK)
        text = rw_alloc(size + 1, 1);
    if (text)
        rwkv_vocab_decode(vocab, job->tokens, job->n_tokens, text, size, &size, &err);
    for (size_t i = 0; i < gen->n && text; i++)
        take_text(&choices[i], text, size, choices[i].unshown.size);
    rw_free(text);
}

static void take_event(struct rw_job *job, const struct rw_job_event *event)
{
    struct rw_gen_job *j = job->user;
    struct rw_gen *gen = j->gen;
    struct rw_gen_choice *c = &gen->choices[j->prompt * gen->n + event->choice];
    switch (event->kind) {
    case RW_JOB_STARTED:
        gen->cached_tokens += event->cached_tokens;
        gen->call->queue_seconds = event->queue_seconds;
        rw_metrics_time(gen->call->server->metrics, RW_TIMING_QUEUE, event->queue_seconds);
        start_stream(gen);
        break;
    case RW_JOB_SCORED:
        take_scored(gen, j, event);
        break;
    case RW_JOB_TOKEN:
        note_first_token(gen, c);
        take_token(c, event);
        take_text(c, event->text, event->text_size, bytes_of_text(c, event->text_size));
        break;
    case RW_JOB_FINISHED:
        finish_choice(gen, c, event);
        if (event->session)
            rw_gen_save_state(gen, event->session);
        break;
    case RW_JOB_OVER:
        take_over(gen, j, event);
        break;
    case RW_JOB_VECTOR:
        break;
    }
}

/* --- beginning -------------------------------------------------------------------------------- */

static bool make_choices(struct rw_gen *gen)
{
    rwkv_error err;
    size_t n = gen->n_jobs * gen->n;
    const struct rw_conversation *conversation = &gen->conversation;
    gen->choices = rw_calloc(n, sizeof *gen->choices);
    if (!gen->choices) {
        no_memory(gen);
        return false;
    }
    gen->n_choices = n;
    for (size_t i = 0; i < n; i++) {
        struct rw_gen_choice *c = &gen->choices[i];
        c->gen = gen;
        c->index = i;
        c->prompt = i / gen->n;
        if (gen->chat &&
            rwkv_splitter_new(
                gen->prompt.text + gen->prompt.opening, conversation->chat.tools,
                conversation->chat.tool_choice == RWKV_TOOL_NONE ? 0 : conversation->chat.n_tools,
                take_piece, c, &c->splitter, &err) != RWKV_OK) {
            rw_api_fail_with(&gen->call->error, &err);
            return false;
        }
    }
    return true;
}

/* Here and not by the batch, so that a stream has not begun when it is said. */
static void check_biases(struct rw_gen *gen)
{
    size_t n_vocab = gen->call->served->info.n_vocab;
    for (size_t i = 0; i < gen->options.sampler.n_bias; i++)
        if ((size_t)gen->options.sampler.bias[i].token >= n_vocab)
            rw_field_fail(&gen->call->fields, "logit_bias", "wanted ids from 0 to %zu, found %d",
                          n_vocab - 1, (int)gen->options.sampler.bias[i].token);
}

static void fill_job(struct rw_gen *gen, struct rw_gen_job *j)
{
    struct rw_job *job = &j->job;
    const struct rw_call *call = gen->call;
    job->owner = call->owner;
    job->group = call->group;
    job->options = gen->options;
    job->n = gen->n;
    job->only_prompt = gen->only_prompt;
    job->echo = gen->echo;
    job->no_cache = gen->no_cache;
    job->give_session = gen->return_state;
    job->logprobs = gen->logprobs;
    job->timeout = rw_call_seconds_left(gen->call);
    job->event = take_event;
    job->user = j;
}

void rw_gen_submit(struct rw_gen *gen, rwkv_session *from)
{
    for (size_t i = 0; i < gen->n_jobs; i++) {
        struct rw_gen_job *j = &gen->jobs[i];
        fill_job(gen, j);
        j->job.from = from;
        from = NULL;
        gen->prompt_tokens += j->job.n_tokens;
        gen->jobs_left++;
        j->running = true;
        rw_call_hold(gen->call);
    }
    for (size_t i = 0; i < gen->n_jobs; i++)
        rw_worker_submit(gen->call->server->worker, &gen->jobs[i].job);
}

void rw_gen_start(struct rw_gen *gen)
{
    struct rw_call *call = gen->call;
    size_t n = gen->n_jobs * gen->n;
    if (n > RW_MAX_PROMPTS)
        rw_field_fail(&call->fields, "n", "wanted at most %d choices in all, found %zu",
                      RW_MAX_PROMPTS, n);
    if ((gen->state || gen->return_state) && n != 1)
        rw_field_fail(&call->fields, "state", "a state goes with one prompt and one choice");
    if (gen->options.max_tokens == 0 && !gen->only_prompt)
        gen->options.max_tokens = RW_MAX_NEW_TOKENS; /* to the batch 0 is without end */
    check_biases(gen);
    if (!call->error.status)
        make_choices(gen);
    rw_call_queue(call, n);
    if (rw_call_refused(call))
        return;
    if (gen->state)
        rw_gen_load_state(gen); /* and then submit */
    else
        rw_gen_submit(gen, NULL);
}

void rw_gen_token_text(const struct rw_gen *gen, int32_t token, struct rw_str *to)
{
    size_t size;
    const char *bytes = rwkv_vocab_token(gen->call->served->vocab, token, &size);
    if (rw_utf8_valid(bytes, size)) {
        rw_str_add(to, bytes, size);
        return;
    }
    rw_str_adds(to, "bytes:");
    for (size_t i = 0; i < size; i++)
        rw_str_printf(to, "\\x%02x", (unsigned)(unsigned char)bytes[i]);
}
