/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets how much of a step. Sequences that generate want one token each. If not all fit, those
 * served go to the end of the list, so that the longest unserved come first. A quarter of the step
 * is kept for prompts if there are any; what generation leaves goes to prompts as well, a portion
 * at a time: to the group that has had the least of this step, and within it by turns to the
 * sequence that came first, so that it makes progress, and to the one with the least left to read,
 * so that a short prompt is not kept waiting by a long one. Which group begins changes from step to
 * step.
 */
#include <string.h>

#include "base/status.h"
#include "engine/batch_int.h"

#define PORTION 8

/* Tokens it could read in this step beyond those given: up to a mark or the end. */
static size_t room(const struct rw_batch_sequence *s)
{
    size_t end = s->mark < s->n_marks ? s->marks[s->mark] : s->n_tokens;
    return end - s->generation.result.prompt_tokens - s->slice;
}

/* Whether a, rather than b of the same group, is to have the group's next portion. */
static bool goes_first(const struct rw_batch_sequence *a, const struct rw_batch_sequence *b)
{
    if (a->leader->group_turn % 2 == 0)
        return a->id < b->id;
    size_t left_a = a->n_tokens - a->generation.result.prompt_tokens;
    size_t left_b = b->n_tokens - b->generation.result.prompt_tokens;
    return left_a < left_b || (left_a == left_b && a->id < b->id);
}

/* Who gets the next portion, beginning at `first` among equals; NULL: nobody wants one. */
static struct rw_batch_sequence *next_reader(struct rw_batch_sequence **readers, size_t n,
                                             size_t first)
{
    struct rw_batch_sequence *best = NULL;
    for (size_t i = 0; i < n; i++) {
        struct rw_batch_sequence *s = readers[(first + i) % n];
        if (room(s) == 0)
            continue;
        bool better = !best || s->leader->group_slice < best->leader->group_slice;
        if (better || (s->leader == best->leader && goes_first(s, best)))
            best = s;
    }
    return best;
}

/* Every reader's leader, and nothing given yet. */
static void gather_groups(struct rw_batch_sequence **readers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t leader = 0;
        while (readers[leader]->group != readers[i]->group)
            leader++;
        readers[i]->leader = readers[leader];
        readers[i]->group_slice = 0;
    }
}

static void share_prompts(struct rwkv_batch *b, struct rw_batch_sequence **readers, size_t n,
                          size_t tokens)
{
    gather_groups(readers, n);
    while (tokens > 0) {
        struct rw_batch_sequence *s = next_reader(readers, n, b->turn);
        if (!s)
            return;
        size_t portion = RW_MIN(RW_MIN(PORTION, tokens), room(s));
        s->slice += portion;
        s->leader->group_slice += portion;
        s->leader->group_turn++;
        tokens -= portion;
    }
}

/* Those that were given a token behind those that were not, otherwise in the same order. */
static void served_last(struct rwkv_batch *b)
{
    size_t left = 0, served = 0;
    for (size_t i = 0; i < b->n_working; i++) {
        if (b->working[i]->slice > 0)
            b->aside[served++] = b->working[i];
        else
            b->working[left++] = b->working[i];
    }
    memcpy(b->working + left, b->aside, served * sizeof *b->working);
}

void rw_batch_plan(struct rwkv_batch *b)
{
    size_t readers = 0, writers = 0, served = 0;
    for (size_t i = 0; i < b->n_working; i++) {
        b->working[i]->slice = 0;
        if (rw_batch_reads(b->working[i]))
            b->aside[readers++] = b->working[i];
        else
            writers += b->working[i]->generation.has_token;
    }
    size_t tokens = writers ? b->step_tokens : b->model->info.chunk;
    size_t kept = readers ? (tokens + 3) / 4 : 0;
    for (size_t i = 0; i < b->n_working && served < tokens - kept; i++) {
        struct rw_batch_sequence *s = b->working[i];
        s->slice = !rw_batch_reads(s) && s->generation.has_token;
        served += s->slice;
    }
    if (readers)
        share_prompts(b, b->aside, readers, tokens - served);
    if (served < writers)
        served_last(b);
    b->turn++;
}

size_t rw_batch_choose_waiting(const struct rwkv_batch *b)
{
    size_t chosen = 0, fewest = SIZE_MAX;
    for (size_t i = 0; i < b->n_waiting && fewest > 0; i++) {
        size_t at_work = 0;
        for (size_t k = 0; k < b->n_working; k++)
            at_work += b->working[k]->group == b->waiting[i]->group;
        if (at_work < fewest) {
            fewest = at_work;
            chosen = i;
        }
    }
    return chosen;
}
