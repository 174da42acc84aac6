/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models and the inference thread in one process, under the loop: the order of events, what is
 * generated, what is cancelled, and that a model may be closed as soon as nobody holds it.
 */
#include "unit/models.h"
#include "unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "server/models.h"
#include "server/worker.h"

struct world {
    struct rw_loop *loop;
    struct rw_background *background;
    struct rw_models *models;
    struct rw_worker *worker;
    rwkv_store *store;
    size_t n_started; /* jobs */
    size_t under_way; /* jobs and wants; when there are none left the loop stops */
    char paths[2][1024];
};

/* A job and what came of it. */
struct task {
    struct rw_job job;
    struct world *world;
    struct rw_str text[4];
    bool started, finished[4], over, failed;
    size_t cached, n_tokens, n_scores, cancel_after; /* so many tokens; 0: not */
    size_t place;                                    /* in the order in which jobs began */
    struct task *until;                              /* cancelled when this one is over */
    float *vector;
    struct rw_served *served;
    struct rw_want want;
};

static void arrived(struct world *w)
{
    if (--w->under_way == 0)
        rw_loop_stop(w->loop);
}

static void run(struct world *w)
{
    rwkv_error err = {0};
    if (w->under_way > 0 && rw_loop_run(w->loop, &err) != RWKV_OK)
        fail_msg("%s", err.message);
}

#define STEP_TOKENS 17

static void begin(struct world *w, size_t parallel, double keep_seconds, uint64_t memory)
{
    rwkv_error err = {0};
    rwkv_status status;
    *w = (struct world){0};
    const struct rw_models_options models = {
        .model = {.threads = 1, .vocab = "bytes"},
        .batch = {.max_sequences = parallel, .step_tokens = STEP_TOKENS},
        .keep_seconds = keep_seconds,
        .memory = memory};
    const rwkv_store_options store = {.memory_bytes = 1 << 20};
    RW_GO(rw_loop_new(&w->loop, &err));
    RW_GO(rw_background_new(&w->background, w->loop, &err));
    RW_GO(rw_models_new(&w->models, w->loop, w->background, &models, &err));
    RW_GO(rw_models_add(w->models, "one", unit_source(w->paths[0], SMALL_F32), &err));
    RW_GO(rw_models_add(w->models, "two", unit_source(w->paths[1], SMALL_F32), &err));
    RW_GO(rwkv_store_open(&store, &w->store, &err));
    const struct rw_worker_options worker = {
        .store = w->store, .mark_every = 16, .parallel = parallel, .step_tokens = STEP_TOKENS};
    RW_GO(rw_worker_new(&w->worker, w->loop, &worker, &err));
done:
    if (status != RWKV_OK)
        fail_msg("%s", err.message);
}

static void end(struct world *w)
{
    rw_worker_free(w->worker);
    rw_background_free(w->background);
    rw_models_free(w->models);
    rwkv_store_close(w->store);
    rw_loop_free(w->loop);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void take_event(struct rw_job *job, const struct rw_job_event *e)
{
    struct task *t = job->user;
    assert_false(t->over);
    assert_true(t->started || e->kind == RW_JOB_STARTED || e->kind == RW_JOB_OVER);
    switch (e->kind) {
    case RW_JOB_STARTED:
        t->started = true;
        t->place = t->world->n_started++;
        t->cached = e->cached_tokens;
        break;
    case RW_JOB_SCORED:
        assert_int_equal(e->token, job->tokens[t->n_scores]);
        assert_int_equal(isnan(e->logprob), t->n_scores == 0);
        t->n_scores++;
        break;
    case RW_JOB_TOKEN:
        assert_false(t->finished[e->choice]);
        rw_str_add(&t->text[e->choice], e->text, e->text_size);
        if (++t->n_tokens == t->cancel_after || (t->until && t->until->over))
            rw_worker_cancel(t->world->worker, job);
        break;
    case RW_JOB_FINISHED:
        rw_str_add(&t->text[e->choice], e->text, e->text_size);
        t->finished[e->choice] = true;
        break;
    case RW_JOB_VECTOR:
        t->vector = rw_alloc(e->size, sizeof *t->vector);
        memcpy(t->vector, e->vector, e->size * sizeof *t->vector);
        break;
    case RW_JOB_OVER:
        t->over = true;
        t->failed = e->error != NULL;
        rw_models_release(t->world->models, t->served, NAN);
        arrived(t->world);
        break;
    }
}

static void have_model(void *user, struct rw_served *served, const struct rw_api_error *error)
{
    struct task *t = user;
    assert_null(error);
    t->served = served;
    t->job.served = served;
    t->job.event = take_event;
    t->job.user = t;
    rw_worker_submit(t->world->worker, &t->job);
}

/* A job with this prompt, a byte a token. */
static void prepare(struct world *w, struct task *t, enum rw_job_kind kind, const char *text)
{
    *t = (struct task){.world = w};
    rw_job_init(&t->job, kind, NULL);
    t->job.n_tokens = strlen(text);
    t->job.tokens = rw_alloc(t->job.n_tokens + 1, sizeof *t->job.tokens);
    for (size_t i = 0; i < t->job.n_tokens; i++)
        t->job.tokens[i] = (unsigned char)text[i];
    t->job.options.max_tokens = 12;
    t->job.options.sampler.seed = 7;
}

/* Ask for the model, and submit as soon as it is there. */
static void start(struct task *t, const char *model)
{
    t->want = (struct rw_want){.fn = have_model, .user = t};
    t->world->under_way++;
    rw_models_want(t->world->models, model, &t->want);
}

static void drop(struct task *t)
{
    assert_true(t->over);
    rw_job_fini(&t->job);
    for (size_t i = 0; i < RW_COUNT(t->text); i++)
        rw_str_fini(&t->text[i]);
    rw_free(t->vector);
}

static int collect(void *user, const char *text, size_t size)
{
    rw_str_add(user, text, size);
    return 0;
}

/* What rwkv_generate makes of it. */
static void expect_alone(const struct rw_str *found, const char *prompt, uint64_t seed)
{
    struct rw_str wanted = {0};
    rwkv_model *model = open_model(SMALL_F32, &(rwkv_model_options){.vocab = "bytes"});
    rwkv_session *session = new_session(model);
    rwkv_generate_options o = {.max_tokens = 12, .sampler = {.seed = seed}};
    assert_int_equal(rwkv_generate(session, prompt, &o, collect, &wanted, NULL, NULL), RWKV_OK);
    assert_int_equal(found->size, wanted.size);
    assert_memory_equal(found->data, wanted.data, wanted.size);
    rw_str_fini(&wanted);
    rwkv_session_free(session);
    rwkv_model_close(model);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_generate(void **state)
{
    static const char prompt[] = "A prompt that is longer than the marks are apart.";
    struct world w;
    struct task t[4];
    (void)state;
    begin(&w, 8, 100, 0);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 4; i++) {
            prepare(&w, &t[i], RW_JOB_GENERATE, prompt);
            t[i].job.n = 1 + i;
            start(&t[i], i % 2 ? "one" : "two");
        }
        run(&w);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(t[i].n_tokens, 12 * (i + 1));
            if (round > 0)
                assert_int_equal(t[i].cached, strlen(prompt));
            for (size_t k = 0; k <= i; k++) {
                assert_true(t[i].finished[k]);
                expect_alone(&t[i].text[k], prompt, 7 + k);
            }
            drop(&t[i]);
        }
    }
    end(&w);
}

static void test_echo_and_nothing(void **state)
{
    char prompt[100];
    struct world w;
    struct task t[2];
    (void)state;
    memset(prompt, 'x', sizeof prompt - 1);
    prompt[sizeof prompt - 1] = 0;
    begin(&w, 8, 100, 0);
    prepare(&w, &t[0], RW_JOB_GENERATE, prompt);
    t[0].job.echo = true;
    t[0].job.logprobs = 0;
    start(&t[0], "one");
    prepare(&w, &t[1], RW_JOB_GENERATE, prompt);
    t[1].job.only_prompt = true;
    t[1].job.n = 3;
    start(&t[1], "one");
    run(&w);
    assert_int_equal(t[0].n_scores, strlen(prompt));
    expect_alone(&t[0].text[0], prompt, 7);
    assert_int_equal(t[1].n_tokens, 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(t[1].finished[i]);
    drop(&t[0]);
    drop(&t[1]);
    end(&w);
}

/* Many together, and each alone. */
static void test_vectors(void **state)
{
    enum { n = 9 };
    char prompts[n][600];
    struct world w;
    struct task t[n], alone;
    (void)state;
    begin(&w, 16, 100, 0);
    for (size_t i = 0; i < n; i++) {
        memset(prompts[i], 'a' + (int)i, 1 + i * 70);
        prompts[i][1 + i * 70] = 0;
        prepare(&w, &t[i], RW_JOB_EMBED, prompts[i]);
        start(&t[i], "one");
    }
    run(&w);
    for (size_t i = 0; i < n; i++) {
        prepare(&w, &alone, RW_JOB_EMBED, prompts[i]);
        start(&alone, "one");
        run(&w);
        assert_memory_equal(alone.vector, t[i].vector, 128 * sizeof *alone.vector);
        drop(&alone);
        drop(&t[i]);
    }
    end(&w);
}

/* One place: what works and what waits is cancelled, and what is left gets its turn. */
static void test_cancel(void **state)
{
    struct world w;
    struct task t[5];
    (void)state;
    begin(&w, 1, 100, 0);
    for (size_t i = 0; i < 5; i++)
        prepare(&w, &t[i], RW_JOB_GENERATE, "prompt");
    t[0].job.options.max_tokens = 0; /* no end of its own */
    t[0].cancel_after = 5;
    t[2].cancel_after = 1;
    for (size_t i = 0; i < 5; i++)
        start(&t[i], "one");
    rw_worker_cancel(w.worker, &t[1].job);
    rw_worker_cancel(w.worker, &t[4].job);
    run(&w);
    assert_false(t[1].started || t[4].started || t[0].finished[0] || t[2].finished[0]);
    assert_true(t[3].finished[0]);
    expect_alone(&t[3].text[0], "prompt", 7);
    for (size_t i = 0; i < 5; i++) {
        assert_false(t[i].failed);
        drop(&t[i]);
    }
    end(&w);
}

/* One place: a group that has waited goes before the second job of one that was served. */
static void test_groups_take_turns(void **state)
{
    static const uint64_t groups[] = {1, 1, 1, 1, 2, 3, 2};
    static const size_t order[] = {0, 4, 5, 1, 6, 2, 3};
    struct world w;
    struct task t[RW_COUNT(groups)];
    (void)state;
    begin(&w, 1, 100, 0);
    for (size_t i = 0; i < RW_COUNT(t); i++) {
        prepare(&w, &t[i], RW_JOB_GENERATE, "prompt");
        t[i].job.group = groups[i];
    }
    t[0].job.options.max_tokens = 0; /* until all are there */
    t[0].cancel_after = 5;
    for (size_t i = 0; i < RW_COUNT(t); i++)
        start(&t[i], "one");
    run(&w);
    for (size_t i = 0; i < RW_COUNT(t); i++)
        assert_int_equal(t[order[i]].place, i);
    for (size_t i = 0; i < RW_COUNT(t); i++)
        drop(&t[i]);
    end(&w);
}

/* What is not generated takes bounded pieces beside a stream: so many tokens between two of its. */
static void test_beside_a_stream(void **state)
{
    static const enum rw_job_kind kinds[] = {RW_JOB_EMBED, RW_JOB_GENERATE};
    char text[400];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t i = 0; i < RW_COUNT(kinds); i++) {
        struct world w;
        struct task t[2];
        begin(&w, 4, 100, 0);
        prepare(&w, &t[0], RW_JOB_GENERATE, "prompt");
        t[0].job.options.max_tokens = 0;
        t[0].until = &t[1];
        prepare(&w, &t[1], kinds[i], text);
        t[1].job.echo = kinds[i] == RW_JOB_GENERATE;
        t[1].job.logprobs = 0;
        start(&t[0], "one");
        start(&t[1], "one");
        run(&w);
        /* Before the stream's first token, pieces of 128 or 32; beside it, of 16 a token. */
        assert_in_range(t[0].n_tokens, 14, 1 << 20);
        drop(&t[0]);
        drop(&t[1]);
        end(&w);
    }
}

/* With nothing kept, a model is closed and freed at the very moment a job on it is over, also one
 * that never began. */
static void test_models_come_and_go(void **state)
{
    struct world w;
    struct task t[6];
    (void)state;
    begin(&w, 2, 0, 0);
    for (size_t round = 0; round < 40; round++) {
        for (size_t i = 0; i < 6; i++) {
            prepare(&w, &t[i], i % 3 == 2 ? RW_JOB_EMBED : RW_JOB_GENERATE, "p");
            t[i].cancel_after = 1 + (round + i) % 3;
            start(&t[i], i % 2 ? "one" : "two");
            if ((round + i) % 4 == 0)
                rw_worker_cancel(w.worker, &t[i].job);
        }
        run(&w);
        for (size_t i = 0; i < 6; i++)
            drop(&t[i]);
    }
    end(&w);
}

static void refused(void *user, struct rw_served *served, const struct rw_api_error *error)
{
    assert_null(served);
    *(struct rw_api_error *)user = *error;
}

static void held(void *user, struct rw_served *served, const struct rw_api_error *error)
{
    struct task *t = user;
    t->served = served;
    t->failed = error != NULL;
    arrived(t->world);
}

static void want(struct world *w, struct task *t, const char *name)
{
    *t = (struct task){.world = w, .want = {.fn = held, .user = t}};
    w->under_way++;
    rw_models_want(w->models, name, &t->want);
}

static uint64_t memory_of_one(void)
{
    char path[1024];
    rwkv_model_info info;
    const rwkv_model_options options = {.threads = 1, .vocab = "bytes"};
    assert_int_equal(rwkv_model_plan(unit_source(path, SMALL_F32), &options, &info, NULL), 0);
    return info.file_bytes + info.private_bytes + info.scratch_bytes;
}

/* There is room for one of two: the other has to be let go first. */
static void test_memory(void **state)
{
    struct world w;
    struct task one, two, again;
    struct rw_api_error error = {0};
    struct rw_want unknown = {.fn = refused, .user = &error};
    (void)state;
    begin(&w, 2, 100, memory_of_one() * 3 / 2);
    rw_models_want(w.models, "three", &unknown);
    assert_int_equal(error.status, 404);
    want(&w, &one, NULL);
    run(&w);
    assert_non_null(one.served);
    assert_string_equal(one.served->name, "one");
    want(&w, &again, "one:latest");
    assert_ptr_equal(again.served, one.served);
    want(&w, &two, "two");
    run(&w);
    assert_true(two.failed);
    assert_int_equal(rw_models_find(w.models, "one")->users, 2);
    rw_models_release(w.models, one.served, NAN);
    rw_models_release(w.models, again.served, NAN);
    assert_true(rw_models_find(w.models, "one")->loaded);
    want(&w, &two, "two");
    run(&w);
    assert_non_null(two.served);
    assert_false(rw_models_find(w.models, "one")->loaded);
    rw_models_release(w.models, two.served, NAN);
    end(&w);
}

/* The folder is looked at while a model from it is being opened by the other thread. */
static void test_look_while_opening(void **state)
{
    char folder[1024];
    rwkv_error err = {0};
    struct world w = {0};
    struct task t;
    const struct rw_models_options options = {.model = {.threads = 1, .vocab = "bytes"},
                                              .folder = unit_source(folder, "tests/data/rwkv7"),
                                              .keep_seconds = 100};
    (void)state;
    assert_int_equal(rw_loop_new(&w.loop, &err), RWKV_OK);
    assert_int_equal(rw_background_new(&w.background, w.loop, &err), RWKV_OK);
    assert_int_equal(rw_models_new(&w.models, w.loop, w.background, &options, &err), RWKV_OK);
    want(&w, &t, "small-f32");
    for (size_t i = 0; i < 20; i++)
        assert_true(rw_models_scan(w.models) > 0);
    run(&w);
    assert_non_null(t.served);
    rw_models_release(w.models, t.served, NAN);
    end(&w);
}

/* The worker is freed while jobs are on their way, and takes their memory with it. */
static void test_end_under_load(void **state)
{
    struct world w;
    struct task t[6];
    (void)state;
    begin(&w, 2, 100, 0);
    struct task first;
    prepare(&w, &first, RW_JOB_GENERATE, "open it");
    start(&first, "one");
    run(&w);
    drop(&first);
    for (size_t i = 0; i < 6; i++) {
        prepare(&w, &t[i], i % 3 == 2 ? RW_JOB_EMBED : RW_JOB_GENERATE, "under way");
        t[i].job.options.max_tokens = 0;
        t[i].job.n = 1 + i % 2;
        start(&t[i], "one");
    }
    rw_worker_free(w.worker);
    w.worker = NULL;
    for (size_t i = 0; i < 6; i++) {
        t[i].over = true;
        drop(&t[i]);
        rw_models_release(w.models, t[i].served, NAN);
    }
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_echo_and_nothing),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_groups_take_turns),
        cmocka_unit_test(test_beside_a_stream),
        cmocka_unit_test(test_models_come_and_go),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_look_while_opening),
        cmocka_unit_test(test_end_under_load),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
