/* SPDX-License-Identifier: Apache-2.0 */
/* The results of `rwkv bench` for programs: JSON and CSV. docs/cli/bench.md says what the members
 * and columns mean. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "bench.h"
#include "json_out.h"
#include "say.h"

static const char *const limit_keys[RWKV_LIMIT_COUNT] = {
    "read_bytes_per_second", "f32_ops_per_second", "bf16_ops_per_second", "int8_ops_per_second"};
static const char *const share_keys[RWKV_LIMIT_COUNT] = {"read_share", "f32_share", "bf16_share",
                                                         "int8_share"};

/* --- JSON ------------------------------------------------------------------------------------- */

/* What is not there is null. */
static double or_null(double value)
{
    return value > 0 ? value : (double)NAN;
}

static void json_row(struct rw_json *j, const struct rw_bench_run *run,
                     const struct rw_bench_row *row)
{
    rwkv_limit limit = rw_bench_limit(run, row);
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "work", rw_bench_work_name(row->task.work));
    rw_json_u64(j, "size", rw_bench_size(&row->task));
    rw_json_u64(j, "passes", row->passes);
    rw_json_real(j, "tokens_per_second", row->rate);
    rw_json_real(j, "mean_tokens_per_second", row->mean);
    rw_json_real(j, "spread", row->spread);
    rw_json_real(j, "bytes_per_token", row->bytes);
    rw_json_real(j, "ops_per_token", row->ops);
    rw_json_text(j, "limit", rw_bench_limit_name(limit));
    rw_json_real(j, "share", row->share[limit]);
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        rw_json_real(j, share_keys[l], or_null(row->share[l]));
    rw_json_real(j, "joules_per_token", row->joules);
    rw_json_close(j);
}

static void json_results(struct rw_json *j, const struct rw_bench_run *run)
{
    rw_json_open(j, "limits", RW_JSON_OBJECT, RW_JSON_INLINE);
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        rw_json_real(j, limit_keys[l], or_null(run->limits[l]));
    rw_json_close(j);
    rw_json_real(j, "load_seconds", run->load_seconds);
    rw_json_real(j, "first_token_seconds", run->first_seconds);
    rw_json_u64(j, "peak_resident_bytes", run->peak_bytes);
    rw_json_packing(j, &run->packing);
    rw_json_zeros(j, &run->zeros);
    rw_json_open(j, "rows", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < run->n_rows; i++)
        json_row(j, run, &run->rows[i]);
    rw_json_close(j);
    rw_json_open(j, "context", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < run->n_points; i++) {
        rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_u64(j, "position", run->points[i].position);
        rw_json_real(j, "prefill_tokens_per_second", run->points[i].prefill);
        rw_json_real(j, "decode_tokens_per_second", run->points[i].decode);
        rw_json_close(j);
    }
    rw_json_close(j);
}

static void json_run(struct rw_json *j, const struct rw_bench *b, const struct rw_bench_run *run)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_open(j, "model", RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(j, "path", rw_model_name(run->path));
    rw_json_plan(j, &run->info);
    rw_json_close(j);
    rw_json_u64(j, "threads", (uint64_t)run->info.threads);
    if (b->train)
        rw_bench_json_train(j, b, run);
    else
        json_results(j, run);
    rw_json_close(j);
}

rwkv_status rw_bench_print_json(const struct rw_bench *b, const struct rw_bench_run *runs, size_t n,
                                rwkv_error *err)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_open(&j, "runs", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < n; i++)
        json_run(&j, b, &runs[i]);
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

/* --- CSV -------------------------------------------------------------------------------------- */

/* In quotes where a reader would stumble. */
static void csv_text(const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        rw_out_safe(text);
        return;
    }
    rw_outs("\"");
    for (const char *quote; (quote = strchr(text, '"')) != NULL; text = quote + 1) {
        rw_out(text, (size_t)(quote - text));
        rw_outs("\"\"");
    }
    rw_outs(text);
    rw_outs("\"");
}

/* A column that is empty where there is no number. */
static void csv_real(double value)
{
    if (isfinite(value))
        rw_outf(",%.6g", value);
    else
        rw_outs(",");
}

static void csv_run_columns(const struct rw_bench_run *run)
{
    const rwkv_model_info *m = &run->info;
    rw_outf(",%d,%s,%s,%llu", m->threads, m->cpu, rwkv_dtype_name(m->dtype),
            (unsigned long long)m->n_params);
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        csv_real(or_null(run->limits[l]));
    rw_outf(",%.6g,%.6g,%llu\n", run->load_seconds, run->first_seconds,
            (unsigned long long)run->peak_bytes);
}

static void csv_row(const struct rw_bench_run *run, const struct rw_bench_row *row)
{
    rwkv_limit limit = rw_bench_limit(run, row);
    csv_text(rw_model_name(run->path));
    rw_outf(",%s,%zu,%zu,%.6g,%.6g,%.6g,%.6g,%s,%.6g", rw_bench_work_name(row->task.work),
            rw_bench_size(&row->task), row->passes, row->rate, row->spread, row->bytes, row->ops,
            rw_bench_limit_name(limit), row->share[limit]);
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        csv_real(or_null(row->share[l]));
    csv_real(row->joules);
    csv_run_columns(run);
}

static void csv_point(const struct rw_bench_run *run, const char *work, size_t position,
                      double rate)
{
    csv_text(rw_model_name(run->path));
    rw_outf(",%s,%zu,,%.6g,,,,,,,,,,", work, position, rate);
    csv_run_columns(run);
}

void rw_bench_print_csv(const struct rw_bench_run *runs, size_t n)
{
    rw_outs("model,work,size,passes,tokens_per_second,spread,bytes_per_token,ops_per_token,limit,"
            "share");
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        rw_outf(",%s", share_keys[l]);
    rw_outs(",joules_per_token,threads,cpu,type,parameters");
    for (rwkv_limit l = 0; l < RWKV_LIMIT_COUNT; l++)
        rw_outf(",%s", limit_keys[l]);
    rw_outs(",load_seconds,first_token_seconds,peak_resident_bytes\n");
    for (size_t i = 0; i < n; i++) {
        for (size_t r = 0; r < runs[i].n_rows; r++)
            csv_row(&runs[i], &runs[i].rows[r]);
        for (size_t p = 0; p < runs[i].n_points; p++) {
            const struct rw_bench_point *point = &runs[i].points[p];
            csv_point(&runs[i], "prefill-after", point->position, point->prefill);
            csv_point(&runs[i], "decode-after", point->position, point->decode);
        }
    }
}
