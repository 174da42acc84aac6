/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: descriptors, timers, messages from other threads, signals. Everything but
 * rw_loop_post belongs to the thread that runs the loop.
 *
 *     struct rw_loop *loop;
 *     RW_TRY(rw_loop_new(&loop, err));
 *     rw_loop_watch(loop, &watch, fd, EPOLLIN, readable, user, err);
 *     rw_timer_start(loop, &timer, 250, 0, late, user);
 *     status = rw_loop_run(loop, err);      // until rw_loop_stop
 *     rw_loop_free(loop);
 *
 * A turn of the loop has one order: messages as they were posted; then descriptors; then timers by
 * when they are due, those due at once by when they were started. What a turn adds (a message
 * posted by a message, a timer of 0 ms started by a timer) waits for the next turn, so no chain of
 * events keeps descriptors waiting. Something that is unwatched, changed or stopped is not called
 * any more, even if its event had already come in.
 *
 * Watches, timers and messages are in the caller's memory and stay there until they are unwatched,
 * stopped or delivered; nothing but rw_loop_watch can fail.
 */
#ifndef RW_SERVER_LOOP_H
#define RW_SERVER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "server/loop_timers.h"
#include "rwkv.h"

struct rw_loop;

/* A descriptor that is watched. */
struct rw_watch {
    int fd;
    void (*fn)(void *user, uint32_t events);
    void *user;
    bool active;
};

/* Something said by another thread. */
struct rw_message {
    void (*fn)(struct rw_message *message);
    struct rw_message *next;
};

rwkv_status rw_loop_new(struct rw_loop **out, rwkv_error *err);
/* NULL is fine. Messages that were posted and not delivered are not: their owners free them. */
void rw_loop_free(struct rw_loop *loop);

/* Runs until rw_loop_stop; may then be run again. Fails only where the system does. */
rwkv_status rw_loop_run(struct rw_loop *loop, rwkv_error *err);
/* The run ends with this turn. From another thread: by a message. */
void rw_loop_stop(struct rw_loop *loop);

/* Call `fn` with what of `events` (EPOLLIN … of <sys/epoll.h>, and EPOLLET, EPOLLONESHOT) comes. A
 * descriptor may be watched once; it is unwatched before it is closed. */
rwkv_status rw_loop_watch(struct rw_loop *loop, struct rw_watch *watch, int fd, uint32_t events,
                          void (*fn)(void *user, uint32_t events), void *user, rwkv_error *err);
/* Other events from now on; also arms EPOLLET and EPOLLONESHOT again. */
void rw_loop_change(struct rw_loop *loop, struct rw_watch *watch, uint32_t events);
void rw_loop_unwatch(struct rw_loop *loop, struct rw_watch *watch); /* not watched: fine */

/* Call `fn` in `ms` milliseconds, never earlier, and every `every_ms` after that (0: once; where
 * the loop was late, repetitions are left out, not made up for). A running timer starts anew. */
void rw_timer_start(struct rw_loop *loop, struct rw_timer *timer, uint64_t ms, uint64_t every_ms,
                    void (*fn)(void *user), void *user);
void rw_timer_stop(struct rw_loop *loop, struct rw_timer *timer); /* not running: fine */

/* From any thread: have message->fn called on the loop's thread. The message is the loop's until
 * then; its function may free or post it again. */
void rw_loop_post(struct rw_loop *loop, struct rw_message *message);

/* Call `fn` for SIGINT, SIGTERM and SIGHUP in place of what they do. They are blocked in this
 * thread, and so in those it starts afterwards; rw_loop_free puts things back. */
rwkv_status rw_loop_signals(struct rw_loop *loop, void (*fn)(void *user, int signal), void *user,
                            rwkv_error *err);

#endif
