/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints of torch before 1.6, and of later ones when asked: five pickles back to back (a magic
 * number, a version, facts about the machine, the object, the keys of its storages), then for each
 * key the number of elements and the elements.
 *
 * Refused: other magic numbers (a pickle that is no checkpoint), big-endian machines, and keys,
 * sizes or numbers of storages that do not agree with what the object uses.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "formats/pth_int.h"

#define VERSION 1001
#define ID_ITEMS 6

/* 0x1950a86a20f9469cfc6c, little-endian, as an integer of a pickle has it */
static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/* A storage that the object uses, and where its elements are. */
struct place {
    struct rw_pickle_storage storage;
    const uint8_t *data;
    bool found;
};

struct legacy {
    struct rw_file *file;
    struct rw_cursor in;
    struct place *places; /* sorted by key, no two alike */
    size_t n_places;
};

/* Interpret the pickle at the cursor and move behind it. */
static rwkv_status next_pickle(struct legacy *l, struct rw_pickle *p, const char *place,
                               rwkv_error *err)
{
    RW_TRY(rw_pickle_run(p, l->file->path, place, l->in.data + l->in.at, rw_cursor_left(&l->in),
                         ID_ITEMS, err));
    rw_cursor_bytes(&l->in, p->used);
    return RWKV_OK;
}

/* --- the head --- */

static bool is_magic(const struct rw_pickle *p)
{
    return p->result.kind == RW_PICKLE_LONG && p->result.n == strlen(magic) &&
           memcmp(p->result.s, magic, p->result.n) == 0;
}

static bool is_version(const struct rw_pickle *p)
{
    return p->result.kind == RW_PICKLE_INT && p->result.i == VERSION;
}

static bool is_little_endian(const struct rw_pickle *p)
{
    static const char key[] = "little_endian";
    if (p->result.kind != RW_PICKLE_DICT)
        return false;
    for (uint32_t at = p->nodes[p->result.at].first; at; at = p->entries[at - 1].next) {
        const struct rw_pickle_entry *e = &p->entries[at - 1];
        if (e->key_size == strlen(key) && memcmp(e->key, key, e->key_size) == 0)
            return e->value.kind == RW_PICKLE_BOOL && e->value.i == 1;
    }
    return false;
}

static rwkv_status read_head(struct legacy *l, rwkv_error *err)
{
    static const struct {
        const char *place;
        bool (*good)(const struct rw_pickle *p);
        const char *wanted;
    } parts[] = {
        {"pickle 1", is_magic, "torch's magic number wanted; this pickle is no checkpoint"},
        {"pickle 2", is_version, "version 1001 wanted"},
        {"pickle 3", is_little_endian, "the facts of a little-endian machine wanted"},
    };
    for (size_t i = 0; i < RW_COUNT(parts); i++) {
        struct rw_pickle p;
        rwkv_status status = next_pickle(l, &p, parts[i].place, err);
        if (status == RWKV_OK && !parts[i].good(&p))
            status = rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: %s: %s, %s found", l->file->path,
                             parts[i].place, parts[i].wanted, rw_pickle_kind_name(p.result.kind));
        rw_pickle_fini(&p);
        RW_TRY(status);
    }
    return RWKV_OK;
}

/* --- storages --- */

static int compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, RW_MIN(a_size, b_size));
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_key(const void *a, const void *b)
{
    const struct rw_pickle_storage *x = &((const struct place *)a)->storage;
    const struct rw_pickle_storage *y = &((const struct place *)b)->storage;
    return compare_keys(x->key, x->key_size, y->key, y->key_size);
}

static rwkv_status fail_storage(const struct legacy *l, const char *key, size_t key_size,
                                const char *what, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_FORMAT, "%s: storage %.*s: %s", l->file->path,
                   (int)RW_MIN(key_size, (size_t)RW_PTH_MAX_NAME), key, what);
}

/* List the storages that the object uses, each once. */
static rwkv_status collect(struct legacy *l, const struct rw_pickle *object, rwkv_error *err)
{
    l->places = rw_calloc(object->n_storages, sizeof *l->places);
    if (!l->places)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a list of %zu storages",
                       l->file->path, object->n_storages);
    for (size_t i = 0; i < object->n_storages; i++)
        l->places[i].storage = rw_torch_storage(object, object->storages[i]);
    qsort(l->places, object->n_storages, sizeof *l->places, by_key);
    for (size_t i = 0; i < object->n_storages; i++) {
        const struct rw_pickle_storage *s = &l->places[i].storage;
        struct place *last = l->n_places ? &l->places[l->n_places - 1] : NULL;
        if (!last || by_key(last, &l->places[i]) != 0)
            l->places[l->n_places++] = l->places[i];
        else if (last->storage.dtype != s->dtype || last->storage.n_elements != s->n_elements)
            return fail_storage(l, s->key, s->key_size, "used with two types or sizes", err);
    }
    return RWKV_OK;
}

static struct place *find_place(const struct legacy *l, const char *key, size_t key_size)
{
    struct place wanted = {.storage = {.key = key, .key_size = key_size}};
    return bsearch(&wanted, l->places, l->n_places, sizeof wanted, by_key);
}

/* The next storage of the file, which the list calls `key`. */
static rwkv_status locate(struct legacy *l, const char *key, size_t key_size, rwkv_error *err)
{
    struct place *place = find_place(l, key, key_size);
    size_t bytes;
    if (!place)
        return fail_storage(l, key, key_size, "in the list of keys, but not used", err);
    if (place->found)
        return fail_storage(l, key, key_size, "twice in the list of keys", err);
    int64_t n = rw_cursor_i64(&l->in);
    if (l->in.failed)
        return fail_storage(l, key, key_size, "the file ends before it", err);
    if (n < 0 || (uint64_t)n != place->storage.n_elements)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: storage %.*s: %" PRIu64 " elements wanted, %" PRId64 " found",
                       l->file->path, (int)RW_MIN(key_size, (size_t)RW_PTH_MAX_NAME), key,
                       place->storage.n_elements, n);
    if (rw_dtype_size(place->storage.dtype, (size_t)n, &bytes))
        place->data = rw_cursor_bytes(&l->in, bytes);
    if (!place->data)
        return fail_storage(l, key, key_size, "the file ends inside it", err);
    place->found = true;
    return RWKV_OK;
}

static rwkv_status locate_all(struct legacy *l, const struct rw_pickle *keys, rwkv_error *err)
{
    if (keys->result.kind != RW_PICKLE_LIST || keys->nodes[keys->result.at].others)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: pickle 5: a list of storage keys wanted",
                       l->file->path);
    const struct rw_pickle_node *list = &keys->nodes[keys->result.at];
    for (uint32_t at = list->first; at; at = keys->entries[at - 1].next)
        RW_TRY(locate(l, keys->entries[at - 1].key, keys->entries[at - 1].key_size, err));
    if (list->n_entries != l->n_places)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: pickle 5: %zu storage keys wanted, %u found",
                       l->file->path, l->n_places, list->n_entries);
    return RWKV_OK;
}

/* rw_storage_fn: every storage the object uses has been located. */
static rwkv_status find_storage(void *ctx, const struct rw_pickle_storage *s, const uint8_t **data,
                                rwkv_error *err)
{
    *data = find_place(ctx, s->key, s->key_size)->data;
    return RWKV_OK;
}

rwkv_status rw_pth_read_legacy(struct rw_file *file, rwkv_error *err)
{
    struct legacy l = {.file = file, .in = rw_cursor_make(file->maps[0].data, file->maps[0].size)};
    struct rw_pickle object = {0}, keys = {0};
    rwkv_status status;
    RW_GO(read_head(&l, err));
    RW_GO(next_pickle(&l, &object, "pickle 4", err));
    RW_GO(next_pickle(&l, &keys, "pickle 5", err));
    RW_GO(collect(&l, &object, err));
    RW_GO(locate_all(&l, &keys, err));
    RW_GO(rw_pth_add_tensors(file, &object, find_storage, &l, err));
done:
    rw_free(l.places);
    rw_pickle_fini(&keys);
    rw_pickle_fini(&object);
    return status;
}
