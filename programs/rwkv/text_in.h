/* SPDX-License-Identifier: Apache-2.0 */
/* Reading texts and lists of token ids, and turning one into the other. */
#ifndef RW_PROGRAM_TEXT_IN_H
#define RW_PROGRAM_TEXT_IN_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rwkv.h"

struct rw_tokens {
    int32_t *ids;
    size_t count;
    size_t capacity;
};

void rw_tokens_fini(struct rw_tokens *tokens);
rwkv_status rw_tokens_add(struct rw_tokens *tokens, int32_t id, rwkv_error *err);

/* Append all bytes of a file, or of standard input for "-" (any bytes; pipes too). */
rwkv_status rw_read_text(const char *path, struct rw_str *out, rwkv_error *err);

/* Append the ids in `text`, written in decimal with blanks, commas or brackets between them. `name`
 * is used in messages. */
rwkv_status rw_parse_tokens(const char *name, const char *text, size_t size, struct rw_tokens *out,
                            rwkv_error *err);

/* Append the ids that an option gives: themselves, "1,2,3"; or in a file, as text or as the tensor
 * `tokens` of a .safetensors. None at all is an error. */
rwkv_status rw_read_ids(const char *option, const char *arg, struct rw_tokens *out,
                        rwkv_error *err);

/* Append the ids of a text. */
rwkv_status rw_encode(const rwkv_vocab *vocab, const char *text, size_t size, struct rw_tokens *out,
                      rwkv_error *err);

/* A text without a beginning begins at token 0, where vocabularies have it as the mark between
 * texts; an error where it is a token like others. */
rwkv_status rw_text_mark(const rwkv_vocab *vocab, int32_t *mark, rwkv_error *err);

#endif
