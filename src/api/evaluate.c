/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv_evaluate.h: argument checks and calls down; nothing else. */
#include "rwkv_evaluate.h"

#include "api/api_int.h"
#include "engine/engine.h"

rwkv_status rwkv_evaluator_new(rwkv_model *model, const rwkv_evaluate_options *options,
                               rwkv_evaluator **out, rwkv_error *err)
{
    static const rwkv_evaluate_options none;
    REQUIRE(model && out);
    return rw_evaluator_new(model, options ? options : &none, out, err);
}

void rwkv_evaluator_free(rwkv_evaluator *evaluator)
{
    rw_evaluator_free(evaluator);
}

rwkv_status rwkv_evaluator_feed(rwkv_evaluator *evaluator, const int32_t *tokens, size_t n_tokens,
                                rwkv_error *err)
{
    REQUIRE(evaluator && (tokens || n_tokens == 0));
    return rw_evaluator_feed(evaluator, tokens, n_tokens, err);
}

void rwkv_evaluator_result(const rwkv_evaluator *evaluator, rwkv_evaluation *out)
{
    rw_evaluator_result(evaluator, out);
}
