/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations as trees of turns. A turn holds what was said and the model's state afterwards, so
 * taking back, answering anew and branching are nothing but picking another turn to go on from.
 *
 *     rw_turn_begin(model, NULL, &root, &err);
 *     rw_turn_answer(root, &ask, &first, &err);       // root stays as it was
 *     rw_turn_answer(first, &ask, &second, &err);
 *     rw_turn_release(second); …
 *
 * References: a turn holds one on its parent; begin and answer give the caller one.
 */
#ifndef RW_PROGRAM_CONVERSATION_H
#define RW_PROGRAM_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "rwkv.h"

/* How the text that a state has seen ends, which decides what the next turn begins with. */
enum rw_edge {
    RW_EDGE_CLEAN, /* at the beginning, or after a blank line */
    RW_EDGE_OPEN,  /* inside an answer: the blank line is still to come */
    RW_EDGE_USER   /* after "User:", which the model wrote itself */
};

struct rw_turn {
    struct rw_turn *parent; /* NULL: the beginning of a conversation */
    unsigned references;
    bool kept;             /* a mark used while old states are dropped */
    rwkv_session *session; /* the state after the turn; NULL when dropped */
    enum rw_edge edge;
    char *system; /* owned; NULL if the turn did not begin with one */
    char *user;   /* owned; NULL at the beginning */
    char *answer; /* owned, with its thought */
};

struct rw_ask {
    const char *user;
    const char *system; /* nullable; used in the first turn only */
    rwkv_think think;
    rwkv_generate_options options; /* stop sequences are set here, not by the caller */
    void (*opening)(void *to, const char *text); /* what the answer begins with: "", " <think" … */
    rwkv_text_fn text;
    void *to;
    rwkv_generate_result *result; /* out */
};

/* The beginning: a zero state, or the one in `state` (nullable). */
rwkv_status rw_turn_begin(rwkv_model *model, const char *state, struct rw_turn **out,
                          rwkv_error *err);

/* Let the model answer ask->user after `parent`, whose state must not have been dropped. Fails with
 * RWKV_ERROR_CANCELLED if it was stopped before the answer began. */
rwkv_status rw_turn_answer(struct rw_turn *parent, const struct rw_ask *ask, struct rw_turn **out,
                           rwkv_error *err);

/* Save the state so that a conversation can go on from it: the turn's text as a finished one. */
rwkv_status rw_turn_save(const struct rw_turn *turn, const char *path, rwkv_error *err);

struct rw_turn *rw_turn_hold(struct rw_turn *turn); /* one more reference */
void rw_turn_release(struct rw_turn *turn);         /* NULL is fine */

#endif
