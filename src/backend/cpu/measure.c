/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of the machine, measured by all threads at once with the kernels in use. */
#include <stdint.h>

#include "backend/cpu/cpu_int.h"
#include "base/env.h"
#include "base/status.h"

#define ROUNDS ((size_t)1 << 19)   /* of operations on registers: one to four milliseconds */
#define FEWER_ROUNDS (ROUNDS / 64) /* enough where they take as long: loops not optimized */
#define ENOUGH 0.002               /* seconds */
#define PIECE ((size_t)1 << 20)    /* bytes that a thread reads at a time */

struct probe {
    const struct rw_kernels *kernels;
    const uint8_t *memory;
    size_t bytes, rounds;
    RW_PROBE_OPS_FN((*run));
    uint64_t kept[RW_MAX_THREADS]; /* results, so that they are needed */
    size_t ops[RW_MAX_THREADS];
};

static void read_piece(void *ctx, size_t piece, size_t thread)
{
    struct probe *p = ctx;
    size_t begin = piece * PIECE, n = RW_MIN(p->bytes - begin, PIECE);
    p->kept[thread] += p->kernels->probe_read(p->memory + begin, n);
}

static void operate(void *ctx, size_t index, size_t count)
{
    struct probe *p = ctx;
    p->kept[index] += p->run(p->rounds, &p->ops[index]) > 0;
}

/* Operations a second; 0 where fewer rounds than ROUNDS took too short a time to tell. */
static double measure_ops(struct rw_backend_cpu *cpu, struct probe *p, size_t rounds)
{
    double start = rw_env_seconds(), amount = 0;
    p->rounds = rounds;
    rw_pool_run(cpu->pool, operate, p);
    double seconds = rw_env_seconds() - start;
    for (size_t i = 0; i < cpu->base.threads; i++)
        amount += (double)p->ops[i];
    return rounds < ROUNDS && seconds < ENOUGH ? 0 : amount / seconds;
}

double rw_cpu_measure(struct rw_backend *be, rwkv_limit limit, const void *memory, size_t n)
{
    struct rw_backend_cpu *cpu = rw_cpu(be);
    struct probe p = {.kernels = &cpu->kernels, .memory = memory, .bytes = n};
    p.run = limit == RWKV_LIMIT_F32    ? cpu->kernels.probe_fma
            : limit == RWKV_LIMIT_BF16 ? cpu->kernels.probe_bf16
                                       : cpu->kernels.probe_int8;
    if (limit == RWKV_LIMIT_READ) {
        double start = rw_env_seconds();
        rw_pool_each(cpu->pool, read_piece, &p, (n + PIECE - 1) / PIECE);
        return (double)n / (rw_env_seconds() - start);
    }
    if (!p.run)
        return 0;
    double rate = measure_ops(cpu, &p, FEWER_ROUNDS);
    return rate > 0 ? rate : measure_ops(cpu, &p, ROUNDS);
}
