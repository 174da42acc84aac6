/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/utf8.c against the rules of Unicode, over all code points, and the incremental output of
 * text/text_stream.c: whatever the cuts between pushes, the text is the same and no push gives part
 * of a character.
 */
#include "unit.h"

#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "base/utf8.h"
#include "text/text_stream.h"

#define BAD "\xef\xbf\xbd"

static void test_all_code_points(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        uint8_t bytes[4];
        uint32_t back;
        size_t length, n = rw_utf8_put(code, bytes);
        int surrogate = code >= 0xd800 && code < 0xe000;

        assert_int_equal(rw_utf8_valid(bytes, n), !surrogate);
        if (surrogate)
            continue;
        assert_int_equal(rw_utf8_next(bytes, n, &length, &back), RW_UTF8_CHAR);
        assert_int_equal(length, n);
        assert_int_equal(back, code);
        for (size_t cut = 1; cut < n; cut++)
            assert_int_equal(rw_utf8_next(bytes, cut, &length, &back), RW_UTF8_PARTIAL);
    }
}

/* Push the pieces between the cuts (bit i: a cut before byte i + 1) and compare all text. */
static void expect_text(const char *bytes, size_t n, const char *wanted, uint64_t cuts)
{
    struct rw_text_stream s;
    struct rw_str all = {0};

    assert_int_equal(rw_text_stream_init(&s, NULL, 0, NULL), RWKV_OK);
    for (size_t begin = 0, at = 0; at < n; at++) {
        if (at + 1 < n && !(cuts >> at & 1))
            continue;
        assert_int_equal(rw_text_stream_push(&s, bytes + begin, at + 1 - begin, NULL), RWKV_OK);
        assert_true(rw_utf8_valid(s.text.data, s.text.size));
        rw_str_add(&all, s.text.data, s.text.size);
        begin = at + 1;
    }
    assert_int_equal(rw_text_stream_finish(&s, NULL), RWKV_OK);
    rw_str_add(&all, s.text.data, s.text.size);
    assert_string_equal(all.data, wanted);
    rw_str_fini(&all);
    rw_text_stream_fini(&s);
}

/* Maximal invalid subparts: the examples of the Unicode standard, chapter 3.9, and a few more. */
static const struct {
    const char *bytes, *text;
} cases[] = {
    {"plain", "plain"},
    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", BAD BAD BAD BAD BAD BAD BAD BAD "A"},
    {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", BAD BAD BAD BAD BAD BAD BAD BAD "A"},
    {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", BAD BAD BAD BAD BAD "A" BAD BAD "B"},
    {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", BAD BAD BAD BAD "A"},
    {"a\xf0\x9f\x98", "a" BAD},
    {"\xe2\x82", BAD},
    {"\xf0\x9f\xf0\x9f\x98\x80\x80", BAD "\xf0\x9f\x98\x80" BAD},
    {BAD, BAD},
};

static void test_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        size_t n = strlen(cases[i].bytes);
        for (uint64_t cuts = 0; cuts < (uint64_t)1 << n; cuts++)
            expect_text(cases[i].bytes, n, cases[i].text, cuts);
    }
}

static void test_invalid_is_not_delayed(void **state)
{
    struct rw_text_stream s;

    (void)state;
    assert_int_equal(rw_text_stream_init(&s, NULL, 0, NULL), RWKV_OK);
    assert_int_equal(rw_text_stream_push(&s, "\xf0\x9f", 2, NULL), RWKV_OK);
    assert_int_equal(s.text.size, 0);
    assert_int_equal(rw_text_stream_push(&s, "A\xff", 2, NULL), RWKV_OK);
    assert_string_equal(s.text.data, BAD "A" BAD);
    assert_int_equal(rw_text_stream_push(&s, "", 0, NULL), RWKV_OK);
    assert_string_equal(s.text.data, "");
    rw_text_stream_fini(&s);
}

/* Random bytes, mostly of the kinds that matter, cut at random, against the whole decoded at once.
 */
static void test_random_bytes(void **state)
{
    static const uint8_t some[] = {0x41, 0x80, 0xbf, 0xc3, 0xe0, 0xa0, 0xed, 0xe2,
                                   0x82, 0xac, 0xf0, 0x9f, 0x90, 0xf4, 0x8f, 0xff};
    struct rw_rng rng;

    (void)state;
    rw_rng_init(&rng, 7);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[24];
        struct rw_str wanted = {0};
        size_t n = rw_rng_below(&rng, sizeof bytes) + 1;
        for (size_t i = 0; i < n; i++)
            bytes[i] = some[rw_rng_below(&rng, sizeof some)];
        for (size_t at = 0, length; at < n; at += length) {
            uint32_t code;
            enum rw_utf8_kind kind = rw_utf8_next(bytes + at, n - at, &length, &code);
            if (kind == RW_UTF8_PARTIAL)
                length = n - at;
            if (kind == RW_UTF8_CHAR)
                rw_str_add(&wanted, bytes + at, length);
            else
                rw_str_adds(&wanted, BAD);
        }
        expect_text((const char *)bytes, n, wanted.data, rw_rng_u64(&rng));
        rw_str_fini(&wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_code_points),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_invalid_is_not_delayed),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
