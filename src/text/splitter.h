/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes an answer apart while it is written: a thought between "<think>" and "</think>" at its
 * beginning, text, and calls of tools as JSON in a fence of its own,
 *
 *     ```json
 *     {"name":"…","arguments":{…}}
 *     ```
 *
 * where the fence begins a line, holds one object, several, or an array of them, and may lack when
 * the answer begins with the JSON. Bytes that may be part of a marker, or of a call whose name is
 * not known yet, are held back; as soon as they cannot be, they are text. What was held for calls
 * needs no second look for other markers: none of their beginnings can be inside.
 */
#ifndef RW_TEXT_SPLITTER_H
#define RW_TEXT_SPLITTER_H

#include "rwkv.h"

/* As the functions of rwkv_chat.h. */
rwkv_status rw_splitter_new(const char *opening, const rwkv_tool *tools, size_t n_tools,
                            rwkv_piece_fn piece, void *user, rwkv_splitter **out, rwkv_error *err);
void rw_splitter_free(rwkv_splitter *splitter);
rwkv_status rw_splitter_push(rwkv_splitter *splitter, const char *text, size_t size,
                             rwkv_error *err);
/* Inside a call, what came of its JSON, borrowed until the next push: from the fence on, or without
 * a fence once it is certain to be a call. NULL: there is none. */
const char *rw_splitter_call(const rwkv_splitter *splitter, size_t *size);
rwkv_status rw_splitter_finish(rwkv_splitter *splitter, rwkv_error *err);

#endif
