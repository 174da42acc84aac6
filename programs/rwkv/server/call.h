/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call: one request to the API from its head to the end of its reply, and of everything that was
 * begun for it. Endpoints are functions in the table of api.c:
 *
 *     void rw_tokenize(struct rw_call *call)
 *     {
 *         const char *text = NULL;
 *         rw_field_text(&call->fields, "content", RW_MAX_BODY, &text);
 *         if (rw_call_refused(call))
 *             return;
 *         rw_call_want_model(call, model, tokenize);   // goes on in tokenize(call), now or later
 *     }
 *
 * References: the exchange holds one until it is gone; who waits for something (a job, a task, a
 * model) holds one more with rw_call_hold and drops it with rw_call_release. The last one frees the
 * call, after call->free_work. When the client leaves, call->x becomes NULL and call->left is told,
 * so that jobs can be cancelled; replies do nothing from then on.
 */
#ifndef RW_SERVER_CALL_H
#define RW_SERVER_CALL_H

#include "base/str.h"
#include "server/background.h"
#include "server/fields.h"
#include "server/http.h"
#include "json_out.h"
#include "server/server.h"

enum {
    RW_ROUTE_OPEN = 1,      /* needs no key */
    RW_ROUTE_RAW_BODY = 2,  /* the body is no JSON */
    RW_ROUTE_DRAINING = 4,  /* answered to the end */
    RW_ROUTE_LARGE_BODY = 8 /* as long as a state may be */
};

struct rw_route {
    const char *method;
    const char *path; /* "/v1/models/{}": {} is one part, or at the end the rest with its slashes,
                         stored in call->rest */
    unsigned flags;
    void (*fn)(struct rw_call *call); /* the body is there and parsed */
};

struct rw_call {
    struct rw_server *server;
    struct rw_http_exchange *x; /* NULL: the client is gone, or has its whole reply */
    const struct rw_route *route;
    char rest[RW_MAX_NAME + 32]; /* what {} stands for */
    char id[72];                 /* for the log and X-Request-Id: the client's own, or "req-…" */
    double start;
    rwkv_owner owner; /* whose key it came with */
    uint64_t group;
    const char *key_name; /* NULL: the route needs none */
    char *unparsed;       /* [size] the body, until it is parsed; owned, or NULL */
    size_t size;
    json_t *body;
    struct rw_fields fields;   /* of the body */
    struct rw_api_error error; /* the first thing wrong */

    struct rw_served *served; /* after rw_call_want_model; released with the call */
    double keep_seconds;      /* NAN: as the options say */

    void *work; /* the endpoint's own … */
    void (*free_work)(struct rw_call *call);
    void (*left)(struct rw_call *call); /* nullable */

    size_t references;
    struct rw_want want;
    struct rw_task task;
    bool is_aside; /* the task is under way */
    void (*work_aside)(struct rw_call *call);
    void (*go_on)(struct rw_call *call);
    struct rw_call *next, **link; /* in server->calls */

    double due;    /* when it has to be answered; 0: at any time */
    bool has_jobs; /* they look at the clock themselves: see rw_call_seconds_left */

    size_t sequences; /* that it has at work and waiting, at most: see rw_call_queue */

    /* For the log and metrics, filled by whoever knows. */
    size_t prompt_tokens, cached_tokens, generated_tokens;
    double queue_seconds, first_token_seconds;
    const char *finish; /* "stop", "length", …; NULL: nothing was generated */
    char *request;      /* [size] with --log-prompts, the body as it came; owned, or NULL */
};

void rw_call_hold(struct rw_call *call);
void rw_call_release(struct rw_call *call);
/* Whether its client is there, and no reply has begun. */
bool rw_call_waits(const struct rw_call *call);

/* Work for this call, and go on: at once where its body is small; a large one is worked on by a
 * thread of its own, so that the loop is not held up. `work` may use the call's body, error, model
 * and what the endpoint has of its own, and nothing that others change. If the client leaves
 * meanwhile, `left` is not told and `go_on` not called. */
void rw_call_aside(struct rw_call *call, void (*work)(struct rw_call *call),
                   void (*go_on)(struct rw_call *call));

/* Hold the model of this name (NULL: the default) and go on; or answer that it cannot be had. */
void rw_call_want_model(struct rw_call *call, const char *name,
                        void (*go_on)(struct rw_call *call));
/* The same with work to be done aside before. */
void rw_call_prepare(struct rw_call *call, const char *name, void (*work)(struct rw_call *call),
                     void (*go_on)(struct rw_call *call));

/* So many sequences are to be submitted for it: an error if the queue has no room for them, or its
 * key has too many already; another, that names the member, if it never could. */
void rw_call_queue(struct rw_call *call, size_t n);

/* For the timeout of its jobs: seconds to `due`, > 0; or 0 if there is no such time. From now on it
 * is theirs to end in time; before, the call is answered 503 when it is due. */
double rw_call_seconds_left(struct rw_call *call);

/* --- replies; nothing happens where one has begun or the client is gone ------------------------
 */

/* Whether something was wrong (call->error): it has then been answered. */
bool rw_call_refused(struct rw_call *call);
/* The same with an error, which is copied. */
void rw_call_fail(struct rw_call *call, const struct rw_api_error *error);
/* The same of the store: a state that there is not is 404, one that there is already 409. */
void rw_call_fail_with_state(struct rw_call *call, const rwkv_error *err);
/* The body of an error as clients of this path want it, whether there is such a path or not:
 * {"error": "message"} under /api/, as of Ollama, else OpenAI's {"error": {"message", "type",
 * "param", "code"}}. */
void rw_error_body(const struct rw_http_exchange *x, const struct rw_api_error *error,
                   struct rw_str *to);

/* The JSON that was built, with status 200; also frees it. */
void rw_call_json(struct rw_call *call, struct rw_json *json);

/* Begin a stream of events (text/event-stream) or of lines (application/x-ndjson). */
bool rw_call_stream(struct rw_call *call, const char *type);
/* One event "data: …" with its blank line, or one line, of the JSON that was built; also frees it.
 * A client that does not take what is there for it is cut off. */
void rw_call_send_event(struct rw_call *call, struct rw_json *json);
void rw_call_send_line(struct rw_call *call, struct rw_json *json);
/* An error after the stream has begun: its last frame. */
void rw_call_send_error(struct rw_call *call, const struct rw_api_error *error);
void rw_call_end(struct rw_call *call, const char *last); /* last: "data: [DONE]\n\n", or NULL */

/* --- api.c -------------------------------------------------------------------------------------
 */

/* The route for a method and path, and the part of the path that {} stands for; NULL, and in
 * `allowed` the methods that there are for the path, or "". */
const struct rw_route *rw_route_find(const char *method, const char *path, const char **rest,
                                     size_t *size, char allowed[64]);

/* The endpoints, each in the file of its group. */
void rw_get_health(struct rw_call *call); /* health.c */
void rw_get_metrics(struct rw_call *call);
void rw_get_version(struct rw_call *call);
void rw_get_root(struct rw_call *call); /* page.c */
void rw_get_page(struct rw_call *call);
void rw_list_models(struct rw_call *call); /* openai_models.c */
void rw_get_model(struct rw_call *call);
void rw_complete(struct rw_call *call);        /* openai_completions.c */
void rw_complete_chat(struct rw_call *call);   /* openai_chat.c */
void rw_embed(struct rw_call *call);           /* openai_embeddings.c */
void rw_rerank(struct rw_call *call);          /* rerank.c */
void rw_ollama_generate(struct rw_call *call); /* ollama_generate.c */
void rw_ollama_chat(struct rw_call *call);
void rw_ollama_embed(struct rw_call *call); /* ollama_embed.c */
void rw_ollama_embeddings(struct rw_call *call);
void rw_ollama_tags(struct rw_call *call); /* ollama_models.c */
void rw_ollama_show(struct rw_call *call);
void rw_ollama_ps(struct rw_call *call);
void rw_tokenize(struct rw_call *call); /* tokens.c */
void rw_detokenize(struct rw_call *call);
void rw_get_tokenizer(struct rw_call *call);
void rw_list_states(struct rw_call *call); /* states.c */
void rw_make_state(struct rw_call *call);
void rw_get_state(struct rw_call *call);
void rw_put_state(struct rw_call *call);
void rw_delete_state(struct rw_call *call);
void rw_fork_state(struct rw_call *call);

#endif
