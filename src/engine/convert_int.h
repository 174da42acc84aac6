/* SPDX-License-Identifier: Apache-2.0 */
/* What convert.c and convert_meta.c share, and quantize.c builds on. */
#ifndef RW_ENGINE_CONVERT_INT_H
#define RW_ENGINE_CONVERT_INT_H

#include "base/output.h"
#include "base/str.h"
#include "engine/engine.h"
#include "tensor/convert.h"

/* One tensor to be written: a parameter, or the six mixes that a GGUF fuses. */
struct output {
    const struct rw_param *sources[6];
    size_t n_sources;
    bool swap; /* stored the other way round */
};

struct meta_list {
    struct rw_meta *items;
    size_t count, capacity;
};

struct conversion {
    const rwkv_convert_options *options;
    struct rw_file *file;
    struct rw_params params;
    enum rw_naming naming;
    struct output *outputs;          /* [n_outputs] */
    struct rw_named_tensor *tensors; /* [n_outputs]: what the writer is told; names owned */
    size_t n_outputs;
    struct meta_list meta;
    struct rw_str items[2]; /* the vocabulary as GGUF arrays: texts, types */
    uint64_t bytes, done;
    uint8_t *piece;
    float *floats;
};

/* Open the input, find its parameters, choose the naming of `out` and see that it may be written.
 * Also after a failure, end with rw_conversion_fini, rw_params_close and rw_file_close. */
rwkv_status rw_conversion_open(struct conversion *c, const char *in, const char *out,
                               rwkv_error *err);
/* Fill outputs and tensors from params and naming. */
rwkv_status rw_conversion_list(struct conversion *c, rwkv_error *err);
/* Source i of an output, as a view in the orientation of the output. *floats, to be freed, is NULL
 * or what the view looks at. */
rwkv_status rw_conversion_view(const struct output *o, size_t i, struct rw_tensor *view,
                               float **floats, rwkv_error *err);
/* So many more bytes were written: tell the caller of it, who may cancel. */
rwkv_status rw_conversion_progress(struct conversion *c, size_t bytes, rwkv_error *err);
/* Free everything but params and file. */
void rw_conversion_fini(struct conversion *c);

/* The metadata of the output: everything llama.cpp asks for in a GGUF, nothing elsewhere. */
rwkv_status rw_conversion_meta(struct conversion *c, rwkv_error *err);
void rw_conversion_meta_fini(struct conversion *c);

/* config.json of a Hugging Face folder, written but not yet in place: commit or discard *out. */
rwkv_status rw_conversion_config(const struct conversion *c, const char *path,
                                 struct rw_output **out, rwkv_error *err);

#endif
