/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights packed as products read them fastest: a second copy in memory of the process's own, in
 * large pages, in place of the file's, whose pages are forgotten. Made while a model decodes, about
 * a layer in a step, so that opening and the first token do not wait for it, and never for work
 * that reads only; results are the same to the bit before, meanwhile and after. All under the
 * model's lock, but for what is published.
 *
 * The value matrices of the channel mix come last: they may be copied by channel instead (zeros.c),
 * which is known only after some tokens.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/engine.h"
#include "tensor/dtype.h"

#define FIRST_STEP 4 /* of decoding that is worth it: a prompt may end in a chunk of one token */

static size_t packed_bytes(const struct rwkv_model *m, const struct rw_weight *w)
{
    size_t bytes = w->data ? m->host->ops->packed_bytes(m->host, w) : 0;
    return (bytes + RW_ALIGN - 1) & ~(size_t)(RW_ALIGN - 1);
}

/* One more weight, unless there is nothing to pack. */
static void list(struct rwkv_model *m, struct rw_weight *w)
{
    struct rw_packing *p = &m->packing;
    size_t bytes = packed_bytes(m, w);
    if (bytes > 0)
        p->weights[p->n++] = w;
    p->size += bytes;
}

#define LIST_NORM(w)
#define LIST_VECTOR(w)
#define LIST_HEADS(w)
#define LIST_MATRIX(w) \
    if (!(w).channels) \
        list(m, &(w));
#define LIST_PAIR(w) list(m, &(w));
#define COUNT_WEIGHT(field, kind, ...) +1
#define BLOCK_WEIGHTS (0 RW_RWKV7_BLOCK_TENSORS(COUNT_WEIGHT))

/* In the order of reading, but for the value matrices, which are those with channels to count. */
static void list_all(struct rwkv_model *m)
{
    struct rw_rwkv7_weights *weights = &m->rwkv7.weights;
    for (size_t l = 0; l < m->info.n_layer; l++) {
        if (rw_stages_backend(m, l) != m->host)
            continue;
        struct rw_rwkv7_block *b = &weights->blocks[l];
#define LIST(field, kind, ...) LIST_##kind(b->field)
        RW_RWKV7_BLOCK_TENSORS(LIST)
#undef LIST
    }
    if (rw_stages_backend(m, m->info.n_layer) == m->host)
        list(m, &weights->head);
    m->packing.n_first = m->packing.n;
    for (size_t l = 0; l < m->info.n_layer; l++)
        if (rw_stages_backend(m, l) == m->host)
            list(m, &weights->blocks[l].ffn_v);
}

bool rw_packing_init(struct rwkv_model *m, const rwkv_model_options *options)
{
    struct rw_packing *p = &m->packing;
    p->mode = options->packing;
    if (p->mode == RWKV_PACKING_OFF)
        return true;
    p->weights = rw_alloc(m->info.n_layer * BLOCK_WEIGHTS + 1, sizeof(struct rw_weight *));
    if (!p->weights)
        return false;
    list_all(m);
    return true;
}

uint64_t rw_packing_bytes(const struct rwkv_model *m, const struct rw_params *params)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < params->n_params; i++) {
        const struct rw_param *p = &params->params[i];
        const struct rw_dtype_info *type = rw_dtype(p->tensor.dtype);
        if (p->unused || p->spec == &rw_rwkv7_specs[RW_SPEC_emb] ||
            (p->spec->kind != RW_KIND_MATRIX && p->spec->kind != RW_KIND_PAIR))
            continue;
        const struct rw_weight w = {.data = p->tensor.data,
                                    .dtype = p->tensor.dtype,
                                    .rows = p->tensor.shape[0],
                                    .cols = p->tensor.shape[1],
                                    .stride = p->tensor.shape[1] / type->block * type->bytes};
        size_t layer = p->spec->in_block ? p->block : m->info.n_layer;
        if (rw_stages_backend(m, layer) == m->host)
            bytes += packed_bytes(m, &w);
    }
    return bytes;
}

void rw_packing_fini(struct rwkv_model *m)
{
    rw_free(m->packing.weights);
    rw_free(m->packing.memory);
}

/* --- at work ---------------------------------------------------------------------------------- */

/* The address space for all of it; memory is taken as it is written. */
static bool take_memory(struct rw_packing *p)
{
    if (!p->memory && p->size > 0)
        p->memory = rw_alloc_large(p->size);
    if (!p->memory)
        p->next = p->n;
    return p->memory != NULL;
}

/* Pack one weight. False: there is no room, now or ever. */
static bool pack(struct rwkv_model *m, struct rw_weight *w)
{
    struct rw_packing *p = &m->packing;
    struct rw_backend *be = m->host;
    size_t bytes = packed_bytes(m, w);
    if (w->channels && w->channels->tiles)
        return true;
    if (!rw_model_has_room(m, bytes)) {
        p->next = p->n;
        return false;
    }
    be->ops->pack(be, p->memory + p->used, w);
    w->packed = p->memory + p->used;
    rw_model_forget_pages(m, w);
    p->used += bytes;
    pthread_mutex_lock(&m->copies_lock);
    p->published.bytes += bytes;
    p->published.matrices++;
    pthread_mutex_unlock(&m->copies_lock);
    return true;
}

/* Pack weights up to number `end`, at least one, and then as many as about `share` bytes. */
static void pack_some(struct rwkv_model *m, size_t end, size_t share)
{
    struct rw_packing *p = &m->packing;
    const size_t before = p->used;
    if (p->next < end && take_memory(p))
        while (p->next < end && p->used - before < share && pack(m, p->weights[p->next]))
            p->next++;
}

void rw_packing_opened(struct rwkv_model *m)
{
    const struct rw_packing *p = &m->packing;
    if (p->mode == RWKV_PACKING_ON)
        pack_some(m, m->zeros.mode == RWKV_ZEROS_ON ? p->n_first : p->n, p->size);
}

void rw_packing_decoded(struct rwkv_model *m, bool alone)
{
    struct rw_packing *p = &m->packing;
    const bool zeros_first = alone && !rw_zeros_settled(m);
    if (p->next < p->n && ++p->steps >= FIRST_STEP)
        pack_some(m, zeros_first ? p->n_first : p->n, p->size / m->info.n_layer + 1);
}

void rw_model_get_packing(struct rwkv_model *m, rwkv_model_packing *out)
{
    pthread_mutex_lock(&m->copies_lock);
    *out = m->packing.published;
    pthread_mutex_unlock(&m->copies_lock);
}
