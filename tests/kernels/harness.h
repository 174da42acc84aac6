/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness of the kernel tests. Each file here registers the kernels of one operation; the
 * harness runs each on every instruction set of the machine, and fails if the table holds a kernel
 * that no file has registered.
 *
 *     static void test_add(struct context *ctx) { …; expect(ctx, ok, "n %zu", n); }
 *     void register_elementwise(void) { register_kernel("add", ENTRY(add), 0, test_add, bench_add);
 * }
 *
 * Inputs and outputs live in buffers between two pages that cannot be touched, so reading one byte
 * too many is a crash, and writing outside the output is found by buffer_intact.
 */
#ifndef KERNELS_HARNESS_H
#define KERNELS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "kernels/kernels.h"

/* Position of a field of struct rw_kernels, counted in function pointers. */
#define ENTRY(field) (offsetof(struct rw_kernels, field) / sizeof(void (*)(void)))
#define ENTRY_COUNT (sizeof(struct rw_kernels) / sizeof(void (*)(void)))

struct context {
    const struct rw_kernels *kernels; /* of the instruction set under test */
    const char *isa;
    const char *name;  /* of the kernel under test */
    size_t lanes;      /* of its sums: 16 or 8 */
    bool fused;        /* multiplications and additions round once */
    bool exhaustive;   /* tests of one variable go through all its values */
    rwkv_dtype dtype;  /* of the kernel's weights */
    struct rw_rng rng; /* seeded afresh for each kernel */
    size_t failures;
};

/* Which of the machine's limits operations are compared with. */
enum peak { PEAK_F32, PEAK_BF16, PEAK_INT8 };

/* One kernel's work for the benchmark: part runs once on each of `count` threads. */
struct work {
    void (*part)(void *user, const struct rw_kernels *kernels, size_t index, size_t count);
    void *user;
    double bytes; /* read from memory far larger than the caches; or 0, and then … */
    double ops;   /* … operations on data in cache */
    double units; /* what `what` counts */
    const char *what;
    bool no_ref;    /* the reference has no such kernel to compare with */
    enum peak peak; /* of `ops` */
};

typedef void (*test_fn)(struct context *ctx);
/* Prepares work and gives it to bench(), once or more. */
typedef void (*bench_fn)(struct context *ctx);

/* When the table has a kernel: products in integers replace those with exact values of block types
 * (kernels.h). */
enum presence { ALWAYS, OPTIONAL, IN_INTEGERS, NOT_IN_INTEGERS };

void register_kernel(const char *name, size_t entry, rwkv_dtype dtype, test_fn test,
                     bench_fn bench_it);
/* One that the table of some instruction sets lacks. */
void register_optional(const char *name, size_t entry, rwkv_dtype dtype, test_fn test,
                       bench_fn bench_it);
void register_when(enum presence when, const char *name, size_t entry, rwkv_dtype dtype,
                   test_fn test, bench_fn bench_it);
void bench(struct context *ctx, const char *shape, const struct work *work);
size_t bench_threads(void);

void register_matvec(void);
void register_matmul(void);
void register_bf16(void);
void register_dot(void);
void register_live(void);
void register_unpack(void);
void register_norm(void);
void register_mix(void);
void register_elementwise(void);
void register_wkv7(void);
void register_product(void);
void register_backward(void);
void register_wkv7_backward(void);
void register_probe(void);

/* Count a failure and print it (the first few) unless ok. Returns ok. */
bool expect(struct context *ctx, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- memory
 * --------------------------------------------------------------------------------------- */

struct buffer {
    uint8_t *map; /* what may be touched, in whole pages */
    size_t map_size;
    uint8_t *data;
    size_t size;
};

/* `size` bytes at a random place: against the upper guard page, against the lower one, or anywhere;
 * at a multiple of `align` bytes (1 or 4). Filled with a pattern. */
struct buffer buffer_new(struct context *ctx, size_t size, size_t align);
void buffer_free(struct buffer *b);
/* Nothing but the data has changed. */
bool buffer_intact(const struct buffer *b);

static inline float *floats(struct buffer b)
{
    return (float *)(void *)b.data;
}

struct buffer floats_new(struct context *ctx, size_t n);

/* --- values
 * --------------------------------------------------------------------------------------- */

/* A whole number in [low, high]. */
size_t pick(struct context *ctx, size_t low, size_t high);

/* Normally distributed; if `hostile`, many are zeros of both signs, denormals, huge, infinite, NaN.
 */
void fill_floats(struct context *ctx, float *x, size_t n, bool hostile);
struct buffer floats_random(struct context *ctx, size_t n, bool hostile);

/* n elements of a type: random codes with finite scales; if `hostile`, any bits at all. */
void fill_weights(struct context *ctx, rwkv_dtype dtype, uint8_t *to, size_t n, bool hostile);

/* Change the codes of n elements of a block type (and the small scales of blocks of 256) to the
 * largest, the smallest or the most negative there are, the same for all; not the f16 scales. */
void fill_extreme_codes(struct context *ctx, rwkv_dtype dtype, uint8_t *to, size_t n);

/* Plain weights and inputs whose products all round to -0, a value that zeros at the end of a row
 * turn into +0: every kernel has to do the same. */
void fill_underflow(rwkv_dtype dtype, uint8_t *w, float *x, size_t n);

/* The same bits, or both NaN. */
bool same_bits(float a, float b);

/* Σ w[k]·x[k] in the order and with the roundings that kernels.h promises for the instruction set.
 */
float sum_in_lanes(const struct context *ctx, const float *w, const float *x, size_t n);

/* |got − want| ≤ factor·√n·2⁻²⁴·magnitude, with room for denormals. */
bool close_enough(double got, double want, double factor, size_t n, double magnitude);

/* Σ w·x and Σ |w·x| in double. */
double sum_in_double(const float *w, const float *x, size_t n, double *magnitude);

/* Distance in units in the last place of a float at `want`. */
double ulps(float got, double want);

#endif
