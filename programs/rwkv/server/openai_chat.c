/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/chat/completions. */
#include <math.h>
#include <string.h>

#include "server/openai_out.h"

#define CHUNK "chat.completion.chunk"

/* --- log-probabilities ------------------------------------------------------------------------ */

/* The members of a token: its text, its bytes, its log-probability. */
static void add_token(struct rw_json *j, const struct rw_gen *gen, int32_t token, float logprob)
{
    size_t size;
    struct rw_str text = {0};
    const char *bytes = rwkv_vocab_token(gen->call->served->vocab, token, &size);
    rw_gen_token_text(gen, token, &text);
    rw_json_text(j, "token", text.data ? text.data : "");
    rw_json_real(j, "logprob", (double)logprob);
    rw_json_open(j, "bytes", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < size; i++)
        rw_json_u64(j, NULL, (unsigned char)bytes[i]);
    rw_json_close(j);
    rw_str_fini(&text);
}

/* "logprobs": {"content": [{"token", "logprob", "bytes", "top_logprobs": […]}, …]} */
static void add_logprobs(struct rw_json *j, const struct rw_gen_choice *c, size_t first,
                         size_t after)
{
    const struct rw_gen *gen = c->gen;
    if (gen->logprobs < 0) {
        rw_json_null(j, "logprobs");
        return;
    }
    rw_json_open(j, "logprobs", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_open(j, "content", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = first; i < after; i++) {
        const struct rw_gen_token *t = &c->tokens[i];
        rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        add_token(j, gen, t->token, t->logprob);
        rw_json_open(j, "top_logprobs", RW_JSON_ARRAY, RW_JSON_INLINE);
        for (size_t k = 0; k < t->n_top; k++) {
            rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
            add_token(j, gen, t->top[k].token, t->top[k].logprob);
            rw_json_close(j);
        }
        rw_json_close(j);
        rw_json_close(j);
    }
    rw_json_close(j);
    rw_json_null(j, "refusal");
    rw_json_close(j);
}

/* --- the stream ------------------------------------------------------------------------------- */

/* A chunk with one choice, up to the inside of its delta. */
static void open_delta(struct rw_json *j, const struct rw_gen *gen, const struct rw_gen_choice *c)
{
    rw_openai_open(j, gen, CHUNK);
    rw_json_open(j, "choices", RW_JSON_ARRAY, RW_JSON_INLINE);
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "index", c->index);
    rw_json_open(j, "delta", RW_JSON_OBJECT, RW_JSON_INLINE);
}

static void send_delta(struct rw_json *j, struct rw_gen *gen, const struct rw_gen_choice *c,
                       size_t first, const char *finish)
{
    rw_json_close(j);
    add_logprobs(j, c, first, c->n_shown);
    if (finish)
        rw_json_text(j, "finish_reason", finish);
    else
        rw_json_null(j, "finish_reason");
    rw_json_close(j);
    rw_json_close(j);
    if (gen->stream_usage)
        rw_json_null(j, "usage");
    rw_json_close(j);
    rw_call_send_event(gen->call, j);
}

static void begin(struct rw_gen *gen, struct rw_gen_choice *c)
{
    struct rw_json j = {0};
    open_delta(&j, gen, c);
    rw_json_text(&j, "role", "assistant");
    rw_json_text(&j, "content", "");
    send_delta(&j, gen, c, c->n_shown, NULL);
}

/* The pieces of a call: first its name, then arguments as they come. */
static void add_call_piece(struct rw_json *j, const struct rw_gen_choice *c, rwkv_piece kind,
                           const char *text, size_t size)
{
    const struct rw_gen_tool_call *call = &c->calls[c->n_calls - 1];
    rw_json_open(j, "tool_calls", RW_JSON_ARRAY, RW_JSON_INLINE);
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "index", c->n_calls - 1);
    if (kind == RWKV_PIECE_CALL) {
        rw_json_text(j, "id", call->id);
        rw_json_text(j, "type", "function");
    }
    rw_json_open(j, "function", RW_JSON_OBJECT, RW_JSON_INLINE);
    if (kind == RWKV_PIECE_CALL)
        rw_json_bytes(j, "name", text, size);
    rw_json_bytes(j, "arguments", text, kind == RWKV_PIECE_CALL ? 0 : size);
    rw_json_close(j);
    rw_json_close(j);
    rw_json_close(j);
}

static void piece(struct rw_gen *gen, struct rw_gen_choice *c, rwkv_piece kind, const char *text,
                  size_t size, size_t first)
{
    struct rw_json j = {0};
    bool of_call = kind == RWKV_PIECE_CALL || kind == RWKV_PIECE_ARGUMENTS;
    if (kind == RWKV_PIECE_CALL_END || kind == RWKV_PIECE_CALL_CUT || (of_call && !c->n_calls))
        return;
    open_delta(&j, gen, c);
    if (of_call)
        add_call_piece(&j, c, kind, text, size);
    else
        rw_json_bytes(&j, kind == RWKV_PIECE_REASONING ? "reasoning_content" : "content", text,
                      size);
    send_delta(&j, gen, c, first, NULL);
}

static void finish(struct rw_gen *gen, struct rw_gen_choice *c, size_t first)
{
    struct rw_json j = {0};
    open_delta(&j, gen, c);
    send_delta(&j, gen, c, first, c->finish);
}

/* --- the whole reply -------------------------------------------------------------------------- */

static void add_text(struct rw_json *j, const char *key, const struct rw_str *text)
{
    rw_json_bytes(j, key, text->data ? text->data : "", text->size);
}

static void add_message(struct rw_json *j, const struct rw_gen_choice *c)
{
    rw_json_open(j, "message", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "role", "assistant");
    if (c->content.size == 0 && c->n_calls > 0)
        rw_json_null(j, "content");
    else
        add_text(j, "content", &c->content);
    if (c->reasoning.size > 0)
        add_text(j, "reasoning_content", &c->reasoning);
    if (c->n_calls > 0) {
        rw_json_open(j, "tool_calls", RW_JSON_ARRAY, RW_JSON_INLINE);
        for (size_t i = 0; i < c->n_calls; i++) {
            const struct rw_gen_tool_call *call = &c->calls[i];
            rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
            rw_json_text(j, "id", call->id);
            rw_json_text(j, "type", "function");
            rw_json_open(j, "function", RW_JSON_OBJECT, RW_JSON_INLINE);
            rw_json_text(j, "name", call->name ? call->name : "");
            add_text(j, "arguments", &call->arguments);
            rw_json_close(j);
            rw_json_close(j);
        }
        rw_json_close(j);
    }
    rw_json_null(j, "refusal");
    rw_json_close(j);
}

static void end(struct rw_gen *gen)
{
    struct rw_json j = {0};
    if (gen->streaming) {
        rw_openai_end_stream(gen, CHUNK);
        return;
    }
    rw_openai_open(&j, gen, "chat.completion");
    rw_json_open(&j, "choices", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < gen->n_choices; i++) {
        const struct rw_gen_choice *c = &gen->choices[i];
        rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_u64(&j, "index", c->index);
        add_message(&j, c);
        add_logprobs(&j, c, 0, c->n_shown);
        rw_json_text(&j, "finish_reason", c->finish);
        rw_json_close(&j);
    }
    rw_json_close(&j);
    rw_openai_usage(&j, gen);
    rw_openai_state(&j, gen);
    rw_json_close(&j);
    rw_call_json(gen->call, &j);
}

/* --- the request ------------------------------------------------------------------------------ */

static const struct rw_gen_format format = {
    .stream_type = "text/event-stream",
    .begin = begin,
    .piece = piece,
    .finish = finish,
    .end = end,
};

static void read_conversation(struct rw_call *call)
{
    rw_gen_add_conversation(call->work);
}

static void go_on(struct rw_call *call)
{
    rw_gen_start(call->work);
}

static void read_logprobs(struct rw_gen *gen, struct rw_fields *f)
{
    bool wanted = false;
    int64_t top = 0;
    rw_field_flag(f, "logprobs", &wanted);
    rw_field_int(f, "top_logprobs", 0, RW_MAX_LOGPROBS, &top);
    gen->logprobs = wanted ? (int)top : -1;
}

void rw_complete_chat(struct rw_call *call)
{
    struct rw_gen *gen = rw_gen_new(call, &format, "chatcmpl-");
    if (!gen)
        return;
    gen->chat = true;
    gen->options.sampler = call->server->options.chat_sampler;
    rw_conversation_read(&gen->conversation, &call->fields);
    rw_gen_read(gen);
    read_logprobs(gen, &call->fields);
    rw_gen_constrain_call(gen);
    if (!rw_call_refused(call))
        rw_call_prepare(call, gen->model, read_conversation, go_on);
}
