/* SPDX-License-Identifier: Apache-2.0 */
/* Token data: four bytes say how many of the rest are the .idx; what follows is the .bin. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/status.h"
#include "formats/binidx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

/* A block of its exact size, so that a byte too many read is noticed. */
static struct rw_map copy(const uint8_t *data, size_t size)
{
    uint8_t *block = malloc(size ? size : 1);
    check(block != NULL);
    memcpy(block, data, size);
    return (struct rw_map){block, size};
}

/* What belongs to answers is the same asked for at once and one by one. */
static void touch_answers(const struct rw_binidx *b)
{
    uint8_t *answers = malloc((size_t)b->n_tokens + 1), one;
    size_t count = 0;
    check(answers != NULL);
    size_t all = rw_binidx_answers(b, 0, (size_t)b->n_tokens, answers);
    for (uint64_t at = 0; at < b->n_tokens; at++) {
        check(rw_binidx_answers(b, at, 1, &one) == answers[at] && one == answers[at]);
        count += one;
    }
    check(all == count);
    free(answers);
}

/* Documents must cover the stream, and reading must give what is there or say what is wrong. */
static void touch(const struct rw_binidx *b)
{
    char fingerprint[65];
    rwkv_error err = {0};
    check(rw_binidx_document(b, b->n_documents) == b->n_tokens);
    for (uint64_t d = 0; d < b->n_documents; d++)
        check(rw_binidx_document(b, d) <= rw_binidx_document(b, d + 1));
    for (uint64_t at = 0; at < b->n_tokens; at++) {
        int32_t token;
        int64_t wanted = rw_binidx_token(b, at);
        rwkv_status status = rw_binidx_read(b, at, 1, 1000, &token, &err);
        check((status == RWKV_OK) == (wanted >= 0 && wanted < 1000));
        check(status == RWKV_OK ? token == wanted : status == RWKV_ERROR_TOKEN);
    }
    touch_answers(b);
    rw_binidx_fingerprint(b, fingerprint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_binidx b = {0};
    rwkv_error err = {0};
    if (size < 4)
        return 0;
    size_t n = RW_MIN((size_t)rw_load_u32(data), size - 4);
    struct rw_map idx = copy(data + 4, n), bin = copy(data + 4 + n, size - 4 - n);
    if (rw_binidx_open_memory(&b, bin, idx, "fuzz", &err) == RWKV_OK)
        touch(&b);
    else
        check(err.code != RWKV_OK && strncmp(err.message, "fuzz.", 5) == 0 && !b.name);
    rw_free(b.name); /* what is mapped here is not for rw_binidx_close */
    free((void *)idx.data);
    free((void *)bin.data);
    return 0;
}
