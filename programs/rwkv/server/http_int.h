/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of http.h, shared by http*.c, the only files that see libmicrohttpd.
 *
 * We accept connections ourselves and give them to libmicrohttpd, which runs them in an epoll set
 * of its own; that set's descriptor is watched by our loop. Beside that, our loop watches each
 * connection's socket for what libmicrohttpd does not see: the first byte of a head (it does not
 * tell, and its timeout starts anew with every byte), and the client leaving while its connection
 * is suspended. A connection is ended by shutting its socket down: libmicrohttpd notices, and
 * closes it in its own time.
 */
#ifndef RW_SERVER_HTTP_INT_H
#define RW_SERVER_HTTP_INT_H

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include "server/http.h"
#include "server/http_head.h"

#if MHD_VERSION < 0x00097500
#error "libmicrohttpd 0.9.75 or later is needed"
#endif

struct connection;

/* A connection closed before its request was read whole: what still comes is read and dropped for
 * a while, or the reset that it would cause could overtake the reply. */
struct lingerer {
    struct rw_http *http;
    struct rw_watch watch;
    struct rw_timer timer;
    struct lingerer *next, **link;
};

struct rw_http {
    struct rw_loop *loop;
    struct rw_http_options options; /* its texts are not kept */
    struct rw_http_handler handler;
    struct MHD_Daemon *daemon;
    struct rw_watch daemon_watch; /* its epoll set */
    struct rw_timer daemon_timer; /* when it wants to run anyway */
    bool resumed;                 /* a connection, since it ran: it is to run again */
    char log[256];                /* the last message of libmicrohttpd */

    int listener; /* -1: none any more */
    struct rw_watch listener_watch;
    struct rw_timer listener_timer; /* try again after a failure */
    bool listener_paused;
    int family;
    unsigned port;
    char *url, *unix_path;
    uint64_t unix_device, unix_inode; /* of the socket we made */

    struct connection *connections;
    struct lingerer *lingering;
    size_t n_connections, n_lingering, n_exchanges;
    size_t bodies; /* bytes, of all exchanges */
    bool draining, closing;
};

enum connection_state {
    CONNECTION_IDLE, /* no byte of a request yet */
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_BUSY /* the request is whole */
};

struct connection {
    struct rw_http *http;
    struct MHD_Connection *mhd;
    struct connection *next, **link;
    int fd; /* libmicrohttpd's */
    enum connection_state state;
    struct rw_watch watch;
    struct rw_timer timer;      /* of the state */
    struct rw_http_exchange *x; /* the present one, or NULL */
    bool linger;                /* when it closes */
    bool half_closed;
    uint64_t sent_then; /* rw_http_sent when it was half closed */
    char peer[INET6_ADDRSTRLEN];
};

enum phase {
    PHASE_READING,
    PHASE_WAITING, /* `request` was told */
    PHASE_REPLY,   /* the reply is decided, libmicrohttpd not told */
    PHASE_SENDING,
    PHASE_OVER
};

struct rw_http_exchange {
    struct rw_http *http;
    struct connection *c;
    struct MHD_Connection *mhd;
    enum phase phase;
    bool head_seen;
    bool known; /* to the handler: owed a call of `gone` */
    bool suspended;
    bool cut;     /* aborted: libmicrohttpd is to close the connection as soon as it asks */
    bool refused; /* past libmicrohttpd, which is to close the connection, too */
    void *user;

    char method[32]; /* cut to that */
    unsigned minor;  /* of HTTP/1.x */
    const char *wrong_target;
    struct rw_http_target target;
    struct rw_http_framing framing;
    struct rw_http_authority authority;
    struct rw_str body;
    size_t body_limit, body_taken; /* bytes */
    struct rw_timer deadline, stall;
    struct rw_str fields; /* of the reply: names and values, each with a zero byte behind it */

    unsigned status;
    struct MHD_Response *response; /* between PHASE_REPLY and PHASE_SENDING */
    struct rw_str out;             /* what the client is to get … */
    size_t out_at;                 /* … from here on */
    bool streaming, ended;
    uint64_t sent, size; /* size: of a reply that goes out in one piece */
    bool whole;
};

/* http.c: lets libmicrohttpd do what there is to do. Not from within its calls. */
void rw_http_run(struct rw_http *http);
/* Resumes the connection if it is suspended. */
void rw_http_resume(struct rw_http_exchange *x);

/* http_listen.c: the socket, and files of keys. */
rwkv_status rw_http_listen(struct rw_http *http, const struct rw_http_options *o, rwkv_error *err);
void rw_http_unlisten(struct rw_http *http);
rwkv_status rw_http_read_pem(const char *path, const char *what, char **out, rwkv_error *err);

/* http_connection.c */
rwkv_status rw_http_accept_start(struct rw_http *http, rwkv_error *err);
void rw_http_accept_stop(struct rw_http *http);
void rw_http_linger_stop(struct rw_http *http);
void rw_http_on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                           enum MHD_ConnectionNotificationCode code);
/* Enters a state: its timer and what is watched for. */
void rw_http_enter(struct connection *c, enum connection_state state);

/* http_exchange.c: what libmicrohttpd calls. */
void *rw_http_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result rw_http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **context);
void rw_http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code);

/* http_reply.c */
/* Answers an error past libmicrohttpd, which takes no reply while a body is read; the connection is
 * to be closed then. */
void rw_http_refuse_now(struct rw_http_exchange *x, unsigned status, const char *message);
/* Gives libmicrohttpd the reply that was decided. */
enum MHD_Result rw_http_queue(struct rw_http_exchange *x);

#endif
