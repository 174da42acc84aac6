/* SPDX-License-Identifier: Apache-2.0 */
/* Generation: text as it streams, ends, cancellation, and that decoding allocates nothing. */
#include "unit.h"

#include "allocations.h"
#include "models.h"

struct sink {
    char text[4096];
    size_t size, calls, stop_after;
    size_t allocated[512]; /* how many there were at each call */
};

static int collect(void *user, const char *text, size_t size)
{
    struct sink *s = user;
    assert_true(s->size + size < sizeof s->text);
    memcpy(s->text + s->size, text, size);
    s->size += size;
    s->text[s->size] = 0;
    if (s->calls < 512)
        s->allocated[s->calls] = count_allocations();
    return ++s->calls == s->stop_after;
}

static void lengths_and_ends(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, NULL);
    rwkv_session *s = new_session(m);
    rwkv_generate_result r;
    rwkv_error err = {0};
    struct sink all = {0}, part = {0}, stopped = {0};
    rwkv_generate_options o = {.max_tokens = 60, .sampler = {.greedy = 1}, .ignore_eos = 1};
    assert_int_equal(rwkv_generate(s, "Hi", &o, collect, &all, &r, &err), RWKV_OK);
    assert_int_equal(r.prompt_tokens, 2);
    assert_int_equal(r.generated_tokens, 60);
    assert_int_equal(r.finish, RWKV_FINISH_LENGTH);
    assert_int_equal(rwkv_session_position(s), 62);
    assert_int_equal(all.size, 60); /* one byte a token in this model */
    rwkv_session_reset(s);
    part.stop_after = 7;
    assert_int_equal(rwkv_generate(s, "Hi", &o, collect, &part, &r, &err), RWKV_OK);
    assert_int_equal(r.finish, RWKV_FINISH_CALLER);
    assert_memory_equal(all.text, part.text, part.size);
    rwkv_session_reset(s);
    /* A stop sequence from the middle of the text: what comes before it, and not a byte of it. */
    char stop[5] = {0};
    memcpy(stop, all.text + 20, 4);
    const char *stops[] = {"never to be seen", stop};
    size_t at = (size_t)(strstr(all.text, stop) - all.text);
    o.stop = stops;
    o.n_stop = 2;
    assert_int_equal(rwkv_generate(s, "Hi", &o, collect, &stopped, &r, &err), RWKV_OK);
    assert_int_equal(r.finish, RWKV_FINISH_STOP);
    assert_int_equal(r.ended_by_eos, 0);
    assert_int_equal(stopped.size, at);
    assert_memory_equal(all.text, stopped.text, at);
    assert_int_equal(r.generated_tokens, at + 4);
    rwkv_session_free(s);
    rwkv_model_close(m);
}

static void stop_tokens(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, NULL);
    rwkv_session *s = new_session(m);
    rwkv_generate_result r;
    struct sink all = {0}, part = {0};
    rwkv_generate_options o = {.max_tokens = 30, .sampler = {.greedy = 1}};
    assert_int_equal(rwkv_generate(s, "Hi", &o, collect, &all, &r, NULL), RWKV_OK);
    int32_t stop = all.text[12];
    size_t at = (size_t)(strchr(all.text, stop) - all.text);
    o.stop_tokens = &stop;
    o.n_stop_tokens = 1;
    rwkv_session_reset(s);
    assert_int_equal(rwkv_generate(s, "Hi", &o, collect, &part, &r, NULL), RWKV_OK);
    assert_int_equal(r.finish, RWKV_FINISH_STOP);
    assert_int_equal(r.ended_by_eos, 1);
    assert_int_equal(r.generated_tokens, at);
    assert_int_equal(rwkv_session_position(s), 2 + at); /* the stop token is not in the state */
    rwkv_session_free(s);
    rwkv_model_close(m);
}

static int watch(void *user, uint64_t done, uint64_t total)
{
    uint64_t *last = user;
    assert_true(done > *last && done <= total);
    *last = done;
    return done >= 40;
}

static void cancelling(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.chunk = 16});
    rwkv_session *s = new_session(m);
    rwkv_generate_result r;
    rwkv_error err = {0};
    int32_t tokens[100];
    for (int i = 0; i < 100; i++)
        tokens[i] = i;
    volatile int cancel = 1;
    rwkv_generate_options o = {.max_tokens = 5, .cancel = &cancel};
    assert_int_equal(rwkv_generate_tokens(s, tokens, 100, &o, NULL, NULL, &r, &err), RWKV_OK);
    assert_int_equal(r.prompt_tokens, 0);
    assert_int_equal(r.finish, RWKV_FINISH_CALLER);
    uint64_t last = 0;
    o = (rwkv_generate_options){.max_tokens = 5, .progress = watch, .progress_user = &last};
    assert_int_equal(rwkv_generate_tokens(s, tokens, 100, &o, NULL, NULL, &r, &err),
                     RWKV_ERROR_CANCELLED);
    assert_int_equal(r.prompt_tokens, 48);
    assert_int_equal(rwkv_session_position(s), 48);
    rwkv_session_free(s);
    rwkv_model_close(m);
}

static void refusals(void **state)
{
    (void)state;
    rwkv_model *m = open_model(SMALL_GGUF, NULL), *mute = open_model(SMALL_F32, NULL);
    rwkv_session *s = new_session(m), *t = new_session(mute);
    rwkv_error err = {0};
    assert_int_equal(rwkv_generate(s, "", NULL, NULL, NULL, NULL, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_generate(s, "\xc3\xa9", NULL, NULL, NULL, NULL, &err), RWKV_ERROR_TOKEN);
    assert_int_equal(rwkv_session_position(s), 0);
    assert_int_not_equal(rwkv_generate(t, "Hi", NULL, NULL, NULL, NULL, &err), RWKV_OK);
    assert_non_null(strstr(err.message, "rwkv_vocab_v20230424.txt"));
    rwkv_session_free(s);
    rwkv_session_free(t);
    rwkv_model_close(m);
    rwkv_model_close(mute);
}

/* A vocabulary with more ids than the model has rows. */
static void wrong_vocabulary(void **state)
{
    (void)state;
    char path[64];
    rwkv_error err = {0};
    snprintf(path, sizeof path, "/tmp/rwkv-test-vocab-%ld", (long)getpid());
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 256; i++)
        fprintf(f, "%d b'\\x%02x' 1\n", i + 1, i);
    fclose(f);
    rwkv_model *m = open_model(SMALL_F16, &(rwkv_model_options){.vocab = path});
    assert_null(rwkv_model_vocab(m, &err));
    assert_int_equal(err.code, RWKV_ERROR_MODEL);
    assert_non_null(strstr(err.message, "at most 128 ids"));
    unlink(path);
    rwkv_model_close(m);
    m = open_model(SMALL_F16, &(rwkv_model_options){.vocab = "bytes"});
    assert_non_null(rwkv_model_vocab(m, NULL));
    rwkv_model_close(m);
}

/* After the first tokens, generating takes no memory at all. */
static void no_allocations(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    rwkv_model *m = open_model(SMALL_GGUF, &(rwkv_model_options){.threads = 2});
    rwkv_session *s = new_session(m);
    static struct sink sink;
    const char *stops[] = {"no such thing"};
    rwkv_generate_options o = {.max_tokens = 400,
                               .ignore_eos = 1,
                               .sampler = {.top_p = 0.9f, .presence = 0.2f, .frequency = 0.2f},
                               .stop = stops,
                               .n_stop = 1};
    assert_int_equal(rwkv_generate(s, "Hi", &o, collect, &sink, NULL, NULL), RWKV_OK);
    assert_true(sink.calls > 300);
    assert_int_equal(sink.allocated[20], sink.allocated[300]);
    size_t before = count_allocations();
    const int32_t token = 65;
    for (int i = 0; i < 50; i++)
        assert_int_equal(rwkv_session_eval(s, &token, 1, NULL), RWKV_OK);
    assert_int_equal(count_allocations(), before);
    rwkv_session_free(s);
    rwkv_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_and_ends), cmocka_unit_test(stop_tokens),
        cmocka_unit_test(cancelling),       cmocka_unit_test(refusals),
        cmocka_unit_test(wrong_vocabulary), cmocka_unit_test(no_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
