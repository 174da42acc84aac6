/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a mask: the vocabulary's trie from the root down, and beside every node of it the set of
 * stacks after its bytes. Sets are numbered as they come up, and where a class of bytes leads from
 * each is noted: a trie of a hundred thousand nodes passes through a few dozen sets.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "text/grammar_int.h"
#include "text/trie.h"

enum { DEAD, ENDED }; /* the first two states: no text; a whole text that nothing follows */

#define UNKNOWN UINT32_MAX
#define TABLE_BEGIN 256

struct state {
    size_t first; /* its stacks, in `tops` */
    uint32_t n;
    uint32_t hash;
};

struct walk {
    struct rw_stacks stacks;
    struct rw_set set, next;
    struct state *states; /* [n_states] */
    size_t n_states, states_capacity;
    uint32_t *tops;
    size_t n_tops, tops_capacity;
    uint32_t *moves; /* [states_capacity, n_classes] states, or UNKNOWN */
    uint32_t *table; /* [table_size] states by their hash; 0: free */
    size_t table_size;
    bool no_memory;
};

static void walk_fini(struct walk *w)
{
    rw_stacks_fini(&w->stacks);
    rw_free(w->states);
    rw_free(w->tops);
    rw_free(w->moves);
    rw_free(w->table);
    rw_free(w);
}

static struct walk *walk_new(const struct rw_automaton *automaton)
{
    struct walk *w = rw_calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->states_capacity = TABLE_BEGIN / 2;
    w->states = rw_calloc(w->states_capacity, sizeof *w->states);
    w->moves = rw_calloc(w->states_capacity * automaton->n_classes, sizeof *w->moves);
    w->table = rw_calloc(TABLE_BEGIN, sizeof *w->table);
    w->table_size = TABLE_BEGIN;
    w->n_states = 2; /* from DEAD and ENDED everything leads to DEAD */
    if (!rw_stacks_init(&w->stacks, automaton) || !w->states || !w->moves || !w->table) {
        walk_fini(w);
        return NULL;
    }
    return w;
}

/* --- states --- */

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t hash_of(const struct rw_set *set)
{
    uint32_t h = (uint32_t)set->n;
    for (size_t i = 0; i < set->n; i++)
        h = (h ^ set->tops[i]) * 0x9e3779b1u ^ h >> 15;
    return h ^ h >> 13;
}

static bool grow_states(struct walk *w)
{
    size_t classes = w->stacks.automaton->n_classes, old = w->states_capacity;
    if (w->n_states < old)
        return true;
    if (!rw_grow((void **)&w->states, w->n_states, &w->states_capacity, sizeof *w->states))
        return false;
    uint32_t *moves = rw_realloc(w->moves, w->states_capacity * classes, sizeof *moves);
    uint32_t *table = moves ? rw_calloc(w->table_size * 2, sizeof *table) : NULL;
    w->moves = moves ? moves : w->moves;
    if (!table)
        return false;
    rw_free(w->table);
    w->table = table;
    w->table_size *= 2;
    for (uint32_t id = ENDED + 1; id < w->n_states; id++) {
        size_t at = w->states[id].hash & (w->table_size - 1);
        while (w->table[at])
            at = (at + 1) & (w->table_size - 1);
        w->table[at] = id;
    }
    return true;
}

/* The number of a set, whose order is changed. */
static uint32_t state_of(struct walk *w, struct rw_set *set)
{
    if (set->n == 0)
        return set->ends ? ENDED : DEAD;
    if (set->n > 1)
        qsort(set->tops, set->n, sizeof *set->tops, compare_ids);
    uint32_t hash = hash_of(set);
    if (!grow_states(w)) {
        w->no_memory = true;
        return DEAD;
    }
    size_t at = hash & (w->table_size - 1);
    for (; w->table[at]; at = (at + 1) & (w->table_size - 1)) {
        const struct state *s = &w->states[w->table[at]];
        if (s->hash == hash && s->n == set->n &&
            memcmp(w->tops + s->first, set->tops, set->n * sizeof *set->tops) == 0)
            return w->table[at];
    }
    uint32_t id = (uint32_t)w->n_states;
    struct state state = {w->n_tops, (uint32_t)set->n, hash};
    for (size_t i = 0; i < set->n; i++) {
        if (!rw_grow((void **)&w->tops, w->n_tops, &w->tops_capacity, sizeof *w->tops)) {
            w->no_memory = true;
            return DEAD;
        }
        w->tops[w->n_tops++] = set->tops[i];
    }
    size_t classes = w->stacks.automaton->n_classes;
    memset(w->moves + id * classes, 0xff, classes * sizeof *w->moves);
    w->states[w->n_states++] = state;
    w->table[at] = id;
    return id;
}

static uint32_t move(struct walk *w, uint32_t from, uint8_t byte)
{
    const struct rw_automaton *a = w->stacks.automaton;
    uint32_t class = a->byte_class[byte];
    uint32_t *to = &w->moves[from * a->n_classes + class];
    if (*to != UNKNOWN)
        return *to;
    w->set.n = w->states[from].n;
    memcpy(w->set.tops, w->tops + w->states[from].first, w->set.n * sizeof *w->set.tops);
    rw_stacks_step(&w->stacks, &w->set, a->class_byte[class], &w->next);
    uint32_t state = state_of(w, &w->next);
    w->moves[from * a->n_classes + class] = state;
    return state;
}

/* --- the trie --- */

static bool gave_up(const struct walk *w)
{
    return w->no_memory || w->stacks.failed || w->stacks.work > RW_GRAMMAR_WORK_LIMIT;
}

/* Go down everywhere that the automaton allows. */
static size_t walk_trie(struct walk *w, const struct rw_trie *trie, uint32_t start, size_t n_vocab,
                        uint64_t *mask)
{
    struct {
        uint32_t at, end, state; /* nodes of a family that are left, and the state above them */
    } path[RW_VOCAB_TOKEN_MAX + 1];
    const struct rw_trie_node *nodes = trie->nodes;
    size_t n_allowed = 0, depth = 1;
    path[0].at = nodes[0].first;
    path[0].end = nodes[1].first;
    path[0].state = start;
    while (depth > 0 && !gave_up(w)) {
        uint32_t node = path[depth - 1].at++;
        if (node == path[depth - 1].end) {
            depth--;
            continue;
        }
        uint32_t state = move(w, path[depth - 1].state, trie->labels[node]);
        int32_t token = nodes[node].value;
        if (state == DEAD)
            continue;
        if (token >= 0 && (size_t)token < n_vocab) {
            mask[token / 64] |= (uint64_t)1 << (token % 64);
            n_allowed++;
        }
        path[depth].at = nodes[node].first;
        path[depth].end = nodes[node + 1].first;
        path[depth].state = state;
        depth += path[depth].at < path[depth].end;
    }
    return n_allowed;
}

rwkv_status rw_mask_find(const struct rw_automaton *automaton, const struct rwkv_vocab *vocab,
                         size_t n_vocab, const struct rw_saved *saved, uint64_t *mask,
                         size_t *n_allowed, rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    struct walk *w = walk_new(automaton);
    memset(mask, 0, (n_vocab + 63) / 64 * sizeof *mask);
    if (!w)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to find the tokens a grammar allows");
    rw_stacks_load(&w->stacks, saved, 0, &w->next);
    uint32_t start = state_of(w, &w->next);
    *n_allowed = walk_trie(w, rw_vocab_trie(vocab), start, n_vocab, mask);
    if (w->no_memory || w->stacks.failed)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory to find the tokens a grammar allows");
    else if (gave_up(w))
        status = rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                         "grammar: too many ways to read what comes next: gave up after %llu steps",
                         (unsigned long long)RW_GRAMMAR_WORK_LIMIT);
    walk_fini(w);
    return status;
}
