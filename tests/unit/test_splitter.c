/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text/splitter.c through the public functions. Every answer is split whole, byte by byte, and cut
 * in two at every place: the pieces, joined, must always be the same. The scan of JSON that calls
 * are found with is compared with a JSON library.
 */
#include "unit.h"

#include <jansson.h>
#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "base/str.h"
#include "rwkv.h"
#include "text/json_scan.h"

static const rwkv_tool tools[] = {{.name = "look"}, {.name = "say\"it\""}};

/* Pieces as text: a letter for the kind, the text in parentheses. */
struct sink {
    struct rw_str said;
    int last; /* kind of the last piece; −1: none */
    size_t stop_after;
};

static int collect(void *user, rwkv_piece piece, const char *text, size_t size)
{
    static const char letters[] = "RCNAEX";
    struct sink *sink = user;

    if ((int)piece == sink->last && piece != RWKV_PIECE_CALL) {
        sink->said.size--;
    } else {
        rw_str_addc(&sink->said, letters[piece]);
        rw_str_addc(&sink->said, '(');
    }
    rw_str_add(&sink->said, text, size);
    rw_str_addc(&sink->said, ')');
    sink->last = (int)piece;
    return sink->stop_after && --sink->stop_after == 0;
}

/* Split `text` in pushes of `step` bytes after a first one of `first`, and compare. */
static void expect_cut(const char *opening, const char *text, size_t first, size_t step,
                       const char *wanted)
{
    struct sink sink = {.last = -1};
    rwkv_splitter *s;
    size_t size = strlen(text);

    assert_int_equal(rwkv_splitter_new(opening, tools, RW_COUNT(tools), collect, &sink, &s, NULL),
                     RWKV_OK);
    assert_int_equal(sink.said.size, 0);
    for (size_t at = 0, n = first; at < size; at += n, n = step) {
        n = RW_MIN(n, size - at);
        assert_int_equal(rwkv_splitter_push(s, text + at, n, NULL), RWKV_OK);
    }
    assert_int_equal(rwkv_splitter_finish(s, NULL), RWKV_OK);
    rwkv_splitter_free(s);
    rw_str_adds(&sink.said, "");
    assert_string_equal(sink.said.data, wanted);
    rw_str_fini(&sink.said);
}

static void expect(const char *opening, const char *text, const char *wanted)
{
    for (size_t first = 0; first <= strlen(text); first++)
        expect_cut(opening, text, first, strlen(text) + 1, wanted);
    expect_cut(opening, text, 1, 1, wanted);
}

static void test_thoughts(void **state)
{
    (void)state;
    expect("", " Hello.", "C(Hello.)");
    expect("", "", "");
    expect("", " \n", "");
    expect(" <think", ">\nWell.\n\nSo.\n</think>\n Yes.\n\nOr no.\n",
           "R(Well.\n\nSo.)C(Yes.\n\nOr no.)");
    expect(" <think", ">a</thin</think>b", "R(a</thin)C(b)");
    expect(" <think", ">a<</think></think>", "R(a<)C(</think>)");
    expect(" <think", " no bracket</think>b", "R(no bracket)C(b)");
    expect(" <think", ">cut off</thi", "R(cut off</thi)");
    expect(" <think>\n</think", ">\nHi > there", "C(Hi > there)");
    expect(" <think>\n</think", ">>>>", "C(>>>)");
    expect(" <think>\n</think", " no bracket", "C(no bracket)");
    expect("", " <think>x</think>y", "R(x)C(y)");
    expect("", " <thinking>x", "C(<thinking>x)");
    expect("", " <thi", "C(<thi)");
    expect("", "a <think>b</think>", "C(a <think>b</think>)");
    expect("", "\xe4\xbd\xa0\n\n \xe5\xa5\xbd", "C(\xe4\xbd\xa0\n\n \xe5\xa5\xbd)");
    expect(" Sure", ", yes", "C(, yes)");
}

static void test_calls(void **state)
{
    (void)state;
    expect("", " ```json\n{\"name\":\"look\",\"arguments\":{\"a\": [1, {}]}}\n```\n",
           "N(look)A({\"a\": [1, {}]})E()");
    expect(" ```json", "\n{\"name\":\"look\",\"arguments\":{}}\n```", "N(look)A({})E()");
    expect(" ```json", "{\"name\":\"look\"}", "N(look)A({})E()");
    expect(" <think>\n</think>\n```json", "\n{\"name\":\"look\",\"arguments\":{}}",
           "N(look)A({})E()");
    expect(" <think", ">hm</think>\n```json\n{\"name\":\"look\",\"arguments\":{}}\n```",
           "R(hm)N(look)A({})E()");
    expect(
        "",
        "I look.\n\n```json\n{\"name\": \"look\", \"arguments\": {\"q\": \"}\\\"]\"}}\n```\nThere.",
        "C(I look.)N(look)A({\"q\": \"}\\\"]\"})E()C(\n\nThere.)");
    expect("", "{\"name\":\"say\\u0022it\\\"\",\"arguments\":{\"x\":1}}",
           "N(say\"it\")A({\"x\":1})E()");
    expect("", "{\"arguments\":{\"x\":{}},\"id\":[\"name\"],\"name\":\"look\"}",
           "N(look)A({\"x\":{}})E()");
    expect(
        "",
        "{\"id\":{\"name\":\"no\",\"arguments\":1},\"name\":\"look\",\"arguments\":{},\"z\":null}",
        "N(look)A({})E()");
}

static void test_several_calls(void **state)
{
    (void)state;
    expect("",
           "```json\n[{\"name\":\"look\",\"arguments\":{\"a\":1}},\n"
           "{\"arguments\":{\"b\":2},\"name\":\"look\"}, {\"name\":\"look\"}]\n```",
           "N(look)A({\"a\":1})E()N(look)A({\"b\":2})E()N(look)A({})E()");
    expect("", "```json\n{\"name\":\"look\"}\n{\"name\":\"look\",\"arguments\":{\"a\":1}}\n```",
           "N(look)A({})E()N(look)A({\"a\":1})E()");
    expect("", "```json\n{\"name\":\"look\"}\n```\n```json\n{\"name\":\"look\"}\n```",
           "N(look)A({})E()N(look)A({})E()");
    expect("", "[{\"name\":\"look\"},{\"name\":\"nobody\"}]",
           "N(look)A({})E()C(,{\"name\":\"nobody\"}])");
    expect("", "[{\"name\":\"look\"},", "N(look)A({})E()");
}

/* Nothing of what only looked like a call is lost. */
static void test_no_calls(void **state)
{
    static const char *const texts[] = {
        "```json\n{\"name\":\"nobody\",\"arguments\":{}}\n```",
        "```json\n{\"name\":\"look\",\"arguments\":[]}\n```",
        "```json\n{\"name\":\"look\",\"arguments\":\"{}\"}\n```",
        "```json\n{\"name\":1,\"arguments\":{}}\n```",
        "```json\n{\"arguments\":{\"a\":1}}\n```",
        "```json\n{\"arguments\":{\"a\":1},\"arguments\":{},\"name\":\"look\"}\n```",
        "```json\n{\"name\":\"look\",\"name\":\"look\"}\n```",
        "```json\n{\"name\":\"look\",}\n```",
        "```json\n{\"name\":\"lo\nok\"}\n```",
        "```json\n[]\n```",
        "```json\n[[{\"name\":\"look\"}]]\n```",
        "```json\n[\"name\"]\n```",
        "```json\n\"name\"\n```",
        "```json\n```",
        "```json\n",
        "```js\nlook()\n```",
        "```",
        "``````json\n{\"name\":\"look\"}\n```",
        "{\"a\":1}",
        "{{\"name\":\"look\"}}",
        "[1]",
        "[ ] nothing",
        "x {\"name\":\"look\"}",
        "x ```json\n{\"name\":\"look\"}\n```",
        "{\"name\":\"lo",
    };
    (void)state;
    for (size_t i = 0; i < RW_COUNT(texts); i++) {
        char wanted[128];
        size_t size = strlen(texts[i]);
        bool newline = texts[i][size - 1] == '\n';
        snprintf(wanted, sizeof wanted, "C(%.*s)", (int)(size - newline), texts[i]);
        expect("", texts[i], wanted);
    }
    expect(" ```json", "\nno", "C(```json\nno)");
    expect(" ```json", "", "C(```json)");
    expect("", "```json\n```json\n{\"name\":\"look\"}\n```", "C(```json)N(look)A({})E()");
    expect("", "```json\n{\"name\":\"look\"} so\n", "N(look)A({})E()C(so)");
    expect("", "```json\n{\"name\":\"look\"}\n``", "N(look)A({})E()");
    expect("", "```json\n{\"name\":\"look\"}\n``x", "N(look)A({})E()C(``x)");
}

/* A call that has begun cannot be taken back, but its text is given. */
static void test_broken_calls(void **state)
{
    (void)state;
    expect("", "```json\n{\"name\":\"look\",\"arguments\":{\"a\":",
           "N(look)A({\"a\":)X(```json\n{\"name\":\"look\",\"arguments\":{\"a\":)");
    expect("", "{\"name\":\"look\",\"arguments\":{\"a\":1,}}\nwell",
           "N(look)A({\"a\":1,)X({\"name\":\"look\",\"arguments\":{\"a\":1,)C(}}\nwell)");
    expect("", "[{\"name\":\"look\"},{\"name\":\"look\",\"arguments\":{",
           "N(look)A({})E()N(look)A({)X(,{\"name\":\"look\",\"arguments\":{)");
}

static void test_without_tools(void **state)
{
    static const char text[] = "```json\n{\"name\":\"look\",\"arguments\":{}}\n```";
    struct sink sink = {.last = -1};
    rwkv_splitter *s;

    (void)state;
    assert_int_equal(rwkv_splitter_new("", NULL, 0, collect, &sink, &s, NULL), RWKV_OK);
    assert_int_equal(rwkv_splitter_push(s, text, strlen(text), NULL), RWKV_OK);
    rw_str_adds(&sink.said, "");
    assert_memory_equal(sink.said.data + 2, text, strlen(text)); /* nothing is held back */
    assert_int_equal(rwkv_splitter_finish(s, NULL), RWKV_OK);
    rwkv_splitter_free(s);
    rw_str_fini(&sink.said);
}

/* Text, and arguments of a call whose name is known, come at once. */
static void test_promptness(void **state)
{
    static const struct {
        const char *push, *said;
    } steps[] = {
        {" <think>a", "R(a)"},
        {" <b", "R(a <b)"},
        {"</think>\nc <", "R(a <b)C(c <)"},
        {"\n`", "R(a <b)C(c <)"},
        {"x", "R(a <b)C(c <\n`x)"},
        {"\n```json\n{\"name\":\"look\",\"arguments\":", "R(a <b)C(c <\n`x)"},
        {"{\"d", "R(a <b)C(c <\n`x)N(look)A({\"d)"},
        {"\":1", "R(a <b)C(c <\n`x)N(look)A({\"d\":1)"},
        {"}", "R(a <b)C(c <\n`x)N(look)A({\"d\":1})E()"},
    };
    struct sink sink = {.last = -1};
    rwkv_splitter *s;

    (void)state;
    assert_int_equal(rwkv_splitter_new("", tools, 2, collect, &sink, &s, NULL), RWKV_OK);
    for (size_t i = 0; i < RW_COUNT(steps); i++) {
        assert_int_equal(rwkv_splitter_push(s, steps[i].push, strlen(steps[i].push), NULL),
                         RWKV_OK);
        assert_string_equal(sink.said.data, steps[i].said);
    }
    rwkv_splitter_free(s);
    rw_str_fini(&sink.said);
}

static void test_stopping(void **state)
{
    struct sink sink = {.last = -1, .stop_after = 1};
    const rwkv_tool nameless = {0};
    rwkv_error err = {0};
    rwkv_splitter *s;

    (void)state;
    assert_int_equal(rwkv_splitter_new("", tools, 2, collect, &sink, &s, NULL), RWKV_OK);
    assert_int_equal(rwkv_splitter_push(s, "a", 1, &err), RWKV_ERROR_CANCELLED);
    assert_int_equal(rwkv_splitter_push(s, "b", 1, &err), RWKV_ERROR_CANCELLED);
    assert_int_equal(rwkv_splitter_finish(s, &err), RWKV_ERROR_CANCELLED);
    assert_string_equal(sink.said.data, "C(a)");
    rwkv_splitter_free(s);
    rwkv_splitter_free(NULL);
    rw_str_fini(&sink.said);
    assert_int_equal(rwkv_splitter_new("", &nameless, 1, collect, NULL, &s, &err),
                     RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, "tool 0: wanted a name, found NULL");
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void test_json(void **state)
{
    static const char *const good[] = {
        "0",    "-0.5e-7",   "\"\\u00e9\\n\"", " [1 , 2]\n",
        "{}",   "[[],{},1]", "true",           "{\"a\":{\"b\":null}}",
        "1E+2", "10.25",     "[-1,0]"};
    static const char *const bad[] = {
        "",     " ",    "01",      "-",     "1.",         ".5",      "1e",          "1e+",
        "+1",   "tru",  "truee",   "nul l", "\"",         "\"\\x\"", "\"\\u12g4\"", "\"\n\"",
        "[1,]", "[,1]", "{\"a\"}", "{a:1}", "{\"a\":1,}", "[1}",     "{]",          "1 2",
        "]",    "[1",   "{\"a\":", "--1",   "1.2.3",      "1e2e3",   "'a'"};
    char deep[600];

    (void)state;
    for (size_t i = 0; i < RW_COUNT(good); i++)
        if (!rw_json_scan_text(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < RW_COUNT(bad); i++)
        if (rw_json_scan_text(bad[i], strlen(bad[i])))
            fail_msg("taken: %s", bad[i]);
    memset(deep, '[', RW_JSON_SCAN_DEPTH);
    memset(deep + RW_JSON_SCAN_DEPTH, ']', RW_JSON_SCAN_DEPTH);
    assert_true(rw_json_scan_text(deep, 2 * RW_JSON_SCAN_DEPTH));
    memset(deep, '[', RW_JSON_SCAN_DEPTH + 1);
    memset(deep + RW_JSON_SCAN_DEPTH + 1, ']', RW_JSON_SCAN_DEPTH + 1);
    assert_false(rw_json_scan_text(deep, 2 * RW_JSON_SCAN_DEPTH + 2));
}

/* Short random texts of JSON's own characters: the scan and the library agree. */
static void test_json_random(void **state)
{
    static const char *const parts[] = {
        "{", "}", "[", "]",   ":",    ",", "\"", "\"a\"", "1",      "-",   ".",
        "e", "0", " ", "\\n", "null", "+", "\\", "true",  "\"b\":", "[1]", "{\"c\":2}"};
    struct rw_rng rng;
    size_t taken = 0;

    (void)state;
    rw_rng_init(&rng, 5);
    for (int round = 0; round < 50000; round++) {
        char text[64] = "";
        for (uint64_t n = rw_rng_below(&rng, 7); n > 0; n--)
            strcat(text, parts[rw_rng_below(&rng, RW_COUNT(parts))]);
        json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (rw_json_scan_text(text, strlen(text)) != (value != NULL))
            fail_msg("%s: the library %s it", text, value ? "takes" : "refuses");
        taken += value != NULL;
        json_decref(value);
    }
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thoughts),      cmocka_unit_test(test_calls),
        cmocka_unit_test(test_several_calls), cmocka_unit_test(test_no_calls),
        cmocka_unit_test(test_broken_calls),  cmocka_unit_test(test_without_tools),
        cmocka_unit_test(test_promptness),    cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_json),          cmocka_unit_test(test_json_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
