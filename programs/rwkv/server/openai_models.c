/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/models and /v1/models/{id}. */
#include "server/call.h"

static void add_model(struct rw_json *j, const struct rw_model_entry *m)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "id", m->name);
    rw_json_text(j, "object", "model");
    rw_json_u64(j, "created", m->modified > 0 ? (uint64_t)m->modified : 0);
    rw_json_text(j, "owned_by", "rwkv.c");
    rw_json_bool(j, "loaded", m->loaded);
    rw_json_close(j);
}

void rw_list_models(struct rw_call *call)
{
    struct rw_json j = {0};
    size_t n = rw_models_scan(call->server->models);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "object", "list");
    rw_json_open(&j, "data", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < n; i++)
        add_model(&j, rw_models_at(call->server->models, i));
    rw_json_close(&j);
    rw_json_close(&j);
    rw_call_json(call, &j);
}

void rw_get_model(struct rw_call *call)
{
    struct rw_json j = {0};
    const struct rw_model_entry *m = rw_models_find(call->server->models, call->rest);
    if (!m)
        rw_api_fail(&call->error, 404, "invalid_request_error", "model_not_found",
                    "there is no model '%s'", call->rest);
    if (rw_call_refused(call))
        return;
    add_model(&j, m);
    rw_call_json(call, &j);
}
