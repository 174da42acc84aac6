/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata as one line of text, for people. */
#include <inttypes.h>
#include <string.h>

#include "base/cursor.h"
#include "formats/format.h"

#define SHOWN_ITEMS 8    /* of an array */
#define SHOWN_BYTES 2000 /* of a string */

static void add_text(struct rw_str *out, struct rw_bytes s)
{
    rw_str_add(out, s.data, s.size < SHOWN_BYTES ? s.size : SHOWN_BYTES);
    if (s.size > SHOWN_BYTES)
        rw_str_printf(out, "... (%zu bytes)", s.size);
}

static void add_number(struct rw_str *out, enum rw_meta_type type, struct rw_cursor *c)
{
    switch (type) {
    case RW_META_U8:
        rw_str_printf(out, "%u", rw_cursor_u8(c));
        break;
    case RW_META_I8:
        rw_str_printf(out, "%d", (int8_t)rw_cursor_u8(c));
        break;
    case RW_META_U16:
        rw_str_printf(out, "%u", rw_cursor_u16(c));
        break;
    case RW_META_I16:
        rw_str_printf(out, "%d", (int16_t)rw_cursor_u16(c));
        break;
    case RW_META_U32:
        rw_str_printf(out, "%" PRIu32, rw_cursor_u32(c));
        break;
    case RW_META_I32:
        rw_str_printf(out, "%" PRId32, rw_cursor_i32(c));
        break;
    case RW_META_F32:
        rw_str_add_f32(out, rw_cursor_f32(c));
        break;
    case RW_META_BOOL:
        rw_str_adds(out, rw_cursor_u8(c) ? "true" : "false");
        break;
    case RW_META_U64:
        rw_str_printf(out, "%" PRIu64, rw_cursor_u64(c));
        break;
    case RW_META_I64:
        rw_str_printf(out, "%" PRId64, rw_cursor_i64(c));
        break;
    case RW_META_F64:
        rw_str_printf(out, "%.17g", rw_cursor_f64(c));
        break;
    case RW_META_STRING:
    case RW_META_ARRAY:
        break;
    }
}

static void add_array(struct rw_str *out, const struct rw_meta *meta)
{
    struct rw_cursor c = rw_cursor_make(meta->items.data, meta->items.size);
    size_t at = 0, shown = meta->count < SHOWN_ITEMS ? meta->count : SHOWN_ITEMS;
    struct rw_bytes item;
    rw_str_addc(out, '[');
    for (size_t i = 0; i < shown; i++) {
        rw_str_adds(out, i ? ", " : "");
        if (meta->item != RW_META_STRING)
            add_number(out, meta->item, &c);
        else if (rw_meta_next_string(meta, &at, &item))
            add_text(out, item);
    }
    if (shown < meta->count)
        rw_str_printf(out, ", ... (%zu items)", meta->count);
    rw_str_addc(out, ']');
}

void rw_meta_render(const struct rw_meta *meta, struct rw_str *out)
{
    switch (meta->type) {
    case RW_META_STRING:
        add_text(out, meta->value.s);
        break;
    case RW_META_ARRAY:
        add_array(out, meta);
        break;
    case RW_META_BOOL:
        rw_str_adds(out, meta->value.u ? "true" : "false");
        break;
    case RW_META_F32:
        rw_str_add_f32(out, (float)meta->value.f);
        break;
    case RW_META_F64:
        rw_str_printf(out, "%.9g", meta->value.f);
        break;
    case RW_META_I8:
    case RW_META_I16:
    case RW_META_I32:
    case RW_META_I64:
        rw_str_printf(out, "%" PRId64, meta->value.i);
        break;
    case RW_META_U8:
    case RW_META_U16:
    case RW_META_U32:
    case RW_META_U64:
        rw_str_printf(out, "%" PRIu64, meta->value.u);
        break;
    }
}
