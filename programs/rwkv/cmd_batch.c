/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rwkv batch`: requests in, answers out, many at once. docs/cli/batch.md is its contract. Lines
 * between the first that is not written yet and the last that was read stand in a window; a line
 * read further on may be done before one in front of it, and then waits there to be written.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "batch_files.h"
#include "batch_line.h"
#include "commands.h"
#include "grammar_in.h"
#include "interrupt.h"
#include "open_model.h"
#include "options.h"
#include "progress.h"
#include "rwkv_batch.h"
#include "sampling.h"
#include "say.h"
#include "text_in.h"

#define PARALLEL 32
#define WINDOW 8 /* lines for each sequence at work */

struct batch {
    struct rw_model_args model_args;
    struct rw_line_defaults defaults;
    struct rw_tokens stop_tokens;
    struct rw_grammar_args grammar_args;
    size_t parallel;
    const char *in, *out, *state_in;
    bool ignore_eos, resume, force, quiet;

    rwkv_model *model;
    const rwkv_vocab *vocab;
    rwkv_grammar *grammar; /* of all answers; NULL: none */
    rwkv_session *begin;   /* where every sequence begins; NULL: at nothing */
    rwkv_batch *batch;
    struct rw_requests requests;
    struct rw_answers answers;
    struct rw_line **window; /* [window_size], a ring */
    size_t window_size, first, count;
    struct rw_str output; /* the lines about to be written */
    struct rw_progress progress;
    double start;
    uint64_t base;  /* bytes of the input answered before */
    uint64_t bytes; /* bytes of the input up to the last line written */
    uint64_t lines, failed, prompt_tokens, generated_tokens;
};

/* --- requests --------------------------------------------------------------------------------- */

static rwkv_status add_to_batch(struct batch *b, struct rw_line *line, rwkv_error *err)
{
    int32_t mark;
    rwkv_generate_options options = {
        .max_tokens = line->max_tokens == SIZE_MAX ? 0 : line->max_tokens,
        .sampler = rw_sampling_options(&line->sampling),
        .stop = (const char *const *)line->stops.list,
        .n_stop = line->stops.count,
        .stop_tokens = b->stop_tokens.ids,
        .n_stop_tokens = b->stop_tokens.count,
        .ignore_eos = b->ignore_eos,
        .grammar = b->grammar,
    };
    rwkv_batch_request request = {.prompt = line->prompt.data,
                                  .prompt_size = line->prompt.size,
                                  .options = &options,
                                  .from = b->begin,
                                  .user = line};
    if (line->prompt.size == 0 && !(b->begin && rwkv_session_logits(b->begin))) {
        RW_TRY(rw_text_mark(b->vocab, &mark, err));
        request.prompt = NULL;
        request.tokens = &mark;
        request.n_tokens = 1;
    }
    return rwkv_batch_add(b->batch, &request, NULL, err);
}

/* Put the line that was read into the window and, if there is nothing wrong with it, to work. */
static rwkv_status take_request(struct batch *b, rwkv_error *err)
{
    const struct rw_requests *r = &b->requests;
    struct rw_line *line = rw_line_new(r->number, r->at);
    if (!line)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a request");
    b->window[(b->first + b->count++) % b->window_size] = line;
    rwkv_status status =
        r->too_long
            ? rw_fail(&line->err, RWKV_ERROR_FORMAT, "a line longer than %zu bytes", r->line.size)
            : rw_line_parse(line, r->line.data, r->line.size, &b->defaults, &line->err);
    if (status == RWKV_OK)
        status = add_to_batch(b, line, &line->err);
    rw_str_fini(&line->prompt); /* the batch has its own */
    rw_stops_fini(&line->stops);
    line->done = status != RWKV_OK;
    return RWKV_OK;
}

/* Keep the places filled. Only without other work is the input waited for. */
static rwkv_status read_requests(struct batch *b, rwkv_error *err)
{
    while (b->count < b->window_size && rwkv_batch_count(b->batch) < b->parallel) {
        bool found;
        RW_TRY(rw_requests_next(&b->requests, b->count == 0, &found, err));
        if (!found)
            return RWKV_OK;
        if (b->requests.number <= b->answers.last_line)
            b->base = b->bytes = b->requests.at;
        else
            RW_TRY(take_request(b, err));
    }
    return RWKV_OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void take_event(struct batch *b, const rwkv_batch_event *event)
{
    struct rw_line *line = event->user;
    rw_str_add(&line->text, event->text, event->text_size);
    b->generated_tokens += event->kind == RWKV_BATCH_TOKEN;
    if (event->kind != RWKV_BATCH_FINISHED)
        return;
    line->done = true;
    line->result = event->result;
    if (event->error)
        line->err = *event->error;
    else if (line->text.failed)
        rw_fail(&line->err, RWKV_ERROR_MEMORY, "no memory for the answer");
}

/* Write the answers that are next in order, and as many of them as are done. */
static rwkv_status write_answers(struct batch *b, rwkv_error *err)
{
    while (b->count > 0 && b->window[b->first]->done) {
        struct rw_line *line = b->window[b->first];
        rw_str_reset(&b->output);
        rw_line_write(line, &b->output);
        if (b->output.failed)
            return rw_fail(err, RWKV_ERROR_MEMORY, "line %llu: no memory for the answer",
                           (unsigned long long)line->number);
        RW_TRY(rw_answers_write(&b->answers, b->output.data, b->output.size, err));
        b->lines++;
        b->failed += line->err.code != RWKV_OK;
        b->bytes = line->end;
        rw_line_free(line);
        b->first = (b->first + 1) % b->window_size;
        b->count--;
    }
    return RWKV_OK;
}

static void show_progress(struct batch *b)
{
    double tokens = (double)(b->prompt_tokens + b->generated_tokens);
    snprintf(b->progress.note, sizeof b->progress.note, "%llu lines  %s tokens/s",
             (unsigned long long)b->lines, rw_show_rate(tokens, rw_env_seconds() - b->start).text);
    uint64_t total = b->requests.total;
    rw_progress_step(&b->progress, b->bytes - b->base, total ? total - b->base : 0);
}

/* One step of the batch, and what it brings. */
static rwkv_status step(struct batch *b, rwkv_error *err)
{
    rwkv_batch_stats stats;
    rwkv_batch_event event;
    RW_TRY(rwkv_batch_step(b->batch, &stats, err));
    while (rwkv_batch_next(b->batch, &event))
        take_event(b, &event);
    b->prompt_tokens += stats.prompt_tokens;
    RW_TRY(write_answers(b, err));
    show_progress(b);
    return RWKV_OK;
}

static rwkv_status work(struct batch *b, rwkv_error *err)
{
    do {
        RW_TRY(read_requests(b, err));
        RW_TRY(write_answers(b, err)); /* of requests that failed at once */
        if (b->count > 0 && !rw_interrupted)
            RW_TRY(step(b, err));
    } while ((b->count > 0 || !b->requests.ended) && !rw_interrupted && !rw_out_failed());
    if (b->requests.ended && b->requests.number < b->answers.last_line)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: answers line %llu already, and %s has only %llu lines", b->answers.path,
                       (unsigned long long)b->answers.last_line, b->requests.name,
                       (unsigned long long)b->requests.number);
    return RWKV_OK;
}

/* --- the command ------------------------------------------------------------------------------ */

static rwkv_status prepare(struct batch *b, rwkv_error *err)
{
    enum rw_answers_mode mode = b->resume  ? RW_ANSWERS_RESUME
                                : b->force ? RW_ANSWERS_REPLACE
                                           : RW_ANSWERS_NEW;
    rwkv_batch_options options = {.max_sequences = b->parallel};
    RW_TRY(rw_open_grammar(&b->grammar_args, &b->grammar, err));
    RW_TRY(rw_requests_open(&b->requests, b->in, err));
    RW_TRY(rw_open_model(&b->model_args, false, NULL, &b->model, err));
    RW_TRY(rw_need_vocab(b->model, &b->vocab, err));
    if (b->state_in) {
        RW_TRY(rwkv_session_new(b->model, &b->begin, err));
        RW_TRY(rw_load_state(b->begin, b->state_in, err));
    }
    RW_TRY(rwkv_batch_new(b->model, &options, &b->batch, err));
    b->window_size = WINDOW * b->parallel;
    b->window = rw_calloc(b->window_size, sizeof(struct rw_line *));
    if (!b->window)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu lines", b->window_size);
    return rw_answers_open(&b->answers, b->out, mode, &b->requests, err);
}

static rwkv_status run(struct batch *b, rwkv_error *err)
{
    RW_TRY(prepare(b, err));
    rw_progress_begin(&b->progress, "answering", RW_PROGRESS_BYTES, b->quiet);
    b->start = rw_env_seconds();
    rwkv_status status = work(b, err);
    rw_progress_end(&b->progress);
    RW_TRY(status);
    RW_TRY(rw_answers_close(&b->answers, err));
    if (rw_interrupted)
        rw_note("rwkv: stopped after %llu answers%s\n", (unsigned long long)b->lines,
                b->out ? "; --resume goes on" : "");
    else if (b->failed)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%llu of %llu lines failed: their answers say why",
                       (unsigned long long)b->failed, (unsigned long long)b->lines);
    else if (!b->quiet)
        rw_note("%llu answers, %s tokens in %s: %s tokens/s\n", (unsigned long long)b->lines,
                rw_show_count((double)(b->prompt_tokens + b->generated_tokens)).text,
                rw_show_seconds(rw_env_seconds() - b->start).text,
                rw_show_rate((double)(b->prompt_tokens + b->generated_tokens),
                             rw_env_seconds() - b->start)
                    .text);
    return RWKV_OK;
}

static void batch_fini(struct batch *b)
{
    rwkv_error unused;
    rw_answers_close(&b->answers, &unused);
    rwkv_batch_free(b->batch);
    rwkv_grammar_free(b->grammar);
    for (size_t i = 0; i < b->count; i++)
        rw_line_free(b->window[(b->first + i) % b->window_size]);
    rw_free(b->window);
    rw_requests_close(&b->requests);
    rwkv_session_free(b->begin);
    rwkv_model_close(b->model);
    rw_str_fini(&b->output);
    rw_sampling_fini(&b->defaults.sampling);
    rw_stops_fini(&b->defaults.stops);
    rw_tokens_fini(&b->stop_tokens);
}

int rw_cmd_batch(int argc, char **argv)
{
    struct batch b = {.parallel = PARALLEL,
                      .answers = {.fd = -1},
                      .defaults = {.sampling = rw_sampling_for_text(), .max_tokens = 256}};
    const struct rw_option options[] = {
        RW_PATH_OPTION(&b.model_args),
        RW_RUNNING_OPTIONS(&b.model_args),
        RW_SAMPLING_OPTIONS(&b.defaults.sampling),
        {"max-tokens", 'n', RW_OPTION_CALL, &b.defaults.max_tokens, .parse = rw_parse_max_tokens},
        {"stop", 0, RW_OPTION_CALL, &b.defaults.stops, .parse = rw_parse_stop},
        {"stop-token", 0, RW_OPTION_CALL, &b.stop_tokens, .parse = rw_parse_token},
        {"ignore-eos", 0, RW_OPTION_FLAG, &b.ignore_eos},
        RW_GRAMMAR_OPTIONS(&b.grammar_args),
        {"think", 0, RW_OPTION_CHOICE, &b.defaults.think, .choices = rw_think_modes},
        {"state-in", 0, RW_OPTION_TEXT, &b.state_in},
        {"out", 'o', RW_OPTION_TEXT, &b.out},
        {"resume", 0, RW_OPTION_FLAG, &b.resume},
        {"force", 0, RW_OPTION_FLAG, &b.force},
        {"parallel", 0, RW_OPTION_SIZE, &b.parallel, .min = 1, .max = 1024},
        {"quiet", 'q', RW_OPTION_FLAG, &b.quiet},
        {0}};
    struct rw_operands operands = {.wanted = "one IN, or nothing for standard input", .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("batch", options, argc, argv, &operands);
    if (status == RW_OPTIONS_READ && b.defaults.max_tokens == 0) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "--max-tokens: wanted at least 1, found 0");
        status = rw_complain_usage("batch", &err);
    }
    if (status == RW_OPTIONS_READ) {
        b.in = operands.count ? operands.list[0] : "-";
        rw_interrupt_catch();
        status = run(&b, &err) ? rw_complain(&err) : RW_EXIT_OK;
    }
    batch_fini(&b);
    return status;
}
