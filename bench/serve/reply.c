/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void wrong(struct reply *r, const char *why)
{
    if (!r->wrong)
        r->wrong = why;
}

static void begin_body(struct reply *r)
{
    r->part = r->chunked ? REPLY_SIZE : REPLY_BODY;
    r->whole = !r->chunked && r->left == 0;
}

static void take_head_line(struct reply *r, const char *line)
{
    if (r->status == 0) {
        if (strncmp(line, "HTTP/1.1 ", 9) != 0)
            wrong(r, "this is not HTTP/1.1");
        r->status = atoi(line + 9);
    } else if (!*line) {
        begin_body(r);
    } else if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0) {
        r->chunked = true;
    } else if (strncasecmp(line, "Content-Length:", 15) == 0) {
        r->left = strtoull(line + 15, NULL, 10);
    }
}

static void take_size_line(struct reply *r, const char *line)
{
    char *end;
    r->left = strtoull(line, &end, 16);
    if (end == line)
        wrong(r, "a chunk without a size");
    r->whole = r->left == 0;
    r->part = REPLY_CHUNK;
}

/* A byte of a line; once it ends, the line is whole in r->text. */
static bool add(struct reply *r, char c)
{
    if (c == '\n') {
        if (r->size > 0 && r->text[r->size - 1] == '\r')
            r->size--;
        r->text[r->size] = 0;
        r->size = 0;
        return true;
    }
    if (r->size + 1 == sizeof r->text)
        wrong(r, "a line that is too long");
    else
        r->text[r->size++] = c;
    return false;
}

static void take_body(struct reply *r, char c)
{
    if (add(r, c))
        r->line(r->user, r->text);
    if (--r->left > 0)
        return;
    if (r->chunked)
        r->part = REPLY_CHUNK_END;
    else
        r->whole = true;
}

bool reply_push(struct reply *r, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && !r->whole && !r->wrong; i++) {
        switch (r->part) {
        case REPLY_HEAD:
            if (add(r, bytes[i]))
                take_head_line(r, r->text);
            break;
        case REPLY_SIZE:
            if (add(r, bytes[i]))
                take_size_line(r, r->text);
            break;
        case REPLY_CHUNK:
        case REPLY_BODY:
            take_body(r, bytes[i]);
            break;
        case REPLY_CHUNK_END:
            if (bytes[i] == '\n')
                r->part = REPLY_SIZE;
            break;
        }
    }
    return !r->wrong;
}

void reply_again(struct reply *r)
{
    r->part = REPLY_HEAD;
    r->status = 0;
    r->chunked = r->whole = false;
    r->left = r->size = 0;
    r->wrong = NULL;
}
