/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The World vocabulary and its tokenizer against the shared vectors (vectors/tokenizer), which the
 * official implementations agree on, and against the facts known of the file.
 */
#include "unit.h"

#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/status.h"
#include "formats/format.h"
#include "text/vocab.h"

static struct rwkv_vocab *vocab;

static int open_vocab(void **state)
{
    char path[1024];
    rwkv_error err = {0};

    (void)state;
    if (rwkv_vocab_open(unit_shared(path, "data/" RW_VOCAB_FILE_NAME), &vocab, &err) == RWKV_OK)
        return 0;
    printf("%s\n", err.message);
    return -1;
}

static int free_vocab(void **state)
{
    (void)state;
    rwkv_vocab_free(vocab);
    return 0;
}

static void expect_id(int32_t id, const char *text, size_t size)
{
    int32_t token = -1;
    size_t n = 0, found;
    const char *bytes = rwkv_vocab_token(vocab, id, &found);

    assert_int_equal(found, size);
    assert_memory_equal(bytes, text, size);
    assert_int_equal(rwkv_vocab_encode(vocab, text, size, &token, 1, &n, NULL), RWKV_OK);
    assert_int_equal(n, 1);
    assert_int_equal(token, id);
}

static void test_facts(void **state)
{
    size_t size, longest = 0;

    (void)state;
    assert_int_equal(rwkv_vocab_size(vocab), 65530);
    for (int i = 0; i < 256; i++) {
        char byte = (char)i;
        expect_id(i + 1, &byte, 1);
    }
    expect_id(11, "\n", 1);
    expect_id(261, "\n\n", 2);
    expect_id(263, "\r\n", 2);
    expect_id(24281, "User", 4);
    rwkv_vocab_token(vocab, 0, &size);
    assert_int_equal(size, 0);
    for (int32_t id = 1; id < 65530; id++) { /* each token is what its own text encodes to */
        const char *text = rwkv_vocab_token(vocab, id, &size);
        assert_true(size > 0);
        longest = size > longest ? size : longest;
        int32_t token;
        size_t n;
        assert_int_equal(rwkv_vocab_encode(vocab, text, size, &token, 1, &n, NULL), RWKV_OK);
        assert_true(n == 1 && token == id);
    }
    assert_int_equal(longest, 128);
    assert_int_equal(rwkv_vocab_longest(vocab), 128);
}

/* --- vectors: lines of {"hex": bytes, "ids": [...]} --- */

static size_t read_hex(const char *hex, char *bytes)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned value = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (char)value;
    }
    return n;
}

static void check_encoding(const char *bytes, size_t size, const int32_t *ids, size_t n)
{
    int32_t *tokens = test_malloc((size + 1) * sizeof *tokens);
    size_t found = 0;
    assert_int_equal(rwkv_vocab_encode(vocab, bytes, size, tokens, size, &found, NULL), RWKV_OK);
    assert_int_equal(found, n);
    if (n)
        assert_memory_equal(tokens, ids, n * sizeof *ids);
    test_free(tokens);
}

static void check_decoding(const char *bytes, size_t size, const int32_t *ids, size_t n)
{
    char *text = test_malloc(size + 1);
    size_t found = 0;
    assert_int_equal(rwkv_vocab_decode(vocab, ids, n, text, size, &found, NULL), RWKV_OK);
    assert_int_equal(found, size);
    assert_memory_equal(text, bytes, size);
    test_free(text);
}

static void check_line(json_t *line, bool encode)
{
    const char *hex = json_string_value(json_object_get(line, "hex"));
    json_t *list = json_object_get(line, "ids");
    size_t n = json_array_size(list);

    assert_non_null(hex);
    assert_non_null(list);
    char *bytes = test_malloc(strlen(hex) / 2 + 1);
    int32_t *ids = test_malloc((n + 1) * sizeof *ids);
    size_t size = read_hex(hex, bytes);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    if (encode)
        check_encoding(bytes, size, ids, n);
    check_decoding(bytes, size, ids, n);
    test_free(bytes);
    test_free(ids);
}

static void check_file(const char *name, bool encode, size_t lines)
{
    char path[1024], *data = NULL;
    size_t size = 0, count = 0;

    assert_int_equal(rw_read_file(unit_shared(path, name), 1 << 24, &data, &size, NULL), RWKV_OK);
    for (char *at = data, *end; (end = strchr(at, '\n')); at = end + 1, count++) {
        json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
        assert_non_null(line);
        check_line(line, encode);
        json_decref(line);
    }
    assert_true(count >= lines);
    rw_free(data);
}

static void test_encode_vectors(void **state)
{
    (void)state;
    check_file("vectors/tokenizer/encode.jsonl", true, 289);
}

static void test_decode_vectors(void **state)
{
    (void)state;
    check_file("vectors/tokenizer/decode.jsonl", false, 40);
}

/* --- in a GGUF --- */

static void test_byte_vocabulary_in_a_gguf(void **state)
{
    char path[1024];
    struct rwkv_vocab *bytes = NULL;
    rwkv_error err = {0};
    size_t size;

    (void)state;
    if (rwkv_vocab_open(unit_shared(path, "vectors/gguf/small-f32-Q8_0.gguf"), &bytes, &err))
        fail_msg("%s", err.message);
    assert_int_equal(rwkv_vocab_size(bytes), 256);
    for (int i = 0; i < 256; i++) {
        const char *text = rwkv_vocab_token(bytes, i, &size);
        assert_int_equal(size, 1);
        assert_int_equal((uint8_t)text[0], i);
    }
    rwkv_vocab_free(bytes);
}

static void test_world_in_a_gguf(void **state)
{
    struct rw_str tokens = {0}, types = {0};
    struct rw_file file = {.path = "world.gguf"};
    struct rwkv_vocab *back = NULL;

    (void)state;
    assert_int_equal(rw_vocab_gguf_items(vocab, 65536, &tokens, &types, NULL), RWKV_OK);
    const struct {
        const char *key;
        struct rw_meta meta;
    } metas[] = {
        {"tokenizer.ggml.model", {.type = RW_META_STRING, .value.s = {"rwkv", 4}}},
        {"tokenizer.ggml.tokens",
         {.type = RW_META_ARRAY,
          .item = RW_META_STRING,
          .count = 65536,
          .items = {tokens.data, tokens.size}}},
        {"tokenizer.ggml.token_type",
         {.type = RW_META_ARRAY,
          .item = RW_META_I32,
          .count = 65536,
          .items = {types.data, types.size}}},
    };
    for (size_t i = 0; i < RW_COUNT(metas); i++)
        assert_int_equal(
            rw_file_add_meta(&file, metas[i].key, strlen(metas[i].key), metas[i].meta, NULL),
            RWKV_OK);
    assert_int_equal(rw_file_build_index(&file, NULL), RWKV_OK);
    assert_int_equal(rw_vocab_from_file(&file, &back, NULL), RWKV_OK);
    assert_int_equal(rwkv_vocab_size(back), 65530);
    for (int32_t id = 0; id < 65536; id++) {
        size_t n, m;
        const char *a = rwkv_vocab_token(vocab, id, &n);
        const char *b = rwkv_vocab_token(back, id, &m);
        assert_true(n == m && memcmp(a, b, n) == 0);
    }
    rwkv_vocab_free(back);
    for (size_t i = 0; i < file.n_strings; i++)
        rw_free(file.strings[i]);
    rw_free(file.strings);
    rw_free(file.meta);
    rw_free(file.index);
    rw_str_fini(&tokens);
    rw_str_fini(&types);
}

/* A text made of pieces of tokens, so that most places could begin or end one. */
static size_t make_text(uint8_t *text, size_t size, unsigned *seed)
{
    size_t n = 0;
    while (n + 128 < size) {
        size_t length;
        const char *token = rwkv_vocab_token(vocab, 1 + rand_r(seed) % 65529, &length);
        size_t from = (size_t)rand_r(seed) % length;
        memcpy(text + n, token + from, length - from);
        n += length - from;
    }
    return n;
}

/* Encoding while the text comes in, in parts of any size, gives the tokens of the whole. */
static void test_any_cut(void **state)
{
    enum { SIZE = 4000 };
    static uint8_t text[SIZE];
    static int32_t whole[SIZE], tokens[SIZE];
    unsigned seed = 5;
    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t size = make_text(text, SIZE, &seed), n_whole, n = 0, at = 0, known = 0;
        assert_int_equal(rwkv_vocab_encode(vocab, (char *)text, size, whole, SIZE, &n_whole, NULL),
                         RWKV_OK);
        while (at < size) {
            known += (size_t)rand_r(&seed) % (round + 2);
            known = known < size ? known : size;
            /* What is not known yet is something else. */
            uint8_t hidden = known < size ? text[known] : 0;
            if (known < size)
                text[known] = (uint8_t)~hidden;
            size_t needed = known < size ? rwkv_vocab_longest(vocab) : 1, got;
            for (; known - at >= needed; n++)
                assert_int_equal(rwkv_vocab_encode_some(vocab, (char *)text, known, &at, tokens + n,
                                                        1, &got, NULL),
                                 RWKV_OK);
            if (known < size)
                text[known] = hidden;
        }
        assert_int_equal(n, n_whole);
        assert_memory_equal(tokens, whole, n * sizeof *tokens);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),           cmocka_unit_test(test_encode_vectors),
        cmocka_unit_test(test_decode_vectors),  cmocka_unit_test(test_byte_vocabulary_in_a_gguf),
        cmocka_unit_test(test_world_in_a_gguf), cmocka_unit_test(test_any_cut),
    };
    unit_need_shared("data/" RW_VOCAB_FILE_NAME);
    unit_need_shared("vectors/tokenizer");
    return cmocka_run_group_tests(tests, open_vocab, free_vocab);
}
