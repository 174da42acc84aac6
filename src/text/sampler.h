/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing the next token from logits; the options are in rwkv_text.h.
 *
 *     RW_TRY(rw_sampler_new(&options, vocab, n_vocab, &sampler, err));
 *     int32_t token = rw_sampler_sample(sampler, logits);
 *     rw_sampler_accept(sampler, token);
 *     rw_sampler_free(sampler);
 *
 * First, whatever the order: NaN logits count as −∞; z[t] −= presence + count[t]·frequency for
 * every token t accepted so far; z[t] += bias[t]. Greedy then takes the largest z, the first of
 * equal ones. Otherwise p = softmax(z), and
 *
 *     RWKV order:         top-p, top-k, typical, min-p, temperature, draw
 *     temperature first:  temperature, top-k, typical, top-p, min-p, draw
 *
 * Each cut acts on what the ones before left, renormalised:
 *
 *     top-p        the most likely tokens until their sum reaches top_p, together with all that are
 *                  exactly as likely as the last of them
 *     top-k        the k most likely; of equally likely ones those of lower id
 *     typical      as top-p, but in ascending order of |−log p − entropy| (Meister et al.,
 *                  https://arxiv.org/abs/2202.00666)
 *     min-p        those of at least min_p times the largest probability
 *     temperature  p ← p^(1/T), renormalised
 *
 * Acceptance multiplies all counts by penalty_decay, then adds 1 to the token's own, or 0 if its
 * text is part of " \t0123456789" (so blanks and digits get the presence penalty only). What is
 * drawn is a function of the seed, the logits and the accepted tokens alone. Sampling allocates
 * nothing.
 */
#ifndef RW_TEXT_SAMPLER_H
#define RW_TEXT_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"
#include "text/candidates.h"

struct rw_sampler;

/* `options` are checked and copied; `vocab` is nullable and borrowed until the sampler is freed. */
rwkv_status rw_sampler_new(const rwkv_sampler_options *options, const struct rwkv_vocab *vocab,
                           size_t n_vocab, struct rw_sampler **out, rwkv_error *err);
void rw_sampler_free(struct rw_sampler *sampler);

/* Draw from logits [n_vocab], in memory for as many tokens that other samplers use as well. Only
 * those tokens count whose bit in `allowed` [n_vocab / 64, rounded up] is set, at least one; NULL:
 * all. Where options, logits and this leave nothing, the options give way, then the logits: it is
 * always one of them. */
int32_t rw_sampler_sample(struct rw_sampler *sampler, struct rw_candidates *memory,
                          const float *logits, const uint64_t *allowed);
/* As the public functions of these names. */
void rw_sampler_accept(struct rw_sampler *sampler, int32_t token);
void rw_sampler_reset(struct rw_sampler *sampler);

#endif
