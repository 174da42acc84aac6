/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compact, immutable trie over byte strings, for greedy longest match.
 *
 * Nodes are numbered level by level, and the children of a node stand side by side in the order of
 * their bytes, so node i needs nothing but where its children begin: they end where those of node
 * i + 1 begin. Nine bytes a node; the World vocabulary makes 116,079 of them.
 */
#ifndef RW_TEXT_TRIE_H
#define RW_TEXT_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rw_trie_key {
    const uint8_t *bytes; /* borrowed during rw_trie_build */
    size_t size;          /* ≥ 1 */
    int32_t value;        /* ≥ 0 */
};

struct rw_trie_node {
    uint32_t first; /* its children are [first, first of the next node) */
    int32_t value;  /* of the string that ends here; -1: none does */
};

struct rw_trie {
    struct rw_trie_node *nodes; /* [n_nodes + 1], the root first, an end mark last */
    uint8_t *labels;            /* [n_nodes]: the byte that leads to the node */
    size_t n_nodes;
};

/* Build from `n` keys in ascending order of their bytes, all different. False: no memory, or 2³²
 * nodes or more. Memory and time are in proportion to the bytes of the keys. */
bool rw_trie_build(struct rw_trie *trie, const struct rw_trie_key *keys, size_t n);
void rw_trie_fini(struct rw_trie *trie);

/* The value of the longest key that `text` (n bytes) begins with, and its length; -1: there is
 * none. */
int32_t rw_trie_longest(const struct rw_trie *trie, const uint8_t *text, size_t n, size_t *length);

#endif
