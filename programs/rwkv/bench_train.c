/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rwkv bench --train`: whole steps of training, timed next to the machine's arithmetic as the
 * other rows are, one row for each precision and number of sequences, with and without checkpoints.
 * The memory used is by how much the process has grown at the end of a step.
 */
#include <math.h>
#include <stdio.h>

#include "base/env.h"
#include "base/status.h"
#include "bench.h"
#include "say.h"

#define MEASURES 7 /* of a limit between two steps */

/* --- one row ---------------------------------------------------------------------------------- */

struct bed {
    rwkv_train_meter *meter;
    double f32[RW_BENCH_PASSES + 1], bf16[RW_BENCH_PASSES + 1]; /* limits around the passes */
};

/* A copy of the model's weights to train; the model is closed again. */
static rwkv_status open_meter(const struct rw_bench *b, const struct rw_model_args *args,
                              struct rw_bench_run *run, const struct rw_bench_train *row,
                              rwkv_train_meter **meter, rwkv_error *err)
{
    const rwkv_train_meter_options options = {.context = b->training.context,
                                              .batch = row->batch,
                                              .checkpoint = row->checkpoint,
                                              .precision = row->precision,
                                              .memory_limit = args->options.memory_limit};
    struct rw_model_args plain = *args;
    rwkv_model *model;
    plain.options.chunk = 1; /* nothing is read with it */
    plain.options.zeros = RWKV_ZEROS_OFF;
    plain.options.packing = RWKV_PACKING_OFF;
    RW_TRY(rw_open_model(&plain, false, NULL, &model, err));
    rwkv_model_get_info(model, &run->info);
    rwkv_status status = rwkv_train_meter_new(model, &options, meter, err);
    rwkv_model_close(model);
    return status;
}

/* Steps are long: what counts is the median of several, some milliseconds each. */
static double measure_limit(struct bed *bed, rwkv_limit limit)
{
    double rates[MEASURES];
    for (size_t i = 0; i < MEASURES; i++)
        rates[i] = rwkv_train_meter_measure(bed->meter, limit);
    return rw_bench_median(rates, MEASURES);
}

static void measure_limits(struct bed *bed, size_t at)
{
    bed->f32[at] = measure_limit(bed, RWKV_LIMIT_F32);
    bed->bf16[at] = measure_limit(bed, RWKV_LIMIT_BF16);
}

static double share(double ops, const double *limits, size_t pass)
{
    double limit = (limits[pass] + limits[pass + 1]) / 2;
    return limit > 0 ? ops / limit : 0;
}

static rwkv_status measure_steps(struct bed *bed, struct rw_bench_train *row, size_t tokens,
                                 rwkv_error *err)
{
    double rates[RW_BENCH_PASSES], f32[RW_BENCH_PASSES], bf16[RW_BENCH_PASSES], sum = 0;
    size_t n = 0;
    measure_limits(bed, 0);
    for (; !rw_bench_enough(n, sum); n++) {
        rwkv_train_times times;
        RW_TRY(rwkv_train_meter_step(bed->meter, &times, err));
        measure_limits(bed, n + 1);
        rates[n] = (double)tokens / times.seconds;
        f32[n] = share(rates[n] * row->plan.ops_per_token, bed->f32, n);
        bf16[n] = share(rates[n] * row->plan.ops_per_token, bed->bf16, n);
        sum += times.seconds;
        for (rwkv_train_work w = 0; w < RWKV_TRAIN_WORKS; w++)
            row->work[w] += times.work[w];
        RW_TRY(rw_bench_interrupted(err));
    }
    for (rwkv_train_work w = 0; w < RWKV_TRAIN_WORKS; w++)
        row->work[w] /= sum;
    row->passes = n;
    row->rate = rw_bench_median(rates, n); /* and now they are sorted */
    row->spread = (rates[n - 1] - rates[0]) / 2 / row->rate;
    row->f32_share = rw_bench_median(f32, n);
    row->bf16_share = rw_bench_median(bf16, n);
    row->f32_limit = rw_bench_median(bed->f32, n + 1);
    row->bf16_limit = rw_bench_median(bed->bf16, n + 1);
    return RWKV_OK;
}

/* The first step is not timed. */
static rwkv_status measure_row(const struct rw_bench *b, const struct rw_model_args *args,
                               struct rw_bench_run *run, struct rw_bench_train *row,
                               rwkv_error *err)
{
    struct bed bed = {0};
    rwkv_train_times times;
    RW_TRY(open_meter(b, args, run, row, &bed.meter, err));
    rwkv_train_meter_get_plan(bed.meter, &row->plan);
    rw_env_memory_peak_reset();
    rwkv_status status = rwkv_train_meter_step(bed.meter, &times, err);
    row->used_bytes = rw_env_memory_peak() - b->training.bytes_before;
    if (status == RWKV_OK)
        status = measure_steps(&bed, row, b->training.context * row->batch, err);
    rwkv_train_meter_free(bed.meter);
    return status;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* With --precision one of them, with --grad-checkpoint each without and with checkpoints. */
static void list_rows(const struct rw_bench *b, struct rw_bench_run *run)
{
    for (size_t i = 0; i < b->n_tasks; i++)
        for (rwkv_precision p = RWKV_PRECISION_F32; p <= RWKV_PRECISION_BF16; p++)
            for (int checkpoint = 0; checkpoint <= b->training.checkpoint; checkpoint++)
                if (!b->training.has_precision || b->training.precision == (int)p)
                    run->trains[run->n_trains++] = (struct rw_bench_train){
                        .batch = b->tasks[i].batch, .precision = p, .checkpoint = checkpoint};
}

rwkv_status rw_bench_train(struct rw_bench *b, const struct rw_model_args *args,
                           struct rw_bench_run *run, rwkv_error *err)
{
    if (!b->training.bytes_before) {
        rw_env_memory_peak_reset();
        b->training.bytes_before = rw_env_memory_peak();
    }
    list_rows(b, run);
    for (size_t i = 0; i < run->n_trains; i++) {
        char name[64], what[96];
        rw_bench_train_name(&run->trains[i], name, sizeof name);
        snprintf(what, sizeof what, "measuring training, %s ...", name);
        if (!b->quiet)
            rw_show_status(what);
        rwkv_status status = measure_row(b, args, run, &run->trains[i], err);
        if (!b->quiet)
            rw_show_status("");
        RW_TRY(status);
    }
    return RWKV_OK;
}

/* --- showing ---------------------------------------------------------------------------------- */

static const char *const work_names[RWKV_TRAIN_WORKS] = {
    "products, forward",   "products by inputs", "products by weights",
    "recurrence, forward", "recurrence, back",   "norms and shifts",
    "cross entropy",       "optimizer",          "copies and sums"};
static const char *const work_keys[RWKV_TRAIN_WORKS] = {
    "products", "products_dx", "products_dw", "recurrence", "recurrence_back",
    "norms",    "loss",        "optimizer",   "elements"};

void rw_bench_train_name(const struct rw_bench_train *row, char *to, size_t size)
{
    snprintf(to, size, "%s, batch %zu%s", row->precision == RWKV_PRECISION_F32 ? "f32" : "bf16",
             row->batch, row->checkpoint ? ", checkpoints" : "");
}

static double products_of(const struct rw_bench_train *row)
{
    return row->work[RWKV_TRAIN_PRODUCTS] + row->work[RWKV_TRAIN_PRODUCTS_DX] +
           row->work[RWKV_TRAIN_PRODUCTS_DW];
}

static double recurrence_of(const struct rw_bench_train *row)
{
    return row->work[RWKV_TRAIN_RECURRENCE] + row->work[RWKV_TRAIN_RECURRENCE_BACK];
}

static void print_row(const struct rw_bench_train *row)
{
    char name[64], bf16[16] = "-";
    rw_bench_train_name(row, name, sizeof name);
    if (row->bf16_share > 0)
        snprintf(bf16, sizeof bf16, "%.1f %%", 100 * row->bf16_share);
    rw_outf("%-26s %9s %5.1f %% %9s %7.1f %% %9s %8.1f %% %8.1f %% %8.1f %%\n", name,
            rw_show_rate(row->rate, 1).text, 100 * row->spread,
            rw_show_count(row->plan.ops_per_token).text, 100 * row->f32_share, bf16,
            100 * products_of(row), 100 * recurrence_of(row),
            100 * (1 - products_of(row) - recurrence_of(row)));
}

static void print_times(const struct rw_bench_run *run)
{
    rw_outf("%-26s", "share of the time");
    for (size_t i = 0; i < run->n_trains; i++)
        rw_outf("  row %zu", i + 1);
    rw_outs("\n");
    for (rwkv_train_work w = 0; w < RWKV_TRAIN_WORKS; w++) {
        rw_outf("  %-24s", work_names[w]);
        for (size_t i = 0; i < run->n_trains; i++)
            rw_outf(" %4.1f %%", 100 * run->trains[i].work[w]);
        rw_outs("\n");
    }
}

void rw_bench_print_train(const struct rw_bench *b, const struct rw_bench_run *run)
{
    const rwkv_model_info *m = &run->info;
    char name[160];
    rw_describe_model(m, name, sizeof name);
    rw_outf("%s: %s\n", rw_model_name(run->path), name);
    rw_outf("%d thread%s, %s, training on sequences of %zu tokens\n\n", m->threads,
            m->threads == 1 ? "" : "s", m->cpu, b->training.context);
    rw_outf("%-26s %9s %7s %9s %9s %9s %10s %10s %10s\n", "training", "tokens/s", "+-", "ops/token",
            "of f32", "of bf16", "products", "recurr.", "rest");
    for (size_t i = 0; i < run->n_trains; i++)
        print_row(&run->trains[i]);
    rw_outs("\n");
    print_times(run);
    rw_outs("\n");
    for (size_t i = 0; i < run->n_trains; i++) {
        const struct rw_bench_train *row = &run->trains[i];
        rw_outf("row %zu         limits f32 %.1f", i + 1, row->f32_limit * 1e-9);
        if (row->bf16_limit > 0)
            rw_outf(", bf16 %.1f", row->bf16_limit * 1e-9);
        rw_outf(" GOP/s; memory planned %s, used %s\n", rw_show_bytes(row->plan.memory).text,
                rw_show_bytes(row->used_bytes).text);
    }
}

/* What is not there is null. */
static double or_null(double value)
{
    return value > 0 ? value : (double)NAN;
}

static void json_row(struct rw_json *j, const struct rw_bench *b, const struct rw_bench_train *row)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(j, "precision", row->precision == RWKV_PRECISION_F32 ? "f32" : "bf16");
    rw_json_bool(j, "checkpoint", row->checkpoint);
    rw_json_u64(j, "context", b->training.context);
    rw_json_u64(j, "batch", row->batch);
    rw_json_u64(j, "passes", row->passes);
    rw_json_real(j, "tokens_per_second", row->rate);
    rw_json_real(j, "spread", row->spread);
    rw_json_real(j, "ops_per_token", row->plan.ops_per_token);
    rw_json_real(j, "f32_ops_per_second", row->f32_limit);
    rw_json_real(j, "bf16_ops_per_second", or_null(row->bf16_limit));
    rw_json_real(j, "f32_share", row->f32_share);
    rw_json_real(j, "bf16_share", or_null(row->bf16_share));
    rw_json_open(j, "time_shares", RW_JSON_OBJECT, RW_JSON_INLINE);
    for (rwkv_train_work w = 0; w < RWKV_TRAIN_WORKS; w++)
        rw_json_real(j, work_keys[w], row->work[w]);
    rw_json_close(j);
    rw_json_u64(j, "planned_bytes", row->plan.memory);
    rw_json_u64(j, "used_bytes", row->used_bytes);
    rw_json_close(j);
}

void rw_bench_json_train(struct rw_json *j, const struct rw_bench *b,
                         const struct rw_bench_run *run)
{
    rw_json_open(j, "training", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < run->n_trains; i++)
        json_row(j, b, &run->trains[i]);
    rw_json_close(j);
}
