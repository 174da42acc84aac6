/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *rw_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!rw_mul(count, size, &bytes))
        return NULL;
    return malloc(bytes ? bytes : 1);
}

void *rw_calloc(size_t count, size_t size)
{
    return calloc(count ? count : 1, size ? size : 1);
}

void *rw_alloc_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (!rw_mul(count, size, &bytes) || !rw_add(bytes, RW_ALIGN - 1, &bytes))
        return NULL;
    bytes &= ~(size_t)(RW_ALIGN - 1);
    return aligned_alloc(RW_ALIGN, bytes ? bytes : RW_ALIGN);
}

#define LARGE_PAGE ((size_t)2 << 20)

void *rw_alloc_large(size_t bytes)
{
    if (bytes < LARGE_PAGE)
        return rw_alloc_aligned(bytes, 1);
    if (!rw_add(bytes, LARGE_PAGE - 1, &bytes))
        return NULL;
    bytes &= ~(LARGE_PAGE - 1);
    void *p = aligned_alloc(LARGE_PAGE, bytes);
    if (p)
        madvise(p, bytes, MADV_HUGEPAGE); /* a wish; without it pages are small */
    return p;
}

void *rw_realloc(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (!rw_mul(count, size, &bytes))
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void rw_free(void *p)
{
    free(p);
}

char *rw_strdup(const char *s)
{
    return rw_strndup(s, strlen(s));
}

char *rw_strndup(const char *s, size_t n)
{
    size_t bytes;
    char *copy = rw_add(n, 1, &bytes) ? rw_alloc(bytes, 1) : NULL;
    if (copy) {
        if (n)
            memcpy(copy, s, n);
        copy[n] = 0;
    }
    return copy;
}

int rw_grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return 1;
    size_t wanted = *capacity ? *capacity : 8;
    if (*capacity && !rw_mul(*capacity, 2, &wanted))
        return 0;
    void *bigger = rw_realloc(*array, wanted, size);
    if (!bigger)
        return 0;
    *array = bigger;
    *capacity = wanted;
    return 1;
}
