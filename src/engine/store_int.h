/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store from the inside.
 *
 * Remembered states are the values of radix trees, one tree for each model and owner. A state is in
 * memory (a snapshot), on disk (a row of the index and a file), or both. Those in memory are each
 * in one list, by which it is decided what leaves first.
 *
 * Two locks. `lock` is around all that is in memory; states are copied, read and written outside of
 * it. The index has its own; `lock` may be taken inside it, not the other way round.
 */
#ifndef RW_ENGINE_STORE_INT_H
#define RW_ENGINE_STORE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "engine/store.h"
#include "engine/store_file.h"
#include "engine/store_index.h"
#include "engine/store_tree.h"

/* Hits that the index may not know of before the writer is woken to tell it. */
#define RW_MAX_TOUCHES 1024

/* A state's bytes, shared by those who read them: as rw_state_pack makes them, or as they were read
 * from a file, in whose bytes they then are. */
struct rw_snapshot {
    _Atomic size_t references;
    uint8_t *block; /* owned */
    size_t block_size;
    uint8_t *state; /* in the block */
    size_t state_size;
};

/* The tree of one model and owner. */
struct rw_space {
    uint8_t key[RW_STORE_KEY];
    struct rw_tree tree;
    size_t n_entries;
};

/* Where an entry stands. With a folder, snapshots go from DIRTY by LEAVING and WRITING to CLEAN; a
 * longer one on the same path may make them COLD. */
enum rw_list {
    RW_LIST_COLD,    /* superfluous: leave first, and are not written for that */
    RW_LIST_CLEAN,   /* on disk too */
    RW_LIST_DIRTY,   /* only in memory */
    RW_LIST_LEAVING, /* the same, and wait for the thread that writes */
    RW_LIST_DISK,    /* only on disk */
    RW_LIST_COUNT,
    RW_LIST_WRITING, /* being written; in no list */
    RW_LIST_NONE     /* new */
};

struct rw_entry {
    struct rw_space *space;
    struct rw_tree_node *node;
    struct rw_snapshot *snapshot; /* NULL: only on disk */
    int64_t row;                  /* 0: only in memory */
    struct rw_file_id file;
    uint64_t file_bytes;
    uint64_t used; /* by the store's clock */
    bool again;    /* used since it was followed by a longer one */
    bool cold;     /* superfluous */
    enum rw_list list;
    struct rw_entry *next, *previous;
};

struct rw_entries {
    struct rw_entry *first, *last; /* CLEAN, DIRTY: by `used`; the others as they came */
    size_t n;
    uint64_t bytes;
};

struct rwkv_store {
    rwkv_store_options options; /* limits are set */
    struct rw_folder folder;    /* fd -1: none */
    struct rw_index index;
    bool has_index;

    pthread_mutex_t lock;
    struct rw_space **spaces; /* [n_spaces], ascending by key */
    size_t n_spaces, spaces_capacity;
    struct rw_entries lists[RW_LIST_COUNT];
    uint64_t bytes;       /* of what is remembered in memory */
    uint64_t named_bytes; /* without a folder: of states kept by name */
    uint64_t n_rows;      /* entries that are on disk */
    uint64_t clock;
    struct rw_touch *touches; /* [n_touches]: what the index does not know of yet */
    size_t n_touches, touches_capacity;
    rwkv_store_stats stats; /* counters and the message */

    pthread_t writer;
    bool has_writer, stop;
    bool writing;
    bool failing;        /* the last write failed */
    pthread_cond_t work; /* for the writer: there is something to do */
    pthread_cond_t idle; /* LEAVING has become empty and nothing is being written */
};

/* store.c */
static inline bool rw_store_on_disk(const struct rwkv_store *store)
{
    return store->folder.fd >= 0;
}
/* The key of a session's model and an owner. */
void rw_store_key(const struct rwkv_session *session, const rwkv_owner *owner,
                  uint8_t key[RW_STORE_KEY]);
/* Keep the message of a failure, or of damage. Takes the lock. */
void rw_store_note(struct rwkv_store *store, bool damage, const rwkv_error *err);

/* store_memory.c: all with the lock held */
struct rw_snapshot *rw_snapshot_new(size_t state_size);
void rw_snapshot_retain(struct rw_snapshot *snapshot);
void rw_snapshot_release(struct rw_snapshot *snapshot); /* needs no lock; NULL is fine */
struct rw_space *rw_store_space(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY]);
/* The entry of just these tokens; NULL if there is none. */
struct rw_entry *rw_store_entry(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY],
                                const int32_t *tokens, size_t n);
/* The same, made if need be; NULL: no memory. A new one has neither snapshot nor row: give it one.
 */
struct rw_entry *rw_store_add_entry(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY],
                                    const int32_t *tokens, size_t n);
/* Free an entry that has neither snapshot nor row. */
void rw_store_drop_entry(struct rwkv_store *store, struct rw_entry *entry);
/* Give an entry that has none a snapshot; a reference is taken over. */
void rw_store_attach(struct rwkv_store *store, struct rw_entry *entry,
                     struct rw_snapshot *snapshot);
/* The entry is (row not 0) or is not any more on disk. Without a snapshot it is then freed. */
void rw_store_set_row(struct rwkv_store *store, struct rw_entry *entry, int64_t row,
                      const struct rw_file_id *file, uint64_t file_bytes);
/* The entry was found or put again. */
void rw_store_use(struct rwkv_store *store, struct rw_entry *entry);
/* A new entry: those above it may have become superfluous. */
void rw_store_thin(struct rwkv_store *store, const struct rw_entry *entry);
/* Bring memory within its limit, `keep` (nullable) being the last to leave, and send to the writer
 * what will have to leave soon. */
void rw_store_make_room(struct rwkv_store *store, struct rw_entry *keep);
/* Put an entry where it belongs now. */
void rw_store_place(struct rwkv_store *store, struct rw_entry *entry, enum rw_list list);
void rw_store_fini_memory(struct rwkv_store *store);

/* store_disk.c */
/* Take up what other processes have written, with the lock held. */
rwkv_status rw_store_news(struct rwkv_store *store, rwkv_error *err);
/* Write a state and take it up in the index: whole or not at all. row->id, file and bytes are set.
 * A remembered state that is there already is not written again. For a named one `exclusive` as in
 * the options. */
rwkv_status rw_store_write(struct rwkv_store *store, struct rw_index_row *row,
                           const struct rw_store_content *content, bool exclusive, rwkv_error *err);
/* Read and check the file of a row: its file, bytes, key, name and n_tokens. *content is in *block,
 * which goes back through rw_free. *gone: it is not there. */
rwkv_status rw_store_read(struct rwkv_store *store, const struct rw_index_row *row, uint8_t **block,
                          struct rw_store_content *content, bool *gone, rwkv_error *err);
/* A file is damaged or gone: delete its row. *was_there: the row was. */
void rw_store_forget_file(struct rwkv_store *store, int64_t row, const struct rw_file_id *file,
                          bool set_aside, bool *was_there);
/* Rows were deleted: remove their files and what the trees know of them. */
void rw_store_removed(struct rwkv_store *store, struct rw_removals *removals);
/* Inside a transaction: the named state is or would be replaced. */
rwkv_status rw_store_replace(struct rwkv_store *store, const struct rw_index_row *row,
                             bool exclusive, struct rw_removals *removals, rwkv_error *err);
/* Forget states that other processes have removed from disk, if there may be many. */
void rw_store_sweep(struct rwkv_store *store);
/* Write to the index what was used. */
rwkv_status rw_store_write_touches(struct rwkv_store *store, rwkv_error *err);
/* Remove what was left over by others. */
rwkv_status rw_store_clean(struct rwkv_store *store, rwkv_error *err);

/* store_writer.c */
rwkv_status rw_store_start_writer(struct rwkv_store *store, rwkv_error *err);
void rw_store_stop_writer(struct rwkv_store *store);

#endif
