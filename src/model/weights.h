/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights of a bound RWKV-7 model: vectors widened to f32 in memory of our own, matrices where
 * the file is mapped (copied only when a .pth view has strides no kernel reads).
 */
#ifndef RW_MODEL_WEIGHTS_H
#define RW_MODEL_WEIGHTS_H

#include "backend/backend.h"
#include "base/arena.h"
#include "model/params.h"
#include "model/rwkv7_tensors.h"

#define RW_TYPE_NORM const float *
#define RW_TYPE_VECTOR const float *
#define RW_TYPE_HEADS const float *
#define RW_TYPE_MATRIX struct rw_weight
#define RW_TYPE_PAIR struct rw_weight
#define RW_FIELD(field, kind, ...) RW_TYPE_##kind field;

struct rw_rwkv7_block {
    RW_RWKV7_BLOCK_TENSORS(RW_FIELD)
};

struct rw_rwkv7_weights {
    RW_RWKV7_MODEL_TENSORS(RW_FIELD)
    struct rw_rwkv7_block *blocks; /* [L] */
};

#undef RW_FIELD

/* Bind every parameter. With a measuring arena only `arena->used` changes; run again on an arena of
 * that size. `weights` is then valid as long as the arena and the file. */
void rw_weights_bind(struct rw_rwkv7_weights *weights, const struct rw_params *params,
                     struct rw_arena *arena);

/* Copy bound weights, of block `block` or with RW_NO_BLOCK the output norm and the head, into the
 * memory of a backend that does not read the host's. With block 0 comes the norm of the embedding,
 * which itself stays where it is. */
#define RW_NO_BLOCK SIZE_MAX
rwkv_status rw_weights_place(struct rw_rwkv7_weights *weights, const struct rw_params *params,
                             size_t block, struct rw_backend *backend,
                             const struct rw_placing *placing, rwkv_error *err);
/* How many bytes of its memory that takes. Nothing need be bound. */
uint64_t rw_weights_placed_bytes(const struct rw_params *params, size_t block,
                                 const struct rw_backend *backend,
                                 const struct rw_placing *placing);

/* Hexadecimal SHA-256 over the sizes, all vectors as f32 and a fixed sample of every matrix's
 * values: the same for the same numbers in any container, quick for any size. */
void rw_params_fingerprint(const struct rw_params *params, char out[65]);

#endif
