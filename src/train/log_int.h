/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the log: its three files. */
#ifndef RW_TRAIN_LOG_INT_H
#define RW_TRAIN_LOG_INT_H

#include "base/str.h"
#include "train/log.h"

/* One of the numbers of a record: log.c has the list. */
struct rw_log_field {
    const char *key; /* in log.jsonl */
    const char *tag; /* for TensorBoard; NULL: not shown there */
    double value;
};

/* --- log_events.c: TensorBoard ---------------------------------------------------------------- */

struct rw_log_events {
    int fd; /* −1: none */
    char *path;
    struct rw_str record; /* memory used again and again */
};

/* A new file, which says that what others say of `first_step` and later is void. */
rwkv_status rw_log_events_open(struct rw_log_events *events, const char *folder, double time,
                               uint64_t first_step, rwkv_error *err);
void rw_log_events_close(struct rw_log_events *events);

/* The fields that have a tag and a finite value. */
rwkv_status rw_log_events_scalars(struct rw_log_events *events, double time, uint64_t step,
                                  const struct rw_log_field *fields, size_t n, rwkv_error *err);
rwkv_status rw_log_events_text(struct rw_log_events *events, double time, uint64_t step,
                               const char *tag, const char *text, size_t size, rwkv_error *err);

/* --- log_report.c: curves and their page ------------------------------------------------------ */

#define RW_CURVE_POINTS 512 /* even */
#define RW_REPORT_SAMPLES 12
#define RW_REPORT_SAMPLE_MAX 2000 /* bytes */

/* A curve of any length in bounded memory: when it is full, neighbours become one. */
struct rw_curve {
    struct rw_curve_point {
        uint64_t step; /* the last */
        double sum, min, max;
        size_t n;
    } points[RW_CURVE_POINTS];
    size_t n, each; /* values that a point takes up */
};

enum rw_curve_kind {
    RW_CURVE_LOSS,
    RW_CURVE_BITS,
    RW_CURVE_LEARNING_RATE,
    RW_CURVE_GRADIENT_NORM,
    RW_CURVE_SPEED,
    RW_CURVE_VALIDATION_LOSS,
    RW_CURVE_VALIDATION_BITS,
    RW_CURVE_COUNT
};

struct rw_log_report {
    char *title, *summary;
    uint64_t total_steps;
    struct rw_curve curves[RW_CURVE_COUNT];
    struct rw_log_step last; /* step 0: none yet */
    struct rw_log_validation validation;
    bool validated;
    struct rw_report_sample {
        uint64_t step;
        struct rw_str text;
    } samples[RW_REPORT_SAMPLES]; /* the next one goes to n_samples modulo their number */
    size_t n_samples;
};

enum rw_run_state { RW_RUN_GOING, RW_RUN_PAUSED, RW_RUN_FINISHED };

/* Not finite: left out. */
void rw_curve_add(struct rw_curve *curve, uint64_t step, double value);

void rw_log_report_step(struct rw_log_report *report, const struct rw_log_step *record);
void rw_log_report_validation(struct rw_log_report *report, const struct rw_log_validation *record);
void rw_log_report_sample(struct rw_log_report *report, const struct rw_log_sample *record);
void rw_log_report_html(const struct rw_log_report *report, enum rw_run_state state,
                        struct rw_str *to);
void rw_log_report_fini(struct rw_log_report *report);

/* --- log.c ------------------------------------------------------------------------------------ */

/* Append to a file; what could be written of a record that could not be written whole is taken away
 * again. */
rwkv_status rw_log_append(int fd, const char *path, const void *bytes, size_t n, rwkv_error *err);

#endif
