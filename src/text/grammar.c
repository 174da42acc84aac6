/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars as objects, and the matcher that a text being generated has. */
#include "text/grammar.h"

#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "text/grammar_int.h"

/* --- grammars --- */

/* The state of an empty text; whether there is room for it is known from now on. */
static rwkv_status find_begin(struct rwkv_grammar *g, rwkv_error *err)
{
    struct rw_stacks stacks;
    struct rw_set *set = rw_alloc(1, sizeof *set);
    bool ok = set && rw_stacks_init(&stacks, &g->automaton), full = false;
    if (ok) {
        rw_stacks_begin(&stacks, set);
        full = set->n == RW_TOPS_LIMIT || stacks.n_items == RW_ITEMS_LIMIT;
        ok = !stacks.failed && rw_stacks_save(&stacks, set, &g->begin);
        rw_stacks_fini(&stacks);
    }
    rw_free(set);
    if (!ok)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    return full ? rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                          "grammar: too many ways to begin: wanted fewer than %d", RW_TOPS_LIMIT)
                : RWKV_OK;
}

rwkv_status rw_grammar_new(const struct rw_rules *rules, uint32_t root,
                           const char *(*name_of)(const void *names, uint32_t rule),
                           const void *names, struct rwkv_grammar **out, rwkv_error *err)
{
    rwkv_status status;
    struct rw_analysis analysis = {0};
    struct rwkv_grammar *g = rw_calloc(1, sizeof *g);
    struct rw_mask_cache *cache = rw_calloc(1, sizeof *cache);
    if (!g || !cache || !rw_mask_cache_init(cache)) {
        rw_free(cache);
        rw_free(g);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    }
    g->cache = cache;
    RW_GO(rw_rules_analyse(rules, &analysis, name_of, names, err));
    RW_GO(rw_automaton_compile(rules, &analysis, root, &g->automaton, err));
    RW_GO(find_begin(g, err));
    *out = g;
    g = NULL;
done:
    rw_analysis_fini(&analysis);
    rw_grammar_free(g);
    return status;
}

void rw_grammar_free(struct rwkv_grammar *grammar)
{
    if (!grammar)
        return;
    rw_automaton_fini(&grammar->automaton);
    rw_saved_fini(&grammar->begin);
    rw_mask_cache_fini(grammar->cache);
    rw_free(grammar->cache);
    rw_free(grammar);
}

rwkv_status rw_grammar_check(const struct rwkv_grammar *grammar, const char *text, size_t size,
                             size_t *matched, int *whole, rwkv_error *err)
{
    struct rw_stacks stacks;
    struct rw_set *sets = rw_alloc(2, sizeof *sets);
    struct rw_saved saved = {0};
    bool ok = sets && rw_stacks_init(&stacks, &grammar->automaton);
    if (!ok) {
        rw_free(sets);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to check a text");
    }
    size_t at = 0;
    rw_stacks_load(&stacks, &grammar->begin, 0, &sets[0]);
    for (; at < size && !stacks.failed; at++) {
        if (stacks.n_frames > RW_FRAMES_LIMIT / 64) { /* those that are not needed any more go */
            stacks.failed = !rw_stacks_save(&stacks, &sets[at % 2], &saved);
            rw_stacks_reset(&stacks);
            rw_stacks_load(&stacks, &saved, 0, &sets[at % 2]);
        }
        rw_stacks_step(&stacks, &sets[at % 2], (uint8_t)text[at], &sets[(at + 1) % 2]);
        if (sets[(at + 1) % 2].n == 0 && !sets[(at + 1) % 2].ends)
            break;
    }
    ok = !stacks.failed;
    *matched = at;
    if (whole)
        *whole = at == size && sets[at % 2].ends;
    rw_stacks_fini(&stacks);
    rw_saved_fini(&saved);
    rw_free(sets);
    return ok ? RWKV_OK : rw_fail(err, RWKV_ERROR_MEMORY, "no memory to check a text");
}

void rw_grammar_get_stats(const struct rwkv_grammar *grammar, rwkv_grammar_stats *stats)
{
    struct rw_mask_cache *cache = grammar->cache;
    pthread_mutex_lock(&cache->lock);
    *stats = cache->stats;
    stats->kept = cache->n_entries;
    stats->kept_bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
    stats->states = grammar->automaton.n_nodes;
}

/* --- matchers --- */

#define FOLLOW_BYTES 64

static rwkv_status fail_memory(rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to follow a grammar");
}

/* The set has changed: keep it as a value. */
static rwkv_status settle(struct rw_matcher *m, rwkv_error *err)
{
    m->may_end = m->set.ends;
    m->must_end = m->set.ends && m->set.n == 0;
    return rw_stacks_save(&m->stacks, &m->set, &m->saved) ? RWKV_OK : fail_memory(err);
}

rwkv_status rw_matcher_new(const struct rwkv_grammar *grammar, const struct rwkv_vocab *vocab,
                           size_t n_vocab, struct rw_matcher **out, rwkv_error *err)
{
    struct rw_matcher *m = rw_calloc(1, sizeof *m);
    if (!m)
        return fail_memory(err);
    m->grammar = grammar;
    m->vocab = vocab;
    m->n_vocab = n_vocab;
    m->allowed = rw_calloc((n_vocab + 63) / 64, sizeof *m->allowed);
    if (!m->allowed || !rw_stacks_init(&m->stacks, &grammar->automaton)) {
        rw_matcher_free(m);
        return fail_memory(err);
    }
    rw_stacks_load(&m->stacks, &grammar->begin, 0, &m->set);
    rwkv_status status = settle(m, err);
    if (status == RWKV_OK)
        *out = m;
    else
        rw_matcher_free(m);
    return status;
}

void rw_matcher_free(struct rw_matcher *m)
{
    if (!m)
        return;
    rw_stacks_fini(&m->stacks);
    rw_saved_fini(&m->saved);
    rw_saved_fini(&m->key);
    rw_free(m->allowed);
    rw_free(m);
}

rwkv_status rw_matcher_mask(struct rw_matcher *m, rwkv_error *err)
{
    struct rw_mask_cache *cache = m->grammar->cache;
    rw_stacks_reset(&m->stacks);
    rw_stacks_load(&m->stacks, &m->saved, rw_vocab_longest(m->vocab), &m->next);
    if (m->stacks.failed || !rw_stacks_save(&m->stacks, &m->next, &m->key))
        return fail_memory(err);
    struct rw_mask_key key = {rw_vocab_fingerprint(m->vocab), m->n_vocab, m->key.words, m->key.n};
    if (rw_mask_cache_get(cache, &key, m->allowed, &m->n_allowed))
        return RWKV_OK;
    double start = rw_env_seconds();
    RW_TRY(rw_mask_find(&m->grammar->automaton, m->vocab, m->n_vocab, &m->key, m->allowed,
                        &m->n_allowed, err));
    rw_mask_cache_put(cache, &key, m->allowed, m->n_allowed, rw_env_seconds() - start);
    return RWKV_OK;
}

/* So few bytes that what comes up on the way has room. */
static rwkv_status follow_some(struct rw_matcher *m, const char *bytes, size_t size, bool *fits,
                               rwkv_error *err)
{
    rw_stacks_reset(&m->stacks);
    rw_stacks_load(&m->stacks, &m->saved, 0, &m->set);
    for (size_t i = 0; i < size; i++) {
        rw_stacks_step(&m->stacks, &m->set, (uint8_t)bytes[i], &m->next);
        m->set.n = m->next.n;
        m->set.ends = m->next.ends;
        memcpy(m->set.tops, m->next.tops, m->next.n * sizeof *m->next.tops);
    }
    if (m->stacks.failed)
        return fail_memory(err);
    *fits = m->set.n > 0 || m->set.ends;
    return settle(m, err);
}

rwkv_status rw_matcher_follow(struct rw_matcher *m, const char *bytes, size_t size, bool *fits,
                              rwkv_error *err)
{
    *fits = true;
    for (size_t at = 0; at < size && *fits; at += FOLLOW_BYTES)
        RW_TRY(follow_some(m, bytes + at, RW_MIN(size - at, (size_t)FOLLOW_BYTES), fits, err));
    return RWKV_OK;
}

rwkv_status rw_matcher_accept(struct rw_matcher *m, int32_t token, rwkv_error *err)
{
    bool fits;
    size_t size;
    const char *bytes = rw_vocab_token(m->vocab, token, &size);
    RW_TRY(follow_some(m, bytes, size, &fits, err));
    return fits ? RWKV_OK
                : rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                          "grammar: too many ways to read the text: token %d has none left",
                          (int)token);
}
