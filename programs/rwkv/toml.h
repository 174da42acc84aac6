/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of TOML that a list of settings needs: lines `name = value` with a string in "quotes" or
 * 'quotes', a number, true or false; comments; nothing else. What is TOML but not of this part is
 * refused by what it is.
 *
 *     status = rw_toml_read(path, set, &options, &err);
 */
#ifndef RW_PROGRAM_TOML_H
#define RW_PROGRAM_TOML_H

#include "base/str.h"
#include "rwkv.h"

/* Told of each setting; booleans are "on" and "off". Borrowed during the call. A failure is given
 * the place in the file and ends the reading. */
typedef rwkv_status (*rw_toml_fn)(void *user, const char *name, const char *value, rwkv_error *err);

rwkv_status rw_toml_read(const char *path, rw_toml_fn set, void *user, rwkv_error *err);

/* Append `text` in quotes, for such a file. */
void rw_toml_add_string(struct rw_str *to, const char *text);

#endif
