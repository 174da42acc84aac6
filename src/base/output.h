/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file written whole or not at all: bytes go to an unnamed (where the system can) or temporary
 * file in the same directory, which takes the real name only in rw_output_commit, after fsync.
 *
 *     struct rw_output *o;
 *     RW_TRY(rw_output_open(&o, path, err));
 *     status = rw_output_write(o, bytes, n, err);
 *     if (status == RWKV_OK) return rw_output_commit(o, err);   // frees o, also on failure
 *     rw_output_discard(o);
 */
#ifndef RW_BASE_OUTPUT_H
#define RW_BASE_OUTPUT_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_output;

rwkv_status rw_output_open(struct rw_output **out, const char *path, rwkv_error *err);
rwkv_status rw_output_write(struct rw_output *o, const void *bytes, size_t n, rwkv_error *err);
/* Zeros up to the next multiple of `alignment`. */
rwkv_status rw_output_align(struct rw_output *o, size_t alignment, rwkv_error *err);
/* Overwrite n bytes at an absolute position already written. */
rwkv_status rw_output_patch(struct rw_output *o, uint64_t at, const void *bytes, size_t n,
                            rwkv_error *err);
/* Everything so far onto the disk: of two files that belong together, neither takes its name before
 * both are safe. */
rwkv_status rw_output_sync(struct rw_output *o, rwkv_error *err);
uint64_t rw_output_position(const struct rw_output *o);
rwkv_status rw_output_commit(struct rw_output *o, rwkv_error *err);
void rw_output_discard(struct rw_output *o); /* NULL is fine */

/* All n bytes, however the system cuts and interrupts the writing; false: errno says why not. */
bool rw_write_all(int fd, const uint8_t *bytes, size_t n);

/* Make a folder unless it is there; either way its name reaches the disk. */
rwkv_status rw_folder_make(const char *path, rwkv_error *err);
/* Names that were added to a folder, or taken from it, reach the disk where the file system can do
 * that. */
void rw_folder_sync_path(const char *path);

#endif
