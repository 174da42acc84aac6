/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large the inputs of each matrix are: the mean of their squares over the tokens of a text.
 * With it as weights, the least squares of quantization are those of the products.
 *
 * The file is the GGUF of llama.cpp's llama-imatrix: for each matrix NAME.in_sum2, the sums of the
 * squares [K], and NAME.counts, the number of tokens [1]; both F32.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/half.h"
#include "base/status.h"
#include "engine/quantize.h"

#define SUMS ".in_sum2"
#define COUNTS ".counts"
#define CHUNK ((size_t)128) /* tokens evaluated at a time; what the file calls a chunk */

struct entry {
    char name[128]; /* in a GGUF */
    size_t n;
    double *sums;   /* [n]: Σ x² */
    uint64_t count; /* tokens */
    float *means;   /* [n]: the sums over the count */
};

struct rwkv_importance {
    struct entry *entries;
    size_t n_entries, capacity;
    uint64_t tokens;
};

void rw_importance_free(struct rwkv_importance *importance)
{
    if (!importance)
        return;
    for (size_t i = 0; i < importance->n_entries; i++) {
        rw_free(importance->entries[i].sums);
        rw_free(importance->entries[i].means);
    }
    rw_free(importance->entries);
    rw_free(importance);
}

size_t rw_importance_count(const struct rwkv_importance *importance)
{
    return importance->n_entries;
}

static struct entry *find(const struct rwkv_importance *importance, const char *name)
{
    for (size_t i = 0; i < importance->n_entries; i++)
        if (strcmp(importance->entries[i].name, name) == 0)
            return &importance->entries[i];
    return NULL;
}

const float *rw_importance_find(const struct rwkv_importance *importance, const char *name,
                                size_t *n)
{
    const struct entry *e = find(importance, name);
    *n = e ? e->n : 0;
    return e ? e->means : NULL;
}

/* A new entry of zeros; NULL: no memory. */
static struct entry *add(struct rwkv_importance *importance, const char *name, size_t n)
{
    if (!rw_grow((void **)&importance->entries, importance->n_entries, &importance->capacity,
                 sizeof *importance->entries))
        return NULL;
    struct entry *e = &importance->entries[importance->n_entries];
    memset(e, 0, sizeof *e);
    snprintf(e->name, sizeof e->name, "%s", name);
    e->n = n;
    e->sums = rw_calloc(n, sizeof *e->sums);
    e->means = rw_calloc(n, sizeof *e->means);
    importance->n_entries++; /* owned from now on, even if a part is missing */
    return e->sums && e->means ? e : NULL;
}

/* The means of what was gathered or read; of sums as a file holds them, so that both are the same.
 */
static void finish(struct rwkv_importance *importance)
{
    for (size_t i = 0; i < importance->n_entries; i++) {
        struct entry *e = &importance->entries[i];
        for (size_t k = 0; k < e->n; k++)
            e->means[k] = (float)((double)(float)e->sums[k] / (double)e->count);
        importance->tokens = RW_MAX(importance->tokens, e->count);
    }
}

/* --- measuring -------------------------------------------------------------------------------- */

struct measuring {
    struct rwkv_importance *importance;
    const struct rwkv_model *model;
    size_t *places; /* [L, RW_SPEC_COUNT]: index of the entry + 1 */
    float *inputs;  /* [CHUNK, the most inputs of any matrix]: on this side of the backend */
    bool no_memory;
};

/* Which of the model's matrices this is. */
static bool identify(const struct rwkv_model *model, const struct rw_weight *w, enum rw_spec_id *id,
                     size_t *block)
{
    const struct rw_rwkv7_block *blocks = model->rwkv7.weights.blocks;
    const uint8_t *at = (const uint8_t *)w, *first = (const uint8_t *)blocks;
    if (at < first || at >= (const uint8_t *)(blocks + model->info.n_layer))
        return false;
    *block = (size_t)(at - first) / sizeof *blocks;
    size_t offset = (size_t)(at - first) % sizeof *blocks;
    for (size_t i = 0; i < rw_rwkv7_n_specs; i++)
        if (rw_rwkv7_specs[i].in_block && rw_rwkv7_specs[i].offset == offset) {
            *id = (enum rw_spec_id)i;
            return true;
        }
    return false;
}

static struct entry *entry_of(struct measuring *m, enum rw_spec_id id, size_t block, size_t n)
{
    size_t *place = &m->places[block * RW_SPEC_COUNT + id];
    if (*place)
        return &m->importance->entries[*place - 1];
    char name[128];
    rw_param_name(name, &rw_rwkv7_specs[id], RW_NAMES_GGUF, block);
    struct entry *e = add(m->importance, name, n);
    if (e)
        *place = m->importance->n_entries;
    return e;
}

/* x [tokens, n] */
static void add_squares(struct entry *e, const float *x, size_t tokens)
{
    for (size_t t = 0; t < tokens; t++, x += e->n)
        for (size_t k = 0; k < e->n; k++)
            e->sums[k] += (double)x[k] * (double)x[k];
    e->count += tokens;
}

/* A rw_observer. */
static void observe(void *user, const struct rw_matmul *ops, size_t n_ops, size_t n_tokens)
{
    struct measuring *m = user;
    struct rw_backend *be = m->model->rwkv7.backend;
    for (size_t i = 0; i < n_ops && !m->no_memory; i++) {
        enum rw_spec_id id;
        size_t block;
        if (!identify(m->model, ops[i].w, &id, &block))
            continue;
        struct entry *e = entry_of(m, id, block, ops[i].w->cols);
        m->no_memory = !e;
        if (!e)
            return;
        be->ops->download(be, m->inputs, ops[i].x, n_tokens * e->n);
        add_squares(e, m->inputs, n_tokens);
    }
}

/* Evaluate piece by piece. The hidden states asked for are what the head's inputs are. */
static rwkv_status run(struct measuring *m, struct rwkv_session *session, float *hidden,
                       const int32_t *tokens, size_t n_tokens, rwkv_progress_fn progress,
                       void *user, rwkv_error *err)
{
    for (size_t at = 0; at < n_tokens;) {
        size_t n = RW_MIN(CHUNK, n_tokens - at);
        const rwkv_segment segment = {session, tokens + at, n, NULL, hidden};
        RW_TRY(rw_segments_eval(&segment, 1, err));
        struct entry *head = entry_of(m, RW_SPEC_head, 0, m->model->info.n_embd);
        if (m->no_memory || !head)
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the importance of inputs");
        add_squares(head, hidden, n);
        at += n;
        if (progress && progress(user, at, n_tokens))
            return rw_fail(err, RWKV_ERROR_CANCELLED, "stopped after %zu of %zu tokens", at,
                           n_tokens);
    }
    return RWKV_OK;
}

/* A model whose numbers overflow has nothing to measure. */
static rwkv_status check_finite(const struct rwkv_importance *importance, const char *path,
                                rwkv_error *err)
{
    for (size_t i = 0; i < importance->n_entries; i++)
        for (size_t k = 0; k < importance->entries[i].n; k++)
            if (!isfinite(importance->entries[i].means[k]))
                return rw_fail(err, RWKV_ERROR_MODEL,
                               "%s: input %zu of %s is not finite on this text", path, k,
                               importance->entries[i].name);
    return RWKV_OK;
}

rwkv_status rw_importance_measure(struct rwkv_model *model, const int32_t *tokens, size_t n_tokens,
                                  rwkv_progress_fn progress, void *user,
                                  struct rwkv_importance **out, rwkv_error *err)
{
    struct rwkv_session *session = NULL;
    rwkv_status status;
    struct measuring m = {.model = model};
    size_t most = RW_MAX(model->info.n_embd, model->info.n_ffn);
    most = RW_MAX(most, RW_MAX(model->info.rank_w, model->info.rank_a));
    most = RW_MAX(most, RW_MAX(model->info.rank_v, model->info.rank_g));
    float *hidden = rw_alloc(CHUNK * model->info.n_embd, sizeof *hidden);
    m.inputs = rw_alloc(CHUNK * most, sizeof *m.inputs);
    m.importance = rw_calloc(1, sizeof *m.importance);
    m.places = rw_calloc(model->info.n_layer * RW_SPEC_COUNT, sizeof *m.places);
    if (!hidden || !m.inputs || !m.importance || !m.places)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the importance of inputs"));
    RW_GO(rw_session_new(model, &session, err));
    model->rwkv7.observer = (struct rw_observer){observe, &m};
    status = run(&m, session, hidden, tokens, n_tokens, progress, user, err);
    model->rwkv7.observer = (struct rw_observer){0};
    if (status != RWKV_OK)
        goto done;
    finish(m.importance);
    RW_GO(check_finite(m.importance, model->file->path, err));
    *out = m.importance;
    m.importance = NULL;
done:
    rw_session_free(session);
    rw_importance_free(m.importance);
    rw_free(m.places);
    rw_free(m.inputs);
    rw_free(hidden);
    return status;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The entry of tensor `sums`, whose name ends in SUMS. */
static rwkv_status read_entry(struct rwkv_importance *importance, const struct rw_file *file,
                              const struct rw_named_tensor *sums, rwkv_error *err)
{
    char name[128];
    float count;
    size_t stem = strlen(sums->name) - strlen(SUMS), n = rw_tensor_elements(&sums->tensor);
    snprintf(name, sizeof name, "%.*s" COUNTS, (int)stem, sums->name);
    const struct rw_tensor *counts = rw_file_find(file, name);
    name[RW_MIN(stem, sizeof name - 1)] = 0;
    if (!counts || counts->dtype != RWKV_DTYPE_F32 || rw_tensor_elements(counts) != 1 ||
        sums->tensor.dtype != RWKV_DTYPE_F32)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted sums and one count as F32",
                       file->path, name);
    rw_tensor_copy_f32(counts, 0, 1, &count);
    if (!(count >= 0) || !(count < 0x1p63f))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted a count of tokens, found %g",
                       file->path, name, (double)count);
    if (count < 1)
        return RWKV_OK; /* never seen */
    struct entry *e = add(importance, name, n);
    if (!e)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", file->path);
    rw_tensor_copy_f32(&sums->tensor, 0, n, e->means);
    for (size_t k = 0; k < n; k++) {
        if (!(e->means[k] >= 0) || !isfinite(e->means[k]))
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s: %s: wanted sums of squares, found %g at %zu", file->path, name,
                           (double)e->means[k], k);
        e->sums[k] = (double)e->means[k];
    }
    e->count = (uint64_t)count;
    return RWKV_OK;
}

static rwkv_status read_file(struct rwkv_importance *importance, const struct rw_file *file,
                             rwkv_error *err)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (rw_has_suffix(file->tensors[i].name, SUMS))
            RW_TRY(read_entry(importance, file, &file->tensors[i], err));
    if (importance->n_entries == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: wanted the importance of inputs, as 'rwkv quantize --importance-out' "
                       "writes it, found no tensor NAME" SUMS,
                       file->path);
    finish(importance);
    return RWKV_OK;
}

rwkv_status rw_importance_open(const char *path, struct rwkv_importance **out, rwkv_error *err)
{
    struct rw_file *file = NULL;
    rwkv_status status;
    struct rwkv_importance *importance = rw_calloc(1, sizeof *importance);
    if (!importance)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    RW_GO(rw_file_open(&file, path, err));
    RW_GO(read_file(importance, file, err));
    *out = importance;
    importance = NULL;
done:
    rw_file_close(file);
    rw_importance_free(importance);
    return status;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* The names of the two tensors of an entry. */
struct names {
    char sums[sizeof((struct entry *)0)->name + sizeof SUMS];
    char counts[sizeof((struct entry *)0)->name + sizeof COUNTS];
};

static rwkv_status write_floats(struct rw_writer *w, const double *values, size_t n,
                                rwkv_error *err)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[4];
        rw_store_u32(bytes, rw_f32_to_bits((float)values[i]));
        RW_TRY(rw_writer_data(w, bytes, sizeof bytes, err));
    }
    return RWKV_OK;
}

static rwkv_status write_entries(struct rw_writer *w, const struct rwkv_importance *importance,
                                 rwkv_error *err)
{
    for (size_t i = 0; i < importance->n_entries; i++) {
        const struct entry *e = &importance->entries[i];
        double count = (double)e->count;
        RW_TRY(write_floats(w, e->sums, e->n, err));
        RW_TRY(write_floats(w, &count, 1, err));
    }
    return RWKV_OK;
}

static rwkv_status save(const struct rwkv_importance *importance, const char *path,
                        const char *text, struct rw_named_tensor *tensors, struct names *names,
                        rwkv_error *err)
{
    struct rw_writer *w;
    uint8_t datasets[8 + 256];
    size_t size = RW_MIN(strlen(text), (size_t)256);
    rw_store_u64(datasets, size);
    memcpy(datasets + 8, text, size);
    const struct rw_meta meta[] = {
        {.key = "general.type", .type = RW_META_STRING, .value.s = {"imatrix", 7}},
        {.key = "imatrix.datasets",
         .type = RW_META_ARRAY,
         .item = RW_META_STRING,
         .count = 1,
         .items = {(const char *)datasets, 8 + size}},
        {.key = "imatrix.chunk_count",
         .type = RW_META_U32,
         .value.u = (importance->tokens + CHUNK - 1) / CHUNK},
        {.key = "imatrix.chunk_size", .type = RW_META_U32, .value.u = CHUNK},
    };
    for (size_t i = 0; i < importance->n_entries; i++) {
        const struct entry *e = &importance->entries[i];
        snprintf(names[i].sums, sizeof names[i].sums, "%s" SUMS, e->name);
        snprintf(names[i].counts, sizeof names[i].counts, "%s" COUNTS, e->name);
        tensors[2 * i].name = names[i].sums;
        tensors[2 * i + 1].name = names[i].counts;
        rw_tensor_init(&tensors[2 * i].tensor, RWKV_DTYPE_F32, 1, &e->n, NULL);
        rw_tensor_init(&tensors[2 * i + 1].tensor, RWKV_DTYPE_F32, 1, (size_t[]){1}, NULL);
    }
    const struct rw_write_plan plan = {tensors, 2 * importance->n_entries, meta, RW_COUNT(meta)};
    RW_TRY(rw_writer_open(&w, path, &plan, err));
    rwkv_status status = write_entries(w, importance, err);
    if (status == RWKV_OK)
        return rw_writer_commit(w, err);
    rw_writer_discard(w);
    return status;
}

rwkv_status rw_importance_save(const struct rwkv_importance *importance, const char *path,
                               const char *text, rwkv_error *err)
{
    if (!rw_has_suffix(path, ".gguf"))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a name that ends in .gguf", path);
    struct names *names = rw_calloc(importance->n_entries, sizeof *names);
    struct rw_named_tensor *tensors = rw_calloc(2 * importance->n_entries, sizeof *tensors);
    rwkv_status status = names && tensors
                             ? save(importance, path, text ? text : "", tensors, names, err)
                             : rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path);
    rw_free(names);
    rw_free(tensors);
    return status;
}
