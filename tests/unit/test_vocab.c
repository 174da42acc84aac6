/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary with small ones written here: the text format and everything it refuses, greedy
 * longest match against a plain search, the metadata of a GGUF both ways, and where a vocabulary is
 * looked for. The World vocabulary itself is in test_tokenizer.c.
 */
#include "unit.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "base/status.h"
#include "formats/format.h"
#include "text/vocab.h"

static struct rwkv_vocab *from_text(const char *text)
{
    struct rwkv_vocab *vocab = NULL;
    rwkv_error err = {0};
    if (rw_vocab_from_memory(text, strlen(text), "V", &vocab, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return vocab;
}

static void expect_token(const struct rwkv_vocab *vocab, int32_t id, const char *bytes, size_t size)
{
    size_t found;
    const char *text = rwkv_vocab_token(vocab, id, &found);
    assert_non_null(text);
    assert_int_equal(found, size);
    assert_memory_equal(text, bytes, size);
}

/* --- the text format --- */

static void test_literals(void **state)
{
    (void)state;
    struct rwkv_vocab *v = from_text("0 'a b' 3\n"
                                     "7 \"it's\" 4\r\n"
                                     "1 '\"' 1\n"
                                     "2 '\\'\"' 2\n"
                                     "3 b'\\x80\\xFF' 2\n"
                                     "4 '\\x80\\xff' 4\n"
                                     "5 '\\u20ac\\U0001F600\\u000a' 8\n"
                                     "6 '\\a\\b\\f\\n\\r\\t\\v\\\\\\\"' 9\n"
                                     "9 '\\0\\17\\1234\\777' 6\n"
                                     "10 b\"\\377'\\\\\\t~\" 5\n"
                                     "12 '\xe2\x82\xac \xf0\x9f\x98\x80' 8");
    assert_int_equal(rwkv_vocab_size(v), 13);
    expect_token(v, 0, "a b", 3);
    expect_token(v, 7, "it's", 4);
    expect_token(v, 1, "\"", 1);
    expect_token(v, 2, "'\"", 2);
    expect_token(v, 3, "\x80\xff", 2);
    expect_token(v, 4, "\xc2\x80\xc3\xbf", 4);
    expect_token(v, 5, "\xe2\x82\xac\xf0\x9f\x98\x80\n", 8);
    expect_token(v, 6, "\a\b\f\n\r\t\v\\\"", 9);
    expect_token(v, 9, "\0\17S4\xc7\xbf", 6);
    expect_token(v, 10, "\377'\\\t~", 5);
    expect_token(v, 12, "\xe2\x82\xac \xf0\x9f\x98\x80", 8);
    expect_token(v, 8, "", 0);
    expect_token(v, 11, "", 0);
    expect_token(v, 13, "", 0);
    expect_token(v, -1, "", 0);
    expect_token(v, INT32_MIN, "", 0);
    expect_token(v, INT32_MAX, "", 0);
    rwkv_vocab_free(v);
}

static const struct {
    const char *text, *message;
} refused[] = {
    {"", "V: wanted a vocabulary, found no tokens"},
    {"\n",
     "V: line 1: wanted a token's id (a decimal number) at byte 1, found the end of the line"},
    {"1 'a' 1\n\n", "V: line 2: wanted a token's id"},
    {"PK\3\4", "V: line 1: wanted a token's id (a decimal number) at byte 1, found \"PK??\""},
    {"-1 'a' 1", "found \"-1 'a' 1\""},
    {"1", "V: line 1: wanted a space after the id at byte 2, found the end of the line"},
    {"1\t'a' 1", "a space after the id"},
    {"1  'a' 1", "a string '…' or b'…' at byte 3, found \" 'a' 1\""},
    {"1 a 1", "wanted a string"},
    {"1 r'a' 1", "wanted a string"},
    {"1 b 1", "at byte 3, found \"b 1\""},
    {"1 'a 1", "wanted a closing ' at byte 7, found the end of the line"},
    {"1 \"a 1", "wanted a closing \" at byte 7"},
    {"1 'a'1", "wanted a space after the string at byte 6, found \"1\""},
    {"1 'a' 'b' 2", "wanted the token's length (a decimal number)"},
    {"1 'a' x", "wanted the token's length"},
    {"1 'a' ", "found the end of the line"},
    {"1 'a' 1 ", "wanted the end of the line at byte 8"},
    {"1 'a' 1\r\r\n", "wanted the end of the line at byte 8"},
    {"1 'a' 2", "V: line 1: wanted a string of 2 bytes as the line says, found 1"},
    {"1 '' 0", "V: line 1: wanted a token, found an empty string"},
    {"1 'a' 18446744073709551617", "wanted a string of 4294967295 bytes"},
    {"1 'a\tb' 3", "wanted a printable character or an escape"},
    {"1 '\xff' 1", "wanted valid UTF-8 at byte 4"},
    {"1 '\xe2\x82' 2", "wanted valid UTF-8 at byte 4"},
    {"1 '\xed\xa0\x80' 3", "wanted valid UTF-8"},
    {"1 b'\xc3\xa9' 2", "wanted ASCII in a bytes literal"},
    {"1 'a\\", "wanted a known escape at byte 5, found \"\\\""},
    {"1 '\\", "wanted a known escape"},
    {"1 '\\N{DASH}' 1", "wanted a known escape at byte 4"},
    {"1 '\\q' 1", "wanted a known escape"},
    {"1 b'\\u0041' 1", "wanted a known escape"},
    {"1 '\\x4' 1", "wanted two hexadecimal digits at byte 6"},
    {"1 '\\u00g0' 1", "wanted four hexadecimal digits"},
    {"1 '\\U0001F60' 1", "wanted eight hexadecimal digits"},
    {"1 '\\U00110000' 1", "wanted the escape of a Unicode character at byte 4"},
    {"1 '\\Uffffffff' 1", "wanted the escape of a Unicode character"},
    {"1 '\\ud83d' 3", "wanted the escape of a Unicode character"},
    {"1 b'\\400' 1", "wanted the escape of a byte at byte 5"},
    {"1 'a' 1\n2 'b' 1\n1 'c' 1", "V: line 3: wanted an id of its own, found id 1 of line 1"},
    {"1 'a' 1\n3 'b' 1\n2 b'a' 1",
     "V: line 3: wanted bytes of its own for id 2, found those of id 1 (line 1)"},
    {"70000 'a' 1", "V: line 1: wanted an id below 65547 (the limit for a file of this size), "
                    "found 70000"},
    {"99999999999999999999 'a' 1", "found 4294967295"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_COUNT(refused); i++) {
        struct rwkv_vocab *vocab = NULL;
        rwkv_error err = {0};
        rwkv_status status =
            rw_vocab_from_memory(refused[i].text, strlen(refused[i].text), "V", &vocab, &err);
        if (status != RWKV_ERROR_FORMAT || !strstr(err.message, refused[i].message))
            fail_msg("%s: wanted \"%s\", found %d \"%s\"", refused[i].text, refused[i].message,
                     status, err.message);
        assert_null(vocab);
    }
}

static void test_limits(void **state)
{
    struct rw_str text = {0};
    struct rwkv_vocab *vocab = NULL;
    rwkv_error err = {0};

    (void)state;
    for (int size = RW_VOCAB_TOKEN_MAX; size <= RW_VOCAB_TOKEN_MAX + 1; size++) {
        rw_str_reset(&text);
        rw_str_adds(&text, "1 '");
        for (int i = 0; i < size; i++)
            rw_str_addc(&text, 'a');
        rw_str_printf(&text, "' %d", size);
        rwkv_status status = rw_vocab_from_memory(text.data, text.size, "V", &vocab, &err);
        assert_int_equal(status, size > RW_VOCAB_TOKEN_MAX ? RWKV_ERROR_FORMAT : RWKV_OK);
        if (status == RWKV_OK)
            rwkv_vocab_free(vocab);
    }
    assert_non_null(strstr(err.message, "wanted a token of at most 1024 bytes, found 1025"));
    assert_int_equal(rw_vocab_from_memory("\0 'a' 1", 7, "V", &vocab, &err), RWKV_ERROR_FORMAT);
    assert_int_equal(rw_vocab_from_memory("1 '\\\0' 1", 8, "V", &vocab, &err), RWKV_ERROR_FORMAT);
    assert_int_equal(rw_vocab_from_memory(NULL, 0, "V", &vocab, &err), RWKV_ERROR_FORMAT);
    rw_str_fini(&text);
}

/* --- encoding and decoding --- */

static void expect_encoding(const struct rwkv_vocab *v, const char *text, const int32_t *wanted,
                            size_t n)
{
    int32_t tokens[32];
    size_t found = 99;

    assert_int_equal(rwkv_vocab_encode(v, text, strlen(text), NULL, 0, &found, NULL), RWKV_OK);
    assert_int_equal(found, n);
    for (size_t capacity = 0; capacity <= n; capacity++) {
        memset(tokens, 0xee, sizeof tokens);
        assert_int_equal(rwkv_vocab_encode(v, text, strlen(text), tokens, capacity, &found, NULL),
                         RWKV_OK);
        assert_int_equal(found, n);
        assert_memory_equal(tokens, wanted, capacity * sizeof *tokens);
        assert_int_equal(tokens[capacity], (int32_t)0xeeeeeeee);
    }
    for (size_t capacity = 1; capacity <= n + 1; capacity++) {
        size_t at = 0, done = 0;
        do {
            assert_int_equal(rwkv_vocab_encode_some(v, text, strlen(text), &at, tokens + done,
                                                    capacity, &found, NULL),
                             RWKV_OK);
            assert_int_equal(found, done + capacity < n ? capacity : n - done);
            done += found;
        } while (found > 0);
        assert_int_equal(at, strlen(text));
        assert_memory_equal(tokens, wanted, n * sizeof *tokens);
    }
}

static void test_longest_match(void **state)
{
    (void)state;
    struct rwkv_vocab *v = from_text("5 'a' 1\n3 'ab' 2\n4 'abcd' 4\n9 'c' 1\n8 'b' 1\n");
    expect_encoding(v, "", NULL, 0);
    expect_encoding(v, "abcabcd", (int32_t[]){3, 9, 4}, 3);
    expect_encoding(v, "abca", (int32_t[]){3, 9, 5}, 3);
    expect_encoding(v, "cba", (int32_t[]){9, 8, 5}, 3);

    int32_t tokens[4] = {-7, -7, -7, -7};
    size_t n = 77;
    rwkv_error err = {0};
    assert_int_equal(rwkv_vocab_encode(v, "abcd?", 5, tokens, 4, &n, &err), RWKV_ERROR_TOKEN);
    assert_string_equal(err.message, "text, byte 4: wanted the beginning of a token of the "
                                     "vocabulary, found 0x3f");
    assert_int_equal(n, 77);
    assert_int_equal(tokens[0], -7);
    size_t at = 4;
    assert_int_equal(rwkv_vocab_encode_some(v, "abcd?", 5, &at, tokens, 4, &n, &err),
                     RWKV_ERROR_TOKEN);
    assert_non_null(strstr(err.message, "byte 4"));
    assert_int_equal(at, 4);
    assert_int_equal(n, 77);
    rwkv_vocab_free(v);
}

/* More children than are searched one by one, and tokens that differ late, not in order. */
static void test_wide_and_deep(void **state)
{
    struct rw_str text = {0};

    (void)state;
    for (int i = 0; i < 200; i += 3)
        rw_str_printf(&text, "%d b'x\\x%02x' 2\n", i + 1000, 255 - i);
    rw_str_adds(&text, "1 'abcdefgh1' 9\n2 'abcdefgh0' 9\n3 'abcdefghi' 9\n4 'abcdefgh' 8\n"
                       "5 'abcdefgh10' 10\n6 'abcdefgh00z' 11\n7 '0' 1\n8 '1' 1\n");
    struct rwkv_vocab *v = from_text(text.data);
    for (int i = 0; i < 200; i++) {
        const char pair[3] = {'x', (char)(255 - i), 0};
        size_t n;
        rwkv_status status = rwkv_vocab_encode(v, pair, 2, NULL, 0, &n, NULL);
        assert_int_equal(status, i % 3 ? RWKV_ERROR_TOKEN : RWKV_OK);
        if (i % 3 == 0)
            expect_encoding(v, pair, (int32_t[]){i + 1000}, 1);
    }
    expect_encoding(v, "abcdefgh1abcdefgh0abcdefghiabcdefgh", (int32_t[]){1, 2, 3, 4}, 4);
    expect_encoding(v, "abcdefgh10abcdefgh00zabcdefgh00", (int32_t[]){5, 6, 2, 7}, 4);
    expect_encoding(v, "abcdefgh11", (int32_t[]){1, 8}, 2);
    rwkv_vocab_free(v);
    rw_str_fini(&text);
}

static void test_decode(void **state)
{
    (void)state;
    struct rwkv_vocab *v = from_text("5 'a' 1\n3 'bcd' 3\n");
    const int32_t tokens[] = {5, 0, 3, 70000, 3, INT32_MAX - 1};
    char text[16];
    size_t size = 0;

    for (size_t capacity = 0; capacity < sizeof text; capacity++) {
        memset(text, '#', sizeof text);
        assert_int_equal(rwkv_vocab_decode(v, tokens, 6, text, capacity, &size, NULL), RWKV_OK);
        assert_int_equal(size, 7);
        assert_memory_equal(text, "abcdbcd", capacity < 7 ? capacity : 7);
        assert_int_equal(text[capacity < 7 ? capacity : 7], '#');
    }
    assert_int_equal(rwkv_vocab_decode(v, NULL, 0, NULL, 0, &size, NULL), RWKV_OK);
    assert_int_equal(size, 0);
    static const int32_t bad[] = {-1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < RW_COUNT(bad); i++) {
        const int32_t two[] = {5, bad[i]};
        rwkv_error err = {0};
        size = 77;
        memset(text, '#', sizeof text);
        assert_int_equal(rwkv_vocab_decode(v, two, 2, text, 16, &size, &err), RWKV_ERROR_TOKEN);
        assert_non_null(strstr(err.message, "token 1: wanted an id from 0 to 2147483646, found"));
        assert_int_equal(size, 77);
        assert_int_equal(text[0], '#');
    }
    rwkv_vocab_free(v);
}

static void test_bytes(void **state)
{
    struct rwkv_vocab *v = NULL;
    char text[512];
    int32_t tokens[512];
    size_t n;

    (void)state;
    assert_int_equal(rwkv_vocab_open("bytes", &v, NULL), RWKV_OK);
    assert_int_equal(rwkv_vocab_size(v), 256);
    for (int i = 0; i < 512; i++)
        text[i] = (char)(i * 37);
    assert_int_equal(rwkv_vocab_encode(v, text, 512, tokens, 512, &n, NULL), RWKV_OK);
    assert_int_equal(n, 512);
    for (int i = 0; i < 512; i++)
        assert_int_equal(tokens[i], (uint8_t)text[i]);
    rwkv_vocab_free(v);
}

/* Random words over few letters; each position must give the longest word that fits there. */
static void test_against_plain_search(void **state)
{
    struct rw_rng rng;

    (void)state;
    rw_rng_init(&rng, 11);
    for (int round = 0; round < 300; round++) {
        char words[64][16] = {"a", "b", "c"}, text[200];
        struct rw_str file = {0};
        size_t n = 3, n_tokens;
        int32_t tokens[200];

        for (int tries = 0; tries < 60; tries++) {
            size_t size = rw_rng_below(&rng, 8) + 2, same = 0;
            for (size_t i = 0; i < size; i++)
                words[n][i] = (char)('a' + rw_rng_below(&rng, 3));
            words[n][size] = 0;
            while (strcmp(words[same], words[n]) != 0)
                same++;
            n += same == n;
        }
        for (size_t i = 0; i < n; i++)
            rw_str_printf(&file, "%zu '%s' %zu\n", i * 3, words[i], strlen(words[i]));
        struct rwkv_vocab *v = from_text(file.data);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)('a' + rw_rng_below(&rng, 3));
        assert_int_equal(rwkv_vocab_encode(v, text, sizeof text, tokens, 200, &n_tokens, NULL),
                         RWKV_OK);
        size_t at = 0;
        for (size_t t = 0; t < n_tokens; t++) {
            size_t best = 0, longest = 0;
            for (size_t i = 0; i < n; i++) {
                size_t size = strlen(words[i]);
                if (size > longest && size <= sizeof text - at &&
                    memcmp(text + at, words[i], size) == 0) {
                    best = i;
                    longest = size;
                }
            }
            assert_int_equal(tokens[t], best * 3);
            at += longest;
        }
        assert_int_equal(at, sizeof text);
        rwkv_vocab_free(v);
        rw_str_fini(&file);
    }
}

static void test_references(void **state)
{
    (void)state;
    struct rwkv_vocab *v = from_text("1 'a' 1");
    assert_ptr_equal(rw_vocab_retain(v), v);
    rwkv_vocab_free(v);
    expect_token(v, 1, "a", 1);
    rwkv_vocab_free(v);
    rwkv_vocab_free(NULL);
}

static void test_arguments(void **state)
{
    (void)state;
    struct rwkv_vocab *v = from_text("1 'a' 1"), *out;
    const rwkv_status bad = RWKV_ERROR_ARGUMENT;
    size_t n;
    assert_int_equal(rwkv_vocab_open(NULL, &out, NULL), bad);
    assert_int_equal(rwkv_vocab_open("bytes", NULL, NULL), bad);
    assert_int_equal(rwkv_vocab_encode(NULL, "a", 1, NULL, 0, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_encode(v, NULL, 1, NULL, 0, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_encode(v, "a", 1, NULL, 1, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_encode(v, "a", 1, NULL, 0, NULL, NULL), bad);
    size_t at = 0;
    assert_int_equal(rwkv_vocab_encode_some(NULL, "a", 1, &at, NULL, 0, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_encode_some(v, NULL, 1, &at, NULL, 0, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_encode_some(v, "a", 1, NULL, NULL, 0, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_encode_some(v, "a", 1, &at, NULL, 1, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_encode_some(v, "a", 1, &at, NULL, 0, NULL, NULL), bad);
    assert_int_equal(rwkv_vocab_decode(NULL, NULL, 0, NULL, 0, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_decode(v, NULL, 1, NULL, 0, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_decode(v, NULL, 0, NULL, 1, &n, NULL), bad);
    assert_int_equal(rwkv_vocab_decode(v, NULL, 0, NULL, 0, NULL, NULL), bad);
    rwkv_vocab_free(v);
}

/* --- in a GGUF --- */

/* A file with nothing but metadata. Without tokens or types those keys are left out. */
struct gguf {
    struct rw_file file;
    struct rw_str tokens, types;
    size_t n;
};

static void add_item(struct gguf *g, const char *text, int32_t type)
{
    uint8_t number[8];
    rw_store_u64(number, strlen(text));
    rw_str_add(&g->tokens, number, 8);
    rw_str_adds(&g->tokens, text);
    rw_store_u32(number, (uint32_t)type);
    rw_str_add(&g->types, number, 4);
    g->n++;
}

static void add_meta(struct gguf *g, const char *key, struct rw_meta meta)
{
    assert_int_equal(rw_file_add_meta(&g->file, key, strlen(key), meta, NULL), RWKV_OK);
}

static void add_model(struct gguf *g, const char *name)
{
    add_meta(g, "tokenizer.ggml.model",
             (struct rw_meta){.type = RW_META_STRING, .value.s = {name, strlen(name)}});
}

static void add_array(struct gguf *g, const char *key, enum rw_meta_type item, size_t n,
                      const struct rw_str *items)
{
    add_meta(
        g, key,
        (struct rw_meta){
            .type = RW_META_ARRAY, .item = item, .count = n, .items = {items->data, items->size}});
}

static void add_arrays(struct gguf *g)
{
    add_array(g, "tokenizer.ggml.tokens", RW_META_STRING, g->n, &g->tokens);
    add_array(g, "tokenizer.ggml.token_type", RW_META_I32, g->n, &g->types);
}

static struct gguf gguf_begin(void)
{
    return (struct gguf){.file = {.path = "G.gguf"}};
}

static rwkv_status gguf_read(struct gguf *g, struct rwkv_vocab **out, rwkv_error *err)
{
    assert_int_equal(rw_file_build_index(&g->file, NULL), RWKV_OK);
    return rw_vocab_from_file(&g->file, out, err);
}

static void gguf_end(struct gguf *g)
{
    for (size_t i = 0; i < g->file.n_strings; i++)
        rw_free(g->file.strings[i]);
    rw_free(g->file.strings);
    rw_free(g->file.meta);
    rw_free(g->file.index);
    rw_str_fini(&g->tokens);
    rw_str_fini(&g->types);
}

static void expect_gguf_token(const struct rwkv_vocab *v, int32_t id, const char *text, int type)
{
    struct rw_str s = {0};
    assert_int_equal(rw_vocab_gguf_token(v, id, &s), type);
    assert_string_equal(s.data, text);
    rw_str_fini(&s);
}

static void test_gguf_escapes(void **state)
{
    (void)state;
    struct rwkv_vocab *v = from_text("1 b'\\x00\\x7f\\x80\\xff ~' 6\n"
                                     "2 '\\t\\n\\r\\x0b\\\\' 5\n"
                                     "3 \"it's\" 4\n"
                                     "4 'say \"hi\"' 8\n"
                                     "5 '\"it\\'s\"' 6\n"
                                     "7 '\xc3\xa9' 2\n");
    expect_gguf_token(v, 0, "<s>", RW_TOKEN_CONTROL);
    expect_gguf_token(v, 1, "\\x00\\x7f\\x80\\xff ~", RW_TOKEN_NORMAL);
    expect_gguf_token(v, 2, "\\t\\n\\r\\x0b\\\\", RW_TOKEN_NORMAL);
    expect_gguf_token(v, 3, "it's", RW_TOKEN_NORMAL);
    expect_gguf_token(v, 4, "say \"hi\"", RW_TOKEN_NORMAL);
    expect_gguf_token(v, 5, "\"it\\'s\"", RW_TOKEN_NORMAL);
    expect_gguf_token(v, 6, "[PAD6]", RW_TOKEN_UNUSED);
    expect_gguf_token(v, 7, "\\xc3\\xa9", RW_TOKEN_NORMAL);
    expect_gguf_token(v, 65530, "[PAD65530]", RW_TOKEN_UNUSED);
    rwkv_vocab_free(v);
}

static void test_gguf_reading(void **state)
{
    struct gguf g = gguf_begin();
    struct rwkv_vocab *v = NULL;

    (void)state;
    assert_int_equal(rw_file_build_index(&g.file, NULL), RWKV_OK);
    assert_false(rw_vocab_in_file(&g.file));
    add_item(&g, "\\x00", 1); /* a real byte: the type tells, not the id */
    add_item(&g, "<s>", 3);
    add_item(&g, "\\\\\\'\\q\\t\\n\\r\\xfF'\"", 1);
    add_item(&g, "[PAD3]", 5);
    add_item(&g, "", 6);
    add_item(&g, "\xc3\xa9", 1);
    add_item(&g, "<s>", 1);
    add_model(&g, "rwkv");
    add_arrays(&g);
    assert_int_equal(gguf_read(&g, &v, NULL), RWKV_OK);
    assert_true(rw_vocab_in_file(&g.file));
    gguf_end(&g);
    assert_int_equal(rwkv_vocab_size(v), 7);
    expect_token(v, 0, "\0", 1);
    expect_token(v, 1, "", 0);
    expect_token(v, 2, "\\'q\t\n\r\xff'\"", 9);
    expect_token(v, 3, "", 0);
    expect_token(v, 4, "", 0);
    expect_token(v, 5, "\xc3\xa9", 2);
    expect_encoding(v, "<s>", (int32_t[]){6}, 1);
    rwkv_vocab_free(v);
}

/* What was written is read back as it was, placeholders included. */
static void check_round_trip(struct rwkv_vocab *v, size_t n_vocab)
{
    struct gguf g = gguf_begin();
    struct rwkv_vocab *back = NULL;

    assert_int_equal(rw_vocab_gguf_items(v, n_vocab, &g.tokens, &g.types, NULL), RWKV_OK);
    g.n = n_vocab;
    assert_int_equal(g.types.size, 4 * n_vocab);
    add_model(&g, "rwkv");
    add_arrays(&g);
    assert_int_equal(gguf_read(&g, &back, NULL), RWKV_OK);
    assert_int_equal(rwkv_vocab_size(back), rwkv_vocab_size(v));
    for (size_t id = 0; id < n_vocab; id++) {
        size_t size;
        const char *bytes = rwkv_vocab_token(v, (int32_t)id, &size);
        expect_token(back, (int32_t)id, bytes, size);
    }
    rwkv_vocab_free(back);
    gguf_end(&g);
}

static void test_gguf_round_trip(void **state)
{
    struct rw_str tokens = {0}, types = {0};
    struct rwkv_vocab *v = NULL;
    rwkv_error err = {0};

    (void)state;
    assert_int_equal(rwkv_vocab_open("bytes", &v, NULL), RWKV_OK);
    check_round_trip(v, 256);
    check_round_trip(v, 300);
    assert_int_equal(rw_vocab_gguf_items(v, 255, &tokens, &types, &err), RWKV_ERROR_MODEL);
    assert_non_null(strstr(err.message, "wanted ids below 255, the rows of the model, found 255"));
    rwkv_vocab_free(v);
    v = from_text("1 '[PAD2]' 6\n4 '<s>' 3\n5 '\\'\"\\\\x41' 6\n");
    check_round_trip(v, 9);
    rwkv_vocab_free(v);
    rw_str_fini(&tokens);
    rw_str_fini(&types);
}

static void expect_gguf_refusal(struct gguf *g, rwkv_status code, const char *wanted)
{
    struct rwkv_vocab *v = NULL;
    rwkv_error err = {0};
    rwkv_status status = gguf_read(g, &v, &err);
    if (status != code || !strstr(err.message, wanted))
        fail_msg("wanted \"%s\", found %d \"%s\"", wanted, status, err.message);
    assert_null(v);
    gguf_end(g);
}

static void test_gguf_refusals(void **state)
{
    static const char *const escapes[] = {"a\\", "\\x", "\\x4", "\\x4g", "\\xg4"};
    struct gguf g = gguf_begin();

    (void)state;
    expect_gguf_refusal(&g, RWKV_ERROR_UNSUPPORTED,
                        "tokenizer.ggml.model: wanted rwkv, found none");
    g = gguf_begin();
    add_model(&g, "gpt2");
    expect_gguf_refusal(&g, RWKV_ERROR_UNSUPPORTED,
                        "G.gguf: tokenizer.ggml.model: wanted rwkv, found gpt2");
    g = gguf_begin();
    add_model(&g, "rwkv");
    expect_gguf_refusal(&g, RWKV_ERROR_FORMAT,
                        "tokenizer.ggml.tokens: wanted an array of strings, found none");
    g = gguf_begin();
    add_model(&g, "rwkv");
    add_array(&g, "tokenizer.ggml.tokens", RW_META_I32, 0, &g.types);
    expect_gguf_refusal(&g, RWKV_ERROR_FORMAT, "wanted an array of strings, found another type");
    g = gguf_begin();
    add_model(&g, "rwkv");
    add_array(&g, "tokenizer.ggml.tokens", RW_META_STRING, 0, &g.tokens);
    expect_gguf_refusal(&g, RWKV_ERROR_FORMAT, "wanted an array of 32-bit integers, found none");
    g = gguf_begin();
    add_model(&g, "rwkv");
    add_item(&g, "a", 1);
    add_array(&g, "tokenizer.ggml.tokens", RW_META_STRING, 1, &g.tokens);
    add_array(&g, "tokenizer.ggml.token_type", RW_META_I32, 0, &g.types);
    expect_gguf_refusal(&g, RWKV_ERROR_FORMAT,
                        "token_type: wanted 1 items as in tokenizer.ggml.tokens, found 0");
    for (size_t i = 0; i < RW_COUNT(escapes); i++) {
        g = gguf_begin();
        add_model(&g, "rwkv");
        add_item(&g, escapes[i], 1);
        add_arrays(&g);
        expect_gguf_refusal(&g, RWKV_ERROR_FORMAT, "item 0: wanted a whole escape, found \"");
    }
    g = gguf_begin();
    add_model(&g, "rwkv");
    add_item(&g, "a", 1);
    add_item(&g, "\\x61", 1);
    add_arrays(&g);
    expect_gguf_refusal(&g, RWKV_ERROR_FORMAT,
                        "G.gguf: tokenizer.ggml.tokens, item 1: wanted bytes of its own for id 1, "
                        "found those of id 0 (tokenizer.ggml.tokens, item 0)");
    g = gguf_begin();
    add_model(&g, "rwkv");
    add_item(&g, "", 1);
    add_arrays(&g);
    expect_gguf_refusal(&g, RWKV_ERROR_FORMAT, "item 0: wanted a token, found an empty string");
    g = gguf_begin();
    add_model(&g, "rwkv");
    add_item(&g, "<s>", 3);
    add_arrays(&g);
    expect_gguf_refusal(&g, RWKV_ERROR_FORMAT, "wanted a vocabulary, found no tokens");
}

/* --- looking for it --- */

static char folder[64]; /* holds "models/" and, as the user's data folder, "data/rwkv/" */

static const char *in_folder(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_vocab_XXXXXX");
    if (!mkdtemp(folder) || mkdir(in_folder("models"), 0700) || mkdir(in_folder("data"), 0700) ||
        mkdir(in_folder("data/rwkv"), 0700))
        return -1;
    return setenv("XDG_DATA_HOME", in_folder("data"), 1);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"models/" RW_VOCAB_FILE_NAME,
                                        "data/rwkv/" RW_VOCAB_FILE_NAME, "mine.txt"};
    (void)state;
    for (size_t i = 0; i < RW_COUNT(names); i++)
        unlink(in_folder(names[i]));
    rmdir(in_folder("models"));
    rmdir(in_folder("data/rwkv"));
    rmdir(in_folder("data"));
    return rmdir(folder);
}

/* The vocabulary found has one token, which tells where it came from. */
static void expect_found(const struct rw_file *model, const char *model_path, const char *option,
                         const char *token, const char *where)
{
    struct rwkv_vocab *v = NULL;
    rwkv_error err = {0};
    char found[256];
    if (rw_vocab_find(model, model_path, option, &v, found, sizeof found, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    expect_token(v, 1, token, strlen(token));
    assert_string_equal(found, where);
    rwkv_vocab_free(v);
    assert_int_equal(rw_vocab_find(model, model_path, option, &v, NULL, 0, NULL), RWKV_OK);
    rwkv_vocab_free(v);
}

static void expect_not_found(const char *model_path, const char *option, rwkv_status code,
                             const char *wanted)
{
    struct rwkv_vocab *v = NULL;
    rwkv_error err = {0};
    char where[8] = "before";
    rwkv_status status = rw_vocab_find(NULL, model_path, option, &v, where, sizeof where, &err);
    if (status != code || !strstr(err.message, wanted))
        fail_msg("wanted \"%s\", found %d \"%s\"", wanted, status, err.message);
    assert_null(v);
    assert_string_equal(where, "before");
}

static void test_find_order(void **state)
{
    struct gguf g = gguf_begin();
    char model[256], models[256], beside[256], data[256], mine[256];

    (void)state;
    snprintf(model, sizeof model, "%s/models/m.pth", folder);
    snprintf(models, sizeof models, "%s/models", folder);
    snprintf(beside, sizeof beside, "%s/models/%s", folder, RW_VOCAB_FILE_NAME);
    snprintf(data, sizeof data, "%s/data/rwkv/%s", folder, RW_VOCAB_FILE_NAME);
    snprintf(mine, sizeof mine, "%s/mine.txt", folder);
    add_item(&g, "<s>", 3);
    add_item(&g, "gguf", 1);
    add_model(&g, "rwkv");
    add_arrays(&g);
    assert_int_equal(rw_file_build_index(&g.file, NULL), RWKV_OK);

    write_file("data/rwkv/" RW_VOCAB_FILE_NAME, "1 'data' 4\n");
    expect_found(NULL, model, NULL, "data", data);
    expect_found(NULL, NULL, NULL, "data", data);
    write_file("models/" RW_VOCAB_FILE_NAME, "1 'beside' 6\n");
    expect_found(NULL, model, NULL, "beside", beside);
    expect_found(NULL, models, NULL, "beside", beside);
    expect_found(NULL, NULL, NULL, "data", data);
    expect_found(&g.file, model, NULL, "gguf", "G.gguf");
    write_file("mine.txt", "1 'mine' 4\n");
    expect_found(&g.file, model, mine, "mine", mine);
    expect_found(&g.file, model, "bytes", "\1", "bytes");

    /* One that is there but broken is not passed over. */
    write_file("models/" RW_VOCAB_FILE_NAME, "1 'beside' 7\n");
    expect_not_found(model, NULL, RWKV_ERROR_FORMAT, "line 1: wanted a string of 7 bytes");
    unlink(beside);
    unlink(data);
    gguf_end(&g);
}

static void test_find_nothing(void **state)
{
    struct rw_str wanted = {0};
    char model[256];

    (void)state;
    snprintf(model, sizeof model, "%s/models/m.pth", folder);
    rw_str_printf(&wanted,
                  "no vocabulary found: put rwkv_vocab_v20230424.txt (in the folder tokenizer of "
                  "github.com/BlinkDL/ChatRWKV) beside the model or in the data folder, or give "
                  "--vocab FILE, or --vocab bytes for a byte-level model; looked at: %s (holds "
                  "none), %s/models/rwkv_vocab_v20230424.txt (No such file or directory), "
                  "%s/data/rwkv/rwkv_vocab_v20230424.txt (No such file or directory)",
                  model, folder, folder);
    expect_not_found(model, NULL, RWKV_ERROR_IO, wanted.data);
    expect_not_found(NULL, NULL, RWKV_ERROR_IO, "looked at: the model (holds none), ");
    expect_not_found("m.pth", NULL, RWKV_ERROR_IO,
                     "m.pth (holds none), rwkv_vocab_v20230424.txt (");
    expect_not_found(model, in_folder("absent.txt"), RWKV_ERROR_IO, "absent.txt: cannot open");
    expect_not_found(model, folder, RWKV_ERROR_IO, "wanted a file, found a directory");

    assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    expect_not_found(model, NULL, RWKV_ERROR_IO,
                     ", the data folder (neither XDG_DATA_HOME nor HOME is set)");
    rw_str_fini(&wanted);
}

static void test_open(void **state)
{
    struct rwkv_vocab *v = NULL;
    rwkv_error err = {0};

    (void)state;
    write_file("mine.txt", "");
    assert_int_equal(rwkv_vocab_open(in_folder("mine.txt"), &v, &err), RWKV_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "mine.txt: wanted a vocabulary, found no tokens"));
    write_file("mine.txt", "GGUF\3"); /* is taken for what it begins as */
    assert_int_not_equal(rwkv_vocab_open(in_folder("mine.txt"), &v, &err), RWKV_OK);
    assert_non_null(strstr(err.message, "mine.txt"));
    assert_null(strstr(err.message, "line 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_longest_match),
        cmocka_unit_test(test_wide_and_deep),   cmocka_unit_test(test_decode),
        cmocka_unit_test(test_bytes),           cmocka_unit_test(test_against_plain_search),
        cmocka_unit_test(test_references),      cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_gguf_escapes),    cmocka_unit_test(test_gguf_reading),
        cmocka_unit_test(test_gguf_round_trip), cmocka_unit_test(test_gguf_refusals),
    };
    const struct CMUnitTest finding[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_find_order),
        cmocka_unit_test(test_find_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(finding, make_folder, remove_folder);
}
