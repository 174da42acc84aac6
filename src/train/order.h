/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In what order training goes through a stream of tokens: two ways to permute n slots that need no
 * memory, so that sample number k of a run is a pure function of k.
 *
 * The official order: p is a prime with p mod 3 = 2, for which i ↦ i³ is a bijection mod p; sample
 * number i = 1, 2, … is in slot ⌊p(√5 − 1)/2⌋·i³ mod p. Every p samples each slot has come once,
 * and the next p come in the same order.
 *
 * Shuffling: a Feistel network of keyed rounds permutes the numbers of an even number of bits;
 * results beyond n are permuted again until one is below (a cycle walk). Each epoch has keys of its
 * own.
 */
#ifndef RW_TRAIN_ORDER_H
#define RW_TRAIN_ORDER_H

#include <stdint.h>

/* The largest prime p with p mod 3 = 2 that is at most floor(n_tokens/ctx) − 1, so that slot p − 1
 * has its ctx + 1 tokens; 0: there is none. */
uint64_t rw_magic_prime(uint64_t n_tokens, uint64_t ctx);

/* The slot, below `prime`, of sample number `number` mod prime ≥ 0, counted from 0. */
uint64_t rw_magic_slot(uint64_t prime, uint64_t number);

/* Where the permutation of [0, n) that belongs to `seed` and `epoch` puts index < n. */
uint64_t rw_shuffled(uint64_t n, uint64_t seed, uint64_t epoch, uint64_t index);

#endif
