/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* The functions themselves, without the macros over them. */
#undef rw_fail
#undef rw_fail_within

#define STATUS_NAME(symbol, value, name) \
    case symbol:                         \
        return name;

const char *rwkv_status_name(rwkv_status status)
{
    switch (status) {
        RWKV_STATUS_LIST(STATUS_NAME)
    }
    return "unknown";
}

/* Copy `from` into the message of fixed size, making one printable line of it: control characters
 * and invalid UTF-8 become '?', and a character is never cut in two at the end. */
static void set_message(rwkv_error *err, const char *from)
{
    size_t room = sizeof err->message - 1;
    size_t n = strlen(from);
    size_t at = 0, out = 0;
    while (at < n && out < room) {
        size_t len;
        uint32_t code;
        enum rw_utf8_kind kind = rw_utf8_next((const uint8_t *)from + at, n - at, &len, &code);
        bool printable =
            kind == RW_UTF8_CHAR && code >= 0x20 && code != 0x7f && !(code >= 0x80 && code < 0xa0);
        if (kind == RW_UTF8_PARTIAL)
            len = n - at;
        if (!printable) {
            err->message[out++] = '?';
        } else if (out + len <= room) {
            memcpy(err->message + out, from + at, len);
            out += len;
        } else {
            break;
        }
        at += len;
    }
    err->message[out] = 0;
}

rwkv_status rw_fail(rwkv_error *err, rwkv_status code, const char *fmt, ...)
{
    if (err) {
        char text[sizeof err->message * 2];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        err->code = code;
        set_message(err, text);
    }
    return code;
}

rwkv_status rw_fail_within(rwkv_error *err, rwkv_status code, const char *fmt, ...)
{
    if (err) {
        char text[sizeof err->message * 2];
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(text, sizeof text / 2, fmt, args);
        va_end(args);
        size_t used = n < 0 ? 0 : RW_MIN((size_t)n, sizeof text / 2 - 1);
        snprintf(text + used, sizeof text - used, ": %s", err->message);
        err->code = code;
        set_message(err, text);
    }
    return code;
}
