/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations and tools from a request's JSON, in the forms of OpenAI and of Ollama, to what the
 * library renders.
 *
 *     struct rw_conversation c = {0};
 *     rw_conversation_read(&c, &call->fields);
 *     if (!rw_call_refused(call))
 *         rwkv_chat_encode(&c.chat, vocab, &prompt, &err);
 *     rw_conversation_fini(&c);
 */
#ifndef RW_SERVER_CONVERSATION_IN_H
#define RW_SERVER_CONVERSATION_IN_H

#include "server/call.h"
#include "rwkv.h"

struct rw_conversation {
    rwkv_chat chat; /* into what follows, and into the request */
    rwkv_message *messages;
    rwkv_tool_call **calls; /* [n_messages] */
    rwkv_tool *tools;
    char **texts; /* [n_texts] made for the conversation */
    size_t n_texts, texts_capacity;
    bool several_calls; /* parallel_tool_calls */
};

/* Read `messages`, `tools`, `tool_choice`, `parallel_tool_calls` and how to think. What is wrong is
 * in f->error. The request's JSON must stay until rw_conversation_fini. */
void rw_conversation_read(struct rw_conversation *c, struct rw_fields *f);
/* A conversation of one question, after a system text ("": none); both are borrowed. Reads how to
 * think. */
void rw_conversation_single(struct rw_conversation *c, struct rw_fields *f, const char *system,
                            const char *user);
void rw_conversation_fini(struct rw_conversation *c); /* also of zeros */

#endif
