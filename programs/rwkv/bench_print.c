/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>

#include "json_out.h"
#include "say.h"

static const char *work_name(const struct rw_bench_row *row)
{
    static const char *const names[RW_BENCH_WORKS] = {"prefill", "decode", "batch"};
    return names[row->work];
}

static size_t row_size(const struct rw_bench_row *row)
{
    return row->work == RW_BENCH_BATCH ? row->batch : row->n;
}

void rw_bench_print(const struct rw_bench *b)
{
    char model[160];
    const rwkv_model_info *m = &b->info;
    rw_describe_model(m, model, sizeof model);
    rw_outf("%s: %s\n", rw_model_name(b->model_args.path), model);
    rw_outf("%d thread%s, %s, %zu tokens a chunk\n\n", m->threads, m->threads == 1 ? "" : "s",
            m->cpu, m->chunk);
    rw_outf("%-14s %10s %13s %13s %12s %12s\n", "work", "tokens/s", "bytes/token", "flops/token",
            "of read", "of f32");
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct rw_bench_row *r = &b->rows[i];
        char name[32];
        snprintf(name, sizeof name, "%s %zu", work_name(r), row_size(r));
        rw_outf("%-14s %10s %13s %13s %10.1f %% %10.1f %%\n", name, rw_show_rate(r->rate, 1).text,
                rw_show_bytes((uint64_t)r->bytes).text, rw_show_count(r->flops).text,
                100 * r->read_share, 100 * r->flops_share);
    }
    rw_outf("\nlimits         read %.1f GB/s, f32 %.1f GFLOP/s (measured before and after, mean)\n",
            b->limits.read_bytes_per_s * 1e-9, b->limits.f32_flops_per_s * 1e-9);
    rw_outf("open           %s\n", rw_show_seconds(b->load_seconds).text);
    rw_outf("first token    %s, opening and a prompt of 16 tokens included\n",
            rw_show_seconds(b->first_seconds).text);
    rw_outf("memory         %s resident at most; file %s, own %s, state %s\n",
            rw_show_bytes(b->peak_bytes).text, rw_show_bytes(m->file_bytes).text,
            rw_show_bytes(m->private_bytes + m->scratch_bytes).text,
            rw_show_bytes(m->state_bytes).text);
}

void rw_bench_print_csv(const struct rw_bench *b)
{
    rw_outs("work,size,tokens_per_second,bytes_per_token,flops_per_token,read_share,flops_share,"
            "threads,cpu,type,parameters,read_bytes_per_second,f32_flops_per_second,load_seconds,"
            "first_token_seconds,peak_resident_bytes\n");
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct rw_bench_row *r = &b->rows[i];
        rw_outf("%s,%zu,%.6g,%.6g,%.6g,%.4f,%.4f,%d,%s,%s,%llu,%.6g,%.6g,%.6g,%.6g,%llu\n",
                work_name(r), row_size(r), r->rate, r->bytes, r->flops, r->read_share,
                r->flops_share, b->info.threads, b->info.cpu, rwkv_dtype_name(b->info.dtype),
                (unsigned long long)b->info.n_params, b->limits.read_bytes_per_s,
                b->limits.f32_flops_per_s, b->load_seconds, b->first_seconds,
                (unsigned long long)b->peak_bytes);
    }
}

rwkv_status rw_bench_print_json(const struct rw_bench *b, rwkv_error *err)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_open(&j, "model", RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "path", rw_model_name(b->model_args.path));
    rw_json_plan(&j, &b->info);
    rw_json_close(&j);
    rw_json_u64(&j, "threads", (uint64_t)b->info.threads);
    rw_json_open(&j, "limits", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_real(&j, "read_bytes_per_second", b->limits.read_bytes_per_s);
    rw_json_real(&j, "f32_flops_per_second", b->limits.f32_flops_per_s);
    rw_json_close(&j);
    rw_json_real(&j, "load_seconds", b->load_seconds);
    rw_json_real(&j, "first_token_seconds", b->first_seconds);
    rw_json_u64(&j, "peak_resident_bytes", b->peak_bytes);
    rw_json_open(&j, "rows", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct rw_bench_row *r = &b->rows[i];
        rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_text(&j, "work", work_name(r));
        rw_json_u64(&j, "size", row_size(r));
        rw_json_real(&j, "tokens_per_second", r->rate);
        rw_json_real(&j, "bytes_per_token", r->bytes);
        rw_json_real(&j, "flops_per_token", r->flops);
        rw_json_real(&j, "read_share", r->read_share);
        rw_json_real(&j, "flops_share", r->flops_share);
        rw_json_close(&j);
    }
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}
