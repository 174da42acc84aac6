/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/output.c and base/map.c: a file is written whole or not at all, leaves nothing behind, and
 * is read back as it was written; what cannot be written or read is refused by name.
 */
#include "unit.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/output.h"

static char folder[] = "/tmp/rwkv-output-XXXXXX";
static char target[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(target, sizeof target, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(target);
    return rmdir(folder);
}

static size_t count_files(void)
{
    DIR *d = opendir(folder);
    size_t n = 0;

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static void expect_content(const char *wanted, size_t n)
{
    rwkv_error err = {0};
    struct rw_map map;

    assert_int_equal(rw_map_open(&map, target, &err), RWKV_OK);
    assert_int_equal(map.size, n);
    if (n)
        assert_memory_equal(map.data, wanted, n);
    rw_map_close(&map);
}

static struct rw_output *open_target(void)
{
    rwkv_error err = {0};
    struct rw_output *o;

    assert_int_equal(rw_output_open(&o, target, &err), RWKV_OK);
    return o;
}

static void test_commit(void **state)
{
    struct rw_output *o = open_target();

    (void)state;
    assert_int_equal(rw_output_write(o, "abc", 3, NULL), RWKV_OK);
    assert_int_equal(rw_output_align(o, 8, NULL), RWKV_OK);
    assert_int_equal(rw_output_align(o, 8, NULL), RWKV_OK);
    assert_int_equal(rw_output_position(o), 8);
    assert_int_equal(rw_output_write(o, "xyz", 3, NULL), RWKV_OK);
    assert_int_equal(rw_output_patch(o, 1, "B", 1, NULL), RWKV_OK);
    assert_int_not_equal(access(target, F_OK), 0);
    assert_int_equal(rw_output_commit(o, NULL), RWKV_OK);
    expect_content("aBc\0\0\0\0\0xyz", 11);
    assert_int_equal(count_files(), 1);
}

static void test_discard_keeps_the_old_file(void **state)
{
    struct rw_output *o = open_target();

    (void)state;
    assert_int_equal(rw_output_write(o, "new", 3, NULL), RWKV_OK);
    rw_output_discard(o);
    rw_output_discard(NULL);
    expect_content("aBc\0\0\0\0\0xyz", 11);
    assert_int_equal(count_files(), 1);
}

static void test_replace_with_much(void **state)
{
    size_t n = (size_t)1 << 20;
    char *bytes = rw_alloc(n, 1);
    struct rw_output *o = open_target();

    (void)state;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 >> 3);
    for (size_t at = 0, part = 1; at < n; at += part, part = part * 3 + 1) {
        part = part < n - at ? part : n - at;
        assert_int_equal(rw_output_write(o, bytes + at, part, NULL), RWKV_OK);
    }
    assert_int_equal(rw_output_commit(o, NULL), RWKV_OK);
    expect_content(bytes, n);
    assert_int_equal(count_files(), 1);
    rw_free(bytes);
}

/* A name as long as they may be leaves no room to add something to it. */
static void test_longest_name(void **state)
{
    char path[64 + 256];
    struct rw_output *o;

    (void)state;
    snprintf(path, sizeof path, "%s/%0*d", folder, 255, 0);
    assert_int_equal(rw_output_open(&o, path, NULL), RWKV_OK);
    assert_int_equal(rw_output_commit(o, NULL), RWKV_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(count_files(), 1);
}

/* A process of our number was killed here before. */
static void test_name_taken(void **state)
{
    char path[128];
    struct rw_output *o = open_target();

    (void)state;
    snprintf(path, sizeof path, "%s/rwkv-%ld-0.tmp", folder, (long)getpid());
    fclose(fopen(path, "w"));
    assert_int_equal(rw_output_commit(o, NULL), RWKV_OK);
    assert_int_equal(count_files(), 2);
    assert_int_equal(unlink(path), 0);
}

static void test_full_disk(void **state)
{
    struct rlimit old, small;
    struct rw_output *o = open_target();
    static const char zeros[1 << 16];
    rwkv_error err = {0};
    rwkv_status status = RWKV_OK;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1 << 18;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 64 && status == RWKV_OK; i++)
        status = rw_output_write(o, zeros, sizeof zeros, &err);
    rw_output_discard(o);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, target));
    assert_non_null(strstr(err.message, "File too large"));
    assert_int_equal(count_files(), 1);
}

static void expect_refusal(const char *path, const char *why)
{
    rwkv_error err = {0};
    struct rw_output *o;

    assert_int_equal(rw_output_open(&o, path, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, why));
}

static void test_refusals(void **state)
{
    rwkv_error err = {0};
    struct rw_map map;
    char *data;
    size_t size;

    (void)state;
    expect_refusal(folder, "a directory");
    expect_refusal("/dev/null", "a device");
    expect_refusal("/nowhere/at/all", "No such file or directory");
    assert_int_equal(rw_map_open(&map, folder, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "a directory"));
    assert_int_equal(rw_map_open(&map, "/nowhere/at/all", &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "No such file or directory"));
    assert_int_equal(rw_map_open(&map, "/dev/null", &err), RWKV_ERROR_IO);
    assert_int_equal(rw_read_file(target, 10, &data, &size, &err), RWKV_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "at most 10 bytes"));
}

static void test_empty(void **state)
{
    char *data;
    size_t size;

    (void)state;
    assert_int_equal(rw_output_commit(open_target(), NULL), RWKV_OK);
    expect_content("", 0);
    assert_int_equal(rw_read_file(target, 0, &data, &size, NULL), RWKV_OK);
    assert_int_equal(size, 0);
    assert_string_equal(data, "");
    rw_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit),
        cmocka_unit_test(test_discard_keeps_the_old_file),
        cmocka_unit_test(test_replace_with_much),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_name_taken),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
