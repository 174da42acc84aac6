/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking an HTTP reply apart as it comes: its status, and the lines of its body, chunked or of a
 * length that was said.
 *
 *     struct reply reply = {.line = take_line, .user = stream};
 *     while (!reply.whole && (n = read(fd, bytes, sizeof bytes)) > 0)
 *         if (!reply_push(&reply, bytes, n))
 *             … this is no reply of the kind: why is in reply.wrong …
 */
#ifndef BENCH_SERVE_REPLY_H
#define BENCH_SERVE_REPLY_H

#include <stdbool.h>
#include <stddef.h>

enum reply_part { REPLY_HEAD, REPLY_SIZE, REPLY_CHUNK, REPLY_CHUNK_END, REPLY_BODY };

struct reply {
    void (*line)(void *user, const char *line); /* of the body, without its end */
    void *user;

    enum reply_part part;
    int status; /* 0: not known yet */
    bool chunked;
    bool whole;
    size_t left;        /* bytes of this chunk, or of the body */
    const char *wrong;  /* NULL: all is well */
    char text[1 << 16]; /* [size] of the line that is being read */
    size_t size;
};

/* False where the reply cannot be understood. */
bool reply_push(struct reply *r, const char *bytes, size_t n);

/* Ready for the next reply on the same connection. */
void reply_again(struct reply *r);

#endif
