/* SPDX-License-Identifier: Apache-2.0 */
#include "train/order.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"
#include "base/status.h"

#define ROUNDS 8 /* of the Feistel network: for small halves, four leave patterns */

typedef unsigned __int128 wide;

static uint64_t times(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((wide)a * b % modulus);
}

/* --- primes ----------------------------------------------------------------------------------- */

static uint64_t power(uint64_t base, uint64_t exponent, uint64_t modulus)
{
    uint64_t result = 1;
    for (base %= modulus; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = times(result, base, modulus);
        base = times(base, base, modulus);
    }
    return result;
}

/* Whether n > `witness`, odd, with n − 1 = odd·2^shifts, passes the Miller–Rabin test. */
static bool passes(uint64_t n, uint64_t odd, unsigned shifts, uint64_t witness)
{
    uint64_t x = power(witness, odd, n);
    if (x == 1 || x == n - 1)
        return true;
    for (unsigned i = 1; i < shifts; i++) {
        x = times(x, x, n);
        if (x == n - 1)
            return true;
    }
    return false;
}

/* The first twelve primes as witnesses leave no doubt below 2⁶⁴ (Sorenson and Webster 2015). */
static bool is_prime(uint64_t n)
{
    static const uint64_t witnesses[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    if (n < 2)
        return false;
    for (size_t i = 0; i < RW_COUNT(witnesses); i++)
        if (n % witnesses[i] == 0)
            return n == witnesses[i];
    unsigned shifts = (unsigned)__builtin_ctzll(n - 1);
    for (size_t i = 0; i < RW_COUNT(witnesses); i++)
        if (!passes(n, (n - 1) >> shifts, shifts, witnesses[i]))
            return false;
    return true;
}

uint64_t rw_magic_prime(uint64_t n_tokens, uint64_t ctx)
{
    uint64_t slots = n_tokens / ctx;
    for (uint64_t p = slots ? slots - 1 : 0; p >= 2; p--)
        if (p % 3 == 2 && is_prime(p))
            return p;
    return 0;
}

uint64_t rw_magic_slot(uint64_t prime, uint64_t number)
{
    /* In double precision, as the official trainer computes it. */
    uint64_t factor = (uint64_t)((double)prime * ((sqrt(5) - 1) / 2));
    uint64_t i = (number % prime + 1) % prime;
    return times(factor % prime, times(times(i, i, prime), i, prime), prime);
}

/* --- shuffling -------------------------------------------------------------------------------- */

/* The finalizer of splitmix64: every bit of x moves every bit of the result. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Half the bits, rounded up, that numbers below n need. */
static unsigned half_bits(uint64_t n)
{
    unsigned bits = n > 1 ? 64 - (unsigned)__builtin_clzll(n - 1) : 0;
    return (bits + 1) / 2;
}

static uint64_t feistel(uint64_t x, const uint64_t keys[ROUNDS], unsigned half)
{
    uint64_t mask = ((uint64_t)1 << half) - 1, left = x >> half, right = x & mask;
    for (size_t i = 0; i < ROUNDS; i++) {
        uint64_t next = left ^ (scramble(right ^ keys[i]) & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

uint64_t rw_shuffled(uint64_t n, uint64_t seed, uint64_t epoch, uint64_t index)
{
    struct rw_rng rng;
    uint64_t keys[ROUNDS];
    unsigned half = half_bits(n);
    assert(index < n);
    rw_rng_init(&rng, seed);
    rw_rng_init(&rng, rw_rng_u64(&rng) ^ scramble(epoch));
    for (size_t i = 0; i < ROUNDS; i++)
        keys[i] = rw_rng_u64(&rng);
    do /* fewer than four steps on average: a cycle comes back below n */
        index = feistel(index, keys, half);
    while (index >= n);
    return index;
}
