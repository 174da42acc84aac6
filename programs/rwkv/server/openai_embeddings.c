/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/embeddings. */
#include <string.h>

#include <nettle/base64.h>

#include "base/alloc.h"
#include "server/embed.h"

/* Little-endian floats, as the clients decode them. */
static void add_base64(struct rw_json *j, const float *vector, size_t n)
{
    char *text = rw_alloc(BASE64_ENCODE_RAW_LENGTH(n * sizeof *vector) + 1, 1);
    if (!text) {
        j->text.failed = true;
        return;
    }
    base64_encode_raw(text, n * sizeof *vector, (const uint8_t *)vector);
    rw_json_bytes(j, "embedding", text, BASE64_ENCODE_RAW_LENGTH(n * sizeof *vector));
    rw_free(text);
}

static void add_floats(struct rw_json *j, const float *vector, size_t n)
{
    rw_json_open(j, "embedding", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < n; i++)
        rw_json_real(j, NULL, (double)vector[i]);
    rw_json_close(j);
}

static void end(struct rw_embed *embed)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "object", "list");
    rw_json_open(&j, "data", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < embed->n; i++) {
        rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_text(&j, "object", "embedding");
        rw_json_u64(&j, "index", i);
        if (embed->base64)
            add_base64(&j, embed->jobs[i].vector, embed->size);
        else
            add_floats(&j, embed->jobs[i].vector, embed->size);
        rw_json_close(&j);
    }
    rw_json_close(&j);
    rw_json_text(&j, "model", embed->call->served->name);
    rw_json_open(&j, "usage", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(&j, "prompt_tokens", rw_embed_tokens(embed));
    rw_json_u64(&j, "total_tokens", rw_embed_tokens(embed));
    rw_json_close(&j);
    rw_json_close(&j);
    rw_call_json(embed->call, &j);
}

void rw_embed(struct rw_call *call)
{
    static const char *const encodings[] = {"float", "base64", NULL};
    int encoding = 0;
    const char *model = NULL;
    struct rw_fields *f = &call->fields;
    struct rw_embed *embed = rw_embed_read_inputs(call, "input", end);
    if (!embed)
        return;
    rw_field_name(f, "model", &model);
    rw_field_word(f, "encoding_format", encodings, &encoding);
    rw_field_int(f, "dimensions", 1, 65536, &embed->dimensions);
    embed->base64 = encoding == 1;
    rw_embed_start(embed, model);
}
