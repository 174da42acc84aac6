/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/status.h"
#include "interrupt.h"
#include "say.h"

#define BUFFER 65536
#define LINE_LIMIT ((size_t)64 << 20) /* bytes; a longer request is a mistake */

/* --- requests --------------------------------------------------------------------------------- */

rwkv_status rw_requests_open(struct rw_requests *r, const char *path, rwkv_error *err)
{
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    *r = (struct rw_requests){.name = standard ? "standard input" : path};
    char *buffer = rw_alloc(BUFFER, 1);
    if (!buffer)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to read", r->name);
    r->fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) {
        rw_free(buffer);
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s", r->name, strerror(errno));
    }
    r->buffer = buffer;
    off_t at = lseek(r->fd, 0, SEEK_CUR);
    if (fstat(r->fd, &st) == 0 && S_ISREG(st.st_mode) && at >= 0 && st.st_size > at)
        r->total = (uint64_t)(st.st_size - at);
    return RWKV_OK;
}

void rw_requests_close(struct rw_requests *r)
{
    if (r->buffer)
        close(r->fd);
    rw_free(r->buffer);
    rw_str_fini(&r->line);
    r->buffer = NULL;
}

/* Read on; *some tells whether anything came, the end included. */
static rwkv_status fill(struct rw_requests *r, bool wait, bool *some, rwkv_error *err)
{
    struct pollfd ready = {.fd = r->fd, .events = POLLIN};
    *some = false;
    if (!wait && poll(&ready, 1, 0) == 0)
        return RWKV_OK;
    ssize_t n = read(r->fd, r->buffer, BUFFER);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", r->name, strerror(errno));
    r->begin = 0;
    r->end = n > 0 ? (size_t)n : 0;
    r->ended = n == 0;
    *some = n >= 0;
    return RWKV_OK;
}

/* Take what the buffer has of a line. Whether the line is whole. */
static bool take_line(struct rw_requests *r)
{
    if (!r->partial) {
        rw_str_reset(&r->line);
        r->too_long = false;
        r->partial = true;
    }
    const char *text = r->buffer + r->begin;
    size_t n = r->end - r->begin;
    const char *newline = memchr(text, '\n', n);
    n = newline ? (size_t)(newline - text) : n;
    size_t room = LINE_LIMIT - RW_MIN(LINE_LIMIT, r->line.size);
    r->too_long = r->too_long || n > room;
    rw_str_add(&r->line, text, RW_MIN(n, room));
    r->begin += n + (newline != NULL);
    r->at += n + (newline != NULL);
    return newline != NULL;
}

static bool is_blank(const struct rw_str *line)
{
    for (size_t i = 0; i < line->size; i++)
        if (!strchr(" \t\r", line->data[i]) || !line->data[i])
            return false;
    return true;
}

rwkv_status rw_requests_next(struct rw_requests *r, bool wait, bool *found, rwkv_error *err)
{
    *found = false;
    while (!*found && !r->ended && !rw_interrupted) {
        bool some = true, whole = r->begin < r->end && take_line(r);
        if (!whole) {
            RW_TRY(fill(r, wait, &some, err));
            if (!some && !wait)
                return RWKV_OK;
            whole = r->ended && r->partial && r->line.size > 0; /* a last line without newline */
        }
        if (r->line.failed)
            return rw_fail(err, RWKV_ERROR_MEMORY, "%s: line %llu: no memory", r->name,
                           (unsigned long long)r->number + 1);
        if (!whole)
            continue;
        r->partial = false;
        r->number++;
        *found = !is_blank(&r->line);
    }
    return RWKV_OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static rwkv_status fail_file(const struct rw_answers *a, const char *what, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot %s: %s", a->path, what, strerror(errno));
}

/* Where the last newline before `end` is, plus 1; 0: there is none. −1: cannot read. */
static off_t line_start(int fd, off_t end)
{
    char block[4096];
    while (end > 0) {
        off_t from = end > (off_t)sizeof block ? end - (off_t)sizeof block : 0;
        ssize_t n = pread(fd, block, (size_t)(end - from), from);
        if (n != end - from)
            return -1;
        for (; n > 0; n--)
            if (block[n - 1] == '\n')
                return from + n;
        end = from;
    }
    return 0;
}

/* Which line of the input a line of the output answers; 0: it is none of ours. */
static uint64_t line_answered(const char *text, size_t size)
{
    json_t *answer = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
    json_int_t line = json_integer_value(json_object_get(answer, "line"));
    json_decref(answer);
    return line > 0 ? (uint64_t)line : 0;
}

/* Drop a torn end and find out how far the file has come. */
static rwkv_status resume(struct rw_answers *a, off_t size, rwkv_error *err)
{
    off_t end = line_start(a->fd, size);
    off_t start = end > 0 ? line_start(a->fd, end - 1) : end;
    if (start < 0)
        return fail_file(a, "read", err);
    if (end > 0) {
        char *text = rw_alloc((size_t)(end - start), 1);
        if (!text)
            return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for its last line", a->path);
        if (pread(a->fd, text, (size_t)(end - start), start) == end - start)
            a->last_line = line_answered(text, (size_t)(end - start));
        rw_free(text);
        if (a->last_line == 0)
            return rw_fail(err, RWKV_ERROR_FORMAT,
                           "%s: wanted answers to go on with, found a last line that is none",
                           a->path);
    }
    if (ftruncate(a->fd, end) != 0 || lseek(a->fd, end, SEEK_SET) < 0)
        return fail_file(a, "go on with it", err);
    return RWKV_OK;
}

static rwkv_status prepare_file(struct rw_answers *a, enum rw_answers_mode mode,
                                const struct rw_requests *requests, rwkv_error *err)
{
    struct stat st, in;
    if (fstat(a->fd, &st) != 0)
        return fail_file(a, "open", err);
    if (!S_ISREG(st.st_mode))
        return mode == RW_ANSWERS_RESUME
                   ? rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a file to go on with", a->path)
                   : RWKV_OK;
    if (fstat(requests->fd, &in) == 0 && in.st_dev == st.st_dev && in.st_ino == st.st_ino)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: the answers would overwrite the requests",
                       a->path);
    if (flock(a->fd, LOCK_EX | LOCK_NB) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: another process is writing it", a->path);
    if (mode == RW_ANSWERS_RESUME)
        return resume(a, st.st_size, err);
    if (mode == RW_ANSWERS_NEW && st.st_size > 0)
        return rw_fail(err, RWKV_ERROR_IO,
                       "%s: is there already: --resume goes on with it, --force replaces it",
                       a->path);
    return ftruncate(a->fd, 0) == 0 ? RWKV_OK : fail_file(a, "replace", err);
}

rwkv_status rw_answers_open(struct rw_answers *a, const char *path, enum rw_answers_mode mode,
                            const struct rw_requests *requests, rwkv_error *err)
{
    *a = (struct rw_answers){.path = path, .fd = -1};
    if (!path)
        return mode == RW_ANSWERS_RESUME
                   ? rw_fail(err, RWKV_ERROR_ARGUMENT, "--resume goes on with a file: wanted --out")
                   : RWKV_OK;
    a->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (a->fd < 0)
        a->fd = open(path, O_WRONLY | O_CLOEXEC); /* a pipe or a device */
    if (a->fd < 0)
        return fail_file(a, "create", err);
    rwkv_status status = prepare_file(a, mode, requests, err);
    if (status != RWKV_OK) {
        close(a->fd);
        a->fd = -1;
    }
    return status;
}

rwkv_status rw_answers_write(struct rw_answers *a, const char *text, size_t size, rwkv_error *err)
{
    if (!a->path) {
        rw_out(text, size);
        rw_out_flush();
        return RWKV_OK; /* rw_out_failed tells, rw_out_end reports */
    }
    while (size > 0) {
        ssize_t n = write(a->fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_file(a, "write", err);
        text += n;
        size -= (size_t)n;
    }
    return RWKV_OK;
}

rwkv_status rw_answers_close(struct rw_answers *a, rwkv_error *err)
{
    if (!a->path || a->fd < 0)
        return RWKV_OK;
    rwkv_status status = RWKV_OK;
    if (fsync(a->fd) != 0 && errno != EINVAL && errno != EROFS) /* pipes and devices cannot */
        status = fail_file(a, "write", err);
    close(a->fd);
    a->fd = -1;
    return status;
}
