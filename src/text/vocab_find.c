/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a vocabulary by name, and looking for the one that goes with a model. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/map.h"
#include "base/status.h"
#include "text/vocab.h"

static rwkv_status open_gguf(const char *path, struct rwkv_vocab **out, rwkv_error *err)
{
    struct rw_file *file;
    RW_TRY(rw_file_open(&file, path, err));
    rwkv_status status = rw_vocab_from_file(file, out, err);
    rw_file_close(file);
    return status;
}

rwkv_status rw_vocab_open(const char *path, struct rwkv_vocab **out, rwkv_error *err)
{
    if (strcmp(path, "bytes") == 0)
        return rw_vocab_bytes(out, err);
    struct rw_map map;
    RW_TRY(rw_map_open(&map, path, err));
    bool gguf = map.size >= 4 && memcmp(map.data, "GGUF", 4) == 0;
    rwkv_status status = RWKV_OK;
    if (!gguf)
        status = rw_vocab_from_memory(map.data, map.size, path, out, err);
    rw_map_close(&map);
    return gguf ? open_gguf(path, out, err) : status;
}

/* --- looking for it --- */

/* Append to `path` the folder that the model lies in, or that it is, with a slash at the end;
 * nothing for the current folder. */
static void add_folder_of(const char *model_path, struct rw_str *path)
{
    struct stat st;
    if (stat(model_path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rw_str_adds(path, model_path);
        if (!rw_has_suffix(model_path, "/"))
            rw_str_addc(path, '/');
    } else {
        rw_str_add(path, model_path, (size_t)(rw_basename(model_path) - model_path));
    }
}

/* The two places a vocabulary file may lie in without being named. False: there is no such folder.
 */
static bool add_place(size_t place, const char *model_path, struct rw_str *path)
{
    if (place == 0) {
        if (model_path)
            add_folder_of(model_path, path);
        return model_path != NULL;
    }
    char *folder = rw_env_data_dir();
    if (!folder)
        return false;
    rw_str_printf(path, "%s/", folder);
    rw_free(folder);
    return true;
}

/* The file in the first place that has one, into `path`; false, and every place with what was wrong
 * there appended to `looked`. */
static bool find_file(const char *model_path, struct rw_str *path, struct rw_str *looked)
{
    for (size_t place = 0; place < 2; place++) {
        rw_str_reset(path);
        if (add_place(place, model_path, path)) {
            rw_str_adds(path, RW_VOCAB_FILE_NAME);
            if (path->failed)
                break;
            if (access(path->data, F_OK) == 0)
                return true;
            rw_str_printf(looked, ", %s (%s)", path->data, strerror(errno));
        } else if (place == 1) {
            rw_str_adds(looked, ", the data folder (neither XDG_DATA_HOME nor HOME is set)");
        }
    }
    return false;
}

static rwkv_status open_found(const char *model_path, struct rwkv_vocab **out, char *where,
                              size_t where_size, rwkv_error *err)
{
    struct rw_str path = {0}, looked = {0};
    rwkv_status status;
    if (find_file(model_path, &path, &looked)) {
        status = rw_vocab_open(path.data, out, err);
        if (status == RWKV_OK)
            snprintf(where, where_size, "%s", path.data);
    } else if (path.failed || looked.failed) {
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a path");
    } else {
        status = rw_fail(err, RWKV_ERROR_IO,
                         "no vocabulary found: put " RW_VOCAB_FILE_NAME " (in the folder tokenizer "
                         "of github.com/BlinkDL/ChatRWKV) beside the model or in the data folder, "
                         "or give --vocab FILE, or --vocab bytes for a byte-level model; looked "
                         "at: %s (holds none)%s",
                         model_path ? model_path : "the model", looked.data ? looked.data : "");
    }
    rw_str_fini(&path);
    rw_str_fini(&looked);
    return status;
}

rwkv_status rw_vocab_find(const struct rw_file *model, const char *model_path, const char *option,
                          struct rwkv_vocab **out, char *where, size_t where_size, rwkv_error *err)
{
    char unused[1];
    if (!where) {
        where = unused;
        where_size = sizeof unused;
    }
    if (option) {
        RW_TRY(rw_vocab_open(option, out, err));
        snprintf(where, where_size, "%s", option);
        return RWKV_OK;
    }
    if (model && rw_vocab_in_file(model)) {
        RW_TRY(rw_vocab_from_file(model, out, err));
        snprintf(where, where_size, "%s", model->path);
        return RWKV_OK;
    }
    return open_found(model_path, out, where, where_size, err);
}
