/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rwkv bench`: how fast a model runs, as a share of what the machine could do in the same moment.
 * Here: the command line, and the runs it asks for: every model (given, or made of random weights
 * in every type of the sweep), with every number of threads, with every instruction set.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "bench.h"
#include "commands.h"
#include "interrupt.h"
#include "progress.h"
#include "say.h"

#define PLOT_LENGTH 4096    /* of the long run, for a plot */
#define BATCH_TOKENS 64     /* of all sessions together … */
#define BATCH_STEPS 4       /* … but so many steps at least */
#define MOST_TOKENS 1000000 /* of a prompt */

/* --- one model -------------------------------------------------------------------------------- */

static rwkv_status make_model(struct rw_bench *b, rwkv_dtype type, struct rw_str *path,
                              rwkv_error *err)
{
    struct rw_progress progress;
    rwkv_random_model make = b->make;
    if (b->keep && access(b->keep, F_OK) == 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: exists already", b->keep);
    if (b->keep)
        rw_str_adds(path, b->keep);
    else
        rw_str_printf(path, "%s/rwkv-bench-%ld.gguf", rw_env_temp_dir(), (long)getpid());
    if (path->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    make.dtype = type;
    rw_progress_begin(&progress, "making a model", RW_PROGRESS_BYTES, b->quiet);
    make.progress = rw_progress_step;
    make.progress_user = &progress;
    rwkv_status status = rwkv_random_model_write(path->data, &make, err);
    rw_progress_end(&progress);
    return status;
}

/* "Q8_0, 2 threads": of what the sweep tries several. */
static void label_run(const struct rw_bench *b, struct rw_bench_run *run, rwkv_dtype type,
                      const rwkv_model_options *o)
{
    struct rw_str s = {0};
    if (b->n_paths > 1)
        rw_str_printf(&s, ", %s", rw_basename(run->path));
    if (b->sweep.n_types > 1)
        rw_str_printf(&s, ", %s", rwkv_dtype_name(type));
    if (b->sweep.n_threads > 1)
        rw_str_printf(&s, ", %d thread%s", o->threads, o->threads == 1 ? "" : "s");
    if (b->sweep.n_cpus > 1)
        rw_str_printf(&s, ", %s", o->cpu);
    if (s.size > 2)
        snprintf(run->label, sizeof run->label, "%s", s.data + 2);
    rw_str_fini(&s);
}

/* The runs with one file: all threads, all instruction sets. `path` is where it is, `name` what it
 * is called; both NULL: the built-in model. */
static rwkv_status run_file(struct rw_bench *b, const char *path, const char *name, rwkv_dtype type,
                            struct rw_bench_run *runs, size_t *n, rwkv_error *err)
{
    struct rw_model_args args = b->args;
    size_t n_threads = RW_MAX(b->sweep.n_threads, (size_t)1);
    size_t n_cpus = RW_MAX(b->sweep.n_cpus, (size_t)1);
    args.path = path;
    for (size_t i = 0; i < n_threads * n_cpus; i++) {
        struct rw_bench_run *run = &runs[*n];
        if (b->sweep.n_threads)
            args.options.threads = b->sweep.threads[i / n_cpus];
        if (b->sweep.n_cpus)
            args.options.cpu = b->sweep.cpus[i % n_cpus];
        run->path = name;
        label_run(b, run, type, &args.options);
        RW_TRY(rw_bench_do(b, &args, run, err));
        if (!b->json && !b->csv) {
            rw_outs(*n ? "\n" : "");
            rw_bench_print(b, run);
            rw_out_flush();
        }
        ++*n;
    }
    return RWKV_OK;
}

static rwkv_status run_made(struct rw_bench *b, struct rw_bench_run *runs, size_t *n,
                            rwkv_error *err)
{
    const rwkv_dtype *types = b->sweep.n_types ? b->sweep.types : &b->make.dtype;
    rwkv_status status = RWKV_OK;
    for (size_t i = 0; i < RW_MAX(b->sweep.n_types, (size_t)1) && status == RWKV_OK; i++) {
        struct rw_str path = {0};
        status = make_model(b, types[i], &path, err);
        if (status == RWKV_OK && (b->n_tasks || b->length)) /* else only --keep */
            status = run_file(b, path.data, b->keep ? b->keep : "random weights", types[i], runs, n,
                              err);
        if (path.data && !b->keep)
            unlink(path.data);
        rw_str_fini(&path);
    }
    return status;
}

/* --- all -------------------------------------------------------------------------------------- */

static size_t count_runs(const struct rw_bench *b)
{
    return RW_MAX(b->n_paths, (size_t)1) * RW_MAX(b->sweep.n_types, (size_t)1) *
           RW_MAX(b->sweep.n_threads, (size_t)1) * RW_MAX(b->sweep.n_cpus, (size_t)1);
}

static rwkv_status do_runs(struct rw_bench *b, struct rw_bench_run *runs, size_t *n,
                           rwkv_error *err)
{
    if (b->make.n_layer)
        return run_made(b, runs, n, err);
    if (b->n_paths == 0)
        return run_file(b, b->args.path, b->args.path, 0, runs, n, err);
    for (size_t i = 0; i < b->n_paths; i++)
        RW_TRY(run_file(b, b->paths[i], b->paths[i], 0, runs, n, err));
    return RWKV_OK;
}

static rwkv_status show(const struct rw_bench *b, const struct rw_bench_run *runs, size_t n,
                        rwkv_error *err)
{
    if (b->json)
        RW_TRY(rw_bench_print_json(b, runs, n, err));
    else if (b->csv)
        rw_bench_print_csv(runs, n);
    else if (n > 1 && b->n_tasks && !b->train) {
        rw_outs("\n");
        rw_bench_print_summary(runs, n);
    }
    return b->plot ? rw_bench_plot(b->plot, runs, n, err) : RWKV_OK;
}

static rwkv_status bench(struct rw_bench *b, rwkv_error *err)
{
    size_t n = 0;
    RW_TRY(rw_check_writable(b->plot, err));
    struct rw_bench_run *runs = rw_calloc(count_runs(b), sizeof *runs);
    if (!runs)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu runs", count_runs(b));
    rw_energy_open(&b->energy, b->energy_folder);
    rwkv_status status = do_runs(b, runs, &n, err);
    if (status == RWKV_OK && n > 0)
        status = show(b, runs, n, err);
    rw_energy_close(&b->energy);
    rw_free(runs);
    return status;
}

/* --- command line ----------------------------------------------------------------------------- */

/* L,C[,V][,TYPE] */
static rwkv_status parse_make(void *to, const char *value, rwkv_error *err)
{
    rwkv_random_model *make = to;
    size_t *const sizes[] = {&make->n_layer, &make->n_embd, &make->n_vocab};
    char copy[64], *rest = copy;
    size_t n = 0;
    bool good = strlen(value) < sizeof copy, typed = false;
    *make = (rwkv_random_model){.dtype = RWKV_DTYPE_F16, .seed = 1};
    snprintf(copy, sizeof copy, "%s", value);
    for (char *part; good && (part = strsep(&rest, ",")) != NULL;) {
        uint64_t number;
        if (!typed && n < RW_COUNT(sizes) && rw_parse_u64(part, &number) && number > 0) {
            *sizes[n++] = (size_t)number;
        } else {
            make->dtype = rwkv_dtype_from_name(part);
            good = !typed && n >= 2 && make->dtype < RWKV_DTYPE_MODEL_COUNT;
            typed = true;
        }
    }
    if (!good || n < 2)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted LAYERS,CHANNELS[,VOCABULARY][,TYPE] such as 12,768,65536,q8_0, "
                       "found '%s'",
                       value);
    return RWKV_OK;
}

struct task_list {
    struct rw_bench *bench;
    enum rw_bench_work work;
};

static struct rw_bench_task task_of(enum rw_bench_work work, size_t n)
{
    struct rw_bench_task task = {work, n, 1};
    if (work == RW_BENCH_BATCH) {
        task.batch = n;
        task.n = RW_MAX((size_t)BATCH_TOKENS / n, (size_t)BATCH_STEPS);
    }
    return task;
}

static rwkv_status parse_tasks(void *to, const char *value, rwkv_error *err)
{
    const struct task_list *list = to;
    struct rw_bench *b = list->bench;
    uint64_t limit = list->work == RW_BENCH_BATCH ? RW_BENCH_BATCH_MAX : MOST_TOKENS, n;
    char copy[128], *rest = copy;
    snprintf(copy, sizeof copy, "%s", value);
    b->has_tasks[list->work] = true;
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        if (strlen(value) >= sizeof copy || !rw_parse_u64(part, &n) || n > limit ||
            b->n_tasks == RW_BENCH_ROWS)
            return rw_fail(err, RWKV_ERROR_ARGUMENT,
                           "wanted numbers up to %llu, separated by commas, found '%s'",
                           (unsigned long long)limit, value);
        if (n > 0)
            b->tasks[b->n_tasks++] = task_of(list->work, (size_t)n);
    }
    return RWKV_OK;
}

static rwkv_status add_choice(struct rw_bench *b, const char *kind, const char *value,
                              rwkv_error *err)
{
    uint64_t n;
    rwkv_dtype type = rwkv_dtype_from_name(value);
    bool room =
        RW_MAX(b->sweep.n_types, RW_MAX(b->sweep.n_threads, b->sweep.n_cpus)) < RW_BENCH_CHOICES;
    if (room && strcmp(kind, "types") == 0 && type < RWKV_DTYPE_MODEL_COUNT)
        b->sweep.types[b->sweep.n_types++] = type;
    else if (room && strcmp(kind, "threads") == 0 && rw_parse_u64(value, &n) && n > 0 && n <= 256)
        b->sweep.threads[b->sweep.n_threads++] = (int)n;
    else if (room && strcmp(kind, "cpu") == 0)
        return rw_parse_cpu(&b->sweep.cpus[b->sweep.n_cpus++], value, err);
    else
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted types=, threads= or cpu= and up to %d values separated by commas, "
                       "such as types=q8_0,q4_k, found '%s=%s'",
                       RW_BENCH_CHOICES, kind, value);
    return RWKV_OK;
}

/* KIND=VALUE,VALUE…; the values are borrowed from argv, which is taken apart. */
static rwkv_status parse_sweep(void *to, const char *value, rwkv_error *err)
{
    struct rw_bench *b = to;
    char *rest = (char *)(uintptr_t)value, *kind = strsep(&rest, "=");
    if (!rest)
        return add_choice(b, kind, "", err);
    for (char *part; (part = strsep(&rest, ",")) != NULL;)
        RW_TRY(add_choice(b, kind, part, err));
    return RWKV_OK;
}

static void default_tasks(struct rw_bench *b, enum rw_bench_work work, const char *value)
{
    struct task_list list = {b, work};
    if (!b->has_tasks[work])
        parse_tasks(&list, value, NULL);
}

static int compare_tasks(const void *a, const void *b)
{
    const struct rw_bench_task *x = a, *y = b;
    size_t m = rw_bench_size(x), n = rw_bench_size(y);
    if (x->work != y->work)
        return x->work < y->work ? -1 : 1;
    return (m > n) - (m < n);
}

static void settle_tasks(struct rw_bench *b)
{
    bool many = count_runs(b) > 1;
    if (b->train) {
        default_tasks(b, RW_BENCH_BATCH, "4");
        return;
    }
    if (!b->has_tasks[RW_BENCH_PREFILL] && !b->has_tasks[RW_BENCH_DECODE])
        default_tasks(b, RW_BENCH_BATCH, many && !b->plot ? "32" : "1,2,4,8,16,32,64");
    default_tasks(b, RW_BENCH_PREFILL, many ? "512" : "16,128,512");
    default_tasks(b, RW_BENCH_DECODE, "64");
    qsort(b->tasks, b->n_tasks, sizeof *b->tasks, compare_tasks);
    if (b->plot && !b->length)
        b->length = PLOT_LENGTH;
}

/* What the options cannot say each for itself. */
static rwkv_status check(const struct rw_bench *b, rwkv_error *err)
{
    if ((b->n_paths > 0) + (b->args.path != NULL) + (b->make.n_layer != 0) > 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted models or --make, found both");
    if (b->keep && !b->make.n_layer)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "--keep wants --make with it");
    if (b->sweep.n_types && !b->make.n_layer)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "--sweep types= wants --make with it");
    if (b->keep && b->sweep.n_types > 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "--keep keeps one model, found %zu types",
                       b->sweep.n_types);
    if (b->train && (b->has_tasks[RW_BENCH_PREFILL] || b->has_tasks[RW_BENCH_DECODE] || b->length ||
                     b->plot || b->csv))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "--train does not go with --prompt, --decode, --length, --plot and --csv");
    if (!b->train &&
        (b->training.has_context || b->training.has_precision || b->training.checkpoint))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "--ctx, --precision and --grad-checkpoint want --train with them");
    if (b->n_tasks == 0 && !b->length && !b->keep)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted something to measure, found only zeros");
    return RWKV_OK;
}

int rw_cmd_bench(int argc, char **argv)
{
    static const char *const precisions[] = {"f32", "bf16", NULL};
    struct rw_bench b = {.energy_folder = "/sys/class/powercap", .training.context = 512};
    struct task_list prompt = {&b, RW_BENCH_PREFILL}, decode = {&b, RW_BENCH_DECODE},
                     batch = {&b, RW_BENCH_BATCH};
    const struct rw_option options[] = {
        RW_PATH_OPTION(&b.args),
        RW_RUNNING_OPTIONS(&b.args),
        {"make", 0, RW_OPTION_CALL, &b.make, .parse = parse_make},
        {"keep", 0, RW_OPTION_TEXT, &b.keep},
        {"prompt", 0, RW_OPTION_CALL, &prompt, .parse = parse_tasks},
        {"decode", 0, RW_OPTION_CALL, &decode, .parse = parse_tasks},
        {"batch", 0, RW_OPTION_CALL, &batch, .parse = parse_tasks},
        {"length", 0, RW_OPTION_SIZE, &b.length, .min = 64, .max = 1e9},
        {"train", 0, RW_OPTION_FLAG, &b.train},
        {"ctx", 0, RW_OPTION_SIZE, &b.training.context, .min = 1, .max = 1 << 20,
         .given = &b.training.has_context},
        {"precision", 0, RW_OPTION_CHOICE, &b.training.precision, .choices = precisions,
         .given = &b.training.has_precision},
        {"grad-checkpoint", 0, RW_OPTION_FLAG, &b.training.checkpoint},
        {"sweep", 0, RW_OPTION_CALL, &b, .parse = parse_sweep},
        {"plot", 0, RW_OPTION_TEXT, &b.plot},
        {"energy", 0, RW_OPTION_TEXT, &b.energy_folder},
        {"json", 0, RW_OPTION_FLAG, &b.json},
        {"csv", 0, RW_OPTION_FLAG, &b.csv},
        {"quiet", 'q', RW_OPTION_FLAG, &b.quiet},
        {0}};
    struct rw_operands operands = {.wanted = "models or --make", .max = SIZE_MAX};
    rwkv_error err = {0};
    int status = rw_options_read("bench", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    b.paths = operands.list;
    b.n_paths = operands.count;
    settle_tasks(&b);
    if (check(&b, &err))
        return rw_complain_usage("bench", &err);
    rw_interrupt_catch();
    return bench(&b, &err) ? rw_complain(&err) : RW_EXIT_OK;
}
