/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of `rwkv bench`: open the model, again and again (timed), do everything once untimed,
 * read the peak memory, and only then take the memory that the limits are measured with and time
 * the rows; at last the long run. Training is bench_train.c.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/rng.h"
#include "base/status.h"
#include "bench.h"
#include "progress.h"
#include "say.h"

#define SETTLE_STEPS 40  /* by which copies of weights have begun, if they are made at all */
#define SETTLE_QUIET 4   /* steps without one: they are made */
#define SETTLE_SECONDS 8 /* at most */
#define OPENS 5          /* timed openings, at most … */
#define OPEN_SECONDS 1.0 /* … until they took so long */
#define WARM_STEPS 4     /* of decoding, untimed */
#define POINT_STEPS 8    /* of decoding, timed one by one, at each point of the long run */
#define POINT_PIECES 16  /* of the prompt before it, timed one by one */
#define POINT_TOKENS 64  /* between two points, at least */

static void say(const struct rw_bench *b, const char *what)
{
    if (!b->quiet)
        rw_show_status(what);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void close_model(struct rw_bench_bed *bed)
{
    for (size_t i = 0; i < RW_BENCH_BATCH_MAX; i++) {
        rwkv_session_free(bed->sessions[i]);
        bed->sessions[i] = NULL;
    }
    rwkv_model_close(bed->model);
    bed->model = NULL;
}

static rwkv_status open_model(struct rw_bench_bed *bed, const struct rw_model_args *args,
                              double *load, rwkv_error *err)
{
    close_model(bed);
    RW_TRY(rw_open_model(args, false, load, &bed->model, err));
    return rwkv_session_new(bed->model, &bed->sessions[0], err);
}

static size_t count_points(const struct rw_bench *b)
{
    return RW_MIN(b->length / POINT_TOKENS, (size_t)RW_BENCH_POINTS);
}

/* Whole chunks, and so many tokens that POINT_PIECES of them lead to the next point. */
static size_t piece_tokens(const struct rw_bench *b, size_t chunk)
{
    size_t n = b->length ? b->length / count_points(b) / POINT_PIECES : 0;
    return (n + chunk) / chunk * chunk;
}

static rwkv_status draw_tokens(const struct rw_bench *b, struct rw_bench_bed *bed,
                               const rwkv_model_info *info, rwkv_error *err)
{
    struct rw_rng rng;
    bed->n_tokens = RW_MAX((size_t)RW_BENCH_FIRST_PROMPT, piece_tokens(b, info->chunk));
    for (size_t i = 0; i < b->n_tasks; i++)
        bed->n_tokens = RW_MAX(bed->n_tokens, b->tasks[i].n);
    bed->tokens = rw_alloc(bed->n_tokens, sizeof *bed->tokens);
    if (!bed->tokens)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tokens", bed->n_tokens);
    rw_rng_init(&rng, 1);
    for (size_t i = 0; i < bed->n_tokens; i++)
        bed->tokens[i] = (int32_t)rw_rng_below(&rng, info->n_vocab);
    return RWKV_OK;
}

/* The first opening reads the file into memory and is not timed. */
static rwkv_status time_opening(const struct rw_bench *b, struct rw_bench_bed *bed,
                                const struct rw_model_args *args, struct rw_bench_run *run,
                                rwkv_error *err)
{
    double loads[OPENS], firsts[OPENS], spent = 0;
    size_t n = 0;
    RW_TRY(open_model(bed, args, NULL, err));
    rwkv_model_get_info(bed->model, &run->info);
    RW_TRY(draw_tokens(b, bed, &run->info, err));
    RW_TRY(rwkv_session_eval(bed->sessions[0], bed->tokens, RW_BENCH_FIRST_PROMPT, err));
    for (; n == 0 || (n < OPENS && spent < OPEN_SECONDS); n++) {
        close_model(bed);
        double start = rw_env_seconds();
        RW_TRY(open_model(bed, args, &loads[n], err));
        RW_TRY(rwkv_session_eval(bed->sessions[0], bed->tokens, RW_BENCH_FIRST_PROMPT, err));
        firsts[n] = rw_env_seconds() - start;
        spent += firsts[n];
        RW_TRY(rw_bench_interrupted(err));
    }
    run->load_seconds = rw_bench_median(loads, n);
    run->first_seconds = rw_bench_median(firsts, n);
    return RWKV_OK;
}

static rwkv_status open_sessions(const struct rw_bench *b, struct rw_bench_bed *bed,
                                 rwkv_error *err)
{
    for (size_t i = 0; i < b->n_tasks; i++)
        for (size_t s = 1; s < b->tasks[i].batch; s++)
            if (!bed->sessions[s])
                RW_TRY(rwkv_session_new(bed->model, &bed->sessions[s], err));
    return RWKV_OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

static uint64_t copied(const rwkv_model *model)
{
    rwkv_model_packing packing;
    rwkv_model_zeros zeros;
    rwkv_model_get_packing(model, &packing);
    rwkv_model_get_zeros(model, &zeros);
    return packing.bytes + zeros.bytes;
}

/* Decode until no more weights are copied: what is measured is how it goes on, not how it begins.
 */
static rwkv_status settle(struct rw_bench_bed *bed, const rwkv_model_info *info, rwkv_error *err)
{
    const double start = rw_env_seconds();
    uint64_t before = 0;
    size_t quiet = 0;
    if (info->packed_bytes == 0 && info->zeros_bytes == 0)
        return RWKV_OK;
    for (size_t n = 0; n < SETTLE_STEPS || quiet < SETTLE_QUIET; n++) {
        if (rw_env_seconds() - start > SETTLE_SECONDS)
            break;
        RW_TRY(rwkv_session_eval(bed->sessions[0], bed->tokens, 1, err));
        quiet = copied(bed->model) == before ? quiet + 1 : 0;
        before = copied(bed->model);
        RW_TRY(rw_bench_interrupted(err));
    }
    return RWKV_OK;
}

static rwkv_status warm_up(const struct rw_bench *b, struct rw_bench_bed *bed,
                           struct rw_bench_run *run, rwkv_error *err)
{
    bool decodes = false;
    for (size_t i = 0; i < b->n_tasks; i++)
        decodes = decodes || b->tasks[i].work != RW_BENCH_PREFILL;
    if (decodes)
        RW_TRY(settle(bed, &run->info, err));
    for (size_t i = 0; i < b->n_tasks; i++) {
        struct rw_bench_task task = b->tasks[i];
        double seconds;
        if (task.work != RW_BENCH_PREFILL)
            task.n = RW_MIN(task.n, (size_t)WARM_STEPS);
        RW_TRY(rw_bench_pass(bed, &task, &seconds, err));
        run->rows[i].task = b->tasks[i];
        run->rows[i].rate = (double)(task.n * task.batch) / seconds;
    }
    run->n_rows = b->n_tasks;
    return RWKV_OK;
}

static rwkv_status measure_rows(const struct rw_bench *b, struct rw_bench_bed *bed,
                                struct rw_bench_run *run, rwkv_error *err)
{
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++) {
        bed->samples[l] = rw_alloc(RW_BENCH_SAMPLES, sizeof **bed->samples);
        if (!bed->samples[l])
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for measurements");
    }
    RW_TRY(rwkv_meter_new(bed->model, &bed->meter, err));
    for (size_t i = 0; i < b->n_tasks; i++) {
        char what[64];
        snprintf(what, sizeof what, "measuring %s %zu ...", rw_bench_work_name(b->tasks[i].work),
                 rw_bench_size(&b->tasks[i]));
        say(b, what);
        RW_TRY(rw_bench_row(bed, &run->info, &run->rows[i], err));
    }
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        run->limits[l] = rw_bench_median(bed->samples[l], bed->n_samples);
    return RWKV_OK;
}

/* --- the long run ----------------------------------------------------------------------------- */

/* Read `n` tokens in pieces; the rate is the median of theirs. */
static rwkv_status read_on(struct rw_bench_bed *bed, size_t n, size_t piece, double *rate,
                           rwkv_error *err)
{
    double rates[POINT_PIECES];
    size_t pieces = 0;
    for (size_t done = 0, now; done < n; done += now) {
        now = RW_MIN(n - done, piece);
        double start = rw_env_seconds();
        RW_TRY(rwkv_session_eval(bed->sessions[0], bed->tokens, now, err));
        if (done == 0 || now == piece) /* a shorter last one may be slower a token */
            rates[pieces++] = (double)now / (rw_env_seconds() - start);
        RW_TRY(rw_bench_interrupted(err));
    }
    *rate = rw_bench_median(rates, pieces);
    return RWKV_OK;
}

static rwkv_status decode_on(struct rw_bench_bed *bed, size_t steps, double *rate, rwkv_error *err)
{
    double rates[POINT_STEPS];
    for (size_t i = 0; i < steps; i++) {
        double start = rw_env_seconds();
        RW_TRY(rwkv_session_eval(bed->sessions[0], bed->tokens + i, 1, err));
        rates[i] = 1 / (rw_env_seconds() - start);
    }
    *rate = rw_bench_median(rates, steps);
    return RWKV_OK;
}

static rwkv_status long_run(const struct rw_bench *b, struct rw_bench_bed *bed,
                            struct rw_bench_run *run, rwkv_error *err)
{
    struct rw_progress progress;
    size_t n_points = count_points(b), piece = piece_tokens(b, run->info.chunk);
    rwkv_status status = RWKV_OK;
    rwkv_session_reset(bed->sessions[0]);
    rw_progress_begin(&progress, "a long text", RW_PROGRESS_TOKENS, b->quiet);
    for (size_t i = 0; i < n_points && status == RWKV_OK; i++) {
        struct rw_bench_point *p = &run->points[i];
        size_t at = rwkv_session_position(bed->sessions[0]);
        size_t n = b->length * (i + 1) / n_points - at - POINT_STEPS;
        status = read_on(bed, n, piece, &p->prefill, err);
        if (status == RWKV_OK)
            status = decode_on(bed, POINT_STEPS, &p->decode, err);
        p->position = rwkv_session_position(bed->sessions[0]);
        rw_progress_step(&progress, p->position, b->length);
    }
    rw_progress_end(&progress);
    if (status == RWKV_OK)
        run->n_points = n_points;
    return status;
}

/* --- all of it -------------------------------------------------------------------------------- */

static rwkv_status do_all(struct rw_bench *b, struct rw_bench_bed *bed,
                          const struct rw_model_args *args, struct rw_bench_run *run,
                          rwkv_error *err)
{
    rw_env_memory_peak_reset();
    say(b, "opening ...");
    RW_TRY(time_opening(b, bed, args, run, err));
    RW_TRY(open_sessions(b, bed, err));
    say(b, "warming up ...");
    RW_TRY(warm_up(b, bed, run, err));
    run->peak_bytes = rw_env_memory_peak();
    if (b->n_tasks)
        RW_TRY(measure_rows(b, bed, run, err));
    say(b, "");
    return b->length ? long_run(b, bed, run, err) : RWKV_OK;
}

rwkv_status rw_bench_do(struct rw_bench *b, const struct rw_model_args *args,
                        struct rw_bench_run *run, rwkv_error *err)
{
    struct rw_bench_bed bed = {.energy = &b->energy};
    if (b->train)
        return rw_bench_train(b, args, run, err);
    rwkv_status status = do_all(b, &bed, args, run, err);
    if (bed.model) {
        rwkv_model_get_packing(bed.model, &run->packing);
        rwkv_model_get_zeros(bed.model, &run->zeros);
    }
    say(b, "");
    rwkv_meter_free(bed.meter);
    close_model(&bed);
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        rw_free(bed.samples[l]);
    rw_free(bed.tokens);
    return status;
}
