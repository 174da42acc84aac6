/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv help [COMMAND]` and --help, from the pages in docs/cli. */
#include "help.h"

#include <string.h>

#include "base/status.h"
#include "commands.h"
#include "options.h"
#include "say.h"

int rw_help_page(const char *command)
{
    const char *wanted = command ? command : "rwkv";
    size_t n = strcspn(wanted, " ");
    for (size_t i = 0; i < rw_help_count; i++) {
        if (strlen(rw_help[i].command) == n && memcmp(rw_help[i].command, wanted, n) == 0) {
            rw_outs(rw_help[i].text);
            return RW_EXIT_OK;
        }
    }
    rwkv_error err;
    rw_fail(&err, RWKV_ERROR_ARGUMENT, "there is no page for '%s'", wanted);
    return rw_complain_usage(NULL, &err);
}

int rw_cmd_help(int argc, char **argv)
{
    const struct rw_option options[] = {{0}};
    struct rw_operands operands = {.wanted = "COMMAND", .min = 0, .max = 1};
    int status = rw_options_read(NULL, options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    return rw_help_page(operands.count ? operands.list[0] : NULL);
}
