/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pickle machine alone, with the persistent ids of either form of file: the object it makes
 * must be whole, which is seen by looking at every part of it that a reader looks at.
 */
#include <stdint.h>
#include <stdlib.h>

#include "formats/pth_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Strings lie in the pickle. */
static void check_bytes(const struct rw_pickle *p, const char *s, size_t n)
{
    const char *begin = (const char *)p->in.data;
    if (s < begin || s > begin + p->in.size || n > (size_t)(begin + p->in.size - s))
        abort();
}

static void check_value(const struct rw_pickle *p, struct rw_pickle_value v)
{
    if (v.kind == RW_PICKLE_STRING || v.kind == RW_PICKLE_LONG)
        check_bytes(p, v.s, v.n);
    if ((v.kind == RW_PICKLE_LIST || v.kind == RW_PICKLE_DICT) && v.at >= p->n_nodes)
        abort();
    if (v.kind == RW_PICKLE_STORAGE) {
        struct rw_pickle_storage s = rw_torch_storage(p, v);
        if (s.dtype >= RWKV_DTYPE_COUNT || s.n_elements > INT64_MAX)
            abort();
        check_bytes(p, s.key, s.key_size);
    }
    if (v.kind == RW_PICKLE_TENSOR) {
        struct rw_pickle_tensor t = rw_torch_tensor(p, v);
        if (t.n_dims > RWKV_MAX_DIMS || t.offset > INT64_MAX)
            abort();
        check_bytes(p, t.storage.key, t.storage.key_size);
    }
}

static void check(const struct rw_pickle *p)
{
    size_t n_entries = 0;
    check_value(p, p->result);
    for (size_t i = 0; i < p->n_nodes; i++) {
        size_t n = 0;
        for (uint32_t at = p->nodes[i].first; at; at = p->entries[at - 1].next) {
            check_bytes(p, p->entries[at - 1].key, p->entries[at - 1].key_size);
            check_value(p, p->entries[at - 1].value);
            n++;
        }
        if (n != p->nodes[i].n_entries)
            abort();
        n_entries += n;
    }
    if (n_entries != p->n_entries)
        abort();
    for (size_t i = 0; i < p->n_storages; i++)
        check_value(p, p->storages[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t id_items = 5; id_items <= 6; id_items++) {
        struct rw_pickle p;
        rwkv_error err;
        if (rw_pickle_run(&p, "fuzz", "pickle", data, size, id_items, &err) == RWKV_OK)
            check(&p);
        rw_pickle_fini(&p);
    }
    return 0;
}
