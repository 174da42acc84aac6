/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: a set of rules "beneath this file or folder, these uses", all other uses being denied.
 * The kernel says by a version how much it can limit. The structures and numbers of later versions
 * than the system's headers know stand here; they are those of the kernel's documentation
 * (Documentation/userspace-api/landlock.rst).
 */
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"

/* Uses by the version that brought them. */
#define ACCESS_1 ((UINT64_C(1) << 13) - 1) /* EXECUTE … MAKE_SYM */
#define ACCESS_REFER (UINT64_C(1) << 13)   /* 2: to another folder */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_IOCTL (UINT64_C(1) << 15) /* 5: of devices */
#define NET_BIND (UINT64_C(1) << 0)      /* 4 */
#define NET_CONNECT (UINT64_C(1) << 1)

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_APPEND (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define ACCESS_KEEP (ACCESS_READ | ACCESS_APPEND | LANDLOCK_ACCESS_FS_REMOVE_FILE | ACCESS_TRUNCATE)
#define ACCESS_OF_FILES                                                                          \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | \
     ACCESS_TRUNCATE | ACCESS_IOCTL)

/* struct landlock_ruleset_attr as of version 4. */
struct ruleset {
    uint64_t files, net;
};

static const uint64_t uses[] = {
    [RW_SANDBOX_READ] = ACCESS_READ,
    [RW_SANDBOX_APPEND] = ACCESS_APPEND,
    [RW_SANDBOX_KEEP] = ACCESS_KEEP,
    [RW_SANDBOX_REMOVE] = LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

rwkv_status rw_sandbox_files_begin(struct rw_sandbox_files *f, rwkv_error *err)
{
    *f = (struct rw_sandbox_files){.ruleset = -1};
#ifdef RW_NO_SANDBOX
    return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s", RW_NO_SANDBOX);
#endif
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "this kernel has no Landlock");
    struct ruleset rules = {.files = ACCESS_1, .net = NET_BIND | NET_CONNECT};
    rules.files |= version >= 2 ? ACCESS_REFER : 0;
    rules.files |= version >= 3 ? ACCESS_TRUNCATE : 0;
    rules.files |= version >= 5 ? ACCESS_IOCTL : 0;
    size_t size = version >= 4 ? sizeof rules : sizeof rules.files;
    f->ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (f->ruleset < 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "Landlock: %s", strerror(errno));
    f->handled = rules.files;
    return RWKV_OK;
}

rwkv_status rw_sandbox_files_allow(struct rw_sandbox_files *f, const char *path,
                                   enum rw_sandbox_use use, rwkv_error *err)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return RWKV_OK;
    bool failed = fd < 0 || fstat(fd, &st) != 0;
    if (!failed) {
        struct landlock_path_beneath_attr rule = {.allowed_access = uses[use] & f->handled,
                                                  .parent_fd = fd};
        if (!S_ISDIR(st.st_mode))
            rule.allowed_access &= ACCESS_OF_FILES;
        failed = syscall(SYS_landlock_add_rule, f->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    int failure = errno;
    if (fd >= 0)
        close(fd);
    if (!failed)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot be kept in reach: %s", path, strerror(failure));
}

rwkv_status rw_sandbox_files_limit(struct rw_sandbox_files *f, rwkv_error *err)
{
    bool failed = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                  syscall(SYS_landlock_restrict_self, f->ruleset, 0) != 0;
    int failure = errno;
    rw_sandbox_files_drop(f);
    if (failed)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "Landlock: %s", strerror(failure));
    return RWKV_OK;
}

void rw_sandbox_files_drop(struct rw_sandbox_files *f)
{
    if (f->ruleset >= 0)
        close(f->ruleset);
    f->ruleset = -1;
}
