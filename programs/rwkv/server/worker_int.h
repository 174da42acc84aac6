/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the inference thread: worker.c has the thread, the jobs' order and what is told of them;
 * worker_job.c takes a job from stage to stage; worker_score.c does what is no generating.
 */
#ifndef RW_SERVER_WORKER_INT_H
#define RW_SERVER_WORKER_INT_H

#include <pthread.h>

#include "server/worker.h"

enum rw_stage {
    RW_STAGE_WAITING,   /* for a place */
    RW_STAGE_PROMPT,    /* the batch reads the prompt, for several choices */
    RW_STAGE_CHOICES,   /* the batch generates */
    RW_STAGE_SCORING,   /* the prompt is read and scored, slice by slice */
    RW_STAGE_EMBEDDING, /* the prompt is read and its hidden states are summed */
    RW_STAGE_OVER       /* told when no sequence of it is in the batch any more */
};

/* One sequence of a batch. */
struct rw_choice {
    struct rw_job *job;
    size_t index;          /* SIZE_MAX: it reads the prompt for all */
    uint64_t id;           /* in the batch; 0: not there */
    rwkv_session *session; /* owned */
    int32_t *tokens;       /* [n] chosen */
    size_t n, capacity;
};

/* An event on its way to the loop. */
struct rw_told {
    struct rw_job *job;
    struct rw_job_event event; /* pointers into what follows this struct */
    struct rw_told *next;
};

struct rw_job_work {
    enum rw_stage stage;
    double submitted;
    rwkv_session *session;     /* owned: the prompt as far as it has been read */
    size_t done;               /* tokens of the prompt in it that the batch need not read */
    double *sum;               /* [C] of hidden states */
    struct rw_api_error error; /* status 0: none */
    struct rw_told over;       /* the last event; nothing can come in its way */
    struct rw_choice reader;
    size_t left;                /* choices that have not finished */
    struct rw_choice choices[]; /* [n] */
};

#define RW_RECENT_GROUPS 64

/* A model with jobs. */
struct rw_active {
    struct rw_served *served;
    struct rw_job *waiting; /* in the order in which they came */
    struct rw_job *working;
    size_t sequences; /* of those at work */
    /* The groups that were begun last, and when, in jobs: others have waited longer. */
    struct rw_recent {
        uint64_t group, began;
    } recent[RW_RECENT_GROUPS];
    uint64_t n_began;
    struct rw_active *next;
};

struct rw_worker {
    struct rw_message message; /* there are events */
    struct rw_loop *loop;
    struct rw_worker_options options;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows, up to `active` */
    pthread_cond_t more;
    struct rw_job *incoming, **incoming_end;
    struct rw_told *told, **told_end;
    bool posted, stop;
    struct rw_worker_stats stats;

    struct rw_active *active;         /* of the thread from here on */
    struct rw_told *said, **said_end; /* goes to `told` all at once */
    float *logits;                    /* [RW_SCORE_SLICE, V] */
    size_t logits_size;
};

#define RW_SCORE_SLICE 32 /* tokens whose logits are looked at together */
#define RW_BESIDE 16      /* tokens for which there is always room beside streams */

/* worker.c: pass on an event; what its pointers point to is copied, but for a session, which goes
 * over. A job that there is no memory to tell of is over, with an error. */
void rw_job_tell(struct rw_worker *w, struct rw_job *job, const struct rw_job_event *event);
/* It is over, as soon as all its sequences have left the batch, which they now do; `error`
 * (nullable) says why it failed. */
void rw_job_end(struct rw_worker *w, struct rw_job *job, const struct rw_api_error *error);
void rw_job_end_with(struct rw_worker *w, struct rw_job *job, const rwkv_error *err);

/* worker_job.c */
void rw_job_begin(struct rw_worker *w, struct rw_job *job); /* it has a place */
void rw_job_read(struct rw_worker *w, struct rw_job *job);  /* on to the prompt, or what follows */
void rw_job_take(struct rw_worker *w, const rwkv_batch_event *event);
void rw_job_leave_batch(struct rw_job *job); /* its sequences will end */
bool rw_job_is_in_batch(const struct rw_job *job);

/* worker_score.c */
void rw_score_logits(const float *logits, size_t n_vocab, int32_t token, size_t n_top,
                     struct rw_job_event *to, struct rw_token_score top[]);
/* The next tokens of a job that is scored, at most `room` and RW_SCORE_SLICE. */
void rw_job_score_slice(struct rw_worker *w, struct rw_job *job, size_t room);
/* The next tokens of all that are embedded, at most `room`. */
void rw_jobs_embed_slice(struct rw_worker *w, struct rw_active *active, size_t room);

#endif
