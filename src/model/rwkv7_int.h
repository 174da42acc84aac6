/* SPDX-License-Identifier: Apache-2.0 */
/* The forward pass in the pieces that training puts together again: each reads and writes the
 * scratch of the model and nothing else. */
#ifndef RW_MODEL_RWKV7_INT_H
#define RW_MODEL_RWKV7_INT_H

#include "model/rwkv7.h"

/* From x to norm, mix, r, w, k, v (in block 0: v_first), a, g, gate, hw, ha, hv, hg; the shift in
 * the states. */
void rw_rwkv7_time_mix_inputs(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch);
/* The recurrence over them, with b and y for scratch; x += Wo y. Changes w, k, v, a. */
void rw_rwkv7_time_mix_output(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch);

/* From x to norm, mix[0], ffn; the shift in the states. */
void rw_rwkv7_channel_mix_inputs(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch);
/* x += Wv ffn. */
void rw_rwkv7_channel_mix_output(struct rw_rwkv7 *m, size_t l, const struct rw_batch *batch);

/* Products in the precision of the model. */
void rw_rwkv7_matmul(struct rw_rwkv7 *m, const struct rw_matmul *ops, size_t n, size_t n_tokens);

#endif
