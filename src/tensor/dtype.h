/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of element types. Everything that depends on a type's identity (names in files,
 * block sizes) is read from here.
 */
#ifndef RW_TENSOR_DTYPE_H
#define RW_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_dtype_info {
    const char *name;        /* "F32" */
    uint16_t block;          /* elements a block; 1 for plain types */
    uint16_t bytes;          /* bytes a block */
    int gguf;                /* id in GGUF, -1 if it has none */
    const char *safetensors; /* name there, NULL if it has none */
    const char *torch;       /* storage class in module torch, NULL if none */
};

/* `dtype` < RWKV_DTYPE_COUNT. */
const struct rw_dtype_info *rw_dtype(rwkv_dtype dtype);

/* RWKV_DTYPE_COUNT when there is none. */
rwkv_dtype rw_dtype_from_gguf(uint32_t id);
rwkv_dtype rw_dtype_from_safetensors(const char *name, size_t size);
rwkv_dtype rw_dtype_from_torch(const char *name, size_t size);

static inline bool rw_dtype_is_block(rwkv_dtype dtype)
{
    return rw_dtype(dtype)->block > 1;
}

/* F32, F16, BF16, F64: plain floating point. */
bool rw_dtype_is_float(rwkv_dtype dtype);

/* Bytes of n elements; false when n is no multiple of the block or the size overflows. */
bool rw_dtype_size(rwkv_dtype dtype, size_t n, size_t *bytes);

#endif
