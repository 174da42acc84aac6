/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands: each takes its own name as argv[0] and returns an exit status. A new one is a file
 * cmd_NAME.c, a line in the table of main.c and a page docs/cli/NAME.md.
 */
#ifndef RW_PROGRAM_COMMANDS_H
#define RW_PROGRAM_COMMANDS_H

#include <stddef.h>

struct rw_command {
    const char *name;
    int (*run)(int argc, char **argv);
};

/* Run the one of `commands` that argv[1] names, or print the page of `parent`, whose sub-commands
 * they are (NULL: the program's own). Returns an exit status. A sub-command calls rw_options_read
 * with both names, "data build", and shares its parent's page. */
int rw_commands_run(const char *parent, const struct rw_command *commands, size_t n_commands,
                    int argc, char **argv);

int rw_cmd_batch(int argc, char **argv);
int rw_cmd_bench(int argc, char **argv);
int rw_cmd_chat(int argc, char **argv);
int rw_cmd_convert(int argc, char **argv);
int rw_cmd_data(int argc, char **argv);
int rw_cmd_detokenize(int argc, char **argv);
int rw_cmd_forward(int argc, char **argv);
int rw_cmd_grad(int argc, char **argv);
int rw_cmd_help(int argc, char **argv);
int rw_cmd_info(int argc, char **argv);
int rw_cmd_init(int argc, char **argv);
int rw_cmd_perplexity(int argc, char **argv);
int rw_cmd_quantize(int argc, char **argv);
int rw_cmd_run(int argc, char **argv);
int rw_cmd_serve(int argc, char **argv);
int rw_cmd_tokenize(int argc, char **argv);
int rw_cmd_train(int argc, char **argv);
int rw_cmd_version(int argc, char **argv);
int rw_cmd_vocab(int argc, char **argv);

/* Print the page of a command (NULL: the program's own); of "data build" that of "data". Returns an
 * exit status. */
int rw_help_page(const char *command);

#endif
