/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PyTorch checkpoints, shared inside this folder. The parts, each above the next:
 *
 *     pth.c          what kind of file it is; from the object in the pickle to named tensors
 *     pth_legacy.c   the form without zip, of torch before 1.6
 *     pth_torch.c    what torch's globals, REDUCE and persistent ids mean
 *     pth_pickle.c   the stack machine that interprets a pickle
 *     pth_zip.c      the zip directory
 *     pth_write.c    the writer, on its own
 *
 * A pickle is a program, and Python runs whatever it names. Here nothing is ever run: the machine
 * knows the opcodes and the five kinds of globals that an honest state dict needs, builds plain
 * values from them, and refuses everything else by name.
 *
 *     struct rw_pickle p;
 *     status = rw_pickle_run(&p, path, "archive/data.pkl", bytes, size, 5, err);
 *     if (status == RWKV_OK && p.result.kind == RW_PICKLE_DICT) walk(p.nodes[p.result.at]);
 *     rw_pickle_fini(&p);                       // in any case
 */
#ifndef RW_FORMATS_PTH_INT_H
#define RW_FORMATS_PTH_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/status.h"
#include "formats/format.h"
#include "rwkv.h"

/* --- zip --- */

struct rw_zip_member {
    const char *name; /* borrowed from the file, not terminated */
    size_t name_size;
    uint64_t size;       /* of the content */
    uint64_t compressed; /* of what is in the file */
    uint64_t local;      /* offset of the local header */
    uint16_t method, flags;
};

struct rw_zip {
    const char *path; /* borrowed, for messages */
    const uint8_t *data;
    size_t size;
    size_t directory; /* where the central directory begins: data of members ends before */
    struct rw_zip_member *members; /* sorted by name, no two alike */
    size_t n_members;
};

/* Read and check the directory of an archive in memory, borrowed until rw_zip_fini, which must be
 * called in any case. The ranges of all members are checked here, their local headers on use. */
rwkv_status rw_zip_init(struct rw_zip *zip, const char *path, const uint8_t *data, size_t size,
                        rwkv_error *err);
void rw_zip_fini(struct rw_zip *zip);
const struct rw_zip_member *rw_zip_find(const struct rw_zip *zip, const char *name, size_t size);

/* The content of a member, m->size bytes in place. Compressed and encrypted members are refused. */
rwkv_status rw_zip_content(const struct rw_zip *zip, const struct rw_zip_member *m,
                           const uint8_t **content, rwkv_error *err);

/* --- pickle --- */

#define RW_PICKLE_MAX_SIZE ((size_t)64 << 20)
#define RW_PTH_MAX_NAME 256 /* bytes of a tensor's name */

enum rw_pickle_kind {
    RW_PICKLE_UNSET, /* a place in the memo that nothing was put in */
    RW_PICKLE_MARK,
    RW_PICKLE_NONE,
    RW_PICKLE_BOOL,
    RW_PICKLE_INT,
    RW_PICKLE_LONG, /* an integer beyond 64 bits */
    RW_PICKLE_FLOAT,
    RW_PICKLE_STRING,
    RW_PICKLE_BYTES,
    RW_PICKLE_TUPLE,
    RW_PICKLE_LIST,
    RW_PICKLE_DICT,
    RW_PICKLE_GLOBAL,
    RW_PICKLE_STORAGE,
    RW_PICKLE_TENSOR
};

/* A value is 16 bytes and copied freely; what it refers to lives until rw_pickle_fini, so that
 * nothing is ever freed or walked recursively. */
struct rw_pickle_value {
    enum rw_pickle_kind kind : 8;
    uint32_t n; /* STRING, LONG: bytes. TUPLE: items. GLOBAL: a storage class's type */
    union {
        int64_t i;     /* BOOL, INT; GLOBAL: enum rw_pickle_global */
        const char *s; /* STRING: UTF-8; LONG: little-endian; borrowed from the pickle */
        size_t at; /* TUPLE: first of its items. STORAGE, TENSOR: first of the items it was made of.
                      LIST, DICT: its node */
    };
};

/* A list or dict: a chain of entries. Only what can matter is kept: a dict's string keys with their
 * values, a list's strings. `others` says that there was something else. */
struct rw_pickle_node {
    uint32_t first, last; /* entries, by index + 1; 0: none */
    uint32_t n_entries;
    uint32_t n_tensors; /* of the entries */
    bool ordered;       /* an OrderedDict */
    bool others;        /* a dict's other keys, a list's other items */
};

struct rw_pickle_entry {
    const char *key; /* the key, or a list's string; borrowed from the pickle, not terminated */
    uint32_t key_size;
    uint32_t next; /* index + 1; 0: the last */
    struct rw_pickle_value value;
};

struct rw_pickle {
    struct rw_pickle_value result; /* the value at STOP */
    size_t used;                   /* bytes of the pickle, STOP included */
    struct rw_pickle_node *nodes;
    size_t n_nodes, nodes_capacity;
    struct rw_pickle_entry *entries;
    size_t n_entries, entries_capacity;
    struct rw_pickle_value *items; /* of all tuples, one after the other */
    size_t n_items, items_capacity;
    struct rw_pickle_value *storages; /* every storage made */
    size_t n_storages, storages_capacity;

    /* The rest serves while it runs. */
    const char *path, *place; /* borrowed, for messages */
    const char *op;           /* name of the opcode being run, and where it is */
    size_t op_at;
    rwkv_error *err;
    size_t id_items; /* of a persistent id */
    size_t encoded;  /* bytes given to _codecs.encode so far */
    struct rw_cursor in;
    struct rw_pickle_value *stack;
    size_t n_stack, stack_capacity;
    struct rw_pickle_value *memo;
    size_t memo_set, memo_capacity;
};

/* Interpret the pickle at the beginning of `data`, borrowed until rw_pickle_fini, which must be
 * called in any case. A persistent id has `id_items` items: 5, in the legacy form 6. */
rwkv_status rw_pickle_run(struct rw_pickle *p, const char *path, const char *place,
                          const void *data, size_t size, size_t id_items, rwkv_error *err);
void rw_pickle_fini(struct rw_pickle *p);

const char *rw_pickle_kind_name(enum rw_pickle_kind kind); /* "a dict", for messages */
bool rw_pickle_is_string(struct rw_pickle_value v, const char *text);

/* For pth_torch.c: fail at the opcode being run; make room for another element of one of the arrays
 * above; push a value; make an empty list or dict. */
rwkv_status rw_pickle_fail(struct rw_pickle *p, rwkv_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define rw_pickle_fail(p, code, ...) rw_code(rw_pickle_fail(p, code, __VA_ARGS__), code)
rwkv_status rw_pickle_room(struct rw_pickle *p, void **array, size_t count, size_t *capacity,
                           size_t size);
rwkv_status rw_pickle_push(struct rw_pickle *p, struct rw_pickle_value v);
rwkv_status rw_pickle_push_node(struct rw_pickle *p, enum rw_pickle_kind kind, bool ordered);

/* --- torch's part of a pickle --- */

struct rw_pickle_storage {
    rwkv_dtype dtype;
    const char *key; /* borrowed from the pickle, not terminated */
    size_t key_size;
    uint64_t n_elements; /* < 2⁶³ */
};

struct rw_pickle_tensor {
    struct rw_pickle_storage storage;
    uint64_t offset; /* elements; < 2⁶³, as all below */
    size_t n_dims;
    uint64_t shape[RWKV_MAX_DIMS];
    uint64_t stride[RWKV_MAX_DIMS]; /* elements; not checked against the storage */
};

/* Push the global of that name; the names need no terminator. */
rwkv_status rw_torch_global(struct rw_pickle *p, const char *module, size_t module_size,
                            const char *name, size_t name_size);
/* Push what `callable` makes of the tuple `args`. */
rwkv_status rw_torch_reduce(struct rw_pickle *p, struct rw_pickle_value callable,
                            struct rw_pickle_value args);
/* Push the storage that a persistent id names. */
rwkv_status rw_torch_persistent(struct rw_pickle *p, struct rw_pickle_value id);

/* What a STORAGE or TENSOR value stands for. */
struct rw_pickle_storage rw_torch_storage(const struct rw_pickle *p, struct rw_pickle_value v);
struct rw_pickle_tensor rw_torch_tensor(const struct rw_pickle *p, struct rw_pickle_value v);

/* --- from the object to tensors --- */

/* Finds the bytes of a storage: at least n_elements of its type. NULL only if there are none. */
typedef rwkv_status (*rw_storage_fn)(void *ctx, const struct rw_pickle_storage *storage,
                                     const uint8_t **data, rwkv_error *err);

/* Add the tensors of the state dict that a pickle holds to the file. */
rwkv_status rw_pth_add_tensors(struct rw_file *file, const struct rw_pickle *p, rw_storage_fn find,
                               void *ctx, rwkv_error *err);

/* Read a file of the legacy form. */
rwkv_status rw_pth_read_legacy(struct rw_file *file, rwkv_error *err);

extern const struct rw_writer_ops rw_pth_writer;

#endif
