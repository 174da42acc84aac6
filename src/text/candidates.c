/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidates are arrays side by side (id, z, weight), always in the order of ids, and cuts
 * squeeze them. A weight is exp(z − max), a probability but for the common factor. Nothing is ever
 * sorted: where a cut falls is found by counting weights into buckets of the leading bits of the
 * sort key, then into buckets of the next bits within the bucket the cut falls into, and so on.
 * That takes time in proportion to the number of candidates whatever the logits.
 */
#include "text/candidates.h"

#include <math.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/half.h"
#include "base/status.h"
#include "text/sampler_passes.h"

struct rw_candidates {
    const struct rw_passes *pass;
    size_t n_vocab, n;
    bool squeezed; /* they are not all tokens any more */
    int32_t *id;   /* [n] ascending, once they are squeezed */
    float *z;      /* [n] */
    float *weight; /* [n] exp(z − max) */
    uint32_t *key; /* [n] of the cut at work: the larger, the better */
    float *block;  /* [n / RW_PASS_BLOCK, rounded up] the largest of each block in a cut */
    float max;     /* the largest z, when the weights were made; NaN: not known */
    bool summed;   /* total is the sum of the weights */
    double total;
};

static size_t blocks_of(size_t n)
{
    return n / RW_PASS_BLOCK + (n % RW_PASS_BLOCK != 0);
}

struct rw_candidates *rw_candidates_new(size_t n_vocab)
{
    struct rw_candidates *c = rw_calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->pass = rw_passes_best();
    c->n_vocab = n_vocab;
    c->id = rw_alloc_aligned(n_vocab, sizeof *c->id);
    c->z = rw_alloc_aligned(n_vocab, sizeof *c->z);
    c->weight = rw_alloc_aligned(n_vocab, sizeof *c->weight);
    c->key = rw_alloc_aligned(n_vocab, sizeof *c->key);
    c->block = rw_alloc_aligned(blocks_of(n_vocab), sizeof *c->block);
    if (c->id && c->z && c->weight && c->key && c->block)
        return c;
    rw_candidates_free(c);
    return NULL;
}

void rw_candidates_free(struct rw_candidates *c)
{
    if (!c)
        return;
    rw_free(c->id);
    rw_free(c->z);
    rw_free(c->weight);
    rw_free(c->key);
    rw_free(c->block);
    rw_free(c);
}

/* --- logits to weights --- */

void rw_candidates_load(struct rw_candidates *c, const float *logits)
{
    c->n = c->n_vocab;
    c->squeezed = false;
    c->max = c->pass->load(c->z, logits, c->n);
}

float rw_candidates_z(const struct rw_candidates *c, int32_t token)
{
    return c->z[token];
}

void rw_candidates_change(struct rw_candidates *c, int32_t token, float z)
{
    float before = c->z[token];
    c->z[token] = z == z ? z : -INFINITY;
    if (z >= c->max)
        c->max = z;
    else if (before == c->max)
        c->max = NAN;
}

/* Make the weights of the candidates. */
static void weigh(struct rw_candidates *c)
{
    c->total = c->pass->weigh(c->weight, c->z, c->n, c->max);
    c->summed = true;
}

/* The sum of the weights. */
static double total_of(struct rw_candidates *c)
{
    if (!c->summed)
        c->total = c->pass->sum(c->weight, c->n);
    c->summed = true;
    return c->total;
}

/* p^(1/T) is e^((z − max)/T) but for a factor. */
static void temper(struct rw_candidates *c, const rwkv_sampler_options *o)
{
    float max = c->pass->max(c->z, c->n);
    for (size_t i = 0; i < c->n; i++)
        c->z[i] = (c->z[i] - max) / o->temperature;
    c->max = 0;
}

/* --- cuts --- */

/* Unsigned integers that sort as the floats do. */
static uint32_t sort_key(float z)
{
    uint32_t bits = rw_f32_to_bits(z);
    return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

static void sort_by(struct rw_candidates *c, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c->key[i] = sort_key(x[i]);
}

/* One step of finding a cut through n keys. Of those that begin with `prefix` (all bits above
 * `shift + bits`), weights, or ones without, are counted into buckets of the next `bits`; returns
 * the bucket in which the sum, from the best key down, reaches `target`, and adds the weight of
 * better buckets to *above. If rounding lets the whole fall short of the target, it is the last
 * bucket. */
static uint32_t find_bucket(const uint32_t *key, const float *weight, size_t n, unsigned shift,
                            unsigned bits, uint32_t prefix, double target, double *above)
{
    double bucket[1 << 11] = {0};
    uint32_t mask = (1u << bits) - 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t digits = key[i] >> shift;
        if (digits >> bits == prefix)
            bucket[digits & mask] += weight ? (double)weight[i] : 1.0;
    }
    uint32_t last = mask;
    double sum = *above;
    for (uint32_t b = mask + 1; b-- > 0;) {
        if (bucket[b] == 0)
            continue;
        last = b;
        *above = sum;
        sum += bucket[b];
        if (sum >= target)
            break;
    }
    return last;
}

/* The key at which the sum over the n keys from the best down, of their weights or else of ones,
 * reaches `target`; *above is the sum of all better ones. */
static uint32_t find_cut(const uint32_t *keys, const float *weight, size_t n, double target,
                         double *above)
{
    *above = 0;
    uint32_t key = find_bucket(keys, weight, n, 21, 11, 0, target, above);
    key = key << 11 | find_bucket(keys, weight, n, 10, 11, key, target, above);
    return key << 10 | find_bucket(keys, weight, n, 0, 10, key, target, above);
}

static int32_t id_of(const struct rw_candidates *c, size_t i)
{
    return c->squeezed ? c->id[i] : (int32_t)i;
}

/* Copy candidate i to place n, up to which they are kept. */
static inline void move(struct rw_candidates *c, size_t n, size_t i)
{
    c->id[n] = id_of(c, i);
    c->z[n] = c->z[i];
    c->weight[n] = c->weight[i];
}

static void kept(struct rw_candidates *c, size_t n)
{
    c->summed = c->summed && n == c->n;
    c->n = n;
    c->squeezed = true;
}

/* Keep those whose x, the weights or z, is at least `least`: usually a few of many. */
static void keep_least(struct rw_candidates *c, const float *x, float least)
{
    size_t n = c->pass->reaching(c->key, x, c->n, least);
    for (size_t k = 0; k < n; k++)
        move(c, k, c->key[k]);
    kept(c, n);
}

/* Keep keys above `cut`, and of those equal to it the first `ties`. */
static void keep_keys(struct rw_candidates *c, uint32_t cut, size_t ties)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        bool tied = c->key[i] == cut && ties > 0;
        bool keep = c->key[i] > cut || tied;
        move(c, n, i);
        n += keep;
        ties -= tied;
    }
    kept(c, n);
}

static void cut_top_p(struct rw_candidates *c, const rwkv_sampler_options *o)
{
    double p = (double)o->top_p, above;
    if (p <= 0 || p >= 1)
        return;
    double total = total_of(c);
    /* All that weigh less than an n-th of what may be cut make up less than it, so none of them is
     * needed to reach the target. Usually few others are left. */
    keep_least(c, c->weight, (float)((1 - p) * total / (double)c->n * 0.999));
    sort_by(c, c->z, c->n);
    keep_keys(c, find_cut(c->key, c->weight, c->n, p * total, &above), c->n);
}

/* Keep what is at least as good as the best of the k-th best block: that are at least k, and
 * usually not many more. */
static void keep_best_blocks(struct rw_candidates *c, size_t k)
{
    double above;
    if (blocks_of(c->n) <= k)
        return;
    size_t blocks = c->pass->block_max(c->block, c->z, c->n), at = 0;
    sort_by(c, c->block, blocks);
    uint32_t cut = find_cut(c->key, NULL, blocks, (double)k, &above);
    while (c->key[at] != cut)
        at++;
    keep_least(c, c->z, c->block[at]);
}

static void cut_top_k(struct rw_candidates *c, const rwkv_sampler_options *o)
{
    size_t k = (size_t)o->top_k;
    double above;
    if (k == 0 || k >= c->n)
        return;
    keep_best_blocks(c, k);
    sort_by(c, c->z, c->n);
    uint32_t cut = find_cut(c->key, NULL, c->n, (double)k, &above);
    keep_keys(c, cut, k - (size_t)above);
}

/* −log p − entropy is, as the norm cancels out, the mean of z less z. */
static void cut_typical(struct rw_candidates *c, const rwkv_sampler_options *o)
{
    double p = (double)o->typical_p, above;
    if (p <= 0 || p >= 1)
        return;
    double total = 0, moment = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->weight[i] == 0)
            continue; /* z may be −∞ */
        total += (double)c->weight[i];
        moment += (double)c->weight[i] * ((double)c->z[i] - (double)c->max);
    }
    double mean = moment / total;
    for (size_t i = 0; i < c->n; i++) {
        double distance = fabs((double)c->z[i] - (double)c->max - mean);
        c->key[i] = ~rw_f32_to_bits((float)distance); /* not negative: sorts as its bits do */
    }
    keep_keys(c, find_cut(c->key, c->weight, c->n, p * total, &above), c->n);
}

static void cut_min_p(struct rw_candidates *c, const rwkv_sampler_options *o)
{
    if (o->min_p > 0)
        keep_least(c, c->weight, o->min_p * c->pass->max(c->weight, c->n));
}

static void cut_rwkv(struct rw_candidates *c, const rwkv_sampler_options *o)
{
    weigh(c);
    cut_top_p(c, o);
    cut_top_k(c, o);
    cut_typical(c, o);
    cut_min_p(c, o);
    if (o->temperature != 1) {
        temper(c, o);
        weigh(c);
    }
}

static void cut_temperature_first(struct rw_candidates *c, const rwkv_sampler_options *o)
{
    if (o->temperature != 1)
        temper(c, o);
    weigh(c);
    cut_top_k(c, o);
    cut_typical(c, o);
    cut_top_p(c, o);
    cut_min_p(c, o);
}

static int32_t draw(struct rw_candidates *c, struct rw_rng *rng)
{
    double left = rw_rng_uniform(rng) * total_of(c);
    size_t begin = c->pass->find(c->weight, c->n, &left);
    size_t end = RW_MIN(begin + RW_PASS_BLOCK, c->n), last = begin;
    for (size_t i = begin; i < end; i++) {
        if (c->weight[i] == 0)
            continue;
        last = i;
        left -= (double)c->weight[i];
        if (left < 0)
            break;
    }
    return id_of(c, last);
}

void rw_candidates_allow(struct rw_candidates *c, const uint64_t *allowed)
{
    size_t n = 0;
    for (size_t word = 0; word < (c->n_vocab + 63) / 64; word++)
        for (uint64_t bits = allowed[word]; bits; bits &= bits - 1) {
            size_t token = word * 64 + (size_t)__builtin_ctzll(bits);
            c->id[n] = (int32_t)token;
            c->z[n++] = c->z[token];
        }
    kept(c, n);
    c->max = NAN;
}

/* The candidate of the largest logit, the first of equal ones. */
static int32_t best_of(const struct rw_candidates *c, const float *logits)
{
    int32_t best = id_of(c, 0);
    for (size_t i = 1; i < c->n; i++) {
        int32_t id = id_of(c, i);
        if (logits[id] > logits[best] || (isnan(logits[best]) && !isnan(logits[id])))
            best = id;
    }
    return best;
}

int32_t rw_candidates_choose(struct rw_candidates *c, const rwkv_sampler_options *o,
                             const float *logits, struct rw_rng *rng)
{
    if (c->max != c->max)
        c->max = c->pass->max(c->z, c->n);
    if (c->max == -INFINITY) /* nothing is left */
        return best_of(c, logits);
    if (o->greedy) {
        c->pass->reaching(c->key, c->z, c->n, c->max);
        return id_of(c, c->key[0]);
    }
    if (c->max == INFINITY) { /* those that are infinite share all */
        for (size_t i = 0; i < c->n; i++)
            c->z[i] = c->z[i] == INFINITY ? 0 : -INFINITY;
        c->max = 0;
    }
    if (o->order == RWKV_ORDER_RWKV)
        cut_rwkv(c, o);
    else
        cut_temperature_first(c, o);
    return draw(c, rng);
}
