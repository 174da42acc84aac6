/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts to tokens on all cores, in an order and with a result that no number of threads changes.
 *
 * A batch of rw_corpus is cut into units, which threads take as they are free. A unit of JSON lines
 * is whole lines, each a document: it is complete in itself. A unit of text is a piece of a text
 * that may go on over many: where a token begins in it depends on the token before. So each piece
 * is tokenized from its first byte as if a token began there, and then joined to what came before:
 * tokens are chosen one by one from where the last piece really ended, until a token begins where
 * one of the piece begins as well; greedy matching looks at nothing but the text ahead, so from
 * there on all agree. Usually that is a handful of tokens on.
 */
#ifndef RW_TRAIN_TOKENIZING_H
#define RW_TRAIN_TOKENIZING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "text/vocab.h"
#include "train/corpus.h"

struct rw_text_unit {
    size_t part;       /* index in the corpus' batch */
    size_t begin, end; /* in the buffer; of text, tokens that begin here */
    int32_t *tokens;   /* [n_tokens] */
    size_t n_tokens, tokens_capacity;
    bool failed;         /* nothing behind `wrong` was looked at */
    rwkv_error wrong;    /* the first thing that is wrong with the text, without the file's name */
    uint64_t wrong_line; /* and where, counted in the unit from 0: of JSON lines */

    /* text */
    size_t stopped; /* the byte behind the last of `tokens` */
    size_t skip;    /* after joining: so many of the tokens do not count */

    /* JSON lines */
    size_t *ends; /* [n_ends] where each document ends in `tokens`, or its prompt and then itself */
    size_t n_ends, ends_capacity;
    uint64_t lines, text_bytes, empty, skipped;
};

struct rw_tokenizing {
    const struct rwkv_vocab *vocab; /* borrowed */
    const char *field;              /* of JSON lines; borrowed */
    const char *prompt_field;       /* the member with what comes before it, or NULL */
    bool skip_bad;
    size_t piece; /* bytes of a unit, at least 1; of JSON lines, to the end of the line */
    const struct rw_corpus *corpus; /* borrowed: set by rw_tokenize_batch */
    struct rw_text_unit *units;     /* [n_units] in the order of the texts */
    size_t n_units, units_capacity;
    size_t n_made;  /* units that have memory, to be used again */
    int32_t *joint; /* [n_joint]: what rw_unit_join found */
    size_t n_joint, joint_capacity;
};

/* Tokenize the corpus' batch into units. What is wrong with texts is in the units; this fails only
 * without memory. Sets `done` of parts of JSON lines. */
rwkv_status rw_tokenize_batch(struct rw_tokenizing *t, struct rw_corpus *corpus,
                              struct rw_pool *pool, rwkv_error *err);

/* Join a unit of text to what came before, which ended at byte *at of the buffer, at or behind the
 * unit's beginning: its tokens are those of t->joint and then its own but for the first
 * unit->skip. *at becomes the byte behind the last. Fails where no token begins. */
rwkv_status rw_unit_join(struct rw_tokenizing *t, struct rw_text_unit *unit, size_t *at,
                         rwkv_error *err);

void rw_tokenizing_fini(struct rw_tokenizing *t);

#endif
