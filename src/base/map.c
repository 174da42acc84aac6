/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

/* Open a regular file for reading and tell its size. */
static rwkv_status open_regular(const char *path, int *fd_out, size_t *size, rwkv_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) != 0) {
        rw_fail(err, RWKV_ERROR_IO, "%s: cannot examine: %s", path, strerror(errno));
        close(fd);
        return RWKV_ERROR_IO;
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return rw_fail(err, RWKV_ERROR_IO, "%s: wanted a file, found %s", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
    }
    *fd_out = fd;
    *size = (size_t)st.st_size;
    return RWKV_OK;
}

rwkv_status rw_map_open(struct rw_map *map, const char *path, rwkv_error *err)
{
    int fd = -1;
    size_t size = 0;
    *map = (struct rw_map){0};
    RW_TRY(open_regular(path, &fd, &size, err));
    if (size > 0) {
        void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            rw_fail(err, RWKV_ERROR_IO, "%s: cannot map %zu bytes: %s", path, size,
                    strerror(errno));
            close(fd);
            return RWKV_ERROR_IO;
        }
        map->data = p;
        map->size = size;
    }
    close(fd);
    return RWKV_OK;
}

void rw_map_close(struct rw_map *map)
{
    if (map->data)
        munmap((void *)map->data, map->size);
    *map = (struct rw_map){0};
}

void rw_map_forget(const struct rw_map *map, const void *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t base = (uintptr_t)map->data, begin = (uintptr_t)p, end = begin + n;
    if (!map->data || begin < base || end > base + map->size)
        return;
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (begin < end) /* advice: nothing is lost where the system does not take it */
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* Read until `size` bytes are there or the file ends. */
static ssize_t read_all(int fd, char *to, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

rwkv_status rw_read_file(const char *path, size_t limit, char **out, size_t *size, rwkv_error *err)
{
    int fd = -1;
    size_t n = 0;
    RW_TRY(open_regular(path, &fd, &n, err));
    if (n > limit) {
        close(fd);
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted at most %zu bytes, found %zu", path,
                       limit, n);
    }
    char *data = rw_alloc(n + 1, 1);
    ssize_t got = data ? read_all(fd, data, n) : 0;
    int error = errno;
    close(fd);
    if (!data)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for %zu bytes", path, n);
    if (got < 0) {
        rw_free(data);
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", path, strerror(error));
    }
    data[got] = 0;
    *out = data;
    *size = (size_t)got;
    return RWKV_OK;
}
