/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena hands out aligned pieces of one block. The same reserve function runs twice: first on an
 * arena without memory, where taking only measures, then on the real one.
 *
 *     struct rw_arena a = {0};
 *     reserve(&a, …);                          // measures: pieces are NULL
 *     if (!rw_arena_init(&a, a.used)) …        // allocates, zeroed, and rewinds
 *     reserve(&a, …);
 *     rw_arena_fini(&a);
 */
#ifndef RW_BASE_ARENA_H
#define RW_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct rw_arena {
    uint8_t *base; /* NULL while measuring */
    size_t size;
    size_t used;
};

int rw_arena_init(struct rw_arena *arena, size_t size); /* false: no memory. Pages are zero. */
void rw_arena_fini(struct rw_arena *arena);

/* count × size bytes at a multiple of 64; NULL while measuring. Asserts that it fits. */
void *rw_arena_take(struct rw_arena *arena, size_t count, size_t size);

#endif
