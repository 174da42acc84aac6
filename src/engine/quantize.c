/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model into a GGUF of block types. The conversion to GGUF says which tensors there are and from
 * what they are made; here every tensor goes, some rows at a time, through all threads: read as
 * floats, encoded, decoded again to measure the error, and written. Sums are kept for each row and
 * added up in order, so that reports do not depend on threads either.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/status.h"
#include "engine/quantize.h"
#include "tensor/quantize.h"

#define PART ((size_t)1 << 20)      /* numbers at a time, or a row for each thread */
#define PART_ROWS ((size_t)1 << 14) /* at most */
#define PIECE ((size_t)1 << 13)     /* of them, what a thread takes at a time, or a row */

/* Weights get this share of their mean added: an input that was never seen still counts. */
#define FLOOR 0.001

/* What is known of a row that was encoded. */
struct row {
    double square_error, square_sum, weighted_error, weighted_sum;
    float max_error;
    bool refused;      /* a number that is not finite or does not fit */
    size_t refused_at; /* its column */
    float refused_value;
};

struct quantization {
    struct conversion c;
    const rwkv_quantize_options *options;
    struct rw_pool *pool;
    rwkv_dtype *wanted; /* [n_outputs] */
    float *floats;      /* [part rows, columns] */
    float *back;        /* [threads, columns]: a row decoded */
    uint8_t *bytes;     /* the part encoded */
    struct row *rows;   /* [part rows] */
    float *weights;     /* [columns] */
};

static size_t columns_of(const struct rw_tensor *t)
{
    return t->n_dims ? t->shape[t->n_dims - 1] : 1;
}

static size_t rows_of_part(const struct quantization *q, size_t columns)
{
    size_t rows = RW_MIN(PART / RW_MAX(columns, (size_t)1), PART_ROWS);
    return RW_MAX(rows, rw_pool_threads(q->pool));
}

/* --- rows ------------------------------------------------------------------------------------- */

/* Rows [first, first + count) of a view, for all threads. */
struct part {
    struct quantization *q;
    const struct rw_tensor *from;
    const float *weights; /* nullable */
    rwkv_dtype to;
    size_t first, count, columns, row_bytes;
};

/* The largest magnitude a type can hold. */
static float limit_of(rwkv_dtype dtype)
{
    return dtype == RWKV_DTYPE_F32    ? FLT_MAX
           : dtype == RWKV_DTYPE_BF16 ? 0x1.fep127f
                                      : RW_QUANTIZE_MAX;
}

static bool check_row(struct row *row, const float *x, size_t n, float limit)
{
    for (size_t i = 0; i < n; i++) {
        if (fabsf(x[i]) <= limit)
            continue;
        row->refused = true;
        row->refused_at = i;
        row->refused_value = isnan(x[i]) ? NAN : x[i]; /* of no sign */
        return false;
    }
    return true;
}

static void measure_row(struct row *row, const float *x, const float *back, const float *weights,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double value = (double)x[i], error = value - (double)back[i];
        double weight = weights ? (double)weights[i] : 1;
        row->square_error += error * error;
        row->square_sum += value * value;
        row->weighted_error += weight * error * error;
        row->weighted_sum += weight * value * value;
        float size = (float)fabs(error);
        row->max_error = size > row->max_error ? size : row->max_error;
    }
}

/* Row r of the part. Blocks that stay of their type are copied: a search would not find them. */
static void encode_row(const struct part *p, size_t r, float *back)
{
    struct row *row = &p->q->rows[r];
    float *x = p->q->floats + r * p->columns;
    uint8_t *bytes = p->q->bytes + r * p->row_bytes;
    size_t first = (p->first + r) * p->columns;
    memset(row, 0, sizeof *row);
    rw_tensor_copy_f32(p->from, first, p->columns, x);
    if (!check_row(row, x, p->columns, limit_of(p->to)))
        return;
    if (!rw_dtype_is_block(p->to))
        rw_from_f32(p->to, bytes, x, p->columns);
    else if (p->from->dtype == p->to)
        rw_tensor_copy(p->from, first, p->columns, bytes);
    else
        rw_quantize(p->to, bytes, x, p->columns, p->weights);
    rw_to_f32(p->to, back, bytes, p->columns);
    measure_row(row, x, back, p->weights, p->columns);
}

/* Rows that a thread takes at a time. */
static size_t rows_of_piece(size_t columns)
{
    return RW_MAX(PIECE / RW_MAX(columns, (size_t)1), (size_t)1);
}

/* A rw_pool_piece_fn. */
static void encode_rows(void *ctx, size_t piece, size_t thread)
{
    const struct part *p = ctx;
    size_t rows = rows_of_piece(p->columns), end = RW_MIN((piece + 1) * rows, p->count);
    for (size_t r = piece * rows; r < end; r++)
        encode_row(p, r, p->q->back + thread * p->columns);
}

/* Add the rows of a part to the report, or fail for one that was refused. */
static rwkv_status add_rows(const struct part *p, rwkv_quantized_tensor *report,
                            double *weighted_sum, rwkv_error *err)
{
    for (size_t r = 0; r < p->count; r++) {
        const struct row *row = &p->q->rows[r];
        if (row->refused)
            return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                           "%s: tensor %s: row %zu, column %zu: wanted a magnitude of at most %g "
                           "for type %s, found %g",
                           p->q->c.file->path, report->name, p->first + r, row->refused_at,
                           (double)limit_of(p->to), rwkv_dtype_name(p->to),
                           (double)row->refused_value);
        report->square_error += row->square_error;
        report->square_sum += row->square_sum;
        report->weighted_error += row->weighted_error;
        *weighted_sum += row->weighted_sum;
        report->max_error = fmax(report->max_error, (double)row->max_error);
    }
    return RWKV_OK;
}

/* --- tensors ---------------------------------------------------------------------------------- */

static rwkv_status write_view(struct quantization *q, struct rw_writer *w,
                              const struct rw_tensor *from, const float *weights,
                              rwkv_quantized_tensor *report, double *weighted_sum, rwkv_error *err)
{
    struct part p = {q, from, weights, report->to, .columns = columns_of(from)};
    size_t n_rows = p.columns ? rw_tensor_elements(from) / p.columns : 0;
    rw_dtype_size(p.to, p.columns, &p.row_bytes);
    for (p.first = 0; p.first < n_rows; p.first += p.count) {
        p.count = RW_MIN(rows_of_part(q, p.columns), n_rows - p.first);
        size_t rows = rows_of_piece(p.columns);
        rw_pool_each(q->pool, encode_rows, &p, (p.count + rows - 1) / rows);
        RW_TRY(add_rows(&p, report, weighted_sum, err));
        RW_TRY(rw_writer_data(w, q->bytes, p.count * p.row_bytes, err));
        RW_TRY(rw_conversion_progress(&q->c, p.count * p.row_bytes, err));
    }
    return RWKV_OK;
}

/* The weights of the columns of a matrix, NULL where its importance is not known. */
static rwkv_status find_weights(struct quantization *q, const struct rw_named_tensor *named,
                                const float **weights, rwkv_error *err)
{
    size_t n, columns = columns_of(&named->tensor);
    double mean = 0;
    *weights = NULL;
    if (!q->options->importance)
        return RWKV_OK;
    const float *found = rw_importance_find(q->options->importance, named->name, &n);
    if (!found)
        return RWKV_OK;
    if (n != columns)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted the importance of %zu inputs, found that of %zu: it was "
                       "measured on another model",
                       named->name, columns, n);
    for (size_t k = 0; k < n; k++)
        mean += (double)found[k] / (double)n;
    if (!(mean > 0))
        return RWKV_OK; /* no input was ever there */
    for (size_t k = 0; k < n; k++)
        q->weights[k] = (float)((double)found[k] / mean + FLOOR);
    *weights = q->weights;
    return RWKV_OK;
}

static rwkv_status write_tensor(struct quantization *q, struct rw_writer *w, size_t i,
                                rwkv_error *err)
{
    const struct output *o = &q->c.outputs[i];
    const struct rw_named_tensor *named = &q->c.tensors[i];
    rwkv_quantized_tensor report = {
        .name = named->name,
        .n_dims = named->tensor.n_dims,
        .from = o->sources[0]->tensor.dtype,
        .to = named->tensor.dtype,
        .wanted = q->wanted[i],
        .is_matrix = rw_quantize_is_matrix(o),
        .n_elements = rw_tensor_elements(&named->tensor),
        .n_bytes = rw_tensor_bytes(&named->tensor),
    };
    const float *weights = NULL;
    double weighted_sum = 0;
    memcpy(report.shape, named->tensor.shape, sizeof report.shape);
    if (report.is_matrix)
        RW_TRY(find_weights(q, named, &weights, err));
    report.weighted = weights != NULL;
    for (size_t j = 0; j < o->n_sources; j++) {
        struct rw_tensor from;
        float *floats;
        RW_TRY(rw_conversion_view(o, j, &from, &floats, err));
        rwkv_status status = write_view(q, w, &from, weights, &report, &weighted_sum, err);
        rw_free(floats);
        RW_TRY(status);
    }
    report.weighted_error = weighted_sum > 0 ? report.weighted_error / weighted_sum : 0;
    if (q->options->report)
        q->options->report(q->options->report_user, &report);
    return RWKV_OK;
}

static rwkv_status write_model(struct quantization *q, const char *path, rwkv_error *err)
{
    struct rw_writer *w = NULL;
    rwkv_status status;
    const struct conversion *c = &q->c;
    struct rw_write_plan plan = {c->tensors, c->n_outputs, c->meta.items, c->meta.count};
    RW_GO(rw_writer_open(&w, path, &plan, err));
    for (size_t i = 0; i < c->n_outputs; i++)
        RW_GO(write_tensor(q, w, i, err));
    status = rw_writer_commit(w, err);
    w = NULL;
done:
    rw_writer_discard(w);
    return status;
}

/* --- the whole -------------------------------------------------------------------------------- */

static rwkv_status check_options(const rwkv_quantize_options *options, rwkv_error *err)
{
    if (options->dtype >= RWKV_DTYPE_MODEL_COUNT || !rw_dtype_is_block(options->dtype))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "type: wanted a block type, found %s",
                       rwkv_dtype_name(options->dtype));
    if (options->threads < 0 || options->threads > RW_MAX_THREADS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "threads: wanted 0 to %d, found %d",
                       RW_MAX_THREADS, options->threads);
    return RWKV_OK;
}

static rwkv_status take_memory(struct quantization *q, rwkv_error *err)
{
    size_t most = 0, columns = 0;
    for (size_t i = 0; i < q->c.n_outputs; i++) {
        size_t n = columns_of(&q->c.tensors[i].tensor);
        columns = RW_MAX(columns, n);
        most = RW_MAX(most, rows_of_part(q, n) * n);
    }
    q->floats = rw_alloc_aligned(most, sizeof *q->floats);
    q->bytes = rw_alloc_aligned(most, sizeof(float));
    q->back = rw_alloc_aligned(rw_pool_threads(q->pool) * columns, sizeof *q->back);
    q->weights = rw_alloc_aligned(columns, sizeof *q->weights);
    q->rows = rw_alloc(RW_MAX(PART_ROWS, rw_pool_threads(q->pool)), sizeof *q->rows);
    return q->floats && q->bytes && q->back && q->weights && q->rows
               ? RWKV_OK
               : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a part of a tensor");
}

/* An importance of which nothing fits was measured on another model. */
static rwkv_status check_importance(const struct quantization *q, rwkv_error *err)
{
    size_t n;
    for (size_t i = 0; q->options->importance && i < q->c.n_outputs; i++)
        if (rw_importance_find(q->options->importance, q->c.tensors[i].name, &n))
            return RWKV_OK;
    return q->options->importance
               ? rw_fail(err, RWKV_ERROR_ARGUMENT,
                         "the importance of inputs given names no matrix of %s", q->c.file->path)
               : RWKV_OK;
}

static rwkv_status quantize(struct quantization *q, const char *in, const char *out,
                            rwkv_error *err)
{
    RW_TRY(check_options(q->options, err));
    if (!rw_has_suffix(out, ".gguf"))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a name that ends in .gguf", out);
    RW_TRY(rw_conversion_open(&q->c, in, out, err));
    RW_TRY(rw_conversion_list(&q->c, err));
    q->wanted = rw_alloc(q->c.n_outputs, sizeof *q->wanted);
    size_t threads = (size_t)q->options->threads;
    q->pool = rw_pool_new(threads ? threads : rw_pool_default_threads());
    if (!q->wanted || !q->pool)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory or no threads to quantize with");
    RW_TRY(rw_quantize_policy(&q->c, q->options, q->wanted, err));
    RW_TRY(check_importance(q, err));
    RW_TRY(rw_conversion_meta(&q->c, err));
    RW_TRY(take_memory(q, err));
    return write_model(q, out, err);
}

rwkv_status rw_quantize_model(const char *in, const char *out, const rwkv_quantize_options *options,
                              rwkv_error *err)
{
    const rwkv_convert_options conversion = {
        .vocab = options->vocab,
        .overwrite = options->overwrite,
        .progress = options->progress,
        .progress_user = options->progress_user,
    };
    struct quantization q = {.c = {.options = &conversion}, .options = options};
    rwkv_status status = quantize(&q, in, out, err);
    rw_conversion_fini(&q.c);
    rw_params_close(&q.c.params);
    rw_file_close(q.c.file);
    rw_pool_free(q.pool);
    rw_free(q.wanted);
    rw_free(q.floats);
    rw_free(q.back);
    rw_free(q.bytes);
    rw_free(q.rows);
    rw_free(q.weights);
    return status;
}
