/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A grammar ready to be walked: an immutable pushdown automaton over bytes. A node says what may
 * come; what it does not say, where to go on after a rule, is on the stack.
 */
#ifndef RW_TEXT_GRAMMAR_AUTOMATON_H
#define RW_TEXT_GRAMMAR_AUTOMATON_H

#include "text/grammar_expr.h"

#define RW_NODE_LIMIT ((size_t)1 << 19) /* nodes, and edges */
#define RW_DEPTH_LIMIT 1024             /* frames of a stack */

enum rw_node_kind {
    RW_NODE_BYTES,  /* one byte of the edges [first, first + count), which say where next */
    RW_NODE_SPLIT,  /* `next` or `first`, without a byte */
    RW_NODE_CALL,   /* the rule that begins at `first`, then `next` */
    RW_NODE_REPEAT, /* what begins at `first`, min to max times, never empty, then `next` */
    RW_NODE_RETURN  /* where the stack says */
};

struct rw_node {
    uint8_t kind;
    uint16_t need; /* frames that are needed at least to get from here to a RETURN */
    uint32_t next, first, count;
    uint32_t min, max;
};

struct rw_edge {
    uint8_t low, high;
    uint32_t next;
};

struct rw_automaton {
    struct rw_node *nodes; /* the first one is the only RETURN */
    size_t n_nodes, nodes_capacity;
    struct rw_edge *edges;
    size_t n_edges, edges_capacity;
    uint32_t start;
    uint8_t byte_class[256]; /* bytes of a class lead to the same places everywhere */
    uint8_t class_byte[256]; /* [n_classes] one of each */
    size_t n_classes;
};

/* What is known of every expression (grammar_analyse.c). */
struct rw_analysis {
    uint8_t *nullable; /* [n_exprs] may be empty */
    uint32_t *level;   /* [n_exprs] frames needed to match some text; UINT32_MAX: none matches */
};

/* Refuses left recursion, which names a rule by `name_of(names, rule)`. */
rwkv_status rw_rules_analyse(const struct rw_rules *r, struct rw_analysis *a,
                             const char *(*name_of)(const void *names, uint32_t rule),
                             const void *names, rwkv_error *err);
void rw_analysis_fini(struct rw_analysis *a);

/* All rules are defined. Refuses what no finite text matches, and what is too large or deep. */
rwkv_status rw_automaton_compile(const struct rw_rules *r, const struct rw_analysis *a,
                                 uint32_t root, struct rw_automaton *out, rwkv_error *err);
void rw_automaton_fini(struct rw_automaton *a);

#endif
