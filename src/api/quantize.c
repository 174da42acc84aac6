/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv_quantize.h. */
#include "rwkv_quantize.h"

#include "api/api_int.h"
#include "engine/quantize.h"

rwkv_status rwkv_importance_measure(rwkv_model *model, const int32_t *tokens, size_t n_tokens,
                                    rwkv_progress_fn progress, void *user, rwkv_importance **out,
                                    rwkv_error *err)
{
    REQUIRE(model && tokens && n_tokens > 0 && out);
    return rw_importance_measure(model, tokens, n_tokens, progress, user, out, err);
}

rwkv_status rwkv_importance_open(const char *path, rwkv_importance **out, rwkv_error *err)
{
    REQUIRE(path && out);
    return rw_importance_open(path, out, err);
}

rwkv_status rwkv_importance_save(const rwkv_importance *importance, const char *path,
                                 const char *text, rwkv_error *err)
{
    REQUIRE(importance && path);
    return rw_importance_save(importance, path, text, err);
}

void rwkv_importance_free(rwkv_importance *importance)
{
    rw_importance_free(importance);
}

size_t rwkv_importance_count(const rwkv_importance *importance)
{
    return rw_importance_count(importance);
}

const float *rwkv_importance_find(const rwkv_importance *importance, const char *name,
                                  size_t *n_inputs)
{
    return rw_importance_find(importance, name, n_inputs);
}

rwkv_status rwkv_quantize(const char *in, const char *out, const rwkv_quantize_options *options,
                          rwkv_error *err)
{
    REQUIRE(in && out && options && (options->rules || options->n_rules == 0));
    for (size_t i = 0; i < options->n_rules; i++)
        REQUIRE(options->rules[i].pattern);
    return rw_quantize_model(in, out, options, err);
}
