/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv data cat`: documents of token data, as text, JSON lines or ids. */
#include "data.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "commands.h"
#include "interrupt.h"
#include "open_model.h"
#include "say.h"

#define PIECE 4096 /* tokens read at once */

struct cat {
    struct rw_model_args model_args; /* for the vocabulary */
    int32_t separator;
    bool json, ids;

    const char *path;
    rwkv_data *data;
    rwkv_data_info info;
    struct rw_opened_vocab vocab;
    bool prompts;       /* there are: JSON has them apart */
    struct rw_str line; /* of JSON: the document's prompt and text */
    size_t prompt_size; /* bytes of it */
};

/* "7", "7-9" or "7-": documents *first … *last. */
static rwkv_status parse_range(const struct cat *c, const char *text, uint64_t *first,
                               uint64_t *last, rwkv_error *err)
{
    char number[32] = "";
    const char *dash = strchr(text, '-');
    size_t n = dash ? (size_t)(dash - text) : strlen(text);
    if (c->info.documents == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: has no documents", c->path);
    *first = 0;
    memcpy(number, text, RW_MIN(n, sizeof number - 1));
    bool ok = n < sizeof number && rw_parse_u64(number, first);
    *last = !dash ? *first : c->info.documents - 1;
    if (ok && dash && dash[1])
        ok = rw_parse_u64(dash + 1, last);
    if (!ok || *first > *last || *last >= c->info.documents)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted documents from 0 to %llu such as 7, 7-9 or 7-, found '%s'",
                       c->path, (unsigned long long)c->info.documents - 1, text);
    return RWKV_OK;
}

static void show_ids(const int32_t *tokens, size_t n, bool first)
{
    for (size_t i = 0; i < n; i++)
        rw_outf("%s%d", first && i == 0 ? "" : " ", (int)tokens[i]);
}

static rwkv_status show_text(struct cat *c, uint64_t at, const int32_t *tokens, size_t n,
                             rwkv_error *err)
{
    uint8_t answers[PIECE];
    RW_TRY(rwkv_data_answers(c->data, at, n, answers, err));
    for (size_t i = 0; i < n; i++) {
        size_t size;
        const char *piece = rwkv_vocab_token(c->vocab.vocab, tokens[i], &size);
        if ((size_t)tokens[i] >= rwkv_vocab_size(c->vocab.vocab) && tokens[i] != c->separator)
            return rw_fail(
                err, RWKV_ERROR_TOKEN, "%s: token %llu: wanted an id below %zu, found %d", c->path,
                (unsigned long long)(at + i), rwkv_vocab_size(c->vocab.vocab), (int)tokens[i]);
        if (c->json && !answers[i] && c->line.size == c->prompt_size)
            c->prompt_size += size;
        if (c->json)
            rw_str_add(&c->line, piece, size);
        else
            rw_out_generated(piece, size);
    }
    return c->line.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a document", c->path)
                          : RWKV_OK;
}

static rwkv_status end_document(struct cat *c, rwkv_error *err)
{
    struct rw_str out = {0};
    if (c->ids)
        rw_outs("\n");
    if (!c->json)
        return RWKV_OK;
    const char *text = c->line.data ? c->line.data : "";
    rw_str_adds(&out, "{");
    if (c->prompts) {
        rw_str_adds(&out, "\"prompt\": \"");
        rw_str_add_json(&out, text, c->prompt_size);
        rw_str_adds(&out, "\", ");
    }
    rw_str_adds(&out, "\"text\": \"");
    rw_str_add_json(&out, text + c->prompt_size, c->line.size - c->prompt_size);
    rw_str_adds(&out, "\"}\n");
    c->prompt_size = 0;
    bool failed = out.failed;
    if (!failed)
        rw_out(out.data, out.size);
    rw_str_fini(&out);
    rw_str_reset(&c->line);
    return failed ? rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a document", c->path)
                  : RWKV_OK;
}

/* All of a document; of its text, not the separator at the end. */
static rwkv_status show_document(struct cat *c, uint64_t document, rwkv_error *err)
{
    int32_t tokens[PIECE];
    uint64_t begin = rwkv_data_document(c->data, document);
    uint64_t end = rwkv_data_document(c->data, document + 1);
    for (uint64_t at = begin; at < end;) {
        size_t n = (size_t)RW_MIN(end - at, (uint64_t)PIECE);
        RW_TRY(rwkv_data_read(c->data, at, n, tokens, err));
        size_t shown = n - (!c->ids && at + n == end && tokens[n - 1] == c->separator);
        if (c->ids)
            show_ids(tokens, shown, at == begin);
        else
            RW_TRY(show_text(c, at, tokens, shown, err));
        at += n;
    }
    return end_document(c, err);
}

static rwkv_status show_range(struct cat *c, const char *range, rwkv_error *err)
{
    uint64_t first, last;
    RW_TRY(parse_range(c, range, &first, &last, err));
    for (uint64_t d = first; d <= last && !rw_interrupted && !rw_out_failed(); d++)
        RW_TRY(show_document(c, d, err));
    return RWKV_OK;
}

static rwkv_status cat(struct cat *c, const struct rw_operands *operands, rwkv_error *err)
{
    c->path = operands->list[0];
    RW_TRY(rwkv_data_open(c->path, &c->data, err));
    rwkv_data_get_info(c->data, &c->info);
    c->prompts = c->info.answer_tokens < c->info.tokens;
    if (!c->ids)
        RW_TRY(rw_open_vocab(&c->model_args, &c->vocab, err));
    for (size_t i = 1; i < operands->count; i++)
        RW_TRY(show_range(c, operands->list[i], err));
    return operands->count == 1 && c->info.documents ? show_range(c, "0-", err) : RWKV_OK;
}

int rw_data_cat_command(int argc, char **argv)
{
    struct cat c = {0};
    const struct rw_option options[] = {
        RW_PATH_OPTION(&c.model_args),      RW_VOCAB_OPTION(&c.model_args),
        RW_SEPARATOR_OPTION(&c.separator),  {"json", 0, RW_OPTION_FLAG, &c.json},
        {"ids", 0, RW_OPTION_FLAG, &c.ids}, {0}};
    struct rw_operands operands = {.wanted = "DATA [RANGE]...", .min = 1, .max = SIZE_MAX};
    rwkv_error err = {0};
    int status = rw_options_read("data cat", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (c.json && c.ids) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted one of --json and --ids, found both");
        return rw_complain_usage("data cat", &err);
    }
    rw_interrupt_catch();
    status = cat(&c, &operands, &err) ? rw_complain(&err) : RW_EXIT_OK;
    rw_close_vocab(&c.vocab);
    rwkv_data_close(c.data);
    rw_str_fini(&c.line);
    return status;
}
