/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_file.h: tensor containers. List, read, check, convert and write the files models are
 * published in, whether they hold a model or not.
 *
 *     rwkv_file *f;
 *     if (rwkv_file_open("model.pth", &f, &err) == RWKV_OK) {
 *         for (size_t i = 0; i < rwkv_file_count(f); i++) {
 *             rwkv_tensor_info t;
 *             rwkv_file_tensor(f, i, &t);
 *             printf("%s %s\n", t.name, rwkv_dtype_name(t.dtype));
 *         }
 *         rwkv_file_close(f);
 *     }
 */
#ifndef RWKV_FILE_H
#define RWKV_FILE_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RWKV_MAX_DIMS 8

typedef struct rwkv_file rwkv_file;

typedef struct rwkv_tensor_info {
    const char *name; /* borrowed until the file is closed */
    rwkv_dtype dtype;
    size_t n_dims;
    size_t shape[RWKV_MAX_DIMS]; /* row-major: the last varies fastest */
    uint64_t n_elements;
    uint64_t n_bytes; /* of the row-major data */
} rwkv_tensor_info;

/* Open any readable container; nothing in it is executed. */
RWKV_API rwkv_status rwkv_file_open(const char *path, rwkv_file **out, rwkv_error *err);
RWKV_API void rwkv_file_close(rwkv_file *file);

RWKV_API const char *rwkv_file_format(const rwkv_file *file); /* "pth", "safetensors", "gguf" */
RWKV_API size_t rwkv_file_count(const rwkv_file *file);
RWKV_API void rwkv_file_tensor(const rwkv_file *file, size_t index, rwkv_tensor_info *out);

/* Index of the tensor of that name, or SIZE_MAX. */
RWKV_API size_t rwkv_file_find(const rwkv_file *file, const char *name);

/* Copy the tensor's bytes in row-major order, in its own type, into `to` [n_bytes]. */
RWKV_API void rwkv_file_read(const rwkv_file *file, size_t index, void *to);

/* The tensor's values as float into `to` [n_elements]; integers are converted. */
RWKV_API rwkv_status rwkv_file_read_f32(const rwkv_file *file, size_t index, float *to,
                                        rwkv_error *err);

/* Hexadecimal SHA-256 of the row-major bytes. */
RWKV_API rwkv_status rwkv_file_sha256(const rwkv_file *file, size_t index, char out[65],
                                      rwkv_error *err);

/* Metadata: GGUF keys, safetensors __metadata__, config.json of a Hugging Face folder. Index below
 * rwkv_file_meta_count. The value is rendered as text, long ones shortened, and is borrowed until
 * the next call on this file. */
RWKV_API size_t rwkv_file_meta_count(const rwkv_file *file);
RWKV_API void rwkv_file_meta(rwkv_file *file, size_t index, const char **key, const char **value);

/* --- writing ---------------------------------------------------------------------------------- */

typedef struct rwkv_write_tensor {
    const char *name;
    rwkv_dtype dtype;
    size_t n_dims;
    size_t shape[RWKV_MAX_DIMS];
    const void *data; /* row-major */
} rwkv_write_tensor;

/* Write tensors to a .safetensors or .pth file (by the name's ending), whole or not at all. */
RWKV_API rwkv_status rwkv_file_write(const char *path, const rwkv_write_tensor *tensors,
                                     size_t n_tensors, rwkv_error *err);

typedef enum rwkv_naming {
    RWKV_NAMING_AUTO,    /* GGUF: its own; safetensors and .pth: BlinkDL's */
    RWKV_NAMING_BLINKDL, /* blocks.0.att.receptance.weight */
    RWKV_NAMING_HF       /* model.layers.0.attn.r_proj.weight; safetensors and .pth only */
} rwkv_naming;

typedef struct rwkv_convert_options {
    rwkv_dtype dtype; /* of the matrices: F32, F16 or BF16; only read when has_dtype is set */
    int has_dtype;    /* zero: keep each tensor's own type */
    rwkv_naming naming;
    const char *vocab;         /* for GGUF output, as in rwkv_model_options */
    int overwrite;             /* zero: refuse when the output exists */
    rwkv_progress_fn progress; /* nullable */
    void *progress_user;
} rwkv_convert_options;

/* Convert the model in `in` to `out`, the format chosen by the ending of `out` (.pth, .safetensors,
 * .gguf). The output is written whole or not at all; at most a few tensors are in memory. */
RWKV_API rwkv_status rwkv_convert(const char *in, const char *out,
                                  const rwkv_convert_options *options, rwkv_error *err);

#ifdef __cplusplus
}
#endif

#endif
