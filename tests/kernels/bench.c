/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timing against the machine's own limits. Machines are shared and their speed drifts, so each
 * repetition measures the limit and the kernel one right after the other, and the share quoted is
 * the median of their ratios.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "base/pool.h"
#include "harness.h"

#define REPEATS 15
#define REGIONS 2000
#define QUICK_REPEATS 5
#define READ_BYTES ((size_t)256 << 20)
#define READS 4 /* repetitions that go once through it */
#define PROBE_ROUNDS ((size_t)200000)
#define SLICE 5e-3 /* seconds of the kernel in one repetition, at least */

static struct rw_pool *pool;
static uint8_t *memory;
static size_t reads; /* of a part of it, so far */
static int repeats;
static volatile double sink; /* keeps results alive */

struct job {
    const struct work *work;
    const struct rw_kernels *kernels;
    size_t rounds;
    rw_pool_fn fn;
    double ops; /* of one thread's probe */
    double seconds[RW_MAX_THREADS];
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

static void nothing(void *user, size_t index, size_t count)
{
}

/* Seconds of a parallel region that all threads enter to do nothing, one region after the other. */
static double region_seconds(void)
{
    static double seconds[REGIONS];
    for (size_t i = 0; i < REGIONS; i++) {
        double start = rw_env_seconds();
        rw_pool_run(pool, nothing, NULL);
        seconds[i] = rw_env_seconds() - start;
    }
    return median(seconds, REGIONS);
}

bool bench_open(size_t threads, bool quick)
{
    repeats = quick ? QUICK_REPEATS : REPEATS;
    pool = rw_pool_new(threads ? threads : rw_pool_default_threads());
    memory = malloc(READ_BYTES);
    if (!pool || !memory) {
        fprintf(stderr, "bench: no memory\n");
        return false;
    }
    memset(memory, 1, READ_BYTES);
    printf("%zu threads; %.2f us a parallel region; shares of the limit of the same moment; "
           "x = times ref\n",
           rw_pool_threads(pool), region_seconds() * 1e6);
    return true;
}

void bench_close(void)
{
    rw_pool_free(pool);
    free(memory);
}

size_t bench_threads(void)
{
    return rw_pool_threads(pool);
}

static void read_part(void *user, size_t index, size_t count)
{
    struct job *job = user;
    size_t begin, end;
    const uint8_t *part = memory + reads % READS * (READ_BYTES / READS);
    rw_pool_share(READ_BYTES / READS, 4096, index, count, &begin, &end);
    sink = (double)job->kernels->probe_read(part + begin, end - begin);
}

/* Where an instruction set has no such operations, it makes do with those of f32. */
static void probe_part(void *user, size_t index, size_t count)
{
    struct job *job = user;
    const struct rw_kernels *k = job->kernels;
    RW_PROBE_OPS_FN((*probe)) = job->work->peak == PEAK_INT8   ? k->probe_int8
                                : job->work->peak == PEAK_BF16 ? k->probe_bf16
                                                               : k->probe_fma;
    size_t ops;
    sink = (probe ? probe : k->probe_fma)(PROBE_ROUNDS, &ops);
    if (index == 0)
        job->ops = (double)ops;
}

static void work_part(void *user, size_t index, size_t count)
{
    struct job *job = user;
    for (size_t i = 0; i < job->rounds; i++)
        job->work->part(job->work->user, job->kernels, index, count);
}

static double processor_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void timed_part(void *user, size_t index, size_t count)
{
    struct job *job = user;
    double start = processor_time();
    job->fn(job, index, count);
    job->seconds[index] = processor_time() - start;
}

static double seconds_of(rw_pool_fn fn, struct job *job)
{
    double most = 0;
    job->fn = fn;
    rw_pool_run(pool, timed_part, job);
    for (size_t i = 0; i < rw_pool_threads(pool); i++)
        most = job->seconds[i] > most ? job->seconds[i] : most;
    return most;
}

/* The limit of the moment, in the work's bytes or operations a second. */
static double limit_now(struct job *job)
{
    if (job->work->bytes > 0) {
        double seconds = seconds_of(read_part, job);
        reads++;
        return (double)(READ_BYTES / READS) / seconds;
    }
    double seconds = seconds_of(probe_part, job);
    return job->ops * (double)rw_pool_threads(pool) / seconds;
}

/* Rounds that fill a slice. */
static size_t rounds_for(struct job *job)
{
    job->rounds = 1;
    double seconds = seconds_of(work_part, job);
    seconds = seconds_of(work_part, job);
    return seconds >= SLICE ? 1 : (size_t)(SLICE / (seconds + 1e-9)) + 1;
}

static void print_share(const struct work *work, double time, double share)
{
    static const char *const peaks[] = {"f32", "bf16", "int8"};
    bool reading = work->bytes > 0;
    printf(" %8.1f %s/s %5.1f %% of %-4s", (reading ? work->bytes : work->ops) / time * 1e-9,
           reading ? "GB " : "GOP", 100 * share, reading ? "read" : peaks[work->peak]);
}

void bench(struct context *ctx, const char *shape, const struct work *work)
{
    struct rw_kernels ref;
    struct job job = {.work = work, .kernels = ctx->kernels};
    double times[REPEATS], shares[REPEATS], amount = work->bytes > 0 ? work->bytes : work->ops;
    job.rounds = rounds_for(&job);
    for (int i = 0; i < repeats; i++) {
        double limit = amount > 0 ? limit_now(&job) : 1;
        times[i] = seconds_of(work_part, &job) / (double)job.rounds;
        shares[i] = amount / times[i] / limit;
    }
    double time = median(times, (size_t)repeats), share = median(shares, (size_t)repeats);
    printf("%-6s %-15s %-22s %9.2f us", ctx->isa, ctx->name, shape, time * 1e6);
    if (work->what)
        printf(" %8.2f G%s/s", work->units / time * 1e-9, work->what);
    if (amount > 0)
        print_share(work, time, share);
    if (!work->no_ref) {
        rw_kernels_init(&ref, 0);
        struct job other = {.work = work, .kernels = &ref, .rounds = 1};
        printf(" %7.1f x", seconds_of(work_part, &other) / time);
    }
    printf("\n");
    fflush(stdout);
}
