/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read only: models, vocabularies, the folder of the keys (a file that is replaced is another
 * file), and what tells of the machine. Written: the folder of states, that of the log.
 * Models are often links into another folder: what links point to when the server starts stays in
 * reach.
 */
#include "server/confine.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "base/str.h"
#include "server/sandbox.h"
#include "server/server.h"

#define LINK_DEPTH 1 /* links are looked for in a folder, and in folders in it */

/* What a link in a folder points to, or the links in a folder in it. */
static rwkv_status allow_links(struct rw_sandbox_files *files, const char *folder, int depth,
                               rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    struct rw_str path = {0};
    struct stat st;
    DIR *dir = opendir(folder);
    for (const struct dirent *d; dir && status == RWKV_OK && (d = readdir(dir));) {
        if (d->d_name[0] == '.' || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        rw_str_reset(&path);
        rw_str_printf(&path, "%s/%s", folder, d->d_name);
        if (path.failed)
            status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a path");
        else if (S_ISLNK(st.st_mode))
            status = rw_sandbox_files_allow(files, path.data, RW_SANDBOX_READ, err);
        else if (S_ISDIR(st.st_mode) && depth > 0)
            status = allow_links(files, path.data, depth - 1, err);
    }
    if (dir)
        closedir(dir);
    rw_str_fini(&path);
    return status;
}

static rwkv_status allow_folder(struct rw_sandbox_files *files, const char *folder, rwkv_error *err)
{
    RW_TRY(rw_sandbox_files_allow(files, folder, RW_SANDBOX_READ, err));
    return allow_links(files, folder, LINK_DEPTH, err);
}

/* The folder that a file is in. */
static rwkv_status allow_around(struct rw_sandbox_files *files, const char *file,
                                enum rw_sandbox_use use, rwkv_error *err)
{
    size_t size = (size_t)(rw_basename(file) - file);
    char *folder = size > 0 ? rw_strndup(file, size) : rw_strdup(".");
    if (!folder)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a path");
    rwkv_status status = rw_sandbox_files_allow(files, folder, use, err);
    rw_free(folder);
    return status;
}

/* Vocabularies and configurations lie beside the file of a model. */
static rwkv_status allow_model(struct rw_sandbox_files *files, const char *path, rwkv_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return allow_folder(files, path, err);
    RW_TRY(rw_sandbox_files_allow(files, path, RW_SANDBOX_READ, err));
    return allow_around(files, path, RW_SANDBOX_READ, err);
}

static rwkv_status allow_models(struct rw_sandbox_files *files, const struct rw_server_options *o,
                                rwkv_error *err)
{
    char *data = rw_env_data_dir(); /* where vocabularies are looked for */
    rwkv_status status = RWKV_OK;
    if (data)
        status = rw_sandbox_files_allow(files, data, RW_SANDBOX_READ, err);
    rw_free(data);
    if (status == RWKV_OK && o->models.folder)
        status = allow_folder(files, o->models.folder, err);
    if (status == RWKV_OK && o->models.model.vocab)
        status = rw_sandbox_files_allow(files, o->models.model.vocab, RW_SANDBOX_READ, err);
    for (size_t i = 0; status == RWKV_OK && i < o->n_named; i++)
        status = allow_model(files, o->named[i].path, err);
    return status;
}

/* How much memory and which processors there are, and chance for SQLite. */
static rwkv_status allow_system(struct rw_sandbox_files *files, rwkv_error *err)
{
    static const char *const paths[] = {"/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu",
                                        "/dev/urandom"};
    for (size_t i = 0; i < RW_COUNT(paths); i++)
        RW_TRY(rw_sandbox_files_allow(files, paths[i], RW_SANDBOX_READ, err));
    return RWKV_OK;
}

static rwkv_status allow_own(struct rw_sandbox_files *files, const struct rw_server_options *o,
                             rwkv_error *err)
{
    if (o->auth.key_file)
        RW_TRY(allow_around(files, o->auth.key_file, RW_SANDBOX_READ, err));
    if (o->log.file)
        RW_TRY(allow_around(files, o->log.file, RW_SANDBOX_APPEND, err));
    if (o->http.unix_path)
        RW_TRY(allow_around(files, o->http.unix_path, RW_SANDBOX_REMOVE, err));
    if (o->no_store || !o->store.folder)
        return RWKV_OK;
    mkdir(o->store.folder, 0700); /* where that fails, the store says why */
    return rw_sandbox_files_allow(files, o->store.folder, RW_SANDBOX_KEEP, err);
}

rwkv_status rw_server_limit_files(struct rw_server *s, rwkv_error *err)
{
    const struct rw_server_options *o = &s->options;
    struct rw_sandbox_files files;
    rwkv_error why;
    rwkv_status status = rw_sandbox_files_begin(&files, &why);
    if (status == RWKV_OK) {
        RW_GO(allow_system(&files, err));
        RW_GO(allow_models(&files, o, err));
        RW_GO(allow_own(&files, o, err));
        status = rw_sandbox_files_limit(&files, &why);
    }
    if (status != RWKV_OK)
        rw_access_log_note(s->log, "sandbox: files are not limited: %s", why.message);
    s->files_limited = status == RWKV_OK;
    return RWKV_OK;
done:
    rw_sandbox_files_drop(&files);
    return status;
}

void rw_server_limit_calls(struct rw_server *s)
{
    rwkv_error why;
    bool calls = rw_sandbox_limit_calls(&why) == RWKV_OK;
    if (!calls)
        rw_access_log_note(s->log, "sandbox: system calls are not limited: %s", why.message);
    rw_access_log_note(s->log, "sandbox: %s",
                       calls && s->files_limited ? "files and system calls are limited"
                       : calls                   ? "system calls are limited"
                       : s->files_limited        ? "files are limited"
                                                 : "off");
}
