/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies. A small one is given to libmicrohttpd whole; a large one and a stream are drawn from
 * `out` by rw_http's reader as the client takes them. Where there is nothing to draw the connection
 * is suspended until there is.
 */
#include "server/http_int.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/status.h"

#define WHOLE_BYTES (16 << 10) /* replies up to this are given whole */
#define BLOCK_BYTES (32 << 10) /* drawn at once, at most */

/* Stalling ---------------------------------------------------------------------------------- */

static void on_stall(void *exchange);

/* The client took something, or there is something new: the time it may take begins anew. */
static void watch_stall(struct rw_http_exchange *x)
{
    uint64_t ms = x->http->options.stall_ms;
    bool waits = x->phase == PHASE_SENDING && (!x->streaming || x->ended || rw_http_buffered(x));
    if (waits && ms)
        rw_timer_start(x->http->loop, &x->stall, ms, 0, on_stall, x);
    else
        rw_timer_stop(x->http->loop, &x->stall);
}

static void on_stall(void *exchange)
{
    struct rw_http_exchange *x = exchange;
    watch_stall(x);
    if (x->http->handler.stalled)
        x->http->handler.stalled(x->http->handler.user, x);
    else
        rw_http_abort(x);
}

/* What libmicrohttpd draws from -------------------------------------------------------------- */

/* Forgets what was taken, seldom enough that moving the rest costs little. */
static void compact(struct rw_http_exchange *x)
{
    if (x->out_at == x->out.size) {
        rw_str_reset(&x->out);
        x->out_at = 0;
    } else if (x->out_at >= BLOCK_BYTES && x->out_at > x->out.size / 2) {
        x->out.size -= x->out_at;
        memmove(x->out.data, x->out.data + x->out_at, x->out.size + 1);
        x->out_at = 0;
    }
}

static ssize_t draw(void *exchange, uint64_t position, char *to, size_t max)
{
    struct rw_http_exchange *x = exchange;
    size_t n = RW_MIN(max, rw_http_buffered(x));
    if (x->cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n > 0) {
        memcpy(to, x->out.data + x->out_at, n);
        x->out_at += n;
        x->sent += n;
        if (x->streaming)
            compact(x);
        watch_stall(x);
        return (ssize_t)n;
    }
    if (x->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    x->suspended = true;
    MHD_suspend_connection(x->mhd);
    return 0;
}

/* Beginning a reply ------------------------------------------------------------------------- */

static bool may_reply(const struct rw_http_exchange *x)
{
    return x->phase <= PHASE_WAITING && !x->cut && !x->refused;
}

void rw_http_add_field(struct rw_http_exchange *x, const char *name, const char *value)
{
    rw_str_add(&x->fields, name, strlen(name) + 1);
    rw_str_add(&x->fields, value, strlen(value) + 1);
}

/* The next of what rw_http_add_field was given; *at begins with 0. */
static bool next_field(const struct rw_http_exchange *x, size_t *at, struct rw_http_field *field)
{
    if (*at == x->fields.size)
        return false;
    field->name = x->fields.data + *at;
    field->value = field->name + strlen(field->name) + 1;
    *at = (size_t)(field->value + strlen(field->value) + 1 - x->fields.data);
    return true;
}

static bool add_fields(const struct rw_http_exchange *x, struct MHD_Response *response,
                       const struct rw_http_field *fields)
{
    size_t at = 0;
    struct rw_http_field own;
    bool ok = !x->fields.failed;
    for (; ok && fields && fields->name; fields++)
        ok = MHD_add_response_header(response, fields->name, fields->value) == MHD_YES;
    while (ok && next_field(x, &at, &own))
        ok = MHD_add_response_header(response, own.name, own.value) == MHD_YES;
    if (ok && x->http->draining)
        ok = MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    return ok;
}

/* Takes `response` over. */
static bool decide(struct rw_http_exchange *x, unsigned status, struct MHD_Response *response,
                   const struct rw_http_field *fields)
{
    if (!response || !add_fields(x, response, fields)) {
        if (response)
            MHD_destroy_response(response);
        rw_http_abort(x);
        return false;
    }
    x->response = response;
    x->status = status;
    x->phase = PHASE_REPLY;
    rw_str_fini(&x->body);
    rw_http_resume(x); /* libmicrohttpd asks again, and is given the reply */
    return true;
}

enum MHD_Result rw_http_queue(struct rw_http_exchange *x)
{
    struct MHD_Response *response = x->response;
    x->response = NULL;
    x->phase = PHASE_SENDING;
    watch_stall(x);
    enum MHD_Result result = MHD_queue_response(x->mhd, x->status, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *whole_response(const void *body, size_t size)
{
    return MHD_create_response_from_buffer(size, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
}

static struct MHD_Response *drawn_response(struct rw_http_exchange *x, uint64_t size)
{
    return MHD_create_response_from_callback(size, BLOCK_BYTES, draw, x, NULL);
}

bool rw_http_reply_str(struct rw_http_exchange *x, unsigned status,
                       const struct rw_http_field *fields, struct rw_str *body)
{
    bool ok = false;
    if (may_reply(x) && body->failed) {
        rw_http_abort(x);
    } else if (may_reply(x)) {
        x->size = body->size;
        if (body->size <= WHOLE_BYTES) {
            ok =
                decide(x, status, whole_response(body->data ? body->data : "", body->size), fields);
        } else {
            x->out = *body;
            *body = (struct rw_str){0};
            ok = decide(x, status, drawn_response(x, x->size), fields);
        }
    }
    rw_str_fini(body);
    return ok;
}

bool rw_http_reply(struct rw_http_exchange *x, unsigned status, const struct rw_http_field *fields,
                   const void *body, size_t size)
{
    struct rw_str copy = {0};
    if (size > 0)
        rw_str_add(&copy, body, size);
    return rw_http_reply_str(x, status, fields, &copy);
}

/* Errors ------------------------------------------------------------------------------------ */

static const char *error_body(struct rw_http_exchange *x, unsigned status, const char *message,
                              struct rw_str *body)
{
    const struct rw_http_handler *handler = &x->http->handler;
    if (handler->error)
        return handler->error(handler->user, x, status, message, body);
    rw_str_adds(body, "{\"error\":{\"message\":\"");
    rw_str_add_json(body, message, strlen(message));
    rw_str_printf(body, "\",\"type\":\"%s\",\"param\":null,\"code\":null}}",
                  status >= 500 ? "server_error" : "invalid_request_error");
    return "application/json";
}

#define ERROR_FIELDS 8

/* Of every 503 made here: what failed for now may go well when it is asked again. */
static const struct rw_http_field retry = {"Retry-After", "1"};

bool rw_http_error_fields(struct rw_http_exchange *x, unsigned status,
                          const struct rw_http_field *fields, const char *message)
{
    size_t n = 0;
    struct rw_http_field all[ERROR_FIELDS + 3] = {{NULL, NULL}};
    struct rw_str body = {0};
    if (!may_reply(x))
        return false;
    all[n++] = (struct rw_http_field){"Content-Type", error_body(x, status, message, &body)};
    if (status == 503)
        all[n++] = retry;
    for (size_t i = 0; i < ERROR_FIELDS && fields && fields[i].name; i++)
        all[n++] = fields[i];
    return rw_http_reply_str(x, status, all, &body);
}

bool rw_http_error(struct rw_http_exchange *x, unsigned status, const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return rw_http_error_fields(x, status, NULL, message);
}

/* To a socket that nothing else is being sent to: what does not fit at once is lost, as it would be
 * with a client that does not read. */
static void send_now(struct rw_http_exchange *x, const struct rw_str *text)
{
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    ssize_t n;
    do
        n = tls ? gnutls_record_send(tls->tls_session, text->data, text->size)
                : send(x->c->fd, text->data, text->size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n == (tls ? GNUTLS_E_INTERRUPTED : -1) && (tls || errno == EINTR));
}

void rw_http_refuse_now(struct rw_http_exchange *x, unsigned status, const char *message)
{
    size_t at = 0;
    struct rw_http_field own;
    struct rw_str body = {0}, text = {0};
    if (x->refused || x->cut)
        return;
    const char *type = error_body(x, status, message, &body);
    rw_str_printf(&text,
                  "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n",
                  status, MHD_get_reason_phrase_for(status), type, body.size);
    if (status == 503)
        rw_str_printf(&text, "%s: %s\r\n", retry.name, retry.value);
    while (!x->fields.failed && next_field(x, &at, &own))
        rw_str_printf(&text, "%s: %s\r\n", own.name, own.value);
    rw_str_adds(&text, "\r\n");
    rw_str_add(&text, body.data, body.size);
    if (!text.failed && !body.failed)
        send_now(x, &text);
    x->refused = true;
    x->status = status;
    x->sent = body.size;
    x->c->linger = true;
    rw_str_fini(&x->body);
    rw_str_fini(&body);
    rw_str_fini(&text);
}

/* Streams ----------------------------------------------------------------------------------- */

bool rw_http_stream(struct rw_http_exchange *x, unsigned status, const struct rw_http_field *fields)
{
    if (!may_reply(x))
        return false;
    x->streaming = true;
    return decide(x, status,
                  strcmp(x->method, "HEAD") == 0 ? whole_response("", 0)
                                                 : drawn_response(x, MHD_SIZE_UNKNOWN),
                  fields);
}

bool rw_http_write(struct rw_http_exchange *x, const void *bytes, size_t n)
{
    bool open = (x->phase == PHASE_REPLY || x->phase == PHASE_SENDING) && x->streaming &&
                !x->ended && !x->cut;
    size_t waiting = rw_http_buffered(x);
    if (!open || (x->http->options.buffer_bytes && waiting >= x->http->options.buffer_bytes))
        return false;
    if (n == 0 || strcmp(x->method, "HEAD") == 0)
        return true;
    rw_str_add(&x->out, bytes, n);
    if (x->out.failed) {
        rw_http_abort(x);
        return false;
    }
    if (waiting == 0)
        watch_stall(x);
    rw_http_resume(x);
    return true;
}

void rw_http_end(struct rw_http_exchange *x)
{
    if (!x->streaming || x->ended || x->phase == PHASE_OVER)
        return;
    x->ended = true;
    watch_stall(x);
    rw_http_resume(x);
}

size_t rw_http_buffered(const struct rw_http_exchange *x)
{
    return x->out.size - x->out_at;
}

unsigned rw_http_status(const struct rw_http_exchange *x)
{
    return x->status;
}

uint64_t rw_http_sent(const struct rw_http_exchange *x)
{
    return x->sent;
}

bool rw_http_whole(const struct rw_http_exchange *x)
{
    return x->whole;
}
