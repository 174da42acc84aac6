/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_store.h: states that were made once and need not be made again.
 *
 * A store keeps states in two ways, for any number of models and owners:
 *
 * - *Remembered* ones belong to the tokens that led to them. Before a prompt is evaluated, the
 *   longest beginning of it that is remembered is found and copied into the session; what follows
 *   is evaluated and remembered in its turn:
 *
 *       size_t found;
 *       rwkv_store_find(store, session, &owner, tokens, n, &found, NULL);
 *       if (rwkv_session_eval(session, tokens + found, n - found, &err) == RWKV_OK)
 *           rwkv_store_put(store, session, &owner, tokens, n, NULL);
 *
 *   They are a cache: bounded in bytes, forgotten when room is needed. Logits are kept with the
 *   states, so where all n tokens are found nothing is evaluated. Results are the same to the bit
 *   with a store and without. A state is only ever found by the very tokens it was put with.
 *
 * - *Named* ones are kept until they are removed or their time is over:
 *
 *       rwkv_store_save(store, session, &owner, "after-the-manual", NULL, &err);
 *       rwkv_store_load(store, session, &owner, "after-the-manual", &err);
 *
 * With a folder, remembered states for which there is no memory go to disk, in a thread of the
 * store's own, and come back when they are found again, also after a restart; named states are on
 * the disk, synced, before rwkv_store_save returns. Several processes may have stores in one folder
 * and find what the others wrote. A process killed at any moment loses nothing named, and leaves a
 * folder that works. Files damaged on disk, or put there by others, are refused and forgotten.
 *
 * Owners never see one another's states: an owner is 32 bytes of the caller's choice, for example a
 * hash of an API key. Sessions that did not begin with the zero state but with some given state are
 * kept apart by an owner that depends on that state too, for example by a hash of both.
 *
 * All functions may be called from any thread; a session, as ever, is used by one at a time.
 */
#ifndef RWKV_STORE_H
#define RWKV_STORE_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rwkv_store rwkv_store;

/* Whose a state is. */
typedef struct rwkv_owner {
    uint8_t id[32];
} rwkv_owner;

typedef struct rwkv_store_options {
    const char *folder;    /* made if need be, with its files closed to other users; NULL: nothing
                              goes to disk */
    uint64_t memory_bytes; /* for remembered states and all that goes with them, and for named ones
                              without a folder; 0: 1 GiB */
    uint64_t disk_bytes;   /* for files of states, together with those of the other processes that
                              share the folder; 0: 16 GiB */
    int share;             /* write each remembered state at once, that other processes find it;
                              else only what memory has no room for, and all of it at the end */
    int64_t (*now)(void *user); /* seconds since 1970; NULL: the system's clock. Tells named states
                                   their times, and nothing else */
    void *user;
} rwkv_store_options;

/* Open a store; `options` (nullable) are copied. Fails if the folder cannot be written (RWKV_ERROR_
 * IO), or if its index is not ours or damaged (RWKV_ERROR_FORMAT), which is then left as it was. */
RWKV_API rwkv_status rwkv_store_open(const rwkv_store_options *options, rwkv_store **out,
                                     rwkv_error *err);

/* With a folder, write what is only remembered in memory, as the disk has room; then free. */
RWKV_API void rwkv_store_close(rwkv_store *store);

/* With a folder, write what is only remembered in memory, but for what is superfluous (see
 * rwkv_store_put), and wait for it. Fails if some of it could
 * not be written; that stays in memory. */
RWKV_API rwkv_status rwkv_store_flush(rwkv_store *store, rwkv_error *err);

/* --- states remembered by their tokens -------------------------------------------------------- */

/* Copy the state of the longest remembered beginning of `tokens` [n_tokens] into the session: its
 * logits and position too. *found is the number of tokens that it has seen; 0: none is remembered,
 * and the session is as it was. Waits for the disk where the state is only there. What cannot be
 * read is forgotten, counted, and a shorter one taken. Fails only for want of memory. */
RWKV_API rwkv_status rwkv_store_find(rwkv_store *store, rwkv_session *session,
                                     const rwkv_owner *owner, const int32_t *tokens,
                                     size_t n_tokens, size_t *found, rwkv_error *err);

/* Remember the session's state as what these tokens [n_tokens], at least one, lead to: from the
 * zero state, or from one that the owner stands for. It is copied; writing it is left to the
 * store's thread. Nothing happens if these tokens are remembered already, but that they count as
 * used. Fails for a session that has seen fewer tokens or has no logits (RWKV_ERROR_ARGUMENT), for
 * want of memory, or if the state alone is larger than the store's memory (RWKV_ERROR_MEMORY).
 *
 * Where memory or disk is short, those go first that a longer one on the same path makes
 * superfluous, then those not used for longest. Of a path that grows, those stay that were used
 * since they were followed by a longer one, those where paths part, the last three, and of the
 * older ones so many that to go back by n tokens never takes more than about n tokens. */
RWKV_API rwkv_status rwkv_store_put(rwkv_store *store, const rwkv_session *session,
                                    const rwkv_owner *owner, const int32_t *tokens, size_t n_tokens,
                                    rwkv_error *err);

/* --- states kept by name ---------------------------------------------------------------------- */

/* A name has 1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-'. Wherever there is no state of
 * a given name, or its time is over: RWKV_ERROR_NOT_FOUND. */

typedef struct rwkv_store_save_options {
    int64_t seconds; /* after which it is removed; 0: never */
    int exclusive;   /* fail (RWKV_ERROR_EXISTS) if there is one of this name; else replace it */
} rwkv_store_save_options;

/* Keep the session's state; `options` is nullable. Remembered states make room for named ones. If
 * it fails, a state that had the name before is still there. */
RWKV_API rwkv_status rwkv_store_save(rwkv_store *store, const rwkv_session *session,
                                     const rwkv_owner *owner, const char *name,
                                     const rwkv_store_save_options *options, rwkv_error *err);

/* Make the session what was saved. A state of another model is refused (RWKV_ERROR_STATE). One that
 * turns out to be damaged is not listed any more (RWKV_ERROR_FORMAT); its file is set aside. On
 * failure the session is as it was. */
RWKV_API rwkv_status rwkv_store_load(rwkv_store *store, rwkv_session *session,
                                     const rwkv_owner *owner, const char *name, rwkv_error *err);

/* Keep a second state `to` with the contents of `from`; on disk they share a file where the file
 * system can do that. */
RWKV_API rwkv_status rwkv_store_copy(rwkv_store *store, const rwkv_owner *owner, const char *from,
                                     const char *to, const rwkv_store_save_options *options,
                                     rwkv_error *err);

RWKV_API rwkv_status rwkv_store_remove(rwkv_store *store, const rwkv_owner *owner, const char *name,
                                       rwkv_error *err);

/* A named state. Times are seconds since 1970. */
typedef struct rwkv_store_state {
    char name[129];
    char fingerprint[65]; /* of the model, as in rwkv_model_info */
    uint64_t tokens;      /* position of the session */
    uint64_t bytes;       /* of the saved state, as rwkv_session_state_size says */
    int64_t created;
    int64_t used;    /* saved or loaded last */
    int64_t expires; /* 0: never */
} rwkv_store_state;

/* The owner's named states in the order of their names. Stores at most `capacity` in `states`
 * (nullable when capacity is 0) and sets *n to how many there are. */
RWKV_API rwkv_status rwkv_store_list(rwkv_store *store, const rwkv_owner *owner,
                                     rwkv_store_state *states, size_t capacity, size_t *n,
                                     rwkv_error *err);

/* What is known of one of them. */
RWKV_API rwkv_status rwkv_store_get_state(rwkv_store *store, const rwkv_owner *owner,
                                          const char *name, rwkv_store_state *state,
                                          rwkv_error *err);

/* --- what it did ------------------------------------------------------------------------------ */

typedef struct rwkv_store_stats {
    uint64_t hits;           /* finds that found something */
    uint64_t misses;         /* finds that did not */
    uint64_t disk_hits;      /* hits read from disk */
    uint64_t tokens_saved;   /* found in all hits */
    uint64_t memory_bytes;   /* in use: states, logits, tokens and the tree that holds them */
    uint64_t memory_limit;   /* as in the options */
    uint64_t disk_bytes;     /* files of remembered and named states, of all processes */
    uint64_t disk_limit;     /* as in the options */
    uint64_t memory_entries; /* remembered states in memory */
    uint64_t disk_entries;   /* remembered states on disk; some are in memory too */
    uint64_t leaving;        /* remembered states on their way to disk now */
    uint64_t named;          /* states kept by name */
    uint64_t evictions;      /* remembered states that left the memory */
    uint64_t dropped;        /* among them, those that are not on disk either */
    uint64_t disk_evictions; /* remembered states removed from disk for want of room */
    uint64_t damaged;        /* files and entries of the index refused */
    uint64_t failures;       /* of writing and reading, for example on a full disk */
    char message[500];       /* the last damage or failure, or "" */
} rwkv_store_stats;

RWKV_API void rwkv_store_get_stats(rwkv_store *store, rwkv_store_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
