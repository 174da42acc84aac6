/* SPDX-License-Identifier: Apache-2.0 */
/* The store of states, as rwkv_store.h describes it; arguments have been checked. */
#ifndef RW_ENGINE_STORE_H
#define RW_ENGINE_STORE_H

#include "engine/engine.h"
#include "rwkv_store.h"

struct rwkv_store;

rwkv_status rw_store_open(const rwkv_store_options *options, struct rwkv_store **out,
                          rwkv_error *err);
void rw_store_close(struct rwkv_store *store);
rwkv_status rw_store_flush(struct rwkv_store *store, rwkv_error *err);

rwkv_status rw_store_find(struct rwkv_store *store, struct rwkv_session *session,
                          const rwkv_owner *owner, const int32_t *tokens, size_t n_tokens,
                          size_t *found, rwkv_error *err);
rwkv_status rw_store_put(struct rwkv_store *store, const struct rwkv_session *session,
                         const rwkv_owner *owner, const int32_t *tokens, size_t n_tokens,
                         rwkv_error *err);

rwkv_status rw_store_save(struct rwkv_store *store, const struct rwkv_session *session,
                          const rwkv_owner *owner, const char *name,
                          const rwkv_store_save_options *options, rwkv_error *err);
rwkv_status rw_store_load(struct rwkv_store *store, struct rwkv_session *session,
                          const rwkv_owner *owner, const char *name, rwkv_error *err);
rwkv_status rw_store_copy(struct rwkv_store *store, const rwkv_owner *owner, const char *from,
                          const char *to, const rwkv_store_save_options *options, rwkv_error *err);
rwkv_status rw_store_remove(struct rwkv_store *store, const rwkv_owner *owner, const char *name,
                            rwkv_error *err);
rwkv_status rw_store_list(struct rwkv_store *store, const rwkv_owner *owner,
                          rwkv_store_state *states, size_t capacity, size_t *n, rwkv_error *err);
rwkv_status rw_store_get_state(struct rwkv_store *store, const rwkv_owner *owner, const char *name,
                               rwkv_store_state *state, rwkv_error *err);

void rw_store_get_stats(struct rwkv_store *store, rwkv_store_stats *stats);

#endif
