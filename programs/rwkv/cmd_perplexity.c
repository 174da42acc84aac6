/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rwkv perplexity`: how well a model predicts a text, alone or beside the model it was made from.
 * The text is evaluated as it is read, a piece at a time. docs/cli/perplexity.md says what the
 * numbers mean.
 */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/status.h"
#include "commands.h"
#include "interrupt.h"
#include "json_out.h"
#include "open_model.h"
#include "options.h"
#include "progress.h"
#include "rwkv_evaluate.h"
#include "rwkv_file.h"
#include "say.h"
#include "text_source.h"

#define PIECE 256 /* tokens between two looks at Ctrl-C */

struct perplexity {
    struct rw_model_args model_args;
    const char *file, *compare;
    size_t window, limit; /* tokens; 0: none */
    bool json, quiet;

    rwkv_model *model, *base;
    const rwkv_vocab *vocab;
    rwkv_evaluator *evaluator;
    struct rw_source text;
    int32_t *tokens; /* [capacity]: a window or a piece */
    size_t capacity;
    rwkv_evaluation result;
};

/* --- evaluation ------------------------------------------------------------------------------- */

static rwkv_status prepare(struct perplexity *p, rwkv_error *err)
{
    RW_TRY(rw_source_open(&p->text, p->file, 0, err));
    RW_TRY(rw_open_model(&p->model_args, false, NULL, &p->model, err));
    RW_TRY(rw_need_vocab(p->model, &p->vocab, err));
    if (p->compare) {
        struct rw_model_args base = {p->compare, p->model_args.options};
        RW_TRY(rw_open_model(&base, false, NULL, &p->base, err));
    }
    p->capacity = p->window ? p->window : PIECE;
    p->tokens = rw_alloc(p->capacity, sizeof *p->tokens);
    if (!p->tokens)
        return rw_fail(err, RWKV_ERROR_MEMORY, "--window: no memory for %zu tokens", p->capacity);
    rwkv_evaluate_options options = {.window = p->window, .base = p->base};
    return rwkv_evaluator_new(p->model, &options, &p->evaluator, err);
}

static void show_progress(struct perplexity *p, struct rw_progress *progress)
{
    rwkv_evaluator_result(p->evaluator, &p->result);
    snprintf(progress->note, sizeof progress->note, "%s tokens/s",
             rw_show_rate((double)p->result.tokens, p->result.seconds).text);
    uint64_t done = p->text.at, total = p->text.total;
    if (p->limit && (double)p->limit < (double)total / (double)done * (double)p->result.tokens)
        total = (uint64_t)((double)done / (double)p->result.tokens * (double)p->limit);
    rw_progress_step(progress, done, total);
}

static rwkv_status feed(struct perplexity *p, size_t n, struct rw_progress *progress,
                        rwkv_error *err)
{
    for (size_t at = 0; at < n && !rw_interrupted; at += PIECE) {
        RW_TRY(rwkv_evaluator_feed(p->evaluator, p->tokens + at, RW_MIN(n - at, PIECE), err));
        show_progress(p, progress);
    }
    return RWKV_OK;
}

/* Until the text or the limit ends, or the user interrupts, which is no error once there is
 * something to show. Of windows, only those that are filled. */
static rwkv_status evaluate(struct perplexity *p, struct rw_progress *progress, rwkv_error *err)
{
    uint64_t limit = p->limit ? p->limit : UINT64_MAX, count = 0;
    size_t least = p->window ? p->window : 2, wanted, n;
    do {
        wanted = (size_t)RW_MIN(limit - count, p->capacity);
        RW_TRY(rw_source_next(&p->text, p->vocab, p->tokens, wanted, &n, err));
        count += n;
        if (!p->window || n == p->window)
            RW_TRY(feed(p, n, progress, err));
    } while (n == wanted && n > 0 && !rw_interrupted);
    if (rw_interrupted && p->result.scored == 0)
        return rw_fail(err, RWKV_ERROR_CANCELLED, "interrupted");
    if (count < least)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted at least %zu tokens%s, found %llu",
                       p->text.name, least, p->window ? ", a window" : "",
                       (unsigned long long)count);
    return RWKV_OK;
}

/* --- output ----------------------------------------------------------------------------------- */

static void print_estimate(const char *name, rwkv_estimate x, int digits, const char *unit)
{
    rw_outf("%-20s %.*f", name, digits, x.mean);
    if (isfinite(x.error))
        rw_outf(" ± %.*f", digits, x.error);
    rw_outf("%s\n", unit);
}

static void print_comparison(const struct perplexity *p)
{
    char model[160];
    rwkv_model_info info;
    const rwkv_evaluation *r = &p->result;
    const rwkv_estimate percent = {100 * r->same_top.mean, 100 * r->same_top.error};
    rwkv_model_get_info(p->base, &info);
    rw_describe_model(&info, model, sizeof model);
    rw_outf("\nbeside %s: %s\n\n", p->compare, model);
    print_estimate("its loss", r->base_loss, 5, " nats a token");
    print_estimate("its perplexity", r->base_perplexity, 5, "");
    print_estimate("perplexity ratio", r->perplexity_ratio, 5, "");
    print_estimate("KL divergence", r->divergence, 7, " nats a token");
    rw_outf("%-20s %.7f for 99 %% of the tokens, %.7f for all\n", "  at most", r->divergence_p99,
            r->divergence_max);
    print_estimate("same first choice", percent, 3, " %");
    rw_outf("%-20s %.3f %% (root mean square, of the token that came)\n", "probability change",
            100 * r->probability_rms);
}

static void print_text(const struct perplexity *p)
{
    char model[160];
    rwkv_model_info info;
    const rwkv_evaluation *r = &p->result;
    rwkv_model_get_info(p->model, &info);
    rw_describe_model(&info, model, sizeof model);
    rw_outf("%s: %s\n", rw_model_name(p->model_args.path), model);
    rw_outf("%s: %llu tokens", p->text.name, (unsigned long long)r->tokens);
    if (p->window)
        rw_outf(" in windows of %zu", p->window);
    else
        rw_outs(", the state carried through");
    if (rw_interrupted)
        rw_outs("; interrupted");
    rw_outf("\n\n%-20s %llu scored, %llu bytes of text\n", "tokens", (unsigned long long)r->scored,
            (unsigned long long)r->scored_bytes);
    print_estimate("loss", r->loss, 5, " nats a token");
    print_estimate("perplexity", r->perplexity, 5, "");
    rw_outf("%-20s %.5f\n", "bits per byte", r->bits_per_byte);
    rw_outf("%-20s %s tokens/s\n", "speed", rw_show_rate((double)r->tokens, r->seconds).text);
    if (p->base)
        print_comparison(p);
}

static void json_estimate(struct rw_json *j, const char *name, rwkv_estimate x)
{
    char error[40];
    snprintf(error, sizeof error, "%s_error", name);
    rw_json_real(j, name, x.mean);
    rw_json_real(j, error, x.error);
}

static void json_comparison(struct rw_json *j, const struct perplexity *p)
{
    const rwkv_evaluation *r = &p->result;
    rw_json_open(j, "comparison", RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(j, "base", p->compare);
    json_estimate(j, "base_loss", r->base_loss);
    json_estimate(j, "base_perplexity", r->base_perplexity);
    json_estimate(j, "perplexity_ratio", r->perplexity_ratio);
    json_estimate(j, "kl_divergence", r->divergence);
    rw_json_real(j, "kl_divergence_p99", r->divergence_p99);
    rw_json_real(j, "kl_divergence_max", r->divergence_max);
    json_estimate(j, "same_top", r->same_top);
    rw_json_real(j, "probability_rms", r->probability_rms);
    rw_json_close(j);
}

static rwkv_status print_json(const struct perplexity *p, rwkv_error *err)
{
    struct rw_json j = {0};
    const rwkv_evaluation *r = &p->result;
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "model", rw_model_name(p->model_args.path));
    rw_json_text(&j, "text", p->text.name);
    rw_json_u64(&j, "window", p->window);
    rw_json_bool(&j, "interrupted", rw_interrupted != 0);
    rw_json_u64(&j, "tokens", r->tokens);
    rw_json_u64(&j, "tokens_scored", r->scored);
    rw_json_u64(&j, "bytes_scored", r->scored_bytes);
    json_estimate(&j, "loss", r->loss);
    json_estimate(&j, "perplexity", r->perplexity);
    rw_json_real(&j, "bits_per_byte", r->bits_per_byte);
    rw_json_real(&j, "seconds", r->seconds);
    rw_json_real(&j, "tokens_per_second", (double)r->tokens / r->seconds);
    if (p->base)
        json_comparison(&j, p);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

static rwkv_status perplexity(struct perplexity *p, rwkv_error *err)
{
    struct rw_progress progress;
    RW_TRY(prepare(p, err));
    rw_progress_begin(&progress, "evaluating", RW_PROGRESS_BYTES, p->quiet);
    rwkv_status status = evaluate(p, &progress, err);
    rw_progress_end(&progress);
    RW_TRY(status);
    if (p->json)
        return print_json(p, err);
    print_text(p);
    return RWKV_OK;
}

static void perplexity_fini(struct perplexity *p)
{
    rwkv_evaluator_free(p->evaluator);
    rwkv_model_close(p->model);
    rwkv_model_close(p->base);
    rw_source_close(&p->text);
    rw_free(p->tokens);
}

/* MODEL FILE, or FILE alone after -m or for the built-in model; but who gives a model alone has
 * forgotten the text. */
static rwkv_status take_operands(struct perplexity *p, const struct rw_operands *operands,
                                 rwkv_error *err)
{
    rwkv_file *file;
    p->file = operands->list[operands->count - 1];
    if (operands->count == 1 && !p->model_args.path &&
        rwkv_file_open(p->file, &file, NULL) == RWKV_OK) {
        rwkv_file_close(file);
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted %s, found only the model '%s'",
                       operands->wanted, p->file);
    }
    struct rw_operands model = {.list = operands->list, .count = operands->count - 1};
    return rw_model_operand(&p->model_args, &model, err);
}

int rw_cmd_perplexity(int argc, char **argv)
{
    struct perplexity p = {0};
    const struct rw_option options[] = {RW_PATH_OPTION(&p.model_args),
                                        RW_RUNNING_OPTIONS(&p.model_args),
                                        {"compare", 0, RW_OPTION_TEXT, &p.compare},
                                        {"limit", 'n', RW_OPTION_SIZE, &p.limit, .min = 2},
                                        {"window", 0, RW_OPTION_SIZE, &p.window, .min = 3},
                                        {"json", 0, RW_OPTION_FLAG, &p.json},
                                        {"quiet", 'q', RW_OPTION_FLAG, &p.quiet},
                                        {0}};
    struct rw_operands operands = {.wanted = "MODEL FILE", .min = 1, .max = 2};
    rwkv_error err = {0};
    int status = rw_options_read("perplexity", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (take_operands(&p, &operands, &err))
        return rw_complain_usage("perplexity", &err);
    rw_interrupt_catch();
    status = perplexity(&p, &err) ? rw_complain(&err) : RW_EXIT_OK;
    perplexity_fini(&p);
    return status;
}
