/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generating within a grammar: texts are whole or cut by their length and nothing else, ends come
 * where they may, bans give way, a batch generates the same, and where a grammar holds in calls of
 * tools alone it does so there and nowhere else.
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

/* A grammar that holds inside calls alone. With the vocabulary of bytes no answer can be steered
 * into a fence, so what comes before it stands in the opening. */
static const rwkv_tool tools[] = {
    {.name = "look",
     .parameters = "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\", "
                   "\"minimum\": 0, \"maximum\": 99}}, \"required\": [\"n\"]}"}};

static rwkv_grammar *call_grammar(void)
{
    rwkv_error err = {0};
    rwkv_grammar *g = NULL;
    char schema[1000];
    size_t size;
    const rwkv_chat chat = {.tools = tools, .n_tools = 1};
    if (rwkv_chat_call_schema(&chat, 1, schema, sizeof schema, &size, &err) != RWKV_OK ||
        rwkv_grammar_from_schema(schema, size, &g, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return g;
}

/* Generate behind an opening that lacks one byte, to which the bias leads; true if that, then a
 * call, was what came. */
static bool calls_after(const char *opening, char last, rwkv_grammar *g, struct rw_str *text)
{
    int whole;
    size_t matched;
    const rwkv_logit_bias bias[] = {{last, 1000}};
    const rwkv_call_options calls = {.opening = opening, .tools = tools, .n_tools = 1};
    const rwkv_generate_options o = {.max_tokens = 400,
                                     .grammar = g,
                                     .calls = &calls,
                                     .sampler = {.bias = bias, .n_bias = 1, .presence = 2000}};
    rwkv_generate_result result = generate(&o, text);
    assert_int_equal(text->data[0], last);
    assert_int_equal(rwkv_grammar_check(g, text->data + 1, text->size - 1, &matched, &whole, NULL),
                     RWKV_OK);
    return whole && result.finish == RWKV_FINISH_STOP;
}

static void test_calls(void **state)
{
    struct rw_str text = {0};
    rwkv_grammar *g = call_grammar();
    (void)state;
    assert_true(calls_after(" ```jso", 'n', g, &text));
    assert_true(calls_after(" Let me see.\n```jso", 'n', g, &text));
    assert_true(calls_after(" <think>hm</think>\n```jso", 'n', g, &text));
    assert_false(calls_after(" <think>hm\n```jso", 'n', g, &text));
    assert_false(calls_after(" inside a line ```jso", 'n', g, &text));
    assert_false(calls_after(" ```pytho", 'n', g, &text));
    rw_str_fini(&text);
    rwkv_grammar_free(g);
}

/* Without a fence from where it is certain to be a call; what is none is left alone. */
static void test_bare_calls(void **state)
{
    int fits;
    size_t matched;
    struct rw_str text = {0}, whole = {0};
    static const char begin[] = "{\"name\":\"look\",\"arguments\":";
    rwkv_grammar *g = call_grammar();
    rwkv_call_options calls = {.opening = begin, .tools = tools, .n_tools = 1};
    const rwkv_logit_bias bias[] = {{'{', 1000}};
    rwkv_generate_options o = {.max_tokens = 400,
                               .grammar = g,
                               .calls = &calls,
                               .sampler = {.bias = bias, .n_bias = 1, .presence = 2000}};
    (void)state;
    assert_int_equal(generate(&o, &text).finish, RWKV_FINISH_STOP);
    rw_str_adds(&whole, begin);
    rw_str_add(&whole, text.data, text.size);
    assert_int_equal(rwkv_grammar_check(g, whole.data, whole.size, &matched, &fits, NULL), 0);
    assert_int_equal(fits, 1);
    for (size_t i = 0; i < 3; i++) {
        static const char *const others[] = {"{\"name\":\"look\",\"other\":", "", "{\"name\":"};
        calls.opening = others[i];
        assert_int_equal(generate(&o, &text).finish, RWKV_FINISH_LENGTH);
    }
    rw_str_fini(&text);
    rw_str_fini(&whole);
    rwkv_grammar_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole), cmocka_unit_test(test_options),
        cmocka_unit_test(test_ends),  cmocka_unit_test(test_batch),
        cmocka_unit_test(test_calls), cmocka_unit_test(test_bare_calls),
    };
    model = open_model(SMALL_F32, &(rwkv_model_options){.vocab = "bytes"});
    int failed = cmocka_run_group_tests_name("grammar_generate", tests, NULL, NULL);
    rwkv_model_close(model);
    return failed;
}
