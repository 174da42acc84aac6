/* SPDX-License-Identifier: Apache-2.0 */
/* Remembered states: the same bits with a store as without, who may find what, what leaves first.
 */
#include "unit.h"

#include <pthread.h>

#include "rwkv_batch.h"
#include "stores.h"

/* About what one state of SMALL_F32 takes in memory, and a bit. */
#define STATE_BYTES ((uint64_t)72 * 1024)

/* --- a conversation, with and without a store ------------------------------------------------- */

enum { TURNS = 5, PROMPT = 37, ANSWER = 12, MARKS = 3 };

struct conversation {
    int32_t tokens[TURNS * (PROMPT + ANSWER)];
    size_t n;
    size_t evaluated; /* tokens of prompts */
};

/* One turn: a prompt is added, its beginning found if there is a store, the rest evaluated with
 * marks, at which states are put, and an answer drawn, which is added. */
static void take_turn(struct conversation *c, rwkv_batch *batch, rwkv_store *store, unsigned turn,
                      rwkv_session *session)
{
    size_t marks[MARKS], n_marks = 0, found = 0;
    tokens_of(turn, c->tokens + c->n, PROMPT);
    c->n += PROMPT;
    rwkv_session_reset(session);
    if (store)
        found = find(store, session, &alice, c->tokens, c->n);
    for (size_t back = PROMPT - 10; n_marks < MARKS; back -= 13, n_marks++)
        marks[n_marks] = c->n - back - found;
    if (c->n - found < PROMPT)
        n_marks = 0; /* all of it was found: a repetition */
    const rwkv_generate_options options = {
        .max_tokens = ANSWER, .ignore_eos = 1, .sampler = {.temperature = 1.2f, .seed = 7 + turn}};
    const rwkv_batch_request request = {.tokens = c->tokens + found,
                                        .n_tokens = c->n - found,
                                        .options = &options,
                                        .from = session,
                                        .marks = marks,
                                        .n_marks = n_marks};
    rwkv_batch_event event;
    rwkv_error err = {0};
    size_t base = c->n;
    if (rwkv_batch_add(batch, &request, NULL, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    c->evaluated += c->n - found;
    while (rwkv_batch_count(batch) > 0) {
        assert_int_equal(rwkv_batch_step(batch, NULL, &err), RWKV_OK);
        while (rwkv_batch_next(batch, &event)) {
            if (event.kind == RWKV_BATCH_MARK && store)
                put(store, event.session, &alice, c->tokens, found + event.result.prompt_tokens);
            if (event.kind != RWKV_BATCH_TOKEN)
                continue;
            if (store && c->n == base)
                put(store, event.session, &alice, c->tokens, base);
            c->tokens[c->n++] = event.token;
        }
    }
    assert_int_equal(c->n, base + ANSWER);
}

static void converse(struct conversation *c, rwkv_store *store, rwkv_model *model)
{
    rwkv_batch *batch;
    rwkv_session *session = new_session(model);
    assert_int_equal(rwkv_batch_new(model, NULL, &batch, NULL), RWKV_OK);
    *c = (struct conversation){0};
    for (unsigned turn = 0; turn < TURNS; turn++)
        take_turn(c, batch, store, turn, session);
    rwkv_batch_free(batch);
    rwkv_session_free(session);
}

/* The answers are the same to the token, drawn at random, so by logits the same to the bit. */
static void same_conversation(rwkv_store *store, rwkv_model *model, size_t most)
{
    static struct conversation with, without;
    converse(&without, NULL, model);
    converse(&with, store, model);
    assert_int_equal(with.n, without.n);
    assert_memory_equal(with.tokens, without.tokens, with.n * sizeof with.tokens[0]);
    assert_in_range(with.evaluated, 0, most);
    assert_true(without.evaluated > 2 * with.evaluated);
}

/* What evaluating only what is new takes: prompts, and the answers before them. */
#define NEW_TOKENS (TURNS * PROMPT + (TURNS - 1) * ANSWER)

static void conversation_in_memory(void **state)
{
    (void)state;
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_store *store = store_open(NULL);
    same_conversation(store, model, NEW_TOKENS);
    rwkv_store_stats s = stats_of(store);
    assert_int_equal(s.hits, TURNS - 1);
    assert_int_equal(s.misses, 1);
    same_conversation(store, model, 0); /* again: all is found, nothing evaluated */
    s = stats_of(store);
    assert_int_equal(s.hits, 2 * TURNS - 1);
    assert_int_equal(s.disk_hits + s.disk_bytes + s.disk_entries + s.evictions, 0);
    rwkv_store_close(store);
    rwkv_model_close(model);
}

static void conversation_on_disk(void **state)
{
    (void)state;
    char folder[64];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    folder_new(folder);
    const rwkv_store_options options = {.folder = folder, .memory_bytes = 3 * STATE_BYTES};
    rwkv_store *store = store_open(&options);
    same_conversation(store, model, NEW_TOKENS);
    rwkv_store_close(store);
    store = store_open(&options); /* a restart */
    assert_int_equal(stats_of(store).memory_entries, 0);
    assert_true(stats_of(store).disk_entries > 0);
    same_conversation(store, model, NEW_TOKENS);
    rwkv_store_stats s = stats_of(store);
    assert_true(s.disk_hits > 0);
    assert_int_equal(s.damaged + s.failures, 0);
    assert_true(s.memory_bytes <= s.memory_limit);
    rwkv_store_close(store);
    folder_remove(folder);
    rwkv_model_close(model);
}

/* Every way back to a state gives it as it was: logits, hidden, position. */
static void same_bits(void **state)
{
    (void)state;
    char folder[64];
    int32_t tokens[50];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model), *b = new_session(model);
    const rwkv_store_options options = {.folder = folder_new(folder)};
    rwkv_store *store = store_open(&options);
    tokens_of(1, tokens, 50);
    learn(store, a, &alice, tokens, 40);
    assert_int_equal(find(store, b, &alice, tokens, 50), 40);
    assert_same_session(a, b);
    assert_int_equal(find(store, b, &alice, tokens, 40), 40);
    rwkv_session_reset(b);
    assert_int_equal(find(store, b, &alice, tokens, 39), 0);
    assert_int_equal(rwkv_session_position(b), 0); /* as it was */
    rwkv_store_close(store);
    store = store_open(&options);
    for (int i = 0; i < 2; i++) { /* from disk, then from memory again */
        rwkv_session_reset(b);
        assert_int_equal(find(store, b, &alice, tokens, 50), 40);
        assert_same_session(a, b);
    }
    assert_int_equal(stats_of(store).disk_hits, 1);
    rwkv_session_eval(a, tokens + 40, 10, NULL);
    rwkv_session_eval(b, tokens + 40, 10, NULL);
    assert_same_session(a, b);
    rwkv_store_close(store);
    folder_remove(folder);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(model);
}

/* --- who finds what --------------------------------------------------------------------------- */

static void owners_and_models(void **state)
{
    (void)state;
    int32_t tokens[20], others[20];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_model *other = open_model(SMALL_F16, MODEL_OPTIONS);
    rwkv_session *a = new_session(model), *b = new_session(other), *c = new_session(model);
    rwkv_store *store = store_open(NULL);
    for (size_t i = 0; i < 20; i++)
        tokens[i] = token_of(1, i) % 128;
    learn(store, a, &alice, tokens, 20);
    assert_int_equal(find(store, c, &bob, tokens, 20), 0);
    assert_int_equal(find(store, b, &alice, tokens, 20), 0);
    learn(store, b, &alice, tokens, 10);
    assert_int_equal(find(store, b, &alice, tokens, 20), 10);
    assert_int_equal(find(store, c, &alice, tokens, 20), 20);
    memcpy(others, tokens, sizeof others);
    others[19] ^= 1; /* one token differs */
    assert_int_equal(find(store, c, &alice, others, 20), 0);
    others[19] ^= 1;
    others[0] ^= 1;
    assert_int_equal(find(store, c, &alice, others, 20), 0);
    learn(store, a, &bob, tokens, 5);
    assert_int_equal(find(store, c, &bob, tokens, 20), 5);
    assert_int_equal(find(store, c, &alice, tokens, 0), 0);
    rwkv_store_close(store);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_session_free(c);
    rwkv_model_close(model);
    rwkv_model_close(other);
}

static void refused(void **state)
{
    (void)state;
    int32_t tokens[20];
    size_t found;
    rwkv_error err = {0};
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model);
    rwkv_store *store = store_open(&(rwkv_store_options){.memory_bytes = 10000});
    tokens_of(1, tokens, 20);
    assert_int_equal(rwkv_store_put(store, a, &alice, tokens, 20, &err), RWKV_ERROR_ARGUMENT);
    go_to(a, tokens, 19);
    assert_int_equal(rwkv_store_put(store, a, &alice, tokens, 20, &err), RWKV_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "20 tokens"));
    assert_int_equal(rwkv_store_put(store, a, &alice, tokens, 0, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_store_put(store, a, &alice, tokens, 19, &err), RWKV_ERROR_MEMORY);
    assert_non_null(strstr(err.message, "10000"));
    assert_int_equal(rwkv_store_find(store, a, NULL, tokens, 1, &found, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_store_flush(store, &err), RWKV_OK);
    rwkv_store_close(store);
    rwkv_store_close(NULL);
    rwkv_session_free(a);
    rwkv_model_close(model);
}

/* --- what leaves first ------------------------------------------------------------------------ */

static void least_recently_used(void **state)
{
    (void)state;
    enum { FIT = 4 };
    int32_t tokens[10];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model);
    tokens_of(0, tokens, 10);
    rwkv_store *store = store_open(NULL);
    uint64_t empty = stats_of(store).memory_bytes;
    learn(store, a, &alice, tokens, 10);
    uint64_t one = stats_of(store).memory_bytes - empty;
    assert_in_range(one, rwkv_session_state_size(a), STATE_BYTES);
    rwkv_store_close(store);
    store = store_open(&(rwkv_store_options){.memory_bytes = empty + FIT * one});
    for (unsigned text = 0; text < FIT; text++) {
        tokens_of(text, tokens, 10);
        learn(store, a, &alice, tokens, 10);
    }
    assert_int_equal(stats_of(store).memory_entries, FIT);
    tokens_of(0, tokens, 10);
    assert_int_equal(find(store, a, &alice, tokens, 10), 10); /* used: 1 is the oldest now */
    tokens_of(FIT, tokens, 10);
    learn(store, a, &alice, tokens, 10);
    for (unsigned text = 0; text <= FIT; text++) {
        tokens_of(text, tokens, 10);
        assert_int_equal(find(store, a, &alice, tokens, 10), text == 1 ? 0 : 10);
    }
    rwkv_store_stats s = stats_of(store);
    assert_true(s.memory_bytes <= s.memory_limit);
    assert_int_equal(s.evictions, 1);
    assert_int_equal(s.dropped, 1);
    rwkv_store_close(store);
    rwkv_session_free(a);
    rwkv_model_close(model);
}

/* Of a path that grows, old entries become sparse; what was used again, and where paths part, stays
 * while there is room. */
static void growing_path(void **state)
{
    (void)state;
    enum { LENGTH = 200, STEP = 10, FIT = 11 };
    static int32_t tokens[LENGTH];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model), *b = new_session(model);
    rwkv_store *store = store_open(&(rwkv_store_options){.memory_bytes = FIT * STATE_BYTES});
    tokens_of(3, tokens, LENGTH);
    for (size_t n = STEP; n <= LENGTH; n += STEP) {
        rwkv_session_eval(a, tokens + n - STEP, STEP, NULL);
        put(store, a, &alice, tokens, n);
        if (n == 4 * STEP) /* someone goes back to the first */
            assert_int_equal(find(store, b, &alice, tokens, 2 * STEP - 1), STEP);
    }
    assert_true(stats_of(store).evictions > 0);
    assert_int_equal(find(store, b, &alice, tokens, STEP), STEP);
    for (size_t back = 0; back < 3; back++)
        assert_int_equal(find(store, b, &alice, tokens, LENGTH - back * STEP),
                         LENGTH - back * STEP);
    for (size_t n = STEP; n < LENGTH; n += STEP) /* going back costs as much again, at most */
        assert_true(n - find(store, b, &alice, tokens, n) <= LENGTH - n);
    rwkv_store_close(store);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(model);
}

/* Where two conversations part is kept, however long they grow. */
static void shared_beginning(void **state)
{
    (void)state;
    enum { LENGTH = 160, STEP = 8, FIT = 20 };
    static int32_t tokens[2][LENGTH];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model);
    rwkv_store *store = store_open(&(rwkv_store_options){.memory_bytes = FIT * STATE_BYTES});
    for (unsigned i = 0; i < 2; i++) {
        tokens_of(4, tokens[i], LENGTH);
        tokens[i][2 * STEP] ^= (int32_t)i;
    }
    for (size_t n = STEP; n <= LENGTH; n += STEP)
        for (unsigned i = 0; i < 2; i++)
            learn(store, a, &alice, tokens[i], n);
    assert_true(stats_of(store).evictions > 0);
    assert_int_equal(find(store, a, &alice, tokens[0], 2 * STEP), 2 * STEP);
    rwkv_store_close(store);
    rwkv_session_free(a);
    rwkv_model_close(model);
}

/* --- the disk --------------------------------------------------------------------------------- */

/* More than memory holds is found again, by reading; nothing was lost but what the disk's limit
 * says. */
static void spilling(void **state)
{
    (void)state;
    enum { TEXTS = 12 };
    char folder[64];
    int32_t tokens[10];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model), *b = new_session(model);
    rwkv_store *store = store_open(
        &(rwkv_store_options){.folder = folder_new(folder), .memory_bytes = 4 * STATE_BYTES});
    for (unsigned text = 0; text < TEXTS; text++) {
        tokens_of(text, tokens, 10);
        learn(store, a, &alice, tokens, 10);
        flush(store); /* else memory may fill faster than the thread writes */
    }
    rwkv_store_stats s = stats_of(store);
    assert_int_equal(s.disk_entries, TEXTS);
    assert_int_equal(s.dropped, 0);
    assert_true(s.evictions >= TEXTS - 4);
    for (unsigned text = 0; text < TEXTS; text++) {
        tokens_of(text, tokens, 10);
        go_to(a, tokens, 10);
        assert_int_equal(find(store, b, &alice, tokens, 10), 10);
        assert_same_session(a, b);
    }
    s = stats_of(store);
    assert_true(s.disk_hits >= TEXTS - 4);
    assert_true(s.memory_bytes <= s.memory_limit);
    assert_int_equal(folder_files(folder, ".state", NULL), TEXTS);
    rwkv_store_close(store);
    folder_remove(folder);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(model);
}

static void disk_limit(void **state)
{
    (void)state;
    enum { TEXTS = 9, FIT = 4 };
    char folder[64];
    int32_t tokens[10];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model);
    const rwkv_store_options options = {.folder = folder_new(folder),
                                        .disk_bytes = FIT * STATE_BYTES};
    rwkv_store *store = store_open(&options);
    for (unsigned text = 0; text < TEXTS; text++) {
        tokens_of(text, tokens, 10);
        learn(store, a, &alice, tokens, 10);
        if (text == 3) /* the first stays young */
            for (unsigned i = 0; i < 2; i++)
                flush(store);
        tokens_of(0, tokens, 10);
        assert_int_equal(find(store, a, &alice, tokens, 10), 10);
    }
    rwkv_store_close(store);
    store = store_open(&options);
    rwkv_store_stats s = stats_of(store);
    assert_int_equal(s.disk_entries, FIT);
    assert_true(s.disk_bytes <= s.disk_limit);
    assert_int_equal(folder_files(folder, ".state", NULL), FIT);
    for (unsigned text = 0; text < TEXTS; text++) {
        tokens_of(text, tokens, 10);
        assert_int_equal(find(store, a, &alice, tokens, 10),
                         text == 0 || text > TEXTS - FIT ? 10 : 0);
    }
    rwkv_store_close(store);
    folder_remove(folder);
    rwkv_session_free(a);
    rwkv_model_close(model);
}

/* --- threads ---------------------------------------------------------------------------------- */

enum { USERS = 4, ROUNDS = 30 };

struct user {
    rwkv_store *store;
    rwkv_model *model;
    unsigned number;
};

/* Texts that all users put and find, with a memory that holds few of them. */
static void *use_store(void *arg)
{
    const struct user *user = arg;
    rwkv_session *a = new_session(user->model), *b = new_session(user->model);
    int32_t tokens[12];
    char name[32];
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned text = (i * 7 + user->number) % 10;
        size_t found = 0, n = 6 + (i & 1) * 6;
        tokens_of(text, tokens, 12);
        go_to(a, tokens, n);
        if (rwkv_store_put(user->store, a, &alice, tokens, n, NULL) != RWKV_OK ||
            rwkv_store_find(user->store, b, &alice, tokens, n, &found, NULL) != RWKV_OK)
            abort();
        if (found == n &&
            memcmp(rwkv_session_logits(a), rwkv_session_logits(b), 256 * sizeof(float)) != 0)
            abort();
        snprintf(name, sizeof name, "of-%u", i % 3);
        if (i % 5 == 0 && rwkv_store_save(user->store, a, &bob, name, NULL, NULL) != RWKV_OK)
            abort();
        rwkv_store_load(user->store, b, &bob, name, NULL);
    }
    rwkv_session_free(a);
    rwkv_session_free(b);
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    char folder[64];
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_store *store = store_open(&(rwkv_store_options){.folder = folder_new(folder),
                                                         .memory_bytes = 5 * STATE_BYTES,
                                                         .disk_bytes = 12 * STATE_BYTES});
    struct user users[USERS];
    pthread_t ids[USERS];
    for (unsigned i = 0; i < USERS; i++) {
        users[i] = (struct user){store, model, i};
        assert_int_equal(pthread_create(&ids[i], NULL, use_store, &users[i]), 0);
    }
    for (unsigned i = 0; i < USERS; i++)
        pthread_join(ids[i], NULL);
    flush(store);
    rwkv_store_stats s = stats_of(store);
    assert_int_equal(s.hits + s.misses, USERS * ROUNDS);
    assert_int_equal(s.damaged + s.failures, 0);
    assert_int_equal(s.named, 3);
    assert_true(s.memory_bytes <= s.memory_limit && s.disk_bytes <= s.disk_limit);
    assert_int_equal(folder_files(folder, ".state", NULL), s.disk_entries + s.named);
    rwkv_store_close(store);
    folder_remove(folder);
    rwkv_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversation_in_memory),
        cmocka_unit_test(conversation_on_disk),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(owners_and_models),
        cmocka_unit_test(refused),
        cmocka_unit_test(least_recently_used),
        cmocka_unit_test(growing_path),
        cmocka_unit_test(shared_beginning),
        cmocka_unit_test(spilling),
        cmocka_unit_test(disk_limit),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
