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
#include "rwkv_train.h"

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

/* --- training ---------------------------------------------------------------------------------
 *
 * Whole steps, gradient and update, of a copy of a model's weights on random tokens, and what they
 * spend their time on.
 */

typedef enum rwkv_train_work {
    RWKV_TRAIN_PRODUCTS,        /* of matrices, forward */
    RWKV_TRAIN_PRODUCTS_DX,     /* back to their inputs */
    RWKV_TRAIN_PRODUCTS_DW,     /* and to their weights */
    RWKV_TRAIN_RECURRENCE,      /* all of the time mix between its products, forward */
    RWKV_TRAIN_RECURRENCE_BACK, /* and back */
    RWKV_TRAIN_NORMS,           /* layer norms and token shifts, both ways */
    RWKV_TRAIN_LOSS,            /* cross entropy */
    RWKV_TRAIN_OPTIMIZER,       /* norm of the gradient, AdamW */
    RWKV_TRAIN_ELEMENTS,        /* copies, sums, look-ups */
    RWKV_TRAIN_WORKS
} rwkv_train_work;

typedef struct rwkv_train_meter_options {
    size_t context, batch; /* tokens of a sequence, sequences of a step; at least 1 */
    int checkpoint;        /* as in rwkv_gradient_options, */
    rwkv_precision precision;
    uint64_t memory_limit; /* all three */
} rwkv_train_meter_options;

typedef struct rwkv_train_meter_plan {
    uint64_t n_parameters;
    uint64_t memory;      /* bytes: weights, gradient, moments, activations, scratch */
    double ops_per_token; /* as in rwkv_train_plan */
} rwkv_train_meter_plan;

typedef struct rwkv_train_times {
    double seconds;                /* of the whole step */
    double work[RWKV_TRAIN_WORKS]; /* seconds of it; the little that is left is none of these */
} rwkv_train_times;

/* Runs on as many threads, and with the instructions, that the model was opened with; the model may
 * then be closed. */
typedef struct rwkv_train_meter rwkv_train_meter;
RWKV_API rwkv_status rwkv_train_meter_new(const rwkv_model *model,
                                          const rwkv_train_meter_options *options,
                                          rwkv_train_meter **out, rwkv_error *err);
RWKV_API void rwkv_train_meter_free(rwkv_train_meter *meter);
RWKV_API void rwkv_train_meter_get_plan(const rwkv_train_meter *meter, rwkv_train_meter_plan *out);

/* Do one step. Fails where loss or gradient are not finite: then it did less than a step does. */
RWKV_API rwkv_status rwkv_train_meter_step(rwkv_train_meter *meter, rwkv_train_times *out,
                                           rwkv_error *err);

/* As rwkv_meter_measure, of a limit of arithmetic: not RWKV_LIMIT_READ. */
RWKV_API double rwkv_train_meter_measure(rwkv_train_meter *meter, rwkv_limit limit);

#ifdef __cplusplus
}
#endif

#endif
