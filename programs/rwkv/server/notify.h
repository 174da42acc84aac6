/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the service manager that started us how things stand: systemd's protocol, datagrams of
 * lines "NAME=value" to the socket that $NOTIFY_SOCKET names (sd_notify(3)). The socket is
 * connected once, so that it can be used inside the sandbox. Without the variable nothing is told.
 */
#ifndef RW_SERVER_NOTIFY_H
#define RW_SERVER_NOTIFY_H

#include <stdbool.h>

#include "rwkv.h"
#include "server/loop.h"

struct rw_notify;

rwkv_status rw_notify_new(struct rw_notify **out, struct rw_loop *loop, rwkv_error *err);
void rw_notify_free(struct rw_notify *notify); /* before the loop; NULL is fine */

/* Whether anybody is told. */
bool rw_notify_is_heard(const struct rw_notify *notify);

/* "READY=1\nSTATUS=…". What cannot be sent is dropped. */
void rw_notify_say(struct rw_notify *notify, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
