/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange from its target to its end, as libmicrohttpd tells of it. It calls
 * rw_http_on_request for a head, for each piece of a body, for the end of the body, and again each
 * time a connection that was suspended after that is resumed.
 */
#include "server/http_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"

/* A body nobody wants is read and dropped up to this size, so that the connection can go on;
 * beyond it the reply comes first and the connection is closed. */
#define DROPPED_BODY (64 << 10)

void *rw_http_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct rw_http *http = cls;
    struct connection *c =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    struct rw_http_exchange *x = c ? rw_calloc(1, sizeof *x) : NULL;
    if (!x)
        return NULL; /* rw_http_on_request then closes the connection */
    x->http = http;
    x->mhd = mhd;
    x->c = c;
    x->c->x = x;
    x->body_limit = http->options.body_bytes;
    x->wrong_target = rw_http_target_parse(&x->target, target);
    if (x->c->state == CONNECTION_IDLE)
        rw_http_enter(x->c, CONNECTION_HEAD);
    return x;
}

/* The head ---------------------------------------------------------------------------------- */

static bool has_control(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return true;
    return false;
}

/* A field in two lines: 0.9.75 appends the second to the *name* of the first, in new memory behind
 * the value, and so could be made to compose a field that a proxy before us did not see. */
static bool is_folded(const char *name, const char *value)
{
#if MHD_VERSION < 0x01000000
    return (uintptr_t)value < (uintptr_t)name;
#else
    return false;
#endif
}

static enum MHD_Result see_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct rw_http_exchange *x = cls;
    if (!value)
        value = "";
    if (is_folded(name, value) || has_control(value))
        x->framing.bad_name = true;
    rw_http_framing_field(&x->framing, name, value);
    return MHD_YES;
}

/* NULL, or why the head is refused, and how. */
static const char *check_head(struct rw_http_exchange *x, const char *version, unsigned *status)
{
    *status = 400;
    x->minor = strcmp(version, "HTTP/1.0") == 0 ? 0 : 1;
    MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, see_field, x);
    if (x->wrong_target)
        return x->wrong_target;
    const char *wrong = rw_http_framing_check(&x->framing, x->minor, status);
    if (wrong)
        return wrong;
    *status = 400;
    x->authority.port = -1;
    if (x->framing.host && (wrong = rw_http_authority_parse(&x->authority, x->framing.host)))
        return wrong;
    if (x->target.has_authority)
        x->authority = x->target.authority;
    return NULL;
}

/* Replies now, without reading the body; libmicrohttpd closes the connection after that. */
static enum MHD_Result reply_early(struct rw_http_exchange *x)
{
    x->c->linger = true;
    rw_http_enter(x->c, CONNECTION_BUSY);
    return x->cut ? MHD_NO : rw_http_queue(x);
}

static bool awaits_continue(const struct rw_http_exchange *x)
{
    return rw_http_header(x, "Expect") != NULL;
}

static enum MHD_Result take_head(struct rw_http_exchange *x, const char *method,
                                 const char *version)
{
    const struct rw_http_handler *h = &x->http->handler;
    unsigned status;
    x->head_seen = true;
    snprintf(x->method, sizeof x->method, "%s", method);
    const char *wrong = check_head(x, version, &status);
    if (wrong) {
        rw_http_error(x, status, "%s", wrong);
        return reply_early(x); /* where its body ends is not certain */
    }
    x->known = true;
    x->http->n_exchanges++;
    rw_http_set_deadline(x, x->http->options.deadline_ms);
    if (h->head)
        h->head(h->user, x);
    if (x->framing.length > x->body_limit)
        rw_http_error(x, 413, "the body has %llu bytes, at most %zu are taken here",
                      (unsigned long long)x->framing.length, x->body_limit);
    if (x->cut)
        return MHD_NO;
    if (!x->framing.chunked && x->framing.length == 0)
        return MHD_YES;
    if (x->phase == PHASE_REPLY &&
        (awaits_continue(x) || x->framing.chunked || x->framing.length > DROPPED_BODY))
        return reply_early(x);
    rw_http_enter(x->c, CONNECTION_BODY);
    return MHD_YES;
}

/* The body ---------------------------------------------------------------------------------- */

static enum MHD_Result take_body(struct rw_http_exchange *x, const char *data, size_t *size)
{
    size_t n = *size;
    *size = 0;
    if (x->cut || x->refused)
        return MHD_NO;
    if (x->phase != PHASE_READING)
        return MHD_YES; /* replied already: dropped */
    if (n > x->body_limit - x->body.size) {
        rw_http_refuse_now(x, 413, "the body is larger than is taken here");
        return MHD_NO;
    }
    struct rw_http *http = x->http;
    x->body_taken += n;
    http->bodies += n;
    if (http->bodies > http->options.bodies_bytes && http->bodies > x->body_taken) {
        rw_http_refuse_now(x, 503, "too much is being sent to this server at once");
        return MHD_NO;
    }
    rw_str_add(&x->body, data, n);
    if (x->body.failed) {
        rw_http_refuse_now(x, 503, "no memory for the body");
        return MHD_NO;
    }
    return MHD_YES;
}

static void suspend(struct rw_http_exchange *x)
{
    x->suspended = true;
    MHD_suspend_connection(x->mhd);
}

/* The request is whole, or its connection was resumed. */
static enum MHD_Result take_request(struct rw_http_exchange *x)
{
    const struct rw_http_handler *h = &x->http->handler;
    if (x->c->state != CONNECTION_BUSY)
        rw_http_enter(x->c, CONNECTION_BUSY);
    if (x->phase == PHASE_READING) {
        x->phase = PHASE_WAITING;
        h->request(h->user, x);
    }
    if (x->cut)
        return MHD_NO;
    if (x->phase == PHASE_REPLY)
        return rw_http_queue(x);
    suspend(x);
    return MHD_YES;
}

enum MHD_Result rw_http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **context)
{
    struct rw_http_exchange *x = *context;
    if (!x)
        return MHD_NO;
    if (!x->head_seen)
        return take_head(x, method, version);
    if (*size > 0)
        return take_body(x, data, size);
    return x->cut || x->refused ? MHD_NO : take_request(x);
}

/* The end ----------------------------------------------------------------------------------- */

void rw_http_abort(struct rw_http_exchange *x)
{
    if (x->phase == PHASE_OVER || x->cut)
        return;
    x->cut = true;
    /* Where libmicrohttpd waits for the socket this wakes it; where not, resuming does. */
    shutdown(x->c->fd, SHUT_RDWR);
    rw_http_resume(x);
}

void rw_http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code)
{
    struct rw_http_exchange *x = *context;
    if (!x)
        return;
    struct rw_http *http = x->http;
    struct connection *c = x->c;
    *context = NULL;
    c->x = NULL;
    x->whole =
        (x->phase == PHASE_SENDING && code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !x->cut) ||
        x->refused;
    if (x->whole && x->size > x->sent)
        x->sent = x->size;
    x->phase = PHASE_OVER;
    http->bodies -= x->body_taken;
    rw_timer_stop(http->loop, &x->deadline);
    rw_timer_stop(http->loop, &x->stall);
    if (x->known) {
        http->n_exchanges--;
        if (http->handler.gone)
            http->handler.gone(http->handler.user, x);
    }
    if (x->response)
        MHD_destroy_response(x->response);
    rw_http_target_fini(&x->target);
    rw_str_fini(&x->body);
    rw_str_fini(&x->fields);
    rw_str_fini(&x->out);
    rw_free(x);
    rw_http_enter(c, CONNECTION_IDLE); /* until its next request, or libmicrohttpd closes it */
}

/* What handlers ask ------------------------------------------------------------------------- */

const char *rw_http_method(const struct rw_http_exchange *x)
{
    return x->method;
}

const char *rw_http_path(const struct rw_http_exchange *x)
{
    return x->wrong_target ? "" : x->target.path;
}

const char *rw_http_query(const struct rw_http_exchange *x, const char *name)
{
    return x->wrong_target ? NULL : rw_http_target_query(&x->target, name);
}

const char *rw_http_header(const struct rw_http_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, name);
}

const char *rw_http_host(const struct rw_http_exchange *x)
{
    return x->authority.host;
}

int rw_http_host_port(const struct rw_http_exchange *x)
{
    return x->authority.port;
}

const char *rw_http_peer(const struct rw_http_exchange *x)
{
    return x->c->peer;
}

const char *rw_http_body(const struct rw_http_exchange *x, size_t *size)
{
    *size = x->body.size;
    return x->body.data ? x->body.data : "";
}

char *rw_http_take_body(struct rw_http_exchange *x, size_t *size)
{
    *size = x->body.size;
    return *size ? rw_str_take(&x->body) : NULL;
}

void rw_http_set_user(struct rw_http_exchange *x, void *user)
{
    x->user = user;
}

void *rw_http_user(const struct rw_http_exchange *x)
{
    return x->user;
}

void rw_http_limit_body(struct rw_http_exchange *x, size_t bytes)
{
    x->body_limit = bytes;
}

static void on_deadline(void *exchange)
{
    struct rw_http_exchange *x = exchange;
    if (x->http->handler.late)
        x->http->handler.late(x->http->handler.user, x);
    else if (x->phase < PHASE_REPLY)
        rw_http_error(x, 503, "the request took longer than this server allows");
    else
        rw_http_abort(x);
}

void rw_http_set_deadline(struct rw_http_exchange *x, uint64_t ms)
{
    if (ms && x->phase != PHASE_OVER)
        rw_timer_start(x->http->loop, &x->deadline, ms, 0, on_deadline, x);
    else
        rw_timer_stop(x->http->loop, &x->deadline);
}
