/* SPDX-License-Identifier: Apache-2.0 */
#include "base/processors.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

#define PATH_ROOM 1024

/* Is some allowed processor below `cpu` in a list like "0-1,8"? */
static bool lists_a_lower(const char *list, int cpu, const cpu_set_t *mask)
{
    while (*list >= '0' && *list <= '9') {
        char *end;
        long first = strtol(list, &end, 10), last = first;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        for (long i = first; i <= last && i < cpu; i++)
            if (CPU_ISSET((size_t)i, mask))
                return true;
        list = *end == ',' ? end + 1 : end;
    }
    return false;
}

/* Is this the lowest of its core's allowed processors? The list has two names: the newer one
 * first. */
static bool leads_a_core(const char *root, int cpu, const cpu_set_t *mask)
{
    static const char *const names[] = {"core_cpus_list", "thread_siblings_list"};
    for (size_t i = 0; i < RW_COUNT(names); i++) {
        char path[PATH_ROOM], list[256];
        snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/topology/%s", root, cpu,
                 names[i]);
        FILE *f = fopen(path, "re");
        if (!f)
            continue;
        bool lower = fgets(list, sizeof list, f) && lists_a_lower(list, cpu, mask);
        fclose(f);
        return !lower;
    }
    return true;
}

static bool read_numbers(const char *path, const char *format, long long *a, long long *b)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    int found = fscanf(f, format, a, b);
    fclose(f);
    return found == (b ? 2 : 1);
}

/* The quota of one folder of control groups; 0: none. "max" and −1 stand for no limit. */
static size_t quota_of(const char *folder, bool unified)
{
    char path[PATH_ROOM + 32];
    long long quota = 0, period = 0;
    if (unified) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!read_numbers(path, "%lld %lld", &quota, &period))
            return 0;
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!read_numbers(path, "%lld", &quota, NULL))
            return 0;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!read_numbers(path, "%lld", &period, NULL))
            return 0;
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return (size_t)(quota / period + (quota % period != 0));
}

/* The smallest quota of a group and those around it. In a container its own group is often mounted
 * as the root, while its name is the one outside; the root is looked at in any case. */
static size_t smallest_quota(const char *mount, const char *group, bool unified)
{
    char folder[PATH_ROOM];
    size_t least = 0;
    size_t root = (size_t)snprintf(folder, sizeof folder, "%s", mount);
    snprintf(folder, sizeof folder, "%s%s", mount, group);
    for (;;) {
        size_t quota = quota_of(folder, unified);
        if (quota && (!least || quota < least))
            least = quota;
        char *slash = strrchr(folder, '/');
        if (!slash || slash < folder + root)
            return least;
        *slash = 0;
    }
}

/* One line of /proc/self/cgroup, "number:controllers:group"; version 2 names no controllers. */
static size_t quota_of_line(const char *root, char *line)
{
    char mount[PATH_ROOM];
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return 0;
    *controllers++ = 0;
    *group++ = 0;
    if (!*controllers) {
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        return smallest_quota(mount, group, true);
    }
    char *rest = controllers;
    for (char *name = strsep(&rest, ","); name; name = strsep(&rest, ",")) {
        if (strcmp(name, "cpu") == 0) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
            return smallest_quota(mount, group, false);
        }
    }
    return 0;
}

static size_t quota_of_groups(const char *root)
{
    char path[PATH_ROOM], line[PATH_ROOM];
    size_t least = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) {
        size_t quota = quota_of_line(root, line);
        if (quota && (!least || quota < least))
            least = quota;
    }
    fclose(f);
    return least;
}

static void own_mask(cpu_set_t *mask)
{
    if (sched_getaffinity(0, sizeof *mask, mask) == 0)
        return;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    CPU_ZERO(mask);
    for (size_t i = 0; i < CPU_SETSIZE && (long)i < RW_MAX(online, 1L); i++)
        CPU_SET(i, mask);
}

void rw_processors_read(struct rw_processors *p, const char *root, const cpu_set_t *mask)
{
    cpu_set_t own;
    if (!mask) {
        own_mask(&own);
        mask = &own;
    }
    *p = (struct rw_processors){.allowed = (size_t)CPU_COUNT(mask), .quota = quota_of_groups(root)};
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, mask) && leads_a_core(root, cpu, mask))
            p->cores++;
}

static size_t within_quota(const struct rw_processors *p, size_t n)
{
    if (p->quota && p->quota < n)
        n = p->quota;
    return n < 1 ? 1 : n;
}

size_t rw_processors_threads(const struct rw_processors *p)
{
    return within_quota(p, p->cores > 1 ? p->cores : p->allowed);
}

size_t rw_processors_at_once(const struct rw_processors *p)
{
    return within_quota(p, p->allowed);
}
