/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for a server of one thread: libmicrohttpd behind one noun, the exchange (a request and
 * its reply), run by our event loop. Everything here belongs to the loop's thread. A whole server:
 *
 *     #include "server/http.h"
 *
 *     static void greet(void *user, struct rw_http_exchange *x)
 *     {
 *         const char *name = rw_http_query(x, "name");
 *         struct rw_http_field fields[] = {{"Content-Type", "text/plain"}, {NULL, NULL}};
 *         if (strcmp(rw_http_path(x), "/hello") != 0) {
 *             rw_http_error(x, 404, "there is no %s here", rw_http_path(x));
 *         } else if (rw_http_stream(x, 200, fields)) {
 *             rw_http_write(x, "Hello, ", 7);
 *             rw_http_write(x, name ? name : "you", strlen(name ? name : "you"));
 *             rw_http_end(x);
 *         }
 *     }
 *
 *     static rwkv_status serve(struct rw_loop *loop, struct rw_http **http, rwkv_error *err)
 *     {
 *         struct rw_http_handler handler = {.request = greet};
 *         struct rw_http_options options = rw_http_defaults();
 *         options.port = 0;
 *         return rw_http_open(http, loop, &options, &handler, err);
 *     }
 *
 * The life of an exchange: `head` (the head is whole; set limits, or reply at once), `request` (the
 * body is whole), then a reply at any time: rw_http_reply or rw_http_error, whole, or
 * rw_http_stream, writes, rw_http_end. `gone` comes once for every exchange that `head` was told
 * of, or `request` without `head`: the reply is sent, or the client left, or it was aborted. The
 * exchange must not be used after that. Until then every function may be called in every state;
 * those that come too late do nothing.
 *
 * What a client that leaves looks like: where both directions are closed (a reset, a closed unix
 * socket) the exchange is gone at once. A TCP client that will send no more (FIN) has usually been
 * closed, but may only have shut its sending side. It is given half_closed_ms to take something of
 * the reply: what is sent to one that was closed brings a reset. If nothing was sent in that time,
 * because nothing was ready, it counts as gone. A unix socket tells the two apart: one whose
 * sending side alone is shut gets its reply whenever that is ready.
 */
#ifndef RW_SERVER_HTTP_H
#define RW_SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rwkv.h"
#include "server/loop.h"

struct rw_http;
struct rw_http_exchange;

struct rw_http_field {
    const char *name, *value;
};

/* Texts are borrowed during rw_http_open. All times in milliseconds; 0: no limit. */
struct rw_http_options {
    const char *host;      /* an address or a name; "::" takes IPv4 too; ignored for unix sockets */
    unsigned port;         /* 0: any free one */
    const char *unix_path; /* not NULL: a unix socket there; one nobody listens on is replaced */
    unsigned unix_mode;    /* its permissions */
    const char *cert_file, *key_file; /* both: TLS. PEM; the certificate with its chain */
    unsigned max_connections;         /* others wait until one closes */
    size_t head_bytes;                /* of a request's head, roughly, at most */
    size_t body_bytes;                /* of a request's body, unless `head` says otherwise */
    size_t bodies_bytes;              /* of all bodies of requests under way, unless it is one
                                         alone: else 503 */
    size_t buffer_bytes;              /* a stream may hold that its client has not taken */
    uint64_t idle_ms;                 /* a connection may wait for the next request */
    uint64_t head_ms;                 /* from the first byte of a head to its last */
    uint64_t body_ms;                 /* likewise a body */
    uint64_t stall_ms;                /* a client may take nothing of what is there for it */
    uint64_t deadline_ms;    /* from a whole head to a whole reply; see rw_http_set_deadline */
    uint64_t half_closed_ms; /* see above */
};

/* 127.0.0.1:8080, 4,096 connections, heads of 32 KiB, bodies of 1 MiB, all bodies 1 GiB, buffers of
 * 4 MiB; idle 75 s, head 10 s, body 60 s, stall 30 s, half closed 0.5 s, no deadline; mode 0600. */
struct rw_http_options rw_http_defaults(void);

/* All may be NULL but `request`. */
struct rw_http_handler {
    void *user;
    /* The head is whole and sound: the place for Host and Origin lists, keys, body limits. May
     * reply; the body is then not kept. */
    void (*head)(void *user, struct rw_http_exchange *x);
    void (*request)(void *user, struct rw_http_exchange *x);
    void (*gone)(void *user, struct rw_http_exchange *x);
    /* The client takes nothing (stall_ms). NULL: it is aborted. Comes again after each stall_ms. */
    void (*stalled)(void *user, struct rw_http_exchange *x);
    /* The deadline has come. NULL: 503 where no reply has begun, else aborted. */
    void (*late)(void *user, struct rw_http_exchange *x);
    /* Writes the body of an error; returns its content type. NULL: OpenAI's form,
     * {"error":{"message":…,"type":…,"param":null,"code":null}}. For every error made here, and
     * rw_http_error. Of a malformed target the path is "". */
    const char *(*error)(void *user, struct rw_http_exchange *x, unsigned status,
                         const char *message, struct rw_str *body);
};

/* Listens; the loop does the rest. */
rwkv_status rw_http_open(struct rw_http **out, struct rw_loop *loop,
                         const struct rw_http_options *options,
                         const struct rw_http_handler *handler, rwkv_error *err);
/* Ends what is open, telling `gone`, and removes the unix socket. Not from within a call of a
 * handler. NULL is fine. */
void rw_http_close(struct rw_http *http);
/* Takes no new connection; closes those that wait for a request now, others after their reply. */
void rw_http_drain(struct rw_http *http);
const char *rw_http_url(const struct rw_http *http); /* "http://127.0.0.1:8080", "unix:/run/…" */
unsigned rw_http_port(const struct rw_http *http);   /* the real one; 0: unix socket */
size_t rw_http_connections(const struct rw_http *http);
size_t rw_http_exchanges(const struct rw_http *http); /* begun, and not yet gone */

/* The request. Texts live as long as the exchange. */
const char *rw_http_method(const struct rw_http_exchange *x);
const char *rw_http_path(const struct rw_http_exchange *x); /* decoded, without the query */
/* The value of a parameter of the query, decoded; the first of several; NULL: none. */
const char *rw_http_query(const struct rw_http_exchange *x, const char *name);
/* The value of a field, its name in any case; the first of several; NULL: none. */
const char *rw_http_header(const struct rw_http_exchange *x, const char *name);
/* The host that the client meant, in lower case, without port or brackets; "" (HTTP/1.0): none. */
const char *rw_http_host(const struct rw_http_exchange *x);
int rw_http_host_port(const struct rw_http_exchange *x);    /* -1: none was given */
const char *rw_http_peer(const struct rw_http_exchange *x); /* its address, or "unix" */
/* The body, in `request` and after; terminated by a zero byte that *size leaves out. */
const char *rw_http_body(const struct rw_http_exchange *x, size_t *size);
/* Gives the body away, to be freed with rw_free; NULL if it is empty. */
char *rw_http_take_body(struct rw_http_exchange *x, size_t *size);

/* What the handler keeps with an exchange; NULL at first. */
void rw_http_set_user(struct rw_http_exchange *x, void *user);
void *rw_http_user(const struct rw_http_exchange *x);

/* A field of the reply, whichever it will be; copied. Before it is decided. */
void rw_http_add_field(struct rw_http_exchange *x, const char *name, const char *value);
/* In `head`: a larger body is answered 413, as soon as that is known. */
void rw_http_limit_body(struct rw_http_exchange *x, size_t bytes);
/* `late` comes in so many milliseconds from now; 0: never. */
void rw_http_set_deadline(struct rw_http_exchange *x, uint64_t ms);

/* The reply. `fields` ends with a NULL name, or is NULL; Content-Length, Date and Connection are
 * added. A HEAD request gets the head alone. Each is true if it took: false if a reply had begun,
 * the client is gone, a field has control characters, or there is no memory (then it is aborted).
 */
bool rw_http_reply(struct rw_http_exchange *x, unsigned status, const struct rw_http_field *fields,
                   const void *body, size_t size);
/* As rw_http_reply; the body's memory goes over, and `body` is empty afterwards in any case. */
bool rw_http_reply_str(struct rw_http_exchange *x, unsigned status,
                       const struct rw_http_field *fields, struct rw_str *body);
bool rw_http_error(struct rw_http_exchange *x, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As rw_http_error with fields of its own, as Allow; Content-Type is added, to 503 Retry-After. */
bool rw_http_error_fields(struct rw_http_exchange *x, unsigned status,
                          const struct rw_http_field *fields, const char *message);

/* A reply in pieces, sent as they come. */
bool rw_http_stream(struct rw_http_exchange *x, unsigned status,
                    const struct rw_http_field *fields);
/* Copies. False: nothing is streamed, or buffer_bytes are waiting already (nothing was taken). */
bool rw_http_write(struct rw_http_exchange *x, const void *bytes, size_t n);
void rw_http_end(struct rw_http_exchange *x);
/* Bytes written that the client's connection has not taken yet. */
size_t rw_http_buffered(const struct rw_http_exchange *x);
/* Closes the connection as it is; the client sees that the reply is not whole. */
void rw_http_abort(struct rw_http_exchange *x);

/* How it went, for logs; in `gone` these are final. */
unsigned rw_http_status(const struct rw_http_exchange *x); /* 0: no reply began */
uint64_t rw_http_sent(const struct rw_http_exchange *x);   /* bytes of the reply's body */
bool rw_http_whole(const struct rw_http_exchange *x);      /* all of the reply was sent */

#endif
