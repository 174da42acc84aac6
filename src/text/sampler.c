/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidates are arrays side by side (id, z, weight), always in the order of ids, and cuts
 * squeeze them. A weight is exp(z − max), a probability but for the common factor. Nothing is ever
 * sorted: where a cut falls is found by counting weights into buckets of the leading bits of the
 * sort key, then into buckets of the next bits within the bucket the cut falls into, and so on.
 * That takes time in proportion to the number of candidates whatever the logits.
 */
#include "text/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "base/rng.h"
#include "base/status.h"
#include "text/vocab.h"

#define DEFAULT_DECAY 0.996f
#define BLOCK 32 /* candidates that are looked at together */
#define LANES 8  /* independent sums or maxima, which the compiler can keep in vector registers */

struct rwkv_sampler {
    rwkv_sampler_options options; /* defaults filled in */
    rwkv_logit_bias *bias;
    const struct rwkv_vocab *vocab;
    size_t n_vocab;
    struct rw_rng rng;

    int32_t *seen; /* [n_seen]: the tokens accepted so far; NULL without penalties */
    size_t n_seen;
    double *count; /* [n_vocab]: decayed occurrences; −1: never accepted */

    size_t n;      /* candidates: */
    bool squeezed; /* they are not all tokens any more */
    int32_t *id;   /* [n] ascending, once they are squeezed */
    float *z;      /* [n] */
    float *weight; /* [n] exp(z − max) */
    uint32_t *key; /* [n] of the cut at work: the larger, the better */
    float max;     /* the largest z when the weights were made */
};

/* --- making one --- */

static rwkv_status check_range(const char *name, double value, double low, double high,
                               rwkv_error *err)
{
    if (value >= low && value <= high) /* false for NaN */
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_ARGUMENT, "sampler: %s: wanted a number from %g to %g, found %g",
                   name, low, high, value);
}

static rwkv_status check_options(const rwkv_sampler_options *o, size_t n_vocab, rwkv_error *err)
{
    if (n_vocab == 0 || n_vocab > INT32_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "sampler: wanted 1 to %d logits, found %zu",
                       INT32_MAX, n_vocab);
    RW_TRY(check_range("temperature", o->temperature, 0, 1e6, err));
    RW_TRY(check_range("top_p", o->top_p, 0, 1e6, err));
    RW_TRY(check_range("top_k", o->top_k, 0, INT32_MAX, err));
    RW_TRY(check_range("min_p", o->min_p, 0, 1, err));
    RW_TRY(check_range("typical_p", o->typical_p, 0, 1e6, err));
    RW_TRY(check_range("presence", o->presence, -1e6, 1e6, err));
    RW_TRY(check_range("frequency", o->frequency, -1e6, 1e6, err));
    RW_TRY(check_range("penalty_decay", o->penalty_decay, 0, 1, err));
    if (o->order != RWKV_ORDER_RWKV && o->order != RWKV_ORDER_TEMPERATURE_FIRST)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "sampler: no such order: %d", (int)o->order);
    if (o->n_bias > 0 && !o->bias)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "sampler: bias: wanted %zu, found NULL",
                       o->n_bias);
    for (size_t i = 0; i < o->n_bias; i++) {
        if (o->bias[i].token < 0 || (size_t)o->bias[i].token >= n_vocab)
            return rw_fail(err, RWKV_ERROR_TOKEN,
                           "sampler: bias %zu: wanted a token from 0 to %zu, found %d", i,
                           n_vocab - 1, (int)o->bias[i].token);
        RW_TRY(check_range("bias", o->bias[i].bias, -INFINITY, INFINITY, err));
    }
    return RWKV_OK;
}

static bool take_memory(struct rwkv_sampler *s)
{
    const rwkv_sampler_options *o = &s->options;
    s->bias = rw_alloc(o->n_bias, sizeof *s->bias);
    s->id = rw_alloc_aligned(s->n_vocab, sizeof *s->id);
    s->z = rw_alloc_aligned(s->n_vocab, sizeof *s->z);
    s->weight = rw_alloc_aligned(s->n_vocab, sizeof *s->weight);
    s->key = rw_alloc_aligned(s->n_vocab, sizeof *s->key);
    if (o->presence == 0 && o->frequency == 0)
        return s->bias && s->id && s->z && s->weight && s->key;
    s->seen = rw_alloc(s->n_vocab, sizeof *s->seen);
    s->count = rw_alloc(s->n_vocab, sizeof *s->count);
    return s->bias && s->id && s->z && s->weight && s->key && s->seen && s->count;
}

rwkv_status rw_sampler_new(const rwkv_sampler_options *options, const struct rwkv_vocab *vocab,
                           size_t n_vocab, struct rwkv_sampler **out, rwkv_error *err)
{
    RW_TRY(check_options(options, n_vocab, err));
    struct rwkv_sampler *s = rw_calloc(1, sizeof *s);
    if (s) {
        s->options = *options;
        s->vocab = vocab;
        s->n_vocab = n_vocab;
    }
    if (!s || !take_memory(s)) {
        rw_sampler_free(s);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a sampler of %zu tokens", n_vocab);
    }
    if (options->temperature == 0)
        s->options.temperature = 1;
    if (options->penalty_decay == 0)
        s->options.penalty_decay = DEFAULT_DECAY;
    if (options->n_bias)
        memcpy(s->bias, options->bias, options->n_bias * sizeof *s->bias);
    s->options.bias = s->bias;
    for (size_t i = 0; s->count && i < n_vocab; i++)
        s->count[i] = -1;
    rw_rng_init(&s->rng, options->seed);
    *out = s;
    return RWKV_OK;
}

void rw_sampler_free(struct rwkv_sampler *s)
{
    if (!s)
        return;
    rw_free(s->bias);
    rw_free(s->seen);
    rw_free(s->count);
    rw_free(s->id);
    rw_free(s->z);
    rw_free(s->weight);
    rw_free(s->key);
    rw_free(s);
}

/* --- what was generated --- */

/* Blanks and digits repeat for good reasons: their text is a part of this string. */
static bool may_repeat(const struct rwkv_sampler *s, int32_t token)
{
    static const char harmless[] = " \t0123456789";
    size_t size;
    if (!s->vocab)
        return false;
    const char *text = rw_vocab_token(s->vocab, token, &size);
    return size > 0 && memmem(harmless, sizeof harmless - 1, text, size);
}

void rw_sampler_accept(struct rwkv_sampler *s, int32_t token)
{
    if (!s->seen || token < 0 || (size_t)token >= s->n_vocab)
        return;
    for (size_t i = 0; i < s->n_seen; i++)
        s->count[s->seen[i]] *= s->options.penalty_decay;
    if (s->count[token] < 0) {
        s->seen[s->n_seen++] = token;
        s->count[token] = 0;
    }
    if (!may_repeat(s, token))
        s->count[token] += 1;
}

void rw_sampler_reset(struct rwkv_sampler *s)
{
    for (size_t i = 0; i < s->n_seen; i++)
        s->count[s->seen[i]] = -1;
    s->n_seen = 0;
    rw_rng_init(&s->rng, s->options.seed);
}

/* --- logits to weights --- */

/* A comparison with NaN is false, so NaN never wins. */
static float max_of(const float *x, size_t n)
{
    float lane[LANES];
    for (size_t j = 0; j < LANES; j++)
        lane[j] = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (; i < n; i++)
        lane[0] = x[i] > lane[0] ? x[i] : lane[0];
    for (size_t j = 1; j < LANES; j++)
        lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];
    return lane[0];
}

static double sum_of(const float *x, size_t n)
{
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)x[i + j];
    for (; i < n; i++)
        lane[0] += (double)x[i];
    for (size_t j = 1; j < LANES; j++)
        lane[0] += lane[j];
    return lane[0];
}

static int32_t first_of(const float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] == value)
            return (int32_t)i;
    return 0;
}

/* All tokens become candidates, with penalties and bias applied. Returns the largest z. */
static float load(struct rwkv_sampler *s, const float *logits)
{
    const rwkv_sampler_options *o = &s->options;
    s->n = s->n_vocab;
    s->squeezed = false;
    for (size_t i = 0; i < s->n; i++) {
        float z = logits[i] + 0.0f; /* there is one zero: −0 sorts as it compares */
        s->z[i] = z == z ? z : -INFINITY;
    }
    for (size_t i = 0; i < s->n_seen; i++) {
        int32_t t = s->seen[i];
        double penalty = (double)o->presence + s->count[t] * (double)o->frequency;
        s->z[t] = (float)((double)s->z[t] - penalty);
    }
    for (size_t i = 0; i < o->n_bias; i++) {
        float z = s->z[s->bias[i].token] + s->bias[i].bias;
        s->z[s->bias[i].token] = z == z ? z : -INFINITY;
    }
    return max_of(s->z, s->n);
}

/* e^x for x ≤ 0, and 0 below −87. Plain arithmetic, so that draws are the same on every machine,
 * and without a branch, so that the loop around it runs on vectors: x = n·log 2 + r, and the
 * series of e^r to r⁷ (|r| ≤ 0.35). The relative error is below 2⁻²². */
__attribute__((always_inline)) static inline float exp_of(float x)
{
    const float round = 12582912.0f;  /* 1.5·2²³: adding it leaves an integer in the low bits */
    const int32_t limit = 0x42ae0000; /* the bits of 87 */
    int32_t size = (int32_t)(rw_f32_to_bits(x) & 0x7fffffff); /* |x|, compared as an integer */
    int32_t within = -(int32_t)(size <= limit);
    float c = -rw_bits_to_f32((uint32_t)((size & within) | (limit & ~within)));
    float t = c * 1.44269504f + round;
    float n = t - round;
    float r = (c - n * 0.693359375f) + n * 2.12194440e-4f; /* log 2 in two parts */
    float p = 1.0f / 720 + r * (1.0f / 5040);
    p = 1.0f / 24 + r * (1.0f / 120 + r * p);
    p = 1.0f + r * (1.0f + r * (0.5f + r * (1.0f / 6 + r * p)));
    uint32_t scaled = rw_f32_to_bits(p) + (rw_f32_to_bits(t) << 23);
    return rw_bits_to_f32(scaled & (uint32_t)within);
}

__attribute__((always_inline)) static inline void exp_all(float *weight, const float *z, size_t n,
                                                          float max)
{
    for (size_t i = 0; i < n; i++)
        weight[i] = exp_of(z[i] - max);
}

#if defined(__x86_64__)
/* The same on vectors of eight: without it, this is the largest part of a draw. */
__attribute__((target("avx2"))) static void exp_all_avx2(float *weight, const float *z, size_t n,
                                                         float max)
{
    exp_all(weight, z, n, max);
}
#endif

/* Make the weights of the candidates. */
static void weigh(struct rwkv_sampler *s)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        exp_all_avx2(s->weight, s->z, s->n, s->max);
        return;
    }
#endif
    exp_all(s->weight, s->z, s->n, s->max);
}

/* p^(1/T) is e^((z − max)/T) but for a factor. */
static void temper(struct rwkv_sampler *s)
{
    float max = max_of(s->z, s->n);
    for (size_t i = 0; i < s->n; i++)
        s->z[i] = (s->z[i] - max) / s->options.temperature;
    s->max = 0;
}

/* --- cuts --- */

/* Unsigned integers that sort as the floats do. */
static uint32_t sort_key(float z)
{
    uint32_t bits = rw_f32_to_bits(z);
    return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

static void sort_by_z(struct rwkv_sampler *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->key[i] = sort_key(s->z[i]);
}

/* One step of finding a cut. Of the keys that begin with `prefix` (all bits above `shift + bits`),
 * weights are counted into buckets of the next `bits`; returns the bucket in which the sum, from
 * the best key down, reaches `target`, and adds the weight of better buckets to *above. If rounding
 * lets the whole fall short of the target, it is the last bucket. */
static uint32_t find_bucket(const struct rwkv_sampler *s, bool weighted, unsigned shift,
                            unsigned bits, uint32_t prefix, double target, double *above)
{
    double bucket[1 << 11] = {0};
    uint32_t mask = (1u << bits) - 1;
    for (size_t i = 0; i < s->n; i++) {
        uint32_t digits = s->key[i] >> shift;
        if (digits >> bits == prefix)
            bucket[digits & mask] += weighted ? (double)s->weight[i] : 1.0;
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

/* The key at which the sum over the candidates from the best key down, of their weights or else of
 * ones, reaches `target`; *above is the sum of all better ones. */
static uint32_t find_cut(const struct rwkv_sampler *s, bool weighted, double target, double *above)
{
    *above = 0;
    uint32_t key = find_bucket(s, weighted, 21, 11, 0, target, above);
    key = key << 11 | find_bucket(s, weighted, 10, 11, key, target, above);
    return key << 10 | find_bucket(s, weighted, 0, 10, key, target, above);
}

static int32_t id_of(const struct rwkv_sampler *s, size_t i)
{
    return s->squeezed ? s->id[i] : (int32_t)i;
}

/* Copy candidate i to place n, up to which they are kept. */
static inline void move(struct rwkv_sampler *s, size_t n, size_t i)
{
    s->id[n] = id_of(s, i);
    s->z[n] = s->z[i];
    s->weight[n] = s->weight[i];
}

static void kept(struct rwkv_sampler *s, size_t n)
{
    s->n = n;
    s->squeezed = true;
}

static bool any_reaches(const float *x, size_t n, float least)
{
    unsigned any = 0;
    for (size_t i = 0; i < n; i++)
        any |= x[i] >= least;
    return any != 0;
}

/* Most blocks have nothing to keep. In the others it is a matter of chance what is kept, so every
 * candidate is moved, and those that are not are overwritten by the next. */
static void keep_weights(struct rwkv_sampler *s, float least)
{
    size_t n = 0;
    for (size_t begin = 0; begin < s->n; begin += BLOCK) {
        size_t end = RW_MIN(begin + BLOCK, s->n);
        if (!any_reaches(&s->weight[begin], end - begin, least))
            continue;
        for (size_t i = begin; i < end; i++) {
            bool keep = s->weight[i] >= least;
            move(s, n, i);
            n += keep;
        }
    }
    kept(s, n);
}

/* Keep keys above `cut`, and of those equal to it the first `ties`. */
static void keep_keys(struct rwkv_sampler *s, uint32_t cut, size_t ties)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        bool tied = s->key[i] == cut && ties > 0;
        bool keep = s->key[i] > cut || tied;
        move(s, n, i);
        n += keep;
        ties -= tied;
    }
    kept(s, n);
}

static void cut_top_p(struct rwkv_sampler *s)
{
    double p = (double)s->options.top_p, above;
    if (p <= 0 || p >= 1)
        return;
    double total = sum_of(s->weight, s->n);
    /* All that weigh less than an n-th of what may be cut make up less than it, so none of them is
     * needed to reach the target. Usually few others are left. */
    keep_weights(s, (float)((1 - p) * total / (double)s->n * 0.999));
    sort_by_z(s);
    keep_keys(s, find_cut(s, true, p * total, &above), s->n);
}

static void cut_top_k(struct rwkv_sampler *s)
{
    size_t k = (size_t)s->options.top_k;
    double above;
    if (k == 0 || k >= s->n)
        return;
    sort_by_z(s);
    uint32_t cut = find_cut(s, false, (double)k, &above);
    keep_keys(s, cut, k - (size_t)above);
}

/* −log p − entropy is, as the norm cancels out, the mean of z less z. */
static void cut_typical(struct rwkv_sampler *s)
{
    double p = (double)s->options.typical_p, above;
    if (p <= 0 || p >= 1)
        return;
    double total = 0, moment = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->weight[i] == 0)
            continue; /* z may be −∞ */
        total += (double)s->weight[i];
        moment += (double)s->weight[i] * ((double)s->z[i] - (double)s->max);
    }
    double mean = moment / total;
    for (size_t i = 0; i < s->n; i++) {
        double distance = fabs((double)s->z[i] - (double)s->max - mean);
        s->key[i] = ~rw_f32_to_bits((float)distance); /* not negative: sorts as its bits do */
    }
    keep_keys(s, find_cut(s, true, p * total, &above), s->n);
}

static void cut_min_p(struct rwkv_sampler *s)
{
    if (s->options.min_p > 0)
        keep_weights(s, s->options.min_p * max_of(s->weight, s->n));
}

/* --- sampling --- */

static void cut_rwkv(struct rwkv_sampler *s)
{
    weigh(s);
    cut_top_p(s);
    cut_top_k(s);
    cut_typical(s);
    cut_min_p(s);
    if (s->options.temperature != 1) {
        temper(s);
        weigh(s);
    }
}

static void cut_temperature_first(struct rwkv_sampler *s)
{
    if (s->options.temperature != 1)
        temper(s);
    weigh(s);
    cut_top_k(s);
    cut_typical(s);
    cut_top_p(s);
    cut_min_p(s);
}

static int32_t draw(struct rwkv_sampler *s)
{
    double left = rw_rng_uniform(&s->rng) * sum_of(s->weight, s->n);
    size_t last = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->weight[i] == 0)
            continue;
        last = i;
        left -= (double)s->weight[i];
        if (left < 0)
            break;
    }
    return id_of(s, last);
}

/* Keep the allowed candidates, of which all tokens were some. Returns the largest z. */
static float keep_allowed(struct rwkv_sampler *s, const uint64_t *allowed)
{
    size_t n = 0;
    for (size_t word = 0; word < (s->n_vocab + 63) / 64; word++)
        for (uint64_t bits = allowed[word]; bits; bits &= bits - 1) {
            size_t token = word * 64 + (size_t)__builtin_ctzll(bits);
            s->id[n] = (int32_t)token;
            s->z[n++] = s->z[token];
        }
    kept(s, n);
    return max_of(s->z, n);
}

/* The candidate of the largest logit, the first of equal ones. */
static int32_t best_of(const struct rwkv_sampler *s, const float *logits)
{
    int32_t best = id_of(s, 0);
    for (size_t i = 1; i < s->n; i++) {
        int32_t id = id_of(s, i);
        if (logits[id] > logits[best] || (isnan(logits[best]) && !isnan(logits[id])))
            best = id;
    }
    return best;
}

int32_t rw_sampler_sample(struct rwkv_sampler *s, const float *logits)
{
    return rw_sampler_sample_of(s, logits, NULL);
}

int32_t rw_sampler_sample_of(struct rwkv_sampler *s, const float *logits, const uint64_t *allowed)
{
    s->max = load(s, logits);
    if (allowed)
        s->max = keep_allowed(s, allowed);
    if (s->max == -INFINITY) /* nothing is left */
        return best_of(s, logits);
    if (s->options.greedy)
        return id_of(s, (size_t)first_of(s->z, s->n, s->max));
    if (s->max == INFINITY) { /* those that are infinite share all */
        for (size_t i = 0; i < s->n; i++)
            s->z[i] = s->z[i] == INFINITY ? 0 : -INFINITY;
        s->max = 0;
    }
    if (s->options.order == RWKV_ORDER_RWKV)
        cut_rwkv(s);
    else
        cut_temperature_first(s);
    return draw(s);
}
