/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

void rw_rng_init(struct rw_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64(&seed);
}

uint64_t rw_rng_u64(struct rw_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double rw_rng_uniform(struct rw_rng *rng)
{
    return (double)(rw_rng_u64(rng) >> 11) * 0x1p-53;
}

double rw_rng_normal(struct rw_rng *rng)
{
    /* Box and Muller, one of the pair: 1 − u lies in (0, 1], so the logarithm is finite. */
    double u = 1.0 - rw_rng_uniform(rng);
    double v = rw_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t rw_rng_below(struct rw_rng *rng, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n; /* the largest multiple of n */
    uint64_t x;
    do
        x = rw_rng_u64(rng);
    while (x >= limit);
    return x % n;
}
