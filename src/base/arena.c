/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <sys/mman.h>

#include "base/alloc.h"

int rw_arena_init(struct rw_arena *arena, size_t size)
{
    *arena = (struct rw_arena){0};
    if (size == 0)
        size = RW_ALIGN;
    /* Straight from the system: zero pages that cost nothing until they are touched. */
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return 0;
    arena->base = base;
    arena->size = size;
    return 1;
}

void rw_arena_fini(struct rw_arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->size);
    *arena = (struct rw_arena){0};
}

void *rw_arena_take(struct rw_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    int fits = rw_mul(count, size, &bytes) && rw_add(bytes, RW_ALIGN - 1, &bytes);
    assert(fits);
    (void)fits;
    bytes &= ~(size_t)(RW_ALIGN - 1);
    size_t at = arena->used;
    arena->used += bytes;
    if (!arena->base)
        return NULL;
    assert(arena->used <= arena->size);
    return arena->base + at;
}
