/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models of random weights, of any shape and type, to time with: bits are drawn straight into the
 * stored form, with exponents or scales set so that a product keeps the size of its input.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/half.h"
#include "base/rng.h"
#include "base/status.h"
#include "engine/convert_int.h"

#define PIECE ((size_t)1 << 20) /* bytes, at least */

/* Where a block type keeps its scale and its minimum (0xff: none), the root mean square of what the
 * scale multiplies when all bits are random, and the minimum, in scales, that centres the values.
 */
struct block_form {
    uint8_t scale, minimum;
    float rms, centre;
};

static const struct block_form forms[RWKV_DTYPE_MODEL_COUNT] = {
    [RWKV_DTYPE_Q4_0] = {0, 0xff, 4.6f, 0}, [RWKV_DTYPE_Q4_1] = {0, 2, 4.6f, -7.5f},
    [RWKV_DTYPE_Q5_0] = {0, 0xff, 9.2f, 0}, [RWKV_DTYPE_Q5_1] = {0, 2, 9.2f, -15.5f},
    [RWKV_DTYPE_Q8_0] = {0, 0xff, 74, 0},   [RWKV_DTYPE_Q2_K] = {80, 82, 16, 1.5f},
    [RWKV_DTYPE_Q3_K] = {108, 0xff, 38, 0}, [RWKV_DTYPE_Q4_K] = {0, 2, 300, 7.5f},
    [RWKV_DTYPE_Q5_K] = {0, 2, 600, 15.5f}, [RWKV_DTYPE_Q6_K] = {208, 0xff, 1370, 0},
    [RWKV_DTYPE_IQ4_NL] = {0, 0xff, 69, 0}, [RWKV_DTYPE_IQ4_XS] = {0, 0xff, 1280, 0},
};

struct making {
    struct conversion c;
    struct rw_rng rng;
    const rwkv_random_model *shape;
};

static void fill_bits(struct rw_rng *rng, uint8_t *to, size_t n)
{
    for (; n >= 8; n -= 8, to += 8)
        rw_store_u64(to, rw_rng_u64(rng));
    for (uint64_t last = rw_rng_u64(rng); n > 0; n--, last >>= 8)
        *to++ = (uint8_t)last;
}

/* Random sign and mantissa; the exponent such that values are of size `rms`. */
static void shape_floats(rwkv_dtype dtype, uint8_t *p, size_t n, float rms)
{
    int e = (int)lrintf(log2f(rms / 1.53f)); /* ±[1, 2) has a root mean square of 1.53 */
    for (size_t i = 0; i < n; i++) {
        if (dtype == RWKV_DTYPE_F32)
            rw_store_u32(p + 4 * i, (rw_load_u32(p + 4 * i) & 0x807fffff) | (uint32_t)(e + 127)
                                                                                << 23);
        else if (dtype == RWKV_DTYPE_F16)
            rw_store_u16(p + 2 * i, (uint16_t)((rw_load_u16(p + 2 * i) & 0x83ff) | (e + 15) << 10));
        else
            rw_store_u16(p + 2 * i, (uint16_t)((rw_load_u16(p + 2 * i) & 0x807f) | (e + 127) << 7));
    }
}

static void shape_blocks(rwkv_dtype dtype, uint8_t *p, size_t blocks, float rms)
{
    const struct block_form *form = &forms[dtype];
    size_t bytes = rw_dtype(dtype)->bytes;
    uint16_t scale = rw_f32_to_f16(rms / form->rms);
    uint16_t minimum = rw_f32_to_f16(rms / form->rms * form->centre);
    for (size_t i = 0; i < blocks; i++, p += bytes) {
        rw_store_u16(p + form->scale, scale);
        if (form->minimum != 0xff)
            rw_store_u16(p + form->minimum, minimum);
    }
}

static rwkv_status report(struct making *m, size_t bytes, rwkv_error *err)
{
    m->c.done += bytes;
    if (m->shape->progress && m->shape->progress(m->shape->progress_user, m->c.done, m->c.bytes))
        return rw_fail(err, RWKV_ERROR_CANCELLED, "stopped");
    return RWKV_OK;
}

static rwkv_status write_matrix(struct making *m, struct rw_writer *w, const struct rw_tensor *t,
                                uint8_t *piece, rwkv_error *err)
{
    const struct rw_dtype_info *info = rw_dtype(t->dtype);
    size_t blocks = rw_tensor_elements(t) / info->block;
    size_t most = PIECE / info->bytes;
    float rms = 1 / sqrtf((float)t->shape[1]);
    for (size_t at = 0; at < blocks; at += most) {
        size_t n = RW_MIN(most, blocks - at);
        fill_bits(&m->rng, piece, n * info->bytes);
        if (info->block > 1)
            shape_blocks(t->dtype, piece, n, rms);
        else
            shape_floats(t->dtype, piece, n, rms);
        RW_TRY(rw_writer_data(w, piece, n * info->bytes, err));
        RW_TRY(report(m, n * info->bytes, err));
    }
    return RWKV_OK;
}

/* A vector's values lie where a trained model's do. */
static void range_of(enum rw_spec_id id, float *low, float *high)
{
    *low = -0.1f;
    *high = 0.1f;
    if (id == RW_SPEC_w0) {
        *low = -6;
        *high = 1;
    } else if (id == RW_SPEC_a0 || id == RW_SPEC_v0) {
        *low = -1;
        *high = 1;
    } else if ((id >= RW_SPEC_x_r && id <= RW_SPEC_x_g) || id == RW_SPEC_ffn_x_k) {
        *low = 0;
        *high = 1;
    } else if (id == RW_SPEC_k_k || id == RW_SPEC_k_a || id == RW_SPEC_ln0_weight ||
               id == RW_SPEC_ln1_weight || id == RW_SPEC_ln2_weight || id == RW_SPEC_ln_x_weight ||
               id == RW_SPEC_ln_out_weight) {
        *low = 0.7f;
        *high = 1.1f;
    }
}

static rwkv_status write_vector(struct making *m, struct rw_writer *w, const struct output *o,
                                const struct rw_tensor *t, rwkv_error *err)
{
    float low, high;
    range_of((enum rw_spec_id)(o->sources[0]->spec - rw_rwkv7_specs), &low, &high);
    for (size_t i = 0; i < rw_tensor_elements(t); i++) {
        uint8_t bytes[4];
        rw_store_u32(bytes, rw_f32_to_bits(low + (high - low) * (float)rw_rng_uniform(&m->rng)));
        RW_TRY(rw_writer_data(w, bytes, sizeof bytes, err));
    }
    return report(m, rw_tensor_bytes(t), err);
}

static rwkv_status write_all(struct making *m, const char *path, rwkv_error *err)
{
    struct rw_writer *w = NULL;
    rwkv_status status;
    struct rw_write_plan plan = {m->c.tensors, m->c.n_outputs, m->c.meta.items, m->c.meta.count};
    uint8_t *piece = rw_alloc(PIECE, 1);
    if (!piece)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory"));
    RW_GO(rw_writer_open(&w, path, &plan, err));
    for (size_t i = 0; i < m->c.n_outputs; i++) {
        const struct rw_tensor *t = &m->c.tensors[i].tensor;
        if (t->n_dims == 2)
            RW_GO(write_matrix(m, w, t, piece, err));
        else
            RW_GO(write_vector(m, w, &m->c.outputs[i], t, err));
    }
    status = rw_writer_commit(w, err);
    w = NULL;
done:
    rw_writer_discard(w);
    rw_free(piece);
    return status;
}

/* The low-rank sizes of the published models: max(32, 32·round(x/32)). */
static size_t rank(double x)
{
    size_t r = 32 * (size_t)nearbyint(x / 32);
    return r < 32 ? 32 : r;
}

static rwkv_status check(const struct rw_sizes *z, rwkv_dtype dtype, rwkv_error *err)
{
    if (z->n_layer < 1 || z->n_layer > 1024 || z->n_embd < 1 || z->n_embd > 65536 ||
        z->n_vocab < 256 || z->n_vocab > 1 << 20 || z->n_ffn < 1 || z->n_ffn > 1 << 20)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted 1 to 1024 layers, a width of 1 to 65536 and a vocabulary of 256 to "
                       "1048576, found %zu, %zu and %zu",
                       z->n_layer, z->n_embd, z->n_vocab);
    if (z->head_size > RW_MAX_HEAD_SIZE || z->n_embd % z->head_size != 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a width that is a multiple of the head size "
                       "%zu, found %zu",
                       z->head_size, z->n_embd);
    if (dtype >= RWKV_DTYPE_MODEL_COUNT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted a type of weights, found %s",
                       rwkv_dtype_name(dtype));
    size_t block = rw_dtype(dtype)->block;
    if (z->n_embd % block || z->n_ffn % block)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "type %s: wanted widths that are multiples of %zu, found %zu and %zu",
                       rwkv_dtype_name(dtype), block, z->n_embd, z->n_ffn);
    return RWKV_OK;
}

rwkv_status rw_random_model_write(const char *path, const rwkv_random_model *shape, rwkv_error *err)
{
    rwkv_convert_options options = {.vocab = "bytes"};
    struct making m = {.c = {.options = &options, .naming = RW_NAMES_GGUF}, .shape = shape};
    struct rw_sizes z = {shape->n_layer, shape->n_embd, shape->n_vocab ? shape->n_vocab : 65536,
                         shape->n_ffn ? shape->n_ffn : 4 * shape->n_embd,
                         shape->head_size ? shape->head_size : 64};
    rwkv_status status;
    RW_TRY(check(&z, shape->dtype, err));
    double c = (double)z.n_embd;
    struct rw_ranks ranks = {rank(1.8 * sqrt(c)), rank(1.8 * sqrt(c)), rank(1.3 * sqrt(c)),
                             rank(0.6 * pow(c, 0.8))};
    rw_rng_init(&m.rng, shape->seed);
    RW_GO(rw_params_make(&m.c.params, &z, &ranks, shape->dtype, err));
    RW_GO(rw_conversion_list(&m.c, err));
    RW_GO(rw_conversion_meta(&m.c, err));
    RW_GO(write_all(&m, path, err));
done:
    rw_conversion_fini(&m.c);
    rw_params_close(&m.c.params);
    return status;
}
