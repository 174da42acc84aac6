/* SPDX-License-Identifier: Apache-2.0 */
#include "sampling.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "base/str.h"

const char *const rw_sampling_orders[] = {"rwkv", "temperature-first", NULL};
const char *const rw_think_modes[] = {"off", "on", "fast", "short", "long", NULL};

struct rw_sampling rw_sampling_for_text(void)
{
    return (struct rw_sampling){.temperature = 1.0f, .top_p = 0.85f, .penalty_decay = 0.996f};
}

struct rw_sampling rw_sampling_for_chat(void)
{
    return (struct rw_sampling){.temperature = 1.0f,
                                .top_p = 0.3f,
                                .presence = 0.5f,
                                .frequency = 0.5f,
                                .penalty_decay = 0.996f};
}

/* Below 2³², so that it is easy to read, to type and to keep in JSON. */
static uint64_t random_seed(void)
{
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint32_t)(rw_env_seconds() * 1e6);
    return seed;
}

rwkv_sampler_options rw_sampling_options(struct rw_sampling *s)
{
    if (!s->has_seed) {
        s->seed = random_seed();
        s->has_seed = true;
    }
    return (rwkv_sampler_options){
        /* As in the official package, either limit means the most likely token; the library's own
         * zeros mean "default" and "off". */
        .greedy = s->greedy || s->temperature == 0 || s->top_p == 0,
        .temperature = s->temperature,
        .top_p = s->top_p,
        .top_k = s->top_k,
        .min_p = s->min_p,
        .typical_p = s->typical_p,
        .presence = s->presence,
        .frequency = s->frequency,
        .penalty_decay = fmaxf(s->penalty_decay, FLT_MIN), /* 0 would be the default */
        .seed = s->seed,
        .order = (rwkv_sampler_order)s->order,
        .bias = s->biases.list,
        .n_bias = s->biases.count,
    };
}

void rw_sampling_fini(struct rw_sampling *s)
{
    rw_free(s->biases.list);
    s->biases = (struct rw_biases){0};
}

void rw_stops_fini(struct rw_stops *stops)
{
    for (size_t i = 0; i < stops->count; i++)
        rw_free(stops->list[i]);
    rw_free(stops->list);
    *stops = (struct rw_stops){0};
}

rwkv_status rw_parse_bias(void *to, const char *value, rwkv_error *err)
{
    struct rw_biases *biases = to;
    const char *equals = strchr(value, '=');
    char digits[16] = "";
    uint64_t id = 0;
    if (equals && (size_t)(equals - value) < sizeof digits)
        memcpy(digits, value, (size_t)(equals - value));
    char *end = NULL;
    float bias = equals ? strtof(equals + 1, &end) : 0;
    if (!rw_parse_u64(digits, &id) || id > INT32_MAX || end == equals + 1 || *end || isnan(bias))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted TOKEN=NUMBER such as 261=-1.5 or 0=-inf, found '%s'", value);
    if (!rw_grow((void **)&biases->list, biases->count, &biases->capacity, sizeof *biases->list))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    biases->list[biases->count++] = (rwkv_logit_bias){(int32_t)id, bias};
    return RWKV_OK;
}

rwkv_status rw_parse_stop(void *to, const char *value, rwkv_error *err)
{
    static const char letters[] = "ntr\\", meant[] = "\n\t\r\\";
    struct rw_stops *stops = to;
    struct rw_str s = {0};
    for (const char *c = value; *c; c++) {
        const char *letter = c[0] == '\\' && c[1] ? strchr(letters, c[1]) : NULL;
        rw_str_addc(&s, letter ? meant[letter - letters] : *c);
        c += letter != NULL;
    }
    if (!s.size)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted a text, found nothing");
    char *stop = rw_str_take(&s);
    if (!stop ||
        !rw_grow((void **)&stops->list, stops->count, &stops->capacity, sizeof *stops->list)) {
        rw_free(stop);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    }
    stops->list[stops->count++] = stop;
    return RWKV_OK;
}

rwkv_status rw_parse_token(void *to, const char *value, rwkv_error *err)
{
    uint64_t id;
    if (!rw_parse_u64(value, &id) || id > INT32_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted a token id from 0 to %d, found '%s'",
                       INT32_MAX, value);
    return rw_tokens_add(to, (int32_t)id, err);
}

rwkv_status rw_parse_max_tokens(void *to, const char *value, rwkv_error *err)
{
    uint64_t n;
    if (strcmp(value, "inf") == 0)
        n = SIZE_MAX;
    else if (!rw_parse_u64(value, &n) || n >= SIZE_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted a number of tokens or inf, found '%s'",
                       value);
    *(size_t *)to = (size_t)n;
    return RWKV_OK;
}

const char *rw_finish_name(const rwkv_generate_result *result)
{
    switch (result->finish) {
    case RWKV_FINISH_LENGTH:
        return "length";
    case RWKV_FINISH_STOP:
        return result->ended_by_eos ? "end" : "stop";
    case RWKV_FINISH_CALLER:
        return "interrupted";
    case RWKV_FINISH_DEADLINE:
        return "deadline";
    case RWKV_FINISH_ERROR:
        break;
    }
    return "error";
}
