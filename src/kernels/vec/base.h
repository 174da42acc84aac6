/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels written over vectors share. A kernel in this folder is written once, in terms of
 * a handful of operations on a vector `vf` of LANES floats; each instruction set has one header
 * that defines them (x86/vec_avx2.h, x86/vec_avx512.h) and one file (x86/avx2.c, x86/avx512.c) that
 * includes that header and then the kernels, all of them static.
 *
 *   v_zero, v_set(float)                   all lanes 0, or the same
 *   v_load(p), v_store(p, v)               LANES floats at any address
 *   v_load_part(p, n), v_store_part(p, v, n)   the first n < LANES, the others 0 and untouched
 *   v_keep(v, n)                           the first n lanes, the others 0
 *   v_load_f16, v_load_bf16, …_part        the same from 16-bit floats
 *   v_add, v_sub, v_mul, v_div, v_fma(a, b, c) = a·b + c
 *   v_max(a, b)                            b where either is NaN
 *   v_round, v_scale(p, n) = p·2ⁿ          n whole, in [−200, 127]; rounds to denormals correctly
 *   v_abs, v_negate, v_copysign(magnitude, sign), v_negative(a, yes, no) = a < 0 ? yes : no
 *   v_sqrt, v_to_bf16                      rounded correctly; to a float that is a bf16
 *   v_sum(v)                               lanes halved to one number, as kernels.h demands
 *   v_sum4(p, a, b, c, d)                  four such sums to p[0 … 3]
 *   v_transpose(rows)                      LANES vectors as a square matrix
 */
#ifndef RW_KERNELS_VEC_BASE_H
#define RW_KERNELS_VEC_BASE_H

#include "kernels/kernels.h"

#define VEC static inline __attribute__((always_inline))

/* A loop over registers, i = 0 … n − 1: unrolled whole, so that arrays of vectors live in
 * registers. Not under a sanitizer, whose checks on every unrolled access take minutes to compile.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VEC_SANITIZED
#endif
#endif
#if defined(VEC_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define EACH(i, n) UNROLL for (size_t i = 0; i < (n); i++)

/* The compiler forgets what it knows of a value in a register, or of one in memory, which it then
 * reads again. */
#define FORGET(value) __asm__("" : "+r"(value))
#define IN_MEMORY(object) __asm__("" : "+m"(object))

/* Bring the line `ahead` bytes after p to the second cache. It need not exist. */
VEC void prefetch(const void *p, size_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + ahead), 0, 2);
}

#endif
