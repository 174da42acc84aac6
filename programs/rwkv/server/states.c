/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /v1/states: states kept by name. What touches the disk happens in the background; every operation
 * is a task that works on a name and then replies.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "server/generate.h"
#include "server/ids.h"
#include "text_in.h"

/* --- a task and its reply --------------------------------------------------------------------- */

struct state_task {
    struct rw_task task;
    struct rw_call *call;
    char name[RW_MAX_NAME + 1]; /* "": all */
    char to[RW_MAX_NAME + 1];   /* of a fork */
    int64_t seconds;            /* to live; 0: for ever */
    const void *bytes;          /* of an upload */
    size_t size;
    char *saved; /* of a download, owned */
    size_t saved_size;
    rwkv_store_state *states; /* [n] owned */
    size_t n;
    rwkv_error err;
    void (*reply)(struct state_task *t);
};

static void finish(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_call *call = t->call;
    if (t->err.code)
        rw_call_fail_with_state(call, &t->err);
    else
        t->reply(t);
    rw_free(t->saved);
    rw_free(t->states);
    rw_free(t);
    rw_call_release(call);
}

/* NULL: refused, and said so. */
static struct state_task *new_task(struct rw_call *call, const char *name,
                                   void (*work)(struct rw_task *),
                                   void (*reply)(struct state_task *))
{
    struct state_task *t = NULL;
    if (!call->server->store)
        rw_api_fail(&call->error, 501, "invalid_request_error", "no_store",
                    "this server keeps no states");
    else if (!(t = rw_calloc(1, sizeof *t)))
        rw_api_fail(&call->error, 503, "server_error", "no_memory", "no memory for a request");
    if (rw_call_refused(call)) {
        rw_free(t);
        return NULL;
    }
    t->task = (struct rw_task){.work = work, .done = finish};
    t->call = call;
    t->reply = reply;
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

static void start(struct state_task *t)
{
    rw_call_hold(t->call);
    rw_background_do(t->call->server->background, &t->task);
}

/* What is known of a state, as an object. */
static void add_state(struct rw_json *j, const char *key, const rwkv_store_state *s)
{
    rw_json_open(j, key, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "id", s->name);
    rw_json_text(j, "object", "state");
    rw_json_text(j, "model_fingerprint", s->fingerprint);
    rw_json_u64(j, "tokens", s->tokens);
    rw_json_u64(j, "bytes", s->bytes);
    rw_json_u64(j, "created", (uint64_t)s->created);
    rw_json_u64(j, "used", (uint64_t)s->used);
    if (s->expires)
        rw_json_u64(j, "expires", (uint64_t)s->expires);
    else
        rw_json_null(j, "expires");
    rw_json_close(j);
}

static void reply_state(struct state_task *t)
{
    struct rw_json j = {0};
    add_state(&j, NULL, &t->states[0]);
    rw_call_json(t->call, &j);
}

/* In the background: what is known of the state `name` now. */
static void look_up(struct state_task *t, const char *name)
{
    t->states = rw_calloc(1, sizeof *t->states);
    if (!t->states)
        rw_fail(&t->err, RWKV_ERROR_MEMORY, "no memory for a request");
    else
        rwkv_store_get_state(t->call->server->store, &t->call->owner, name, t->states, &t->err);
}

/* --- list, remove, fork ----------------------------------------------------------------------- */

static void list(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_call *call = t->call;
    for (size_t capacity = 0;; capacity = t->n) {
        if (rwkv_store_list(call->server->store, &call->owner, t->states, capacity, &t->n,
                            &t->err) != RWKV_OK ||
            t->n <= capacity)
            return;
        rw_free(t->states);
        t->states = rw_calloc(t->n, sizeof *t->states);
        if (!t->states) {
            rw_fail(&t->err, RWKV_ERROR_MEMORY, "no memory for a list of %zu states", t->n);
            return;
        }
    }
}

static void reply_list(struct state_task *t)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "object", "list");
    rw_json_open(&j, "data", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < t->n; i++)
        add_state(&j, NULL, &t->states[i]);
    rw_json_close(&j);
    rw_json_close(&j);
    rw_call_json(t->call, &j);
}

void rw_list_states(struct rw_call *call)
{
    struct state_task *t = new_task(call, "", list, reply_list);
    if (t)
        start(t);
}

static void remove_state(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    rwkv_store_remove(t->call->server->store, &t->call->owner, t->name, &t->err);
}

static void reply_removed(struct state_task *t)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "id", t->name);
    rw_json_text(&j, "object", "state");
    rw_json_bool(&j, "deleted", true);
    rw_json_close(&j);
    rw_call_json(t->call, &j);
}

void rw_delete_state(struct rw_call *call)
{
    struct state_task *t = new_task(call, call->rest, remove_state, reply_removed);
    if (t)
        start(t);
}

static void fork_state(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_call *call = t->call;
    const rwkv_store_save_options options = {.seconds = t->seconds, .exclusive = 1};
    if (rwkv_store_copy(call->server->store, &call->owner, t->name, t->to, &options, &t->err) ==
        RWKV_OK)
        look_up(t, t->to);
}

/* The name under which a state is to be kept, or a new one; and for how long. */
static void read_target(struct rw_call *call, char to[RW_MAX_NAME + 1], int64_t *seconds)
{
    const char *id = NULL;
    if (rw_field_state_name(&call->fields, "id", &id))
        snprintf(to, RW_MAX_NAME + 1, "%s", id);
    else
        rw_make_id("state-", to, RW_MAX_NAME + 1);
    rw_field_int(&call->fields, "ttl", 1, INT32_MAX, seconds);
}

void rw_fork_state(struct rw_call *call)
{
    char to[RW_MAX_NAME + 1];
    int64_t seconds = 0;
    read_target(call, to, &seconds);
    struct state_task *t = new_task(call, call->rest, fork_state, reply_state);
    if (!t)
        return;
    memcpy(t->to, to, sizeof to);
    t->seconds = seconds;
    start(t);
}

/* --- down and up ------------------------------------------------------------------------------ */

static void download(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_call *call = t->call;
    rwkv_session *session = NULL;
    if (rwkv_session_new(call->served->model, &session, &t->err) == RWKV_OK &&
        rwkv_store_load(call->server->store, session, &call->owner, t->name, &t->err) == RWKV_OK) {
        t->saved_size = rwkv_session_state_size(session);
        t->saved = rw_alloc(t->saved_size, 1);
        if (t->saved)
            rwkv_session_state_write(session, t->saved);
        else
            rw_fail(&t->err, RWKV_ERROR_MEMORY, "no memory for a state of %zu bytes",
                    t->saved_size);
    }
    rwkv_session_free(session);
}

static void reply_bytes(struct state_task *t)
{
    static const struct rw_http_field fields[] = {{"Content-Type", "application/octet-stream"},
                                                  {NULL, NULL}};
    if (t->call->x)
        rw_http_reply(t->call->x, 200, fields, t->saved, t->saved_size);
}

static void start_download(struct rw_call *call)
{
    struct state_task *t = new_task(call, call->rest, download, reply_bytes);
    if (t)
        start(t);
}

/* What is known of the state, or with ?download its bytes, for which its model is opened. */
static void about(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    look_up(t, t->name);
}

static bool wants_json(const struct rw_call *call)
{
    const char *accept = rw_http_header(call->x, "Accept");
    return rw_http_query(call->x, "info") || (accept && strcmp(accept, "application/json") == 0);
}

void rw_get_state(struct rw_call *call)
{
    if (!wants_json(call)) {
        rw_call_want_model(call, rw_http_query(call->x, "model"), start_download);
        return;
    }
    struct state_task *t = new_task(call, call->rest, about, reply_state);
    if (t)
        start(t);
}

static void upload(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_call *call = t->call;
    rwkv_session *session = NULL;
    const rwkv_store_save_options options = {.seconds = t->seconds};
    if (rwkv_session_new(call->served->model, &session, &t->err) == RWKV_OK &&
        rwkv_session_state_read(session, t->bytes, t->size, t->name, &t->err) == RWKV_OK &&
        rwkv_store_save(call->server->store, session, &call->owner, t->name, &options, &t->err) ==
            RWKV_OK)
        look_up(t, t->name);
    rwkv_session_free(session);
}

/* ?ttl=SECONDS; 0: none. */
static int64_t read_ttl(struct rw_call *call)
{
    char *end = NULL;
    const char *text = rw_http_query(call->x, "ttl");
    long long seconds = text ? strtoll(text, &end, 10) : 0;
    if (text && (*end || seconds < 1 || seconds > INT32_MAX))
        rw_field_fail(&call->fields, "ttl", "wanted seconds from 1 to %d, found '%.20s'", INT32_MAX,
                      text);
    return seconds;
}

/* The body belongs to the call now: the client may leave while it is read. */
static void start_upload(struct rw_call *call)
{
    int64_t seconds = read_ttl(call);
    struct state_task *t = new_task(call, call->rest, upload, reply_state);
    if (!t)
        return;
    t->seconds = seconds;
    call->work = rw_http_take_body(call->x, &t->size);
    t->bytes = call->work;
    start(t);
}

static void free_body(struct rw_call *call)
{
    rw_free(call->work);
}

void rw_put_state(struct rw_call *call)
{
    call->free_work = free_body;
    rw_call_want_model(call, rw_http_query(call->x, "model"), start_upload);
}

/* --- from a prompt ---------------------------------------------------------------------------- */

static void end(struct rw_gen *gen)
{
    struct rw_json j = {0};
    const struct rw_call *call = gen->call;
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "id", gen->state_id);
    rw_json_text(&j, "object", "state");
    rw_json_text(&j, "model", call->served->name);
    rw_json_text(&j, "model_fingerprint", call->served->info.fingerprint);
    rw_json_open(&j, "usage", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(&j, "prompt_tokens", gen->prompt_tokens);
    rw_json_open(&j, "prompt_tokens_details", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(&j, "cached_tokens", gen->cached_tokens);
    rw_json_close(&j);
    rw_json_close(&j);
    rw_json_close(&j);
    rw_call_json(gen->call, &j);
}

static void read_prompt(struct rw_call *call)
{
    rwkv_error err;
    struct rw_gen *gen = call->work;
    struct rw_tokens tokens = {0};
    const char *prompt = "";
    if (gen->chat) {
        rw_gen_add_conversation(gen);
    } else {
        rw_field_text(&call->fields, "prompt", RW_MAX_BODY, &prompt);
        if (rw_encode(call->served->vocab, prompt, strlen(prompt), &tokens, &err) != RWKV_OK)
            rw_api_fail_with(&call->error, &err);
        else
            rw_gen_add_prompt(gen, tokens.ids, tokens.count, NULL, 0);
        rw_tokens_fini(&tokens);
    }
}

static void go_on(struct rw_call *call)
{
    rw_gen_start(call->work);
}

static const struct rw_gen_format format = {.end = end};

/* {"prompt": "…"} or {"messages": […]}, "id", "ttl", "state" to begin with. */
void rw_make_state(struct rw_call *call)
{
    int64_t seconds = 0;
    struct rw_fields *f = &call->fields;
    struct rw_gen *gen = rw_gen_new(call, &format, "");
    if (!gen)
        return;
    gen->chat = rw_field_given(f, "messages");
    if (gen->chat)
        rw_conversation_read(&gen->conversation, f);
    else if (!rw_field_given(f, "prompt"))
        rw_field_fail(f, "prompt", "wanted a text, or messages, found nothing");
    rw_gen_read(gen);
    read_target(call, gen->state_id, &seconds);
    gen->state_seconds = seconds;
    gen->n = 1;
    gen->stream = false;
    gen->only_prompt = true;
    gen->return_state = true;
    if (!call->server->store)
        rw_field_fail(f, "id", "this server keeps no states");
    if (!rw_call_refused(call))
        rw_call_prepare(call, gen->model, read_prompt, go_on);
}
