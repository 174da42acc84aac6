/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: evaluation, states as values, and what is refused. */
#include "unit.h"

#include <pthread.h>

#include "models.h"

static const int32_t text[] = {72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100};
#define N (sizeof text / sizeof text[0])

static void copies_and_branches(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_F16, NULL);
    rwkv_session *a = new_session(m), *b = new_session(m), *c = new_session(m);
    assert_null(rwkv_session_logits(a));
    assert_null(rwkv_session_hidden(a));
    assert_int_equal(rwkv_session_eval(a, text, 5, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_copy(b, a, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(b, text + 5, N - 5, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(a, text + 5, N - 5, NULL), RWKV_OK);
    assert_same(a, b);
    assert_int_equal(rwkv_session_position(a), N);
    rwkv_session_reset(b);
    assert_int_equal(rwkv_session_position(b), 0);
    assert_null(rwkv_session_logits(b));
    assert_int_equal(rwkv_session_eval(b, text, N, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(c, text, N, NULL), RWKV_OK);
    assert_same(b, c);
    rwkv_model_close(m); /* any order of closing */
    assert_int_equal(rwkv_session_eval(c, text, 1, NULL), RWKV_OK);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_session_free(c);
}

static void every_token(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_F32, &(rwkv_model_options){.chunk = 5});
    rwkv_session *a = new_session(m), *b = new_session(m);
    float logits[N * 256], hidden[N * 128];
    assert_int_equal(rwkv_session_eval_all(a, text, N, logits, hidden, NULL), RWKV_OK);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(rwkv_session_eval(b, text + i, 1, NULL), RWKV_OK);
        assert_memory_equal(rwkv_session_logits(b), logits + i * 256, 256 * sizeof(float));
        assert_memory_equal(rwkv_session_hidden(b), hidden + i * 128, 128 * sizeof(float));
    }
    assert_same(a, b);
    assert_int_equal(rwkv_session_eval(a, NULL, 0, NULL), RWKV_OK);
    assert_same(a, b);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(m);
}

/* More sessions than rows of logits are made at once, all lengths from 0. */
static void packed(void **state)
{
    (void)state;
    enum { SESSIONS = 21 };
    rwkv_model *m = open_model(SMALL_F16, &(rwkv_model_options){.chunk = 32});
    rwkv_segment segments[SESSIONS];
    rwkv_session *alone = new_session(m);
    for (size_t i = 0; i < SESSIONS; i++)
        segments[i] = (rwkv_segment){new_session(m), text, i % (N + 1), NULL, NULL};
    assert_int_equal(rwkv_segments_eval(segments, SESSIONS, NULL), RWKV_OK);
    for (size_t i = 0; i < SESSIONS; i++) {
        rwkv_session_reset(alone);
        assert_int_equal(rwkv_session_eval(alone, text, i % (N + 1), NULL), RWKV_OK);
        if (i % (N + 1))
            assert_same(alone, segments[i].session);
        else
            assert_null(rwkv_session_logits(segments[i].session));
    }
    rwkv_error err = {0};
    rwkv_session *seventh = segments[7].session;
    segments[7].session = segments[3].session;
    assert_int_equal(rwkv_segments_eval(segments, SESSIONS, &err), RWKV_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "twice"));
    segments[7].session = seventh;
    for (size_t i = 0; i < SESSIONS; i++)
        rwkv_session_free(segments[i].session);
    rwkv_session_free(alone);
    rwkv_model_close(m);
}

static void bad_tokens(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_F16, NULL);
    rwkv_session *a = new_session(m), *b = new_session(m);
    const int32_t bad[] = {1, 2, 128}, negative[] = {-1};
    rwkv_error err = {0};
    assert_int_equal(rwkv_session_eval(a, text, 3, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(b, text, 3, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(a, bad, 3, &err), RWKV_ERROR_TOKEN);
    assert_non_null(strstr(err.message, "128"));
    assert_int_equal(rwkv_session_eval(a, negative, 1, &err), RWKV_ERROR_TOKEN);
    assert_same(a, b);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(m);
}

static void saved_states(void **state)
{
    (void)state;
    char path[1024];
    rwkv_error err = {0};
    rwkv_model *m = open_model(SMALL_F16, NULL);
    rwkv_session *a = new_session(m), *b = new_session(m);
    snprintf(path, sizeof path, "/tmp/rwkv-test-state-%ld", (long)getpid());
    assert_int_equal(rwkv_session_eval(a, text, N, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_save(a, path, &err), RWKV_OK);
    assert_int_equal(rwkv_session_load(b, path, &err), RWKV_OK);
    assert_same(a, b);
    assert_int_equal(rwkv_session_position(b), N);
    rwkv_session_reset(a); /* a zero state has no logits */
    assert_int_equal(rwkv_session_save(a, path, &err), RWKV_OK);
    assert_int_equal(rwkv_session_load(b, path, &err), RWKV_OK);
    assert_null(rwkv_session_logits(b));
    assert_int_equal(rwkv_session_save(a, "/nonexistent/folder/state", &err), RWKV_ERROR_IO);
    rwkv_model *other = open_model(SMALL_F32, NULL);
    rwkv_session *c = new_session(other);
    assert_int_equal(rwkv_session_load(c, path, &err), RWKV_ERROR_STATE);
    assert_non_null(strstr(err.message, "another model"));
    assert_int_equal(rwkv_session_copy(c, a, &err), RWKV_ERROR_STATE);
    unlink(path);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_session_free(c);
    rwkv_model_close(m);
    rwkv_model_close(other);
}

/* Every byte of a saved state matters: a change of any is refused, and so is any shorter length. */
static void damaged_states(void **state)
{
    (void)state;
    rwkv_error err;
    rwkv_model *m = open_model(SMALL_F16, NULL);
    rwkv_session *a = new_session(m), *b = new_session(m);
    assert_int_equal(rwkv_session_eval(a, text, N, NULL), RWKV_OK);
    size_t size = rwkv_session_state_size(a);
    uint8_t *bytes = malloc(size + 1);
    rwkv_session_state_write(a, bytes);
    for (size_t i = 0; i < size; i += i < 100 ? 1 : 997) {
        bytes[i] ^= 0x11;
        err.message[0] = 0;
        assert_int_not_equal(rwkv_session_state_read(b, bytes, size, "x", &err), RWKV_OK);
        assert_non_null(strstr(err.message, "x: "));
        bytes[i] ^= 0x11;
    }
    for (size_t n = 0; n < size; n += n < 100 ? 1 : 997)
        assert_int_equal(rwkv_session_state_read(b, bytes, n, NULL, &err), RWKV_ERROR_FORMAT);
    bytes[size] = 0;
    assert_int_equal(rwkv_session_state_read(b, bytes, size + 1, NULL, &err), RWKV_ERROR_FORMAT);
    assert_int_equal(rwkv_session_state_read(b, bytes, size, NULL, &err), RWKV_OK);
    assert_same(a, b);
    free(bytes);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(m);
}

/* A state of a model with the same sizes but other weights. */
static void fingerprints(void **state)
{
    (void)state;
    struct tensors t;
    char path[1024];
    rwkv_error err = {0};
    rwkv_model *m, *same = open_model(SMALL_F16, NULL);
    tensors_read(&t, SMALL_F16);
    ((uint16_t *)(uintptr_t)tensors_find(&t, "blocks.1.att.k_k")->data)[3] ^= 1;
    tensors_write(&t, ".pth", path);
    tensors_free(&t);
    assert_int_equal(rwkv_model_open(path, NULL, &m, &err), RWKV_OK);
    unlink(path);
    rwkv_session *a = new_session(same), *b = new_session(m);
    rwkv_session_eval(a, text, N, NULL);
    size_t size = rwkv_session_state_size(a);
    uint8_t *bytes = malloc(size);
    rwkv_session_state_write(a, bytes);
    assert_int_equal(rwkv_session_state_read(b, bytes, size, "x", &err), RWKV_ERROR_STATE);
    assert_non_null(strstr(err.message, "fingerprint"));
    free(bytes);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_model_close(m);
    rwkv_model_close(same);
}

static void tuned_states(void **state)
{
    (void)state;
    char path[1024];
    rwkv_error err = {0};
    rwkv_layer_state x, y;
    rwkv_model *m = open_model(SMALL_F16, NULL), *other = open_model(SMALL_F32, NULL);
    rwkv_session *a = new_session(m), *b = new_session(m), *c = new_session(other);
    assert_int_equal(rwkv_session_eval(a, text, N, NULL), RWKV_OK);
    assert_int_equal(rwkv_session_eval(b, text, 2, NULL), RWKV_OK);
    snprintf(path, sizeof path, "/tmp/rwkv-test-tuned-%ld.pth", (long)getpid());
    assert_int_equal(rwkv_session_save_tuned(a, path, &err), RWKV_OK);
    assert_int_equal(rwkv_session_load(b, path, &err), RWKV_OK);
    assert_null(rwkv_session_logits(b));
    assert_int_equal(rwkv_session_position(b), 0);
    for (size_t l = 0; l < 2; l++) {
        assert_int_equal(rwkv_session_layer_state(a, l, &x, &err), RWKV_OK);
        assert_int_equal(rwkv_session_layer_state(b, l, &y, &err), RWKV_OK);
        assert_memory_equal(x.wkv, y.wkv, 64 * 64 * sizeof(float));
        for (size_t i = 0; i < 64; i++)
            assert_true(y.att_shift[i] == 0 && y.ffn_shift[i] == 0);
    }
    assert_int_equal(rwkv_session_layer_state(a, 2, &x, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_session_save_tuned(a, "/tmp/x.gguf", &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_session_load(c, path, &err), RWKV_ERROR_STATE);
    unlink(path);
    char model[1024];
    assert_int_equal(rwkv_session_load(a, unit_source(model, SMALL_F16), &err), RWKV_ERROR_STATE);
    assert_int_equal(rwkv_session_load(a, unit_source(model, "README.md"), &err),
                     RWKV_ERROR_FORMAT);
    assert_int_equal(rwkv_session_load(a, "/nonexistent", &err), RWKV_ERROR_IO);
    rwkv_session_free(a);
    rwkv_session_free(b);
    rwkv_session_free(c);
    rwkv_model_close(m);
    rwkv_model_close(other);
}

struct user {
    rwkv_session *session;
};

static void *use(void *arg)
{
    struct user *u = arg;
    for (size_t i = 0; i < N; i++)
        if (rwkv_session_eval(u->session, text + i, 1, NULL) != RWKV_OK)
            abort();
    return NULL;
}

/* Several threads, each with a session of its own, over one model. */
static void threads(void **state)
{
    (void)state;
    enum { USERS = 4 };
    rwkv_model *m = open_model(SMALL_F16, &(rwkv_model_options){.threads = 2});
    struct user users[USERS];
    pthread_t ids[USERS];
    for (size_t i = 0; i < USERS; i++) {
        users[i].session = new_session(m);
        assert_int_equal(pthread_create(&ids[i], NULL, use, &users[i]), 0);
    }
    for (size_t i = 0; i < USERS; i++)
        pthread_join(ids[i], NULL);
    for (size_t i = 1; i < USERS; i++)
        assert_same(users[0].session, users[i].session);
    for (size_t i = 0; i < USERS; i++)
        rwkv_session_free(users[i].session);
    rwkv_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_branches),
        cmocka_unit_test(every_token),
        cmocka_unit_test(packed),
        cmocka_unit_test(bad_tokens),
        cmocka_unit_test(saved_states),
        cmocka_unit_test(damaged_states),
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(tuned_states),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
