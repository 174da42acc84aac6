/* SPDX-License-Identifier: Apache-2.0 */
#include "train/data_build.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/status.h"
#include "formats/binidx.h"
#include "train/corpus.h"
#include "train/tokenizing.h"

#define BATCH ((size_t)16 << 20)  /* bytes of text in memory at a time, */
#define PIECE ((size_t)128 << 10) /* and for one thread at a time */

struct build {
    const rwkv_data_options *options;
    rwkv_data_stats *stats;
    struct rw_corpus corpus;
    struct rw_tokenizing tokenizing;
    struct rw_binidx_writer *writer;
    struct rw_pool *pool;
    uint64_t in_document; /* tokens of the text being written */
};

static rwkv_status check_target(const char *out, rwkv_error *err)
{
    static const char *const endings[] = {".bin", ".idx", RW_BINIDX_REPLACED ".bin",
                                          RW_BINIDX_REPLACED ".idx"};
    for (size_t i = 0; i < RW_COUNT(endings); i++) {
        char *path = rw_binidx_path(out, endings[i]);
        if (!path)
            return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", out);
        rwkv_status status = access(path, F_OK) == 0
                                 ? rw_fail(err, RWKV_ERROR_IO, "%s: is there already", path)
                                 : RWKV_OK;
        rw_free(path);
        RW_TRY(status);
    }
    return RWKV_OK;
}

static rwkv_status prepare(struct build *b, const char *out, const char *const *inputs,
                           size_t n_inputs, rwkv_error *err)
{
    const rwkv_data_options *o = b->options;
    size_t threads = o->threads ? (size_t)o->threads : rw_pool_default_threads();
    size_t n_vocab = rw_vocab_size(b->tokenizing.vocab);
    if (o->separator != RWKV_DATA_NO_SEPARATOR)
        n_vocab = RW_MAX(n_vocab, (size_t)o->separator + 1);
    if (!o->overwrite)
        RW_TRY(check_target(out, err));
    RW_TRY(rw_corpus_open(&b->corpus, inputs, n_inputs, o->format, BATCH, err));
    b->pool = rw_pool_new(threads);
    if (!b->pool)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu threads", threads);
    return rw_binidx_writer_open(&b->writer, out, n_vocab, err);
}

/* --- documents -------------------------------------------------------------------------------- */

static rwkv_status write_tokens(struct build *b, const int32_t *tokens, size_t n, rwkv_error *err)
{
    b->in_document += n;
    b->stats->tokens += n;
    return rw_binidx_writer_add(b->writer, tokens, n, err);
}

static rwkv_status end_document(struct build *b, rwkv_error *err)
{
    if (b->options->separator != RWKV_DATA_NO_SEPARATOR)
        RW_TRY(write_tokens(b, &b->options->separator, 1, err));
    b->in_document = 0;
    b->stats->documents++;
    return rw_binidx_writer_end(b->writer, err);
}

/* What a unit of text adds to its document. */
static rwkv_status take_text(struct build *b, struct rw_corpus_part *part, struct rw_text_unit *u,
                             rwkv_error *err)
{
    struct rw_tokenizing *t = &b->tokenizing;
    if (u->failed)
        return rw_fail(err, u->wrong.code, "%s: %s", part->file->name, u->wrong.message);
    size_t from = part->done;
    RW_TRY(rw_unit_join(t, u, &part->done, err));
    b->stats->text_bytes += part->done - from;
    RW_TRY(write_tokens(b, t->joint, t->n_joint, err));
    return write_tokens(b, u->tokens + u->skip, u->n_tokens - u->skip, err);
}

/* The documents of a unit of lines; or what is wrong with its first wrong line. */
static rwkv_status take_lines(struct build *b, struct rw_corpus_part *part,
                              const struct rw_text_unit *u, rwkv_error *err)
{
    rwkv_data_stats *stats = b->stats;
    size_t begin = 0, pieces = b->tokenizing.prompt_field ? 2 : 1;
    for (size_t i = 0; i < u->n_ends; begin = u->ends[i++]) {
        RW_TRY(write_tokens(b, u->tokens + begin, u->ends[i] - begin, err));
        RW_TRY(i % pieces == pieces - 1 ? end_document(b, err)
                                        : rw_binidx_writer_end_piece(b->writer, err));
    }
    stats->text_bytes += u->text_bytes;
    stats->empty += u->empty;
    if (u->skipped) {
        unsigned long long line = part->line + u->wrong_line + 1;
        if (u->failed)
            return rw_fail(err, u->wrong.code, "%s: line %llu: %s", part->file->name, line,
                           u->wrong.message);
        if (stats->skipped == 0)
            snprintf(stats->first_skipped, sizeof stats->first_skipped, "%s: line %llu: %s",
                     part->file->name, line, u->wrong.message);
        stats->skipped += u->skipped;
    }
    part->line += u->lines;
    return RWKV_OK;
}

/* Everything of a batch, in order. */
static rwkv_status take_batch(struct build *b, rwkv_error *err)
{
    size_t next = 0;
    for (size_t i = 0; i < b->corpus.n_parts; i++) {
        struct rw_corpus_part *part = &b->corpus.parts[i];
        for (; next < b->tokenizing.n_units && b->tokenizing.units[next].part == i; next++) {
            struct rw_text_unit *u = &b->tokenizing.units[next];
            RW_TRY(part->file->lines ? take_lines(b, part, u, err) : take_text(b, part, u, err));
        }
        b->stats->files += part->last;
        if (part->last && !part->file->lines) {
            if (b->in_document)
                RW_TRY(end_document(b, err));
            else
                b->stats->empty++;
        }
    }
    return RWKV_OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

static rwkv_status tell(const struct build *b, const char *out, rwkv_error *err)
{
    const rwkv_data_options *o = b->options;
    uint64_t done = b->corpus.read, total = b->corpus.total;
    for (size_t i = 0; i < b->corpus.n_parts; i++)
        done += b->corpus.parts[i].done - b->corpus.parts[i].begin;
    if (total)
        total = RW_MAX(total, done); /* a file may have grown */
    if (o->progress && o->progress(o->progress_user, done, total))
        return rw_fail(err, RWKV_ERROR_CANCELLED, "%s: cancelled", out);
    return RWKV_OK;
}

rwkv_status rw_data_build(const char *out, const char *const *inputs, size_t n_inputs,
                          const struct rwkv_vocab *vocab, const rwkv_data_options *o,
                          rwkv_data_stats *stats, rwkv_error *err)
{
    struct build b = {.options = o,
                      .stats = stats,
                      .corpus.fd = -1,
                      .tokenizing = {.vocab = vocab,
                                     .field = o->field ? o->field : "text",
                                     .prompt_field = o->prompt_field,
                                     .skip_bad = o->skip_bad != 0,
                                     .piece = PIECE}};
    rwkv_status status;
    *stats = (rwkv_data_stats){0};
    RW_GO(prepare(&b, out, inputs, n_inputs, err));
    for (;;) {
        RW_GO(rw_corpus_next(&b.corpus, err));
        if (b.corpus.n_parts == 0 && b.corpus.ended)
            break;
        RW_GO(rw_tokenize_batch(&b.tokenizing, &b.corpus, b.pool, err));
        RW_GO(take_batch(&b, err));
        RW_GO(tell(&b, out, err));
    }
    if (stats->documents == 0)
        RW_GO(rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted at least one document, found none", out));
    struct rw_binidx_writer *writer = b.writer;
    b.writer = NULL;
    status = rw_binidx_writer_commit(writer, err);
done:
    rw_binidx_writer_discard(b.writer);
    rw_tokenizing_fini(&b.tokenizing);
    rw_corpus_close(&b.corpus);
    rw_pool_free(b.pool);
    return status;
}
