/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines as a part of a corpus holds them: each line an object with a text in it.
 *
 *     struct rw_lines lines = rw_lines_of(&corpus, part, part->begin, rw_lines_end(&corpus, part));
 *     while (rw_lines_next(&lines, &line, &size))
 *         … rw_line_is_blank(line, size), rw_line_object(line, size, …)
 */
#ifndef RW_TRAIN_LINES_H
#define RW_TRAIN_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv.h"
#include "train/corpus.h"

struct rw_lines {
    const char *text; /* the corpus' buffer */
    size_t at, end;
    bool first; /* the next line is its file's first */
};

/* Where the part's whole lines end: behind its last newline, or at the file's end. */
size_t rw_lines_end(const struct rw_corpus *corpus, const struct rw_corpus_part *part);

/* The lines from byte `begin` of the buffer, where one begins, to `end`, where one ends. */
struct rw_lines rw_lines_of(const struct rw_corpus *corpus, const struct rw_corpus_part *part,
                            size_t begin, size_t end);

/* The next line, without its newline and without a byte order mark at a file's beginning, which is
 * none of JSON's; false behind the last. */
bool rw_lines_next(struct rw_lines *lines, const char **line, size_t *size);

bool rw_line_is_blank(const char *line, size_t size);

/* The object of a line, the caller's to release (json_decref). */
struct json_t;
rwkv_status rw_line_object(const char *line, size_t size, struct json_t **object, rwkv_error *err);

/* The text in the member `field` of a line's object, borrowed from it. */
rwkv_status rw_line_text(const struct json_t *object, const char *field, const char **text,
                         size_t *n, rwkv_error *err);

#endif
