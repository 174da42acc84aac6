/* SPDX-License-Identifier: Apache-2.0 */
#include "rwkv_data.h"

#include <assert.h>
#include <string.h>

#include "api/api_int.h"
#include "base/alloc.h"
#include "formats/binidx.h"
#include "train/data_build.h"
#include "train/data_check.h"
#include "train/order.h"
#include "train/texts.h"

#define SEPARATORS (1 << 24) /* ids of vocabularies are below, too */

struct rwkv_data {
    struct rw_binidx files;
};

rwkv_status rwkv_data_build(const char *out, const char *const *inputs, size_t n_inputs,
                            const rwkv_vocab *vocab, const rwkv_data_options *options,
                            rwkv_data_stats *stats, rwkv_error *err)
{
    static const rwkv_data_options defaults;
    rwkv_data_stats unused;
    REQUIRE(out && inputs && n_inputs > 0 && vocab);
    if (!options)
        options = &defaults;
    REQUIRE(options->format <= RWKV_DATA_LINES);
    REQUIRE(options->separator >= RWKV_DATA_NO_SEPARATOR && options->separator < SEPARATORS);
    REQUIRE(options->threads >= 0 && options->threads <= 256);
    if (options->prompt_field &&
        strcmp(options->prompt_field, options->field ? options->field : "text") == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted another member for prompts than '%s'",
                       options->prompt_field);
    for (size_t i = 0; i < n_inputs; i++)
        REQUIRE(inputs[i]);
    return rw_data_build(out, inputs, n_inputs, vocab, options, stats ? stats : &unused, err);
}

rwkv_status rwkv_data_texts(const char *const *inputs, size_t n_inputs,
                            const rwkv_data_options *options, rwkv_data_text_fn text, void *user,
                            rwkv_error *err)
{
    static const rwkv_data_options defaults;
    REQUIRE(inputs && n_inputs > 0 && text);
    if (!options)
        options = &defaults;
    REQUIRE(options->format <= RWKV_DATA_LINES);
    for (size_t i = 0; i < n_inputs; i++)
        REQUIRE(inputs[i]);
    return rw_texts_each(inputs, n_inputs, options, text, user, err);
}

rwkv_status rwkv_data_open(const char *path, rwkv_data **out, rwkv_error *err)
{
    REQUIRE(path && out);
    struct rwkv_data *data = rw_calloc(1, sizeof *data);
    if (!data)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
    rwkv_status status = rw_binidx_open(&data->files, path, err);
    if (status == RWKV_OK)
        *out = data;
    else
        rw_free(data);
    return status;
}

void rwkv_data_close(rwkv_data *data)
{
    if (!data)
        return;
    rw_binidx_close(&data->files);
    rw_free(data);
}

void rwkv_data_get_info(const rwkv_data *data, rwkv_data_info *info)
{
    const struct rw_binidx *b = &data->files;
    *info = (rwkv_data_info){.tokens = b->n_tokens,
                             .documents = b->n_documents,
                             .pieces = b->n_items,
                             .answer_tokens = rw_binidx_answers(b, 0, b->n_tokens, NULL),
                             .bin_bytes = b->bin.size,
                             .idx_bytes = b->idx.size,
                             .dtype = b->dtype};
    for (uint64_t d = 0; d < b->n_documents; d++) {
        uint64_t n = rw_binidx_document(b, d + 1) - rw_binidx_document(b, d);
        info->shortest = d == 0 || n < info->shortest ? n : info->shortest;
        info->longest = n > info->longest ? n : info->longest;
    }
}

void rwkv_data_fingerprint(const rwkv_data *data, char out[65])
{
    rw_binidx_fingerprint(&data->files, out);
}

uint64_t rwkv_data_document(const rwkv_data *data, uint64_t index)
{
    assert(index <= data->files.n_documents);
    return rw_binidx_document(&data->files, index);
}

rwkv_status rwkv_data_read(const rwkv_data *data, uint64_t at, size_t n, int32_t *tokens,
                           rwkv_error *err)
{
    REQUIRE(data && (tokens || n == 0));
    REQUIRE(at <= data->files.n_tokens && n <= data->files.n_tokens - at);
    return rw_binidx_read(&data->files, at, n, (size_t)INT32_MAX + 1, tokens, err);
}

rwkv_status rwkv_data_answers(const rwkv_data *data, uint64_t at, size_t n, uint8_t *answers,
                              rwkv_error *err)
{
    REQUIRE(data && (answers || n == 0));
    REQUIRE(at <= data->files.n_tokens && n <= data->files.n_tokens - at);
    rw_binidx_answers(&data->files, at, n, answers);
    return RWKV_OK;
}

rwkv_status rwkv_data_check(const rwkv_data *data, const rwkv_vocab *vocab, int32_t separator,
                            rwkv_progress_fn progress, void *progress_user,
                            rwkv_data_report *report, rwkv_error *err)
{
    REQUIRE(data && vocab && report);
    REQUIRE(separator >= RWKV_DATA_NO_SEPARATOR && separator < SEPARATORS);
    return rw_data_check(&data->files, vocab, separator, progress, progress_user, report, err);
}

uint64_t rwkv_data_prime(uint64_t n_tokens, uint64_t ctx)
{
    return ctx ? rw_magic_prime(n_tokens, ctx) : 0;
}
