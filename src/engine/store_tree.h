/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A radix tree over sequences of tokens. Each node is a sequence, the one of its parent and the
 * node's edge; what is stored at a sequence is the node's value. A node without a value has at
 * least two children: it is where sequences part.
 *
 *     struct rw_tree_node *node = rw_tree_insert(&tree, tokens, n);
 *     node->value = value;                                 // NULL node: no memory
 *     node = rw_tree_longest(&tree, other, n_other);       // NULL: no beginning is there
 *     node->value = NULL;
 *     rw_tree_prune(&tree, node);
 *
 * A pointer to a node that has a value stays good until the value is taken away and pruned.
 */
#ifndef RW_ENGINE_STORE_TREE_H
#define RW_ENGINE_STORE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rw_tree_node {
    struct rw_tree_node *parent;    /* NULL: the root */
    struct rw_tree_node **children; /* [n_children], ascending by the first token of their edges */
    size_t n_children, capacity;
    int32_t *edge; /* [n_edge]; n_edge ≥ 1 but for the root */
    size_t n_edge;
    size_t depth; /* tokens from the root, the edge included */
    void *value;  /* the caller's */
};

struct rw_tree {
    struct rw_tree_node root;
    size_t bytes; /* taken by nodes and edges */
};

/* A tree of zeros is empty. Call `release` (nullable) with each value and free all. */
void rw_tree_fini(struct rw_tree *tree, void (*release)(void *user, void *value), void *user);
/* The node of the longest beginning of the tokens, at least one long, that has a value. */
struct rw_tree_node *rw_tree_longest(const struct rw_tree *tree, const int32_t *tokens, size_t n);
/* The node of just these tokens; NULL if there is none. It may be without a value. */
struct rw_tree_node *rw_tree_find(const struct rw_tree *tree, const int32_t *tokens, size_t n);
/* The same, made if need be; n ≥ 1. NULL: no memory, and the tree is as it was. */
struct rw_tree_node *rw_tree_insert(struct rw_tree *tree, const int32_t *tokens, size_t n);
/* Free what is not needed any more of a node that has no value, and of those above it. */
void rw_tree_prune(struct rw_tree *tree, struct rw_tree_node *node);
/* The nearest node above that has a value. */
struct rw_tree_node *rw_tree_above(const struct rw_tree_node *node);
/* Write the node's tokens to `tokens` [depth]. */
void rw_tree_tokens(const struct rw_tree_node *node, int32_t *tokens);

#endif
