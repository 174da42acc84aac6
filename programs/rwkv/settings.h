/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a command from elsewhere than its command line, and all of them shown. */
#ifndef RW_PROGRAM_SETTINGS_H
#define RW_PROGRAM_SETTINGS_H

#include "options.h"
#include "rwkv.h"

/* Told of each setting; the value is borrowed. */
typedef rwkv_status (*rw_setting_fn)(void *user, const char *name, const char *value,
                                     rwkv_error *err);

/* Those of the environment: PREFIX with an option's name in capitals. A failure names the
 * variable. */
rwkv_status rw_settings_from_environment(const struct rw_option *options, const char *prefix,
                                         rw_setting_fn set, void *user, rwkv_error *err);

/* Print every option with its value to standard output, as lines of TOML in the order of the table;
 * one without a value as a comment. Those that are read by functions are not shown. */
void rw_settings_print(const struct rw_option *options);

#endif
