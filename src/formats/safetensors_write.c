/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing safetensors: a header padded with spaces to a multiple of 8 bytes, then the data of all
 * tensors in the plan's order, one directly after the other as the format demands. So elements are
 * aligned when tensors of larger elements come first or all sizes are even multiples, as in models.
 * Of the metadata only strings can be kept.
 */
#include <string.h>

#include "base/cursor.h"
#include "base/output.h"
#include "base/status.h"
#include "base/str.h"
#include "base/utf8.h"
#include "formats/safetensors_int.h"

#define MAX_HEADER ((size_t)100000000) /* readers refuse longer ones */

static rwkv_status add_string(struct rw_writer *w, struct rw_str *header, const char *text,
                              size_t n, rwkv_error *err)
{
    if (!rw_utf8_valid(text, n))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: header: wanted names and texts in UTF-8, found "
                       "\"%.*s\"",
                       rw_writer_path(w), (int)RW_MIN(n, (size_t)100), text);
    rw_str_addc(header, '"');
    rw_str_add_json(header, text, n);
    rw_str_addc(header, '"');
    return RWKV_OK;
}

static rwkv_status add_metadata(struct rw_writer *w, struct rw_str *header, rwkv_error *err)
{
    const struct rw_write_plan *plan = rw_writer_plan(w);
    size_t n = 0;
    for (size_t i = 0; i < plan->n_meta; i++) {
        const struct rw_meta *meta = &plan->meta[i];
        if (meta->type != RW_META_STRING)
            continue;
        rw_str_adds(header, n++ ? "," : "\"__metadata__\":{");
        RW_TRY(add_string(w, header, meta->key, strlen(meta->key), err));
        rw_str_addc(header, ':');
        RW_TRY(add_string(w, header, meta->value.s.data, meta->value.s.size, err));
    }
    if (n)
        rw_str_adds(header, plan->n_tensors ? "}," : "}");
    return RWKV_OK;
}

static rwkv_status add_tensor(struct rw_writer *w, struct rw_str *header,
                              const struct rw_named_tensor *named, uint64_t *at, rwkv_error *err)
{
    const struct rw_tensor *t = &named->tensor;
    const char *type = rw_dtype(t->dtype)->safetensors;
    if (!type)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: tensor \"%s\": safetensors has no type %s",
                       rw_writer_path(w), named->name, rwkv_dtype_name(t->dtype));
    if (strcmp(named->name, "__metadata__") == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: a tensor cannot be called \"__metadata__\"",
                       rw_writer_path(w));
    RW_TRY(add_string(w, header, named->name, strlen(named->name), err));
    rw_str_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", type);
    for (size_t i = 0; i < t->n_dims; i++)
        rw_str_printf(header, "%s%zu", i ? "," : "", t->shape[i]);
    uint64_t end = *at + rw_tensor_bytes(t);
    rw_str_printf(header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)*at,
                  (unsigned long long)end);
    *at = end;
    return RWKV_OK;
}

static rwkv_status make_header(struct rw_writer *w, struct rw_str *header, rwkv_error *err)
{
    const struct rw_write_plan *plan = rw_writer_plan(w);
    uint64_t at = 0;
    rw_str_addc(header, '{');
    RW_TRY(add_metadata(w, header, err));
    for (size_t i = 0; i < plan->n_tensors; i++) {
        if (i)
            rw_str_addc(header, ',');
        RW_TRY(add_tensor(w, header, &plan->tensors[i], &at, err));
    }
    rw_str_addc(header, '}');
    while (header->size % 8 != 0 && !header->failed)
        rw_str_addc(header, ' ');
    if (header->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the header", rw_writer_path(w));
    if (header->size > MAX_HEADER)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: header: at most %zu bytes are possible, needed %zu", rw_writer_path(w),
                       MAX_HEADER, header->size);
    return RWKV_OK;
}

static rwkv_status begin(struct rw_writer *w, void *self, rwkv_error *err)
{
    struct rw_str header = {0};
    uint8_t size[8];
    rwkv_status status;
    RW_GO(make_header(w, &header, err));
    rw_store_u64(size, header.size);
    RW_GO(rw_output_write(rw_writer_output(w), size, sizeof size, err));
    RW_GO(rw_output_write(rw_writer_output(w), header.data, header.size, err));
done:
    rw_str_fini(&header);
    return status;
}

const struct rw_writer_ops rw_safetensors_writer = {.begin = begin};
