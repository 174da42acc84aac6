/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States on disk: files and the index together. A file is whole before the index knows it, and the
 * index forgets it before it is removed; so a process may die anywhere. What it leaves, a file that
 * no row names, is removed by the next that opens the folder: under the index's lock, inside which
 * all files get their names.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/store_int.h"

#define FREED_FILES 4  /* on a full disk, for one that is to be written */
#define SWEEP_SLACK 64 /* entries that may be stale without anyone looking */

/* --- news from other processes ---------------------------------------------------------------- */

static void take_news(void *user, const struct rw_index_row *row)
{
    struct rwkv_store *store = user;
    size_t n = (size_t)row->n_tokens;
    int32_t *tokens = rw_alloc(n, sizeof *tokens);
    if (!tokens)
        return; /* it is not found, then */
    rw_store_tokens_read(row->tokens, n, tokens);
    struct rw_entry *entry = rw_store_add_entry(store, row->key, tokens, n);
    rw_free(tokens);
    if (!entry || entry->row)
        return;
    if (!entry->snapshot) {
        entry->used = row->used;
        entry->cold = row->cold;
    }
    rw_store_set_row(store, entry, row->id, &row->file, row->bytes);
}

rwkv_status rw_store_news(struct rwkv_store *store, rwkv_error *err)
{
    rwkv_status status = rw_index_news(&store->index, take_news, store, err);
    store->clock = RW_MAX(store->clock, store->index.seen_used);
    return status;
}

/* Entries that are only on disk, ascending by row, while the index's rows go by. */
struct sweep {
    struct rw_entry **entries;
    size_t n, at, gone; /* at: looked at; gone: put to the front */
};

/* Entries of rows below this one, which is the next there is, are gone. */
static void sweep_row(void *user, int64_t id)
{
    struct sweep *sweep = user;
    while (sweep->at < sweep->n && sweep->entries[sweep->at]->row < id)
        sweep->entries[sweep->gone++] = sweep->entries[sweep->at++];
    if (sweep->at < sweep->n && sweep->entries[sweep->at]->row == id)
        sweep->at++;
}

static int by_row(const void *a, const void *b)
{
    int64_t x = (*(struct rw_entry *const *)a)->row, y = (*(struct rw_entry *const *)b)->row;
    return (x > y) - (x < y);
}

void rw_store_sweep(struct rwkv_store *store)
{
    struct rw_index_totals totals;
    struct sweep sweep = {0};
    rw_index_totals(&store->index, &totals);
    pthread_mutex_lock(&store->lock);
    const struct rw_entries *disk = &store->lists[RW_LIST_DISK];
    if (disk->n > totals.remembered + totals.remembered / 4 + SWEEP_SLACK)
        sweep.entries = rw_alloc(disk->n, sizeof(struct rw_entry *));
    if (sweep.entries) {
        for (struct rw_entry *entry = disk->first; entry; entry = entry->next)
            sweep.entries[sweep.n++] = entry;
        qsort(sweep.entries, sweep.n, sizeof *sweep.entries, by_row);
        if (rw_index_numbers(&store->index, sweep_row, &sweep, NULL) == RWKV_OK) {
            sweep_row(&sweep, INT64_MAX);
            for (size_t i = 0; i < sweep.gone; i++)
                rw_store_set_row(store, sweep.entries[i], 0, NULL, 0);
        }
    }
    pthread_mutex_unlock(&store->lock);
    rw_free(sweep.entries);
}

/* --- removing --------------------------------------------------------------------------------- */

void rw_store_removed(struct rwkv_store *store, struct rw_removals *removals)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < removals->n; i++) {
        const struct rw_removed *row = &removals->items[i];
        struct rw_entry *entry =
            row->n_tokens ? rw_store_entry(store, row->key, row->tokens, row->n_tokens) : NULL;
        if (rw_store_on_disk(store))
            rw_folder_remove(&store->folder, &row->file);
        store->stats.disk_evictions += row->tokens != NULL;
        if (entry && entry->row == row->id)
            rw_store_set_row(store, entry, 0, NULL, 0);
    }
    pthread_mutex_unlock(&store->lock);
    rw_removals_fini(removals);
}

void rw_store_forget_file(struct rwkv_store *store, int64_t row, const struct rw_file_id *file,
                          bool set_aside, bool *was_there)
{
    rwkv_error err = {0};
    *was_there = false;
    rwkv_status status = rw_index_begin(&store->index, false, &err);
    if (status == RWKV_OK) {
        status = rw_index_delete(&store->index, row, was_there, &err);
        status = rw_index_end(&store->index, status, &err);
    }
    if (status != RWKV_OK)
        rw_store_note(store, false, &err);
    else if (*was_there && set_aside)
        rw_folder_set_aside(&store->folder, file);
    else if (*was_there)
        rw_folder_remove(&store->folder, file);
}

static bool known(void *user, const struct rw_file_id *id)
{
    return rw_index_knows(user, id);
}

rwkv_status rw_store_clean(struct rwkv_store *store, rwkv_error *err)
{
    uint64_t bad = 0;
    RW_TRY(rw_index_begin(&store->index, false, err));
    rwkv_status status = rw_index_check(&store->index, &bad, err);
    if (status == RWKV_OK)
        rw_folder_clean(&store->folder, known, &store->index);
    RW_TRY(rw_index_end(&store->index, status, err));
    if (bad > 0) {
        rwkv_error said;
        rw_fail(&said, RWKV_ERROR_FORMAT, "%s: %llu damaged entries removed", store->index.db.path,
                (unsigned long long)bad);
        for (uint64_t i = 0; i < bad; i++)
            rw_store_note(store, true, &said);
    }
    return RWKV_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

rwkv_status rw_store_replace(struct rwkv_store *store, const struct rw_index_row *row,
                             bool exclusive, struct rw_removals *removals, rwkv_error *err)
{
    struct rw_index *index = &store->index;
    struct rw_removed old = {0};
    sqlite3_stmt *q;
    bool was_there;
    RW_TRY(rw_sql(&index->db, &q, err,
                  "SELECT id, file FROM state WHERE named = 1 AND owner = ?1 AND name = ?2", "bt",
                  row->key + 32, (size_t)32, row->name));
    if (rw_sql_row(q)) {
        const uint8_t *file = rw_sql_bytes(q, 1, sizeof old.file.bytes);
        old.id = sqlite3_column_int64(q, 0);
        if (file)
            memcpy(old.file.bytes, file, sizeof old.file.bytes);
    }
    RW_TRY(rw_sql_end(&index->db, q, err));
    if (!old.id)
        return RWKV_OK;
    if (exclusive)
        return rw_fail(err, RWKV_ERROR_EXISTS, "there is a state named '%s' already", row->name);
    if (!rw_grow((void **)&removals->items, removals->n, &removals->capacity,
                 sizeof *removals->items))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to replace state '%s'", row->name);
    removals->items[removals->n++] = old;
    return rw_index_delete(index, old.id, &was_there, err);
}

/* Make room on a full disk; false if there was nothing to remove. Here files go before the commit,
 * which needs room itself. */
static bool free_disk(struct rwkv_store *store, uint64_t bytes)
{
    struct rw_removals removals = {0};
    struct rw_index_totals sum;
    if (rw_index_begin(&store->index, false, NULL) != RWKV_OK)
        return false;
    rwkv_status status = rw_index_sum(&store->index, &sum, NULL);
    if (status == RWKV_OK) {
        uint64_t all = sum.named_bytes + sum.remembered_bytes;
        uint64_t limit = RW_MAX(sum.named_bytes, all - RW_MIN(all, bytes));
        status = rw_index_shrink(&store->index, limit, &removals, NULL);
    }
    for (size_t i = 0; i < removals.n && status == RWKV_OK; i++)
        rw_folder_remove(&store->folder, &removals.items[i].file);
    status = rw_index_end(&store->index, status, NULL);
    bool removed = status == RWKV_OK && removals.n > 0;
    if (removed)
        rw_store_removed(store, &removals);
    rw_removals_fini(&removals);
    return removed;
}

/* Inside a transaction. *placed: the file has its name. */
static rwkv_status take_up(struct rwkv_store *store, struct rw_index_row *row,
                           const struct rw_pending *pending, bool exclusive,
                           struct rw_removals *removals, bool *placed, rwkv_error *err)
{
    struct rw_index *index = &store->index;
    uint64_t limit = store->options.disk_bytes;
    if (row->name) {
        RW_TRY(rw_store_replace(store, row, exclusive, removals, err));
    } else {
        int64_t id;
        RW_TRY(rw_index_find(index, row, &id, &row->file, err));
        row->id = id;
        if (id)
            return RWKV_OK; /* another process was faster */
    }
    RW_TRY(rw_index_shrink(index, limit - row->bytes, removals, err));
    row->file = pending->id;
    RW_TRY(rw_folder_place(&store->folder, pending, err));
    *placed = true;
    if (row->name)
        RW_TRY(rw_folder_sync(&store->folder, err));
    return rw_index_insert(index, row, err);
}

/* *full: failed for want of room on the disk. */
static rwkv_status write_once(struct rwkv_store *store, struct rw_index_row *row,
                              const struct rw_store_content *content, bool exclusive, bool *full,
                              rwkv_error *err)
{
    struct rw_removals removals = {0};
    struct rw_pending pending;
    bool placed = false, durable = row->name != NULL;
    rwkv_status status = rw_folder_write(&store->folder, content, durable, &pending, err);
    *full = pending.full;
    RW_TRY(status);
    store->index.db.full = false;
    status = rw_index_begin(&store->index, durable, err);
    if (status == RWKV_OK) {
        status = take_up(store, row, &pending, exclusive, &removals, &placed, err);
        status = rw_index_end(&store->index, status, err);
    }
    *full = store->index.db.full;
    rw_folder_finish(&store->folder, &pending);
    if (status == RWKV_OK)
        rw_store_removed(store, &removals);
    else if (placed)
        rw_folder_remove(&store->folder, &pending.id);
    rw_removals_fini(&removals);
    return status;
}

rwkv_status rw_store_write(struct rwkv_store *store, struct rw_index_row *row,
                           const struct rw_store_content *content, bool exclusive, rwkv_error *err)
{
    bool full;
    row->bytes = rw_store_head_size(content->n_tokens) + content->state_size;
    if (row->bytes > store->options.disk_bytes)
        return rw_fail(err, RWKV_ERROR_IO,
                       "%s: no room: a file of %llu bytes, and at most %llu for all",
                       store->folder.path, (unsigned long long)row->bytes,
                       (unsigned long long)store->options.disk_bytes);
    rwkv_status status = write_once(store, row, content, exclusive, &full, err);
    if (status != RWKV_OK && full && free_disk(store, FREED_FILES * row->bytes))
        status = write_once(store, row, content, exclusive, &full, err);
    return status;
}

rwkv_status rw_store_write_touches(struct rwkv_store *store, rwkv_error *err)
{
    pthread_mutex_lock(&store->lock);
    struct rw_touch *touches = store->touches;
    size_t n = store->n_touches;
    store->touches = NULL;
    store->n_touches = store->touches_capacity = 0;
    pthread_mutex_unlock(&store->lock);
    if (n == 0)
        return RWKV_OK;
    rwkv_status status = rw_index_begin(&store->index, false, err);
    if (status == RWKV_OK)
        status = rw_index_end(&store->index, rw_index_touch(&store->index, touches, n, err), err);
    rw_free(touches);
    return status;
}

/* --- reading ---------------------------------------------------------------------------------- */

rwkv_status rw_store_read(struct rwkv_store *store, const struct rw_index_row *row, uint8_t **block,
                          struct rw_store_content *content, bool *gone, rwkv_error *err)
{
    char name[512];
    size_t size, n_tokens = row->name ? 0 : (size_t)row->n_tokens;
    uint8_t *bytes;
    rw_folder_name(&store->folder, &row->file, name);
    RW_TRY(
        rw_folder_read(&store->folder, &row->file, (size_t)row->bytes, &bytes, &size, gone, err));
    rwkv_status status = rw_store_content_read(bytes, size, name, content, err);
    if (status == RWKV_OK && (memcmp(content->key, row->key, RW_STORE_KEY) != 0 ||
                              content->n_tokens != n_tokens || size != row->bytes))
        status =
            rw_fail(err, RWKV_ERROR_FORMAT,
                    "%s: foreign: of another owner, model or length than the index says", name);
    if (status == RWKV_OK)
        *block = bytes;
    else
        rw_free(bytes);
    return status;
}
