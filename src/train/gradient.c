/* SPDX-License-Identifier: Apache-2.0 */
#include "train/gradient.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/status.h"

struct rw_gradient {
    const struct rw_parameters *parameters;
    struct rw_rwkv7_training model;
    float *memory;        /* of the backend: activations */
    struct rw_arena host; /* lists */
    struct rw_rwkv7_block *blocks;
    struct rw_rwkv7_block_gradients *gradients;
    rw_gradient_passed_fn passed;
    void *passed_user;
};

size_t rw_gradient_state_floats(const struct rw_parameters *parameters)
{
    return rw_rwkv7_state_layout(&parameters->sizes).total;
}

double rw_gradient_ops(const struct rw_parameters *parameters)
{
    const struct rw_sizes *z = &parameters->sizes;
    double weights = 0;
    for (size_t i = 0; i < parameters->n; i++) {
        const struct rw_parameter *p = &parameters->list[i];
        if (p->rows > 1 && rw_parameter_id(p) != RW_SPEC_emb)
            weights += (double)p->count;
    }
    double recurrence = 9 * (double)z->head_size * (double)z->n_embd * (double)z->n_layer;
    return 3 * (2 * weights + recurrence);
}

/* --- memory ----------------------------------------------------------------------------------- */

static struct rw_rwkv7_training describe(const struct rw_parameters *p, struct rw_backend *backend,
                                         const struct rw_gradient_options *options)
{
    return (struct rw_rwkv7_training){
        .forward = {.sizes = p->sizes,
                    .layout = rw_rwkv7_state_layout(&p->sizes),
                    .rank_w = p->rank_w,
                    .rank_a = p->rank_a,
                    .rank_v = p->rank_v,
                    .rank_g = p->rank_g,
                    .norm_eps = p->norm_eps,
                    .no_ln0 = p->no_ln0,
                    .backend = backend,
                    .precision = options->precision},
        .max_tokens = options->tokens,
        .max_sequences = options->sequences,
        .checkpoint = options->checkpoint,
        .precision = options->precision,
        .l2wrap = options->l2wrap,
    };
}

static void reserve(struct rw_gradient *g, struct rw_arena *kept, struct rw_arena *work,
                    struct rw_arena *host)
{
    size_t layers = g->model.forward.sizes.n_layer;
    rw_rwkv7_training_reserve(&g->model, kept, work, host);
    g->blocks = rw_arena_take(host, layers, sizeof *g->blocks);
    g->gradients = rw_arena_take(host, layers, sizeof *g->gradients);
}

static size_t max_cols(const struct rw_parameters *p)
{
    size_t cols = RW_MAX(p->sizes.n_embd, p->sizes.n_ffn);
    cols = RW_MAX(cols, RW_MAX(p->rank_w, p->rank_a));
    return RW_MAX(cols, RW_MAX(p->rank_v, p->rank_g));
}

void rw_gradient_plan(struct rw_gradient_plan *plan, const struct rw_parameters *parameters,
                      const struct rw_backend *backend, const struct rw_gradient_options *options)
{
    /* Measuring calls nothing of the backend. */
    struct rw_gradient g = {.model = describe(parameters, NULL, options)};
    struct rw_arena kept = {0}, work = {0}, host = {0};
    reserve(&g, &kept, &work, &host);
    *plan = (struct rw_gradient_plan){.saved = kept.used, .work = work.used + host.used};
    plan->scratch = backend->ops->scratch_bytes(backend, options->tokens, max_cols(parameters));
    if (backend->ops->backward)
        plan->scratch += backend->ops->backward->scratch_bytes(
            backend, options->tokens, parameters->sizes.n_embd, parameters->sizes.head_size);
    plan->total = plan->saved + plan->work + plan->scratch;
}

static rwkv_status take_memory(struct rw_gradient *g, rwkv_error *err)
{
    struct rw_backend *be = g->model.forward.backend;
    struct rw_arena kept = {0}, work = {0}, host = {0};
    reserve(g, &kept, &work, &host);
    size_t bytes = kept.used + work.used;
    g->memory = be->ops->alloc(be, bytes / sizeof(float));
    if (!g->memory || !rw_arena_init(&g->host, host.used))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu bytes of activations", bytes);
    kept = (struct rw_arena){.base = (uint8_t *)g->memory, .size = kept.used};
    work = (struct rw_arena){.base = (uint8_t *)g->memory + kept.size, .size = work.used};
    reserve(g, &kept, &work, &g->host);
    return RWKV_OK;
}

static rwkv_status prepare(struct rw_gradient *g, rwkv_error *err)
{
    const struct rw_parameters *p = g->parameters;
    struct rw_backend *be = g->model.forward.backend;
    RW_TRY(be->ops->prepare(be, g->model.max_tokens, max_cols(p), err));
    return be->ops->backward->prepare(be, g->model.max_tokens, p->sizes.n_embd, p->sizes.head_size,
                                      err);
}

rwkv_status rw_gradient_new(struct rw_gradient **out, const struct rw_parameters *parameters,
                            struct rw_backend *backend, const struct rw_gradient_options *options,
                            rwkv_error *err)
{
    assert(options->tokens > 0 && options->sequences > 0);
    rwkv_status status;
    if (!backend->ops->backward)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "the backend '%s' cannot train",
                       backend->ops->name);
    struct rw_gradient *g = rw_calloc(1, sizeof *g);
    if (!g)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a gradient");
    g->parameters = parameters;
    g->model = describe(parameters, backend, options);
    RW_GO(take_memory(g, err));
    RW_GO(prepare(g, err));
done:
    if (status == RWKV_OK)
        *out = g;
    else
        rw_gradient_free(g);
    return status;
}

void rw_gradient_free(struct rw_gradient *g)
{
    if (!g)
        return;
    g->model.forward.backend->ops->release(g->model.forward.backend, g->memory);
    rw_arena_fini(&g->host);
    rw_free(g);
}

/* --- evaluation ------------------------------------------------------------------------------- */

static void check(const struct rw_gradient *g, const struct rw_gradient_sequence *sequences,
                  size_t n)
{
    size_t tokens = 0;
    for (size_t i = 0; i < n; i++)
        tokens += sequences[i].count;
    assert(n > 0 && n <= g->model.max_sequences);
    assert(tokens > 0 && tokens <= g->model.max_tokens);
    (void)g;
    (void)tokens;
}

void rw_gradient_add(struct rw_gradient *g, const float *values, float *gradients,
                     const struct rw_gradient_sequence *sequences, size_t n, float scale,
                     double *loss)
{
    check(g, sequences, n);
    rw_parameters_bind_weights(g->parameters, values, &g->model.forward.weights, g->blocks);
    rw_parameters_bind_gradients(g->parameters, gradients, &g->model.gradients, g->gradients);
    rw_rwkv7_gradient(&g->model, sequences, n, scale, loss);
}

/* Tensors of block l begin at the first of it; what comes after the blocks, at ln_out. */
static void on_passed(void *user, size_t l)
{
    const struct rw_gradient *g = user;
    const struct rw_parameters *p = g->parameters;
    bool after = l == p->sizes.n_layer;
    size_t i = 0;
    while (after ? rw_parameter_id(&p->list[i]) != RW_SPEC_ln_out_weight
                 : !p->list[i].spec->in_block || p->list[i].block != l)
        i++;
    g->passed(g->passed_user, p->list[i].offset);
}

void rw_gradient_watch(struct rw_gradient *g, rw_gradient_passed_fn passed, void *user)
{
    g->passed = passed;
    g->passed_user = user;
    g->model.passed = passed ? on_passed : NULL;
    g->model.passed_user = g;
}

void rw_gradient_loss(struct rw_gradient *g, const float *values,
                      const struct rw_gradient_sequence *sequences, size_t n, double *loss)
{
    check(g, sequences, n);
    rw_parameters_bind_weights(g->parameters, values, &g->model.forward.weights, g->blocks);
    rw_rwkv7_loss(&g->model, sequences, n, loss);
}
