/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region is announced by raising `generation`; each worker runs its part and lowers `pending`.
 * Both sides spin for a few microseconds, since the next region usually follows at once, and then
 * sleep on a futex-backed condition variable.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

#define SPINS 2000  /* some hundred microseconds of pause instructions */
#define YIELDS 1000 /* then about a millisecond of letting others run */

struct worker {
    struct rw_pool *pool;
    pthread_t thread;
    size_t index;
};

struct rw_pool {
    size_t threads;
    size_t spins;
    rw_pool_fn fn;
    void *ctx;
    _Atomic unsigned generation;
    _Atomic size_t pending;
    _Atomic bool stop;
    _Atomic size_t sleepers; /* workers asleep on `wake` */
    _Atomic bool waiting;    /* the caller is asleep on `done` */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    struct worker workers[]; /* [threads − 1] */
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

/* CPUs' worth of time that the control group grants, 0 if it sets no limit. */
static size_t quota(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!f)
        return 0;
    unsigned long long max = 0, period = 0;
    int fields = fscanf(f, "%llu %llu", &max, &period);
    fclose(f);
    if (fields != 2 || period == 0)
        return 0;
    return (size_t)((max + period - 1) / period);
}

size_t rw_pool_default_threads(void)
{
    size_t n = 1;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        n = (size_t)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        if (online > 0)
            n = (size_t)online;
    }
    size_t granted = quota();
    if (granted && granted < n)
        n = granted;
    return n < 1 ? 1 : RW_MIN(n, (size_t)RW_MAX_THREADS);
}

/* Wait for a generation other than `seen`; returns it. */
static unsigned wait_for_work(struct rw_pool *p, unsigned seen)
{
    for (size_t i = 0; i < p->spins; i++) {
        unsigned now = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (now != seen)
            return now;
        wait_a_moment(i);
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    unsigned now;
    while ((now = atomic_load(&p->generation)) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return now;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct rw_pool *p = w->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_work(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        p->fn(p->ctx, w->index, p->threads);
        if (atomic_fetch_sub(&p->pending, 1) == 1 && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

/* Announce a region (or the end). Sequentially consistent: either a worker on its way to sleep sees
 * the new generation, or we see it among the sleepers. */
static void announce(struct rw_pool *p)
{
    atomic_fetch_add(&p->generation, 1);
    if (atomic_load(&p->sleepers)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
}

struct rw_pool *rw_pool_new(size_t threads)
{
    threads = RW_MIN(RW_MAX(threads, (size_t)1), (size_t)RW_MAX_THREADS);
    struct rw_pool *p = rw_calloc(1, sizeof *p + (threads - 1) * sizeof p->workers[0]);
    if (!p)
        return NULL;
    /* With more threads than processors a spinning thread only keeps another from working. */
    p->spins = threads <= rw_pool_default_threads() ? SPINS + YIELDS : 0;
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
    announce(p);
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

static void wait_for_workers(struct rw_pool *p)
{
    for (size_t i = 0; i < p->spins; i++) {
        if (atomic_load_explicit(&p->pending, memory_order_acquire) == 0)
            return;
        wait_a_moment(i);
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, true);
    while (atomic_load(&p->pending) != 0)
        pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->waiting, false);
    pthread_mutex_unlock(&p->lock);
}

void rw_pool_run(struct rw_pool *p, rw_pool_fn fn, void *ctx)
{
    if (p->threads > 1) {
        p->fn = fn;
        p->ctx = ctx;
        atomic_store(&p->pending, p->threads - 1);
        announce(p);
    }
    fn(ctx, 0, p->threads);
    if (p->threads > 1)
        wait_for_workers(p);
}
