/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that are not part of the library, so that it does not depend on what they need: a shared
 * object that defines `rw_cuda_plugin`. It is of one build with the library, and refused if not.
 *
 * The file is the one that the environment variable RWKV_CUDA_PLUGIN names, or else
 * librwkv-cuda.so where the system looks for libraries. Once open, it stays.
 */
#ifndef RW_BACKEND_PLUGIN_H
#define RW_BACKEND_PLUGIN_H

#include "backend/backend.h"

#define RW_PLUGIN_ABI 2
#define RW_PLUGIN_SYMBOL "rw_cuda_plugin"

struct rw_plugin {
    uint32_t abi;
    size_t ops_bytes;    /* sizeof(struct rw_backend_ops) */
    const char *version; /* RW_VERSION of its build */
    /* How many devices there are; an error says why none can be used. */
    rwkv_status (*count)(size_t *n, rwkv_error *err);
    rwkv_status (*describe)(size_t index, rwkv_gpu *out, rwkv_error *err);
    rwkv_status (*open)(struct rw_backend **out, size_t index, rwkv_error *err);
};

/* The plugin; an error says what was looked for and what was wrong with it. */
rwkv_status rw_plugin_find(const struct rw_plugin **out, rwkv_error *err);

/* As rwkv_gpu_count and rwkv_gpu_describe. */
rwkv_status rw_plugin_count(size_t *n, rwkv_error *err);
rwkv_status rw_plugin_describe(size_t index, rwkv_gpu *out, rwkv_error *err);

/* Open a GPU. */
rwkv_status rw_backend_cuda_new(struct rw_backend **out, size_t index, rwkv_error *err);

#endif
