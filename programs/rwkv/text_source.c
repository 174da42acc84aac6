/* SPDX-License-Identifier: Apache-2.0 */
#include "text_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "interrupt.h"

#define BUFFER 65536 /* bytes; more than any token has */

static rwkv_status fail_short(const struct rw_source *s, uint64_t skip, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "%s: wanted at least the %llu bytes that are to be skipped, found %llu", s->name,
                   (unsigned long long)skip, (unsigned long long)s->at);
}

/* Append what can be had to the buffer. A read that the user interrupted adds nothing. */
static rwkv_status fill(struct rw_source *s, rwkv_error *err)
{
    if (s->fd < 0) {
        s->ended = true;
        return RWKV_OK;
    }
    memmove(s->buffer, s->buffer + s->begin, s->end - s->begin);
    s->end -= s->begin;
    s->begin = 0;
    ssize_t n = read(s->fd, s->buffer + s->end, BUFFER - s->end);
    if (n < 0 && errno != EINTR)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", s->name, strerror(errno));
    s->ended = n == 0;
    s->end += n > 0 ? (size_t)n : 0;
    return RWKV_OK;
}

/* Leave out the beginning, without reading it where the system can. */
static rwkv_status skip_bytes(struct rw_source *s, uint64_t skip, rwkv_error *err)
{
    if (skip <= s->total && skip <= INT64_MAX && lseek(s->fd, (off_t)skip, SEEK_CUR) >= 0) {
        s->at = skip;
        return RWKV_OK;
    }
    while (s->at < skip && !s->ended && !rw_interrupted) {
        RW_TRY(fill(s, err));
        size_t n = (size_t)RW_MIN(skip - s->at, s->end - s->begin);
        s->begin += n;
        s->at += n;
    }
    return s->at < skip && !rw_interrupted ? fail_short(s, skip, err) : RWKV_OK;
}

/* How many bytes a regular file has from where it stands; of anything else it is not known. */
static rwkv_status measure(struct rw_source *s, rwkv_error *err)
{
    struct stat st;
    off_t at = lseek(s->fd, 0, SEEK_CUR);
    if (fstat(s->fd, &st) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", s->name, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", s->name, strerror(EISDIR));
    if (S_ISREG(st.st_mode) && at >= 0 && st.st_size > at)
        s->total = (uint64_t)(st.st_size - at);
    return RWKV_OK;
}

rwkv_status rw_source_open(struct rw_source *s, const char *path, uint64_t skip, rwkv_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    char *buffer = rw_alloc(BUFFER, 1);
    *s = (struct rw_source){.name = standard ? "standard input" : path};
    if (!buffer)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to read", s->name);
    s->fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        rw_free(buffer);
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s", s->name, strerror(errno));
    }
    s->buffer = buffer;
    RW_TRY(measure(s, err));
    return skip > 0 ? skip_bytes(s, skip, err) : RWKV_OK;
}

rwkv_status rw_source_of(struct rw_source *s, const char *text, uint64_t skip, rwkv_error *err)
{
    *s = (struct rw_source){.name = "the prompt", .fd = -1, .argument = text, .ended = true};
    s->total = s->at = s->end = strlen(text);
    if (skip > s->total)
        return fail_short(s, skip, err);
    s->at = skip;
    s->begin = (size_t)skip;
    return RWKV_OK;
}

void rw_source_close(struct rw_source *s)
{
    if (s->buffer)
        close(s->fd);
    rw_free(s->buffer);
    s->buffer = NULL;
}

/* Encode tokens that are certain, whatever follows. */
static rwkv_status encode(struct rw_source *s, const rwkv_vocab *vocab, int32_t *tokens,
                          size_t capacity, size_t *n, rwkv_error *err)
{
    const char *text = s->argument ? s->argument : s->buffer;
    size_t needed = s->ended ? 1 : rwkv_vocab_longest(vocab), got = 1;
    while (*n < capacity && s->end - s->begin >= needed && got > 0) {
        size_t at = s->begin;
        if (rwkv_vocab_encode_some(vocab, text, s->end, &at, tokens + *n, 1, &got, NULL) != RWKV_OK)
            return rw_fail(err, RWKV_ERROR_TOKEN,
                           "%s: byte %llu: wanted the beginning of a token of the vocabulary, "
                           "found 0x%02x",
                           s->name, (unsigned long long)s->at, (uint8_t)text[s->begin]);
        s->at += at - s->begin;
        s->begin = at;
        *n += got;
    }
    return RWKV_OK;
}

rwkv_status rw_source_next(struct rw_source *s, const rwkv_vocab *vocab, int32_t *tokens,
                           size_t capacity, size_t *n, rwkv_error *err)
{
    *n = 0;
    RW_TRY(encode(s, vocab, tokens, capacity, n, err));
    while (*n < capacity && !s->ended && !rw_interrupted) {
        RW_TRY(fill(s, err));
        RW_TRY(encode(s, vocab, tokens, capacity, n, err));
    }
    return RWKV_OK;
}
