/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building works on the sorted keys: a node is a range of keys with a common beginning, and one
 * pass over that range splits it into the ranges of its children. No recursion, whatever the keys.
 */
#include "text/trie.h"

#include "base/alloc.h"
#include "base/status.h"

/* The keys below a node. */
struct range {
    uint32_t begin, end;
};

/* The different beginnings of all keys, the empty one included: the nodes there will be. */
static size_t count_nodes(const struct rw_trie_key *keys, size_t n)
{
    size_t count = 1;
    for (size_t i = 0; i < n; i++) {
        size_t common = 0;
        size_t limit = i ? RW_MIN(keys[i].size, keys[i - 1].size) : 0;
        while (common < limit && keys[i].bytes[common] == keys[i - 1].bytes[common])
            common++;
        count += keys[i].size - common;
    }
    return count;
}

/* Make the children of a node whose keys share `depth` bytes; they become nodes `next` and after.
 * The number after the last of them. */
static size_t split(struct rw_trie *trie, struct range *ranges, const struct rw_trie_key *keys,
                    size_t node, size_t depth, size_t next)
{
    size_t at = ranges[node].begin, end = ranges[node].end;
    trie->nodes[node] = (struct rw_trie_node){(uint32_t)next, -1};
    if (at < end && keys[at].size == depth)
        trie->nodes[node].value = keys[at++].value;
    while (at < end) {
        size_t begin = at;
        uint8_t label = keys[at].bytes[depth];
        while (at < end && keys[at].bytes[depth] == label)
            at++;
        trie->labels[next] = label;
        ranges[next++] = (struct range){(uint32_t)begin, (uint32_t)at};
    }
    return next;
}

bool rw_trie_build(struct rw_trie *trie, const struct rw_trie_key *keys, size_t n)
{
    size_t count = count_nodes(keys, n);
    struct range *ranges = NULL;
    *trie = (struct rw_trie){.n_nodes = count};
    if (count < UINT32_MAX) { /* then n is smaller, too */
        ranges = rw_alloc(count, sizeof *ranges);
        trie->nodes = rw_alloc(count + 1, sizeof *trie->nodes);
        trie->labels = rw_alloc(count, 1);
    }
    if (!ranges || !trie->nodes || !trie->labels) {
        rw_free(ranges);
        rw_trie_fini(trie);
        return false;
    }
    ranges[0] = (struct range){0, (uint32_t)n};
    trie->labels[0] = 0;
    size_t next = 1;
    for (size_t node = 0, depth = 0; node < count; depth++)
        for (size_t level_end = next; node < level_end; node++)
            next = split(trie, ranges, keys, node, depth, next);
    trie->nodes[count] = (struct rw_trie_node){(uint32_t)count, -1};
    rw_free(ranges);
    return true;
}

void rw_trie_fini(struct rw_trie *trie)
{
    rw_free(trie->nodes);
    rw_free(trie->labels);
    *trie = (struct rw_trie){0};
}

/* The child that `byte` leads to, of those in [begin, end); 0, which is the root and nobody's
 * child: there is none. */
static size_t find_child(const struct rw_trie *trie, size_t begin, size_t end, uint8_t byte)
{
    if (end - begin == 256)
        return begin + byte;
    while (end - begin > 8) {
        size_t middle = begin + (end - begin) / 2;
        if (trie->labels[middle] <= byte)
            begin = middle;
        else
            end = middle;
    }
    for (; begin < end; begin++)
        if (trie->labels[begin] == byte)
            return begin;
    return 0;
}

int32_t rw_trie_longest(const struct rw_trie *trie, const uint8_t *text, size_t n, size_t *length)
{
    const struct rw_trie_node *nodes = trie->nodes;
    int32_t best = -1;
    for (size_t i = 0, node = 0; i < n; i++) {
        node = find_child(trie, nodes[node].first, nodes[node + 1].first, text[i]);
        if (node == 0)
            break;
        if (nodes[node].value >= 0) {
            best = nodes[node].value;
            *length = i + 1;
        }
    }
    return best;
}
