/* SPDX-License-Identifier: Apache-2.0 */
/* Inside `rwkv chat`: the conversation's circumstances, shared by cmd_chat.c (the loop and the
 * answers) and chat_commands.c (the lines that begin with a slash). */
#ifndef RW_PROGRAM_CHAT_H
#define RW_PROGRAM_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include "answer_view.h"
#include "conversation.h"
#include "line_input.h"
#include "open_model.h"
#include "options.h"
#include "sampling.h"

#define RW_CHAT_UNDO 16 /* turns whose states are kept, behind the last one of each branch */

struct rw_branch {
    char *name;          /* owned */
    struct rw_turn *tip; /* holds a reference */
};

struct rw_chat {
    struct rw_model_args model_args;
    struct rw_sampling sampling;
    size_t max_tokens;
    int think; /* rwkv_think */
    const char *state_in, *state_out;
    bool verbose;

    rwkv_model *model;
    struct rw_lines *lines;
    struct rw_view view;
    char *system;               /* owned; NULL: none */
    struct rw_turn *root;       /* where /reset goes */
    struct rw_branch *branches; /* never empty */
    size_t n_branches, branch_capacity;
    size_t current;     /* index of the branch in use */
    uint64_t n_answers; /* so that an answer asked for again differs */
    bool failed;        /* something a script asked for did not work */
    bool leave;
    /* The options that /set changes; points into `sampling` and `max_tokens`. */
    const struct rw_option *settings;
};

static inline struct rw_branch *rw_chat_branch(struct rw_chat *chat)
{
    return &chat->branches[chat->current];
}

/* Put `turn` (whose reference it takes over) at the tip of the branch in use. */
void rw_chat_go_to(struct rw_chat *chat, struct rw_turn *turn);

/* Answer `user` after `parent` and make that the tip. Failures are reported. */
void rw_chat_answer(struct rw_chat *chat, struct rw_turn *parent, const char *user);

/* A new branch of that name, which becomes the one in use, at `tip` (whose reference it takes
 * over). */
rwkv_status rw_chat_add_branch(struct rw_chat *chat, const char *name, struct rw_turn *tip,
                               rwkv_error *err);

/* Report a failure; a script's chat then ends with an exit status to match. */
void rw_chat_complain(struct rw_chat *chat, const rwkv_error *err);

/* Carry out a line that begins with a slash. */
void rw_chat_command(struct rw_chat *chat, const char *line);

#endif
