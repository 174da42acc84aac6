/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weights.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/cursor.h"

static const float *bind_vector(const struct rw_param *param, struct rw_arena *arena)
{
    size_t n = rw_tensor_elements(&param->tensor);
    float *values = rw_arena_take(arena, n, sizeof *values);
    if (values)
        rw_tensor_copy_f32(&param->tensor, 0, n, values);
    return values;
}

/* A matrix as it lies in the file: rows without gaps between their elements in either orientation,
 * or, for other strides, a copy. */
static struct rw_weight bind_matrix(const struct rw_param *param, struct rw_arena *arena)
{
    const struct rw_tensor *t = &param->tensor;
    const struct rw_dtype_info *info = rw_dtype(t->dtype);
    bool in_out = param->spec->kind == RW_KIND_PAIR && !param->transposed;
    struct rw_weight w = {.data = t->data, .dtype = t->dtype, .input_major = in_out};
    w.rows = t->shape[in_out ? 1 : 0];
    w.cols = t->shape[in_out ? 0 : 1];
    if (t->stride[1] == 1 || t->shape[1] == 1 || rw_tensor_contiguous(t)) {
        size_t row = rw_tensor_contiguous(t) ? t->shape[1] : t->stride[0];
        w.stride = row / info->block * info->bytes;
    } else if (t->stride[0] == 1) {
        w.input_major = !in_out;
        w.stride = t->stride[1] * info->bytes;
    } else {
        w.stride = t->shape[1] * info->bytes;
        void *copy = rw_arena_take(arena, t->shape[0], w.stride);
        if (copy)
            rw_tensor_copy(t, 0, rw_tensor_elements(t), copy);
        w.data = copy;
    }
    return w;
}

static void bind_param(const struct rw_param *param, void *owner, struct rw_arena *arena)
{
    uint8_t *field = owner ? (uint8_t *)owner + param->spec->offset : NULL;
    if (param->spec->kind == RW_KIND_MATRIX || param->spec->kind == RW_KIND_PAIR) {
        struct rw_weight w = bind_matrix(param, arena);
        if (field)
            memcpy(field, &w, sizeof w);
    } else {
        const float *values = bind_vector(param, arena);
        if (field)
            memcpy(field, &values, sizeof values);
    }
}

void rw_weights_bind(struct rw_rwkv7_weights *weights, const struct rw_params *params,
                     struct rw_arena *arena)
{
    size_t n_layer = params->sizes.n_layer;
    struct rw_rwkv7_block *blocks = rw_arena_take(arena, n_layer, sizeof *blocks);
    weights->blocks = blocks;
    for (size_t i = 0; i < params->n_params; i++) {
        const struct rw_param *param = &params->params[i];
        if (param->unused)
            continue;
        if (!param->spec->in_block)
            bind_param(param, blocks ? weights : NULL, arena);
        else
            bind_param(param, blocks ? &blocks[param->block] : NULL, arena);
    }
}

/* --- into a backend's memory -------------------------------------------------------------------
 */

static rwkv_status place_vector(const float **field, size_t n, struct rw_backend *be,
                                rwkv_error *err)
{
    float *copy = be->ops->alloc(be, n);
    if (!copy)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory on the device for a vector of %zu", n);
    be->ops->upload(be, copy, *field, n);
    *field = copy;
    return RWKV_OK;
}

/* The block with which a parameter of the whole model goes; RW_NO_BLOCK: with the head. */
static size_t companion(const struct rw_param *param)
{
    bool is_ln0 = param->spec == &rw_rwkv7_specs[RW_SPEC_ln0_weight] ||
                  param->spec == &rw_rwkv7_specs[RW_SPEC_ln0_bias];
    return is_ln0 ? 0 : RW_NO_BLOCK;
}

static bool goes_with(const struct rw_param *param, size_t block)
{
    return !param->unused && param->spec != &rw_rwkv7_specs[RW_SPEC_emb] &&
           (param->spec->in_block ? param->block : companion(param)) == block;
}

static bool is_matrix(const struct rw_param *param)
{
    return param->spec->kind == RW_KIND_MATRIX || param->spec->kind == RW_KIND_PAIR;
}

/* The pairs are small, and need their precision. */
static struct rw_placing placing_of(const struct rw_param *param, const struct rw_placing *placing)
{
    struct rw_placing how = *placing;
    how.i8 = how.i8 && param->spec->kind == RW_KIND_MATRIX;
    return how;
}

static rwkv_status place_param(const struct rw_param *param, void *owner, struct rw_backend *be,
                               const struct rw_placing *placing, rwkv_error *err)
{
    uint8_t *field = (uint8_t *)owner + param->spec->offset;
    if (!is_matrix(param))
        return place_vector((const float **)(void *)field, rw_tensor_elements(&param->tensor), be,
                            err);
    struct rw_placing how = placing_of(param, placing);
    return be->ops->place(be, (struct rw_weight *)(void *)field, &how, err);
}

uint64_t rw_weights_placed_bytes(const struct rw_params *params, size_t block,
                                 const struct rw_backend *be, const struct rw_placing *placing)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < params->n_params; i++) {
        const struct rw_param *param = &params->params[i];
        struct rw_arena measured = {0};
        if (!goes_with(param, block))
            continue;
        if (is_matrix(param)) {
            struct rw_weight w = bind_matrix(param, &measured);
            struct rw_placing how = placing_of(param, placing);
            bytes += be->ops->placed_bytes(be, &w, &how);
        } else {
            bytes += rw_tensor_elements(&param->tensor) * sizeof(float);
        }
    }
    return bytes;
}

rwkv_status rw_weights_place(struct rw_rwkv7_weights *weights, const struct rw_params *params,
                             size_t block, struct rw_backend *be, const struct rw_placing *placing,
                             rwkv_error *err)
{
    for (size_t i = 0; i < params->n_params; i++) {
        const struct rw_param *param = &params->params[i];
        if (!goes_with(param, block))
            continue;
        void *owner = param->spec->in_block ? (void *)&weights->blocks[block] : (void *)weights;
        RW_TRY(place_param(param, owner, be, placing, err));
    }
    return RWKV_OK;
}

/* --- fingerprint ------------------------------------------------------------------------------ */

#define SAMPLES 64 /* values of each matrix */

static void hash_u64(struct rw_sha256 *h, uint64_t v)
{
    uint8_t bytes[8];
    rw_store_u64(bytes, v);
    rw_sha256_add(h, bytes, sizeof bytes);
}

static void hash_f32(struct rw_sha256 *h, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[4];
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        rw_store_u32(bytes, bits);
        rw_sha256_add(h, bytes, sizeof bytes);
    }
}

static void hash_vector(struct rw_sha256 *h, const struct rw_tensor *t)
{
    float part[256];
    size_t n = rw_tensor_elements(t);
    for (size_t at = 0; at < n; at += RW_COUNT(part)) {
        /* A block type's blocks have at most 256 elements, all a multiple of a part's length. */
        size_t count = RW_MIN(n - at, RW_COUNT(part));
        rw_tensor_copy_f32(t, at, count, part);
        hash_f32(h, part, count);
    }
}

/* Element (row, col) of the matrix y = W x, wherever and however it is stored. */
static float element(const struct rw_param *param, size_t row, size_t col)
{
    const struct rw_tensor *t = &param->tensor;
    bool in_out = param->spec->kind == RW_KIND_PAIR && !param->transposed;
    size_t i = in_out ? col : row;
    size_t j = in_out ? row : col;
    size_t at = i * t->shape[1] + j;
    size_t block = rw_dtype(t->dtype)->block;
    float values[256];
    rw_tensor_copy_f32(t, at / block * block, block, values);
    return values[at % block];
}

static void hash_matrix(struct rw_sha256 *h, const struct rw_param *param, struct rw_rng *rng)
{
    bool in_out = param->spec->kind == RW_KIND_PAIR && !param->transposed;
    size_t rows = param->tensor.shape[in_out ? 1 : 0];
    size_t cols = param->tensor.shape[in_out ? 0 : 1];
    hash_u64(h, rows);
    hash_u64(h, cols);
    for (int i = 0; i < SAMPLES && rows && cols; i++) {
        size_t row = (size_t)rw_rng_below(rng, rows);
        size_t col = (size_t)rw_rng_below(rng, cols);
        float value = element(param, row, col);
        hash_f32(h, &value, 1);
    }
}

void rw_params_fingerprint(const struct rw_params *params, char out[65])
{
    struct rw_sha256 h;
    struct rw_rng rng;
    rw_sha256_init(&h);
    rw_rng_init(&rng, 7);
    hash_u64(&h, 7);
    hash_u64(&h, params->sizes.n_layer);
    hash_u64(&h, params->sizes.n_embd);
    hash_u64(&h, params->sizes.n_vocab);
    hash_u64(&h, params->sizes.n_ffn);
    hash_u64(&h, params->sizes.head_size);
    for (size_t i = 0; i < params->n_params; i++) {
        const struct rw_param *param = &params->params[i];
        if (param->unused)
            continue;
        hash_u64(&h, (uint64_t)(param->spec - rw_rwkv7_specs));
        if (param->spec->kind == RW_KIND_MATRIX || param->spec->kind == RW_KIND_PAIR)
            hash_matrix(&h, param, &rng);
        else
            hash_vector(&h, &param->tensor);
    }
    rw_sha256_hex(&h, out);
}
