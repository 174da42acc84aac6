/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The help texts, made at build time by scripts/gen_help.py from docs/cli/COMMAND.md, one page a
 * subcommand (docs/cli/README.md has the form). The page of the program itself is "rwkv".
 *
 *     for (size_t i = 0; i < rw_help_count; i++)
 *         if (strcmp(rw_help[i].command, "run") == 0)
 *             fputs(rw_help[i].text, stdout);
 */
#ifndef RW_PROGRAM_HELP_H
#define RW_PROGRAM_HELP_H

#include <stddef.h>

struct rw_help {
    const char *command; /* "run" */
    const char *summary; /* "generate text": one line without a full stop */
    const char *text;    /* the whole page, wrapped at 80 columns, ending with a newline */
};

extern const struct rw_help rw_help[]; /* sorted by command */
extern const size_t rw_help_count;

#endif
