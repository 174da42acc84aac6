/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines from a person or a script. On a terminal: editing and history (libedit), the history kept
 * in the user's data folder. Elsewhere lines are read as they are, and nothing is printed.
 */
#ifndef RW_PROGRAM_LINE_INPUT_H
#define RW_PROGRAM_LINE_INPUT_H

#include <stdbool.h>

#include "base/str.h"
#include "rwkv.h"

struct rw_lines;

enum rw_line { RW_LINE_READ, RW_LINE_END, RW_LINE_INTERRUPTED };

rwkv_status rw_lines_open(struct rw_lines **out, rwkv_error *err);
void rw_lines_close(struct rw_lines *lines);

bool rw_lines_are_typed(const struct rw_lines *lines); /* on a terminal */

/* The next line, without its end, into `line` (replaced). INTERRUPTED: Ctrl-C threw the line away.
 */
enum rw_line rw_lines_read(struct rw_lines *lines, const char *prompt, struct rw_str *line);

#endif
