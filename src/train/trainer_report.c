/* SPDX-License-Identifier: Apache-2.0 */
/* What a run tells besides its steps: remarks, validation, samples of text, and the models it
 * exports. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/status.h"
#include "train/trainer_int.h"

#define MEASURES 5 /* of the peak, of which the median counts */

double rw_trainer_seconds(const struct rwkv_trainer *t)
{
    return t->before + rw_env_seconds() - t->started_at;
}

rwkv_train_event rw_trainer_event(const struct rwkv_trainer *t, rwkv_train_event_kind kind)
{
    return (rwkv_train_event){.kind = kind,
                              .step = t->state.step,
                              .steps = t->plan.steps,
                              .tokens = t->state.tokens,
                              .loss = NAN,
                              .bits_per_byte = NAN,
                              .learning_rate = NAN,
                              .gradient_norm = NAN,
                              .tokens_per_second = NAN,
                              .share_of_peak = NAN,
                              .seconds = rw_trainer_seconds(t),
                              .seconds_left = NAN,
                              .text = ""};
}

void rw_trainer_note(struct rwkv_trainer *t, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    rwkv_train_event event = rw_trainer_event(t, RWKV_TRAIN_NOTE);
    event.text = text;
    event.text_size = strlen(text);
    t->event(t->user, &event);
}

void rw_trainer_measure(struct rwkv_trainer *t)
{
    double rates[MEASURES];
    rwkv_limit limit =
        t->options.precision == RWKV_PRECISION_BF16 ? RWKV_LIMIT_BF16 : RWKV_LIMIT_F32;
    for (size_t i = 0; i < MEASURES; i++) {
        double rate = t->backend->ops->measure(t->backend, limit, NULL, 0);
        size_t at = i;
        for (; at > 0 && rates[at - 1] > rate; at--)
            rates[at] = rates[at - 1];
        rates[at] = rate;
    }
    t->peak = rates[MEASURES / 2];
    rw_comm_sum(t->comm, &t->peak, 1);
}

double rw_trainer_bits_per_byte(const struct rwkv_trainer *t, double nats, uint64_t bytes)
{
    return t->vocab && bytes ? nats / M_LN2 / (double)bytes : NAN;
}

struct rw_trainer_count rw_trainer_count(const struct rwkv_trainer *t, size_t n)
{
    struct rw_trainer_count count = {0};
    for (size_t i = 0; i < n * t->options.context; i++) {
        size_t size = 0;
        if (t->targets[i] < 0)
            continue;
        if (t->vocab)
            rw_vocab_token(t->vocab, t->targets[i], &size);
        count.targets++;
        count.bytes += size;
    }
    return count;
}

void rw_trainer_set_sequences(struct rwkv_trainer *t, size_t n)
{
    size_t context = t->options.context;
    for (size_t i = 0; i < n; i++) {
        t->sequences[i] = (struct rw_gradient_sequence){.tokens = t->tokens + i * (context + 1),
                                                        .targets = t->targets + i * context,
                                                        .count = context};
    }
}

/* --- validation ------------------------------------------------------------------------------- */

/* This process' part of the windows: the sum of its losses, its targets and their bytes. */
static rwkv_status evaluate(struct rwkv_trainer *t, uint64_t windows, double *nats, double *targets,
                            double *bytes, rwkv_error *err)
{
    size_t context = t->options.context;
    uint64_t w, end;
    rw_trainer_part(t, windows, &w, &end);
    while (w < end && !rw_trainer_cancelled(t)) {
        size_t n = (size_t)RW_MIN((uint64_t)t->gradient_options.sequences, end - w);
        for (size_t i = 0; i < n; i++)
            RW_TRY(rw_dataset_held_out(rw_trainer_held_out(t), w++, t->tokens + i * (context + 1),
                                       t->targets + i * context, err));
        rw_trainer_set_sequences(t, n);
        rw_gradient_loss(t->step.gradient, t->step.values, t->sequences, n, nats);
        struct rw_trainer_count count = rw_trainer_count(t, n);
        *targets += (double)count.targets;
        *bytes += (double)count.bytes;
    }
    return RWKV_OK;
}

rwkv_status rw_trainer_validate(struct rwkv_trainer *t, rwkv_error *err)
{
    uint64_t windows = rw_dataset_info(rw_trainer_held_out(t))->held_out;
    if (t->options.validate_windows)
        windows = RW_MIN(windows, (uint64_t)t->options.validate_windows);
    double sums[] = {0, 0, 0, 0};
    rwkv_status status = evaluate(t, windows, &sums[0], &sums[1], &sums[2], err);
    sums[3] = status != RWKV_OK || rw_trainer_cancelled(t);
    rw_comm_sum(t->comm, sums, RW_COUNT(sums));
    if (sums[3] > 0) {
        RW_TRY(rw_comm_agree(t->comm, status, err));
        t->stopping = true;
        return RWKV_OK;
    }
    rwkv_train_event event = rw_trainer_event(t, RWKV_TRAIN_VALIDATION);
    event.targets = (uint64_t)sums[1];
    event.loss = sums[0] / sums[1]; /* 0 / 0: there is none */
    event.bits_per_byte = rw_trainer_bits_per_byte(t, sums[0], (uint64_t)sums[2]);
    t->event(t->user, &event);
    if (!t->log)
        return RWKV_OK;
    const struct rw_log_validation record = {.step = event.step,
                                             .loss = event.loss,
                                             .bits_per_byte = event.bits_per_byte,
                                             .seconds = event.seconds,
                                             .time = rw_env_time()};
    return rw_log_validation(t->log, &record, err);
}

/* --- text ------------------------------------------------------------------------------------- */

static rwkv_status tell_sample(struct rwkv_trainer *t, const struct rw_str *text, rwkv_error *err)
{
    rwkv_train_event event = rw_trainer_event(t, RWKV_TRAIN_SAMPLE);
    event.text = text->data ? text->data : "";
    event.text_size = text->size;
    t->event(t->user, &event);
    const struct rw_log_sample record = {.step = event.step,
                                         .text = event.text,
                                         .size = event.text_size,
                                         .seconds = event.seconds,
                                         .time = rw_env_time()};
    return rw_log_sample(t->log, &record, err);
}

/* Rank 0 writes it; the others wait. */
rwkv_status rw_trainer_sample(struct rwkv_trainer *t, rwkv_error *err)
{
    struct rw_str text = {0};
    double cut = 0;
    const struct rw_sampling_options options = {.prompt = t->options.prompt,
                                                .tokens = t->options.sample_tokens,
                                                .seed = t->options.seed + t->state.step,
                                                .cancel = t->options.cancel};
    rwkv_status status = RWKV_OK;
    if (t->comm->rank == 0) {
        status = rw_sampling_text(t->sampling, t->step.values, t->vocab, &options, &text, err);
        cut = rw_trainer_cancelled(t);
        if (status == RWKV_OK && cut == 0)
            status = tell_sample(t, &text, err);
    }
    rw_comm_sum(t->comm, &cut, 1);
    t->stopping = t->stopping || cut > 0;
    rw_str_fini(&text);
    return status;
}

/* --- models ----------------------------------------------------------------------------------- */

static rwkv_status export_one(struct rwkv_trainer *t, const char *name, size_t n, bool end,
                              rwkv_error *err)
{
    struct rw_str path = {0};
    size_t stem = n;
    while (name[stem - 1] != '.')
        stem--;
    rw_str_printf(&path, "%s/%.*s", t->options.folder, (int)stem - 1, name);
    if (!end)
        rw_str_printf(&path, "-%" PRIu64, t->state.step);
    rw_str_printf(&path, ".%.*s", (int)(n - stem), name + stem);
    if (path.failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a path");
    rwkv_status status =
        rw_parameters_export(&t->parameters, t->step.values, path.data, t->options.export_dtype,
                             t->options.vocab, t->hooks.convert, err);
    if (status == RWKV_OK) {
        rwkv_train_event event = rw_trainer_event(t, RWKV_TRAIN_EXPORT);
        event.text = path.data;
        event.text_size = path.size;
        t->event(t->user, &event);
    }
    rw_str_fini(&path);
    return status;
}

rwkv_status rw_trainer_export(struct rwkv_trainer *t, bool end, rwkv_error *err)
{
    for (const char *name = t->options.exports; name && *name;) {
        size_t n = strcspn(name, ",");
        RW_TRY(export_one(t, name, n, end, err));
        name += n + (name[n] == ',');
    }
    return RWKV_OK;
}
