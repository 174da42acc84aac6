/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the compiler must know of every expression: whether it may be empty, whether any text
 * matches it and with how deep a stack, and that no rule begins with itself. All three follow from
 * what is inside an expression and are found by spreading from the inside out, each edge once, so
 * the time is in proportion to the size whatever the grammar.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "text/grammar_automaton.h"

/* For each expression those it is directly inside of, as many times as it is. */
struct users {
    uint32_t *first; /* [n_exprs + 1] */
    uint32_t *list;
};

struct work {
    const struct rw_rules *rules;
    struct rw_analysis *out;
    struct users users;
    uint32_t *missing;     /* [n_exprs] of a sequence: children not known to match yet */
    uint32_t *now, *later; /* [edges + n_exprs] expressions to be looked at */
    size_t n_now, n_later;
    uint32_t level;
};

static uint32_t count_inside(const struct rw_rules *r, uint32_t id)
{
    const struct rw_expr *e = &r->exprs[id];
    switch (e->kind) {
    case RW_EXPR_SEQUENCE:
    case RW_EXPR_CHOICE:
        return e->count;
    case RW_EXPR_REPEAT:
    case RW_EXPR_RULE:
        return 1;
    default:
        return 0;
    }
}

static uint32_t inside(const struct rw_rules *r, uint32_t id, uint32_t i)
{
    const struct rw_expr *e = &r->exprs[id];
    if (e->kind == RW_EXPR_RULE)
        return r->rules[e->first];
    return e->kind == RW_EXPR_REPEAT ? e->first : r->children[e->first + i];
}

/* Those of what is inside that may be at the very beginning. */
static uint32_t count_leading(const struct work *w, uint32_t id)
{
    uint32_t n = count_inside(w->rules, id);
    if (w->rules->exprs[id].kind != RW_EXPR_SEQUENCE)
        return n;
    for (uint32_t i = 0; i < n; i++)
        if (!w->out->nullable[inside(w->rules, id, i)])
            return i + 1;
    return n;
}

static bool find_users(struct work *w, bool leading)
{
    const struct rw_rules *r = w->rules;
    size_t n = r->n_exprs;
    memset(w->users.first, 0, (n + 1) * sizeof *w->users.first);
    for (uint32_t id = 0; id < n; id++)
        for (uint32_t i = 0, c = leading ? count_leading(w, id) : count_inside(r, id); i < c; i++)
            w->users.first[inside(r, id, i) + 1]++;
    for (size_t id = 0; id < n; id++)
        w->users.first[id + 1] += w->users.first[id];
    rw_free(w->users.list);
    w->users.list = rw_alloc(w->users.first[n] + 1, sizeof *w->users.list);
    if (!w->users.list)
        return false;
    for (uint32_t id = 0; id < n; id++)
        for (uint32_t i = 0, c = leading ? count_leading(w, id) : count_inside(r, id); i < c; i++)
            w->users.list[w->users.first[inside(r, id, i)]++] = id;
    for (size_t id = n; id > 0; id--) /* where each began */
        w->users.first[id] = w->users.first[id - 1];
    w->users.first[0] = 0;
    return true;
}

/* --- empty, and possible --- */

static bool is_empty_itself(const struct rw_expr *e)
{
    return (e->kind == RW_EXPR_REPEAT && e->min == 0) ||
           (e->kind == RW_EXPR_SEQUENCE && e->count == 0);
}

static void find_nullable(struct work *w)
{
    const struct rw_rules *r = w->rules;
    uint8_t *nullable = w->out->nullable;
    w->n_now = 0;
    for (uint32_t id = 0; id < r->n_exprs; id++) {
        nullable[id] = is_empty_itself(&r->exprs[id]);
        w->missing[id] = count_inside(r, id);
        if (nullable[id])
            w->now[w->n_now++] = id;
    }
    for (size_t i = 0; i < w->n_now; i++)
        for (uint32_t u = w->users.first[w->now[i]]; u < w->users.first[w->now[i] + 1]; u++) {
            uint32_t user = w->users.list[u];
            bool done = r->exprs[user].kind != RW_EXPR_SEQUENCE || --w->missing[user] == 0;
            if (done && !nullable[user]) {
                nullable[user] = 1;
                w->now[w->n_now++] = user;
            }
        }
}

/* What one expression that matches something, at the level at work, means for its users. */
static void spread_level(struct work *w, uint32_t id)
{
    for (uint32_t u = w->users.first[id]; u < w->users.first[id + 1]; u++) {
        uint32_t user = w->users.list[u];
        uint32_t kind = w->rules->exprs[user].kind;
        if (w->out->level[user] != UINT32_MAX)
            continue;
        if (kind == RW_EXPR_RULE || kind == RW_EXPR_REPEAT) { /* these push a frame */
            w->later[w->n_later++] = user;
        } else if (kind == RW_EXPR_CHOICE || --w->missing[user] == 0) {
            w->out->level[user] = w->level;
            w->now[w->n_now++] = user;
        }
    }
}

static void find_levels(struct work *w)
{
    const struct rw_rules *r = w->rules;
    uint32_t *level = w->out->level;
    w->n_now = w->n_later = 0;
    for (uint32_t id = 0; id < r->n_exprs; id++) {
        const struct rw_expr *e = &r->exprs[id];
        bool itself = is_empty_itself(e) || e->kind == RW_EXPR_TEXT || e->kind == RW_EXPR_CHARS;
        level[id] = itself ? 0 : UINT32_MAX;
        w->missing[id] = count_inside(r, id);
        if (itself)
            w->now[w->n_now++] = id;
    }
    for (w->level = 0; w->n_now > 0; w->level++) {
        for (size_t i = 0; i < w->n_now; i++)
            spread_level(w, w->now[i]);
        w->n_now = 0;
        for (size_t i = 0; i < w->n_later; i++)
            if (level[w->later[i]] == UINT32_MAX) {
                level[w->later[i]] = w->level + 1;
                w->now[w->n_now++] = w->later[i];
            }
        w->n_later = 0;
    }
}

/* --- left recursion --- */

/* An expression that begins with itself goes through a rule: find it, from one whose beginnings
 * were not all resolved. After a second look at an expression, everything on the way is on a
 * circle. */
static uint32_t recursive_rule(const struct work *w, uint32_t id)
{
    const struct rw_rules *r = w->rules;
    uint32_t *looks = w->later;
    memset(looks, 0, r->n_exprs * sizeof *looks);
    for (; ++looks[id] < 2 || r->exprs[id].kind != RW_EXPR_RULE;) {
        uint32_t i = 0;
        while (w->missing[inside(r, id, i)] == 0)
            i++;
        id = inside(r, id, i);
    }
    return r->exprs[id].first;
}

/* Take away what begins with nothing that is left, until nothing is, or only circles. */
static bool begins_with_itself(struct work *w, uint32_t *rule)
{
    size_t n = w->rules->n_exprs;
    w->n_now = 0;
    for (uint32_t id = 0; id < n; id++) {
        w->missing[id] = count_leading(w, id);
        if (w->missing[id] == 0)
            w->now[w->n_now++] = id;
    }
    for (size_t i = 0; i < w->n_now; i++)
        for (uint32_t u = w->users.first[w->now[i]]; u < w->users.first[w->now[i] + 1]; u++)
            if (--w->missing[w->users.list[u]] == 0)
                w->now[w->n_now++] = w->users.list[u];
    for (uint32_t id = 0; id < n; id++)
        if (w->missing[id] > 0) {
            *rule = recursive_rule(w, id);
            return true;
        }
    return false;
}

static bool take_memory(struct work *w)
{
    size_t n = w->rules->n_exprs, most = n + w->rules->n_children + n;
    w->out->nullable = rw_calloc(n, 1);
    w->out->level = rw_alloc(n, sizeof(uint32_t));
    w->users.first = rw_alloc(n + 1, sizeof(uint32_t));
    w->missing = rw_alloc(n, sizeof(uint32_t));
    w->now = rw_alloc(most, sizeof(uint32_t));
    w->later = rw_alloc(most, sizeof(uint32_t));
    return w->out->nullable && w->out->level && w->users.first && w->missing && w->now &&
           w->later && find_users(w, false);
}

rwkv_status rw_rules_analyse(const struct rw_rules *r, struct rw_analysis *a,
                             const char *(*name_of)(const void *names, uint32_t rule),
                             const void *names, rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    uint32_t rule = 0;
    *a = (struct rw_analysis){0};
    struct work w = {.rules = r, .out = a};
    bool memory = take_memory(&w);
    if (memory) {
        find_nullable(&w);
        find_levels(&w);
        memory = find_users(&w, true);
    }
    if (!memory)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    else if (begins_with_itself(&w, &rule))
        status = rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                         "grammar: rule '%s' begins with itself: wanted a rule that takes some "
                         "text first",
                         name_of(names, rule));
    rw_free(w.users.first);
    rw_free(w.users.list);
    rw_free(w.missing);
    rw_free(w.now);
    rw_free(w.later);
    if (status != RWKV_OK)
        rw_analysis_fini(a);
    return status;
}

void rw_analysis_fini(struct rw_analysis *a)
{
    rw_free(a->nullable);
    rw_free(a->level);
    *a = (struct rw_analysis){0};
}
