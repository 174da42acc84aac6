/* SPDX-License-Identifier: Apache-2.0 */
#include "text/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "text/vocab.h"

#define DEFAULT_DECAY 0.996f

struct rw_sampler {
    rwkv_sampler_options options; /* defaults filled in */
    rwkv_logit_bias *bias;
    const struct rwkv_vocab *vocab;
    size_t n_vocab;
    struct rw_rng rng;

    int32_t *seen; /* [n_seen]: the tokens accepted so far; NULL without penalties */
    size_t n_seen;
    double *count; /* [n_vocab]: decayed occurrences; −1: never accepted */
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

static bool take_memory(struct rw_sampler *s)
{
    const rwkv_sampler_options *o = &s->options;
    s->bias = rw_alloc(o->n_bias, sizeof *s->bias);
    if (o->presence == 0 && o->frequency == 0)
        return s->bias;
    s->seen = rw_alloc(s->n_vocab, sizeof *s->seen);
    s->count = rw_alloc(s->n_vocab, sizeof *s->count);
    return s->bias && s->seen && s->count;
}

rwkv_status rw_sampler_new(const rwkv_sampler_options *options, const struct rwkv_vocab *vocab,
                           size_t n_vocab, struct rw_sampler **out, rwkv_error *err)
{
    RW_TRY(check_options(options, n_vocab, err));
    struct rw_sampler *s = rw_calloc(1, sizeof *s);
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

void rw_sampler_free(struct rw_sampler *s)
{
    if (!s)
        return;
    rw_free(s->bias);
    rw_free(s->seen);
    rw_free(s->count);
    rw_free(s);
}

/* --- what was generated --- */

/* Blanks and digits repeat for good reasons: their text is a part of this string. */
static bool may_repeat(const struct rw_sampler *s, int32_t token)
{
    static const char harmless[] = " \t0123456789";
    size_t size;
    if (!s->vocab)
        return false;
    const char *text = rw_vocab_token(s->vocab, token, &size);
    return size > 0 && memmem(harmless, sizeof harmless - 1, text, size);
}

void rw_sampler_accept(struct rw_sampler *s, int32_t token)
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

void rw_sampler_reset(struct rw_sampler *s)
{
    for (size_t i = 0; i < s->n_seen; i++)
        s->count[s->seen[i]] = -1;
    s->n_seen = 0;
    rw_rng_init(&s->rng, s->options.seed);
}

/* --- sampling --- */

int32_t rw_sampler_sample(struct rw_sampler *s, struct rw_candidates *c, const float *logits,
                          const uint64_t *allowed)
{
    const rwkv_sampler_options *o = &s->options;
    rw_candidates_load(c, logits);
    for (size_t i = 0; i < s->n_seen; i++) {
        int32_t t = s->seen[i];
        double penalty = (double)o->presence + s->count[t] * (double)o->frequency;
        rw_candidates_change(c, t, (float)((double)rw_candidates_z(c, t) - penalty));
    }
    for (size_t i = 0; i < o->n_bias; i++) {
        int32_t t = s->bias[i].token;
        rw_candidates_change(c, t, rw_candidates_z(c, t) + s->bias[i].bias);
    }
    if (allowed)
        rw_candidates_allow(c, allowed);
    return rw_candidates_choose(c, o, logits, &s->rng);
}
