/* SPDX-License-Identifier: Apache-2.0 */
/* The passes as functions of the file that includes this, and PASSES, a table of them. */
#ifndef RW_TEXT_SAMPLER_PASSES_BODY_H
#define RW_TEXT_SAMPLER_PASSES_BODY_H

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"
#include "text/sampler_passes.h"

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX2__)
#define WIDTH 8
#else
#define WIDTH 4
#endif
#define LANES 8 /* independent sums: a matter of the result, so not of the machine */
#define PARTS (LANES / (WIDTH / 2))
#define INLINED __attribute__((always_inline)) static inline

/* Vectors of GCC and Clang. A comparison gives −1 where it is true, and is false with NaN. */
typedef float floats __attribute__((vector_size(4 * WIDTH)));
typedef int32_t ints __attribute__((vector_size(4 * WIDTH)));
typedef double doubles __attribute__((vector_size(4 * WIDTH)));

INLINED floats read_floats(const float *x)
{
    floats v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINED void write_floats(float *x, floats v)
{
    memcpy(x, &v, sizeof v);
}

INLINED floats all_of(float x)
{
    return x - (floats){0};
}

/* a where `mask` is −1, b where it is 0. */
INLINED floats choose(ints mask, floats a, floats b)
{
    return (floats)(((ints)a & mask) | ((ints)b & ~mask));
}

/* --- maxima --- */

INLINED float larger(float a, float b)
{
    return a > b ? a : b;
}

INLINED float largest_of(floats v)
{
    float largest = v[0];
    for (size_t j = 1; j < WIDTH; j++)
        largest = larger(v[j], largest);
    return largest;
}

INLINED float max(const float *x, size_t n)
{
    floats largest = all_of(-INFINITY);
    float rest = -INFINITY;
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        floats v = read_floats(x + i);
        largest = choose(v > largest, v, largest);
    }
    for (; i < n; i++)
        rest = larger(x[i], rest);
    return larger(largest_of(largest), rest);
}

static float load(float *z, const float *logits, size_t n)
{
    floats largest = all_of(-INFINITY);
    float rest = -INFINITY;
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        floats v = read_floats(logits + i) + 0.0f;
        v = choose(v == v, v, all_of(-INFINITY));
        write_floats(z + i, v);
        largest = choose(v > largest, v, largest);
    }
    for (; i < n; i++) {
        float v = logits[i] + 0.0f;
        z[i] = v == v ? v : -INFINITY;
        rest = larger(z[i], rest);
    }
    return larger(largest_of(largest), rest);
}

static size_t block_max(float *block, const float *x, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i += RW_PASS_BLOCK)
        block[k++] = max(x + i, RW_MIN((size_t)RW_PASS_BLOCK, n - i));
    return k;
}

/* --- keeping --- */

/* A bit for each of x [n], n ≤ 32, that is at least `least`. */
INLINED uint32_t bits_of(const float *x, size_t n, float least)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits |= (uint32_t)(x[i] >= least) << i;
    return bits;
}

/* The same of 32. Usually there is none. */
INLINED uint32_t bits_of_32(const float *x, float least)
{
#if defined(__AVX512F__)
    __m512 wanted = _mm512_set1_ps(least);
    uint32_t low = _mm512_cmp_ps_mask(_mm512_loadu_ps(x), wanted, _CMP_GE_OQ);
    return low | (uint32_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16), wanted, _CMP_GE_OQ) << 16;
#elif defined(__AVX2__)
    __m256 wanted = _mm256_set1_ps(least);
    uint32_t bits = 0;
    for (unsigned i = 0; i < 32; i += 8) {
        __m256 reached = _mm256_cmp_ps(_mm256_loadu_ps(x + i), wanted, _CMP_GE_OQ);
        bits |= (uint32_t)_mm256_movemask_ps(reached) << i;
    }
    return bits;
#else
    unsigned any = 0;
    for (size_t i = 0; i < 32; i++)
        any |= x[i] >= least;
    return any ? bits_of(x, 32, least) : 0;
#endif
}

static size_t reaching(uint32_t *index, const float *x, size_t n, float least)
{
    size_t k = 0;
    for (size_t begin = 0; begin < n; begin += 32) {
        uint32_t bits =
            begin + 32 <= n ? bits_of_32(x + begin, least) : bits_of(x + begin, n - begin, least);
        for (; bits; bits &= bits - 1)
            index[k++] = (uint32_t)begin + (uint32_t)__builtin_ctz(bits);
    }
    return k;
}

/* --- weights and sums --- */

struct sums {
    doubles part[PARTS];
};

INLINED doubles read_doubles(const float *x)
{
#if defined(__AVX512F__)
    return _mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif defined(__AVX2__)
    return _mm256_cvtps_pd(_mm_loadu_ps(x));
#else
    return (doubles){(double)x[0], (double)x[1]};
#endif
}

/* To each lane the elements of x [n] in its place, and to the first what is left over. */
INLINED void add(struct sums *s, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < PARTS; j++)
            s->part[j] += read_doubles(x + i + j * (LANES / PARTS));
    for (; i < n; i++)
        s->part[0][0] += (double)x[i];
}

INLINED double total_of(const struct sums *s)
{
    double total = s->part[0][0];
    for (size_t j = 1; j < LANES; j++)
        total += s->part[j / (LANES / PARTS)][j % (LANES / PARTS)];
    return total;
}

INLINED double sum(const float *x, size_t n)
{
    struct sums sums = {0};
    add(&sums, x, n);
    return total_of(&sums);
}

/* For x ≤ 0: x = n·log 2 + r, and the series of e^r to r⁷ (|r| ≤ 0.35). */
INLINED floats exp_of(floats x)
{
    const float round = 12582912.0f; /* 1.5·2²³: adding it leaves an integer in the low bits */
    ints within = x >= -87.0f;
    floats c = choose(within, x, all_of(-87.0f));
    floats t = c * 1.44269504f + round;
    floats n = t - round;
    floats r = (c - n * 0.693359375f) + n * 2.12194440e-4f; /* log 2 in two parts */
    floats p = 1.0f / 720 + r * (1.0f / 5040);
    p = 1.0f / 24 + r * (1.0f / 120 + r * p);
    p = 1.0f + r * (1.0f + r * (0.5f + r * (1.0f / 6 + r * p)));
    return (floats)(((ints)p + ((ints)t << 23)) & within);
}

INLINED void exp_all(float *y, const float *x, size_t n, float max)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        write_floats(y + i, exp_of(read_floats(x + i) - max));
    for (; i < n; i++)
        y[i] = exp_of(all_of(x[i] - max))[0];
}

/* The sum waits for itself, so it is made along with the next block's exponentials. */
static double weigh(float *weight, const float *z, size_t n, float max)
{
    struct sums sums = {0};
    size_t i = 0;
    for (; i + RW_PASS_BLOCK <= n; i += RW_PASS_BLOCK) {
        exp_all(weight + i, z + i, RW_PASS_BLOCK, max);
        add(&sums, weight + i, RW_PASS_BLOCK);
    }
    exp_all(weight + i, z + i, n - i, max);
    add(&sums, weight + i, n - i);
    return total_of(&sums);
}

static size_t find(const float *weight, size_t n, double *left)
{
    size_t found = 0;
    for (size_t begin = 0; begin < n; begin += RW_PASS_BLOCK) {
        double part = sum(weight + begin, RW_MIN((size_t)RW_PASS_BLOCK, n - begin));
        if (part == 0)
            continue;
        found = begin;
        if (*left < part)
            break;
        *left -= part;
    }
    return found;
}

#define PASSES                                           \
    {                                                    \
        load, max, weigh, sum, block_max, reaching, find \
    }

#endif
