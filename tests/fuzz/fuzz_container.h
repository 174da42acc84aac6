/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a container from memory and touches all that it lists: each byte must be inside. */
#ifndef FUZZ_CONTAINER_H
#define FUZZ_CONTAINER_H

#include <stdlib.h>
#include <string.h>

#include "formats/format.h"

static inline void fuzz_touch(const void *data, size_t size)
{
    static volatile uint8_t sink;
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        sink = (uint8_t)(sink ^ bytes[i]);
}

static inline void fuzz_check(int condition)
{
    if (!condition)
        abort();
}

static inline void fuzz_meta(const struct rw_file *file, const struct rw_meta *meta)
{
    struct rw_bytes text;
    size_t at = 0, n = 0;
    fuzz_check(rw_file_meta(file, meta->key) == meta);
    if (meta->type == RW_META_STRING)
        fuzz_touch(meta->value.s.data, meta->value.s.size);
    fuzz_touch(meta->items.data, meta->items.size);
    for (; rw_meta_next_string(meta, &at, &text); n++)
        fuzz_touch(text.data, text.size);
    fuzz_check(meta->type != RW_META_ARRAY || meta->item != RW_META_STRING || n == meta->count);
}

/* `name` has the ending of the format, which is tried when no signature is found. */
static inline int fuzz_container(const uint8_t *data, size_t size, const char *name)
{
    struct rw_file *file;
    rwkv_error err = {0};
    if (rw_file_open_memory(&file, data, size, name, &err) != RWKV_OK) {
        fuzz_check(err.code != RWKV_OK && strncmp(err.message, name, strlen(name)) == 0);
        return 0;
    }
    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct rw_named_tensor *t = &file->tensors[i];
        fuzz_check(rw_file_find_index(file, t->name) == i);
        if (rw_tensor_contiguous(&t->tensor))
            fuzz_touch(t->tensor.data, rw_tensor_bytes(&t->tensor));
    }
    for (size_t i = 0; i < file->n_meta; i++)
        fuzz_meta(file, &file->meta[i]);
    rw_file_close(file);
    return 0;
}

#endif
