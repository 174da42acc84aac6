/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces are found again through a table of their hashes with open addressing. When the memory
 * given is used up, those that occurred least are forgotten, as many as it takes to have half of it
 * back: what is frequent stays, and its counts are too small at most by what was forgotten.
 */
#include "text/vocab_pieces.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"

#define FIRST_SLOTS 1024

/* --- classes ---------------------------------------------------------------------------------- */

/* Ranges of characters above ASCII that are punctuation or symbols; blanks among them count as
 * that. Letters that stand alone between them are left out where they are frequent. */
static const uint32_t symbols[][2] = {
    {0x80, 0xa9},     {0xab, 0xb4},     {0xb6, 0xb9},     {0xbb, 0xbf},     {0xd7, 0xd7},
    {0xf7, 0xf7},     {0x2000, 0x206f}, {0x20a0, 0x20cf}, {0x2190, 0x2bff}, {0x2e00, 0x2e7f},
    {0x3000, 0x3004}, {0x3008, 0x3020}, {0x30fb, 0x30fb}, {0xfe30, 0xfe6f}, {0xff01, 0xff0f},
    {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65}, {0xfffd, 0xfffd}, {0x1f000, 0x1faff},
};

static enum rw_class class_of(uint32_t code)
{
    if (code < 0x80) {
        if ((code | 0x20) - 'a' < 26 || code == '\'')
            return RW_CLASS_LETTER;
        if (code == ' ' || code == '\t')
            return RW_CLASS_BLANK;
        if (code == '\n' || code == '\r')
            return RW_CLASS_NEWLINE;
        if (code - '0' < 10)
            return RW_CLASS_DIGIT;
        return code < 0x20 || code == 0x7f ? RW_CLASS_OTHER : RW_CLASS_PUNCTUATION;
    }
    for (size_t i = 0; i < RW_COUNT(symbols); i++)
        if (code - symbols[i][0] <= symbols[i][1] - symbols[i][0])
            return RW_CLASS_PUNCTUATION;
    return RW_CLASS_LETTER;
}

/* The class of the character that begins at `text`, and its length. */
static enum rw_class next_class(const uint8_t *text, size_t n, size_t *length)
{
    uint32_t code = text[0];
    *length = 1;
    if (code >= 0x80 && rw_utf8_next(text, n, length, &code) != RW_UTF8_CHAR) {
        *length = 1;
        return RW_CLASS_OTHER;
    }
    return class_of(code);
}

static const bool plain_joins[RW_CLASS_COUNT][RW_CLASS_COUNT] = {
    [RW_CLASS_LETTER] = {[RW_CLASS_LETTER] = true},
    [RW_CLASS_BLANK] =
        {[RW_CLASS_LETTER] = true, [RW_CLASS_BLANK] = true, [RW_CLASS_PUNCTUATION] = true},
    [RW_CLASS_NEWLINE] = {[RW_CLASS_NEWLINE] = true},
    [RW_CLASS_PUNCTUATION] = {[RW_CLASS_PUNCTUATION] = true},
};

void rw_pieces_init(struct rw_pieces *pieces, unsigned joins)
{
    static const struct {
        enum rw_joins join;
        enum rw_class first, second;
    } more[] = {
        {RW_JOIN_WORDS, RW_CLASS_LETTER, RW_CLASS_BLANK},
        {RW_JOIN_WORDS, RW_CLASS_PUNCTUATION, RW_CLASS_BLANK},
        {RW_JOIN_LINES, RW_CLASS_LETTER, RW_CLASS_NEWLINE},
        {RW_JOIN_LINES, RW_CLASS_NEWLINE, RW_CLASS_LETTER},
        {RW_JOIN_LINES, RW_CLASS_BLANK, RW_CLASS_NEWLINE},
        {RW_JOIN_LINES, RW_CLASS_NEWLINE, RW_CLASS_BLANK},
        {RW_JOIN_LINES, RW_CLASS_PUNCTUATION, RW_CLASS_NEWLINE},
        {RW_JOIN_LINES, RW_CLASS_NEWLINE, RW_CLASS_PUNCTUATION},
        {RW_JOIN_DIGITS, RW_CLASS_DIGIT, RW_CLASS_DIGIT},
        {RW_JOIN_DIGITS, RW_CLASS_BLANK, RW_CLASS_DIGIT},
        {RW_JOIN_PUNCTUATION, RW_CLASS_LETTER, RW_CLASS_PUNCTUATION},
        {RW_JOIN_PUNCTUATION, RW_CLASS_PUNCTUATION, RW_CLASS_LETTER},
    };
    *pieces = (struct rw_pieces){.memory = pieces->memory, .kept = pieces->kept};
    memcpy(pieces->joins, plain_joins, sizeof plain_joins);
    for (size_t i = 0; i < RW_COUNT(more); i++)
        if (joins & more[i].join) {
            pieces->joins[more[i].first][more[i].second] = true;
            pieces->joined = true;
        }
}

void rw_pieces_fini(struct rw_pieces *pieces)
{
    rw_free(pieces->list);
    rw_free(pieces->slots);
    rw_str_fini(&pieces->text);
    *pieces = (struct rw_pieces){0};
}

/* --- counting --------------------------------------------------------------------------------- */

static void place(struct rw_pieces *pieces, size_t i)
{
    size_t mask = pieces->n_slots - 1, at = pieces->list[i].hash & mask;
    while (pieces->slots[at])
        at = (at + 1) & mask;
    pieces->slots[at] = (uint32_t)i + 1;
}

static bool rebuild_slots(struct rw_pieces *pieces, size_t n_slots)
{
    uint32_t *slots = rw_calloc(n_slots, sizeof *slots);
    if (!slots)
        return false;
    rw_free(pieces->slots);
    pieces->slots = slots;
    pieces->n_slots = n_slots;
    for (size_t i = 0; i < pieces->n; i++)
        place(pieces, i);
    return true;
}

uint64_t rw_pieces_memory(const struct rw_pieces *pieces)
{
    return pieces->capacity * sizeof *pieces->list + pieces->n_slots * sizeof *pieces->slots +
           pieces->text.capacity;
}

/* How many pieces occur at most `count` times. */
static size_t count_rare(const struct rw_pieces *pieces, uint64_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < pieces->n; i++)
        n += pieces->list[i].count <= count;
    return n;
}

/* Keep the more frequent ones, moved together. */
static void forget_rare(struct rw_pieces *pieces)
{
    uint64_t count = 1;
    size_t n = 0, end = 0;
    while (count_rare(pieces, count) < (pieces->n + 1) / 2)
        count++;
    for (size_t i = 0; i < pieces->n; i++) {
        struct rw_piece piece = pieces->list[i];
        if (piece.count <= count) {
            pieces->forgotten_bytes += piece.count * piece.size;
            continue;
        }
        memmove(pieces->text.data + end, pieces->text.data + piece.at, piece.size);
        piece.at = end;
        end += piece.size;
        pieces->list[n++] = piece;
    }
    pieces->n = n;
    pieces->text.size = end;
    memset(pieces->slots, 0, pieces->n_slots * sizeof *pieces->slots);
    for (size_t i = 0; i < n; i++)
        place(pieces, i);
}

static bool is_full(const struct rw_pieces *pieces)
{
    return pieces->n == pieces->capacity || 4 * (pieces->n + 1) > 3 * pieces->n_slots ||
           pieces->text.size + RW_PIECE_MAX >= pieces->text.capacity;
}

/* Room for one piece more. Arrays double, so there must be room for what they would become; where
 * there is not, rare pieces make room instead. */
static bool make_room(struct rw_pieces *pieces)
{
    if (!pieces->slots && !rebuild_slots(pieces, FIRST_SLOTS))
        return false;
    while (is_full(pieces) && pieces->n > 1 && 2 * rw_pieces_memory(pieces) > pieces->memory)
        forget_rare(pieces);
    if (4 * (pieces->n + 1) > 3 * pieces->n_slots && !rebuild_slots(pieces, 2 * pieces->n_slots))
        return false;
    return rw_grow((void **)&pieces->list, pieces->n, &pieces->capacity, sizeof *pieces->list);
}

static bool add_piece(struct rw_pieces *pieces, const uint8_t *text, size_t size)
{
    uint64_t hash64 = rw_hash(text, size);
    uint32_t hash = (uint32_t)(hash64 ^ hash64 >> 32);
    if (!make_room(pieces))
        return false;
    size_t mask = pieces->n_slots - 1;
    for (size_t at = hash & mask; pieces->slots[at]; at = (at + 1) & mask) {
        struct rw_piece *p = &pieces->list[pieces->slots[at] - 1];
        if (p->hash == hash && p->size == size &&
            memcmp(pieces->text.data + p->at, text, size) == 0) {
            p->count++;
            return true;
        }
    }
    size_t at = pieces->text.size;
    rw_str_add(&pieces->text, text, size);
    if (pieces->text.failed)
        return false;
    pieces->list[pieces->n] = (struct rw_piece){1, at, hash, (uint32_t)size};
    place(pieces, pieces->n++);
    return true;
}

/* --- cutting ---------------------------------------------------------------------------------- */

/* Bytes of the piece that `text` begins with. */
static size_t piece_size(const struct rw_pieces *pieces, const uint8_t *text, size_t n)
{
    size_t length, end = 0;
    enum rw_class class = next_class(text, n, &end);
    while (end < n) {
        enum rw_class next = next_class(text + end, n - end, &length);
        if (!pieces->joins[class][next] || end + length > RW_PIECE_MAX)
            break;
        end += length;
        class = next;
    }
    return end;
}

rwkv_status rw_pieces_add(struct rw_pieces *pieces, const uint8_t *text, size_t size,
                          rwkv_error *err)
{
    for (size_t at = 0, length = 0; at < size; at += length) {
        if (pieces->kept && rw_trie_longest(pieces->kept, text + at, size - at, &length) >= 0) {
            pieces->kept_count++;
            continue;
        }
        length = piece_size(pieces, text + at, size - at);
        if (pieces->n >= UINT32_MAX - 1 || !add_piece(pieces, text + at, length))
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu different pieces of text",
                           pieces->n + 1);
    }
    pieces->total_bytes += size;
    return RWKV_OK;
}

bool rw_pieces_cut(const struct rw_pieces *pieces, const uint8_t *text, size_t size)
{
    return size > 0 && piece_size(pieces, text, size) < size;
}

void rw_piece_ends(const uint8_t *text, size_t size, bool *ends)
{
    enum rw_class class = RW_CLASS_OTHER;
    memset(ends, 0, size * sizeof *ends);
    ends[size] = true;
    for (size_t at = 0, length; at < size; at += length) {
        enum rw_class next = next_class(text + at, size - at, &length);
        ends[at] = !plain_joins[class][next];
        class = next;
    }
}
