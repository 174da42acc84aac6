/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of a store. The checksum would keep a fuzzer out, so it is put right too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/hash.h"
#include "engine/store_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is said to be in the file is inside of it. */
static void check(const uint8_t *bytes, size_t size)
{
    static volatile uint8_t sink;
    struct rw_store_content content;
    rwkv_error err = {0};
    if (rw_store_content_read(bytes, size, "fuzz", &content, &err) != RWKV_OK) {
        if (err.code == RWKV_OK || strncmp(err.message, "fuzz: ", 6) != 0)
            abort();
        return;
    }
    if (content.state + content.state_size != bytes + size)
        abort();
    for (const uint8_t *p = content.key; p < bytes + size; p++)
        sink = (uint8_t)(sink ^ *p);
    int32_t *tokens = malloc(content.n_tokens * sizeof *tokens + 1);
    uint8_t *copy = malloc(rw_store_head_size(content.n_tokens));
    rw_store_tokens_read(content.tokens, content.n_tokens, tokens);
    rw_store_head_write(&content, copy);
    if (memcmp(copy, bytes, rw_store_head_size(content.n_tokens)) != 0)
        abort();
    free(tokens);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size);
    if (size < rw_store_head_size(0))
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    uint64_t n = rw_load_u64(copy + 80) % (size / 4);
    size_t head = rw_store_head_size((size_t)n);
    if (head <= size) {
        rw_store_u64(copy + 80, n);
        rw_store_u64(copy + 88, size - head);
        rw_store_u32(copy + head - 4, rw_crc32(0, copy, head - 4));
        check(copy, size);
    }
    free(copy);
    return 0;
}
