/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a server before it answers, and of settings that it would not start with. */
#ifndef RW_SERVER_REPORT_H
#define RW_SERVER_REPORT_H

#include "server/server.h"

/* On standard error: where it listens, what it serves, its budgets, who may ask. */
void rw_server_introduce(struct rw_server *server);

/* Whether a server with these options would start, as far as that can be seen without listening,
 * without opening a model and without making a file. */
rwkv_status rw_server_check(const struct rw_server_options *options, rwkv_error *err);

#endif
