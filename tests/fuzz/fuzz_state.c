/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a saved state. The checksum would keep a fuzzer out, so it is put right first. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/hash.h"
#include "rwkv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rwkv_session *session(void)
{
    static rwkv_session *s;
    char path[1024];
    const char *root = getenv("RWKV_SOURCE");
    rwkv_model *model;
    rwkv_error err = {0};
    if (s)
        return s;
    snprintf(path, sizeof path, "%s/tests/data/rwkv7/long-f16.safetensors", root ? root : ".");
    if (rwkv_model_open(path, &(rwkv_model_options){.threads = 1}, &model, &err) != RWKV_OK ||
        rwkv_session_new(model, &s, &err) != RWKV_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    rwkv_model_close(model);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int32_t token = 1;
    uint8_t *copy = malloc(size + 1);
    if (size)
        memcpy(copy, data, size);
    rwkv_status raw = rwkv_session_state_read(session(), copy, size, "fuzz", NULL);
    if (raw == RWKV_OK && rwkv_session_eval(session(), &token, 1, NULL) != RWKV_OK)
        abort();
    if (size >= 4) {
        rw_store_u32(copy + size - 4, rw_crc32(0, copy, size - 4));
        if (rwkv_session_state_read(session(), copy, size, "fuzz", NULL) == RWKV_OK &&
            rwkv_session_eval(session(), &token, 1, NULL) != RWKV_OK)
            abort();
    }
    free(copy);
    return 0;
}
