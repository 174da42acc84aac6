/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/completions. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "server/openai_out.h"
#include "text_in.h"

/* --- log-probabilities in their older form -----------------------------------------------------
 */

static void add_number(struct rw_json *j, const char *key, float logprob)
{
    rw_json_real(j, key, (double)logprob); /* null for NaN */
}

/* The alternatives of a token, with the one that was chosen. */
static void add_top(struct rw_json *j, const struct rw_gen *gen, const struct rw_gen_token *t)
{
    bool among = false;
    if (isnan(t->logprob)) {
        rw_json_null(j, NULL);
        return;
    }
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    for (size_t k = 0; k <= t->n_top; k++) {
        struct rw_str text = {0};
        if (k == t->n_top && among)
            break;
        int32_t token = k < t->n_top ? t->top[k].token : t->token;
        among |= token == t->token;
        rw_gen_token_text(gen, token, &text);
        add_number(j, text.data ? text.data : "", k < t->n_top ? t->top[k].logprob : t->logprob);
        rw_str_fini(&text);
    }
    rw_json_close(j);
}

/* "logprobs": {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, each a list. */
static void add_logprobs(struct rw_json *j, const struct rw_gen_choice *c, size_t first,
                         size_t after)
{
    const struct rw_gen *gen = c->gen;
    if (gen->logprobs < 0) {
        rw_json_null(j, "logprobs");
        return;
    }
    rw_json_open(j, "logprobs", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_open(j, "tokens", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = first; i < after; i++) {
        struct rw_str text = {0};
        rw_gen_token_text(gen, c->tokens[i].token, &text);
        rw_json_text(j, NULL, text.data ? text.data : "");
        rw_str_fini(&text);
    }
    rw_json_close(j);
    rw_json_open(j, "token_logprobs", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = first; i < after; i++)
        add_number(j, NULL, c->tokens[i].logprob);
    rw_json_close(j);
    rw_json_open(j, "top_logprobs", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = first; i < after; i++)
        add_top(j, gen, &c->tokens[i]);
    rw_json_close(j);
    rw_json_open(j, "text_offset", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = first; i < after; i++)
        rw_json_u64(j, NULL, i ? c->tokens[i - 1].end : 0);
    rw_json_close(j);
    rw_json_close(j);
}

/* --- replies ---------------------------------------------------------------------------------- */

static void add_choice(struct rw_json *j, const struct rw_gen_choice *c, const char *text,
                       size_t size, size_t first, const char *finish)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_bytes(j, "text", text ? text : "", size);
    rw_json_u64(j, "index", c->index);
    add_logprobs(j, c, first, c->n_shown);
    if (finish)
        rw_json_text(j, "finish_reason", finish);
    else
        rw_json_null(j, "finish_reason");
    rw_json_close(j);
}

static void send(struct rw_gen *gen, struct rw_gen_choice *c, const char *text, size_t size,
                 size_t first, const char *finish)
{
    struct rw_json j = {0};
    rw_openai_open(&j, gen, "text_completion");
    rw_json_open(&j, "choices", RW_JSON_ARRAY, RW_JSON_INLINE);
    add_choice(&j, c, text, size, first, finish);
    rw_json_close(&j);
    if (gen->stream_usage)
        rw_json_null(&j, "usage");
    rw_json_close(&j);
    rw_call_send_event(gen->call, &j);
}

static void piece(struct rw_gen *gen, struct rw_gen_choice *c, rwkv_piece kind, const char *text,
                  size_t size, size_t first)
{
    (void)kind; /* there is nothing but content */
    send(gen, c, text, size, first, NULL);
}

static void finish(struct rw_gen *gen, struct rw_gen_choice *c, size_t first)
{
    send(gen, c, "", 0, first, c->finish);
}

static void end(struct rw_gen *gen)
{
    struct rw_json j = {0};
    if (gen->streaming) {
        rw_openai_end_stream(gen, "text_completion");
        return;
    }
    rw_openai_open(&j, gen, "text_completion");
    rw_json_open(&j, "choices", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < gen->n_choices; i++) {
        const struct rw_gen_choice *c = &gen->choices[i];
        add_choice(&j, c, c->content.data, c->content.size, 0, c->finish);
    }
    rw_json_close(&j);
    rw_openai_usage(&j, gen);
    rw_openai_state(&j, gen);
    rw_json_close(&j);
    rw_call_json(gen->call, &j);
}

/* --- prompts ---------------------------------------------------------------------------------- */

static void add_text(struct rw_gen *gen, const char *text, size_t size)
{
    rwkv_error err = {RWKV_OK, ""};
    int32_t mark;
    struct rw_tokens tokens = {0};
    const rwkv_vocab *vocab = gen->call->served->vocab;
    if (size > 0 || gen->state)
        rw_encode(vocab, text, size, &tokens, &err);
    else if (rw_text_mark(vocab, &mark, &err) == RWKV_OK)
        rw_tokens_add(&tokens, mark, &err); /* an empty prompt begins a text */
    if (err.code)
        rw_api_fail_with(&gen->call->error, &err);
    else
        rw_gen_add_prompt(gen, tokens.ids, tokens.count, NULL, 0);
    rw_tokens_fini(&tokens);
}

static void add_ids(struct rw_gen *gen, const json_t *list)
{
    struct rw_fields *f = &gen->call->fields;
    size_t n = json_array_size(list);
    int32_t *tokens = rw_alloc(n + 1, sizeof *tokens);
    if (!tokens)
        rw_api_fail(f->error, 503, "server_error", "no_memory", "no memory for a prompt");
    for (size_t i = 0; i < n && !f->error->status; i++) {
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value > INT32_MAX)
            rw_field_fail(f, "prompt", "wanted ids of tokens, found %s at %zu",
                          json_is_integer(id) ? "one out of range" : rw_kind_of(id), i);
        else
            tokens[i] = (int32_t)value;
    }
    if (n == 0)
        rw_field_fail(f, "prompt", "wanted tokens, found an empty list");
    if (!f->error->status)
        rw_gen_add_prompt(gen, tokens, n, NULL, 0);
    rw_free(tokens);
}

static void add_prompt(struct rw_gen *gen, const json_t *prompt)
{
    if (json_is_string(prompt))
        add_text(gen, json_string_value(prompt), json_string_length(prompt));
    else if (json_is_array(prompt))
        add_ids(gen, prompt);
    else
        rw_field_fail(&gen->call->fields, "prompt", "wanted a text or a list of ids, found %s",
                      rw_kind_of(prompt));
}

/* A text, a list of ids, or a list of these. */
static void add_prompts(struct rw_gen *gen)
{
    struct rw_fields *f = &gen->call->fields;
    const json_t *prompt = json_object_get(f->object, "prompt");
    const json_t *first = json_array_get(prompt, 0);
    if (!prompt || json_is_null(prompt)) {
        add_text(gen, "", 0);
        return;
    }
    if (!json_is_string(first) && !json_is_array(first)) {
        add_prompt(gen, prompt);
        return;
    }
    if (json_array_size(prompt) > RW_MAX_PROMPTS)
        rw_field_fail(f, "prompt", "wanted at most %d prompts, found %zu", RW_MAX_PROMPTS,
                      json_array_size(prompt));
    for (size_t i = 0; i < json_array_size(prompt) && !f->error->status; i++)
        add_prompt(gen, json_array_get(prompt, i));
}

/* --- the request ------------------------------------------------------------------------------ */

static const struct rw_gen_format format = {
    .stream_type = "text/event-stream", .piece = piece, .finish = finish, .end = end};

static void read_prompts(struct rw_call *call)
{
    add_prompts(call->work);
}

static void go_on(struct rw_call *call)
{
    rw_gen_start(call->work);
}

void rw_complete(struct rw_call *call)
{
    int64_t logprobs = -1;
    const char *suffix = NULL;
    struct rw_fields *f = &call->fields;
    struct rw_gen *gen = rw_gen_new(call, &format, "cmpl-");
    if (!gen)
        return;
    gen->options.sampler = call->server->options.sampler;
    rw_gen_read(gen);
    if (!rw_field_given(f, "max_tokens") && !rw_field_given(f, "max_completion_tokens"))
        gen->options.max_tokens = 16; /* as this endpoint has always had it */
    rw_field_flag(f, "echo", &gen->echo);
    if (rw_field_int(f, "logprobs", 0, RW_MAX_LOGPROBS, &logprobs))
        gen->logprobs = (int)logprobs;
    if (rw_field_text(f, "suffix", RW_MAX_BODY, &suffix) && *suffix)
        rw_field_fail(f, "suffix", "these models cannot fill in before a text");
    if (!rw_call_refused(call))
        rw_call_prepare(call, gen->model, read_prompts, go_on);
}
