/* SPDX-License-Identifier: Apache-2.0 */
/* The list of tensors as data. */
#include <stdio.h>
#include <string.h>

#include "model/params.h"
#include "model/weights.h"

#define SPEC(in_block, owner, field, kind, rows, cols, blinkdl, hf, gguf) \
    {{blinkdl, hf, gguf}, RW_KIND_##kind, RW_DIM_##rows,                  \
     RW_DIM_##cols,       in_block,       offsetof(owner, field)},
#define MODEL_SPEC(...) SPEC(false, struct rw_rwkv7_weights, __VA_ARGS__)
#define BLOCK_SPEC(...) SPEC(true, struct rw_rwkv7_block, __VA_ARGS__)

const struct rw_spec rw_rwkv7_specs[] = {RW_RWKV7_MODEL_TENSORS(MODEL_SPEC)
                                             RW_RWKV7_BLOCK_TENSORS(BLOCK_SPEC)};

const size_t rw_rwkv7_n_specs = sizeof rw_rwkv7_specs / sizeof rw_rwkv7_specs[0];

static const char *const prefixes[RW_NAMES_COUNT] = {"blocks.", "model.layers.", "blk."};

void rw_param_name(char out[128], const struct rw_spec *spec, enum rw_naming naming, size_t block)
{
    const char *name = spec->names[naming];
    int n = (int)strcspn(name, "#");
    if (spec->in_block)
        snprintf(out, 128, "%s%zu.%.*s", prefixes[naming], block, n, name);
    else
        snprintf(out, 128, "%.*s", n, name);
}
