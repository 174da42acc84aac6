/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each token of a vocabulary is worth, and each string that could become one, measured on the
 * pieces of a text that greedy longest match encodes.
 *
 * From every byte of a piece on, the tokens to its end are counted from right to left. Then both
 * questions are answered by looking two numbers up: without the token used at byte i, the next
 * shorter one that fits there is used, and the rest is encoded from where it ends; with a new
 * string of l bytes at byte i, the rest is encoded from i + l. A string is looked at only where a
 * token begins and only if it is longer than that, as otherwise it would not be used. This is exact
 * but for strings that a piece holds twice.
 *
 * All sums are of integers, so they do not depend on threads. Strings that could become tokens are
 * far more than memory should hold, so a first pass adds what each could save to one of a fixed
 * number of cells by its hash, which then holds at least as much; a second pass looks at strings of
 * the fullest cells only.
 */
#ifndef RW_TEXT_VOCAB_SCORE_H
#define RW_TEXT_VOCAB_SCORE_H

#include "base/pool.h"
#include "text/vocab_pieces.h"

/* A string that could become a token: where it stands, and what it would save. */
struct rw_candidate {
    const uint8_t *bytes; /* borrowed from the pieces */
    size_t size;
    int64_t gain;   /* tokens of the text less */
    uint64_t count; /* times it would be used */
};

struct rw_score {
    const struct rw_pieces *pieces;
    struct rw_pool *pool;
    size_t longest;            /* bytes of a candidate at most */
    uint64_t min_count;        /* of a candidate */
    rwkv_progress_fn progress; /* nullable; bytes of pieces gone through, of rw_score_planned */
    void *user;
    uint64_t done, planned;

    uint64_t *cells; /* owned */
    struct slot *slots;
    size_t n_slots;
};

/* `capacity`: candidates that rw_score_candidates can find at once. False: no memory. */
bool rw_score_init(struct rw_score *score, size_t capacity);
void rw_score_fini(struct rw_score *score);
uint64_t rw_score_memory(size_t capacity); /* bytes that rw_score_init takes */

/* Tokens of the text. Into losses [n_tokens], by the numbers that the trie gives, how many more
 * there would be without each token (0 for single bytes, and for those in no use). */
rwkv_status rw_score_tokens(struct rw_score *score, const struct rw_trie *trie, int64_t *losses,
                            size_t n_tokens, uint64_t *total, rwkv_error *err);

/* The strings that would save most, best first, at most `capacity`; *n tells how many. */
rwkv_status rw_score_candidates(struct rw_score *score, const struct rw_trie *trie,
                                struct rw_candidate *candidates, size_t capacity, size_t *n,
                                rwkv_error *err);

#endif
