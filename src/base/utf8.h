/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as Unicode defines it: no surrogates, no overlong forms, at most U+10FFFF. */
#ifndef RW_BASE_UTF8_H
#define RW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rw_utf8_kind { RW_UTF8_CHAR, RW_UTF8_PARTIAL, RW_UTF8_INVALID };

/* Look at the start of `s` (n ≥ 1). CHAR: a whole character of *len bytes, *code set. PARTIAL: all
 * n bytes are the beginning of a character. INVALID: the first *len bytes (≥ 1) are a maximal
 * invalid subpart, for which decoders emit one U+FFFD. */
enum rw_utf8_kind rw_utf8_next(const uint8_t *s, size_t n, size_t *len, uint32_t *code);

bool rw_utf8_valid(const void *s, size_t n);

/* Encode a code point (< 0x110000) into at most 4 bytes; the number of bytes. */
size_t rw_utf8_put(uint32_t code, uint8_t out[4]);

#endif
