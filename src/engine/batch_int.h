/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the scheduler: batch.c moves sequences, batch_plan.c says who gets how much of a step. */
#ifndef RW_ENGINE_BATCH_INT_H
#define RW_ENGINE_BATCH_INT_H

#include "engine/generation.h"
#include "engine/batch.h"

#define RW_BATCH_DEFAULT 32
#define RW_BATCH_MAX 1024

struct rw_batch_sequence {
    uint64_t id; /* the smaller, the earlier it came */
    uint64_t group;
    void *user;
    bool only_prompt;
    bool keep_state;                              /* the session is the caller's */
    atomic_bool cancelled;                        /* set from any thread */
    double added, deadline, started, prompt_done; /* moments; 0: none, not yet */

    rwkv_generate_options options;
    int32_t *stop_tokens;
    struct rw_generation generation;
    struct rwkv_session *session; /* NULL until it begins, if it is the batch's */
    int32_t *tokens;              /* [n_tokens] the prompt; NULL when read */
    size_t n_tokens;
    size_t *marks; /* [n_marks] */
    size_t n_marks, mark;

    size_t slice;                     /* tokens in this step: of the prompt, or the one chosen */
    struct rw_batch_sequence *leader; /* the first of its group that reads */
    size_t group_slice, group_turn;   /* of a leader: given to the group in this step, and how often
                                       */

    unsigned events;   /* not taken yet: a bit for each kind */
    const char *shown; /* text of the token's event, in the stream or in `spare` */
    size_t shown_size;
    struct rw_str spare;
    rwkv_error error;
    bool finished, reporting;
    struct rw_batch_sequence *next_report;
};

struct rwkv_batch {
    struct rwkv_model *model;
    size_t max, step_tokens;
    pthread_mutex_t lock;               /* guards the two lists and last_id */
    struct rw_batch_sequence **working; /* [max]; longest unserved first */
    size_t n_working;
    struct rw_batch_sequence **waiting; /* in the order in which they came */
    size_t n_waiting, waiting_capacity;
    uint64_t last_id;

    /* Of the stepping thread. */
    struct rw_batch_sequence **aside; /* [max] some of those at work, for a moment */
    rwkv_segment *segments;           /* [max] */
    struct rwkv_session **pool;       /* [max] sessions to be used again */
    size_t n_pool;
    struct rw_candidates **memory; /* [n_memory] to draw in, one for each thread */
    size_t n_memory;
    size_t turn;                                     /* steps planned */
    struct rw_batch_sequence *reports, *last_report; /* those with events of the last step */
};

/* Whether it has not read all of its prompt. */
static inline bool rw_batch_reads(const struct rw_batch_sequence *s)
{
    return s->generation.result.prompt_tokens < s->n_tokens;
}

/* Set the slice of every working sequence for the next step. */
void rw_batch_plan(struct rwkv_batch *b);

/* Which of the waiting sequences (at least one) begins next. Under the lock. */
size_t rw_batch_choose_waiting(const struct rwkv_batch *b);

#endif
