/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands: each takes its own name as argv[0] and returns an exit status. A new one is a file
 * cmd_NAME.c, a line in the table of main.c and a page docs/cli/NAME.md.
 */
#ifndef RW_PROGRAM_COMMANDS_H
#define RW_PROGRAM_COMMANDS_H

int rw_cmd_batch(int argc, char **argv);
int rw_cmd_bench(int argc, char **argv);
int rw_cmd_chat(int argc, char **argv);
int rw_cmd_convert(int argc, char **argv);
int rw_cmd_detokenize(int argc, char **argv);
int rw_cmd_forward(int argc, char **argv);
int rw_cmd_help(int argc, char **argv);
int rw_cmd_info(int argc, char **argv);
int rw_cmd_perplexity(int argc, char **argv);
int rw_cmd_quantize(int argc, char **argv);
int rw_cmd_run(int argc, char **argv);
int rw_cmd_tokenize(int argc, char **argv);
int rw_cmd_version(int argc, char **argv);

/* Print the page of a command (NULL: the program's own). Returns an exit status. */
int rw_help_page(const char *command);

#endif
