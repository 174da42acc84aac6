/* SPDX-License-Identifier: Apache-2.0 */
#include "train/data_check.h"

#include "base/alloc.h"
#include "base/status.h"
#include "text/vocab.h"

#define PIECE ((uint64_t)1 << 20) /* tokens between two reports of progress */

struct check {
    const struct rw_binidx *data;
    const struct rwkv_vocab *vocab;
    int64_t separator;
    uint8_t *seen; /* [size] */
    size_t size;   /* ids below: the vocabulary's and the separator */
    rwkv_data_report *report;
};

static void look_at(struct check *c, uint64_t at, uint64_t document)
{
    rwkv_data_report *r = c->report;
    int64_t number = rw_binidx_token(c->data, at);
    size_t bytes = 0;
    if (number >= 0 && number < (int64_t)c->size)
        rw_vocab_token(c->vocab, (int32_t)number, &bytes);
    if (bytes || number == c->separator) {
        r->distinct += !c->seen[number];
        c->seen[number] = 1;
        r->text_bytes += number == c->separator ? 0 : bytes;
        return;
    }
    if (r->foreign++ == 0) {
        r->foreign_at = at;
        r->foreign_in = document;
        r->foreign_number = number;
    }
}

static rwkv_status check_all(struct check *c, rwkv_progress_fn progress, void *progress_user,
                             rwkv_error *err)
{
    const struct rw_binidx *b = c->data;
    for (uint64_t d = 0; d < b->n_documents; d++) {
        uint64_t at = rw_binidx_document(b, d), end = rw_binidx_document(b, d + 1);
        c->report->open +=
            c->separator >= 0 && (at == end || rw_binidx_token(b, end - 1) != c->separator);
        for (; at < end; at++) {
            look_at(c, at, d);
            if ((at + 1) % PIECE == 0 && progress &&
                progress(progress_user, (at + 1) * b->width, b->bin.size))
                return rw_fail(err, RWKV_ERROR_CANCELLED, "%s: cancelled", b->name);
        }
    }
    return RWKV_OK;
}

rwkv_status rw_data_check(const struct rw_binidx *data, const struct rwkv_vocab *vocab,
                          int32_t separator, rwkv_progress_fn progress, void *progress_user,
                          rwkv_data_report *report, rwkv_error *err)
{
    struct check c = {.data = data,
                      .vocab = vocab,
                      .separator = separator,
                      .size = RW_MAX(rw_vocab_size(vocab), (size_t)(separator + (int64_t)1)),
                      .report = report};
    *report = (rwkv_data_report){0};
    c.seen = rw_calloc(c.size, 1);
    if (!c.seen)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to check it", data->name);
    rwkv_status status = check_all(&c, progress, progress_user, err);
    rw_free(c.seen);
    return status;
}
