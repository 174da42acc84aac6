/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The World / G1 chat form as text: turns "User: …", "Assistant: …", "System: …", each ended by a
 * blank line, and at the end the opening of the assistant's turn. The form is described in
 * BlinkDL/RWKV-LM, RWKV-v7/RWKV7-G1x-templates.txt.
 *
 * - The last system message comes first, wherever it stands; earlier ones give way to it.
 * - System and user texts: CR LF becomes LF, several LF become one, blanks at both ends go, so that
 * a blank line can only mean the end of a turn.
 * - Of an assistant's text what follows the last "</think>" is kept, without blanks at both ends.
 * - System and assistant messages without text are left out.
 * - Nothing follows the last "Assistant:", and "<think" lacks its ">", because the model was
 * trained to go on with a token that begins with a space, or with the ">".
 */
#ifndef RW_TEXT_CHAT_H
#define RW_TEXT_CHAT_H

#include <stddef.h>

#include "base/str.h"
#include "rwkv.h"

/* Append to `out`. Fails with RWKV_ERROR_ARGUMENT for a role or mode there is not or a NULL text.
 */
rwkv_status rw_chat_render(const rwkv_message *messages, size_t n_messages, rwkv_think think,
                           struct rw_str *out, rwkv_error *err);

#endif
