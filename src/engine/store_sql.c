/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/store_sql.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define WAIT_MS 10000 /* for another process to finish its transaction */

/* The failure that SQLite tells of last. */
static rwkv_status fail(struct rw_sql *db, rwkv_error *err)
{
    int code = sqlite3_errcode(db->handle) & 0xff;
    rwkv_status status = code == SQLITE_NOMEM                                ? RWKV_ERROR_MEMORY
                         : code == SQLITE_CORRUPT || code == SQLITE_NOTADB   ? RWKV_ERROR_FORMAT
                         : code == SQLITE_ERROR || code == SQLITE_CONSTRAINT ? RWKV_ERROR_FORMAT
                                                                             : RWKV_ERROR_IO;
    if (code == SQLITE_FULL)
        db->full = true;
    rw_fail(err, status, "%s: %s", db->path, sqlite3_errmsg(db->handle));
    return status;
}

rwkv_status rw_sql_open(struct rw_sql *db, const char *path, rwkv_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_EXRESCODE | (path ? SQLITE_OPEN_NOFOLLOW : 0);
    db->handle = NULL;
    db->full = false;
    db->path = rw_strdup(path ? path : "index in memory");
    if (!db->path)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the index of a store");
    if (sqlite3_open_v2(path ? path : ":memory:", &db->handle, flags, NULL) != SQLITE_OK) {
        rwkv_status status =
            db->handle ? fail(db, err) : rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path);
        rw_sql_close(db);
        return status;
    }
    sqlite3_busy_timeout(db->handle, WAIT_MS);
    /* The file may have been made by others: nothing in it is executed. */
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    return RWKV_OK;
}

void rw_sql_close(struct rw_sql *db)
{
    sqlite3_close(db->handle);
    rw_free(db->path);
    db->handle = NULL;
    db->path = NULL;
}

static int bind(sqlite3_stmt *statement, int at, char type, va_list *values)
{
    if (type == 'i')
        return sqlite3_bind_int64(statement, at, va_arg(*values, int64_t));
    if (type == 't')
        return sqlite3_bind_text(statement, at, va_arg(*values, const char *), -1, SQLITE_STATIC);
    const void *bytes = va_arg(*values, const void *);
    size_t size = va_arg(*values, size_t);
    return sqlite3_bind_blob64(statement, at, bytes, size, SQLITE_STATIC);
}

rwkv_status rw_sql(struct rw_sql *db, sqlite3_stmt **out, rwkv_error *err, const char *text,
                   const char *types, ...)
{
    va_list values;
    if (sqlite3_prepare_v2(db->handle, text, -1, out, NULL) != SQLITE_OK)
        return fail(db, err);
    int code = SQLITE_OK;
    va_start(values, types);
    for (int i = 0; types[i] && code == SQLITE_OK; i++)
        code = bind(*out, i + 1, types[i], &values);
    va_end(values);
    if (code == SQLITE_OK)
        return RWKV_OK;
    rwkv_status status = fail(db, err);
    sqlite3_finalize(*out);
    return status;
}

bool rw_sql_row(sqlite3_stmt *statement)
{
    return sqlite3_step(statement) == SQLITE_ROW;
}

rwkv_status rw_sql_end(struct rw_sql *db, sqlite3_stmt *statement, rwkv_error *err)
{
    return sqlite3_finalize(statement) == SQLITE_OK ? RWKV_OK : fail(db, err);
}

rwkv_status rw_sql_run(struct rw_sql *db, const char *text, rwkv_error *err)
{
    if (sqlite3_exec(db->handle, text, NULL, NULL, NULL) == SQLITE_OK)
        return RWKV_OK;
    return fail(db, err);
}

const uint8_t *rw_sql_bytes(sqlite3_stmt *statement, int column, size_t size)
{
    if (sqlite3_column_type(statement, column) != SQLITE_BLOB ||
        (size_t)sqlite3_column_bytes(statement, column) != size)
        return NULL;
    return sqlite3_column_blob(statement, column);
}
