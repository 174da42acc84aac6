/* SPDX-License-Identifier: Apache-2.0 */
/* Stores for unit tests: temporary folders, and sessions in known places. */
#ifndef UNIT_STORES_H
#define UNIT_STORES_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "models.h"
#include "rwkv_store.h"

#define MODEL_OPTIONS (&(rwkv_model_options){.vocab = "bytes", .threads = 1, .chunk = 16})

static const rwkv_owner alice = {"alice"}, bob = {"bob"};

/* A new folder; its path is put in `path`. */
static inline const char *folder_new(char path[64])
{
    snprintf(path, 64, "/tmp/rwkv-test-store-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

/* How many files of that ending there are; each is given to `see` (nullable). */
static inline size_t folder_files(const char *folder, const char *ending,
                                  void (*see)(const char *path))
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        size_t size = strlen(entry->d_name), less = strlen(ending);
        if (entry->d_name[0] == '.' || size < less ||
            strcmp(entry->d_name + size - less, ending) != 0)
            continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        n++;
        if (see)
            see(path);
    }
    if (dir)
        closedir(dir);
    return n;
}

static inline void folder_unlink(const char *path)
{
    unlink(path);
}

static inline void folder_remove(const char *folder)
{
    folder_files(folder, "", folder_unlink);
    rmdir(folder);
}

static inline rwkv_store *store_open(const rwkv_store_options *options)
{
    rwkv_store *store = NULL;
    rwkv_error err = {0};
    if (rwkv_store_open(options, &store, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return store;
}

static inline rwkv_store_stats stats_of(rwkv_store *store)
{
    rwkv_store_stats stats;
    rwkv_store_get_stats(store, &stats);
    return stats;
}

/* Token i of text number `text`; texts agree nowhere. */
static inline int32_t token_of(unsigned text, size_t i)
{
    return (int32_t)((i * 31 + i / 7 + text * 53 + 1) % 256);
}

static inline void tokens_of(unsigned text, int32_t *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = token_of(text, i);
}

/* Begin again with these tokens. */
static inline void go_to(rwkv_session *session, const int32_t *tokens, size_t n)
{
    rwkv_session_reset(session);
    assert_int_equal(rwkv_session_eval(session, tokens, n, NULL), RWKV_OK);
}

static inline void assert_same_session(const rwkv_session *a, const rwkv_session *b)
{
    size_t size = rwkv_session_state_size(a);
    assert_int_equal(size, rwkv_session_state_size(b));
    uint8_t *x = malloc(size), *y = malloc(size);
    rwkv_session_state_write(a, x);
    rwkv_session_state_write(b, y);
    assert_memory_equal(x, y, size);
    free(x);
    free(y);
}

static inline void put(rwkv_store *store, const rwkv_session *session, const rwkv_owner *owner,
                       const int32_t *tokens, size_t n)
{
    rwkv_error err = {0};
    if (rwkv_store_put(store, session, owner, tokens, n, &err) != RWKV_OK)
        fail_msg("%s", err.message);
}

/* Evaluate and remember these tokens. */
static inline void learn(rwkv_store *store, rwkv_session *session, const rwkv_owner *owner,
                         const int32_t *tokens, size_t n)
{
    go_to(session, tokens, n);
    put(store, session, owner, tokens, n);
}

static inline size_t find(rwkv_store *store, rwkv_session *session, const rwkv_owner *owner,
                          const int32_t *tokens, size_t n)
{
    size_t found = 12345;
    rwkv_error err = {0};
    if (rwkv_store_find(store, session, owner, tokens, n, &found, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return found;
}

static inline void flush(rwkv_store *store)
{
    rwkv_error err = {0};
    if (rwkv_store_flush(store, &err) != RWKV_OK)
        fail_msg("%s", err.message);
}

#endif
