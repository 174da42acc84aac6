/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an answer appears while it is generated: without blanks around it, its thought between marks
 * on lines of their own and dimmed on a terminal, and ended by a newline.
 */
#ifndef RW_PROGRAM_ANSWER_VIEW_H
#define RW_PROGRAM_ANSWER_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv.h"

struct rw_view {
    bool open; /* between begin and end */
    bool terminal;
    bool thinking;           /* a thought was begun on the screen and not ended */
    rwkv_splitter *splitter; /* NULL: no memory */
};

/* `opening`: what the prompt already holds of the answer. */
void rw_view_begin(struct rw_view *view, const char *opening);
bool rw_view_text(struct rw_view *view, const char *text, size_t size); /* false: no memory */
void rw_view_end(struct rw_view *view); /* does nothing if it was not begun */

#endif
