/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_bench.h: how fast could it be? Models of random weights of any shape, to time with, and
 * meters that say what the machine can do at this moment: machines are shared and drift, so a rate
 * means something only next to a limit measured in the same minute.
 *
 *     rwkv_meter *meter;
 *     if (rwkv_meter_new(model, &meter, &err) == RWKV_OK) {
 *         double limit = rwkv_meter_measure(meter, RWKV_LIMIT_READ);
 *         …                                  // time the work, and compare
 *         rwkv_meter_free(meter);
 *     }
 */
#ifndef RWKV_BENCH_H
#define RWKV_BENCH_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rwkv_random_model {
    size_t n_layer, n_embd;
    size_t n_vocab;   /* 0: 65536 */
    size_t head_size; /* 0: 64 */
    size_t n_ffn;     /* 0: 4 × n_embd */
    rwkv_dtype dtype; /* of the matrices */
    uint64_t seed;
    rwkv_progress_fn progress; /* nullable */
    void *progress_user;
} rwkv_random_model;

/* Write a GGUF with random weights of the published shapes. */
RWKV_API rwkv_status rwkv_random_model_write(const char *path, const rwkv_random_model *shape,
                                             rwkv_error *err);

/* What all the model's threads together can do at most, with its instruction set. A product and a
 * sum are two operations. */
typedef enum rwkv_limit {
    RWKV_LIMIT_READ, /* bytes read from memory far larger than the caches */
    RWKV_LIMIT_F32,  /* fused multiplications and additions */
    RWKV_LIMIT_BF16, /* dot products of bf16 with sums in f32 */
    RWKV_LIMIT_INT8, /* dot products of bytes with sums of 32 bits */
    RWKV_LIMIT_COUNT
} rwkv_limit;

/* A meter holds 256 MiB of memory and a reference to the model. */
typedef struct rwkv_meter rwkv_meter;
RWKV_API rwkv_status rwkv_meter_new(rwkv_model *model, rwkv_meter **out, rwkv_error *err);
RWKV_API void rwkv_meter_free(rwkv_meter *meter);

/* One limit a second, now: a few milliseconds' work. Take the median of several. 0 when the
 * instruction set has no such operation. */
RWKV_API double rwkv_meter_measure(rwkv_meter *meter, rwkv_limit limit);

#ifdef __cplusplus
}
#endif

#endif
