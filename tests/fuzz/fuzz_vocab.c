/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies: the input as a vocabulary file, and its lines as the tokens of a GGUF. What opens
 * must be sound: the input, encoded and decoded, comes back, and so does the vocabulary through a
 * GGUF.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "formats/format.h"
#include "text/vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static struct rw_meta array(enum rw_meta_type item, size_t n, const struct rw_str *items)
{
    return (struct rw_meta){
        .type = RW_META_ARRAY, .item = item, .count = n, .items = {items->data, items->size}};
}

static void add_meta(struct rw_file *file, const char *key, struct rw_meta meta)
{
    check(rw_file_add_meta(file, key, strlen(key), meta, NULL) == RWKV_OK);
}

/* A vocabulary of a GGUF's two arrays, or NULL. */
static struct rwkv_vocab *from_items(const struct rw_str *tokens, const struct rw_str *types)
{
    struct rw_file file = {.path = "fuzz.gguf"};
    struct rwkv_vocab *vocab = NULL;
    size_t n = types->size / 4;
    add_meta(&file, "tokenizer.ggml.model",
             (struct rw_meta){.type = RW_META_STRING, .value.s = {"rwkv", 4}});
    add_meta(&file, "tokenizer.ggml.tokens", array(RW_META_STRING, n, tokens));
    add_meta(&file, "tokenizer.ggml.token_type", array(RW_META_I32, n, types));
    check(rw_file_build_index(&file, NULL) == RWKV_OK);
    rwkv_error err = {0};
    rwkv_status status = rw_vocab_from_file(&file, &vocab, &err);
    check((status == RWKV_OK) == (vocab != NULL));
    check(status == RWKV_OK || err.message[0]);
    for (size_t i = 0; i < file.n_strings; i++)
        rw_free(file.strings[i]);
    rw_free(file.strings);
    rw_free(file.meta);
    rw_free(file.index);
    return vocab;
}

static void check_text(const struct rwkv_vocab *vocab, const char *text, size_t size)
{
    int32_t *tokens = malloc((size + 1) * sizeof *tokens);
    char *back = malloc(size + 1);
    size_t n = 0, length = 0;
    check(tokens && back);
    if (rw_vocab_encode(vocab, text, size, tokens, size, &n, NULL) == RWKV_OK) {
        check(n <= size);
        check(rw_vocab_decode(vocab, tokens, n, back, size, &length, NULL) == RWKV_OK);
        check(length == size && memcmp(back, text, size) == 0);
    }
    free(tokens);
    free(back);
}

static void check_vocab(const struct rwkv_vocab *vocab, const char *text, size_t size)
{
    struct rw_str tokens = {0}, types = {0};
    size_t n = rw_vocab_size(vocab);
    check_text(vocab, text, size);
    check(rw_vocab_gguf_items(vocab, n, &tokens, &types, NULL) == RWKV_OK);
    struct rwkv_vocab *back = from_items(&tokens, &types);
    check(back && rw_vocab_size(back) == n);
    for (size_t id = 0; id < n; id++) {
        size_t a_size, b_size;
        const char *a = rw_vocab_token(vocab, (int32_t)id, &a_size);
        const char *b = rw_vocab_token(back, (int32_t)id, &b_size);
        check(a_size == b_size && memcmp(a, b, a_size) == 0);
    }
    rw_vocab_release(back);
    rw_str_fini(&tokens);
    rw_str_fini(&types);
}

/* Each line is a token; its first byte is the type. */
static struct rwkv_vocab *from_lines(const uint8_t *data, size_t size)
{
    struct rw_str tokens = {0}, types = {0};
    for (size_t at = 0; at < size;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t end = newline ? (size_t)(newline - data) : size;
        size_t begin = at < end ? at + 1 : end;
        uint8_t number[8];
        rw_store_u64(number, end - begin);
        rw_str_add(&tokens, number, 8);
        rw_str_add(&tokens, data + begin, end - begin);
        rw_store_u32(number, data[at] & 7);
        rw_str_add(&types, number, 4);
        at = end + 1;
    }
    struct rwkv_vocab *vocab = from_items(&tokens, &types);
    rw_str_fini(&tokens);
    rw_str_fini(&types);
    return vocab;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rwkv_vocab *vocab = NULL;
    rwkv_error err = {0};
    rwkv_status status = rw_vocab_from_memory(data, size, "fuzz", &vocab, &err);
    check((status == RWKV_OK) == (vocab != NULL));
    check(status == RWKV_OK || err.message[0]);
    if (vocab)
        check_vocab(vocab, (const char *)data, size);
    rw_vocab_release(vocab);
    vocab = from_lines(data, size);
    if (vocab)
        check_vocab(vocab, (const char *)data, size);
    rw_vocab_release(vocab);
    return 0;
}
