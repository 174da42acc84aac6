/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of generation: sample, stop or show, evaluate. */
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "engine/engine.h"
#include "text/sampler.h"
#include "text/text_stream.h"

struct generation {
    struct rwkv_session *session;
    const rwkv_generate_options *options;
    const struct rwkv_vocab *vocab;
    struct rwkv_sampler *sampler;
    struct rw_text_stream stream;
    rwkv_text_fn text;
    void *user;
    rwkv_generate_result *result;
};

static bool cancelled(const struct generation *g)
{
    return g->options->cancel && *g->options->cancel;
}

/* The prompt, a chunk at a time so that it can be stopped and watched. */
static rwkv_status eval_prompt(struct generation *g, const int32_t *tokens, size_t n,
                               rwkv_error *err)
{
    size_t chunk = g->session->model->info.chunk;
    double start = rw_env_seconds();
    rwkv_status status = RWKV_OK;
    while (g->result->prompt_tokens < n && !cancelled(g) && status == RWKV_OK) {
        size_t done = g->result->prompt_tokens;
        rwkv_segment segment = {g->session, tokens + done, RW_MIN(n - done, chunk), NULL, NULL};
        status = rw_segments_eval(&segment, 1, err);
        if (status != RWKV_OK)
            break;
        g->result->prompt_tokens += segment.n_tokens;
        if (g->options->progress &&
            g->options->progress(g->options->progress_user, g->result->prompt_tokens, n))
            status =
                rw_fail(err, RWKV_ERROR_CANCELLED, "stopped after %zu of %zu tokens of the prompt",
                        g->result->prompt_tokens, n);
    }
    g->result->prompt_seconds = rw_env_seconds() - start;
    return status;
}

static bool is_end(const struct generation *g, int32_t token)
{
    for (size_t i = 0; i < g->options->n_stop_tokens; i++)
        if (g->options->stop_tokens[i] == token)
            return true;
    size_t size;
    rw_vocab_token(g->vocab, 0, &size);
    return token == 0 && size == 0 && !g->options->ignore_eos;
}

/* Hand over what became final. False: the caller wants no more. */
static bool show(struct generation *g)
{
    const struct rw_str *text = &g->stream.text;
    return !g->text || text->size == 0 || g->text(g->user, text->data, text->size) == 0;
}

/* One token: false when generation is over, with result->finish saying why. */
static rwkv_status next_token(struct generation *g, bool *more, rwkv_error *err)
{
    int32_t token = rw_sampler_sample(g->sampler, g->session->logits);
    *more = false;
    if (is_end(g, token)) {
        g->result->finish = RWKV_FINISH_STOP;
        g->result->ended_by_eos = 1;
        return RWKV_OK;
    }
    rw_sampler_accept(g->sampler, token);
    rwkv_segment segment = {g->session, &token, 1, NULL, NULL};
    RW_TRY(rw_segments_eval(&segment, 1, err));
    g->result->generated_tokens++;
    size_t size;
    const char *bytes = rw_vocab_token(g->vocab, token, &size);
    RW_TRY(rw_text_stream_push(&g->stream, bytes, size, err));
    bool go_on = show(g);
    if (g->stream.stopped)
        g->result->finish = RWKV_FINISH_STOP;
    else if (!go_on || cancelled(g))
        g->result->finish = RWKV_FINISH_CALLER;
    else if (g->options->max_tokens && g->result->generated_tokens >= g->options->max_tokens)
        g->result->finish = RWKV_FINISH_LENGTH;
    else
        *more = true;
    return RWKV_OK;
}

static rwkv_status run(struct generation *g, const int32_t *tokens, size_t n, rwkv_error *err)
{
    RW_TRY(eval_prompt(g, tokens, n, err));
    bool more = !cancelled(g);
    if (!more)
        g->result->finish = RWKV_FINISH_CALLER;
    if (more && !g->session->has_logits)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "an empty prompt, and no text before it: nothing to continue");
    double start = rw_env_seconds();
    rwkv_status status = RWKV_OK;
    while (more && status == RWKV_OK)
        status = next_token(g, &more, err);
    g->result->generate_seconds = rw_env_seconds() - start;
    RW_TRY(status);
    if (g->result->finish != RWKV_FINISH_STOP || g->result->ended_by_eos) {
        RW_TRY(rw_text_stream_finish(&g->stream, err));
        show(g);
    }
    return RWKV_OK;
}

rwkv_status rw_generate(struct rwkv_session *session, const int32_t *tokens, size_t n_tokens,
                        const rwkv_generate_options *options, rwkv_text_fn text, void *user,
                        rwkv_generate_result *result, rwkv_error *err)
{
    struct generation g = {.session = session, .options = options, .text = text, .user = user};
    rwkv_generate_result unwanted;
    g.result = result ? result : &unwanted;
    *g.result = (rwkv_generate_result){0};
    rwkv_status status;
    RW_TRY(rw_check_tokens(tokens, n_tokens, session->model->info.n_vocab, err));
    g.vocab = rw_model_vocab(session->model, err);
    if (!g.vocab)
        return session->model->vocab_error.code;
    RW_TRY(rw_text_stream_init(&g.stream, options->stop, options->n_stop, err));
    RW_GO(
        rw_sampler_new(&options->sampler, g.vocab, session->model->info.n_vocab, &g.sampler, err));
    RW_GO(run(&g, tokens, n_tokens, err));
done:
    rw_sampler_free(g.sampler);
    rw_text_stream_fini(&g.stream);
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
