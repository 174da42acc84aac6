/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that training changes, as flat arrays of f32. All arrays of a model (its parameters,
 * their gradients, the moments of an optimizer) have one layout, described once: tensor after
 * tensor in the order of struct rw_params, each at a multiple of RW_PARAMETER_ALIGN floats, with
 * zeros between them; matrices and low-rank pairs all lie [out, in], row-major without gaps.
 *
 *     struct rw_parameters p;
 *     RW_TRY(rw_parameters_init(&p, &params, err));       // of rw_params_make or rw_params_open
 *     float *values = be->ops->alloc(be, p.floats);
 *     float *gradients = be->ops->alloc(be, p.floats);
 *     RW_TRY(rw_parameters_load(&p, &params, values, err));
 *     for (size_t i = 0; i < p.n; i++) use(p.list[i].name, values + p.list[i].offset);
 *     RW_TRY(rw_parameters_save(&p, values, "out.pth", RWKV_DTYPE_BF16, err));
 *     rw_parameters_fini(&p);
 *
 * The struct describes and owns no array: those are the caller's, in the memory of the backend. The
 * rw_params may be closed once the values are loaded.
 */
#ifndef RW_TRAIN_PARAMETERS_H
#define RW_TRAIN_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

#include "formats/format.h"
#include "model/params.h"
#include "model/rwkv7_backward.h"
#include "model/weights.h"

#define RW_PARAMETER_ALIGN 16 /* floats: 64 bytes */

struct rw_parameter {
    const struct rw_spec *spec; /* what it is: spec->kind; see rw_parameter_id */
    size_t block;               /* 0 for tensors of the whole model */
    size_t offset, count;       /* floats */
    size_t rows, cols;          /* [out, in]; a vector is [1, n] */
    char name[48];              /* BlinkDL's */
};

struct rw_parameters {
    struct rw_parameter *list; /* [n], by increasing offset; v0, v1, v2 of block 0 are not there */
    size_t n;
    size_t floats; /* of an array: a multiple of RW_PARAMETER_ALIGN */
    size_t count;  /* parameters, without the gaps */
    struct rw_sizes sizes;
    size_t rank_w, rank_a, rank_v, rank_g; /* the largest of any block */
    float norm_eps;
    bool no_ln0; /* ln0 is in the arrays and never used */
};

/* Lay out the parameters of a list. */
rwkv_status rw_parameters_init(struct rw_parameters *p, const struct rw_params *params,
                               rwkv_error *err);
void rw_parameters_fini(struct rw_parameters *p); /* also of zeros */

/* Converts a model and the vocabulary at `vocab` to a GGUF, which is done in another layer. */
typedef rwkv_status (*rw_convert_fn)(const struct rw_file *model, const char *out,
                                     const char *vocab, rwkv_dtype dtype, rwkv_error *err);

enum rw_spec_id rw_parameter_id(const struct rw_parameter *parameter);

/* Widen what a file holds, of any type and orientation, into `to` [floats]: memory of the host. */
rwkv_status rw_parameters_load(const struct rw_parameters *p, const struct rw_params *params,
                               float *to, rwkv_error *err);

/* Point the weights and the gradients of a model into arrays [floats], for as long as these are
 * there. Weights are read, and may be changed, in place. `blocks` has room for n_layer. */
void rw_parameters_bind_weights(const struct rw_parameters *p, const float *values,
                                struct rw_rwkv7_weights *weights, struct rw_rwkv7_block *blocks);
void rw_parameters_bind_gradients(const struct rw_parameters *p, float *gradients,
                                  struct rw_rwkv7_gradients *to,
                                  struct rw_rwkv7_block_gradients *blocks);

/* A parameter as BlinkDL's files hold it: a view of an array in memory of the host, in their shape,
 * low-rank halves [in, out] by their strides. */
struct rw_tensor rw_parameters_view(const struct rw_parameters *p,
                                    const struct rw_parameter *parameter, const float *values);

/* Write an array (memory of the host) as BlinkDL names it to a .pth or .safetensors, in type F32,
 * F16 or BF16; `extra` tensors, contiguous, come first as they are. A GGUF is made of such a file
 * by conversion. */
rwkv_status rw_parameters_save_with(const struct rw_parameters *p, const float *values,
                                    const char *path, rwkv_dtype dtype,
                                    const struct rw_named_tensor *extra, size_t n_extra,
                                    rwkv_error *err);
/* A model: without extras; refuses what BlinkDL's files cannot say (no_ln0, another norm_eps). */
rwkv_status rw_parameters_save(const struct rw_parameters *p, const float *values, const char *path,
                               rwkv_dtype dtype, rwkv_error *err);

/* Write a model for others: a GGUF by `convert`, which reads the values where they are, anything
 * else as above. */
rwkv_status rw_parameters_export(const struct rw_parameters *p, const float *values,
                                 const char *path, rwkv_dtype dtype, const char *vocab,
                                 rw_convert_fn convert, rwkv_error *err);

#endif
