/* SPDX-License-Identifier: Apache-2.0 */
/* A meter: memory larger than the caches, and a model whose threads read it. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/engine.h"

#define READ_BYTES ((size_t)256 << 20)
#define READS 4 /* measurements that go once through it */

struct rwkv_meter {
    struct rwkv_model *model;
    uint8_t *memory; /* [READ_BYTES] */
    size_t reads;    /* so far */
};

rwkv_status rw_meter_new(struct rwkv_model *model, struct rwkv_meter **out, rwkv_error *err)
{
    struct rwkv_meter *meter = rw_calloc(1, sizeof *meter);
    uint8_t *memory = rw_alloc_aligned(READ_BYTES, 1);
    if (!meter || !memory) {
        rw_free(meter);
        rw_free(memory);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu bytes to read", READ_BYTES);
    }
    memset(memory, 1, READ_BYTES); /* so that every page exists and is its own */
    rw_model_retain(model);
    *meter = (struct rwkv_meter){.model = model, .memory = memory};
    *out = meter;
    return RWKV_OK;
}

void rw_meter_free(struct rwkv_meter *meter)
{
    if (!meter)
        return;
    rw_model_release(meter->model);
    rw_free(meter->memory);
    rw_free(meter);
}

double rw_meter_measure(struct rwkv_meter *meter, rwkv_limit limit)
{
    struct rw_backend *be = meter->model->host;
    size_t n = READ_BYTES / READS;
    pthread_mutex_lock(&meter->model->lock);
    const uint8_t *memory = meter->memory + meter->reads % READS * n;
    double rate = be->ops->measure(be, limit, memory, n);
    meter->reads += limit == RWKV_LIMIT_READ;
    pthread_mutex_unlock(&meter->model->lock);
    return rate;
}
