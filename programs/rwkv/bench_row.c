/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of `rwkv bench`: a task done several times, the machine's limits measured before, between
 * and after. Each pass is compared with the mean of the limits right before and right after it, and
 * the median of these shares counts: on a machine shared with others neither the work's speed nor
 * the limits mean much alone.
 */
#include <math.h>
#include <stdlib.h>

#include "base/env.h"
#include "base/status.h"
#include "bench.h"
#include "interrupt.h"

#define PIECE ((size_t)4096) /* tokens of a prompt between two looks at Ctrl-C */
#define BRIEF 0.02           /* a pass repeats its task until it took so many seconds */
#define SHORT 1.0            /* a row is repeated until it took so many seconds … */
#define LEAST_PASSES 3       /* … but so often at least, unless … */
#define LONG 15.0            /* … it took so many seconds already */

rwkv_status rw_bench_interrupted(rwkv_error *err)
{
    return rw_interrupted ? rw_fail(err, RWKV_ERROR_CANCELLED, "interrupted") : RWKV_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double rw_bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : n ? (values[n / 2 - 1] + values[n / 2]) / 2 : 0;
}

static rwkv_status prefill(struct rw_bench_bed *bed, size_t n, rwkv_error *err)
{
    for (size_t i = 0; i < n; i += PIECE) {
        RW_TRY(rwkv_session_eval(bed->sessions[0], bed->tokens + i, RW_MIN(n - i, PIECE), err));
        RW_TRY(rw_bench_interrupted(err));
    }
    return RWKV_OK;
}

static rwkv_status decode(struct rw_bench_bed *bed, const struct rw_bench_task *task,
                          rwkv_error *err)
{
    rwkv_segment segments[RW_BENCH_BATCH_MAX];
    for (size_t i = 0; i < task->n; i++) {
        for (size_t s = 0; s < task->batch; s++)
            segments[s] = (rwkv_segment){.session = bed->sessions[s],
                                         .tokens = bed->tokens + (i + s) % bed->n_tokens,
                                         .n_tokens = 1};
        RW_TRY(rwkv_segments_eval(segments, task->batch, err));
        RW_TRY(rw_bench_interrupted(err));
    }
    return RWKV_OK;
}

rwkv_status rw_bench_pass(struct rw_bench_bed *bed, const struct rw_bench_task *task,
                          double *seconds, rwkv_error *err)
{
    for (size_t s = 0; s < task->batch; s++)
        rwkv_session_reset(bed->sessions[s]);
    double start = rw_env_seconds();
    if (task->work == RW_BENCH_PREFILL)
        RW_TRY(prefill(bed, task->n, err));
    else
        RW_TRY(decode(bed, task, err));
    *seconds = rw_env_seconds() - start;
    return RWKV_OK;
}

/* So many times what one pass does. */
static rwkv_status repeat(struct rw_bench_bed *bed, const struct rw_bench_task *task, size_t rounds,
                          double *seconds, rwkv_error *err)
{
    *seconds = 0;
    for (size_t i = 0; i < rounds; i++) {
        double once;
        RW_TRY(rw_bench_pass(bed, task, &once, err));
        *seconds += once;
    }
    return RWKV_OK;
}

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Bytes and operations of a token of a task. Everything but the head is read once for each chunk,
 * or step, and all its sessions; the head for each call that gives logits, those of its last token;
 * the state is read and written for each session. */
static void count_work(const rwkv_model_info *m, const struct rw_bench_task *task, double *bytes,
                       double *ops)
{
    double head_ops = 2.0 * (double)m->n_vocab * (double)m->n_embd, tokens = (double)task->n;
    double state = 8.0 * (double)m->n_layer * (double)m->n_embd * (double)m->head_size;
    if (task->work == RW_BENCH_PREFILL) {
        size_t calls = divide_up(task->n, PIECE);
        size_t chunks =
            task->n / PIECE * divide_up(PIECE, m->chunk) + divide_up(task->n % PIECE, m->chunk);
        *bytes = ((double)(m->token_bytes - m->head_bytes) * (double)chunks +
                  (double)m->head_bytes * (double)calls) /
                 tokens;
        *ops = (double)m->token_flops - head_ops + head_ops * (double)calls / tokens;
    } else {
        double reads = (double)divide_up(task->batch, m->chunk);
        *bytes = ((double)m->token_bytes - state) * reads / (double)task->batch + state;
        *ops = (double)m->token_flops;
    }
}

static void measure_limits(struct rw_bench_bed *bed, double limits[RWKV_LIMIT_COUNT])
{
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++) {
        limits[l] = rwkv_meter_measure(bed->meter, l);
        bed->samples[l][bed->n_samples] = limits[l];
    }
    bed->n_samples++;
}

bool rw_bench_enough(size_t passes, double seconds)
{
    if (passes < LEAST_PASSES)
        return passes > 0 && seconds >= LONG;
    return passes == RW_BENCH_PASSES || seconds >= SHORT;
}

/* How often a pass does its task, whose speed is known roughly. */
static size_t count_rounds(const struct rw_bench_row *row)
{
    double seconds = (double)(row->task.n * row->task.batch) / row->rate;
    return seconds < BRIEF ? (size_t)(BRIEF / seconds) + 1 : 1;
}

rwkv_status rw_bench_row(struct rw_bench_bed *bed, const rwkv_model_info *info,
                         struct rw_bench_row *row, rwkv_error *err)
{
    double limits[2][RWKV_LIMIT_COUNT], shares[RWKV_LIMIT_COUNT][RW_BENCH_PASSES];
    double rates[RW_BENCH_PASSES], sum = 0, joules = 0;
    size_t n = 0, rounds = count_rounds(row);
    double tokens = (double)(row->task.n * row->task.batch * rounds);
    count_work(info, &row->task, &row->bytes, &row->ops);
    measure_limits(bed, limits[0]);
    for (; !rw_bench_enough(n, sum); n++) {
        double seconds, before = rw_energy_joules(bed->energy);
        RW_TRY(repeat(bed, &row->task, rounds, &seconds, err));
        joules += rw_energy_joules(bed->energy) - before;
        measure_limits(bed, limits[(n + 1) % 2]);
        sum += seconds;
        rates[n] = tokens / seconds;
        for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++) {
            double limit = (limits[0][l] + limits[1][l]) / 2;
            double amount = l == RWKV_LIMIT_READ ? row->bytes : row->ops;
            shares[l][n] = limit > 0 ? rates[n] * amount / limit : 0;
        }
    }
    row->passes = n;
    row->rate = rw_bench_median(rates, n); /* and now they are sorted */
    row->mean = tokens * (double)n / sum;
    row->spread = (rates[n - 1] - rates[0]) / 2 / row->rate;
    row->joules = joules / tokens / (double)n;
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        row->share[l] = rw_bench_median(shares[l], n);
    return RWKV_OK;
}
