/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a whole: its parts, and what every request may use of them. Everything is the
 * loop's thread's, but what worker.h, background.h and rwkv_store.h say of themselves.
 *
 *     rwkv_status status = rw_server_new(&options, &server, &err);
 *     …
 *     status = rw_server_run(server, &err);   // until SIGINT or SIGTERM, and then the drain
 *     rw_server_free(server);
 */
#ifndef RW_SERVER_SERVER_H
#define RW_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/access_log.h"
#include "server/auth.h"
#include "server/background.h"
#include "server/grammars.h"
#include "server/http.h"
#include "server/loop.h"
#include "server/metrics.h"
#include "server/models.h"
#include "rwkv.h"
#include "rwkv_store.h"
#include "server/worker.h"

struct rw_call;
struct rw_notify;

struct rw_named_model {
    const char *name, *path;
};

/* Texts are borrowed until rw_server_free. */
struct rw_server_options {
    struct rw_http_options http;
    struct rw_auth_options auth;
    struct rw_access_log_options log;
    struct rw_models_options models;
    const struct rw_named_model *named; /* [n_named] the first is the default */
    size_t n_named;
    rwkv_store_options store;
    bool no_store;
    rwkv_sampler_options sampler, chat_sampler; /* where a request does not say; without bias */
    size_t parallel;                            /* sequences of a model at work together */
    size_t max_queue;       /* sequences that may wait; more are refused with 429 */
    size_t max_per_key;     /* sequences of one key, at work and waiting; 0: no limit of its own */
    size_t max_tokens;      /* generated where a request does not say; 0: RW_MAX_NEW_TOKENS */
    double drain_seconds;   /* at the end, running requests may take so long */
    double request_seconds; /* any request may take so long; 0: no limit */
    size_t max_state_bytes; /* of an uploaded state */
    size_t mark_every;      /* tokens of a long prompt between remembered states */
    bool has_seed;          /* of the samplers: all requests without one draw from it */
    bool sandbox;           /* give up for good what serving does not need; see sandbox.h */
    bool preload;           /* open the default model at once; /health is 503 until then */
};

struct rw_server {
    struct rw_server_options options;
    struct rw_loop *loop;
    struct rw_background *background; /* files and models */
    struct rw_background *aside;      /* large requests */
    struct rw_http *http;
    struct rw_models *models;
    struct rw_grammars *grammars;
    struct rw_worker *worker;
    rwkv_store *store; /* NULL: none */
    struct rw_auth *auth;
    struct rw_metrics *metrics;
    struct rw_access_log *log;
    struct rw_notify *notify;
    bool files_limited; /* by the sandbox */
    bool ready;         /* the default model is there, or need not be */
    bool failed;        /* the default model cannot be opened */
    struct rw_want first;
    struct rw_timer drain_look, drain_end;
    bool draining;         /* SIGTERM came: new requests are refused */
    struct rw_call *calls; /* all there are */
    uint64_t last_call;
};

/* Listens already, but answers only when run. */
rwkv_status rw_server_new(const struct rw_server_options *options, struct rw_server **out,
                          rwkv_error *err);
/* Runs until a signal, then drains: new requests get 503, running ones finish or, after
 * drain_seconds, are cut off. A second signal ends it at once. */
rwkv_status rw_server_run(struct rw_server *server, rwkv_error *err);
void rw_server_free(struct rw_server *server); /* NULL is fine */

#endif
