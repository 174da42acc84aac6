/* SPDX-License-Identifier: Apache-2.0 */
#include "train/meter.h"

#include <string.h>

#include "backend/timed.h"
#include "base/alloc.h"
#include "base/env.h"
#include "base/rng.h"
#include "base/status.h"
#include "train/comm_int.h"
#include "train/step.h"

#define MAX_TOKENS ((size_t)1 << 24) /* of a step, so that no size overflows */
#define RATE 1e-6                    /* of learning: the weights stay about what they are */

struct rwkv_train_meter {
    struct rw_parameters parameters;
    struct rw_backend *backend; /* timed */
    struct rw_comm *comm;       /* of this process alone */
    struct rw_gradient_options options;
    struct rw_step step;
    uint64_t steps;                         /* done */
    int32_t *tokens;                        /* [sequences, context + 1] */
    struct rw_gradient_sequence *sequences; /* [sequences] */
    rwkv_train_meter_plan plan;
};

/* --- memory ----------------------------------------------------------------------------------- */

static rwkv_status check_options(const rwkv_train_meter_options *o, struct rw_gradient_options *out,
                                 rwkv_error *err)
{
    size_t tokens;
    if (o->context == 0 || o->batch == 0 || !rw_mul(o->context, o->batch, &tokens) ||
        tokens > MAX_TOKENS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a context and a batch of at least 1 and at most %zu tokens "
                       "together, found %zu and %zu",
                       MAX_TOKENS, o->context, o->batch);
    *out = (struct rw_gradient_options){
        .sequences = o->batch,
        .tokens = tokens,
        .checkpoint = o->checkpoint != 0,
        .precision = o->precision == RWKV_PRECISION_BF16 ? RW_PRECISION_BF16 : RW_PRECISION_F32,
        .l2wrap = 1e-4f,
    };
    return RWKV_OK;
}

static void make_plan(struct rwkv_train_meter *m)
{
    struct rw_gradient_plan plan;
    rw_gradient_plan(&plan, &m->parameters, m->backend, &m->options);
    m->plan = (rwkv_train_meter_plan){
        .n_parameters = m->parameters.count,
        .memory = 4 * (uint64_t)m->parameters.floats * sizeof(float) + plan.total,
        .ops_per_token = rw_gradient_ops(&m->parameters),
    };
}

static rwkv_status check_memory(const struct rwkv_train_meter *m, uint64_t limit, rwkv_error *err)
{
    uint64_t available = limit ? limit : rw_env_memory_available();
    if (available && m->plan.memory > available)
        return rw_fail(
            err, RWKV_ERROR_MEMORY, "training needs %llu MiB, more than the %llu MiB there are",
            (unsigned long long)(m->plan.memory >> 20), (unsigned long long)(available >> 20));
    return RWKV_OK;
}

static rwkv_status take_memory(struct rwkv_train_meter *m, rwkv_error *err)
{
    struct rw_step *s = &m->step;
    float **arrays[] = {&s->values, &s->gradients, &s->m, &s->v};
    for (size_t i = 0; i < RW_COUNT(arrays); i++)
        if (!(*arrays[i] = m->backend->ops->alloc(m->backend, m->parameters.floats)))
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to train %zu parameters",
                           m->parameters.count);
    m->tokens = rw_alloc(m->options.tokens + m->options.sequences, sizeof *m->tokens);
    m->sequences = rw_calloc(m->options.sequences, sizeof *m->sequences);
    if (!m->tokens || !m->sequences)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tokens", m->options.tokens);
    RW_TRY(rw_comm_single(&m->comm, err));
    RW_TRY(rw_shards_new(&s->shards, &m->parameters, m->comm, 0, err));
    return rw_gradient_new(&s->gradient, &m->parameters, m->backend, &m->options, err);
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void draw_tokens(struct rwkv_train_meter *m)
{
    struct rw_rng rng;
    size_t context = m->options.tokens / m->options.sequences;
    rw_rng_init(&rng, 1);
    for (size_t i = 0; i < m->options.tokens + m->options.sequences; i++)
        m->tokens[i] = (int32_t)rw_rng_below(&rng, m->parameters.sizes.n_vocab);
    for (size_t i = 0; i < m->options.sequences; i++) {
        const int32_t *row = m->tokens + i * (context + 1);
        m->sequences[i] =
            (struct rw_gradient_sequence){.tokens = row, .targets = row + 1, .count = context};
    }
}

static rwkv_status open_backend(struct rwkv_train_meter *m, const struct rw_machine *machine,
                                rwkv_error *err)
{
    struct rw_backend *cpu;
    RW_TRY(rw_backend_cpu_new(&cpu, machine->threads, machine->cpu, err));
    return rw_backend_timed_new(&m->backend, cpu, err);
}

rwkv_status rw_train_meter_new(const struct rw_params *params, const struct rw_machine *machine,
                               const rwkv_train_meter_options *options, rwkv_train_meter **out,
                               rwkv_error *err)
{
    rwkv_status status;
    struct rwkv_train_meter *m = rw_calloc(1, sizeof *m);
    if (!m)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a meter");
    RW_GO(check_options(options, &m->options, err));
    RW_GO(rw_parameters_init(&m->parameters, params, err));
    RW_GO(open_backend(m, machine, err));
    make_plan(m);
    RW_GO(check_memory(m, options->memory_limit, err));
    RW_GO(take_memory(m, err));
    RW_GO(rw_parameters_load(&m->parameters, params, m->step.values, err));
    draw_tokens(m);
    m->step.backend = m->backend;
    m->step.parameters = &m->parameters;
    m->step.comm = m->comm;
    m->step.optimizer = (struct rw_optimizer_options){0.9, 0.99, 1e-18, 0.1, 1};
done:
    if (status == RWKV_OK)
        *out = m;
    else
        rw_train_meter_free(m);
    return status;
}

void rw_train_meter_free(rwkv_train_meter *m)
{
    if (!m)
        return;
    float *const arrays[] = {m->step.values, m->step.gradients, m->step.m, m->step.v};
    rw_gradient_free(m->step.gradient);
    rw_shards_free(m->step.shards);
    rw_comm_close(m->comm);
    for (size_t i = 0; m->backend && i < RW_COUNT(arrays); i++)
        m->backend->ops->release(m->backend, arrays[i]);
    if (m->backend)
        m->backend->ops->free(m->backend);
    rw_parameters_fini(&m->parameters);
    rw_free(m->tokens);
    rw_free(m->sequences);
    rw_free(m);
}

/* --- work ------------------------------------------------------------------------------------- */

void rw_train_meter_plan(const rwkv_train_meter *m, rwkv_train_meter_plan *out)
{
    *out = m->plan;
}

rwkv_status rw_train_meter_step(rwkv_train_meter *m, rwkv_train_times *out, rwkv_error *err)
{
    struct rw_step_result result;
    rw_backend_timed_reset(m->backend);
    double start = rw_env_seconds();
    rw_step_begin(&m->step);
    rw_step_add(&m->step, m->sequences, m->options.sequences, m->options.tokens, true);
    if (!rw_step_end(&m->step, RATE, m->steps + 1, &result))
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "step %llu: wanted finite numbers, found a loss of %g and a gradient of %g",
                       (unsigned long long)m->steps + 1, result.loss, result.norm);
    out->seconds = rw_env_seconds() - start;
    memcpy(out->work, rw_backend_timed_seconds(m->backend), sizeof out->work);
    m->steps++;
    return RWKV_OK;
}

double rw_train_meter_measure(rwkv_train_meter *m, rwkv_limit limit)
{
    return m->backend->ops->measure(m->backend, limit, NULL, 0);
}
