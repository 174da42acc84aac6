/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of a store. Names are opened beneath it, never through links, and only plain files are
 * read. If the folder is removed while it is in use every call fails; nothing is written elsewhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/output.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/store_file.h"

#define NAME_DIGITS 32
#define NAME_SIZE (NAME_DIGITS + sizeof ".damaged")
#define MAX_TRIES 8 /* at names: a collision of random ones, or a file cleaned away too early */

static void name_of(const struct rw_file_id *id, const char *ending, char out[NAME_SIZE])
{
    for (size_t i = 0; i < sizeof id->bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", id->bytes[i]);
    strcpy(out + NAME_DIGITS, ending);
}

static bool hex_digit(char c, unsigned *value)
{
    if (c >= '0' && c <= '9')
        *value = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *value = (unsigned)(c - 'a') + 10;
    else
        return false;
    return true;
}

static bool id_of(const char *name, const char *ending, struct rw_file_id *out)
{
    if (strlen(name) != NAME_DIGITS + strlen(ending) || strcmp(name + NAME_DIGITS, ending) != 0)
        return false;
    for (size_t i = 0; i < sizeof out->bytes; i++) {
        unsigned high, low;
        if (!hex_digit(name[2 * i], &high) || !hex_digit(name[2 * i + 1], &low))
            return false;
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static rwkv_status fail(const struct rw_folder *folder, const char *what, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot %s: %s", folder->path, what, strerror(errno));
}

void rw_folder_name(const struct rw_folder *folder, const struct rw_file_id *id, char out[512])
{
    char name[NAME_SIZE];
    name_of(id, ".state", name);
    snprintf(out, 512, "%s/%s", folder->path, name);
}

rwkv_status rw_folder_open(struct rw_folder *folder, const char *path, rwkv_error *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot make the folder: %s", path, strerror(errno));
    char *resolved = realpath(path, NULL);
    *folder = (struct rw_folder){-1, resolved ? rw_strdup(resolved) : NULL};
    free(resolved);
    if (folder->path)
        folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd >= 0)
        return RWKV_OK;
    rw_fail(err, RWKV_ERROR_IO, "%s: cannot open the folder: %s", path, strerror(errno));
    rw_folder_close(folder);
    return RWKV_ERROR_IO;
}

void rw_folder_close(struct rw_folder *folder)
{
    if (folder->fd >= 0)
        close(folder->fd);
    rw_free(folder->path);
    *folder = (struct rw_folder){-1, NULL};
}

/* --- writing ---------------------------------------------------------------------------------- */

/* A new temporary file, locked; -1 with errno set. */
static int create(const struct rw_folder *folder, struct rw_file_id *id)
{
    for (int i = 0; i < MAX_TRIES; i++) {
        char name[NAME_SIZE];
        struct stat st;
        if (getrandom(id->bytes, sizeof id->bytes, 0) != sizeof id->bytes)
            return -1;
        name_of(id, ".tmp", name);
        int fd =
            openat(folder->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            return -1;
        /* Between the two someone may have taken it for left over. */
        if (fd >= 0 && flock(fd, LOCK_EX) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
            return fd;
        if (fd >= 0)
            close(fd);
        errno = EAGAIN;
    }
    return -1;
}

rwkv_status rw_folder_write(const struct rw_folder *folder, const struct rw_store_content *content,
                            bool sync, struct rw_pending *out, rwkv_error *err)
{
    size_t head_size = rw_store_head_size(content->n_tokens);
    uint8_t *head = rw_alloc(head_size, 1);
    *out = (struct rw_pending){.fd = -1};
    if (!head)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to write", folder->path);
    rw_store_head_write(content, head);
    out->fd = create(folder, &out->id);
    bool good = out->fd >= 0 && rw_write_all(out->fd, head, head_size) &&
                rw_write_all(out->fd, content->state, content->state_size) &&
                (!sync || fsync(out->fd) == 0);
    rw_free(head);
    if (good)
        return RWKV_OK;
    out->full = errno == ENOSPC || errno == EDQUOT;
    rwkv_status status = fail(folder, "write a state", err);
    rw_folder_finish(folder, out);
    return status;
}

rwkv_status rw_folder_place(const struct rw_folder *folder, const struct rw_pending *pending,
                            rwkv_error *err)
{
    char from[NAME_SIZE], to[NAME_SIZE];
    name_of(&pending->id, ".tmp", from);
    name_of(&pending->id, ".state", to);
    if (renameat(folder->fd, from, folder->fd, to) == 0)
        return RWKV_OK;
    return fail(folder, "put a state in its place", err);
}

void rw_folder_finish(const struct rw_folder *folder, struct rw_pending *pending)
{
    if (pending->fd < 0)
        return;
    char name[NAME_SIZE];
    name_of(&pending->id, ".tmp", name);
    unlinkat(folder->fd, name, 0); /* there is none if it was placed */
    close(pending->fd);
    pending->fd = -1;
}

bool rw_folder_link(const struct rw_folder *folder, const struct rw_file_id *from,
                    struct rw_file_id *to)
{
    char old[NAME_SIZE], new[NAME_SIZE];
    if (getrandom(to->bytes, sizeof to->bytes, 0) != sizeof to->bytes)
        return false;
    name_of(from, ".state", old);
    name_of(to, ".state", new);
    return linkat(folder->fd, old, folder->fd, new, 0) == 0;
}

rwkv_status rw_folder_sync(const struct rw_folder *folder, rwkv_error *err)
{
    if (fsync(folder->fd) == 0 || errno == EINVAL) /* some file systems have nothing to do here */
        return RWKV_OK;
    return fail(folder, "sync", err);
}

/* --- reading ---------------------------------------------------------------------------------- */

static rwkv_status read_all(int fd, size_t most, const char *name, uint8_t **out, size_t *size,
                            rwkv_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > most)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: wanted a file of at most %zu bytes, found %s of %llu", name, most,
                       S_ISREG(st.st_mode) ? "one" : "something else",
                       (unsigned long long)st.st_size);
    size_t n = (size_t)st.st_size, at = 0;
    uint8_t *bytes = rw_alloc(n, 1);
    if (!bytes)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu bytes", name, n);
    while (at < n) {
        ssize_t done = read(fd, bytes + at, n - at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            rw_free(bytes);
            return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", name, strerror(errno));
        }
        if (done == 0)
            break; /* it has shrunk: the checks of its contents will tell */
        at += (size_t)done;
    }
    *out = bytes;
    *size = at;
    return RWKV_OK;
}

rwkv_status rw_folder_read(const struct rw_folder *folder, const struct rw_file_id *id, size_t most,
                           uint8_t **out, size_t *size, bool *gone, rwkv_error *err)
{
    char name[NAME_SIZE], path[512];
    name_of(id, ".state", name);
    rw_folder_name(folder, id, path);
    int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *gone = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return rw_fail(err, errno == ELOOP ? RWKV_ERROR_FORMAT : RWKV_ERROR_IO,
                       "%s: cannot open: %s", path, strerror(errno));
    rwkv_status status = read_all(fd, most, path, out, size, err);
    close(fd);
    return status;
}

/* --- removing --------------------------------------------------------------------------------- */

void rw_folder_remove(const struct rw_folder *folder, const struct rw_file_id *id)
{
    char name[NAME_SIZE];
    name_of(id, ".state", name);
    unlinkat(folder->fd, name, 0); /* if not now, the next process that opens the folder will */
}

void rw_folder_set_aside(const struct rw_folder *folder, const struct rw_file_id *id)
{
    char from[NAME_SIZE], to[NAME_SIZE];
    name_of(id, ".state", from);
    name_of(id, ".damaged", to);
    renameat(folder->fd, from, folder->fd, to);
}

/* A temporary file that no process has locked. */
static void clean_temporary(const struct rw_folder *folder, const char *name)
{
    int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder->fd, name, 0);
    close(fd);
}

void rw_folder_clean(const struct rw_folder *folder,
                     bool (*known)(void *user, const struct rw_file_id *id), void *user)
{
    struct rw_file_id id;
    const struct dirent *entry;
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (id_of(entry->d_name, ".tmp", &id))
            clean_temporary(folder, entry->d_name);
        else if (id_of(entry->d_name, ".state", &id) && !known(user, &id))
            unlinkat(folder->fd, entry->d_name, 0);
    }
    closedir(dir);
}
