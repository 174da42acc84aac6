/* SPDX-License-Identifier: Apache-2.0 */
#include "server/conversation_in.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

/* Keep a text made for the conversation; NULL in, or no memory, is an error. */
static const char *keep(struct rw_conversation *c, struct rw_fields *f, char *text)
{
    if (!text || !rw_grow((void **)&c->texts, c->n_texts, &c->texts_capacity, sizeof *c->texts)) {
        rw_free(text);
        rw_api_fail(f->error, 503, "server_error", "no_memory", "no memory for a conversation");
        return NULL;
    }
    return c->texts[c->n_texts++] = text;
}

/* The JSON of a value, as text. */
static const char *keep_json(struct rw_conversation *c, struct rw_fields *f, const json_t *value)
{
    size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    char *text = rw_alloc(size + 1, 1);
    if (text) {
        json_dumpb(value, text, size, JSON_COMPACT | JSON_ENCODE_ANY);
        text[size] = 0;
    }
    return keep(c, f, text);
}

/* --- messages --------------------------------------------------------------------------------- */

/* Text that is given in parts, [{"type": "text", "text": "…"}, …]. */
static const char *join_parts(struct rw_conversation *c, struct rw_fields *f, const json_t *parts)
{
    struct rw_str all = {0};
    if (json_array_size(parts) > RW_MAX_PARTS)
        rw_field_fail(f, "content", "wanted at most %d parts, found %zu", RW_MAX_PARTS,
                      json_array_size(parts));
    for (size_t i = 0; i < json_array_size(parts) && !f->error->status; i++) {
        const char *type = "text", *text = "";
        struct rw_fields part = rw_fields_at(f, "content", parts, i);
        rw_field_text(&part, "type", 64, &type);
        if (strcmp(type, "text") != 0 && strcmp(type, "input_text") != 0 &&
            strcmp(type, "refusal") != 0)
            rw_field_fail(&part, "type",
                          "wanted text, found '%.40s': these models read nothing else", type);
        rw_field_text(&part, strcmp(type, "refusal") == 0 ? "refusal" : "text", RW_MAX_BODY, &text);
        rw_str_adds(&all, i ? "\n" : "");
        rw_str_adds(&all, text);
    }
    rw_str_adds(&all, "");
    if (all.failed || f->error->status) {
        rw_str_fini(&all);
        return f->error->status ? NULL : keep(c, f, NULL);
    }
    return keep(c, f, all.data ? rw_str_take(&all) : rw_strdup(""));
}

static const char *read_content(struct rw_conversation *c, struct rw_fields *f)
{
    const char *text = NULL;
    const json_t *value = json_object_get(f->object, "content");
    if (json_is_array(value))
        return join_parts(c, f, value);
    rw_field_text(f, "content", RW_MAX_BODY, &text);
    return text;
}

/* The calls that an assistant made: OpenAI's arguments are a text, Ollama's an object. */
static void read_calls(struct rw_conversation *c, struct rw_fields *f, size_t message)
{
    const json_t *list = rw_field_list(f, "tool_calls", 0, RW_MAX_TOOLS);
    size_t n = json_array_size(list);
    if (n == 0)
        return;
    rwkv_tool_call *calls = rw_calloc(n, sizeof *calls);
    if (!calls) {
        keep(c, f, NULL);
        return;
    }
    c->calls[message] = calls;
    c->messages[message].calls = calls;
    c->messages[message].n_calls = n;
    for (size_t i = 0; i < n; i++) {
        struct rw_fields call = rw_fields_at(f, "tool_calls", list, i);
        struct rw_fields function = rw_fields_in(&call, "function");
        const json_t *arguments = json_object_get(function.object, "arguments");
        calls[i].name = "";
        if (!rw_field_text(&function, "name", RW_MAX_NAME, &calls[i].name))
            rw_field_fail(&function, "name", "wanted the name of a tool");
        if (json_is_object(arguments))
            calls[i].arguments = keep_json(c, f, arguments);
        else
            rw_field_text(&function, "arguments", RW_MAX_BODY, &calls[i].arguments);
    }
}

static void read_message(struct rw_conversation *c, struct rw_fields *f, size_t i)
{
    static const char *const words[] = {"system", "developer", "user", "assistant",
                                        "tool",   "function",  NULL};
    static const rwkv_role roles[] = {RWKV_ROLE_SYSTEM,    RWKV_ROLE_SYSTEM, RWKV_ROLE_USER,
                                      RWKV_ROLE_ASSISTANT, RWKV_ROLE_TOOL,   RWKV_ROLE_TOOL};
    int word = -1;
    rwkv_message *message = &c->messages[i];
    rw_field_word(f, "role", words, &word);
    if (word < 0) {
        rw_field_fail(f, "role", "wanted system, user, assistant or tool, found nothing");
        return;
    }
    message->role = roles[word];
    message->text = read_content(c, f);
    if (message->role == RWKV_ROLE_ASSISTANT)
        read_calls(c, f, i);
    if (!message->text && message->n_calls == 0)
        rw_field_fail(f, "content", "wanted a text, found nothing");
}

static void read_messages(struct rw_conversation *c, struct rw_fields *f)
{
    const json_t *list = rw_field_list(f, "messages", 1, RW_MAX_MESSAGES);
    size_t n = json_array_size(list);
    if (!list && !f->error->status)
        rw_field_fail(f, "messages", "wanted a list of messages, found nothing");
    if (n == 0)
        return;
    c->messages = rw_calloc(n, sizeof *c->messages);
    c->calls = rw_calloc(n, sizeof *c->calls);
    if (!c->messages || !c->calls) {
        keep(c, f, NULL);
        return;
    }
    c->chat.messages = c->messages;
    c->chat.n_messages = n;
    for (size_t i = 0; i < n && !f->error->status; i++) {
        struct rw_fields message = rw_fields_at(f, "messages", list, i);
        read_message(c, &message, i);
    }
}

/* --- tools ------------------------------------------------------------------------------------ */

static void read_tool(struct rw_conversation *c, struct rw_fields *f, rwkv_tool *tool)
{
    struct rw_fields function = rw_fields_in(f, "function");
    const char *type = "function";
    rw_field_text(f, "type", 64, &type);
    if (strcmp(type, "function") != 0)
        rw_field_fail(f, "type", "wanted function, found '%.40s'", type);
    tool->name = "";
    if (!rw_field_text(&function, "name", RW_MAX_NAME, &tool->name))
        rw_field_fail(&function, "name", "wanted the name of a tool");
    rw_field_text(&function, "description", RW_MAX_GRAMMAR, &tool->description);
    const json_t *parameters = rw_field_object(&function, "parameters");
    if (parameters)
        tool->parameters = keep_json(c, f, parameters);
}

/* "auto", "none", "required", or {"type": "function", "function": {"name": "…"}}. */
static void read_choice(struct rw_conversation *c, struct rw_fields *f)
{
    static const char *const words[] = {"auto", "none", "required", NULL};
    static const rwkv_tool_choice choices[] = {RWKV_TOOL_AUTO, RWKV_TOOL_NONE, RWKV_TOOL_REQUIRED};
    int word = 0;
    if (json_is_object(json_object_get(f->object, "tool_choice"))) {
        struct rw_fields choice = rw_fields_in(f, "tool_choice");
        struct rw_fields function = rw_fields_in(&choice, "function");
        if (!rw_field_text(&function, "name", RW_MAX_NAME, &c->chat.tool_name))
            rw_field_fail(&function, "name", "wanted the name of a tool");
        c->chat.tool_choice = RWKV_TOOL_NAMED;
        return;
    }
    rw_field_word(f, "tool_choice", words, &word);
    c->chat.tool_choice = choices[word];
}

static void read_tools(struct rw_conversation *c, struct rw_fields *f)
{
    const json_t *list = rw_field_list(f, "tools", 0, RW_MAX_TOOLS);
    size_t n = json_array_size(list);
    c->several_calls = true;
    rw_field_flag(f, "parallel_tool_calls", &c->several_calls);
    read_choice(c, f);
    if (n == 0)
        return;
    c->tools = rw_calloc(n, sizeof *c->tools);
    if (!c->tools) {
        keep(c, f, NULL);
        return;
    }
    c->chat.tools = c->tools;
    c->chat.n_tools = n;
    for (size_t i = 0; i < n && !f->error->status; i++) {
        struct rw_fields tool = rw_fields_at(f, "tools", list, i);
        read_tool(c, &tool, &c->tools[i]);
    }
}

/* --- thinking --------------------------------------------------------------------------------- */

/* OpenAI's reasoning_effort; Ollama's think, which is true, false or a level of effort. */
static void read_think(struct rw_conversation *c, struct rw_fields *f)
{
    rwkv_error err;
    bool think = false;
    const char *effort = NULL;
    struct rw_fields reasoning = rw_fields_in(f, "reasoning");
    rw_field_text(&reasoning, "effort", 32, &effort);
    rw_field_text(f, "reasoning_effort", 32, &effort);
    if (json_is_string(json_object_get(f->object, "think")))
        rw_field_text(f, "think", 32, &effort);
    else if (rw_field_flag(f, "think", &think))
        c->chat.think = think ? RWKV_THINK_ON : RWKV_THINK_OFF;
    if (effort && rwkv_think_for_effort(effort, &c->chat.think, &err) != RWKV_OK)
        rw_field_fail(f, "reasoning_effort", "%s", err.message);
}

void rw_conversation_read(struct rw_conversation *c, struct rw_fields *f)
{
    read_messages(c, f);
    read_tools(c, f);
    read_think(c, f);
}

void rw_conversation_single(struct rw_conversation *c, struct rw_fields *f, const char *system,
                            const char *user)
{
    size_t n = *system ? 2 : 1;
    c->messages = rw_calloc(n, sizeof *c->messages);
    if (!c->messages) {
        keep(c, f, NULL);
        return;
    }
    c->messages[0] = (rwkv_message){.role = RWKV_ROLE_SYSTEM, .text = system};
    c->messages[n - 1] = (rwkv_message){.role = RWKV_ROLE_USER, .text = user};
    c->chat.messages = c->messages;
    c->chat.n_messages = n;
    read_think(c, f);
}

void rw_conversation_fini(struct rw_conversation *c)
{
    for (size_t i = 0; i < c->n_texts; i++)
        rw_free(c->texts[i]);
    for (size_t i = 0; c->calls && i < c->chat.n_messages; i++)
        rw_free(c->calls[i]);
    rw_free(c->texts);
    rw_free(c->calls);
    rw_free(c->messages);
    rw_free(c->tools);
    *c = (struct rw_conversation){0};
}
