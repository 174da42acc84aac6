/* SPDX-License-Identifier: Apache-2.0 */
#include "text/grammar_stacks.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define TABLE_BEGIN 1024
#define SLOTS (2 * RW_ITEMS_LIMIT)

bool rw_stacks_init(struct rw_stacks *s, const struct rw_automaton *automaton)
{
    *s = (struct rw_stacks){.automaton = automaton};
    s->frames_capacity = TABLE_BEGIN / 2;
    s->frames = rw_alloc(s->frames_capacity, sizeof *s->frames);
    s->table_size = TABLE_BEGIN;
    s->table = rw_calloc(s->table_size, sizeof *s->table);
    s->items = rw_alloc(RW_ITEMS_LIMIT, sizeof *s->items);
    s->slots = rw_calloc(SLOTS, sizeof *s->slots);
    if (!s->frames || !s->table || !s->items || !s->slots) {
        rw_stacks_fini(s);
        return false;
    }
    rw_stacks_reset(s);
    return true;
}

void rw_stacks_fini(struct rw_stacks *s)
{
    rw_free(s->frames);
    rw_free(s->table);
    rw_free(s->items);
    rw_free(s->slots);
    rw_free(s->number);
    *s = (struct rw_stacks){0};
}

void rw_stacks_reset(struct rw_stacks *s)
{
    memset(s->table, 0, s->table_size * sizeof *s->table);
    s->frames[0] = (struct rw_frame){0};
    s->n_frames = 1;
    s->failed = false;
}

/* --- frames --- */

static uint32_t mix(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t h = a * 0x9e3779b1u ^ b * 0x85ebca77u ^ c * 0xc2b2ae3du;
    h = (h ^ h >> 15) * 0x2c1b3c6du;
    return h ^ h >> 13;
}

static void fill_table(struct rw_stacks *s)
{
    for (uint32_t id = 1; id < s->n_frames; id++) {
        const struct rw_frame *f = &s->frames[id];
        size_t at = mix(f->node, f->count, f->parent) & (s->table_size - 1);
        while (s->table[at])
            at = (at + 1) & (s->table_size - 1);
        s->table[at] = id;
    }
}

/* Room for one more, with the table at most half full. */
static bool grow(struct rw_stacks *s)
{
    if (s->n_frames < s->frames_capacity)
        return true;
    uint32_t *table = rw_calloc(s->table_size * 2, sizeof *table);
    if (s->n_frames >= RW_FRAMES_LIMIT || !table ||
        !rw_grow((void **)&s->frames, s->n_frames, &s->frames_capacity, sizeof *s->frames)) {
        rw_free(table);
        s->failed = true;
        return false;
    }
    rw_free(s->table);
    s->table = table;
    s->table_size *= 2;
    fill_table(s);
    return true;
}

static uint32_t push(struct rw_stacks *s, uint32_t node, uint32_t count, uint32_t parent)
{
    if (!grow(s))
        return 0;
    size_t at = mix(node, count, parent) & (s->table_size - 1);
    for (; s->table[at]; at = (at + 1) & (s->table_size - 1)) {
        const struct rw_frame *f = &s->frames[s->table[at]];
        if (f->node == node && f->count == count && f->parent == parent)
            return s->table[at];
    }
    uint32_t id = (uint32_t)s->n_frames++;
    s->frames[id] = (struct rw_frame){node, count, parent, s->frames[parent].depth + 1};
    s->table[at] = id;
    return id;
}

/* --- a step --- */

/* Note a node to be looked at, once. A slot counts only if its item says so, too: so nothing has to
 * be cleared. */
static void visit(struct rw_stacks *s, uint32_t node, uint32_t parent)
{
    if (s->frames[parent].depth + s->automaton->nodes[node].need > RW_DEPTH_LIMIT)
        return;
    uint32_t slot = mix(node, 0, parent) & (SLOTS - 1);
    for (;; slot = (slot + 1) & (SLOTS - 1)) {
        uint32_t i = s->slots[slot];
        if (i >= s->n_items || s->items[i].slot != slot)
            break;
        if (s->items[i].node == node && s->items[i].parent == parent)
            return;
    }
    if (s->n_items == RW_ITEMS_LIMIT)
        return;
    s->slots[slot] = (uint32_t)s->n_items;
    s->items[s->n_items++] = (struct rw_item){node, parent, slot};
}

/* At a repetition of which `done` are behind. */
static void repeat(struct rw_stacks *s, uint32_t id, uint32_t done, uint32_t parent)
{
    const struct rw_node *node = &s->automaton->nodes[id];
    if (done >= node->min)
        visit(s, node->next, parent);
    if (done >= node->max)
        return;
    uint32_t count = done + 1;
    if (node->max == RW_REPEAT_FOREVER) /* past the least number they are all alike */
        count = RW_MIN(count, RW_MAX(node->min, 1u));
    visit(s, node->first, push(s, id, count, parent));
}

static void leave(struct rw_stacks *s, uint32_t parent, struct rw_set *to)
{
    struct rw_frame f = s->frames[parent];
    if (parent == 0)
        to->ends = true;
    else if (f.count > 0)
        repeat(s, f.node, f.count, f.parent);
    else
        visit(s, f.node, f.parent);
}

/* Look at all items, and what follows from them without a byte. */
static void close_set(struct rw_stacks *s, struct rw_set *to)
{
    const struct rw_node *nodes = s->automaton->nodes;
    to->n = 0;
    to->ends = false;
    for (size_t i = 0; i < s->n_items && !s->failed; i++) {
        struct rw_item item = s->items[i];
        const struct rw_node *node = &nodes[item.node];
        switch ((enum rw_node_kind)node->kind) {
        case RW_NODE_BYTES:
            if (to->n < RW_TOPS_LIMIT)
                to->tops[to->n++] = push(s, item.node, 0, item.parent);
            break;
        case RW_NODE_SPLIT:
            visit(s, node->next, item.parent);
            visit(s, node->first, item.parent);
            break;
        case RW_NODE_CALL:
            if (nodes[node->next].kind == RW_NODE_RETURN) /* nothing is left to do here */
                visit(s, node->first, item.parent);
            else
                visit(s, node->first, push(s, node->next, 0, item.parent));
            break;
        case RW_NODE_REPEAT:
            repeat(s, item.node, 0, item.parent);
            break;
        case RW_NODE_RETURN:
            leave(s, item.parent, to);
            break;
        }
    }
    s->work += s->n_items;
}

void rw_stacks_begin(struct rw_stacks *s, struct rw_set *set)
{
    s->n_items = 0;
    visit(s, s->automaton->start, 0);
    close_set(s, set);
}

void rw_stacks_step(struct rw_stacks *s, const struct rw_set *from, uint8_t byte, struct rw_set *to)
{
    const struct rw_automaton *a = s->automaton;
    s->n_items = 0;
    for (size_t i = 0; i < from->n; i++) {
        struct rw_frame top = s->frames[from->tops[i]];
        const struct rw_edge *edges = a->edges + a->nodes[top.node].first;
        for (uint32_t k = 0; k < a->nodes[top.node].count; k++)
            if (byte >= edges[k].low && byte <= edges[k].high)
                visit(s, edges[k].next, top.parent);
    }
    s->work += from->n;
    close_set(s, to);
}

/* --- as values --- */

/* An order that depends on what is in the stacks alone. */
static int compare_tops(const void *a, const void *b, void *stacks)
{
    const struct rw_frame *frames = ((const struct rw_stacks *)stacks)->frames;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    for (; x != y; x = frames[x].parent, y = frames[y].parent) {
        const struct rw_frame *f = &frames[x], *g = &frames[y];
        if (f->node != g->node)
            return f->node < g->node ? -1 : 1;
        if (f->count != g->count)
            return f->count < g->count ? -1 : 1;
        if (f->parent == 0 || g->parent == 0)
            return (f->parent > g->parent) - (f->parent < g->parent);
    }
    return 0;
}

static bool need_numbers(struct rw_stacks *s, size_t n)
{
    if (n <= s->number_capacity)
        return true;
    uint32_t *number = rw_realloc(s->number, n, sizeof *number);
    if (!number)
        return false;
    s->number = number;
    s->number_capacity = n;
    return true;
}

static void add_word(struct rw_saved *to, uint32_t word, bool *ok)
{
    *ok = *ok && rw_grow((void **)&to->words, to->n, &to->capacity, sizeof word);
    if (*ok)
        to->words[to->n++] = word;
}

/* Number a frame and those below it that have no number yet, the lowest first. */
static void save_frame(struct rw_stacks *s, uint32_t top, struct rw_saved *to, uint32_t *n,
                       bool *ok)
{
    uint32_t chain[RW_DEPTH_LIMIT + 1];
    size_t length = 0;
    for (uint32_t id = top; s->number[id] == UINT32_MAX; id = s->frames[id].parent)
        chain[length++] = id;
    while (length-- > 0) {
        const struct rw_frame *f = &s->frames[chain[length]];
        s->number[chain[length]] = (*n)++;
        add_word(to, f->node, ok);
        add_word(to, f->count, ok);
        add_word(to, s->number[f->parent], ok);
    }
}

/* The words: how many stacks, and whether the text may end; the frames, three words each; the
 * topmost frame of each stack. */
bool rw_stacks_save(struct rw_stacks *s, struct rw_set *set, struct rw_saved *to)
{
    bool ok = need_numbers(s, s->frames_capacity);
    uint32_t n = 1;
    to->n = 0;
    if (!ok)
        return false;
    memset(s->number, 0xff, s->n_frames * sizeof *s->number);
    s->number[0] = 0;
    qsort_r(set->tops, set->n, sizeof *set->tops, compare_tops, s);
    add_word(to, (uint32_t)set->n << 1 | set->ends, &ok);
    for (size_t i = 0; i < set->n && ok; i++)
        save_frame(s, set->tops[i], to, &n, &ok);
    for (size_t i = 0; i < set->n; i++)
        add_word(to, s->number[set->tops[i]], &ok);
    return ok;
}

/* A count that, for this many bytes to come, is compared as this one is. Of `count` repetitions the
 * last is being read; in `reach` bytes at most `reach` more can be begun. */
static uint32_t clamp(const struct rw_node *node, uint32_t count, size_t reach)
{
    uint32_t least = RW_MAX(node->min, 1u);
    if (count + reach < node->min)
        return node->min - (uint32_t)reach - 1;
    if (count >= least && count + reach < node->max)
        return least;
    return count;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void rw_stacks_load(struct rw_stacks *s, const struct rw_saved *from, size_t reach,
                    struct rw_set *set)
{
    size_t n_tops = from->words[0] >> 1, n = (from->n - 1 - n_tops) / 3 + 1;
    const uint32_t *w = from->words + 1;
    set->n = 0;
    set->ends = from->words[0] & 1;
    if (!need_numbers(s, n)) {
        s->failed = true;
        return;
    }
    s->number[0] = 0;
    for (size_t i = 1; i < n; i++, w += 3) {
        const struct rw_node *node = &s->automaton->nodes[w[0]];
        uint32_t count = w[1] > 0 && reach > 0 ? clamp(node, w[1], reach) : w[1];
        s->number[i] = push(s, w[0], count, s->number[w[2]]);
    }
    for (size_t i = 0; i < n_tops; i++)
        set->tops[i] = s->number[w[i]];
    if (n_tops > 1)
        qsort(set->tops, n_tops, sizeof *set->tops, compare_ids);
    for (size_t i = 0; i < n_tops; i++)
        if (i == 0 || set->tops[i] != set->tops[set->n - 1])
            set->tops[set->n++] = set->tops[i];
}

void rw_saved_fini(struct rw_saved *saved)
{
    rw_free(saved->words);
    *saved = (struct rw_saved){0};
}
