/* SPDX-License-Identifier: Apache-2.0 */
/* Tells RWKV-7 from everything else people keep in the same containers, so that a refusal can say
 * what the file is. Marks of the versions: docs/model.md. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/status.h"
#include "model/params.h"

static bool has(const struct rw_file *file, const char *name)
{
    return rw_file_find(file, name) != NULL;
}

static bool any_contains(const struct rw_file *file, const char *part)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (strstr(file->tensors[i].name, part))
            return true;
    return false;
}

static bool all_end_with(const struct rw_file *file, const char *suffix)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (!rw_has_suffix(file->tensors[i].name, suffix))
            return false;
    return file->n_tensors > 0;
}

static const char *identify_gguf(const struct rw_file *file, char *buffer, size_t size)
{
    static const struct {
        const char *architecture, *what;
    } known[] = {
        {"rwkv6", "an RWKV-6 model"},
        {"rwkv6qwen2", "an RWKV-6 and Qwen2 hybrid (rwkv6qwen2)"},
        {"arwkv7", "an RWKV-7 and Qwen2 hybrid (arwkv7)"},
    };
    struct rw_bytes arch, type;
    if (rw_file_meta_string(file, "general.type", &type) && type.size == 7 &&
        memcmp(type.data, "adapter", 7) == 0)
        return "an adapter (LoRA), not a model";
    if (!rw_file_meta_string(file, "general.architecture", &arch))
        return "a GGUF file that names no architecture";
    if (arch.size == 5 && memcmp(arch.data, "rwkv7", 5) == 0)
        return NULL;
    for (size_t i = 0; i < RW_COUNT(known); i++)
        if (strlen(known[i].architecture) == arch.size &&
            memcmp(known[i].architecture, arch.data, arch.size) == 0)
            return known[i].what;
    snprintf(buffer, size, "a Transformer or other model (architecture '%.*s')",
             (int)RW_MIN(arch.size, (size_t)60), arch.data);
    return buffer;
}

/* An adapter in one of the namings people use for them. */
static bool is_adapter(const struct rw_file *file)
{
    static const char *const marks[] = {".lora_A",      ".lora_B", ".disha",
                                        ".init_lora_A", ".lora_a", ".lora_b"};
    for (size_t i = 0; i < RW_COUNT(marks); i++)
        if (any_contains(file, marks[i]))
            return true;
    return false;
}

static const char *identify_variant(const struct rw_file *file)
{
    if (any_contains(file, ".ffn.s_emb"))
        return any_contains(file, ".qkv.") ? "an RWKV-7b model (DeepEmbed attention)"
                                           : "an RWKV-7a model (DeepEmbed)";
    if (any_contains(file, ".ffn.enn") || any_contains(file, "rosa"))
        return "an RWKV-8 model";
    return NULL;
}

static const char *identify_older(const struct rw_file *file)
{
    if (any_contains(file, "att.time_maa") || any_contains(file, "att.time_mix_w1"))
        return "an RWKV-6 model";
    const struct rw_tensor *decay = rw_file_find(file, "blocks.0.att.time_decay");
    if (!decay)
        return NULL;
    if (!has(file, "blocks.0.att.ln_x.weight"))
        return "an RWKV-4 model";
    if (!has(file, "blocks.0.att.gate.weight"))
        return "an RWKV-5.0 model";
    return decay->n_dims > 1 ? "an RWKV-5.2 model" : "an RWKV-5.1 model";
}

static bool is_transformer(const struct rw_file *file)
{
    static const char *const marks[] = {"self_attn.",      "transformer.h.", "encoder.layer",
                                        "decoder.layers.", ".attn.c_attn.",  ".attention.query",
                                        ".attention.wq",   "q_proj",         "qkv_proj",
                                        ".self_attention."};
    for (size_t i = 0; i < RW_COUNT(marks); i++)
        if (any_contains(file, marks[i]))
            return true;
    return false;
}

const char *rw_identify_other(const struct rw_file *file, char *buffer, size_t size)
{
    if (strcmp(file->format->name, "gguf") == 0)
        return identify_gguf(file, buffer, size);
    if (file->n_tensors == 0)
        return "a file without tensors";
    if (is_adapter(file))
        return "an adapter (LoRA), not a model";
    if (all_end_with(file, ".att.time_state"))
        return "a tuned state, not a model (it can be loaded as a state)";
    const char *what = identify_variant(file);
    if (!what && rw_identify_naming(file) == RW_NAMES_COUNT)
        what = identify_older(file);
    if (what || rw_identify_naming(file) != RW_NAMES_COUNT)
        return what;
    if (any_contains(file, "rwkv.blocks."))
        return "an RWKV model of versions 4 to 6 in Hugging Face naming";
    if (is_transformer(file))
        return "a Transformer";
    snprintf(buffer, size, "no model known here (its first tensor is '%.80s')",
             file->tensors[0].name);
    return buffer;
}

enum rw_naming rw_identify_naming(const struct rw_file *file)
{
    if (strcmp(file->format->name, "gguf") == 0)
        return RW_NAMES_GGUF;
    if (has(file, "blocks.0.att.r_k") || has(file, "blocks.0.att.k_k"))
        return RW_NAMES_BLINKDL;
    if (has(file, "model.layers.0.attn.r_k") || has(file, "model.layers.0.attn.k_k"))
        return RW_NAMES_HF;
    return RW_NAMES_COUNT;
}
