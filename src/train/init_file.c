/* SPDX-License-Identifier: Apache-2.0 */
/* Initial weights of whole models. */
#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "train/init.h"
#include "train/memory.h"
#include "train/parameters.h"
#include "train/trainer.h"

rwkv_status rw_init_values(float *values, const struct rw_parameters *parameters, uint64_t seed,
                           size_t threads, rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    struct rw_pool *pool = rw_pool_new(threads);
    const struct rw_init init = {.sizes = parameters->sizes, .seed = seed, .pool = pool};
    if (!pool)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu threads", threads);
    for (size_t i = 0; status == RWKV_OK && i < parameters->n; i++) {
        const struct rw_parameter *p = &parameters->list[i];
        status = rw_init_tensor(values + p->offset, &init, rw_parameter_id(p), p->block, p->rows,
                                p->cols, err);
    }
    rw_pool_free(pool);
    return status;
}

static rwkv_status check_memory(const char *path, const struct rw_parameters *p, uint64_t limit,
                                rwkv_error *err)
{
    size_t scratch = 0;
    for (size_t i = 0; i < p->n; i++)
        scratch = RW_MAX(scratch, rw_init_scratch(rw_parameter_id(&p->list[i]), p->list[i].rows,
                                                  p->list[i].cols));
    const struct rw_memory_part parts[] = {{"weights", (uint64_t)p->floats * sizeof(float)},
                                           {"work", scratch}};
    rwkv_status status =
        rw_memory_check(parts, RW_COUNT(parts), limit, rw_env_memory_available(), NULL, err);
    return status == RWKV_OK ? status : rw_fail_within(err, status, "%s", path);
}

rwkv_status rw_init_write(const char *path, const struct rw_sizes *sizes,
                          const rwkv_init_options *options, size_t threads, rw_convert_fn convert,
                          rwkv_error *err)
{
    struct rw_params params = {0};
    struct rw_parameters p = {0};
    float *values = NULL;
    rwkv_status status;
    RW_GO(rw_init_check(sizes, err));
    struct rw_ranks ranks = rw_init_ranks(sizes->n_embd);
    RW_GO(rw_params_make(&params, sizes, &ranks, RWKV_DTYPE_F32, err));
    RW_GO(rw_parameters_init(&p, &params, err));
    RW_GO(check_memory(path, &p, options->memory_limit, err));
    values = rw_alloc_aligned(p.floats, sizeof *values);
    if (!values)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu parameters", path, p.count));
    RW_GO(rw_init_values(values, &p, options->seed, threads, err));
    status = rw_parameters_export(&p, values, path, RWKV_DTYPE_F32, options->vocab, convert, err);
done:
    rw_free(values);
    rw_parameters_fini(&p);
    rw_params_close(&params);
    return status;
}
