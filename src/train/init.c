/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orthogonal matrices are what a QR decomposition makes of a matrix of normal numbers, the columns
 * of Q having the signs that make the diagonal of R positive. The decomposition need not be
 * computed: what is left of column i after i reflections is again a vector of independent normal
 * numbers (Stewart 1980, "The Efficient Generation of Random Orthogonal Matrices"). So reflection i
 * is made from n − i fresh numbers, and Q is the product of all of them applied to the first
 * columns of the unit matrix, a few columns at a time so that they stay in the cache.
 */
#include "train/init.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/str.h"

#define LANES 16 /* partial sums of a dot product */
#define PANEL 4  /* columns of Q worked on together */

/* --- orthogonal matrices ---------------------------------------------------------------------- */

struct orthogonal {
    float *v, *q; /* [k, n]: the reflections, of length √2; Q's columns */
    size_t n, k;  /* k ≤ n */
    float *out;   /* where Q goes in the end, transposed; or NULL */
    float gain;
    uint64_t seed;
};

static uint64_t mix_seed(uint64_t seed, uint64_t a, uint64_t b)
{
    const uint64_t parts[] = {seed, a, b};
    return rw_hash(parts, sizeof parts);
}

static double dot(const float *a, const float *b, size_t n)
{
    float sums[LANES] = {0};
    double sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            sums[l] += a[i + l] * b[i + l];
    for (; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    for (size_t l = 0; l < LANES; l++)
        sum += (double)sums[l];
    return sum;
}

/* y[c] −= (v·y[c]) v for each of the panel's columns: I − v vᵀ is a reflection, as v·v = 2. */
static void reflect(float *y, size_t stride, size_t columns, const float *v, size_t n)
{
    for (size_t c = 0; c < columns; c++) {
        float *column = y + c * stride;
        float s = (float)dot(v, column, n);
        for (size_t i = 0; i < n; i++)
            column[i] -= s * v[i];
    }
}

/* Reflection i turns x, the fresh numbers, into −sign(x₀)‖x‖ e₀. Its first element is kept with
 * the sign of x₀, which tells the sign of R's diagonal later. */
static void draw_reflection(void *ctx, size_t i, size_t thread)
{
    const struct orthogonal *o = ctx;
    size_t n = o->n - i;
    float *v = o->v + i * o->n + i;
    struct rw_rng rng;
    rw_rng_init(&rng, mix_seed(o->seed, i, 0));
    double squares = 0;
    for (size_t j = 0; j < n; j++) {
        v[j] = (float)rw_rng_normal(&rng);
        squares += (double)v[j] * (double)v[j];
    }
    double first = (double)v[0] + copysign(sqrt(squares), (double)v[0]);
    double length = squares + 2 * fabs((double)v[0]) * sqrt(squares) + squares; /* of v, squared */
    if (length == 0) /* all numbers were 0, which a single one can be */
        first = length = 1;
    double scale = sqrt(2 / length);
    v[0] = (float)(first * scale);
    for (size_t j = 1; j < n; j++)
        v[j] = (float)((double)v[j] * scale);
}

/* The columns of a panel: the last reflection first. Panels are taken from the end, as the later
 * columns are the most work. */
static void make_panel(void *ctx, size_t piece, size_t thread)
{
    const struct orthogonal *o = ctx;
    size_t panels = (o->k + PANEL - 1) / PANEL;
    size_t first = (panels - 1 - piece) * PANEL;
    size_t end = RW_MIN(first + PANEL, o->k);
    memset(o->q + first * o->n, 0, (end - first) * o->n * sizeof(float));
    for (size_t j = first; j < end; j++)
        o->q[j * o->n + j] = o->v[j * o->n + j] < 0 ? o->gain : -o->gain;
    for (size_t i = end; i-- > 0;) {
        size_t from = RW_MAX(i, first);
        reflect(o->q + from * o->n + i, o->n, end - from, o->v + i * o->n + i, o->n - i);
    }
}

/* PANEL rows of the transpose. */
static void transpose_rows(void *ctx, size_t piece, size_t thread)
{
    const struct orthogonal *o = ctx;
    size_t first = piece * PANEL, end = RW_MIN(first + PANEL, o->n);
    for (size_t j = 0; j < o->k; j++)
        for (size_t r = first; r < end; r++)
            o->out[r * o->k + j] = o->q[j * o->n + r];
}

rwkv_status rw_init_orthogonal(float *out, size_t rows, size_t cols, float gain, uint64_t seed,
                               struct rw_pool *pool, rwkv_error *err)
{
    bool tall = rows > cols;
    size_t n = tall ? rows : cols, k = tall ? cols : rows, total;
    float *scratch = rw_mul(n, k, &total) ? rw_alloc_aligned(total, sizeof *scratch) : NULL;
    if (!scratch)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for an orthogonal matrix [%zu, %zu]",
                       rows, cols);
    struct orthogonal o = {.v = tall ? out : scratch,
                           .q = tall ? scratch : out,
                           .n = n,
                           .k = k,
                           .out = tall ? out : NULL,
                           .gain = gain,
                           .seed = seed};
    rw_pool_each(pool, draw_reflection, &o, k);
    rw_pool_each(pool, make_panel, &o, (k + PANEL - 1) / PANEL);
    if (tall)
        rw_pool_each(pool, transpose_rows, &o, (n + PANEL - 1) / PANEL);
    rw_free(scratch);
    return RWKV_OK;
}

/* --- vectors ---------------------------------------------------------------------------------- */

static double mix(double i, double channels, double rho, double factor)
{
    return 1 - pow(i / channels, factor * rho);
}

/* Element i of a vector. L ≥ 2, C ≥ 2, N ≥ 2. */
static double element(const struct rw_sizes *z, enum rw_spec_id id, size_t block, size_t i)
{
    double layers = (double)z->n_layer, l = (double)block, c = (double)z->n_embd, n = (double)i;
    double up = l / (layers - 1), down = 1 - l / layers; /* 0 … 1, and 1 … above 0 */
    double half = ((double)z->head_size - 1) / 2;
    double place = ((double)(i % z->head_size) - half) / half; /* −1 … 1 within the head */
    double zigzag = place * fabs(place), linear = n / (c - 1) - 0.5;
    switch (id) {
    case RW_SPEC_x_r:
    case RW_SPEC_x_g:
        return mix(n, c, down, 0.2);
    case RW_SPEC_x_w:
    case RW_SPEC_x_a:
        return mix(n, c, down, 0.9);
    case RW_SPEC_x_k:
    case RW_SPEC_x_v:
        return mix(n, c, down, 0.7);
    case RW_SPEC_ffn_x_k:
        return mix(n, c, pow(down, 4), 1);
    case RW_SPEC_w0:
        return -6 + 6 * pow(n / (c - 1), 1 + pow(up, 0.3)) + 0.5 + 2.5 * zigzag;
    case RW_SPEC_a0:
        return -0.19 + 0.3 * zigzag + 0.4 * linear;
    case RW_SPEC_v0:
        return 0.73 - 0.4 * linear;
    case RW_SPEC_k_k:
        return 0.71 - 0.1 * linear;
    case RW_SPEC_k_a:
        return 1.02;
    case RW_SPEC_r_k:
        return -0.04;
    case RW_SPEC_ln_x_weight:
        return pow((1 + l) / layers, 0.7);
    case RW_SPEC_ln0_weight:
    case RW_SPEC_ln1_weight:
    case RW_SPEC_ln2_weight:
    case RW_SPEC_ln_out_weight:
        return 1;
    default: /* biases */
        return 0;
    }
}

/* --- all tensors ------------------------------------------------------------------------------ */

/* The gain of an orthogonal matrix; 0 for the matrices that begin with zeros. */
static double gain_of(enum rw_spec_id id, size_t rows, size_t cols)
{
    double r = (double)rows, c = (double)cols;
    switch (id) {
    case RW_SPEC_w2: /* [C, rank] here, but [rank, C] in the formula */
    case RW_SPEC_a2:
    case RW_SPEC_v2:
    case RW_SPEC_g2:
        return cols > rows ? 0.1 * sqrt(c / r) : 0.1;
    case RW_SPEC_att_k:
        return 0.1;
    case RW_SPEC_att_r:
    case RW_SPEC_att_v:
    case RW_SPEC_ffn_k:
        return 1;
    case RW_SPEC_head:
        return rows > cols ? 0.5 * sqrt(r / c) : 0.5;
    default: /* w1, a1, v1, g1, attention's output, channel mix's value */
        return 0;
    }
}

static double round32(double x)
{
    return RW_MAX(32.0, 32 * nearbyint(x / 32));
}

struct rw_ranks rw_init_ranks(size_t n_embd)
{
    double root = sqrt((double)n_embd);
    size_t decay = (size_t)round32(2.5 * root);
    return (struct rw_ranks){decay, decay, (size_t)round32(1.7 * root), (size_t)round32(5 * root)};
}

rwkv_status rw_init_check(const struct rw_sizes *z, rwkv_error *err)
{
    if (z->n_layer < 2)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "initial weights: wanted at least 2 layers, found %zu", z->n_layer);
    if (z->head_size < 2 || z->head_size > RW_MAX_HEAD_SIZE || z->n_embd == 0 ||
        z->n_embd % z->head_size != 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "initial weights: wanted a head size of 2 to %d and a width that is a "
                       "multiple of it, found %zu and %zu",
                       RW_MAX_HEAD_SIZE, z->head_size, z->n_embd);
    if (z->n_vocab == 0 || z->n_ffn == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "initial weights: wanted a vocabulary and a channel mix, found sizes %zu "
                       "and %zu",
                       z->n_vocab, z->n_ffn);
    return RWKV_OK;
}

void rw_init_complete(struct rw_sizes *z, size_t ids)
{
    if (!z->n_ffn)
        z->n_ffn = 4 * z->n_embd;
    if (!z->head_size)
        z->head_size = 64;
    if (!z->n_vocab)
        z->n_vocab = (ids + 15) / 16 * 16;
}

rwkv_status rw_init_check_vocab(const char *path, size_t ids, size_t n_vocab, rwkv_error *err)
{
    return ids <= n_vocab ? RWKV_OK
                          : rw_fail(err, RWKV_ERROR_ARGUMENT,
                                    "%s: wanted a vocabulary of at most %zu ids, the model's, "
                                    "found %zu",
                                    path, n_vocab, ids);
}

size_t rw_init_scratch(enum rw_spec_id id, size_t rows, size_t cols)
{
    enum rw_kind kind = rw_rwkv7_specs[id].kind;
    bool orthogonal =
        (kind == RW_KIND_MATRIX || kind == RW_KIND_PAIR) && gain_of(id, rows, cols) != 0;
    return orthogonal ? rows * cols * sizeof(float) : 0;
}

rwkv_status rw_init_tensor(float *out, const struct rw_init *init, enum rw_spec_id id, size_t block,
                           size_t rows, size_t cols, rwkv_error *err)
{
    enum rw_kind kind = rw_rwkv7_specs[id].kind;
    uint64_t seed = mix_seed(init->seed, id, block);
    if (kind != RW_KIND_MATRIX && kind != RW_KIND_PAIR) {
        assert(rows == 1);
        for (size_t i = 0; i < cols; i++)
            out[i] = (float)element(&init->sizes, id, block, i);
        return RWKV_OK;
    }
    if (id == RW_SPEC_emb) {
        struct rw_rng rng;
        rw_rng_init(&rng, seed);
        for (size_t i = 0; i < rows * cols; i++)
            out[i] = (float)(1e-4 * (2 * rw_rng_uniform(&rng) - 1));
        return RWKV_OK;
    }
    float gain = (float)gain_of(id, rows, cols);
    if (gain != 0)
        return rw_init_orthogonal(out, rows, cols, gain, seed, init->pool, err);
    memset(out, 0, rows * cols * sizeof *out);
    return RWKV_OK;
}
