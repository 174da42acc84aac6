/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements of the index. Order of removal (the SQL index state_order): the cold ones first,
 * then by the store's clock.
 */
#include "engine/store_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"

#define FILE_NAME "index.sqlite"
#define APPLICATION 0x52574b56 /* "RWKV" */
#define VERSION 1

static const char schema[] =
    "CREATE TABLE state(id INTEGER PRIMARY KEY AUTOINCREMENT, named INTEGER NOT NULL,"
    " cold INTEGER NOT NULL, used INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " state_bytes INTEGER NOT NULL, n_tokens INTEGER NOT NULL, created INTEGER NOT NULL,"
    " touched INTEGER NOT NULL, expires INTEGER NOT NULL, model BLOB NOT NULL,"
    " owner BLOB NOT NULL, file BLOB NOT NULL UNIQUE, name TEXT, tokens BLOB, data BLOB);"
    "CREATE UNIQUE INDEX state_name ON state(owner, name) WHERE named = 1;"
    "CREATE INDEX state_tokens ON state(owner, model, n_tokens) WHERE named = 0;"
    "CREATE INDEX state_order ON state(named, cold DESC, used, id, bytes);"
    "CREATE INDEX state_expires ON state(expires) WHERE expires > 0;"
    "PRAGMA application_id = 1381452630; PRAGMA user_version = 1;";

/* --- opening ---------------------------------------------------------------------------------- */

static rwkv_status read_number(struct rw_sql *db, const char *text, int64_t *out, rwkv_error *err)
{
    sqlite3_stmt *q;
    RW_TRY(rw_sql(db, &q, err, text, ""));
    *out = rw_sql_row(q) ? sqlite3_column_int64(q, 0) : 0;
    return rw_sql_end(db, q, err);
}

/* Inside a transaction: make the tables of a new database, or see that an old one is ours. */
static rwkv_status check_schema(struct rw_sql *db, rwkv_error *err)
{
    int64_t tables, application, version;
    RW_TRY(read_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err));
    if (tables == 0)
        return rw_sql_run(db, schema, err);
    RW_TRY(read_number(db, "PRAGMA application_id", &application, err));
    RW_TRY(read_number(db, "PRAGMA user_version", &version, err));
    if (application != APPLICATION)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: not the index of a store", db->path);
    if (version != VERSION)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: wanted version %d, found %lld", db->path,
                       VERSION, (long long)version);
    return RWKV_OK;
}

static rwkv_status open_file(struct rw_index *index, const struct rw_folder *folder,
                             rwkv_error *err)
{
    /* Made here, so that only the user may read it; SQLite's other files are made alike. */
    int fd = openat(folder->fd, FILE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s/%s: cannot open: %s", folder->path, FILE_NAME,
                       strerror(errno));
    close(fd);
    struct rw_str path = {0};
    rw_str_printf(&path, "%s/%s", folder->path, FILE_NAME);
    rwkv_status status = path.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a path")
                                     : rw_sql_open(&index->db, path.data, err);
    if (status == RWKV_OK)
        status = rw_sql_run(&index->db,
                            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 100", err);
    if (status == RWKV_OK)
        status = rw_sql_open(&index->news, path.data, err);
    rw_str_fini(&path);
    return status;
}

rwkv_status rw_index_open(struct rw_index *index, const struct rw_folder *folder, rwkv_error *err)
{
    rwkv_status status;
    *index = (struct rw_index){.on_disk = folder != NULL, .seen_version = -1};
    pthread_mutex_init(&index->lock, NULL);
    pthread_mutex_init(&index->totals_lock, NULL);
    RW_GO(folder ? open_file(index, folder, err) : rw_sql_open(&index->db, NULL, err));
    RW_GO(rw_index_begin(index, false, err));
    RW_GO(rw_index_end(index, check_schema(&index->db, err), err));
    if (folder) {
        RW_GO(rw_sql(&index->news, &index->version, err, "PRAGMA data_version", ""));
        RW_GO(rw_sql(&index->news, &index->newer, err,
                     "SELECT id, file, bytes, n_tokens, model, owner, used, cold, tokens"
                     " FROM state WHERE id > ?1 AND named = 0 ORDER BY id",
                     ""));
    }
done:
    if (status != RWKV_OK)
        rw_index_close(index);
    return status;
}

void rw_index_close(struct rw_index *index)
{
    sqlite3_finalize(index->version);
    sqlite3_finalize(index->newer);
    rw_sql_close(&index->news);
    rw_sql_close(&index->db);
    pthread_mutex_destroy(&index->lock);
    pthread_mutex_destroy(&index->totals_lock);
}

rwkv_status rw_index_check(struct rw_index *index, uint64_t *n, rwkv_error *err)
{
    rwkv_status status =
        rw_sql_run(&index->db,
                   "DELETE FROM state WHERE typeof(model) <> 'blob' OR length(model) <> 32 OR"
                   " typeof(owner) <> 'blob' OR length(owner) <> 32 OR"
                   " typeof(file) <> 'blob' OR length(file) <> 16 OR"
                   " n_tokens < 0 OR bytes < 0 OR state_bytes < 0 OR"
                   " (named = 0 AND (typeof(tokens) <> 'blob' OR n_tokens < 1 OR"
                   "  length(tokens) <> 4 * n_tokens)) OR (named <> 0 AND typeof(name) <> 'text')",
                   err);
    *n = status == RWKV_OK ? (uint64_t)sqlite3_changes64(index->db.handle) : 0;
    return status;
}

bool rw_index_knows(struct rw_index *index, const struct rw_file_id *file)
{
    sqlite3_stmt *q;
    if (rw_sql(&index->db, &q, NULL, "SELECT 1 FROM state WHERE file = ?1", "b", file->bytes,
               sizeof file->bytes) != RWKV_OK)
        return true;
    bool row = rw_sql_row(q);
    return rw_sql_end(&index->db, q, NULL) != RWKV_OK || row;
}

/* --- transactions ----------------------------------------------------------------------------- */

static rwkv_status begin(struct rw_index *index, bool durable, rwkv_error *err)
{
    int moved = 0;
    if (index->on_disk &&
        sqlite3_file_control(index->db.handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) ==
            SQLITE_OK &&
        moved)
        return rw_fail(err, RWKV_ERROR_IO, "%s: was removed or replaced while in use",
                       index->db.path);
    RW_TRY(rw_sql_run(&index->db,
                      durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err));
    return rw_sql_run(&index->db, "BEGIN IMMEDIATE", err);
}

rwkv_status rw_index_begin(struct rw_index *index, bool durable, rwkv_error *err)
{
    pthread_mutex_lock(&index->lock);
    rwkv_status status = begin(index, durable, err);
    if (status != RWKV_OK)
        pthread_mutex_unlock(&index->lock);
    return status;
}

rwkv_status rw_index_end(struct rw_index *index, rwkv_status status, rwkv_error *err)
{
    struct rw_index_totals totals;
    if (status == RWKV_OK)
        status = rw_index_sum(index, &totals, err);
    if (status == RWKV_OK)
        status = rw_sql_run(&index->db, "COMMIT", err);
    if (status == RWKV_OK) {
        pthread_mutex_lock(&index->totals_lock);
        index->totals = totals;
        pthread_mutex_unlock(&index->totals_lock);
    } else {
        rw_sql_run(&index->db, "ROLLBACK", NULL);
    }
    pthread_mutex_unlock(&index->lock);
    return status;
}

void rw_index_totals(struct rw_index *index, struct rw_index_totals *out)
{
    pthread_mutex_lock(&index->totals_lock);
    *out = index->totals;
    pthread_mutex_unlock(&index->totals_lock);
}

rwkv_status rw_index_sum(struct rw_index *index, struct rw_index_totals *out, rwkv_error *err)
{
    sqlite3_stmt *q;
    struct rw_index_totals sum = {0};
    RW_TRY(rw_sql(&index->db, &q, err,
                  "SELECT named, count(*), total(bytes) FROM state GROUP BY named", ""));
    while (rw_sql_row(q)) {
        bool named = sqlite3_column_int(q, 0);
        *(named ? &sum.named : &sum.remembered) = (uint64_t)sqlite3_column_int64(q, 1);
        *(named ? &sum.named_bytes : &sum.remembered_bytes) = (uint64_t)sqlite3_column_double(q, 2);
    }
    RW_TRY(rw_sql_end(&index->db, q, err));
    *out = sum;
    return RWKV_OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

rwkv_status rw_index_find(struct rw_index *index, const struct rw_index_row *wanted, int64_t *id,
                          struct rw_file_id *file, rwkv_error *err)
{
    sqlite3_stmt *q;
    RW_TRY(rw_sql(&index->db, &q, err,
                  "SELECT id, file FROM state WHERE named = 0 AND model = ?1 AND owner = ?2 AND"
                  " n_tokens = ?3 AND tokens = ?4",
                  "bbib", wanted->key, (size_t)32, wanted->key + 32, (size_t)32,
                  (int64_t)wanted->n_tokens, wanted->tokens, (size_t)wanted->n_tokens * 4));
    *id = 0;
    if (rw_sql_row(q)) {
        const uint8_t *bytes = rw_sql_bytes(q, 1, sizeof file->bytes);
        if (bytes) {
            *id = sqlite3_column_int64(q, 0);
            memcpy(file->bytes, bytes, sizeof file->bytes);
        }
    }
    return rw_sql_end(&index->db, q, err);
}

rwkv_status rw_index_insert(struct rw_index *index, struct rw_index_row *row, rwkv_error *err)
{
    sqlite3_stmt *q;
    size_t state_size = row->state ? (size_t)row->state_bytes : 0;
    RW_TRY(rw_sql(&index->db, &q, err,
                  "INSERT INTO state(named, cold, used, bytes, state_bytes, n_tokens, created,"
                  " touched, expires, model, owner, file, name, tokens, data)"
                  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                  "iiiiiiiiibbbtbb", (int64_t)(row->name != NULL), (int64_t)row->cold,
                  (int64_t)row->used, (int64_t)row->bytes, (int64_t)row->state_bytes,
                  (int64_t)row->n_tokens, row->created, row->touched, row->expires, row->key,
                  (size_t)32, row->key + 32, (size_t)32, row->file.bytes, sizeof row->file.bytes,
                  row->name, row->tokens, row->tokens ? (size_t)row->n_tokens * 4 : 0, row->state,
                  state_size));
    rw_sql_row(q);
    RW_TRY(rw_sql_end(&index->db, q, err));
    row->id = sqlite3_last_insert_rowid(index->db.handle);
    return RWKV_OK;
}

rwkv_status rw_index_delete(struct rw_index *index, int64_t id, bool *was_there, rwkv_error *err)
{
    sqlite3_stmt *q;
    RW_TRY(rw_sql(&index->db, &q, err, "DELETE FROM state WHERE id = ?1", "i", id));
    rw_sql_row(q);
    RW_TRY(rw_sql_end(&index->db, q, err));
    *was_there = sqlite3_changes(index->db.handle) > 0;
    return RWKV_OK;
}

rwkv_status rw_index_touch(struct rw_index *index, const struct rw_touch *touches, size_t n,
                           rwkv_error *err)
{
    for (size_t i = 0; i < n; i++) {
        sqlite3_stmt *q;
        RW_TRY(rw_sql(&index->db, &q, err,
                      "UPDATE state SET used = max(used, ?1), cold = ?2 WHERE id = ?3", "iii",
                      (int64_t)touches[i].used, (int64_t)touches[i].cold, touches[i].id));
        rw_sql_row(q);
        RW_TRY(rw_sql_end(&index->db, q, err));
    }
    return RWKV_OK;
}

/* --- making room ------------------------------------------------------------------------------ */

void rw_removals_fini(struct rw_removals *removals)
{
    for (size_t i = 0; i < removals->n; i++)
        rw_free(removals->items[i].tokens);
    rw_free(removals->items);
    *removals = (struct rw_removals){0};
}

/* Note the row (id, file, model, owner, n_tokens, tokens) of a statement. */
static rwkv_status add_removed(struct rw_removals *removals, sqlite3_stmt *q, rwkv_error *err)
{
    struct rw_removed row = {.id = sqlite3_column_int64(q, 0)};
    row.n_tokens = (size_t)sqlite3_column_int64(q, 4);
    const uint8_t *file = rw_sql_bytes(q, 1, sizeof row.file.bytes);
    const uint8_t *model = rw_sql_bytes(q, 2, 32), *owner = rw_sql_bytes(q, 3, 32);
    const uint8_t *tokens = rw_sql_bytes(q, 5, row.n_tokens * 4);
    row.tokens = rw_alloc(row.n_tokens, sizeof *row.tokens);
    if (!row.tokens || !rw_grow((void **)&removals->items, removals->n, &removals->capacity,
                                sizeof *removals->items)) {
        rw_free(row.tokens);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to make room in a store");
    }
    if (file && model && owner && tokens) {
        memcpy(row.file.bytes, file, sizeof row.file.bytes);
        memcpy(row.key, model, 32);
        memcpy(row.key + 32, owner, 32);
        rw_store_tokens_read(tokens, row.n_tokens, row.tokens);
    } else {
        row.n_tokens = 0; /* changed by someone else; the row goes, there is no file of that name */
    }
    removals->items[removals->n++] = row;
    return RWKV_OK;
}

rwkv_status rw_index_shrink(struct rw_index *index, uint64_t limit, struct rw_removals *removals,
                            rwkv_error *err)
{
    struct rw_index_totals sum;
    sqlite3_stmt *q;
    RW_TRY(rw_index_sum(index, &sum, err));
    if (sum.named_bytes > limit)
        return rw_fail(err, RWKV_ERROR_IO,
                       "%s: no room: states kept by name take %llu bytes, %llu would be free for "
                       "them",
                       index->db.path, (unsigned long long)sum.named_bytes,
                       (unsigned long long)limit);
    uint64_t bytes = sum.named_bytes + sum.remembered_bytes;
    if (bytes <= limit)
        return RWKV_OK;
    size_t first = removals->n;
    rwkv_status status = RWKV_OK;
    RW_TRY(rw_sql(&index->db, &q, err,
                  "SELECT id, file, model, owner, n_tokens, tokens, bytes FROM state"
                  " WHERE named = 0 ORDER BY cold DESC, used, id",
                  ""));
    while (status == RWKV_OK && bytes > limit && rw_sql_row(q)) {
        bytes -= RW_MIN(bytes, (uint64_t)sqlite3_column_int64(q, 6));
        status = add_removed(removals, q, err);
    }
    if (status == RWKV_OK)
        status = rw_sql_end(&index->db, q, err);
    else
        sqlite3_finalize(q);
    bool was_there;
    for (size_t i = first; i < removals->n && status == RWKV_OK; i++)
        status = rw_index_delete(index, removals->items[i].id, &was_there, err);
    return status;
}

/* --- news ------------------------------------------------------------------------------------- */

static bool read_row(sqlite3_stmt *q, struct rw_index_row *row, uint8_t key[RW_STORE_KEY])
{
    int64_t n = sqlite3_column_int64(q, 3), bytes = sqlite3_column_int64(q, 2);
    if (n < 1 || bytes < 0)
        return false;
    *row = (struct rw_index_row){
        .id = sqlite3_column_int64(q, 0),
        .key = key,
        .n_tokens = (uint64_t)n,
        .bytes = (uint64_t)bytes,
        .used = (uint64_t)sqlite3_column_int64(q, 6),
        .cold = sqlite3_column_int(q, 7),
    };
    const uint8_t *file = rw_sql_bytes(q, 1, sizeof row->file.bytes);
    const uint8_t *model = rw_sql_bytes(q, 4, 32), *owner = rw_sql_bytes(q, 5, 32);
    row->tokens = rw_sql_bytes(q, 8, (size_t)n * 4);
    if (!file || !model || !owner || !row->tokens)
        return false; /* rw_index_check removes it when the folder is opened next */
    memcpy(row->file.bytes, file, sizeof row->file.bytes);
    memcpy(key, model, 32);
    memcpy(key + 32, owner, 32);
    return true;
}

rwkv_status rw_index_news(struct rw_index *index,
                          void (*take)(void *user, const struct rw_index_row *row), void *user,
                          rwkv_error *err)
{
    if (!index->on_disk)
        return RWKV_OK;
    rw_sql_row(index->version);
    int64_t version = sqlite3_column_int64(index->version, 0);
    sqlite3_reset(index->version);
    if (version == index->seen_version)
        return RWKV_OK;
    sqlite3_bind_int64(index->newer, 1, index->seen_id);
    while (rw_sql_row(index->newer)) {
        struct rw_index_row row;
        uint8_t key[RW_STORE_KEY];
        index->seen_id = sqlite3_column_int64(index->newer, 0);
        if (!read_row(index->newer, &row, key))
            continue;
        index->seen_used = RW_MAX(index->seen_used, row.used);
        take(user, &row);
    }
    if (sqlite3_reset(index->newer) != SQLITE_OK)
        return rw_fail(err,
                       (sqlite3_errcode(index->news.handle) & 0xff) == SQLITE_CORRUPT
                           ? RWKV_ERROR_FORMAT
                           : RWKV_ERROR_IO,
                       "%s: %s", index->news.path, sqlite3_errmsg(index->news.handle));
    index->seen_version = version;
    return RWKV_OK;
}

rwkv_status rw_index_numbers(struct rw_index *index, void (*take)(void *user, int64_t id),
                             void *user, rwkv_error *err)
{
    sqlite3_stmt *q;
    RW_TRY(rw_sql(&index->news, &q, err, "SELECT id FROM state WHERE named = 0 ORDER BY id", ""));
    while (rw_sql_row(q))
        take(user, sqlite3_column_int64(q, 0));
    return rw_sql_end(&index->news, q, err);
}
