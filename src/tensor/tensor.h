/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tensor is a view: type, shape, strides and a borrowed pointer into a mapped file. Readers
 * guarantee that every element the shape and strides can reach lies inside the file. Data may be
 * unaligned. Strides are in elements and only differ from row-major ones for views in .pth files;
 * block types are always contiguous.
 */
#ifndef RW_TENSOR_TENSOR_H
#define RW_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"
#include "rwkv_file.h"
#include "tensor/dtype.h"

struct rw_tensor {
    rwkv_dtype dtype;
    size_t n_dims;
    size_t shape[RWKV_MAX_DIMS];  /* row-major */
    size_t stride[RWKV_MAX_DIMS]; /* elements */
    const uint8_t *data;          /* element 0; NULL only when there are no elements */
};

/* Fill shape and row-major strides. */
void rw_tensor_init(struct rw_tensor *t, rwkv_dtype dtype, size_t n_dims, const size_t *shape,
                    const void *data);

/* Product of the shape; 1 for rank 0. Readers have checked that it does not overflow. */
size_t rw_tensor_elements(const struct rw_tensor *t);

/* Bytes of the row-major data. */
size_t rw_tensor_bytes(const struct rw_tensor *t);

/* Row-major without gaps (dimensions of size 1 do not matter). */
bool rw_tensor_contiguous(const struct rw_tensor *t);

/* Copy elements [first, first + count) in row-major order, in the tensor's own type. For block
 * types both must be multiples of the block. */
void rw_tensor_copy(const struct rw_tensor *t, size_t first, size_t count, void *to);

/* The same as float. Any type but F8 (false). */
bool rw_tensor_copy_f32(const struct rw_tensor *t, size_t first, size_t count, float *to);

/* Hexadecimal SHA-256 of the row-major bytes. False: no memory for a piece. */
bool rw_tensor_sha256(const struct rw_tensor *t, char out[65]);

#endif
