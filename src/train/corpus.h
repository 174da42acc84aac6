/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts to learn from, read in batches of a bounded size: files, folders and standard input, one
 * after another, plain text or JSON lines.
 *
 *     struct rw_corpus c;
 *     RW_TRY(rw_corpus_open(&c, inputs, n, RWKV_DATA_AUTO, 1 << 24, err));
 *     for (;;) {
 *         RW_GO(rw_corpus_next(&c, err));
 *         if (c.n_parts == 0 && c.ended)
 *             break;
 *         for (size_t i = 0; i < c.n_parts; i++)
 *             c.parts[i].done = how_far_it_could_be_used(&c.parts[i], c.buffer);
 *     }
 *     rw_corpus_close(&c);
 *
 * A part is a stretch of one file. Only the last part of a batch may be unfinished (`last` is not
 * set); what its user has not done comes again at the beginning of the next batch, with more behind
 * it. Every other part must be done to its end.
 */
#ifndef RW_TRAIN_CORPUS_H
#define RW_TRAIN_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv_data.h"

struct rw_corpus_file {
    char *path;       /* "-": standard input */
    const char *name; /* for messages */
    bool lines;       /* JSON lines */
};

struct rw_corpus_part {
    const struct rw_corpus_file *file;
    uint64_t at;       /* of `begin`, in the file */
    uint64_t line;     /* lines of the file before `begin`: kept by the user */
    size_t begin, end; /* in the buffer */
    size_t done;       /* out: what is before it has been used */
    bool first, last;  /* the file's beginning, its end is in this part */
};

struct rw_corpus {
    struct rw_corpus_file *files;
    size_t n_files, files_capacity;
    uint64_t total; /* bytes of all files; 0: not known */
    uint64_t read;  /* bytes done */
    char *buffer;
    size_t capacity, filled;
    struct rw_corpus_part *parts;
    size_t n_parts, parts_capacity;
    size_t next; /* file to be opened */
    int fd;      /* −1: none is open */
    bool ended;  /* no more will be read */
};

/* Find all files, to be read in batches of `batch` bytes, or more where a line is longer. On
 * failure nothing is open. */
rwkv_status rw_corpus_open(struct rw_corpus *c, const char *const *inputs, size_t n_inputs,
                           rwkv_data_format format, size_t batch, rwkv_error *err);
void rw_corpus_close(struct rw_corpus *c);

/* The next batch, in place of the one before. It may be empty, or hold nothing new, when a signal
 * interrupted reading. */
rwkv_status rw_corpus_next(struct rw_corpus *c, rwkv_error *err);

#endif
