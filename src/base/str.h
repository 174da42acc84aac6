/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte string, always terminated. After an allocation failure `failed` is set, appends do
 * nothing, and `data` keeps what it had: build, then check once.
 */
#ifndef RW_BASE_STR_H
#define RW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rw_str {
    char *data; /* NULL until something is appended */
    size_t size;
    size_t capacity;
    bool failed;
};

void rw_str_fini(struct rw_str *s);
void rw_str_reset(struct rw_str *s); /* empty, keeping the memory */
void rw_str_add(struct rw_str *s, const void *bytes, size_t n);
void rw_str_adds(struct rw_str *s, const char *text);
void rw_str_addc(struct rw_str *s, char c);
void rw_str_printf(struct rw_str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Add the shortest decimal number that reads back as the same float: 1e-05, not 9.99999975e-06. */
void rw_str_add_f32(struct rw_str *s, float x);
/* Add text as the inside of a JSON string (no quotes); invalid UTF-8 becomes U+FFFD. */
void rw_str_add_json(struct rw_str *s, const char *text, size_t n);
/* Give the buffer away (to be freed with rw_free); the string is empty afterwards. NULL if failed.
 */
char *rw_str_take(struct rw_str *s);

bool rw_has_prefix(const char *s, const char *prefix);
bool rw_has_suffix(const char *s, const char *suffix);
/* Last component of a path, borrowed from it. */
const char *rw_basename(const char *path);
/* 64-bit FNV-1a. */
uint64_t rw_hash(const void *bytes, size_t n);

#endif
