/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States kept by name. With a folder each is a file, on the disk before the row that names it is
 * committed, and that is on the disk before saving returns. Without a folder the rows hold the
 * states, in a database in memory. Names are data: no file is ever called after one.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/store_int.h"

#define MAX_NAME 128
#define MAX_TRIES 4 /* at reading what others replace meanwhile */

#define COLUMNS "id, file, bytes, state_bytes, n_tokens, created, touched, expires, model, name"

/* A row as it was read, with what it points to. */
struct found {
    struct rw_index_row row;
    uint8_t key[RW_STORE_KEY];
};

static rwkv_status check_name(const char *name, rwkv_error *err)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (n == 0 || n > MAX_NAME || name[n])
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "the name of a state: wanted 1 to %d of A-Z, a-z, 0-9, '.', '_', '-', found "
                       "'%.40s'%s",
                       MAX_NAME, name, strlen(name) > 40 ? "…" : "");
    return RWKV_OK;
}

static int64_t now(const struct rwkv_store *store)
{
    return store->options.now(store->options.user);
}

/* --- transactions ----------------------------------------------------------------------------- */

/* Inside a transaction: delete what has outlived its time. */
static rwkv_status expire(struct rwkv_store *store, struct rw_removals *removals, rwkv_error *err)
{
    struct rw_sql *db = &store->index.db;
    sqlite3_stmt *q;
    rwkv_status status = RWKV_OK;
    RW_TRY(rw_sql(db, &q, err,
                  "DELETE FROM state WHERE named = 1 AND expires > 0 AND expires <= ?1"
                  " RETURNING id, file",
                  "i", now(store)));
    while (status == RWKV_OK && rw_sql_row(q)) {
        struct rw_removed row = {.id = sqlite3_column_int64(q, 0)};
        const uint8_t *file = rw_sql_bytes(q, 1, sizeof row.file.bytes);
        if (file)
            memcpy(row.file.bytes, file, sizeof row.file.bytes);
        if (rw_grow((void **)&removals->items, removals->n, &removals->capacity,
                    sizeof *removals->items))
            removals->items[removals->n++] = row;
        else
            status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory to remove a state");
    }
    if (status == RWKV_OK)
        return rw_sql_end(db, q, err);
    sqlite3_finalize(q);
    return status;
}

/* Without a folder, named states count as memory, for which remembered ones make room. */
static void count_named(struct rwkv_store *store)
{
    struct rw_index_totals totals;
    if (rw_store_on_disk(store))
        return;
    rw_index_totals(&store->index, &totals);
    pthread_mutex_lock(&store->lock);
    store->named_bytes = totals.named_bytes;
    rw_store_make_room(store, NULL);
    pthread_mutex_unlock(&store->lock);
}

/* The end of a transaction and of what it removed. */
static rwkv_status end(struct rwkv_store *store, rwkv_status status, struct rw_removals *removals,
                       rwkv_error *err)
{
    status = rw_index_end(&store->index, status, err);
    if (status == RWKV_OK) {
        rw_store_removed(store, removals);
        count_named(store);
    }
    rw_removals_fini(removals);
    return status;
}

/* Begin a transaction in which nothing is there that has outlived its time. */
static rwkv_status begin(struct rwkv_store *store, bool durable, rwkv_error *err)
{
    struct rw_removals removals = {0};
    for (;;) {
        RW_TRY(rw_index_begin(&store->index, durable, err));
        rwkv_status status = expire(store, &removals, err);
        if (status == RWKV_OK && removals.n == 0)
            return RWKV_OK;
        RW_TRY(end(store, status, &removals, err));
    }
}

/* --- rows ------------------------------------------------------------------------------------- */

/* Read COLUMNS. */
static rwkv_status read_row(struct rwkv_store *store, sqlite3_stmt *q, const rwkv_owner *owner,
                            struct found *out, rwkv_error *err)
{
    *out = (struct found){.row = {
                              .id = sqlite3_column_int64(q, 0),
                              .bytes = (uint64_t)sqlite3_column_int64(q, 2),
                              .state_bytes = (uint64_t)sqlite3_column_int64(q, 3),
                              .n_tokens = (uint64_t)sqlite3_column_int64(q, 4),
                              .created = sqlite3_column_int64(q, 5),
                              .touched = sqlite3_column_int64(q, 6),
                              .expires = sqlite3_column_int64(q, 7),
                          }};
    const uint8_t *file = rw_sql_bytes(q, 1, sizeof out->row.file.bytes);
    const uint8_t *model = rw_sql_bytes(q, 8, 32);
    if (!file || !model)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: a damaged entry", store->index.db.path);
    memcpy(out->row.file.bytes, file, sizeof out->row.file.bytes);
    memcpy(out->key, model, 32);
    memcpy(out->key + 32, owner->id, 32);
    return RWKV_OK;
}

/* Inside a transaction. */
static rwkv_status look_up(struct rwkv_store *store, const rwkv_owner *owner, const char *name,
                           struct found *out, rwkv_error *err)
{
    sqlite3_stmt *q;
    RW_TRY(rw_sql(&store->index.db, &q, err,
                  "SELECT " COLUMNS " FROM state WHERE named = 1 AND owner = ?1 AND name = ?2",
                  "bt", owner->id, sizeof owner->id, name));
    bool there = rw_sql_row(q);
    rwkv_status status = there ? read_row(store, q, owner, out, err) : RWKV_OK;
    if (status != RWKV_OK) {
        sqlite3_finalize(q);
        return status;
    }
    RW_TRY(rw_sql_end(&store->index.db, q, err));
    return there ? RWKV_OK
                 : rw_fail(err, RWKV_ERROR_NOT_FOUND, "there is no state named '%s'", name);
}

static void fill(rwkv_store_state *out, const struct found *found, const char *name)
{
    *out = (rwkv_store_state){
        .tokens = found->row.n_tokens,
        .bytes = found->row.state_bytes,
        .created = found->row.created,
        .used = found->row.touched,
        .expires = found->row.expires,
    };
    snprintf(out->name, sizeof out->name, "%s", name);
    for (size_t i = 0; i < 32; i++)
        snprintf(out->fingerprint + 2 * i, 3, "%02x", found->key[i]);
}

rwkv_status rw_store_get_state(struct rwkv_store *store, const rwkv_owner *owner, const char *name,
                               rwkv_store_state *state, rwkv_error *err)
{
    struct rw_removals none = {0};
    struct found found;
    RW_TRY(check_name(name, err));
    RW_TRY(begin(store, false, err));
    RW_TRY(end(store, look_up(store, owner, name, &found, err), &none, err));
    fill(state, &found, name);
    return RWKV_OK;
}

/* Inside a transaction. */
static rwkv_status list(struct rwkv_store *store, const rwkv_owner *owner, rwkv_store_state *states,
                        size_t capacity, size_t *n, rwkv_error *err)
{
    sqlite3_stmt *q;
    struct found found;
    RW_TRY(rw_sql(&store->index.db, &q, err,
                  "SELECT " COLUMNS " FROM state WHERE named = 1 AND owner = ?1 ORDER BY name", "b",
                  owner->id, sizeof owner->id));
    size_t count = 0;
    while (rw_sql_row(q)) {
        const char *name = (const char *)sqlite3_column_text(q, 9);
        if (!name || read_row(store, q, owner, &found, NULL) != RWKV_OK)
            continue;
        if (count < capacity)
            fill(&states[count], &found, name);
        count++;
    }
    *n = count;
    return rw_sql_end(&store->index.db, q, err);
}

rwkv_status rw_store_list(struct rwkv_store *store, const rwkv_owner *owner,
                          rwkv_store_state *states, size_t capacity, size_t *n, rwkv_error *err)
{
    struct rw_removals none = {0};
    RW_TRY(begin(store, false, err));
    return end(store, list(store, owner, states, capacity, n, err), &none, err);
}

rwkv_status rw_store_remove(struct rwkv_store *store, const rwkv_owner *owner, const char *name,
                            rwkv_error *err)
{
    struct rw_removals removals = {0};
    uint8_t key[RW_STORE_KEY] = {0};
    memcpy(key + 32, owner->id, sizeof owner->id);
    struct rw_index_row row = {.key = key, .name = name};
    RW_TRY(check_name(name, err));
    RW_TRY(begin(store, true, err));
    rwkv_status status = rw_store_replace(store, &row, false, &removals, err);
    if (status == RWKV_OK && removals.n == 0)
        status = rw_fail(err, RWKV_ERROR_NOT_FOUND, "there is no state named '%s'", name);
    return end(store, status, &removals, err);
}

/* --- saving ----------------------------------------------------------------------------------- */

/* A new row's times. */
static rwkv_status set_times(const struct rwkv_store *store, struct rw_index_row *row,
                             const rwkv_store_save_options *options, rwkv_error *err)
{
    if (options->seconds < 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "seconds to live: wanted 0 or more, found %lld",
                       (long long)options->seconds);
    row->created = row->touched = now(store);
    row->expires = 0;
    if (options->seconds && __builtin_add_overflow(row->created, options->seconds, &row->expires))
        row->expires = INT64_MAX;
    return RWKV_OK;
}

/* Inside a transaction: without a folder, whether so many more bytes may be kept. */
static rwkv_status check_room(struct rwkv_store *store, uint64_t bytes, rwkv_error *err)
{
    struct rw_index_totals sum;
    uint64_t limit = store->options.memory_bytes;
    RW_TRY(rw_index_sum(&store->index, &sum, err));
    if (bytes <= limit && sum.named_bytes <= limit - bytes)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_MEMORY,
                   "no room for a state of %llu bytes: of the store's memory of %llu, states kept "
                   "by name take %llu",
                   (unsigned long long)bytes, (unsigned long long)limit,
                   (unsigned long long)sum.named_bytes);
}

/* Inside a transaction: rows need different names of files, also where there are no files. */
static void number_file(struct rwkv_store *store, struct rw_index_row *row)
{
    pthread_mutex_lock(&store->lock);
    uint64_t number = ++store->clock;
    pthread_mutex_unlock(&store->lock);
    memset(row->file.bytes, 0, sizeof row->file.bytes);
    memcpy(row->file.bytes, &number, sizeof number);
}

static rwkv_status save_in_memory(struct rwkv_store *store, struct rw_index_row *row,
                                  bool exclusive, rwkv_error *err)
{
    struct rw_removals removals = {0};
    RW_TRY(begin(store, false, err));
    row->bytes = row->state_bytes;
    number_file(store, row);
    rwkv_status status = rw_store_replace(store, row, exclusive, &removals, err);
    if (status == RWKV_OK)
        status = check_room(store, row->bytes, err);
    if (status == RWKV_OK)
        status = rw_index_insert(&store->index, row, err);
    return end(store, status, &removals, err);
}

/* Save sealed bytes of a state under the row's name. */
static rwkv_status save_bytes(struct rwkv_store *store, struct rw_index_row *row,
                              const uint8_t *state, bool exclusive, rwkv_error *err)
{
    struct rw_removals none = {0};
    if (!rw_store_on_disk(store)) {
        row->state = state;
        return save_in_memory(store, row, exclusive, err);
    }
    struct rw_store_content content = {row->key, NULL, 0, state, (size_t)row->state_bytes};
    RW_TRY(begin(store, false, err));
    RW_TRY(end(store, RWKV_OK, &none, err));
    return rw_store_write(store, row, &content, exclusive, err);
}

rwkv_status rw_store_save(struct rwkv_store *store, const struct rwkv_session *session,
                          const rwkv_owner *owner, const char *name,
                          const rwkv_store_save_options *options, rwkv_error *err)
{
    uint8_t key[RW_STORE_KEY];
    size_t size = rw_state_size(session);
    struct rw_index_row row = {
        .key = key, .name = name, .n_tokens = session->position, .state_bytes = size};
    RW_TRY(check_name(name, err));
    RW_TRY(set_times(store, &row, options, err));
    rw_store_key(session, owner, key);
    uint8_t *bytes = rw_alloc(size, 1);
    if (!bytes)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to save a state of %zu bytes", size);
    rw_state_write(session, bytes);
    rwkv_status status = save_bytes(store, &row, bytes, options->exclusive, err);
    rw_free(bytes);
    return status;
}

/* --- loading ---------------------------------------------------------------------------------- */

/* Inside a transaction: find it and note that it is used; without a folder, read it. */
static rwkv_status use(struct rwkv_store *store, const rwkv_owner *owner, const char *name,
                       struct rwkv_session *session, struct found *found, rwkv_error *err)
{
    struct rw_sql *db = &store->index.db;
    uint8_t wanted[32];
    sqlite3_stmt *q;
    RW_TRY(look_up(store, owner, name, found, err));
    rw_state_fingerprint(session->model, wanted);
    if (memcmp(found->key, wanted, sizeof wanted) != 0)
        return rw_fail(err, RWKV_ERROR_STATE,
                       "state '%s' is of another model: wanted fingerprint %02x%02x%02x%02x…, "
                       "found %02x%02x%02x%02x…",
                       name, wanted[0], wanted[1], wanted[2], wanted[3], found->key[0],
                       found->key[1], found->key[2], found->key[3]);
    RW_TRY(rw_sql(db, &q, err, "UPDATE state SET touched = ?1 WHERE id = ?2 RETURNING data", "ii",
                  now(store), found->row.id));
    rwkv_status status = RWKV_OK;
    if (rw_sql_row(q) && !rw_store_on_disk(store))
        status = rw_state_read(session, sqlite3_column_blob(q, 0),
                               (size_t)sqlite3_column_bytes(q, 0), name, err);
    if (status == RWKV_OK) {
        while (rw_sql_row(q))
            ;
        return rw_sql_end(db, q, err);
    }
    sqlite3_finalize(q);
    return status;
}

/* Read the file of a named state. *gone: it is not there, maybe because it was just replaced. */
static rwkv_status read_file(struct rwkv_store *store, const struct found *found, const char *name,
                             struct rwkv_session *session, bool *gone, rwkv_error *err)
{
    struct rw_store_content content;
    uint8_t *block;
    rwkv_error said = {0};
    bool was_there;
    struct rw_index_row row = found->row;
    row.key = found->key;
    row.name = name;
    rwkv_status status = rw_store_read(store, &row, &block, &content, gone, &said);
    if (status == RWKV_OK) {
        status = rw_state_read(session, content.state, content.state_size, name, &said);
        rw_free(block);
    }
    if (status == RWKV_OK)
        return RWKV_OK;
    if (err)
        *err = said;
    if (status == RWKV_ERROR_MEMORY || status == RWKV_ERROR_IO)
        return status;
    rw_store_note(store, true, &said);
    rw_store_forget_file(store, found->row.id, &found->row.file, true, &was_there);
    return rw_fail_within(err, RWKV_ERROR_FORMAT, "state '%s' is not there any more", name);
}

rwkv_status rw_store_load(struct rwkv_store *store, struct rwkv_session *session,
                          const rwkv_owner *owner, const char *name, rwkv_error *err)
{
    struct rw_removals none = {0};
    struct found found;
    rwkv_status status = RWKV_OK;
    bool gone = true, was_there;
    RW_TRY(check_name(name, err));
    for (int i = 0; i < MAX_TRIES && gone; i++) {
        gone = false;
        RW_TRY(begin(store, false, err));
        RW_TRY(end(store, use(store, owner, name, session, &found, err), &none, err));
        if (rw_store_on_disk(store))
            status = read_file(store, &found, name, session, &gone, err);
    }
    if (!gone)
        return status;
    rwkv_error said = {0};
    rw_store_forget_file(store, found.row.id, &found.row.file, false, &was_there);
    rw_fail(&said, RWKV_ERROR_FORMAT, "state '%s' is not there any more: its file is missing",
            name);
    rw_store_note(store, true, &said);
    if (err)
        *err = said;
    return RWKV_ERROR_FORMAT;
}

/* --- copying ---------------------------------------------------------------------------------- */

/* Inside a transaction: a second row. *linked: it has a file. */
static rwkv_status copy_row(struct rwkv_store *store, struct rw_index_row *row, bool exclusive,
                            struct rw_removals *removals, bool *linked, rwkv_error *err)
{
    const struct rw_file_id from = row->file;
    RW_TRY(rw_store_replace(store, row, exclusive, removals, err));
    RW_TRY(rw_index_shrink(
        &store->index, store->options.disk_bytes - RW_MIN(row->bytes, store->options.disk_bytes),
        removals, err));
    *linked = rw_folder_link(&store->folder, &from, &row->file);
    if (!*linked)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "no second name for a file to be had");
    RW_TRY(rw_folder_sync(&store->folder, err));
    return rw_index_insert(&store->index, row, err);
}

/* The bytes of a state, for a copy where files cannot share them. */
static rwkv_status copy_bytes(struct rwkv_store *store, const struct found *from,
                              struct rw_index_row *row, bool exclusive, rwkv_error *err)
{
    struct rw_store_content content;
    struct rw_index_row old = from->row;
    uint8_t *block;
    bool gone;
    old.key = from->key;
    old.name = row->name;
    RW_TRY(rw_store_read(store, &old, &block, &content, &gone, err));
    rwkv_status status = rw_store_write(store, row, &content, exclusive, err);
    rw_free(block);
    return status;
}

static rwkv_status copy_on_disk(struct rwkv_store *store, const rwkv_owner *owner, const char *from,
                                struct rw_index_row *row, bool exclusive, rwkv_error *err)
{
    struct rw_removals removals = {0};
    struct rw_index_row copy = *row;
    struct found found;
    bool linked = false;
    RW_TRY(begin(store, true, err));
    rwkv_status status = look_up(store, owner, from, &found, err);
    if (status == RWKV_OK) {
        copy.key = row->key = found.key;
        copy.file = found.row.file;
        copy.bytes = found.row.bytes;
        copy.state_bytes = row->state_bytes = found.row.state_bytes;
        copy.n_tokens = row->n_tokens = found.row.n_tokens;
        status = copy_row(store, &copy, exclusive, &removals, &linked, err);
    }
    status = end(store, status, &removals, err);
    if (status != RWKV_OK && linked)
        rw_folder_remove(&store->folder, &copy.file);
    if (status == RWKV_ERROR_UNSUPPORTED)
        return copy_bytes(store, &found, row, exclusive, err);
    return status;
}

/* Without a folder the database copies. */
static rwkv_status copy_in_memory(struct rwkv_store *store, const rwkv_owner *owner,
                                  const char *from, struct rw_index_row *row, bool exclusive,
                                  rwkv_error *err)
{
    struct rw_removals removals = {0};
    struct rw_sql *db = &store->index.db;
    struct found found;
    sqlite3_stmt *q;
    rwkv_status status;
    RW_TRY(begin(store, false, err));
    RW_GO(look_up(store, owner, from, &found, err));
    row->key = found.key;
    number_file(store, row);
    RW_GO(rw_store_replace(store, row, exclusive, &removals, err));
    RW_GO(check_room(store, found.row.bytes, err));
    RW_GO(
        rw_sql(db, &q, err,
               "INSERT INTO state(named, cold, used, bytes, state_bytes, n_tokens, created,"
               " touched, expires, model, owner, file, name, tokens, data)"
               " SELECT named, cold, used, bytes, state_bytes, n_tokens, ?1, ?1, ?2, model, owner,"
               " ?3, ?4, tokens, data FROM state WHERE id = ?5",
               "iibti", row->created, row->expires, row->file.bytes, sizeof row->file.bytes,
               row->name, found.row.id));
    rw_sql_row(q);
    status = rw_sql_end(db, q, err);
done:
    return end(store, status, &removals, err);
}

rwkv_status rw_store_copy(struct rwkv_store *store, const rwkv_owner *owner, const char *from,
                          const char *to, const rwkv_store_save_options *options, rwkv_error *err)
{
    struct rw_index_row row = {.name = to};
    RW_TRY(check_name(from, err));
    RW_TRY(check_name(to, err));
    RW_TRY(set_times(store, &row, options, err));
    if (strcmp(from, to) == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "'%s': a copy needs a name of its own", to);
    if (rw_store_on_disk(store))
        return copy_on_disk(store, owner, from, &row, options->exclusive, err);
    return copy_in_memory(store, owner, from, &row, options->exclusive, err);
}
