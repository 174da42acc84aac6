/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of the machine, measured by all threads at once with the kernels in use. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu_int.h"
#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"

#define READ_BYTES ((size_t)256 << 20)
#define FMA_ROUNDS ((size_t)1 << 20)
#define REPEATS 9

struct probe {
    struct rw_backend_cpu *cpu;
    const uint8_t *data; /* [READ_BYTES], or NULL to measure arithmetic */
    uint64_t kept[RW_MAX_THREADS];
    size_t flops[RW_MAX_THREADS];
};

static void part(void *ctx, size_t index, size_t count)
{
    struct probe *p = ctx;
    const struct rw_kernels *k = &p->cpu->kernels;
    if (p->data) {
        size_t begin, end;
        rw_pool_share(READ_BYTES, 4096, index, count, &begin, &end);
        p->kept[index] += k->probe_read(p->data + begin, end - begin);
    } else {
        p->kept[index] += k->probe_fma(FMA_ROUNDS, &p->flops[index]) > 0;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Seconds of a typical run: on a machine shared with others the fastest is luck, and what is
 * compared with this is a median too. */
static double median(struct probe *p)
{
    double seconds[REPEATS];
    for (int i = 0; i < REPEATS; i++) {
        double start = rw_env_seconds();
        rw_pool_run(p->cpu->pool, part, p);
        seconds[i] = rw_env_seconds() - start;
    }
    qsort(seconds, REPEATS, sizeof *seconds, by_value);
    return seconds[REPEATS / 2];
}

void rw_cpu_measure(struct rw_backend *be, rwkv_limits *out)
{
    struct probe p = {.cpu = rw_cpu(be)};
    uint8_t *data = rw_alloc_aligned(READ_BYTES, 1);
    *out = (rwkv_limits){0};
    if (data) {
        memset(data, 1, READ_BYTES); /* so that every page exists and is its own */
        p.data = data;
        out->read_bytes_per_s = (double)READ_BYTES / median(&p);
        rw_free(data);
        p.data = NULL;
    }
    double seconds = median(&p);
    double flops = 0;
    for (size_t i = 0; i < be->threads; i++)
        flops += (double)p.flops[i];
    out->f32_flops_per_s = flops / seconds;
}
