/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of numbers from and to every element type: the exact meaning of the block layouts, in plain
 * C. These are the reference that the vector kernels are tested against, bit for bit.
 */
#ifndef RW_TENSOR_CONVERT_H
#define RW_TENSOR_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv.h"

/* n elements (a multiple of the block) of `from`, unaligned, to float. False for a type without
 * values as float (F8). Integer types are converted. Values are bit-exact to libggml's. */
bool rw_to_f32(rwkv_dtype dtype, float *to, const void *from, size_t n);

/* n floats to F32, F16 or BF16 (round to nearest even). False for any other type; for the block
 * types see tensor/quantize.h. */
bool rw_from_f32(rwkv_dtype dtype, void *to, const float *from, size_t n);

#endif
