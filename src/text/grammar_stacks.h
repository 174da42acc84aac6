/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a text stands in a grammar: the set of all stacks that the automaton may have after it.
 * Stacks share what they have in common: a frame names the one below it, and equal frames are one.
 *
 *     struct rw_stacks s;                      // a place to work in, of one thread at a time
 *     rw_stacks_init(&s, automaton);
 *     rw_stacks_begin(&s, &set);               // where a text begins
 *     rw_stacks_step(&s, &set, byte, &next);   // next.n == 0 && !next.ends: no such text
 *     rw_stacks_save(&s, &set, &saved);        // a value: may be kept, compared, loaded
 *
 * Limits, past which a stack is dropped: RW_DEPTH_LIMIT frames, RW_TOPS_LIMIT stacks in a set,
 * RW_ITEMS_LIMIT nodes looked at for a byte. What is left is a part of the grammar, and every stack
 * left can be brought to an end: one that needs more depth for that than there is, is dropped when
 * it comes up.
 */
#ifndef RW_TEXT_GRAMMAR_STACKS_H
#define RW_TEXT_GRAMMAR_STACKS_H

#include "text/grammar_automaton.h"

#define RW_TOPS_LIMIT 1024
#define RW_ITEMS_LIMIT 8192
#define RW_FRAMES_LIMIT ((size_t)1 << 20) /* in one place to work in */

struct rw_frame {
    uint32_t node;   /* where to go on after a RETURN; of the topmost: the BYTES that are next */
    uint32_t count;  /* 0; of a REPEAT: the number of the repetition that is being read, from 1 */
    uint32_t parent; /* the frame below; 0: none, the text ends */
    uint32_t depth;
};

struct rw_item { /* a node to be looked at, with the frame below it */
    uint32_t node, parent, slot;
};

struct rw_set {
    uint32_t tops[RW_TOPS_LIMIT]; /* frames at BYTES */
    size_t n;
    bool ends; /* the text may end here */
};

/* A set as a value: equal sets have equal words. */
struct rw_saved {
    uint32_t *words;
    size_t n, capacity;
};

struct rw_stacks {
    const struct rw_automaton *automaton; /* borrowed */
    struct rw_frame *frames;              /* [n_frames], the first is none */
    size_t n_frames, frames_capacity;
    uint32_t *table; /* [table_size] frames by their hash; 0: free */
    size_t table_size;
    struct rw_item *items; /* [RW_ITEMS_LIMIT] those of the byte at work */
    uint32_t *slots;       /* [2 × RW_ITEMS_LIMIT] items by their hash */
    size_t n_items;
    uint32_t *number; /* [n_frames, at least] for saving and loading */
    size_t number_capacity;
    uint64_t work; /* items looked at since it was set to 0 */
    bool failed;   /* no memory, or RW_FRAMES_LIMIT: results mean nothing */
};

bool rw_stacks_init(struct rw_stacks *s, const struct rw_automaton *automaton);
void rw_stacks_fini(struct rw_stacks *s);
void rw_stacks_reset(struct rw_stacks *s); /* forget all frames */

void rw_stacks_begin(struct rw_stacks *s, struct rw_set *set);
/* The set after one more byte; `to` is another than `from`. */
void rw_stacks_step(struct rw_stacks *s, const struct rw_set *from, uint8_t byte,
                    struct rw_set *to);

/* As words; changes the order of the set. */
bool rw_stacks_save(struct rw_stacks *s, struct rw_set *set, struct rw_saved *to);

/* From words, after a reset. With `reach` > 0 repetitions are counted only as far as matters for
 * the next `reach` bytes: sets then are equal that so many bytes cannot tell apart. */
void rw_stacks_load(struct rw_stacks *s, const struct rw_saved *from, size_t reach,
                    struct rw_set *set);

void rw_saved_fini(struct rw_saved *saved);

#endif
