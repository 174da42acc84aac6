/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a model: opened, described, bound, and two tokens evaluated with every instruction
 * set this machine has. What the formats accept must never lead a kernel out of bounds. */
#include <stdint.h>
#include <string.h>

#include "rwkv.h"
#include "rwkv_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t size, const char *cpu)
{
    /* One thread and a small chunk: starting threads would be most of the time. */
    rwkv_model_options options = {.threads = 1, .chunk = 2, .cpu = cpu, .memory_limit = 64 << 20};
    rwkv_model *model;
    rwkv_session *session;
    rwkv_model_info info;
    rwkv_error err = {0};
    const int32_t tokens[2] = {0, 0};
    if (rwkv_model_open_memory(data, size, "fuzz", &options, &model, &err) != RWKV_OK) {
        if (err.code == RWKV_OK || err.message[0] == 0)
            __builtin_trap(); /* a refusal says why */
        return;
    }
    rwkv_model_get_info(model, &info);
    if (rwkv_session_new(model, &session, NULL) == RWKV_OK) {
        if (rwkv_session_eval(session, tokens, 2, NULL) != RWKV_OK ||
            rwkv_session_eval(session, tokens, 1, NULL) != RWKV_OK)
            __builtin_trap();
        rwkv_session_free(session);
    }
    rwkv_model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run(data, size, "auto");
    run(data, size, "ref");
    return 0;
}
