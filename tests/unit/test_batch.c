/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: every sequence as if alone, bounds, fairness, leaving early, and what is refused. */
#include "unit.h"

#include <pthread.h>

#include "allocations.h"
#include "models.h"
#include "rwkv_batch.h"

#define MANY 14

/* What a sequence is to do, and what came of it. */
struct job {
    char prompt[512];
    rwkv_generate_options options;
    rwkv_session *session; /* nullable */
    char text[4096];
    size_t size, tokens, steps;
    int finished;
    bool endless; /* its text is not kept */
    rwkv_generate_result result;
    uint64_t id;
};

static int collect(void *user, const char *text, size_t size)
{
    struct job *job = user;
    if (job->endless)
        return 0;
    assert_true(job->size + size < sizeof job->text);
    memcpy(job->text + job->size, text, size);
    job->size += size;
    return 0;
}

static const char *const stops[] = {"a", "xy", "\n"};

/* Different lengths, samplers and ends. */
static void describe(struct job *job, size_t i)
{
    *job = (struct job){.options = {.max_tokens = 1 + 5 * i, .ignore_eos = 1}};
    size_t length = i % 3 == 0 ? 1 + i : 7 * i + 3;
    for (size_t k = 0; k < length; k++)
        job->prompt[k] = (char)(33 + (k * (i + 7) + i) % 90);
    job->options.sampler = (rwkv_sampler_options){.greedy = i % 4 == 1,
                                                  .temperature = 1.5f,
                                                  .top_p = i % 2 ? 0.95f : 0,
                                                  .presence = i % 5 ? 0 : 0.3f,
                                                  .frequency = i % 5 ? 0 : 0.3f,
                                                  .seed = 100 + i};
    if (i % 4 == 2) {
        job->options.stop = stops;
        job->options.n_stop = 3;
    }
}

static rwkv_status add(rwkv_batch *b, struct job *job, rwkv_error *err)
{
    rwkv_batch_request r = {.prompt = job->prompt,
                            .prompt_size = strlen(job->prompt),
                            .options = &job->options,
                            .session = job->session,
                            .user = job};
    return rwkv_batch_add(b, &r, &job->id, err);
}

static void take(const rwkv_batch_event *e)
{
    struct job *job = e->user;
    assert_int_equal(e->id, job->id);
    assert_false(job->finished);
    collect(job, e->text, e->text_size);
    job->tokens += e->kind == RWKV_BATCH_TOKEN;
    if (e->kind == RWKV_BATCH_FINISHED) {
        job->finished = 1;
        job->result = e->result;
        assert_ptr_equal(e->session, job->session);
        assert_int_equal(e->error != NULL, e->result.finish == RWKV_FINISH_ERROR);
    } else {
        assert_non_null(rwkv_session_logits(e->session));
    }
}

static rwkv_batch_stats step(rwkv_batch *b)
{
    rwkv_batch_stats stats;
    rwkv_batch_event event;
    rwkv_error err = {0};
    if (rwkv_batch_step(b, &stats, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    while (rwkv_batch_next(b, &event))
        take(&event);
    return stats;
}

static rwkv_batch *new_batch(rwkv_model *m, size_t max, size_t step_tokens)
{
    rwkv_batch *b = NULL;
    rwkv_error err = {0};
    rwkv_batch_options options = {max, step_tokens};
    if (rwkv_batch_new(m, &options, &b, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return b;
}

static void *state_of(const rwkv_session *s)
{
    void *bytes = malloc(rwkv_session_state_size(s));
    rwkv_session_state_write(s, bytes);
    return bytes;
}

/* --- as if alone ------------------------------------------------------------------------------ */

struct alone {
    struct job jobs[MANY];
    void *states[MANY];
    size_t state_size;
};

static void run_alone(struct alone *a)
{
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1});
    rwkv_session *s = new_session(m);
    for (size_t i = 0; i < MANY; i++) {
        struct job *job = &a->jobs[i];
        describe(job, i);
        rwkv_session_reset(s);
        assert_int_equal(
            rwkv_generate(s, job->prompt, &job->options, collect, job, &job->result, NULL),
            RWKV_OK);
        a->states[i] = state_of(s);
        a->state_size = rwkv_session_state_size(s);
    }
    rwkv_session_free(s);
    rwkv_model_close(m);
}

struct arrangement {
    int threads;
    size_t chunk, max, step_tokens;
    size_t first;    /* jobs there at the beginning */
    size_t stride;   /* the order: i × stride modulo MANY */
    size_t sessions; /* every so many jobs have a session of the caller's; 0: none */
};

static void compare(const struct alone *a, const struct job *jobs)
{
    for (size_t i = 0; i < MANY; i++) {
        const struct job *want = &a->jobs[i], *job = &jobs[i];
        assert_true(job->finished);
        assert_int_equal(job->size, want->size);
        assert_memory_equal(job->text, want->text, want->size);
        assert_int_equal(job->result.finish, want->result.finish);
        assert_int_equal(job->result.prompt_tokens, want->result.prompt_tokens);
        assert_int_equal(job->result.generated_tokens, want->result.generated_tokens);
        assert_int_equal(job->tokens, want->result.generated_tokens);
        if (!job->session)
            continue;
        void *state = state_of(job->session);
        assert_memory_equal(state, a->states[i], a->state_size);
        free(state);
    }
}

static void arrange(const struct alone *a, const struct arrangement *how)
{
    rwkv_model *m =
        open_model(SMALL_GGUF, &(rwkv_model_options){.threads = how->threads, .chunk = how->chunk});
    rwkv_batch *b = new_batch(m, how->max, how->step_tokens);
    static struct job jobs[MANY];
    size_t added = 0;
    for (size_t i = 0; i < MANY; i++) {
        describe(&jobs[i], i);
        if (how->sessions && i % how->sessions == 0)
            jobs[i].session = new_session(m);
    }
    do {
        for (size_t now = 0; added < MANY && (now == 0 || added < how->first); now++, added++)
            assert_int_equal(add(b, &jobs[added * how->stride % MANY], NULL), RWKV_OK);
        rwkv_batch_stats stats = step(b);
        assert_true(stats.working <= how->max);
    } while (rwkv_batch_count(b) > 0 || added < MANY);
    compare(a, jobs);
    for (size_t i = 0; i < MANY; i++)
        rwkv_session_free(jobs[i].session);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

static void as_if_alone(void **state)
{
    (void)state;
    static struct alone a;
    run_alone(&a);
    static const struct arrangement list[] = {
        {1, 128, 32, 0, MANY, 1, 1}, {2, 128, 32, 0, 1, 1, 0}, {1, 16, 5, 0, MANY, 3, 2},
        {1, 7, 3, 2, 2, 5, 3},       {1, 64, 14, 4, 1, 9, 1},  {1, 2, 1, 2, MANY, 13, 4},
        {3, 33, 8, 9, 4, 11, 2},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        arrange(&a, &list[i]);
    for (size_t i = 0; i < MANY; i++)
        free(a.states[i]);
}

/* --- bounds and fairness ---------------------------------------------------------------------- */

/* A long prompt joins streams that generate: none of them misses a step, no step is too large. */
static void streams_do_not_stall(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1, .chunk = 64});
    rwkv_batch *b = new_batch(m, 8, 16);
    static struct job jobs[4];
    static int32_t document[1000];
    for (size_t i = 0; i < 4; i++) {
        describe(&jobs[i], 0);
        jobs[i].options.max_tokens = 200;
        assert_int_equal(add(b, &jobs[i], NULL), RWKV_OK);
    }
    step(b);
    struct job reader = {.options = {.max_tokens = 1, .ignore_eos = 1}};
    rwkv_batch_request r = {.tokens = document, .n_tokens = 1000, .user = &reader};
    r.options = &reader.options;
    assert_int_equal(rwkv_batch_add(b, &r, &reader.id, NULL), RWKV_OK);
    for (size_t i = 0; i < 80; i++) {
        rwkv_batch_stats stats = step(b);
        assert_int_equal(stats.prompt_tokens, 12);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(jobs[k].tokens, i + 2);
    }
    for (size_t k = 0; k < 4; k++)
        rwkv_batch_cancel(b, jobs[k].id);
    rwkv_batch_stats stats = step(b);
    assert_int_equal(stats.prompt_tokens, 1000 - 80 * 12); /* alone it may have a chunk */
    assert_true(reader.finished);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

/* More streams than a step has tokens: they take turns. */
static void streams_take_turns(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1});
    rwkv_batch *b = new_batch(m, 12, 5);
    static struct job jobs[12];
    for (size_t i = 0; i < 12; i++) {
        describe(&jobs[i], 0);
        jobs[i].options.max_tokens = 1000;
        assert_int_equal(add(b, &jobs[i], NULL), RWKV_OK);
    }
    for (size_t i = 0; i < 61; i++) {
        step(b);
        size_t least = SIZE_MAX, most = 0;
        for (size_t k = 0; k < 12; k++) {
            least = jobs[k].tokens < least ? jobs[k].tokens : least;
            most = jobs[k].tokens > most ? jobs[k].tokens : most;
        }
        assert_true(most - least <= 1);
    }
    assert_int_equal(jobs[0].tokens, 26);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

static void add_document(rwkv_batch *b, struct job *job, size_t n_tokens, uint64_t group)
{
    static int32_t document[5000];
    *job = (struct job){.options = {.max_tokens = 1, .ignore_eos = 1}};
    rwkv_batch_request r = {.tokens = document, .n_tokens = n_tokens, .group = group};
    r.options = &job->options;
    r.user = job;
    assert_int_equal(rwkv_batch_add(b, &r, &job->id, NULL), RWKV_OK);
}

static size_t steps_until(rwkv_batch *b, const struct job *job)
{
    size_t n = 0;
    while (!job->finished) {
        step(b);
        assert_true(++n < 1000);
    }
    return n;
}

static void groups_get_equal_shares(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1, .chunk = 64});
    static struct job crowd[10], one, two;
    rwkv_batch *b = new_batch(m, 16, 0);
    for (size_t i = 0; i < 10; i++)
        add_document(b, &crowd[i], 640, 1);
    add_document(b, &one, 640, 2);
    assert_int_equal(steps_until(b, &one), 20); /* half of every step */
    rwkv_batch_free(b);
    /* One place: the group that is not at work comes next, however many came before it. */
    b = new_batch(m, 2, 0);
    for (size_t i = 0; i < 10; i++)
        add_document(b, &crowd[i], 64, 1);
    add_document(b, &one, 64, 2);
    step(b);
    assert_true(crowd[0].finished + one.finished == 0);
    assert_int_equal(steps_until(b, &one), 1);
    assert_false(crowd[2].finished);
    rwkv_batch_free(b);
    /* Within a group: the short one need not wait for the long one, which goes on all the same. */
    b = new_batch(m, 16, 0);
    add_document(b, &one, 5000, 1);
    for (size_t i = 0; i < 10; i++)
        add_document(b, &crowd[i], 320, 1);
    add_document(b, &two, 32, 1);
    assert_int_equal(steps_until(b, &two), 1);
    size_t total = steps_until(b, &one);
    assert_in_range(total, 125, 158);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

/* --- leaving early ---------------------------------------------------------------------------- */

static void cancelling(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1, .chunk = 16});
    rwkv_batch *b = new_batch(m, 2, 0);
    rwkv_session *alone = new_session(m);
    static struct job jobs[4], whole;
    volatile int flag = 0;
    for (size_t i = 0; i < 4; i++) {
        describe(&jobs[i], 9);
        jobs[i].options.max_tokens = 50;
        jobs[i].options.cancel = i == 1 ? &flag : NULL;
    }
    describe(&whole, 9);
    whole.options.max_tokens = 50;
    rwkv_generate(alone, whole.prompt, &whole.options, collect, &whole, NULL, NULL);
    jobs[1].session = new_session(m);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(add(b, &jobs[i], NULL), RWKV_OK);
    rwkv_batch_cancel(b, jobs[3].id); /* while it waits */
    rwkv_batch_cancel(b, 12345);
    step(b);
    assert_true(jobs[3].finished);
    assert_int_equal(jobs[3].result.finish, RWKV_FINISH_CALLER);
    while (jobs[1].tokens < 10)
        step(b);
    flag = 1;
    while (!jobs[1].finished)
        step(b);
    assert_int_equal(jobs[1].result.finish, RWKV_FINISH_CALLER);
    assert_int_equal(jobs[1].result.generated_tokens, 10);
    assert_memory_equal(jobs[1].text, whole.text, jobs[1].size);
    /* What was shown is in the state, as after rwkv_generate. */
    assert_int_equal(rwkv_session_position(jobs[1].session), strlen(whole.prompt) + 10);
    while (jobs[2].tokens < 1)
        step(b);
    rwkv_batch_cancel(b, jobs[2].id);
    step(b);
    assert_true(jobs[2].finished);
    while (rwkv_batch_count(b))
        step(b);
    assert_int_equal(jobs[0].size, whole.size);
    assert_memory_equal(jobs[0].text, whole.text, whole.size);
    rwkv_session_free(jobs[1].session);
    rwkv_session_free(alone);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

static void deadlines(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1});
    rwkv_batch *b = new_batch(m, 1, 0);
    static struct job jobs[3];
    for (size_t i = 0; i < 3; i++) {
        describe(&jobs[i], 0);
        jobs[i].endless = i != 2;
        jobs[i].options.max_tokens = i == 2 ? 3 : 0;
        rwkv_batch_request r = {.prompt = "ab", .prompt_size = 2, .user = &jobs[i]};
        r.options = &jobs[i].options;
        r.timeout = i == 2 ? 0 : i == 1 ? 0.02 : 0.05;
        assert_int_equal(rwkv_batch_add(b, &r, &jobs[i].id, NULL), RWKV_OK);
    }
    while (rwkv_batch_count(b))
        step(b);
    assert_int_equal(jobs[0].result.finish, RWKV_FINISH_DEADLINE);
    assert_int_equal(jobs[1].result.finish, RWKV_FINISH_DEADLINE); /* while it waited */
    assert_int_equal(jobs[1].result.prompt_tokens, 0);
    assert_int_equal(jobs[2].result.finish, RWKV_FINISH_LENGTH);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

/* Freed with sequences at work, waiting, and just finished. */
static void freed_at_work(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1});
    rwkv_batch *b = new_batch(m, 2, 0);
    static struct job jobs[4];
    for (size_t i = 0; i < 4; i++) {
        describe(&jobs[i], i);
        assert_int_equal(add(b, &jobs[i], NULL), RWKV_OK);
    }
    assert_int_equal(rwkv_batch_step(b, NULL, NULL), RWKV_OK);
    rwkv_model_close(m);
    assert_int_equal(rwkv_batch_step(b, NULL, NULL), RWKV_OK); /* events not taken */
    rwkv_batch_free(b);
    rwkv_batch_free(NULL);
}

/* --- states ----------------------------------------------------------------------------------- */

static void marks_and_branches(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1, .chunk = 16});
    rwkv_batch *b = new_batch(m, 4, 0);
    rwkv_session *kept[3] = {new_session(m), new_session(m), new_session(m)};
    rwkv_session *alone = new_session(m), *root = new_session(m);
    int32_t tokens[50];
    for (int i = 0; i < 50; i++)
        tokens[i] = 40 + i;
    const size_t marks[] = {1, 20, 50};
    rwkv_batch_request r = {.tokens = tokens, .n_tokens = 50, .marks = marks, .n_marks = 3};
    r.only_prompt = 1;
    r.session = root;
    assert_int_equal(rwkv_batch_add(b, &r, NULL, NULL), RWKV_OK);
    rwkv_batch_event e = {0};
    size_t seen = 0;
    while (rwkv_batch_count(b)) {
        rwkv_batch_step(b, NULL, NULL);
        while (rwkv_batch_next(b, &e))
            if (e.kind == RWKV_BATCH_MARK) {
                assert_int_equal(e.result.prompt_tokens, marks[seen]);
                assert_int_equal(rwkv_session_copy(kept[seen++], e.session, NULL), RWKV_OK);
            }
    }
    assert_int_equal(seen, 3);
    assert_int_equal(e.kind, RWKV_BATCH_FINISHED);
    assert_int_equal(e.result.finish, RWKV_FINISH_LENGTH);
    assert_int_equal(e.result.generated_tokens, 0);
    size_t size = rwkv_session_state_size(alone), at = 0;
    for (size_t i = 0; i < 3; at = marks[i++]) {
        rwkv_session_eval(alone, tokens + at, marks[i] - at, NULL);
        void *want = state_of(alone), *found = state_of(kept[i]);
        assert_memory_equal(want, found, size);
        free(want);
        free(found);
    }
    /* Many continue one state, with nothing to read. */
    static struct job jobs[5], want;
    for (size_t i = 0; i < 5; i++) {
        describe(&jobs[i], 9);
        rwkv_batch_request branch = {.from = root, .options = &jobs[i].options};
        branch.user = &jobs[i];
        jobs[i].session = branch.session = i == 4 ? kept[0] : NULL;
        assert_int_equal(rwkv_batch_add(b, &branch, &jobs[i].id, NULL), RWKV_OK);
    }
    while (rwkv_batch_count(b))
        step(b);
    describe(&want, 9);
    rwkv_generate(root, "", &want.options, collect, &want, NULL, NULL);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(jobs[i].size, want.size);
        assert_memory_equal(jobs[i].text, want.text, want.size);
    }
    assert_int_equal(rwkv_session_position(kept[0]), rwkv_session_position(root));
    rwkv_batch_free(b);
    for (size_t i = 0; i < 3; i++)
        rwkv_session_free(kept[i]);
    rwkv_session_free(alone);
    rwkv_session_free(root);
    rwkv_model_close(m);
}

/* --- refusals and failures -------------------------------------------------------------------- */

static void assert_refused(rwkv_batch *b, rwkv_batch_request r, rwkv_status status,
                           const char *message)
{
    rwkv_error err = {0};
    assert_int_equal(rwkv_batch_add(b, &r, NULL, &err), status);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
    assert_int_equal(rwkv_batch_count(b), 1);
}

static void refusals(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1}),
               *other = open_model(SMALL_F32, NULL);
    rwkv_batch *b = NULL;
    rwkv_error err = {0};
    assert_int_equal(rwkv_batch_new(m, &(rwkv_batch_options){.step_tokens = 1}, &b, &err),
                     RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_batch_new(m, &(rwkv_batch_options){.step_tokens = 129}, &b, &err),
                     RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_batch_new(m, &(rwkv_batch_options){.max_sequences = 1025}, &b, &err),
                     RWKV_ERROR_ARGUMENT);
    assert_int_not_equal(rwkv_batch_new(other, NULL, &b, &err), RWKV_OK);
    assert_non_null(strstr(err.message, "no vocabulary found"));
    assert_int_equal(rwkv_batch_new(m, NULL, &b, &err), RWKV_OK);
    rwkv_session *used = new_session(m), *foreign = new_session(other), *empty = new_session(m);
    static struct job job;
    describe(&job, 3);
    job.session = used;
    assert_int_equal(add(b, &job, NULL), RWKV_OK);
    const int32_t bad[] = {1, 128};
    const size_t marks[] = {1, 1}, beyond[] = {3};
    const char *no_stop[] = {""};
    rwkv_batch_request r = {.prompt = "ab", .prompt_size = 2};
    assert_refused(b, (rwkv_batch_request){0}, RWKV_ERROR_ARGUMENT, "nothing to continue");
    assert_refused(b, (rwkv_batch_request){.from = empty}, RWKV_ERROR_ARGUMENT, "nothing");
    assert_refused(b, (rwkv_batch_request){.tokens = bad, .n_tokens = 2}, RWKV_ERROR_TOKEN,
                   "found 128");
    assert_refused(b, (rwkv_batch_request){.prompt = "\xff", .prompt_size = 1}, RWKV_ERROR_TOKEN,
                   "0xff");
    assert_refused(b, (rwkv_batch_request){.prompt = "a", .prompt_size = 1, .tokens = bad},
                   RWKV_ERROR_ARGUMENT, "tokens");
    r.session = used;
    assert_refused(b, r, RWKV_ERROR_ARGUMENT, "used in this batch");
    r.session = foreign;
    assert_refused(b, r, RWKV_ERROR_STATE, "another model");
    r.session = NULL;
    r.marks = marks;
    r.n_marks = 2;
    assert_refused(b, r, RWKV_ERROR_ARGUMENT, "mark 1");
    r.marks = beyond;
    r.n_marks = 1;
    assert_refused(b, r, RWKV_ERROR_ARGUMENT, "mark 0");
    r.n_marks = 0;
    r.options = &(rwkv_generate_options){.stop = no_stop, .n_stop = 1};
    assert_refused(b, r, RWKV_ERROR_ARGUMENT, "stop sequence 0");
    r.options = &(rwkv_generate_options){.sampler = {.temperature = -1}};
    assert_refused(b, r, RWKV_ERROR_ARGUMENT, "temperature");
    while (rwkv_batch_count(b))
        step(b);
    assert_int_equal(job.result.finish, RWKV_FINISH_LENGTH);
    rwkv_batch_free(b);
    rwkv_session_free(used);
    rwkv_session_free(foreign);
    rwkv_session_free(empty);
    rwkv_model_close(m);
    rwkv_model_close(other);
}

/* No memory for one sequence's state: it fails, the others do not notice. */
static void one_fails(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1});
    rwkv_batch *b = new_batch(m, 4, 0);
    static struct job good, bad;
    describe(&good, 5);
    describe(&bad, 6);
    assert_int_equal(add(b, &good, NULL), RWKV_OK);
    step(b);
    assert_int_equal(add(b, &bad, NULL), RWKV_OK);
    let_aligned_fail(true);
    rwkv_batch_event e;
    int failed = 0;
    assert_int_equal(rwkv_batch_step(b, NULL, NULL), RWKV_OK);
    while (rwkv_batch_next(b, &e)) {
        if (e.user == &bad) {
            assert_int_equal(e.kind, RWKV_BATCH_FINISHED);
            assert_int_equal(e.error->code, RWKV_ERROR_MEMORY);
            failed++;
        }
        take(&e);
    }
    let_aligned_fail(false);
    assert_int_equal(failed, 1);
    while (rwkv_batch_count(b))
        step(b);
    assert_int_equal(good.result.finish, RWKV_FINISH_LENGTH);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

static void no_allocations(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 1});
    rwkv_batch *b = new_batch(m, 6, 0);
    static struct job jobs[6];
    for (size_t i = 0; i < 6; i++) {
        describe(&jobs[i], 10 + i);
        jobs[i].options.max_tokens = 1000;
        assert_int_equal(add(b, &jobs[i], NULL), RWKV_OK);
    }
    for (size_t i = 0; i < 10; i++)
        step(b);
    size_t before = count_allocations();
    for (size_t i = 0; i < 200; i++)
        step(b);
    assert_int_equal(count_allocations(), before);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

/* --- threads ---------------------------------------------------------------------------------- */

struct client {
    rwkv_batch *batch;
    struct job jobs[20];
};

static void *request(void *arg)
{
    struct client *c = arg;
    for (size_t i = 0; i < 20; i++) {
        describe(&c->jobs[i], i % MANY);
        rwkv_batch_request r = {.prompt = c->jobs[i].prompt,
                                .prompt_size = strlen(c->jobs[i].prompt),
                                .options = &c->jobs[i].options,
                                .group = (uint64_t)(uintptr_t)c};
        uint64_t id;
        assert_int_equal(rwkv_batch_add(c->batch, &r, &id, NULL), RWKV_OK);
        if (i % 3 == 0)
            rwkv_batch_cancel(c->batch, id);
    }
    return NULL;
}

static void from_many_threads(void **state)
{
    (void)state;
    enum { CLIENTS = 3 };
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 2});
    rwkv_batch *b = new_batch(m, 4, 0);
    static struct client clients[CLIENTS];
    pthread_t ids[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].batch = b;
        assert_int_equal(pthread_create(&ids[i], NULL, request, &clients[i]), 0);
    }
    size_t finished = 0;
    rwkv_batch_event e;
    while (finished < 20 * CLIENTS) {
        assert_int_equal(rwkv_batch_step(b, NULL, NULL), RWKV_OK);
        while (rwkv_batch_next(b, &e))
            finished += e.kind == RWKV_BATCH_FINISHED;
    }
    assert_int_equal(rwkv_batch_count(b), 0);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(ids[i], NULL);
    rwkv_batch_free(b);
    rwkv_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_if_alone),        cmocka_unit_test(streams_do_not_stall),
        cmocka_unit_test(streams_take_turns), cmocka_unit_test(groups_get_equal_shares),
        cmocka_unit_test(cancelling),         cmocka_unit_test(deadlines),
        cmocka_unit_test(freed_at_work),      cmocka_unit_test(marks_and_branches),
        cmocka_unit_test(refusals),           cmocka_unit_test(one_fails),
        cmocka_unit_test(no_allocations),     cmocka_unit_test(from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
