/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text/text_stream.c: stop sequences against a plain search over the whole text, for every way to
 * cut it into pushes; that nothing is held back longer than needed; and that pushing a token
 * allocates nothing.
 */
#include "unit.h"

#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "text/text_stream.h"

#define MAX_STOPS 4

struct stops {
    const char *text[MAX_STOPS];
    size_t n;
};

/* What the stream must do with a text: where the text ends, and where the match does that ended it
 * (SIZE_MAX: there is none) and of which sequence. */
struct outcome {
    size_t text_end, match_end, stop;
};

/* By plain search: the first place where some sequence is complete, the longest of several. */
static struct outcome find_stop(const struct stops *stops, const char *text, size_t n)
{
    struct outcome o = {n, SIZE_MAX, 0};
    for (size_t end = 1; end <= n && o.match_end == SIZE_MAX; end++) {
        for (size_t i = 0; i < stops->n; i++) {
            size_t size = strlen(stops->text[i]);
            if (size > end || memcmp(text + end - size, stops->text[i], size) != 0)
                continue;
            if (o.match_end == SIZE_MAX || end - size < o.text_end)
                o = (struct outcome){end - size, end, i};
        }
    }
    return o;
}

/* The longest end of the text that some sequence begins with: what has to be held back. */
static size_t to_hold(const struct stops *stops, const char *text, size_t n)
{
    for (size_t hold = n; hold > 0; hold--)
        for (size_t i = 0; i < stops->n; i++)
            if (strlen(stops->text[i]) > hold && memcmp(text + n - hold, stops->text[i], hold) == 0)
                return hold;
    return 0;
}

/* ASCII text pushed in the pieces that `cuts` tells (bit i: a cut after byte i). */
static void check(struct rw_text_stream *s, const struct stops *stops, const char *text, size_t n,
                  uint64_t cuts)
{
    struct outcome wanted = find_stop(stops, text, n);
    struct rw_str all = {0};

    rw_text_stream_reset(s);
    for (size_t begin = 0, at = 0; at < n; at++) {
        if (at + 1 < n && !(cuts >> at & 1))
            continue;
        assert_int_equal(rw_text_stream_push(s, text + begin, at + 1 - begin, NULL), RWKV_OK);
        rw_str_add(&all, s->text.data, s->text.size);
        begin = at + 1;
        bool stopped = wanted.match_end <= begin;
        assert_int_equal(s->stopped, stopped);
        assert_int_equal(all.size, stopped ? wanted.text_end : begin - to_hold(stops, text, begin));
    }
    assert_int_equal(rw_text_stream_finish(s, NULL), RWKV_OK);
    rw_str_add(&all, s->text.data, s->text.size);
    assert_int_equal(all.size, wanted.text_end);
    assert_memory_equal(all.data, text, all.size);
    if (s->stopped)
        assert_int_equal(s->stop, wanted.stop);
    rw_str_fini(&all);
}

static void check_every_split(const struct stops *stops, const char *text)
{
    struct rw_text_stream s;
    size_t n = strlen(text);

    assert_int_equal(rw_text_stream_init(&s, stops->text, stops->n, NULL), RWKV_OK);
    for (uint64_t cuts = 0; cuts < (uint64_t)1 << (n - 1); cuts++)
        check(&s, stops, text, n, cuts);
    rw_text_stream_fini(&s);
}

static void test_every_split(void **state)
{
    const struct stops blank_line = {{"\n\n"}, 1};
    const struct stops turn = {{"\n\nUser:", "User:"}, 2};
    const struct stops crossing = {{"abcd", "bc", "c"}, 3};
    const struct stops periodic = {{"aabaaac", "abaab"}, 2};

    (void)state;
    check_every_split(&blank_line, "one.\n\ntwo");
    check_every_split(&blank_line, "a\nb\n\n\nc");
    check_every_split(&blank_line, "ends in one\n");
    check_every_split(&turn, "a\n\nUse\n\nUser:");
    check_every_split(&turn, "a \n\nUser:b");
    check_every_split(&turn, "xUser:y");
    check_every_split(&crossing, "xabcdy");
    check_every_split(&crossing, "xababdb");
    check_every_split(&periodic, "aabaabaaac");
    check_every_split(&periodic, "aabaaaabaaac");
    check_every_split(&(struct stops){{NULL}, 0}, "free");
}

static void test_random(void **state)
{
    struct rw_rng rng;

    (void)state;
    rw_rng_init(&rng, 3);
    for (int round = 0; round < 30000; round++) {
        char words[MAX_STOPS][8], text[41] = "";
        struct stops stops = {.n = rw_rng_below(&rng, MAX_STOPS) + 1};
        struct rw_text_stream s;
        size_t n = rw_rng_below(&rng, sizeof text - 1) + 1;

        for (size_t i = 0; i < stops.n; i++) {
            size_t size = rw_rng_below(&rng, 7) + 1;
            for (size_t j = 0; j < size; j++)
                words[i][j] = (char)('a' + rw_rng_below(&rng, 2));
            words[i][size] = 0;
            stops.text[i] = words[i];
        }
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + rw_rng_below(&rng, rw_rng_below(&rng, 8) ? 2 : 3));
        assert_int_equal(rw_text_stream_init(&s, stops.text, stops.n, NULL), RWKV_OK);
        check(&s, &stops, text, n, rw_rng_u64(&rng));
        rw_text_stream_fini(&s);
    }
}

/* A stop sequence may begin inside a character cut short, and ends the text there. */
static void test_with_characters(void **state)
{
    const char *const stops[] = {"\xe2\x82\xac"};
    struct rw_text_stream s;

    (void)state;
    assert_int_equal(rw_text_stream_init(&s, stops, 1, NULL), RWKV_OK);
    assert_int_equal(rw_text_stream_push(&s, "5 \xe2\x82", 4, NULL), RWKV_OK);
    assert_string_equal(s.text.data, "5 ");
    assert_int_equal(rw_text_stream_push(&s, "\xac more", 6, NULL), RWKV_OK);
    assert_true(s.stopped);
    assert_string_equal(s.text.data, "");
    assert_int_equal(rw_text_stream_push(&s, "ignored", 7, NULL), RWKV_OK);
    assert_string_equal(s.text.data, "");

    rw_text_stream_reset(&s);
    assert_int_equal(rw_text_stream_push(&s, "\xf0\x9f\xe2\x82\xac", 5, NULL), RWKV_OK);
    assert_true(s.stopped);
    assert_string_equal(s.text.data, "\xef\xbf\xbd");

    rw_text_stream_reset(&s);
    assert_int_equal(rw_text_stream_push(&s, "\xe2\x82", 2, NULL), RWKV_OK);
    assert_int_equal(rw_text_stream_push(&s, "\xad", 1, NULL), RWKV_OK);
    assert_string_equal(s.text.data, "\xe2\x82\xad");
    rw_text_stream_fini(&s);
}

static void test_empty_stop(void **state)
{
    const char *const stops[] = {"a", ""};
    struct rw_text_stream s;
    rwkv_error err = {0};

    (void)state;
    assert_int_equal(rw_text_stream_init(&s, stops, 2, &err), RWKV_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "stop sequence 1"));
}

/* The longest token there can be, all of it invalid, with a long stop sequence held back before. */
static void test_no_allocation(void **state)
{
    const char *const stops[] = {"abcdefghijklmnopqrstuvwxyz"};
    struct rw_text_stream s;
    char token[1024];

    (void)state;
    memset(token, 0xff, sizeof token);
    assert_int_equal(rw_text_stream_init(&s, stops, 1, NULL), RWKV_OK);
    const char *text = s.text.data, *held = s.held.data;
    assert_int_equal(rw_text_stream_push(&s, stops[0], 25, NULL), RWKV_OK);
    assert_int_equal(rw_text_stream_push(&s, token, sizeof token, NULL), RWKV_OK);
    assert_int_equal(s.text.size, 25 + 3 * sizeof token);
    assert_ptr_equal(s.text.data, text);
    assert_ptr_equal(s.held.data, held);
    rw_text_stream_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),     cmocka_unit_test(test_random),
        cmocka_unit_test(test_with_characters), cmocka_unit_test(test_empty_stop),
        cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
