/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grammars of JSON: documents that a schema allows and that it does not, what is refused and in
 * which words, and that every text of a grammar, random ones, is JSON.
 */
#include "unit.h"

#include <string.h>

#include <jansson.h>

#include "base/rng.h"
#include "base/status.h"
#include "rwkv_grammar.h"
#include "text/grammar_int.h"

static rwkv_grammar *compile(const char *schema)
{
    rwkv_grammar *g = NULL;
    rwkv_error err = {0};
    if (rwkv_grammar_from_schema(schema, strlen(schema), &g, &err) != RWKV_OK)
        fail_msg("%s\n%s", err.message, schema);
    return g;
}

static bool is_whole(const rwkv_grammar *g, const char *text)
{
    size_t matched;
    int whole;
    assert_int_equal(rwkv_grammar_check(g, text, strlen(text), &matched, &whole, NULL), RWKV_OK);
    return whole;
}

/* --- documents --- */

static const struct {
    const char *schema;
    const char *in[10], *out[12];
} cases[] = {
    {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "
     "\"string\"}, \"c\": {\"type\": \"null\"}}, \"required\": [\"b\"]}",
     {"{\"b\":\"\"}", "{ \"a\": -12,\"b\":\"x\"}", " {\n  \"b\": \"\",\n  \"c\": null\n}",
      "{\"a\":0,\"b\":\"\\u00e9\\ud83d\\ude00\",\"c\":null}"},
     {"{}", "{\"a\":1}", "{\"b\":\"\",\"a\":1}", "{\"a\":01,\"b\":\"\"}", "{\"b\":\"\",}",
      "{\"b\":\"\\ud83d\"}", "{\"b\" :\"\"}", "{\"b\":  \"\"}", "{\"a\":-0,\"b\":\"\"}",
      "{\"b\":\"\",\"d\":1}", "{\"b\":\"\n\"}"}},
    {"{\"properties\": {\"a\": true, \"b\": false, \"c\": {}}}",
     {"{}", "{\"a\":[1,{}]}", "{\"c\":1.5e-7}", "{\"a\":\"x\",\"c\":true}"},
     {"{\"b\":1}", "[]", "1"}},
    {"{\"type\": \"object\"}", {"{}", "{\"x\":{\"y\":[]}}"}, {"[]", "{\"x\"}"}},
    {"true", {"1", "\"x\"", "[[],{}]", "-1.25E+10", "false"}, {"", "x", "01", "1.", "1e999"}},
    {"{\"type\": [\"integer\", \"null\"]}", {"7", "null"}, {"\"7\"", "nul", "1.5"}},
    {"{\"enum\": [1, \"a\\\"b\", null, 0.1, {\"k\": [true]}]}",
     {"1", "\"a\\\"b\"", "null", "0.1", "{\"k\":[true]}"},
     {"2", "{\"k\": [true]}", "0.10"}},
    {"{\"type\": \"string\", \"enum\": [1, \"a\", \"ab\"]}", {"\"a\"", "\"ab\""}, {"1", "\"b\""}},
    {"{\"const\": \"x\"}", {"\"x\""}, {"\"y\"", "x"}},
    {"{\"type\": \"array\", \"items\": {\"type\": \"boolean\"}, \"minItems\": 1, \"maxItems\": 3}",
     {"[true]", "[ false,\n true, true ]"},
     {"[]", "[true,true,true,true]", "[1]", "[true,]"}},
    {"{\"type\": \"array\", \"prefixItems\": [{\"type\": \"integer\"}, {\"type\": \"string\"}], "
     "\"items\": {\"type\": \"null\"}, \"minItems\": 1, \"maxItems\": 4}",
     {"[1]", "[1,\"a\"]", "[1,\"a\",null]", "[1,\"a\",null,null]"},
     {"[]", "[\"a\"]", "[1,null]", "[1,\"a\",null,null,null]"}},
    {"{\"type\": \"array\", \"items\": false}", {"[]", "[ ]"}, {"[1]"}},
    {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}",
     {"\"ab\"", "\"a\xc3\xa9\xe2\x82\xac\"", "\"\\n\\u00e9\\ud83d\\ude00\""},
     {"\"a\"", "\"abcd\"", "\"\\n\""}},
    {"{\"type\": \"string\", \"pattern\": \"^[A-Z]{2}\\\\d+(-x|\\\\.y)?$\"}",
     {"\"AB1\"", "\"XY99-x\"", "\"XY0.y\""},
     {"\"A1\"", "\"AB\"", "\"AB1-y\"", "\"AB1zy\""}},
    {"{\"pattern\": \"b|^c\"}", {"\"abc\"", "\"b\"", "\"cx\""}, {"\"ac\"", "\"\""}},
    {"{\"pattern\": \"^[\\\"\\\\\\\\\\\\t]$\"}", {"\"\\\"\"", "\"\\\\\"", "\"\\t\""}, {"\"t\""}},
    {"{\"format\": \"date\"}",
     {"\"2024-02-28\"", "\"1999-12-31\""},
     {"\"2024-02-30\"", "\"2024-13-01\"", "\"2024-04-31\"", "\"24-01-01\""}},
    {"{\"format\": \"date-time\"}",
     {"\"2024-01-31T23:59:59Z\"", "\"2024-01-31T00:00:00.5+02:00\""},
     {"\"2024-01-31 23:59:59Z\"", "\"2024-01-31T24:00:00Z\""}},
    {"{\"format\": \"uuid\"}", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\""}},
    {"{\"format\": \"email\"}", {"\"a.b@c-d.org\""}, {"\"a@b\"", "\"@x.org\"", "\"a b@c.org\""}},
    {"{\"format\": \"ipv4\"}",
     {"\"127.0.0.1\"", "\"255.249.10.99\""},
     {"\"256.1.1.1\"", "\"1.1\""}},
    {"{\"type\": \"string\", \"format\": \"colour\"}", {"\"anything\""}, {"1"}},
    {"{\"type\": \"integer\", \"minimum\": 7, \"maximum\": 1203}",
     {"7", "10", "99", "100", "999", "1000", "1203"},
     {"6", "0", "1204", "2000", "07", "-8"}},
    {"{\"type\": \"integer\", \"minimum\": -15, \"exclusiveMaximum\": 3}",
     {"-15", "-9", "-1", "0", "2"},
     {"3", "-16", "-0", "-20", "10"}},
    {"{\"type\": \"integer\", \"exclusiveMinimum\": 9.5}", {"10", "123456789012345"}, {"9", "-10"}},
    {"{\"type\": \"integer\", \"minimum\": -9007199254740991, \"maximum\": 9007199254740991}",
     {"9007199254740991", "-9007199254740991", "0"},
     {"9007199254740992", "-9007199254740992"}},
    {"{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}",
     {"0", "1", "0.5", "0.000", "1.0", "0.999"},
     {"1.1", "-0.5", "2", "1.01", "-0", "1e5"}},
    {"{\"type\": \"number\", \"exclusiveMinimum\": -2, \"exclusiveMaximum\": 3}",
     {"-1", "-1.999", "2.5", "0", "-0.1"},
     {"-2", "3", "-2.0", "3.0", "-2.5"}},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0}", {"0.5", "12", "0.01"}, {"0", "0.0", "-1"}},
    {"{\"anyOf\": [{\"type\": \"integer\"}, {\"const\": \"x\"}]}", {"1", "\"x\""}, {"\"y\""}},
    {"{\"type\": \"object\", \"properties\": {\"k\": {\"type\": \"string\"}}, \"oneOf\": "
     "[{\"required\": [\"k\"]}, {\"properties\": {\"n\": {\"type\": \"null\"}}, \"required\": "
     "[\"n\"]}]}",
     {"{\"k\":\"\"}", "{\"n\":null}", "{\"k\":\"\",\"n\":null}"},
     {"{}", "{\"n\":1}"}},
    {"{\"allOf\": [{\"properties\": {\"a\": {\"type\": \"number\", \"minimum\": 1}}}, "
     "{\"properties\":"
     " {\"a\": {\"type\": \"integer\", \"maximum\": 5}, \"b\": {\"type\": \"null\"}}, "
     "\"required\": "
     "[\"a\"]}]}",
     {"{\"a\":1}", "{\"a\":5,\"b\":null}"},
     {"{\"a\":6}", "{\"a\":0}", "{\"a\":1.5}", "{}"}},
    {"{\"$defs\": {\"node\": {\"type\": \"object\", \"properties\": {\"v\": {\"type\": "
     "\"integer\"}, "
     "\"next\": {\"anyOf\": [{\"$ref\": \"#/$defs/node\"}, {\"type\": \"null\"}]}}, \"required\": "
     "[\"v\", \"next\"]}}, \"$ref\": \"#/$defs/node\"}",
     {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
     {"{\"v\":1}", "{\"v\":1,\"next\":{}}"}},
    {"{\"type\": \"object\", \"properties\": {\"child\": {\"$ref\": \"#\"}}}",
     {"{}", "{\"child\":{\"child\":{}}}"},
     {"{\"child\":1}"}},
    {"{\"definitions\": {\"a/b\": {\"type\": \"null\"}}, \"$ref\": \"#/definitions/a~1b\"}",
     {"null"},
     {"1"}},
    {"{\"type\": \"object\", \"properties\": {\"ab\": {\"type\": \"null\"}, \"ac\": true}, "
     "\"additionalProperties\": {\"type\": \"integer\"}}",
     {"{\"x\":1}", "{\"ab\":null,\"a\":1,\"abc\":2}", "{\"ac\":[]}", "{\"ad\":3}", "{}"},
     {"{\"ab\":1}", "{\"x\":null}", "{\"\":1}", "{\"x\":1,\"ab\":null}"}},
    {"{\"type\": \"object\", \"required\": [\"z\"]}", {"{\"z\":1}", "{\"z\":1,\"y\":{}}"}, {"{}"}},
    {"{\"title\": \"t\", \"description\": \"d\", \"default\": 1, \"examples\": [1], \"$schema\": "
     "\"s\","
     " \"$id\": \"i\", \"$comment\": \"c\", \"x-y\": 1, \"type\": \"null\"}",
     {"null"},
     {"1"}},
};

static void test_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        rwkv_grammar *g = compile(cases[i].schema);
        for (size_t k = 0; k < 10 && cases[i].in[k]; k++)
            if (!is_whole(g, cases[i].in[k]))
                fail_msg("%s\nrefuses %s", cases[i].schema, cases[i].in[k]);
        for (size_t k = 0; k < 12 && cases[i].out[k]; k++)
            if (is_whole(g, cases[i].out[k]))
                fail_msg("%s\nallows %s", cases[i].schema, cases[i].out[k]);
        rwkv_grammar_free(g);
    }
}

/* All integers around the bounds. */
static void test_ranges(void **state)
{
    static const int bounds[] = {-1203, -1000, -99, -10, -1, 0, 1, 9, 10, 11, 99, 100, 987, 1000};
    (void)state;
    for (size_t i = 0; i < RW_COUNT(bounds); i++)
        for (size_t k = i; k < RW_COUNT(bounds); k++) {
            char schema[100], text[16];
            snprintf(schema, sizeof schema,
                     "{\"type\": \"integer\", \"minimum\": %d, \"maximum\": %d}", bounds[i],
                     bounds[k]);
            rwkv_grammar *g = compile(schema);
            for (int x = -1300; x <= 1300; x += x % 100 > 20 && x % 100 < 80 ? 7 : 1) {
                snprintf(text, sizeof text, "%d", x);
                if (is_whole(g, text) != (x >= bounds[i] && x <= bounds[k]))
                    fail_msg("%s: %d", schema, x);
            }
            rwkv_grammar_free(g);
        }
}

/* --- refusals --- */

static void test_refused(void **state)
{
    static const struct {
        const char *schema, *message;
    } wrong[] = {
        {"{", "schema: line 1: string or '}' expected near end of file"},
        {"5", "schema: #: wanted a schema, an object or true or false, found an integer"},
        {"{\"type\": \"object\", \"properties\": {\"age\": {\"type\": \"integer\", \"multipleOf\": "
         "2}}}",
         "schema: #/properties/age/multipleOf: this keyword is not supported"},
        {"{\"properties\": {\"a/b\": {\"items\": {\"not\": {}}}}}",
         "schema: #/properties/a~1b/items/not: this keyword is not supported"},
        {"{\"type\": \"text\"}", "schema: #/type: wanted the name of a type or a list of them, "
                                 "found 'text'"},
        {"{\"type\": 3}", "schema: #/type: wanted the name of a type or a list of them, found an "
                          "integer"},
        {"{\"$ref\": \"http://example.org/x\"}",
         "schema: #/$ref: wanted a place in this schema, \"#/…\", found http://example.org/x"},
        {"{\"$ref\": \"#/$defs/x\"}", "schema: #/$ref: there is no #/$defs/x"},
        {"{\"$ref\": \"#\"}", "grammar: rule '#' begins with itself: wanted a rule that takes some "
                              "text first"},
        {"{\"allOf\": [{\"$ref\": \"#\"}, {\"type\": \"null\"}]}",
         "schema: #/$ref: consists of itself"},
        {"{\"type\": \"string\", \"pattern\": \"^(?=a)\"}",
         "schema: #/pattern: regular expression, byte 2: of groups that begin with (? only (?: is "
         "understood"},
        {"{\"pattern\": \"(a\"}", "schema: #/pattern: regular expression, byte 2: wanted ')'"},
        {"{\"pattern\": \"a\\\\b\"}",
         "schema: #/pattern: regular expression, byte 2: this escape is not understood"},
        {"{\"pattern\": \"a\", \"minLength\": 2}",
         "schema: #/pattern: not supported beside a length"},
        {"{\"type\": \"number\", \"minimum\": 0.5}",
         "schema: #/minimum: wanted an integer as the bound of a number, found 0.5"},
        {"{\"type\": \"string\", \"minLength\": -1}",
         "schema: #/minLength: wanted an integer from 0, found a negative integer"},
        {"{\"enum\": [1], \"minimum\": 0}", "schema: #/minimum: not supported beside enum or "
                                            "const"},
        {"{\"enum\": []}", "grammar: there is no text that it allows: what begins can never end"},
        {"false", "grammar: there is no text that it allows: what begins can never end"},
        {"{\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": "
         "[\"a\"]}",
         "grammar: there is no text that it allows: what begins can never end"},
        {"{\"type\": \"array\", \"uniqueItems\": true}",
         "schema: #/uniqueItems: this keyword is not supported"},
        {"{\"required\": [1]}", "schema: #/required: wanted names, found an integer"},
        {"{\"properties\": []}", "schema: #/properties: wanted an object, found an array"},
        {"{\"anyOf\": {}}", "schema: #/anyOf: wanted a list of schemas"},
        {"{\"allOf\": [{\"pattern\": \"a\"}, {\"pattern\": \"b\"}]}",
         "schema: #/pattern: two different ones that hold together are not supported"},
        {"{\"allOf\": [{\"properties\": {\"a\": {}}, \"additionalProperties\": false}, "
         "{\"properties\": {\"b\": {}}}]}",
         "schema: #/additionalProperties: not supported beside properties of another part of the "
         "schema"},
    };
    (void)state;
    for (size_t i = 0; i < RW_COUNT(wrong); i++) {
        rwkv_grammar *g = NULL;
        rwkv_error err = {0};
        const char *schema = wrong[i].schema;
        if (rwkv_grammar_from_schema(schema, strlen(schema), &g, &err) == RWKV_OK)
            fail_msg("compiled: %s", schema);
        assert_string_equal(err.message, wrong[i].message);
    }
}

/* Merges that make ever new schemas end. */
static void test_endless(void **state)
{
    static const char schema[] =
        "{\"$defs\": {\"n\": {\"properties\": {\"c\": {\"allOf\": [{\"$ref\": \"#/$defs/n\"}, "
        "{\"properties\": {\"c\": {\"properties\": {\"d\": true}}}}]}}}}, \"$ref\": \"#/$defs/n\"}";
    rwkv_grammar *g = NULL;
    rwkv_error err;
    (void)state;
    rwkv_status status = rwkv_grammar_from_schema(schema, strlen(schema), &g, &err);
    assert_true(status == RWKV_OK || status == RWKV_ERROR_UNSUPPORTED);
    rwkv_grammar_free(g);
}

/* --- random documents --- */

/* A random text, by bytes; after `steps` the shortest way out is taken as far as a closing
 * character is one. False if it did not end. */
static bool random_text(const rwkv_grammar *g, struct rw_rng *rng, struct rw_str *text, int steps)
{
    struct rw_stacks stacks;
    struct rw_set *sets = test_malloc(2 * sizeof *sets);
    bool ended = false;
    assert_true(rw_stacks_init(&stacks, &g->automaton));
    rw_stacks_begin(&stacks, &sets[0]);
    sets[1].ends = false;
    for (int i = 0; i < steps + 2000 && !ended; i++) {
        static const char closing[] = "\"]}:,0123456789eaulst";
        size_t n = 0, tries = 0;
        uint8_t byte = 0;
        ended = sets[0].ends && (sets[0].n == 0 || rw_rng_below(rng, 8) == 0);
        while (!ended && n == 0 && !sets[1].ends) {
            byte = (uint8_t)rw_rng_below(rng, 256);
            if (i >= steps && tries < sizeof closing - 1)
                byte = (uint8_t)closing[tries++];
            rw_stacks_step(&stacks, &sets[0], byte, &sets[1]);
            n = sets[1].n;
        }
        if (!ended)
            rw_str_add(text, &byte, 1);
        sets[0] = sets[1];
        sets[1].ends = false;
    }
    rw_stacks_fini(&stacks);
    test_free(sets);
    return ended;
}

static void test_random_documents(void **state)
{
    struct rw_rng rng;
    unsigned ended = 0;
    rwkv_grammar *any = NULL;
    (void)state;
    rw_rng_init(&rng, 3);
    assert_int_equal(rwkv_grammar_any_object(&any, NULL), RWKV_OK);
    for (size_t i = 0; i < 40 * RW_COUNT(cases); i++) {
        struct rw_str text = {0};
        rwkv_grammar *g = i % 2 ? compile(cases[i / 2 % RW_COUNT(cases)].schema) : any;
        if (random_text(g, &rng, &text, 60)) {
            json_error_t why;
            json_t *value = json_loadb(text.data, text.size, JSON_DECODE_ANY, &why);
            if (!value)
                fail_msg("%s: %s", text.data, why.text);
            json_decref(value);
            ended++;
        }
        rw_str_fini(&text);
        if (g != any)
            rwkv_grammar_free(g);
    }
    rwkv_grammar_free(any);
    assert_true(ended > 20 * RW_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_endless),
        cmocka_unit_test(test_random_documents),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
