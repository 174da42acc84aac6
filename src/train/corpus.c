/* SPDX-License-Identifier: Apache-2.0 */
#include "train/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"

#define BATCH_MAX ((size_t)1 << 30) /* bytes, if one line is so long */
#define DEPTH_MAX 64                /* folders in folders */

/* --- finding files ---------------------------------------------------------------------------- */

static bool is_lines(const char *path, rwkv_data_format format)
{
    return format == RWKV_DATA_LINES ||
           (format == RWKV_DATA_AUTO &&
            (rw_has_suffix(path, ".jsonl") || rw_has_suffix(path, ".ndjson")));
}

static rwkv_status add_file(struct rw_corpus *c, const char *path, rwkv_data_format format,
                            rwkv_error *err)
{
    char *copy = rw_strdup(path);
    if (!copy || !rw_grow((void **)&c->files, c->n_files, &c->files_capacity, sizeof *c->files)) {
        rw_free(copy);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the names of %zu files",
                       c->n_files + 1);
    }
    c->files[c->n_files++] =
        (struct rw_corpus_file){.path = copy,
                                .name = strcmp(copy, "-") == 0 ? "standard input" : copy,
                                .lines = is_lines(copy, format)};
    return RWKV_OK;
}

static int no_dot(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* By bytes, whatever the language. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static rwkv_status add_path(struct rw_corpus *c, const char *path, rwkv_data_format format,
                            unsigned depth, rwkv_error *err);

static rwkv_status add_folder(struct rw_corpus *c, const char *path, rwkv_data_format format,
                              unsigned depth, rwkv_error *err)
{
    struct dirent **entries = NULL;
    struct rw_str s = {0};
    rwkv_status status = RWKV_OK;
    if (depth > DEPTH_MAX)
        return rw_fail(err, RWKV_ERROR_IO, "%s: wanted at most %d folders in one another", path,
                       DEPTH_MAX);
    int n = scandir(path, &entries, no_dot, by_name);
    if (n < 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", path, strerror(errno));
    for (int i = 0; i < n && status == RWKV_OK; i++) {
        rw_str_reset(&s);
        rw_str_printf(&s, "%s%s%s", path, rw_has_suffix(path, "/") ? "" : "/", entries[i]->d_name);
        status = s.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for its files", path)
                          : add_path(c, s.data, format, depth + 1, err);
    }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    rw_str_fini(&s);
    return status;
}

/* In folders only files and folders are looked at; what is named by the user may be a pipe. */
static rwkv_status add_path(struct rw_corpus *c, const char *path, rwkv_data_format format,
                            unsigned depth, rwkv_error *err)
{
    struct stat st;
    if (strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &st) != 0 : stat(path, &st) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode) && strcmp(path, "-") != 0)
        return add_folder(c, path, format, depth, err);
    if (S_ISREG(st.st_mode))
        c->total += (uint64_t)st.st_size;
    else if (depth > 0)
        return RWKV_OK;
    return add_file(c, path, format, err);
}

/* Whether the size of everything is known. */
static bool all_regular(const struct rw_corpus *c)
{
    struct stat st;
    for (size_t i = 0; i < c->n_files; i++)
        if (strcmp(c->files[i].path, "-") == 0 || stat(c->files[i].path, &st) != 0 ||
            !S_ISREG(st.st_mode))
            return false;
    return true;
}

rwkv_status rw_corpus_open(struct rw_corpus *c, const char *const *inputs, size_t n_inputs,
                           rwkv_data_format format, size_t batch, rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    *c = (struct rw_corpus){.fd = -1};
    for (size_t i = 0; i < n_inputs; i++)
        RW_GO(add_path(c, inputs[i], format, 0, err));
    if (!all_regular(c))
        c->total = 0;
    c->capacity = batch;
    c->buffer = rw_alloc(c->capacity, 1);
    if (!c->buffer)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory to read texts");
done:
    if (status != RWKV_OK)
        rw_corpus_close(c);
    return status;
}

void rw_corpus_close(struct rw_corpus *c)
{
    if (c->fd >= 0)
        close(c->fd);
    for (size_t i = 0; i < c->n_files; i++)
        rw_free(c->files[i].path);
    rw_free(c->files);
    rw_free(c->buffer);
    rw_free(c->parts);
    *c = (struct rw_corpus){.fd = -1};
}

/* --- reading ---------------------------------------------------------------------------------- */

static rwkv_status open_next(struct rw_corpus *c, rwkv_error *err)
{
    const struct rw_corpus_file *file = &c->files[c->next];
    if (!rw_grow((void **)&c->parts, c->n_parts, &c->parts_capacity, sizeof *c->parts))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to read", file->name);
    c->fd =
        strcmp(file->path, "-") == 0 ? dup(STDIN_FILENO) : open(file->path, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s", file->name, strerror(errno));
    c->parts[c->n_parts++] = (struct rw_corpus_part){
        .file = file, .begin = c->filled, .end = c->filled, .done = c->filled, .first = true};
    c->next++;
    return RWKV_OK;
}

/* What was not done of an unfinished part becomes the beginning of the new batch. */
static rwkv_status carry(struct rw_corpus *c, rwkv_error *err)
{
    for (size_t i = 0; i < c->n_parts; i++)
        c->read += c->parts[i].done - c->parts[i].begin;
    if (c->fd < 0) {
        c->n_parts = c->filled = 0;
        return RWKV_OK;
    }
    struct rw_corpus_part part = c->parts[c->n_parts - 1];
    size_t rest = part.end - part.done;
    memmove(c->buffer, c->buffer + part.done, rest);
    if (rest == c->capacity) {
        size_t capacity = c->capacity * 2;
        char *larger = capacity <= BATCH_MAX ? rw_realloc(c->buffer, capacity, 1) : NULL;
        if (!larger)
            return rw_fail(err, capacity <= BATCH_MAX ? RWKV_ERROR_MEMORY : RWKV_ERROR_FORMAT,
                           "%s: line %llu: wanted at most %zu bytes, found more", part.file->name,
                           (unsigned long long)part.line + 1, c->capacity);
        c->buffer = larger;
        c->capacity = capacity;
    }
    part.first = part.first && part.done == part.begin;
    part.at += part.done - part.begin;
    part.begin = part.done = 0;
    part.end = c->filled = rest;
    c->parts[0] = part;
    c->n_parts = 1;
    return RWKV_OK;
}

rwkv_status rw_corpus_next(struct rw_corpus *c, rwkv_error *err)
{
    RW_TRY(carry(c, err));
    while (c->filled < c->capacity) {
        c->ended = c->fd < 0 && c->next == c->n_files;
        if (c->ended)
            break;
        if (c->fd < 0)
            RW_TRY(open_next(c, err));
        struct rw_corpus_part *part = &c->parts[c->n_parts - 1];
        ssize_t n = read(c->fd, c->buffer + c->filled, c->capacity - c->filled);
        if (n < 0 && errno == EINTR)
            break;
        if (n < 0)
            return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", part->file->name,
                           strerror(errno));
        c->filled += (size_t)n;
        part->end = c->filled;
        if (n == 0) {
            part->last = true;
            close(c->fd);
            c->fd = -1;
        }
    }
    return RWKV_OK;
}
