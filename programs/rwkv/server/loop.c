/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop over epoll. Timers are kept in a heap and are the timeout of epoll_wait; an
 * eventfd tells of messages, a signalfd of signals. See loop.h for the order of a turn.
 */
#include "server/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

#define EVENTS 64 /* taken from the system at once */

struct rw_loop {
    int epoll;
    bool stop;
    struct epoll_event events[EVENTS]; /* of this turn; data.ptr is NULL once withdrawn */
    int n_events;
    struct rw_timer *timers;
    uint64_t order; /* of the next timer to be started */
    struct rw_watch wake;
    pthread_mutex_t mutex; /* over the messages */
    struct rw_message *messages, **messages_end;
    struct rw_watch signals;
    sigset_t old_mask;
    void (*on_signal)(void *user, int signal);
    void *on_signal_user;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Messages ---------------------------------------------------------------------------------- */

static void wake(struct rw_loop *loop)
{
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(loop->wake.fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

static void clear_wake(void *user, uint32_t events)
{
    struct rw_loop *loop = user;
    uint64_t count;
    ssize_t n;
    do
        n = read(loop->wake.fd, &count, sizeof count);
    while (n < 0 && errno == EINTR);
}

static struct rw_message *take_messages(struct rw_loop *loop)
{
    pthread_mutex_lock(&loop->mutex);
    struct rw_message *first = loop->messages;
    loop->messages = NULL;
    loop->messages_end = &loop->messages;
    pthread_mutex_unlock(&loop->mutex);
    return first;
}

static bool has_messages(struct rw_loop *loop)
{
    pthread_mutex_lock(&loop->mutex);
    bool has = loop->messages != NULL;
    pthread_mutex_unlock(&loop->mutex);
    return has;
}

static void deliver_messages(struct rw_loop *loop)
{
    struct rw_message *next = take_messages(loop);
    while (next) {
        struct rw_message *message = next;
        next = message->next;
        message->fn(message);
    }
}

void rw_loop_post(struct rw_loop *loop, struct rw_message *message)
{
    message->next = NULL;
    pthread_mutex_lock(&loop->mutex);
    *loop->messages_end = message;
    loop->messages_end = &message->next;
    wake(loop); /* under the mutex: the loop cannot have gone in between */
    pthread_mutex_unlock(&loop->mutex);
}

/* Descriptors ------------------------------------------------------------------------------- */

rwkv_status rw_loop_watch(struct rw_loop *loop, struct rw_watch *watch, int fd, uint32_t events,
                          void (*fn)(void *user, uint32_t events), void *user, rwkv_error *err)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "cannot watch descriptor %d: %s", fd, strerror(errno));
    *watch = (struct rw_watch){.fd = fd, .fn = fn, .user = user, .active = true};
    return RWKV_OK;
}

/* Events of this turn that came before a change say nothing about what is true after it. */
static void withdraw(struct rw_loop *loop, const struct rw_watch *watch)
{
    for (int i = 0; i < loop->n_events; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

void rw_loop_change(struct rw_loop *loop, struct rw_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    assert(watch->active);
    int failed = epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
    assert(!failed); /* the descriptor was closed without being unwatched */
    (void)failed;
    withdraw(loop, watch);
}

void rw_loop_unwatch(struct rw_loop *loop, struct rw_watch *watch)
{
    if (!watch->active)
        return;
    int failed = epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    assert(!failed);
    (void)failed;
    withdraw(loop, watch);
    watch->active = false;
}

static void deliver_events(struct rw_loop *loop)
{
    for (int i = 0; i < loop->n_events; i++) {
        struct rw_watch *watch = loop->events[i].data.ptr;
        if (watch)
            watch->fn(watch->user, loop->events[i].events);
    }
    loop->n_events = 0;
}

/* Timers ------------------------------------------------------------------------------------ */

void rw_timer_start(struct rw_loop *loop, struct rw_timer *timer, uint64_t ms, uint64_t every_ms,
                    void (*fn)(void *user), void *user)
{
    rw_timer_stop(loop, timer);
    timer->due = now_ns() + ms * 1000000u;
    timer->order = loop->order++;
    timer->every = every_ms * 1000000u;
    timer->fn = fn;
    timer->user = user;
    rw_timers_add(&loop->timers, timer);
}

void rw_timer_stop(struct rw_loop *loop, struct rw_timer *timer)
{
    if (timer->running)
        rw_timers_remove(&loop->timers, timer);
}

static void deliver_timers(struct rw_loop *loop)
{
    const uint64_t now = now_ns(), end = loop->order;
    struct rw_timer *t;
    /* A timer started in this turn has an order of at least `end`, and one that is due by `now`
     * was started by it, unless it is of 0 ms. */
    while ((t = loop->timers) && t->due <= now && t->order < end) {
        rw_timers_remove(&loop->timers, t);
        if (t->every) {
            t->due += t->every;
            if (t->due <= now)
                t->due = now + t->every;
            t->order = loop->order++;
            rw_timers_add(&loop->timers, t);
        }
        t->fn(t->user);
    }
}

/* Milliseconds until the first timer is due, rounded up; -1: there is none. */
static int time_left(const struct rw_loop *loop)
{
    if (!loop->timers)
        return -1;
    uint64_t now = now_ns();
    if (loop->timers->due <= now)
        return 0;
    uint64_t ms = (loop->timers->due - now + 999999) / 1000000;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Signals ----------------------------------------------------------------------------------- */

static void read_signals(void *user, uint32_t events)
{
    struct rw_loop *loop = user;
    struct signalfd_siginfo info;
    if (read(loop->signals.fd, &info, sizeof info) == (ssize_t)sizeof info)
        loop->on_signal(loop->on_signal_user, (int)info.ssi_signo);
}

rwkv_status rw_loop_signals(struct rw_loop *loop, void (*fn)(void *user, int signal), void *user,
                            rwkv_error *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t set;
    assert(!loop->signals.active);
    sigemptyset(&set);
    for (size_t i = 0; i < RW_COUNT(signals); i++)
        sigaddset(&set, signals[i]);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return rw_fail(err, RWKV_ERROR_IO, "cannot listen for signals: %s", strerror(errno));
    rwkv_status status = rw_loop_watch(loop, &loop->signals, fd, EPOLLIN, read_signals, loop, err);
    if (status != RWKV_OK) {
        close(fd);
        return status;
    }
    pthread_sigmask(SIG_BLOCK, &set, &loop->old_mask);
    loop->on_signal = fn;
    loop->on_signal_user = user;
    return RWKV_OK;
}

/* The loop ---------------------------------------------------------------------------------- */

rwkv_status rw_loop_new(struct rw_loop **out, rwkv_error *err)
{
    struct rw_loop *loop = rw_calloc(1, sizeof *loop);
    if (!loop)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for an event loop");
    pthread_mutex_init(&loop->mutex, NULL);
    loop->messages_end = &loop->messages;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    rwkv_status status = RWKV_OK;
    if (loop->epoll < 0 || wake_fd < 0)
        status = rw_fail(err, RWKV_ERROR_IO, "cannot begin an event loop: %s", strerror(errno));
    if (status == RWKV_OK)
        status = rw_loop_watch(loop, &loop->wake, wake_fd, EPOLLIN, clear_wake, loop, err);
    if (status != RWKV_OK) {
        if (wake_fd >= 0)
            close(wake_fd);
        rw_loop_free(loop);
        return status;
    }
    *out = loop;
    return RWKV_OK;
}

void rw_loop_free(struct rw_loop *loop)
{
    if (!loop)
        return;
    struct rw_watch *own[] = {&loop->signals, &loop->wake};
    if (loop->signals.active)
        pthread_sigmask(SIG_SETMASK, &loop->old_mask, NULL);
    for (size_t i = 0; i < RW_COUNT(own); i++) {
        if (!own[i]->active)
            continue;
        rw_loop_unwatch(loop, own[i]);
        close(own[i]->fd);
    }
    if (loop->epoll >= 0)
        close(loop->epoll);
    pthread_mutex_destroy(&loop->mutex);
    rw_free(loop);
}

void rw_loop_stop(struct rw_loop *loop)
{
    loop->stop = true;
}

rwkv_status rw_loop_run(struct rw_loop *loop, rwkv_error *err)
{
    loop->stop = false;
    while (!loop->stop) {
        int wait = has_messages(loop) ? 0 : time_left(loop);
        int n = epoll_wait(loop->epoll, loop->events, EVENTS, wait);
        if (n < 0 && errno != EINTR)
            return rw_fail(err, RWKV_ERROR_IO, "cannot wait for events: %s", strerror(errno));
        loop->n_events = n < 0 ? 0 : n;
        deliver_messages(loop);
        deliver_events(loop);
        deliver_timers(loop);
    }
    return RWKV_OK;
}
