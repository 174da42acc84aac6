/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file mapped for reading. Only regular files; a directory, a pipe, a missing or an unreadable
 * file is an error that names it. The file must not be truncated while mapped.
 */
#ifndef RW_BASE_MAP_H
#define RW_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_map {
    const uint8_t *data; /* NULL when the file is empty */
    size_t size;
};

rwkv_status rw_map_open(struct rw_map *map, const char *path, rwkv_error *err);
void rw_map_close(struct rw_map *map);

/* n bytes at p, which may lie elsewhere, will not be read soon: pages that lie wholly among them
 * need not stay resident. */
void rw_map_forget(const struct rw_map *map, const void *p, size_t n);

/* Read a small file whole into fresh memory (terminated by a zero byte that *size leaves out). */
rwkv_status rw_read_file(const char *path, size_t limit, char **out, size_t *size, rwkv_error *err);

#endif
