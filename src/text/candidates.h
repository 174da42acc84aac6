/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens among which one draw chooses, and the memory for it: about a megabyte with a
 * vocabulary of 65536. Draws one after the other share it.
 */
#ifndef RW_TEXT_CANDIDATES_H
#define RW_TEXT_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "rwkv.h"

struct rw_candidates;

/* For draws from n_vocab tokens. NULL: no memory. */
struct rw_candidates *rw_candidates_new(size_t n_vocab);
void rw_candidates_free(struct rw_candidates *c);

/* All tokens become candidates: z = logits [n_vocab], or −∞ where those are NaN. */
void rw_candidates_load(struct rw_candidates *c, const float *logits);
/* Of a loaded token. */
float rw_candidates_z(const struct rw_candidates *c, int32_t token);
void rw_candidates_change(struct rw_candidates *c, int32_t token, float z);
/* Keep those whose bit is set in `allowed` [n_vocab / 64, rounded up], at least one. */
void rw_candidates_allow(struct rw_candidates *c, const uint64_t *allowed);

/* Make the cuts, then draw one of what they leave. The options have no defaults left to be filled
 * in; their penalties and biases are not looked at. `logits`: those that were loaded, which decide
 * where every z is −∞. */
int32_t rw_candidates_choose(struct rw_candidates *c, const rwkv_sampler_options *options,
                             const float *logits, struct rw_rng *rng);

#endif
