/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that writes remembered states to disk. It takes them one by one from the list LEAVING;
 * an entry that it writes is in no list, so that none removes it meanwhile.
 */
#include <signal.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/store_int.h"

/* Seal and write. The entry stays where it is; what it points to was taken with the lock held. */
static rwkv_status write_state(struct rwkv_store *store, struct rw_index_row *row,
                               struct rw_snapshot *snapshot, const int32_t *tokens, rwkv_error *err)
{
    size_t n = (size_t)row->n_tokens;
    uint8_t *bytes = rw_alloc(n, 4);
    if (!bytes)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to write %zu tokens", n);
    rw_store_tokens_write(tokens, n, bytes);
    rw_state_seal(snapshot->state, snapshot->state_size);
    struct rw_store_content content = {row->key, bytes, n, snapshot->state, snapshot->state_size};
    row->tokens = bytes;
    rw_store_write_touches(store, NULL); /* if not, what leaves the disk is chosen a little worse */
    rwkv_status status = rw_store_write(store, row, &content, false, err);
    rw_free(bytes);
    return status;
}

/* With the lock held, which is let go meanwhile. */
static void write_entry(struct rwkv_store *store, struct rw_entry *entry)
{
    size_t n = entry->node->depth;
    struct rw_snapshot *snapshot = entry->snapshot;
    struct rw_index_row row = {
        .key = entry->space->key,
        .n_tokens = n,
        .state_bytes = snapshot->state_size,
        .used = entry->used,
    };
    rwkv_error err = {0};
    int32_t *tokens = rw_alloc(n, sizeof *tokens);
    if (tokens)
        rw_tree_tokens(entry->node, tokens);
    rw_store_place(store, entry, RW_LIST_WRITING);
    store->writing = true;
    pthread_mutex_unlock(&store->lock);
    rwkv_status status = tokens
                             ? write_state(store, &row, snapshot, tokens, &err)
                             : rw_fail(&err, RWKV_ERROR_MEMORY, "no memory to write %zu tokens", n);
    rw_free(tokens);
    if (status != RWKV_OK)
        rw_store_note(store, false, &err);
    rw_store_sweep(store);
    pthread_mutex_lock(&store->lock);
    store->writing = false;
    store->failing = status != RWKV_OK;
    entry->list = RW_LIST_NONE;
    if (status == RWKV_OK && !entry->row)
        rw_store_set_row(store, entry, row.id, &row.file, row.bytes);
    else
        rw_store_set_row(store, entry, entry->row, &entry->file, entry->file_bytes);
}

static void *run(void *user)
{
    struct rwkv_store *store = user;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        struct rw_entry *next = store->lists[RW_LIST_LEAVING].first;
        if (next) {
            write_entry(store, next);
        } else if (store->stop) {
            break;
        } else if (store->n_touches >= RW_MAX_TOUCHES) {
            rwkv_error err = {0};
            pthread_mutex_unlock(&store->lock);
            if (rw_store_write_touches(store, &err) != RWKV_OK)
                rw_store_note(store, false, &err);
            pthread_mutex_lock(&store->lock);
        } else {
            pthread_cond_broadcast(&store->idle);
            pthread_cond_wait(&store->work, &store->lock);
        }
    }
    pthread_cond_broadcast(&store->idle);
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

rwkv_status rw_store_start_writer(struct rwkv_store *store, rwkv_error *err)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    store->has_writer = pthread_create(&store->writer, NULL, run, store) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (store->has_writer)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_MEMORY, "cannot start the thread that writes states");
}

void rw_store_stop_writer(struct rwkv_store *store)
{
    if (!store->has_writer)
        return;
    pthread_mutex_lock(&store->lock);
    store->stop = true;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->writer, NULL);
    store->has_writer = false;
}
