/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the endpoints that generate have in common: the fields that say how, a job for each prompt,
 * and choices that grow as events come. How it looks on the wire is a format's business, a few
 * functions that are told what became certain.
 *
 *     struct rw_gen *gen = rw_gen_new(call, &format);      // freed with the call
 *     … fields …
 *     rw_gen_read(gen) …
 *     rw_call_want_model(call, gen->model, go_on);
 *     … in go_on: rw_gen_add_prompt(gen, tokens, n, marks, n_marks) for each; rw_gen_start(gen) …
 */
#ifndef RW_SERVER_GENERATE_H
#define RW_SERVER_GENERATE_H

#include "server/call.h"
#include "server/conversation_in.h"
#include "rwkv.h"
#include "rwkv_grammar.h"
#include "server/worker.h"

struct rw_gen;

/* A token that was chosen, or that echo shows, with what is known of its probability. */
struct rw_gen_token {
    int32_t token;
    float logprob;              /* NAN: none */
    struct rw_token_score *top; /* [n_top] owned */
    size_t n_top;
    size_t end; /* bytes of the choice's tokens up to its end */
};

struct rw_gen_tool_call {
    char id[32];
    char *name;              /* owned */
    struct rw_str arguments; /* JSON as it was written */
    bool whole;
};

struct rw_gen_choice {
    struct rw_gen *gen;
    size_t index; /* of all prompts: those of the first come first */
    size_t prompt;
    rwkv_splitter *splitter; /* NULL: all is content */
    struct rw_str content, reasoning;
    struct rw_gen_tool_call *calls;
    size_t n_calls, calls_capacity;
    struct rw_gen_token *tokens; /* [n_tokens], of which [n_shown] belong to text that is certain */
    size_t n_tokens, tokens_capacity, n_shown;
    size_t token_bytes, certain_bytes; /* of the tokens; of what of them is certain text */
    struct rw_str unshown;             /* those between the two */
    bool begun;                        /* the format was told of it */
    const char *finish;                /* "stop", "length", "tool_calls"; NULL: not yet */
    double last_token;                 /* when it came */
};

/* How a reply looks. Without a stream only `end` is called, when all choices are whole. */
struct rw_gen_format {
    const char *stream_type;                                         /* of the stream's content */
    void (*begin)(struct rw_gen *gen, struct rw_gen_choice *choice); /* nullable */
    /* Something became certain: text of this kind (may be empty), and tokens n_shown_before …
     * n_shown. */
    void (*piece)(struct rw_gen *gen, struct rw_gen_choice *choice, rwkv_piece kind,
                  const char *text, size_t size, size_t n_shown_before);
    void (*finish)(struct rw_gen *gen, struct rw_gen_choice *choice, size_t n_shown_before);
    void (*end)(struct rw_gen *gen); /* of the stream, or the whole reply */
};

struct rw_gen_job {
    struct rw_job job;
    struct rw_gen *gen;
    size_t prompt; /* its number */
    bool running;
    size_t scored; /* tokens, with echo */
};

struct rw_gen {
    struct rw_call *call;
    const struct rw_gen_format *format;

    /* What is asked. */
    const char *model; /* as it was named; NULL: the default */
    bool stream, stream_usage;
    bool echo;
    int logprobs; /* −1: none */
    size_t n;     /* choices for each prompt */
    rwkv_generate_options options;
    const char *stops[RW_MAX_STOPS + 1];
    rwkv_logit_bias *biases; /* owned */
    rwkv_grammar *grammar;   /* held */
    rwkv_call_options calls; /* to which the grammar is limited, if the options say so */
    const char *state;       /* begin with this one */
    bool return_state, no_cache;
    bool only_prompt; /* for its state */
    struct rw_conversation conversation;
    bool chat;
    rwkv_chat_prompt prompt; /* of the conversation */

    /* What came of it. */
    struct rw_gen_job *jobs; /* [n_jobs] one for each prompt */
    size_t n_jobs, jobs_capacity, jobs_left;
    struct rw_gen_choice *choices; /* [n_choices] */
    size_t n_choices;
    struct rw_api_error error; /* of a job; status 0: none */
    char id[40];
    int64_t created;                /* seconds since 1970 */
    char state_id[RW_MAX_NAME + 1]; /* by which the last state is kept; "": by a new name */
    int64_t state_seconds;          /* how long; 0: for ever */
    bool streaming;
    bool saving; /* the state that was asked for */
    size_t prompt_tokens, cached_tokens, generated_tokens;
    double load_seconds, prompt_seconds, generate_seconds;
};

/* NULL: no memory, and said so. */
struct rw_gen *rw_gen_new(struct rw_call *call, const struct rw_gen_format *format,
                          const char *id_prefix);

/* Read what OpenAI's two endpoints share: sampling, limits, stops, bias, streaming, grammar, state.
 * Ollama's `options` are read by rw_gen_read_sampling alone. */
void rw_gen_read(struct rw_gen *gen);
void rw_gen_read_sampling(struct rw_gen *gen, struct rw_fields *f);
/* `stop`, a string or a list; with those of a chat. */
void rw_gen_read_stops(struct rw_gen *gen, struct rw_fields *f, const char *name);
/* Constrain to any JSON object, a schema or GBNF; what is wrong with it is said of the member. */
void rw_gen_set_json(struct rw_gen *gen);
void rw_gen_set_schema(struct rw_gen *gen, struct rw_fields *f, const char *name,
                       const json_t *schema);
void rw_gen_set_gbnf(struct rw_gen *gen, struct rw_fields *f, const char *name, const char *text);

/* Where a tool has to be called, to such a call; where one may be, what is called. */
void rw_gen_constrain_call(struct rw_gen *gen);

/* One more prompt; tokens and marks (nullable) are copied. */
void rw_gen_add_prompt(struct rw_gen *gen, const int32_t *tokens, size_t n_tokens,
                       const size_t *marks, size_t n_marks);
/* Encode the conversation as the only prompt. */
void rw_gen_add_conversation(struct rw_gen *gen);
/* Submit the jobs; refuses, if something was wrong before or the queue is full. */
void rw_gen_start(struct rw_gen *gen);

/* Between the files of generating: begin the jobs, the first one with this session (nullable, goes
 * over); load the state to begin with, then submit; save the session, which goes over, and end when
 * all else has; reply. */
void rw_gen_submit(struct rw_gen *gen, rwkv_session *from);
void rw_gen_load_state(struct rw_gen *gen);
void rw_gen_save_state(struct rw_gen *gen, rwkv_session *session);
void rw_gen_end(struct rw_gen *gen);

/* Bytes of a token as a text for JSON: itself, or "bytes:\xNN…" where it is no UTF-8. */
void rw_gen_token_text(const struct rw_gen *gen, int32_t token, struct rw_str *to);

#endif
