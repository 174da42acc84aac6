/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model: identify, plan the memory, check it against what there is, bind. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/env.h"
#include "base/pool.h"
#include "base/status.h"
#include "engine/engine.h"

static rwkv_status check_options(const rwkv_model_options *o, unsigned *cpu, rwkv_error *err)
{
    int ok;
    *cpu = rw_cpu_from_name(o->cpu, &ok);
    if (!ok)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "cpu: wanted " RW_CPU_NAMES ", as far as this machine has it "
                       "(best: %s), found '%s'",
                       rw_cpu_name(rw_cpu_detect()), o->cpu);
    if (o->threads < 0 || o->threads > RW_MAX_THREADS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "threads: wanted 0 to %d, found %d",
                       RW_MAX_THREADS, o->threads);
    if (o->chunk > RW_MAX_CHUNK)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "chunk: wanted 1 to %d tokens, found %zu",
                       RW_MAX_CHUNK, o->chunk);
    if ((unsigned)o->packing > RWKV_PACKING_OFF)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "packing: wanted 0 to %d, found %d",
                       RWKV_PACKING_OFF, (int)o->packing);
    if ((unsigned)o->zeros > RWKV_ZEROS_OFF)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "zeros: wanted 0 to %d, found %d", RWKV_ZEROS_OFF,
                       (int)o->zeros);
    return RWKV_OK;
}

/* --- what it takes ---------------------------------------------------------------------------- */

static uint64_t weight_bytes(const struct rw_param *param)
{
    return rw_tensor_bytes(&param->tensor);
}

/* Bytes and operations of one token of decoding. */
static void count_work(const struct rw_params *p, rwkv_model_info *info)
{
    uint64_t bytes = 0, products = 0;
    for (size_t i = 0; i < p->n_params; i++) {
        const struct rw_param *param = &p->params[i];
        uint64_t n = rw_tensor_elements(&param->tensor);
        info->n_params += n;
        if (param->unused)
            continue;
        bool matrix = param->spec->kind == RW_KIND_MATRIX || param->spec->kind == RW_KIND_PAIR;
        if (param->spec == &rw_rwkv7_specs[RW_SPEC_emb]) {
            bytes += weight_bytes(param) / p->sizes.n_vocab; /* one row */
        } else if (matrix) {
            bytes += weight_bytes(param);
            products += n;
            if (param->spec == &rw_rwkv7_specs[RW_SPEC_head])
                info->head_bytes = weight_bytes(param);
        } else {
            bytes += n * sizeof(float);
        }
    }
    uint64_t c = p->sizes.n_embd, layers = p->sizes.n_layer;
    uint64_t state = layers * c * p->sizes.head_size;
    info->token_bytes = bytes + 2 * state * sizeof(float);
    info->token_flops = 2 * products + 9 * state;
}

/* The type that holds most of the matrices' elements. */
static rwkv_dtype main_dtype(const struct rw_params *p)
{
    uint64_t elements[RWKV_DTYPE_COUNT] = {0};
    size_t best = 0;
    for (size_t i = 0; i < p->n_params; i++)
        if (p->params[i].spec->kind == RW_KIND_MATRIX &&
            p->params[i].spec != &rw_rwkv7_specs[RW_SPEC_emb])
            elements[p->params[i].tensor.dtype] += rw_tensor_elements(&p->params[i].tensor);
    for (size_t i = 0; i < RWKV_DTYPE_COUNT; i++)
        if (elements[i] > elements[best])
            best = i;
    return (rwkv_dtype)best;
}

static size_t max_rank(const struct rw_params *p, enum rw_spec_id first)
{
    size_t rank = 0;
    for (size_t l = 0; l < p->sizes.n_layer; l++)
        rank = RW_MAX(rank, rw_params_rank(p, first, l));
    return rank;
}

static void fill_info(struct rwkv_model *m)
{
    const struct rw_params *p = &m->params;
    rwkv_model_info *info = &m->info;
    info->version = 7;
    info->n_layer = p->sizes.n_layer;
    info->n_embd = p->sizes.n_embd;
    info->n_vocab = p->sizes.n_vocab;
    info->head_size = p->sizes.head_size;
    info->n_head = p->sizes.n_embd / p->sizes.head_size;
    info->n_ffn = p->sizes.n_ffn;
    info->rank_w = max_rank(p, RW_SPEC_w1);
    info->rank_a = max_rank(p, RW_SPEC_a1);
    info->rank_v = max_rank(p, RW_SPEC_v1);
    info->rank_g = max_rank(p, RW_SPEC_g1);
    for (size_t i = 0; i < m->file->n_maps; i++)
        info->file_bytes += m->file->maps[i].size;
    info->dtype = main_dtype(p);
    info->format = m->file->format->name;
    info->state_bytes = rw_rwkv7_state_layout(&p->sizes).total * sizeof(float);
    count_work(p, info);
    rw_params_fingerprint(p, info->fingerprint);
}

static void set_up(struct rwkv_model *m, size_t chunk)
{
    m->rwkv7.sizes = m->params.sizes;
    m->rwkv7.layout = rw_rwkv7_state_layout(&m->params.sizes);
    m->rwkv7.rank_w = m->info.rank_w;
    m->rwkv7.rank_a = m->info.rank_a;
    m->rwkv7.rank_v = m->info.rank_v;
    m->rwkv7.rank_g = m->info.rank_g;
    m->rwkv7.norm_eps = m->params.norm_eps;
    m->rwkv7.no_ln0 = m->params.no_ln0;
    m->info.chunk = chunk ? chunk : RW_DEFAULT_CHUNK;
}

/* Everything before memory is taken: open, identify, measure. */
static rwkv_status prepare(struct rwkv_model *m, const rwkv_model_options *options, rwkv_error *err)
{
    unsigned cpu;
    RW_TRY(check_options(options, &cpu, err));
    RW_TRY(rw_params_open(&m->params, m->file, err));
    fill_info(m);
    set_up(m, options->chunk);
    m->memory_limit = options->memory_limit;
    RW_TRY(rw_backend_cpu_new(&m->host, (size_t)options->threads, cpu, err));
    RW_TRY(rw_stages_open(m, options, err));
    struct rw_arena weights = {0};
    rw_weights_bind(&m->rwkv7.weights, &m->params, &weights);
    m->info.private_bytes = weights.used;
    m->info.scratch_bytes =
        rw_stages_scratch(m) + m->info.chunk * (sizeof *m->sequences + sizeof *m->stepping);
    if (options->packing != RWKV_PACKING_OFF)
        m->info.packed_bytes = rw_packing_bytes(m, &m->params);
    if (options->zeros != RWKV_ZEROS_OFF)
        m->info.zeros_bytes = rw_zeros_bytes(m, &m->params);
    m->info.threads = (int)m->host->threads;
    m->info.cpu = m->host->isa;
    return RWKV_OK;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static rwkv_status check_memory(const struct rwkv_model *m, uint64_t limit, rwkv_error *err)
{
    uint64_t needed = m->info.private_bytes + m->info.state_bytes + m->info.scratch_bytes;
    uint64_t available = limit ? limit : rw_env_memory_available();
    if (available && needed > available)
        return rw_fail(
            err, RWKV_ERROR_MEMORY,
            "%s: not enough memory: vectors %.2f MiB + one state %.2f MiB + scratch %.2f MiB = "
            "%.2f MiB, %s %.2f MiB (a smaller chunk needs less scratch)",
            m->file->path, mib(m->info.private_bytes), mib(m->info.state_bytes),
            mib(m->info.scratch_bytes), mib(needed), limit ? "the limit is" : "available are",
            mib(available));
    return RWKV_OK;
}

bool rw_model_has_room(const struct rwkv_model *m, uint64_t bytes)
{
    uint64_t used = m->info.private_bytes + m->info.state_bytes + m->info.scratch_bytes;
    if (m->memory_limit)
        return used + m->zeros.published.bytes + m->packing.used + bytes <= m->memory_limit;
    uint64_t available = rw_env_memory_available();
    return available == 0 || bytes <= available / 2;
}

/* A model in the caller's memory is left alone. */
void rw_model_forget_pages(const struct rwkv_model *m, const struct rw_weight *w)
{
    const size_t rows = w->input_major ? w->cols : w->rows;
    for (size_t i = 0; !m->file->borrowed && i < m->file->n_maps; i++)
        rw_map_forget(&m->file->maps[i], w->data, rows * w->stride);
}

static rwkv_status load(struct rwkv_model *m, const rwkv_model_options *options, rwkv_error *err)
{
    if (!rw_arena_init(&m->arena, m->info.private_bytes))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %llu bytes of vectors",
                       m->file->path, (unsigned long long)m->info.private_bytes);
    rw_weights_bind(&m->rwkv7.weights, &m->params, &m->arena);
    if (!rw_zeros_init(m, options) || !rw_packing_init(m, options))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu layers", m->file->path,
                       m->info.n_layer);
    m->sequences = rw_alloc(m->info.chunk, sizeof *m->sequences);
    m->stepping = rw_alloc(m->info.chunk, sizeof(struct rwkv_session *));
    if (!m->sequences || !m->stepping)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a step", m->file->path);
    return rw_stages_load(m, err);
}

static rwkv_status new_model(struct rw_file *file, struct rwkv_model **out, rwkv_error *err)
{
    struct rwkv_model *m = rw_calloc(1, sizeof *m);
    if (!m) {
        rw_file_close(file);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a model");
    }
    m->file = file;
    atomic_init(&m->references, 1);
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->vocab_lock, NULL);
    pthread_mutex_init(&m->copies_lock, NULL);
    *out = m;
    return RWKV_OK;
}

rwkv_status rw_model_new(struct rw_file *file, const rwkv_model_options *options,
                         struct rwkv_model **out, rwkv_error *err)
{
    struct rwkv_model *m;
    rwkv_status status;
    RW_TRY(new_model(file, &m, err));
    if (options->vocab && !(m->vocab_option = rw_strdup(options->vocab)))
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a model"));
    RW_GO(prepare(m, options, err));
    RW_GO(check_memory(m, options->memory_limit, err));
    RW_GO(rw_stages_check(m, err));
    RW_GO(load(m, options, err));
    rw_packing_opened(m);
done:
    if (status == RWKV_OK)
        *out = m;
    else
        rw_model_release(m);
    return status;
}

rwkv_status rw_model_plan(struct rw_file *file, const rwkv_model_options *options,
                          rwkv_model_info *info, rwkv_error *err)
{
    struct rwkv_model *m;
    RW_TRY(new_model(file, &m, err));
    rwkv_status status = prepare(m, options, err);
    if (status == RWKV_OK) {
        rw_vocab_find(file, file->path, options->vocab, &m->vocab, m->info.vocab,
                      sizeof m->info.vocab, NULL);
        *info = m->info;
        info->format = m->file->format->name;
    }
    rw_model_release(m);
    return status;
}

void rw_model_retain(struct rwkv_model *model)
{
    atomic_fetch_add(&model->references, 1);
}

void rw_model_release(struct rwkv_model *model)
{
    if (!model || atomic_fetch_sub(&model->references, 1) > 1)
        return;
    rw_stages_close(model);
    if (model->host)
        model->host->ops->free(model->host);
    rw_vocab_release(model->vocab);
    rw_free(model->vocab_option);
    rw_zeros_fini(model);
    rw_packing_fini(model);
    rw_params_close(&model->params);
    rw_arena_fini(&model->arena);
    rw_free(model->sequences);
    rw_free(model->stepping);
    rw_file_close(model->file);
    pthread_mutex_destroy(&model->lock);
    pthread_mutex_destroy(&model->vocab_lock);
    pthread_mutex_destroy(&model->copies_lock);
    rw_free(model);
}

/* A vocabulary with more ids than the model has rows is another model's. The bytes may be asked for
 * all the same: a model of 128 rows knows half of them. */
static rwkv_status check_vocab(struct rwkv_model *m, rwkv_error *err)
{
    size_t size = rw_vocab_size(m->vocab);
    if (size <= m->info.n_vocab || (m->vocab_option && strcmp(m->vocab_option, "bytes") == 0))
        return RWKV_OK;
    rw_fail(err, RWKV_ERROR_MODEL,
            "%s: wanted a vocabulary of at most %zu ids, as the model has, found %zu in %s",
            m->file->path, m->info.n_vocab, size, m->info.vocab);
    rw_vocab_release(m->vocab);
    m->vocab = NULL;
    m->info.vocab[0] = 0;
    return RWKV_ERROR_MODEL;
}

static rwkv_status find_vocab(struct rwkv_model *m, rwkv_error *err)
{
    /* A model in memory lies in no folder. */
    const char *path = m->file->borrowed ? NULL : m->file->path;
    RW_TRY(rw_vocab_find(m->file, path, m->vocab_option, &m->vocab, m->info.vocab,
                         sizeof m->info.vocab, err));
    return check_vocab(m, err);
}

const struct rwkv_vocab *rw_model_vocab(struct rwkv_model *model, rwkv_error *err)
{
    pthread_mutex_lock(&model->vocab_lock);
    if (!model->vocab_sought) {
        model->vocab_sought = true;
        find_vocab(model, &model->vocab_error);
    }
    pthread_mutex_unlock(&model->vocab_lock);
    if (!model->vocab && err)
        *err = model->vocab_error;
    return model->vocab;
}

void rw_model_get_info(struct rwkv_model *model, rwkv_model_info *info)
{
    rw_model_vocab(model, NULL); /* so that info says where it came from */
    *info = model->info;
}
