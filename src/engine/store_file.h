/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a store: what they hold, and the one folder beneath which they are.
 *
 * A file has a name of 16 random bytes in hexadecimal, never one from outside. It is written under
 * NAME.tmp, locked meanwhile so that others know it is not left over, and takes NAME.state when the
 * index takes it up, inside the same transaction.
 */
#ifndef RW_ENGINE_STORE_FILE_H
#define RW_ENGINE_STORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

#define RW_STORE_KEY 64 /* bytes: the model's fingerprint, the owner */

struct rw_file_id {
    uint8_t bytes[16];
};

/* --- contents --------------------------------------------------------------------------------- */

/* What a file is about. Pointers are borrowed. */
struct rw_store_content {
    const uint8_t *key;    /* [RW_STORE_KEY] */
    const uint8_t *tokens; /* [n_tokens] int32, little-endian; none with a named state */
    size_t n_tokens;
    const uint8_t *state; /* as state_file.c writes it, which has its own check */
    size_t state_size;
};

/* Bytes before the state. */
size_t rw_store_head_size(size_t n_tokens);
void rw_store_head_write(const struct rw_store_content *content, uint8_t *to);
/* Check everything but the state, and say where things are in `bytes`. */
rwkv_status rw_store_content_read(const void *bytes, size_t size, const char *name,
                                  struct rw_store_content *out, rwkv_error *err);
/* The tokens to and from their bytes. */
void rw_store_tokens_write(const int32_t *tokens, size_t n, uint8_t *to);
void rw_store_tokens_read(const uint8_t *from, size_t n, int32_t *tokens);

/* --- the folder ------------------------------------------------------------------------------- */

struct rw_folder {
    int fd;
    char *path; /* without links */
};

/* A file that is being written. */
struct rw_pending {
    int fd;
    struct rw_file_id id;
    bool full; /* writing failed for want of room */
};

/* Make it if need be. */
rwkv_status rw_folder_open(struct rw_folder *folder, const char *path, rwkv_error *err);
void rw_folder_close(struct rw_folder *folder);
/* "…/0123….state", for messages. */
void rw_folder_name(const struct rw_folder *folder, const struct rw_file_id *id, char out[512]);

/* Write a file that has not its name yet; with `sync` it is on the disk. */
rwkv_status rw_folder_write(const struct rw_folder *folder, const struct rw_store_content *content,
                            bool sync, struct rw_pending *out, rwkv_error *err);
/* Give it its name. */
rwkv_status rw_folder_place(const struct rw_folder *folder, const struct rw_pending *pending,
                            rwkv_error *err);
/* After placing it, or to give it up. */
void rw_folder_finish(const struct rw_folder *folder, struct rw_pending *pending);
/* A second name for a file; false where that cannot be had. */
bool rw_folder_link(const struct rw_folder *folder, const struct rw_file_id *from,
                    struct rw_file_id *to);
/* The names that files were given are on the disk. */
rwkv_status rw_folder_sync(const struct rw_folder *folder, rwkv_error *err);
/* Read a whole file of at most `most` bytes; `out` goes back through rw_free. *gone: there is none
 * of that name. */
rwkv_status rw_folder_read(const struct rw_folder *folder, const struct rw_file_id *id, size_t most,
                           uint8_t **out, size_t *size, bool *gone, rwkv_error *err);
void rw_folder_remove(const struct rw_folder *folder, const struct rw_file_id *id);
/* Keep a file under NAME.damaged, for people to look at. */
void rw_folder_set_aside(const struct rw_folder *folder, const struct rw_file_id *id);
/* Remove files left over by processes that were killed: temporary ones that none is writing, and
 * those of which `known` says that the index does not know them. */
void rw_folder_clean(const struct rw_folder *folder,
                     bool (*known)(void *user, const struct rw_file_id *id), void *user);

#endif
