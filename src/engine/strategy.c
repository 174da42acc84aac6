/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/strategy.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

#define MAX_COUNT 1000000

/* --- reading ---------------------------------------------------------------------------------- */

/* A piece of the text that is looked at: [at, end). */
struct piece {
    const char *at, *end;
    size_t number; /* of the step, from 1 */
};

static rwkv_status refuse(const struct piece *step, const char *wanted, const char *at,
                          const char *end, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_ARGUMENT, "strategy: step %zu: wanted %s, found '%.*s'",
                   step->number, wanted, (int)RW_MIN(end - at, (ptrdiff_t)60), at);
}

static void skip_blanks(struct piece *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
        p->at++;
}

/* Up to the next blank. */
static struct piece word(struct piece *p)
{
    skip_blanks(p);
    struct piece w = *p;
    while (p->at < p->end && *p->at != ' ' && *p->at != '\t')
        p->at++;
    w.end = p->at;
    return w;
}

static bool take(struct piece *p, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, text, n) != 0)
        return false;
    p->at += n;
    return true;
}

/* Decimal digits up to a limit; false: there are none, or too many. */
static bool take_number(struct piece *p, size_t limit, size_t *out)
{
    const char *begin = p->at;
    for (*out = 0; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        if ((*out = *out * 10 + (size_t)(*p->at - '0')) > limit)
            return false;
    return p->at > begin;
}

static rwkv_status read_device(struct piece *p, struct rw_step *step, rwkv_error *err)
{
    static const char wanted[] = "cpu, cuda or cuda:N";
    struct piece w = word(p), whole = w;
    size_t index = 0;
    if (take(&w, "cpu")) {
        step->device = RW_DEVICE_CPU;
    } else if (take(&w, "cuda")) {
        step->device = RW_DEVICE_CUDA;
        if (take(&w, ":") && !take_number(&w, 1023, &index))
            return refuse(p, wanted, whole.at, whole.end, err);
        step->index = (int)index;
    }
    if (w.at == whole.at || w.at < w.end)
        return refuse(p, wanted, whole.at, whole.end, err);
    return RWKV_OK;
}

static rwkv_status read_numbers(struct piece *p, struct rw_step *step, rwkv_error *err)
{
    static const struct {
        const char *name;
        rwkv_dtype dtype;
    } known[] = {
        {"fp32", RWKV_DTYPE_F32},
        {"fp16", RWKV_DTYPE_F16},
        {"bf16", RWKV_DTYPE_BF16},
    };
    struct piece w = word(p), whole = w;
    for (size_t i = 0; i < RW_COUNT(known) && w.at == whole.at; i++)
        if (take(&w, known[i].name))
            step->numbers = known[i].dtype;
    step->i8 = w.at > whole.at && take(&w, "i8");
    if (w.at == whole.at || w.at < w.end)
        return refuse(p, "fp32, fp16 or bf16, or one of these with i8", whole.at, whole.end, err);
    return RWKV_OK;
}

static rwkv_status read_count(struct piece *p, struct rw_step *step, rwkv_error *err)
{
    struct piece w = word(p), whole = w;
    if (w.at == w.end)
        return RWKV_OK;
    step->counted = take(&w, "*") && take_number(&w, MAX_COUNT, &step->count);
    step->streams = step->counted && take(&w, "+");
    if (!step->counted || w.at < w.end)
        return refuse(p, "a number of layers, *N or *N+", whole.at, whole.end, err);
    if (step->streams && step->device == RW_DEVICE_CPU)
        return refuse(p, "a device other than the CPU, which has all layers in its memory,",
                      whole.at, whole.end, err);
    return RWKV_OK;
}

static rwkv_status read_step(struct piece *p, struct rw_step *step, rwkv_error *err)
{
    *step = (struct rw_step){0};
    RW_TRY(read_device(p, step, err));
    RW_TRY(read_numbers(p, step, err));
    RW_TRY(read_count(p, step, err));
    skip_blanks(p);
    return p->at < p->end ? refuse(p, "-> before the next step", p->at, p->end, err) : RWKV_OK;
}

rwkv_status rw_strategy_parse(const char *text, struct rw_strategy *out, rwkv_error *err)
{
    size_t streams = 0;
    out->n = 0;
    for (const char *at = text; at;) {
        const char *arrow = strstr(at, "->");
        struct piece p = {at, arrow ? arrow : at + strlen(at), out->n + 1};
        if (out->n == RW_MAX_STEPS)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "strategy: wanted at most %d steps",
                           RW_MAX_STEPS);
        RW_TRY(read_step(&p, &out->steps[out->n], err));
        streams += out->steps[out->n++].streams;
        at = arrow ? arrow + 2 : NULL;
    }
    if (streams > 1)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "strategy: wanted one step with +, found %zu",
                       streams);
    return RWKV_OK;
}

void rw_step_name(const struct rw_step *step, char out[32])
{
    const char *numbers = step->numbers == RWKV_DTYPE_F16    ? "fp16"
                          : step->numbers == RWKV_DTYPE_BF16 ? "bf16"
                                                             : "fp32";
    char index[16] = "";
    if (step->index)
        snprintf(index, sizeof index, ":%d", step->index);
    snprintf(out, 32, "%s%s %s%s", step->device == RW_DEVICE_CPU ? "cpu" : "cuda", index, numbers,
             step->i8 ? "i8" : "");
}

/* --- placing ---------------------------------------------------------------------------------- */

/* How many layers each step gets; with `+`, those that go through it included. */
static void count_layers(const struct rw_strategy *s, size_t n, size_t counts[RW_MAX_STEPS])
{
    size_t left = n, waiting = 0, streams = SIZE_MAX;
    for (size_t i = 0; i < s->n; i++) {
        const struct rw_step *step = &s->steps[i];
        counts[i] = step->counted ? RW_MIN(step->count, left) : 0;
        left -= counts[i];
        waiting += !step->counted;
        streams = step->streams ? i : streams;
    }
    if (streams != SIZE_MAX) {
        counts[streams] += left;
        return;
    }
    for (size_t i = 0; i < s->n; i++)
        if (!s->steps[i].counted) {
            counts[i] = left / waiting--;
            left -= counts[i];
        }
    counts[s->n - 1] += left;
}

void rw_strategy_place(const struct rw_strategy *s, size_t n, struct rw_place *places)
{
    size_t counts[RW_MAX_STEPS], at = 0;
    count_layers(s, n, counts);
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < counts[i]; k++)
            places[at++] = (struct rw_place){i, s->steps[i].streams && k >= s->steps[i].count};
}
