/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary itself. Tokens lie one after the other in the order of their ids, so a table of
 * where each begins gives bytes and size; a trie gives the way back. Sources (vocab_text.c,
 * vocab_gguf.c) hand their tokens to a builder, which refuses what contradicts itself.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/status.h"
#include "text/trie.h"
#include "text/vocab_int.h"

#define BYTES_MAX ((size_t)1 << 30) /* of all tokens together: offsets have 32 bits */

struct rwkv_vocab {
    atomic_size_t references;
    size_t size;     /* ids */
    size_t longest;  /* bytes of the longest token */
    uint32_t *start; /* [size + 1]: where the bytes of each id begin */
    char *bytes;     /* of all tokens, in the order of ids */
    uint64_t fingerprint;
    bool every_byte; /* each of the 256 bytes is a token: encoding cannot fail */
    struct rw_trie trie;
};

/* A token while it is being sorted. The first bytes as a number decide nearly every comparison. */
struct sort_item {
    uint64_t head; /* the first eight bytes, the first one highest, zeros beyond the end */
    const uint8_t *bytes;
    const struct rw_vocab_entry *entry;
};

/* --- building --- */

rwkv_status rw_vocab_add(struct rw_vocab_builder *b, uint64_t id, const void *bytes, size_t size,
                         size_t place, rwkv_error *err)
{
    if (id >= b->id_limit)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s %zu: wanted an id below %zu (the limit for a file of this size), "
                       "found %llu",
                       b->file, b->unit, place, b->id_limit, (unsigned long long)id);
    if (size == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s %zu: wanted a token, found an empty string",
                       b->file, b->unit, place);
    if (size > RW_VOCAB_TOKEN_MAX)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s %zu: wanted a token of at most %d bytes, found %zu", b->file,
                       b->unit, place, RW_VOCAB_TOKEN_MAX, size);
    if (b->bytes.size > BYTES_MAX - size)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s %zu: wanted tokens of at most %zu bytes in all, found more", b->file,
                       b->unit, place, BYTES_MAX);
    size_t at = b->bytes.size;
    rw_str_add(&b->bytes, bytes, size);
    if (b->bytes.failed || !rw_grow((void **)&b->entries, b->n, &b->capacity, sizeof *b->entries))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the vocabulary", b->file);
    b->entries[b->n++] =
        (struct rw_vocab_entry){(uint32_t)at, (uint32_t)size, (uint32_t)id, (uint32_t)place};
    return RWKV_OK;
}

void rw_vocab_builder_fini(struct rw_vocab_builder *b)
{
    rw_str_fini(&b->bytes);
    rw_free(b->entries);
}

static int compare_items(const void *a, const void *b)
{
    const struct sort_item *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    size_t nx = x->entry->size, ny = y->entry->size;
    int order = memcmp(x->bytes, y->bytes, RW_MIN(nx, ny));
    return order ? order : (nx > ny) - (nx < ny);
}

static uint64_t head_of(const uint8_t *bytes, size_t size)
{
    uint64_t head = 0;
    for (size_t i = 0; i < 8; i++)
        head = head << 8 | (i < size ? bytes[i] : 0);
    return head;
}

/* The trie, from keys in ascending order; `items` and `keys` have room for b->n. */
static rwkv_status build_trie(const struct rw_vocab_builder *b, struct rwkv_vocab *vocab,
                              struct sort_item *items, struct rw_trie_key *keys, rwkv_error *err)
{
    for (size_t i = 0; i < b->n; i++) {
        const uint8_t *bytes = (const uint8_t *)b->bytes.data + b->entries[i].at;
        items[i] = (struct sort_item){head_of(bytes, b->entries[i].size), bytes, &b->entries[i]};
    }
    qsort(items, b->n, sizeof *items, compare_items);
    size_t single = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct rw_vocab_entry *e = items[i].entry;
        if (i && compare_items(&items[i - 1], &items[i]) == 0) {
            const struct rw_vocab_entry *f = items[i - 1].entry;
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s: %s %u: wanted bytes of its own for id %u, found those of id %u "
                           "(%s %u)",
                           b->file, b->unit, e->place, e->id, f->id, b->unit, f->place);
        }
        keys[i] = (struct rw_trie_key){items[i].bytes, e->size, (int32_t)e->id};
        single += e->size == 1;
    }
    vocab->every_byte = single == 256;
    if (!rw_trie_build(&vocab->trie, keys, b->n))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the vocabulary", b->file);
    return RWKV_OK;
}

/* Two entries have this id: name both. */
static rwkv_status fail_same_id(const struct rw_vocab_builder *b, size_t second, rwkv_error *err)
{
    size_t first = 0;
    while (b->entries[first].id != b->entries[second].id)
        first++;
    return rw_fail(
        err, RWKV_ERROR_FORMAT, "%s: %s %u: wanted an id of its own, found id %u of %s %u", b->file,
        b->unit, b->entries[second].place, b->entries[second].id, b->unit, b->entries[first].place);
}

/* The table of bytes by id: sizes first, then their running sum, then the bytes. */
static rwkv_status build_table(const struct rw_vocab_builder *b, struct rwkv_vocab *vocab,
                               rwkv_error *err)
{
    for (size_t i = 0; i < b->n; i++) {
        vocab->size = RW_MAX(vocab->size, (size_t)b->entries[i].id + 1);
        vocab->longest = RW_MAX(vocab->longest, (size_t)b->entries[i].size);
    }
    vocab->start = rw_calloc(vocab->size + 1, sizeof *vocab->start);
    vocab->bytes = rw_alloc(b->bytes.size, 1);
    if (!vocab->start || !vocab->bytes)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the vocabulary", b->file);
    for (size_t i = 0; i < b->n; i++) {
        uint32_t *size = &vocab->start[b->entries[i].id + 1];
        if (*size)
            return fail_same_id(b, i, err);
        *size = b->entries[i].size;
    }
    for (size_t id = 0; id < vocab->size; id++)
        vocab->start[id + 1] += vocab->start[id];
    for (size_t i = 0; i < b->n; i++) {
        const struct rw_vocab_entry *e = &b->entries[i];
        memcpy(vocab->bytes + vocab->start[e->id], b->bytes.data + e->at, e->size);
    }
    return RWKV_OK;
}

static void take_fingerprint(struct rwkv_vocab *vocab)
{
    struct rw_sha256 hash;
    rw_sha256_init(&hash);
    rw_sha256_add(&hash, vocab->start, (vocab->size + 1) * sizeof *vocab->start);
    rw_sha256_add(&hash, vocab->bytes, vocab->start[vocab->size]);
    vocab->fingerprint = rw_sha256_u64(&hash);
}

rwkv_status rw_vocab_build(const struct rw_vocab_builder *b, struct rwkv_vocab **out,
                           rwkv_error *err)
{
    rwkv_status status;
    struct sort_item *items = NULL;
    struct rw_trie_key *keys = NULL;
    struct rwkv_vocab *vocab = NULL;
    if (b->n == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted a vocabulary, found no tokens", b->file);
    vocab = rw_calloc(1, sizeof *vocab);
    items = rw_alloc(b->n, sizeof *items);
    keys = rw_alloc(b->n, sizeof *keys);
    if (!vocab || !items || !keys) {
        status = rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the vocabulary", b->file);
        goto done;
    }
    atomic_init(&vocab->references, 1);
    RW_GO(build_table(b, vocab, err));
    take_fingerprint(vocab);
    RW_GO(build_trie(b, vocab, items, keys, err));
    *out = vocab;
    vocab = NULL;
done:
    rw_free(items);
    rw_free(keys);
    rw_vocab_release(vocab);
    return status;
}

rwkv_status rw_vocab_bytes(struct rwkv_vocab **out, rwkv_error *err)
{
    struct rw_vocab_builder b = {.file = "bytes", .unit = "token", .id_limit = 256};
    rwkv_status status = RWKV_OK;
    for (unsigned i = 0; i < 256 && status == RWKV_OK; i++) {
        uint8_t byte = (uint8_t)i;
        status = rw_vocab_add(&b, i, &byte, 1, i, err);
    }
    if (status == RWKV_OK)
        status = rw_vocab_build(&b, out, err);
    rw_vocab_builder_fini(&b);
    return status;
}

struct rwkv_vocab *rw_vocab_retain(struct rwkv_vocab *vocab)
{
    atomic_fetch_add(&vocab->references, 1);
    return vocab;
}

void rw_vocab_release(struct rwkv_vocab *vocab)
{
    if (!vocab || atomic_fetch_sub(&vocab->references, 1) > 1)
        return;
    rw_trie_fini(&vocab->trie);
    rw_free(vocab->start);
    rw_free(vocab->bytes);
    rw_free(vocab);
}

/* --- use --- */

size_t rw_vocab_size(const struct rwkv_vocab *vocab)
{
    return vocab->size;
}

size_t rw_vocab_longest(const struct rwkv_vocab *vocab)
{
    return vocab->longest;
}

const struct rw_trie *rw_vocab_trie(const struct rwkv_vocab *vocab)
{
    return &vocab->trie;
}

uint64_t rw_vocab_fingerprint(const struct rwkv_vocab *vocab)
{
    return vocab->fingerprint;
}

const char *rw_vocab_token(const struct rwkv_vocab *vocab, int32_t id, size_t *size)
{
    if (id < 0 || (size_t)id >= vocab->size) {
        *size = 0;
        return vocab->bytes;
    }
    *size = vocab->start[id + 1] - vocab->start[id];
    return vocab->bytes + vocab->start[id];
}

/* Greedy longest match: the number of tokens, of which at most `capacity` are stored. *end is where
 * it stopped: `size`, or the first byte that no token begins with. */
static size_t encode(const struct rwkv_vocab *vocab, const uint8_t *text, size_t size,
                     int32_t *tokens, size_t capacity, size_t *end)
{
    size_t n = 0, at = 0;
    for (size_t length; at < size; at += length, n++) {
        int32_t id = rw_trie_longest(&vocab->trie, text + at, size - at, &length);
        if (id < 0)
            break;
        if (n < capacity)
            tokens[n] = id;
    }
    *end = at;
    return n;
}

static rwkv_status fail_no_token(const uint8_t *text, size_t at, rwkv_error *err)
{
    return rw_fail(
        err, RWKV_ERROR_TOKEN,
        "text, byte %zu: wanted the beginning of a token of the vocabulary, found 0x%02x", at,
        text[at]);
}

rwkv_status rw_vocab_encode(const struct rwkv_vocab *vocab, const char *text, size_t size,
                            int32_t *tokens, size_t capacity, size_t *n_tokens, rwkv_error *err)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t end;
    if (!vocab->every_byte) { /* look before storing anything */
        encode(vocab, bytes, size, NULL, 0, &end);
        if (end < size)
            return fail_no_token(bytes, end, err);
    }
    *n_tokens = encode(vocab, bytes, size, tokens, capacity, &end);
    return RWKV_OK;
}

rwkv_status rw_vocab_encode_some(const struct rwkv_vocab *vocab, const char *text, size_t size,
                                 size_t *at, int32_t *tokens, size_t capacity, size_t *n_tokens,
                                 rwkv_error *err)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t n = 0, end = *at;
    for (size_t length; end < size && n < capacity; end += length) {
        int32_t id = rw_trie_longest(&vocab->trie, bytes + end, size - end, &length);
        if (id < 0)
            return fail_no_token(bytes, end, err);
        tokens[n++] = id;
    }
    *at = end;
    *n_tokens = n;
    return RWKV_OK;
}

rwkv_status rw_vocab_decode(const struct rwkv_vocab *vocab, const int32_t *tokens, size_t n_tokens,
                            char *text, size_t capacity, size_t *size, rwkv_error *err)
{
    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] == INT32_MAX)
            return rw_fail(err, RWKV_ERROR_TOKEN, "token %zu: wanted an id from 0 to %d, found %d",
                           i, INT32_MAX - 1, (int)tokens[i]);
    size_t total = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        size_t n;
        const char *bytes = rw_vocab_token(vocab, tokens[i], &n);
        if (total < capacity)
            memcpy(text + total, bytes, RW_MIN(n, capacity - total));
        total += n;
    }
    *size = total;
    return RWKV_OK;
}
