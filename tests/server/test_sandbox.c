/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox from inside: each test is a child process that shuts itself in and tries. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"
#include "server/sandbox.h"

static char folder[] = "/tmp/rwkv-sandbox-XXXXXX";

/* In the child: say where it went wrong. */
#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
            _exit(1);                                                                     \
        }                                                                                 \
    } while (0)
#define FAILS_WITH(code, call) CHECK((call) < 0 && errno == (code))

#define UNSUPPORTED 77 /* of a child: this kernel or build has no such thing */

/* Run `fn` in a child; skip where it finds nothing to test. */
static void in_child(void (*fn)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNSUPPORTED)
        skip();
    assert_int_equal(status, 0);
}

static void limit_calls(void)
{
    rwkv_error err;
    if (rw_sandbox_limit_calls(&err) != RWKV_OK) {
        fprintf(stderr, "skipped: %s\n", err.message);
        _exit(UNSUPPORTED);
    }
}

static const char *path_of(const char *name)
{
    static char path[2][128];
    static int i;
    i = !i;
    snprintf(path[i], sizeof path[i], "%s/%s", folder, name);
    return path[i];
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* System calls ------------------------------------------------------------------------------ */

static void no_programs(void)
{
    char *const nothing[] = {"true", NULL};
    limit_calls();
    FAILS_WITH(EPERM, execve("/bin/true", nothing, nothing));
    FAILS_WITH(EPERM, syscall(SYS_execveat, AT_FDCWD, "/bin/true", nothing, nothing, 0));
    FAILS_WITH(EPERM, fork());
    FAILS_WITH(EPERM, syscall(SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0));
    FAILS_WITH(EPERM, kill(getppid(), 0));
    FAILS_WITH(EPERM, syscall(SYS_tgkill, getppid(), getppid(), 0));
    FAILS_WITH(EPERM, syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
    FAILS_WITH(EPERM, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    FAILS_WITH(EPERM, chroot("/"));
    FAILS_WITH(EPERM, setuid(0));
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0); /* nor may it ask */
}

static void no_connections(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int stream = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    CHECK(stream >= 0 && datagram >= 0);
    limit_calls();
    FAILS_WITH(EPERM, connect(stream, (struct sockaddr *)&to, sizeof to));
    FAILS_WITH(EPERM, bind(stream, (struct sockaddr *)&to, sizeof to));
    FAILS_WITH(EPERM, listen(stream, 1));
    FAILS_WITH(EPERM, sendto(datagram, "x", 1, 0, (struct sockaddr *)&to, sizeof to));
    FAILS_WITH(EPERM, socket(AF_INET, SOCK_STREAM, 0));
    FAILS_WITH(EPERM, socket(AF_UNIX, SOCK_STREAM, 0));
}

static void no_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    limit_calls();
    FAILS_WITH(EPERM, mprotect(page, 4096, PROT_READ | PROT_EXEC));
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
              MAP_FAILED &&
          errno == EPERM);
    CHECK(mprotect(page, 4096, PROT_READ) == 0);
}

/* What a server goes on doing. */
static void *do_nothing(void *user)
{
    return user;
}

static void what_serving_needs(void)
{
    int pair[2];
    char byte = 0;
    pthread_t thread;
    struct rlimit limit;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    limit_calls();
    CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(send(pair[0], "x", 1, MSG_NOSIGNAL) == 1 && recv(pair[1], &byte, 1, 0) == 1);
    CHECK(byte == 'x');
    int fd = open(path_of("made"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0);
    void *map = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && *(char *)map == 'x');
    CHECK(close(fd) == 0 && unlink(path_of("made")) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    FAILS_WITH(EPERM, setrlimit(RLIMIT_NOFILE, &limit));
    void *large = malloc(64 << 20);
    CHECK(large != NULL);
    free(large);
    FAILS_WITH(ENOSYS, syscall(100000)); /* the C library takes an older one then */
}

/* abort() still ends the process as it should. */
static void abort_inside(void)
{
    limit_calls();
    signal(SIGABRT, SIG_DFL);
    pid_t self = getpid();
    CHECK(syscall(SYS_tgkill, self, self, 0) == 0);
}

/* Threads that were there before are shut in too. */
static atomic_int stage, outcome;

static void *try_later(void *user)
{
    while (atomic_load(&stage) == 0)
        sched_yield();
    atomic_store(&outcome, socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0);
    return user;
}

static void all_threads(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, try_later, NULL) == 0);
    limit_calls();
    atomic_store(&stage, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(atomic_load(&outcome) == EPERM);
}

/* Files ------------------------------------------------------------------------------------- */

static void limit_files(const char *name, enum rw_sandbox_use use)
{
    rwkv_error err;
    struct rw_sandbox_files files;
    rwkv_status status = rw_sandbox_files_begin(&files, &err);
    if (status == RWKV_OK) {
        CHECK(rw_sandbox_files_allow(&files, path_of(name), use, &err) == RWKV_OK);
        CHECK(rw_sandbox_files_allow(&files, path_of("absent"), use, &err) == RWKV_OK);
        status = rw_sandbox_files_limit(&files, &err);
    }
    if (status != RWKV_OK) {
        fprintf(stderr, "skipped: %s\n", err.message);
        _exit(UNSUPPORTED);
    }
    FAILS_WITH(EACCES, open(path_of("outside"), O_RDONLY));
    FAILS_WITH(EACCES, open("/etc/passwd", O_RDONLY));
    FAILS_WITH(EACCES, open(path_of("new"), O_WRONLY | O_CREAT, 0600));
}

static void files_to_read(void)
{
    limit_files("inside", RW_SANDBOX_READ);
    CHECK(open(path_of("inside/file"), O_RDONLY) >= 0);
    FAILS_WITH(EACCES, open(path_of("inside/file"), O_RDWR));
    FAILS_WITH(EACCES, open(path_of("inside/new"), O_WRONLY | O_CREAT, 0600));
    FAILS_WITH(EACCES, unlink(path_of("inside/file")));
    FAILS_WITH(EACCES, open(path_of("inside/link"), O_RDONLY)); /* to a file outside */
}

static void one_file(void)
{
    limit_files("inside/file", RW_SANDBOX_READ);
    CHECK(open(path_of("inside/file"), O_RDONLY) >= 0);
    FAILS_WITH(EACCES, open(path_of("inside/other"), O_RDONLY));
}

static void files_to_append_to(void)
{
    limit_files("inside", RW_SANDBOX_APPEND);
    CHECK(open(path_of("inside/log"), O_WRONLY | O_CREAT | O_APPEND, 0600) >= 0);
    FAILS_WITH(EACCES, open(path_of("inside/file"), O_RDONLY));
    FAILS_WITH(EACCES, unlink(path_of("inside/log")));
}

static void files_to_keep(void)
{
    limit_files("inside", RW_SANDBOX_KEEP);
    int fd = open(path_of("inside/new"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, "xy", 2) == 2 && ftruncate(fd, 1) == 0);
    CHECK(rename(path_of("inside/new"), path_of("inside/newer")) == 0);
    CHECK(link(path_of("inside/newer"), path_of("inside/again")) == 0);
    CHECK(unlink(path_of("inside/newer")) == 0 && unlink(path_of("inside/again")) == 0);
    FAILS_WITH(EACCES, mkdir(path_of("inside/folder"), 0700));
    FAILS_WITH(EACCES, symlink("x", path_of("inside/symbolic")));
}

static void files_to_remove(void)
{
    limit_files("inside", RW_SANDBOX_REMOVE);
    FAILS_WITH(EACCES, open(path_of("inside/socket"), O_RDONLY));
    CHECK(unlink(path_of("inside/socket")) == 0);
}

static void test_no_programs(void **state)
{
    in_child(no_programs);
}
static void test_no_connections(void **state)
{
    in_child(no_connections);
}
static void test_no_code(void **state)
{
    in_child(no_code);
}
static void test_what_serving_needs(void **state)
{
    in_child(what_serving_needs);
}
static void test_abort(void **state)
{
    in_child(abort_inside);
}
static void test_all_threads(void **state)
{
    in_child(all_threads);
}
static void test_files_to_read(void **state)
{
    in_child(files_to_read);
}
static void test_one_file(void **state)
{
    in_child(one_file);
}
static void test_files_to_append_to(void **state)
{
    in_child(files_to_append_to);
}
static void test_files_to_keep(void **state)
{
    in_child(files_to_keep);
}
static void test_files_to_remove(void **state)
{
    in_child(files_to_remove);
}

static int make_folder(void **state)
{
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mkdir(path_of("inside"), 0700), 0);
    put("outside", "x");
    put("inside/file", "x");
    put("inside/other", "x");
    put("inside/socket", "x");
    assert_int_equal(symlink(path_of("outside"), path_of("inside/link")), 0);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"inside/file", "inside/other",  "inside/log",
                                        "inside/link", "inside/socket", "outside",
                                        "made"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    return rmdir(path_of("inside")) != 0 || rmdir(folder) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_programs),
        cmocka_unit_test(test_no_connections),
        cmocka_unit_test(test_no_code),
        cmocka_unit_test(test_what_serving_needs),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_all_threads),
        cmocka_unit_test(test_files_to_read),
        cmocka_unit_test(test_one_file),
        cmocka_unit_test(test_files_to_append_to),
        cmocka_unit_test(test_files_to_keep),
        cmocka_unit_test(test_files_to_remove),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
