/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inference thread: steps the batches of all models in turn, and between the steps does what is
 * no generating (scores of given text, vectors of texts). Work comes as jobs, which the loop's
 * thread fills and submits; what becomes of them comes back as events on the loop's thread, in
 * their order.
 *
 *     rw_job_init(&job, RW_JOB_GENERATE, served);
 *     job.tokens = tokens, job.n_tokens = n;      // goes over to the job
 *     job.event = show;
 *     rw_worker_submit(worker, &job);
 *     … show(&job, &event) …                      // the last kind is RW_JOB_OVER
 *     rw_job_fini(&job);
 *
 * A generating job first looks for the longest beginning of its prompt whose state is in the store,
 * reads the rest, and remembers states at its marks, at its prompt's end and at the end of each
 * answer. All choices of a job continue one prompt, which is read once; the seed of choice i is
 * that of the options + i. What a job answers does not depend on the store, nor on other jobs.
 *
 * Jobs wait for a place in the order in which they came within their group; the next place is for
 * the group with the fewest sequences at work.
 */
#ifndef RW_SERVER_WORKER_H
#define RW_SERVER_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "server/fields.h"
#include "server/loop.h"
#include "server/models.h"
#include "rwkv_store.h"

struct rw_worker;
struct rw_job;

enum rw_job_kind {
    RW_JOB_GENERATE, /* read the prompt and generate n choices */
    RW_JOB_EMBED     /* the hidden states of the prompt, pooled */
};

enum rw_pooling { RW_POOL_MEAN, RW_POOL_LAST };

/* A token and its log-probability, natural, under the model's own distribution. */
struct rw_token_score {
    int32_t token;
    float logprob;
};

enum rw_job_event_kind {
    RW_JOB_STARTED,  /* it has a place: cached_tokens came from the store */
    RW_JOB_SCORED,   /* a token of the prompt (echo): token, logprob, top; in order */
    RW_JOB_TOKEN,    /* a token was chosen: token, text that became final, logprob, top */
    RW_JOB_FINISHED, /* a choice ended: result; text that had been held back; session */
    RW_JOB_VECTOR,   /* of RW_JOB_EMBED: vector [size], not normalised */
    RW_JOB_OVER      /* the job is the caller's again; error says whether it failed */
};

/* Pointers are borrowed during the call. */
struct rw_job_event {
    enum rw_job_event_kind kind;
    size_t choice;
    size_t cached_tokens;
    int32_t token;
    const char *text;
    size_t text_size;
    float logprob; /* NAN: there is none (the first token of a text), or none was asked for */
    const struct rw_token_score *top; /* [n_top] the most likely, in falling order */
    size_t n_top;
    rwkv_generate_result result;
    double queue_seconds;  /* from submitting to its place; with STARTED */
    rwkv_session *session; /* with FINISHED, where give_session is set: the caller's from now on */
    const float *vector;
    size_t size;
    const struct rw_api_error *error; /* NULL: none */
};

struct rw_job {
    enum rw_job_kind kind;
    struct rw_served *served; /* held by the caller until the job is over */

    rwkv_owner owner; /* whose states may be used and remembered */
    uint64_t group;   /* jobs of a group share what groups get equally */
    int32_t *tokens;  /* [n_tokens] owned */
    size_t n_tokens;
    size_t *marks; /* [n_marks] owned: numbers of tokens after which states are worth keeping */
    size_t n_marks;

    /* Of generating. Lists in the options are borrowed until the job is over. */
    rwkv_generate_options options;
    rwkv_session *from; /* owned: continue this, and leave the store alone; NULL: a new text */
    size_t n;           /* choices, at least 1 */
    bool only_prompt;   /* generate nothing */
    bool echo;          /* with the scores of the prompt's tokens */
    bool no_cache;      /* leave the store alone */
    bool give_session;  /* with the end of each choice */
    int logprobs;       /* −1: none; else so many alternatives for each token */
    double timeout;     /* seconds from submitting; 0: none */

    enum rw_pooling pooling; /* of embedding */

    void (*event)(struct rw_job *job, const struct rw_job_event *event);
    void *user;

    atomic_bool cancelled;    /* set by rw_worker_cancel */
    struct rw_job_work *work; /* of the worker */
    struct rw_job *next;      /* likewise */
};

void rw_job_init(struct rw_job *job, enum rw_job_kind kind, struct rw_served *served);
void rw_job_fini(struct rw_job *job); /* not while it is submitted */

struct rw_worker_options {
    rwkv_store *store; /* nullable, borrowed until rw_worker_free */
    size_t mark_every; /* tokens of a long prompt between states that are remembered; 0: 1024 */
    size_t parallel;   /* sequences of a model at work together, as its batch has; 0: 32 */
    size_t
        step_tokens; /* as its batch has: bounds what is evaluated between two tokens of a stream */
};

/* What was done so far, for metrics; consistent in itself. */
struct rw_worker_stats {
    uint64_t steps, step_sequences; /* the mean batch is their quotient */
    uint64_t prompt_tokens, cached_tokens, generated_tokens;
    double busy_seconds;
    size_t working, waiting;
    uint64_t batch_sizes[16]; /* steps with at most 1, 2, 4, … sequences; the last: any */
};

rwkv_status rw_worker_new(struct rw_worker **out, struct rw_loop *loop,
                          const struct rw_worker_options *options, rwkv_error *err);
/* When the loop has ended. Jobs that are not over end without a word. NULL is fine. */
void rw_worker_free(struct rw_worker *worker);

/* The job is borrowed until it is over. */
void rw_worker_submit(struct rw_worker *worker, struct rw_job *job);
/* The job will be over soon, and says nothing but that from now on. */
void rw_worker_cancel(struct rw_worker *worker, struct rw_job *job);
void rw_worker_get_stats(struct rw_worker *worker, struct rw_worker_stats *stats);

#endif
