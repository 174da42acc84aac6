/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"

#include <string.h>

const uint8_t *rw_cursor_bytes(struct rw_cursor *c, uint64_t n)
{
    if (c->failed || n > rw_cursor_left(c)) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->data + c->at;
    c->at += (size_t)n;
    return p;
}

void rw_cursor_seek(struct rw_cursor *c, uint64_t at)
{
    if (at > c->size)
        c->failed = true;
    else if (!c->failed)
        c->at = (size_t)at;
}

uint8_t rw_cursor_u8(struct rw_cursor *c)
{
    const uint8_t *p = rw_cursor_bytes(c, 1);
    return p ? *p : 0;
}

uint16_t rw_cursor_u16(struct rw_cursor *c)
{
    const uint8_t *p = rw_cursor_bytes(c, 2);
    return p ? rw_load_u16(p) : 0;
}

uint32_t rw_cursor_u32(struct rw_cursor *c)
{
    const uint8_t *p = rw_cursor_bytes(c, 4);
    return p ? rw_load_u32(p) : 0;
}

uint64_t rw_cursor_u64(struct rw_cursor *c)
{
    const uint8_t *p = rw_cursor_bytes(c, 8);
    return p ? rw_load_u64(p) : 0;
}

int32_t rw_cursor_i32(struct rw_cursor *c)
{
    return (int32_t)rw_cursor_u32(c);
}

int64_t rw_cursor_i64(struct rw_cursor *c)
{
    return (int64_t)rw_cursor_u64(c);
}

float rw_cursor_f32(struct rw_cursor *c)
{
    uint32_t bits = rw_cursor_u32(c);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

double rw_cursor_f64(struct rw_cursor *c)
{
    uint64_t bits = rw_cursor_u64(c);
    double f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
