/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children are found by bisection and tokens compared one by one, so what is found is what was
 * asked for. Nothing recurses: a conversation of many turns makes a deep tree.
 */
#include "engine/store_tree.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define BLOCK_BYTES 16 /* what an allocator adds to a block, about */

static size_t node_bytes(const struct rw_tree_node *node)
{
    size_t bytes = sizeof *node + BLOCK_BYTES + node->n_edge * sizeof *node->edge + BLOCK_BYTES;
    return node->capacity ? bytes + node->capacity * sizeof(void *) + BLOCK_BYTES : bytes;
}

static void free_node(struct rw_tree_node *node)
{
    rw_free(node->children);
    rw_free(node->edge);
    rw_free(node);
}

/* A node without children whose edge is a copy of those tokens. */
static struct rw_tree_node *new_node(struct rw_tree_node *parent, const int32_t *edge, size_t n)
{
    struct rw_tree_node *node = rw_calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->edge = rw_alloc(n, sizeof *edge);
    if (!node->edge) {
        rw_free(node);
        return NULL;
    }
    memcpy(node->edge, edge, n * sizeof *edge);
    node->n_edge = n;
    node->parent = parent;
    node->depth = parent->depth + n;
    return node;
}

/* Where among the children one whose edge begins with the token is, or would be. */
static size_t child_place(const struct rw_tree_node *node, int32_t token)
{
    size_t low = 0, high = node->n_children;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (node->children[middle]->edge[0] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct rw_tree_node *child_of(const struct rw_tree_node *node, int32_t token)
{
    size_t at = child_place(node, token);
    bool there = at < node->n_children && node->children[at]->edge[0] == token;
    return there ? node->children[at] : NULL;
}

/* How many tokens of a node's edge agree with those. */
static size_t common(const struct rw_tree_node *node, const int32_t *tokens, size_t n)
{
    size_t i = 0, most = RW_MIN(n, node->n_edge);
    while (i < most && node->edge[i] == tokens[i])
        i++;
    return i;
}

struct rw_tree_node *rw_tree_longest(const struct rw_tree *tree, const int32_t *tokens, size_t n)
{
    const struct rw_tree_node *node = &tree->root;
    struct rw_tree_node *found = NULL, *child;
    while (node->depth < n && (child = child_of(node, tokens[node->depth]))) {
        if (common(child, tokens + node->depth, n - node->depth) < child->n_edge)
            break;
        if (child->value)
            found = child;
        node = child;
    }
    return found;
}

struct rw_tree_node *rw_tree_find(const struct rw_tree *tree, const int32_t *tokens, size_t n)
{
    const struct rw_tree_node *node = &tree->root;
    struct rw_tree_node *child = NULL;
    while (node->depth < n) {
        child = child_of(node, tokens[node->depth]);
        if (!child || common(child, tokens + node->depth, n - node->depth) < child->n_edge)
            return NULL;
        node = child;
    }
    return child;
}

static bool add_child(struct rw_tree *tree, struct rw_tree_node *node, struct rw_tree_node *child)
{
    size_t before = node->capacity, at = child_place(node, child->edge[0]);
    if (!rw_grow((void **)&node->children, node->n_children, &node->capacity,
                 sizeof(struct rw_tree_node *)))
        return false;
    tree->bytes += (node->capacity - before) * sizeof(void *) + (before ? 0 : BLOCK_BYTES);
    memmove(node->children + at + 1, node->children + at,
            (node->n_children - at) * sizeof *node->children);
    node->children[at] = child;
    node->n_children++;
    return true;
}

/* Part the edge of a node after its first n tokens; the new node above it, or NULL. */
static struct rw_tree_node *split(struct rw_tree *tree, struct rw_tree_node *node, size_t n)
{
    struct rw_tree_node *parent = node->parent, *upper = new_node(parent, node->edge, n);
    if (!upper)
        return NULL;
    tree->bytes += node_bytes(upper);
    if (!add_child(tree, upper, node)) {
        tree->bytes -= node_bytes(upper);
        free_node(upper);
        return NULL;
    }
    parent->children[child_place(parent, node->edge[0])] = upper;
    tree->bytes -= n * sizeof *node->edge;
    node->n_edge -= n;
    memmove(node->edge, node->edge + n, node->n_edge * sizeof *node->edge);
    int32_t *less = rw_realloc(node->edge, node->n_edge, sizeof *node->edge);
    node->edge = less ? less : node->edge;
    node->parent = upper;
    upper->children[0] = node; /* its edge begins with another token now; it is the only one */
    return upper;
}

struct rw_tree_node *rw_tree_insert(struct rw_tree *tree, const int32_t *tokens, size_t n)
{
    struct rw_tree_node *node = &tree->root, *child;
    while (node->depth < n && (child = child_of(node, tokens[node->depth]))) {
        size_t same = common(child, tokens + node->depth, n - node->depth);
        if (same < child->n_edge && !(child = split(tree, child, same)))
            return NULL;
        node = child;
    }
    if (node->depth == n)
        return node;
    child = new_node(node, tokens + node->depth, n - node->depth);
    if (!child || !add_child(tree, node, child)) {
        if (child)
            free_node(child);
        rw_tree_prune(tree, node); /* it may have been split off for this */
        return NULL;
    }
    tree->bytes += node_bytes(child);
    return child;
}

static void remove_leaf(struct rw_tree *tree, struct rw_tree_node *node)
{
    struct rw_tree_node *parent = node->parent;
    size_t at = child_place(parent, node->edge[0]);
    parent->n_children--;
    memmove(parent->children + at, parent->children + at + 1,
            (parent->n_children - at) * sizeof *parent->children);
    tree->bytes -= node_bytes(node);
    free_node(node);
}

/* Put a node's edge before that of its only child, which takes its place. */
static void join(struct rw_tree *tree, struct rw_tree_node *node)
{
    struct rw_tree_node *child = node->children[0], *parent = node->parent;
    size_t n = node->n_edge;
    int32_t *edge = rw_realloc(child->edge, child->n_edge + n, sizeof *edge);
    if (!edge)
        return; /* the tree is right, only one node larger than it need be */
    memmove(edge + n, edge, child->n_edge * sizeof *edge);
    memcpy(edge, node->edge, n * sizeof *edge);
    child->edge = edge;
    child->n_edge += n;
    child->parent = parent;
    parent->children[child_place(parent, edge[0])] = child;
    tree->bytes += n * sizeof *edge;
    tree->bytes -= node_bytes(node);
    free_node(node);
}

void rw_tree_prune(struct rw_tree *tree, struct rw_tree_node *node)
{
    while (node->parent && !node->value && node->n_children == 0) {
        struct rw_tree_node *parent = node->parent;
        remove_leaf(tree, node);
        node = parent;
    }
    if (node->parent && !node->value && node->n_children == 1)
        join(tree, node);
}

struct rw_tree_node *rw_tree_above(const struct rw_tree_node *node)
{
    struct rw_tree_node *above = node->parent;
    while (above && !above->value)
        above = above->parent;
    return above;
}

void rw_tree_tokens(const struct rw_tree_node *node, int32_t *tokens)
{
    for (; node->parent; node = node->parent)
        memcpy(tokens + node->parent->depth, node->edge, node->n_edge * sizeof *tokens);
}

void rw_tree_fini(struct rw_tree *tree, void (*release)(void *user, void *value), void *user)
{
    struct rw_tree_node *node = &tree->root;
    for (;;) {
        if (node->n_children > 0) {
            node = node->children[node->n_children - 1];
            continue;
        }
        if (node->value && release)
            release(user, node->value);
        if (!node->parent)
            break;
        struct rw_tree_node *parent = node->parent;
        parent->n_children--;
        free_node(node);
        node = parent;
    }
    rw_free(tree->root.children);
    *tree = (struct rw_tree){0};
}
