/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that a training run says it takes is what it takes: the growth of the process' peak,
 * from before the run to its end, lies within a twentieth of the plan. Each run is a process of its
 * own. What is printed is the table of docs/training.md.
 */
#include "unit.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/env.h"
#include "formats/binidx.h"
#include "rwkv_trainer.h"

#define TOKENS 20000
#define SLACK 0.05

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static char folder[64], data[96];

struct shape {
    size_t layers, width, vocab, context, batch;
    rwkv_precision precision;
    int checkpoint;
};

static const struct shape shapes[] = {
    {4, 256, 4096, 128, 4, RWKV_PRECISION_BF16, 1},
    {2, 512, 4096, 128, 2, RWKV_PRECISION_F32, 0},
    {2, 128, 32768, 16, 1, RWKV_PRECISION_F32, 0}, /* the head is made with as much again */
};

struct figures {
    uint64_t planned, used;
};

static uint64_t resident(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %llu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* In a process of its own: nothing of cmocka here. Large pages would round each array up. */
static struct figures train(const struct shape *s, const char *run, int resume)
{
    rwkv_train_options o;
    rwkv_trainer *t;
    rwkv_train_plan plan;
    struct figures figures = {0};
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    rwkv_train_defaults(&o);
    o.folder = run;
    o.resume = resume;
    o.data = data;
    o.n_layer = s->layers, o.n_embd = s->width, o.n_vocab = s->vocab;
    o.context = s->context, o.batch = s->batch;
    o.steps = resume ? 2 : 1;
    o.warmup = 0;
    o.precision = s->precision;
    o.checkpoint = s->checkpoint;
    o.threads = 2;
    if (rwkv_trainer_open(&o, &t, NULL) != RWKV_OK)
        return figures;
    rwkv_trainer_get_plan(t, &plan);
    uint64_t before = resident();
    rw_env_memory_peak_reset();
    if (before && rwkv_trainer_run(t, NULL, NULL, NULL) == RWKV_OK)
        figures = (struct figures){plan.memory, rw_env_memory_peak() - before};
    rwkv_trainer_close(t);
    return figures;
}

static struct figures train_apart(const struct shape *s, const char *run, int resume)
{
    struct figures figures = {0};
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        figures = train(s, run, resume);
        _exit(write(ends[1], &figures, sizeof figures) != (ssize_t)sizeof figures);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &figures, sizeof figures), (int)sizeof figures);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return figures;
}

static void remove_run(const char *run)
{
    char command[256];
    snprintf(command, sizeof command, "rm -r '%s'", run);
    assert_int_equal(system(command), 0);
}

static void test_memory(void **unused)
{
    static const char *const precisions[] = {"f32", "bf16"}, *const kept[] = {"all", "inputs"};
    char run[128];
    int failed = 0;
    snprintf(run, sizeof run, "%s/run", folder);
    printf("| L | C | V | tokens | precision | kept | planned | new run | resumed |\n");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        printf("| %zu | %zu | %zu | %zu × %zu | %s | %s |", s->layers, s->width, s->vocab, s->batch,
               s->context, precisions[s->precision], kept[s->checkpoint]);
        for (int resume = 0; resume < 2; resume++) {
            struct figures f = train_apart(s, run, resume);
            double ratio = (double)f.used / (double)f.planned;
            if (!resume)
                printf(" %.1f MiB |", (double)f.planned / (1 << 20));
            printf(" %.1f MiB, %+.1f %% |", (double)f.used / (1 << 20), 100 * (ratio - 1));
            failed += !(ratio > 1 - SLACK && ratio < 1 + SLACK);
        }
        printf("\n");
        remove_run(run);
    }
    assert_int_equal(failed, 0);
}

static int make_data(void **unused)
{
    struct rw_binidx_writer *w;
    snprintf(folder, sizeof folder, "/tmp/rwkv-memory-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(data, sizeof data, "%s/data", folder);
    if (rw_binidx_writer_open(&w, data, 4096, NULL))
        return -1;
    for (int32_t i = 0; i < TOKENS; i++) {
        int32_t token = (int32_t)((uint32_t)i * 2654435761u >> 20);
        rw_binidx_writer_add(w, &token, 1, NULL);
    }
    return rw_binidx_writer_end(w, NULL) || rw_binidx_writer_commit(w, NULL);
}

static int remove_data(void **unused)
{
    remove_run(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory)};
    if (SANITIZED || resident() == 0) {
        printf("skipped: the peak of memory is that of a sanitizer, or not known\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
