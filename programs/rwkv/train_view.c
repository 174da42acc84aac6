/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "json_out.h"
#include "say.h"
#include "train.h"

/* --- the plan --------------------------------------------------------------------------------- */

static void line(const char *name, uint64_t bytes)
{
    rw_note("  %-22s%s\n", name, rw_show_bytes(bytes).text);
}

void rw_train_show_plan(const struct rw_train *t, const rwkv_train_plan *p)
{
    const rwkv_train_options *o = &t->options;
    rw_note("model       %s parameters: %zu layers of width %zu, heads of %zu, channel mix of %zu, "
            "vocabulary of %zu\n",
            rw_show_count((double)p->n_parameters).text, p->n_layer, p->n_embd, p->head_size,
            p->n_ffn, p->n_vocab);
    rw_note("data        %s tokens, %s %s%s\n", rw_show_count((double)p->data_tokens).text,
            rw_show_count((double)p->held_out_tokens).text,
            o->validation ? "others to validate on" : "of them held out",
            o->answers_only ? "; answers only" : "");
    rw_note("run         %" PRIu64 " steps of %zu × %zu × %zu = %s tokens, %s in all, %.3g epochs",
            p->steps, o->accumulate, o->batch, o->context,
            rw_show_count((double)p->tokens_per_step).text, rw_show_count((double)p->tokens).text,
            p->epochs);
    if (p->step)
        rw_note("; goes on after step %" PRIu64, p->step);
    rw_note("\narithmetic  %s operations a token, %s in all, on %zu thread%s with %s\n",
            rw_show_count(p->ops_per_token).text,
            rw_show_count(p->ops_per_token * (double)p->tokens).text, p->threads,
            p->threads == 1 ? "" : "s", p->isa);
    if (p->processes > 1)
        rw_note(
            "processes   %zu, each with so many threads and a share of every step's sequences\n",
            p->processes);
    rw_note("memory      %s", rw_show_bytes(p->memory).text);
    if (p->memory_available)
        rw_note(" of %s available", rw_show_bytes(p->memory_available).text);
    rw_note("\n");
    line("weights", p->parameters);
    line("gradients", p->gradients);
    line("moments", p->moments);
    line("activations", p->activations);
    line("work", p->work);
}

/* --- events for people ------------------------------------------------------------------------ */

static void add_left(struct rw_str *s, double seconds)
{
    if (!(seconds >= 0 && seconds < 1e9))
        return;
    uint64_t n = (uint64_t)(seconds + 0.5);
    if (n >= 3600)
        rw_str_printf(s, "  %" PRIu64 " h %02" PRIu64 " min left", n / 3600, n / 60 % 60);
    else if (n >= 60)
        rw_str_printf(s, "  %" PRIu64 " min %02" PRIu64 " s left", n / 60, n % 60);
    else
        rw_str_printf(s, "  %" PRIu64 " s left", n);
}

/* What is no number has no sign worth showing. */
static double unsign(double x)
{
    return isnan(x) ? fabs(x) : x;
}

static void add_loss(struct rw_str *s, const rwkv_train_event *e)
{
    if (e->targets == 0)
        rw_str_adds(s, "no answers");
    else
        rw_str_printf(s, "loss %.4f", unsign(e->loss));
    if (!isnan(e->bits_per_byte))
        rw_str_printf(s, " (%.3f bits a byte)", e->bits_per_byte);
}

static void show_step(const struct rw_train *t, const rwkv_train_event *e)
{
    struct rw_str s = {0};
    bool terminal = isatty(STDERR_FILENO);
    if (!terminal && e->step % t->print_every && e->step != e->steps)
        return;
    rw_str_printf(&s, "step %" PRIu64 "/%" PRIu64 "  ", e->step, e->steps);
    add_loss(&s, e);
    rw_str_printf(&s, "  lr %.3g  norm %.3g", e->learning_rate, unsign(e->gradient_norm));
    if (isfinite(e->tokens_per_second))
        rw_str_printf(&s, "  %s tokens/s", rw_show_count(e->tokens_per_second).text);
    if (isfinite(e->share_of_peak))
        rw_str_printf(&s, "  %.0f %% of peak", 100 * e->share_of_peak);
    add_left(&s, e->seconds_left);
    if (s.data && terminal)
        rw_show_status(s.data);
    else if (s.data)
        rw_note("%s\n", s.data);
    rw_str_fini(&s);
}

static void show_validation(const rwkv_train_event *e)
{
    struct rw_str s = {0};
    add_loss(&s, e);
    rw_show_status("");
    rw_note("step %" PRIu64 "  validation %s\n", e->step, s.data ? s.data : "");
    rw_str_fini(&s);
}

static void show(const struct rw_train *t, const rwkv_train_event *e)
{
    switch (e->kind) {
    case RWKV_TRAIN_STEP:
        show_step(t, e);
        break;
    case RWKV_TRAIN_VALIDATION:
        show_validation(e);
        break;
    case RWKV_TRAIN_SAMPLE:
        rw_show_status("");
        rw_outf("step %" PRIu64 "  sample:\n", e->step);
        rw_out_generated(e->text, e->text_size);
        rw_outs("\n");
        rw_out_flush();
        break;
    case RWKV_TRAIN_EXPORT:
        rw_show_status("");
        rw_note("step %" PRIu64 "  written: %s\n", e->step, e->text);
        break;
    case RWKV_TRAIN_NOTE:
        rw_show_status("");
        rw_note("rwkv: note: %s\n", e->text);
        break;
    case RWKV_TRAIN_CHECKPOINT:
        break;
    }
}

/* --- events for programs ---------------------------------------------------------------------- */

static void show_json(const rwkv_train_event *e)
{
    static const char *const names[] = {
        [RWKV_TRAIN_STEP] = "step",     [RWKV_TRAIN_VALIDATION] = "validation",
        [RWKV_TRAIN_SAMPLE] = "sample", [RWKV_TRAIN_CHECKPOINT] = "checkpoint",
        [RWKV_TRAIN_EXPORT] = "export", [RWKV_TRAIN_NOTE] = "note"};
    struct rw_json j = {0};
    rwkv_error err = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "event", names[e->kind]);
    rw_json_u64(&j, "step", e->step);
    rw_json_u64(&j, "tokens", e->tokens);
    rw_json_real(&j, "seconds", e->seconds);
    if (e->kind == RWKV_TRAIN_STEP || e->kind == RWKV_TRAIN_VALIDATION) {
        rw_json_u64(&j, "targets", e->targets);
        rw_json_real(&j, "loss", e->loss);
        rw_json_real(&j, "bits_per_byte", e->bits_per_byte);
    }
    if (e->kind == RWKV_TRAIN_STEP) {
        rw_json_real(&j, "learning_rate", e->learning_rate);
        rw_json_real(&j, "gradient_norm", e->gradient_norm);
        rw_json_real(&j, "tokens_per_second", e->tokens_per_second);
        rw_json_real(&j, "share_of_peak", e->share_of_peak);
        rw_json_real(&j, "seconds_left", e->seconds_left);
    }
    if (e->text_size)
        rw_json_bytes(&j, "text", e->text, e->text_size);
    rw_json_close(&j);
    rw_json_print(&j, &err);
    rw_out_flush();
}

void rw_train_show_event(void *train, const rwkv_train_event *event)
{
    const struct rw_train *t = train;
    if (t->json)
        show_json(event);
    else if (!t->quiet || event->kind == RWKV_TRAIN_NOTE)
        show(t, event);
}
