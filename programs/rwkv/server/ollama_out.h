/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of Ollama's requests and replies that its endpoints share. */
#ifndef RW_SERVER_OLLAMA_OUT_H
#define RW_SERVER_OLLAMA_OUT_H

#include "server/call.h"

/* {"model", "created_at", of an object that the caller closes. */
void rw_ollama_open(struct rw_json *j, const struct rw_call *call);
/* "name": nanoseconds */
void rw_ollama_duration(struct rw_json *j, const char *name, double seconds);
/* A moment (seconds since 1970) as RFC 3339 has it, with nanoseconds. */
void rw_ollama_time(struct rw_json *j, const char *name, double seconds);
/* keep_alive: seconds, or a text like "5m" or "1h30m"; < 0 is for ever. Into call->keep_seconds. */
void rw_ollama_read_keep_alive(struct rw_call *call);

#endif
