/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text of any length as tokens, a piece at a time: from a file, a pipe or an argument, in memory
 * that does not grow with the text. The tokens are those of the whole text, whatever the pieces.
 *
 *     struct rw_source source;
 *     RW_TRY(rw_source_open(&source, "long.txt", 0, err));
 *     do {
 *         RW_GO(rw_source_next(&source, vocab, tokens, capacity, &n, err));
 *         …
 *     } while (n > 0);
 *     rw_source_close(&source);
 */
#ifndef RW_PROGRAM_TEXT_SOURCE_H
#define RW_PROGRAM_TEXT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_source {
    const char *name; /* for messages; borrowed */
    uint64_t at;      /* bytes from the beginning of the text that have become tokens */
    uint64_t total;   /* bytes of the text; 0: not known */
    int fd;           /* −1: the text is an argument, or the source is not open */
    bool ended;       /* everything has been read into the buffer */
    char *buffer;     /* owned; with `argument` NULL */
    const char *argument;
    size_t begin, end; /* of what is not encoded yet */
};

/* `path` is a file or "-", standard input; its first `skip` bytes are left out. */
rwkv_status rw_source_open(struct rw_source *source, const char *path, uint64_t skip,
                           rwkv_error *err);
/* The text itself, borrowed. */
rwkv_status rw_source_of(struct rw_source *source, const char *text, uint64_t skip,
                         rwkv_error *err);
void rw_source_close(struct rw_source *source); /* also of zeros */

/* The next tokens, as many as there is room for; fewer only at the end of the text, or when the
 * user interrupts, which is not an error. */
rwkv_status rw_source_next(struct rw_source *source, const rwkv_vocab *vocab, int32_t *tokens,
                           size_t capacity, size_t *n, rwkv_error *err);

#endif
