/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a store: a SQLite database that says which files there are and what they are about.
 * In a folder it is in WAL mode: what is committed survives the death of the process, and with
 * `durable` that of the machine; several processes use it at once. Without a folder it is in memory
 * and holds the named states themselves.
 *
 *     RW_TRY(rw_index_begin(index, durable, err));          // locks the index, for all processes
 *     status = rw_index_insert(index, &row, err);
 *     status = rw_index_end(index, status, err);            // commits if all went well, unlocks
 *
 * News from other processes come through a connection of their own, under the caller's lock, which
 * never waits for a transaction.
 */
#ifndef RW_ENGINE_STORE_INDEX_H
#define RW_ENGINE_STORE_INDEX_H

#include <pthread.h>

#include "engine/store_file.h"
#include "engine/store_sql.h"

/* A state, remembered (name NULL) or named. Pointers are borrowed. */
struct rw_index_row {
    int64_t id; /* ascending in the order of commits; 0: none */
    struct rw_file_id file;
    const uint8_t *key; /* [RW_STORE_KEY] */
    const char *name;
    const uint8_t *tokens; /* of a remembered state: [n_tokens] int32, little-endian */
    uint64_t n_tokens;     /* of a named state: its position */
    uint64_t bytes;        /* of the file, or of `state` */
    uint64_t state_bytes;
    uint64_t used; /* the store's clock */
    bool cold;
    int64_t created, touched, expires; /* of a named state, seconds; expires 0: never */
    const void *state;                 /* without a folder: the named state itself */
};

struct rw_index_totals {
    uint64_t remembered, remembered_bytes, named, named_bytes;
};

/* A row that was deleted, whose file is to be removed after the commit. */
struct rw_removed {
    int64_t id;
    struct rw_file_id file;
    uint8_t key[RW_STORE_KEY];
    int32_t *tokens; /* [n_tokens], owned; NULL: it was named */
    size_t n_tokens;
};

struct rw_removals {
    struct rw_removed *items;
    size_t n, capacity;
};

/* A hit to be noted. */
struct rw_touch {
    int64_t id;
    uint64_t used;
    bool cold;
};

struct rw_index {
    pthread_mutex_t lock;
    struct rw_sql db;
    bool on_disk;
    pthread_mutex_t totals_lock;   /* held for a moment only */
    struct rw_index_totals totals; /* as of the last transaction */
    struct rw_sql news;
    sqlite3_stmt *version, *newer;
    int64_t seen_version, seen_id;
    uint64_t seen_used; /* the largest of rows that were read */
};

/* Open or make it in the folder (nullable). */
rwkv_status rw_index_open(struct rw_index *index, const struct rw_folder *folder, rwkv_error *err);
void rw_index_close(struct rw_index *index);

/* Delete rows that make no sense; *n: how many. */
rwkv_status rw_index_check(struct rw_index *index, uint64_t *n, rwkv_error *err);
/* Inside a transaction: whether a file is known, true where that cannot be said. */
bool rw_index_knows(struct rw_index *index, const struct rw_file_id *file);

rwkv_status rw_index_begin(struct rw_index *index, bool durable, rwkv_error *err);
/* Commit if `status` is RWKV_OK, else roll back and return it. */
rwkv_status rw_index_end(struct rw_index *index, rwkv_status status, rwkv_error *err);

/* The following are called inside a transaction. */

/* The remembered state of just these tokens; *id 0: there is none. */
rwkv_status rw_index_find(struct rw_index *index, const struct rw_index_row *wanted, int64_t *id,
                          struct rw_file_id *file, rwkv_error *err);
/* row->id is set. */
rwkv_status rw_index_insert(struct rw_index *index, struct rw_index_row *row, rwkv_error *err);
rwkv_status rw_index_delete(struct rw_index *index, int64_t id, bool *was_there, rwkv_error *err);
rwkv_status rw_index_touch(struct rw_index *index, const struct rw_touch *touches, size_t n,
                           rwkv_error *err);
/* Delete remembered states until all take at most `limit` bytes. Fails where named ones alone take
 * more. */
rwkv_status rw_index_shrink(struct rw_index *index, uint64_t limit, struct rw_removals *removals,
                            rwkv_error *err);
/* The bytes of all states. */
rwkv_status rw_index_sum(struct rw_index *index, struct rw_index_totals *out, rwkv_error *err);

/* The last sums, without waiting for a transaction. */
void rw_index_totals(struct rw_index *index, struct rw_index_totals *out);

void rw_removals_fini(struct rw_removals *removals);

/* Under the caller's lock: hand over remembered states that were not handed over before. The first
 * time, those are all. */
rwkv_status rw_index_news(struct rw_index *index,
                          void (*take)(void *user, const struct rw_index_row *row), void *user,
                          rwkv_error *err);
/* Likewise: hand over the numbers of all remembered states, ascending. */
rwkv_status rw_index_numbers(struct rw_index *index, void (*take)(void *user, int64_t id),
                             void *user, rwkv_error *err);

#endif
