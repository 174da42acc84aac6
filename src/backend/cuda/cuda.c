/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA backend: memory, transfers, and the operations as launches of kernels in one stream. It
 * is a plugin, librwkv-cuda.so, with its own copy of what it needs of the library.
 */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/cuda_int.h"
#include "backend/plugin.h"
#include "base/alloc.h"
#include "base/status.h"
#include "tensor/tensor.h"

void rw_cuda_see(struct rw_cuda *c, cudaError_t status)
{
    if (c->failed == cudaSuccess)
        c->failed = status;
}

static void launched(struct rw_cuda *c)
{
    rw_cuda_see(c, cudaGetLastError());
}

/* Calls of the runtime are about the thread's current device. */
static struct rw_cuda *enter(struct rw_backend *be)
{
    struct rw_cuda *c = rw_cuda(be);
    rw_cuda_see(c, cudaSetDevice(c->device));
    return c;
}

/* --- memory ----------------------------------------------------------------------------------- */

void *rw_cuda_take(struct rw_cuda *c, size_t bytes)
{
    void *p = NULL;
    pthread_mutex_lock(&c->lock);
    bool room = rw_grow((void **)&c->memory, c->n_memory, &c->memory_capacity, sizeof *c->memory);
    if (room && cudaMalloc(&p, RW_MAX(bytes, (size_t)1)) == cudaSuccess)
        c->memory[c->n_memory++] = p;
    else
        p = NULL;
    pthread_mutex_unlock(&c->lock);
    return p;
}

void rw_cuda_give(struct rw_cuda *c, void *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n_memory; i++)
        if (c->memory[i] == p) {
            c->memory[i] = c->memory[--c->n_memory];
            break;
        }
    pthread_mutex_unlock(&c->lock);
    rw_cuda_see(c, cudaFree(p));
}

static float *cuda_alloc(struct rw_backend *be, size_t floats)
{
    struct rw_cuda *c = enter(be);
    float *p = rw_cuda_take(c, floats * sizeof *p);
    if (p)
        rw_cuda_see(c, cudaMemsetAsync(p, 0, floats * sizeof *p, c->stream));
    return p;
}

static uint64_t cuda_free_bytes(struct rw_backend *be)
{
    struct rw_cuda *c = enter(be);
    size_t available = 0, total;
    rw_cuda_see(c, cudaMemGetInfo(&available, &total));
    return available;
}

static bool cuda_has_head_size(const struct rw_backend *be, size_t n)
{
    (void)be;
    return n == 16 || n == 32 || n == 64 || n == 128;
}

static void cuda_release(struct rw_backend *be, float *p)
{
    rw_cuda_give(enter(be), p);
}

static void cuda_clear(struct rw_backend *be, float *p, size_t floats)
{
    struct rw_cuda *c = enter(be);
    rw_cuda_see(c, cudaMemsetAsync(p, 0, floats * sizeof *p, c->stream));
}

static void cuda_copy(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    struct rw_cuda *c = enter(be);
    rw_cuda_see(
        c, cudaMemcpyAsync(to, from, floats * sizeof *to, cudaMemcpyDeviceToDevice, c->stream));
}

static void cuda_upload(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    struct rw_cuda *c = enter(be);
    rw_cuda_see(c,
                cudaMemcpyAsync(to, from, floats * sizeof *to, cudaMemcpyHostToDevice, c->stream));
    rw_cuda_see(c, cudaStreamSynchronize(c->stream));
}

static void cuda_download(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    struct rw_cuda *c = enter(be);
    rw_cuda_see(c,
                cudaMemcpyAsync(to, from, floats * sizeof *to, cudaMemcpyDeviceToHost, c->stream));
    rw_cuda_see(c, cudaStreamSynchronize(c->stream));
}

static void cuda_download_rows(struct rw_backend *be, float *const *to, const float *from,
                               size_t rows, size_t floats)
{
    struct rw_cuda *c = enter(be);
    for (size_t i = 0; i < rows; i++)
        rw_cuda_see(c, cudaMemcpyAsync(to[i], from + i * floats, floats * sizeof *from,
                                       cudaMemcpyDeviceToHost, c->stream));
    rw_cuda_see(c, cudaStreamSynchronize(c->stream));
}

/* --- operations ------------------------------------------------------------------------------- */

/* Row `id` of the table, in either orientation. */
static void embed_row(float *to, const struct rw_weight *table, size_t id)
{
    size_t channels = table->cols;
    struct rw_tensor t = {.dtype = table->dtype, .n_dims = 2};
    const uint8_t *data = table->data;
    t.shape[0] = 1;
    t.stride[1] = 1;
    if (!table->input_major) {
        t.shape[1] = t.stride[0] = channels;
        t.data = data + id * table->stride;
        rw_tensor_copy_f32(&t, 0, channels, to);
        return;
    }
    t.shape[1] = t.stride[0] = table->rows;
    for (size_t k = 0; k < channels; k++) {
        t.data = data + k * table->stride;
        rw_tensor_copy_f32(&t, id, 1, to + k);
    }
}

static void cuda_embed(struct rw_backend *be, float *x, const struct rw_weight *table,
                       const int32_t *tokens, size_t n_tokens)
{
    struct rw_cuda *c = enter(be);
    size_t channels = table->cols;
    rw_cuda_see(c, cudaStreamSynchronize(c->stream)); /* what was embedded before is there */
    for (size_t t = 0; t < n_tokens; t++)
        embed_row(c->embedded + t * channels, table, (size_t)tokens[t]);
    rw_cuda_see(c, cudaMemcpyAsync(x, c->embedded, n_tokens * channels * sizeof *x,
                                   cudaMemcpyHostToDevice, c->stream));
}

static void cuda_layer_norm(struct rw_backend *be, float *y, const float *x, const float *weight,
                            const float *bias, float eps, size_t n_tokens, size_t channels)
{
    struct rw_cuda *c = enter(be);
    rw_cuda_launch_layer_norm(y, x, weight, bias, eps, (uint32_t)n_tokens, (uint32_t)channels,
                              c->stream);
    launched(c);
}

/* The batch's spans on the device. From one operation to the next they are the same, and often from
 * one step to the next. */
static void bring_spans(struct rw_cuda *c, const struct rw_batch *batch)
{
    bool same = c->n_spans == batch->n_spans && c->n_tokens == batch->tokens;
    for (size_t i = 0; i < batch->n_spans; i++) {
        const struct rw_span *span = &batch->spans[i];
        struct rw_cuda_span *to = &c->spans[i];
        same = same && to->first == span->first && to->count == span->count &&
               to->state == span->state;
        *to = (struct rw_cuda_span){(uint32_t)span->first, (uint32_t)span->count, span->state};
        for (size_t t = 0; t < span->count; t++)
            c->span_of[span->first + t] = (uint32_t)i;
    }
    c->n_spans = batch->n_spans;
    c->n_tokens = batch->tokens;
    if (same)
        return;
    rw_cuda_see(c, cudaMemcpyAsync(c->device_spans, c->spans, c->n_spans * sizeof *c->spans,
                                   cudaMemcpyHostToDevice, c->stream));
    rw_cuda_see(c, cudaMemcpyAsync(c->device_span_of, c->span_of, c->n_tokens * sizeof *c->span_of,
                                   cudaMemcpyHostToDevice, c->stream));
    rw_cuda_see(c, cudaStreamSynchronize(c->stream));
}

static void cuda_norm_mix(struct rw_backend *be, const struct rw_norm_mix *op,
                          const struct rw_batch *batch)
{
    struct rw_cuda *c = enter(be);
    bring_spans(c, batch);
    rw_cuda_launch_layer_norm(op->norm, op->x, op->weight, op->bias, op->eps,
                              (uint32_t)batch->tokens, (uint32_t)op->channels, c->stream);
    struct rw_cuda_mix mix = {
        .norm = op->norm,
        .spans = c->device_spans,
        .span_of = c->device_span_of,
        .shift = op->shift,
        .n_mix = (uint32_t)op->n_mix,
        .tokens = (uint32_t)batch->tokens,
        .n_spans = (uint32_t)batch->n_spans,
        .channels = (uint32_t)op->channels,
    };
    for (size_t i = 0; i < op->n_mix; i++) {
        mix.out[i] = op->out[i];
        mix.mu[i] = op->mu[i];
    }
    rw_cuda_launch_mix(&mix, c->stream);
    launched(c);
}

/* Products in the same numbers go together. */
static void cuda_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                        size_t n_tokens)
{
    struct rw_cuda *c = enter(be);
    struct rw_cuda_products all = {.tokens = (uint32_t)n_tokens};
    for (size_t i = 0; i < n_ops; i++) {
        const struct rw_cuda_weight *w = ops[i].w->data;
        all.items[all.n++] = (struct rw_cuda_product){
            .y = ops[i].y,
            .x = ops[i].x,
            .w = w->data,
            .scales = w->scales,
            .rows = (uint32_t)ops[i].w->rows,
            .cols = (uint32_t)ops[i].w->cols,
            .depth = (uint32_t)w->depth,
            .layout = w->layout,
            .epilogue = ops[i].epilogue,
        };
        const struct rw_cuda_weight *next = i + 1 < n_ops ? ops[i + 1].w->data : NULL;
        if (!next || next->numbers != w->numbers || all.n == RW_CUDA_PRODUCTS) {
            rw_cuda_launch_products(&all, w->numbers, c->stream);
            all.n = 0;
        }
    }
    launched(c);
}

static void cuda_wkv7(struct rw_backend *be, const struct rw_wkv7 *op, const struct rw_batch *batch)
{
    struct rw_cuda *c = enter(be);
    bring_spans(c, batch);
    if (op->head_size != 16 && op->head_size != 32 && op->head_size != 64 && op->head_size != 128)
        rw_cuda_see(c, cudaErrorInvalidValue); /* no kernel: the step fails */
    const struct rw_cuda_wkv7 wkv7 = {
        .out = op->out,
        .r = op->r,
        .g = op->g,
        .w = op->w,
        .k = op->k,
        .v = op->v,
        .a = op->a,
        .v_first = op->v_first,
        .v_gate = op->v_gate,
        .w0 = op->w0,
        .a0 = op->a0,
        .v0 = op->v0,
        .k_k = op->k_k,
        .k_a = op->k_a,
        .r_k = op->r_k,
        .norm_weight = op->norm_weight,
        .norm_bias = op->norm_bias,
        .spans = c->device_spans,
        .state = op->state,
        .eps = op->eps,
        .n_spans = (uint32_t)batch->n_spans,
        .heads = (uint32_t)op->heads,
        .head_size = (uint32_t)op->head_size,
    };
    rw_cuda_launch_wkv7(&wkv7, c->stream);
    launched(c);
}

/* --- the backend ------------------------------------------------------------------------------ */

static size_t cuda_scratch_bytes(const struct rw_backend *be, size_t tokens, size_t max_cols)
{
    (void)be;
    (void)max_cols;
    return tokens * (sizeof(struct rw_cuda_span) + sizeof(uint32_t));
}

static rwkv_status cuda_prepare(struct rw_backend *be, size_t tokens, size_t max_cols,
                                rwkv_error *err)
{
    struct rw_cuda *c = enter(be);
    void *pinned = NULL;
    if (c->tokens > 0)
        return RWKV_OK; /* for another stage of the same model */
    c->spans = rw_calloc(tokens, sizeof *c->spans);
    c->span_of = rw_calloc(tokens, sizeof *c->span_of);
    c->device_spans = rw_cuda_take(c, tokens * sizeof *c->spans);
    c->device_span_of = rw_cuda_take(c, tokens * sizeof *c->span_of);
    if (cudaMallocHost(&pinned, tokens * max_cols * sizeof(float)) != cudaSuccess)
        pinned = NULL;
    c->embedded = pinned;
    if (!c->spans || !c->span_of || !c->device_spans || !c->device_span_of || !pinned)
        return rw_fail(err, RWKV_ERROR_MEMORY, "cuda:%d: no memory for steps of %zu tokens",
                       c->device, tokens);
    c->tokens = tokens;
    return RWKV_OK;
}

static rwkv_status cuda_check(struct rw_backend *be, rwkv_error *err)
{
    struct rw_cuda *c = enter(be);
    cudaError_t failed = c->failed;
    c->failed = cudaSuccess;
    if (failed == cudaSuccess)
        return RWKV_OK;
    return rw_fail(err, failed == cudaErrorMemoryAllocation ? RWKV_ERROR_MEMORY : RWKV_ERROR_IO,
                   "cuda:%d: the device failed: %s", c->device, cudaGetErrorString(failed));
}

static void cuda_free(struct rw_backend *be)
{
    struct rw_cuda *c = enter(be);
    cudaStreamSynchronize(c->stream);
    for (size_t i = 0; i < c->n_memory; i++)
        cudaFree(c->memory[i]);
    while (c->weights) {
        struct rw_cuda_weight *w = c->weights;
        c->weights = w->next;
        rw_free(w);
    }
    if (c->embedded)
        cudaFreeHost(c->embedded);
    cudaStreamDestroy(c->stream);
    pthread_mutex_destroy(&c->lock);
    rw_free(c->memory);
    rw_free(c->spans);
    rw_free(c->span_of);
    rw_free(c);
}

static const struct rw_backend_ops cuda_ops = {
    .name = "cuda",
    .free = cuda_free,
    .scratch_bytes = cuda_scratch_bytes,
    .prepare = cuda_prepare,
    .check = cuda_check,
    .place = rw_cuda_place,
    .placed_bytes = rw_cuda_placed_bytes,
    .free_bytes = cuda_free_bytes,
    .has_head_size = cuda_has_head_size,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .clear = cuda_clear,
    .copy = cuda_copy,
    .upload = cuda_upload,
    .download = cuda_download,
    .download_rows = cuda_download_rows,
    .embed = cuda_embed,
    .layer_norm = cuda_layer_norm,
    .norm_mix = cuda_norm_mix,
    .matmul = cuda_matmul,
    .wkv7 = cuda_wkv7,
};

static rwkv_status refuse(cudaError_t status, const char *what, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "cuda: %s: %s", what, cudaGetErrorString(status));
}

static rwkv_status cuda_count(size_t *n, rwkv_error *err)
{
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    *n = (size_t)count;
    return status == cudaSuccess ? RWKV_OK : refuse(status, "no device can be used", err);
}

static rwkv_status cuda_describe(size_t index, rwkv_gpu *out, rwkv_error *err)
{
    struct cudaDeviceProp prop;
    size_t available = 0, total = 0;
    cudaError_t status = cudaGetDeviceProperties(&prop, (int)index);
    if (status == cudaSuccess)
        status = cudaSetDevice((int)index);
    if (status == cudaSuccess)
        status = cudaMemGetInfo(&available, &total);
    if (status != cudaSuccess)
        return refuse(status, "a device cannot be asked", err);
    *out = (rwkv_gpu){.memory_bytes = total, .free_bytes = available};
    snprintf(out->name, sizeof out->name, "%s", prop.name);
    snprintf(out->capability, sizeof out->capability, "%d.%d", prop.major, prop.minor);
    return RWKV_OK;
}

static rwkv_status cuda_open(struct rw_backend **out, size_t index, rwkv_error *err)
{
    struct rw_cuda *c = rw_calloc(1, sizeof *c);
    if (!c)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a backend");
    c->device = (int)index;
    cudaError_t status = cudaSetDevice(c->device);
    if (status == cudaSuccess)
        status = cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking);
    if (status != cudaSuccess) {
        rw_free(c);
        return refuse(status, "a device cannot be opened", err);
    }
    pthread_mutex_init(&c->lock, NULL);
    c->base = (struct rw_backend){&cuda_ops, "cuda", 1};
    *out = &c->base;
    return RWKV_OK;
}

__attribute__((visibility("default"))) extern const struct rw_plugin rw_cuda_plugin;
const struct rw_plugin rw_cuda_plugin = {
    .abi = RW_PLUGIN_ABI,
    .ops_bytes = sizeof(struct rw_backend_ops),
    .version = RW_VERSION,
    .count = cuda_count,
    .describe = cuda_describe,
    .open = cuda_open,
};
