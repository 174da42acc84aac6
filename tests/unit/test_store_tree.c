/* SPDX-License-Identifier: Apache-2.0 */
/* The radix tree of a store, against a plain list of sequences. */
#include "unit.h"

#include <stdbool.h>

#include "base/rng.h"
#include "engine/store_tree.h"

enum { MOST = 300, LONGEST = 40, STEPS = 6000 };

struct sequence {
    int32_t tokens[LONGEST];
    size_t n;
    struct rw_tree_node *node; /* NULL: not in the tree */
};

/* Every node but the root has an edge that goes on from its parent, and a reason to be there. */
static size_t check_node(const struct rw_tree_node *node)
{
    size_t values = node->value != NULL;
    if (node->parent) {
        assert_true(node->n_edge > 0);
        assert_int_equal(node->depth, node->parent->depth + node->n_edge);
        assert_true(node->value || node->n_children >= 2);
    }
    for (size_t i = 0; i < node->n_children; i++) {
        assert_ptr_equal(node->children[i]->parent, node);
        if (i > 0)
            assert_true(node->children[i - 1]->edge[0] < node->children[i]->edge[0]);
        values += check_node(node->children[i]);
    }
    return values;
}

/* Few different tokens, so that sequences share beginnings. */
static void draw(struct rw_rng *rng, struct sequence *s)
{
    s->n = 1 + rw_rng_below(rng, LONGEST);
    for (size_t i = 0; i < s->n; i++)
        s->tokens[i] = (int32_t)rw_rng_below(rng, i % 5 == 4 ? 3 : 1) - 1;
}

static const struct sequence *longest_of(const struct sequence *all, const struct sequence *s)
{
    const struct sequence *best = NULL;
    for (size_t i = 0; i < MOST; i++)
        if (all[i].node && all[i].n <= s->n && (!best || all[i].n > best->n) &&
            memcmp(all[i].tokens, s->tokens, all[i].n * sizeof s->tokens[0]) == 0)
            best = &all[i];
    return best;
}

static void remove_one(struct rw_tree *tree, struct sequence *s)
{
    s->node->value = NULL;
    rw_tree_prune(tree, s->node);
    s->node = NULL;
}

static void insert_one(struct rw_tree *tree, struct sequence *s)
{
    int32_t tokens[LONGEST];
    struct rw_tree_node *node = rw_tree_find(tree, s->tokens, s->n);
    if (node && node->value)
        return;
    s->node = rw_tree_insert(tree, s->tokens, s->n);
    assert_non_null(s->node);
    assert_int_equal(s->node->depth, s->n);
    assert_null(s->node->value);
    s->node->value = s;
    rw_tree_tokens(s->node, tokens);
    assert_memory_equal(tokens, s->tokens, s->n * sizeof tokens[0]);
}

static void like_a_list(void **state)
{
    (void)state;
    static struct sequence all[MOST];
    struct rw_tree tree = {0};
    struct rw_rng rng;
    rw_rng_init(&rng, 5);
    for (size_t step = 0; step < STEPS; step++) {
        struct sequence *s = &all[rw_rng_below(&rng, MOST)], other;
        if (s->node) {
            remove_one(&tree, s);
        } else {
            draw(&rng, s);
            insert_one(&tree, s);
        }
        draw(&rng, &other);
        const struct sequence *wanted = longest_of(all, &other);
        struct rw_tree_node *found = rw_tree_longest(&tree, other.tokens, other.n);
        assert_ptr_equal(found ? found->value : NULL, wanted);
        if (found && rw_tree_above(found))
            assert_true(rw_tree_above(found)->value && rw_tree_above(found)->depth < found->depth);
        if (step % 100 == 0)
            check_node(&tree.root);
    }
    for (size_t i = 0; i < MOST; i++)
        if (all[i].node)
            remove_one(&tree, &all[i]);
    assert_int_equal(tree.root.n_children, 0);
    assert_in_range(tree.bytes, 1, 256); /* what the root's list of children takes */
    rw_tree_fini(&tree, NULL, NULL);
    assert_int_equal(tree.bytes, 0);
}

static void count_value(void *user, void *value)
{
    *(size_t *)user += *(size_t *)value;
}

/* A path with a value at every token: deep, and freed without a deep stack. */
static void deep(void **state)
{
    (void)state;
    enum { DEPTH = 4000 };
    struct rw_tree tree = {0};
    int32_t *tokens = calloc(DEPTH, sizeof *tokens);
    size_t one = 1, sum = 0;
    for (size_t n = 1; n <= DEPTH; n++) {
        struct rw_tree_node *node = rw_tree_insert(&tree, tokens, n);
        assert_non_null(node);
        node->value = &one;
    }
    struct rw_tree_node *last = rw_tree_longest(&tree, tokens, DEPTH);
    assert_int_equal(last->depth, DEPTH);
    assert_int_equal(rw_tree_above(last)->depth, DEPTH - 1);
    assert_null(rw_tree_find(&tree, tokens, 0));
    rw_tree_fini(&tree, count_value, &sum);
    assert_int_equal(sum, DEPTH);
    free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_a_list),
        cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
