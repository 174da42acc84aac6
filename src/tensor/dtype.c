/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dtype.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/status.h"

static const struct rw_dtype_info table[RWKV_DTYPE_COUNT] = {
    /*                       name      block bytes gguf safetensors torch */
    [RWKV_DTYPE_F32] = {"F32", 1, 4, 0, "F32", "FloatStorage"},
    [RWKV_DTYPE_F16] = {"F16", 1, 2, 1, "F16", "HalfStorage"},
    [RWKV_DTYPE_BF16] = {"BF16", 1, 2, 30, "BF16", "BFloat16Storage"},
    [RWKV_DTYPE_Q4_0] = {"Q4_0", 32, 18, 2, NULL, NULL},
    [RWKV_DTYPE_Q4_1] = {"Q4_1", 32, 20, 3, NULL, NULL},
    [RWKV_DTYPE_Q5_0] = {"Q5_0", 32, 22, 6, NULL, NULL},
    [RWKV_DTYPE_Q5_1] = {"Q5_1", 32, 24, 7, NULL, NULL},
    [RWKV_DTYPE_Q8_0] = {"Q8_0", 32, 34, 8, NULL, NULL},
    [RWKV_DTYPE_Q2_K] = {"Q2_K", 256, 84, 10, NULL, NULL},
    [RWKV_DTYPE_Q3_K] = {"Q3_K", 256, 110, 11, NULL, NULL},
    [RWKV_DTYPE_Q4_K] = {"Q4_K", 256, 144, 12, NULL, NULL},
    [RWKV_DTYPE_Q5_K] = {"Q5_K", 256, 176, 13, NULL, NULL},
    [RWKV_DTYPE_Q6_K] = {"Q6_K", 256, 210, 14, NULL, NULL},
    [RWKV_DTYPE_IQ4_NL] = {"IQ4_NL", 32, 18, 20, NULL, NULL},
    [RWKV_DTYPE_IQ4_XS] = {"IQ4_XS", 256, 136, 23, NULL, NULL},
    [RWKV_DTYPE_F64] = {"F64", 1, 8, 28, "F64", "DoubleStorage"},
    [RWKV_DTYPE_I64] = {"I64", 1, 8, 27, "I64", "LongStorage"},
    [RWKV_DTYPE_I32] = {"I32", 1, 4, 26, "I32", "IntStorage"},
    [RWKV_DTYPE_I16] = {"I16", 1, 2, 25, "I16", "ShortStorage"},
    [RWKV_DTYPE_I8] = {"I8", 1, 1, 24, "I8", "CharStorage"},
    [RWKV_DTYPE_U64] = {"U64", 1, 8, -1, "U64", NULL},
    [RWKV_DTYPE_U32] = {"U32", 1, 4, -1, "U32", NULL},
    [RWKV_DTYPE_U16] = {"U16", 1, 2, -1, "U16", NULL},
    [RWKV_DTYPE_U8] = {"U8", 1, 1, -1, "U8", "ByteStorage"},
    [RWKV_DTYPE_BOOL] = {"BOOL", 1, 1, -1, "BOOL", "BoolStorage"},
    [RWKV_DTYPE_F8_E4M3] = {"F8_E4M3", 1, 1, -1, "F8_E4M3", NULL},
    [RWKV_DTYPE_F8_E5M2] = {"F8_E5M2", 1, 1, -1, "F8_E5M2", NULL},
};

const struct rw_dtype_info *rw_dtype(rwkv_dtype dtype)
{
    return &table[dtype];
}

const char *rwkv_dtype_name(rwkv_dtype dtype)
{
    return (size_t)dtype < RWKV_DTYPE_COUNT ? table[dtype].name : "?";
}

rwkv_dtype rwkv_dtype_from_name(const char *name)
{
    for (size_t i = 0; name && i < RWKV_DTYPE_COUNT; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return (rwkv_dtype)i;
    return RWKV_DTYPE_COUNT;
}

rwkv_dtype rw_dtype_from_gguf(uint32_t id)
{
    for (size_t i = 0; i < RWKV_DTYPE_COUNT; i++)
        if (table[i].gguf >= 0 && (uint32_t)table[i].gguf == id)
            return (rwkv_dtype)i;
    return RWKV_DTYPE_COUNT;
}

static bool same(const char *word, const char *name, size_t size)
{
    return word && strlen(word) == size && memcmp(word, name, size) == 0;
}

rwkv_dtype rw_dtype_from_safetensors(const char *name, size_t size)
{
    for (size_t i = 0; i < RWKV_DTYPE_COUNT; i++)
        if (same(table[i].safetensors, name, size))
            return (rwkv_dtype)i;
    return RWKV_DTYPE_COUNT;
}

rwkv_dtype rw_dtype_from_torch(const char *name, size_t size)
{
    for (size_t i = 0; i < RWKV_DTYPE_COUNT; i++)
        if (same(table[i].torch, name, size))
            return (rwkv_dtype)i;
    return RWKV_DTYPE_COUNT;
}

bool rw_dtype_is_float(rwkv_dtype dtype)
{
    return dtype == RWKV_DTYPE_F32 || dtype == RWKV_DTYPE_F16 || dtype == RWKV_DTYPE_BF16 ||
           dtype == RWKV_DTYPE_F64;
}

bool rw_dtype_size(rwkv_dtype dtype, size_t n, size_t *bytes)
{
    const struct rw_dtype_info *info = rw_dtype(dtype);
    return n % info->block == 0 && rw_mul(n / info->block, info->bytes, bytes);
}
