/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of 32 elements: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL. One f16 scale, or a scale and a
 * minimum. Layouts: tensor/convert.c. */
#include "base/cursor.h"
#include "tensor/quantize_int.h"

#define N 32

static void put_half(uint8_t *to, float v)
{
    rw_store_u16(to, rw_f32_to_f16(v));
}

/* Low four bits of codes into 16 bytes. */
static void put_nibbles(uint8_t *to, const int *q)
{
    for (int i = 0; i < N / 2; i++)
        to[i] = (uint8_t)((q[i] & 15) | (q[i + N / 2] & 15) << 4);
}

/* Their fifth bits. */
static void put_fifths(uint8_t *to, const int *q)
{
    uint32_t bits = 0;
    for (int i = 0; i < N; i++)
        bits |= (uint32_t)(q[i] >> 4 & 1) << i;
    rw_store_u32(to, bits);
}

/* The scale, which is an f16, and the codes on the grid. */
static inline float fit_ray(float *q, const float *x, const float *w, struct rw_grid grid,
                            struct rw_guesses guesses)
{
    float d = rw_fit_half(rw_fit_ray(x, w, N, grid, guesses).s);
    rw_fit_try(q, x, w, N, d, 0, grid);
    return d;
}

/* Scale and minimum, both f16, and the codes from 0 to max. */
static inline struct rw_line fit_line(int *q, const float *x, const float *w, int max,
                                      struct rw_guesses guesses)
{
    float codes[N];
    struct rw_line line = rw_fit_line(x, w, N, max, false, guesses);
    line.s = rw_fit_half(line.s);
    line.m = rw_fit_half(line.m);
    rw_fit_try(codes, x, w, N, line.s, line.m, (struct rw_grid){0, (float)max, false});
    for (int i = 0; i < N; i++)
        q[i] = (int)codes[i];
    return line;
}

void rw_quantize_q4_0(uint8_t *to, const float *x, const float *w)
{
    float codes[N];
    int q[N];
    float d =
        fit_ray(codes, x, w, (struct rw_grid){-8, 7, false}, (struct rw_guesses){-2, 4, 24, 1});
    for (int i = 0; i < N; i++)
        q[i] = (int)codes[i] + 8;
    put_half(to, d);
    put_nibbles(to + 2, q);
}

void rw_quantize_q5_0(uint8_t *to, const float *x, const float *w)
{
    float codes[N];
    int q[N];
    float d =
        fit_ray(codes, x, w, (struct rw_grid){-16, 15, false}, (struct rw_guesses){-4, 6, 24, 1});
    for (int i = 0; i < N; i++)
        q[i] = (int)codes[i] + 16;
    put_half(to, d);
    put_fifths(to + 2, q);
    put_nibbles(to + 6, q);
}

void rw_quantize_q8_0(uint8_t *to, const float *x, const float *w)
{
    float codes[N];
    float d =
        fit_ray(codes, x, w, (struct rw_grid){-127, 127, false}, (struct rw_guesses){-4, 4, 8, 1});
    put_half(to, d);
    for (int i = 0; i < N; i++)
        to[2 + i] = (uint8_t)(int8_t)codes[i];
}

void rw_quantize_q4_1(uint8_t *to, const float *x, const float *w)
{
    int q[N];
    struct rw_line line = fit_line(q, x, w, 15, (struct rw_guesses){-2, 3, 10, 3});
    put_half(to, line.s);
    put_half(to + 2, line.m);
    put_nibbles(to + 4, q);
}

void rw_quantize_q5_1(uint8_t *to, const float *x, const float *w)
{
    int q[N];
    struct rw_line line = fit_line(q, x, w, 31, (struct rw_guesses){-3, 3, 12, 3});
    put_half(to, line.s);
    put_half(to + 2, line.m);
    put_fifths(to + 4, q);
    put_nibbles(to + 8, q);
}

void rw_quantize_iq4_nl(uint8_t *to, const float *x, const float *w)
{
    float levels[N];
    int q[N];
    float d = fit_ray(levels, x, w, (struct rw_grid){-127, 113, true},
                      (struct rw_guesses){-32, 64, 24, 1});
    for (int i = 0; i < N; i++)
        q[i] = rw_iq4_code(levels[i]);
    put_half(to, d);
    put_nibbles(to + 2, q);
}
