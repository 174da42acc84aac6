/* SPDX-License-Identifier: Apache-2.0 */
/* The results of `rwkv bench` as text. */
#include <stdio.h>

#include "base/status.h"
#include "bench.h"
#include "say.h"

#define SUMMARY_WIDTH 13 /* of a column */

const char *rw_bench_work_name(enum rw_bench_work work)
{
    static const char *const names[RW_BENCH_WORKS] = {"prefill", "decode", "batch"};
    return names[work];
}

size_t rw_bench_size(const struct rw_bench_task *task)
{
    return task->work == RW_BENCH_BATCH ? task->batch : task->n;
}

const char *rw_bench_limit_name(rwkv_limit limit)
{
    static const char *const names[RWKV_LIMIT_COUNT] = {"read", "f32", "bf16", "int8"};
    return names[limit];
}

/* Block types are multiplied in integers where the machine can; 16-bit floats as whichever is
 * faster here. */
rwkv_limit rw_bench_peak(const struct rw_bench_run *run)
{
    rwkv_dtype type = run->info.dtype;
    const double *limits = run->limits;
    if (type == RWKV_DTYPE_F16 || type == RWKV_DTYPE_BF16)
        return limits[RWKV_LIMIT_BF16] > limits[RWKV_LIMIT_F32] ? RWKV_LIMIT_BF16 : RWKV_LIMIT_F32;
    return type != RWKV_DTYPE_F32 && limits[RWKV_LIMIT_INT8] > 0 ? RWKV_LIMIT_INT8 : RWKV_LIMIT_F32;
}

rwkv_limit rw_bench_limit(const struct rw_bench_run *run, const struct rw_bench_row *row)
{
    rwkv_limit peak = rw_bench_peak(run);
    if (row->task.work == RW_BENCH_PREFILL)
        return peak;
    if (row->task.work == RW_BENCH_DECODE)
        return RWKV_LIMIT_READ;
    return row->share[RWKV_LIMIT_READ] > row->share[peak] ? RWKV_LIMIT_READ : peak;
}

/* Whether a limit has a column: reading, f32, and the peak of the model's type. */
static bool is_shown(const struct rw_bench_run *run, rwkv_limit limit)
{
    return limit == RWKV_LIMIT_READ || limit == RWKV_LIMIT_F32 || limit == rw_bench_peak(run);
}

static void row_name(const struct rw_bench_task *task, char *to, size_t size)
{
    snprintf(to, size, "%s %zu", rw_bench_work_name(task->work), rw_bench_size(task));
}

static void print_heading(const struct rw_bench_run *run, bool energy)
{
    rw_outf("%-13s %10s %7s %12s %12s", "work", "tokens/s", "+-", "bytes/token", "ops/token");
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++) {
        char heading[16];
        snprintf(heading, sizeof heading, "of %s", rw_bench_limit_name(l));
        if (is_shown(run, l))
            rw_outf(" %10s", heading);
    }
    rw_outs(energy ? "    J/token\n" : "\n");
}

static void print_row(const struct rw_bench_run *run, const struct rw_bench_row *row, bool energy)
{
    char name[32];
    row_name(&row->task, name, sizeof name);
    rw_outf("%-13s %10s %5.1f %% %12s %12s", name, rw_show_rate(row->rate, 1).text,
            100 * row->spread, rw_show_bytes((uint64_t)row->bytes).text,
            rw_show_count(row->ops).text);
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++) {
        char share[32];
        snprintf(share, sizeof share, "%s%.1f %%", l == rw_bench_limit(run, row) ? "*" : "",
                 100 * row->share[l]);
        if (is_shown(run, l))
            rw_outf(" %10s", share);
    }
    if (energy)
        rw_outf(" %10.4f", row->joules);
    rw_outs("\n");
}

static void print_limits(const struct rw_bench_run *run)
{
    rw_outf("\nlimits        read %.1f GB/s", run->limits[RWKV_LIMIT_READ] * 1e-9);
    for (rwkv_limit l = RWKV_LIMIT_F32; l < RWKV_LIMIT_COUNT; l++)
        if (run->limits[l] > 0)
            rw_outf(", %s %.1f GOP/s", rw_bench_limit_name(l), run->limits[l] * 1e-9);
    rw_outs(", between the passes; * applies\n");
}

static void print_rows(const struct rw_bench_run *run, bool energy)
{
    print_heading(run, energy);
    for (size_t i = 0; i < run->n_rows; i++)
        print_row(run, &run->rows[i], energy);
    print_limits(run);
}

static void print_context(const struct rw_bench_run *run)
{
    const struct rw_bench_point *first = &run->points[0], *last = &run->points[run->n_points - 1];
    rw_outf("long text     prefill %s, decode %s tokens/s after %zu tokens; %s and %s after %zu\n",
            rw_show_rate(first->prefill, 1).text, rw_show_rate(first->decode, 1).text,
            first->position, rw_show_rate(last->prefill, 1).text,
            rw_show_rate(last->decode, 1).text, last->position);
}

void rw_bench_print(const struct rw_bench *b, const struct rw_bench_run *run)
{
    const rwkv_model_info *m = &run->info;
    bool energy = b->energy.n_packages > 0;
    char model[160];
    if (b->train) {
        rw_bench_print_train(b, run);
        return;
    }
    rw_describe_model(m, model, sizeof model);
    rw_outf("%s: %s\n", rw_model_name(run->path), model);
    rw_outf("%d thread%s, %s, %zu tokens a chunk\n\n", m->threads, m->threads == 1 ? "" : "s",
            m->cpu, m->chunk);
    if (run->n_rows)
        print_rows(run, energy);
    rw_outf("open          %s\n", rw_show_seconds(run->load_seconds).text);
    rw_outf("first token   %s, opening and a prompt of %d tokens included\n",
            rw_show_seconds(run->first_seconds).text, RW_BENCH_FIRST_PROMPT);
    rw_outf("memory        %s resident at most; file %s, own %s, state %s\n",
            rw_show_bytes(run->peak_bytes).text, rw_show_bytes(m->file_bytes).text,
            rw_show_bytes(m->private_bytes + m->scratch_bytes).text,
            rw_show_bytes(m->state_bytes).text);
    if (run->packing.matrices) {
        rw_describe_packing(&run->packing, model, sizeof model);
        rw_outf("packed        %s\n", model);
    }
    if (run->zeros.inputs) {
        rw_describe_zeros(&run->zeros, model, sizeof model);
        rw_outf("zeros         %s\n", model);
    }
    if (run->n_points)
        print_context(run);
    if (!energy)
        rw_outf("energy        not readable: %s\n", b->energy.why);
}

void rw_bench_print_summary(const struct rw_bench_run *runs, size_t n)
{
    int width = 8;
    for (size_t i = 0; i < n; i++)
        width = RW_MAX(width, snprintf(NULL, 0, "%s", runs[i].label));
    rw_outf("%-*s", width, "tokens/s");
    for (size_t r = 0; r < runs[0].n_rows; r++) {
        char name[32];
        row_name(&runs[0].rows[r].task, name, sizeof name);
        rw_outf(" %*s", SUMMARY_WIDTH, name);
    }
    rw_outs("\n");
    for (size_t i = 0; i < n; i++) {
        rw_outf("%-*s", width, runs[i].label);
        for (size_t r = 0; r < runs[i].n_rows; r++)
            rw_outf(" %*s", SUMMARY_WIDTH, rw_show_rate(runs[i].rows[r].rate, 1).text);
        rw_outs("\n");
    }
}
