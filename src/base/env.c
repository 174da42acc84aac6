/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

char *rw_env_data_dir(void)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    struct rw_str s = {0};
    if (data && data[0] == '/')
        rw_str_printf(&s, "%s/rwkv", data);
    else if (home && home[0])
        rw_str_printf(&s, "%s/.local/share/rwkv", home);
    else
        return NULL;
    return rw_str_take(&s);
}

const char *rw_env_setting(const char *prefix, const char *option, char *name, size_t size)
{
    snprintf(name, size, "%s%s", prefix, option);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return getenv(name);
}

const char *rw_env_temp_dir(void)
{
    const char *dir = getenv("TMPDIR");
    return dir && dir[0] ? dir : "/tmp";
}

double rw_env_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double rw_env_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The number after `field` in a file of the system's, or 0. */
static uint64_t read_number(const char *path, const char *field)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    char line[256];
    unsigned long long value = 0;
    size_t n = strlen(field);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, field, n) == 0 && sscanf(line + n, "%llu", &value) == 1)
            break;
    fclose(f);
    return value;
}

uint64_t rw_env_memory_available(void)
{
    uint64_t available = read_number("/proc/meminfo", "MemAvailable:") * 1024;
    uint64_t limit = read_number("/sys/fs/cgroup/memory.max", "");
    uint64_t used = read_number("/sys/fs/cgroup/memory.current", "");
    uint64_t cache = read_number("/sys/fs/cgroup/memory.stat", "file ");
    if (limit) {
        uint64_t held = used > cache ? used - cache : 0;
        uint64_t left = limit > held ? limit - held : 1;
        if (!available || left < available)
            available = left;
    }
    return available;
}

/* What getrusage says includes the program that this one was started from. */
uint64_t rw_env_memory_peak(void)
{
    struct rusage usage;
    uint64_t peak = read_number("/proc/self/status", "VmHWM:") * 1024;
    if (peak)
        return peak;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

void rw_env_memory_peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (!f)
        return;
    fputs("5", f);
    fclose(f);
}

/* The first of the variables that is set to a number, or 1. */
static size_t first_number(const char *const *names)
{
    for (; *names; names++) {
        const char *value = getenv(*names);
        long number = value ? strtol(value, NULL, 10) : 0;
        if (number > 0)
            return (size_t)number;
    }
    return 1;
}

/* Open MPI's mpirun; that of MPICH and its kin; Slurm's srun with a PMIx, through which Open MPI
 * finds the others. Within a step of srun without one, processes do not know of each other. */
size_t rw_env_processes(void)
{
    static const char *const mpirun[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", NULL};
    static const char *const slurm[] = {"SLURM_STEP_NUM_TASKS", NULL};
    size_t processes = first_number(mpirun);
    return processes > 1 || !getenv("PMIX_RANK") ? processes : first_number(slurm);
}

size_t rw_env_processes_here(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", NULL};
    return first_number(names);
}
