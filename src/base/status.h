/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one convention for failure. A fallible function returns rwkv_status and takes a nullable,
 * caller-owned rwkv_error last.
 *
 *     if (n > limit)
 *         return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %zu tensors, at most %zu", path, n, limit);
 *     RW_TRY(next_step(x, err));          // returns the failure
 *     RW_GO(next_step(x, err));           // or: status = …; goto done;
 */
#ifndef RW_BASE_STATUS_H
#define RW_BASE_STATUS_H

#include "rwkv.h"

/* Fill `err` (nullable) and return `code`. The message is cut to fit; bytes that are no printable
 * ASCII or UTF-8 are replaced, since names from files end up here. */
rwkv_status rw_fail(rwkv_error *err, rwkv_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "prefix: " before a message already there. For callers that know the file or place. */
rwkv_status rw_fail_within(rwkv_error *err, rwkv_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Both return `code`. Saying so here lets the compiler see that it is a failure, and so that
 * outputs are not used uninitialised after a call that failed. */
#define rw_fail(err, code, ...) rw_code(rw_fail(err, code, __VA_ARGS__), code)
#define rw_fail_within(err, code, ...) rw_code(rw_fail_within(err, code, __VA_ARGS__), code)
static inline rwkv_status rw_code(rwkv_status returned, rwkv_status code)
{
    (void)returned;
    return code;
}

#define RW_TRY(expr)                        \
    do {                                    \
        rwkv_status rw_try_status = (expr); \
        if (rw_try_status != RWKV_OK)       \
            return rw_try_status;           \
    } while (0)

/* Needs `rwkv_status status` and a label `done:` in the function. */
#define RW_GO(expr)            \
    do {                       \
        status = (expr);       \
        if (status != RWKV_OK) \
            goto done;         \
    } while (0)

#define RW_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RW_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RW_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
