/* SPDX-License-Identifier: Apache-2.0 */
/* Products in integers: the benchmarks, in dot_bench.c, of what dot.c tests. */
#ifndef KERNELS_DOT_H
#define KERNELS_DOT_H

#include "harness.h"

/* Elements that share a scale. */
size_t dot_group_of(rwkv_dtype dtype);

void bench_quantize(struct context *ctx);
void bench_matvec_dot(struct context *ctx);
void bench_panel(struct context *ctx);
void bench_pack(struct context *ctx);
void bench_matmul_dot(struct context *ctx);

#endif
