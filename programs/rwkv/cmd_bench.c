/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rwkv bench`: how fast a model runs, as a share of what the machine could do in the same minute.
 *
 * Order of work: open (timed), first token (timed), one untimed pass over everything, peak memory,
 * limits, the timed rows, limits again. The limits are measured around the rows, because shared
 * machines drift; memory is read before them, because they take memory of their own.
 * docs/cli/bench.md says what the columns mean.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/rng.h"
#include "base/status.h"
#include "commands.h"
#include "interrupt.h"
#include "progress.h"
#include "say.h"

#define FIRST_TOKEN_PROMPT 16
#define ROW_SECONDS 1.0 /* a row is repeated until it took so long … */
#define ROW_REPEATS 5   /* … or so often; the median counts */

static rwkv_status fail_interrupted(rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_CANCELLED, "interrupted");
}

/* --- work ------------------------------------------------------------------------------------- */

/* One timed pass: n tokens at once, or one after the other, or n times one token of each session.
 */
static rwkv_status pass(struct rw_bench *b, const struct rw_bench_row *row, double *seconds,
                        rwkv_error *err)
{
    rwkv_segment segments[RW_BENCH_BATCH_MAX];
    double start;
    for (size_t s = 0; s < row->batch; s++) {
        rwkv_session_reset(b->sessions[s]);
        segments[s] = (rwkv_segment){.session = b->sessions[s], .n_tokens = 1};
    }
    start = rw_env_seconds();
    if (row->work == RW_BENCH_PREFILL)
        RW_TRY(rwkv_session_eval(b->sessions[0], b->tokens, row->n, err));
    for (size_t i = 0; row->work != RW_BENCH_PREFILL && i < row->n; i++) {
        for (size_t s = 0; s < row->batch; s++)
            segments[s].tokens = b->tokens + (i + s) % b->n_tokens;
        RW_TRY(rwkv_segments_eval(segments, row->batch, err));
        if (rw_interrupted)
            return fail_interrupted(err);
    }
    *seconds = rw_env_seconds() - start;
    return rw_interrupted ? fail_interrupted(err) : RWKV_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void say(const struct rw_bench *b, const char *what)
{
    if (!b->quiet)
        rw_show_status(what);
}

static rwkv_status measure_row(struct rw_bench *b, struct rw_bench_row *row, rwkv_error *err)
{
    double times[ROW_REPEATS], sum = 0;
    size_t n = 0;
    while (n == 0 || (n < ROW_REPEATS && sum < ROW_SECONDS)) {
        RW_TRY(pass(b, row, &times[n], err));
        sum += times[n++];
    }
    qsort(times, n, sizeof *times, compare_doubles);
    row->seconds = n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
    return RWKV_OK;
}

/* A pass reads the weights once for each chunk of a prompt and once for each step of decoding. */
static void derive(const struct rw_bench *b, struct rw_bench_row *row)
{
    const rwkv_model_info *m = &b->info;
    size_t tokens = row->n * row->batch;
    size_t reads = row->work == RW_BENCH_PREFILL ? (row->n + m->chunk - 1) / m->chunk : row->n;
    row->rate = (double)tokens / row->seconds;
    row->bytes = (double)m->token_bytes * (double)reads / (double)tokens;
    row->flops = (double)m->token_flops;
    row->read_share = row->rate * row->bytes / b->limits.read_bytes_per_s;
    row->flops_share = row->rate * row->flops / b->limits.f32_flops_per_s;
}

/* --- the model -------------------------------------------------------------------------------- */

static rwkv_status make_model(struct rw_bench *b, struct rw_str *path, rwkv_error *err)
{
    struct rw_progress progress;
    if (b->keep && access(b->keep, F_OK) == 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: exists already", b->keep);
    if (b->keep)
        rw_str_adds(path, b->keep);
    else
        rw_str_printf(path, "%s/rwkv-bench-%ld.gguf", rw_env_temp_dir(), (long)getpid());
    if (path->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    rw_progress_begin(&progress, "making a model", RW_PROGRESS_BYTES, b->quiet);
    b->make.progress = rw_progress_step;
    b->make.progress_user = &progress;
    rwkv_status status = rwkv_random_model_write(path->data, &b->make, err);
    rw_progress_end(&progress);
    return status;
}

static rwkv_status open_model(struct rw_bench *b, rwkv_error *err)
{
    struct rw_str made = {0};
    rwkv_status status = RWKV_OK;
    if (b->make.n_layer) {
        status = make_model(b, &made, err);
        b->model_args.path = made.data;
    }
    if (status == RWKV_OK)
        status = rw_open_model(&b->model_args, false, &b->load_seconds, &b->model, err);
    /* The mapping keeps a temporary model alive; its name can go at once. */
    if (made.data && !b->keep)
        unlink(made.data);
    if (b->make.n_layer)
        b->model_args.path = b->keep ? b->keep : "random weights";
    rw_str_fini(&made);
    return status;
}

static rwkv_status prepare(struct rw_bench *b, rwkv_error *err)
{
    struct rw_rng rng;
    size_t batch = 1;
    b->n_tokens = FIRST_TOKEN_PROMPT;
    for (size_t i = 0; i < b->n_rows; i++) {
        batch = RW_MAX(batch, b->rows[i].batch);
        b->n_tokens = RW_MAX(b->n_tokens, b->rows[i].n);
    }
    rwkv_model_get_info(b->model, &b->info);
    for (size_t i = 0; i < batch; i++)
        RW_TRY(rwkv_session_new(b->model, &b->sessions[i], err));
    b->tokens = rw_alloc(b->n_tokens, sizeof *b->tokens);
    if (!b->tokens)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tokens", b->n_tokens);
    rw_rng_init(&rng, 1);
    for (size_t i = 0; i < b->n_tokens; i++)
        b->tokens[i] = (int32_t)rw_rng_below(&rng, b->info.n_vocab);
    return RWKV_OK;
}

/* --- the run ---------------------------------------------------------------------------------- */

static rwkv_status first_token(struct rw_bench *b, rwkv_error *err)
{
    double start = rw_env_seconds();
    RW_TRY(rwkv_session_eval(b->sessions[0], b->tokens, FIRST_TOKEN_PROMPT, err));
    b->first_seconds = b->load_seconds + rw_env_seconds() - start;
    return RWKV_OK;
}

/* Touch everything once, with few steps of decoding. */
static rwkv_status warm_up(struct rw_bench *b, rwkv_error *err)
{
    for (size_t i = 0; i < b->n_rows; i++) {
        struct rw_bench_row row = b->rows[i];
        double seconds;
        if (row.work != RW_BENCH_PREFILL)
            row.n = RW_MIN(row.n, (size_t)4);
        RW_TRY(pass(b, &row, &seconds, err));
    }
    b->peak_bytes = rw_env_memory_peak();
    return RWKV_OK;
}

static rwkv_status measure(struct rw_bench *b, rwkv_error *err)
{
    rwkv_meter *meter;
    RW_TRY(rwkv_meter_new(b->model, &meter, err));
    b->limits.read_bytes_per_s = rwkv_meter_measure(meter, RWKV_LIMIT_READ);
    b->limits.f32_flops_per_s = rwkv_meter_measure(meter, RWKV_LIMIT_F32);
    rwkv_meter_free(meter);
    say(b, "measuring the model ...");
    for (size_t i = 0; i < b->n_rows; i++)
        RW_TRY(measure_row(b, &b->rows[i], err));
    for (size_t i = 0; i < b->n_rows; i++)
        derive(b, &b->rows[i]);
    return RWKV_OK;
}

static rwkv_status bench(struct rw_bench *b, rwkv_error *err)
{
    RW_TRY(open_model(b, err));
    if (b->n_rows == 0) /* only --make and --keep */
        return RWKV_OK;
    RW_TRY(prepare(b, err));
    RW_TRY(first_token(b, err));
    say(b, "warming up ...");
    rwkv_status status = warm_up(b, err);
    if (status == RWKV_OK)
        status = measure(b, err);
    say(b, "");
    RW_TRY(status);
    if (b->json)
        return rw_bench_print_json(b, err);
    if (b->csv)
        rw_bench_print_csv(b);
    else
        rw_bench_print(b);
    return RWKV_OK;
}

static void bench_fini(struct rw_bench *b)
{
    for (size_t i = 0; i < RW_BENCH_BATCH_MAX; i++)
        rwkv_session_free(b->sessions[i]);
    rwkv_model_close(b->model);
    rw_free(b->tokens);
}

/* --- command line ----------------------------------------------------------------------------- */

/* L,C[,V][,TYPE] */
static rwkv_status parse_make(void *to, const char *value, rwkv_error *err)
{
    rwkv_random_model *make = to;
    size_t *const sizes[] = {&make->n_layer, &make->n_embd, &make->n_vocab};
    char copy[64], *rest = copy;
    size_t n = 0;
    bool good = strlen(value) < sizeof copy, typed = false;
    *make = (rwkv_random_model){.dtype = RWKV_DTYPE_F16, .seed = 1};
    strncpy(copy, value, sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    for (char *part; good && (part = strsep(&rest, ",")) != NULL;) {
        uint64_t number;
        if (!typed && n < RW_COUNT(sizes) && rw_parse_u64(part, &number) && number > 0) {
            *sizes[n++] = (size_t)number;
        } else {
            make->dtype = rwkv_dtype_from_name(part);
            good = !typed && n >= 2 && make->dtype < RWKV_DTYPE_MODEL_COUNT;
            typed = true;
        }
    }
    if (!good || n < 2)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted LAYERS,CHANNELS[,VOCABULARY][,TYPE] such as 12,768,65536,q8_0, "
                       "found '%s'",
                       value);
    return RWKV_OK;
}

struct row_list {
    struct rw_bench *bench;
    enum rw_bench_work work;
};

static rwkv_status parse_rows(void *to, const char *value, rwkv_error *err)
{
    const struct row_list *list = to;
    struct rw_bench *b = list->bench;
    uint64_t limit = list->work == RW_BENCH_BATCH ? RW_BENCH_BATCH_MAX : 1000000, n;
    char copy[128], *rest = copy;
    snprintf(copy, sizeof copy, "%s", value);
    b->has_rows[list->work] = true;
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        if (strlen(value) >= sizeof copy || !rw_parse_u64(part, &n) || n > limit ||
            b->n_rows == RW_BENCH_ROWS)
            return rw_fail(err, RWKV_ERROR_ARGUMENT,
                           "wanted numbers up to %llu, separated by commas, found '%s'",
                           (unsigned long long)limit, value);
        if (n > 0)
            b->rows[b->n_rows++] =
                (struct rw_bench_row){.work = list->work, .n = (size_t)n, .batch = 1};
    }
    return RWKV_OK;
}

static void default_rows(struct rw_bench *b, enum rw_bench_work work, const char *value)
{
    struct row_list list = {b, work};
    if (!b->has_rows[work])
        parse_rows(&list, value, NULL);
}

static int compare_rows(const void *a, const void *b)
{
    const struct rw_bench_row *x = a, *y = b;
    if (x->work != y->work)
        return x->work < y->work ? -1 : 1;
    return (x->n > y->n) - (x->n < y->n);
}

/* Fill in the rows not asked for; the number of a batch row is its sessions, not its steps. */
static void settle_rows(struct rw_bench *b)
{
    default_rows(b, RW_BENCH_PREFILL, "128,512");
    default_rows(b, RW_BENCH_DECODE, "64");
    qsort(b->rows, b->n_rows, sizeof *b->rows, compare_rows);
    for (size_t i = 0; i < b->n_rows; i++) {
        if (b->rows[i].work != RW_BENCH_BATCH)
            continue;
        b->rows[i].batch = b->rows[i].n;
        b->rows[i].n = 16;
    }
}

int rw_cmd_bench(int argc, char **argv)
{
    struct rw_bench b = {0};
    struct row_list prompt = {&b, RW_BENCH_PREFILL}, decode = {&b, RW_BENCH_DECODE},
                    batch = {&b, RW_BENCH_BATCH};
    const struct rw_option options[] = {RW_PATH_OPTION(&b.model_args),
                                        RW_RUNNING_OPTIONS(&b.model_args),
                                        {"make", 0, RW_OPTION_CALL, &b.make, .parse = parse_make},
                                        {"keep", 0, RW_OPTION_TEXT, &b.keep},
                                        {"prompt", 0, RW_OPTION_CALL, &prompt, .parse = parse_rows},
                                        {"decode", 0, RW_OPTION_CALL, &decode, .parse = parse_rows},
                                        {"batch", 0, RW_OPTION_CALL, &batch, .parse = parse_rows},
                                        {"json", 0, RW_OPTION_FLAG, &b.json},
                                        {"csv", 0, RW_OPTION_FLAG, &b.csv},
                                        {"quiet", 'q', RW_OPTION_FLAG, &b.quiet},
                                        {0}};
    struct rw_operands operands = {.wanted = "one MODEL or --make", .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("bench", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (operands.count + (b.model_args.path != NULL) + (b.make.n_layer != 0) > 1) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted %s, found more", operands.wanted);
        return rw_complain_usage("bench", &err);
    }
    if (b.keep && !b.make.n_layer) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "--keep wants --make with it");
        return rw_complain_usage("bench", &err);
    }
    if (operands.count)
        b.model_args.path = operands.list[0];
    settle_rows(&b);
    if (b.n_rows == 0 && !b.keep) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted something to measure, found only zeros");
        return rw_complain_usage("bench", &err);
    }
    rw_interrupt_catch();
    status = bench(&b, &err) ? rw_complain(&err) : RW_EXIT_OK;
    bench_fini(&b);
    return status;
}
