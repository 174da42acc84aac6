/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tensors of RWKV-7, once. From this list come the struct of weights, binding and validation,
 * the names in every kind of file, conversion, and docs/model.md.
 *
 * X(field, KIND, rows, cols, BlinkDL name, Hugging Face (fla) name, GGUF name)
 *
 * KIND says how a tensor is used and stored:
 *   NORM    vector [C], weight or bias of a norm
 *   VECTOR  vector [C], stored [1, 1, C] by BlinkDL
 *   HEADS   vector [C], stored [H, N]
 *   MATRIX  [rows, cols] = [out, in]; y = W x
 *   PAIR    half of a low-rank pair, stored [in, out] = [cols, rows] by BlinkDL, [out, in]
 * elsewhere rows and cols are members of enum rw_dim. A GGUF name that ends in #i is item i of a
 * fused tensor. Source: the reference implementation's checkpoints; llama.cpp's and fla's
 * converters.
 */
#ifndef RW_MODEL_RWKV7_TENSORS_H
#define RW_MODEL_RWKV7_TENSORS_H

/* Of the whole model. */
#define RW_RWKV7_MODEL_TENSORS(X)                                                              \
    X(emb, MATRIX, V, C, "emb.weight", "model.embeddings.weight", "token_embd.weight")         \
    X(ln0_weight, NORM, ONE, C, "blocks.0.ln0.weight", "model.layers.0.pre_norm.weight",       \
      "token_embd_norm.weight")                                                                \
    X(ln0_bias, NORM, ONE, C, "blocks.0.ln0.bias", "model.layers.0.pre_norm.bias",             \
      "token_embd_norm.bias")                                                                  \
    X(ln_out_weight, NORM, ONE, C, "ln_out.weight", "model.norm.weight", "output_norm.weight") \
    X(ln_out_bias, NORM, ONE, C, "ln_out.bias", "model.norm.bias", "output_norm.bias")         \
    X(head, MATRIX, V, C, "head.weight", "lm_head.weight", "output.weight")

/* Of each block, after "blocks.l.", "model.layers.l." and "blk.l.". */
#define RW_RWKV7_BLOCK_TENSORS(X)                                                               \
    X(ln1_weight, NORM, ONE, C, "ln1.weight", "attn_norm.weight", "attn_norm.weight")           \
    X(ln1_bias, NORM, ONE, C, "ln1.bias", "attn_norm.bias", "attn_norm.bias")                   \
    X(ln2_weight, NORM, ONE, C, "ln2.weight", "ffn_norm.weight", "attn_norm_2.weight")          \
    X(ln2_bias, NORM, ONE, C, "ln2.bias", "ffn_norm.bias", "attn_norm_2.bias")                  \
    X(x_r, VECTOR, ONE, C, "att.x_r", "attn.x_r", "time_mix_lerp_fused.weight#0")               \
    X(x_w, VECTOR, ONE, C, "att.x_w", "attn.x_w", "time_mix_lerp_fused.weight#1")               \
    X(x_k, VECTOR, ONE, C, "att.x_k", "attn.x_k", "time_mix_lerp_fused.weight#2")               \
    X(x_v, VECTOR, ONE, C, "att.x_v", "attn.x_v", "time_mix_lerp_fused.weight#3")               \
    X(x_a, VECTOR, ONE, C, "att.x_a", "attn.x_a", "time_mix_lerp_fused.weight#4")               \
    X(x_g, VECTOR, ONE, C, "att.x_g", "attn.x_g", "time_mix_lerp_fused.weight#5")               \
    X(w0, VECTOR, ONE, C, "att.w0", "attn.w_lora.lora.2.bias", "time_mix_w0.weight")            \
    X(w1, PAIR, RW, C, "att.w1", "attn.w_lora.lora.0.weight", "time_mix_w1.weight")             \
    X(w2, PAIR, C, RW, "att.w2", "attn.w_lora.lora.2.weight", "time_mix_w2.weight")             \
    X(a0, VECTOR, ONE, C, "att.a0", "attn.a_lora.lora.2.bias", "time_mix_a0.weight")            \
    X(a1, PAIR, RA, C, "att.a1", "attn.a_lora.lora.0.weight", "time_mix_a1.weight")             \
    X(a2, PAIR, C, RA, "att.a2", "attn.a_lora.lora.2.weight", "time_mix_a2.weight")             \
    X(v0, VECTOR, ONE, C, "att.v0", "attn.v_lora.lora.2.bias", "time_mix_v0.weight")            \
    X(v1, PAIR, RV, C, "att.v1", "attn.v_lora.lora.0.weight", "time_mix_v1.weight")             \
    X(v2, PAIR, C, RV, "att.v2", "attn.v_lora.lora.2.weight", "time_mix_v2.weight")             \
    X(g1, PAIR, RG, C, "att.g1", "attn.g_lora.lora.0.weight", "time_mix_g1.weight")             \
    X(g2, PAIR, C, RG, "att.g2", "attn.g_lora.lora.2.weight", "time_mix_g2.weight")             \
    X(k_k, VECTOR, ONE, C, "att.k_k", "attn.k_k", "time_mix_k_k.weight")                        \
    X(k_a, VECTOR, ONE, C, "att.k_a", "attn.k_a", "time_mix_k_a.weight")                        \
    X(r_k, HEADS, ONE, C, "att.r_k", "attn.r_k", "time_mix_r_k.weight")                         \
    X(att_r, MATRIX, C, C, "att.receptance.weight", "attn.r_proj.weight",                       \
      "time_mix_receptance.weight")                                                             \
    X(att_k, MATRIX, C, C, "att.key.weight", "attn.k_proj.weight", "time_mix_key.weight")       \
    X(att_v, MATRIX, C, C, "att.value.weight", "attn.v_proj.weight", "time_mix_value.weight")   \
    X(att_o, MATRIX, C, C, "att.output.weight", "attn.o_proj.weight", "time_mix_output.weight") \
    X(ln_x_weight, NORM, ONE, C, "att.ln_x.weight", "attn.g_norm.weight", "time_mix_ln.weight") \
    X(ln_x_bias, NORM, ONE, C, "att.ln_x.bias", "attn.g_norm.bias", "time_mix_ln.bias")         \
    X(ffn_x_k, VECTOR, ONE, C, "ffn.x_k", "ffn.x_k", "channel_mix_lerp_k.weight")               \
    X(ffn_k, MATRIX, F, C, "ffn.key.weight", "ffn.key.weight", "channel_mix_key.weight")        \
    X(ffn_v, MATRIX, C, F, "ffn.value.weight", "ffn.value.weight", "channel_mix_value.weight")

#endif
