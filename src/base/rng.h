/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers that are the same everywhere: xoshiro256** seeded by splitmix64 (Blackman and
 * Vigna, https://prng.di.unimi.it).
 */
#ifndef RW_BASE_RNG_H
#define RW_BASE_RNG_H

#include <stdint.h>

struct rw_rng {
    uint64_t s[4];
};

void rw_rng_init(struct rw_rng *rng, uint64_t seed);
uint64_t rw_rng_u64(struct rw_rng *rng);
double rw_rng_uniform(struct rw_rng *rng);             /* [0, 1), 53 bits */
double rw_rng_normal(struct rw_rng *rng);              /* mean 0, variance 1 */
uint64_t rw_rng_below(struct rw_rng *rng, uint64_t n); /* [0, n), unbiased; n ≥ 1 */

#endif
