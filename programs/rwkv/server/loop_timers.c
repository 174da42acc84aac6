/* SPDX-License-Identifier: Apache-2.0 */
/* A pairing heap of timers; see loop_timers.h. */
#include "server/loop_timers.h"

#include <stddef.h>

static bool before(const struct rw_timer *a, const struct rw_timer *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

/* One heap of two; each has no sibling. */
static struct rw_timer *meld(struct rw_timer *a, struct rw_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (before(b, a)) {
        struct rw_timer *swap = a;
        a = b;
        b = swap;
    }
    b->previous = a;
    b->next = a->child;
    if (b->next)
        b->next->previous = b;
    a->child = b;
    return a;
}

/* Siblings into one heap: in pairs from the left, then the pairs from the right. */
static struct rw_timer *merge_siblings(struct rw_timer *t)
{
    struct rw_timer *pairs = NULL, *whole = NULL;
    while (t) {
        struct rw_timer *a = t, *b = t->next;
        t = b ? b->next : NULL;
        a->next = a->previous = NULL;
        if (b)
            b->next = b->previous = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct rw_timer *next = pairs->next;
        pairs->next = NULL;
        whole = meld(whole, pairs);
        pairs = next;
    }
    return whole;
}

void rw_timers_add(struct rw_timer **first, struct rw_timer *t)
{
    t->child = t->next = t->previous = NULL;
    t->running = true;
    *first = meld(*first, t);
}

void rw_timers_remove(struct rw_timer **first, struct rw_timer *t)
{
    struct rw_timer *rest = merge_siblings(t->child);
    if (t == *first) {
        *first = rest;
    } else {
        if (t->previous->child == t)
            t->previous->child = t->next;
        else
            t->previous->next = t->next;
        if (t->next)
            t->next->previous = t->previous;
        *first = meld(*first, rest);
    }
    t->child = t->next = t->previous = NULL;
    t->running = false;
}
