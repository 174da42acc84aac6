/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grammars: what a generated text may be. include/rwkv_grammar.h has the public side.
 *
 *     struct rw_matcher *m;
 *     RW_TRY(rw_matcher_new(grammar, vocab, n_vocab, &m, err));
 *     RW_TRY(rw_matcher_mask(m, err));          // m->allowed, m->n_allowed, m->may_end
 *     RW_TRY(rw_matcher_accept(m, token, err));
 *     rw_matcher_free(m);
 *
 * A grammar is an immutable automaton with a cache of masks: sets of tokens that may come next, by
 * the state of the text. A mask is found by walking the vocabulary's trie and the automaton side by
 * side; sets of stacks that come up on the way are numbered and their transitions kept, so most
 * edges of the trie cost a look into a table.
 */
#ifndef RW_TEXT_GRAMMAR_H
#define RW_TEXT_GRAMMAR_H

#include "rwkv_grammar.h"
#include "text/grammar_stacks.h"
#include "text/vocab.h"

#define RW_GRAMMAR_TEXT_LIMIT ((size_t)1 << 20)   /* bytes of a grammar or schema */
#define RW_GRAMMAR_CACHE ((size_t)16 << 20)       /* bytes of masks that a grammar keeps */
#define RW_GRAMMAR_WORK_LIMIT ((uint64_t)2 << 20) /* steps of finding a mask */

struct rwkv_grammar;

/* As the functions of rwkv_grammar.h. */
rwkv_status rw_grammar_from_gbnf(const char *text, size_t size, struct rwkv_grammar **out,
                                 rwkv_error *err);
rwkv_status rw_grammar_from_schema(const char *text, size_t size, struct rwkv_grammar **out,
                                   rwkv_error *err);
rwkv_status rw_grammar_any_object(struct rwkv_grammar **out, rwkv_error *err);
void rw_grammar_free(struct rwkv_grammar *grammar);
rwkv_status rw_grammar_check(const struct rwkv_grammar *grammar, const char *text, size_t size,
                             size_t *matched, int *whole, rwkv_error *err);
void rw_grammar_get_stats(const struct rwkv_grammar *grammar, rwkv_grammar_stats *stats);

/* One text that is being written. */
struct rw_matcher {
    const struct rwkv_grammar *grammar; /* borrowed */
    const struct rwkv_vocab *vocab;     /* borrowed */
    size_t n_vocab;                     /* tokens there are: ids below it */
    struct rw_stacks stacks;
    struct rw_set set, next;    /* in `stacks`; `set` is where the text stands */
    struct rw_saved saved, key; /* the same as a value; as the cache knows it */
    uint64_t *allowed; /* [n_vocab / 64, rounded up] a bit for each token: of the last mask */
    size_t n_allowed;  /* their number */
    bool may_end;      /* the text may end here … */
    bool must_end;     /* … and nothing can follow */
};

rwkv_status rw_matcher_new(const struct rwkv_grammar *grammar, const struct rwkv_vocab *vocab,
                           size_t n_vocab, struct rw_matcher **out, rwkv_error *err);
void rw_matcher_free(struct rw_matcher *matcher);

/* Find the tokens with text that may come next. Fails where that takes too long. */
rwkv_status rw_matcher_mask(struct rw_matcher *matcher, rwkv_error *err);

/* Go on by any bytes; *fits is false where no text of the grammar does. The matcher is of no use
 * then. */
rwkv_status rw_matcher_follow(struct rw_matcher *matcher, const char *bytes, size_t size,
                              bool *fits, rwkv_error *err);

/* Go on by an allowed token. A token without text changes nothing. */
rwkv_status rw_matcher_accept(struct rw_matcher *matcher, int32_t token, rwkv_error *err);

static inline bool rw_matcher_allows(const struct rw_matcher *m, int32_t token)
{
    return m->allowed[(size_t)token / 64] >> ((size_t)token % 64) & 1;
}

#endif
