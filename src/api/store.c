/* SPDX-License-Identifier: Apache-2.0 */
#include "rwkv_store.h"

#include "api/api_int.h"
#include "engine/store.h"

static const rwkv_store_save_options no_options;

rwkv_status rwkv_store_open(const rwkv_store_options *options, rwkv_store **out, rwkv_error *err)
{
    static const rwkv_store_options defaults;
    REQUIRE(out);
    return rw_store_open(options ? options : &defaults, out, err);
}

void rwkv_store_close(rwkv_store *store)
{
    rw_store_close(store);
}

rwkv_status rwkv_store_flush(rwkv_store *store, rwkv_error *err)
{
    REQUIRE(store);
    return rw_store_flush(store, err);
}

rwkv_status rwkv_store_find(rwkv_store *store, rwkv_session *session, const rwkv_owner *owner,
                            const int32_t *tokens, size_t n_tokens, size_t *found, rwkv_error *err)
{
    REQUIRE(store && session && owner && found);
    REQUIRE(tokens || n_tokens == 0);
    return rw_store_find(store, session, owner, tokens, n_tokens, found, err);
}

rwkv_status rwkv_store_put(rwkv_store *store, const rwkv_session *session, const rwkv_owner *owner,
                           const int32_t *tokens, size_t n_tokens, rwkv_error *err)
{
    REQUIRE(store && session && owner);
    REQUIRE(tokens && n_tokens > 0);
    return rw_store_put(store, session, owner, tokens, n_tokens, err);
}

rwkv_status rwkv_store_save(rwkv_store *store, const rwkv_session *session, const rwkv_owner *owner,
                            const char *name, const rwkv_store_save_options *options,
                            rwkv_error *err)
{
    REQUIRE(store && session && owner && name);
    return rw_store_save(store, session, owner, name, options ? options : &no_options, err);
}

rwkv_status rwkv_store_load(rwkv_store *store, rwkv_session *session, const rwkv_owner *owner,
                            const char *name, rwkv_error *err)
{
    REQUIRE(store && session && owner && name);
    return rw_store_load(store, session, owner, name, err);
}

rwkv_status rwkv_store_copy(rwkv_store *store, const rwkv_owner *owner, const char *from,
                            const char *to, const rwkv_store_save_options *options, rwkv_error *err)
{
    REQUIRE(store && owner && from && to);
    return rw_store_copy(store, owner, from, to, options ? options : &no_options, err);
}

rwkv_status rwkv_store_remove(rwkv_store *store, const rwkv_owner *owner, const char *name,
                              rwkv_error *err)
{
    REQUIRE(store && owner && name);
    return rw_store_remove(store, owner, name, err);
}

rwkv_status rwkv_store_list(rwkv_store *store, const rwkv_owner *owner, rwkv_store_state *states,
                            size_t capacity, size_t *n, rwkv_error *err)
{
    REQUIRE(store && owner && n);
    REQUIRE(states || capacity == 0);
    return rw_store_list(store, owner, states, capacity, n, err);
}

rwkv_status rwkv_store_get_state(rwkv_store *store, const rwkv_owner *owner, const char *name,
                                 rwkv_store_state *state, rwkv_error *err)
{
    REQUIRE(store && owner && name && state);
    return rw_store_get_state(store, owner, name, state, err);
}

void rwkv_store_get_stats(rwkv_store *store, rwkv_store_stats *stats)
{
    rw_store_get_stats(store, stats);
}
