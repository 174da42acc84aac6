/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PyTorch checkpoints (.pth, .pt, .ckpt, pytorch_model.bin): a zip archive with the pickle of a
 * dict and one member a storage, or the older form without zip (pth_legacy.c).
 *
 * The object must be a dict of string keys. Its tensors are the file's tensors, its other entries
 * are ignored. If it has no tensors but one of its entries is a dict that has ({"state_dict": {…}}
 * and the like), that one is meant. Refused by name: TorchScript archives, tar files, pickles of
 * anything but plain data.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "base/utf8.h"
#include "formats/pth_int.h"

/* A view may repeat elements (stride 0). One that is larger than the whole file is refused, beyond
 * this many bytes, since whoever copies it would need memory out of all proportion. */
#define MAX_REPEATED ((size_t)16 << 20)

/* A tensor of three opcodes becomes a description of some hundred bytes: enough for any model. */
#define MAX_TENSORS (1U << 18)

#define PICKLE_NAME "/data.pkl"

/* --- names --- */

/* Wrappers of models put these before every name. */
static const char *const prefixes[] = {"_forward_module.", "module.", "model."};

static bool begins(const struct rw_pickle_entry *e, size_t skip, const char *prefix)
{
    size_t n = strlen(prefix);
    return e->key_size - skip > n && memcmp(e->key + skip, prefix, n) == 0;
}

/* The next tensor of a dict's entries from `at` (index + 1, as all of them are); NULL at the end.
 */
static const struct rw_pickle_entry *next_tensor(const struct rw_pickle *p, uint32_t at)
{
    for (; at; at = p->entries[at - 1].next)
        if (p->entries[at - 1].value.kind == RW_PICKLE_TENSOR)
            return &p->entries[at - 1];
    return NULL;
}

/* Do all names have the prefix, as something that may go? In Hugging Face's naming "model." is part
 * of the name: such files keep it, even those without the head, whose names all begin so. */
static bool may_strip(const struct rw_pickle *p, const struct rw_pickle_node *dict, size_t skip,
                      const char *prefix)
{
    const struct rw_pickle_entry *e;
    for (uint32_t at = dict->first; (e = next_tensor(p, at)); at = e->next)
        if (!begins(e, skip, prefix) || begins(e, skip, "model.layers.") ||
            begins(e, skip, "model.embeddings."))
            return false;
    return dict->n_tensors > 0;
}

/* Bytes at the beginning of every name that are no part of it. */
static size_t common_prefix(const struct rw_pickle *p, const struct rw_pickle_node *dict)
{
    size_t skip = 0;
    for (size_t i = 0; i < RW_COUNT(prefixes); i++)
        if (may_strip(p, dict, skip, prefixes[i]))
            skip += strlen(prefixes[i]);
    return skip;
}

/* --- tensors --- */

/* A tensor of the dict on its way into the file. */
struct item {
    struct rw_file *file;
    const char *name; /* not terminated */
    int name_size;
    rwkv_error *err;
};

static rwkv_status fail_tensor(const struct item *it, const char *what)
{
    return rw_fail(it->err, RWKV_ERROR_FORMAT, "%s: tensor %.*s: %s", it->file->path, it->name_size,
                   it->name, what);
}

/* The number of elements, and of their bytes; neither overflows even where some size is 0. */
static rwkv_status count_elements(const struct item *it, const struct rw_pickle_tensor *t,
                                  size_t *n, size_t *bytes)
{
    size_t product = 1;
    bool empty = false;
    for (size_t i = 0; i < t->n_dims; i++) {
        empty = empty || t->shape[i] == 0;
        if (t->shape[i] > 0 && !rw_mul(product, t->shape[i], &product))
            return fail_tensor(it, "its number of elements overflows");
    }
    if (!rw_dtype_size(t->storage.dtype, product, bytes))
        return fail_tensor(it, "its number of bytes overflows");
    *n = empty ? 0 : product;
    return RWKV_OK;
}

/* The last element that the shape and strides can reach must be in the storage. */
static rwkv_status check_reach(const struct item *it, const struct rw_pickle_tensor *t)
{
    size_t last = t->offset;
    for (size_t i = 0; i < t->n_dims; i++) {
        size_t step;
        if (!rw_mul(t->shape[i] - 1, t->stride[i], &step) || !rw_add(last, step, &last))
            return fail_tensor(it, "its strides overflow");
    }
    if (last >= t->storage.n_elements)
        return rw_fail(it->err, RWKV_ERROR_FORMAT,
                       "%s: tensor %.*s: reaches element %zu of a storage of %" PRIu64,
                       it->file->path, it->name_size, it->name, last, t->storage.n_elements);
    return RWKV_OK;
}

static rwkv_status add_tensor(const struct item *it, const struct rw_pickle_tensor *t,
                              rw_storage_fn find, void *ctx)
{
    const uint8_t *data;
    size_t n, bytes;
    if (it->name_size > RW_PTH_MAX_NAME)
        return fail_tensor(it, "its name is longer than 256 bytes");
    if (!rw_utf8_valid(it->name, (size_t)it->name_size))
        return fail_tensor(it, "its name is not UTF-8");
    RW_TRY(count_elements(it, t, &n, &bytes));
    RW_TRY(find(ctx, &t->storage, &data, it->err));
    if (n > 0)
        RW_TRY(check_reach(it, t));
    if (n > 0 && bytes > RW_MAX(it->file->maps[0].size, MAX_REPEATED))
        return fail_tensor(it, "repeats elements to more than the size of the file");

    struct rw_tensor view = {.dtype = t->storage.dtype, .n_dims = t->n_dims};
    for (size_t i = 0; i < t->n_dims; i++) {
        view.shape[i] = (size_t)t->shape[i];
        view.stride[i] = (size_t)t->stride[i];
    }
    if (n > 0)
        view.data = data + t->offset * rw_dtype(view.dtype)->bytes;
    return rw_file_add_tensor(it->file, it->name, (size_t)it->name_size, &view, it->err);
}

/* --- the state dict --- */

/* The dict whose tensors are meant: the object itself or, when it has none, the one entry of it
 * that is a dict with tensors. */
static rwkv_status find_state_dict(const struct rw_file *file, const struct rw_pickle *p,
                                   const struct rw_pickle_node **out, rwkv_error *err)
{
    if (p->result.kind != RW_PICKLE_DICT)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: %s: a dict of tensors wanted, %s found",
                       file->path, p->place, rw_pickle_kind_name(p->result.kind));
    const struct rw_pickle_node *dict = &p->nodes[p->result.at];
    const struct rw_pickle_entry *chosen = NULL;
    for (uint32_t at = dict->first; at && dict->n_tensors == 0; at = p->entries[at - 1].next) {
        const struct rw_pickle_entry *e = &p->entries[at - 1];
        if (e->value.kind != RW_PICKLE_DICT || p->nodes[e->value.at].n_tensors == 0)
            continue;
        if (chosen)
            return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                           "%s: %s: one dict of tensors wanted, several found (\"%.*s\", \"%.*s\")",
                           file->path, p->place, (int)RW_MIN(chosen->key_size, 80U), chosen->key,
                           (int)RW_MIN(e->key_size, 80U), e->key);
        chosen = e;
    }
    if (chosen)
        dict = &p->nodes[chosen->value.at];
    if (dict->others)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: %s: a state dict wanted, a dict with keys that are no strings found",
                       file->path, p->place);
    if (dict->n_tensors > MAX_TENSORS)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: %s: at most %u tensors wanted, %u found",
                       file->path, p->place, MAX_TENSORS, dict->n_tensors);
    *out = dict;
    return RWKV_OK;
}

rwkv_status rw_pth_add_tensors(struct rw_file *file, const struct rw_pickle *p, rw_storage_fn find,
                               void *ctx, rwkv_error *err)
{
    const struct rw_pickle_node *dict;
    const struct rw_pickle_entry *e;
    RW_TRY(find_state_dict(file, p, &dict, err));
    size_t skip = common_prefix(p, dict);
    for (uint32_t at = dict->first; (e = next_tensor(p, at)); at = e->next) {
        struct rw_pickle_tensor t = rw_torch_tensor(p, e->value);
        struct item it = {file, e->key + skip, (int)(e->key_size - skip), err};
        RW_TRY(add_tensor(&it, &t, find, ctx));
    }
    return RWKV_OK;
}

/* --- the zip form --- */

struct archive {
    struct rw_zip zip;
    struct rw_str name; /* "ROOT/…", made anew for every look-up */
    size_t root_size;   /* of "ROOT/" */
};

/* The member ROOT/FOLDER+NAME; NULL if there is none. The name stays in a->name. */
static rwkv_status find_member(struct archive *a, const char *folder, const char *name, size_t size,
                               const struct rw_zip_member **m, rwkv_error *err)
{
    a->name.size = a->root_size;
    rw_str_adds(&a->name, folder);
    rw_str_add(&a->name, name, size);
    if (a->name.failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for the name of a member",
                       a->zip.path);
    *m = rw_zip_find(&a->zip, a->name.data, a->name.size);
    return RWKV_OK;
}

/* rw_storage_fn: the member ROOT/data/KEY. */
static rwkv_status find_storage(void *ctx, const struct rw_pickle_storage *s, const uint8_t **data,
                                rwkv_error *err)
{
    struct archive *a = ctx;
    const struct rw_zip_member *m;
    size_t bytes;
    RW_TRY(find_member(a, "data/", s->key, s->key_size, &m, err));
    int shown = (int)RW_MIN(a->name.size, (size_t)RW_PTH_MAX_NAME);
    if (!m)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: zip member %.*s: not there, but a tensor's storage", a->zip.path, shown,
                       a->name.data);
    if (!rw_dtype_size(s->dtype, s->n_elements, &bytes) || bytes > m->size)
        return rw_fail(
            err, RWKV_ERROR_FORMAT,
            "%s: zip member %.*s: %" PRIu64 " elements of type %s wanted, %" PRIu64 " bytes found",
            a->zip.path, shown, a->name.data, s->n_elements, rw_dtype(s->dtype)->name, m->size);
    return rw_zip_content(&a->zip, m, data, err);
}

/* The root is what stands before "/data.pkl" in the one member that has it. */
static rwkv_status find_root(struct archive *a, const struct rw_zip_member **pickle,
                             rwkv_error *err)
{
    size_t tail = strlen(PICKLE_NAME);
    *pickle = NULL;
    for (size_t i = 0; i < a->zip.n_members; i++) {
        const struct rw_zip_member *m = &a->zip.members[i];
        if (m->name_size <= tail || memcmp(m->name + m->name_size - tail, PICKLE_NAME, tail) != 0)
            continue;
        if (*pickle)
            return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                           "%s: one zip member NAME" PICKLE_NAME " wanted, several found",
                           a->zip.path);
        *pickle = m;
    }
    if (!*pickle)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: no zip member NAME" PICKLE_NAME " found: not a PyTorch checkpoint",
                       a->zip.path);
    a->root_size = (*pickle)->name_size - tail + 1;
    rw_str_add(&a->name, (*pickle)->name, a->root_size);
    return RWKV_OK;
}

/* What the other members say of the archive. */
static rwkv_status check_archive(struct archive *a, rwkv_error *err)
{
    static const char script[] = "constants.pkl", order[] = "byteorder", little[] = "little";
    const struct rw_zip_member *m;
    const uint8_t *text;
    RW_TRY(find_member(a, "", script, strlen(script), &m, err));
    if (m)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: a state dict wanted, a TorchScript archive found (it has %s)",
                       a->zip.path, script);
    RW_TRY(find_member(a, "", order, strlen(order), &m, err));
    if (!m)
        return RWKV_OK;
    RW_TRY(rw_zip_content(&a->zip, m, &text, err));
    if (m->size != strlen(little) || memcmp(text, little, m->size) != 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: zip member %s: \"little\" wanted, \"%.*s\" found", a->zip.path, order,
                       (int)RW_MIN(m->size, (uint64_t)16), (const char *)text);
    return RWKV_OK;
}

static rwkv_status read_archive(struct rw_file *file, struct archive *a, struct rw_pickle *p,
                                rwkv_error *err)
{
    const struct rw_zip_member *m;
    const uint8_t *bytes;
    RW_TRY(rw_zip_init(&a->zip, file->path, file->maps[0].data, file->maps[0].size, err));
    RW_TRY(find_root(a, &m, err));
    RW_TRY(check_archive(a, err));
    RW_TRY(rw_zip_content(&a->zip, m, &bytes, err));
    RW_TRY(rw_pickle_run(p, file->path, &PICKLE_NAME[1], bytes, (size_t)m->size, 5, err));
    return rw_pth_add_tensors(file, p, find_storage, a, err);
}

static rwkv_status read_zip(struct rw_file *file, rwkv_error *err)
{
    struct archive a = {0};
    struct rw_pickle p = {0};
    rwkv_status status = read_archive(file, &a, &p, err);
    rw_pickle_fini(&p);
    rw_str_fini(&a.name);
    rw_zip_fini(&a.zip);
    return status;
}

/* --- what kind of file --- */

enum kind { KIND_UNKNOWN, KIND_ZIP, KIND_PICKLE, KIND_REFUSED };

static const struct {
    size_t at;
    const char *bytes;
    enum kind kind;
    const char *what; /* of KIND_REFUSED */
} signs[] = {
    {0, "PK\x03\x04", KIND_ZIP, NULL},
    {0, "PK\x05\x06", KIND_ZIP, NULL}, /* an archive without members */
    {0, "\x80\x02", KIND_PICKLE, NULL},
    {0, "\x80\x03", KIND_PICKLE, NULL},
    {0, "\x80\x04", KIND_PICKLE, NULL},
    {0, "\x80\x05", KIND_PICKLE, NULL},
    {257, "ustar", KIND_REFUSED, "a tar file"},
    {0, "version https://git-lfs", KIND_REFUSED, "the Git LFS pointer to a file"},
};

static enum kind kind_of(const uint8_t *head, size_t size, const char **what)
{
    for (size_t i = 0; i < RW_COUNT(signs); i++) {
        size_t n = strlen(signs[i].bytes);
        if (size >= signs[i].at + n && memcmp(head + signs[i].at, signs[i].bytes, n) == 0) {
            *what = signs[i].what;
            return signs[i].kind;
        }
    }
    return KIND_UNKNOWN;
}

static bool probe(const uint8_t *head, size_t size)
{
    const char *what;
    return kind_of(head, size, &what) != KIND_UNKNOWN;
}

static rwkv_status read_pth(struct rw_file *file, rwkv_error *err)
{
    const char *what = "neither a zip archive nor a pickle";
    switch (kind_of(file->maps[0].data, file->maps[0].size, &what)) {
    case KIND_ZIP:
        return read_zip(file, err);
    case KIND_PICKLE:
        return rw_pth_read_legacy(file, err);
    case KIND_UNKNOWN:
    case KIND_REFUSED:
        break;
    }
    return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: a PyTorch checkpoint wanted, %s found",
                   file->path, what);
}

const struct rw_format rw_format_pth = {
    .name = "pth",
    .suffix = ".pth",
    .probe = probe,
    .read = read_pth,
    .writer = &rw_pth_writer,
};
