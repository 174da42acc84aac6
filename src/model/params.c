/* SPDX-License-Identifier: Apache-2.0 */
#include "model/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"

#define MAX_BLOCKS 65536

/* "[2048, 96]" for messages. */
static const char *shape_text(const struct rw_tensor *t, char out[128])
{
    size_t at = (size_t)snprintf(out, 128, "[");
    for (size_t i = 0; i < t->n_dims && at < 100; i++)
        at += (size_t)snprintf(out + at, 128 - at, i ? ", %zu" : "%zu", t->shape[i]);
    snprintf(out + at, 128 - at, "]");
    return out;
}

static rwkv_status fail_shape(const struct rw_params *p, const struct rw_param *param,
                              const char *wanted, rwkv_error *err)
{
    char name[128], shape[128];
    rw_param_name(name, param->spec, p->naming, param->block);
    return rw_fail(err, RWKV_ERROR_MODEL, "%s: tensor %s: wanted shape %s, found %s", p->file->path,
                   name, wanted, shape_text(&param->tensor, shape));
}

/* --- from names to places --------------------------------------------------------------------- */

static rwkv_status add(struct rw_params *p, const struct rw_spec *spec, size_t block,
                       const struct rw_tensor *tensor, rwkv_error *err)
{
    if (!rw_grow((void **)&p->params, p->n_params, &p->capacity, sizeof *p->params))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu tensors", p->file->path,
                       p->n_params);
    p->params[p->n_params++] = (struct rw_param){.spec = spec, .block = block, .tensor = *tensor};
    return RWKV_OK;
}

/* Item i of a tensor whose outermost dimension counts items. */
static struct rw_tensor item_of(const struct rw_tensor *t, size_t i)
{
    struct rw_tensor item = {.dtype = t->dtype, .n_dims = t->n_dims - 1};
    memcpy(item.shape, t->shape + 1, item.n_dims * sizeof *item.shape);
    memcpy(item.stride, t->stride + 1, item.n_dims * sizeof *item.stride);
    item.data = t->data + i * t->stride[0] * rw_dtype(t->dtype)->bytes;
    return item;
}

/* Split a fused tensor [6, …, C] into the mixes it holds. */
static rwkv_status add_fused(struct rw_params *p, const char *name, size_t block,
                             const struct rw_tensor *tensor, rwkv_error *err)
{
    char shape[128];
    if (tensor->n_dims < 2 || tensor->shape[0] != 6 || rw_dtype_is_block(tensor->dtype))
        return rw_fail(err, RWKV_ERROR_MODEL,
                       "%s: tensor %s: wanted six vectors of a plain type, found %s of type %s",
                       p->file->path, name, shape_text(tensor, shape),
                       rwkv_dtype_name(tensor->dtype));
    for (size_t i = 0; i < 6; i++) {
        struct rw_tensor item = item_of(tensor, i);
        RW_TRY(add(p, &rw_rwkv7_specs[RW_SPEC_x_r + i], block, &item, err));
    }
    return RWKV_OK;
}

/* The part of `name` after "blocks.12."; NULL if it is not of that form. */
static const char *after_block(const char *name, enum rw_naming naming, size_t *block)
{
    static const char *const prefixes[RW_NAMES_COUNT] = {"blocks.", "model.layers.", "blk."};
    if (!rw_has_prefix(name, prefixes[naming]))
        return NULL;
    const char *digits = name + strlen(prefixes[naming]);
    size_t n = strspn(digits, "0123456789");
    if (n == 0 || n > 5 || digits[n] != '.' || (digits[0] == '0' && n > 1))
        return NULL;
    *block = (size_t)strtoul(digits, NULL, 10);
    return *block < MAX_BLOCKS ? digits + n + 1 : NULL;
}

static bool is_fused(const char *suffix, enum rw_naming naming)
{
    return (naming == RW_NAMES_GGUF && strcmp(suffix, "time_mix_lerp_fused.weight") == 0) ||
           (naming == RW_NAMES_HF && strcmp(suffix, "attn.x_x") == 0);
}

static rwkv_status place(struct rw_params *p, const struct rw_named_tensor *named, rwkv_error *err)
{
    size_t block = 0;
    if (rw_has_prefix(named->name, RW_TRAINING_PREFIX))
        return RWKV_OK;
    const char *suffix = after_block(named->name, p->naming, &block);
    if (suffix && is_fused(suffix, p->naming))
        return add_fused(p, named->name, block, &named->tensor, err);
    for (size_t i = 0; i < rw_rwkv7_n_specs; i++) {
        const struct rw_spec *spec = &rw_rwkv7_specs[i];
        const char *wanted = spec->in_block ? suffix : named->name;
        if (wanted && strcmp(wanted, spec->names[p->naming]) == 0)
            return add(p, spec, spec->in_block ? block : 0, &named->tensor, err);
    }
    if (rw_has_suffix(named->name, ".att.time_state"))
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: the model has tuned initial states inside (%s); keep them in a file of "
                       "their own and load that as a state",
                       p->file->path, named->name);
    return rw_fail(err, RWKV_ERROR_MODEL, "%s: tensor %s is no part of an RWKV-7 model",
                   p->file->path, named->name);
}

static size_t lookup_at(const struct rw_spec *spec, size_t block)
{
    return block * RW_SPEC_COUNT + (size_t)(spec - rw_rwkv7_specs);
}

/* Tensors of the model go before the blocks, but ln_out and head after them, as in a .pth. */
static size_t section(const struct rw_param *param)
{
    if (param->spec->in_block)
        return 1 + param->block;
    return param->spec < &rw_rwkv7_specs[RW_SPEC_ln_out_weight] ? 0 : MAX_BLOCKS + 1;
}

static int by_place(const void *a, const void *b)
{
    const struct rw_param *x = a, *y = b;
    size_t sx = section(x), sy = section(y);
    if (sx != sy)
        return sx < sy ? -1 : 1;
    return x->spec < y->spec ? -1 : x->spec > y->spec;
}

static rwkv_status build_lookup(struct rw_params *p, rwkv_error *err)
{
    size_t blocks = 0;
    for (size_t i = 0; i < p->n_params; i++)
        if (p->params[i].spec->in_block)
            blocks = RW_MAX(blocks, p->params[i].block + 1);
    if (blocks == 0)
        return rw_fail(err, RWKV_ERROR_MODEL,
                       "%s: wanted the tensors of at least one block, "
                       "found none",
                       p->file->path);
    if (blocks > p->n_params)
        return rw_fail(err, RWKV_ERROR_MODEL,
                       "%s: wanted blocks numbered without a gap, found number %zu in %zu tensors",
                       p->file->path, blocks - 1, p->n_params);
    p->sizes.n_layer = blocks;
    qsort(p->params, p->n_params, sizeof *p->params, by_place);
    p->lookup = rw_calloc(blocks * RW_SPEC_COUNT, sizeof *p->lookup);
    if (!p->lookup)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu blocks", p->file->path,
                       blocks);
    for (size_t i = 0; i < p->n_params; i++) {
        size_t *at = &p->lookup[lookup_at(p->params[i].spec, p->params[i].block)];
        if (*at) {
            char name[128];
            rw_param_name(name, p->params[i].spec, p->naming, p->params[i].block);
            return rw_fail(err, RWKV_ERROR_MODEL, "%s: tensor %s is there twice", p->file->path,
                           name);
        }
        *at = i + 1;
    }
    return RWKV_OK;
}

static struct rw_param *find(const struct rw_params *p, enum rw_spec_id id, size_t block)
{
    size_t at = p->lookup[lookup_at(&rw_rwkv7_specs[id], block)];
    return at ? &p->params[at - 1] : NULL;
}

const struct rw_param *rw_params_find(const struct rw_params *params, enum rw_spec_id id,
                                      size_t block)
{
    return find(params, id, block);
}

static bool is_value_mix(const struct rw_spec *spec)
{
    size_t id = (size_t)(spec - rw_rwkv7_specs);
    return id == RW_SPEC_v0 || id == RW_SPEC_v1 || id == RW_SPEC_v2;
}

static rwkv_status check_complete(struct rw_params *p, rwkv_error *err)
{
    for (size_t block = 0; block < p->sizes.n_layer; block++) {
        for (size_t id = 0; id < RW_SPEC_COUNT; id++) {
            const struct rw_spec *spec = &rw_rwkv7_specs[id];
            struct rw_param *param = find(p, (enum rw_spec_id)id, block);
            if (param && block == 0 && is_value_mix(spec))
                param->unused = true;
            bool optional = block == 0 ? is_value_mix(spec) : !spec->in_block;
            if (param || optional)
                continue;
            char name[128];
            rw_param_name(name, spec, p->naming, block);
            return rw_fail(err, RWKV_ERROR_MODEL, "%s: wanted tensor %s, found none", p->file->path,
                           name);
        }
    }
    return RWKV_OK;
}

/* --- Hugging Face files may lack the first norm ----------------------------------------------- */

/* Add ln0 with the values fla leaves it at, weight 1 and bias 0: for norm_first = true without such
 * tensors; with norm_first = false it is added too and never used. */
static rwkv_status make_ln0(struct rw_params *p, rwkv_error *err)
{
    const struct rw_param *emb = NULL;
    for (size_t i = 0; i < p->n_params; i++) {
        if (p->params[i].spec == &rw_rwkv7_specs[RW_SPEC_ln0_weight])
            return RWKV_OK;
        if (p->params[i].spec == &rw_rwkv7_specs[RW_SPEC_emb])
            emb = &p->params[i];
    }
    if (p->naming != RW_NAMES_HF || !emb || emb->tensor.n_dims != 2)
        return RWKV_OK;
    size_t c = emb->tensor.shape[1];
    p->made = rw_calloc(c, 2 * sizeof(float));
    if (!p->made)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu numbers", p->file->path, c);
    for (size_t i = 0; i < c; i++)
        p->made[i] = 1;
    struct rw_tensor t;
    rw_tensor_init(&t, RWKV_DTYPE_F32, 1, &c, p->made);
    RW_TRY(add(p, &rw_rwkv7_specs[RW_SPEC_ln0_weight], 0, &t, err));
    rw_tensor_init(&t, RWKV_DTYPE_F32, 1, &c, p->made + c);
    return add(p, &rw_rwkv7_specs[RW_SPEC_ln0_bias], 0, &t, err);
}

static rwkv_status read_norm_eps(struct rw_params *p, const char *key, rwkv_error *err)
{
    const struct rw_meta *meta = rw_file_meta(p->file, key);
    double eps = 0;
    if (!meta)
        return RWKV_OK;
    if (!rw_meta_f64(meta, &eps))
        return rw_fail(err, RWKV_ERROR_MODEL, "%s: %s: wanted a number, found something else",
                       p->file->path, key);
    if (!(eps >= 0 && eps <= 1))
        return rw_fail(err, RWKV_ERROR_MODEL, "%s: %s: wanted a number from 0 to 1, found %g",
                       p->file->path, key, eps);
    p->norm_eps = (float)eps;
    return RWKV_OK;
}

/* What is said beside the tensors and changes the computation. */
static rwkv_status read_config(struct rw_params *p, rwkv_error *err)
{
    p->norm_eps = RW_NORM_EPS;
    if (p->naming == RW_NAMES_GGUF)
        return read_norm_eps(p, "rwkv7.attention.layer_norm_epsilon", err);
    if (p->naming != RW_NAMES_HF)
        return RWKV_OK;
    struct rw_bytes broken;
    if (rw_file_meta_string(p->file, "config.json", &broken))
        return rw_fail(err, RWKV_ERROR_MODEL, "%s: its configuration: %.*s", p->file->path,
                       (int)broken.size, broken.data);
    const struct rw_meta *first = rw_file_meta(p->file, "config.norm_first");
    if (first && first->type != RW_META_BOOL)
        return rw_fail(err, RWKV_ERROR_MODEL,
                       "%s: config.norm_first: wanted true or false, found something else",
                       p->file->path);
    p->no_ln0 = first && !first->value.u;
    return read_norm_eps(p, "config.norm_eps", err);
}

/* --- shapes ----------------------------------------------------------------------------------- */

/* Drop leading dimensions of size 1 of a matrix. */
static void squeeze(struct rw_tensor *t)
{
    while (t->n_dims > 2 && t->shape[0] == 1) {
        t->n_dims--;
        memmove(t->shape, t->shape + 1, t->n_dims * sizeof *t->shape);
        memmove(t->stride, t->stride + 1, t->n_dims * sizeof *t->stride);
    }
}

static rwkv_status read_head_size(struct rw_params *p, rwkv_error *err)
{
    const struct rw_param *r_k = find(p, RW_SPEC_r_k, 0);
    uint64_t n = r_k->tensor.n_dims >= 2 ? r_k->tensor.shape[r_k->tensor.n_dims - 1] : 0;
    if (p->naming == RW_NAMES_GGUF && !rw_file_meta_u64(p->file, "rwkv7.wkv.head_size", &n))
        return rw_fail(err, RWKV_ERROR_MODEL, "%s: wanted metadata rwkv7.wkv.head_size, found none",
                       p->file->path);
    if (n == 0 && p->naming != RW_NAMES_GGUF)
        return fail_shape(p, r_k, "[heads, head size]", err);
    if (n == 0 || n > RW_MAX_HEAD_SIZE || p->sizes.n_embd % n != 0)
        return rw_fail(
            err, RWKV_ERROR_MODEL,
            "%s: wanted a head size of at most %d that divides the width %zu, found %llu",
            p->file->path, RW_MAX_HEAD_SIZE, p->sizes.n_embd, (unsigned long long)n);
    p->sizes.head_size = (size_t)n;
    return RWKV_OK;
}

static rwkv_status read_sizes(struct rw_params *p, rwkv_error *err)
{
    const struct rw_param *emb = find(p, RW_SPEC_emb, 0);
    const struct rw_param *ffn = find(p, RW_SPEC_ffn_k, 0);
    if (emb->tensor.n_dims != 2 || emb->tensor.shape[0] == 0 || emb->tensor.shape[1] == 0 ||
        emb->tensor.shape[0] > INT32_MAX || emb->tensor.shape[1] > INT32_MAX)
        return fail_shape(p, emb, "[vocabulary, width]", err);
    p->sizes.n_vocab = emb->tensor.shape[0];
    p->sizes.n_embd = emb->tensor.shape[1];
    if (ffn->tensor.n_dims != 2 || ffn->tensor.shape[0] == 0 || ffn->tensor.shape[0] > INT32_MAX)
        return fail_shape(p, ffn, "[hidden, width]", err);
    p->sizes.n_ffn = ffn->tensor.shape[0];
    return read_head_size(p, err);
}

/* For a half of a low-rank pair in BlinkDL naming: +1 if it is stored [in, out], −1 if [out, in], 0
 * if its shape does not tell. */
static int orientation(const struct rw_params *p, const struct rw_param *param)
{
    size_t c = p->sizes.n_embd;
    const struct rw_tensor *t = &param->tensor;
    if (t->n_dims != 2 || (t->shape[0] == c) == (t->shape[1] == c))
        return 0;
    bool first = param->spec->cols == RW_DIM_C; /* x·w1, from C to the rank */
    return (t->shape[0] == c) == first ? 1 : -1;
}

/* One orientation for the file: files with BlinkDL's names exist both ways, and a square half does
 * not tell. */
static rwkv_status orient_pairs(struct rw_params *p, rwkv_error *err)
{
    int seen = p->naming == RW_NAMES_BLINKDL ? 0 : -1;
    for (size_t i = 0; i < p->n_params && p->naming == RW_NAMES_BLINKDL; i++) {
        if (p->params[i].spec->kind != RW_KIND_PAIR || p->params[i].unused)
            continue;
        int one = orientation(p, &p->params[i]);
        if (one && seen && one != seen)
            return fail_shape(p, &p->params[i], "the orientation of the other low-rank matrices",
                              err);
        seen = one ? one : seen;
    }
    for (size_t i = 0; i < p->n_params; i++)
        if (p->params[i].spec->kind == RW_KIND_PAIR)
            p->params[i].transposed = seen < 0;
    return RWKV_OK;
}

/* Outputs and inputs of a matrix as stored. */
static size_t stored_rows(const struct rw_param *param)
{
    bool in_out = param->spec->kind == RW_KIND_PAIR && !param->transposed;
    return param->tensor.shape[in_out ? 1 : 0];
}

static size_t stored_cols(const struct rw_param *param)
{
    bool in_out = param->spec->kind == RW_KIND_PAIR && !param->transposed;
    return param->tensor.shape[in_out ? 0 : 1];
}

size_t rw_params_rank(const struct rw_params *params, enum rw_spec_id first, size_t block)
{
    const struct rw_param *half = find(params, first, block);
    return half && !half->unused && half->tensor.n_dims == 2 ? stored_rows(half) : 0;
}

static size_t dim(const struct rw_params *p, enum rw_dim which, size_t block)
{
    switch (which) {
    case RW_DIM_C:
        return p->sizes.n_embd;
    case RW_DIM_V:
        return p->sizes.n_vocab;
    case RW_DIM_F:
        return p->sizes.n_ffn;
    case RW_DIM_RW:
        return rw_params_rank(p, RW_SPEC_w1, block);
    case RW_DIM_RA:
        return rw_params_rank(p, RW_SPEC_a1, block);
    case RW_DIM_RV:
        return rw_params_rank(p, RW_SPEC_v1, block);
    case RW_DIM_RG:
        return rw_params_rank(p, RW_SPEC_g1, block);
    case RW_DIM_ONE:
    case RW_DIM_COUNT:
        break;
    }
    return 1;
}

static rwkv_status check_shape(const struct rw_params *p, const struct rw_param *param,
                               rwkv_error *err)
{
    char wanted[64];
    size_t rows = dim(p, param->spec->rows, param->block);
    size_t cols = dim(p, param->spec->cols, param->block);
    if (param->spec->kind == RW_KIND_MATRIX || param->spec->kind == RW_KIND_PAIR) {
        bool in_out = param->spec->kind == RW_KIND_PAIR && !param->transposed;
        snprintf(wanted, sizeof wanted, "[%zu, %zu]", in_out ? cols : rows, in_out ? rows : cols);
        if (param->tensor.n_dims != 2 || stored_rows(param) != rows || stored_cols(param) != cols)
            return fail_shape(p, param, wanted, err);
    } else if (rw_tensor_elements(&param->tensor) != cols) {
        snprintf(wanted, sizeof wanted, "[%zu]", cols);
        return fail_shape(p, param, wanted, err);
    } else if (param->spec->kind == RW_KIND_HEADS && p->naming != RW_NAMES_GGUF &&
               (param->tensor.n_dims < 2 ||
                param->tensor.shape[param->tensor.n_dims - 1] != p->sizes.head_size)) {
        snprintf(wanted, sizeof wanted, "[%zu, %zu]", cols / p->sizes.head_size,
                 p->sizes.head_size);
        return fail_shape(p, param, wanted, err);
    }
    return RWKV_OK;
}

static rwkv_status check_type(const struct rw_params *p, const struct rw_param *param,
                              rwkv_error *err)
{
    char name[128];
    if (param->tensor.dtype < RWKV_DTYPE_MODEL_COUNT)
        return RWKV_OK;
    rw_param_name(name, param->spec, p->naming, param->block);
    return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                   "%s: tensor %s: wanted a float or quantized type, found %s", p->file->path, name,
                   rwkv_dtype_name(param->tensor.dtype));
}

static rwkv_status check_shapes(struct rw_params *p, rwkv_error *err)
{
    for (size_t i = 0; i < p->n_params; i++) {
        if (!p->params[i].unused)
            RW_TRY(check_shape(p, &p->params[i], err));
        RW_TRY(check_type(p, &p->params[i], err)); /* conversion copies the unused ones, too */
    }
    return RWKV_OK;
}

/* llama.cpp wants v0, v1, v2 in block 0 too, and its converter fills them with copies of a0, a1,
 * a2: they are no parameters. */
static void drop_dummies(struct rw_params *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n_params; i++) {
        const struct rw_param *param = &p->params[i];
        if (p->naming == RW_NAMES_BLINKDL || param->block > 0 || !is_value_mix(param->spec))
            p->params[kept++] = *param;
    }
    p->n_params = kept;
}

static size_t made_dim(const struct rw_sizes *z, const struct rw_ranks *r, enum rw_dim which)
{
    const size_t dims[RW_DIM_COUNT] = {
        [RW_DIM_ONE] = 1,   [RW_DIM_C] = z->n_embd, [RW_DIM_V] = z->n_vocab, [RW_DIM_F] = z->n_ffn,
        [RW_DIM_RW] = r->w, [RW_DIM_RA] = r->a,     [RW_DIM_RV] = r->v,      [RW_DIM_RG] = r->g,
    };
    return dims[which];
}

rwkv_status rw_params_make(struct rw_params *out, const struct rw_sizes *sizes,
                           const struct rw_ranks *ranks, rwkv_dtype dtype, rwkv_error *err)
{
    static const struct rw_file nowhere = {.path = (char *)"a new model"};
    struct rw_params p = {.file = &nowhere, .naming = RW_NAMES_GGUF, .norm_eps = RW_NORM_EPS};
    rwkv_status status = RWKV_OK;
    p.sizes = *sizes;
    for (size_t block = 0; block < sizes->n_layer; block++) {
        for (size_t id = 0; id < RW_SPEC_COUNT; id++) {
            const struct rw_spec *spec = &rw_rwkv7_specs[id];
            if (block == 0 ? is_value_mix(spec) : !spec->in_block)
                continue;
            struct rw_tensor t;
            size_t shape[2] = {made_dim(sizes, ranks, spec->rows),
                               made_dim(sizes, ranks, spec->cols)};
            bool matrix = spec->kind == RW_KIND_MATRIX || spec->kind == RW_KIND_PAIR;
            rw_tensor_init(&t, spec->kind == RW_KIND_MATRIX ? dtype : RWKV_DTYPE_F32,
                           matrix ? 2 : 1, matrix ? shape : shape + 1, NULL);
            RW_GO(add(&p, spec, block, &t, err));
            p.params[p.n_params - 1].transposed = spec->kind == RW_KIND_PAIR;
        }
    }
    RW_GO(build_lookup(&p, err));
done:
    if (status != RWKV_OK)
        rw_params_close(&p);
    else
        *out = p;
    return status;
}

rwkv_status rw_params_open(struct rw_params *out, const struct rw_file *file, rwkv_error *err)
{
    char buffer[160];
    rwkv_status status = RWKV_OK;
    struct rw_params p = {.file = file, .naming = rw_identify_naming(file)};
    const char *other = rw_identify_other(file, buffer, sizeof buffer);
    if (other)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: wanted an RWKV-7 model, found %s",
                       file->path, other);
    for (size_t i = 0; i < file->n_tensors; i++)
        RW_GO(place(&p, &file->tensors[i], err));
    RW_GO(read_config(&p, err));
    RW_GO(make_ln0(&p, err));
    drop_dummies(&p);
    RW_GO(build_lookup(&p, err));
    for (size_t i = 0; i < p.n_params; i++)
        if (p.params[i].spec->kind == RW_KIND_MATRIX || p.params[i].spec->kind == RW_KIND_PAIR)
            squeeze(&p.params[i].tensor);
    RW_GO(check_complete(&p, err));
    RW_GO(read_sizes(&p, err));
    RW_GO(orient_pairs(&p, err));
    RW_GO(check_shapes(&p, err));
done:
    if (status != RWKV_OK)
        rw_params_close(&p);
    else
        *out = p;
    return status;
}

void rw_params_close(struct rw_params *params)
{
    rw_free(params->params);
    rw_free(params->lookup);
    rw_free(params->made);
    *params = (struct rw_params){0};
}
