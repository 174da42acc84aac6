/* SPDX-License-Identifier: Apache-2.0 */
/* What the sub-commands of `rwkv data` share; each is a function like those in commands.h. */
#ifndef RW_PROGRAM_DATA_H
#define RW_PROGRAM_DATA_H

#include "options.h"
#include "rwkv_data.h"

int rw_data_build_command(int argc, char **argv);
int rw_data_cat_command(int argc, char **argv);
int rw_data_check_command(int argc, char **argv);
int rw_data_info_command(int argc, char **argv);

/* An entry of a table of rw_option: the token, an int32_t, that ends documents. */
#define RW_SEPARATOR_OPTION(to)                                         \
    {                                                                   \
        "separator", 0, RW_OPTION_CALL, to, .parse = rw_parse_separator \
    }
rwkv_status rw_parse_separator(void *to, const char *value, rwkv_error *err);

#endif
