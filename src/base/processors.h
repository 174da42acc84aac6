/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many processors this process may use, from what the system shows in files: the topology under
 * /sys/devices/system/cpu and the CPU quota of its control groups, versions 1 and 2.
 *
 *     struct rw_processors p;
 *     rw_processors_read(&p, "", NULL);
 *     size_t threads = rw_processors_threads(&p);
 */
#ifndef RW_BASE_PROCESSORS_H
#define RW_BASE_PROCESSORS_H

#include <sched.h>
#include <stddef.h>

struct rw_processors {
    size_t allowed; /* by the affinity mask */
    size_t cores;   /* physical ones that the allowed processors belong to */
    size_t quota;   /* processors' worth of time granted, rounded up; 0: no limit */
};

/* Files are looked for below `root`, "" but for tests; `mask` NULL is this thread's own. What
 * cannot be read sets no limit: a processor without topology counts as a core. */
void rw_processors_read(struct rw_processors *p, const char *root, const cpu_set_t *mask);

/* Threads that work best: one a core, as two on one core share its vector units and caches. All
 * processors if they would be one core: virtual machines show pairs that are none. */
size_t rw_processors_threads(const struct rw_processors *p);

/* Threads that can run at the same time. */
size_t rw_processors_at_once(const struct rw_processors *p);

#endif
