/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv run`: text in, text out. docs/cli/run.md is its contract. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "commands.h"
#include "grammar_in.h"
#include "interrupt.h"
#include "json_out.h"
#include "open_model.h"
#include "options.h"
#include "progress.h"
#include "rates.h"
#include "sampling.h"
#include "say.h"
#include "text_in.h"
#include "text_source.h"

struct run {
    struct rw_model_args model_args;
    struct rw_sampling sampling;
    struct rw_stops stops;
    struct rw_tokens stop_tokens;
    struct rw_grammar_args grammar_args;
    size_t max_tokens; /* 0: only evaluate the prompt */
    size_t rates;      /* tokens a line; 0: none */
    uint64_t skip;     /* bytes of the prompt */
    bool ignore_eos, json, verbose;
    const char *state_in, *state_out, *file;

    rwkv_model *model;
    rwkv_session *session;
    rwkv_grammar *grammar; /* NULL: none */
    struct rw_source prompt;
    bool unread;        /* interrupted before the end of the prompt */
    struct rw_str text; /* what was generated, for --json; otherwise only its last byte */
    double load_seconds;
    rwkv_generate_result result;
};

static rwkv_status open_prompt(struct run *run, const struct rw_operands *operands, rwkv_error *err)
{
    if (run->file)
        return rw_source_open(&run->prompt, run->file, run->skip, err);
    const char *operand = operands->list[0]; /* there is one, or there would be a file */
    if (strcmp(operand, "-") == 0)
        return rw_source_open(&run->prompt, "-", run->skip, err);
    return rw_source_of(&run->prompt, operand, run->skip, err);
}

/* An empty prompt, and no text before it. */
static rwkv_status begin_text(struct run *run, const rwkv_vocab *vocab, rwkv_error *err)
{
    int32_t mark;
    RW_TRY(rw_text_mark(vocab, &mark, err));
    run->result.prompt_tokens = 1;
    return rwkv_session_eval(run->session, &mark, 1, err);
}

/* Evaluate the prompt as it is read, a chunk at a time: nothing here grows with its length. What
 * has become tokens is evaluated before an interruption is obeyed, so the state and the number of
 * bytes belong together. */
static rwkv_status read_pieces(struct run *run, const rwkv_vocab *vocab, int32_t *tokens,
                               size_t capacity, struct rw_progress *progress, rwkv_error *err)
{
    struct rw_source *prompt = &run->prompt;
    struct rw_rates rates = {0};
    size_t n;
    bool stop = false;
    RW_TRY(rw_rates_begin(&rates, "prompt", run->rates, err));
    rwkv_status status;
    do {
        RW_GO(rw_source_next(prompt, vocab, tokens, capacity, &n, err));
        RW_GO(rwkv_session_eval(run->session, tokens, n, err));
        run->result.prompt_tokens += n;
        if (n > 0)
            rw_rates_add(&rates, n);
        snprintf(progress->note, sizeof progress->note, "%s tokens",
                 rw_show_count((double)run->result.prompt_tokens).text);
        uint64_t total = prompt->total ? prompt->total - run->skip : 0;
        stop = rw_progress_step(progress, prompt->at - run->skip, total);
    } while (n > 0 && !stop);
    run->unread = rw_interrupted && prompt->at != prompt->total;
done:
    rw_rates_end(&rates);
    return status;
}

static rwkv_status read_prompt(struct run *run, rwkv_error *err)
{
    const rwkv_vocab *vocab;
    rwkv_model_info info;
    struct rw_progress progress;
    bool quiet = run->rates || (!run->verbose && !isatty(STDERR_FILENO));
    RW_TRY(rw_need_vocab(run->model, &vocab, err));
    rwkv_model_get_info(run->model, &info);
    int32_t *tokens = rw_alloc(info.chunk, sizeof *tokens);
    if (!tokens)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tokens", info.chunk);
    rw_progress_begin(&progress, "reading the prompt", RW_PROGRESS_BYTES, quiet);
    double start = rw_env_seconds();
    rwkv_status status = read_pieces(run, vocab, tokens, info.chunk, &progress, err);
    rw_progress_end(&progress);
    rw_free(tokens);
    if (status == RWKV_OK && !rw_interrupted && !rwkv_session_logits(run->session))
        status = begin_text(run, vocab, err);
    run->result.prompt_seconds = rw_env_seconds() - start;
    run->result.finish = rw_interrupted ? RWKV_FINISH_CALLER : RWKV_FINISH_LENGTH;
    return status;
}

static rwkv_status check_stop_tokens(const struct run *run, rwkv_error *err)
{
    rwkv_model_info info;
    rwkv_model_get_info(run->model, &info);
    for (size_t i = 0; i < run->stop_tokens.count; i++)
        if ((size_t)run->stop_tokens.ids[i] >= info.n_vocab)
            return rw_fail(err, RWKV_ERROR_TOKEN, "--stop-token: wanted an id below %zu, found %d",
                           info.n_vocab, (int)run->stop_tokens.ids[i]);
    return RWKV_OK;
}

static int on_text(void *user, const char *text, size_t size)
{
    struct run *run = user;
    if (!run->json) {
        rw_out_generated(text, size);
        rw_out_flush();
        rw_str_reset(&run->text);
        text += size ? size - 1 : 0;
        size = size ? 1 : 0;
    }
    rw_str_add(&run->text, text, size);
    return rw_out_failed() || run->text.failed;
}

static int on_token(void *user, int32_t token)
{
    (void)token;
    rw_rates_add(user, 1);
    return 0;
}

static rwkv_status generate(struct run *run, rwkv_error *err)
{
    struct rw_rates rates;
    RW_TRY(rw_rates_begin(&rates, "text", run->rates, err));
    rwkv_generate_options options = {
        .max_tokens = run->max_tokens == SIZE_MAX ? 0 : run->max_tokens,
        .sampler = rw_sampling_options(&run->sampling),
        .stop = (const char *const *)run->stops.list,
        .n_stop = run->stops.count,
        .stop_tokens = run->stop_tokens.ids,
        .n_stop_tokens = run->stop_tokens.count,
        .ignore_eos = run->ignore_eos,
        .grammar = run->grammar,
        .cancel = &rw_interrupted,
        .token = on_token,
        .token_user = &rates,
    };
    rwkv_generate_result read = run->result;
    rwkv_status status =
        rwkv_generate_tokens(run->session, NULL, 0, &options, on_text, run, &run->result, err);
    run->result.prompt_tokens = read.prompt_tokens;
    run->result.prompt_seconds = read.prompt_seconds;
    if (rw_out_is_terminal() && !run->json && run->text.size &&
        run->text.data[run->text.size - 1] != '\n')
        rw_outs("\n");
    rw_rates_end(&rates);
    return status;
}

/* Interrupted before the end of the prompt: how to go on without reading anything twice. */
static void note_unread(const struct run *run)
{
    unsigned long long at = run->prompt.at;
    rw_note("rwkv: stopped at byte %llu of %s, after %zu tokens; ", at, run->prompt.name,
            run->result.prompt_tokens);
    if (run->state_out)
        rw_note("to go on: --state-in %s --skip-bytes %llu\n", run->state_out, at);
    else
        rw_note("with --state-out FILE the state would have been kept\n");
}

/* Nothing where no token was generated. */
static void note_copies(const rwkv_model *model)
{
    rwkv_model_zeros zeros;
    rwkv_model_packing packing;
    char text[160];
    rwkv_model_get_packing(model, &packing);
    rw_describe_packing(&packing, text, sizeof text);
    if (packing.matrices)
        rw_note("packed   %s\n", text);
    rwkv_model_get_zeros(model, &zeros);
    rw_describe_zeros(&zeros, text, sizeof text);
    if (zeros.inputs)
        rw_note("zeros    %s\n", text);
}

static void note_rates(const struct run *run)
{
    const rwkv_generate_result *r = &run->result;
    rw_note("prompt   %zu tokens in %s: %s tokens/s\n", r->prompt_tokens,
            rw_show_seconds(r->prompt_seconds).text,
            rw_show_rate((double)r->prompt_tokens, r->prompt_seconds).text);
    rw_note("text     %zu tokens in %s: %s tokens/s; ended by: %s\n", r->generated_tokens,
            rw_show_seconds(r->generate_seconds).text,
            rw_show_rate((double)r->generated_tokens, r->generate_seconds).text, rw_finish_name(r));
    note_copies(run->model);
    rw_note("memory   %s resident at most\n", rw_show_bytes(rw_env_memory_peak()).text);
}

static rwkv_status print_json(const struct run *run, rwkv_error *err)
{
    const rwkv_generate_result *r = &run->result;
    struct rw_json j = {0};
    rwkv_model_info info;
    rwkv_model_zeros zeros;
    rwkv_model_packing packing;
    rwkv_model_get_info(run->model, &info);
    rwkv_model_get_packing(run->model, &packing);
    rwkv_model_get_zeros(run->model, &zeros);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_bytes(&j, "text", run->text.data ? run->text.data : "", run->text.size);
    rw_json_text(&j, "finish", rw_finish_name(r));
    rw_json_open(&j, "tokens", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(&j, "prompt", r->prompt_tokens);
    rw_json_u64(&j, "generated", r->generated_tokens);
    rw_json_close(&j);
    rw_json_u64(&j, "prompt_bytes", run->prompt.at);
    rw_json_u64(&j, "seed", run->sampling.seed);
    rw_json_open(&j, "seconds", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_real(&j, "load", run->load_seconds);
    rw_json_real(&j, "prompt", r->prompt_seconds);
    rw_json_real(&j, "generate", r->generate_seconds);
    rw_json_close(&j);
    rw_json_open(&j, "tokens_per_second", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_real(&j, "prompt", (double)r->prompt_tokens / r->prompt_seconds);
    rw_json_real(&j, "generate", (double)r->generated_tokens / r->generate_seconds);
    rw_json_close(&j);
    rw_json_packing(&j, &packing);
    rw_json_zeros(&j, &zeros);
    rw_json_u64(&j, "peak_resident_bytes", rw_env_memory_peak());
    rw_json_u64(&j, "position", rwkv_session_position(run->session));
    rw_json_open(&j, "model", RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "path", rw_model_name(run->model_args.path));
    rw_json_plan(&j, &info);
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

static rwkv_status run_all(struct run *run, const struct rw_operands *operands, rwkv_error *err)
{
    RW_TRY(rw_check_writable(run->state_out, err));
    RW_TRY(rw_open_grammar(&run->grammar_args, &run->grammar, err));
    RW_TRY(open_prompt(run, operands, err));
    RW_TRY(rw_open_model(&run->model_args, run->verbose, &run->load_seconds, &run->model, err));
    RW_TRY(rwkv_session_new(run->model, &run->session, err));
    RW_TRY(check_stop_tokens(run, err));
    RW_TRY(rw_load_state(run->session, run->state_in, err));
    rwkv_sampler_options sampler = rw_sampling_options(&run->sampling);
    if (run->verbose && !sampler.greedy)
        rw_note("seed     %llu\n", (unsigned long long)run->sampling.seed);
    RW_TRY(read_prompt(run, err));
    if (run->max_tokens > 0 && !rw_interrupted)
        RW_TRY(generate(run, err));
    RW_TRY(rw_save_state(run->session, run->state_out, err));
    if (run->json)
        RW_TRY(print_json(run, err));
    if (run->verbose)
        note_rates(run);
    if (run->unread)
        note_unread(run);
    return RWKV_OK;
}

static void run_fini(struct run *run)
{
    rwkv_session_free(run->session);
    rwkv_grammar_free(run->grammar);
    rwkv_model_close(run->model);
    rw_sampling_fini(&run->sampling);
    rw_stops_fini(&run->stops);
    rw_tokens_fini(&run->stop_tokens);
    rw_source_close(&run->prompt);
    rw_str_fini(&run->text);
}

int rw_cmd_run(int argc, char **argv)
{
    struct run run = {.sampling = rw_sampling_for_text(), .max_tokens = 256};
    const struct rw_option options[] = {
        RW_PATH_OPTION(&run.model_args),
        RW_RUNNING_OPTIONS(&run.model_args),
        RW_SAMPLING_OPTIONS(&run.sampling),
        {"max-tokens", 'n', RW_OPTION_CALL, &run.max_tokens, .parse = rw_parse_max_tokens},
        {"stop", 0, RW_OPTION_CALL, &run.stops, .parse = rw_parse_stop},
        {"stop-token", 0, RW_OPTION_CALL, &run.stop_tokens, .parse = rw_parse_token},
        {"ignore-eos", 0, RW_OPTION_FLAG, &run.ignore_eos},
        RW_GRAMMAR_OPTIONS(&run.grammar_args),
        {"state-in", 0, RW_OPTION_TEXT, &run.state_in},
        {"state-out", 0, RW_OPTION_TEXT, &run.state_out},
        {"file", 'f', RW_OPTION_TEXT, &run.file},
        {"skip-bytes", 0, RW_OPTION_U64, &run.skip},
        {"rates", 0, RW_OPTION_SIZE, &run.rates, .min = 1, .max = 1e6},
        {"json", 0, RW_OPTION_FLAG, &run.json},
        {"verbose", 'v', RW_OPTION_FLAG, &run.verbose},
        {0}};
    struct rw_operands operands = {.wanted = "one PROMPT (in quotes), - or --file", .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("run", options, argc, argv, &operands);
    if (status == RW_OPTIONS_READ && operands.count == (run.file != NULL)) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted %s, found %s", operands.wanted,
                run.file ? "both" : "nothing");
        status = rw_complain_usage("run", &err);
    }
    if (status == RW_OPTIONS_READ) {
        rw_interrupt_catch();
        status = run_all(&run, &operands, &err) ? rw_complain(&err) : RW_EXIT_OK;
    }
    run_fini(&run);
    return status;
}
