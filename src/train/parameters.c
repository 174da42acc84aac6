/* SPDX-License-Identifier: Apache-2.0 */
#include "train/parameters.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "tensor/convert.h"

#define PIECE ((size_t)1 << 16) /* numbers converted at a time */

/* --- layout ----------------------------------------------------------------------------------- */

static bool is_matrix(const struct rw_spec *spec)
{
    return spec->kind == RW_KIND_MATRIX || spec->kind == RW_KIND_PAIR;
}

/* Stored [in, out]. */
static bool is_input_major(const struct rw_param *param)
{
    return param->spec->kind == RW_KIND_PAIR && !param->transposed;
}

static rwkv_status lay_out(struct rw_parameters *p, const struct rw_param *param, rwkv_error *err)
{
    struct rw_parameter *one = &p->list[p->n];
    char name[128];
    rw_param_name(name, param->spec, RW_NAMES_BLINKDL, param->block);
    *one = (struct rw_parameter){.spec = param->spec, .block = param->block, .offset = p->floats};
    snprintf(one->name, sizeof one->name, "%s", name);
    if (is_matrix(param->spec)) {
        one->rows = param->tensor.shape[is_input_major(param) ? 1 : 0];
        one->cols = param->tensor.shape[is_input_major(param) ? 0 : 1];
    } else {
        one->rows = 1;
        one->cols = rw_tensor_elements(&param->tensor);
    }
    size_t padded, bytes;
    if (!rw_mul(one->rows, one->cols, &one->count) ||
        !rw_add(one->count, RW_PARAMETER_ALIGN - 1, &padded) ||
        !rw_add(p->floats, padded / RW_PARAMETER_ALIGN * RW_PARAMETER_ALIGN, &p->floats) ||
        !rw_mul(p->floats, sizeof(double), &bytes))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted a size that fits memory, found %zu × "
                       "%zu numbers",
                       name, one->rows, one->cols);
    p->count += one->count;
    p->n++;
    return RWKV_OK;
}

static size_t largest_rank(const struct rw_params *params, enum rw_spec_id first)
{
    size_t rank = 0;
    for (size_t l = 0; l < params->sizes.n_layer; l++)
        rank = RW_MAX(rank, rw_params_rank(params, first, l));
    return rank;
}

rwkv_status rw_parameters_init(struct rw_parameters *out, const struct rw_params *params,
                               rwkv_error *err)
{
    struct rw_parameters p = {
        .sizes = params->sizes,
        .rank_w = largest_rank(params, RW_SPEC_w1),
        .rank_a = largest_rank(params, RW_SPEC_a1),
        .rank_v = largest_rank(params, RW_SPEC_v1),
        .rank_g = largest_rank(params, RW_SPEC_g1),
        .norm_eps = params->norm_eps,
        .no_ln0 = params->no_ln0,
    };
    rwkv_status status = RWKV_OK;
    p.list = rw_calloc(params->n_params, sizeof *p.list);
    if (!p.list)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tensors", params->n_params);
    for (size_t i = 0; i < params->n_params; i++)
        if (!params->params[i].unused)
            RW_GO(lay_out(&p, &params->params[i], err));
done:
    if (status != RWKV_OK)
        rw_parameters_fini(&p);
    else
        *out = p;
    return status;
}

void rw_parameters_fini(struct rw_parameters *p)
{
    rw_free(p->list);
    *p = (struct rw_parameters){0};
}

enum rw_spec_id rw_parameter_id(const struct rw_parameter *parameter)
{
    return (enum rw_spec_id)(parameter->spec - rw_rwkv7_specs);
}

/* --- from a file ------------------------------------------------------------------------------ */

/* [in, out] to [out, in]. The stored form may be of blocks, so it is widened as it lies first. */
static rwkv_status load_input_major(const struct rw_parameter *one, const struct rw_tensor *from,
                                    float *to, rwkv_error *err)
{
    float *stored = rw_alloc(one->count, sizeof *stored);
    if (!stored)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu numbers", one->name,
                       one->count);
    rw_tensor_copy_f32(from, 0, one->count, stored);
    for (size_t i = 0; i < one->cols; i++)
        for (size_t o = 0; o < one->rows; o++)
            to[o * one->cols + i] = stored[i * one->rows + o];
    rw_free(stored);
    return RWKV_OK;
}

rwkv_status rw_parameters_load(const struct rw_parameters *p, const struct rw_params *params,
                               float *to, rwkv_error *err)
{
    memset(to, 0, p->floats * sizeof *to);
    for (size_t i = 0; i < p->n; i++) {
        const struct rw_parameter *one = &p->list[i];
        const struct rw_param *param = rw_params_find(params, rw_parameter_id(one), one->block);
        assert(param && rw_tensor_elements(&param->tensor) == one->count);
        if (is_input_major(param))
            RW_TRY(load_input_major(one, &param->tensor, to + one->offset, err));
        else
            rw_tensor_copy_f32(&param->tensor, 0, one->count, to + one->offset);
    }
    return RWKV_OK;
}

/* --- binding ---------------------------------------------------------------------------------- */

void rw_parameters_bind_weights(const struct rw_parameters *p, const float *values,
                                struct rw_rwkv7_weights *weights, struct rw_rwkv7_block *blocks)
{
    memset(weights, 0, sizeof *weights);
    memset(blocks, 0, p->sizes.n_layer * sizeof *blocks);
    weights->blocks = blocks;
    for (size_t i = 0; i < p->n; i++) {
        const struct rw_parameter *one = &p->list[i];
        const float *data = values + one->offset;
        void *owner = one->spec->in_block ? (void *)&blocks[one->block] : (void *)weights;
        uint8_t *field = (uint8_t *)owner + one->spec->offset;
        const struct rw_weight matrix = {.data = data,
                                         .dtype = RWKV_DTYPE_F32,
                                         .rows = one->rows,
                                         .cols = one->cols,
                                         .stride = one->cols * sizeof *data};
        if (is_matrix(one->spec))
            memcpy(field, &matrix, sizeof matrix);
        else
            memcpy(field, &data, sizeof data);
    }
}

#define IN_MODEL(field, ...) offsetof(struct rw_rwkv7_gradients, field),
#define IN_BLOCK(field, ...) offsetof(struct rw_rwkv7_block_gradients, field),

void rw_parameters_bind_gradients(const struct rw_parameters *p, float *gradients,
                                  struct rw_rwkv7_gradients *to,
                                  struct rw_rwkv7_block_gradients *blocks)
{
    static const size_t offsets[RW_SPEC_COUNT] = {RW_RWKV7_MODEL_TENSORS(IN_MODEL)
                                                      RW_RWKV7_BLOCK_TENSORS(IN_BLOCK)};
    memset(to, 0, sizeof *to);
    memset(blocks, 0, p->sizes.n_layer * sizeof *blocks);
    to->blocks = blocks;
    for (size_t i = 0; i < p->n; i++) {
        const struct rw_parameter *one = &p->list[i];
        float *data = gradients + one->offset;
        void *owner = one->spec->in_block ? (void *)&blocks[one->block] : (void *)to;
        memcpy((uint8_t *)owner + offsets[rw_parameter_id(one)], &data, sizeof data);
    }
}

/* --- to a file -------------------------------------------------------------------------------- */

struct rw_tensor rw_parameters_view(const struct rw_parameters *p, const struct rw_parameter *one,
                                    const float *values)
{
    const float *data = values ? values + one->offset : NULL;
    size_t head = p->sizes.head_size;
    struct rw_tensor t;
    switch (one->spec->kind) {
    case RW_KIND_NORM:
        rw_tensor_init(&t, RWKV_DTYPE_F32, 1, &one->cols, data);
        break;
    case RW_KIND_VECTOR:
        rw_tensor_init(&t, RWKV_DTYPE_F32, 3, (size_t[]){1, 1, one->cols}, data);
        break;
    case RW_KIND_HEADS:
        rw_tensor_init(&t, RWKV_DTYPE_F32, 2, (size_t[]){one->cols / head, head}, data);
        break;
    case RW_KIND_MATRIX:
        rw_tensor_init(&t, RWKV_DTYPE_F32, 2, (size_t[]){one->rows, one->cols}, data);
        break;
    case RW_KIND_PAIR:
        rw_tensor_init(&t, RWKV_DTYPE_F32, 2, (size_t[]){one->cols, one->rows}, data);
        t.stride[0] = 1;
        t.stride[1] = one->cols;
        break;
    }
    return t;
}

struct saving {
    struct rw_named_tensor *tensors; /* what is said of them: extras, then parameters */
    struct rw_writer *writer;
    float *floats;
    uint8_t *piece; /* [PIECE] */
};

static rwkv_status save_converted(struct saving *s, const struct rw_tensor *view, rwkv_dtype dtype,
                                  rwkv_error *err)
{
    size_t n = rw_tensor_elements(view);
    for (size_t at = 0; at < n; at += PIECE) {
        size_t count = RW_MIN(PIECE, n - at), bytes;
        rw_tensor_copy_f32(view, at, count, s->floats);
        rw_from_f32(dtype, s->piece, s->floats, count);
        rw_dtype_size(dtype, count, &bytes);
        RW_TRY(rw_writer_data(s->writer, s->piece, bytes, err));
    }
    return RWKV_OK;
}

static rwkv_status check_type(const char *path, rwkv_dtype dtype, rwkv_error *err)
{
    if (dtype != RWKV_DTYPE_F32 && dtype != RWKV_DTYPE_F16 && dtype != RWKV_DTYPE_BF16)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: type: wanted F32, F16 or BF16, found %s",
                       path, rwkv_dtype_name(dtype));
    return RWKV_OK;
}

rwkv_status rw_parameters_save_with(const struct rw_parameters *p, const float *values,
                                    const char *path, rwkv_dtype dtype,
                                    const struct rw_named_tensor *extra, size_t n_extra,
                                    rwkv_error *err)
{
    rwkv_status status;
    struct saving s = {0};
    RW_TRY(check_type(path, dtype, err));
    s.tensors = rw_calloc(n_extra + p->n, sizeof *s.tensors);
    s.floats = rw_alloc(PIECE, sizeof *s.floats);
    s.piece = rw_alloc(PIECE, sizeof(float));
    if (!s.tensors || !s.floats || !s.piece)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu tensors", path, p->n));
    for (size_t i = 0; i < n_extra; i++)
        s.tensors[i] = extra[i];
    for (size_t i = 0; i < p->n; i++) {
        s.tensors[n_extra + i].name = p->list[i].name;
        s.tensors[n_extra + i].tensor = rw_parameters_view(p, &p->list[i], NULL);
        s.tensors[n_extra + i].tensor.dtype = dtype;
    }
    const struct rw_write_plan plan = {.tensors = s.tensors, .n_tensors = n_extra + p->n};
    RW_GO(rw_writer_open(&s.writer, path, &plan, err));
    for (size_t i = 0; i < n_extra; i++)
        RW_GO(
            rw_writer_data(s.writer, extra[i].tensor.data, rw_tensor_bytes(&extra[i].tensor), err));
    for (size_t i = 0; i < p->n; i++) {
        struct rw_tensor view = rw_parameters_view(p, &p->list[i], values);
        RW_GO(save_converted(&s, &view, dtype, err));
    }
    status = rw_writer_commit(s.writer, err);
    s.writer = NULL;
done:
    rw_writer_discard(s.writer);
    rw_free(s.tensors);
    rw_free(s.floats);
    rw_free(s.piece);
    return status;
}

/* Refuse to lose what neither BlinkDL's names nor the list of tensors can say. */
static rwkv_status check_norms(const struct rw_parameters *p, const char *path, rwkv_error *err)
{
    if (p->no_ln0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: the model has no norm after the embedding (norm_first = false), which "
                       "only safetensors in the Hugging Face naming can say",
                       path);
    if (p->norm_eps != RW_NORM_EPS)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: the epsilon of the model's norms is %g, not %g, which only GGUF and "
                       "safetensors in the Hugging Face naming can say",
                       path, (double)p->norm_eps, (double)RW_NORM_EPS);
    return RWKV_OK;
}

rwkv_status rw_parameters_save(const struct rw_parameters *p, const float *values, const char *path,
                               rwkv_dtype dtype, rwkv_error *err)
{
    RW_TRY(check_norms(p, path, err));
    return rw_parameters_save_with(p, values, path, dtype, NULL, 0, err);
}

/* What reading a .safetensors of the values would give, but that they stay where they are. */
static rwkv_status fill_file(struct rw_file *file, const struct rw_parameters *p,
                             const float *values, rwkv_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *name = p->list[i].name;
        struct rw_tensor view = rw_parameters_view(p, &p->list[i], values);
        RW_TRY(rw_file_add_tensor(file, name, strlen(name), &view, err));
    }
    return rw_file_build_index(file, err);
}

static rwkv_status export_gguf(const struct rw_parameters *p, const float *values, const char *path,
                               rwkv_dtype dtype, const char *vocab, rw_convert_fn convert,
                               rwkv_error *err)
{
    struct rw_file *file = rw_calloc(1, sizeof *file);
    rwkv_status status;
    RW_GO(check_norms(p, path, err));
    if (!file || !(file->path = rw_strdup(path)))
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu tensors", path, p->n));
    file->format = &rw_format_safetensors;
    RW_GO(fill_file(file, p, values, err));
    status = convert(file, path, vocab, dtype, err);
done:
    rw_file_close(file);
    return status;
}

rwkv_status rw_parameters_export(const struct rw_parameters *p, const float *values,
                                 const char *path, rwkv_dtype dtype, const char *vocab,
                                 rw_convert_fn convert, rwkv_error *err)
{
    return rw_has_suffix(path, ".gguf") ? export_gguf(p, values, path, dtype, vocab, convert, err)
                                        : rw_parameters_save(p, values, path, dtype, err);
}
