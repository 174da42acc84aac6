/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers of tensors. A reader maps the file, checks everything the format promises, and lists
 * tensors (views into the map) and metadata; it knows nothing of models. A writer is given the
 * whole list first, then the data of each tensor in turn. Adding a format is one file and one line
 * in the table of format.c.
 *
 *     struct rw_file *f;
 *     RW_TRY(rw_file_open(&f, path, err));
 *     for (size_t i = 0; i < f->n_tensors; i++) use(f->tensors[i].name, &f->tensors[i].tensor);
 *     rw_file_close(f);
 *
 * Hostile input: every error is a status and a message "FILE: place: what was wanted, what was
 * found"; no allocation is larger than a small multiple of the file's size.
 */
#ifndef RW_FORMATS_FORMAT_H
#define RW_FORMATS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/str.h"
#include "rwkv.h"
#include "tensor/tensor.h"

/* --- metadata --- */

/* The numbers are GGUF's value types. */
enum rw_meta_type {
    RW_META_U8,
    RW_META_I8,
    RW_META_U16,
    RW_META_I16,
    RW_META_U32,
    RW_META_I32,
    RW_META_F32,
    RW_META_BOOL,
    RW_META_STRING,
    RW_META_ARRAY,
    RW_META_U64,
    RW_META_I64,
    RW_META_F64
};

struct rw_bytes {
    const char *data; /* borrowed, not terminated */
    size_t size;
};

struct rw_meta {
    const char *key; /* owned by the file's arena of strings, terminated */
    enum rw_meta_type type;
    union {
        uint64_t u;        /* U8 … U64, BOOL */
        int64_t i;         /* I8 … I64 */
        double f;          /* F32, F64 */
        struct rw_bytes s; /* STRING */
    } value;
    enum rw_meta_type item; /* ARRAY: the type of its items, never ARRAY */
    size_t count;           /* ARRAY */
    struct rw_bytes items;  /* ARRAY: the items as GGUF stores them: little-endian numbers one after
                               the other, or strings as u64 length + bytes; bounds checked */
};

/* Walks an array of strings: start with *at = 0; false at the end. */
bool rw_meta_next_string(const struct rw_meta *array, size_t *at, struct rw_bytes *out);

/* The value as a number, if it has a fitting type; `meta` may be NULL. */
bool rw_meta_u64(const struct rw_meta *meta, uint64_t *out); /* any integer ≥ 0 */
bool rw_meta_f64(const struct rw_meta *meta, double *out);   /* any number */

/* Append the value as one line of text, long ones shortened. */
void rw_meta_render(const struct rw_meta *meta, struct rw_str *out);

/* --- reading --- */

struct rw_named_tensor {
    const char *name; /* terminated, owned by the file; unique within it */
    struct rw_tensor tensor;
};

struct rw_format;
struct rw_index;

struct rw_file {
    const struct rw_format *format;
    char *path;          /* of maps[0]; used in messages */
    struct rw_map *maps; /* the file, or the shards of one; [n_maps] */
    size_t n_maps;
    bool borrowed; /* maps[0] is the caller's memory: do not unmap */
    struct rw_named_tensor *tensors;
    size_t n_tensors, tensors_capacity;
    struct rw_meta *meta;
    size_t n_meta, meta_capacity;
    char **strings; /* everything freed with the file */
    size_t n_strings, strings_capacity;
    struct rw_index *index; /* names in order, see rw_file_build_index */
};

/* Open a container of any known format: told by its first bytes, then by its name. A directory is a
 * Hugging Face folder: its model.safetensors.index.json or model.safetensors. */
rwkv_status rw_file_open(struct rw_file **out, const char *path, rwkv_error *err);
/* The same from memory, borrowed until the file is closed; single files only. */
rwkv_status rw_file_open_memory(struct rw_file **out, const void *data, size_t size,
                                const char *name, rwkv_error *err);
void rw_file_close(struct rw_file *file);

/* NULL if there is none. Logarithmic time: names are sorted, not hashed, so that no choice of names
 * makes it slow. */
const struct rw_tensor *rw_file_find(const struct rw_file *file, const char *name);
size_t rw_file_find_index(const struct rw_file *file, const char *name); /* SIZE_MAX: none */
const struct rw_meta *rw_file_meta(const struct rw_file *file, const char *key);

/* Typed look-ups: true and the value if the key is there with a fitting type. */
bool rw_file_meta_u64(const struct rw_file *file, const char *key, uint64_t *out);
bool rw_file_meta_f64(const struct rw_file *file, const char *key, double *out);
bool rw_file_meta_string(const struct rw_file *file, const char *key, struct rw_bytes *out);

/* --- for readers --- */

/* One format. `read` fills file->tensors and file->meta from file->maps[0] with the functions
 * below. */
struct rw_format {
    const char *name; /* "gguf" */
    /* ".gguf": chooses the writer, and the reader when no probe knows the bytes. */
    const char *suffix;
    bool (*probe)(const uint8_t *head, size_t size);
    rwkv_status (*read)(struct rw_file *file, rwkv_error *err);
    const struct rw_writer_ops *writer; /* NULL: read only */
};

extern const struct rw_format rw_format_pth, rw_format_safetensors, rw_format_gguf;
#define RW_FORMAT_SUFFIXES ".pth, .safetensors or .gguf" /* for messages */

/* The format whose suffix `path` ends in, or NULL. */
const struct rw_format *rw_format_by_suffix(const char *path);

/* Add a tensor; `name` (n bytes, may lack a terminator) is copied. A name already there fails in
 * rw_file_open, which checks uniqueness for all formats. */
rwkv_status rw_file_add_tensor(struct rw_file *file, const char *name, size_t n,
                               const struct rw_tensor *tensor, rwkv_error *err);
/* Add metadata, key copied, values borrowed from the map or from rw_file_keep. */
rwkv_status rw_file_add_meta(struct rw_file *file, const char *key, size_t n, struct rw_meta meta,
                             rwkv_error *err);
/* Hand a heap block (rw_alloc) over, to be freed with the file, or at once on failure; NULL fails
 * with RWKV_ERROR_MEMORY. */
rwkv_status rw_file_keep(struct rw_file *file, void *block, rwkv_error *err);
/* Map a further file of a sharded model, into file->maps; *index is its place there. */
rwkv_status rw_file_add_map(struct rw_file *file, const char *path, size_t *index, rwkv_error *err);
/* Sort the names for look-ups and refuse those that occur twice. rw_file_open does it after `read`;
 * a reader that looks names up itself does it earlier, and again when it has added some. */
rwkv_status rw_file_build_index(struct rw_file *file, rwkv_error *err);

/* The tensors that one file of a container added, and the bytes all their data must lie in. */
struct rw_part {
    const char *path;  /* for messages */
    size_t first, end; /* places in file->tensors */
    const uint8_t *data;
    size_t size;
};

/* Refuse tensors that share bytes and, if `dense`, bytes that belong to no tensor. The readers have
 * checked that each tensor lies inside. */
rwkv_status rw_file_check_layout(const struct rw_file *file, const struct rw_part *part, bool dense,
                                 rwkv_error *err);

/* --- writing --- */

/* What will be written, known before the first byte. All borrowed until the writer is gone. */
struct rw_write_plan {
    const struct rw_named_tensor *tensors; /* names, types, shapes; data is not looked at */
    size_t n_tensors;
    const struct rw_meta *meta; /* GGUF: all; safetensors: strings go to __metadata__ */
    size_t n_meta;
};

struct rw_writer; /* common part in writer.c: the rw_output, the plan, the place */

/* What a format does at each step; all but `begin` may be NULL. `self` is the writer's private
 * data, zeroed before `begin`. */
struct rw_writer_ops {
    size_t size; /* bytes of private data */
    /* The header. */
    rwkv_status (*begin)(struct rw_writer *w, void *self, rwkv_error *err);
    /* Before the data of tensor i. */
    rwkv_status (*tensor)(struct rw_writer *w, void *self, size_t i, rwkv_error *err);
    /* After it; only where there is an `after` is rw_writer_crc computed. */
    rwkv_status (*after)(struct rw_writer *w, void *self, size_t i, rwkv_error *err);
    /* The trailer. */
    rwkv_status (*end)(struct rw_writer *w, void *self, rwkv_error *err);
    /* Free what `self` owns; called in any case once `begin` was. */
    void (*fini)(struct rw_writer *w, void *self);
};

/* By the suffix of `path`: .pth, .safetensors or .gguf. Refuses names that occur twice and sizes
 * that overflow or are no multiple of the block. */
rwkv_status rw_writer_open(struct rw_writer **out, const char *path,
                           const struct rw_write_plan *plan, rwkv_error *err);
/* The data of the tensors, in the plan's order, each in as many pieces as wanted; asserts that the
 * sum is right. */
rwkv_status rw_writer_data(struct rw_writer *w, const void *bytes, size_t n, rwkv_error *err);
/* All data given: finish, fsync, rename. Frees the writer in any case. */
rwkv_status rw_writer_commit(struct rw_writer *w, rwkv_error *err);
void rw_writer_discard(struct rw_writer *w); /* NULL is fine; nothing is left behind */

/* For the ops: */
const char *rw_writer_path(const struct rw_writer *w); /* for messages */
struct rw_output *rw_writer_output(struct rw_writer *w);
const struct rw_write_plan *rw_writer_plan(const struct rw_writer *w);
uint32_t rw_writer_crc(const struct rw_writer *w); /* CRC-32 of the current tensor's data so far */

#endif
