/* SPDX-License-Identifier: Apache-2.0 */
/* GET /: what this is. */
#include "server/call.h"

void rw_get_root(struct rw_call *call)
{
    rw_call_text(call, 200, "text/plain; charset=utf-8", "rwkv.c is running\n");
}
