/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of threads for short parallel regions. The caller takes part as thread 0. Workers spin
 * briefly between regions, then sleep. Regions do not nest.
 *
 *     static void piece(void *ctx, size_t piece, size_t thread) { … }
 *     rw_pool_each(pool, piece, &ctx, n);     // runs once for each piece < n
 *
 * Whoever is free takes the next piece, as the cores of a machine shared with others differ in
 * speed from moment to moment and equal shares would wait for the slowest. So nothing may depend on
 * which thread a piece falls to.
 */
#ifndef RW_BASE_POOL_H
#define RW_BASE_POOL_H

#include <stddef.h>

#define RW_MAX_THREADS 256

struct rw_pool;
typedef void (*rw_pool_fn)(void *ctx, size_t index, size_t count);
typedef void (*rw_pool_piece_fn)(void *ctx, size_t piece, size_t thread);

/* One thread for each physical core this process may use now: within its affinity mask and, in a
 * container, its CPU quota. */
size_t rw_pool_default_threads(void);
/* NULL: no memory or no threads to be had. */
struct rw_pool *rw_pool_new(size_t threads);
void rw_pool_free(struct rw_pool *pool);
size_t rw_pool_threads(const struct rw_pool *pool);

/* fn once for each piece < pieces, in increasing order, by any thread < rw_pool_threads(pool): a
 * name for scratch memory that no two running pieces share. A worker that the system lets wait is
 * not waited for unless it holds a piece. */
void rw_pool_each(struct rw_pool *pool, rw_pool_piece_fn fn, void *ctx, size_t pieces);

/* fn once on every thread, at the same time as far as the system allows: for measurements. */
void rw_pool_run(struct rw_pool *pool, rw_pool_fn fn, void *ctx);

/* The share of [0, total) of one index: contiguous, a multiple of `step` but for the end. */
static inline void rw_pool_share(size_t total, size_t step, size_t index, size_t count,
                                 size_t *begin, size_t *end)
{
    size_t steps = (total + step - 1) / step;
    size_t b = steps * index / count * step;
    size_t e = steps * (index + 1) / count * step;
    *begin = b < total ? b : total;
    *end = e < total ? e : total;
}

#endif
