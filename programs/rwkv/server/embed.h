/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of texts, for the endpoints that show or compare them: hidden states after the last layer
 * norm, the mean over the tokens or the last one, scaled to length 1.
 */
#ifndef RW_SERVER_EMBED_H
#define RW_SERVER_EMBED_H

#include "server/call.h"

struct rw_embed;

struct rw_embed_job {
    struct rw_job job;
    struct rw_embed *embed;
    float *vector; /* owned */
    bool running;
};

struct rw_embed {
    struct rw_call *call;
    const json_t **inputs;     /* [n] texts or lists of ids, borrowed from the request */
    struct rw_embed_job *jobs; /* [n] */
    size_t n, left;
    enum rw_pooling pooling;
    size_t size; /* of a vector */
    struct rw_api_error error;
    void (*end)(struct rw_embed *embed); /* all vectors are there: reply */

    /* Of the endpoints. */
    bool base64;
    int64_t dimensions; /* 0: all */
    int64_t top_n;
    bool return_documents;
};

/* NULL: no memory, and said so. `n` inputs are to be filled in. */
struct rw_embed *rw_embed_new(struct rw_call *call, size_t n, void (*end)(struct rw_embed *embed));
/* Read the members that they share: how to pool. Then hold the model, and go on to `end`. */
void rw_embed_start(struct rw_embed *embed, const char *model);
size_t rw_embed_tokens(const struct rw_embed *embed);

/* What `input` holds: a text, a list of ids, or a list of these; NULL: something else, and said so.
 */
struct rw_embed *rw_embed_read_inputs(struct rw_call *call, const char *name,
                                      void (*end)(struct rw_embed *embed));

#endif
