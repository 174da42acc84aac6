/* SPDX-License-Identifier: Apache-2.0 */
#include "text/chat.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "text/chat_int.h"

/* What the answer begins with, what is added to every user's text, and what the answer begins with
 * when it has to be a call: a thought that the model would have to end cannot come before it. */
struct mode {
    const char *opening;
    const char *hint;
    const char *call;
};

#define EMPTY_THOUGHT " <think>\n</think"

static const struct mode modes[] = {
    [RWKV_THINK_OFF] = {"", "", " ```json"},
    [RWKV_THINK_ON] = {" <think", "", EMPTY_THOUGHT ">\n```json"},
    [RWKV_THINK_FAST] = {EMPTY_THOUGHT, "", EMPTY_THOUGHT ">\n```json"},
    [RWKV_THINK_SHORT] = {" <think", " (think a bit)", EMPTY_THOUGHT ">\n```json"},
    [RWKV_THINK_LONG] = {" <think", " (think a lot)", EMPTY_THOUGHT ">\n```json"},
};

rwkv_status rw_think_for_effort(const char *effort, rwkv_think *out, rwkv_error *err)
{
    static const struct {
        const char *effort;
        rwkv_think think;
    } levels[] = {{"none", RWKV_THINK_OFF},  {"minimal", RWKV_THINK_FAST},
                  {"low", RWKV_THINK_SHORT}, {"medium", RWKV_THINK_ON},
                  {"high", RWKV_THINK_LONG}, {"xhigh", RWKV_THINK_LONG}};
    for (size_t i = 0; i < RW_COUNT(levels); i++)
        if (strcmp(effort, levels[i].effort) == 0) {
            *out = levels[i].think;
            return RWKV_OK;
        }
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "effort: wanted none, minimal, low, medium, high or xhigh, found '%.40s'",
                   effort);
}

/* --- pieces of text --------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The text without blanks at both ends. */
static const char *strip(const char *text, size_t *size)
{
    while (is_blank(*text))
        text++;
    *size = strlen(text);
    while (*size > 0 && is_blank(text[*size - 1]))
        --*size;
    return text;
}

size_t rw_chat_add_folded(struct rw_str *out, const char *text)
{
    size_t size, before = out->size;
    char last = 0;
    text = strip(text, &size);
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool crlf = c == '\r' && i + 1 < size && text[i + 1] == '\n';
        if (crlf || (c == '\n' && last == '\n'))
            continue;
        rw_str_addc(out, c);
        last = c;
    }
    return out->size - before;
}

/* What follows the last "</think>", or all. */
static const char *answer_of(const char *text)
{
    static const char mark[] = "</think>";
    for (const char *next; (next = strstr(text, mark));)
        text = next + strlen(mark);
    return text;
}

static void add_place(struct rw_chat_text *out, struct rw_places *places)
{
    if (rw_grow((void **)&places->at, places->n, &places->capacity, sizeof *places->at))
        places->at[places->n++] = out->text.size;
    else
        out->failed = true;
}

/* --- turns ------------------------------------------------------------------------------------ */

static void end_turn(struct rw_chat_text *out)
{
    rw_str_adds(&out->text, "\n\n");
    add_place(out, &out->turns);
}

static void open_answer(struct rw_chat_text *out)
{
    rw_str_adds(&out->text, "Assistant:");
    add_place(out, &out->cuts);
}

/* The system turn of the first `n` messages and the tools; nothing if there is nothing to say. */
static rwkv_status add_system(const rwkv_chat *chat, size_t n, bool tools, struct rw_chat_text *out,
                              rwkv_error *err)
{
    struct rw_str *text = &out->text;
    size_t begin = text->size;
    rw_str_adds(text, "System: ");
    size_t empty = text->size;
    if (tools)
        RW_TRY(rw_chat_add_tools(chat, text, err));
    for (size_t i = 0; i < n; i++)
        if (rw_chat_add_folded(text, chat->messages[i].text) > 0)
            rw_str_addc(text, '\n');
    if (tools)
        rw_str_adds(text, "Return only a JSON function call.\n");
    if (text->size == empty) {
        text->size = begin;
    } else if (!text->failed) {
        text->size--; /* the last newline is the turn's end's */
        end_turn(out);
    }
    return RWKV_OK;
}

static void add_later_system(const rwkv_message *message, struct rw_chat_text *out)
{
    size_t size;
    strip(message->text, &size);
    if (size == 0)
        return;
    rw_str_adds(&out->text, "System: ");
    rw_chat_add_folded(&out->text, message->text);
    end_turn(out);
}

static void add_user(const rwkv_message *message, const char *hint, struct rw_chat_text *out)
{
    size_t size;
    strip(message->text, &size);
    rw_str_adds(&out->text, size > 0 ? "User: " : "User:");
    rw_chat_add_folded(&out->text, message->text);
    rw_str_adds(&out->text, hint);
    end_turn(out);
}

static void add_tool_output(const rwkv_message *message, struct rw_chat_text *out)
{
    rw_str_adds(&out->text, "User: Function output:\n");
    rw_chat_add_output(message->text, &out->text);
    end_turn(out);
}

static void add_assistant(const rwkv_message *message, struct rw_chat_text *out)
{
    size_t size;
    const char *text = strip(answer_of(message->text ? message->text : ""), &size);
    if (size == 0 && message->n_calls == 0)
        return;
    open_answer(out);
    rw_str_addc(&out->text, ' ');
    rw_str_add(&out->text, text, size);
    if (size > 0 && message->n_calls > 0)
        rw_str_addc(&out->text, '\n');
    if (message->n_calls > 0)
        rw_chat_add_calls(message, &out->text);
    end_turn(out);
}

/* --- the whole -------------------------------------------------------------------------------- */

static rwkv_status check_calls(const rwkv_message *message, size_t index, rwkv_error *err)
{
    if (message->n_calls > 0 && message->role != RWKV_ROLE_ASSISTANT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "message %zu: wanted calls of the assistant only, found them in role %d",
                       index, (int)message->role);
    if (message->n_calls > 0 && !message->calls)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "message %zu: wanted %zu calls, found NULL", index,
                       message->n_calls);
    for (size_t i = 0; i < message->n_calls; i++)
        if (!message->calls[i].name)
            return rw_fail(err, RWKV_ERROR_ARGUMENT,
                           "message %zu: call %zu: wanted a name, found NULL", index, i);
    return RWKV_OK;
}

static rwkv_status check_message(const rwkv_message *message, size_t index, rwkv_error *err)
{
    if ((int)message->role < RWKV_ROLE_SYSTEM || message->role > RWKV_ROLE_TOOL)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "message %zu: no such role: %d", index,
                       (int)message->role);
    RW_TRY(check_calls(message, index, err));
    if (!message->text && message->n_calls == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "message %zu: wanted a text, found NULL", index);
    return RWKV_OK;
}

static void add_message(const rwkv_message *message, const struct mode *mode,
                        struct rw_chat_text *out)
{
    switch (message->role) {
    case RWKV_ROLE_SYSTEM:
        add_later_system(message, out);
        break;
    case RWKV_ROLE_USER:
        add_user(message, mode->hint, out);
        break;
    case RWKV_ROLE_ASSISTANT:
        add_assistant(message, out);
        break;
    case RWKV_ROLE_TOOL:
        add_tool_output(message, out);
        break;
    }
}

rwkv_status rw_chat_write(const rwkv_chat *chat, struct rw_chat_text *out, rwkv_error *err)
{
    bool tools = false;
    size_t n_first = 0;
    if ((int)chat->think < 0 || (size_t)chat->think >= RW_COUNT(modes))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "no such think mode: %d", (int)chat->think);
    const struct mode *mode = &modes[chat->think];
    for (size_t i = 0; i < chat->n_messages; i++)
        RW_TRY(check_message(&chat->messages[i], i, err));
    RW_TRY(rw_chat_check_tools(chat, &tools, err));
    while (n_first < chat->n_messages && chat->messages[n_first].role == RWKV_ROLE_SYSTEM)
        n_first++;
    RW_TRY(add_system(chat, n_first, tools, out, err));
    for (size_t i = n_first; i < chat->n_messages; i++)
        add_message(&chat->messages[i], mode, out);
    open_answer(out);
    rw_str_adds(&out->text, rw_chat_wants_call(chat) ? mode->call : mode->opening);
    if (out->text.failed || out->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the text of %zu messages",
                       chat->n_messages);
    return RWKV_OK;
}

void rw_chat_text_fini(struct rw_chat_text *text)
{
    rw_str_fini(&text->text);
    rw_free(text->cuts.at);
    rw_free(text->turns.at);
    *text = (struct rw_chat_text){0};
}
