/* SPDX-License-Identifier: Apache-2.0 */
#include "text/vocab_score.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define CELLS ((size_t)1 << 22)
#define SLOTS_EACH 32 /* slots for each candidate wanted … */
#define CELLS_EACH 4  /* … and cells whose strings are looked at */
#define BLOCK 1024    /* pieces a thread takes at a time */
#define SLICE 256     /* blocks between two calls of progress */
#define LEVELS (64 * 16)

/* A string of the second pass. `where` packs piece, byte and size: of different strings with one
 * hash the smallest stands for all. */
struct slot {
    _Atomic uint64_t hash; /* 0: free */
    _Atomic int64_t gain;
    _Atomic uint64_t count;
    _Atomic uint64_t where;
};

/* --- one piece -------------------------------------------------------------------------------- */

/* A piece and its greedy encoding from each of its bytes. */
struct reading {
    const uint8_t *text;
    size_t index, size;
    int64_t weight;                   /* how often the piece occurs */
    uint16_t count[RW_PIECE_MAX + 1]; /* tokens from a byte to the end */
    uint16_t length[RW_PIECE_MAX];    /* of the token from a byte */
    int32_t token[RW_PIECE_MAX];      /* which it is */
    bool ends[RW_PIECE_MAX + 1];      /* where words are joined: before a byte */
};

static void read_piece(struct reading *r, const struct rw_pieces *pieces, size_t i,
                       const struct rw_trie *trie)
{
    r->text = rw_piece_text(pieces, i);
    r->index = i;
    r->size = pieces->list[i].size;
    r->weight = (int64_t)pieces->list[i].count;
    r->count[r->size] = 0;
    for (size_t at = r->size; at-- > 0;) {
        size_t length = 1; /* every byte is a token */
        r->token[at] = rw_trie_longest(trie, r->text + at, r->size - at, &length);
        r->length[at] = (uint16_t)length;
        r->count[at] = (uint16_t)(1 + r->count[at + length]);
    }
    if (pieces->joined)
        rw_piece_ends(r->text, r->size, r->ends);
}

static bool begins_character(uint8_t byte)
{
    return (byte & 0xc0) != 0x80;
}

/* Whether a string from `at` to `end` is made of whole characters or lies within one, so that no
 * token mixes pieces of several. */
static bool is_whole(const struct reading *r, size_t at, size_t end)
{
    bool ends = end == r->size || begins_character(r->text[end]);
    if (begins_character(r->text[at]) && ends)
        return true;
    for (size_t i = at + 1; i < end; i++)
        if (begins_character(r->text[i]))
            return false;
    return true;
}

/* --- all pieces ------------------------------------------------------------------------------- */

struct pass;
typedef void (*piece_fn)(struct pass *pass, const struct reading *r);

struct pass {
    struct rw_score *score;
    const struct rw_trie *trie;
    piece_fn piece;
    size_t first; /* block of the slice */

    _Atomic int64_t *losses;
    _Atomic uint64_t total;
    uint64_t threshold;  /* cells with less are passed over */
    size_t mask;         /* and those whose number has one of these bits */
    _Atomic size_t used; /* slots */
};

static void read_block(void *ctx, size_t block, size_t thread)
{
    struct pass *pass = ctx;
    const struct rw_pieces *pieces = pass->score->pieces;
    struct reading r;
    size_t begin = (pass->first + block) * BLOCK, end = RW_MIN(begin + BLOCK, pieces->n);
    for (size_t i = begin; i < end; i++) {
        read_piece(&r, pieces, i, pass->trie);
        pass->piece(pass, &r);
    }
}

static rwkv_status run(struct pass *pass, rwkv_error *err)
{
    struct rw_score *score = pass->score;
    size_t blocks = (score->pieces->n + BLOCK - 1) / BLOCK;
    uint64_t before = score->done;
    for (size_t first = 0; first < blocks; first += SLICE) {
        size_t n = RW_MIN(blocks - first, (size_t)SLICE);
        pass->first = first;
        rw_pool_each(score->pool, read_block, pass, n);
        score->done = before + (uint64_t)((double)score->pieces->text.size * (double)(first + n) /
                                          (double)blocks);
        if (score->progress &&
            score->progress(score->user, RW_MIN(score->done, score->planned), score->planned))
            return rw_fail(err, RWKV_ERROR_CANCELLED, "cancelled while learning a vocabulary");
    }
    return RWKV_OK;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void add_losses(struct pass *pass, const struct reading *r)
{
    for (size_t at = 0; at < r->size; at += r->length[at]) {
        size_t shorter = 1;
        if (r->length[at] == 1)
            continue;
        rw_trie_longest(pass->trie, r->text + at, r->length[at] - 1u, &shorter);
        int64_t more = 1 + (int64_t)r->count[at + shorter] - (int64_t)r->count[at];
        atomic_fetch_add_explicit(&pass->losses[r->token[at]], r->weight * more,
                                  memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&pass->total, (uint64_t)r->weight * r->count[0],
                              memory_order_relaxed);
}

rwkv_status rw_score_tokens(struct rw_score *score, const struct rw_trie *trie, int64_t *losses,
                            size_t n_tokens, uint64_t *total, rwkv_error *err)
{
    struct pass pass = {.score = score, .trie = trie, .piece = add_losses};
    pass.losses = rw_calloc(n_tokens, sizeof *pass.losses);
    if (!pass.losses)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tokens", n_tokens);
    rwkv_status status = run(&pass, err);
    for (size_t i = 0; i < n_tokens; i++)
        losses[i] = pass.losses[i];
    *total = pass.total;
    rw_free(pass.losses);
    return status;
}

/* --- candidates ------------------------------------------------------------------------------- */

/* FNV-1a, one byte more; its low bits are mixed before use. */
static uint64_t hash_more(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x100000001b3u;
}

#define HASH_FIRST 0xcbf29ce484222325u

static uint64_t hash_end(uint64_t hash)
{
    hash = (hash ^ hash >> 32) * 0x9fb21c651e98df25u;
    hash ^= hash >> 29;
    return hash ? hash : 1;
}

static void add_to_cell(struct pass *pass, const struct reading *r, size_t at, size_t size,
                        uint64_t hash, int64_t saved)
{
    if (saved > 0)
        __atomic_fetch_add(&pass->score->cells[hash % CELLS], (uint64_t)(r->weight * saved),
                           __ATOMIC_RELAXED);
}

/* The slot of a string, made if it is new; NULL when too many are in use. */
static struct slot *find_slot(struct pass *pass, uint64_t hash)
{
    size_t mask = pass->score->n_slots - 1;
    for (size_t at = (hash >> 22) & mask;; at = (at + 1) & mask) {
        struct slot *slot = &pass->score->slots[at];
        uint64_t found = atomic_load_explicit(&slot->hash, memory_order_relaxed);
        if (found == 0 && pass->used < pass->score->n_slots / 4 * 3 &&
            atomic_compare_exchange_strong(&slot->hash, &found, hash)) {
            pass->used++;
            return slot;
        }
        if (found == hash)
            return slot;
        if (found == 0)
            return NULL;
    }
}

static void add_to_slot(struct pass *pass, const struct reading *r, size_t at, size_t size,
                        uint64_t hash, int64_t saved)
{
    size_t cell = hash % CELLS;
    if (pass->score->cells[cell] < pass->threshold || (cell & pass->mask))
        return;
    struct slot *slot = find_slot(pass, hash);
    if (!slot)
        return;
    uint64_t where = (uint64_t)r->index << 16 | (uint64_t)at << 8 | (uint64_t)(size - 1);
    uint64_t seen = atomic_load_explicit(&slot->where, memory_order_relaxed);
    while (where < seen && !atomic_compare_exchange_weak(&slot->where, &seen, where))
        ;
    atomic_fetch_add_explicit(&slot->gain, r->weight * saved, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->count, (uint64_t)r->weight, memory_order_relaxed);
}

/* Every string of the piece that could become a token goes to one of the two above. What holds more
 * than one word ends where a word does. */
static inline void each_string(struct pass *pass, const struct reading *r,
                               void (*string)(struct pass *, const struct reading *, size_t, size_t,
                                              uint64_t, int64_t))
{
    bool joined = pass->score->pieces->joined;
    for (size_t at = 0; at < r->size; at += r->length[at]) {
        uint64_t hash = HASH_FIRST;
        size_t limit = RW_MIN(r->size - at, pass->score->longest);
        bool several = false;
        for (size_t size = 1; size <= limit; size++) {
            hash = hash_more(hash, r->text[at + size - 1]);
            several = several || (joined && size > 1 && r->ends[at + size - 1]);
            if (size <= r->length[at] || (several && !r->ends[at + size]) ||
                !is_whole(r, at, at + size))
                continue;
            int64_t saved = (int64_t)r->count[at] - 1 - (int64_t)r->count[at + size];
            string(pass, r, at, size, hash_end(hash), saved);
        }
    }
}

static void fill_cells(struct pass *pass, const struct reading *r)
{
    each_string(pass, r, add_to_cell);
}

static void fill_slots(struct pass *pass, const struct reading *r)
{
    each_string(pass, r, add_to_slot);
}

/* Numbers in 1024 levels, sixteen for each power of two. */
static size_t level_of(uint64_t x)
{
    if (x < 16)
        return (size_t)x;
    unsigned power = 63 - (unsigned)__builtin_clzll(x);
    return (size_t)(power - 3) * 16 + (size_t)(x >> (power - 4) & 15);
}

/* The lowest level such that at most `wanted` cells are at it or above, but one that has cells. */
static size_t choose_level(const uint64_t *cells, size_t wanted)
{
    size_t counts[LEVELS] = {0}, level = LEVELS, top = 0, n = 0;
    for (size_t i = 0; i < CELLS; i++)
        counts[level_of(cells[i])]++;
    for (size_t i = 1; i < LEVELS; i++)
        if (counts[i])
            top = i;
    while (level > 1 && (n += counts[level - 1]) <= wanted)
        level--;
    return RW_MIN(level, RW_MAX(top, 1));
}

static void empty_slots(struct rw_score *score)
{
    for (size_t i = 0; i < score->n_slots; i++) {
        score->slots[i].hash = 0;
        score->slots[i].gain = 0;
        score->slots[i].count = 0;
        score->slots[i].where = UINT64_MAX;
    }
}

static uint64_t level_bottom(size_t level)
{
    if (level < 16)
        return level;
    size_t power = level / 16 + 3;
    return (uint64_t)(16 + level % 16) << (power - 4);
}

/* The second pass. More strings than slots mean that fewer cells must do, at last a part of those
 * at the highest level. */
static rwkv_status gather(struct rw_score *score, const struct rw_trie *trie, size_t level,
                          rwkv_error *err)
{
    size_t mask = 0;
    for (;;) {
        struct pass pass = {.score = score, .trie = trie, .piece = fill_slots};
        pass.threshold = RW_MAX(level_bottom(level), 1);
        pass.mask = mask;
        empty_slots(score);
        uint64_t before = score->done;
        RW_TRY(run(&pass, err));
        if (pass.used < score->n_slots / 4 * 3)
            return RWKV_OK;
        score->done = before; /* the pass did not count */
        size_t higher = choose_level(score->cells, 0);
        if (level + 4 <= higher)
            level += 4;
        else
            mask = mask << 1 | 1;
    }
}

static int compare_candidates(const void *a, const void *b)
{
    const struct rw_candidate *x = a, *y = b;
    if (x->gain != y->gain)
        return x->gain > y->gain ? -1 : 1;
    int order = memcmp(x->bytes, y->bytes, RW_MIN(x->size, y->size));
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static rwkv_status collect(const struct rw_score *score, struct rw_candidate *candidates,
                           size_t capacity, size_t *n, rwkv_error *err)
{
    struct rw_candidate *all = NULL;
    size_t count = 0, room = 0;
    for (size_t i = 0; i < score->n_slots; i++) {
        struct slot *slot = &score->slots[i];
        uint64_t where = slot->where;
        if (slot->gain <= 0 || slot->count < score->min_count)
            continue;
        if (!rw_grow((void **)&all, count, &room, sizeof *all)) {
            rw_free(all);
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for strings of the text");
        }
        all[count++] = (struct rw_candidate){rw_piece_text(score->pieces, (size_t)(where >> 16)) +
                                                 (where >> 8 & 0xff),
                                             (size_t)(where & 0xff) + 1, slot->gain, slot->count};
    }
    if (count)
        qsort(all, count, sizeof *all, compare_candidates);
    *n = RW_MIN(count, capacity);
    if (*n)
        memcpy(candidates, all, *n * sizeof *all);
    rw_free(all);
    return RWKV_OK;
}

rwkv_status rw_score_candidates(struct rw_score *score, const struct rw_trie *trie,
                                struct rw_candidate *candidates, size_t capacity, size_t *n,
                                rwkv_error *err)
{
    struct pass pass = {.score = score, .trie = trie, .piece = fill_cells};
    memset(score->cells, 0, CELLS * sizeof *score->cells);
    RW_TRY(run(&pass, err));
    RW_TRY(gather(score, trie, choose_level(score->cells, capacity * CELLS_EACH), err));
    return collect(score, candidates, capacity, n, err);
}

/* --- memory ----------------------------------------------------------------------------------- */

static size_t slots_for(size_t capacity)
{
    size_t n = 1024;
    while (n < capacity * SLOTS_EACH)
        n *= 2;
    return n;
}

uint64_t rw_score_memory(size_t capacity)
{
    return CELLS * sizeof(uint64_t) + slots_for(capacity) * sizeof(struct slot);
}

bool rw_score_init(struct rw_score *score, size_t capacity)
{
    score->cells = rw_alloc_large(CELLS * sizeof *score->cells);
    score->n_slots = slots_for(capacity);
    score->slots = rw_alloc_large(score->n_slots * sizeof *score->slots);
    if (score->cells && score->slots)
        return true;
    rw_score_fini(score);
    return false;
}

void rw_score_fini(struct rw_score *score)
{
    rw_free(score->cells);
    rw_free(score->slots);
    score->cells = NULL;
    score->slots = NULL;
}
