/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a training run tells of itself, in its folder:
 *
 *     log.jsonl            a line of JSON a record, appended as it comes
 *     events.out.tfevents… the same for TensorBoard; one file each time the run is started
 *     report.html          one page with curves, made anew every so often, whole or absent
 *
 * One thread uses a log; where many processes train together, one of them keeps it.
 *
 *     const struct rw_log_options options = {.folder = "run", .title = "run", .resume_step = at};
 *     RW_TRY(rw_log_open(&log, &options, err));
 *     for (each step) {
 *         RW_GO(rw_log_step(log, &step, err));
 *         RW_GO(rw_log_validation(log, &validation, err));   // now and then, of the same step
 *         if (a checkpoint is due)
 *             RW_GO(rw_log_sync(log, err));                  // before it is written
 *     }
 *     status = rw_log_close(log, true, err);
 *
 * A run killed at any moment and resumed from step n keeps the records up to step n and loses those
 * after it, also one that was cut short. So all records of a step come before its checkpoint.
 */
#ifndef RW_TRAIN_LOG_H
#define RW_TRAIN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_log;

/* Numbers that are not known, or not finite, are written as null; NAN says so. */
struct rw_log_step {
    uint64_t step;            /* from 1 */
    uint64_t tokens;          /* seen by the run up to here */
    double loss;              /* nats a token */
    double bits_per_byte;     /* of the text */
    double learning_rate;     /* of the matrices */
    double gradient_norm;     /* before it was clipped */
    double tokens_per_second; /* of this step */
    double share_of_peak;     /* of the machine's arithmetic, 0 … 1 */
    double seconds;           /* spent training so far, by all starts of the run */
    double time;              /* of the clock on the wall, seconds since 1970 UTC */
};

struct rw_log_validation {
    uint64_t step; /* after which it was measured; 0: before the first */
    double loss, bits_per_byte;
    double seconds, time; /* as above */
};

struct rw_log_sample {
    uint64_t step;
    const char *text; /* [size] what the model wrote, any bytes; borrowed during the call */
    size_t size;
    double seconds, time;
};

/* Told of a line that was left out. */
typedef void (*rw_log_note)(void *user, const char *message);

struct rw_log_options {
    const char *folder;    /* exists; copied */
    const char *title;     /* of the report; copied */
    const char *summary;   /* nullable: what is trained on what, in lines, for the report; copied */
    uint64_t resume_step;  /* records after it are cut off; 0: all of them, a new run */
    uint64_t total_steps;  /* for the report; 0: not known */
    double time;           /* now */
    double report_seconds; /* of `time` between two reports; 0: only one, at the end */
    rw_log_note note;      /* nullable */
    void *user;            /* handed to it */
};

/* Open the folder's log, repair and cut off what a run that was killed has left. A line that is no
 * record, torn by a machine that stopped or damaged on its disk, is left out with a note; where the
 * first is none, log.jsonl is some other file, and nothing is touched. Fails there, and where the
 * folder cannot be written. */
rwkv_status rw_log_open(struct rw_log **out, const struct rw_log_options *options, rwkv_error *err);

/* Whether the log holds a validation, or a sample, of this step, the last one made. */
bool rw_log_has_validation(const struct rw_log *log, uint64_t step);
bool rw_log_has_sample(const struct rw_log *log, uint64_t step);

/* Each reaches the system before it returns: a process killed afterwards loses nothing. */
rwkv_status rw_log_step(struct rw_log *log, const struct rw_log_step *record, rwkv_error *err);
rwkv_status rw_log_validation(struct rw_log *log, const struct rw_log_validation *record,
                              rwkv_error *err);
rwkv_status rw_log_sample(struct rw_log *log, const struct rw_log_sample *record, rwkv_error *err);

/* What was logged reaches the disk, so that no checkpoint is ahead of it if the machine stops. */
rwkv_status rw_log_sync(struct rw_log *log, rwkv_error *err);

/* Write the last report, which says that the run is `finished` or only paused; frees, also on
 * failure. NULL is fine. */
rwkv_status rw_log_close(struct rw_log *log, bool finished, rwkv_error *err);

#endif
