/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text cut into pieces, words for short, which no learned token crosses, and how often each of them
 * occurs. Whether two neighbouring characters belong to one piece is decided by their classes
 * alone. So a token that holds no cut cannot meet one in a text either, greedy longest match begins
 * anew with every piece, and a text of any length comes down to its different pieces.
 *
 * Tokens that the user wants kept may cross cuts ("User:"); where one begins a piece, it is taken
 * out of the text as it is.
 *
 *     struct rw_pieces pieces = {.memory = …};
 *     rw_pieces_init(&pieces, RW_JOIN_WORDS);
 *     RW_TRY(rw_pieces_add(&pieces, text, size, err));        // document by document
 *     for (size_t i = 0; i < pieces.n; i++)
 *         … rw_piece_text(&pieces, i), pieces.list[i].size, pieces.list[i].count …
 */
#ifndef RW_TEXT_VOCAB_PIECES_H
#define RW_TEXT_VOCAB_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rwkv.h"
#include "text/trie.h"

#define RW_PIECE_MAX 256 /* bytes; longer ones are cut between characters */

/* What tokens may hold besides letters with blanks before them, punctuation with blanks before it,
 * and runs of newlines or blanks. */
enum rw_joins {
    RW_JOIN_WORDS = 1,       /* several words */
    RW_JOIN_LINES = 2,       /* newlines next to anything else but digits */
    RW_JOIN_DIGITS = 4,      /* several digits, and blanks before them */
    RW_JOIN_PUNCTUATION = 8, /* letters next to punctuation */
};

enum rw_class {
    RW_CLASS_LETTER, /* and apostrophes, and all that is none of the others */
    RW_CLASS_BLANK,
    RW_CLASS_NEWLINE,
    RW_CLASS_DIGIT, /* of ASCII */
    RW_CLASS_PUNCTUATION,
    RW_CLASS_OTHER, /* control characters, what is no UTF-8: each byte is alone */
    RW_CLASS_COUNT
};

struct rw_piece {
    uint64_t count;
    uint64_t at; /* its bytes, in `text` */
    uint32_t hash;
    uint32_t size; /* 1 … RW_PIECE_MAX */
};

struct rw_pieces {
    uint64_t memory;            /* bytes that may be taken; beyond, rare pieces are forgotten */
    const struct rw_trie *kept; /* nullable: tokens that cross cuts; borrowed */

    bool joins[RW_CLASS_COUNT][RW_CLASS_COUNT];
    bool joined;           /* more than without enum rw_joins */
    struct rw_piece *list; /* [n], in the order in which they came */
    size_t n, capacity;
    struct rw_str text;
    uint32_t *slots; /* [n_slots], a power of two: number of a piece + 1, or 0 */
    size_t n_slots;

    uint64_t total_bytes;     /* of all text */
    uint64_t kept_count;      /* kept tokens taken out of it */
    uint64_t forgotten_bytes; /* of it, in pieces that were forgotten */
};

/* `joins` of enum rw_joins. Sets what is not the caller's. */
void rw_pieces_init(struct rw_pieces *pieces, unsigned joins);
void rw_pieces_fini(struct rw_pieces *pieces);

rwkv_status rw_pieces_add(struct rw_pieces *pieces, const uint8_t *text, size_t size,
                          rwkv_error *err);

uint64_t rw_pieces_memory(const struct rw_pieces *pieces); /* bytes taken */

/* Whether a cut lies inside `text`. */
bool rw_pieces_cut(const struct rw_pieces *pieces, const uint8_t *text, size_t size);

/* Into ends [size + 1] of a piece, whether it could be cut before each byte if nothing were joined;
 * at its end it could. */
void rw_piece_ends(const uint8_t *text, size_t size, bool *ends);

static inline const uint8_t *rw_piece_text(const struct rw_pieces *pieces, size_t i)
{
    return (const uint8_t *)pieces->text.data + pieces->list[i].at;
}

#endif
