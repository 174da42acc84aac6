/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to the automaton. An expression is compiled together with what comes after it, so the
 * last part of a text is made first. Characters become bytes of UTF-8 here, and texts to choose
 * from a tree of their common beginnings, so that a choice among a thousand words is one node.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"
#include "text/grammar_automaton.h"

#define NOWHERE UINT32_MAX /* after a failure */

struct compiler {
    const struct rw_rules *rules;
    const struct rw_analysis *analysis;
    struct rw_automaton *out;
    uint32_t *start; /* [n_rules] the node where a rule begins, or NOWHERE */
    uint32_t *queue; /* [n_rules] rules that are called */
    size_t n_queue;
    rwkv_status failed;
};

/* --- nodes --- */

static uint32_t add_node(struct compiler *c, struct rw_node node)
{
    struct rw_automaton *a = c->out;
    if (a->n_nodes >= RW_NODE_LIMIT || a->n_edges >= RW_NODE_LIMIT)
        c->failed = RWKV_ERROR_UNSUPPORTED;
    else if (!rw_grow((void **)&a->nodes, a->n_nodes, &a->nodes_capacity, sizeof node))
        c->failed = RWKV_ERROR_MEMORY;
    if (c->failed != RWKV_OK)
        return 0;
    a->nodes[a->n_nodes] = node;
    return (uint32_t)a->n_nodes++;
}

static uint16_t need_of(const struct compiler *c, uint32_t node)
{
    return c->out->nodes[node].need;
}

/* The least that is needed for an expression and what comes after it. */
static uint16_t need_with(const struct compiler *c, uint32_t expr, uint32_t next)
{
    uint32_t level = RW_MIN(c->analysis->level[expr], (uint32_t)UINT16_MAX);
    return (uint16_t)RW_MAX(level, (uint32_t)need_of(c, next));
}

/* A node for the edges made last; the caller has made them one after the other. */
static uint32_t add_bytes(struct compiler *c, const struct rw_edge *edges, size_t n)
{
    struct rw_automaton *a = c->out;
    uint16_t need = UINT16_MAX;
    uint32_t first = (uint32_t)a->n_edges;
    for (size_t i = 0; i < n && c->failed == RWKV_OK; i++) {
        if (!rw_grow((void **)&a->edges, a->n_edges, &a->edges_capacity, sizeof *edges)) {
            c->failed = RWKV_ERROR_MEMORY;
            return 0;
        }
        a->edges[a->n_edges++] = edges[i];
        need = RW_MIN(need, need_of(c, edges[i].next));
    }
    return add_node(c, (struct rw_node){RW_NODE_BYTES, need, 0, first, (uint32_t)n, 0, 0});
}

static uint32_t add_byte(struct compiler *c, uint8_t byte, uint32_t next)
{
    return add_bytes(c, &(struct rw_edge){byte, byte, next}, 1);
}

static uint32_t add_split(struct compiler *c, uint32_t one, uint32_t other)
{
    uint16_t need = RW_MIN(need_of(c, one), need_of(c, other));
    return add_node(c, (struct rw_node){RW_NODE_SPLIT, need, one, other, 0, 0, 0});
}

static uint32_t add_text(struct compiler *c, const char *text, size_t size, uint32_t next)
{
    while (size > 0 && c->failed == RWKV_OK)
        next = add_byte(c, (uint8_t)text[--size], next);
    return next;
}

/* --- characters --- */

/* Code points of one length in UTF-8 that differ in nothing but bytes that are independent. */
struct bytes_range {
    uint8_t low[4], high[4];
    size_t size;
};

struct bytes_ranges {
    struct bytes_range *list;
    size_t n, capacity;
};

static void add_bytes_range(struct compiler *c, struct bytes_ranges *to, uint32_t low,
                            uint32_t high)
{
    if (!rw_grow((void **)&to->list, to->n, &to->capacity, sizeof *to->list)) {
        c->failed = RWKV_ERROR_MEMORY;
        return;
    }
    struct bytes_range *b = &to->list[to->n++];
    b->size = rw_utf8_put(low, b->low);
    rw_utf8_put(high, b->high);
}

/* Cut [low, high] where the length changes, then where a later byte would depend on an earlier one:
 * of the last k bytes either all are free or the ones before are fixed. */
static void cut_range(struct compiler *c, struct bytes_ranges *to, uint32_t low, uint32_t high)
{
    static const uint32_t last_of_length[] = {0x7f, 0x7ff, 0xffff, 0x10ffff};
    while (low <= high && c->failed == RWKV_OK) {
        size_t length = 0;
        while (low > last_of_length[length])
            length++;
        uint32_t end = RW_MIN(high, last_of_length[length]);
        for (unsigned k = (unsigned)length; k > 0; k--) {
            uint32_t mask = (1u << (6 * k)) - 1;
            if ((low & ~mask) == (end & ~mask))
                continue;
            if (low & mask)
                end = low | mask;
            else if ((end & mask) != mask)
                end = (end & ~mask) - 1;
        }
        add_bytes_range(c, to, low, end);
        low = end + 1;
    }
}

/* A node for ranges of bytes that have their first `at` bytes in common, which is past them. */
static uint32_t add_ranges(struct compiler *c, const struct bytes_range *list, size_t n, size_t at,
                           uint32_t next)
{
    struct rw_edge edges[256]; /* what begins differently begins with other bytes */
    size_t n_edges = 0;
    for (size_t i = 0, end; i < n && c->failed == RWKV_OK; i = end) {
        for (end = i + 1; end < n && list[end].size == list[i].size; end++)
            if (list[end].low[at] != list[i].low[at] || list[end].high[at] != list[i].high[at])
                break;
        uint32_t to =
            at < 3 && at + 1 < list[i].size ? add_ranges(c, list + i, end - i, at + 1, next) : next;
        edges[n_edges++] = (struct rw_edge){list[i].low[at], list[i].high[at], to};
    }
    return add_bytes(c, edges, n_edges);
}

static uint32_t add_chars(struct compiler *c, const struct rw_expr *e, uint32_t next)
{
    struct bytes_ranges all = {0};
    const struct rw_range *ranges = c->rules->ranges + e->first;
    for (uint32_t i = 0; i < e->count; i++)
        cut_range(c, &all, ranges[i].low, ranges[i].high);
    uint32_t node = c->failed == RWKV_OK ? add_ranges(c, all.list, all.n, 0, next) : 0;
    rw_free(all.list);
    return node;
}

/* --- texts to choose from --- */

struct text {
    const char *bytes;
    size_t size;
};

static int compare_texts(const void *a, const void *b)
{
    const struct text *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, RW_MIN(x->size, y->size));
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static size_t common_size(const struct text *a, const struct text *b)
{
    size_t i = 0, limit = RW_MIN(a->size, b->size);
    while (i < limit && a->bytes[i] == b->bytes[i])
        i++;
    return i;
}

/* Sorted texts, all different, that have their first `at` bytes in common. The depth of recursion
 * is the number of texts that continue one another, at most the root of twice their bytes. */
static uint32_t add_texts(struct compiler *c, const struct text *list, size_t n, size_t at,
                          uint32_t next)
{
    size_t n_edges = 0, branch = n > 1 ? common_size(&list[0], &list[n - 1]) : list[0].size;
    bool ends = list[0].size == branch;
    struct rw_edge *edges = rw_alloc(RW_MIN(n, (size_t)256), sizeof *edges);
    if (!edges)
        c->failed = RWKV_ERROR_MEMORY;
    for (size_t i = ends, end; i < n && c->failed == RWKV_OK; i = end) {
        for (end = i + 1; end < n && list[end].bytes[branch] == list[i].bytes[branch];)
            end++;
        uint8_t byte = (uint8_t)list[i].bytes[branch];
        edges[n_edges++] =
            (struct rw_edge){byte, byte, add_texts(c, list + i, end - i, branch + 1, next)};
    }
    uint32_t node = next;
    if (n_edges)
        node = add_bytes(c, edges, n_edges);
    rw_free(edges);
    if (n_edges && ends)
        node = add_split(c, node, next);
    return add_text(c, list[0].bytes + at, branch - at, node);
}

/* --- expressions --- */

static uint32_t add_expr(struct compiler *c, uint32_t id, uint32_t next);

static uint32_t add_choice(struct compiler *c, const struct rw_expr *e, uint32_t next)
{
    const struct rw_rules *r = c->rules;
    struct text *texts = rw_alloc(e->count, sizeof *texts);
    uint32_t node = NOWHERE;
    size_t n = 0, different = 0;
    if (!texts)
        c->failed = RWKV_ERROR_MEMORY;
    for (uint32_t i = e->count; i-- > 0 && c->failed == RWKV_OK;) {
        uint32_t child = r->children[e->first + i];
        const struct rw_expr *inside = &r->exprs[child];
        if (inside->kind == RW_EXPR_TEXT) {
            texts[n++] = (struct text){r->text.data + inside->first, inside->count};
        } else if (c->analysis->level[child] != UINT32_MAX) {
            uint32_t start = add_expr(c, child, next);
            node = node == NOWHERE ? start : add_split(c, start, node);
        }
    }
    if (n > 0 && c->failed == RWKV_OK) {
        qsort(texts, n, sizeof *texts, compare_texts);
        for (size_t i = 0; i < n; i++)
            if (i == 0 || compare_texts(&texts[i - 1], &texts[i]) != 0)
                texts[different++] = texts[i];
        uint32_t start = add_texts(c, texts, different, 0, next);
        node = node == NOWHERE ? start : add_split(c, start, node);
    }
    rw_free(texts);
    return c->failed == RWKV_OK ? node : 0;
}

static uint32_t add_sequence(struct compiler *c, const struct rw_expr *e, uint32_t next)
{
    for (uint32_t i = e->count; i-- > 0 && c->failed == RWKV_OK;)
        next = add_expr(c, c->rules->children[e->first + i], next);
    return next;
}

/* Any number of times: what is repeated goes on to the place where that is decided. */
static uint32_t add_loop(struct compiler *c, const struct rw_expr *e, uint32_t next)
{
    uint32_t decide = add_split(c, next, next);
    uint32_t body = add_expr(c, e->first, decide);
    c->out->nodes[decide].first = body;
    return e->min ? body : decide;
}

/* What may be empty, up to `max` times: being empty is as good as not being there. */
static uint32_t add_copies(struct compiler *c, const struct rw_expr *e, uint32_t next)
{
    uint32_t node = next;
    for (uint32_t i = 0; i < e->max && c->failed == RWKV_OK; i++)
        node = add_split(c, next, add_expr(c, e->first, node));
    return node;
}

static uint32_t add_repeat(struct compiler *c, uint32_t id, uint32_t next)
{
    const struct rw_expr *e = &c->rules->exprs[id];
    if (c->analysis->level[e->first] == UINT32_MAX)
        return next; /* not even once */
    bool nullable = c->analysis->nullable[e->first];
    if (e->max == RW_REPEAT_FOREVER && (e->min <= 1 || nullable))
        return add_loop(c, e, next);
    if (nullable)
        return add_copies(c, e, next);
    if (e->min == 0 && e->max == 1)
        return add_split(c, add_expr(c, e->first, next), next);
    uint32_t body = add_expr(c, e->first, 0);
    return add_node(
        c, (struct rw_node){RW_NODE_REPEAT, need_with(c, id, next), next, body, 0, e->min, e->max});
}

static uint32_t add_call(struct compiler *c, uint32_t id, uint32_t next)
{
    uint32_t rule = c->rules->exprs[id].first;
    if (c->start[rule] == NOWHERE) {
        c->start[rule] = 0;
        c->queue[c->n_queue++] = rule;
    }
    return add_node(c, (struct rw_node){RW_NODE_CALL, need_with(c, id, next), next, rule, 0, 0, 0});
}

/* Only for expressions that some text matches. */
static uint32_t add_expr(struct compiler *c, uint32_t id, uint32_t next)
{
    const struct rw_expr *e = &c->rules->exprs[id];
    if (c->failed != RWKV_OK)
        return 0;
    switch ((enum rw_expr_kind)e->kind) {
    case RW_EXPR_TEXT:
        return add_text(c, c->rules->text.data + e->first, e->count, next);
    case RW_EXPR_CHARS:
        return add_chars(c, e, next);
    case RW_EXPR_SEQUENCE:
        return add_sequence(c, e, next);
    case RW_EXPR_CHOICE:
        return add_choice(c, e, next);
    case RW_EXPR_REPEAT:
        return add_repeat(c, id, next);
    case RW_EXPR_RULE:
        break;
    }
    return add_call(c, id, next);
}

/* --- all of it --- */

static void compile_rules(struct compiler *c, uint32_t root)
{
    add_node(c, (struct rw_node){.kind = RW_NODE_RETURN});
    c->start[root] = 0;
    c->queue[c->n_queue++] = root;
    for (size_t i = 0; i < c->n_queue && c->failed == RWKV_OK; i++)
        c->start[c->queue[i]] = add_expr(c, c->rules->rules[c->queue[i]], 0);
    c->out->start = c->start[root];
    for (size_t i = 0; i < c->out->n_nodes && c->failed == RWKV_OK; i++)
        if (c->out->nodes[i].kind == RW_NODE_CALL)
            c->out->nodes[i].first = c->start[c->out->nodes[i].first];
}

/* Bytes between which no edge begins or ends are of one class. */
static void find_classes(struct rw_automaton *a)
{
    bool begins[257] = {true};
    for (size_t i = 0; i < a->n_edges; i++)
        begins[a->edges[i].low] = begins[a->edges[i].high + 1] = true;
    for (size_t byte = 0; byte < 256; byte++) {
        if (begins[byte])
            a->class_byte[a->n_classes++] = (uint8_t)byte;
        a->byte_class[byte] = (uint8_t)(a->n_classes - 1);
    }
}

static rwkv_status check_root(const struct rw_rules *r, const struct rw_analysis *a, uint32_t root,
                              rwkv_error *err)
{
    uint32_t level = a->level[r->rules[root]];
    if (level == UINT32_MAX)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "grammar: there is no text that it allows: what begins can never end");
    if (level > RW_DEPTH_LIMIT)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "grammar: every text needs rules %u deep inside one another, at most %d",
                       level, RW_DEPTH_LIMIT);
    return RWKV_OK;
}

rwkv_status rw_automaton_compile(const struct rw_rules *r, const struct rw_analysis *a,
                                 uint32_t root, struct rw_automaton *out, rwkv_error *err)
{
    *out = (struct rw_automaton){0};
    RW_TRY(check_root(r, a, root, err));
    struct compiler c = {.rules = r, .analysis = a, .out = out};
    c.start = rw_alloc(r->n_rules, sizeof *c.start);
    c.queue = rw_alloc(r->n_rules, sizeof *c.queue);
    if (c.start && c.queue) {
        memset(c.start, 0xff, r->n_rules * sizeof *c.start);
        compile_rules(&c, root);
        find_classes(out);
    } else {
        c.failed = RWKV_ERROR_MEMORY;
    }
    rw_free(c.start);
    rw_free(c.queue);
    if (c.failed == RWKV_OK)
        return RWKV_OK;
    rw_automaton_fini(out);
    return c.failed == RWKV_ERROR_MEMORY
               ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a grammar")
               : rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                         "grammar: too large: it makes more than %zu states", RW_NODE_LIMIT);
}

void rw_automaton_fini(struct rw_automaton *a)
{
    rw_free(a->nodes);
    rw_free(a->edges);
    *a = (struct rw_automaton){0};
}
