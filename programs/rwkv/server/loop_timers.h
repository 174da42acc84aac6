/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers in order of when they are due: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986)
 * threaded through the timers themselves, so that starting one cannot fail. Of timers due at the
 * same time the one started first comes first.
 *
 *     struct rw_timer *first = NULL;
 *     rw_timers_add(&first, t);
 *     while (first && first->due <= now) { … rw_timers_remove(&first, first); … }
 */
#ifndef RW_SERVER_LOOP_TIMERS_H
#define RW_SERVER_LOOP_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

/* In the memory of whoever started it, zeroed before the first use, left alone while it runs. */
struct rw_timer {
    uint64_t due;   /* nanoseconds of the monotonic clock */
    uint64_t order; /* of starting */
    uint64_t every; /* nanoseconds between repetitions; 0: once */
    void (*fn)(void *user);
    void *user;
    struct rw_timer *child, *next, *previous; /* previous: the sibling before, or the parent */
    bool running;
};

/* `first` is the timer due first, NULL if there is none. */
void rw_timers_add(struct rw_timer **first, struct rw_timer *t);
void rw_timers_remove(struct rw_timer **first, struct rw_timer *t);

#endif
