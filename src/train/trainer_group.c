/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run that several processes share: each computes the gradient of its part of a step's sequences,
 * and has its share of the moments. Rank 0 alone writes files and tells of events. Whether to go
 * on is agreed upon, never decided by one: all make the same calls in the same order.
 */
#include <inttypes.h>
#include <unistd.h>

#include "base/env.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/processors.h"
#include "base/status.h"
#include "tensor/convert.h"
#include "train/trainer_int.h"

size_t rw_trainer_threads(const struct rwkv_trainer *t)
{
    size_t here = rw_env_processes_here(), all = rw_pool_default_threads();
    if (t->options.threads || here == 1)
        return (size_t)t->options.threads;
    struct rw_processors processors;
    rw_processors_read(&processors, "", NULL);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    bool bound = processors.allowed * here <= (size_t)RW_MAX(online, 1L);
    return bound && !processors.quota ? all : RW_MAX(all / here, (size_t)1);
}

void rw_trainer_part(const struct rwkv_trainer *t, uint64_t n, uint64_t *first, uint64_t *end)
{
    *first = n * t->comm->rank / t->comm->size;
    *end = n * (t->comm->rank + 1) / t->comm->size;
}

/* 53 bits that stand for what all must have in common. */
static double summary(const struct rwkv_trainer *t)
{
    struct rw_str s = {0};
    const struct rw_sizes *z = &t->parameters.sizes;
    rw_str_printf(&s, "%s %s %zu %zu %zu %zu %d %" PRIu64, t->state.data, t->state.vocab,
                  t->parameters.floats, z->n_layer, t->options.batch, t->options.accumulate,
                  t->options.answers_only != 0, t->plan.steps);
    double hash = (double)(rw_hash(s.data, s.size) >> 11);
    rw_str_fini(&s);
    return hash;
}

rwkv_status rw_trainer_check_group(struct rwkv_trainer *t, rwkv_error *err)
{
    bool first = t->comm->rank == 0;
    double step = (double)t->state.step, all = summary(t), wanted[] = {step, all};
    for (size_t i = 0; !first && i < RW_COUNT(wanted); i++)
        wanted[i] = 0;
    rw_comm_sum(t->comm, wanted, RW_COUNT(wanted));
    rwkv_status status = RWKV_OK;
    if (step != wanted[0])
        status = rw_fail(err, RWKV_ERROR_ARGUMENT,
                         "%s: wanted the folder that all processes see, at step %.0f, found one at "
                         "step %.0f",
                         t->options.folder, wanted[0], step);
    else if (all != wanted[1])
        status = rw_fail(err, RWKV_ERROR_ARGUMENT,
                         "%s: wanted the same data, vocabulary and sizes as the process of rank 0, "
                         "found others",
                         t->options.data);
    return rw_comm_agree(t->comm, status, err);
}

rwkv_status rw_trainer_agree(struct rwkv_trainer *t, rwkv_status status, rwkv_error *err)
{
    return rw_comm_agree(t->comm, status, err);
}

/* --- moments ---------------------------------------------------------------------------------- */

static bool has_whole(const struct rwkv_trainer *t)
{
    return t->comm->size > 1 && t->comm->rank == 0;
}

uint64_t rw_trainer_moment_bytes(const struct rwkv_trainer *t)
{
    uint64_t floats = t->parameters.floats, shares = floats / t->comm->size + RW_PARAMETER_ALIGN;
    return 2 * sizeof(float) * (t->comm->size == 1 ? floats : shares + (has_whole(t) ? floats : 0));
}

rwkv_status rw_trainer_take_shares(struct rwkv_trainer *t, rwkv_error *err)
{
    struct rw_step *s = &t->step;
    s->comm = t->comm;
    RW_TRY(rw_shards_new(&s->shards, &t->parameters, t->comm, 0, err));
    float **arrays[] = {&s->m, &s->v, &t->whole_m, &t->whole_v};
    size_t n = has_whole(t) ? 4 : 2, share = RW_MAX(rw_shards_floats(s->shards), (size_t)1);
    for (size_t i = 0; i < n; i++) {
        size_t floats = i < 2 ? share : t->parameters.floats;
        if (!(*arrays[i] = t->backend->ops->alloc(t->backend, floats)))
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the moments of %zu parameters",
                           floats);
    }
    return RWKV_OK;
}

void rw_trainer_free_shares(struct rwkv_trainer *t)
{
    float *arrays[] = {t->step.m, t->step.v, t->whole_m, t->whole_v};
    for (size_t i = 0; i < RW_COUNT(arrays); i++)
        if (arrays[i])
            t->backend->ops->release(t->backend, arrays[i]);
    rw_shards_free(t->step.shards);
}

struct rw_checkpoint_arrays rw_trainer_collect(struct rwkv_trainer *t)
{
    struct rw_step *s = &t->step;
    if (t->comm->size == 1)
        return (struct rw_checkpoint_arrays){s->values, s->m, s->v};
    rw_shards_collect(s->shards, t->whole_m, s->m);
    rw_shards_collect(s->shards, t->whole_v, s->v);
    return (struct rw_checkpoint_arrays){s->values, t->whole_m, t->whole_v};
}

/* Shares come by way of the array of gradients, which no step has begun to fill. */
void rw_trainer_load_moments(struct rwkv_trainer *t)
{
    struct rw_step *s = &t->step;
    const struct rw_checkpoint *c = t->checkpoint;
    const struct rw_tensor *moments[] = {c->m, c->v};
    float *shares[] = {s->m, s->v};
    for (size_t i = 0; i < RW_COUNT(moments); i++) {
        bool alone = t->comm->size == 1;
        rw_checkpoint_moment(c, moments[i], alone ? shares[i] : s->gradients);
        if (!alone)
            rw_shards_pack(s->shards, shares[i], s->gradients);
    }
}
