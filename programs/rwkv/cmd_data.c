/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv data`: token data for training. Here is `build`; data_*.c have what looks at the result. */
#include <string.h>

#include "base/env.h"
#include "base/status.h"
#include "commands.h"
#include "data.h"
#include "interrupt.h"
#include "open_model.h"
#include "progress.h"
#include "say.h"

#define SEPARATOR_MAX 16777215

rwkv_status rw_parse_separator(void *to, const char *value, rwkv_error *err)
{
    uint64_t id;
    if (strcmp(value, "none") == 0) {
        *(int32_t *)to = RWKV_DATA_NO_SEPARATOR;
        return RWKV_OK;
    }
    if (!rw_parse_u64(value, &id) || id > SEPARATOR_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a token id from 0 to %d, or none, found '%s'", SEPARATOR_MAX, value);
    *(int32_t *)to = (int32_t)id;
    return RWKV_OK;
}

struct build {
    struct rw_model_args model_args; /* for the vocabulary */
    rwkv_data_options options;
    int format;
    bool skip_bad, force, quiet;
};

static void print_stats(const char *out, const rwkv_data_stats *s, double seconds)
{
    rw_outf("%s: %llu document%s, %llu tokens, %.3f bytes of text a token\n", out,
            (unsigned long long)s->documents, s->documents == 1 ? "" : "s",
            (unsigned long long)s->tokens, (double)s->text_bytes / (double)s->tokens);
    rw_outf("from %llu file%s, %s of text, in %s, %s/s\n", (unsigned long long)s->files,
            s->files == 1 ? "" : "s", rw_show_bytes(s->text_bytes).text,
            rw_show_seconds(seconds).text,
            rw_show_bytes((uint64_t)((double)s->text_bytes / seconds)).text);
}

/* What was left out is said even when quiet. */
static void note_left_out(const rwkv_data_stats *s)
{
    if (s->skipped)
        rw_note("rwkv: left out %llu line%s: %s%s\n", (unsigned long long)s->skipped,
                s->skipped == 1 ? "" : "s", s->skipped == 1 ? "" : "the first is ",
                s->first_skipped);
    if (s->empty)
        rw_note("rwkv: left out %llu document%s without text\n", (unsigned long long)s->empty,
                s->empty == 1 ? "" : "s");
}

static rwkv_status build(struct build *b, const struct rw_operands *operands, rwkv_error *err)
{
    struct rw_opened_vocab vocab = {0};
    struct rw_progress progress;
    rwkv_data_stats stats;
    const char *out = operands->list[0];
    double start = rw_env_seconds();
    rwkv_status status;
    RW_GO(rw_open_vocab(&b->model_args, &vocab, err));
    rw_progress_begin(&progress, "tokenizing", RW_PROGRESS_BYTES, b->quiet);
    b->options.format = (rwkv_data_format)b->format;
    b->options.skip_bad = b->skip_bad;
    b->options.overwrite = b->force;
    b->options.threads = b->model_args.options.threads;
    b->options.progress = rw_progress_step;
    b->options.progress_user = &progress;
    status = rwkv_data_build(out, (const char *const *)operands->list + 1, operands->count - 1,
                             vocab.vocab, &b->options, &stats, err);
    rw_progress_end(&progress);
    if (status == RWKV_ERROR_CANCELLED && !b->quiet)
        rw_note("rwkv: interrupted, %s was not written\n", out);
    if (status == RWKV_OK) {
        note_left_out(&stats);
        if (!b->quiet)
            print_stats(out, &stats, rw_env_seconds() - start);
    }
done:
    rw_close_vocab(&vocab);
    return status;
}

int rw_data_build_command(int argc, char **argv)
{
    static const char *const formats[] = {"auto", "text", "jsonl", NULL};
    struct build b = {0};
    const struct rw_option options[] = {
        RW_PATH_OPTION(&b.model_args),
        RW_VOCAB_OPTION(&b.model_args),
        RW_SEPARATOR_OPTION(&b.options.separator),
        {"format", 0, RW_OPTION_CHOICE, &b.format, .choices = formats},
        {"field", 0, RW_OPTION_TEXT, &b.options.field},
        {"prompt-field", 0, RW_OPTION_TEXT, &b.options.prompt_field},
        {"skip-bad", 0, RW_OPTION_FLAG, &b.skip_bad},
        {"force", 0, RW_OPTION_FLAG, &b.force},
        {"threads", 't', RW_OPTION_INT, &b.model_args.options.threads, .min = 1, .max = 256},
        {"quiet", 'q', RW_OPTION_FLAG, &b.quiet},
        {0}};
    struct rw_operands operands = {.wanted = "OUT IN...", .min = 2, .max = SIZE_MAX};
    rwkv_error err = {0};
    int status = rw_options_read("data build", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    rw_interrupt_catch();
    return build(&b, &operands, &err) ? rw_complain(&err) : RW_EXIT_OK;
}

int rw_cmd_data(int argc, char **argv)
{
    static const struct rw_command commands[] = {
        {"build", rw_data_build_command},
        {"cat", rw_data_cat_command},
        {"check", rw_data_check_command},
        {"info", rw_data_info_command},
    };
    return rw_commands_run("data", commands, RW_COUNT(commands), argc, argv);
}
