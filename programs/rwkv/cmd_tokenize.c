/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv tokenize` and `rwkv detokenize`: text to token ids and back, any bytes. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "commands.h"
#include "json_out.h"
#include "open_model.h"
#include "options.h"
#include "say.h"
#include "text_in.h"

struct coding {
    struct rw_model_args model_args;
    bool json, count, pieces;

    struct rw_opened_vocab opened;
    const rwkv_vocab *vocab;
    struct rw_str text;
    struct rw_tokens tokens;
};

static void coding_fini(struct coding *c)
{
    rw_close_vocab(&c->opened);
    rw_str_fini(&c->text);
    rw_tokens_fini(&c->tokens);
}

static rwkv_status open_vocab(struct coding *c, rwkv_error *err)
{
    RW_TRY(rw_open_vocab(&c->model_args, &c->opened, err));
    c->vocab = c->opened.vocab;
    return RWKV_OK;
}

/* One line for each token: its id and its text as a JSON string. */
static rwkv_status print_pieces(const struct coding *c, rwkv_error *err)
{
    struct rw_str line = {0};
    for (size_t i = 0; i < c->tokens.count && !line.failed; i++) {
        size_t size;
        const char *piece = rwkv_vocab_token(c->vocab, c->tokens.ids[i], &size);
        rw_str_reset(&line);
        rw_str_add_json(&line, piece, size);
        if (!line.failed)
            rw_outf("%d\t\"%s\"\n", (int)c->tokens.ids[i], line.data ? line.data : "");
    }
    bool failed = line.failed;
    rw_str_fini(&line);
    return failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory") : RWKV_OK;
}

static rwkv_status print_tokens_json(const struct rw_tokens *tokens, rwkv_error *err)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_u64(&j, "count", tokens->count);
    rw_json_open(&j, "tokens", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < tokens->count; i++)
        rw_json_u64(&j, NULL, (uint64_t)tokens->ids[i]);
    rw_json_close(&j);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

static rwkv_status tokenize(struct coding *c, const char *operand, rwkv_error *err)
{
    RW_TRY(open_vocab(c, err));
    if (!operand || strcmp(operand, "-") == 0)
        RW_TRY(rw_read_text("-", &c->text, err));
    else
        rw_str_adds(&c->text, operand);
    RW_TRY(rw_encode(c->vocab, c->text.data, c->text.size, &c->tokens, err));
    if (c->json)
        return print_tokens_json(&c->tokens, err);
    if (c->pieces)
        return print_pieces(c, err);
    if (c->count) {
        rw_outf("%zu\n", c->tokens.count);
        return RWKV_OK;
    }
    for (size_t i = 0; i < c->tokens.count; i++)
        rw_outf("%s%d", i ? " " : "", (int)c->tokens.ids[i]);
    rw_outs("\n");
    return RWKV_OK;
}

static rwkv_status read_ids(struct coding *c, const struct rw_operands *operands, rwkv_error *err)
{
    if (operands->count == 0 || (operands->count == 1 && strcmp(operands->list[0], "-") == 0)) {
        RW_TRY(rw_read_text("-", &c->text, err));
        return rw_parse_tokens("standard input", c->text.data, c->text.size, &c->tokens, err);
    }
    for (size_t i = 0; i < operands->count; i++)
        RW_TRY(rw_parse_tokens("arguments", operands->list[i], strlen(operands->list[i]),
                               &c->tokens, err));
    return RWKV_OK;
}

/* Ids beyond the vocabulary are an error, so that a wrong vocabulary is noticed; ids within it that
 * have no text (token 0 of World) give none. */
static rwkv_status check_ids(const struct coding *c, rwkv_error *err)
{
    size_t limit = rwkv_vocab_size(c->vocab);
    if (c->opened.model) {
        rwkv_model_info info;
        rwkv_model_get_info(c->opened.model, &info);
        limit = RW_MAX(limit, info.n_vocab);
    }
    for (size_t i = 0; i < c->tokens.count; i++)
        if ((size_t)c->tokens.ids[i] >= limit)
            return rw_fail(err, RWKV_ERROR_TOKEN,
                           "token %zu of the list: wanted an id below %zu, found %d", i + 1, limit,
                           (int)c->tokens.ids[i]);
    return RWKV_OK;
}

static rwkv_status detokenize(struct coding *c, const struct rw_operands *operands, rwkv_error *err)
{
    size_t size = 0;
    RW_TRY(open_vocab(c, err));
    RW_TRY(read_ids(c, operands, err));
    RW_TRY(check_ids(c, err));
    RW_TRY(rwkv_vocab_decode(c->vocab, c->tokens.ids, c->tokens.count, NULL, 0, &size, err));
    char *text = rw_alloc(size + 1, 1);
    if (!text)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu bytes of text", size);
    rwkv_status status =
        rwkv_vocab_decode(c->vocab, c->tokens.ids, c->tokens.count, text, size, &size, err);
    if (status == RWKV_OK && c->json) {
        struct rw_json j = {0};
        rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
        rw_json_bytes(&j, "text", text, size);
        rw_json_u64(&j, "bytes", size);
        rw_json_close(&j);
        status = rw_json_print(&j, err);
    } else if (status == RWKV_OK) {
        rw_out(text, size);
    }
    rw_free(text);
    return status;
}

int rw_cmd_tokenize(int argc, char **argv)
{
    struct coding c = {0};
    const struct rw_option options[] = {RW_PATH_OPTION(&c.model_args),
                                        RW_VOCAB_OPTION(&c.model_args),
                                        {"json", 0, RW_OPTION_FLAG, &c.json},
                                        {"count", 0, RW_OPTION_FLAG, &c.count},
                                        {"pieces", 0, RW_OPTION_FLAG, &c.pieces},
                                        {0}};
    struct rw_operands operands = {.wanted = "one TEXT (in quotes) or -", .max = 1};
    int status = rw_options_read("tokenize", options, argc, argv, &operands);
    if (status == RW_OPTIONS_READ) {
        rwkv_error err = {0};
        const char *operand = operands.count ? operands.list[0] : NULL;
        status = tokenize(&c, operand, &err) ? rw_complain(&err) : RW_EXIT_OK;
    }
    coding_fini(&c);
    return status;
}

int rw_cmd_detokenize(int argc, char **argv)
{
    struct coding c = {0};
    const struct rw_option options[] = {RW_PATH_OPTION(&c.model_args),
                                        RW_VOCAB_OPTION(&c.model_args),
                                        {"json", 0, RW_OPTION_FLAG, &c.json},
                                        {0}};
    struct rw_operands operands = {.wanted = "token ids or -", .max = SIZE_MAX};
    int status = rw_options_read("detokenize", options, argc, argv, &operands);
    if (status == RW_OPTIONS_READ) {
        rwkv_error err = {0};
        status = detokenize(&c, &operands, &err) ? rw_complain(&err) : RW_EXIT_OK;
    }
    coding_fini(&c);
    return status;
}
