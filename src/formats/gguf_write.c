/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing GGUF version 3 as llama.cpp wants it: tensors in the order of their data, each offset the
 * sum of the padded sizes before it, the last one padded too. Metadata is written as given, except
 * what describes the layout of another file (general.alignment, split.*).
 */
#include <string.h>

#include "base/cursor.h"
#include "base/output.h"
#include "base/status.h"
#include "base/str.h"
#include "formats/gguf_int.h"

static void put_u32(struct rw_str *s, uint32_t value)
{
    uint8_t bytes[4];
    rw_store_u32(bytes, value);
    rw_str_add(s, bytes, sizeof bytes);
}

static void put_u64(struct rw_str *s, uint64_t value)
{
    uint8_t bytes[8];
    rw_store_u64(bytes, value);
    rw_str_add(s, bytes, sizeof bytes);
}

static void put_string(struct rw_str *s, const char *text, size_t n)
{
    put_u64(s, n);
    rw_str_add(s, text, n);
}

/* --- metadata --- */

static bool is_of_layout(const char *key)
{
    return strcmp(key, "general.alignment") == 0 || rw_has_prefix(key, "split.");
}

/* A number in the bytes its type takes. */
static void put_number(struct rw_str *s, const struct rw_meta *meta)
{
    uint8_t bytes[8];
    uint64_t bits = meta->value.u; /* signed ones are two's complement */
    if (meta->type == RW_META_F64) {
        memcpy(&bits, &meta->value.f, sizeof bits);
    } else if (meta->type == RW_META_F32) {
        float f = (float)meta->value.f;
        uint32_t half;
        memcpy(&half, &f, sizeof half);
        bits = half;
    }
    rw_store_u64(bytes, bits);
    rw_str_add(s, bytes, rw_gguf_value_size(meta->type));
}

static void put_meta(struct rw_str *s, const struct rw_meta *meta)
{
    put_string(s, meta->key, strlen(meta->key));
    put_u32(s, meta->type);
    if (meta->type == RW_META_STRING) {
        put_string(s, meta->value.s.data, meta->value.s.size);
    } else if (meta->type == RW_META_ARRAY) {
        put_u32(s, meta->item);
        put_u64(s, meta->count);
        rw_str_add(s, meta->items.data, meta->items.size);
    } else {
        put_number(s, meta);
    }
}

/* --- tensors --- */

static size_t padded(size_t bytes)
{
    return (bytes + RW_GGUF_ALIGNMENT - 1) / RW_GGUF_ALIGNMENT * RW_GGUF_ALIGNMENT;
}

static rwkv_status check_tensor(const struct rw_writer *w, const struct rw_named_tensor *named,
                                rwkv_error *err)
{
    const struct rw_tensor *t = &named->tensor;
    const char *path = rw_writer_path(w);
    if (rw_dtype(t->dtype)->gguf < 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: tensor \"%s\": GGUF has no type %s", path,
                       named->name, rwkv_dtype_name(t->dtype));
    if (strlen(named->name) > RW_GGUF_MAX_NAME)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: tensor \"%s\": wanted a name of at most %d bytes, found %zu", path,
                       named->name, RW_GGUF_MAX_NAME, strlen(named->name));
    if (t->n_dims > RW_GGUF_MAX_DIMS)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: tensor \"%s\": wanted at most %d dimensions, found %zu", path,
                       named->name, RW_GGUF_MAX_DIMS, t->n_dims);
    if (rw_tensor_elements(t) == 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: tensor \"%s\": GGUF has no tensors without elements", path,
                       named->name);
    return RWKV_OK;
}

static void put_tensor(struct rw_str *s, const struct rw_named_tensor *named, uint64_t offset)
{
    const struct rw_tensor *t = &named->tensor;
    put_string(s, named->name, strlen(named->name));
    put_u32(s, t->n_dims ? (uint32_t)t->n_dims : 1);
    for (size_t i = t->n_dims; i-- > 0;)
        put_u64(s, t->shape[i]);
    if (t->n_dims == 0)
        put_u64(s, 1);
    put_u32(s, (uint32_t)rw_dtype(t->dtype)->gguf);
    put_u64(s, offset);
}

/* --- the steps --- */

static rwkv_status make_header(const struct rw_writer *w, struct rw_str *header, rwkv_error *err)
{
    const struct rw_write_plan *plan = rw_writer_plan(w);
    size_t n_meta = 0;
    for (size_t i = 0; i < plan->n_meta; i++)
        n_meta += !is_of_layout(plan->meta[i].key);
    rw_str_adds(header, "GGUF");
    put_u32(header, RW_GGUF_VERSION);
    put_u64(header, plan->n_tensors);
    put_u64(header, n_meta);
    for (size_t i = 0; i < plan->n_meta; i++)
        if (!is_of_layout(plan->meta[i].key))
            put_meta(header, &plan->meta[i]);
    uint64_t offset = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        RW_TRY(check_tensor(w, &plan->tensors[i], err));
        put_tensor(header, &plan->tensors[i], offset);
        offset += padded(rw_tensor_bytes(&plan->tensors[i].tensor));
    }
    if (header->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the header", rw_writer_path(w));
    return RWKV_OK;
}

static rwkv_status begin(struct rw_writer *w, void *self, rwkv_error *err)
{
    struct rw_str header = {0};
    rwkv_status status;
    RW_GO(make_header(w, &header, err));
    RW_GO(rw_output_write(rw_writer_output(w), header.data, header.size, err));
done:
    rw_str_fini(&header);
    return status;
}

/* Padding: between the header and the first tensor, between tensors, and after the last. */
static rwkv_status before_tensor(struct rw_writer *w, void *self, size_t i, rwkv_error *err)
{
    return rw_output_align(rw_writer_output(w), RW_GGUF_ALIGNMENT, err);
}

static rwkv_status end(struct rw_writer *w, void *self, rwkv_error *err)
{
    return rw_output_align(rw_writer_output(w), RW_GGUF_ALIGNMENT, err);
}

const struct rw_writer_ops rw_gguf_writer = {.begin = begin, .tensor = before_tensor, .end = end};
