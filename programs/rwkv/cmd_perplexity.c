/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rwkv perplexity`: how well a model predicts a text, alone or beside the model it was made from.
 * The text is read twice, a piece at a time: once to count its tokens, so that the bar knows where
 * the end is, and once to evaluate them. docs/cli/perplexity.md says what the numbers mean.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/map.h"
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
#include "text_in.h"

#define PIECE 256 /* tokens between two looks at Ctrl-C */

struct perplexity {
    struct rw_model_args model_args;
    const char *file, *compare;
    size_t window, limit; /* tokens; 0: none */
    bool json, quiet;

    rwkv_model *model, *base;
    const rwkv_vocab *vocab;
    rwkv_evaluator *evaluator;
    struct rw_map map;   /* of a regular file */
    struct rw_str bytes; /* of anything else */
    const char *text;
    size_t size;
    uint64_t total; /* tokens to evaluate */
    rwkv_evaluation result;
};

/* --- the text --------------------------------------------------------------------------------- */

static const char *text_name(const struct perplexity *p)
{
    return strcmp(p->file, "-") == 0 ? "standard input" : p->file;
}

/* A file is mapped, so that it may be larger than memory; a pipe has to be held. */
static rwkv_status open_text(struct perplexity *p, rwkv_error *err)
{
    struct stat st;
    if (strcmp(p->file, "-") != 0 && stat(p->file, &st) == 0 && S_ISREG(st.st_mode)) {
        RW_TRY(rw_map_open(&p->map, p->file, err));
        p->text = (const char *)p->map.data;
        p->size = p->map.size;
        return RWKV_OK;
    }
    RW_TRY(rw_read_text(p->file, &p->bytes, err));
    p->text = p->bytes.data;
    p->size = p->bytes.size;
    return RWKV_OK;
}

static rwkv_status fail_interrupted(rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_CANCELLED, "interrupted");
}

/* The next tokens of the text from byte *at on; none at its end. */
static rwkv_status next_piece(const struct perplexity *p, size_t *at, uint64_t left,
                              int32_t tokens[PIECE], size_t *n, rwkv_error *err)
{
    size_t capacity = (size_t)RW_MIN(left, PIECE);
    rwkv_status status =
        rwkv_vocab_encode_some(p->vocab, p->text, p->size, at, tokens, capacity, n, err);
    return status ? rw_fail_within(err, status, "%s", text_name(p)) : RWKV_OK;
}

/* How many tokens will be evaluated: with windows, as many as fill them. */
static rwkv_status count_tokens(struct perplexity *p, rwkv_error *err)
{
    int32_t tokens[PIECE];
    uint64_t count = 0, limit = p->limit ? p->limit : UINT64_MAX;
    size_t wanted = p->window ? p->window : 2, at = 0, n;
    do {
        RW_TRY(next_piece(p, &at, limit - count, tokens, &n, err));
        count += n;
        if (rw_interrupted)
            return fail_interrupted(err);
    } while (n > 0);
    if (count < wanted)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted at least %zu tokens%s, found %llu",
                       text_name(p), wanted, p->window ? ", a window" : "",
                       (unsigned long long)count);
    p->total = p->window ? count - count % p->window : count;
    return RWKV_OK;
}

/* --- evaluation ------------------------------------------------------------------------------- */

static rwkv_status prepare(struct perplexity *p, rwkv_error *err)
{
    RW_TRY(open_text(p, err));
    RW_TRY(rw_open_model(&p->model_args, false, NULL, &p->model, err));
    RW_TRY(rw_need_vocab(p->model, &p->vocab, err));
    RW_TRY(count_tokens(p, err));
    if (p->compare) {
        struct rw_model_args base = {p->compare, p->model_args.options};
        RW_TRY(rw_open_model(&base, false, NULL, &p->base, err));
    }
    rwkv_evaluate_options options = {.window = p->window, .base = p->base};
    return rwkv_evaluator_new(p->model, &options, &p->evaluator, err);
}

/* Interrupted, it ends with what there is. */
static rwkv_status evaluate(struct perplexity *p, rwkv_error *err)
{
    int32_t tokens[PIECE];
    struct rw_progress progress;
    rwkv_status status = RWKV_OK;
    size_t at = 0, n;
    rw_progress_begin(&progress, "evaluating", RW_PROGRESS_TOKENS, p->quiet);
    for (uint64_t done = 0; done < p->total && !rw_interrupted; done += n) {
        RW_GO(next_piece(p, &at, p->total - done, tokens, &n, err));
        RW_GO(rwkv_evaluator_feed(p->evaluator, tokens, n, err));
        rw_progress_step(&progress, done + n, p->total);
    }
done:
    rw_progress_end(&progress);
    rwkv_evaluator_result(p->evaluator, &p->result);
    return status;
}

/* --- output ----------------------------------------------------------------------------------- */

static bool complete(const struct perplexity *p)
{
    return p->result.tokens == p->total;
}

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
    rw_outs(text_name(p));
    if (p->window)
        rw_outf(": %llu tokens in windows of %zu", (unsigned long long)p->total, p->window);
    else
        rw_outf(": %llu tokens, the state carried through", (unsigned long long)p->total);
    if (!complete(p))
        rw_outf("; interrupted after %llu", (unsigned long long)r->tokens);
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
    rw_json_text(&j, "text", text_name(p));
    rw_json_u64(&j, "window", p->window);
    rw_json_u64(&j, "tokens", p->total);
    rw_json_u64(&j, "tokens_evaluated", r->tokens);
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
    RW_TRY(prepare(p, err));
    RW_TRY(evaluate(p, err));
    if (p->result.scored == 0)
        return fail_interrupted(err);
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
    rw_map_close(&p->map);
    rw_str_fini(&p->bytes);
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
