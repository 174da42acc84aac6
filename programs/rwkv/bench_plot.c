/* SPDX-License-Identifier: Apache-2.0 */
/* The results of `rwkv bench` as charts: rates against the length of the text before, and against
 * the number of sessions. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/output.h"
#include "base/status.h"
#include "bench.h"
#include "say.h"
#include "svg.h"

enum { DECODE_AFTER, PREFILL_AFTER, SESSIONS, CHARTS };

/* What the lines of one run point into. */
struct run_points {
    double position[RW_BENCH_POINTS], decode[RW_BENCH_POINTS], prefill[RW_BENCH_POINTS];
    double sessions[RW_BENCH_ROWS], rate[RW_BENCH_ROWS];
    size_t n_batch;
};

static void collect(const struct rw_bench_run *run, struct run_points *p)
{
    for (size_t i = 0; i < run->n_points; i++) {
        p->position[i] = (double)run->points[i].position;
        p->decode[i] = run->points[i].decode;
        p->prefill[i] = run->points[i].prefill;
    }
    for (size_t i = 0; i < run->n_rows; i++) {
        if (run->rows[i].task.work != RW_BENCH_BATCH)
            continue;
        p->sessions[p->n_batch] = (double)run->rows[i].task.batch;
        p->rate[p->n_batch++] = run->rows[i].rate;
    }
}

static rwkv_status write_file(const char *path, const struct rw_str *text, rwkv_error *err)
{
    struct rw_output *o;
    if (text->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    RW_TRY(rw_output_open(&o, path, err));
    rwkv_status status = rw_output_write(o, text->data, text->size, err);
    if (status == RWKV_OK)
        return rw_output_commit(o, err);
    rw_output_discard(o);
    return status;
}

/* What all runs have in common. */
static void describe(const struct rw_bench_run *runs, size_t n, char *to, size_t size)
{
    const rwkv_model_info *m = &runs[0].info;
    bool same = true;
    for (size_t i = 1; i < n; i++)
        same = same && runs[i].info.n_layer == m->n_layer && runs[i].info.n_embd == m->n_embd;
    if (n == 1)
        snprintf(to, size, "RWKV-%d, %zu layers of %zu channels, %s; %d thread%s, %s", m->version,
                 m->n_layer, m->n_embd, rwkv_dtype_name(m->dtype), m->threads,
                 m->threads == 1 ? "" : "s", m->cpu);
    else if (same)
        snprintf(to, size, "RWKV-%d, %zu layers of %zu channels", m->version, m->n_layer,
                 m->n_embd);
    else
        snprintf(to, size, "%zu models and ways to run them", n);
}

static void draw(struct rw_str *text, const struct rw_bench_run *runs, size_t n,
                 const char *const *labels, const struct rw_line *const lines[CHARTS])
{
    const struct rw_chart all[CHARTS] = {
        [DECODE_AFTER] = {"Generating after a long text", "tokens before", "tokens/s", false,
                          lines[DECODE_AFTER], n},
        [PREFILL_AFTER] = {"Reading on after a long text", "tokens before", "tokens/s", false,
                           lines[PREFILL_AFTER], n},
        [SESSIONS] = {"Sessions generating together", "sessions", "tokens/s of all", true,
                      lines[SESSIONS], n},
    };
    struct rw_chart charts[CHARTS];
    size_t n_charts = 0;
    char subtitle[200];
    for (size_t c = 0; c < CHARTS; c++)
        if (all[c].lines[0].n) /* all runs have the same rows */
            charts[n_charts++] = all[c];
    bool one = runs[0].path == runs[n - 1].path;
    describe(runs, n, subtitle, sizeof subtitle);
    rw_svg_charts(text, one ? rw_model_name(runs[0].path) : "rwkv bench", subtitle,
                  n > 1 ? labels : NULL, charts, n_charts);
}

rwkv_status rw_bench_plot(const char *path, const struct rw_bench_run *runs, size_t n,
                          rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    struct rw_str text = {0};
    struct rw_line *lines[CHARTS] = {NULL};
    struct run_points *points = rw_calloc(n, sizeof *points);
    const char **labels = rw_calloc(n, sizeof *labels);
    bool memory = points && labels;
    for (size_t c = 0; c < CHARTS; c++) {
        lines[c] = rw_calloc(n, sizeof **lines);
        memory = memory && lines[c];
    }
    if (!memory)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path));
    for (size_t i = 0; i < n; i++) {
        struct run_points *p = &points[i];
        collect(&runs[i], p);
        labels[i] = runs[i].label;
        lines[DECODE_AFTER][i] = (struct rw_line){p->position, p->decode, runs[i].n_points};
        lines[PREFILL_AFTER][i] = (struct rw_line){p->position, p->prefill, runs[i].n_points};
        lines[SESSIONS][i] = (struct rw_line){p->sessions, p->rate, p->n_batch};
    }
    draw(&text, runs, n, labels, (const struct rw_line *const *)lines);
    status = write_file(path, &text, err);
done:
    for (size_t c = 0; c < CHARTS; c++)
        rw_free(lines[c]);
    rw_free(points);
    rw_free(labels);
    rw_str_fini(&text);
    return status;
}
