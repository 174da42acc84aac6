/* SPDX-License-Identifier: Apache-2.0 */
/* Masks that were found before. A mask of few tokens is kept as a list of them. */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "text/grammar_int.h"

#define TABLE_BEGIN 256

struct rw_mask_entry {
    struct rw_mask_entry *next_in_chain, *next_in_order;
    uint64_t hash, vocab;
    size_t n_vocab, n_words, n_allowed;
    size_t bytes; /* of all this */
    bool asked;   /* again, since it was last looked at for removal */
    bool listed;  /* the tokens are a list, not a mask */
    uint32_t words[];
    /* then, at a multiple of 8 bytes: uint64_t mask[] or int32_t tokens[n_allowed] */
};

bool rw_mask_cache_init(struct rw_mask_cache *cache)
{
    *cache = (struct rw_mask_cache){.table_size = TABLE_BEGIN};
    cache->table = rw_calloc(TABLE_BEGIN, sizeof(struct rw_mask_entry *));
    return cache->table && pthread_mutex_init(&cache->lock, NULL) == 0;
}

void rw_mask_cache_fini(struct rw_mask_cache *cache)
{
    while (cache->first) {
        struct rw_mask_entry *entry = cache->first;
        cache->first = entry->next_in_order;
        rw_free(entry);
    }
    if (cache->table)
        pthread_mutex_destroy(&cache->lock);
    rw_free(cache->table);
}

static size_t mask_words(size_t n_vocab)
{
    return (n_vocab + 63) / 64;
}

static void *content(struct rw_mask_entry *entry)
{
    size_t at = sizeof *entry + entry->n_words * sizeof *entry->words;
    return (char *)entry + (at + 7) / 8 * 8;
}

static uint64_t hash_of(const struct rw_mask_key *key)
{
    return rw_hash(key->words, key->n_words * sizeof *key->words) ^
           (key->vocab * 0x9e3779b97f4a7c15u + key->n_vocab);
}

static struct rw_mask_entry **chain_of(struct rw_mask_cache *cache, uint64_t hash)
{
    return &cache->table[(hash ^ hash >> 32) & (cache->table_size - 1)];
}

static struct rw_mask_entry *find(struct rw_mask_cache *cache, const struct rw_mask_key *key,
                                  uint64_t hash)
{
    for (struct rw_mask_entry *e = *chain_of(cache, hash); e; e = e->next_in_chain)
        if (e->hash == hash && e->vocab == key->vocab && e->n_vocab == key->n_vocab &&
            e->n_words == key->n_words &&
            memcmp(e->words, key->words, key->n_words * sizeof *key->words) == 0)
            return e;
    return NULL;
}

bool rw_mask_cache_get(struct rw_mask_cache *cache, const struct rw_mask_key *key, uint64_t *mask,
                       size_t *n)
{
    uint64_t hash = hash_of(key);
    size_t bytes = mask_words(key->n_vocab) * sizeof *mask;
    pthread_mutex_lock(&cache->lock);
    cache->stats.masks++;
    struct rw_mask_entry *e = find(cache, key, hash);
    if (e) {
        e->asked = true;
        *n = e->n_allowed;
        if (!e->listed) {
            memcpy(mask, content(e), bytes);
        } else {
            const int32_t *tokens = content(e);
            memset(mask, 0, bytes);
            for (size_t i = 0; i < e->n_allowed; i++)
                mask[tokens[i] / 64] |= (uint64_t)1 << (tokens[i] % 64);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return e != NULL;
}

static struct rw_mask_entry *make_entry(const struct rw_mask_key *key, const uint64_t *mask,
                                        size_t n)
{
    size_t words = mask_words(key->n_vocab);
    bool listed = n < 2 * words;
    size_t bytes = sizeof(struct rw_mask_entry) + key->n_words * sizeof *key->words + 8 +
                   (listed ? n * sizeof(int32_t) : words * sizeof *mask);
    struct rw_mask_entry *e = rw_calloc(bytes, 1);
    if (!e)
        return NULL;
    e->hash = hash_of(key);
    e->vocab = key->vocab;
    e->n_vocab = key->n_vocab;
    e->n_words = key->n_words;
    e->n_allowed = n;
    e->bytes = bytes;
    e->listed = listed;
    memcpy(e->words, key->words, key->n_words * sizeof *key->words);
    if (!listed) {
        memcpy(content(e), mask, words * sizeof *mask);
        return e;
    }
    int32_t *tokens = content(e);
    for (size_t i = 0; i < words; i++)
        for (uint64_t bits = mask[i]; bits; bits &= bits - 1)
            *tokens++ = (int32_t)(i * 64 + (size_t)__builtin_ctzll(bits));
    return e;
}

static void append(struct rw_mask_cache *cache, struct rw_mask_entry *e)
{
    e->next_in_order = NULL;
    if (cache->last)
        cache->last->next_in_order = e;
    else
        cache->first = e;
    cache->last = e;
}

/* The first in order goes, unless it was asked for: then it gets behind the last, once. */
static void make_room(struct rw_mask_cache *cache, size_t bytes)
{
    while (cache->first && cache->bytes + bytes > RW_GRAMMAR_CACHE) {
        struct rw_mask_entry *e = cache->first;
        cache->first = e->next_in_order;
        if (!cache->first)
            cache->last = NULL;
        if (e->asked) {
            e->asked = false;
            append(cache, e);
            continue;
        }
        struct rw_mask_entry **link = chain_of(cache, e->hash);
        while (*link != e)
            link = &(*link)->next_in_chain;
        *link = e->next_in_chain;
        cache->bytes -= e->bytes;
        cache->n_entries--;
        rw_free(e);
    }
}

static void widen(struct rw_mask_cache *cache)
{
    if (cache->n_entries < cache->table_size)
        return;
    struct rw_mask_entry **table = rw_calloc(cache->table_size * 2, sizeof *table);
    if (!table)
        return; /* chains get longer */
    rw_free(cache->table);
    cache->table = table;
    cache->table_size *= 2;
    for (struct rw_mask_entry *e = cache->first; e; e = e->next_in_order) {
        struct rw_mask_entry **chain = chain_of(cache, e->hash);
        e->next_in_chain = *chain;
        *chain = e;
    }
}

void rw_mask_cache_put(struct rw_mask_cache *cache, const struct rw_mask_key *key,
                       const uint64_t *mask, size_t n, double seconds)
{
    struct rw_mask_entry *e = make_entry(key, mask, n);
    pthread_mutex_lock(&cache->lock);
    cache->stats.found++;
    cache->stats.seconds += seconds;
    if (e && e->bytes <= RW_GRAMMAR_CACHE && !find(cache, key, e->hash)) {
        make_room(cache, e->bytes);
        widen(cache);
        struct rw_mask_entry **chain = chain_of(cache, e->hash);
        e->next_in_chain = *chain;
        *chain = e;
        append(cache, e);
        cache->bytes += e->bytes;
        cache->n_entries++;
        e = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    rw_free(e); /* another thread was faster */
}
