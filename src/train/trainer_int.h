/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the trainer share. */
#ifndef RW_TRAIN_TRAINER_INT_H
#define RW_TRAIN_TRAINER_INT_H

#include "base/str.h"
#include "text/vocab.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/log.h"
#include "train/sample.h"
#include "train/schedule.h"
#include "train/step.h"
#include "train/trainer.h"

struct rwkv_trainer {
    rwkv_train_options options; /* strings owned */
    struct rw_trainer_hooks hooks;
    char *checkpoints; /* folder */
    int lock;          /* of the run's folder: a descriptor + 1; 0: none */
    bool locked;       /* no other process trains there */
    bool started, finished;

    /* Known once it is open. */
    struct rw_comm *comm; /* with whom it trains */
    struct rw_backend *backend;
    struct rwkv_vocab *vocab; /* or NULL */
    char vocab_fingerprint[65];
    struct rw_dataset *data;
    struct rw_dataset *validation;    /* other data to validate on, or NULL */
    struct rw_file *file;             /* of the model to begin with, until it is loaded */
    struct rw_checkpoint *checkpoint; /* to go on from, until it is loaded */
    struct rw_params params;          /* of `file`, or made; empty with a checkpoint */
    struct rw_parameters parameters;
    struct rw_schedule schedule;
    struct rw_gradient_options gradient_options;
    rwkv_train_plan plan;
    struct rw_str notes; /* to be told when it runs, each ended by a zero byte */

    /* While it runs. */
    struct rw_training_state state;
    bool stopping; /* as all processes have agreed */
    struct rw_step step;
    float *whole_m, *whole_v; /* moments of all, where rank 0 puts them together to save them */
    struct rw_sampling *sampling;
    struct rw_log *log;
    int32_t *tokens;                        /* [sequences at a time, context + 1] */
    int32_t *targets;                       /* [sequences at a time, context] */
    struct rw_gradient_sequence *sequences; /* as many */
    uint64_t step_targets;                  /* of the step, in all processes together */
    double peak;                            /* of the machine's arithmetic, operations a second */
    double started_at, before;              /* moment it was started, seconds spent before that */
    rwkv_train_event_fn event;
    void *user;
};

static inline bool rw_trainer_cancelled(const struct rwkv_trainer *t)
{
    return t->options.cancel && *t->options.cancel;
}

/* The data whose held-out windows are validated on. */
static inline const struct rw_dataset *rw_trainer_held_out(const struct rwkv_trainer *t)
{
    return t->validation ? t->validation : t->data;
}

/* --- trainer_open.c --- */

/* Make the folder this process' own, where it exists: two runs would spoil each other's log. */
rwkv_status rw_trainer_lock(struct rwkv_trainer *t, rwkv_error *err);

rwkv_status rw_trainer_start(struct rwkv_trainer *t, rwkv_error *err);

/* --- trainer_group.c: what it takes to be one process of several --- */

/* Threads of this process: unless the user says how many, and where processes are not bound to
 * processors of their own, those on one machine share them. */
size_t rw_trainer_threads(const struct rwkv_trainer *t);
/* Whether all processes have found the same: data, vocabulary, sizes and state. */
rwkv_status rw_trainer_check_group(struct rwkv_trainer *t, rwkv_error *err);
/* Of `n` things in order, those that are this process' part: from *first up to *end. */
void rw_trainer_part(const struct rwkv_trainer *t, uint64_t n, uint64_t *first, uint64_t *end);
/* Make the shares and take the arrays of moments. */
rwkv_status rw_trainer_take_shares(struct rwkv_trainer *t, rwkv_error *err);
void rw_trainer_free_shares(struct rwkv_trainer *t);
uint64_t rw_trainer_moment_bytes(const struct rwkv_trainer *t); /* of this process */
/* The whole arrays, in rank 0. */
struct rw_checkpoint_arrays rw_trainer_collect(struct rwkv_trainer *t);
/* This process' share of the checkpoint's moments. */
void rw_trainer_load_moments(struct rwkv_trainer *t);

/* --- trainer_report.c --- */

/* What the next event says besides its kind; the rest is unknown. */
rwkv_train_event rw_trainer_event(const struct rwkv_trainer *t, rwkv_train_event_kind kind);
void rw_trainer_note(struct rwkv_trainer *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
double rw_trainer_seconds(const struct rwkv_trainer *t); /* spent training so far */
void rw_trainer_measure(struct rwkv_trainer *t);         /* the machine's peak, now */

/* Bits a byte of a text whose tokens have so many nats; NaN without a vocabulary. */
double rw_trainer_bits_per_byte(const struct rwkv_trainer *t, double nats, uint64_t bytes);
/* Targets of `n` sequences, and their bytes, if there is a vocabulary. */
struct rw_trainer_count {
    uint64_t targets, bytes;
};
struct rw_trainer_count rw_trainer_count(const struct rwkv_trainer *t, size_t n);

/* A validation, and a sample of text; one that is cancelled tells nothing and stops the run. */
rwkv_status rw_trainer_validate(struct rwkv_trainer *t, rwkv_error *err);
rwkv_status rw_trainer_sample(struct rwkv_trainer *t, rwkv_error *err);
/* The models of options.exports. */
rwkv_status rw_trainer_export(struct rwkv_trainer *t, bool end, rwkv_error *err);

/* Point t->sequences at the first `n` rows of t->tokens and t->targets. */
void rw_trainer_set_sequences(struct rwkv_trainer *t, size_t n);

#endif
