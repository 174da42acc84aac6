/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a model's layers are computed and in what numbers, in the words of the `rwkv` package:
 *
 *     strategy := step ( "->" step )*
 *     step     := device " " numbers [ " *" count [ "+" ] ]
 *     device   := "cpu" | "cuda" [ ":" index ]
 *     numbers  := ( "fp32" | "fp16" | "bf16" ) [ "i8" ]
 *
 * A model of L blocks has L + 1 layers to place: the blocks, and the output norm with the head. The
 * embedding stays in host memory. Steps take layers in order: a step with `*count` that many, as
 * far as there are any; the others share the rest equally, in turn, and the last step gets what is
 * left over. With `*count+` so many stay in the device's memory, and all that nobody else takes go
 * through it, from host memory, each time they are needed.
 */
#ifndef RW_ENGINE_STRATEGY_H
#define RW_ENGINE_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv.h"

#define RW_MAX_STEPS 64

enum rw_device_kind { RW_DEVICE_CPU, RW_DEVICE_CUDA };

struct rw_step {
    enum rw_device_kind device;
    int index;          /* of the device; 0 if none is named */
    rwkv_dtype numbers; /* RWKV_DTYPE_F32, F16 or BF16 */
    bool i8;            /* matrices as 8-bit integers */
    bool counted;       /* `count` is given */
    size_t count;
    bool streams; /* `+` */
};

struct rw_strategy {
    struct rw_step steps[RW_MAX_STEPS];
    size_t n;
};

/* RWKV_ERROR_ARGUMENT says which step is wrong and what was wanted. */
rwkv_status rw_strategy_parse(const char *text, struct rw_strategy *out, rwkv_error *err);

/* Where a layer goes. */
struct rw_place {
    size_t step;
    bool streamed;
};

/* Place n layers (L + 1): places [n], ascending. Steps may get nothing. */
void rw_strategy_place(const struct rw_strategy *strategy, size_t n, struct rw_place *places);

/* The step as text, "cuda:1 fp16i8", without its count. At most 32 bytes. */
void rw_step_name(const struct rw_step *step, char out[32]);

#endif
