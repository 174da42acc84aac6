/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite as the store's index uses it: one database, statements with their values given in the
 * call, and results as statuses. A connection is used under its owner's lock.
 *
 *     struct sqlite3_stmt *q;
 *     RW_TRY(rw_sql(&db, &q, err, "SELECT file FROM state WHERE id = ?1", "i", id));
 *     while (rw_sql_row(q))
 *         use(sqlite3_column_blob(q, 0));
 *     RW_TRY(rw_sql_end(&db, q, err));
 */
#ifndef RW_ENGINE_STORE_SQL_H
#define RW_ENGINE_STORE_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "rwkv.h"

struct rw_sql {
    sqlite3 *handle;
    char *path;        /* for messages */
    _Atomic bool full; /* something failed for want of room on the disk */
};

/* Open a database, or with path NULL one in memory. */
rwkv_status rw_sql_open(struct rw_sql *db, const char *path, rwkv_error *err);
void rw_sql_close(struct rw_sql *db);

/* Prepare a statement and bind its values, one a letter: i int64_t, t const char * (nullable), b
 * const void * and size_t. Texts and bytes are borrowed until the statement ends. */
rwkv_status rw_sql(struct rw_sql *db, sqlite3_stmt **out, rwkv_error *err, const char *text,
                   const char *types, ...);
/* Whether there is a next row. False at the end and on failure, of which rw_sql_end tells. */
bool rw_sql_row(sqlite3_stmt *statement);
rwkv_status rw_sql_end(struct rw_sql *db, sqlite3_stmt *statement, rwkv_error *err);
/* A statement without values or rows. */
rwkv_status rw_sql_run(struct rw_sql *db, const char *text, rwkv_error *err);
/* A column's bytes if it has just so many, else NULL. */
const uint8_t *rw_sql_bytes(sqlite3_stmt *statement, int column, size_t size);

#endif
