/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of generation: choose a token, show its text, evaluate it. */
#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "engine/generation.h"

/* The prompt, a chunk at a time so that it can be stopped and watched. */
static rwkv_status eval_prompt(struct rw_generation *g, const int32_t *tokens, size_t n,
                               rwkv_error *err)
{
    const rwkv_generate_options *o = g->options;
    size_t chunk = g->session->model->info.chunk;
    double start = rw_env_seconds();
    rwkv_status status = RWKV_OK;
    while (g->result.prompt_tokens < n && !rw_generation_cancelled(g) && status == RWKV_OK) {
        size_t done = g->result.prompt_tokens;
        rwkv_segment segment = {g->session, tokens + done, RW_MIN(n - done, chunk), NULL, NULL};
        status = rw_segments_eval(&segment, 1, err);
        if (status != RWKV_OK)
            break;
        g->result.prompt_tokens += segment.n_tokens;
        if (o->progress && o->progress(o->progress_user, g->result.prompt_tokens, n))
            status =
                rw_fail(err, RWKV_ERROR_CANCELLED, "stopped after %zu of %zu tokens of the prompt",
                        g->result.prompt_tokens, n);
    }
    g->result.prompt_seconds = rw_env_seconds() - start;
    return status;
}

/* Hand over what became final. False: the caller wants no more. */
static bool show(const struct rw_generation *g, rwkv_text_fn text, void *user)
{
    const struct rw_str *final = &g->stream.text;
    return !text || final->size == 0 || text(user, final->data, final->size) == 0;
}

/* Tell of the token and its text before the time that evaluating it takes. */
static rwkv_status next_token(struct rw_generation *g, struct rw_candidates *memory,
                              rwkv_text_fn text, void *user, rwkv_error *err)
{
    const rwkv_generate_options *o = g->options;
    RW_TRY(rw_generation_next(g, memory, err));
    bool go_on = !g->has_token || !o->token || o->token(o->token_user, g->token) == 0;
    bool wanted = show(g, text, user);
    if (!go_on || !wanted || (g->has_token && rw_generation_cancelled(g))) {
        bool stopped = g->over && g->result.finish == RWKV_FINISH_STOP;
        g->result.finish = stopped ? RWKV_FINISH_STOP : RWKV_FINISH_CALLER;
        g->over = true;
    }
    rwkv_segment segment = {g->session, &g->token, 1, NULL, NULL};
    return g->has_token ? rw_segments_eval(&segment, 1, err) : RWKV_OK;
}

static rwkv_status run(struct rw_generation *g, const int32_t *tokens, size_t n, rwkv_text_fn text,
                       void *user, rwkv_error *err)
{
    RW_TRY(eval_prompt(g, tokens, n, err));
    if (rw_generation_cancelled(g))
        rw_generation_stop(g, RWKV_FINISH_CALLER);
    if (!g->over && !g->session->has_logits)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "an empty prompt, and no text before it: nothing to continue");
    struct rw_candidates *memory = rw_candidates_new(g->n_vocab);
    if (!memory)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to draw from %zu tokens", g->n_vocab);
    double start = rw_env_seconds();
    rwkv_status status = RWKV_OK;
    while (!g->over && status == RWKV_OK)
        status = next_token(g, memory, text, user, err);
    rw_candidates_free(memory);
    g->result.generate_seconds = rw_env_seconds() - start;
    RW_TRY(status);
    RW_TRY(rw_generation_end(g, err));
    show(g, text, user);
    return RWKV_OK;
}

rwkv_status rw_generate(struct rwkv_session *session, const int32_t *tokens, size_t n_tokens,
                        const rwkv_generate_options *options, rwkv_text_fn text, void *user,
                        rwkv_generate_result *result, rwkv_error *err)
{
    struct rw_generation g = {0};
    if (result)
        *result = g.result;
    RW_TRY(rw_check_tokens(tokens, n_tokens, session->model->info.n_vocab, err));
    RW_TRY(rw_generation_init(&g, session->model, options, err));
    g.session = session;
    rwkv_status status = run(&g, tokens, n_tokens, text, user, err);
    if (result)
        *result = g.result;
    rw_generation_fini(&g);
    return status;
}

rwkv_status rw_encode_prompt(struct rwkv_model *model, const char *text, size_t size,
                             int32_t **tokens, size_t *n_tokens, rwkv_error *err)
{
    const struct rwkv_vocab *vocab = rw_model_vocab(model, err);
    if (!vocab)
        return model->vocab_error.code;
    int32_t *ids = rw_alloc(size, sizeof *ids); /* no token is shorter than a byte */
    if (!ids)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a prompt of %zu bytes", size);
    rwkv_status status = rw_vocab_encode(vocab, text, size, ids, size, n_tokens, err);
    if (status == RWKV_OK)
        *tokens = ids;
    else
        rw_free(ids);
    return status;
}
