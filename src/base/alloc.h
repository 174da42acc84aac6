/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap memory. Every allocation of the library comes through here. Sizes are checked for overflow;
 * NULL means no memory (callers report RWKV_ERROR_MEMORY). rw_free(NULL) is fine. All blocks,
 * aligned or not, go back through rw_free.
 */
#ifndef RW_BASE_ALLOC_H
#define RW_BASE_ALLOC_H

#include <stddef.h>

#define RW_ALIGN 64 /* bytes: a cache line, a 512-bit vector */

void *rw_alloc(size_t count, size_t size);         /* count × size bytes, uninitialised */
void *rw_calloc(size_t count, size_t size);        /* zeroed */
void *rw_alloc_aligned(size_t count, size_t size); /* at a multiple of RW_ALIGN, uninitialised */
/* For data that is large and read again and again: the system is asked for large pages. They take
 * up memory only as they are written. Aligned to RW_ALIGN at least. */
void *rw_alloc_large(size_t bytes);
void *rw_realloc(void *p, size_t count, size_t size); /* on failure p stays as it was */
void rw_free(void *p);
char *rw_strdup(const char *s);
char *rw_strndup(const char *s, size_t n); /* n bytes and a terminator */

/* a × b or a + b into *out; false on overflow. */
static inline int rw_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline int rw_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Make room for one more element in a growing array: doubles *capacity when count reaches it. False
 * when there is no memory; the array is then as it was. */
int rw_grow(void **array, size_t count, size_t *capacity, size_t size);

#endif
