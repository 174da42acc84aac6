/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv vocab`: vocabularies. Here is `train`; vocab_show.c has what looks at them. */
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/status.h"
#include "base/str.h"
#include "commands.h"
#include "interrupt.h"
#include "open_model.h"
#include "progress.h"
#include "rwkv_vocab.h"
#include "say.h"
#include "text_in.h"
#include "vocab.h"

#define BLOCK ((size_t)64 << 10)         /* of text, or a document if that is shorter … */
#define HELD_BACK 20                     /* … of which one in so many is not learned from … */
#define HELD_BACK_MAX ((size_t)16 << 20) /* … up to so much text */

struct train {
    rwkv_vocab_trainer_options options;
    rwkv_data_options reading;
    struct rw_paths keep, keep_files, held_out, compare;
    int format;
    bool force, json, quiet;

    rwkv_vocab_trainer *trainer;
    struct rw_str held_text;
    uint64_t blocks;
    rwkv_vocab_training result;
};

static rwkv_status parse_join(void *to, const char *value, rwkv_error *err)
{
    static const char *const names[] = {"words", "lines", "digits", "punctuation"};
    for (size_t i = 0; i < RW_COUNT(names); i++)
        if (strcmp(value, names[i]) == 0) {
            *(unsigned *)to |= 1u << i;
            return RWKV_OK;
        }
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "wanted words, lines, digits or punctuation, found '%s'", value);
}

/* --- tokens to keep --------------------------------------------------------------------------- */

/* With \n, \t, \r, \\ for what is hard to type. */
static rwkv_status keep(struct train *t, const char *text, size_t size, rwkv_error *err)
{
    static const char letters[] = "ntr\\", values[] = "\n\t\r\\";
    struct rw_str token = {0};
    for (size_t i = 0; i < size; i++) {
        const char *letter =
            text[i] == '\\' && i + 1 < size ? memchr(letters, text[i + 1], 4) : NULL;
        rw_str_addc(&token, letter ? values[letter - letters] : text[i]);
        i += letter != NULL;
    }
    rwkv_status status =
        token.failed
            ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory")
            : rwkv_vocab_trainer_keep(t->trainer, token.data ? token.data : "", token.size, err);
    rw_str_fini(&token);
    return status;
}

static rwkv_status keep_lines(struct train *t, const char *path, rwkv_error *err)
{
    struct rw_str text = {0};
    rwkv_status status = rw_read_text(path, &text, err);
    for (size_t at = 0, end; at < text.size && status == RWKV_OK; at = end + 1) {
        const char *newline = memchr(text.data + at, '\n', text.size - at);
        end = newline ? (size_t)(newline - text.data) : text.size;
        if (end > at)
            status = keep(t, text.data + at, end - at, err);
    }
    rw_str_fini(&text);
    return status;
}

static rwkv_status keep_all(struct train *t, rwkv_error *err)
{
    for (size_t i = 0; i < t->keep.n; i++)
        RW_TRY(keep(t, t->keep.list[i], strlen(t->keep.list[i]), err));
    for (size_t i = 0; i < t->keep_files.n; i++)
        RW_TRY(keep_lines(t, t->keep_files.list[i], err));
    return RWKV_OK;
}

/* --- texts ------------------------------------------------------------------------------------ */

/* Where a block ends: between words. */
static size_t block_end(const char *text, size_t at, size_t size)
{
    size_t end = at + BLOCK;
    if (size - at <= BLOCK)
        return size;
    while (end > at && text[end] != ' ' && text[end] != '\n')
        end--;
    return end > at ? end : at + BLOCK;
}

/* To be learned from, or held back where no other text to measure on was given. */
static rwkv_status on_text(void *user, const char *text, size_t size, int end, rwkv_error *err)
{
    struct train *t = user;
    for (size_t at = 0, next; at < size; at = next) {
        next = block_end(text, at, size);
        bool held = t->held_out.n == 0 && ++t->blocks % HELD_BACK == 0 &&
                    t->held_text.size + (next - at) <= HELD_BACK_MAX;
        if (held)
            rw_str_add(&t->held_text, text + at, next - at);
        else
            RW_TRY(rwkv_vocab_trainer_add(t->trainer, text + at, next - at, err));
    }
    return t->held_text.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for text") : RWKV_OK;
}

static rwkv_status on_held_out(void *user, const char *text, size_t size, int end, rwkv_error *err)
{
    struct train *t = user;
    rw_str_add(&t->held_text, text, size);
    return t->held_text.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for text") : RWKV_OK;
}

static rwkv_status read_texts(struct train *t, const struct rw_operands *operands, rwkv_error *err)
{
    struct rw_progress progress;
    rw_progress_begin(&progress, "reading", RW_PROGRESS_BYTES, t->quiet);
    t->reading.progress = rw_progress_step;
    t->reading.progress_user = &progress;
    rwkv_status status = rwkv_data_texts((const char *const *)operands->list + 1,
                                         operands->count - 1, &t->reading, on_text, t, err);
    if (status == RWKV_OK && t->held_out.n)
        status = rwkv_data_texts(t->held_out.list, t->held_out.n, &t->reading, on_held_out, t, err);
    rw_progress_end(&progress);
    return status;
}

/* --- the result ------------------------------------------------------------------------------- */

static void print_summary(const struct train *t, const char *out, double seconds)
{
    const rwkv_vocab_training *r = &t->result;
    rw_note("%s: %zu ids from %s of text, %s different words, %s of tables, in %s\n", out, r->size,
            rw_show_bytes(r->text_bytes).text, rw_show_count((double)r->words).text,
            rw_show_bytes(r->memory).text, rw_show_seconds(seconds).text);
    if (r->forgotten_bytes)
        rw_note("rwkv: %s of the text, in rare words, were forgotten for lack of memory: "
                "--memory gives more\n",
                rw_show_bytes(r->forgotten_bytes).text);
}

static rwkv_status compare(const struct train *t, const char *out, rwkv_vocab *vocab,
                           rwkv_error *err)
{
    struct rw_measured list[RW_PATHS_MAX + 1] = {{.name = out, .vocab = vocab}};
    size_t n = 1;
    rwkv_status status = RWKV_OK;
    for (; n <= t->compare.n && status == RWKV_OK; n++)
        status = rw_measured_open(&list[n], t->compare.list[n - 1], err);
    for (size_t i = 0; i < n && status == RWKV_OK; i++)
        status = rw_measure_text(&list[i], t->held_text.data, t->held_text.size, err);
    if (status == RWKV_OK && !t->json)
        rw_outf("on %s of text not learned from:\n", rw_show_bytes(t->held_text.size).text);
    if (status == RWKV_OK)
        status = rw_measured_print(list, n, t->json, err);
    for (size_t i = 1; i < n; i++)
        rw_measured_fini(&list[i]);
    return status;
}

static rwkv_status finish(const struct train *t, const char *out, rwkv_vocab *vocab, double seconds,
                          rwkv_error *err)
{
    RW_TRY(rwkv_vocab_save(vocab, out, t->force, err));
    if (t->result.size < t->options.size)
        rw_note("rwkv: %s has %zu ids instead of %zu: no other string that occurs %llu times "
                "saves a token\n",
                out, t->result.size, t->options.size,
                (unsigned long long)RW_MAX(t->options.min_count, 1));
    if (!t->quiet)
        print_summary(t, out, seconds);
    return t->held_text.size ? compare(t, out, vocab, err) : RWKV_OK;
}

static rwkv_status train(struct train *t, const struct rw_operands *operands, rwkv_error *err)
{
    const char *out = operands->list[0];
    struct rw_progress progress;
    rwkv_vocab *vocab = NULL;
    double start = rw_env_seconds();
    rwkv_status status;
    if (!t->force && access(out, F_OK) == 0) /* known before the work is done */
        return rw_fail(err, RWKV_ERROR_IO, "%s: is there already", out);
    RW_GO(rw_check_writable(out, err));
    RW_GO(rwkv_vocab_trainer_new(&t->options, &t->trainer, err));
    RW_GO(keep_all(t, err));
    RW_GO(read_texts(t, operands, err));
    rw_progress_begin(&progress, "learning", RW_PROGRESS_BYTES, t->quiet);
    status =
        rwkv_vocab_trainer_run(t->trainer, rw_progress_step, &progress, &vocab, &t->result, err);
    rw_progress_end(&progress);
    if (status == RWKV_OK)
        status = finish(t, out, vocab, rw_env_seconds() - start, err);
done:
    if (status == RWKV_ERROR_CANCELLED && !t->quiet)
        rw_note("rwkv: interrupted, %s was not written\n", out);
    rwkv_vocab_free(vocab);
    rwkv_vocab_trainer_free(t->trainer);
    rw_str_fini(&t->held_text);
    return status;
}

int rw_vocab_train_command(int argc, char **argv)
{
    struct train t = {.options = {.longest = 32, .min_count = 2}};
    const struct rw_option options[] = {
        {"size", 'n', RW_OPTION_SIZE, &t.options.size, .min = 257, .max = 1 << 20},
        {"longest", 0, RW_OPTION_SIZE, &t.options.longest, .min = 2, .max = 128},
        {"min-count", 0, RW_OPTION_U64, &t.options.min_count, .min = 1},
        {"join", 0, RW_OPTION_CALL, &t.options.joins, .parse = parse_join},
        {"keep", 0, RW_OPTION_CALL, &t.keep, .parse = rw_parse_path},
        {"keep-file", 0, RW_OPTION_CALL, &t.keep_files, .parse = rw_parse_path},
        {"held-out", 0, RW_OPTION_CALL, &t.held_out, .parse = rw_parse_path},
        {"compare", 0, RW_OPTION_CALL, &t.compare, .parse = rw_parse_path},
        RW_TEXT_OPTIONS(&t.reading, &t.format),
        {"memory", 0, RW_OPTION_BYTES, &t.options.memory},
        {"threads", 't', RW_OPTION_INT, &t.options.threads, .min = 1, .max = 256},
        {"force", 0, RW_OPTION_FLAG, &t.force},
        {"json", 0, RW_OPTION_FLAG, &t.json},
        {"quiet", 'q', RW_OPTION_FLAG, &t.quiet},
        {0}};
    struct rw_operands operands = {.wanted = "OUT IN...", .min = 2, .max = SIZE_MAX};
    rwkv_error err = {0};
    int status = rw_options_read("vocab train", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (t.options.size == 0) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted --size");
        return rw_complain_usage("vocab train", &err);
    }
    rw_interrupt_catch();
    t.reading.format = (rwkv_data_format)t.format;
    return train(&t, &operands, &err) ? rw_complain(&err) : RW_EXIT_OK;
}

int rw_cmd_vocab(int argc, char **argv)
{
    static const struct rw_command commands[] = {
        {"compare", rw_vocab_compare_command},
        {"info", rw_vocab_info_command},
        {"train", rw_vocab_train_command},
    };
    return rw_commands_run("vocab", commands, RW_COUNT(commands), argc, argv);
}
