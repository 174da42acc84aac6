/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file of a store holds. All little-endian:
 *
 *     0   8   magic 89 52 57 4B 56 52 4D 0A ("\x89RWKVRM\n")
 *     8   4   version 1
 *     12  4   zero
 *     16  32  fingerprint of the model
 *     48  32  owner
 *     80  8   n, number of tokens; 0 for a named state
 *     88  8   bytes of the state
 *     96  4n  tokens, int32
 *     …   4   CRC-32 of everything before
 *     …       the state, as in state_file.c, with a checksum of its own
 */
#include <string.h>

#include "base/cursor.h"
#include "base/hash.h"
#include "base/status.h"
#include "engine/store_file.h"

static const uint8_t magic[8] = {0x89, 'R', 'W', 'K', 'V', 'R', 'M', '\n'};

#define VERSION 1
#define FIXED_BYTES 96

size_t rw_store_head_size(size_t n_tokens)
{
    return FIXED_BYTES + n_tokens * 4 + 4;
}

void rw_store_tokens_write(const int32_t *tokens, size_t n, uint8_t *to)
{
    for (size_t i = 0; i < n; i++)
        rw_store_u32(to + 4 * i, (uint32_t)tokens[i]);
}

void rw_store_tokens_read(const uint8_t *from, size_t n, int32_t *tokens)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)rw_load_u32(from + 4 * i);
}

void rw_store_head_write(const struct rw_store_content *content, uint8_t *to)
{
    size_t size = rw_store_head_size(content->n_tokens);
    memcpy(to, magic, sizeof magic);
    rw_store_u32(to + 8, VERSION);
    rw_store_u32(to + 12, 0);
    memcpy(to + 16, content->key, RW_STORE_KEY);
    rw_store_u64(to + 80, content->n_tokens);
    rw_store_u64(to + 88, content->state_size);
    if (content->n_tokens)
        memcpy(to + FIXED_BYTES, content->tokens, content->n_tokens * 4);
    rw_store_u32(to + size - 4, rw_crc32(0, to, size - 4));
}

rwkv_status rw_store_content_read(const void *bytes, size_t size, const char *name,
                                  struct rw_store_content *out, rwkv_error *err)
{
    const uint8_t *p = bytes;
    if (size < FIXED_BYTES + 4 || memcmp(p, magic, sizeof magic) != 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: not a file of a store (%zu bytes%s)", name,
                       size, size < FIXED_BYTES + 4 ? ", too few for a header" : "");
    if (rw_load_u32(p + 8) != VERSION || rw_load_u32(p + 12) != 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: wanted version %d, found %u.%u", name,
                       VERSION, (unsigned)rw_load_u32(p + 8), (unsigned)rw_load_u32(p + 12));
    uint64_t n_tokens = rw_load_u64(p + 80), state_size = rw_load_u64(p + 88);
    if (n_tokens > (size - FIXED_BYTES - 4) / 4 ||
        state_size != size - rw_store_head_size((size_t)n_tokens))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: wanted %llu tokens and %llu bytes of a state, found %zu bytes in all",
                       name, (unsigned long long)n_tokens, (unsigned long long)state_size, size);
    size_t head = rw_store_head_size((size_t)n_tokens);
    if (rw_crc32(0, p, head - 4) != rw_load_u32(p + head - 4))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: damaged: the checksum of its head is wrong",
                       name);
    *out = (struct rw_store_content){
        .key = p + 16,
        .tokens = p + FIXED_BYTES,
        .n_tokens = (size_t)n_tokens,
        .state = p + head,
        .state_size = (size_t)state_size,
    };
    return RWKV_OK;
}
