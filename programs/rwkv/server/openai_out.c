/* SPDX-License-Identifier: Apache-2.0 */
#include "server/openai_out.h"

#include <stdio.h>

void rw_openai_open(struct rw_json *j, const struct rw_gen *gen, const char *object)
{
    char fingerprint[24];
    snprintf(fingerprint, sizeof fingerprint, "fp_%.12s", gen->call->served->info.fingerprint);
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "id", gen->id);
    rw_json_text(j, "object", object);
    rw_json_u64(j, "created", (uint64_t)gen->created);
    rw_json_text(j, "model", gen->call->served->name);
    rw_json_text(j, "system_fingerprint", fingerprint);
}

void rw_openai_usage(struct rw_json *j, const struct rw_gen *gen)
{
    rw_json_open(j, "usage", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "prompt_tokens", gen->prompt_tokens);
    rw_json_u64(j, "completion_tokens", gen->generated_tokens);
    rw_json_u64(j, "total_tokens", gen->prompt_tokens + gen->generated_tokens);
    rw_json_open(j, "prompt_tokens_details", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "cached_tokens", gen->cached_tokens);
    rw_json_close(j);
    rw_json_close(j);
}

void rw_openai_state(struct rw_json *j, const struct rw_gen *gen)
{
    if (gen->state_id[0])
        rw_json_text(j, "state", gen->state_id);
}

void rw_openai_end_stream(struct rw_gen *gen, const char *object)
{
    struct rw_json j = {0};
    if (gen->stream_usage || gen->state_id[0]) {
        rw_openai_open(&j, gen, object);
        rw_json_open(&j, "choices", RW_JSON_ARRAY, RW_JSON_INLINE);
        rw_json_close(&j);
        rw_openai_usage(&j, gen);
        rw_openai_state(&j, gen);
        rw_json_close(&j);
        rw_call_send_event(gen->call, &j);
    }
    rw_call_end(gen->call, "data: [DONE]\n\n");
}
