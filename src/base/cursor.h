/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded cursor over bytes that may be hostile. Reads are little-endian, never out of bounds,
 * and latch: after the first read past the end `failed` stays set, reads give zero, and the
 * position does not move, so a parser may read a whole record and check once.
 */
#ifndef RW_BASE_CURSOR_H
#define RW_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rw_cursor {
    const uint8_t *data; /* borrowed */
    size_t size;
    size_t at;
    bool failed;
};

static inline struct rw_cursor rw_cursor_make(const void *data, size_t size)
{
    return (struct rw_cursor){(const uint8_t *)data, size, 0, false};
}

static inline size_t rw_cursor_left(const struct rw_cursor *c)
{
    return c->size - c->at;
}

/* The next n bytes, borrowed from the data; NULL (and failed) if there are fewer. */
const uint8_t *rw_cursor_bytes(struct rw_cursor *c, uint64_t n);
/* Go to an absolute position; failed if beyond the end. */
void rw_cursor_seek(struct rw_cursor *c, uint64_t at);
uint8_t rw_cursor_u8(struct rw_cursor *c);
uint16_t rw_cursor_u16(struct rw_cursor *c);
uint32_t rw_cursor_u32(struct rw_cursor *c);
uint64_t rw_cursor_u64(struct rw_cursor *c);
int32_t rw_cursor_i32(struct rw_cursor *c);
int64_t rw_cursor_i64(struct rw_cursor *c);
float rw_cursor_f32(struct rw_cursor *c);
double rw_cursor_f64(struct rw_cursor *c);

/* Unaligned little-endian loads and stores, for fields at known offsets. */
static inline uint16_t rw_load_u16(const void *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t rw_load_u32(const void *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t rw_load_u64(const void *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint64_t)rw_load_u32(b) | (uint64_t)rw_load_u32(b + 4) << 32;
}

static inline void rw_store_u16(void *p, uint16_t v)
{
    uint8_t *b = (uint8_t *)p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static inline void rw_store_u32(void *p, uint32_t v)
{
    rw_store_u16(p, (uint16_t)v);
    rw_store_u16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void rw_store_u64(void *p, uint64_t v)
{
    rw_store_u32(p, (uint32_t)v);
    rw_store_u32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

#endif
