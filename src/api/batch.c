/* SPDX-License-Identifier: Apache-2.0 */
#include "rwkv_batch.h"

#include "api/api_int.h"
#include "engine/batch.h"

rwkv_status rwkv_batch_new(rwkv_model *model, const rwkv_batch_options *options, rwkv_batch **out,
                           rwkv_error *err)
{
    static const rwkv_batch_options defaults;
    REQUIRE(model && out);
    return rw_batch_new(model, options ? options : &defaults, out, err);
}

void rwkv_batch_free(rwkv_batch *batch)
{
    rw_batch_free(batch);
}

rwkv_status rwkv_batch_add(rwkv_batch *batch, const rwkv_batch_request *request, uint64_t *id,
                           rwkv_error *err)
{
    REQUIRE(batch && request);
    REQUIRE(request->prompt || request->prompt_size == 0);
    REQUIRE(request->tokens || request->n_tokens == 0);
    REQUIRE(!request->prompt || !request->tokens);
    REQUIRE(request->marks || request->n_marks == 0);
    return rw_batch_add(batch, request, id, err);
}

void rwkv_batch_cancel(rwkv_batch *batch, uint64_t id)
{
    rw_batch_cancel(batch, id);
}

size_t rwkv_batch_count(const rwkv_batch *batch)
{
    return rw_batch_count((rwkv_batch *)batch);
}

rwkv_status rwkv_batch_step(rwkv_batch *batch, rwkv_batch_stats *stats, rwkv_error *err)
{
    REQUIRE(batch);
    return rw_batch_step(batch, stats, err);
}

int rwkv_batch_next(rwkv_batch *batch, rwkv_batch_event *event)
{
    return rw_batch_next(batch, event);
}
