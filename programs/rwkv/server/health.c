/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health and GET /metrics. Neither waits for anything. */
#include "server/call.h"

void rw_get_health(struct rw_call *call)
{
    const bool ready = call->server->ready && !call->server->draining;
    const struct rw_http_field fields[] = {{"Content-Type", "application/json"},
                                           {"Cache-Control", "no-store"},
                                           {ready ? NULL : "Retry-After", "1"},
                                           {NULL, NULL}};
    struct rw_json j = {0};
    struct rw_worker_stats stats;
    const struct rw_server *server = call->server;
    const char *status = server->draining ? "ending" : server->ready ? "ok" : "loading";
    rw_worker_get_stats(server->worker, &stats);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "status", status);
    rw_json_u64(&j, "working", stats.working);
    rw_json_u64(&j, "waiting", stats.waiting);
    rw_json_close(&j);
    rw_http_reply_str(call->x, ready ? 200 : 503, fields, &j.text);
}

void rw_get_metrics(struct rw_call *call)
{
    static const struct rw_http_field fields[] = {
        {"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}, {NULL, NULL}};
    struct rw_str text = {0};
    rw_metrics_write(call->server->metrics, call->server, &text);
    rw_http_reply_str(call->x, 200, fields, &text);
}
