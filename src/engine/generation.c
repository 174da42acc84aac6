/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/generation.h"

#include "base/status.h"

/* The splitter is asked where it is; what it gives out is for others. */
static int ignore_piece(void *user, rwkv_piece piece, const char *text, size_t size)
{
    (void)user;
    (void)piece;
    (void)text;
    (void)size;
    return 0;
}

/* What the grammar begins with: the text, or a call in it. */
static rwkv_status begin_grammar(struct rw_generation *g, rwkv_error *err)
{
    const rwkv_call_options *calls = g->options->calls;
    if (calls)
        return rw_splitter_new(calls->opening ? calls->opening : "", calls->tools, calls->n_tools,
                               ignore_piece, NULL, &g->calls, err);
    return rw_matcher_new(g->options->grammar, g->vocab, g->n_vocab, &g->matcher, err);
}

/* Follow the answer by a token's bytes. Inside a call the grammar holds, if what came of the call
 * fits. */
static rwkv_status look_for_call(struct rw_generation *g, const char *bytes, size_t size,
                                 rwkv_error *err)
{
    bool fits;
    RW_TRY(rw_splitter_push(g->calls, bytes, size, err));
    const char *call = rw_splitter_call(g->calls, &size);
    if (!call || g->call_differs) {
        g->call_differs = call != NULL;
        return RWKV_OK;
    }
    RW_TRY(rw_matcher_new(g->options->grammar, g->vocab, g->n_vocab, &g->matcher, err));
    RW_TRY(rw_matcher_follow(g->matcher, call, size, &fits, err));
    if (fits)
        return RWKV_OK;
    g->call_differs = true;
    rw_matcher_free(g->matcher);
    g->matcher = NULL;
    return RWKV_OK;
}

rwkv_status rw_generation_init(struct rw_generation *g, struct rwkv_model *model,
                               const rwkv_generate_options *options, rwkv_error *err)
{
    *g = (struct rw_generation){.options = options};
    g->vocab = rw_model_vocab(model, err);
    if (!g->vocab)
        return model->vocab_error.code;
    RW_TRY(rw_text_stream_init(&g->stream, options->stop, options->n_stop, err));
    g->n_vocab = model->info.n_vocab;
    rwkv_status status = rw_sampler_new(&options->sampler, g->vocab, g->n_vocab, &g->sampler, err);
    if (status == RWKV_OK && options->grammar)
        status = begin_grammar(g, err);
    if (status != RWKV_OK)
        rw_generation_fini(g);
    return status;
}

void rw_generation_fini(struct rw_generation *g)
{
    rw_sampler_free(g->sampler);
    rw_matcher_free(g->matcher);
    rw_splitter_free(g->calls);
    rw_text_stream_fini(&g->stream);
    g->sampler = NULL;
    g->calls = NULL;
    g->matcher = NULL;
}

static bool is_eos(const struct rw_generation *g)
{
    size_t size;
    rw_vocab_token(g->vocab, 0, &size);
    return size == 0 && !g->options->ignore_eos;
}

static bool is_end(const struct rw_generation *g, int32_t token)
{
    for (size_t i = 0; i < g->options->n_stop_tokens; i++)
        if (g->options->stop_tokens[i] == token)
            return true;
    return token == 0 && is_eos(g);
}

/* Allow a token that ends the text where it may end, or else forbid it. */
static void set_end(struct rw_matcher *m, int32_t token)
{
    if (token < 0 || (size_t)token >= m->n_vocab)
        return;
    uint64_t bit = (uint64_t)1 << (token % 64), *word = &m->allowed[token / 64];
    m->n_allowed += (size_t)m->may_end - (*word & bit ? 1u : 0u);
    *word = m->may_end ? *word | bit : *word & ~bit;
}

/* Choose among the tokens that the grammar allows; *found is false if there is none, and then the
 * text is whole. */
static rwkv_status choose_within(struct rw_generation *g, struct rw_candidates *memory, bool *found,
                                 rwkv_error *err)
{
    struct rw_matcher *m = g->matcher;
    RW_TRY(rw_matcher_mask(m, err));
    for (size_t i = 0; i < g->options->n_stop_tokens; i++)
        set_end(m, g->options->stop_tokens[i]);
    if (is_eos(g))
        set_end(m, 0);
    *found = m->n_allowed > 0;
    if (!*found && !m->may_end)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "grammar: the vocabulary has no token that could follow after %zu tokens",
                       g->result.generated_tokens);
    if (*found)
        g->token = rw_sampler_sample(g->sampler, memory, g->session->logits, m->allowed);
    return RWKV_OK;
}

/* Choose a token; *found is false if the text ends without one. */
static rwkv_status choose(struct rw_generation *g, struct rw_candidates *memory, bool *found,
                          rwkv_error *err)
{
    *found = true;
    if (g->matcher)
        return choose_within(g, memory, found, err);
    g->token = rw_sampler_sample(g->sampler, memory, g->session->logits, NULL);
    return RWKV_OK;
}

rwkv_status rw_generation_next(struct rw_generation *g, struct rw_candidates *memory,
                               rwkv_error *err)
{
    bool found;
    RW_TRY(choose(g, memory, &found, err));
    g->has_token = found && !is_end(g, g->token);
    if (!g->has_token) {
        g->result.ended_by_eos = found;
        rw_generation_stop(g, RWKV_FINISH_STOP);
        return rw_text_stream_push(&g->stream, "", 0, err);
    }
    if (g->matcher)
        RW_TRY(rw_matcher_accept(g->matcher, g->token, err));
    rw_sampler_accept(g->sampler, g->token);
    g->result.generated_tokens++;
    size_t size;
    const char *bytes = rw_vocab_token(g->vocab, g->token, &size);
    RW_TRY(rw_text_stream_push(&g->stream, bytes, size, err));
    if (g->calls && !g->matcher)
        RW_TRY(look_for_call(g, bytes, size, err));
    if (g->stream.stopped || (g->matcher && g->matcher->must_end))
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
