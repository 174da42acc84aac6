/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize_report.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/status.h"
#include "json_out.h"
#include "say.h"

void rw_quantize_report_add(void *to, const rwkv_quantized_tensor *tensor)
{
    struct rw_quantize_report *report = to;
    char *name = rw_strdup(tensor->name);
    if (!name || !rw_grow((void **)&report->tensors, report->count, &report->capacity,
                          sizeof *report->tensors)) {
        rw_free(name);
        report->failed = true;
        return;
    }
    report->tensors[report->count] = *tensor;
    report->tensors[report->count++].name = name;
}

void rw_quantize_report_fini(struct rw_quantize_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        rw_free((char *)(uintptr_t)report->tensors[i].name);
    rw_free(report->tensors);
}

static double bits_of(const rwkv_quantized_tensor *t)
{
    return 8 * (double)t->n_bytes / (double)t->n_elements;
}

/* The root mean square of the errors over that of the numbers. */
static double relative_error(const rwkv_quantized_tensor *t)
{
    return t->square_sum > 0 ? sqrt(t->square_error / t->square_sum) : 0;
}

/* Elements and bytes of all tensors, errors of the matrices as if they were one. */
static rwkv_quantized_tensor total_of(const struct rw_quantize_report *report)
{
    rwkv_quantized_tensor total = {0};
    for (size_t i = 0; i < report->count; i++) {
        const rwkv_quantized_tensor *t = &report->tensors[i];
        total.n_elements += t->n_elements;
        total.n_bytes += t->n_bytes;
        if (!t->is_matrix)
            continue;
        total.square_error += t->square_error;
        total.square_sum += t->square_sum;
        total.max_error = fmax(total.max_error, t->max_error);
    }
    return total;
}

/* --- text ------------------------------------------------------------------------------------- */

void rw_quantize_report_table(const struct rw_quantize_report *report)
{
    uint64_t vectors = 0, vector_bytes = 0;
    rw_outf("%-38s %-13s %-14s %6s %9s %9s %10s\n", "tensor", "shape", "type", "bits", "error",
            "weighted", "largest");
    for (size_t i = 0; i < report->count; i++) {
        const rwkv_quantized_tensor *t = &report->tensors[i];
        char shape[48], types[48], weighted[16] = "-";
        if (!t->is_matrix) {
            vectors++;
            vector_bytes += t->n_bytes;
            continue;
        }
        snprintf(shape, sizeof shape, "[%zu, %zu]", t->shape[0], t->shape[1]);
        snprintf(types, sizeof types, "%s -> %s", rwkv_dtype_name(t->from), rwkv_dtype_name(t->to));
        if (t->weighted)
            snprintf(weighted, sizeof weighted, "%.3f %%", 100 * sqrt(t->weighted_error));
        rw_outf("%-38s %-13s %-14s %6.3f %7.3f %% %9s %10.3g%s\n", t->name, shape, types,
                bits_of(t), 100 * relative_error(t), weighted, t->max_error,
                t->wanted != t->to ? " *" : "");
    }
    rwkv_quantized_tensor total = total_of(report);
    rw_outf("%llu vectors F32, %s\n", (unsigned long long)vectors,
            rw_show_bytes(vector_bytes).text);
    rw_outf("all: %s, %.3f bits a number, error %.3f %%\n", rw_show_bytes(total.n_bytes).text,
            bits_of(&total), 100 * relative_error(&total));
}

/* What the user may not have expected. */
static void note_surprises(const struct rw_quantize_report *report)
{
    size_t again = 0, gave_way = 0;
    const rwkv_quantized_tensor *first_again = NULL, *first_way = NULL;
    for (size_t i = report->count; i-- > 0;) {
        const rwkv_quantized_tensor *t = &report->tensors[i];
        if (t->from > RWKV_DTYPE_BF16 && t->from < RWKV_DTYPE_MODEL_COUNT && t->from != t->to) {
            again++;
            first_again = t;
        }
        if (t->wanted != t->to) {
            gave_way++;
            first_way = t;
        }
    }
    if (again)
        rw_note(
            "note: %zu tensor%s %s quantized before (%s: %s): the error then made stays, and is "
            "not in these numbers\n",
            again, again == 1 ? "" : "s", again == 1 ? "was" : "were", first_again->name,
            rwkv_dtype_name(first_again->from));
    if (gave_way)
        rw_note("note: rows of %zu tensor%s fit no block of the type wanted (%s: %s for %s)\n",
                gave_way, gave_way == 1 ? "" : "s", first_way->name, rwkv_dtype_name(first_way->to),
                rwkv_dtype_name(first_way->wanted));
}

void rw_quantize_report_summary(const struct rw_quantize_report *report, const char *out)
{
    struct stat st;
    rwkv_quantized_tensor total = total_of(report);
    note_surprises(report);
    if (stat(out, &st) == 0)
        rw_note("%s: %s written, %.2f bits a number, error %.3f %%\n", out,
                rw_show_bytes((uint64_t)st.st_size).text, bits_of(&total),
                100 * relative_error(&total));
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void add_numbers(struct rw_json *j, const rwkv_quantized_tensor *t)
{
    rw_json_u64(j, "elements", t->n_elements);
    rw_json_u64(j, "bytes", t->n_bytes);
    rw_json_real(j, "bits", bits_of(t));
    rw_json_real(j, "error", relative_error(t));
    rw_json_real(j, "max_error", t->max_error);
}

static void add_tensor(struct rw_json *j, const rwkv_quantized_tensor *t)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "name", t->name);
    rw_json_open(j, "shape", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < t->n_dims; i++)
        rw_json_u64(j, NULL, t->shape[i]);
    rw_json_close(j);
    rw_json_text(j, "from", rwkv_dtype_name(t->from));
    rw_json_text(j, "to", rwkv_dtype_name(t->to));
    if (t->wanted != t->to)
        rw_json_text(j, "wanted", rwkv_dtype_name(t->wanted));
    add_numbers(j, t);
    if (t->weighted)
        rw_json_real(j, "weighted_error", sqrt(t->weighted_error));
    rw_json_close(j);
}

rwkv_status rw_quantize_report_json(const struct rw_quantize_report *report, const char *in,
                                    const char *out, rwkv_error *err)
{
    struct rw_json j = {0};
    rwkv_quantized_tensor total = total_of(report);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "in", in);
    rw_json_text(&j, "out", out);
    rw_json_open(&j, "tensors", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < report->count; i++)
        add_tensor(&j, &report->tensors[i]);
    rw_json_close(&j);
    rw_json_open(&j, "total", RW_JSON_OBJECT, RW_JSON_INLINE);
    add_numbers(&j, &total);
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}
