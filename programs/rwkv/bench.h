/* SPDX-License-Identifier: Apache-2.0 */
/* Inside `rwkv bench`: what is measured (cmd_bench.c) and how it is printed (bench_print.c). */
#ifndef RW_PROGRAM_BENCH_H
#define RW_PROGRAM_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "open_model.h"
#include "rwkv.h"
#include "rwkv_bench.h"

#define RW_BENCH_ROWS 32
#define RW_BENCH_BATCH_MAX 64

enum rw_bench_work { RW_BENCH_PREFILL, RW_BENCH_DECODE, RW_BENCH_BATCH, RW_BENCH_WORKS };

struct rw_bench_row {
    enum rw_bench_work work;
    size_t n;                       /* tokens of the prompt, or steps of decoding */
    size_t batch;                   /* sessions decoded together */
    double seconds;                 /* median of the passes */
    double rate;                    /* tokens of all sessions a second */
    double bytes;                   /* weight bytes read for one token */
    double flops;                   /* operations for one token */
    double read_share, flops_share; /* of the measured limits, 0 … 1 */
};

struct rw_bench {
    struct rw_model_args model_args;
    rwkv_random_model make; /* n_layer 0: none */
    const char *keep;
    bool json, csv, quiet;
    bool has_rows[RW_BENCH_WORKS];
    struct rw_bench_row rows[RW_BENCH_ROWS];
    size_t n_rows;

    rwkv_model *model;
    rwkv_model_info info;
    rwkv_session *sessions[RW_BENCH_BATCH_MAX];
    int32_t *tokens;
    size_t n_tokens;
    double load_seconds;  /* opening the model */
    double first_seconds; /* opening and a short prompt */
    uint64_t peak_bytes;
    struct {
        double read_bytes_per_s, f32_flops_per_s;
    } limits;
};

void rw_bench_print(const struct rw_bench *b);
void rw_bench_print_csv(const struct rw_bench *b);
rwkv_status rw_bench_print_json(const struct rw_bench *b, rwkv_error *err);

#endif
