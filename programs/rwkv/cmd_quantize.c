/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv quantize`: a model in fewer bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "commands.h"
#include "interrupt.h"
#include "open_model.h"
#include "options.h"
#include "progress.h"
#include "quantize_report.h"
#include "rwkv_quantize.h"
#include "say.h"
#include "text_in.h"

#define RULES 64

struct quantize {
    struct rw_model_args model_args; /* of IN, to calibrate with */
    rwkv_dtype type;
    struct rules {
        rwkv_quantize_rule list[RULES]; /* patterns owned */
        size_t count;
    } rules;
    const char *calibrate, *importance, *importance_out;
    size_t calibrate_tokens;
    bool force, quiet, report, json;
};

/* --- options ---------------------------------------------------------------------------------- */

static rwkv_status parse_block_type(void *to, const char *value, rwkv_error *err)
{
    rwkv_dtype dtype = rwkv_dtype_from_name(value);
    if (dtype < RWKV_DTYPE_Q4_0 || dtype >= RWKV_DTYPE_MODEL_COUNT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted q8_0, q6_k, q5_k, q4_k, q3_k, q2_k, q5_1, q5_0, q4_1, q4_0, iq4_nl "
                       "or iq4_xs, found '%s'",
                       value);
    *(rwkv_dtype *)to = dtype;
    return RWKV_OK;
}

static rwkv_status parse_rule(void *to, const char *value, rwkv_error *err)
{
    struct rules *rules = to;
    const char *equals = strrchr(value, '=');
    rwkv_dtype dtype = equals ? rwkv_dtype_from_name(equals + 1) : RWKV_DTYPE_COUNT;
    if (!equals || equals == value || dtype >= RWKV_DTYPE_MODEL_COUNT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted PATTERN=TYPE such as 'output.weight=q8_0', found '%s'", value);
    if (rules->count == RULES)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted at most %d patterns", RULES);
    char *pattern = rw_strndup(value, (size_t)(equals - value));
    if (!pattern)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a pattern");
    rules->list[rules->count++] = (rwkv_quantize_rule){pattern, dtype};
    return RWKV_OK;
}

static void free_rules(struct rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        rw_free((char *)(uintptr_t)rules->list[i].pattern);
}

/* What contradicts itself; IN and OUT are there. */
static rwkv_status check(const struct quantize *q, rwkv_error *err)
{
    if (q->type == RWKV_DTYPE_COUNT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted --type");
    if (q->calibrate && q->importance)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "--calibrate measures what --importance reads: wanted one of them");
    if (q->importance_out && !q->calibrate)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "--importance-out wants --calibrate with it");
    return RWKV_OK;
}

/* --- calibration ------------------------------------------------------------------------------ */

static rwkv_status read_tokens(const struct quantize *q, const rwkv_model *model,
                               struct rw_tokens *tokens, rwkv_error *err)
{
    const rwkv_vocab *vocab;
    struct rw_str text = {0};
    rwkv_status status;
    RW_GO(rw_need_vocab(model, &vocab, err));
    RW_GO(rw_read_text(q->calibrate, &text, err));
    RW_GO(rw_encode(vocab, text.data ? text.data : "", text.size, tokens, err));
    if (tokens->count == 0)
        RW_GO(rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a text, found nothing", q->calibrate));
    if (q->calibrate_tokens)
        tokens->count = RW_MIN(tokens->count, q->calibrate_tokens);
done:
    rw_str_fini(&text);
    return status;
}

static rwkv_status measure(const struct quantize *q, rwkv_importance **out, rwkv_error *err)
{
    rwkv_model *model = NULL;
    struct rw_tokens tokens = {0};
    struct rw_progress progress;
    rwkv_status status;
    RW_GO(rw_open_model(&q->model_args, false, NULL, &model, err));
    RW_GO(read_tokens(q, model, &tokens, err));
    rw_progress_begin(&progress, "calibrating", RW_PROGRESS_TOKENS, q->quiet);
    status = rwkv_importance_measure(model, tokens.ids, tokens.count, rw_progress_step, &progress,
                                     out, err);
    rw_progress_end(&progress);
    if (status == RWKV_OK && q->importance_out)
        status = rwkv_importance_save(*out, q->importance_out, q->calibrate, err);
done:
    rw_tokens_fini(&tokens);
    rwkv_model_close(model);
    return status;
}

static rwkv_status find_importance(const struct quantize *q, rwkv_importance **out, rwkv_error *err)
{
    if (q->calibrate)
        return measure(q, out, err);
    return q->importance ? rwkv_importance_open(q->importance, out, err) : RWKV_OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

static rwkv_status show(const struct quantize *q, const struct rw_quantize_report *report,
                        const char *in, const char *out, rwkv_error *err)
{
    if (report->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the report; %s is written", out);
    if (q->json)
        RW_TRY(rw_quantize_report_json(report, in, out, err));
    else if (q->report)
        rw_quantize_report_table(report);
    if (!q->quiet)
        rw_quantize_report_summary(report, out);
    return RWKV_OK;
}

static rwkv_status quantize(const struct quantize *q, const char *in, const char *out,
                            rwkv_error *err)
{
    struct rw_quantize_report report = {0};
    struct rw_progress progress;
    rwkv_importance *importance = NULL;
    rwkv_status status;
    RW_GO(find_importance(q, &importance, err));
    rw_progress_begin(&progress, "quantizing", RW_PROGRESS_BYTES, q->quiet);
    const rwkv_quantize_options options = {
        .dtype = q->type,
        .rules = q->rules.list,
        .n_rules = q->rules.count,
        .importance = importance,
        .vocab = q->model_args.options.vocab,
        .overwrite = q->force,
        .threads = q->model_args.options.threads,
        .progress = rw_progress_step,
        .progress_user = &progress,
        .report = rw_quantize_report_add,
        .report_user = &report,
    };
    status = rwkv_quantize(in, out, &options, err);
    rw_progress_end(&progress);
    if (status == RWKV_OK)
        status = show(q, &report, in, out, err);
done:
    if (status == RWKV_ERROR_CANCELLED && !q->quiet)
        rw_note("rwkv: interrupted, %s was not written\n", out);
    rwkv_importance_free(importance);
    rw_quantize_report_fini(&report);
    return status;
}

int rw_cmd_quantize(int argc, char **argv)
{
    struct quantize q = {.type = RWKV_DTYPE_COUNT, .calibrate_tokens = 16384};
    const struct rw_option options[] = {
        {"type", 0, RW_OPTION_CALL, &q.type, .parse = parse_block_type},
        {"tensor", 0, RW_OPTION_CALL, &q.rules, .parse = parse_rule},
        {"calibrate", 0, RW_OPTION_TEXT, &q.calibrate},
        {"calibrate-tokens", 0, RW_OPTION_SIZE, &q.calibrate_tokens},
        {"importance", 0, RW_OPTION_TEXT, &q.importance},
        {"importance-out", 0, RW_OPTION_TEXT, &q.importance_out},
        {"report", 0, RW_OPTION_FLAG, &q.report},
        {"json", 0, RW_OPTION_FLAG, &q.json},
        {"force", 0, RW_OPTION_FLAG, &q.force},
        {"quiet", 'q', RW_OPTION_FLAG, &q.quiet},
        RW_RUNNING_OPTIONS(&q.model_args),
        {0}};
    struct rw_operands operands = {.wanted = "IN OUT", .min = 2, .max = 2};
    rwkv_error err = {0};
    int status = rw_options_read("quantize", options, argc, argv, &operands);
    if (status == RW_OPTIONS_READ && check(&q, &err)) {
        status = rw_complain_usage("quantize", &err);
    } else if (status == RW_OPTIONS_READ) {
        rw_interrupt_catch();
        q.model_args.path = operands.list[0];
        status =
            quantize(&q, operands.list[0], operands.list[1], &err) ? rw_complain(&err) : RW_EXIT_OK;
    }
    free_rules(&q.rules);
    return status;
}
