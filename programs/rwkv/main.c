/* SPDX-License-Identifier: Apache-2.0 */
/* rwkv: the table of commands. Everything else is in cmd_*.c and below the public headers. */
#include <assert.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "base/status.h"
#include "commands.h"
#include "interrupt.h"
#include "options.h"
#include "say.h"

/* One a line: */
/* clang-format off */
static const struct rw_command commands[] = {
    {"batch", rw_cmd_batch},
    {"bench", rw_cmd_bench},
    {"chat", rw_cmd_chat},
    {"convert", rw_cmd_convert},
    {"data", rw_cmd_data},
    {"detokenize", rw_cmd_detokenize},
    {"forward", rw_cmd_forward},
    {"grad", rw_cmd_grad},
    {"help", rw_cmd_help},
    {"info", rw_cmd_info},
    {"init", rw_cmd_init},
    {"perplexity", rw_cmd_perplexity},
    {"quantize", rw_cmd_quantize},
    {"run", rw_cmd_run},
    {"serve", rw_cmd_serve},
    {"tokenize", rw_cmd_tokenize},
    {"train", rw_cmd_train},
    {"version", rw_cmd_version},
    {"vocab", rw_cmd_vocab},
};
/* clang-format on */

int rw_cmd_version(int argc, char **argv)
{
    const struct rw_option options[] = {{0}};
    struct rw_operands operands = {0};
    int status = rw_options_read(NULL, options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    rw_outf("rwkv %s\n", rwkv_version());
    return RW_EXIT_OK;
}

#define NAMES_MAX 64 /* commands of one table */

static int unknown(const char *parent, const struct rw_command *list, size_t n, const char *typed)
{
    const char *options[] = {"--help", parent ? NULL : "--version", NULL};
    const char *names[NAMES_MAX + 1] = {NULL};
    for (size_t i = 0; i < n; i++)
        names[i] = list[i].name;
    bool option = typed[0] == '-';
    const char *what = option ? "option" : "command";
    const char *meant = rw_suggest(typed, option ? options : names);
    rwkv_error err;
    if (meant)
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "unknown %s '%s': did you mean '%s'?", what, typed,
                meant);
    else
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "unknown %s '%s'", what, typed);
    return rw_complain_usage(parent, &err);
}

int rw_commands_run(const char *parent, const struct rw_command *list, size_t n, int argc,
                    char **argv)
{
    assert(n <= NAMES_MAX);
    if (argc < 2) {
        rw_help_page(parent);
        return RW_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return rw_help_page(parent);
    for (size_t i = 0; i < n; i++)
        if (strcmp(argv[1], list[i].name) == 0)
            return list[i].run(argc - 1, argv + 1);
    return unknown(parent, list, n, argv[1]);
}

static int dispatch(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "--version") == 0)
        return rw_cmd_version(1, argv + 1);
    return rw_commands_run(NULL, commands, RW_COUNT(commands), argc, argv);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* say.c notices, and commands end tidily */
    int status = rw_out_end(dispatch(argc, argv));
    rw_interrupt_end();
    return status;
}
