/* SPDX-License-Identifier: Apache-2.0 */
#include "energy.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first bytes of a file, as text. */
static bool read_text(int fd, char *to, size_t size)
{
    ssize_t n = pread(fd, to, size - 1, 0);
    to[n > 0 ? n : 0] = 0;
    return n > 0;
}

static bool read_counter(int fd, uint64_t *value)
{
    char text[32], *end;
    if (!read_text(fd, text, sizeof text))
        return false;
    *value = strtoull(text, &end, 10);
    return end != text;
}

static int open_zone(const char *folder, int zone, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/intel-rapl:%d/%s", folder, zone, file);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Whether a zone is a package: others are parts of one, or the whole board. */
static bool is_package(const char *folder, int zone)
{
    char name[32];
    int fd = open_zone(folder, zone, "name");
    bool package = fd >= 0 && read_text(fd, name, sizeof name) && strncmp(name, "package", 7) == 0;
    if (fd >= 0)
        close(fd);
    return package;
}

static bool open_package(struct rw_energy *e, const char *folder, int zone)
{
    size_t n = e->n_packages;
    errno = EINVAL; /* unless the system says otherwise */
    int fd = open_zone(folder, zone, "energy_uj");
    if (fd < 0 || !read_counter(fd, &e->packages[n].last)) {
        snprintf(e->why, sizeof e->why, "%s/intel-rapl:%d/energy_uj: %s", folder, zone,
                 strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    e->packages[n].fd = fd;
    e->n_packages++;
    fd = open_zone(folder, zone, "max_energy_range_uj");
    if (fd >= 0) {
        read_counter(fd, &e->packages[n].range);
        close(fd);
    }
    return true;
}

void rw_energy_open(struct rw_energy *e, const char *folder)
{
    *e = (struct rw_energy){0};
    for (int zone = 0; zone < RW_ENERGY_PACKAGES; zone++)
        if (is_package(folder, zone) && !open_package(e, folder, zone)) {
            rw_energy_close(e);
            return;
        }
    if (e->n_packages == 0)
        snprintf(e->why, sizeof e->why, "%s: %s", folder,
                 access(folder, R_OK) ? strerror(errno) : "no counters of processor packages");
}

void rw_energy_close(struct rw_energy *e)
{
    for (size_t i = 0; i < e->n_packages; i++)
        close(e->packages[i].fd);
    e->n_packages = 0;
}

double rw_energy_joules(struct rw_energy *e)
{
    for (size_t i = 0; i < e->n_packages; i++) {
        uint64_t now, last = e->packages[i].last;
        if (!read_counter(e->packages[i].fd, &now))
            return NAN;
        uint64_t used = now - last;
        if (now < last) /* it has begun again */
            used = e->packages[i].range > last ? e->packages[i].range - last + now : now;
        e->joules += (double)used * 1e-6;
        e->packages[i].last = now;
    }
    return e->n_packages ? e->joules : (double)NAN;
}
