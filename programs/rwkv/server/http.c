/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a server, and running libmicrohttpd within our loop; see http_int.h. */
#include "server/http_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/status.h"

struct rw_http_options rw_http_defaults(void)
{
    return (struct rw_http_options){.host = "127.0.0.1",
                                    .port = 8080,
                                    .unix_mode = 0600,
                                    .max_connections = 4096,
                                    .head_bytes = 32 << 10,
                                    .body_bytes = 1 << 20,
                                    .bodies_bytes = (size_t)1 << 30,
                                    .buffer_bytes = 4 << 20,
                                    .idle_ms = 75000,
                                    .head_ms = 10000,
                                    .body_ms = 60000,
                                    .stall_ms = 30000,
                                    .half_closed_ms = 500};
}

static void keep_log(void *cls, const char *fmt, va_list args)
{
    struct rw_http *http = cls;
    vsnprintf(http->log, sizeof http->log, fmt, args);
    http->log[strcspn(http->log, "\n")] = 0;
}

/* Running it -------------------------------------------------------------------------------- */

static void run_daemon(void *user)
{
    rw_http_run(user);
}

void rw_http_run(struct rw_http *http)
{
    MHD_UNSIGNED_LONG_LONG ms;
    http->resumed = false;
    MHD_run(http->daemon);
    /* What it has ready is in no descriptor's events, as its set is edge-triggered; nor is what was
     * resumed. */
    if (http->resumed)
        rw_timer_start(http->loop, &http->daemon_timer, 0, 0, run_daemon, http);
    else if (MHD_get_timeout(http->daemon, &ms) == MHD_YES)
        rw_timer_start(http->loop, &http->daemon_timer, ms, 0, run_daemon, http);
    else
        rw_timer_stop(http->loop, &http->daemon_timer);
}

void rw_http_resume(struct rw_http_exchange *x)
{
    struct rw_http *http = x->http;
    if (!x->suspended)
        return;
    x->suspended = false;
    MHD_resume_connection(x->mhd);
    if (!http->resumed && !http->closing)
        rw_timer_start(http->loop, &http->daemon_timer, 0, 0, run_daemon, http);
    http->resumed = true;
}

static void daemon_ready(void *user, uint32_t events)
{
    run_daemon(user);
}

/* TLS 1.2 and 1.3 with what GnuTLS calls secure. */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static rwkv_status start_daemon(struct rw_http *http, char *cert, char *key, rwkv_error *err)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
                     MHD_USE_ERROR_LOG | (cert ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, key},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES},
                                   {MHD_OPTION_END, 0, NULL}};
    http->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, rw_http_on_request, http, MHD_OPTION_EXTERNAL_LOGGER, keep_log, http,
        MHD_OPTION_NOTIFY_CONNECTION, rw_http_on_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
        rw_http_on_completed, http, MHD_OPTION_URI_LOG_CALLBACK, rw_http_on_target, http,
        MHD_OPTION_CONNECTION_LIMIT, http->options.max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, http->options.head_bytes,
#if MHD_VERSION >= 0x00097701
        /* Strict about heads. Before that version, strictness only meant to answer a head without
         * Host, and to hang up on a blank in a target, in place of our own error. */
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#endif
        MHD_OPTION_ARRAY, cert ? tls : tls + 3, MHD_OPTION_END);
    if (!http->daemon)
        return rw_fail(err, cert ? RWKV_ERROR_FORMAT : RWKV_ERROR_IO, "cannot start %s: %s",
                       cert ? "TLS with this certificate and key" : "the HTTP server",
                       http->log[0] ? http->log : "libmicrohttpd does not say why");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return rw_loop_watch(http->loop, &http->daemon_watch, info->epoll_fd, EPOLLIN, daemon_ready,
                         http, err);
}

static rwkv_status start(struct rw_http *http, const struct rw_http_options *o, rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    char *cert = NULL, *key = NULL;
    if (!o->cert_file != !o->key_file)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "TLS needs a file of the %s, too",
                       o->cert_file ? "key" : "certificate");
    if (o->cert_file) {
        if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
            return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "this libmicrohttpd was built without TLS");
        RW_GO(rw_http_read_pem(o->cert_file, "CERTIFICATE", &cert, err));
        RW_GO(rw_http_read_pem(o->key_file, "PRIVATE KEY", &key, err));
    }
    RW_GO(rw_http_listen(http, o, err));
    status = start_daemon(http, cert, key, err);
    if (status == RWKV_ERROR_FORMAT)
        rw_fail_within(err, status, "%s, %s", o->cert_file, o->key_file);
    if (status == RWKV_OK)
        status = rw_http_accept_start(http, err);
done:
    if (key)
        explicit_bzero(key, strlen(key));
    rw_free(key);
    rw_free(cert);
    return status;
}

rwkv_status rw_http_open(struct rw_http **out, struct rw_loop *loop,
                         const struct rw_http_options *options,
                         const struct rw_http_handler *handler, rwkv_error *err)
{
    struct rw_http *http = rw_calloc(1, sizeof *http);
    if (!http)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for an HTTP server");
    http->loop = loop;
    http->options = *options;
    http->handler = *handler;
    http->listener = -1;
    rwkv_status status = start(http, options, err);
    if (status != RWKV_OK) {
        rw_http_close(http);
        return status;
    }
    http->options.host = http->options.unix_path = NULL;
    http->options.cert_file = http->options.key_file = NULL;
    *out = http;
    return RWKV_OK;
}

void rw_http_drain(struct rw_http *http)
{
    http->draining = true;
    rw_http_accept_stop(http);
    rw_http_unlisten(http);
    for (struct connection *c = http->connections; c; c = c->next)
        if (c->state == CONNECTION_IDLE)
            shutdown(c->fd, SHUT_RDWR);
}

void rw_http_close(struct rw_http *http)
{
    if (!http)
        return;
    http->closing = true;
    rw_http_accept_stop(http);
    rw_http_unlisten(http);
    rw_timer_stop(http->loop, &http->daemon_timer);
    rw_loop_unwatch(http->loop, &http->daemon_watch);
    /* It must not be stopped while a connection is suspended. */
    for (struct connection *c = http->connections; c; c = c->next)
        if (c->x)
            rw_http_abort(c->x);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    rw_http_linger_stop(http);
    rw_free(http->url);
    rw_free(http->unix_path);
    rw_free(http);
}

const char *rw_http_url(const struct rw_http *http)
{
    return http->url;
}

unsigned rw_http_port(const struct rw_http *http)
{
    return http->port;
}

size_t rw_http_connections(const struct rw_http *http)
{
    return http->n_connections;
}

size_t rw_http_exchanges(const struct rw_http *http)
{
    return http->n_exchanges;
}
