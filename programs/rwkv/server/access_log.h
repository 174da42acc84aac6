/* SPDX-License-Identifier: Apache-2.0 */
/* One line for each request that has ended, and for what happens to the server, on standard error
 * or in a file that is opened anew on SIGHUP; as text or JSON. Requests are in it only if that was
 * asked for, answers never. */
#ifndef RW_SERVER_ACCESS_LOG_H
#define RW_SERVER_ACCESS_LOG_H

#include <stdbool.h>

#include "rwkv.h"

struct rw_access_log;
struct rw_call;

enum rw_log_form { RW_LOG_TEXT, RW_LOG_JSON, RW_LOG_OFF };

struct rw_access_log_options {
    enum rw_log_form form;
    const char *file; /* NULL: standard error; borrowed until rw_access_log_free */
    bool prompts;     /* with the bodies of requests */
};

rwkv_status rw_access_log_new(const struct rw_access_log_options *options,
                              struct rw_access_log **out, rwkv_error *err);
void rw_access_log_free(struct rw_access_log *log); /* NULL is fine */
/* If it fails, the old file goes on. */
rwkv_status rw_access_log_reopen(struct rw_access_log *log, rwkv_error *err);

/* A request has ended; the exchange is still there. */
void rw_access_log_call(struct rw_access_log *log, const struct rw_call *call);
void rw_access_log_note(struct rw_access_log *log, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
