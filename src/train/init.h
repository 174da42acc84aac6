/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights a training run begins with, tensor by tensor, as the reference trainer's init file
 * has them: docs/training.md has the table. Random numbers depend on the seed and on the tensor's
 * place in the model only, so that neither threads nor the order of calls changes a bit.
 *
 *     struct rw_init init = {.sizes = sizes, .seed = 1, .pool = pool};
 *     RW_TRY(rw_init_check(&init.sizes, err));
 *     ranks = rw_init_ranks(sizes.n_embd);
 *     RW_TRY(rw_init_tensor(values, &init, RW_SPEC_head, 0, n_vocab, n_embd, err));
 */
#ifndef RW_TRAIN_INIT_H
#define RW_TRAIN_INIT_H

#include <stdint.h>

#include "base/pool.h"
#include "model/params.h"
#include "rwkv.h"

struct rw_init {
    struct rw_sizes sizes;
    uint64_t seed;
    struct rw_pool *pool; /* borrowed */
};

/* The low-rank sizes of a model of that width: max(32, 32·round(x/32)), ties to even, with x 2.5√C
 * for decay and rate, 1.7√C for the value residual, 5√C for the gate. */
struct rw_ranks rw_init_ranks(size_t n_embd);

/* Whether the formulas have values for these sizes: at least two layers, two channels a head and
 * two channels. */
rwkv_status rw_init_check(const struct rw_sizes *sizes, rwkv_error *err);

/* Give sizes that are 0 their defaults: heads of 64, four times the width for the channel mix, and
 * for `ids` of a vocabulary (0: none) as many rows, rounded up to a multiple of 16. */
void rw_init_complete(struct rw_sizes *sizes, size_t ids);

/* Whether a model of n_vocab rows has one for each of the `ids` of the vocabulary at `path`. */
rwkv_status rw_init_check_vocab(const char *path, size_t ids, size_t n_vocab, rwkv_error *err);

/* Bytes that rw_init_tensor takes and gives back. */
size_t rw_init_scratch(enum rw_spec_id id, size_t rows, size_t cols);

/* Fill out [rows, cols], matrices and pairs in the orientation [out, in]. `block` is 0 for tensors
 * of the whole model. Fails only for want of memory: orthogonal matrices take as much again. */
rwkv_status rw_init_tensor(float *out, const struct rw_init *init, enum rw_spec_id id, size_t block,
                           size_t rows, size_t cols, rwkv_error *err);

/* gain × a matrix drawn uniformly from those with orthonormal columns (or rows, whichever are
 * fewer). */
rwkv_status rw_init_orthogonal(float *out, size_t rows, size_t cols, float gain, uint64_t seed,
                               struct rw_pool *pool, rwkv_error *err);

#endif
