/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text/grammar*.c: GBNF by examples, texts of random grammars against a slow matcher that knows
 * nothing of automata, masks against asking about every token, and the errors.
 */
#include "unit.h"

#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "rwkv_grammar.h"
#include "text/grammar_int.h"

static rwkv_grammar *compile(const char *text)
{
    rwkv_grammar *g = NULL;
    rwkv_error err = {0};
    if (rwkv_grammar_from_gbnf(text, strlen(text), &g, &err) != RWKV_OK)
        fail_msg("%s\n%s", err.message, text);
    return g;
}

static bool is_whole(const rwkv_grammar *g, const char *text, size_t size)
{
    size_t matched;
    int whole;
    assert_int_equal(rwkv_grammar_check(g, text, size, &matched, &whole, NULL), RWKV_OK);
    return whole;
}

static size_t matched_of(const rwkv_grammar *g, const char *text)
{
    size_t matched;
    assert_int_equal(rwkv_grammar_check(g, text, strlen(text), &matched, NULL, NULL), RWKV_OK);
    return matched;
}

/* --- examples --- */

/* Texts that belong to a grammar, texts that do not, and how much of the latter may begin one. */
static const struct {
    const char *grammar;
    const char *in[8];
    struct {
        const char *text;
        size_t matched;
    } out[8];
} examples[] = {
    {"root ::= \"ab\" | \"ac\"", {"ab", "ac"}, {{"a", 1}, {"ad", 1}, {"abb", 2}, {"", 0}}},
    {"root ::= [a-c]+ \"-\"? [^a-z]", {"a!", "abc-A", "c\xc3\xa9"}, {{"a-a", 2}, {"-", 0}}},
    {"root ::= \"\" | x \n x ::= .",
     {"", "\n", "\xe2\x82\xac", "\xf4\x8f\xbf\xbf"},
     {{"\xed\xa0\x80", 1}, {"\xc0\x80", 0}, {"\xf4\x90\x80\x80", 1}, {"\xe2\x82", 2}}},
    {"# two rules\nroot ::= item{2,3} # and\nitem ::=\n  \"x\" |\n  \"y\"\n",
     {"xy", "yyx"},
     {{"x", 1}, {"xxxx", 3}}},
    {"root ::= \"a\"{3} \"b\"{0,1} \"c\"{2,}", {"aaacc", "aaabccc"}, {{"aacc", 2}, {"aaabc", 5}}},
    {"root ::= \"(\" root \")\" | \"x\"", {"x", "((x))"}, {{"((x)", 4}, {"x)", 1}}},
    {"root ::= \"\\n\\t\\x41\\u00e9\\U0001F600\\\"\\\\\" [\\]\\-a]",
     {"\n\tA\xc3\xa9\xf0\x9f\x98\x80\"\\]", "\n\tA\xc3\xa9\xf0\x9f\x98\x80\"\\-"},
     {{"\nA", 1}}},
    {"root ::= (\"a\"?){2,5} \"b\"", {"b", "ab", "aaaaab"}, {{"aaaaaab", 5}}},
    {"root ::= ((\"a\" | \"ab\") (\"c\" | \"bc\"))*", {"", "ac", "abc", "abbcac"}, {{"aca", 3}}},
    {"root ::= [a-zA-Z\xc3\xa4-\xc3\xbc-]*", {"-a\xc3\xa5", ""}, {{"\xc3\xbf", 1}, {"1", 0}}},
    {"root ::= a-b_c a-b_c\na-b_c ::= \"x\"*", {"", "x", "xxx"}, {{"y", 0}}},
    {"root ::= \"yes\" | \"no\" | \"not\" | \"nothing\" | \"\"",
     {"yes", "no", "not", "nothing", ""},
     {{"noth", 4}, {"notes", 3}}},
    {"root ::= \"a\" dead | \"b\"\ndead ::= \"x\" dead", {"b"}, {{"a", 0}, {"ax", 0}}},
    {"root ::= \"a\"{1000000,1000001}", {NULL}, {{"aab", 2}}},
    {"root ::= [\\u4e00-\\u9fff]{2}", {"\xe4\xb8\x80\xe9\xbf\xbf"}, {{"\xe4\xb8\x80", 3}}},
    {"root ::= ([ab] \"c\"?){2,3} ([x-z] | \"q\")", {"acbcx", "abaz"}, {{"aq", 1}, {"aaaa", 3}}},
};

static void test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_COUNT(examples); i++) {
        rwkv_grammar *g = compile(examples[i].grammar);
        for (size_t k = 0; k < 8 && examples[i].in[k]; k++)
            if (!is_whole(g, examples[i].in[k], strlen(examples[i].in[k])))
                fail_msg("'%s' does not match '%s'", examples[i].grammar, examples[i].in[k]);
        for (size_t k = 0; k < 8 && examples[i].out[k].text; k++) {
            const char *text = examples[i].out[k].text;
            if (is_whole(g, text, strlen(text)))
                fail_msg("'%s' matches '%s'", examples[i].grammar, text);
            if (matched_of(g, text) != examples[i].out[k].matched)
                fail_msg("'%s' matches %zu bytes of '%s'", examples[i].grammar, matched_of(g, text),
                         text);
        }
        rwkv_grammar_free(g);
    }
}

/* Counting goes as far as it should. */
static void test_counts(void **state)
{
    enum { n = 3000 };
    static char text[n + 2];
    (void)state;
    memset(text, 'a', sizeof text);
    rwkv_grammar *g = compile("root ::= [a-z]{2999,3000}");
    assert_false(is_whole(g, text, n - 2));
    assert_true(is_whole(g, text, n - 1));
    assert_true(is_whole(g, text, n));
    assert_false(is_whole(g, text, n + 1));
    rwkv_grammar_free(g);
    g = compile("root ::= \"a\"{2000,}");
    assert_false(is_whole(g, text, 1999));
    assert_true(is_whole(g, text, n));
    rwkv_grammar_free(g);
}

/* As deep as there is room for, and a text that has begun can always be brought to its end. */
static void test_depth(void **state)
{
    static char text[2 * RW_DEPTH_LIMIT];
    (void)state;
    rwkv_grammar *g = compile("root ::= \"(\" root \")\" | end\nend ::= \"x\"");
    memset(text, '(', sizeof text);
    size_t depth;
    assert_int_equal(rwkv_grammar_check(g, text, sizeof text, &depth, NULL, NULL), RWKV_OK);
    assert_in_range(depth, RW_DEPTH_LIMIT / 2, RW_DEPTH_LIMIT);
    text[depth] = 'x';
    memset(text + depth + 1, ')', depth - 1);
    assert_false(is_whole(g, text, 2 * depth));
    text[2 * depth] = ')';
    assert_true(is_whole(g, text, 2 * depth + 1));
    rwkv_grammar_free(g);
}

/* --- errors --- */

static void test_errors(void **state)
{
    static const struct {
        const char *grammar, *message;
    } cases[] = {
        {"", "grammar: wanted a rule 'root', found none among 0"},
        {"top ::= \"a\"", "grammar: wanted a rule 'root', found none among 1"},
        {"root ::= \"a", "grammar: line 1: wanted '\"', found the end"},
        {"root ::= [a", "grammar: line 1: wanted ']', found the end"},
        {"root ::= \"a\" ) \"b\"", "grammar: line 1: wanted the next part or rule, found ')'"},
        {"root ::= (\"a\"", "grammar: line 1: wanted ')', found the end"},
        {"root = \"a\"", "grammar: line 1: wanted a rule: name ::= …, found 'r'"},
        {"root ::= x\n\n", "grammar: line 1: there is no rule 'x'"},
        {"root ::= \"a\"\n\nroot ::= \"b\"",
         "grammar: line 3: rule 'root' has been defined before"},
        {"root ::= \"\\q\"", "grammar: line 1: wanted n, r, t, x, u, U, \\, \", [, ], - or ^ after "
                             "a backslash, found 'q'"},
        {"root ::= \"\\x4g\"", "grammar: line 1: wanted a hexadecimal digit, found 'g'"},
        {"root ::= \"\\ud800\"",
         "grammar: line 1: wanted a character up to U+10FFFF, found U+D800"},
        {"root ::= [z-a]", "grammar: line 1: wanted a range from low to high, found U+007A to "
                           "U+0061"},
        {"root ::= \"a\"{3,2}", "grammar: line 1: wanted {least,most}, found {3,2}"},
        {"root ::= \"a\"{9999999999}",
         "grammar: line 1: wanted at most 1000000000 repetitions, found more"},
        {"root ::= \"\xff\"", "grammar: line 1: wanted UTF-8, found the byte 0xff"},
        {"root ::= root \"a\" | \"b\"", "grammar: rule 'root' begins with itself: wanted a rule "
                                        "that takes some text first"},
        {"root ::= \"x\" a\na ::= \"p\"? b \"y\"\nb ::= (a | \"z\")+",
         "grammar: rule 'b' begins with itself: wanted a rule that takes some text first"},
        {"root ::= \"a\" root",
         "grammar: there is no text that it allows: what begins can never end"},
        {"root ::= []", "grammar: there is no text that it allows: what begins can never end"},
        {"root ::= (\"a\"?){9000000}", "grammar: too large: it makes more than 524288 states"},
        {"root ::= * ", "grammar: line 1: wanted the next part or rule, found '*'"},
    };
    (void)state;
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        rwkv_grammar *g = NULL;
        rwkv_error err = {0};
        const char *text = cases[i].grammar;
        assert_int_not_equal(rwkv_grammar_from_gbnf(text, strlen(text), &g, &err), RWKV_OK);
        assert_null(g);
        assert_string_equal(err.message, cases[i].message);
    }
    rwkv_error err;
    rwkv_grammar *g;
    assert_int_equal(rwkv_grammar_from_gbnf(NULL, 0, &g, &err), RWKV_ERROR_ARGUMENT);
    rwkv_grammar_free(NULL);
}

/* A thousand parentheses, and a chain of rules as long as the text may be. */
static void test_hostile(void **state)
{
    char *text = test_malloc(RW_GRAMMAR_TEXT_LIMIT);
    rwkv_grammar *g = NULL;
    rwkv_error err;
    (void)state;
    size_t n = (size_t)snprintf(text, 32, "root ::= ");
    memset(text + n, '(', 1000);
    assert_int_equal(rwkv_grammar_from_gbnf(text, n + 1000, &g, &err), RWKV_ERROR_UNSUPPORTED);
    n = (size_t)snprintf(text, 32, "root ::= r0 ");
    unsigned rules = 0;
    for (; n < RW_GRAMMAR_TEXT_LIMIT - 200; rules++)
        n += (size_t)snprintf(text + n, 100, "r%u ::= r%u \"x\"\n", rules, rules + 1);
    n += (size_t)snprintf(text + n, 100, "r%u ::= \"y\"\n", rules);
    assert_int_equal(rwkv_grammar_from_gbnf(text, n, &g, &err), RWKV_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "deep"));
    n -= (size_t)snprintf(NULL, 0, "r%u ::= \"y\"\n", rules);
    n += (size_t)snprintf(text + n, 100, "r%u ::= r0\n", rules);
    assert_int_equal(rwkv_grammar_from_gbnf(text, n, &g, &err), RWKV_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "begins with itself"));
    test_free(text);
}

/* --- random grammars against a slow matcher --- */

#define RULES 3
#define TEXT_MAX 7

enum shape { LETTER, ANY, EMPTY, RULE, SEQUENCE, CHOICE, TIMES };

struct tree {
    enum shape shape;
    char letter;
    int rule, a, b, min, max;
};

static struct tree trees[400];
static int n_trees, rule_trees[RULES];

static int new_tree(struct rw_rng *rng, int depth)
{
    struct tree t = {.shape = (enum shape)rw_rng_below(rng, depth > 0 ? 7 : 3)};
    t.letter = (char)('a' + rw_rng_below(rng, 2));
    t.rule = (int)rw_rng_below(rng, RULES);
    if (t.shape >= SEQUENCE)
        t.a = new_tree(rng, depth - 1);
    if (t.shape == SEQUENCE || t.shape == CHOICE)
        t.b = new_tree(rng, depth - 1);
    t.min = (int)rw_rng_below(rng, 3);
    t.max = rw_rng_below(rng, 2) ? t.min + (int)rw_rng_below(rng, 3) : -1;
    trees[n_trees] = t;
    return n_trees++;
}

static void print_tree(char *out, int id)
{
    const struct tree *t = &trees[id];
    char *end = out + strlen(out);
    if (t->shape == LETTER)
        sprintf(end, " \"%c\"", t->letter);
    else if (t->shape == ANY)
        strcat(out, " [ab]");
    else if (t->shape == EMPTY)
        strcat(out, " \"\"");
    else if (t->shape == RULE)
        sprintf(end, " r%d", t->rule);
    if (t->shape < SEQUENCE)
        return;
    strcat(out, " (");
    print_tree(out, t->a);
    if (t->shape == CHOICE)
        strcat(out, " |");
    if (t->shape != TIMES)
        print_tree(out, t->b);
    strcat(out, " )");
    end = out + strlen(out);
    if (t->shape == TIMES && t->max < 0)
        sprintf(end, "{%d,}", t->min);
    else if (t->shape == TIMES)
        sprintf(end, "{%d,%d}", t->min, t->max);
}

/* The ends (bits) of what a tree matches from the ends in `from`. Rules are followed no deeper than
 * a text of that length can need, as none begins with itself. */
static unsigned slow(int id, unsigned from, const char *text, int depth)
{
    const struct tree *t = &trees[id];
    unsigned to = 0, now;
    if (from == 0 || depth == 0)
        return 0;
    switch (t->shape) {
    case LETTER:
    case ANY:
        for (unsigned i = 0; text[i]; i++)
            if (from >> i & 1 && (t->shape == ANY || text[i] == t->letter))
                to |= 2u << i;
        return to;
    case EMPTY:
        return from;
    case RULE:
        return slow(rule_trees[t->rule], from, text, depth - 1);
    case SEQUENCE:
        return slow(t->b, slow(t->a, from, text, depth), text, depth);
    case CHOICE:
        return slow(t->a, from, text, depth) | slow(t->b, from, text, depth);
    case TIMES:
        break;
    }
    now = from;
    for (int i = 0; i <= (t->max < 0 ? t->min + TEXT_MAX + 1 : t->max) && now; i++) {
        if (i >= t->min)
            to |= now;
        now = slow(t->a, now, text, depth);
    }
    return to;
}

/* Every text of two letters up to TEXT_MAX. */
static unsigned compare_texts(const rwkv_grammar *g, const char *source)
{
    unsigned whole = 0;
    for (unsigned size = 0; size <= TEXT_MAX; size++)
        for (unsigned bits = 0; bits < 1u << size; bits++) {
            char text[TEXT_MAX + 1] = "";
            for (unsigned i = 0; i < size; i++)
                text[i] = bits >> i & 1 ? 'b' : 'a';
            bool wanted = slow(rule_trees[0], 1, text, 24) >> size & 1;
            if (is_whole(g, text, size) != wanted)
                fail_msg("%s\n'%s' %s", source, text, wanted ? "not matched" : "matched");
            if (wanted && matched_of(g, text) != size)
                fail_msg("%s\n'%s' is not its own beginning", source, text);
            whole += wanted;
        }
    return whole;
}

static void test_random(void **state)
{
    static char source[20000];
    struct rw_rng rng;
    unsigned compiled = 0, whole = 0;
    (void)state;
    rw_rng_init(&rng, 5);
    for (unsigned round = 0; round < 300; round++) {
        rwkv_grammar *g = NULL;
        rwkv_error err;
        n_trees = 0;
        source[0] = 0;
        for (int i = 0; i < RULES; i++) {
            rule_trees[i] = new_tree(&rng, 4);
            sprintf(source + strlen(source), "r%d ::=", i);
            print_tree(source, rule_trees[i]);
            strcat(source, "\n");
        }
        strcat(source, "root ::= r0\n");
        if (rwkv_grammar_from_gbnf(source, strlen(source), &g, &err) == RWKV_OK) {
            compiled++;
            whole += compare_texts(g, source);
        } else if (err.code != RWKV_ERROR_UNSUPPORTED) {
            fail_msg("%s\n%s", err.message, source);
        }
        rwkv_grammar_free(g);
    }
    assert_in_range(compiled, 100, 300);
    assert_in_range(whole, 2000, 1000000);
}

/* --- masks --- */

/* Tokens with parts of characters, and such that are longer than what a grammar wants. */
static struct rwkv_vocab *small_vocab(void)
{
    static const char *const tokens[] = {
        "'a'",    "'b'",      "'ab'",     "'aba'",   "'{'",        "'}'",      "'\"'",
        "'\": '", "b'\\xc3'", "b'\\xa9'", "'\\xe9'", "'aaaaaaaa'", "'(('",     "')))'",
        "'x'",    "' '",      "'true'",   "'1'",     "'23'",       "b'\\xa9a'"};
    static const int sizes[] = {1, 1, 2, 3, 1, 1, 1, 3, 1, 1, 2, 8, 2, 3, 1, 1, 4, 1, 2, 2};
    char text[2000] = "";
    struct rwkv_vocab *vocab = NULL;
    rwkv_error err;
    for (size_t i = 0; i < RW_COUNT(tokens); i++)
        sprintf(text + strlen(text), "%zu %s %d\n", i + 1, tokens[i], sizes[i]);
    if (rw_vocab_from_memory(text, strlen(text), "small", &vocab, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return vocab;
}

/* The mask has those tokens after which the text may still be a beginning. */
static void check_mask(struct rw_matcher *m, const struct rw_str *text)
{
    size_t n_allowed = 0;
    rwkv_error err = {0};
    if (rw_matcher_mask(m, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    for (size_t token = 0; token < m->n_vocab; token++) {
        size_t size, matched;
        struct rw_str more = {0};
        const char *bytes = rw_vocab_token(m->vocab, (int32_t)token, &size);
        rw_str_add(&more, text->data, text->size);
        rw_str_add(&more, bytes, size);
        rwkv_grammar_check(m->grammar, more.data, more.size, &matched, NULL, NULL);
        bool wanted = size > 0 && matched == more.size;
        if (rw_matcher_allows(m, (int32_t)token) != wanted)
            fail_msg("token %zu %s allowed after '%s'", token, wanted ? "is not" : "is",
                     text->data ? text->data : "");
        n_allowed += wanted;
        rw_str_fini(&more);
    }
    assert_int_equal(m->n_allowed, n_allowed);
}

/* Random texts, their masks checked on the way. */
static void walk(const rwkv_grammar *g, const struct rwkv_vocab *vocab, struct rw_rng *rng)
{
    struct rw_matcher *m = NULL;
    struct rw_str text = {0};
    assert_int_equal(rw_matcher_new(g, vocab, rw_vocab_size(vocab), &m, NULL), RWKV_OK);
    for (int step = 0; step < 30; step++) {
        int whole;
        size_t matched, size;
        check_mask(m, &text);
        rwkv_grammar_check(g, text.data, text.size, &matched, &whole, NULL);
        assert_int_equal(m->may_end, whole);
        if (m->n_allowed == 0)
            break;
        int32_t token = (int32_t)rw_rng_below(rng, m->n_vocab);
        while (!rw_matcher_allows(m, token))
            token = (token + 1) % (int32_t)m->n_vocab;
        const char *bytes = rw_vocab_token(vocab, token, &size);
        rw_str_add(&text, bytes, size);
        assert_int_equal(rw_matcher_accept(m, token, NULL), RWKV_OK);
    }
    rw_matcher_free(m);
    rw_str_fini(&text);
}

static void test_masks(void **state)
{
    static const char *const grammars[] = {
        "root ::= [ab]*",
        "root ::= \"a\"{3,20} \"b\"",
        "root ::= [ab]{5,9} \"x\" [ab]{17,} \"\xc3\xa9\"*",
        "root ::= \"(\" root \")\" | \"x\" | \"\"",
        "root ::= (\"\xc3\xa9\" | \"a\")* \"{\" .{2,3} \"}\"",
        "root ::= (\"ab\" | \"aba\" | \"b\"){12,13} [^b]*",
    };
    struct rwkv_vocab *vocab = small_vocab();
    struct rw_rng rng;
    (void)state;
    rw_rng_init(&rng, 1);
    for (size_t i = 0; i < RW_COUNT(grammars); i++) {
        rwkv_grammar *g = compile(grammars[i]);
        for (int round = 0; round < 20; round++)
            walk(g, vocab, &rng);
        rwkv_grammar_stats stats;
        rwkv_grammar_get_stats(g, &stats);
        assert_true(stats.found < stats.masks && stats.kept == stats.found);
        rwkv_grammar_free(g);
    }
    rwkv_grammar *g = NULL;
    assert_int_equal(rwkv_grammar_any_object(&g, NULL), RWKV_OK);
    for (int round = 0; round < 20; round++)
        walk(g, vocab, &rng);
    rwkv_grammar_free(g);
    rw_vocab_release(vocab);
}

/* How many masks had to be found for the beginning of a text in this vocabulary. */
static uint64_t found_for(rwkv_grammar *g, const struct rwkv_vocab *vocab)
{
    struct rw_matcher *m = NULL;
    rwkv_grammar_stats before, after;
    rwkv_grammar_get_stats(g, &before);
    assert_int_equal(rw_matcher_new(g, vocab, rw_vocab_size(vocab), &m, NULL), RWKV_OK);
    assert_int_equal(rw_matcher_mask(m, NULL), RWKV_OK);
    rw_matcher_free(m);
    rwkv_grammar_get_stats(g, &after);
    return after.found - before.found;
}

/* Far from both ends of a count a mask is found once. The same vocabulary opened again shares the
 * masks; one of other tokens has its own. */
static void test_mask_kept(void **state)
{
    struct rwkv_vocab *vocab = small_vocab(), *again = small_vocab(), *other = NULL;
    rwkv_grammar *g = compile("root ::= [ab]{100,10000} \"x\"");
    struct rw_matcher *m = NULL;
    rwkv_grammar_stats stats;
    (void)state;
    assert_int_equal(rw_vocab_bytes(&other, NULL), RWKV_OK);
    assert_int_equal(rw_matcher_new(g, vocab, rw_vocab_size(vocab), &m, NULL), RWKV_OK);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(rw_matcher_mask(m, NULL), RWKV_OK);
        assert_int_equal(rw_matcher_accept(m, 2, NULL), RWKV_OK);
    }
    rwkv_grammar_get_stats(g, &stats);
    assert_int_equal(stats.masks, 5000);
    assert_in_range(stats.found, 2, 20);
    rw_matcher_free(m);
    assert_int_equal(found_for(g, again), 0);
    assert_int_equal(found_for(g, other), 1);
    rwkv_grammar_free(g);
    rw_vocab_release(vocab);
    rw_vocab_release(again);
    rw_vocab_release(other);
}

/* What can be read in too many ways is given up, not worked on for ever. */
static void test_ambiguous(void **state)
{
    struct rwkv_vocab *vocab = small_vocab();
    rwkv_grammar *g = compile("root ::= a a a a a a a a\na ::= [ab]* (b [ab]*)*\nb ::= ([ab] "
                              "b?){1,900}");
    struct rw_matcher *m = NULL;
    rwkv_status status = RWKV_OK;
    (void)state;
    assert_int_equal(rw_matcher_new(g, vocab, rw_vocab_size(vocab), &m, NULL), RWKV_OK);
    for (int i = 0; i < 40 && status == RWKV_OK; i++) {
        status = rw_matcher_mask(m, NULL);
        if (status == RWKV_OK)
            status = rw_matcher_accept(m, 1, NULL);
    }
    assert_true(status == RWKV_OK || status == RWKV_ERROR_UNSUPPORTED);
    rw_matcher_free(m);
    rwkv_grammar_free(g);
    rw_vocab_release(vocab);
}

/* The cache stays within its bytes, and what is asked for again stays in it. */
static void test_cache(void **state)
{
    enum { n_vocab = 65536, n_masks = 4000 };
    static uint64_t mask[n_vocab / 64], back[n_vocab / 64];
    struct rw_mask_cache cache;
    size_t n;
    (void)state;
    assert_true(rw_mask_cache_init(&cache));
    for (uint32_t i = 0; i < n_masks; i++) {
        struct rw_mask_key first = {1, n_vocab, (uint32_t[]){0}, 1}, key = {1, n_vocab, &i, 1};
        memset(mask, (int)(i % 251 + 1), sizeof mask);
        mask[0] = i;
        rw_mask_cache_put(&cache, &key, mask, n_vocab, 0);
        assert_true(cache.bytes <= RW_GRAMMAR_CACHE);
        assert_true(rw_mask_cache_get(&cache, &first, back, &n));
        assert_int_equal(n, n_vocab);
        assert_int_equal(back[0], 0);
        if (i % 100 == 0) {
            assert_true(rw_mask_cache_get(&cache, &key, back, &n));
            assert_memory_equal(mask, back, sizeof mask);
        }
    }
    assert_in_range(cache.n_entries, 1000, n_masks - 1);
    memset(mask, 0, sizeof mask);
    mask[77] = 5;
    struct rw_mask_key key = {2, n_vocab, (uint32_t[]){3, 4}, 2};
    rw_mask_cache_put(&cache, &key, mask, 2, 0);
    assert_true(rw_mask_cache_get(&cache, &key, back, &n));
    assert_int_equal(n, 2);
    assert_memory_equal(mask, back, sizeof mask);
    rw_mask_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),  cmocka_unit_test(test_counts),
        cmocka_unit_test(test_depth),     cmocka_unit_test(test_errors),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_random),
        cmocka_unit_test(test_masks),     cmocka_unit_test(test_mask_kept),
        cmocka_unit_test(test_ambiguous), cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
