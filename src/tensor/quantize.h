/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of numbers to block types, with a search for the codes and scales that lose least. What is
 * made as small as possible is Σ wᵢ (xᵢ − yᵢ)², y being what rw_to_f32 reads back: with weights wᵢ
 * equal to the mean of the squares of what input i carries, that is the mean square of the error of
 * the product with this row (for inputs that do not go together). The search is described in
 * docs/quantization.md.
 *
 * The result depends on the numbers alone: the same bytes on every machine and in every thread.
 */
#ifndef RW_TENSOR_QUANTIZE_H
#define RW_TENSOR_QUANTIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv.h"

/* The largest magnitude that every block type can hold: its scales are f16. */
#define RW_QUANTIZE_MAX 65504.0f

/* n numbers, of which the importance is `weights` [n] (≥ 0; NULL: all the same), to blocks of type
 * `dtype`. Numbers that are not finite or beyond RW_QUANTIZE_MAX give valid blocks of no use:
 * callers refuse them before. Blocks of weight zero, or of weights that are no numbers, count as
 * all the same. False: not a block type, or n no multiple of the block. */
bool rw_quantize(rwkv_dtype dtype, void *to, const float *from, size_t n, const float *weights);

#endif
