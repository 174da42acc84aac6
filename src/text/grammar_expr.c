/* SPDX-License-Identifier: Apache-2.0 */
#include "text/grammar_expr.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define CODE_MAX 0x10ffffu

void rw_rules_init(struct rw_rules *r)
{
    *r = (struct rw_rules){0};
    rw_expr_choice(r, NULL, 0);   /* RW_EXPR_NONE */
    rw_expr_sequence(r, NULL, 0); /* RW_EXPR_EMPTY */
}

void rw_rules_fini(struct rw_rules *r)
{
    rw_free(r->exprs);
    rw_free(r->children);
    rw_free(r->ranges);
    rw_free(r->rules);
    rw_str_fini(&r->text);
    *r = (struct rw_rules){0};
}

rwkv_status rw_rules_check(const struct rw_rules *r, rwkv_error *err)
{
    if (r->failed == RWKV_ERROR_UNSUPPORTED)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "grammar: too large: it has more than %zu parts", RW_EXPR_LIMIT);
    if (r->failed != RWKV_OK || r->text.failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    return RWKV_OK;
}

/* Append `n` elements to an array; where they begin. */
static uint32_t append(struct rw_rules *r, void **array, size_t *count, size_t *capacity,
                       const void *items, size_t n, size_t size)
{
    if (r->failed != RWKV_OK)
        return 0;
    if (n > RW_EXPR_LIMIT - *count)
        r->failed = RWKV_ERROR_UNSUPPORTED;
    size_t first = *count;
    for (size_t i = 0; i < n && r->failed == RWKV_OK; i++) {
        if (!rw_grow(array, *count, capacity, size)) {
            r->failed = RWKV_ERROR_MEMORY;
            break;
        }
        memcpy((char *)*array + *count * size, (const char *)items + i * size, size);
        ++*count;
    }
    return (uint32_t)first;
}

static uint32_t add(struct rw_rules *r, struct rw_expr e)
{
    uint32_t id = append(r, (void **)&r->exprs, &r->n_exprs, &r->exprs_capacity, &e, 1, sizeof e);
    return r->failed == RWKV_OK ? id : RW_EXPR_NONE;
}

static uint32_t add_children(struct rw_rules *r, const uint32_t *children, size_t n)
{
    return append(r, (void **)&r->children, &r->n_children, &r->children_capacity, children, n,
                  sizeof *children);
}

uint32_t rw_rule_new(struct rw_rules *r)
{
    uint32_t undefined = RW_RULE_UNDEFINED;
    return append(r, (void **)&r->rules, &r->n_rules, &r->rules_capacity, &undefined, 1,
                  sizeof undefined);
}

void rw_rule_set(struct rw_rules *r, uint32_t rule, uint32_t expr)
{
    if (r->failed == RWKV_OK)
        r->rules[rule] = expr;
}

uint32_t rw_expr_text(struct rw_rules *r, const char *text, size_t size)
{
    if (size == 0)
        return RW_EXPR_EMPTY;
    if (size > UINT32_MAX - r->text.size) {
        r->failed = RWKV_ERROR_UNSUPPORTED;
        return RW_EXPR_NONE;
    }
    uint32_t first = (uint32_t)r->text.size;
    rw_str_add(&r->text, text, size);
    return add(r, (struct rw_expr){RW_EXPR_TEXT, first, (uint32_t)size, 0, 0});
}

uint32_t rw_expr_string(struct rw_rules *r, const char *text)
{
    return rw_expr_text(r, text, strlen(text));
}

uint32_t rw_expr_sequence(struct rw_rules *r, const uint32_t *children, size_t n)
{
    if (n == 1)
        return children[0];
    uint32_t first = add_children(r, children, n);
    return add(r, (struct rw_expr){RW_EXPR_SEQUENCE, first, (uint32_t)n, 0, 0});
}

uint32_t rw_expr_choice(struct rw_rules *r, const uint32_t *children, size_t n)
{
    if (n == 1)
        return children[0];
    uint32_t first = add_children(r, children, n);
    return add(r, (struct rw_expr){RW_EXPR_CHOICE, first, (uint32_t)n, 0, 0});
}

uint32_t rw_expr_repeat(struct rw_rules *r, uint32_t child, uint32_t min, uint32_t max)
{
    if (max == 0)
        return RW_EXPR_EMPTY;
    if (min == 1 && max == 1)
        return child;
    return add(r, (struct rw_expr){RW_EXPR_REPEAT, child, 0, min, max});
}

uint32_t rw_expr_optional(struct rw_rules *r, uint32_t child)
{
    return rw_expr_choice(r, (uint32_t[]){child, RW_EXPR_EMPTY}, 2);
}

uint32_t rw_expr_rule(struct rw_rules *r, uint32_t rule)
{
    return add(r, (struct rw_expr){RW_EXPR_RULE, rule, 0, 0, 0});
}

/* --- characters --- */

static int compare_ranges(const void *a, const void *b)
{
    const struct rw_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

size_t rw_ranges_merge(struct rw_range *ranges, size_t n)
{
    size_t left = 0;
    if (n)
        qsort(ranges, n, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].low > ranges[i].high)
            continue;
        if (left && ranges[i].low <= ranges[left - 1].high + 1)
            ranges[left - 1].high = RW_MAX(ranges[left - 1].high, ranges[i].high);
        else
            ranges[left++] = ranges[i];
    }
    return left;
}

/* Without the surrogates. */
static void add_range(struct rw_rules *r, uint32_t low, uint32_t high, uint32_t *count)
{
    const struct rw_range parts[2] = {{low, RW_MIN(high, 0xd7ffu)},
                                      {RW_MAX(low, 0xe000u), RW_MIN(high, CODE_MAX)}};
    for (size_t i = 0; i < 2; i++) {
        if (parts[i].low > parts[i].high)
            continue;
        append(r, (void **)&r->ranges, &r->n_ranges, &r->ranges_capacity, &parts[i], 1,
               sizeof parts[i]);
        ++*count;
    }
}

uint32_t rw_expr_chars(struct rw_rules *r, struct rw_range *ranges, size_t n, bool negated)
{
    uint32_t first = (uint32_t)r->n_ranges, count = 0, next = 0;
    n = rw_ranges_merge(ranges, n);
    for (size_t i = 0; i < n; i++) {
        if (!negated)
            add_range(r, ranges[i].low, ranges[i].high, &count);
        else if (ranges[i].low > next)
            add_range(r, next, ranges[i].low - 1, &count);
        next = ranges[i].high + 1;
    }
    if (negated && next <= CODE_MAX)
        add_range(r, next, CODE_MAX, &count);
    return count ? add(r, (struct rw_expr){RW_EXPR_CHARS, first, count, 0, 0}) : RW_EXPR_NONE;
}

/* --- lists --- */

void rw_list_add(struct rw_rules *r, struct rw_list *list, uint32_t item)
{
    append(r, (void **)&list->items, &list->n, &list->capacity, &item, 1, sizeof item);
}

void rw_list_fini(struct rw_list *list)
{
    rw_free(list->items);
    *list = (struct rw_list){0};
}
