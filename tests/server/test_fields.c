/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a request, one by one, and grammars kept by their text. */
#include "unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/str.h"
#include "server/fields.h"
#include "server/grammars.h"

static struct rw_api_error error;
static json_t *root;

/* The fields of a request, until the next call. */
static struct rw_fields parse(const char *text)
{
    json_decref(root);
    error = (struct rw_api_error){0};
    root = rw_fields_parse(text, strlen(text), &error);
    return (struct rw_fields){.object = root, .error = &error};
}

static void expect(const char *param, const char *message)
{
    assert_int_equal(error.status, 400);
    assert_string_equal(error.param, param);
    if (!strstr(error.message, message))
        fail_msg("wanted '%s' in '%s'", message, error.message);
}

static void test_numbers(void **state)
{
    double x = 7;
    int64_t n = 7;
    struct rw_fields f = parse("{\"a\": 0.5, \"b\": 3, \"c\": 4.0, \"d\": null, \"e\": 4.5}");
    (void)state;
    assert_true(rw_field_real(&f, "a", 0, 1, &x) && x == 0.5);
    assert_true(rw_field_real(&f, "b", 0, 3, &x) && x == 3);
    assert_true(rw_field_int(&f, "b", 3, 3, &n) && n == 3);
    assert_true(rw_field_int(&f, "c", 0, 9, &n) && n == 4);
    assert_false(rw_field_int(&f, "d", 0, 9, &n));
    assert_false(rw_field_int(&f, "none", 0, 9, &n));
    assert_true(n == 4 && !error.status);
    assert_false(rw_field_int(&f, "e", 0, 9, &n));
    expect("e", "e: wanted an integer, found a real number");
    assert_false(rw_field_real(&f, "a", 0, 1, &x)); /* nothing is read after a failure */
    f = parse("{\"a\": 1e300, \"b\": 9223372036854775807, \"c\": \"5\"}");
    assert_false(rw_field_int(&f, "a", INT64_MIN, INT64_MAX, &n));
    expect("a", "wanted an integer");
    f = parse("{\"b\": 9223372036854775807}");
    assert_true(rw_field_int(&f, "b", INT64_MIN, INT64_MAX, &n) && n == INT64_MAX);
    f = parse("{\"c\": \"5\"}");
    assert_false(rw_field_real(&f, "c", 0, 9, &x));
    expect("c", "wanted a number, found a string");
}

static void test_texts(void **state)
{
    int word = 5;
    bool flag = true;
    const char *text = "before";
    static const char *const words[] = {"yes", "no", NULL};
    struct rw_fields f = parse("{\"t\": \"\\u00e9\", \"z\": \"a\\u0000b\", \"w\": \"no\", "
                               "\"v\": \"perhaps\", \"f\": false, \"n\": \"a/../b\"}");
    (void)state;
    assert_true(rw_field_text(&f, "t", 2, &text));
    assert_string_equal(text, "\xc3\xa9");
    assert_true(rw_field_word(&f, "w", words, &word) && word == 1);
    assert_true(rw_field_flag(&f, "f", &flag) && !flag);
    assert_false(rw_field_text(&f, "t", 1, &text));
    expect("t", "wanted at most 1 bytes, found 2");
    error.status = 0;
    assert_false(rw_field_text(&f, "z", 10, &text));
    expect("z", "without U+0000");
    error.status = 0;
    assert_false(rw_field_word(&f, "v", words, &word));
    expect("v", "wanted one of yes, no, found 'perhaps'");
    f = parse("{\"v\": \"a\\nb\\u007f\", \"n\": \"a/../b\"}");
    assert_false(rw_field_word(&f, "v", words, &word));
    expect("v", "found 'a b '"); /* on one line */
    error.status = 0;
    assert_false(rw_field_name(&f, "n", &text));
    expect("n", "wanted a name");
}

static void test_names(void **state)
{
    static const char *const good[] = {"a", "A-1_b.c:d", "org/model", "a/b/c", "0"};
    static const char *const bad[] = {"",        ".", "..",  "/a",  "a/", "a//b", "a/.b",
                                      ".hidden", "~", "a b", "a\\", "é",  "a?",   "a%"};
    char longest[RW_MAX_NAME + 2];
    (void)state;
    for (size_t i = 0; i < RW_COUNT(good); i++)
        assert_true(rw_is_name(good[i]));
    for (size_t i = 0; i < RW_COUNT(bad); i++)
        assert_false(rw_is_name(bad[i]));
    memset(longest, 'x', sizeof longest);
    longest[RW_MAX_NAME] = 0;
    assert_true(rw_is_name(longest));
    longest[RW_MAX_NAME] = 'x';
    longest[RW_MAX_NAME + 1] = 0;
    assert_false(rw_is_name(longest));
}

static void test_inside(void **state)
{
    bool flag;
    struct rw_fields f = parse("{\"m\": [{\"f\": true}, {\"o\": {\"f\": 1}}, 5]}");
    const json_t *list = rw_field_list(&f, "m", 1, 3);
    (void)state;
    assert_int_equal(json_array_size(list), 3);
    struct rw_fields one = rw_fields_at(&f, "m", list, 0), two = rw_fields_at(&f, "m", list, 1);
    assert_true(rw_field_flag(&one, "f", &flag) && flag);
    struct rw_fields o = rw_fields_in(&two, "o"), none = rw_fields_in(&two, "none");
    assert_false(rw_field_flag(&none, "f", &flag));
    assert_false(rw_field_flag(&o, "f", &flag));
    expect("m[1].o.f", "m[1].o.f: wanted true or false, found an integer");
    error.status = 0;
    rw_fields_at(&f, "m", list, 2);
    expect("m[2]", "found an integer");
    error.status = 0;
    assert_null(rw_field_list(&f, "m", 0, 2));
    expect("m", "3");
}

static void repeat(struct rw_str *text, const char *what, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rw_str_adds(text, what);
}

/* What would take too much memory is refused by its brackets and commas, before it is parsed. */
static void test_bounds(void **state)
{
    struct rw_str text = {0};
    (void)state;
    rw_str_adds(&text, "{\"a\":");
    repeat(&text, "[", RW_MAX_DEPTH - 1);
    repeat(&text, "]", RW_MAX_DEPTH - 1);
    rw_str_adds(&text, "}");
    assert_non_null(parse(text.data).object);
    rw_str_reset(&text);
    repeat(&text, "[", 1000000);
    assert_null(parse(text.data).object);
    expect("", "inside one another");
    rw_str_reset(&text);
    rw_str_adds(&text, "{\"a\":[1");
    repeat(&text, ",1", RW_MAX_VALUES);
    rw_str_adds(&text, "]}");
    assert_null(parse(text.data).object);
    expect("", "values");
    rw_str_reset(&text); /* but not by those in strings */
    rw_str_adds(&text, "{\"a\":\"");
    repeat(&text, "[,{\\\"\\\\", RW_MAX_VALUES / 2);
    rw_str_adds(&text, "\"}");
    assert_non_null(parse(text.data).object);
    rw_str_fini(&text);
}

static rwkv_grammar *hold(struct rw_grammars *g, const char *text)
{
    rwkv_error err;
    rwkv_grammar *grammar = NULL;
    if (rw_grammars_hold(g, RW_GRAMMAR_GBNF, text, strlen(text), &grammar, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return grammar;
}

static void test_grammars(void **state)
{
    rwkv_error err;
    rwkv_grammar *any = NULL;
    struct rw_grammars *g = NULL;
    (void)state;
    assert_int_equal(rw_grammars_new(2, &g, &err), RWKV_OK);
    rwkv_grammar *a = hold(g, "root ::= \"a\""), *b = hold(g, "root ::= \"b\"");
    assert_ptr_equal(hold(g, "root ::= \"a\""), a);
    assert_ptr_not_equal(a, b);
    assert_int_equal(rw_grammars_hold(g, RW_GRAMMAR_OBJECT, "", 0, &any, &err), RWKV_OK);
    assert_int_equal(rw_grammars_hold(g, RW_GRAMMAR_SCHEMA, "root ::= \"a\"", 12, &any, &err),
                     RWKV_ERROR_FORMAT);
    rw_grammars_release(g, a);
    rw_grammars_release(g, any);
    rw_grammars_release(g, b);
    rw_grammars_release(g, NULL);
    assert_ptr_equal(hold(g, "root ::= \"a\""), a); /* held all the time */
    rw_grammars_release(g, a);
    rw_grammars_release(g, a);
    /* Three that nobody holds are one too many: the one that was held longest ago went. */
    size_t matched;
    int whole;
    assert_int_equal(rwkv_grammar_check(hold(g, "root ::= \"b\""), "b", 1, &matched, &whole, NULL),
                     RWKV_OK);
    assert_int_equal(whole, 1);
    rw_grammars_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_inside),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_grammars),
    };
    int failed = cmocka_run_group_tests_name("fields", tests, NULL, NULL);
    json_decref(root);
    return failed;
}
