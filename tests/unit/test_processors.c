/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/processors.c: cores, affinity and quotas as different systems show them, in folders made
 * here; what is missing or odd sets no limit.
 */
#include "unit.h"

#include <ftw.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/processors.h"

static char root[] = "/tmp/rwkv-processors-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return ftw->level ? remove(path) : 0;
}

/* Everything below the root goes, so that each test begins with nothing. */
static int empty_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int remove_root(void **state)
{
    (void)state;
    return rmdir(root);
}

/* A file below the root with the folders on its way. */
static void put(const char *name, const char *content)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(path, 0700);
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static void put_siblings(int cpu, const char *file, const char *list)
{
    char name[128];

    snprintf(name, sizeof name, "sys/devices/system/cpu/cpu%d/topology/%s", cpu, file);
    put(name, list);
}

static cpu_set_t mask_of(size_t first, size_t count)
{
    cpu_set_t mask;

    CPU_ZERO(&mask);
    for (size_t i = first; i < first + count; i++)
        CPU_SET(i, &mask);
    return mask;
}

static void expect(size_t first, size_t count, size_t cores, size_t quota, size_t threads)
{
    cpu_set_t mask = mask_of(first, count);
    struct rw_processors p;

    rw_processors_read(&p, root, &mask);
    assert_int_equal(p.allowed, count);
    assert_int_equal(p.cores, cores);
    assert_int_equal(p.quota, quota);
    assert_int_equal(rw_processors_threads(&p), threads);
    assert_int_equal(rw_processors_at_once(&p), quota && quota < count ? quota : count);
}

static void test_nothing_known(void **state)
{
    (void)state;
    expect(0, 6, 6, 0, 6);
    expect(3, 1, 1, 0, 1);
}

static void test_siblings_apart(void **state)
{
    (void)state;
    for (int cpu = 0; cpu < 8; cpu++) {
        char list[32];
        snprintf(list, sizeof list, "%d,%d\n", cpu % 4, cpu % 4 + 4);
        put_siblings(cpu, "thread_siblings_list", list);
    }
    expect(0, 8, 4, 0, 4);
    expect(0, 4, 4, 0, 4);
    expect(2, 4, 4, 0, 4); /* 2, 3 and the siblings of 0, 1: four cores */
    expect(3, 5, 4, 0, 4); /* 3 and 4 to 7, where 7 is 3's sibling */
}

static void test_siblings_side_by_side(void **state)
{
    (void)state;
    for (int cpu = 0; cpu < 8; cpu++) {
        char list[32];
        snprintf(list, sizeof list, "%d-%d\n", cpu & ~1, cpu | 1);
        put_siblings(cpu, "core_cpus_list", list);
        put_siblings(cpu, "thread_siblings_list", "0-7\n"); /* the newer name decides */
    }
    expect(0, 8, 4, 0, 4);
    expect(1, 4, 3, 0, 3);
    expect(0, 2, 1, 0, 2); /* one core: both */
}

static void test_odd_topology(void **state)
{
    (void)state;
    put_siblings(0, "core_cpus_list", "");
    put_siblings(1, "core_cpus_list", "x,0\n");
    put_siblings(2, "core_cpus_list", "99999999999999999999-0,\n");
    put_siblings(3, "core_cpus_list", "3-\n");
    expect(0, 4, 4, 0, 4);
}

static void test_quota_of_version_2(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    expect(0, 8, 8, 0, 8);
    put("sys/fs/cgroup/a/b/cpu.max", "250000 100000\n");
    expect(0, 8, 8, 3, 3);
    put("sys/fs/cgroup/a/cpu.max", "150000 100000\n"); /* a group around it grants less */
    expect(0, 8, 8, 2, 2);
    put("sys/fs/cgroup/a/cpu.max", "0 0\n");
    expect(0, 8, 8, 3, 3);
    expect(0, 2, 2, 3, 2);
}

/* A container sees its own group as the root, whatever it is called outside. */
static void test_quota_in_a_container(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "50000 100000\n");
    expect(0, 4, 4, 1, 1);
    put("proc/self/cgroup", "0::/../outside/name\n");
    expect(0, 4, 4, 1, 1);
}

static void test_quota_of_version_1(void **state)
{
    (void)state;
    put("proc/self/cgroup", "5:memory:/m\n4:cpuset:/s\n3:cpuacct,cpu:/job\n0::/\n");
    expect(0, 4, 4, 0, 4);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    expect(0, 4, 4, 0, 4);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "200000\n");
    expect(0, 4, 4, 2, 2);
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    expect(0, 4, 4, 1, 1);
}

static void test_odd_groups(void **state)
{
    (void)state;
    put("proc/self/cgroup", "\n:\n::\n1:cpu\nno colon\n2:cpu:relative\n0::\n");
    put("sys/fs/cgroup/cpu.max", "nonsense\n");
    expect(0, 4, 4, 0, 4);
}

static void test_own(void **state)
{
    struct rw_processors p;

    (void)state;
    rw_processors_read(&p, "", NULL);
    assert_true(p.allowed >= 1 && p.cores >= 1 && p.cores <= p.allowed);
    assert_true(rw_processors_threads(&p) >= 1);
}

#define TEST(name) cmocka_unit_test_teardown(test_##name, empty_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_known),      TEST(siblings_apart),     TEST(siblings_side_by_side),
        TEST(odd_topology),       TEST(quota_of_version_2), TEST(quota_in_a_container),
        TEST(quota_of_version_1), TEST(odd_groups),         TEST(own),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
