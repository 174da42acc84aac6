/* SPDX-License-Identifier: Apache-2.0 */
#include "train/gradients.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "train/gradient.h"
#include "train/memory.h"

#define MAX_TOKENS (1 << 24) /* so that no size overflows */

struct rwkv_gradient {
    struct rw_parameters parameters;
    struct rw_backend *backend;
    struct rw_gradient *gradient;
    struct rw_gradient_options options;
    float *values, *gradients;              /* memory of the backend */
    struct rw_gradient_sequence *sequences; /* [options.sequences] */
    int32_t *targets;                       /* [options.tokens]: made of tokens */
    double loss;                            /* the sum */
    uint64_t n_targets;
};

/* --- memory ----------------------------------------------------------------------------------- */

static rwkv_status check_options(const rwkv_gradient_options *o, struct rw_gradient_options *out,
                                 rwkv_error *err)
{
    *out = (struct rw_gradient_options){
        .sequences = o->max_sequences ? o->max_sequences : 1,
        .tokens = o->max_tokens,
        .checkpoint = o->checkpoint != 0,
        .precision = o->precision == RWKV_PRECISION_BF16 ? RW_PRECISION_BF16 : RW_PRECISION_F32,
        .l2wrap = (float)o->l2wrap,
    };
    if (o->max_tokens < 1 || o->max_tokens > MAX_TOKENS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "max_tokens: wanted 1 to %d, found %zu",
                       MAX_TOKENS, o->max_tokens);
    if (out->sequences > out->tokens)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "max_sequences: wanted at most one a token, %zu, found %zu", out->tokens,
                       out->sequences);
    if ((unsigned)o->precision > RWKV_PRECISION_BF16)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "precision: wanted 0 or 1, found %d",
                       (int)o->precision);
    if (!(o->l2wrap >= 0 && o->l2wrap <= 1))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "l2wrap: wanted 0 to 1, found %g", o->l2wrap);
    return RWKV_OK;
}

static void plan_memory(const struct rwkv_gradient *g, rwkv_gradient_memory *out)
{
    struct rw_gradient_plan plan;
    rw_gradient_plan(&plan, &g->parameters, g->backend, &g->options);
    uint64_t array = (uint64_t)g->parameters.floats * sizeof(float);
    *out = (rwkv_gradient_memory){
        .parameters = array,
        .gradients = array,
        .activations = plan.saved,
        .work = plan.work + plan.scratch + g->options.sequences * sizeof *g->sequences +
                g->options.tokens * sizeof *g->targets,
    };
    out->total = out->parameters + out->gradients + out->activations + out->work;
}

/* All that comes before memory is taken. */
static rwkv_status set_up(struct rwkv_gradient *g, const struct rw_params *params,
                          const struct rw_machine *machine, const rwkv_gradient_options *options,
                          rwkv_error *err)
{
    RW_TRY(check_options(options, &g->options, err));
    RW_TRY(rw_parameters_init(&g->parameters, params, err));
    return rw_backend_cpu_new(&g->backend, machine->threads, machine->cpu, err);
}

static rwkv_status check_memory(const struct rwkv_gradient *g, uint64_t limit, rwkv_error *err)
{
    rwkv_gradient_memory m;
    plan_memory(g, &m);
    const struct rw_memory_part parts[] = {{"parameters", m.parameters},
                                           {"gradients", m.gradients},
                                           {"activations", m.activations},
                                           {"work", m.work}};
    return rw_memory_check(parts, RW_COUNT(parts), limit, rw_env_memory_available(),
                           g->options.checkpoint ? NULL : "checkpointing needs less", err);
}

static rwkv_status take_memory(struct rwkv_gradient *g, rwkv_error *err)
{
    const struct rw_backend_ops *ops = g->backend->ops;
    g->values = ops->alloc(g->backend, g->parameters.floats);
    g->gradients = ops->alloc(g->backend, g->parameters.floats);
    g->sequences = rw_alloc(g->options.sequences, sizeof *g->sequences);
    g->targets = rw_alloc(g->options.tokens, sizeof *g->targets);
    if (!g->values || !g->gradients || !g->sequences || !g->targets)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu parameters and their gradient",
                       g->parameters.count);
    return rw_gradient_new(&g->gradient, &g->parameters, g->backend, &g->options, err);
}

rwkv_status rw_gradients_plan(const struct rw_params *params, const struct rw_machine *machine,
                              const rwkv_gradient_options *options, rwkv_gradient_memory *out,
                              rwkv_error *err)
{
    struct rwkv_gradient *g = rw_calloc(1, sizeof *g);
    if (!g)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a gradient");
    rwkv_status status = set_up(g, params, machine, options, err);
    if (status == RWKV_OK)
        plan_memory(g, out);
    rw_gradients_free(g);
    return status;
}

rwkv_status rw_gradients_new(const struct rw_params *params, const struct rw_machine *machine,
                             const rwkv_gradient_options *options, rwkv_gradient **out,
                             rwkv_error *err)
{
    rwkv_status status;
    struct rwkv_gradient *g = rw_calloc(1, sizeof *g);
    if (!g)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a gradient");
    RW_GO(set_up(g, params, machine, options, err));
    RW_GO(check_memory(g, options->memory_limit, err));
    RW_GO(take_memory(g, err));
    RW_GO(rw_parameters_load(&g->parameters, params, g->values, err));
done:
    if (status == RWKV_OK)
        *out = g;
    else
        rw_gradients_free(g);
    return status;
}

void rw_gradients_free(struct rwkv_gradient *g)
{
    if (!g)
        return;
    rw_gradient_free(g->gradient);
    if (g->backend) {
        g->backend->ops->release(g->backend, g->values);
        g->backend->ops->release(g->backend, g->gradients);
        g->backend->ops->free(g->backend);
    }
    rw_parameters_fini(&g->parameters);
    rw_free(g->sequences);
    rw_free(g->targets);
    rw_free(g);
}

/* --- evaluation ------------------------------------------------------------------------------- */

static rwkv_status check_ids(const char *what, const int32_t *ids, size_t n, size_t vocab,
                             int32_t least, rwkv_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < least || (ids[i] >= 0 && (size_t)ids[i] >= vocab))
            return rw_fail(err, RWKV_ERROR_TOKEN, "%s %zu: wanted an id of 0 to %zu, found %d",
                           what, i, vocab - 1, ids[i]);
    return RWKV_OK;
}

/* The ids of one example are good and there is room for them from token `at` on. */
static rwkv_status check_example(const struct rwkv_gradient *g, const rwkv_example *e, size_t at,
                                 rwkv_error *err)
{
    size_t vocab = g->parameters.sizes.n_vocab;
    if (e->n_tokens == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted at least one token, found none");
    if (e->n_tokens > g->options.tokens - at)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted at most %zu tokens together, found more",
                       g->options.tokens);
    RW_TRY(check_ids("token", e->tokens, e->n_tokens, vocab, 0, err));
    if (e->targets)
        RW_TRY(check_ids("target", e->targets, e->n_tokens, vocab, INT32_MIN, err));
    return RWKV_OK;
}

/* Targets of its own, or each token the one before's. Returns how many there are. */
static uint64_t set_targets(int32_t *to, const rwkv_example *e)
{
    uint64_t count = 0;
    for (size_t i = 0; i < e->n_tokens; i++) {
        if (e->targets)
            to[i] = e->targets[i];
        else
            to[i] = i + 1 < e->n_tokens ? e->tokens[i + 1] : -1;
        count += to[i] >= 0;
    }
    return count;
}

rwkv_status rw_gradients_add(struct rwkv_gradient *g, const rwkv_example *examples, size_t n,
                             double scale, rwkv_error *err)
{
    uint64_t n_targets = 0;
    size_t at = 0;
    if (n > g->options.sequences)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted at most %zu sequences together, found %zu",
                       g->options.sequences, n);
    for (size_t i = 0; i < n; i++) {
        const rwkv_example *e = &examples[i];
        RW_TRY(check_example(g, e, at, err));
        n_targets += set_targets(g->targets + at, e);
        g->sequences[i] = (struct rw_gradient_sequence){e->tokens,  g->targets + at, e->n_tokens,
                                                        e->initial, e->final,        e->dstate};
        at += e->n_tokens;
    }
    if (n_targets == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted a token to predict, found none");
    if (scale == 0)
        scale = 1 / (double)n_targets;
    rw_gradient_add(g->gradient, g->values, g->gradients, g->sequences, n, (float)scale, &g->loss);
    g->n_targets += n_targets;
    return RWKV_OK;
}

void rw_gradients_reset(struct rwkv_gradient *g)
{
    g->backend->ops->backward->zero(g->backend, g->gradients, g->parameters.floats);
    g->loss = 0;
    g->n_targets = 0;
}

/* --- results ---------------------------------------------------------------------------------- */

static double norm(const struct rwkv_gradient *g, size_t at, size_t n)
{
    return sqrt(g->backend->ops->backward->sum_squares(g->backend, g->gradients + at, n));
}

size_t rw_gradients_state_floats(const struct rwkv_gradient *g)
{
    return rw_gradient_state_floats(&g->parameters);
}

static double mean_loss(const struct rwkv_gradient *g)
{
    return g->n_targets ? g->loss / (double)g->n_targets : 0;
}

void rw_gradients_result(const struct rwkv_gradient *g, rwkv_gradient_result *out)
{
    *out = (rwkv_gradient_result){mean_loss(g), norm(g, 0, g->parameters.floats), g->n_targets};
}

size_t rw_gradients_count(const struct rwkv_gradient *g)
{
    return g->parameters.n;
}

void rw_gradients_tensor(const struct rwkv_gradient *g, size_t i, rwkv_gradient_tensor *out)
{
    const struct rw_parameter *one = &g->parameters.list[i];
    struct rw_tensor t = rw_parameters_view(&g->parameters, one, NULL);
    *out = (rwkv_gradient_tensor){.name = one->name,
                                  .n_dims = t.n_dims,
                                  .n_elements = one->count,
                                  .norm = norm(g, one->offset, one->count)};
    memcpy(out->shape, t.shape, t.n_dims * sizeof *t.shape);
}

void rw_gradients_read(const struct rwkv_gradient *g, size_t i, float *to)
{
    const struct rw_parameter *one = &g->parameters.list[i];
    struct rw_tensor t = rw_parameters_view(&g->parameters, one, g->gradients);
    rw_tensor_copy_f32(&t, 0, one->count, to);
}

rwkv_status rw_gradients_save(const struct rwkv_gradient *g, const char *path, rwkv_error *err)
{
    double loss = mean_loss(g);
    struct rw_named_tensor extra = {.name = "loss"};
    rw_tensor_init(&extra.tensor, RWKV_DTYPE_F64, 1, (size_t[]){1}, &loss);
    return rw_parameters_save_with(&g->parameters, g->gradients, path, RWKV_DTYPE_F32, &extra, 1,
                                   err);
}
