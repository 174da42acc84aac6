/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes that train one model have in parts. Each has all weights and the gradient of its
 * own samples; but the moments of the optimizer, and the sum of all gradients, only for its share
 * of the parameters, which it updates and hands to the others.
 *
 *     struct rw_shards *shards;
 *     RW_TRY(rw_shards_new(&shards, &parameters, comm, 0, err));
 *     float *m = be->ops->alloc(be, rw_shards_floats(shards));        // and v
 *     for (each step) {
 *         …                                                  // gradients of all but the last batch
 *         rw_shards_begin(shards, gradients);
 *         …                        // the last one; rw_shards_final(shards, at) as parts get ready
 *         rw_shards_end(shards);
 *         norm = sqrt(…rw_shards_squares(shards, be, gradients) of all processes…);
 *         rw_shards_update(shards, be, &arrays, &options, rate, norm, ++updates);
 *     }
 *     rw_shards_free(shards);
 *
 * The array is cut into buckets, and each bucket into a share for every process. A backward pass
 * makes gradients final from the end of the array to its beginning; so a thread sums up bucket
 * after bucket, from the last one on, while the backward pass goes on below. Order and arithmetic
 * of the sums do not depend on when that happens.
 *
 * In a group of one there is no thread, the share is the whole array, and nothing is exchanged.
 * Arrays are memory of the host.
 */
#ifndef RW_TRAIN_SHARDS_H
#define RW_TRAIN_SHARDS_H

#include "train/comm.h"
#include "train/optimizer.h"

struct rw_shards;

/* `bucket` floats a bucket, a multiple of RW_PARAMETER_ALIGN; 0: as many as are good for networks.
 * `parameters` and `comm` are borrowed until the end. */
rwkv_status rw_shards_new(struct rw_shards **out, const struct rw_parameters *parameters,
                          struct rw_comm *comm, size_t bucket, rwkv_error *err);
void rw_shards_free(struct rw_shards *s); /* NULL is fine */

/* Floats of the own share: the size of arrays of moments. */
size_t rw_shards_floats(const struct rw_shards *s);
/* Bytes that rw_shards_new takes for messages. */
size_t rw_shards_bytes(const struct rw_parameters *parameters, const struct rw_comm *comm,
                       size_t bucket);

/* Sum up gradients [floats], in their place, where the own share is; the rest keeps what this
 * process has found. Between begin and end, which waits, the group is the thread's alone. */
void rw_shards_begin(struct rw_shards *s, float *gradients);
/* Nothing at or after `at` floats changes any more. To be called with falling `at`. */
void rw_shards_final(struct rw_shards *s, size_t at);
void rw_shards_end(struct rw_shards *s);

/* Of the own share of an array: the sum of squares, tensor by tensor; and the index of the first
 * tensor that holds a number that is not finite, or that of the end. */
double rw_shards_squares(const struct rw_shards *s, struct rw_backend *be, const float *array);
size_t rw_shards_not_finite(const struct rw_shards *s, struct rw_backend *be, const float *array);

/* rw_optimizer_update on the own share, then all weights in all processes. arrays->m and ->v hold
 * the share alone, the others everything. */
void rw_shards_update(struct rw_shards *s, struct rw_backend *be,
                      const struct rw_optimizer_arrays *arrays,
                      const struct rw_optimizer_options *options, double rate, double norm,
                      uint64_t update);

/* Every part of an array [floats] as its owner has it, in all processes: the same weights in all,
 * whatever they began with. */
void rw_shards_spread(struct rw_shards *s, float *array);
/* Between the own share, packed, and its places in a whole array. */
void rw_shards_pack(const struct rw_shards *s, float *share, const float *whole);
/* Put the share of every process into rank 0's `whole` [floats]; NULL elsewhere. */
void rw_shards_collect(struct rw_shards *s, float *whole, const float *share);

#endif
