/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

void rw_str_fini(struct rw_str *s)
{
    rw_free(s->data);
    *s = (struct rw_str){0};
}

void rw_str_reset(struct rw_str *s)
{
    s->size = 0;
    s->failed = false;
    if (s->data)
        s->data[0] = 0;
}

/* Room for n more bytes and the terminator. */
static bool reserve(struct rw_str *s, size_t n)
{
    size_t wanted;
    if (s->failed || !rw_add(s->size, n, &wanted) || !rw_add(wanted, 1, &wanted)) {
        s->failed = true;
        return false;
    }
    if (wanted <= s->capacity)
        return true;
    size_t capacity = s->capacity ? s->capacity : 64;
    while (capacity < wanted)
        if (!rw_mul(capacity, 2, &capacity))
            capacity = wanted;
    char *data = rw_realloc(s->data, capacity, 1);
    if (!data) {
        s->failed = true;
        return false;
    }
    s->data = data;
    s->capacity = capacity;
    return true;
}

void rw_str_add(struct rw_str *s, const void *bytes, size_t n)
{
    if (!reserve(s, n))
        return;
    if (n)
        memcpy(s->data + s->size, bytes, n);
    s->size += n;
    s->data[s->size] = 0;
}

void rw_str_adds(struct rw_str *s, const char *text)
{
    rw_str_add(s, text, strlen(text));
}

void rw_str_addc(struct rw_str *s, char c)
{
    rw_str_add(s, &c, 1);
}

void rw_str_printf(struct rw_str *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(s, (size_t)n)) {
        s->failed = true;
        return;
    }
    va_start(args, fmt);
    vsnprintf(s->data + s->size, (size_t)n + 1, fmt, args);
    va_end(args);
    s->size += (size_t)n;
}

void rw_str_add_f32(struct rw_str *s, float x)
{
    char text[32];
    int digits = 1;
    do
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
    while (strtof(text, NULL) != x && ++digits <= 9); /* 9 are always enough */
    rw_str_adds(s, text);
}

void rw_str_add_json(struct rw_str *s, const char *text, size_t n)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t code;
        enum rw_utf8_kind kind = rw_utf8_next(p + at, n - at, &len, &code);
        if (kind == RW_UTF8_PARTIAL)
            len = n - at;
        if (kind != RW_UTF8_CHAR)
            rw_str_adds(s, "\xef\xbf\xbd");
        else if (code == '"' || code == '\\')
            rw_str_printf(s, "\\%c", (char)code);
        else if (code == '\n')
            rw_str_adds(s, "\\n");
        else if (code < 0x20 || code == 0x7f)
            rw_str_printf(s, "\\u%04x", (unsigned)code);
        else
            rw_str_add(s, p + at, len);
    }
}

char *rw_str_take(struct rw_str *s)
{
    if (!s->failed && !s->data)
        rw_str_add(s, "", 0);
    char *data = s->failed ? NULL : s->data;
    if (!data)
        rw_free(s->data);
    *s = (struct rw_str){0};
    return data;
}

bool rw_has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool rw_has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

const char *rw_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

uint64_t rw_hash(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
