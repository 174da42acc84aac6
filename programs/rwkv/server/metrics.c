/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "server/server.h"

#define MAX_SERIES 256 /* paths and statuses, reasons to finish: known names, so there are few */

static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                0.5,   1,      2.5,   5,    10,    25,   50,  100};

struct histogram {
    uint64_t count[RW_COUNT(bounds) + 1]; /* the last: beyond all bounds */
    double sum;
};

struct series {
    const char *name; /* static storage */
    unsigned status;
    uint64_t count, tokens;
};

struct rw_metrics {
    double start;
    struct histogram timings[RW_TIMINGS];
    struct series requests[MAX_SERIES], finishes[MAX_SERIES];
    size_t n_requests, n_finishes;
    uint64_t prompt_tokens, cached_tokens;
};

static const struct {
    const char *name, *help;
} timings[] = {
#define RW_TIMING_TEXT(symbol, name, help) [symbol] = {name, help},
    RW_TIMING_LIST(RW_TIMING_TEXT)
#undef RW_TIMING_TEXT
};

rwkv_status rw_metrics_new(struct rw_metrics **out, rwkv_error *err)
{
    struct rw_metrics *m = rw_calloc(1, sizeof *m);
    if (!m)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for metrics");
    m->start = rw_env_time();
    *out = m;
    return RWKV_OK;
}

void rw_metrics_free(struct rw_metrics *m)
{
    rw_free(m);
}

/* --- counting --------------------------------------------------------------------------------- */

void rw_metrics_time(struct rw_metrics *m, enum rw_timing timing, double seconds)
{
    size_t i = 0;
    while (i < RW_COUNT(bounds) && seconds > bounds[i])
        i++;
    m->timings[timing].count[i]++;
    m->timings[timing].sum += fmax(seconds, 0);
}

static struct series *find(struct series *list, size_t *n, const char *name, unsigned status)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(list[i].name, name) == 0 && list[i].status == status)
            return &list[i];
    if (*n == MAX_SERIES)
        return &list[MAX_SERIES - 1];
    list[*n] = (struct series){.name = name, .status = status};
    return &list[(*n)++];
}

void rw_metrics_request(struct rw_metrics *m, const char *path, unsigned status)
{
    find(m->requests, &m->n_requests, path, status)->count++;
}

void rw_metrics_finish(struct rw_metrics *m, const char *finish, size_t generated_tokens)
{
    struct series *s = find(m->finishes, &m->n_finishes, finish, 0);
    s->count++;
    s->tokens += generated_tokens;
}

void rw_metrics_prompt(struct rw_metrics *m, size_t prompt_tokens, size_t cached_tokens)
{
    m->prompt_tokens += prompt_tokens;
    m->cached_tokens += cached_tokens;
}

/* --- showing ---------------------------------------------------------------------------------- */

static void head(struct rw_str *to, const char *name, const char *type, const char *help)
{
    rw_str_printf(to, "# HELP rwkv_%s %s.\n# TYPE rwkv_%s %s\n", name, help, name, type);
}

static void one(struct rw_str *to, const char *name, const char *type, const char *help,
                double value)
{
    head(to, name, type, help);
    rw_str_printf(to, "rwkv_%s %.17g\n", name, value);
}

static void write_histogram(const struct histogram *h, const char *name, const char *help,
                            struct rw_str *to)
{
    uint64_t sum = 0;
    rw_str_printf(to, "# HELP rwkv_%s_seconds %s.\n# TYPE rwkv_%s_seconds histogram\n", name, help,
                  name);
    for (size_t i = 0; i < RW_COUNT(bounds); i++) {
        sum += h->count[i];
        rw_str_printf(to, "rwkv_%s_seconds_bucket{le=\"%g\"} %llu\n", name, bounds[i],
                      (unsigned long long)sum);
    }
    sum += h->count[RW_COUNT(bounds)];
    rw_str_printf(to, "rwkv_%s_seconds_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)sum);
    rw_str_printf(to, "rwkv_%s_seconds_sum %.9g\nrwkv_%s_seconds_count %llu\n", name, h->sum, name,
                  (unsigned long long)sum);
}

static void write_series(const struct rw_metrics *m, struct rw_str *to)
{
    head(to, "requests_total", "counter", "Requests answered, by path and status");
    for (size_t i = 0; i < m->n_requests; i++)
        rw_str_printf(to, "rwkv_requests_total{path=\"%s\",status=\"%u\"} %llu\n",
                      m->requests[i].name, m->requests[i].status,
                      (unsigned long long)m->requests[i].count);
    head(to, "choices_total", "counter", "Choices that ended, by their reason");
    for (size_t i = 0; i < m->n_finishes; i++)
        rw_str_printf(to, "rwkv_choices_total{finish=\"%s\"} %llu\n", m->finishes[i].name,
                      (unsigned long long)m->finishes[i].count);
    head(to, "generated_tokens_total", "counter", "Tokens generated, by what ended their choice");
    for (size_t i = 0; i < m->n_finishes; i++)
        rw_str_printf(to, "rwkv_generated_tokens_total{finish=\"%s\"} %llu\n", m->finishes[i].name,
                      (unsigned long long)m->finishes[i].tokens);
}

static void write_worker(struct rw_server *server, struct rw_str *to)
{
    struct rw_worker_stats s;
    uint64_t sum = 0;
    rw_worker_get_stats(server->worker, &s);
    one(to, "sequences_working", "gauge", "Sequences that are evaluated", (double)s.working);
    one(to, "sequences_waiting", "gauge", "Sequences that wait for a place", (double)s.waiting);
    one(to, "busy_seconds_total", "counter", "Time in which there was something to evaluate",
        s.busy_seconds);
    head(to, "batch_size", "histogram", "Sequences evaluated together in a step");
    for (size_t i = 0; i + 1 < RW_COUNT(s.batch_sizes); i++) {
        sum += s.batch_sizes[i];
        rw_str_printf(to, "rwkv_batch_size_bucket{le=\"%zu\"} %llu\n", (size_t)1 << i,
                      (unsigned long long)sum);
    }
    rw_str_printf(to, "rwkv_batch_size_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)s.steps);
    rw_str_printf(to, "rwkv_batch_size_sum %llu\nrwkv_batch_size_count %llu\n",
                  (unsigned long long)s.step_sequences, (unsigned long long)s.steps);
}

static void write_store(struct rw_server *server, struct rw_str *to)
{
    rwkv_store_stats s;
    if (!server->store)
        return;
    rwkv_store_get_stats(server->store, &s);
    one(to, "store_hits_total", "counter", "Prompts of which a beginning was remembered",
        (double)s.hits);
    one(to, "store_misses_total", "counter", "Prompts of which nothing was", (double)s.misses);
    one(to, "store_memory_bytes", "gauge", "Memory of remembered states", (double)s.memory_bytes);
    one(to, "store_disk_bytes", "gauge", "Files of states", (double)s.disk_bytes);
    one(to, "store_memory_states", "gauge", "Remembered states in memory",
        (double)s.memory_entries);
    one(to, "store_disk_states", "gauge", "Remembered states on disk, also if in memory too",
        (double)s.disk_entries);
    one(to, "store_leaving_states", "gauge", "Remembered states on their way to disk",
        (double)s.leaving);
    one(to, "store_named_states", "gauge", "States kept by name", (double)s.named);
    one(to, "store_evictions_total", "counter", "Remembered states that left the memory",
        (double)s.evictions);
    one(to, "store_failures_total", "counter", "Failures to read or write states",
        (double)(s.failures + s.damaged));
}

void rw_metrics_write(const struct rw_metrics *m, struct rw_server *server, struct rw_str *to)
{
    one(to, "start_time_seconds", "gauge", "When the server began, since 1970", m->start);
    one(to, "connections", "gauge", "Open connections", (double)rw_http_connections(server->http));
    one(to, "prompt_tokens_total", "counter", "Tokens of prompts", (double)m->prompt_tokens);
    one(to, "cached_tokens_total", "counter", "Tokens of prompts whose state was remembered",
        (double)m->cached_tokens);
    write_series(m, to);
    for (size_t i = 0; i < RW_TIMINGS; i++)
        write_histogram(&m->timings[i], timings[i].name, timings[i].help, to);
    write_worker(server, to);
    write_store(server, to);
}
