/* SPDX-License-Identifier: Apache-2.0 */
#include "train/texts.h"

#include <string.h>

#include <jansson.h>

#include "base/status.h"
#include "train/corpus.h"
#include "train/lines.h"

#define BATCH ((size_t)4 << 20) /* bytes of text in memory at a time */

struct texts {
    struct rw_corpus corpus;
    const char *field;
    rwkv_data_text_fn text;
    void *user;
};

/* Where a piece of a text that goes on may end: before a blank or a newline. */
static size_t piece_end(const char *text, size_t begin, size_t end)
{
    for (size_t at = end - 1; at > begin; at--)
        if (text[at] == ' ' || text[at] == '\n')
            return at;
    return end;
}

static rwkv_status give_text(struct texts *t, struct rw_corpus_part *part, rwkv_error *err)
{
    const char *text = t->corpus.buffer;
    size_t end = part->end;
    if (!part->last && end > part->begin)
        end = piece_end(text, part->begin, end);
    part->done = end;
    return t->text(t->user, text + part->begin, end - part->begin, part->last, err);
}

static rwkv_status give_line(struct texts *t, const char *line, size_t size, rwkv_error *err)
{
    json_auto_t *object = NULL;
    const char *text;
    size_t n;
    if (rw_line_is_blank(line, size))
        return RWKV_OK;
    RW_TRY(rw_line_object(line, size, &object, err));
    RW_TRY(rw_line_text(object, t->field, &text, &n, err));
    return t->text(t->user, text, n, 1, err);
}

static rwkv_status give_lines(struct texts *t, struct rw_corpus_part *part, rwkv_error *err)
{
    part->done = rw_lines_end(&t->corpus, part);
    struct rw_lines lines = rw_lines_of(&t->corpus, part, part->begin, part->done);
    const char *line;
    size_t size;
    while (rw_lines_next(&lines, &line, &size)) {
        part->line++;
        rwkv_status status = give_line(t, line, size, err);
        if (status != RWKV_OK)
            return rw_fail_within(err, status, "%s: line %llu", part->file->name,
                                  (unsigned long long)part->line);
    }
    return RWKV_OK;
}

rwkv_status rw_texts_each(const char *const *inputs, size_t n_inputs,
                          const rwkv_data_options *options, rwkv_data_text_fn text, void *user,
                          rwkv_error *err)
{
    struct texts t = {
        .field = options->field ? options->field : "text", .text = text, .user = user};
    struct rw_corpus *c = &t.corpus;
    rwkv_status status;
    RW_TRY(rw_corpus_open(c, inputs, n_inputs, options->format, BATCH, err));
    for (;;) {
        RW_GO(rw_corpus_next(c, err));
        if (c->n_parts == 0 && c->ended)
            break;
        for (size_t i = 0; i < c->n_parts; i++)
            RW_GO(c->parts[i].file->lines ? give_lines(&t, &c->parts[i], err)
                                          : give_text(&t, &c->parts[i], err));
        if (options->progress && options->progress(options->progress_user, c->read,
                                                   RW_MAX(c->total, c->total ? c->read : 0)))
            RW_GO(rw_fail(err, RWKV_ERROR_CANCELLED, "cancelled while reading texts"));
    }
done:
    rw_corpus_close(c);
    return status;
}
