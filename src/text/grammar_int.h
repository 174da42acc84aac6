/* SPDX-License-Identifier: Apache-2.0 */
/* Inside grammars: what the readers, the compiler, the masks and their cache use of each other. */
#ifndef RW_TEXT_GRAMMAR_INT_H
#define RW_TEXT_GRAMMAR_INT_H

#include <pthread.h>

#include "text/grammar.h"

/* --- masks --- */

/* Which masks are the same: a state of the text under a vocabulary cut at so many tokens. */
struct rw_mask_key {
    uint64_t vocab; /* its fingerprint */
    size_t n_vocab;
    const uint32_t *words; /* [n_words] a saved set */
    size_t n_words;
};

struct rw_mask_entry;

/* Masks by key, from any thread; the oldest that were not asked for again go first. */
struct rw_mask_cache {
    pthread_mutex_t lock;
    struct rw_mask_entry **table; /* [table_size] chains by hash */
    size_t table_size, n_entries;
    struct rw_mask_entry *first, *last; /* in the order in which they may go */
    size_t bytes;
    rwkv_grammar_stats stats; /* masks, found, seconds */
};

bool rw_mask_cache_init(struct rw_mask_cache *cache);
void rw_mask_cache_fini(struct rw_mask_cache *cache);

/* Whether there is one: copied into `mask`, its number of tokens into *n. */
bool rw_mask_cache_get(struct rw_mask_cache *cache, const struct rw_mask_key *key, uint64_t *mask,
                       size_t *n);

/* Keep a mask that took `seconds`. Without memory it is not kept. */
void rw_mask_cache_put(struct rw_mask_cache *cache, const struct rw_mask_key *key,
                       const uint64_t *mask, size_t n, double seconds);

/* Fill the mask of the tokens that may come after `saved`. */
rwkv_status rw_mask_find(const struct rw_automaton *automaton, const struct rwkv_vocab *vocab,
                         size_t n_vocab, const struct rw_saved *saved, uint64_t *mask,
                         size_t *n_allowed, rwkv_error *err);

/* --- grammars --- */

struct rwkv_grammar {
    struct rw_automaton automaton;
    struct rw_saved begin;       /* the state of an empty text */
    struct rw_mask_cache *cache; /* owned; what changes in it is not seen from outside */
};

/* Compile rules; `name_of` as in rw_rules_analyse. */
rwkv_status rw_grammar_new(const struct rw_rules *rules, uint32_t root,
                           const char *(*name_of)(const void *names, uint32_t rule),
                           const void *names, struct rwkv_grammar **out, rwkv_error *err);

#endif
