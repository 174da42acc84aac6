/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One atomic word, the gate, says everything about a region: its number, whether it is open, how
 * many workers came in and how many are still inside. A worker enters an open region once, works
 * and leaves; the caller works as well, closes the region when no piece is left, and waits for
 * those inside. Workers that were asleep or had to wait for a processor find it closed and are not
 * missed.
 *
 * Both sides spin for a few microseconds, since the next region usually follows at once, and then
 * sleep on a futex-backed condition variable.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/processors.h"
#include "base/status.h"

#define SPINS 2000  /* some hundred microseconds of pause instructions */
#define YIELDS 1000 /* then about a millisecond of letting others run */

#define INSIDE ((uint64_t)0xffff)       /* the gate: workers in the region now, */
#define ONE_ENTERED ((uint64_t)1 << 16) /* workers that entered it, */
#define OPEN ((uint64_t)1 << 32)        /* may more enter, */
#define ONE_REGION ((uint64_t)1 << 33)  /* number of the region */

struct worker {
    struct rw_pool *pool;
    pthread_t thread;
    size_t index;
};

struct rw_pool {
    size_t threads;
    size_t spins;
    /* The region: written before it opens, read by those who entered. One of the functions. */
    rw_pool_fn on_each_thread;
    rw_pool_piece_fn on_each_piece;
    void *ctx;
    size_t pieces;
    _Atomic bool stop;
    _Atomic size_t sleepers; /* workers asleep on `wake` */
    _Atomic bool waiting;    /* the caller is asleep on `done` */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    _Alignas(RW_ALIGN) _Atomic uint64_t gate;
    _Alignas(RW_ALIGN) _Atomic size_t next;     /* piece to be taken */
    _Alignas(RW_ALIGN) struct worker workers[]; /* [threads − 1] */
};

/* Wait a moment, the i-th in a row: at first on the processor, then offering it to others. */
static void wait_a_moment(size_t i)
{
    if (i >= SPINS) {
        sched_yield();
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

size_t rw_pool_default_threads(void)
{
    struct rw_processors processors;
    rw_processors_read(&processors, "", NULL);
    return RW_MIN(rw_processors_threads(&processors), (size_t)RW_MAX_THREADS);
}

static uint64_t region_of(uint64_t gate)
{
    return gate / ONE_REGION;
}

/* Wait for a region other than `seen`, or the end, which is one that does not open. */
static void wait_for_region(struct rw_pool *p, uint64_t seen)
{
    for (size_t i = 0; i < p->spins; i++) {
        if (region_of(atomic_load_explicit(&p->gate, memory_order_acquire)) != seen)
            return;
        wait_a_moment(i);
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (region_of(atomic_load(&p->gate)) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

/* Enter the region if it is open; *seen becomes its number either way. If that is the end, `stop`,
 * written before it, is seen as well. */
static bool enter(struct rw_pool *p, uint64_t *seen)
{
    uint64_t gate = atomic_load(&p->gate);
    while ((gate & OPEN) && !atomic_compare_exchange_weak(&p->gate, &gate, gate + ONE_ENTERED + 1))
        ;
    *seen = region_of(gate);
    return gate & OPEN;
}

static void leave(struct rw_pool *p)
{
    uint64_t before = atomic_fetch_sub(&p->gate, 1);
    if ((before & INSIDE) == 1 && atomic_load(&p->waiting)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

/* What a thread does inside a region. */
static void take_part(struct rw_pool *p, size_t thread)
{
    if (p->on_each_thread) {
        p->on_each_thread(p->ctx, thread, p->threads);
        return;
    }
    size_t piece;
    while ((piece = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->pieces)
        p->on_each_piece(p->ctx, piece, thread);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct rw_pool *p = w->pool;
    uint64_t seen = 0;
    for (;;) {
        wait_for_region(p, seen);
        if (enter(p, &seen)) {
            take_part(p, w->index);
            leave(p);
        }
        if (atomic_load(&p->stop)) /* asked now, since `seen` may be the end by now */
            return NULL;
    }
}

/* Announce the next region, OPEN, or the end, 0. Nobody is inside, and nobody enters while the gate
 * is closed, so a store will do. Sequentially consistent: either a worker on its way to sleep sees
 * the new region, or we see it among the sleepers. */
static void announce(struct rw_pool *p, uint64_t open)
{
    uint64_t gate = atomic_load(&p->gate);
    atomic_store(&p->gate, (region_of(gate) + 1) * ONE_REGION + open);
    if (atomic_load(&p->sleepers)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
}

struct rw_pool *rw_pool_new(size_t threads)
{
    threads = RW_MIN(RW_MAX(threads, (size_t)1), (size_t)RW_MAX_THREADS);
    size_t bytes = sizeof(struct rw_pool) + (threads - 1) * sizeof(struct worker);
    struct rw_pool *p = rw_alloc_aligned(bytes, 1);
    if (!p)
        return NULL;
    memset(p, 0, bytes);
    struct rw_processors processors;
    rw_processors_read(&processors, "", NULL);
    /* With more threads than processors a spinning thread only keeps another from working. */
    p->spins = threads <= rw_processors_at_once(&processors) ? SPINS + YIELDS : 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = 1;
    for (size_t i = 1; i < threads; i++) {
        struct worker *w = &p->workers[i - 1];
        *w = (struct worker){.pool = p, .index = i};
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            rw_pool_free(p);
            return NULL;
        }
        p->threads++;
    }
    return p;
}

void rw_pool_free(struct rw_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    announce(p, 0);
    for (size_t i = 1; i < p->threads; i++)
        pthread_join(p->workers[i - 1].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    rw_free(p);
}

size_t rw_pool_threads(const struct rw_pool *pool)
{
    return pool->threads;
}

/* Have at least `wanted` workers entered and all left again? */
static bool is_done(uint64_t gate, size_t wanted)
{
    return (gate & INSIDE) == 0 && (gate & (OPEN - 1)) / ONE_ENTERED >= wanted;
}

static void wait_for_workers(struct rw_pool *p, size_t wanted)
{
    for (size_t i = 0; i < p->spins; i++) {
        if (is_done(atomic_load_explicit(&p->gate, memory_order_acquire), wanted))
            return;
        wait_a_moment(i);
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, true);
    while (!is_done(atomic_load(&p->gate), wanted))
        pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->waiting, false);
    pthread_mutex_unlock(&p->lock);
}

void rw_pool_each(struct rw_pool *p, rw_pool_piece_fn fn, void *ctx, size_t pieces)
{
    if (p->threads == 1 || pieces < 2) {
        for (size_t piece = 0; piece < pieces; piece++)
            fn(ctx, piece, 0);
        return;
    }
    p->on_each_thread = NULL;
    p->on_each_piece = fn;
    p->ctx = ctx;
    p->pieces = pieces;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    announce(p, OPEN);
    take_part(p, 0);
    atomic_fetch_and(&p->gate, ~OPEN);
    wait_for_workers(p, 0);
}

void rw_pool_run(struct rw_pool *p, rw_pool_fn fn, void *ctx)
{
    if (p->threads == 1) {
        fn(ctx, 0, 1);
        return;
    }
    p->on_each_thread = fn;
    p->ctx = ctx;
    announce(p, OPEN);
    take_part(p, 0);
    wait_for_workers(p, p->threads - 1);
    atomic_fetch_and(&p->gate, ~OPEN);
}
