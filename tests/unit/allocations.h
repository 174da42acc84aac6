/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts every allocation of the process, and lets aligned ones fail on request, which are the
 * large ones of models and sessions. To be included by one file of a program. A sanitizer has its
 * own allocator and is left alone: COUNTS is then 0.
 */
#ifndef UNIT_ALLOCATIONS_H
#define UNIT_ALLOCATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_size_t allocations;
static atomic_bool fail_aligned;

/* Allocations so far. */
static inline size_t count_allocations(void)
{
    return allocations;
}

/* Whether aligned allocations fail from here on. */
static inline void let_aligned_fail(bool fail)
{
    fail_aligned = fail;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#ifndef COUNTS
#define COUNTS 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return fail_aligned ? NULL : __libc_memalign(alignment, size);
}
#endif

#endif
