/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store holds in memory, and what leaves it first. All with the store's lock held.
 *
 * Order of leaving: what is superfluous (COLD), then what is on disk too (CLEAN), then the rest,
 * each by when it was used last. With a folder, states are written as soon as those that are only
 * in memory take half of it, so that there is always something that can leave at once: whoever puts
 * a state never waits for the disk.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/store_int.h"

#define BLOCK_BYTES 16 /* what an allocator adds to a block, about */
#define ENTRY_BYTES (sizeof(struct rw_entry) + BLOCK_BYTES)
#define SPACE_BYTES (sizeof(struct rw_space) + sizeof(void *) + BLOCK_BYTES)
#define KEEP_LAST 3 /* of a path that grows */

/* --- snapshots -------------------------------------------------------------------------------- */

struct rw_snapshot *rw_snapshot_new(size_t state_size)
{
    struct rw_snapshot *snapshot = rw_calloc(1, sizeof *snapshot);
    uint8_t *block = snapshot ? rw_alloc_large(state_size) : NULL;
    if (!block) {
        rw_free(snapshot);
        return NULL;
    }
    *snapshot = (struct rw_snapshot){1, block, state_size, block, state_size};
    return snapshot;
}

void rw_snapshot_retain(struct rw_snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->references, 1);
}

void rw_snapshot_release(struct rw_snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub(&snapshot->references, 1) > 1)
        return;
    rw_free(snapshot->block);
    rw_free(snapshot);
}

static uint64_t snapshot_bytes(const struct rw_snapshot *snapshot)
{
    if (!snapshot)
        return 0;
    return sizeof *snapshot + snapshot->block_size + BLOCK_BYTES * 2;
}

/* --- lists ------------------------------------------------------------------------------------ */

static void unlist(struct rwkv_store *store, struct rw_entry *entry)
{
    if (entry->list < RW_LIST_COUNT) {
        struct rw_entries *list = &store->lists[entry->list];
        *(entry->previous ? &entry->previous->next : &list->first) = entry->next;
        *(entry->next ? &entry->next->previous : &list->last) = entry->previous;
        list->n--;
        list->bytes -= snapshot_bytes(entry->snapshot);
    }
    entry->next = entry->previous = NULL;
    entry->list = RW_LIST_NONE;
}

void rw_store_place(struct rwkv_store *store, struct rw_entry *entry, enum rw_list kind)
{
    unlist(store, entry);
    entry->list = kind;
    if (kind >= RW_LIST_COUNT)
        return;
    struct rw_entries *list = &store->lists[kind];
    struct rw_entry *before = list->last;
    bool ordered = kind == RW_LIST_CLEAN || kind == RW_LIST_DIRTY;
    while (ordered && before && before->used > entry->used)
        before = before->previous;
    entry->previous = before;
    entry->next = before ? before->next : list->first;
    *(before ? &before->next : &list->first) = entry;
    *(entry->next ? &entry->next->previous : &list->last) = entry;
    list->n++;
    list->bytes += snapshot_bytes(entry->snapshot);
}

/* The list of an entry that is neither leaving nor being written. */
static enum rw_list list_of(const struct rw_entry *entry)
{
    if (!entry->snapshot)
        return RW_LIST_DISK;
    if (entry->cold)
        return RW_LIST_COLD;
    return entry->row ? RW_LIST_CLEAN : RW_LIST_DIRTY;
}

/* --- spaces and entries ----------------------------------------------------------------------- */

/* Where the space of a key is, or would be. */
static size_t space_place(const struct rwkv_store *store, const uint8_t key[RW_STORE_KEY])
{
    size_t low = 0, high = store->n_spaces;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(store->spaces[middle]->key, key, RW_STORE_KEY) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct rw_space *rw_store_space(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY])
{
    size_t at = space_place(store, key);
    bool there = at < store->n_spaces && memcmp(store->spaces[at]->key, key, RW_STORE_KEY) == 0;
    return there ? store->spaces[at] : NULL;
}

static struct rw_space *add_space(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY])
{
    struct rw_space *space = rw_store_space(store, key);
    if (space)
        return space;
    space = rw_calloc(1, sizeof *space);
    if (!space || !rw_grow((void **)&store->spaces, store->n_spaces, &store->spaces_capacity,
                           sizeof(struct rw_space *))) {
        rw_free(space);
        return NULL;
    }
    memcpy(space->key, key, RW_STORE_KEY);
    size_t at = space_place(store, key);
    memmove(store->spaces + at + 1, store->spaces + at,
            (store->n_spaces - at) * sizeof *store->spaces);
    store->spaces[at] = space;
    store->n_spaces++;
    store->bytes += SPACE_BYTES;
    return space;
}

static void drop_space_if_empty(struct rwkv_store *store, struct rw_space *space)
{
    if (space->n_entries > 0)
        return;
    size_t at = space_place(store, space->key);
    store->n_spaces--;
    memmove(store->spaces + at, store->spaces + at + 1,
            (store->n_spaces - at) * sizeof *store->spaces);
    store->bytes -= SPACE_BYTES + space->tree.bytes;
    rw_tree_fini(&space->tree, NULL, NULL);
    rw_free(space);
}

struct rw_entry *rw_store_entry(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY],
                                const int32_t *tokens, size_t n)
{
    struct rw_space *space = rw_store_space(store, key);
    struct rw_tree_node *node = space ? rw_tree_find(&space->tree, tokens, n) : NULL;
    return node ? node->value : NULL;
}

struct rw_entry *rw_store_add_entry(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY],
                                    const int32_t *tokens, size_t n)
{
    struct rw_entry *entry = rw_store_entry(store, key, tokens, n);
    if (entry)
        return entry;
    struct rw_space *space = add_space(store, key);
    if (!space)
        return NULL;
    size_t before = space->tree.bytes;
    struct rw_tree_node *node = rw_tree_insert(&space->tree, tokens, n);
    store->bytes += space->tree.bytes - before;
    entry = node ? rw_calloc(1, sizeof *entry) : NULL;
    if (!entry) {
        before = space->tree.bytes;
        if (node)
            rw_tree_prune(&space->tree, node);
        store->bytes -= before - space->tree.bytes;
        drop_space_if_empty(store, space);
        return NULL;
    }
    *entry = (struct rw_entry){.space = space, .node = node, .list = RW_LIST_NONE};
    entry->used = ++store->clock;
    node->value = entry;
    space->n_entries++;
    store->bytes += ENTRY_BYTES;
    return entry;
}

void rw_store_drop_entry(struct rwkv_store *store, struct rw_entry *entry)
{
    struct rw_space *space = entry->space;
    size_t before = space->tree.bytes;
    unlist(store, entry);
    entry->node->value = NULL;
    rw_tree_prune(&space->tree, entry->node);
    store->bytes -= before; /* joining two nodes may take a little more or less */
    store->bytes += space->tree.bytes;
    store->bytes -= ENTRY_BYTES;
    rw_free(entry);
    space->n_entries--;
    drop_space_if_empty(store, space);
}

void rw_store_attach(struct rwkv_store *store, struct rw_entry *entry, struct rw_snapshot *snapshot)
{
    unlist(store, entry);
    entry->snapshot = snapshot;
    store->bytes += snapshot_bytes(snapshot);
    store->stats.memory_entries++;
    rw_store_place(store, entry, list_of(entry));
}

/* Take an entry's snapshot away; without a row the entry goes too. */
static void evict(struct rwkv_store *store, struct rw_entry *entry)
{
    unlist(store, entry);
    store->bytes -= snapshot_bytes(entry->snapshot);
    rw_snapshot_release(entry->snapshot);
    entry->snapshot = NULL;
    store->stats.memory_entries--;
    store->stats.evictions++;
    if (entry->row) {
        rw_store_place(store, entry, RW_LIST_DISK);
        return;
    }
    store->stats.dropped++;
    rw_store_drop_entry(store, entry);
}

void rw_store_set_row(struct rwkv_store *store, struct rw_entry *entry, int64_t row,
                      const struct rw_file_id *file, uint64_t file_bytes)
{
    entry->row = row;
    if (row) {
        entry->file = *file;
        entry->file_bytes = file_bytes;
    }
    if (!row && !entry->snapshot)
        rw_store_drop_entry(store, entry);
    else if (entry->list != RW_LIST_WRITING && (row || entry->list != RW_LIST_LEAVING))
        rw_store_place(store, entry, list_of(entry));
}

/* --- what is used ----------------------------------------------------------------------------- */

/* The index learns of it when something is written anyway. Where there is no memory it does not. */
static void touch(struct rwkv_store *store, const struct rw_entry *entry)
{
    if (!entry->row || !rw_grow((void **)&store->touches, store->n_touches,
                                &store->touches_capacity, sizeof *store->touches))
        return;
    store->touches[store->n_touches++] = (struct rw_touch){entry->row, entry->used, entry->cold};
    if (store->n_touches >= RW_MAX_TOUCHES)
        pthread_cond_signal(&store->work);
}

void rw_store_use(struct rwkv_store *store, struct rw_entry *entry)
{
    entry->used = ++store->clock;
    entry->again |= entry->node->n_children > 0;
    entry->cold = false;
    if (entry->list != RW_LIST_WRITING && entry->list != RW_LIST_LEAVING)
        rw_store_place(store, entry, list_of(entry));
    touch(store, entry);
}

static struct rw_entry *warm_above(const struct rw_entry *entry)
{
    struct rw_tree_node *node = rw_tree_above(entry->node);
    while (node && ((struct rw_entry *)node->value)->cold)
        node = rw_tree_above(node);
    return node ? node->value : NULL;
}

static void make_cold(struct rwkv_store *store, struct rw_entry *entry)
{
    entry->cold = true;
    if (entry->snapshot && entry->list != RW_LIST_WRITING)
        rw_store_place(store, entry, RW_LIST_COLD);
    touch(store, entry);
}

/*
 * Going up from the new one: an entry is superfluous if the gap that it would leave, between its
 * neighbours, is no longer than the way from the end of the path to that gap. So about log2(n)
 * entries stay of a path of n, and going back by so many tokens costs about as many.
 */
void rw_store_thin(struct rwkv_store *store, const struct rw_entry *entry)
{
    size_t end = entry->node->depth, kept = 1;
    const struct rw_entry *below = entry; /* the last one that stays */
    struct rw_entry *at = warm_above(entry);
    while (at) {
        struct rw_entry *above = warm_above(at);
        size_t gap = below->node->depth - (above ? above->node->depth : 0);
        bool stays = kept < KEEP_LAST || at->node->n_children > 1 || at->again ||
                     gap > end - below->node->depth;
        if (stays) {
            below = at;
            kept++;
        } else {
            make_cold(store, at);
        }
        at = above;
    }
}

/* --- making room ------------------------------------------------------------------------------ */

static struct rw_entry *victim(struct rwkv_store *store, const struct rw_entry *keep)
{
    for (int kind = 0; kind < RW_LIST_DISK; kind++) {
        struct rw_entry *entry = store->lists[kind].first;
        if (entry == keep && entry)
            entry = entry->next;
        if (entry)
            return entry;
    }
    return NULL;
}

/* What is only in memory is written once it takes half of it, or at once if it is to be shared.
 * After a failure one at a time is tried. */
static void send_to_writer(struct rwkv_store *store)
{
    struct rw_entries *dirty = &store->lists[RW_LIST_DIRTY];
    if (!rw_store_on_disk(store))
        return;
    uint64_t most = store->options.share ? 0 : store->options.memory_bytes / 2;
    while (dirty->first && dirty->bytes > most) {
        if (store->failing && (store->lists[RW_LIST_LEAVING].n > 0 || store->writing))
            return;
        rw_store_place(store, dirty->first, RW_LIST_LEAVING);
        pthread_cond_signal(&store->work);
    }
}

static bool too_much(const struct rwkv_store *store)
{
    return store->bytes + store->named_bytes > store->options.memory_bytes;
}

void rw_store_make_room(struct rwkv_store *store, struct rw_entry *keep)
{
    struct rw_entry *entry;
    while (too_much(store) && (entry = victim(store, keep)))
        evict(store, entry);
    if (too_much(store) && keep && keep->list < RW_LIST_DISK)
        evict(store, keep);
    send_to_writer(store);
}

static void free_entry(void *user, void *value)
{
    (void)user;
    rw_snapshot_release(((struct rw_entry *)value)->snapshot);
    rw_free(value);
}

void rw_store_fini_memory(struct rwkv_store *store)
{
    for (size_t i = 0; i < store->n_spaces; i++) {
        rw_tree_fini(&store->spaces[i]->tree, free_entry, NULL);
        rw_free(store->spaces[i]);
    }
    rw_free(store->spaces);
    rw_free(store->touches);
}
