/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv vocab info` and `rwkv vocab compare`: vocabularies and what they make of texts. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "interrupt.h"
#include "json_out.h"
#include "progress.h"
#include "say.h"
#include "vocab.h"

#define TOKENS 4096 /* encoded at a time */

const char *const rw_text_formats[] = {"auto", "text", "jsonl", NULL};

rwkv_status rw_parse_path(void *to, const char *value, rwkv_error *err)
{
    struct rw_paths *paths = to;
    if (paths->n == RW_PATHS_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "may be given %d times, found one more",
                       RW_PATHS_MAX);
    paths->list[paths->n++] = value;
    return RWKV_OK;
}

/* --- measuring -------------------------------------------------------------------------------- */

rwkv_status rw_measured_open(struct rw_measured *m, const char *name, rwkv_error *err)
{
    *m = (struct rw_measured){.name = name};
    RW_TRY(rwkv_vocab_open(name, &m->vocab, err));
    m->used = rw_calloc(rwkv_vocab_size(m->vocab), 1);
    return m->used ? RWKV_OK : rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", name);
}

void rw_measured_fini(struct rw_measured *m)
{
    rwkv_vocab_free(m->vocab);
    rw_free(m->used);
    *m = (struct rw_measured){0};
}

rwkv_status rw_measure_text(struct rw_measured *m, const char *text, size_t size, rwkv_error *err)
{
    int32_t tokens[TOKENS];
    size_t at = 0, n;
    while (at < size) {
        rwkv_status status =
            rwkv_vocab_encode_some(m->vocab, text, size, &at, tokens, TOKENS, &n, err);
        if (status != RWKV_OK)
            return rw_fail_within(err, status, "%s", m->name);
        m->tokens += n;
        for (size_t i = 0; m->used && i < n; i++)
            m->used[tokens[i]] = 1;
    }
    m->bytes += size;
    return RWKV_OK;
}

struct list {
    struct rw_measured *list;
    size_t n;
};

static rwkv_status on_text(void *user, const char *text, size_t size, int end, rwkv_error *err)
{
    const struct list *all = user;
    for (size_t i = 0; i < all->n; i++)
        RW_TRY(rw_measure_text(&all->list[i], text, size, err));
    return RWKV_OK;
}

static rwkv_status measure_files(struct rw_measured *list, size_t n, const char *const *inputs,
                                 size_t n_inputs, rwkv_data_options *options, bool quiet,
                                 rwkv_error *err)
{
    struct list all = {list, n};
    struct rw_progress progress;
    rw_progress_begin(&progress, "measuring", RW_PROGRESS_BYTES, quiet);
    options->progress = rw_progress_step;
    options->progress_user = &progress;
    rwkv_status status = rwkv_data_texts(inputs, n_inputs, options, on_text, &all, err);
    rw_progress_end(&progress);
    if (status == RWKV_OK && list[0].tokens == 0)
        status = rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a text, found nothing", inputs[0]);
    return status;
}

static double bytes_per_token(const struct rw_measured *m)
{
    return (double)m->bytes / (double)m->tokens;
}

static rwkv_status print_json(const struct rw_measured *list, size_t n, rwkv_error *err)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_u64(&j, "bytes", list[0].bytes);
    rw_json_open(&j, "vocabularies", RW_JSON_ARRAY, RW_JSON_LINES);
    for (size_t i = 0; i < n; i++) {
        rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_text(&j, "file", list[i].name);
        rw_json_u64(&j, "size", rwkv_vocab_size(list[i].vocab));
        rw_json_u64(&j, "tokens", list[i].tokens);
        rw_json_real(&j, "bytes_per_token", bytes_per_token(&list[i]));
        rw_json_close(&j);
    }
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

rwkv_status rw_measured_print(const struct rw_measured *list, size_t n, bool json, rwkv_error *err)
{
    if (json)
        return print_json(list, n, err);
    rw_outs("     ids  bytes per token     tokens\n");
    for (size_t i = 0; i < n; i++) {
        double more = (double)list[i].tokens / (double)list[0].tokens - 1;
        rw_outf("%8zu  %15.4f  %+8.1f %%  ", rwkv_vocab_size(list[i].vocab),
                bytes_per_token(&list[i]), 100 * more);
        rw_out_safe(list[i].name);
        rw_outs("\n");
    }
    return RWKV_OK;
}

/* --- compare ---------------------------------------------------------------------------------- */

static rwkv_status compare(char **names, size_t n, const struct rw_paths *texts,
                           rwkv_data_options *options, bool json, bool quiet, rwkv_error *err)
{
    struct rw_measured *list = rw_calloc(n, sizeof *list);
    rwkv_status status = list ? RWKV_OK : rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    for (size_t i = 0; i < n && status == RWKV_OK; i++)
        status = rw_measured_open(&list[i], names[i], err);
    if (status == RWKV_OK)
        status = measure_files(list, n, texts->list, texts->n, options, quiet, err);
    if (status == RWKV_OK)
        status = rw_measured_print(list, n, json, err);
    for (size_t i = 0; list && i < n; i++)
        rw_measured_fini(&list[i]);
    rw_free(list);
    return status;
}

int rw_vocab_compare_command(int argc, char **argv)
{
    struct rw_paths texts = {.n = 0};
    rwkv_data_options reading = {0};
    int format = 0;
    bool json = false, quiet = false;
    const struct rw_option options[] = {{"text", 0, RW_OPTION_CALL, &texts, .parse = rw_parse_path},
                                        RW_TEXT_OPTIONS(&reading, &format),
                                        {"json", 0, RW_OPTION_FLAG, &json},
                                        {"quiet", 'q', RW_OPTION_FLAG, &quiet},
                                        {0}};
    struct rw_operands operands = {.wanted = "VOCAB...", .min = 1, .max = RW_PATHS_MAX};
    rwkv_error err = {0};
    int status = rw_options_read("vocab compare", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (texts.n == 0) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted --text");
        return rw_complain_usage("vocab compare", &err);
    }
    rw_interrupt_catch();
    reading.format = (rwkv_data_format)format;
    return compare(operands.list, operands.count, &texts, &reading, json, quiet, &err)
               ? rw_complain(&err)
               : RW_EXIT_OK;
}

/* --- info ------------------------------------------------------------------------------------- */

#define SHOWN 8 /* tokens never used that are shown */

struct facts {
    size_t tokens, bytes_covered, longest, unused;
    int32_t longest_id;
    int32_t shown[SHOWN]; /* the longest of those never used come last: ids go by length */
};

static void find_facts(const struct rw_measured *m, struct facts *f)
{
    bool covered[256] = {false};
    *f = (struct facts){.longest_id = -1};
    for (size_t id = 0; id < rwkv_vocab_size(m->vocab); id++) {
        size_t size;
        const char *bytes = rwkv_vocab_token(m->vocab, (int32_t)id, &size);
        if (size == 0)
            continue;
        f->tokens++;
        if (size == 1)
            covered[(uint8_t)*bytes] = true;
        if (size > f->longest) {
            f->longest = size;
            f->longest_id = (int32_t)id;
        }
        if (size > 1 && !m->used[id]) {
            if (f->unused < SHOWN)
                f->shown[f->unused] = (int32_t)id;
            f->unused++;
        }
    }
    for (size_t i = 0; i < 256; i++)
        f->bytes_covered += covered[i];
}

/* A token as a JSON string. */
static void print_token(const struct rw_measured *m, int32_t id)
{
    struct rw_str text = {0};
    size_t size;
    const char *bytes = rwkv_vocab_token(m->vocab, id, &size);
    rw_str_add_json(&text, bytes, size);
    rw_outf("\"%s\"", text.data && !text.failed ? text.data : "");
    rw_str_fini(&text);
}

static void print_info(const struct rw_measured *m, const struct facts *f)
{
    rw_outf("ids                  %zu, of which %zu stand for text\n", rwkv_vocab_size(m->vocab),
            f->tokens);
    rw_outf("single bytes         %zu of 256%s\n", f->bytes_covered,
            f->bytes_covered == 256 ? ": every text can be encoded" : "");
    rw_outf("longest token        %zu bytes: ", f->longest);
    print_token(m, f->longest_id);
    rw_outs("\n");
    if (m->tokens == 0)
        return;
    rw_outf("text                 %llu bytes, %llu tokens\n", (unsigned long long)m->bytes,
            (unsigned long long)m->tokens);
    rw_outf("bytes per token      %.4f\n", bytes_per_token(m));
    rw_outf("never used           %zu tokens of several bytes", f->unused);
    for (size_t i = 0; i < RW_MIN(f->unused, (size_t)SHOWN); i++) {
        rw_outs(i ? ", " : ": ");
        print_token(m, f->shown[i]);
    }
    rw_outs(f->unused > SHOWN ? " …\n" : "\n");
}

static rwkv_status print_info_json(const struct rw_measured *m, const struct facts *f,
                                   rwkv_error *err)
{
    struct rw_json j = {0};
    size_t size;
    const char *longest = rwkv_vocab_token(m->vocab, f->longest_id, &size);
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "file", m->name);
    rw_json_u64(&j, "size", rwkv_vocab_size(m->vocab));
    rw_json_u64(&j, "tokens_with_text", f->tokens);
    rw_json_u64(&j, "single_bytes", f->bytes_covered);
    rw_json_u64(&j, "longest_bytes", f->longest);
    rw_json_bytes(&j, "longest", longest, size);
    if (m->tokens) {
        rw_json_u64(&j, "bytes", m->bytes);
        rw_json_u64(&j, "tokens", m->tokens);
        rw_json_real(&j, "bytes_per_token", bytes_per_token(m));
        rw_json_u64(&j, "never_used", f->unused);
    }
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

static rwkv_status info(const struct rw_operands *operands, rwkv_data_options *options, bool json,
                        bool quiet, rwkv_error *err)
{
    struct rw_measured m = {0};
    struct facts facts;
    rwkv_status status = rw_measured_open(&m, operands->list[0], err);
    if (status == RWKV_OK && operands->count > 1)
        status = measure_files(&m, 1, (const char *const *)operands->list + 1, operands->count - 1,
                               options, quiet, err);
    if (status == RWKV_OK) {
        find_facts(&m, &facts);
        if (json)
            status = print_info_json(&m, &facts, err);
        else
            print_info(&m, &facts);
    }
    rw_measured_fini(&m);
    return status;
}

int rw_vocab_info_command(int argc, char **argv)
{
    rwkv_data_options reading = {0};
    int format = 0;
    bool json = false, quiet = false;
    const struct rw_option options[] = {RW_TEXT_OPTIONS(&reading, &format),
                                        {"json", 0, RW_OPTION_FLAG, &json},
                                        {"quiet", 'q', RW_OPTION_FLAG, &quiet},
                                        {0}};
    struct rw_operands operands = {.wanted = "VOCAB [TEXT]...", .min = 1, .max = SIZE_MAX};
    rwkv_error err = {0};
    int status = rw_options_read("vocab info", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    rw_interrupt_catch();
    reading.format = (rwkv_data_format)format;
    return info(&operands, &reading, json, quiet, &err) ? rw_complain(&err) : RW_EXIT_OK;
}
