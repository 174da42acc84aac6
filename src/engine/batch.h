/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of rwkv_batch.h from the inside; arguments have been checked for NULL. */
#ifndef RW_ENGINE_BATCH_H
#define RW_ENGINE_BATCH_H

#include "rwkv_batch.h"

rwkv_status rw_batch_new(struct rwkv_model *model, const rwkv_batch_options *options,
                         struct rwkv_batch **out, rwkv_error *err);
void rw_batch_free(struct rwkv_batch *batch);
rwkv_status rw_batch_add(struct rwkv_batch *batch, const rwkv_batch_request *request, uint64_t *id,
                         rwkv_error *err);
void rw_batch_cancel(struct rwkv_batch *batch, uint64_t id);
size_t rw_batch_count(struct rwkv_batch *batch);
rwkv_status rw_batch_step(struct rwkv_batch *batch, rwkv_batch_stats *stats, rwkv_error *err);
int rw_batch_next(struct rwkv_batch *batch, rwkv_batch_event *event);

#endif
