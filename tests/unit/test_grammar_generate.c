/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generating within a grammar: texts are whole or cut by their length and nothing else, ends come
 * where they may, bans give way, and a batch generates the same.
 */
#include "models.h"
#include "unit.h"

#include <math.h>

#include "base/str.h"
#include "rwkv_batch.h"
#include "rwkv_grammar.h"

#define SCHEMA                                                                                    \
    "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\", \"maximum\": 99}, "   \
    "\"s\": {\"type\": \"string\", \"maxLength\": 5}, \"k\": {\"enum\": [\"red\", \"green\"]}}, " \
    "\"required\": [\"n\", \"s\", \"k\"]}"

static rwkv_model *model;

static rwkv_grammar *gbnf(const char *text)
{
    rwkv_grammar *g = NULL;
    rwkv_error err = {0};
    if (rwkv_grammar_from_gbnf(text, strlen(text), &g, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return g;
}

static int collect(void *user, const char *text, size_t size)
{
    rw_str_add(user, text, size);
    return 0;
}

static rwkv_generate_result generate(const rwkv_generate_options *options, struct rw_str *text)
{
    rwkv_generate_result result;
    rwkv_error err = {0};
    rwkv_session *session = new_session(model);
    rw_str_reset(text);
    if (rwkv_generate(session, "abc", options, collect, text, &result, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    rwkv_session_free(session);
    return result;
}

static void expect(const rwkv_generate_options *options, const char *wanted, rwkv_finish finish)
{
    struct rw_str text = {0};
    rwkv_generate_result result = generate(options, &text);
    assert_string_equal(text.size ? text.data : "", wanted);
    assert_int_equal(result.finish, finish);
    rw_str_fini(&text);
}

/* What is generated alone. */
static void test_whole(void **state)
{
    rwkv_grammar *g = NULL;
    struct rw_str text = {0};
    (void)state;
    assert_int_equal(rwkv_grammar_from_schema(SCHEMA, strlen(SCHEMA), &g, NULL), RWKV_OK);
    for (uint64_t seed = 0; seed < 12; seed++) {
        size_t matched;
        int whole;
        rwkv_generate_options o = {.max_tokens = seed < 8 ? 0 : 20,
                                   .grammar = g,
                                   .sampler = {.seed = seed, .presence = 0.5f, .top_p = 0.9f}};
        rwkv_generate_result result = generate(&o, &text);
        assert_int_equal(rwkv_grammar_check(g, text.data, text.size, &matched, &whole, NULL),
                         RWKV_OK);
        assert_int_equal(matched, text.size);
        assert_int_equal(whole, seed < 8);
        assert_int_equal(result.finish, whole ? RWKV_FINISH_STOP : RWKV_FINISH_LENGTH);
        assert_int_equal(result.generated_tokens, text.size);
    }
    rw_str_fini(&text);
    rwkv_grammar_free(g);
}

/* The options of sampling choose among what is allowed, and give way where that leaves nothing. */
static void test_options(void **state)
{
    const rwkv_logit_bias bias[] = {{'b', 1000}, {'x', 2000}}, ban[] = {{'q', -INFINITY}};
    rwkv_grammar *g = gbnf("root ::= [abc]{3} \"q\"");
    rwkv_generate_options o = {.max_tokens = 10, .grammar = g};
    (void)state;
    o.sampler = (rwkv_sampler_options){.bias = bias, .n_bias = 2};
    expect(&o, "bbbq", RWKV_FINISH_STOP);
    o.sampler = (rwkv_sampler_options){.bias = bias, .n_bias = 2, .greedy = 1};
    expect(&o, "bbbq", RWKV_FINISH_STOP);
    o.max_tokens = 2;
    expect(&o, "bb", RWKV_FINISH_LENGTH);
    rwkv_grammar_free(g);
    g = gbnf("root ::= \"qqq\"");
    o = (rwkv_generate_options){.grammar = g, .sampler = {.bias = ban, .n_bias = 1}};
    expect(&o, "qqq", RWKV_FINISH_STOP);
    o.stop = (const char *[]){"qq"};
    o.n_stop = 1;
    expect(&o, "", RWKV_FINISH_STOP);
    rwkv_grammar_free(g);
}

/* A stop token is chosen where the text may end, and nowhere else, however likely it is. */
static void test_ends(void **state)
{
    const rwkv_logit_bias bias[] = {{'!', 1000}};
    const int32_t stop[] = {'!'};
    rwkv_grammar *g = gbnf("root ::= \"a\"{4} \"a\"*");
    rwkv_generate_options o = {.max_tokens = 9,
                               .grammar = g,
                               .stop_tokens = stop,
                               .n_stop_tokens = 1,
                               .sampler = {.bias = bias, .n_bias = 1}};
    (void)state;
    expect(&o, "aaaa", RWKV_FINISH_STOP);
    o.n_stop_tokens = 0;
    expect(&o, "aaaaaaaaa", RWKV_FINISH_LENGTH);
    rwkv_grammar_free(g);
    g = gbnf("root ::= \"\"");
    o.grammar = g;
    expect(&o, "", RWKV_FINISH_STOP);
    rwkv_grammar_free(g);
}

/* Many at once, of two grammars and without one, and each as it is alone. */
static void test_batch(void **state)
{
    enum { n = 9 };
    struct rw_str texts[n] = {{0}}, alone = {0};
    rwkv_generate_result results[n];
    rwkv_generate_options options[n];
    rwkv_grammar *grammars[3] = {NULL, gbnf("root ::= [a-f]{3,12} (\"x\" | \"yz\")"), NULL};
    rwkv_batch *batch = NULL;
    rwkv_batch_event event;
    (void)state;
    assert_int_equal(rwkv_grammar_any_object(&grammars[2], NULL), RWKV_OK);
    assert_int_equal(rwkv_batch_new(model, NULL, &batch, NULL), RWKV_OK);
    for (size_t i = 0; i < n; i++) {
        options[i] = (rwkv_generate_options){
            .max_tokens = 40, .grammar = grammars[i % 3], .sampler = {.seed = i}};
        rwkv_batch_request request = {
            .prompt = "abc", .prompt_size = 3, .options = &options[i], .user = &texts[i]};
        assert_int_equal(rwkv_batch_add(batch, &request, NULL, NULL), RWKV_OK);
    }
    while (rwkv_batch_count(batch) > 0) {
        assert_int_equal(rwkv_batch_step(batch, NULL, NULL), RWKV_OK);
        while (rwkv_batch_next(batch, &event)) {
            struct rw_str *text = event.user;
            rw_str_add(text, event.text, event.text_size);
            results[text - texts] = event.result;
        }
    }
    for (size_t i = 0; i < n; i++) {
        rwkv_generate_result result = generate(&options[i], &alone);
        assert_int_equal(texts[i].size, alone.size);
        assert_memory_equal(texts[i].data, alone.data, alone.size);
        assert_int_equal(results[i].finish, result.finish);
        rw_str_fini(&texts[i]);
    }
    rwkv_batch_free(batch);
    rw_str_fini(&alone);
    rwkv_grammar_free(grammars[1]);
    rwkv_grammar_free(grammars[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_batch),
    };
    model = open_model(SMALL_F32, &(rwkv_model_options){.vocab = "bytes"});
    int failed = cmocka_run_group_tests_name("grammar_generate", tests, NULL, NULL);
    rwkv_model_close(model);
    return failed;
}
