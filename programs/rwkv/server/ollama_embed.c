/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/embed, and its older form /api/embeddings. */
#include "base/env.h"
#include "server/embed.h"
#include "server/ollama_out.h"

static void add_vector(struct rw_json *j, const char *key, const float *vector, size_t n)
{
    rw_json_open(j, key, RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < n; i++)
        rw_json_real(j, NULL, (double)vector[i]);
    rw_json_close(j);
}

static void end(struct rw_embed *embed)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "model", embed->call->served->name);
    rw_json_open(&j, "embeddings", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < embed->n; i++)
        add_vector(&j, NULL, embed->jobs[i].vector, embed->size);
    rw_json_close(&j);
    rw_ollama_duration(&j, "total_duration", rw_env_seconds() - embed->call->start);
    rw_ollama_duration(&j, "load_duration", 0);
    rw_json_u64(&j, "prompt_eval_count", rw_embed_tokens(embed));
    rw_json_close(&j);
    rw_call_json(embed->call, &j);
}

static void end_older(struct rw_embed *embed)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    add_vector(&j, "embedding", embed->jobs[0].vector, embed->size);
    rw_json_close(&j);
    rw_call_json(embed->call, &j);
}

static void read(struct rw_call *call, const char *input, void (*reply)(struct rw_embed *))
{
    const char *model = NULL;
    struct rw_embed *embed = rw_embed_read_inputs(call, input, reply);
    if (!embed)
        return;
    rw_field_name(&call->fields, "model", &model);
    rw_field_int(&call->fields, "dimensions", 1, 65536, &embed->dimensions);
    rw_ollama_read_keep_alive(call);
    rw_embed_start(embed, model);
}

void rw_ollama_embed(struct rw_call *call)
{
    read(call, "input", end);
}

void rw_ollama_embeddings(struct rw_call *call)
{
    read(call, "prompt", end_older);
}
