/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of OpenAI's replies that its endpoints share. */
#ifndef RW_SERVER_OPENAI_OUT_H
#define RW_SERVER_OPENAI_OUT_H

#include "server/generate.h"

/* {"id", "object", "created", "model", "system_fingerprint", of an object that the caller closes.
 */
void rw_openai_open(struct rw_json *j, const struct rw_gen *gen, const char *object);
/* "usage": {"prompt_tokens", …} */
void rw_openai_usage(struct rw_json *j, const struct rw_gen *gen);
/* Members of the last frame or of the whole reply that are ours: the state that was asked for. */
void rw_openai_state(struct rw_json *j, const struct rw_gen *gen);
/* A stream's last frames: usage, if it was asked for, and the end. */
void rw_openai_end_stream(struct rw_gen *gen, const char *object);

#endif
