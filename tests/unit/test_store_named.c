/* SPDX-License-Identifier: Apache-2.0 */
/* States kept by name, in memory and in a folder. */
#include "unit.h"

#include "stores.h"

static int64_t clock_now;

static int64_t test_clock(void *user)
{
    (void)user;
    return clock_now;
}

/* What each test begins with: a store, in a folder or not, and two sessions. */
struct fixture {
    rwkv_store_options options;
    rwkv_store *store;
    rwkv_model *model;
    rwkv_session *a, *b;
    int32_t tokens[32];
    char folder[64];
};

static int set_up(void **state, bool on_disk)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->options.now = test_clock;
    if (on_disk)
        f->options.folder = folder_new(f->folder);
    f->model = open_model(SMALL_F32, MODEL_OPTIONS);
    f->a = new_session(f->model);
    f->b = new_session(f->model);
    f->store = store_open(&f->options);
    tokens_of(1, f->tokens, 32);
    go_to(f->a, f->tokens, 20);
    clock_now = 1000;
    *state = f;
    return 0;
}

static int in_memory(void **state)
{
    return set_up(state, false);
}

static int in_folder(void **state)
{
    return set_up(state, true);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    rwkv_store_close(f->store);
    if (f->options.folder)
        folder_remove(f->folder);
    rwkv_session_free(f->a);
    rwkv_session_free(f->b);
    rwkv_model_close(f->model);
    free(f);
    return 0;
}

/* In a folder only: another process, or this one later. */
static void reopen(struct fixture *f)
{
    if (!f->options.folder)
        return;
    rwkv_store_close(f->store);
    f->store = store_open(&f->options);
}

static void save(struct fixture *f, const rwkv_owner *owner, const char *name)
{
    rwkv_error err = {0};
    if (rwkv_store_save(f->store, f->a, owner, name, NULL, &err) != RWKV_OK)
        fail_msg("%s", err.message);
}

static rwkv_status load(struct fixture *f, const rwkv_owner *owner, const char *name)
{
    return rwkv_store_load(f->store, f->b, owner, name, NULL);
}

static size_t count_of(struct fixture *f, const rwkv_owner *owner)
{
    size_t n = 99;
    assert_int_equal(rwkv_store_list(f->store, owner, NULL, 0, &n, NULL), RWKV_OK);
    return n;
}

static void saved_and_loaded(void **state)
{
    struct fixture *f = *state;
    save(f, &alice, "one");
    for (int i = 0; i < 2; i++) {
        rwkv_session_reset(f->b);
        assert_int_equal(load(f, &alice, "one"), RWKV_OK);
        assert_same_session(f->a, f->b);
        reopen(f);
    }
    go_to(f->a, f->tokens, 32); /* replaced */
    save(f, &alice, "one");
    assert_int_equal(load(f, &alice, "one"), RWKV_OK);
    assert_same_session(f->a, f->b);
    rwkv_session_reset(f->a); /* a zero state without logits */
    save(f, &alice, "zero");
    assert_int_equal(load(f, &alice, "zero"), RWKV_OK);
    assert_null(rwkv_session_logits(f->b));
    assert_int_equal(stats_of(f->store).named, 2);
    if (f->options.folder)
        assert_int_equal(folder_files(f->folder, ".state", NULL), 2);
}

static void listed(void **state)
{
    struct fixture *f = *state;
    rwkv_store_state s[3];
    rwkv_model_info info;
    size_t n;
    rwkv_model_get_info(f->model, &info);
    save(f, &alice, "b");
    clock_now += 5;
    save(f, &alice, "a");
    save(f, &bob, "c");
    clock_now += 5;
    assert_int_equal(load(f, &alice, "b"), RWKV_OK);
    reopen(f);
    s[1].name[0] = '?';
    assert_int_equal(rwkv_store_list(f->store, &alice, s, 1, &n, NULL), RWKV_OK);
    assert_int_equal(n, 2);
    assert_int_equal(s[1].name[0], '?');
    assert_int_equal(rwkv_store_list(f->store, &alice, s, 3, &n, NULL), RWKV_OK);
    assert_int_equal(n, 2);
    assert_string_equal(s[0].name, "a");
    assert_string_equal(s[1].name, "b");
    assert_string_equal(s[1].fingerprint, info.fingerprint);
    assert_int_equal(s[1].tokens, 20);
    assert_int_equal(s[1].bytes, rwkv_session_state_size(f->a));
    assert_int_equal(s[1].created, 1000);
    assert_int_equal(s[1].used, 1010);
    assert_int_equal(s[0].created, 1005);
    assert_int_equal(s[0].expires, 0);
    assert_int_equal(rwkv_store_get_state(f->store, &bob, "c", &s[2], NULL), RWKV_OK);
    assert_string_equal(s[2].name, "c");
}

/* Names of one owner mean nothing to another. */
static void owners(void **state)
{
    struct fixture *f = *state;
    rwkv_store_state s;
    rwkv_error err = {0};
    save(f, &alice, "mine");
    assert_int_equal(load(f, &bob, "mine"), RWKV_ERROR_NOT_FOUND);
    assert_int_equal(rwkv_store_get_state(f->store, &bob, "mine", &s, &err), RWKV_ERROR_NOT_FOUND);
    assert_int_equal(rwkv_store_remove(f->store, &bob, "mine", &err), RWKV_ERROR_NOT_FOUND);
    assert_non_null(strstr(err.message, "'mine'"));
    assert_int_equal(rwkv_store_copy(f->store, &bob, "mine", "x", NULL, &err),
                     RWKV_ERROR_NOT_FOUND);
    assert_int_equal(count_of(f, &bob), 0);
    go_to(f->a, f->tokens, 8);
    save(f, &bob, "mine");
    assert_int_equal(load(f, &alice, "mine"), RWKV_OK);
    assert_int_equal(rwkv_session_position(f->b), 20);
    assert_int_equal(rwkv_store_remove(f->store, &bob, "mine", NULL), RWKV_OK);
    assert_int_equal(load(f, &alice, "mine"), RWKV_OK);
}

static void copied_and_removed(void **state)
{
    struct fixture *f = *state;
    const rwkv_store_save_options exclusive = {.exclusive = 1};
    rwkv_error err = {0};
    save(f, &alice, "root");
    assert_int_equal(rwkv_store_copy(f->store, &alice, "root", "branch", NULL, &err), RWKV_OK);
    assert_int_equal(rwkv_store_copy(f->store, &alice, "root", "branch", &exclusive, &err),
                     RWKV_ERROR_EXISTS);
    assert_non_null(strstr(err.message, "'branch' already"));
    assert_int_equal(rwkv_store_copy(f->store, &alice, "root", "root", NULL, &err),
                     RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_store_copy(f->store, &alice, "none", "x", NULL, &err),
                     RWKV_ERROR_NOT_FOUND);
    assert_int_equal(rwkv_store_save(f->store, f->a, &alice, "root", &exclusive, &err),
                     RWKV_ERROR_EXISTS);
    assert_int_equal(rwkv_store_remove(f->store, &alice, "root", &err), RWKV_OK);
    assert_int_equal(rwkv_store_remove(f->store, &alice, "root", &err), RWKV_ERROR_NOT_FOUND);
    reopen(f);
    assert_int_equal(load(f, &alice, "root"), RWKV_ERROR_NOT_FOUND);
    assert_int_equal(load(f, &alice, "branch"), RWKV_OK);
    assert_same_session(f->a, f->b);
    go_to(f->a, f->tokens, 8);
    save(f, &alice, "other");
    assert_int_equal(rwkv_store_copy(f->store, &alice, "other", "branch", NULL, &err), RWKV_OK);
    assert_int_equal(load(f, &alice, "branch"), RWKV_OK);
    assert_same_session(f->a, f->b);
    assert_int_equal(count_of(f, &alice), 2);
    if (f->options.folder)
        assert_int_equal(folder_files(f->folder, ".state", NULL), 2);
}

static void time_to_live(void **state)
{
    struct fixture *f = *state;
    rwkv_store_state s;
    const rwkv_store_save_options minute = {.seconds = 60}, ever = {.seconds = INT64_MAX},
                                  wrong = {.seconds = -1};
    rwkv_store_save(f->store, f->a, &alice, "short", &minute, NULL);
    rwkv_store_save(f->store, f->a, &alice, "ever", &ever, NULL);
    assert_int_equal(rwkv_store_save(f->store, f->a, &alice, "wrong", &wrong, NULL),
                     RWKV_ERROR_ARGUMENT);
    save(f, &alice, "always");
    clock_now += 59;
    assert_int_equal(rwkv_store_get_state(f->store, &alice, "short", &s, NULL), RWKV_OK);
    assert_int_equal(s.expires, 1060);
    assert_int_equal(load(f, &alice, "short"), RWKV_OK);
    clock_now++;
    assert_int_equal(load(f, &alice, "short"), RWKV_ERROR_NOT_FOUND);
    assert_int_equal(count_of(f, &alice), 2);
    assert_int_equal(stats_of(f->store).named, 2);
    if (f->options.folder)
        assert_int_equal(folder_files(f->folder, ".state", NULL), 2);
}

static void names(void **state)
{
    struct fixture *f = *state;
    char longest[130];
    static const char *const bad[] = {"", "a/b", "../x", "a b", "é", "a\n", "~", "a:b", "*"};
    rwkv_error err = {0};
    memset(longest, 'x', sizeof longest);
    longest[129] = 0;
    assert_int_equal(rwkv_store_save(f->store, f->a, &alice, longest, NULL, &err),
                     RWKV_ERROR_ARGUMENT);
    longest[128] = 0;
    save(f, &alice, longest);
    save(f, &alice, "..");
    save(f, &alice, "A-z_0.9");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err.message[0] = 0;
        assert_int_equal(rwkv_store_save(f->store, f->a, &alice, bad[i], NULL, &err),
                         RWKV_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "wanted 1 to 128"));
        assert_int_equal(load(f, &alice, bad[i]), RWKV_ERROR_ARGUMENT);
    }
    assert_int_equal(load(f, &alice, ".."), RWKV_OK);
    assert_int_equal(count_of(f, &alice), 3);
    if (f->options.folder)
        assert_int_equal(folder_files(f->folder, ".state", NULL), 3);
}

static void other_model(void **state)
{
    struct fixture *f = *state;
    rwkv_error err = {0};
    rwkv_model *model = open_model(SMALL_F16, MODEL_OPTIONS);
    rwkv_session *c = new_session(model);
    save(f, &alice, "x");
    rwkv_session_eval(c, (const int32_t[]){1}, 1, NULL);
    assert_int_equal(rwkv_store_load(f->store, c, &alice, "x", &err), RWKV_ERROR_STATE);
    assert_non_null(strstr(err.message, "another model"));
    assert_int_equal(rwkv_session_position(c), 1);
    assert_int_equal(load(f, &alice, "x"), RWKV_OK); /* it is not the file's fault */
    rwkv_session_free(c);
    rwkv_model_close(model);
}

/* Remembered states make room for named ones; those are never removed for want of it. */
static void room(void **state)
{
    struct fixture *f = *state;
    uint64_t size = rwkv_session_state_size(f->a), fit = 6 * size - 1;
    rwkv_error err = {0};
    rwkv_store_close(f->store);
    f->options.memory_bytes = f->options.disk_bytes = fit;
    f->store = store_open(&f->options);
    for (unsigned text = 0; text < 5; text++) {
        int32_t tokens[10];
        tokens_of(text, tokens, 10);
        learn(f->store, f->b, &alice, tokens, 10);
        flush(f->store);
    }
    save(f, &alice, "1");
    save(f, &alice, "2");
    save(f, &alice, "3");
    flush(f->store);
    rwkv_store_stats s = stats_of(f->store);
    assert_true(s.memory_bytes <= fit && s.disk_bytes <= fit);
    assert_int_equal(f->options.folder ? s.disk_entries : s.memory_entries, 2);
    save(f, &alice, "4");
    save(f, &alice, "5");
    assert_int_not_equal(rwkv_store_save(f->store, f->a, &alice, "6", NULL, &err), RWKV_OK);
    assert_non_null(strstr(err.message, "no room"));
    assert_int_not_equal(rwkv_store_copy(f->store, &alice, "1", "6", NULL, &err), RWKV_OK);
    save(f, &alice, "5"); /* replacing needs none */
    assert_int_equal(count_of(f, &alice), 5);
    s = stats_of(f->store);
    assert_true(s.memory_bytes <= fit && s.disk_bytes <= fit);
}

#define BOTH(test)                                             \
    {#test " in memory", test, in_memory, tear_down, NULL},    \
    {                                                          \
#test " in a folder", test, in_folder, tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(saved_and_loaded), BOTH(listed), BOTH(owners),      BOTH(copied_and_removed),
        BOTH(time_to_live),     BOTH(names),  BOTH(other_model), BOTH(room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
