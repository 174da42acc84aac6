/* SPDX-License-Identifier: Apache-2.0 */
/* What `rwkv quantize` says of the tensors it wrote: a summary, a table, or JSON. */
#ifndef RW_PROGRAM_QUANTIZE_REPORT_H
#define RW_PROGRAM_QUANTIZE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv_quantize.h"

/* Every tensor there was; all zero to begin with. */
struct rw_quantize_report {
    rwkv_quantized_tensor *tensors; /* names owned */
    size_t count, capacity;
    bool failed; /* no memory */
};

/* A rwkv_quantized_fn; `report` is a struct rw_quantize_report. */
void rw_quantize_report_add(void *report, const rwkv_quantized_tensor *tensor);
void rw_quantize_report_fini(struct rw_quantize_report *report);

/* The table on standard output; the remarks and the summary on standard error. */
void rw_quantize_report_table(const struct rw_quantize_report *report);
void rw_quantize_report_summary(const struct rw_quantize_report *report, const char *out);
rwkv_status rw_quantize_report_json(const struct rw_quantize_report *report, const char *in,
                                    const char *out, rwkv_error *err);

#endif
