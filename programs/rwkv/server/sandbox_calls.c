/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp: a program for the kernel's packet filter that looks at each system call. Those of the
 * list are allowed, some of them for certain arguments only. The rest fails with EPERM; but with
 * ENOSYS what is newer than this list, and clone3, whose arguments a filter cannot see: the C
 * library then takes the older ones.
 *
 * Calls that are allowed whatever their arguments are the kernel knows by a bitmap (since 5.11), so
 * that they cost nothing.
 */
#include "server/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#define FIRST_UNKNOWN 450 /* calls from here on came after this list; the same on all machines */
#define NAME_MEMORY 0x53564d41 /* PR_SET_VMA of newer headers */

/* Allowed whatever the arguments. */
static const int plain[] = {
    /* waiting and writing, most of all */
    SYS_epoll_pwait,
    SYS_futex,
    SYS_read,
    SYS_write,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_accept4,
    SYS_epoll_ctl,
    SYS_ppoll,
    SYS_readv,
    SYS_writev,
    SYS_recvmsg,
    SYS_close,
    SYS_shutdown,
    /* memory */
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_msync,
    SYS_mlock,
    SYS_munlock,
    SYS_membarrier,
    /* files */
    SYS_openat,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_readahead,
    SYS_fcntl,
    SYS_flock,
    SYS_getdents64,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_linkat,
    SYS_mkdirat,
    SYS_fchmod,
    SYS_fchown,
    SYS_utimensat,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_statfs,
    SYS_fstatfs,
    SYS_getcwd,
    SYS_umask,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_close_range,
    /* sockets that there are, descriptors of our own */
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    SYS_accept,
    SYS_epoll_create1,
    SYS_eventfd2,
    SYS_signalfd4,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_pselect6,
    /* threads, signals, the end */
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_gettid,
    SYS_getcpu,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
    /* time, chance, who we are */
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_getpid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getrusage,
    SYS_sysinfo,
    SYS_uname,
    SYS_times,
#ifdef __x86_64__ /* older forms, which others do not have */
    SYS_epoll_wait,
    SYS_poll,
    SYS_select,
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_unlink,
    SYS_rename,
    SYS_link,
    SYS_mkdir,
    SYS_dup2,
    SYS_pipe,
    SYS_eventfd,
    SYS_epoll_create,
    SYS_signalfd,
    SYS_time,
    SYS_getdents,
#endif
};

enum condition { IS, IS_NULL, HAS, HAS_NOT };

/* Allowed where one argument is, or has among its bits, or has not, the value. */
static const struct {
    int call;
    unsigned argument;
    enum condition condition;
    uint32_t value;
} limited[] = {
    {SYS_mmap, 2, HAS_NOT, PROT_EXEC}, {SYS_mprotect, 2, HAS_NOT, PROT_EXEC},
    {SYS_sendto, 4, IS_NULL, 0}, /* to whom the socket is connected */
    {SYS_clone, 0, HAS, CLONE_THREAD}, {SYS_prlimit64, 2, IS_NULL, 0}, /* asks, and sets nothing */
    {SYS_prctl, 0, IS, PR_SET_NAME},   {SYS_prctl, 0, IS, NAME_MEMORY},
    {SYS_ioctl, 1, IS, TCGETS}, /* by the C library, whether it writes to a terminal */
    {SYS_ioctl, 1, IS, FIONREAD},      {SYS_ioctl, 1, IS, FIONBIO},
    {SYS_ioctl, 1, IS, FICLONE},
};

#ifdef OUR_ARCH

struct program {
    struct sock_filter code[2 * RW_COUNT(plain) + 6 * RW_COUNT(limited) + 16];
    size_t n;
};

static void add(struct program *p, struct sock_filter instruction)
{
    p->code[p->n++] = instruction;
}

static void load(struct program *p, size_t offset)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Go on `yes` or `no` instructions after the next one. */
static void compare(struct program *p, unsigned how, uint32_t value, uint8_t yes, uint8_t no)
{
    add(p, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | BPF_K | how), value, yes, no));
}

static void decide(struct program *p, uint32_t action)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* The lower and the upper half of an argument; both machines have the lower one first. */
static size_t low_half(unsigned argument)
{
    return offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
}

static size_t high_half(unsigned argument)
{
    return low_half(argument) + sizeof(uint32_t);
}

/* Six instructions at most. Leaves the call's number loaded. */
static void allow_limited(struct program *p, int call, unsigned argument, enum condition condition,
                          uint32_t value)
{
    static const uint8_t sizes[] = {[IS] = 4, [IS_NULL] = 6, [HAS] = 4, [HAS_NOT] = 4};
    uint8_t size = sizes[condition]; /* of what follows the comparison */
    compare(p, BPF_JEQ, (uint32_t)call, 0, size);
    load(p, low_half(argument));
    switch (condition) {
    case IS:
        compare(p, BPF_JEQ, value, 0, 1);
        break;
    case IS_NULL:
        compare(p, BPF_JEQ, 0, 0, 3);
        load(p, high_half(argument));
        compare(p, BPF_JEQ, 0, 0, 1);
        break;
    case HAS:
        compare(p, BPF_JSET, value, 0, 1);
        break;
    case HAS_NOT:
        compare(p, BPF_JSET, value, 1, 0);
        break;
    }
    decide(p, SECCOMP_RET_ALLOW);
    load(p, offsetof(struct seccomp_data, nr));
}

static void make_program(struct program *p)
{
    load(p, offsetof(struct seccomp_data, arch));
    compare(p, BPF_JEQ, OUR_ARCH, 1, 0);
    decide(p, SECCOMP_RET_KILL_PROCESS); /* another machine's calls have other numbers */
    load(p, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < RW_COUNT(plain); i++) {
        compare(p, BPF_JEQ, (uint32_t)plain[i], 0, 1);
        decide(p, SECCOMP_RET_ALLOW);
    }
    for (size_t i = 0; i < RW_COUNT(limited); i++)
        allow_limited(p, limited[i].call, limited[i].argument, limited[i].condition,
                      limited[i].value);
    allow_limited(p, SYS_tgkill, 0, IS, (uint32_t)getpid()); /* abort() */
    compare(p, BPF_JEQ, SYS_clone3, 1, 0);
    compare(p, BPF_JGE, FIRST_UNKNOWN, 0, 1);
    decide(p, SECCOMP_RET_ERRNO | ENOSYS);
    decide(p, SECCOMP_RET_ERRNO | EPERM);
}

rwkv_status rw_sandbox_limit_calls(rwkv_error *err)
{
#ifdef RW_NO_SANDBOX
    return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s", RW_NO_SANDBOX);
#endif
    struct program p = {.n = 0};
    make_program(&p);
    const struct sock_fprog filter = {.len = (unsigned short)p.n, .filter = p.code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "no_new_privs: %s", strerror(errno));
    long stuck = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (stuck > 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "seccomp: thread %ld has a filter of its own",
                       stuck);
    if (stuck < 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "seccomp: %s", strerror(errno));
    return RWKV_OK;
}

#else

rwkv_status rw_sandbox_limit_calls(rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "seccomp: no list of calls for this processor");
}

#endif
