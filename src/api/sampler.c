/* SPDX-License-Identifier: Apache-2.0 */
#include "text/sampler.h"

#include "base/alloc.h"
#include "base/status.h"

struct rwkv_sampler {
    struct rw_sampler *sampler;
    struct rw_candidates *candidates;
};

rwkv_status rwkv_sampler_new(const rwkv_sampler_options *options, const rwkv_vocab *vocab,
                             size_t n_vocab, rwkv_sampler **out, rwkv_error *err)
{
    if (!options || !out)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "rwkv_sampler_new: options or out is NULL");
    struct rwkv_sampler *s = rw_calloc(1, sizeof *s);
    if (!s)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a sampler");
    rwkv_status status = rw_sampler_new(options, vocab, n_vocab, &s->sampler, err);
    if (status == RWKV_OK && !(s->candidates = rw_candidates_new(n_vocab)))
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory to draw from %zu tokens", n_vocab);
    if (status == RWKV_OK)
        *out = s;
    else
        rwkv_sampler_free(s);
    return status;
}

void rwkv_sampler_free(rwkv_sampler *sampler)
{
    if (!sampler)
        return;
    rw_sampler_free(sampler->sampler);
    rw_candidates_free(sampler->candidates);
    rw_free(sampler);
}

int32_t rwkv_sampler_sample(rwkv_sampler *sampler, const float *logits)
{
    return rw_sampler_sample(sampler->sampler, sampler->candidates, logits, NULL);
}

void rwkv_sampler_accept(rwkv_sampler *sampler, int32_t token)
{
    rw_sampler_accept(sampler->sampler, token);
}

void rwkv_sampler_reset(rwkv_sampler *sampler)
{
    rw_sampler_reset(sampler->sampler);
}
