/* SPDX-License-Identifier: Apache-2.0 */
#include "train/sample.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "model/rwkv7.h"
#include "text/sampler.h"

#define TEMPERATURE 1.0f
#define TOP_P 0.7f

struct rw_sampling {
    const struct rw_parameters *parameters;
    struct rw_rwkv7 model;
    struct rw_arena arena;
    struct rw_rwkv7_block *blocks;
    float *state, *logits;
};

static void reserve(struct rw_sampling *s, struct rw_arena *arena)
{
    rw_rwkv7_reserve(&s->model, arena, arena, 1);
    s->blocks = rw_arena_take(arena, s->model.sizes.n_layer, sizeof *s->blocks);
    s->state = rw_arena_take(arena, s->model.layout.total, sizeof *s->state);
    s->logits = rw_arena_take(arena, s->model.sizes.n_vocab, sizeof *s->logits);
}

static struct rw_sampling describe(const struct rw_parameters *p, struct rw_backend *backend)
{
    return (struct rw_sampling){.parameters = p,
                                .model = {.sizes = p->sizes,
                                          .layout = rw_rwkv7_state_layout(&p->sizes),
                                          .rank_w = p->rank_w,
                                          .rank_a = p->rank_a,
                                          .rank_v = p->rank_v,
                                          .rank_g = p->rank_g,
                                          .norm_eps = p->norm_eps,
                                          .no_ln0 = p->no_ln0,
                                          .backend = backend}};
}

size_t rw_sampling_bytes(const struct rw_parameters *parameters)
{
    struct rw_sampling s = describe(parameters, NULL);
    struct rw_arena arena = {0};
    reserve(&s, &arena);
    return arena.used;
}

rwkv_status rw_sampling_new(struct rw_sampling **out, const struct rw_parameters *parameters,
                            struct rw_backend *backend, rwkv_error *err)
{
    struct rw_sampling *s = rw_calloc(1, sizeof *s);
    if (!s)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for samples of text");
    *s = describe(parameters, backend);
    if (!rw_arena_init(&s->arena, rw_sampling_bytes(parameters))) {
        rw_free(s);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for samples of text");
    }
    reserve(s, &s->arena);
    *out = s;
    return RWKV_OK;
}

void rw_sampling_free(struct rw_sampling *s)
{
    if (!s)
        return;
    rw_arena_fini(&s->arena);
    rw_free(s);
}

static void feed(struct rw_sampling *s, int32_t token)
{
    const struct rw_sequence sequence = {
        .tokens = &token, .count = 1, .state = s->state, .last_logits = s->logits};
    rw_rwkv7_forward(&s->model, &sequence, 1);
}

static bool cut(const struct rw_sampling_options *options)
{
    return options->cancel && *options->cancel;
}

static rwkv_status feed_prompt(struct rw_sampling *s, const struct rwkv_vocab *vocab,
                               const struct rw_sampling_options *options, rwkv_error *err)
{
    size_t size = strlen(options->prompt), at = 0, n = 1;
    int32_t token = 0;
    feed(s, token);
    while (!cut(options)) {
        RW_TRY(rw_vocab_encode_some(vocab, options->prompt, size, &at, &token, 1, &n, err));
        if (n == 0)
            break;
        feed(s, token);
    }
    return RWKV_OK;
}

rwkv_status rw_sampling_text(struct rw_sampling *s, const float *values,
                             const struct rwkv_vocab *vocab,
                             const struct rw_sampling_options *options, struct rw_str *text,
                             rwkv_error *err)
{
    const rwkv_sampler_options how = {
        .temperature = TEMPERATURE, .top_p = TOP_P, .seed = options->seed};
    struct rw_sampler *sampler = NULL;
    struct rw_candidates *memory = rw_candidates_new(s->model.sizes.n_vocab);
    rwkv_status status;
    rw_str_reset(text);
    rw_str_adds(text, options->prompt);
    memset(s->state, 0, s->model.layout.total * sizeof *s->state);
    rw_parameters_bind_weights(s->parameters, values, &s->model.weights, s->blocks);
    RW_GO(rw_sampler_new(&how, vocab, s->model.sizes.n_vocab, &sampler, err));
    if (!memory)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a sample of text"));
    RW_GO(feed_prompt(s, vocab, options, err));
    for (size_t i = 0; i < options->tokens && !cut(options); i++) {
        size_t size;
        int32_t token = rw_sampler_sample(sampler, memory, s->logits, NULL);
        const char *bytes = rw_vocab_token(vocab, token, &size);
        if (token == 0)
            break;
        rw_str_add(text, bytes, size);
        rw_sampler_accept(sampler, token);
        feed(s, token);
    }
    if (text->failed)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a sample of text");
done:
    rw_sampler_free(sampler);
    rw_candidates_free(memory);
    return status;
}
