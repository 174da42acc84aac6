/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The World / G1 chat form as text: turns "User: …", "Assistant: …", "System: …", each ended by a
 * blank line, and at the end the opening of the assistant's turn. The form is described in
 * BlinkDL/RWKV-LM, RWKV-v7/RWKV7-G1x-templates.txt; docs/chat.md has what is made of it here.
 *
 * - Nothing in a prompt depends on messages that come later, but the opening: so prompts of one
 *   conversation begin alike.
 * - System messages at the beginning make up one turn, together with the tools; later ones are
 *   turns of their own.
 * - System and user texts: CR LF becomes LF, several LF become one, blanks at both ends go, so that
 *   a blank line can only mean the end of a turn.
 * - Of an assistant's text what follows the last "</think>" is kept, without blanks at both ends.
 * - System and assistant messages without text (or calls) are left out.
 * - Nothing follows the last "Assistant:", and "<think" lacks its ">", because the model was
 *   trained to go on with a token that begins with a space, or with the ">".
 */
#ifndef RW_TEXT_CHAT_H
#define RW_TEXT_CHAT_H

#include <stddef.h>

#include "base/str.h"
#include "rwkv.h"

/* Fill *out; `vocab` is nullable: no tokens then. */
rwkv_status rw_chat_prompt(const rwkv_chat *chat, const rwkv_vocab *vocab, rwkv_chat_prompt *out,
                           rwkv_error *err);
void rw_chat_prompt_fini(rwkv_chat_prompt *prompt);

/* Append the schema. */
rwkv_status rw_chat_call_schema(const rwkv_chat *chat, bool several, struct rw_str *out,
                                rwkv_error *err);

rwkv_status rw_think_for_effort(const char *effort, rwkv_think *out, rwkv_error *err);

#endif
