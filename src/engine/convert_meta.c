/* SPDX-License-Identifier: Apache-2.0 */
/* What a file says of the model beside its tensors: GGUF metadata, config.json. */
#include <string.h>

#include "base/alloc.h"
#include "base/output.h"
#include "base/status.h"
#include "engine/convert_int.h"

static rwkv_status add(struct conversion *c, struct rw_meta meta, rwkv_error *err)
{
    struct meta_list *list = &c->meta;
    if (!rw_grow((void **)&list->items, list->count, &list->capacity, sizeof *list->items))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for metadata");
    list->items[list->count++] = meta;
    return RWKV_OK;
}

static rwkv_status add_u32(struct conversion *c, const char *key, size_t value, rwkv_error *err)
{
    return add(c, (struct rw_meta){.key = key, .type = RW_META_U32, .value.u = value}, err);
}

static rwkv_status add_string(struct conversion *c, const char *key, struct rw_bytes value,
                              rwkv_error *err)
{
    return add(c, (struct rw_meta){.key = key, .type = RW_META_STRING, .value.s = value}, err);
}

static struct rw_bytes text(const char *s)
{
    return (struct rw_bytes){s, strlen(s)};
}

/* general.file_type for the type of most matrices; it is informational. Numbers: llama.cpp's
 * enum llama_ftype. */
static size_t file_type(const struct conversion *c)
{
    static const uint8_t types[RWKV_DTYPE_MODEL_COUNT] = {
        [RWKV_DTYPE_F32] = 0,   [RWKV_DTYPE_F16] = 1,     [RWKV_DTYPE_BF16] = 32,
        [RWKV_DTYPE_Q4_0] = 2,  [RWKV_DTYPE_Q4_1] = 3,    [RWKV_DTYPE_Q5_0] = 8,
        [RWKV_DTYPE_Q5_1] = 9,  [RWKV_DTYPE_Q8_0] = 7,    [RWKV_DTYPE_Q2_K] = 10,
        [RWKV_DTYPE_Q3_K] = 12, [RWKV_DTYPE_Q4_K] = 15,   [RWKV_DTYPE_Q5_K] = 17,
        [RWKV_DTYPE_Q6_K] = 18, [RWKV_DTYPE_IQ4_NL] = 25, [RWKV_DTYPE_IQ4_XS] = 30,
    };
    for (size_t i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].sources[0]->spec == &rw_rwkv7_specs[RW_SPEC_ffn_k])
            return types[c->tensors[i].tensor.dtype];
    return 0;
}

static bool has_blocks(const struct conversion *c)
{
    for (size_t i = 0; i < c->n_outputs; i++)
        if (rw_dtype_is_block(c->tensors[i].tensor.dtype))
            return true;
    return false;
}

static rwkv_status add_shape(struct conversion *c, rwkv_error *err)
{
    const struct rw_params *p = &c->params;
    size_t last = p->sizes.n_layer - 1;
    RW_TRY(add_u32(c, "rwkv7.context_length", 1048576, err));
    RW_TRY(add_u32(c, "rwkv7.embedding_length", p->sizes.n_embd, err));
    RW_TRY(add_u32(c, "rwkv7.block_count", p->sizes.n_layer, err));
    RW_TRY(add(c,
               (struct rw_meta){.key = "rwkv7.attention.layer_norm_epsilon",
                                .type = RW_META_F32,
                                .value.f = p->norm_eps},
               err));
    RW_TRY(add_u32(c, "rwkv7.wkv.head_size", p->sizes.head_size, err));
    RW_TRY(add_u32(c, "rwkv7.attention.decay_lora_rank", rw_params_rank(p, RW_SPEC_w1, last), err));
    RW_TRY(add_u32(c, "rwkv7.attention.iclr_lora_rank", rw_params_rank(p, RW_SPEC_a1, last), err));
    RW_TRY(add_u32(c, "rwkv7.attention.value_residual_mix_lora_rank",
                   rw_params_rank(p, RW_SPEC_v1, last), err));
    RW_TRY(add_u32(c, "rwkv7.attention.gate_lora_rank", rw_params_rank(p, RW_SPEC_g1, last), err));
    RW_TRY(add_u32(c, "rwkv7.feed_forward_length", p->sizes.n_ffn, err));
    return add_u32(c, "rwkv7.attention.head_count", 0, err);
}

/* The vocabulary's arrays as the input GGUF has them, or made from the vocabulary found. */
static rwkv_status add_vocab(struct conversion *c, rwkv_error *err)
{
    struct rwkv_vocab *vocab;
    size_t n = c->params.sizes.n_vocab;
    RW_TRY(rw_vocab_find(c->params.file, c->params.file->path, c->options->vocab, &vocab, NULL, 0,
                         err));
    rwkv_status status = rw_vocab_gguf_items(vocab, n, &c->items[0], &c->items[1], err);
    size_t size;
    bool world = rw_vocab_token(vocab, 0, &size) && size == 0;
    rw_vocab_release(vocab);
    if (status != RWKV_OK)
        return rw_fail_within(err, status, "%s", c->params.file->path);
    struct rw_bytes template = text("rwkv-world");
    bool has_template = rw_file_meta_string(c->params.file, "tokenizer.chat_template", &template);
    RW_TRY(add_string(c, "tokenizer.ggml.model", text("rwkv"), err));
    for (size_t i = 0; i < 2; i++)
        RW_TRY(
            add(c,
                (struct rw_meta){.key = i ? "tokenizer.ggml.token_type" : "tokenizer.ggml.tokens",
                                 .type = RW_META_ARRAY,
                                 .item = i ? RW_META_I32 : RW_META_STRING,
                                 .count = n,
                                 .items = {c->items[i].data, c->items[i].size}},
                err));
    if (world) {
        RW_TRY(add_u32(c, "tokenizer.ggml.bos_token_id", 0, err));
        RW_TRY(add_u32(c, "tokenizer.ggml.eos_token_id", 0, err));
    }
    return world || has_template ? add_string(c, "tokenizer.chat_template", template, err)
                                 : RWKV_OK;
}

rwkv_status rw_conversion_meta(struct conversion *c, rwkv_error *err)
{
    struct rw_bytes name;
    if (c->naming != RW_NAMES_GGUF)
        return c->naming == RW_NAMES_HF ? add_string(c, "format", text("pt"), err) : RWKV_OK;
    RW_TRY(add_string(c, "general.architecture", text("rwkv7"), err));
    RW_TRY(add_string(c, "general.type", text("model"), err));
    if (!rw_file_meta_string(c->params.file, "general.name", &name))
        name = text(rw_basename(c->params.file->path));
    RW_TRY(add_string(c, "general.name", name, err));
    RW_TRY(add_u32(c, "general.file_type", file_type(c), err));
    if (has_blocks(c))
        RW_TRY(add_u32(c, "general.quantization_version", 2, err));
    RW_TRY(add_shape(c, err));
    return add_vocab(c, err);
}

void rw_conversion_meta_fini(struct conversion *c)
{
    rw_free(c->meta.items);
    rw_str_fini(&c->items[0]);
    rw_str_fini(&c->items[1]);
}

/* --- config.json ------------------------------------------------------------------------------ */

static const char *torch_dtype(const struct conversion *c)
{
    for (size_t i = 0; i < c->n_outputs; i++) {
        if (c->outputs[i].sources[0]->spec != &rw_rwkv7_specs[RW_SPEC_ffn_k])
            continue;
        rwkv_dtype dtype = c->tensors[i].tensor.dtype;
        return dtype == RWKV_DTYPE_F16    ? "float16"
               : dtype == RWKV_DTYPE_BF16 ? "bfloat16"
                                          : "float32";
    }
    return "float32";
}

/* The keys that fla's configuration reads. */
static void render_config(const struct conversion *c, struct rw_str *s)
{
    const struct rw_params *p = &c->params;
    const struct rw_sizes *z = &p->sizes;
    size_t last = z->n_layer - 1;
    rw_str_adds(s,
                "{\n  \"architectures\": [\"RWKV7ForCausalLM\"],\n  \"model_type\": \"rwkv7\",\n");
    rw_str_printf(s, "  \"hidden_size\": %zu,\n  \"num_hidden_layers\": %zu,\n", z->n_embd,
                  z->n_layer);
    rw_str_printf(s, "  \"head_dim\": %zu,\n  \"num_heads\": %zu,\n", z->head_size,
                  z->n_embd / z->head_size);
    rw_str_printf(s, "  \"intermediate_size\": %zu,\n  \"vocab_size\": %zu,\n", z->n_ffn,
                  z->n_vocab);
    rw_str_printf(s, "  \"decay_low_rank_dim\": %zu,\n  \"a_low_rank_dim\": %zu,\n",
                  rw_params_rank(p, RW_SPEC_w1, last), rw_params_rank(p, RW_SPEC_a1, last));
    rw_str_printf(s, "  \"v_low_rank_dim\": %zu,\n  \"gate_low_rank_dim\": %zu,\n",
                  rw_params_rank(p, RW_SPEC_v1, last), rw_params_rank(p, RW_SPEC_g1, last));
    rw_str_printf(s,
                  "  \"hidden_act\": \"sqrelu\",\n  \"norm_first\": %s,\n  \"norm_bias\": true,\n",
                  p->no_ln0 ? "false" : "true");
    rw_str_adds(s, "  \"norm_eps\": ");
    rw_str_add_f32(s, p->norm_eps);
    rw_str_adds(s, ",\n  \"tie_word_embeddings\": false,\n");
    rw_str_printf(s,
                  "  \"bos_token_id\": 0,\n  \"eos_token_id\": 0,\n  \"torch_dtype\": \"%s\"\n}\n",
                  torch_dtype(c));
}

rwkv_status rw_conversion_config(const struct conversion *c, const char *path,
                                 struct rw_output **out, rwkv_error *err)
{
    struct rw_str s = {0};
    struct rw_output *o = NULL;
    rwkv_status status;
    render_config(c, &s);
    if (s.failed)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path));
    RW_GO(rw_output_open(&o, path, err));
    RW_GO(rw_output_write(o, s.data, s.size, err));
    *out = o;
    o = NULL;
done:
    rw_output_discard(o);
    rw_str_fini(&s);
    return status;
}
