/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A training run. The weights after step n are a function of the options, the data and n alone: a
 * step takes the samples that belong to its number, and what else it needs (weights, moments, count
 * of updates) is in the checkpoint. So a run that stops anywhere goes on from its last checkpoint
 * and makes the same steps again. Stopping within a step throws its gradient away.
 */
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/output.h"
#include "base/status.h"
#include "train/trainer_int.h"

#define REPORT_SECONDS 30 /* between two versions of the report */

static bool due(uint64_t every, uint64_t step)
{
    return every > 0 && step % every == 0;
}

/* --- a step ----------------------------------------------------------------------------------- */

static rwkv_status read_batch(struct rwkv_trainer *t, uint64_t first, size_t n, rwkv_error *err)
{
    size_t context = t->options.context;
    for (size_t i = 0; i < n; i++)
        RW_TRY(rw_dataset_sample(t->data, t->state.step, first + i, t->tokens + i * (context + 1),
                                 t->targets + i * context, err));
    rw_trainer_set_sequences(t, n);
    return RWKV_OK;
}

/* The gradient of this process' micro-batches; stops early when cancelled. */
static rwkv_status accumulate(struct rwkv_trainer *t, rwkv_error *err)
{
    uint64_t at, end;
    t->step_targets = rw_dataset_step_targets(t->data, t->state.step);
    rw_step_begin(&t->step);
    rw_trainer_part(t, t->options.batch * t->options.accumulate, &at, &end);
    while (at < end && !rw_trainer_cancelled(t)) {
        size_t n = (size_t)RW_MIN((uint64_t)t->gradient_options.sequences, end - at);
        RW_TRY(read_batch(t, at, n, err));
        at += n;
        rw_step_add(&t->step, t->sequences, n, RW_MAX(t->step_targets, (uint64_t)1), at == end);
        t->step.bytes += (double)rw_trainer_count(t, n).bytes;
    }
    return RWKV_OK;
}

/* A step whose loss or gradient is not finite changed nothing. */
static rwkv_status blame(struct rwkv_trainer *t, const struct rw_step_result *result,
                         rwkv_error *err)
{
    char what[240];
    double loss = result->loss / (double)t->step_targets;
    snprintf(what, sizeof what,
             "loss %g, norm of the gradient %g; the first tensor that is not finite: %s%s",
             fabs(loss), fabs(result->norm), /* NaN has no sign worth showing */
             !result->culprit || result->weights ? "" : "the gradient of ",
             result->culprit ? result->culprit->name : "none");
    if (result->weights || t->options.on_nan == RWKV_NAN_STOP)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "step %" PRIu64 ": %s", t->state.step + 1,
                       what);
    rw_trainer_note(t, "step %" PRIu64 " left out: %s", t->state.step + 1, what);
    return RWKV_OK;
}

/* A log that cannot be written is no reason to stop. */
static void note_log(struct rwkv_trainer *t, rwkv_status status, const rwkv_error *err)
{
    if (status != RWKV_OK)
        rw_trainer_note(t, "%s; training goes on", err->message);
}

static void report_step(struct rwkv_trainer *t, const struct rw_step_result *result, double rate,
                        double seconds)
{
    rwkv_error err = {0};
    rwkv_train_event e = rw_trainer_event(t, RWKV_TRAIN_STEP);
    double done = (double)(t->state.step - t->plan.step);
    e.targets = t->step_targets;
    e.loss = result->loss / (double)t->step_targets; /* 0 / 0: there is none */
    e.bits_per_byte = rw_trainer_bits_per_byte(t, result->loss, (uint64_t)result->bytes);
    e.learning_rate = rate;
    e.gradient_norm = result->norm;
    e.tokens_per_second = (double)t->plan.tokens_per_step / seconds;
    if (t->peak > 0)
        e.share_of_peak = t->plan.ops_per_token * e.tokens_per_second / t->peak;
    e.seconds_left = (e.seconds - t->before) / done * (double)(e.steps - e.step);
    t->event(t->user, &e);
    if (!t->log)
        return;
    const struct rw_log_step record = {.step = e.step,
                                       .tokens = e.tokens,
                                       .loss = e.loss,
                                       .bits_per_byte = e.bits_per_byte,
                                       .learning_rate = rate,
                                       .gradient_norm = e.gradient_norm,
                                       .tokens_per_second = e.tokens_per_second,
                                       .share_of_peak = e.share_of_peak,
                                       .seconds = e.seconds,
                                       .time = rw_env_time()};
    note_log(t, rw_log_step(t->log, &record, &err), &err);
}

/* One step, or nothing when a process was cancelled or failed in its middle. */
static rwkv_status do_step(struct rwkv_trainer *t, rwkv_error *err)
{
    struct rw_step_result result;
    double start = rw_env_seconds(), rate = rw_schedule_rate(&t->schedule, t->state.step);
    rwkv_status status = accumulate(t, err);
    t->step.stop = status != RWKV_OK || rw_trainer_cancelled(t);
    bool updated = rw_step_end(&t->step, rate, t->state.updates + 1, &result);
    t->stopping = result.stopped;
    if (result.stopped)
        return rw_comm_agree(t->comm, status, err);
    if (!updated)
        RW_TRY(blame(t, &result, err));
    t->state.updates += updated;
    t->state.step++;
    t->state.tokens += t->plan.tokens_per_step;
    report_step(t, &result, rate, rw_env_seconds() - start);
    return RWKV_OK;
}

/* --- what happens between steps --------------------------------------------------------------- */

static void note(void *trainer, const char *message)
{
    rw_trainer_note(trainer, "%s", message);
}

static rwkv_status write_checkpoint(struct rwkv_trainer *t,
                                    const struct rw_checkpoint_arrays *arrays, rwkv_error *err)
{
    const char *settings = t->options.settings ? t->options.settings : "";
    rwkv_error ignored = {0};
    note_log(t, rw_log_sync(t->log, &ignored), &ignored);
    t->state.milliseconds = (uint64_t)(1000 * rw_trainer_seconds(t));
    RW_TRY(rw_checkpoint_save(t->checkpoints, t->options.keep, &t->parameters, arrays, &t->state,
                              settings, note, t, err));
    rwkv_train_event event = rw_trainer_event(t, RWKV_TRAIN_CHECKPOINT);
    t->event(t->user, &event);
    return RWKV_OK;
}

static rwkv_status save(struct rwkv_trainer *t, rwkv_error *err)
{
    const struct rw_checkpoint_arrays arrays = rw_trainer_collect(t);
    rwkv_status status = t->comm->rank == 0 ? write_checkpoint(t, &arrays, err) : RWKV_OK;
    return rw_comm_agree(t->comm, status, err);
}

static bool at_end(const struct rwkv_trainer *t)
{
    return t->state.step == t->plan.steps;
}

/* The validation and the sample of text that are due after this step. */
static void look(struct rwkv_trainer *t, bool validated, bool sampled)
{
    const rwkv_train_options *o = &t->options;
    uint64_t step = t->state.step;
    rwkv_error err = {0};
    if (rw_dataset_info(rw_trainer_held_out(t))->held_out && !validated &&
        (due(o->validate_every, step) || at_end(t))) {
        note_log(t, rw_trainer_validate(t, &err), &err);
        rw_trainer_measure(t);
    }
    if (due(o->sample_every, step) && !sampled && !t->stopping)
        note_log(t, rw_trainer_sample(t, &err), &err);
}

/* Everything that is due after a step, the checkpoint last: it is not ahead of the log, unless a
 * stop cuts off what the log is to hold. None of it is worth stopping for. */
static void after_step(struct rwkv_trainer *t)
{
    const rwkv_train_options *o = &t->options;
    uint64_t step = t->state.step;
    rwkv_error err = {0};
    look(t, false, false);
    if (t->comm->rank == 0 && due(o->export_every, step) && !at_end(t))
        note_log(t, rw_trainer_export(t, false, &err), &err);
    if (due(o->checkpoint_every, step) && !at_end(t))
        note_log(t, save(t, &err), &err);
}

/* What a stop has cut off after the step that is gone on from: the log does not hold it. */
static void catch_up(struct rwkv_trainer *t)
{
    double has[] = {0, 0};
    if (t->log) {
        has[0] = rw_log_has_validation(t->log, t->state.step);
        has[1] = rw_log_has_sample(t->log, t->state.step);
    }
    rw_comm_sum(t->comm, has, RW_COUNT(has));
    look(t, has[0] > 0, has[1] > 0);
}

/* --- the run ---------------------------------------------------------------------------------- */

static rwkv_status open_log(struct rwkv_trainer *t, rwkv_error *err)
{
    const struct rw_log_options options = {.folder = t->options.folder,
                                           .title = rw_basename(t->options.folder),
                                           .summary = t->options.settings,
                                           .resume_step = t->state.step,
                                           .total_steps = t->plan.steps,
                                           .time = rw_env_time(),
                                           .report_seconds = REPORT_SECONDS,
                                           .note = note,
                                           .user = t};
    RW_TRY(rw_folder_make(t->options.folder, err));
    RW_TRY(rw_trainer_lock(t, err));
    if (t->locked)
        rw_checkpoint_sweep(t->checkpoints);
    return rw_log_open(&t->log, &options, err);
}

static void tell_notes(struct rwkv_trainer *t)
{
    for (size_t at = 0; at < t->notes.size; at += strlen(t->notes.data + at) + 1)
        rw_trainer_note(t, "%s", t->notes.data + at);
}

/* A run of new weights begins with a checkpoint: from then on it can be resumed. */
static rwkv_status begin(struct rwkv_trainer *t, rwkv_error *err)
{
    t->started = true;
    t->started_at = rw_env_seconds();
    t->before = (double)t->state.milliseconds / 1000;
    tell_notes(t);
    rwkv_status status = t->comm->rank == 0 ? open_log(t, err) : RWKV_OK;
    if (status == RWKV_OK)
        status = rw_trainer_start(t, err);
    RW_TRY(rw_comm_agree(t->comm, status, err));
    rw_shards_spread(t->step.shards, t->step.values); /* to the bit the same weights in all */
    rw_trainer_measure(t);
    if (t->plan.step == 0)
        return save(t, err);
    catch_up(t);
    return RWKV_OK;
}

static rwkv_status end(struct rwkv_trainer *t, rwkv_error *err)
{
    t->finished = t->state.step >= t->plan.steps && !t->stopping;
    RW_TRY(save(t, err));
    rwkv_status status = RWKV_OK;
    if (t->finished && t->comm->rank == 0)
        status = rw_trainer_export(t, true, err);
    if (status == RWKV_OK) {
        status = rw_log_close(t->log, t->finished, err);
        t->log = NULL;
    }
    return rw_comm_agree(t->comm, status, err);
}

static void tell_nobody(void *user, const rwkv_train_event *event)
{
}

rwkv_status rw_trainer_run(struct rwkv_trainer *t, rwkv_train_event_fn event, void *user,
                           rwkv_error *err)
{
    t->event = t->comm->rank == 0 ? event : tell_nobody;
    t->user = user;
    if (t->started)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: this run was started already",
                       t->options.folder);
    RW_TRY(begin(t, err));
    while (t->state.step < t->plan.steps && !t->stopping) {
        rwkv_status status = do_step(t, err);
        if (status != RWKV_OK) { /* what was done before the step is good */
            rwkv_error saving = {0};
            note_log(t, save(t, &saving), &saving);
            return status;
        }
        if (!t->stopping)
            after_step(t);
    }
    return end(t, err);
}

bool rw_trainer_finished(const struct rwkv_trainer *t)
{
    return t->finished;
}
