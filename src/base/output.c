/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes go to a file without a name (O_TMPFILE), which vanishes by itself however the process
 * ends, and is linked into place at commit. Where the file system cannot do that, or /proc is not
 * there to link it by, a temporary name beside the target is used, removed on discard.
 *
 * Temporary names are tried until one is free: another thread may be writing the same target, and
 * a process that was killed may have left a file behind and passed its number on to us.
 */
#include "base/output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"

#define BUFFER_SIZE ((size_t)1 << 18)
#define MAX_NAMES 1000 /* temporary names tried */

struct rw_output {
    int fd;
    bool named; /* `temporary` exists in the directory */
    char *path;
    char *directory;
    char *temporary; /* room for a name in the directory */
    size_t temporary_size;
    uint64_t position; /* bytes handed in */
    size_t buffered;   /* of them, not yet written */
    uint8_t buffer[];
};

static rwkv_status fail_write(const struct rw_output *o, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot write at byte %llu: %s", o->path,
                   (unsigned long long)(o->position - o->buffered), strerror(errno));
}

static char *directory_of(const char *path)
{
    const char *base = rw_basename(path);
    if (base == path)
        return rw_strdup(".");
    size_t n = (size_t)(base - path) - 1;
    return n ? rw_strndup(path, n) : rw_strdup("/");
}

/* Temporary name number i. It does not grow with the target's, which may be as long as names can
 * be.
 */
static void set_temporary(struct rw_output *o, int i)
{
    snprintf(o->temporary, o->temporary_size, "%s/rwkv-%ld-%d.tmp", o->directory, (long)getpid(),
             i);
}

/* The way to a descriptor's file that linkat can follow. */
static void self_of(const struct rw_output *o, char path[64])
{
    snprintf(path, 64, "/proc/self/fd/%d", o->fd);
}

/* False, with errno set: not to be had. */
static bool open_unnamed(struct rw_output *o)
{
    char self[64];
    o->fd = open(o->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (o->fd < 0)
        return false;
    self_of(o, self);
    if (access(self, F_OK) == 0)
        return true;
    close(o->fd);
    o->fd = -1;
    return false;
}

static bool open_named(struct rw_output *o)
{
    for (int i = 0; i < MAX_NAMES; i++) {
        set_temporary(o, i);
        o->fd = open(o->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
        o->named = o->fd >= 0;
        if (o->named || errno != EEXIST)
            return o->named;
    }
    return false;
}

static void free_output(struct rw_output *o)
{
    if (o->fd >= 0)
        close(o->fd);
    rw_free(o->path);
    rw_free(o->directory);
    rw_free(o->temporary);
    rw_free(o);
}

rwkv_status rw_output_open(struct rw_output **out, const char *path, rwkv_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return rw_fail(err, RWKV_ERROR_IO, "%s: wanted a file to write, found %s", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
    struct rw_output *o = rw_calloc(1, sizeof *o + BUFFER_SIZE);
    if (!o)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path);
    o->fd = -1;
    o->path = rw_strdup(path);
    o->directory = directory_of(path);
    o->temporary_size = strlen(path) + 64;
    o->temporary = rw_alloc(o->temporary_size, 1);
    if (!o->path || !o->directory || !o->temporary) {
        free_output(o);
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", path);
    }
    if (!open_unnamed(o) && !open_named(o)) {
        rw_fail(err, RWKV_ERROR_IO, "%s: cannot create: %s", path, strerror(errno));
        free_output(o);
        return RWKV_ERROR_IO;
    }
    *out = o;
    return RWKV_OK;
}

bool rw_write_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

static rwkv_status flush(struct rw_output *o, rwkv_error *err)
{
    if (!rw_write_all(o->fd, o->buffer, o->buffered))
        return fail_write(o, err);
    o->buffered = 0;
    return RWKV_OK;
}

rwkv_status rw_output_write(struct rw_output *o, const void *bytes, size_t n, rwkv_error *err)
{
    if (n > BUFFER_SIZE - o->buffered)
        RW_TRY(flush(o, err));
    if (n > BUFFER_SIZE) {
        if (!rw_write_all(o->fd, bytes, n))
            return fail_write(o, err);
    } else if (n) {
        memcpy(o->buffer + o->buffered, bytes, n);
        o->buffered += n;
    }
    o->position += n;
    return RWKV_OK;
}

rwkv_status rw_output_align(struct rw_output *o, size_t alignment, rwkv_error *err)
{
    static const uint8_t zeros[256];
    size_t n = (size_t)(o->position % alignment);
    n = n ? alignment - n : 0;
    while (n > 0) {
        size_t part = RW_MIN(n, sizeof zeros);
        RW_TRY(rw_output_write(o, zeros, part, err));
        n -= part;
    }
    return RWKV_OK;
}

rwkv_status rw_output_patch(struct rw_output *o, uint64_t at, const void *bytes, size_t n,
                            rwkv_error *err)
{
    assert(at + n <= o->position);
    RW_TRY(flush(o, err));
    for (const uint8_t *p = bytes; n > 0;) {
        ssize_t done = pwrite(o->fd, p, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return fail_write(o, err);
        p += done;
        at += (uint64_t)done;
        n -= (size_t)done;
    }
    return RWKV_OK;
}

rwkv_status rw_output_sync(struct rw_output *o, rwkv_error *err)
{
    RW_TRY(flush(o, err));
    return fsync(o->fd) == 0 ? RWKV_OK : fail_write(o, err);
}

uint64_t rw_output_position(const struct rw_output *o)
{
    return o->position;
}

/* Give the unnamed file a temporary name: linkat cannot replace an existing target, rename can. */
static bool name_it(struct rw_output *o)
{
    char self[64];
    self_of(o, self);
    for (int i = 0; i < MAX_NAMES && !o->named; i++) {
        set_temporary(o, i);
        o->named = linkat(AT_FDCWD, self, AT_FDCWD, o->temporary, AT_SYMLINK_FOLLOW) == 0;
        if (!o->named && errno != EEXIST)
            return false;
    }
    return o->named;
}

rwkv_status rw_output_commit(struct rw_output *o, rwkv_error *err)
{
    rwkv_status status = rw_output_sync(o, err);
    if (status == RWKV_OK && (!name_it(o) || rename(o->temporary, o->path) != 0))
        status = rw_fail(err, RWKV_ERROR_IO, "%s: cannot put the file in place: %s", o->path,
                         strerror(errno));
    if (status != RWKV_OK) {
        rw_output_discard(o);
        return status;
    }
    rw_folder_sync_path(o->directory);
    free_output(o);
    return RWKV_OK;
}

void rw_output_discard(struct rw_output *o)
{
    if (!o)
        return;
    if (o->named)
        unlink(o->temporary);
    free_output(o);
}

/* --- folders ---------------------------------------------------------------------------------- */

void rw_folder_sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!fsync(fd); /* the files themselves are safe; some file systems refuse this */
        close(fd);
    }
}

rwkv_status rw_folder_make(const char *path, rwkv_error *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *name = rw_strndup(path, n), *parent = name ? directory_of(name) : NULL;
    rwkv_status status = RWKV_OK;
    if (!parent)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a path", path);
    else if (mkdir(path, 0777) != 0 && errno != EEXIST)
        status = rw_fail(err, RWKV_ERROR_IO, "%s: cannot create: %s", path, strerror(errno));
    else
        rw_folder_sync_path(parent);
    rw_free(parent);
    rw_free(name);
    return status;
}
