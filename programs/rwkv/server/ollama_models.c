/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/tags, GET /api/ps, POST /api/show, GET /api/version. */
#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#include "base/str.h"
#include "server/ollama_out.h"

/* The conversation in the words of Ollama's templates, as docs/chat.md has it: to be shown, since
 * requests are rendered by the library. */
static const char template[] = "{{ if .System }}System: {{ .System }}\n\n{{ end }}"
                               "{{ range .Messages }}{{ if eq .Role \"user\" }}User: "
                               "{{ else }}Assistant: {{ end }}{{ .Content }}\n\n{{ end }}"
                               "Assistant:";

/* "1.5B", "191M": parameters as model cards give them. */
static void describe_size(uint64_t parameters, char to[16])
{
    double n = (double)parameters;
    if (n >= 1e9)
        snprintf(to, 16, "%.1fB", n / 1e9);
    else
        snprintf(to, 16, "%.0fM", n / 1e6);
}

/* Clients compare digests to see whether a model is still the same. Reading gigabytes for that is
 * too much: it is a hash of the name, the size and the time of the file. */
static void add_digest(struct rw_json *j, const struct rw_model_entry *m)
{
    char about[RW_MAX_NAME + 64], digest[2 * SHA256_DIGEST_SIZE + 1];
    uint8_t hash[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    int n = snprintf(about, sizeof about, "%s %llu %.0f", m->name, (unsigned long long)m->bytes,
                     m->modified);
    sha256_init(&ctx);
    sha256_update(&ctx, (size_t)n, (const uint8_t *)about);
    sha256_digest(&ctx, sizeof hash, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(digest + 2 * i, 3, "%02x", hash[i]);
    rw_json_text(j, "digest", digest);
}

/* The ending of its file, without which nothing is opened; a folder's files are safetensors. */
static const char *format_of(const struct rw_model_entry *m)
{
    if (!m->path || rw_has_suffix(m->path, ".gguf"))
        return "gguf";
    return rw_has_suffix(m->path, ".pth") ? "pth" : "safetensors";
}

/* What is known without opening the model. */
static void add_entry(struct rw_json *j, const struct rw_model_entry *m)
{
    rw_json_text(j, "name", m->name);
    rw_json_text(j, "model", m->name);
    rw_ollama_time(j, "modified_at", m->modified);
    rw_json_u64(j, "size", m->bytes);
    add_digest(j, m);
}

static void add_details(struct rw_json *j, const char *format, const char *size, const char *type)
{
    rw_json_open(j, "details", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "parent_model", "");
    rw_json_text(j, "format", format);
    rw_json_text(j, "family", "rwkv");
    rw_json_open(j, "families", RW_JSON_ARRAY, RW_JSON_INLINE);
    rw_json_text(j, NULL, "rwkv");
    rw_json_close(j);
    rw_json_text(j, "parameter_size", size);
    rw_json_text(j, "quantization_level", type);
    rw_json_close(j);
}

static void list(struct rw_call *call, bool loaded_only)
{
    struct rw_json j = {0};
    size_t n = rw_models_scan(call->server->models);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_open(&j, "models", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < n; i++) {
        const struct rw_model_entry *m = rw_models_at(call->server->models, i);
        if (loaded_only && !m->loaded)
            continue;
        rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        add_entry(&j, m);
        add_details(&j, format_of(m), "", "");
        if (loaded_only) {
            rw_ollama_time(&j, "expires_at", m->expires);
            rw_json_u64(&j, "size_vram", 0);
        }
        rw_json_close(&j);
    }
    rw_json_close(&j);
    rw_json_close(&j);
    rw_call_json(call, &j);
}

void rw_ollama_tags(struct rw_call *call)
{
    list(call, false);
}

void rw_ollama_ps(struct rw_call *call)
{
    list(call, true);
}

static void show(struct rw_call *call)
{
    char size[16];
    struct rw_json j = {0};
    const rwkv_model_info *info = &call->served->info;
    const struct rw_model_entry *m = rw_models_find(call->server->models, call->served->name);
    describe_size(info->n_params, size);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "license", "");
    rw_json_text(&j, "modelfile", "");
    rw_json_text(&j, "parameters", "stop \"\\nUser:\"");
    rw_json_text(&j, "template", template);
    if (m)
        rw_ollama_time(&j, "modified_at", m->modified);
    add_details(&j, info->format, size, rwkv_dtype_name(info->dtype));
    rw_json_open(&j, "model_info", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "general.architecture", "rwkv7");
    rw_json_u64(&j, "general.parameter_count", info->n_params);
    rw_json_u64(&j, "rwkv7.block_count", info->n_layer);
    rw_json_u64(&j, "rwkv7.embedding_length", info->n_embd);
    rw_json_u64(&j, "rwkv7.feed_forward_length", info->n_ffn);
    rw_json_u64(&j, "rwkv7.wkv.head_size", info->head_size);
    rw_json_u64(&j, "rwkv7.context_length", RW_MAX_PROMPT_TOKENS);
    rw_json_u64(&j, "rwkv7.vocab_size", info->n_vocab);
    rw_json_text(&j, "rwkv.fingerprint", info->fingerprint);
    rw_json_close(&j);
    rw_json_open(&j, "capabilities", RW_JSON_ARRAY, RW_JSON_INLINE);
    rw_json_text(&j, NULL, "completion");
    rw_json_text(&j, NULL, "tools");
    rw_json_text(&j, NULL, "thinking");
    rw_json_text(&j, NULL, "embedding");
    rw_json_close(&j);
    rw_json_close(&j);
    rw_call_json(call, &j);
}

void rw_ollama_show(struct rw_call *call)
{
    const char *model = NULL;
    if (!rw_field_name(&call->fields, "model", &model))
        rw_field_name(&call->fields, "name", &model);
    if (!rw_call_refused(call))
        rw_call_want_model(call, model, show);
}

void rw_get_version(struct rw_call *call)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "version", rwkv_version());
    rw_json_close(&j);
    rw_call_json(call, &j);
}
