/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a server goes on reaching under its sandbox, and what its log says of that. */
#ifndef RW_SERVER_CONFINE_H
#define RW_SERVER_CONFINE_H

#include "rwkv.h"

struct rw_server;

/* Before any thread is started; makes the folder of states, which has to exist for that. Fails
 * where a path that is needed cannot be reached; a kernel that cannot limit files is only noted. */
rwkv_status rw_server_limit_files(struct rw_server *server, rwkv_error *err);
/* When everything is open and all threads run. Notes in the log how far the sandbox goes. */
void rw_server_limit_calls(struct rw_server *server);

#endif
