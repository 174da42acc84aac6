/* SPDX-License-Identifier: Apache-2.0 */
/* What a server does with the exchanges of its HTTP layer. */
#ifndef RW_SERVER_API_H
#define RW_SERVER_API_H

#include "server/http.h"

struct rw_server;

struct rw_http_handler rw_api_handler(struct rw_server *server);

#endif
