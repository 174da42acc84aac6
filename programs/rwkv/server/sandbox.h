/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process may still do once it serves, given up for good: whoever takes it over by a bug
 * has no more than that. Two halves, each of which a kernel may lack:
 *
 * - Files, by Landlock (Linux 5.13; 5.19 and 6.2 limit more): the calling thread and those that it
 *   starts afterwards reach only what was allowed; and no TCP port (6.7).
 * - System calls, by seccomp: all threads make only those that serving needs. They run no programs,
 *   make no sockets, connect to nothing, trace and signal nobody, map nothing executable.
 *
 *     struct rw_sandbox_files files;
 *     RW_TRY(rw_sandbox_files_begin(&files, err));
 *     RW_GO(rw_sandbox_files_allow(&files, "/srv/models", RW_SANDBOX_READ, err));
 *     RW_GO(rw_sandbox_files_limit(&files, err));
 *     …                                              // start threads, open what is left to open
 *     RW_TRY(rw_sandbox_limit_calls(err));
 *
 * What is not to be had fails with RWKV_ERROR_UNSUPPORTED and says why; nothing is limited then. A
 * build with sanitizers has neither, since they need more than we do.
 */
#ifndef RW_SERVER_SANDBOX_H
#define RW_SERVER_SANDBOX_H

#include <stdint.h>

#include "rwkv.h"

enum rw_sandbox_use {
    RW_SANDBOX_READ,   /* a file, or all beneath a folder */
    RW_SANDBOX_APPEND, /* make files beneath a folder, and write to them */
    RW_SANDBOX_KEEP,   /* read, write, make and remove files beneath a folder */
    RW_SANDBOX_REMOVE  /* files beneath a folder */
};

struct rw_sandbox_files {
    int ruleset;      /* a descriptor; -1: none */
    uint64_t handled; /* what the kernel can limit */
};

rwkv_status rw_sandbox_files_begin(struct rw_sandbox_files *files, rwkv_error *err);
/* A path that does not exist is passed over. Links are followed. */
rwkv_status rw_sandbox_files_allow(struct rw_sandbox_files *files, const char *path,
                                   enum rw_sandbox_use use, rwkv_error *err);
/* From now on. Ends `files`, also where it fails. */
rwkv_status rw_sandbox_files_limit(struct rw_sandbox_files *files, rwkv_error *err);
void rw_sandbox_files_drop(struct rw_sandbox_files *files); /* instead, without limiting anything */

/* From now on, in all threads and those they start. */
rwkv_status rw_sandbox_limit_calls(rwkv_error *err);

#endif
