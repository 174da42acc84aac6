/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin whose devices are the CPU with memory that nobody may touch but its operations: whoever
 * looks at a pointer of the backend from outside dies of it, as with a GPU's. There are two
 * devices.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/plugin.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/status.h"

#define BYTES ((size_t)1 << 30) /* of address space */
#define PAGE ((size_t)4096)

struct far {
    struct rw_backend base;
    struct rw_backend *cpu;
    pthread_mutex_t lock;
    uint8_t *memory; /* [BYTES] */
    size_t used;
};

static struct far *enter(struct rw_backend *be)
{
    struct far *f = (struct far *)be;
    pthread_mutex_lock(&f->lock);
    if (f->used > 0 && mprotect(f->memory, f->used, PROT_READ | PROT_WRITE) != 0)
        perror("mprotect");
    return f;
}

static void leave(struct far *f)
{
    if (f->used > 0 && mprotect(f->memory, f->used, PROT_NONE) != 0)
        perror("mprotect");
    pthread_mutex_unlock(&f->lock);
}

/* Inside: memory of whole pages. */
static void *take(struct far *f, size_t bytes)
{
    size_t size = (bytes + PAGE - 1) / PAGE * PAGE;
    if (size > BYTES - f->used)
        return NULL;
    uint8_t *p = f->memory + f->used;
    if (mprotect(p, size, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    f->used += size;
    return p;
}

static void far_free(struct rw_backend *be)
{
    struct far *f = (struct far *)be;
    f->cpu->ops->free(f->cpu);
    munmap(f->memory, BYTES);
    pthread_mutex_destroy(&f->lock);
    rw_free(f);
}

static size_t far_scratch_bytes(const struct rw_backend *be, size_t tokens, size_t max_cols)
{
    const struct far *f = (const struct far *)be;
    return f->cpu->ops->scratch_bytes(f->cpu, tokens, max_cols);
}

static rwkv_status far_prepare(struct rw_backend *be, size_t tokens, size_t max_cols,
                               rwkv_error *err)
{
    struct far *f = (struct far *)be;
    return f->cpu->ops->prepare(f->cpu, tokens, max_cols, err);
}

static rwkv_status far_place(struct rw_backend *be, struct rw_weight *w,
                             const struct rw_placing *placing, rwkv_error *err)
{
    (void)placing;
    size_t bytes = (w->input_major ? w->cols : w->rows) * w->stride;
    struct far *f = enter(be);
    void *copy = take(f, bytes);
    if (copy)
        memcpy(copy, w->data, bytes);
    leave(f);
    if (!copy)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no far memory for %zu bytes", bytes);
    w->data = copy;
    return RWKV_OK;
}

static uint64_t far_placed_bytes(const struct rw_backend *be, const struct rw_weight *w,
                                 const struct rw_placing *placing)
{
    (void)be;
    (void)placing;
    return (w->input_major ? w->cols : w->rows) * w->stride;
}

static uint64_t far_free_bytes(struct rw_backend *be)
{
    const char *limit = getenv("RWKV_FAR_BYTES");
    return (limit ? strtoull(limit, NULL, 10) : BYTES) - ((struct far *)be)->used;
}

static bool far_has_head_size(const struct rw_backend *be, size_t head_size)
{
    (void)be;
    return head_size > 0;
}

static float *far_alloc(struct rw_backend *be, size_t floats)
{
    struct far *f = enter(be);
    float *p = take(f, floats * sizeof(float));
    leave(f);
    return p;
}

static void far_release(struct rw_backend *be, float *p)
{
    (void)be;
    (void)p;
}

static void far_clear(struct rw_backend *be, float *p, size_t floats)
{
    struct far *f = enter(be);
    memset(p, 0, floats * sizeof(float));
    leave(f);
}

static void far_copy(struct rw_backend *be, float *to, const float *from, size_t floats)
{
    struct far *f = enter(be);
    memcpy(to, from, floats * sizeof(float));
    leave(f);
}

static void far_download_rows(struct rw_backend *be, float *const *to, const float *from,
                              size_t rows, size_t floats)
{
    struct far *f = enter(be);
    f->cpu->ops->download_rows(f->cpu, to, from, rows, floats);
    leave(f);
}

static void far_embed(struct rw_backend *be, float *x, const struct rw_weight *table,
                      const int32_t *tokens, size_t n_tokens)
{
    struct far *f = enter(be);
    f->cpu->ops->embed(f->cpu, x, table, tokens, n_tokens);
    leave(f);
}

static void far_layer_norm(struct rw_backend *be, float *y, const float *x, const float *weight,
                           const float *bias, float eps, size_t n_tokens, size_t channels)
{
    struct far *f = enter(be);
    f->cpu->ops->layer_norm(f->cpu, y, x, weight, bias, eps, n_tokens, channels);
    leave(f);
}

static void far_norm_mix(struct rw_backend *be, const struct rw_norm_mix *op,
                         const struct rw_batch *batch)
{
    struct far *f = enter(be);
    f->cpu->ops->norm_mix(f->cpu, op, batch);
    leave(f);
}

static void far_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                       size_t n_tokens)
{
    struct far *f = enter(be);
    f->cpu->ops->matmul(f->cpu, ops, n_ops, n_tokens);
    leave(f);
}

static void far_wkv7(struct rw_backend *be, const struct rw_wkv7 *op, const struct rw_batch *batch)
{
    struct far *f = enter(be);
    f->cpu->ops->wkv7(f->cpu, op, batch);
    leave(f);
}

static const struct rw_backend_ops far_ops = {
    .name = "far",
    .free = far_free,
    .scratch_bytes = far_scratch_bytes,
    .prepare = far_prepare,
    .place = far_place,
    .placed_bytes = far_placed_bytes,
    .free_bytes = far_free_bytes,
    .has_head_size = far_has_head_size,
    .alloc = far_alloc,
    .release = far_release,
    .clear = far_clear,
    .copy = far_copy,
    .upload = far_copy,
    .download = far_copy,
    .download_rows = far_download_rows,
    .embed = far_embed,
    .layer_norm = far_layer_norm,
    .norm_mix = far_norm_mix,
    .matmul = far_matmul,
    .wkv7 = far_wkv7,
};

static rwkv_status far_count(size_t *n, rwkv_error *err)
{
    (void)err;
    *n = 2;
    return RWKV_OK;
}

static rwkv_status far_describe(size_t index, rwkv_gpu *out, rwkv_error *err)
{
    (void)err;
    *out = (rwkv_gpu){.memory_bytes = BYTES, .free_bytes = BYTES};
    snprintf(out->name, sizeof out->name, "far memory %zu", index);
    snprintf(out->capability, sizeof out->capability, "0.0");
    return RWKV_OK;
}

static rwkv_status far_open(struct rw_backend **out, size_t index, rwkv_error *err)
{
    (void)index;
    struct far *f = rw_calloc(1, sizeof *f);
    if (!f)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a backend");
    f->memory = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    rwkv_status status = f->memory == MAP_FAILED
                             ? rw_fail(err, RWKV_ERROR_MEMORY, "no far memory")
                             : rw_backend_cpu_new(&f->cpu, 2, rw_cpu_detect(), err);
    if (status != RWKV_OK) {
        if (f->memory != MAP_FAILED)
            munmap(f->memory, BYTES);
        rw_free(f);
        return status;
    }
    pthread_mutex_init(&f->lock, NULL);
    f->base = (struct rw_backend){&far_ops, f->cpu->isa, f->cpu->threads};
    *out = &f->base;
    return RWKV_OK;
}

__attribute__((visibility("default"))) extern const struct rw_plugin rw_cuda_plugin;
const struct rw_plugin rw_cuda_plugin = {
    .abi = RW_PLUGIN_ABI,
    .ops_bytes = sizeof(struct rw_backend_ops),
    .version = RW_VERSION,
    .count = far_count,
    .describe = far_describe,
    .open = far_open,
};
