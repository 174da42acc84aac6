/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training runs through rwkv_trainer.h: what they tell, and that a run which was stopped anywhere,
 * between two steps or within a validation or a sample of text, ends with the weights and the log
 * of one that was not.
 */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "base/map.h"
#include "formats/binidx.h"
#include "rwkv_file.h"
#include "rwkv_trainer.h"
#include "train/dataset.h"

#define TOKENS 1300
#define HELD_OUT (TOKENS / 10 / 16 * 16 + 1) /* of them, where a tenth is */
#define VOCAB 256
#define KINDS (RWKV_TRAIN_NOTE + 1)

static char folder[64], data[96], first_part[96], rest[96]; /* both together are `data` */

/* --- folders ---------------------------------------------------------------------------------- */

static void path_of(char path[512], const char *run, const char *name)
{
    snprintf(path, 512, "%s/%s%s%s", folder, run, name[0] ? "/" : "", name);
}

static void remove_all(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char below[1024];
        snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_all(below);
    }
    if (d)
        closedir(d);
    if (d ? rmdir(path) : unlink(path))
        fail_msg("%s stays", path);
}

static bool write_data(const char *path, const int32_t *tokens, size_t n)
{
    struct rw_binidx_writer *w;
    return rw_binidx_writer_open(&w, path, VOCAB, NULL) == RWKV_OK &&
           rw_binidx_writer_add(w, tokens, n, NULL) == RWKV_OK &&
           rw_binidx_writer_end(w, NULL) == RWKV_OK && rw_binidx_writer_commit(w, NULL) == RWKV_OK;
}

static int make_data(void **unused)
{
    int32_t tokens[TOKENS];
    snprintf(folder, sizeof folder, "/tmp/rwkv-trainer-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(first_part, sizeof first_part, "%s/first", folder);
    snprintf(rest, sizeof rest, "%s/rest", folder);
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = 'a' + (i * i + i / 7) % 23;
    return write_data(data, tokens, TOKENS) && write_data(first_part, tokens, TOKENS - HELD_OUT) &&
                   write_data(rest, tokens + TOKENS - HELD_OUT, HELD_OUT)
               ? 0
               : -1;
}

static int remove_data(void **unused)
{
    remove_all(folder);
    return 0;
}

static bool there(const char *run, const char *name)
{
    char path[512];
    path_of(path, run, name);
    return access(path, F_OK) == 0;
}

static void touch(const char *run, const char *name)
{
    char path[512];
    path_of(path, run, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0666);
    assert_true(fd >= 0);
    close(fd);
}

static char *read_back(const char *run, const char *name, size_t *size)
{
    char path[512], *text;
    path_of(path, run, name);
    assert_int_equal(rw_read_file(path, 1 << 26, &text, size, NULL), RWKV_OK);
    return text;
}

/* --- runs ------------------------------------------------------------------------------------- */

/* What a run told; and when it is to be stopped: within the event of that kind and step. */
struct seen {
    int count[KINDS];
    rwkv_train_event last[KINDS];
    char note[512];
    bool finished;
    volatile int cancel;
    rwkv_train_event_kind stop_kind;
    uint64_t stop_step; /* 0: not at all */
};

static void look(void *user, const rwkv_train_event *event)
{
    struct seen *seen = user;
    seen->count[event->kind]++;
    seen->last[event->kind] = *event;
    if (event->kind == RWKV_TRAIN_NOTE)
        snprintf(seen->note, sizeof seen->note, "%s", event->text);
    if (event->kind == seen->stop_kind && event->step == seen->stop_step)
        seen->cancel = 1;
}

static rwkv_train_options options_of(const char *run, char path[512])
{
    rwkv_train_options o;
    rwkv_train_defaults(&o);
    path_of(path, run, "");
    o.folder = path;
    o.data = data;
    o.vocab = "bytes";
    o.n_layer = 2, o.n_embd = 32, o.head_size = 16;
    o.context = 16, o.batch = 2, o.steps = 6, o.warmup = 2;
    o.learning_rate = 3e-3;
    o.order = RWKV_TRAIN_SHUFFLED;
    o.held_out = 0.1;
    o.validate_every = o.sample_every = 2;
    o.sample_tokens = 5, o.prompt = "ab";
    o.checkpoint_every = 4;
    o.exports = "m.safetensors";
    o.threads = 1;
    return o;
}

static void run_it(rwkv_train_options *o, struct seen *seen)
{
    rwkv_trainer *t;
    rwkv_error err = {0};
    memset(seen->count, 0, sizeof seen->count);
    seen->cancel = 0;
    o->cancel = &seen->cancel;
    if (rwkv_trainer_open(o, &t, &err) || rwkv_trainer_run(t, look, seen, &err))
        fail_msg("%s", err.message);
    seen->finished = rwkv_trainer_finished(t) != 0;
    assert_int_equal(rwkv_trainer_run(t, look, seen, NULL), RWKV_ERROR_ARGUMENT); /* once only */
    rwkv_trainer_close(t);
}

static void run_whole(const char *run)
{
    char path[512];
    struct seen seen = {0};
    rwkv_train_options o = options_of(run, path);
    run_it(&o, &seen);
    assert_true(seen.finished);
}

static void assert_same_file(const char *run, const char *other, const char *name)
{
    size_t n, m;
    char *a = read_back(run, name, &n), *b = read_back(other, name, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    rw_free(a);
    rw_free(b);
}

/* Lines of a log up to what depends on the clock. */
static char *log_of(const char *run)
{
    size_t size, at = 0;
    char *text = read_back(run, "log.jsonl", &size);
    for (char *line = text, *next; *line; line = next) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        next = end + 1;
        *end = 0;
        char *clock = strstr(line, ", \"tokens_per_second\"");
        clock = clock ? clock : strstr(line, ", \"seconds\"");
        assert_non_null(clock);
        memmove(text + at, line, (size_t)(clock - line));
        at += (size_t)(clock - line);
        text[at++] = '\n';
    }
    text[at] = 0;
    return text;
}

static void assert_same_log(const char *run, const char *other)
{
    char *a = log_of(run), *b = log_of(other);
    assert_string_equal(a, b);
    rw_free(a);
    rw_free(b);
}

/* Stop a run at that event, look at it, go on, and compare with one that was not stopped. */
static void stop_and_go(const char *run, rwkv_train_event_kind kind, uint64_t step)
{
    char path[512];
    struct seen seen = {.stop_kind = kind, .stop_step = step};
    rwkv_train_options o = options_of(run, path);
    run_it(&o, &seen);
    assert_false(seen.finished);
    assert_int_equal(seen.count[RWKV_TRAIN_EXPORT], 0);
    assert_int_equal(seen.last[RWKV_TRAIN_CHECKPOINT].step, step);
    assert_int_equal(seen.count[RWKV_TRAIN_STEP], step);
    o.resume = 1;
    o.threads = 2;
    seen.stop_step = 0;
    run_it(&o, &seen);
    assert_true(seen.finished);
    assert_int_equal(seen.count[RWKV_TRAIN_STEP], 6 - step);
    assert_same_file("whole", run, "m.safetensors");
    assert_same_log("whole", run);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_events(void **unused)
{
    char path[512];
    struct seen seen = {0};
    rwkv_train_options o = options_of("whole", path);
    run_it(&o, &seen);
    assert_true(seen.finished);
    const int counts[KINDS] = {[RWKV_TRAIN_STEP] = 6,
                               [RWKV_TRAIN_VALIDATION] = 3,
                               [RWKV_TRAIN_SAMPLE] = 3,
                               [RWKV_TRAIN_CHECKPOINT] = 3, /* at 0, 4 and the end */
                               [RWKV_TRAIN_EXPORT] = 1};
    for (int kind = 0; kind < KINDS; kind++)
        assert_int_equal(seen.count[kind], counts[kind]);
    const rwkv_train_event *step = &seen.last[RWKV_TRAIN_STEP];
    assert_true(step->step == 6 && step->steps == 6 && step->tokens == 6 * 32);
    assert_true(step->loss > 0 && step->loss < 6 && step->bits_per_byte > 0);
    assert_true(fabs(step->bits_per_byte - step->loss / M_LN2) < 1e-9); /* a token is a byte */
    assert_true(step->gradient_norm > 0 && step->learning_rate > 0 && step->seconds_left == 0);
    assert_true(seen.last[RWKV_TRAIN_SAMPLE].text_size >= 2);
    assert_true(there("whole", "checkpoints/step-0000000006.safetensors"));
    assert_true(there("whole", "report.html"));
}

static void test_plan(void **unused)
{
    char path[512];
    rwkv_train_options o = options_of("planned", path);
    rwkv_train_plan plan;
    rwkv_trainer *t;
    assert_int_equal(rwkv_trainer_open(&o, &t, NULL), RWKV_OK);
    rwkv_trainer_get_plan(t, &plan);
    assert_true(plan.steps == 6 && plan.step == 0 && plan.tokens == 6 * 32);
    assert_true(plan.n_vocab == 256 && plan.n_ffn == 128 && plan.data_tokens == TOKENS);
    assert_int_equal(plan.held_out_tokens, HELD_OUT - 1);
    assert_int_equal(plan.memory, plan.parameters + plan.gradients + plan.moments +
                                      plan.activations + plan.work);
    assert_false(rwkv_trainer_finished(t));
    rwkv_trainer_close(t);
    assert_false(there("planned", "")); /* nothing is made before it runs */
    rwkv_trainer_close(NULL);
}

static void test_stop_between_steps(void **unused)
{
    stop_and_go("between", RWKV_TRAIN_STEP, 3);
    stop_and_go("saved", RWKV_TRAIN_SAMPLE, 4); /* the checkpoint of step 4 was due */
}

/* The event of a step comes before its validation, which is then cut off. */
static void test_stop_in_validation(void **unused)
{
    stop_and_go("validating", RWKV_TRAIN_STEP, 4);
    stop_and_go("last-validation", RWKV_TRAIN_STEP, 6);
}

static void test_stop_in_sample(void **unused)
{
    stop_and_go("sampling", RWKV_TRAIN_VALIDATION, 4);
    stop_and_go("last-sample", RWKV_TRAIN_VALIDATION, 6);
}

/* After every step. */
static void test_stop_often(void **unused)
{
    char path[512];
    struct seen seen = {.stop_kind = RWKV_TRAIN_STEP};
    rwkv_train_options o = options_of("often", path);
    for (uint64_t step = 1; step <= 6; step++) {
        seen.stop_step = step;
        run_it(&o, &seen);
        assert_false(seen.finished);
        o.resume = 1;
    }
    seen.stop_step = 0;
    run_it(&o, &seen);
    assert_true(seen.finished);
    assert_same_file("whole", "often", "m.safetensors");
    assert_same_log("whole", "often");
}

static void test_bf16(void **unused)
{
    char path[512], other[512];
    struct seen seen = {0};
    size_t n, m;
    rwkv_train_options o = options_of("bf16", path);
    o.precision = RWKV_PRECISION_BF16;
    run_it(&o, &seen);
    o.folder = other;
    path_of(other, "bf16-stopped", "");
    seen.stop_kind = RWKV_TRAIN_STEP;
    seen.stop_step = 3;
    run_it(&o, &seen);
    o.resume = 1;
    o.checkpoint = 1;
    seen.stop_step = 0;
    run_it(&o, &seen);
    assert_same_file("bf16", "bf16-stopped", "m.safetensors");
    assert_same_log("bf16", "bf16-stopped");
    char *a = read_back("bf16", "m.safetensors", &n), *b = read_back("whole", "m.safetensors", &m);
    assert_int_equal(n, m);
    assert_int_not_equal(memcmp(a, b, n), 0);
    rw_free(a);
    rw_free(b);
}

/* Lengths in tokens and in passes over the data are rounded up to steps. */
static void test_lengths(void **unused)
{
    static const struct {
        uint64_t tokens;
        double epochs;
        uint64_t steps;
    } cases[] = {{1, 0, 1}, {32, 0, 1}, {33, 0, 2}, {0, 1, 37}, {0, 0.1, 4}, {0, 2, 73}};
    char path[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rwkv_train_options o = options_of("lengths", path);
        rwkv_train_plan plan;
        rwkv_trainer *t;
        o.steps = 0, o.warmup = 0;
        o.tokens = cases[i].tokens;
        o.epochs = cases[i].epochs;
        assert_int_equal(rwkv_trainer_open(&o, &t, NULL), RWKV_OK);
        rwkv_trainer_get_plan(t, &plan);
        rwkv_trainer_close(t);
        assert_int_equal(plan.steps, cases[i].steps);
        assert_int_equal(plan.tokens, cases[i].steps * 32);
    }
}

static void test_exports(void **unused)
{
    char path[512];
    struct seen seen = {0};
    rwkv_file *file;
    rwkv_train_options o = options_of("exports", path);
    o.exports = "a.gguf,b.pth";
    o.export_every = 4;
    o.export_dtype = RWKV_DTYPE_BF16;
    o.steps = 5;
    run_it(&o, &seen);
    static const char *const names[] = {"a.gguf", "b.pth", "a-4.gguf", "b-4.pth"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(path, "exports", names[i]);
        assert_int_equal(rwkv_file_open(path, &file, NULL), RWKV_OK);
        assert_true(rwkv_file_count(file) > 40);
        rwkv_file_close(file);
    }
    assert_int_equal(seen.count[RWKV_TRAIN_EXPORT], 4);
}

static void expect(const rwkv_train_options *o, rwkv_status wanted, const char *message)
{
    rwkv_trainer *t;
    rwkv_error err = {0};
    assert_int_equal(rwkv_trainer_open(o, &t, &err), wanted);
    if (wanted == RWKV_OK)
        rwkv_trainer_close(t);
    else if (!strstr(err.message, message))
        fail_msg("%s", err.message);
}

static void test_options(void **unused)
{
    char path[512];
    rwkv_train_options o = options_of("options", path);
    o.accumulate = 0;
    expect(&o, RWKV_ERROR_ARGUMENT, "accumulate: wanted 1 to");
    o.accumulate = 1;
    o.steps = UINT64_MAX / 16;
    expect(&o, RWKV_ERROR_ARGUMENT, "fewer than 2^64 tokens");
    o.steps = 0, o.epochs = 1e9;
    expect(&o, RWKV_OK, "");
    o.batch = 0;
    expect(&o, RWKV_ERROR_ARGUMENT, "context and a batch");
    o = options_of("options", path);
    o.schedule = RWKV_SCHEDULE_WSD; /* a default does not have to fit */
    o.steps = 100, o.warmup = 95;
    expect(&o, RWKV_OK, "");
    o.decay_steps = 6;
    expect(&o, RWKV_ERROR_ARGUMENT, "1 to 5 steps of decay");
    o = options_of("options", path);
    o.memory_limit = 1 << 20;
    expect(&o, RWKV_ERROR_MEMORY, "not enough memory: weights 0.22 MiB + gradients 0.22 MiB");
}

/* Other data to validate on: the part that is held out elsewhere, set apart before. */
static void test_validation(void **unused)
{
    char path[512];
    struct seen seen = {.stop_kind = RWKV_TRAIN_STEP, .stop_step = 4};
    rwkv_train_options o = options_of("validation", path);
    o.data = first_part;
    o.validation = rest;
    expect(&o, RWKV_ERROR_ARGUMENT, "found both");
    o.held_out = 0;
    run_it(&o, &seen);
    o.resume = 1;
    seen.stop_step = 0;
    run_it(&o, &seen);
    assert_same_log("whole", "validation");
    assert_same_file("whole", "validation", "m.safetensors");
    o.validation = data; /* it may change */
    o.steps = 7;
    run_it(&o, &seen);
    o.validation = rest;
    o.context = 1024;
    expect(&o, RWKV_ERROR_ARGUMENT, "/rest: wanted at least");
}

/* Documents of a prompt of seven tokens and an answer of four. */
static void write_answers(const char *path)
{
    struct rw_binidx_writer *w;
    assert_int_equal(rw_binidx_writer_open(&w, path, VOCAB, NULL), RWKV_OK);
    for (int32_t i = 0; i < 1100; i++) {
        int32_t token = 'a' + i * i % 23;
        assert_int_equal(rw_binidx_writer_add(w, &token, 1, NULL), RWKV_OK);
        if (i % 11 == 6)
            assert_int_equal(rw_binidx_writer_end_piece(w, NULL), RWKV_OK);
        if (i % 11 == 10)
            assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    }
    assert_int_equal(rw_binidx_writer_commit(w, NULL), RWKV_OK);
}

/* The mean loss over the answers, and its gradient's norm, of a model and n samples. */
static rwkv_gradient_result answers_of(const char *model, const uint64_t *starts, size_t n)
{
    rwkv_gradient_options options = {.max_tokens = n * 16, .max_sequences = n, .l2wrap = 1e-4};
    int32_t tokens[64], targets[64];
    rwkv_example examples[4] = {{0}};
    rwkv_gradient_result result;
    rwkv_model *m;
    rwkv_gradient *g;
    for (size_t i = 0; i < 16 * n; i++) {
        uint64_t at = starts[i / 16] + i % 16;
        tokens[i] = 'a' + (int32_t)(at * at % 23);
        at++;
        targets[i] = at % 11 >= 7 ? 'a' + (int32_t)(at * at % 23) : -1;
    }
    for (size_t i = 0; i < n; i++)
        examples[i] = (rwkv_example){tokens + 16 * i, targets + 16 * i, 16, NULL, NULL, NULL};
    assert_int_equal(rwkv_model_open(model, NULL, &m, NULL), RWKV_OK);
    assert_int_equal(rwkv_gradient_new(m, &options, &g, NULL), RWKV_OK);
    assert_int_equal(rwkv_gradient_add(g, examples, n, 0, NULL), RWKV_OK);
    rwkv_gradient_get_result(g, &result);
    rwkv_gradient_free(g);
    rwkv_model_close(m);
    return result;
}

/* Losses, gradients and bits are those of answers alone, whatever the batches. */
static void test_answers(void **unused)
{
    char path[512], with_prompts[512], model[512], trained[512];
    struct seen seen = {0};
    rwkv_train_options o = options_of("answers", path);
    uint64_t starts[4], held_out, windows;
    o.answers_only = 1;
    expect(&o, RWKV_ERROR_ARGUMENT, "/data: wanted prompts and answers");
    path_of(with_prompts, "with-prompts", "");
    write_answers(with_prompts);
    path_of(model, "whole", "m.safetensors");
    o.data = with_prompts;
    o.model = model;
    o.n_layer = o.n_embd = o.head_size = 0;
    o.steps = 1, o.warmup = 0;
    o.accumulate = 2;
    o.held_out = 0.105;
    run_it(&o, &seen);
    const struct rw_dataset_options order = {.ctx = 16,
                                             .batch = 4,
                                             .n_vocab = VOCAB,
                                             .held_out = o.held_out,
                                             .order = RW_ORDER_SHUFFLED,
                                             .seed = o.seed};
    struct rw_dataset *d;
    assert_int_equal(rw_dataset_open(&d, with_prompts, &order, NULL), RWKV_OK);
    for (size_t i = 0; i < 4; i++)
        starts[i] = rw_dataset_start(d, 0, i);
    held_out = rw_dataset_info(d)->train_tokens;
    windows = rw_dataset_info(d)->held_out;
    rw_dataset_close(d);
    rwkv_gradient_result wanted = answers_of(model, starts, 4);
    assert_in_range(wanted.targets, 15, 32); /* of 64 */
    assert_int_equal(seen.last[RWKV_TRAIN_STEP].targets, wanted.targets);
    assert_true(fabs(seen.last[RWKV_TRAIN_STEP].loss - wanted.loss) < 1e-12);
    assert_true(fabs(seen.last[RWKV_TRAIN_STEP].gradient_norm / wanted.norm - 1) < 1e-6);
    assert_true(fabs(seen.last[RWKV_TRAIN_STEP].bits_per_byte - wanted.loss / log(2)) < 1e-12);
    path_of(trained, "answers", "m.safetensors");
    double nats = 0;
    uint64_t targets = 0;
    for (size_t i = 0; i < windows; i++, held_out += 16) {
        wanted = answers_of(trained, &held_out, 1);
        nats += wanted.loss * (double)wanted.targets;
        targets += wanted.targets;
    }
    assert_true(fabs(seen.last[RWKV_TRAIN_VALIDATION].loss - nats / (double)targets) < 1e-9);
    assert_true(fabs(seen.last[RWKV_TRAIN_VALIDATION].bits_per_byte -
                     nats / (double)targets / log(2)) < 1e-9);
    assert_int_equal(seen.last[RWKV_TRAIN_VALIDATION].targets, targets);
    o.folder = path; /* other data to validate on may have no prompts */
    path_of(path, "answers-elsewhere", "");
    o.held_out = 0;
    o.validation = data;
    run_it(&o, &seen);
    assert_int_equal(seen.last[RWKV_TRAIN_VALIDATION].targets, (TOKENS - 1) / 16 * 16);
}

/* A model from a file, and a folder that holds a run. */
static void test_beginnings(void **unused)
{
    char path[512], model[512];
    struct seen seen = {0};
    rwkv_train_options o = options_of("tuned", path);
    path_of(model, "whole", "m.safetensors");
    o.model = model;
    o.n_layer = o.n_embd = o.head_size = 0;
    run_it(&o, &seen);
    assert_true(seen.finished);
    o = options_of("whole", path);
    expect(&o, RWKV_ERROR_IO, "holds a run already, at step 6");
    o.resume = 1;
    rwkv_trainer *first;
    assert_int_equal(rwkv_trainer_open(&o, &first, NULL), RWKV_OK);
    expect(&o, RWKV_ERROR_IO, "another process is training in this folder");
    rwkv_trainer_close(first);
}

/* What a kill leaves goes when the run goes on; what is not ours stays. */
static void test_left_behind(void **unused)
{
    char path[512];
    struct seen seen = {0};
    run_whole("left");
    touch("left", "checkpoints/rwkv-123-0.tmp");
    touch("left", "checkpoints/mine.tmp");
    touch("left", "rwkv-123-0.tmp"); /* someone may be writing a file of his here */
    rwkv_train_options o = options_of("left", path);
    o.resume = 1;
    o.steps = 7;
    run_it(&o, &seen);
    assert_false(there("left", "checkpoints/rwkv-123-0.tmp"));
    assert_true(there("left", "checkpoints/mine.tmp") && there("left", "rwkv-123-0.tmp"));
}

/* A damaged log does not keep a run from going on. */
static void test_damaged_log(void **unused)
{
    char path[512];
    struct seen seen = {.stop_kind = RWKV_TRAIN_STEP, .stop_step = 3};
    rwkv_train_options o = options_of("damaged", path);
    run_it(&o, &seen);
    char name[512];
    path_of(name, "damaged", "log.jsonl");
    FILE *f = fopen(name, "a");
    assert_non_null(f);
    assert_true(fputs("{\"kind\": \"st\n", f) >= 0);
    fclose(f);
    o.resume = 1;
    seen.stop_step = 0;
    run_it(&o, &seen);
    assert_int_equal(seen.count[RWKV_TRAIN_NOTE], 1);
    assert_non_null(strstr(seen.note, "log.jsonl: line 6 is left out"));
    assert_same_file("whole", "damaged", "m.safetensors");
    assert_same_log("whole", "damaged");
}

/* --- folders reach the disk ------------------------------------------------------------------- */

static char synced[4096]; /* paths, each after a blank */

/* In place of the system's, which it calls: which folders are told to reach the disk. */
int fsync(int fd)
{
    char self[64], path[PATH_MAX];
    struct stat st;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, path, sizeof path - 1);
    size_t used = strlen(synced);
    if (n > 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        snprintf(synced + used, sizeof synced - used, " %.*s", (int)n, path);
    return (int)syscall(SYS_fsync, fd);
}

static void test_synced(void **unused)
{
    char path[512], wanted[1200];
    struct seen seen = {0};
    rwkv_train_options o = options_of("disk", path);
    o.steps = 3;
    synced[0] = 0;
    run_it(&o, &seen);
    /* The parent of the run, for the run; the run, for its log; the run, for its checkpoints;
     * those, for the first of them. */
    snprintf(wanted, sizeof wanted, " %s %s %s %s/checkpoints", folder, path, path, path);
    if (strncmp(synced, wanted, strlen(wanted)) != 0)
        fail_msg("wanted%s, found%s", wanted, synced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_stop_between_steps),
        cmocka_unit_test(test_stop_in_validation),
        cmocka_unit_test(test_stop_in_sample),
        cmocka_unit_test(test_stop_often),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_exports),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_validation),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_damaged_log),
        cmocka_unit_test(test_synced),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
