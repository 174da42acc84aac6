/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: accepting them, the watchdog of slow heads, slow bodies and idleness, noticing that
 * a client left, and the lingering close. See http_int.h.
 */
#include "server/http_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

#define ACCEPT_AT_ONCE 64
#define ACCEPT_AGAIN_MS 100 /* after the system refused */
#define LINGER_MS 5000

/* Accepting --------------------------------------------------------------------------------- */

static bool is_full(const struct rw_http *http)
{
    return http->n_connections + http->n_lingering >= http->options.max_connections;
}

/* Listens, or does not while there is no room. */
static void update_listening(void *user)
{
    struct rw_http *http = user;
    bool pause = is_full(http) || http->listener_timer.running;
    if (http->listener_watch.active && pause != http->listener_paused) {
        rw_loop_change(http->loop, &http->listener_watch, pause ? 0 : EPOLLIN);
        http->listener_paused = pause;
    }
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct rw_http *http)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    int fd =
        accept4(http->listener, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rw_timer_start(http->loop, &http->listener_timer, ACCEPT_AGAIN_MS, 0, update_listening,
                           http);
        return errno == ECONNABORTED || errno == EINTR;
    }
    /* The socket is libmicrohttpd's from here on. Where it only notes the connection (1.0), running
     * it lets it begin, and be counted. */
    MHD_add_connection(http->daemon, fd, (struct sockaddr *)&address, size);
    rw_http_run(http);
    return true;
}

static void accept_ready(void *user, uint32_t events)
{
    struct rw_http *http = user;
    for (int i = 0; i < ACCEPT_AT_ONCE && !is_full(http) && accept_one(http); i++)
        ;
    update_listening(http);
}

rwkv_status rw_http_accept_start(struct rw_http *http, rwkv_error *err)
{
    return rw_loop_watch(http->loop, &http->listener_watch, http->listener, EPOLLIN, accept_ready,
                         http, err);
}

void rw_http_accept_stop(struct rw_http *http)
{
    rw_timer_stop(http->loop, &http->listener_timer);
    rw_loop_unwatch(http->loop, &http->listener_watch);
}

/* Lingering --------------------------------------------------------------------------------- */

static void end_linger(void *user)
{
    struct lingerer *l = user;
    struct rw_http *http = l->http;
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
    http->n_lingering--;
    rw_timer_stop(http->loop, &l->timer);
    int fd = l->watch.fd;
    rw_loop_unwatch(http->loop, &l->watch);
    close(fd);
    rw_free(l);
    update_listening(http);
}

static void drop_input(void *user, uint32_t events)
{
    static char nowhere[64 << 10]; /* written, never read */
    struct lingerer *l = user;
    ssize_t n = recv(l->watch.fd, nowhere, sizeof nowhere, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end_linger(l);
}

/* A descriptor of our own keeps the connection open when libmicrohttpd closes its. */
static void begin_linger(struct rw_http *http, int socket_fd)
{
    struct lingerer *l = rw_calloc(1, sizeof *l);
    int fd = l ? fcntl(socket_fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0 ||
        rw_loop_watch(http->loop, &l->watch, fd, EPOLLIN, drop_input, l, NULL) != RWKV_OK) {
        if (fd >= 0)
            close(fd);
        rw_free(l);
        return;
    }
    shutdown(fd, SHUT_WR);
    l->http = http;
    l->next = http->lingering;
    l->link = &http->lingering;
    if (l->next)
        l->next->link = &l->next;
    http->lingering = l;
    http->n_lingering++;
    rw_timer_start(http->loop, &l->timer, LINGER_MS, 0, end_linger, l);
}

void rw_http_linger_stop(struct rw_http *http)
{
    while (http->lingering)
        end_linger(http->lingering);
}

/* States ------------------------------------------------------------------------------------ */

static void client_left(struct connection *c)
{
    if (c->x)
        rw_http_abort(c->x);
    else
        shutdown(c->fd, SHUT_RDWR);
}

static void on_time(void *user);

static void wait_half_closed(struct connection *c)
{
    uint64_t ms = c->http->options.half_closed_ms;
    if (ms)
        rw_timer_start(c->http->loop, &c->timer, ms, 0, on_time, c);
}

/* The time of a state is over. */
static void on_time(void *user)
{
    struct connection *c = user;
    if (c->state == CONNECTION_BUSY) {
        /* Its sending side has been shut for a while. If it took something since, it was not
         * closed: that would have brought a reset. What is there for it is sent first. */
        if (c->x && rw_http_buffered(c->x) > 0)
            wait_half_closed(c);
        else if (!c->x || c->x->sent == c->sent_then)
            client_left(c);
    } else if (c->state == CONNECTION_BODY && c->x) {
        /* Whatever it does next ends the connection; doing nothing, too. */
        rw_http_refuse_now(c->x, 408, "the body was not whole in time");
        shutdown(c->fd, SHUT_WR);
        rw_http_enter(c, CONNECTION_HEAD);
    } else {
        shutdown(c->fd, SHUT_RDWR);
    }
}

static void on_socket(void *user, uint32_t events)
{
    struct connection *c = user;
    if (c->state == CONNECTION_IDLE) {
        if (events & EPOLLIN)
            rw_http_enter(c, CONNECTION_HEAD);
    } else if (c->state == CONNECTION_BUSY) {
        if (events & (EPOLLHUP | EPOLLERR)) {
            client_left(c);
        } else if (events & EPOLLRDHUP && !c->half_closed && c->x) {
            c->half_closed = true;
            c->sent_then = c->x->sent;
            wait_half_closed(c);
        }
    }
}

static void watch_for(struct connection *c, uint32_t events)
{
    if (c->watch.active)
        rw_loop_change(c->http->loop, &c->watch, events);
}

void rw_http_enter(struct connection *c, enum connection_state state)
{
    const struct rw_http_options *o = &c->http->options;
    uint64_t ms = state == CONNECTION_IDLE   ? o->idle_ms
                  : state == CONNECTION_HEAD ? o->head_ms
                  : state == CONNECTION_BODY ? o->body_ms
                                             : 0;
    c->state = state;
    if (ms)
        rw_timer_start(c->http->loop, &c->timer, ms, 0, on_time, c);
    else
        rw_timer_stop(c->http->loop, &c->timer);
    if (state == CONNECTION_IDLE) {
        /* The first byte of a head, once. */
        c->half_closed = false;
        watch_for(c, EPOLLIN | EPOLLONESHOT);
        if (c->http->draining)
            shutdown(c->fd, SHUT_RDWR);
    } else if (state == CONNECTION_BUSY) {
        /* A unix socket says of itself whether the other end is closed or only half. */
        uint32_t leaving = c->http->family == AF_UNIX ? 0 : EPOLLRDHUP;
        watch_for(c, leaving | EPOLLET);
    }
}

static void name_peer(struct connection *c, const struct sockaddr *address)
{
    const struct sockaddr_in6 *v6 = (const void *)address;
    const struct sockaddr_in *v4 = (const void *)address;
    int family = address ? address->sa_family : AF_UNIX;
    if (family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, c->peer, sizeof c->peer);
    else if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, c->peer, sizeof c->peer);
    else if (family == AF_INET6)
        inet_ntop(AF_INET6, &v6->sin6_addr, c->peer, sizeof c->peer);
    else
        snprintf(c->peer, sizeof c->peer, "unix");
}

static void begin(struct rw_http *http, struct MHD_Connection *mhd, void **context)
{
    int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct connection *c = rw_calloc(1, sizeof *c);
    *context = c;
    if (!c) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    c->http = http;
    c->mhd = mhd;
    c->fd = fd;
    name_peer(c, MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    c->next = http->connections;
    c->link = &http->connections;
    if (c->next)
        c->next->link = &c->next;
    http->connections = c;
    http->n_connections++;
    rw_loop_watch(http->loop, &c->watch, c->fd, 0, on_socket, c, NULL);
    /* What has come with the connection libmicrohttpd may read before our loop sees it. */
    char byte;
    bool begun = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    rw_http_enter(c, begun ? CONNECTION_HEAD : CONNECTION_IDLE);
    if (!c->watch.active) /* the system has no memory for that */
        shutdown(c->fd, SHUT_RDWR);
}

static void end(struct rw_http *http, struct connection *c)
{
    rw_timer_stop(http->loop, &c->timer);
    rw_loop_unwatch(http->loop, &c->watch);
    if (c->linger && !http->closing)
        begin_linger(http, c->fd);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    http->n_connections--;
    rw_free(c);
    update_listening(http);
}

void rw_http_on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                           enum MHD_ConnectionNotificationCode code)
{
    struct rw_http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin(http, mhd, context);
    } else if (*context) {
        end(http, *context);
        *context = NULL;
    }
}
