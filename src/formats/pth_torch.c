/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What torch puts into a pickle: the globals of a state dict, what calling them would make, and the
 * persistent ids that stand for storages. The list of globals is closed; any other name is what an
 * attack or a whole pickled module needs, and is refused.
 *
 * A storage or tensor value points at the tuple it was made of, whose items have been checked, so
 * that it costs nothing more however often it is made.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "formats/pth_int.h"

#define MAX_KEY 256 /* bytes of a storage's key: numbers, and looked up for every tensor */

enum rw_pickle_global {
    ORDERED_DICT,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    ENCODE,
    STORAGE_CLASS /* n is the type of its elements */
};

static const struct {
    const char *module, *name;
    enum rw_pickle_global global;
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER},
    {"_codecs", "encode", ENCODE},
};

static bool same(const char *a, size_t size, const char *b)
{
    return size == strlen(b) && memcmp(a, b, size) == 0;
}

rwkv_status rw_torch_global(struct rw_pickle *p, const char *module, size_t module_size,
                            const char *name, size_t name_size)
{
    struct rw_pickle_value v = {.kind = RW_PICKLE_GLOBAL};
    for (size_t i = 0; i < RW_COUNT(globals); i++) {
        if (same(module, module_size, globals[i].module) &&
            same(name, name_size, globals[i].name)) {
            v.i = globals[i].global;
            return rw_pickle_push(p, v);
        }
    }
    if (same(module, module_size, "torch")) {
        rwkv_dtype dtype = rw_dtype_from_torch(name, name_size);
        if (dtype != RWKV_DTYPE_COUNT) {
            v.i = STORAGE_CLASS;
            v.n = dtype;
            return rw_pickle_push(p, v);
        }
    }
    return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED,
                          "a tensor's parts wanted, \"%.*s.%.*s\" found: not a plain state dict of "
                          "tensors (nothing was executed)",
                          (int)RW_MIN(module_size, (size_t)80), module,
                          (int)RW_MIN(name_size, (size_t)80), name);
}

/* --- arguments --- */

static bool is_size(struct rw_pickle_value v)
{
    return v.kind == RW_PICKLE_INT && v.i >= 0;
}

/* Are the first n items of a tuple, which has as many, of these kinds? */
static bool has_kinds(const struct rw_pickle *p, struct rw_pickle_value tuple, size_t n,
                      const enum rw_pickle_kind *kinds)
{
    for (size_t i = 0; i < n; i++)
        if (p->items[tuple.at + i].kind != kinds[i])
            return false;
    return true;
}

/* Backward hooks and metadata: dicts that must be empty. */
static bool is_empty_dict(const struct rw_pickle *p, struct rw_pickle_value v)
{
    if (v.kind != RW_PICKLE_DICT)
        return false;
    const struct rw_pickle_node *node = &p->nodes[v.at];
    return node->n_entries == 0 && !node->others;
}

static rwkv_status fail_arguments(struct rw_pickle *p, const char *callable, const char *wanted)
{
    return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "%s: other arguments than %s", callable, wanted);
}

/* --- the callables --- */

static rwkv_status check_sizes(struct rw_pickle *p, struct rw_pickle_value sizes, const char *what)
{
    for (size_t i = 0; i < sizes.n; i++)
        if (!is_size(p->items[sizes.at + i]))
            return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "a tensor's %s: an integer from 0 wanted",
                                  what);
    return RWKV_OK;
}

/* (storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static rwkv_status rebuild_tensor(struct rw_pickle *p, struct rw_pickle_value args)
{
    static const enum rw_pickle_kind kinds[] = {RW_PICKLE_STORAGE, RW_PICKLE_INT,  RW_PICKLE_TUPLE,
                                                RW_PICKLE_TUPLE,   RW_PICKLE_BOOL, RW_PICKLE_DICT};
    if ((args.n != 6 && args.n != 7) || !has_kinds(p, args, 6, kinds))
        return fail_arguments(p, "_rebuild_tensor_v2",
                              "(storage, offset, size, stride, requires_grad, hooks[, metadata])");
    const struct rw_pickle_value *a = &p->items[args.at];
    if (!is_empty_dict(p, a[5]) || (args.n == 7 && !is_empty_dict(p, a[6])))
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED,
                              "a tensor without hooks and metadata (negated, conjugate) wanted");
    if (!is_size(a[1]))
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT,
                              "a tensor's offset: 0 or more wanted, %" PRId64 " found", a[1].i);
    if (a[2].n != a[3].n)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT,
                              "a tensor's strides: as many as sizes wanted (%u), %u found", a[2].n,
                              a[3].n);
    if (a[2].n > RWKV_MAX_DIMS)
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED, "at most %d dimensions wanted, %u found",
                              RWKV_MAX_DIMS, a[2].n);
    RW_TRY(check_sizes(p, a[2], "size"));
    RW_TRY(check_sizes(p, a[3], "stride"));
    return rw_pickle_push(p, (struct rw_pickle_value){.kind = RW_PICKLE_TENSOR, .at = args.at});
}

/* (tensor, requires_grad, hooks): the tensor itself */
static rwkv_status rebuild_parameter(struct rw_pickle *p, struct rw_pickle_value args)
{
    static const enum rw_pickle_kind kinds[] = {RW_PICKLE_TENSOR, RW_PICKLE_BOOL, RW_PICKLE_DICT};
    if (args.n != 3 || !has_kinds(p, args, 3, kinds) || !is_empty_dict(p, p->items[args.at + 2]))
        return fail_arguments(p, "_rebuild_parameter", "(tensor, requires_grad, empty hooks)");
    return rw_pickle_push(p, p->items[args.at]);
}

/* Is it UTF-8 of nothing but U+0000 to U+00FF? */
static bool is_latin1(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x80)
            continue;
        if ((c != 0xc2 && c != 0xc3) || i + 1 == n || ((unsigned char)s[i + 1] & 0xc0) != 0x80)
            return false;
        i++;
    }
    return true;
}

/* (text, "latin1"): how protocol 2 stores bytes. Every honest text is encoded once, so a bound on
 * the sum costs nothing, and without one a text named again and again would be read in quadratic
 * time. */
static rwkv_status encode(struct rw_pickle *p, struct rw_pickle_value args)
{
    static const enum rw_pickle_kind kinds[] = {RW_PICKLE_STRING, RW_PICKLE_STRING};
    if (args.n != 2 || !has_kinds(p, args, 2, kinds) ||
        !rw_pickle_is_string(p->items[args.at + 1], "latin1"))
        return fail_arguments(p, "_codecs.encode", "(string, \"latin1\")");
    struct rw_pickle_value text = p->items[args.at];
    p->encoded += text.n;
    if (p->encoded > p->in.size || !is_latin1(text.s, text.n))
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "_codecs.encode: not bytes in a string");
    return rw_pickle_push(p, (struct rw_pickle_value){.kind = RW_PICKLE_BYTES});
}

rwkv_status rw_torch_reduce(struct rw_pickle *p, struct rw_pickle_value callable,
                            struct rw_pickle_value args)
{
    switch ((enum rw_pickle_global)callable.i) {
    case ORDERED_DICT:
        if (args.n != 0)
            return fail_arguments(p, "OrderedDict", "()");
        return rw_pickle_push_node(p, RW_PICKLE_DICT, true);
    case REBUILD_TENSOR:
        return rebuild_tensor(p, args);
    case REBUILD_PARAMETER:
        return rebuild_parameter(p, args);
    case ENCODE:
        return encode(p, args);
    case STORAGE_CLASS:
        break;
    }
    return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED, "a storage class cannot be called");
}

/* --- storages --- */

/* ("storage", class, key, location, number of elements[, None]) */
rwkv_status rw_torch_persistent(struct rw_pickle *p, struct rw_pickle_value id)
{
    static const enum rw_pickle_kind kinds[] = {RW_PICKLE_STRING, RW_PICKLE_GLOBAL,
                                                RW_PICKLE_STRING, RW_PICKLE_STRING,
                                                RW_PICKLE_INT,    RW_PICKLE_NONE};
    if (id.kind != RW_PICKLE_TUPLE || id.n != p->id_items || !has_kinds(p, id, id.n, kinds) ||
        !rw_pickle_is_string(p->items[id.at], "storage") || p->items[id.at + 1].i != STORAGE_CLASS)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT,
                              "the id of a storage wanted (%zu items: \"storage\", class, key, "
                              "location, elements)",
                              p->id_items);
    if (!is_size(p->items[id.at + 4]))
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT,
                              "a storage of 0 or more elements wanted, %" PRId64 " found",
                              p->items[id.at + 4].i);
    if (p->items[id.at + 2].n > MAX_KEY)
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED,
                              "a storage key of at most %d bytes wanted, %u found", MAX_KEY,
                              p->items[id.at + 2].n);
    struct rw_pickle_value v = {.kind = RW_PICKLE_STORAGE, .at = id.at};
    void *storages = p->storages;
    RW_TRY(rw_pickle_room(p, &storages, p->n_storages, &p->storages_capacity, sizeof v));
    p->storages = storages;
    p->storages[p->n_storages++] = v;
    return rw_pickle_push(p, v);
}

struct rw_pickle_storage rw_torch_storage(const struct rw_pickle *p, struct rw_pickle_value v)
{
    const struct rw_pickle_value *id = &p->items[v.at];
    return (struct rw_pickle_storage){(rwkv_dtype)id[1].n, id[2].s, id[2].n, (uint64_t)id[4].i};
}

struct rw_pickle_tensor rw_torch_tensor(const struct rw_pickle *p, struct rw_pickle_value v)
{
    const struct rw_pickle_value *args = &p->items[v.at];
    struct rw_pickle_tensor t = {
        .storage = rw_torch_storage(p, args[0]),
        .offset = (uint64_t)args[1].i,
        .n_dims = args[2].n,
    };
    for (size_t i = 0; i < t.n_dims; i++) {
        t.shape[i] = (uint64_t)p->items[args[2].at + i].i;
        t.stride[i] = (uint64_t)p->items[args[3].at + i].i;
    }
    return t;
}
