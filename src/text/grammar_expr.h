/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules as trees, which the readers of grammars and schemas build and the compiler takes apart:
 *
 *     struct rw_rules r;
 *     rw_rules_init(&r);
 *     uint32_t root = rw_rule_new(&r);
 *     rw_rule_set(&r, root, rw_expr_choice(&r, (uint32_t[]){rw_expr_text(&r, "[]", 2),
 *                                                           rw_expr_rule(&r, other)}, 2));
 *
 * An expression is a number; it may be used in several places, and only those made before it are
 * inside it, so there are no cycles but through rules. Building never fails on the spot: after a
 * failure `failed` says what it was, and everything is RW_EXPR_NONE.
 */
#ifndef RW_TEXT_GRAMMAR_EXPR_H
#define RW_TEXT_GRAMMAR_EXPR_H

#include "base/str.h"
#include "rwkv.h"

#define RW_EXPR_LIMIT ((size_t)1 << 18) /* expressions; also of the lists they consist of */
#define RW_REPEAT_LIMIT 1000000000u     /* times that a number in a grammar may ask for */
#define RW_REPEAT_FOREVER UINT32_MAX

enum rw_expr_kind {
    RW_EXPR_TEXT,     /* [first, first + count) of `text` */
    RW_EXPR_CHARS,    /* one character of the ranges [first, first + count) */
    RW_EXPR_SEQUENCE, /* the children [first, first + count), one after the other */
    RW_EXPR_CHOICE,   /* one of them */
    RW_EXPR_REPEAT,   /* the expression `first`, min to max times */
    RW_EXPR_RULE      /* the rule `first` */
};

struct rw_expr {
    uint32_t kind, first, count;
    uint32_t min, max; /* of a repetition */
};

#define RW_EXPR_NONE 0u  /* matches nothing at all: a choice without alternatives */
#define RW_EXPR_EMPTY 1u /* matches the empty text */
#define RW_RULE_UNDEFINED UINT32_MAX

struct rw_range { /* of code points */
    uint32_t low, high;
};

struct rw_rules {
    struct rw_expr *exprs;
    size_t n_exprs, exprs_capacity;
    uint32_t *children;
    size_t n_children, children_capacity;
    struct rw_range *ranges;
    size_t n_ranges, ranges_capacity;
    uint32_t *rules; /* [n_rules] their expressions, or RW_RULE_UNDEFINED */
    size_t n_rules, rules_capacity;
    struct rw_str text;
    rwkv_status failed; /* RWKV_OK, RWKV_ERROR_MEMORY, or RWKV_ERROR_UNSUPPORTED: too large */
};

void rw_rules_init(struct rw_rules *r);
void rw_rules_fini(struct rw_rules *r);

/* What went wrong while building, as an error. */
rwkv_status rw_rules_check(const struct rw_rules *r, rwkv_error *err);

uint32_t rw_rule_new(struct rw_rules *r); /* its number; undefined as yet */
void rw_rule_set(struct rw_rules *r, uint32_t rule, uint32_t expr);

uint32_t rw_expr_text(struct rw_rules *r, const char *text, size_t size);
uint32_t rw_expr_string(struct rw_rules *r, const char *text); /* the same, terminated */
uint32_t rw_expr_sequence(struct rw_rules *r, const uint32_t *children, size_t n);
uint32_t rw_expr_choice(struct rw_rules *r, const uint32_t *children, size_t n);
uint32_t rw_expr_repeat(struct rw_rules *r, uint32_t child, uint32_t min, uint32_t max);
uint32_t rw_expr_optional(struct rw_rules *r, uint32_t child);
uint32_t rw_expr_rule(struct rw_rules *r, uint32_t rule);

/* One character of the ranges, which may be in any order and overlap; with `negated`, any other.
 * Surrogates are no characters. Changes the order of `ranges`. */
uint32_t rw_expr_chars(struct rw_rules *r, struct rw_range *ranges, size_t n, bool negated);

/* Sort and merge ranges in place; how many there are then. */
size_t rw_ranges_merge(struct rw_range *ranges, size_t n);

/* A growing list, for children whose number is not known. */
struct rw_list {
    uint32_t *items;
    size_t n, capacity;
};

void rw_list_add(struct rw_rules *r, struct rw_list *list, uint32_t item);
void rw_list_fini(struct rw_list *list);

#endif
