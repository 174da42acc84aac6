/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark's threads and memory; bench() itself is declared in harness.h. */
#ifndef KERNELS_BENCH_H
#define KERNELS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

/* threads 0: all there are; quick: fewer repetitions. False, with a message, if there is no memory.
 */
bool bench_open(size_t threads, bool quick);
void bench_close(void);

#endif
