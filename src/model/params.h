/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of an RWKV-7 model as one list, whatever file they came from: each with its place
 * in rwkv7_tensors.h and a view of its data. Reading a model and converting one both start here. A
 * file that holds something else (an older RWKV, an adapter, a Transformer) is refused by its name.
 */
#ifndef RW_MODEL_PARAMS_H
#define RW_MODEL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "formats/format.h"
#include "model/rwkv7_tensors.h"
#include "rwkv.h"
#include "tensor/tensor.h"

enum rw_dim {
    RW_DIM_ONE,
    RW_DIM_C,
    RW_DIM_V,
    RW_DIM_F,
    RW_DIM_RW,
    RW_DIM_RA,
    RW_DIM_RV,
    RW_DIM_RG,
    RW_DIM_COUNT
};

enum rw_kind { RW_KIND_NORM, RW_KIND_VECTOR, RW_KIND_HEADS, RW_KIND_MATRIX, RW_KIND_PAIR };

enum rw_naming { RW_NAMES_BLINKDL, RW_NAMES_HF, RW_NAMES_GGUF, RW_NAMES_COUNT };

/* One line of the list of tensors. */
struct rw_spec {
    const char *names[RW_NAMES_COUNT];
    enum rw_kind kind;
    enum rw_dim rows, cols;
    bool in_block;
    size_t offset; /* of the field in struct rw_rwkv7_weights or struct rw_rwkv7_block */
};

extern const struct rw_spec rw_rwkv7_specs[];
extern const size_t rw_rwkv7_n_specs;

/* The specs that loading asks for by position. */
enum rw_spec_id {
#define RW_SPEC_ID(field, ...) RW_SPEC_##field,
    RW_RWKV7_MODEL_TENSORS(RW_SPEC_ID) RW_RWKV7_BLOCK_TENSORS(RW_SPEC_ID)
#undef RW_SPEC_ID
        RW_SPEC_COUNT
};

struct rw_param {
    const struct rw_spec *spec;
    size_t block;            /* 0 for tensors of the whole model */
    struct rw_tensor tensor; /* as stored; a slice of the stored one where that is fused */
    bool transposed;         /* stored as the transpose of what `spec` says BlinkDL stores */
    bool unused;             /* v0, v1, v2 of block 0 */
};

struct rw_sizes {
    size_t n_layer, n_embd, n_vocab, n_ffn, head_size;
};

/* Tensors that a checkpoint of a training run holds beside the weights; they are passed over. */
#define RW_TRAINING_PREFIX "training."

#define RW_NORM_EPS 1e-5f /* where a file gives none */

struct rw_params {
    const struct rw_file *file; /* borrowed */
    enum rw_naming naming;
    struct rw_param *params; /* in the order of the list, block by block */
    size_t n_params, capacity;
    size_t *lookup; /* [RW_SPEC_COUNT · n_layer]: index + 1, or 0 */
    struct rw_sizes sizes;
    bool no_ln0;    /* norm_first = false: the embedding goes into block 0 as it is */
    float norm_eps; /* of the LayerNorms */
    float *made;    /* ln0 that a Hugging Face file leaves at its initial values: [2C] */
};

/* Fails with RWKV_ERROR_MODEL when something is missing or misshapen, RWKV_ERROR_UNSUPPORTED when
 * the file holds something else. Views stay valid as long as `file`. */
rwkv_status rw_params_open(struct rw_params *out, const struct rw_file *file, rwkv_error *err);
void rw_params_close(struct rw_params *params);

struct rw_ranks {
    size_t w, a, v, g;
};

/* The list of a model that exists as sizes only: [out, in] orientation, matrices of type `dtype`
 * and the rest F32, no data, no file. For making models. */
rwkv_status rw_params_make(struct rw_params *out, const struct rw_sizes *sizes,
                           const struct rw_ranks *ranks, rwkv_dtype dtype, rwkv_error *err);

/* NULL if there is none. `block` 0 for tensors of the whole model. */
const struct rw_param *rw_params_find(const struct rw_params *params, enum rw_spec_id id,
                                      size_t block);

/* The name of a parameter in some naming; a fused GGUF tensor's without the "#i". */
void rw_param_name(char out[128], const struct rw_spec *spec, enum rw_naming naming, size_t block);

/* Low-rank sizes of a block; 0 for v in block 0. */
size_t rw_params_rank(const struct rw_params *params, enum rw_spec_id first, size_t block);

/* What a file holds that is no RWKV-7 model: "an RWKV-6 model", "a LoRA adapter", "a Transformer
 * (llama)"; NULL if it may be RWKV-7. The text is put in `buffer` where it quotes the file. */
const char *rw_identify_other(const struct rw_file *file, char *buffer, size_t size);

/* How the tensors are named; RW_NAMES_COUNT when it is none of the namings. */
enum rw_naming rw_identify_naming(const struct rw_file *file);

#endif
