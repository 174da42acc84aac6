/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an answer appears while it is generated: without blanks around it, its thought dimmed on a
 * terminal, and ended by a newline.
 */
#ifndef RW_PROGRAM_ANSWER_VIEW_H
#define RW_PROGRAM_ANSWER_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct rw_view {
    bool open; /* between begin and end */
    bool terminal;
    bool begun;         /* something that is no blank was printed */
    bool drop_bracket;  /* the ">" that ends an empty thought is still to come */
    bool thinking;      /* inside <think> … </think> */
    size_t matched;     /* bytes of "</think>" that the thought ends with so far */
    struct rw_str held; /* blanks that are printed if something follows */
};

/* `opening`: what the prompt already holds of the answer. */
void rw_view_begin(struct rw_view *view, const char *opening);
void rw_view_text(struct rw_view *view, const char *text, size_t size);
void rw_view_end(struct rw_view *view); /* does nothing if it was not begun */
void rw_view_fini(struct rw_view *view);

#endif
