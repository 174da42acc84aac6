/* SPDX-License-Identifier: Apache-2.0 */
#include "text/sampler.h"

#include "base/status.h"

rwkv_status rwkv_sampler_new(const rwkv_sampler_options *options, const rwkv_vocab *vocab,
                             size_t n_vocab, rwkv_sampler **out, rwkv_error *err)
{
    if (!options || !out)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "rwkv_sampler_new: options or out is NULL");
    return rw_sampler_new(options, vocab, n_vocab, out, err);
}

void rwkv_sampler_free(rwkv_sampler *sampler)
{
    rw_sampler_free(sampler);
}

int32_t rwkv_sampler_sample(rwkv_sampler *sampler, const float *logits)
{
    return rw_sampler_sample(sampler, logits);
}

void rwkv_sampler_accept(rwkv_sampler *sampler, int32_t token)
{
    rw_sampler_accept(sampler, token);
}

void rwkv_sampler_reset(rwkv_sampler *sampler)
{
    rw_sampler_reset(sampler);
}
