/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the chat form: what its files share. */
#ifndef RW_TEXT_CHAT_INT_H
#define RW_TEXT_CHAT_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "text/chat.h"

/* Places in a text, ascending. */
struct rw_places {
    size_t *at; /* [n] */
    size_t n, capacity;
};

/* A prompt in the making. */
struct rw_chat_text {
    struct rw_str text;
    struct rw_places cuts;  /* behind every "Assistant:" */
    struct rw_places turns; /* behind every turn but the last */
    bool failed;            /* for want of memory, in a list of places */
};

/* Append; zeros are an empty text. Fails as rwkv_chat_render. */
rwkv_status rw_chat_write(const rwkv_chat *chat, struct rw_chat_text *out, rwkv_error *err);
void rw_chat_text_fini(struct rw_chat_text *text);

/* Append text in which CR LF stands as LF, several LF as one, and no blanks at the ends; the length
 * of what was appended. */
size_t rw_chat_add_folded(struct rw_str *out, const char *text);

/* --- tools (chat_tools.c) --- */

/* Check the tools and the choice; whether the model is told of them. */
rwkv_status rw_chat_check_tools(const rwkv_chat *chat, bool *told, rwkv_error *err);

/* Whether a call is demanded. */
static inline bool rw_chat_wants_call(const rwkv_chat *chat)
{
    return chat->n_tools > 0 &&
           (chat->tool_choice == RWKV_TOOL_REQUIRED || chat->tool_choice == RWKV_TOOL_NAMED);
}

/* Append what the system text begins with, a line for each tool, each with its newline. */
rwkv_status rw_chat_add_tools(const rwkv_chat *chat, struct rw_str *out, rwkv_error *err);

/* Append the fenced JSON of calls, without a newline behind it. */
void rw_chat_add_calls(const rwkv_message *message, struct rw_str *out);

/* Append what a tool gave back, as JSON: text that is none becomes a string. */
void rw_chat_add_output(const char *text, struct rw_str *out);

#endif
