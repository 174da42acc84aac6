/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/generation.h"

#include "base/status.h"

rwkv_status rw_generation_init(struct rw_generation *g, struct rwkv_model *model,
                               const rwkv_generate_options *options, rwkv_error *err)
{
    *g = (struct rw_generation){.options = options};
    g->vocab = rw_model_vocab(model, err);
    if (!g->vocab)
        return model->vocab_error.code;
    RW_TRY(rw_text_stream_init(&g->stream, options->stop, options->n_stop, err));
    rwkv_status status =
        rw_sampler_new(&options->sampler, g->vocab, model->info.n_vocab, &g->sampler, err);
    if (status != RWKV_OK)
        rw_generation_fini(g);
    return status;
}

void rw_generation_fini(struct rw_generation *g)
{
    rw_sampler_free(g->sampler);
    rw_text_stream_fini(&g->stream);
    g->sampler = NULL;
}

static bool is_end(const struct rw_generation *g, int32_t token)
{
    for (size_t i = 0; i < g->options->n_stop_tokens; i++)
        if (g->options->stop_tokens[i] == token)
            return true;
    size_t size;
    rw_vocab_token(g->vocab, 0, &size);
    return token == 0 && size == 0 && !g->options->ignore_eos;
}

rwkv_status rw_generation_next(struct rw_generation *g, rwkv_error *err)
{
    g->token = rw_sampler_sample(g->sampler, g->session->logits);
    g->has_token = !is_end(g, g->token);
    if (!g->has_token) {
        g->result.ended_by_eos = 1;
        rw_generation_stop(g, RWKV_FINISH_STOP);
        return rw_text_stream_push(&g->stream, "", 0, err);
    }
    rw_sampler_accept(g->sampler, g->token);
    g->result.generated_tokens++;
    size_t size;
    const char *bytes = rw_vocab_token(g->vocab, g->token, &size);
    RW_TRY(rw_text_stream_push(&g->stream, bytes, size, err));
    if (g->stream.stopped)
        rw_generation_stop(g, RWKV_FINISH_STOP);
    else if (g->options->max_tokens && g->result.generated_tokens >= g->options->max_tokens)
        rw_generation_stop(g, RWKV_FINISH_LENGTH);
    return RWKV_OK;
}

bool rw_generation_cancelled(const struct rw_generation *g)
{
    return g->options->cancel && *g->options->cancel;
}

void rw_generation_stop(struct rw_generation *g, rwkv_finish finish)
{
    if (!g->over)
        g->result.finish = finish;
    g->over = true;
}

rwkv_status rw_generation_end(struct rw_generation *g, rwkv_error *err)
{
    if (g->stream.stopped)
        return rw_text_stream_push(&g->stream, "", 0, err);
    return rw_text_stream_finish(&g->stream, err);
}
