/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend from the inside: one device, one stream. */
#ifndef RW_BACKEND_CUDA_CUDA_INT_H
#define RW_BACKEND_CUDA_CUDA_INT_H

#include <pthread.h>

#include "backend/backend.h"
#include "backend/cuda/cuda_kernels.h"

/* A weight on the device: what `data` of a placed rw_weight points to. */
struct rw_cuda_weight {
    enum rw_cuda_layout layout;
    enum rw_cuda_numbers numbers; /* in which it is multiplied */
    void *data, *scales;
    size_t depth; /* inputs, padded */
    struct rw_cuda_weight *next;
};

struct rw_cuda {
    struct rw_backend base;
    int device;
    cudaStream_t stream;
    size_t tokens; /* prepared for */

    pthread_mutex_t lock; /* around the list of memory */
    void **memory;        /* [n_memory] all that is taken */
    size_t n_memory, memory_capacity;

    struct rw_cuda_weight *weights;
    float *embedded; /* [tokens, C] pinned: rows on their way to the device */
    size_t embedded_floats;

    /* The spans of the batch, as the device has them. */
    struct rw_cuda_span *spans; /* [tokens] host, and [tokens] of the device */
    uint32_t *span_of;
    struct rw_cuda_span *device_spans;
    uint32_t *device_span_of;
    size_t n_spans, n_tokens;

    cudaError_t failed; /* the first failure since it was asked for */
};

static inline struct rw_cuda *rw_cuda(struct rw_backend *be)
{
    return (struct rw_cuda *)be;
}

/* Note a failure. */
void rw_cuda_see(struct rw_cuda *c, cudaError_t status);

/* Memory of the device that is freed with the backend, or by rw_cuda_give; NULL: there is none. */
void *rw_cuda_take(struct rw_cuda *c, size_t bytes);
void rw_cuda_give(struct rw_cuda *c, void *p);

/* cuda_weight.c */
uint64_t rw_cuda_placed_bytes(const struct rw_backend *be, const struct rw_weight *w,
                              const struct rw_placing *placing);
rwkv_status rw_cuda_place(struct rw_backend *be, struct rw_weight *w,
                          const struct rw_placing *placing, rwkv_error *err);

#endif
