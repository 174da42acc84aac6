/* SPDX-License-Identifier: Apache-2.0 */
/*
 * formats/binidx_write.c: the moment in which a new pair of files takes the names of an old one.
 * The calls that change names are this program's own: each of them fails once, at each the process
 * ends once, and after that at each of whoever comes next.
 */
#include "formats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "formats/binidx.h"

#define KILLED 9 /* exit status */
#define TOKENS 6 /* of every version */

static char folder[64];

/* --- the system ------------------------------------------------------------------------------- */

static struct script {
    enum { PLAY_ALONG, FAIL_CALL, KILL_CALL, FAIL_TOKENS, REPLACE } what;
    int call;  /* that is met, counted from 0 */
    int calls; /* so far */
} script;

static rwkv_status write_version(int32_t version);

static bool allowed(void)
{
    bool met = script.calls++ == script.call;
    if (met && script.what == KILL_CALL)
        _exit(KILLED);
    errno = EIO;
    return !(met && script.what == FAIL_CALL);
}

int rename(const char *from, const char *to)
{
    bool tokens = rw_has_suffix(to, "/data.bin") && !strstr(from, RW_BINIDX_REPLACED);
    if (!allowed() || (tokens && script.what == FAIL_TOKENS))
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    return allowed() ? (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0) : -1;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    return allowed() ? (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags) : -1;
}

/* What a process leaves behind does not depend on the disk. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (script.what == REPLACE && rw_has_suffix(path, "/data.bin")) {
        script.what = PLAY_ALONG;
        assert_int_equal(write_version(2), RWKV_OK);
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* --- versions --------------------------------------------------------------------------------- */

/* All of one size; only their documents and their tokens differ. */
static const size_t documents[][3] = {{0}, {3, 1, 2}, {1, 2, 3}, {2, 2, 2}, {1, 1, 4}};

static rwkv_status write_version(int32_t version)
{
    char path[512];
    struct rw_binidx_writer *w;
    const int32_t tokens[] = {version, version, version, version};
    assert_int_equal(rw_binidx_writer_open(&w, in_folder(path, folder, "data"), 100, NULL),
                     RWKV_OK);
    for (size_t d = 0; d < 3; d++) {
        assert_int_equal(rw_binidx_writer_add(w, tokens, documents[version][d], NULL), RWKV_OK);
        assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    }
    return rw_binidx_writer_commit(w, NULL);
}

/* Which version opens; 0 if none. Tokens beside another version's index are a failure. */
static int32_t version_there(void)
{
    char path[512];
    struct rw_binidx b;
    int32_t tokens[TOKENS];
    if (rw_binidx_open(&b, in_folder(path, folder, "data"), NULL) != RWKV_OK)
        return 0;
    assert_int_equal(b.n_tokens, TOKENS);
    assert_int_equal(rw_binidx_read(&b, 0, TOKENS, 100, tokens, NULL), RWKV_OK);
    for (uint64_t d = 0; d < 3; d++)
        assert_int_equal(rw_binidx_document(&b, d + 1) - rw_binidx_document(&b, d),
                         documents[tokens[0]][d]);
    rw_binidx_close(&b);
    return tokens[0];
}

static bool is_there(const char *name)
{
    char path[512];
    return access(in_folder(path, folder, name), F_OK) == 0;
}

static bool is_aside(void)
{
    return is_there("data" RW_BINIDX_REPLACED ".bin") || is_there("data" RW_BINIDX_REPLACED ".idx");
}

static rwkv_status write_with(int32_t version, struct script s)
{
    script = s;
    rwkv_status status = write_version(version);
    script.what = PLAY_ALONG;
    return status;
}

/* In a process of its own, which ends at that call; false if it came to its end. */
static bool write_killed(int32_t version, int call)
{
    int state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(write_with(version, (struct script){KILL_CALL, call, 0}) != RWKV_OK);
    assert_int_equal(waitpid(child, &state, 0), child);
    assert_true(WIFEXITED(state));
    assert_true(WEXITSTATUS(state) == 0 || WEXITSTATUS(state) == KILLED);
    return WEXITSTATUS(state) == KILLED;
}

static void begin(bool with_old)
{
    remove_folder(folder);
    make_folder(folder);
    if (with_old)
        assert_int_equal(write_version(1), RWKV_OK);
}

/* A writer that fails leaves whole what was there, also what a killed one had put aside. */
static int32_t version_put_back(void)
{
    assert_int_equal(write_with(4, (struct script){FAIL_TOKENS, -1, 0}), RWKV_ERROR_IO);
    assert_false(is_aside());
    return version_there();
}

/* --- tests ------------------------------------------------------------------------------------ */

/* Neither loses the old pair, nor leaves one file where there was none. */
static void test_each_call_fails(void **state)
{
    (void)state;
    for (int with_old = 0; with_old < 2; with_old++) {
        int call = 0;
        do {
            begin(with_old);
            rwkv_status status = write_with(2, (struct script){FAIL_CALL, call, 0});
            int32_t found = version_there();
            if (status == RWKV_OK) {
                assert_int_equal(found, 2);
                assert_false(is_aside());
            } else if (found != 2) { /* else only the old pair could not be removed */
                assert_int_equal(found, with_old);
                assert_true(is_there("data.bin") == with_old && is_there("data.idx") == with_old);
                assert_false(is_aside());
            }
            assert_int_equal(write_version(3), RWKV_OK);
            assert_int_equal(version_there(), 3);
            assert_false(is_aside());
        } while (call++ < script.calls);
        assert_true(call > 4);
    }
}

/* At any two calls, one after the other: never a mixed pair, and always a whole one to be had. */
static void test_killed_at_each_call(void **state)
{
    bool first = true, second = true;
    (void)state;
    for (int a = 0; first; a++) {
        second = true;
        for (int b = 0; second; b++) {
            begin(true);
            first = write_killed(2, a);
            int32_t then = version_there();
            second = write_killed(3, b);
            int32_t now = version_there(), whole = version_put_back();
            assert_true(whole > 0 && (now == 0 || now == whole));
            assert_true(then == 0 || whole == then || whole == 3);
            assert_int_equal(write_version(4), RWKV_OK);
            assert_int_equal(version_there(), 4);
            assert_false(is_aside());
        }
    }
}

/* Between the openings of the two files: the old index fits the new tokens by its size. */
static void test_replaced_while_opening(void **state)
{
    char path[512];
    struct rw_binidx b;
    rwkv_error err = {0};
    (void)state;
    begin(true);
    script.what = REPLACE;
    assert_int_equal(rw_binidx_open(&b, in_folder(path, folder, "data"), &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "data.idx: was replaced while it was opened"));
    assert_int_equal(version_there(), 2);
}

static int setup(void **state)
{
    (void)state;
    make_folder(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_killed_at_each_call),
        cmocka_unit_test(test_replaced_while_opening),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
