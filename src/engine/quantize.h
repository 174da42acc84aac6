/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantization and what it is steered by. importance.c gathers and stores how large the inputs of
 * matrices are, quantize_policy.c says which tensor gets which type, quantize.c does the work on
 * top of the conversion to GGUF. The contracts are those of include/rwkv_quantize.h.
 */
#ifndef RW_ENGINE_QUANTIZE_H
#define RW_ENGINE_QUANTIZE_H

#include "engine/convert_int.h"
#include "rwkv_quantize.h"

rwkv_status rw_importance_measure(struct rwkv_model *model, const int32_t *tokens, size_t n_tokens,
                                  rwkv_progress_fn progress, void *user,
                                  struct rwkv_importance **out, rwkv_error *err);
rwkv_status rw_importance_open(const char *path, struct rwkv_importance **out, rwkv_error *err);
rwkv_status rw_importance_save(const struct rwkv_importance *importance, const char *path,
                               const char *text, rwkv_error *err);
void rw_importance_free(struct rwkv_importance *importance);
size_t rw_importance_count(const struct rwkv_importance *importance);
const float *rw_importance_find(const struct rwkv_importance *importance, const char *name,
                                size_t *n);

/* Set the types of c->tensors (and c->bytes, their sum) for the options; wanted[i] becomes the type
 * that was due to tensor i before its rows were looked at. */
rwkv_status rw_quantize_policy(struct conversion *c, const rwkv_quantize_options *options,
                               rwkv_dtype *wanted, rwkv_error *err);

/* A parameter that multiplies: a matrix or half of a low-rank pair. */
bool rw_quantize_is_matrix(const struct output *o);

rwkv_status rw_quantize_model(const char *in, const char *out, const rwkv_quantize_options *options,
                              rwkv_error *err);

#endif
