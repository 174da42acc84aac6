/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all writers share: the plan is checked before a file is made, the pieces of data are counted
 * against it, and each format is called at its steps. The format decides the bytes; base/output.h
 * sees to it that the file is whole or absent.
 */
#include "formats/format.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/output.h"
#include "base/status.h"

struct rw_writer {
    const struct rw_writer_ops *ops;
    void *self; /* the format's own data; NULL until `begin` is called */
    char *path;
    struct rw_output *output;
    struct rw_write_plan plan;
    size_t at;   /* the current tensor; n_tensors after the last */
    size_t left; /* bytes of it still to come */
    uint32_t crc;
};

const char *rw_writer_path(const struct rw_writer *w)
{
    return w->path;
}

struct rw_output *rw_writer_output(struct rw_writer *w)
{
    return w->output;
}

const struct rw_write_plan *rw_writer_plan(const struct rw_writer *w)
{
    return &w->plan;
}

uint32_t rw_writer_crc(const struct rw_writer *w)
{
    return w->crc;
}

/* --- checking the plan --- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rwkv_status check_names(const struct rw_write_plan *plan, const char *path, rwkv_error *err)
{
    const char **names = rw_alloc(plan->n_tensors, sizeof *names);
    if (!names)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the list of tensors", path);
    for (size_t i = 0; i < plan->n_tensors; i++)
        names[i] = plan->tensors[i].name;
    qsort(names, plan->n_tensors, sizeof *names, compare_names);
    rwkv_status status = RWKV_OK;
    for (size_t i = 1; i < plan->n_tensors && status == RWKV_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: tensor \"%s\": would be written twice",
                             path, names[i]);
    rw_free(names);
    return status;
}

/* Sizes are multiples of the block along rows, and every size fits size_t. */
static rwkv_status check_size(const struct rw_named_tensor *named, const char *path,
                              rwkv_error *err)
{
    const struct rw_tensor *t = &named->tensor;
    const struct rw_dtype_info *info = rw_dtype(t->dtype);
    size_t row = t->n_dims ? t->shape[t->n_dims - 1] : 1;
    if (row % info->block != 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: tensor \"%s\": wanted rows of a multiple of %u elements for type %s, "
                       "found %zu",
                       path, named->name, info->block, info->name, row);
    size_t elements = 1, bytes;
    for (size_t i = 0; i < t->n_dims; i++)
        if (!rw_mul(elements, t->shape[i], &elements))
            elements = SIZE_MAX;
    if (elements == SIZE_MAX || !rw_dtype_size(t->dtype, elements, &bytes))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: tensor \"%s\": its size overflows", path,
                       named->name);
    return RWKV_OK;
}

static rwkv_status check_plan(const struct rw_write_plan *plan, const char *path, rwkv_error *err)
{
    RW_TRY(check_names(plan, path, err));
    for (size_t i = 0; i < plan->n_tensors; i++)
        RW_TRY(check_size(&plan->tensors[i], path, err));
    return RWKV_OK;
}

/* --- writing --- */

/* Announce tensor `at`, and those after it as long as they are empty. */
static rwkv_status start_tensor(struct rw_writer *w, rwkv_error *err)
{
    for (; w->at < w->plan.n_tensors; w->at++) {
        w->left = rw_tensor_bytes(&w->plan.tensors[w->at].tensor);
        w->crc = 0;
        if (w->ops->tensor)
            RW_TRY(w->ops->tensor(w, w->self, w->at, err));
        if (w->left > 0)
            return RWKV_OK;
        if (w->ops->after)
            RW_TRY(w->ops->after(w, w->self, w->at, err));
    }
    return RWKV_OK;
}

static rwkv_status begin(struct rw_writer *w, const char *path, rwkv_error *err)
{
    RW_TRY(check_plan(&w->plan, path, err));
    w->path = rw_strdup(path);
    if (!w->path)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path);
    RW_TRY(rw_output_open(&w->output, path, err));
    w->self = rw_calloc(1, w->ops->size);
    if (!w->self)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path);
    RW_TRY(w->ops->begin(w, w->self, err));
    return start_tensor(w, err);
}

rwkv_status rw_writer_open(struct rw_writer **out, const char *path,
                           const struct rw_write_plan *plan, rwkv_error *err)
{
    const struct rw_format *format = rw_format_by_suffix(path);
    if (!format || !format->writer)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a name that ends in %s", path,
                       RW_FORMAT_SUFFIXES);
    struct rw_writer *w = rw_calloc(1, sizeof *w);
    if (!w)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path);
    w->ops = format->writer;
    w->plan = *plan;
    rwkv_status status = begin(w, path, err);
    if (status == RWKV_OK)
        *out = w;
    else
        rw_writer_discard(w);
    return status;
}

rwkv_status rw_writer_data(struct rw_writer *w, const void *bytes, size_t n, rwkv_error *err)
{
    if (n == 0)
        return RWKV_OK;
    assert(n <= w->left);
    RW_TRY(rw_output_write(w->output, bytes, n, err));
    if (w->ops->after)
        w->crc = rw_crc32(w->crc, bytes, n);
    w->left -= n;
    if (w->left > 0)
        return RWKV_OK;
    if (w->ops->after)
        RW_TRY(w->ops->after(w, w->self, w->at, err));
    w->at++;
    return start_tensor(w, err);
}

rwkv_status rw_writer_commit(struct rw_writer *w, rwkv_error *err)
{
    assert(w->at == w->plan.n_tensors);
    rwkv_status status = w->ops->end ? w->ops->end(w, w->self, err) : RWKV_OK;
    if (status == RWKV_OK) {
        struct rw_output *output = w->output;
        w->output = NULL;
        status = rw_output_commit(output, err);
    }
    rw_writer_discard(w);
    return status;
}

void rw_writer_discard(struct rw_writer *w)
{
    if (!w)
        return;
    if (w->self && w->ops->fini)
        w->ops->fini(w, w->self);
    rw_output_discard(w->output);
    rw_free(w->self);
    rw_free(w->path);
    rw_free(w);
}
