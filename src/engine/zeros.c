/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zeros of the channel mix: relu(x)² is mostly zero in trained models, and a copy by channel of
 * the matrix it is multiplied with lets decoding read only what counts. Copies are made while a
 * model decodes, of one layer in a step, so that opening and the first token do not wait for them;
 * results are the same to the bit before, meanwhile and after. All under the model's lock, but for
 * what is published.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/engine.h"

#define LEAST_TOKENS 32                 /* by which the share of zeros is known */
#define LEAST_WEIGHTS ((size_t)1 << 18) /* of a matrix; smaller ones stay in a cache */

static struct rw_weight *value_matrix(struct rwkv_model *m, size_t layer)
{
    return &m->rwkv7.weights.blocks[layer].ffn_v;
}

bool rw_zeros_init(struct rwkv_model *m, const rwkv_model_options *options)
{
    struct rw_zeros *z = &m->zeros;
    z->mode = options->zeros;
    z->channels = rw_calloc(m->info.n_layer, sizeof *z->channels);
    for (size_t l = 0; z->channels && l < m->info.n_layer; l++)
        value_matrix(m, l)->channels = &z->channels[l];
    return z->channels != NULL;
}

void rw_zeros_fini(struct rwkv_model *m)
{
    for (size_t l = 0; m->zeros.channels && l < m->info.n_layer; l++)
        rw_free(m->zeros.channels[l].tiles);
    rw_free(m->zeros.channels);
}

static bool pays(struct rwkv_model *m, const struct rw_weight *w)
{
    const struct rw_backend *be = m->host;
    return w->rows * w->cols >= LEAST_WEIGHTS &&
           be->ops->channels_pay(be, w, w->channels->inputs, w->channels->zeros);
}

/* Copy the matrix of a layer. False: it is to stay as it is. */
static bool copy_layer(struct rwkv_model *m, size_t layer)
{
    struct rw_backend *be = rw_stages_backend(m, layer);
    struct rw_weight *w = value_matrix(m, layer);
    size_t bytes = be == m->host ? be->ops->channels_bytes(be, w) : 0;
    if (bytes == 0 || (m->zeros.mode == RWKV_ZEROS_AUTO && !pays(m, w)) ||
        !rw_model_has_room(m, bytes))
        return false;
    void *tiles = rw_alloc_aligned(bytes, 1);
    if (!tiles || !be->ops->channels(be, tiles, w)) {
        rw_free(tiles);
        return false;
    }
    w->channels->tiles = tiles;
    rw_model_forget_pages(m, w);
    m->zeros.published.bytes += bytes;
    m->zeros.published.layers++;
    return true;
}

/* Go on to the next layer whose matrix is copied. */
static void copy_next(struct rwkv_model *m)
{
    struct rw_zeros *z = &m->zeros;
    if (z->mode == RWKV_ZEROS_OFF || (z->mode == RWKV_ZEROS_AUTO && z->tokens < LEAST_TOKENS))
        return;
    while (z->next < m->info.n_layer)
        if (copy_layer(m, z->next++))
            return;
}

bool rw_zeros_settled(const struct rwkv_model *m)
{
    return m->zeros.mode == RWKV_ZEROS_OFF || m->zeros.next == m->info.n_layer;
}

void rw_zeros_decoded(struct rwkv_model *m)
{
    struct rw_zeros *z = &m->zeros;
    pthread_mutex_lock(&m->copies_lock);
    z->tokens++;
    copy_next(m);
    z->published.inputs = z->published.zeros = 0;
    for (size_t l = 0; l < m->info.n_layer; l++) {
        z->published.inputs += z->channels[l].inputs;
        z->published.zeros += z->channels[l].zeros;
    }
    pthread_mutex_unlock(&m->copies_lock);
}

void rw_model_get_zeros(struct rwkv_model *m, rwkv_model_zeros *out)
{
    pthread_mutex_lock(&m->copies_lock);
    *out = m->zeros.published;
    pthread_mutex_unlock(&m->copies_lock);
}

uint64_t rw_zeros_bytes(struct rwkv_model *m, const struct rw_params *params)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < params->n_params; i++) {
        const struct rw_param *p = &params->params[i];
        if (p->unused || p->spec != &rw_rwkv7_specs[RW_SPEC_ffn_v])
            continue;
        const struct rw_weight w = {
            .dtype = p->tensor.dtype, .rows = p->tensor.shape[0], .cols = p->tensor.shape[1]};
        if (rw_stages_backend(m, p->block) == m->host)
            bytes += m->host->ops->channels_bytes(m->host, &w);
    }
    return bytes;
}
