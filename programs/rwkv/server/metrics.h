/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /metrics shows, in the text format of Prometheus
 * (https://prometheus.io/docs/instrumenting/exposition_formats/): counters, and histograms with
 * fixed buckets. Everything on the loop's thread.
 */
#ifndef RW_SERVER_METRICS_H
#define RW_SERVER_METRICS_H

#include <stddef.h>

#include "base/str.h"
#include "rwkv.h"

struct rw_server;
struct rw_metrics;

/* X(symbol, name, help): histograms of seconds. */
#define RW_TIMING_LIST(X)                                                                   \
    X(RW_TIMING_REQUEST, "request_duration", "From the head of a request to its last byte") \
    X(RW_TIMING_QUEUE, "queue_wait", "From the request to the first step of its work")      \
    X(RW_TIMING_FIRST_TOKEN, "time_to_first_token", "From the request to its first token")  \
    X(RW_TIMING_BETWEEN, "time_between_tokens", "Between two tokens of a choice")

enum rw_timing {
#define RW_TIMING_ENUM(symbol, name, help) symbol,
    RW_TIMING_LIST(RW_TIMING_ENUM)
#undef RW_TIMING_ENUM
        RW_TIMINGS
};

rwkv_status rw_metrics_new(struct rw_metrics **out, rwkv_error *err);
void rw_metrics_free(struct rw_metrics *metrics); /* NULL is fine */

void rw_metrics_time(struct rw_metrics *metrics, enum rw_timing timing, double seconds);
/* A reply of this status has ended; `path` is that of a route, static storage. */
void rw_metrics_request(struct rw_metrics *metrics, const char *path, unsigned status);
/* A choice ended; `finish` is "stop", "length", "tool_calls", "cancelled", "error", … */
void rw_metrics_finish(struct rw_metrics *metrics, const char *finish, size_t generated_tokens);
void rw_metrics_prompt(struct rw_metrics *metrics, size_t prompt_tokens, size_t cached_tokens);

/* All of them, with what the server's parts count themselves. */
void rw_metrics_write(const struct rw_metrics *metrics, struct rw_server *server,
                      struct rw_str *to);

#endif
