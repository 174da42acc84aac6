/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv data info` and `rwkv data check`: what token data is, and whether it is sound. */
#include "data.h"

#include "base/status.h"
#include "commands.h"
#include "interrupt.h"
#include "json_out.h"
#include "open_model.h"
#include "progress.h"
#include "say.h"

/* --- info ------------------------------------------------------------------------------------- */

struct info {
    size_t ctx;
    bool json;
};

static void print_info(const struct info *f, const char *path, const rwkv_data_info *i,
                       uint64_t prime, const char *fingerprint)
{
    uint64_t windows = i->tokens / f->ctx;
    rw_outf("%s\n%-12s %llu, %s (%s in all)\n", path, "tokens", (unsigned long long)i->tokens,
            rwkv_dtype_name(i->dtype), rw_show_bytes(i->bin_bytes + i->idx_bytes).text);
    rw_outf("%-12s %llu", "documents", (unsigned long long)i->documents);
    if (i->documents)
        rw_outf(", of %llu to %llu tokens, %.1f on average", (unsigned long long)i->shortest,
                (unsigned long long)i->longest, (double)i->tokens / (double)i->documents);
    if (i->answer_tokens < i->tokens)
        rw_outf("\n%-12s %llu tokens, %.1f %%, documents without a prompt among them", "answers",
                (unsigned long long)i->answer_tokens,
                100 * (double)i->answer_tokens / (double)i->tokens);
    if (prime)
        rw_outf("\n%-12s %llu for samples of %zu tokens, of %llu there are", "magic prime",
                (unsigned long long)prime, f->ctx, (unsigned long long)windows);
    else
        rw_outf("\n%-12s none: samples of %zu tokens want %zu tokens", "magic prime", f->ctx,
                3 * f->ctx);
    rw_outf("\n%-12s %s\n", "fingerprint", fingerprint);
}

static rwkv_status print_info_json(const struct info *f, const char *path, const rwkv_data_info *i,
                                   uint64_t prime, const char *fingerprint, rwkv_error *err)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "data", path);
    rw_json_u64(&j, "tokens", i->tokens);
    rw_json_text(&j, "type", rwkv_dtype_name(i->dtype));
    rw_json_u64(&j, "documents", i->documents);
    rw_json_u64(&j, "pieces", i->pieces);
    rw_json_u64(&j, "answer_tokens", i->answer_tokens);
    rw_json_u64(&j, "shortest_document", i->shortest);
    rw_json_u64(&j, "longest_document", i->longest);
    rw_json_u64(&j, "bin_bytes", i->bin_bytes);
    rw_json_u64(&j, "idx_bytes", i->idx_bytes);
    rw_json_u64(&j, "ctx", f->ctx);
    rw_json_u64(&j, "magic_prime", prime);
    rw_json_text(&j, "fingerprint", fingerprint);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

static rwkv_status show_info(const struct info *f, const char *path, rwkv_error *err)
{
    rwkv_data *data;
    rwkv_data_info info;
    char fingerprint[65];
    RW_TRY(rwkv_data_open(path, &data, err));
    rwkv_data_get_info(data, &info);
    rwkv_data_fingerprint(data, fingerprint);
    rwkv_data_close(data);
    uint64_t prime = rwkv_data_prime(info.tokens, f->ctx);
    if (f->json)
        return print_info_json(f, path, &info, prime, fingerprint, err);
    print_info(f, path, &info, prime, fingerprint);
    return RWKV_OK;
}

int rw_data_info_command(int argc, char **argv)
{
    struct info f = {.ctx = 512};
    const struct rw_option options[] = {
        {"ctx", 0, RW_OPTION_SIZE, &f.ctx, .min = 1, .max = 1 << 30},
        {"json", 0, RW_OPTION_FLAG, &f.json},
        {0}};
    struct rw_operands operands = {.wanted = "DATA", .min = 1, .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("data info", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    return show_info(&f, operands.list[0], &err) ? rw_complain(&err) : RW_EXIT_OK;
}

/* --- check ------------------------------------------------------------------------------------ */

struct check {
    struct rw_model_args model_args; /* for the vocabulary */
    int32_t separator;
    bool json, quiet;
};

static rwkv_status print_check_json(const char *path, const rwkv_data_info *i,
                                    const rwkv_data_report *r, rwkv_error *err)
{
    struct rw_json j = {0};
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_LINES);
    rw_json_text(&j, "data", path);
    rw_json_bool(&j, "sound", r->foreign == 0);
    rw_json_u64(&j, "tokens", i->tokens);
    rw_json_u64(&j, "documents", i->documents);
    rw_json_u64(&j, "foreign_tokens", r->foreign);
    rw_json_u64(&j, "open_documents", r->open);
    rw_json_u64(&j, "distinct_tokens", r->distinct);
    rw_json_u64(&j, "text_bytes", r->text_bytes);
    rw_json_close(&j);
    return rw_json_print(&j, err);
}

static void print_check(const struct check *c, const char *path, const rwkv_data_info *i,
                        const rwkv_data_report *r)
{
    rw_outf("%s: %llu tokens, all in the vocabulary, %llu different ones\n", path,
            (unsigned long long)i->tokens, (unsigned long long)r->distinct);
    if (i->tokens)
        rw_outf("%llu bytes of text, %.3f a token\n", (unsigned long long)r->text_bytes,
                (double)r->text_bytes / (double)i->tokens);
    if (r->open)
        rw_outf("%llu of %llu documents do not end with token %d\n", (unsigned long long)r->open,
                (unsigned long long)i->documents, (int)c->separator);
    else if (c->separator >= 0)
        rw_outf("%llu documents, all end with token %d\n", (unsigned long long)i->documents,
                (int)c->separator);
}

/* The report; where numbers are no tokens that is the failure. */
static rwkv_status say_report(const struct check *c, const char *path, const rwkv_data_info *i,
                              const rwkv_data_report *r, rwkv_error *err)
{
    if (c->json)
        RW_TRY(print_check_json(path, i, r, err));
    if (r->foreign)
        return rw_fail(err, RWKV_ERROR_TOKEN,
                       "%s: token %llu, in document %llu: wanted a token of the vocabulary, found "
                       "%lld; there are %llu such",
                       path, (unsigned long long)r->foreign_at, (unsigned long long)r->foreign_in,
                       (long long)r->foreign_number, (unsigned long long)r->foreign);
    if (!c->json)
        print_check(c, path, i, r);
    return RWKV_OK;
}

static rwkv_status check(const struct check *c, const char *path, rwkv_error *err)
{
    struct rw_opened_vocab vocab = {0};
    struct rw_progress progress;
    rwkv_data *data = NULL;
    rwkv_data_info info;
    rwkv_data_report report;
    rwkv_status status;
    RW_GO(rwkv_data_open(path, &data, err));
    RW_GO(rw_open_vocab(&c->model_args, &vocab, err));
    rwkv_data_get_info(data, &info);
    rw_progress_begin(&progress, "checking", RW_PROGRESS_BYTES, c->quiet);
    status =
        rwkv_data_check(data, vocab.vocab, c->separator, rw_progress_step, &progress, &report, err);
    rw_progress_end(&progress);
    if (status == RWKV_OK)
        status = say_report(c, path, &info, &report, err);
done:
    rw_close_vocab(&vocab);
    rwkv_data_close(data);
    return status;
}

int rw_data_check_command(int argc, char **argv)
{
    struct check c = {0};
    const struct rw_option options[] = {RW_PATH_OPTION(&c.model_args),
                                        RW_VOCAB_OPTION(&c.model_args),
                                        RW_SEPARATOR_OPTION(&c.separator),
                                        {"json", 0, RW_OPTION_FLAG, &c.json},
                                        {"quiet", 'q', RW_OPTION_FLAG, &c.quiet},
                                        {0}};
    struct rw_operands operands = {.wanted = "DATA", .min = 1, .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("data check", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    rw_interrupt_catch();
    return check(&c, operands.list[0], &err) ? rw_complain(&err) : RW_EXIT_OK;
}
