/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of `rwkv batch`. Requests are lines of a file or a pipe, read when they are wanted.
 * Answers are lines too, each handed to the system as it is ready, so that whatever happens to the
 * program the file holds whole answers and at most one that is torn, which going on drops.
 */
#ifndef RW_PROGRAM_BATCH_FILES_H
#define RW_PROGRAM_BATCH_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "rwkv.h"

/* --- requests --------------------------------------------------------------------------------- */

struct rw_requests {
    const char *name; /* for messages; borrowed */
    uint64_t total;   /* bytes; 0: not known */
    uint64_t at;      /* bytes up to the end of the last line */
    uint64_t number;  /* of the last line, from 1 */
    bool ended;
    struct rw_str line; /* the last line, without its newline */
    bool too_long;      /* of the last line only the beginning was kept */

    int fd;
    char *buffer; /* owned */
    size_t begin, end;
    bool partial; /* `line` is not whole yet */
};

/* `path` is a file or "-", standard input. */
rwkv_status rw_requests_open(struct rw_requests *requests, const char *path, rwkv_error *err);
void rw_requests_close(struct rw_requests *requests); /* also of zeros */

/* The next line that is not blank: *found tells whether there is one. There is none at the end
 * (`ended`), when the user interrupts, or, without `wait`, when none has come yet. */
rwkv_status rw_requests_next(struct rw_requests *requests, bool wait, bool *found, rwkv_error *err);

/* --- answers ---------------------------------------------------------------------------------- */

struct rw_answers {
    const char *path;   /* NULL: standard output; borrowed */
    int fd;             /* of the file */
    uint64_t last_line; /* of the input that the file answers already */
};

enum rw_answers_mode { RW_ANSWERS_NEW, RW_ANSWERS_RESUME, RW_ANSWERS_REPLACE };

/* NEW refuses a file with something in it; RESUME goes on behind its last whole line; `requests` is
 * what must not be the same file. */
rwkv_status rw_answers_open(struct rw_answers *answers, const char *path, enum rw_answers_mode mode,
                            const struct rw_requests *requests, rwkv_error *err);
rwkv_status rw_answers_write(struct rw_answers *answers, const char *text, size_t size,
                             rwkv_error *err);
/* Close, the answers being safe on the disk when it succeeds. */
rwkv_status rw_answers_close(struct rw_answers *answers, rwkv_error *err);

#endif
