/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels [--seed N] [--kernel NAME] [--cpu ISA] [--exhaustive] [--bench [--quick] [--threads N]]
 *
 * Runs the registered tests on every instruction set of this machine. NAME selects kernels whose
 * name begins with it.
 */
#include "harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/env.h"
#include "base/str.h"
#include "bench.h"

#define MAX_KERNELS 256
#define SHOWN_FAILURES 5 /* of each kernel */

struct kernel {
    char name[32];
    size_t entry;
    rwkv_dtype dtype;
    test_fn test;
    bench_fn bench;
    enum presence when;
    void (*done[8])(void); /* what has been tested or timed of it: sets share much */
    size_t n_done;
};

static struct kernel all[MAX_KERNELS];
static size_t n_all;

static const struct isa {
    const char *name;
    unsigned mask;
    size_t lanes;
    bool fused;
} isas[] = {
    {"ref", 0, 16, false},
    {"neon", RW_CPU_NEON, 8, true},
    {"neon-dotprod", RW_CPU_NEON | RW_CPU_NEON_DOTPROD, 8, true},
    {"neon-i8mm", RW_CPU_NEON | RW_CPU_NEON_DOTPROD | RW_CPU_NEON_I8MM, 8, true},
    {"avx2", RW_CPU_AVX2, 8, true},
    {"avxvnni", RW_CPU_AVX2 | RW_CPU_AVX_VNNI, 8, true},
    {"avx512", RW_CPU_AVX2 | RW_CPU_AVX512, 16, true},
    {"avx512vnni", RW_CPU_AVX2 | RW_CPU_AVX512 | RW_CPU_AVX512_VNNI, 16, true},
    {"avx512bf16", RW_CPU_AVX2 | RW_CPU_AVX512 | RW_CPU_AVX512_VNNI | RW_CPU_AVX512_BF16, 16, true},
};

struct options {
    uint64_t seed;
    const char *kernel, *cpu;
    bool bench, exhaustive, quick;
    size_t threads;
};

void register_when(enum presence when, const char *name, size_t entry, rwkv_dtype dtype,
                   test_fn test, bench_fn bench_it)
{
    if (n_all == MAX_KERNELS)
        abort();
    struct kernel *k = &all[n_all++];
    *k = (struct kernel){
        .entry = entry, .dtype = dtype, .test = test, .bench = bench_it, .when = when};
    snprintf(k->name, sizeof k->name, "%s", name);
}

void register_kernel(const char *name, size_t entry, rwkv_dtype dtype, test_fn test,
                     bench_fn bench_it)
{
    register_when(ALWAYS, name, entry, dtype, test, bench_it);
}

void register_optional(const char *name, size_t entry, rwkv_dtype dtype, test_fn test,
                       bench_fn bench_it)
{
    register_when(OPTIONAL, name, entry, dtype, test, bench_it);
}

bool expect(struct context *ctx, bool ok, const char *fmt, ...)
{
    if (ok)
        return true;
    if (ctx->failures++ < SHOWN_FAILURES) {
        va_list args;
        va_start(args, fmt);
        printf("  %s %s: ", ctx->isa, ctx->name);
        vprintf(fmt, args);
        printf("\n");
        va_end(args);
    }
    return false;
}

static bool wanted(const struct options *o, const char *kernel, const char *isa)
{
    return (!o->kernel || strncmp(kernel, o->kernel, strlen(o->kernel)) == 0) &&
           (!o->cpu || strcmp(isa, o->cpu) == 0);
}

/* Entry `i` of a table; its pointers may not be cast to one type portably. */
static void (*entry(const struct rw_kernels *kernels, size_t i))(void)
{
    void (*fn)(void);
    memcpy(&fn, (const char *)kernels + i * sizeof fn, sizeof fn);
    return fn;
}

/* Whether the table has the kernel if and only if it should. */
static bool present_as_promised(const struct rw_kernels *kernels, const struct kernel *k)
{
    bool present = entry(kernels, k->entry), integers = kernels->quantize;
    switch (k->when) {
    case ALWAYS:
        return present;
    case IN_INTEGERS:
        return present == integers;
    case NOT_IN_INTEGERS:
        return present != integers;
    default:
        return true;
    }
}

/* Every kernel in the table has a test, and every test a kernel where it should. */
static size_t check_coverage(const struct rw_kernels *kernels, const char *isa)
{
    size_t failures = 0;
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        size_t tests = 0, wrong = 0;
        for (size_t k = 0; k < n_all; k++) {
            tests += all[k].entry == i;
            wrong += all[k].entry == i && !present_as_promised(kernels, &all[k]);
        }
        if (tests == 1 ? !wrong : tests == 0 && !entry(kernels, i))
            continue;
        printf("  %s: entry %zu of struct rw_kernels, %s, has %zu tests\n", isa, i,
               entry(kernels, i) ? "there" : "not there", tests);
        failures++;
    }
    return failures;
}

/* Whether the table's kernel is the one that a smaller instruction set has, and dealt with. */
static bool dealt_with(struct kernel *k, const struct rw_kernels *kernels)
{
    void (*fn)(void) = entry(kernels, k->entry);
    for (size_t i = 0; i < k->n_done; i++)
        if (k->done[i] == fn)
            return true;
    k->done[k->n_done++] = fn;
    return false;
}

static struct context context_for(const struct options *o, const struct isa *isa,
                                  const struct rw_kernels *kernels, const struct kernel *k)
{
    struct context ctx = {.kernels = kernels,
                          .isa = isa->name,
                          .name = k->name,
                          .lanes = isa->lanes,
                          .fused = isa->fused,
                          .exhaustive = o->exhaustive,
                          .dtype = k->dtype};
    rw_rng_init(&ctx.rng, o->seed ^ rw_hash(k->name, strlen(k->name)));
    return ctx;
}

static size_t run_isa(const struct options *o, const struct isa *isa)
{
    struct rw_kernels kernels;
    size_t failures, tested = 0;
    rw_kernels_init(&kernels, isa->mask);
    failures = check_coverage(&kernels, isa->name);
    for (size_t i = 0; i < n_all; i++) {
        if (!wanted(o, all[i].name, isa->name) || !entry(&kernels, all[i].entry) ||
            dealt_with(&all[i], &kernels))
            continue;
        struct context ctx = context_for(o, isa, &kernels, &all[i]);
        if (o->bench) {
            if (all[i].bench)
                all[i].bench(&ctx);
            continue;
        }
        all[i].test(&ctx);
        tested++;
        if (ctx.failures) {
            printf("FAILED %s %s: %zu checks; repeat with --seed %llu --kernel %s\n", isa->name,
                   all[i].name, ctx.failures, (unsigned long long)o->seed, all[i].name);
            failures++;
        }
    }
    if (!o->bench)
        printf("%-6s %zu kernels tested, %zu failed\n", isa->name, tested, failures);
    return failures;
}

/* The last of those that this machine has. */
static const char *best_isa(void)
{
    const char *best = isas[0].name;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        if ((isas[i].mask & ~rw_cpu_detect()) == 0)
            best = isas[i].name;
    return best;
}

static int usage(void)
{
    fprintf(stderr, "usage: kernels [--seed N] [--kernel NAME] [--cpu ISA] [--exhaustive] "
                    "[--bench [--quick] [--threads N]]\n");
    return 2;
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--bench") == 0)
            o->bench = true;
        else if (strcmp(argv[i], "--exhaustive") == 0)
            o->exhaustive = true;
        else if (strcmp(argv[i], "--quick") == 0)
            o->quick = true;
        else if (!value)
            return false;
        else if (strcmp(argv[i], "--seed") == 0)
            o->seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--kernel") == 0)
            o->kernel = argv[++i];
        else if (strcmp(argv[i], "--cpu") == 0)
            o->cpu = argv[++i];
        else if (strcmp(argv[i], "--threads") == 0)
            o->threads = strtoull(argv[++i], NULL, 0);
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = (uint64_t)(rw_env_seconds() * 1e6)};
    size_t failures = 0;
    if (!parse(&o, argc, argv))
        return usage();
    if (o.cpu && strcmp(o.cpu, "auto") == 0)
        o.cpu = best_isa();
    register_matvec();
    register_matmul();
    register_bf16();
    register_dot();
    register_live();
    register_unpack();
    register_norm();
    register_mix();
    register_elementwise();
    register_wkv7();
    register_product();
    register_backward();
    register_wkv7_backward();
    register_probe();
    printf("seed %llu\n", (unsigned long long)o.seed);
    if (o.bench && !bench_open(o.threads, o.quick))
        return 1;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if ((isas[i].mask & ~rw_cpu_detect()) == 0)
            failures += run_isa(&o, &isas[i]);
        else
            printf("%-6s not on this machine\n", isas[i].name);
    }
    bench_close();
    return failures != 0;
}
