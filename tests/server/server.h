/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the HTTP layer share: a server of a few routes, its loop in a thread of its
 * own, and a client on plain sockets (or TLS) in the test's thread.
 *
 *     struct server s;
 *     server_start(&s, &options);                 // options.port 0, or a unix socket
 *     int fd = client_connect(&s);
 *     client_send(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
 *     struct reply r = client_read(fd, false);    // false: not the answer to HEAD
 *     …
 *     reply_free(&r); close(fd);
 *     server_stop(&s);
 *
 * Nothing here waits for a time to pass and then expects something: what has to happen is waited
 * for, a minute at most, and what has to come first is made to happen in that order by the loop.
 *
 * Routes: /hello; /echo (the body); /info (what was understood of the head); /large?n=; /hold (no
 * reply); /release (replies to the last /hold, then to itself); /delay?ms= (a reply later);
 * /tick?n=&ms= (a stream of n lines); /flood (a stream as fast as it is taken, for ever);
 * /pattern?seed=&n= (n bytes in pieces with pauses, both random); /denied (401 from `head`); /small
 * (bodies of 10 bytes at most); /big (of 64 MiB).
 */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include "unit/unit.h"

#include <pthread.h>
#include <stdbool.h>

#include "server/http.h"

struct server {
    struct rw_loop *loop;
    struct rw_http *http;
    struct rw_http_handler handler; /* to be changed between server_init and server_open */
    struct rw_http_options options;
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex: */
    unsigned requests, gone, gone_whole, stalled, late, refused_writes;
    unsigned last_status;
    bool gone_in_time;             /* the last: before a second had passed since it was watched */
    struct rw_http_exchange *held; /* the last of /hold, on the loop's thread */
};

struct reply {
    unsigned status; /* 0: the connection closed without one */
    char *head, *body;
    size_t size;
    bool whole; /* as its framing says */
};

/* A server of the routes above; init, open = start. */
void server_init(struct server *s, const struct rw_http_options *options);
void server_open(struct server *s);
void server_start(struct server *s, const struct rw_http_options *options);
void server_stop(struct server *s);
/* Runs `fn` on the loop's thread and waits for it. */
void server_do(struct server *s, void (*fn)(struct server *s));
/* Waits until a counter reaches `n`. */
void server_wait(struct server *s, const unsigned *counter, unsigned n);
struct rw_http_options server_options(void); /* the defaults, but port 0 */

/* A temporary folder, removed with what is in it by server_rmdir. */
void server_mkdir(char path[64]);
void server_rmdir(const char *path);

int client_connect(const struct server *s);
int client_connect_unix(const char *path);
void client_send(int fd, const char *text);
bool client_try_send(int fd, const void *bytes, size_t n); /* false: the connection is closed */
struct reply client_read(int fd, bool head_only);
/* Sends a request, reads the reply. */
struct reply client_ask(int fd, const char *method, const char *target, const char *fields,
                        const char *body);
void reply_free(struct reply *r);
const char *reply_field(const struct reply *r, const char *name, char value[256]);
/* The reply has this status and our form of an error; frees it. */
void reply_is_error(struct reply *r, unsigned status);
/* The byte at a place of /large and /pattern. */
char pattern_at(unsigned seed, size_t i);

#endif
