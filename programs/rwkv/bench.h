/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside `rwkv bench`: cmd_bench.c reads the command line and goes through the runs that it asks
 * for, bench_run.c opens a model and does one run, bench_row.c times work next to the machine's
 * limits, bench_train.c does and shows --train, bench_print.c, bench_data.c (JSON, CSV) and
 * bench_plot.c (SVG) show the results.
 */
#ifndef RW_PROGRAM_BENCH_H
#define RW_PROGRAM_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "energy.h"
#include "open_model.h"
#include "rwkv.h"
#include "rwkv_bench.h"

#define RW_BENCH_ROWS 32
#define RW_BENCH_TRAINS (RW_BENCH_ROWS * 4) /* precisions, with checkpoints and without */
#define RW_BENCH_BATCH_MAX 64
#define RW_BENCH_PASSES 9 /* of a row, at most */
#define RW_BENCH_POINTS 32
#define RW_BENCH_CHOICES 16      /* values of one --sweep */
#define RW_BENCH_FIRST_PROMPT 16 /* tokens before the first one */

/* --- what is asked for ------------------------------------------------------------------------ */

enum rw_bench_work { RW_BENCH_PREFILL, RW_BENCH_DECODE, RW_BENCH_BATCH, RW_BENCH_WORKS };

struct rw_bench_task {
    enum rw_bench_work work;
    size_t n;     /* tokens of the prompt, or steps of decoding */
    size_t batch; /* sessions decoded together */
};

struct rw_bench {
    struct rw_model_args args;
    rwkv_random_model make; /* n_layer 0: none */
    const char *keep, *plot, *energy_folder;
    bool json, csv, quiet;
    size_t length; /* of the long run; 0: none */
    bool train;    /* and the tasks say no more than how many sequences there are */
    struct {
        size_t context;
        int precision;
        bool has_context, has_precision, checkpoint;
        uint64_t bytes_before; /* resident before the first model */
    } training;
    struct rw_bench_task tasks[RW_BENCH_ROWS];
    size_t n_tasks;
    bool has_tasks[RW_BENCH_WORKS]; /* named on the command line */
    char **paths;                   /* of models; none: the one made, or the built-in one */
    size_t n_paths;
    struct {
        rwkv_dtype types[RW_BENCH_CHOICES];
        int threads[RW_BENCH_CHOICES];
        const char *cpus[RW_BENCH_CHOICES];
        size_t n_types, n_threads, n_cpus;
    } sweep;
    struct rw_energy energy;
};

/* --- what is found ---------------------------------------------------------------------------- */

struct rw_bench_row {
    struct rw_bench_task task;
    size_t passes;
    double rate;   /* tokens of all sessions a second, the median */
    double mean;   /* the same of all passes together, with those that something disturbed */
    double spread; /* half of what lies between the slowest and the fastest, over the median */
    double bytes;  /* that have to be read for one token */
    double ops;    /* for one token */
    double share[RWKV_LIMIT_COUNT]; /* of the limits, 0 … 1; 0: there is no such limit */
    double joules;                  /* for one token, or NaN */
};

/* Steps of training. */
struct rw_bench_train {
    size_t batch; /* sequences */
    rwkv_precision precision;
    bool checkpoint;
    size_t passes;
    double rate, spread;           /* as above */
    double f32_share, bf16_share;  /* of the limits; 0: there is no such limit */
    double f32_limit, bf16_limit;  /* operations a second */
    double work[RWKV_TRAIN_WORKS]; /* shares of the time */
    rwkv_train_meter_plan plan;
    uint64_t used_bytes; /* by which the process grew */
};

/* Speed after so many tokens. */
struct rw_bench_point {
    size_t position;
    double prefill, decode; /* tokens a second */
};

/* One model with one choice of threads and instructions. */
struct rw_bench_run {
    const char *path; /* NULL: the built-in model */
    char label[64];   /* what sets it apart from the other runs; "" when alone */
    rwkv_model_info info;
    double load_seconds;  /* opening, with the file in memory already */
    double first_seconds; /* opening and a short prompt */
    uint64_t peak_bytes;
    rwkv_model_packing packing;
    rwkv_model_zeros zeros;
    double limits[RWKV_LIMIT_COUNT]; /* a second; 0: there is none */
    struct rw_bench_row rows[RW_BENCH_ROWS];
    size_t n_rows;
    struct rw_bench_point points[RW_BENCH_POINTS];
    size_t n_points;
    struct rw_bench_train trains[RW_BENCH_TRAINS];
    size_t n_trains;
};

/* --- bench_run.c, bench_row.c ----------------------------------------------------------------- */

/* Measure the model that args names. */
rwkv_status rw_bench_do(struct rw_bench *b, const struct rw_model_args *args,
                        struct rw_bench_run *run, rwkv_error *err);

/* An opened model and what is measured with. */
struct rw_bench_bed {
    rwkv_model *model;
    rwkv_session *sessions[RW_BENCH_BATCH_MAX];
    int32_t *tokens; /* random ones */
    size_t n_tokens;
    rwkv_meter *meter;
    struct rw_energy *energy;
    double *samples[RWKV_LIMIT_COUNT]; /* every limit measured */
    size_t n_samples;
};

/* Do a task once. */
rwkv_status rw_bench_pass(struct rw_bench_bed *bed, const struct rw_bench_task *task,
                          double *seconds, rwkv_error *err);
/* Do row->task several times, between limits. row->rate: what is to be expected, roughly. */
rwkv_status rw_bench_row(struct rw_bench_bed *bed, const rwkv_model_info *info,
                         struct rw_bench_row *row, rwkv_error *err);
/* Whether so many passes, which took so long together, are enough for a row. */
bool rw_bench_enough(size_t passes, double seconds);
#define RW_BENCH_SAMPLES (RW_BENCH_ROWS * (RW_BENCH_PASSES + 1))

double rw_bench_median(double *values, size_t n); /* sorts them */
rwkv_status rw_bench_interrupted(rwkv_error *err);

/* --- bench_train.c ---------------------------------------------------------------------------- */

/* Measure training of the model that args names. */
rwkv_status rw_bench_train(struct rw_bench *b, const struct rw_model_args *args,
                           struct rw_bench_run *run, rwkv_error *err);
/* "f32, batch 4, checkpoints" */
void rw_bench_train_name(const struct rw_bench_train *row, char *to, size_t size);
void rw_bench_print_train(const struct rw_bench *b, const struct rw_bench_run *run);
void rw_bench_json_train(struct rw_json *j, const struct rw_bench *b,
                         const struct rw_bench_run *run);

/* --- showing ---------------------------------------------------------------------------------- */

const char *rw_bench_work_name(enum rw_bench_work work); /* "prefill" */
size_t rw_bench_size(const struct rw_bench_task *task);  /* the number that goes with it */
const char *rw_bench_limit_name(rwkv_limit limit);       /* "read", "int8" */

/* The peak that prompts of this type of weights are compared with, and the limit that a row is up
 * against. */
rwkv_limit rw_bench_peak(const struct rw_bench_run *run);
rwkv_limit rw_bench_limit(const struct rw_bench_run *run, const struct rw_bench_row *row);

void rw_bench_print(const struct rw_bench *b, const struct rw_bench_run *run);
void rw_bench_print_summary(const struct rw_bench_run *runs, size_t n);
void rw_bench_print_csv(const struct rw_bench_run *runs, size_t n);
rwkv_status rw_bench_print_json(const struct rw_bench *b, const struct rw_bench_run *runs, size_t n,
                                rwkv_error *err);
rwkv_status rw_bench_plot(const char *path, const struct rw_bench_run *runs, size_t n,
                          rwkv_error *err);

#endif
