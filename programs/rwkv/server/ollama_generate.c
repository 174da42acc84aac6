/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/generate and POST /api/chat. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "server/generate.h"
#include "server/ollama_out.h"
#include "text_in.h"

/* --- replies ---------------------------------------------------------------------------------- */

static void add_text(struct rw_json *j, const char *key, const char *text, size_t size)
{
    rw_json_bytes(j, key, text ? text : "", size);
}

static bool is_chat(const struct rw_gen *gen)
{
    return gen->call->route->fn == rw_ollama_chat;
}

/* One call, whose arguments are an object here. */
static void add_call(struct rw_json *j, const struct rw_gen_tool_call *call)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_open(j, "function", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "name", call->name ? call->name : "");
    if (call->whole)
        rw_json_raw(j, "arguments", call->arguments.data, call->arguments.size);
    else
        add_text(j, "arguments", call->arguments.data, call->arguments.size);
    rw_json_close(j);
    rw_json_close(j);
}

/* What was written, as members of the line or of its message; calls first … after. */
static void add_answer(struct rw_json *j, const struct rw_gen_choice *c,
                       const struct rw_str *content, const struct rw_str *thinking, size_t first,
                       size_t after)
{
    bool chat = is_chat(c->gen);
    if (chat) {
        rw_json_open(j, "message", RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_text(j, "role", "assistant");
    }
    add_text(j, chat ? "content" : "response", content->data, content->size);
    if (thinking->size > 0)
        add_text(j, "thinking", thinking->data, thinking->size);
    if (chat && after > first) {
        rw_json_open(j, "tool_calls", RW_JSON_ARRAY, RW_JSON_INLINE);
        for (size_t i = first; i < after; i++)
            add_call(j, &c->calls[i]);
        rw_json_close(j);
    }
    if (chat)
        rw_json_close(j);
}

static void send(struct rw_gen *gen, const struct rw_gen_choice *c, const struct rw_str *content,
                 const struct rw_str *thinking, size_t first, size_t after)
{
    struct rw_json j = {0};
    rw_ollama_open(&j, gen->call);
    add_answer(&j, c, content, thinking, first, after);
    rw_json_bool(&j, "done", false);
    rw_json_close(&j);
    rw_call_send_line(gen->call, &j);
}

static void piece(struct rw_gen *gen, struct rw_gen_choice *c, rwkv_piece kind, const char *text,
                  size_t size, size_t first)
{
    (void)first; /* log-probabilities are not shown here */
    struct rw_str none = {0}, some = {.data = (char *)text, .size = size};
    if (kind == RWKV_PIECE_CONTENT && size > 0)
        send(gen, c, &some, &none, 0, 0);
    else if (kind == RWKV_PIECE_REASONING && size > 0)
        send(gen, c, &none, &some, 0, 0);
    else if (kind == RWKV_PIECE_CALL_END)
        send(gen, c, &none, &none, c->n_calls - 1, c->n_calls);
}

/* The last line: whole where nothing was streamed. */
static void end(struct rw_gen *gen)
{
    struct rw_json j = {0};
    struct rw_str none = {0};
    const struct rw_call *call = gen->call;
    const struct rw_gen_choice *c = &gen->choices[0];
    rw_ollama_open(&j, call);
    add_answer(&j, c, gen->streaming ? &none : &c->content, gen->streaming ? &none : &c->reasoning,
               0, gen->streaming ? 0 : c->n_calls);
    rw_json_bool(&j, "done", true);
    rw_json_text(&j, "done_reason", strcmp(c->finish, "length") == 0 ? "length" : "stop");
    rw_ollama_duration(&j, "total_duration", rw_env_seconds() - call->start);
    rw_ollama_duration(&j, "load_duration", gen->load_seconds);
    rw_json_u64(&j, "prompt_eval_count", gen->prompt_tokens);
    rw_ollama_duration(&j, "prompt_eval_duration", gen->prompt_seconds);
    rw_json_u64(&j, "eval_count", gen->generated_tokens);
    rw_ollama_duration(&j, "eval_duration", gen->generate_seconds);
    if (gen->state_id[0])
        rw_json_text(&j, "state", gen->state_id);
    rw_json_close(&j);
    if (!gen->streaming) {
        rw_call_json(gen->call, &j);
        return;
    }
    rw_call_send_line(gen->call, &j);
    rw_call_end(gen->call, NULL);
}

static const struct rw_gen_format format = {
    .stream_type = "application/x-ndjson", .piece = piece, .end = end};

/* --- the request ------------------------------------------------------------------------------ */

/* "json", or a schema. */
static void read_format(struct rw_gen *gen)
{
    static const char *const words[] = {"json", NULL};
    int word = -1;
    struct rw_fields *f = &gen->call->fields;
    const json_t *schema = json_object_get(f->object, "format");
    const char *text = json_string_value(schema);
    if (json_is_object(schema))
        rw_gen_set_schema(gen, f, "format", schema);
    else if (!(text && !*text) && rw_field_word(f, "format", words, &word))
        rw_gen_set_json(gen);
}

static void read_options(struct rw_gen *gen)
{
    int64_t max_tokens = (int64_t)gen->call->server->options.max_tokens;
    struct rw_fields *f = &gen->call->fields, options = rw_fields_in(f, "options");
    rw_gen_read_sampling(gen, &options);
    rw_gen_read_stops(gen, &options, "stop");
    /* Ollama's -1 and -2 are "without end", which nobody else may ask for either, and neither is 0.
     */
    if (rw_field_int(&options, "num_predict", -2, RW_MAX_NEW_TOKENS, &max_tokens) &&
        max_tokens <= 0)
        max_tokens = (int64_t)gen->call->server->options.max_tokens;
    gen->options.max_tokens = (size_t)max_tokens;
    gen->stream = true;
    rw_field_flag(f, "stream", &gen->stream);
    rw_field_name(f, "model", &gen->model);
    rw_field_state_name(f, "state", &gen->state);
    rw_field_flag(f, "return_state", &gen->return_state);
    rw_field_flag(f, "no_cache", &gen->no_cache);
    if ((gen->state || gen->return_state) && !gen->call->server->store)
        rw_field_fail(f, "state", "this server keeps no states");
    rw_ollama_read_keep_alive(gen->call);
    read_format(gen);
}

/* Nothing is asked: the model is opened, or, to be kept for no time, closed. */
static void only_load(struct rw_call *call)
{
    struct rw_json j = {0};
    struct rw_str none = {0};
    const struct rw_gen_choice choice = {.gen = call->work};
    rw_ollama_open(&j, call);
    add_answer(&j, &choice, &none, &none, 0, 0);
    rw_json_bool(&j, "done", true);
    rw_json_text(&j, "done_reason", call->keep_seconds == 0 ? "unload" : "load");
    rw_json_close(&j);
    rw_call_json(call, &j);
}

static void read_chat(struct rw_call *call)
{
    struct rw_gen *gen = call->work;
    gen->load_seconds = rw_env_seconds() - call->start;
    rw_gen_add_conversation(gen);
}

static void go_on(struct rw_call *call)
{
    rw_gen_start(call->work);
}

static void want_model(struct rw_gen *gen, bool empty, void (*read)(struct rw_call *call))
{
    if (rw_call_refused(gen->call))
        return;
    if (empty)
        rw_call_want_model(gen->call, gen->model, only_load);
    else
        rw_call_prepare(gen->call, gen->model, read, go_on);
}

void rw_ollama_chat(struct rw_call *call)
{
    struct rw_gen *gen = rw_gen_new(call, &format, "");
    if (!gen)
        return;
    struct rw_fields *f = &call->fields;
    const json_t *messages = json_object_get(f->object, "messages");
    bool empty = !rw_field_given(f, "messages") ||
                 (json_is_array(messages) && json_array_size(messages) == 0);
    gen->chat = true;
    gen->options.sampler = call->server->options.chat_sampler;
    if (!empty)
        rw_conversation_read(&gen->conversation, f);
    read_options(gen);
    rw_gen_constrain_call(gen);
    want_model(gen, empty, read_chat);
}

/* The prompt is the user's message, or, raw, all the text there is. */
static void read_raw(struct rw_call *call)
{
    rwkv_error err;
    struct rw_gen *gen = call->work;
    struct rw_tokens tokens = {0};
    const char *prompt = gen->conversation.chat.messages[0].text;
    gen->load_seconds = rw_env_seconds() - call->start;
    if (rw_encode(call->served->vocab, prompt, strlen(prompt), &tokens, &err) != RWKV_OK)
        rw_api_fail_with(&call->error, &err);
    else
        rw_gen_add_prompt(gen, tokens.ids, tokens.count, NULL, 0);
    rw_tokens_fini(&tokens);
}

void rw_ollama_generate(struct rw_call *call)
{
    bool raw = false;
    const char *prompt = "", *system = "";
    struct rw_fields *f = &call->fields;
    struct rw_gen *gen = rw_gen_new(call, &format, "");
    if (!gen)
        return;
    rw_field_text(f, "prompt", RW_MAX_BODY, &prompt);
    rw_field_text(f, "system", RW_MAX_BODY, &system);
    rw_field_flag(f, "raw", &raw);
    gen->chat = !raw;
    gen->options.sampler = raw ? call->server->options.sampler : call->server->options.chat_sampler;
    rw_conversation_single(&gen->conversation, f, raw ? "" : system, prompt);
    read_options(gen);
    want_model(gen, !*prompt, raw ? read_raw : read_chat);
}
