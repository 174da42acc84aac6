/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

/* The length a lead byte asks for (0: no lead byte) and the range its second byte must lie in: this
 * table is what keeps out overlong forms, surrogates and everything past U+10FFFF. */
static size_t lead(uint8_t b, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (b < 0x80)
        return 1;
    if (b < 0xc2)
        return 0;
    if (b < 0xe0)
        return 2;
    if (b < 0xf0) {
        if (b == 0xe0)
            *low = 0xa0;
        if (b == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (b < 0xf5) {
        if (b == 0xf0)
            *low = 0x90;
        if (b == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

enum rw_utf8_kind rw_utf8_next(const uint8_t *s, size_t n, size_t *len, uint32_t *code)
{
    uint8_t low, high;
    size_t want = lead(s[0], &low, &high);
    *len = 1;
    *code = s[0];
    if (want == 1)
        return RW_UTF8_CHAR;
    if (want == 0)
        return RW_UTF8_INVALID;
    uint32_t value = s[0] & (0x7f >> want);
    for (size_t i = 1; i < want; i++) {
        if (i == n)
            return RW_UTF8_PARTIAL;
        if (s[i] < low || s[i] > high) {
            *len = i;
            return RW_UTF8_INVALID;
        }
        value = value << 6 | (s[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }
    *len = want;
    *code = value;
    return RW_UTF8_CHAR;
}

bool rw_utf8_valid(const void *s, size_t n)
{
    const uint8_t *p = s;
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t code;
        if (rw_utf8_next(p + at, n - at, &len, &code) != RW_UTF8_CHAR)
            return false;
    }
    return true;
}

size_t rw_utf8_put(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}
