/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a store, and states remembered by their tokens.
 *
 * A state is found under the lock, but copied outside of it: by then its snapshot may have left the
 * store, and is freed by whoever lets go of it last.
 */
#include "engine/store.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/status.h"
#include "engine/store_int.h"

#define DEFAULT_MEMORY ((uint64_t)1 << 30)
#define DEFAULT_DISK ((uint64_t)16 << 30)

void rw_store_key(const struct rwkv_session *session, const rwkv_owner *owner,
                  uint8_t key[RW_STORE_KEY])
{
    rw_state_fingerprint(session->model, key);
    memcpy(key + 32, owner->id, sizeof owner->id);
}

void rw_store_note(struct rwkv_store *store, bool damage, const rwkv_error *err)
{
    pthread_mutex_lock(&store->lock);
    *(damage ? &store->stats.damaged : &store->stats.failures) += 1;
    memcpy(store->stats.message, err->message, sizeof store->stats.message);
    pthread_mutex_unlock(&store->lock);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static int64_t system_clock(void *user)
{
    (void)user;
    return time(NULL);
}

static rwkv_status open_disk(struct rwkv_store *store, rwkv_error *err)
{
    RW_TRY(rw_store_clean(store, err));
    RW_TRY(rw_store_news(store, err));
    return rw_store_start_writer(store, err);
}

rwkv_status rw_store_open(const rwkv_store_options *options, struct rwkv_store **out,
                          rwkv_error *err)
{
    struct rwkv_store *store = rw_calloc(1, sizeof *store);
    if (!store)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a store");
    store->options = *options;
    store->options.folder = NULL; /* borrowed; the folder has its path */
    if (!store->options.memory_bytes)
        store->options.memory_bytes = DEFAULT_MEMORY;
    if (!store->options.disk_bytes)
        store->options.disk_bytes = DEFAULT_DISK;
    if (!store->options.now)
        store->options.now = system_clock;
    store->folder.fd = -1;
    store->bytes = sizeof *store;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->work, NULL);
    pthread_cond_init(&store->idle, NULL);
    rwkv_status status =
        options->folder ? rw_folder_open(&store->folder, options->folder, err) : RWKV_OK;
    if (status == RWKV_OK)
        status = rw_index_open(&store->index, rw_store_on_disk(store) ? &store->folder : NULL, err);
    if (status == RWKV_OK)
        store->has_index = true;
    if (status == RWKV_OK && rw_store_on_disk(store))
        status = open_disk(store, err);
    if (status == RWKV_OK)
        *out = store;
    else
        rw_store_close(store);
    return status;
}

rwkv_status rw_store_flush(struct rwkv_store *store, rwkv_error *err)
{
    struct rw_entry *entry;
    if (!rw_store_on_disk(store))
        return RWKV_OK;
    pthread_mutex_lock(&store->lock);
    uint64_t failures = store->stats.failures;
    while ((entry = store->lists[RW_LIST_DIRTY].first))
        rw_store_place(store, entry, RW_LIST_LEAVING);
    pthread_cond_signal(&store->work);
    while (store->lists[RW_LIST_LEAVING].n > 0 || store->writing)
        pthread_cond_wait(&store->idle, &store->lock);
    rwkv_status status = RWKV_OK;
    if (store->stats.failures > failures)
        status = rw_fail(err, RWKV_ERROR_IO, "%s", store->stats.message);
    pthread_mutex_unlock(&store->lock);
    RW_TRY(status);
    return rw_store_write_touches(store, err);
}

void rw_store_close(struct rwkv_store *store)
{
    if (!store)
        return;
    if (store->has_writer)
        rw_store_flush(store, NULL); /* what cannot be written is only a cache */
    rw_store_stop_writer(store);
    if (store->has_index)
        rw_index_close(&store->index);
    rw_folder_close(&store->folder);
    rw_store_fini_memory(store);
    pthread_cond_destroy(&store->work);
    pthread_cond_destroy(&store->idle);
    pthread_mutex_destroy(&store->lock);
    rw_free(store);
}

void rw_store_get_stats(struct rwkv_store *store, rwkv_store_stats *stats)
{
    struct rw_index_totals totals;
    rw_index_totals(&store->index, &totals);
    pthread_mutex_lock(&store->lock);
    *stats = store->stats;
    stats->memory_bytes = store->bytes + store->named_bytes;
    stats->leaving = store->lists[RW_LIST_LEAVING].n + store->writing;
    pthread_mutex_unlock(&store->lock);
    stats->memory_limit = store->options.memory_bytes;
    stats->named = totals.named;
    if (rw_store_on_disk(store)) {
        stats->disk_limit = store->options.disk_bytes;
        stats->disk_bytes = totals.remembered_bytes + totals.named_bytes;
        stats->disk_entries = totals.remembered;
    }
}

/* --- finding ---------------------------------------------------------------------------------- */

/* What is looked for. */
struct search {
    struct rwkv_session *session;
    uint8_t key[RW_STORE_KEY];
    const int32_t *tokens;
    size_t n; /* at most so many: longer ones could not be read */
};

/* With the lock held. */
static struct rw_entry *longest(struct rwkv_store *store, const struct search *search)
{
    struct rw_space *space = rw_store_space(store, search->key);
    struct rw_tree_node *node =
        space ? rw_tree_longest(&space->tree, search->tokens, search->n) : NULL;
    return node ? node->value : NULL;
}

/* With the lock held, which is let go: copy a state that is in memory. */
static rwkv_status find_in_memory(struct rwkv_store *store, const struct search *search,
                                  struct rw_entry *entry, rwkv_error *err)
{
    struct rw_snapshot *snapshot = entry->snapshot;
    rw_store_use(store, entry);
    rw_snapshot_retain(snapshot);
    pthread_mutex_unlock(&store->lock);
    rwkv_status status = rw_state_unpack(search->session, snapshot->state, snapshot->state_size,
                                         "a remembered state", err);
    rw_snapshot_release(snapshot);
    return status;
}

/* Read a file into the session; its bytes become a snapshot. */
static rwkv_status read_snapshot(struct rwkv_store *store, const struct search *search,
                                 const struct rw_entry *copy, size_t n, struct rw_snapshot **out,
                                 bool *gone, rwkv_error *err)
{
    struct rw_store_content content;
    uint8_t *block;
    char name[512];
    const struct rw_index_row row = {
        .file = copy->file, .bytes = copy->file_bytes, .key = search->key, .n_tokens = n};
    RW_TRY(rw_store_read(store, &row, &block, &content, gone, err));
    rw_folder_name(&store->folder, &copy->file, name);
    bool same = true;
    for (size_t i = 0; i < n && same; i++)
        same = (int32_t)rw_load_u32(content.tokens + 4 * i) == search->tokens[i];
    rwkv_status status =
        same ? rw_state_read(search->session, content.state, content.state_size, name, err)
             : rw_fail(err, RWKV_ERROR_FORMAT, "%s: foreign: of other tokens than the index says",
                       name);
    *out = status == RWKV_OK ? rw_calloc(1, sizeof **out) : NULL;
    if (*out)
        **out = (struct rw_snapshot){1, block, copy->file_bytes,
                                     (uint8_t *)(uintptr_t)content.state, content.state_size};
    else
        rw_free(block);
    return status;
}

/* The state is in memory from now on; its entry may be gone, and another thread faster. */
static void remember_again(struct rwkv_store *store, const struct search *search, size_t n,
                           struct rw_snapshot *snapshot)
{
    pthread_mutex_lock(&store->lock);
    store->stats.disk_hits++;
    struct rw_entry *entry = rw_store_entry(store, search->key, search->tokens, n);
    if (entry)
        rw_store_use(store, entry);
    if (entry && !entry->snapshot && snapshot) {
        rw_store_attach(store, entry, snapshot);
        rw_store_make_room(store, entry);
        snapshot = NULL;
    }
    pthread_mutex_unlock(&store->lock);
    rw_snapshot_release(snapshot);
}

/* A file that could not be read: forget it if that is the file's fault. */
static void forget(struct rwkv_store *store, const struct search *search,
                   const struct rw_entry *copy, size_t n, bool gone, const rwkv_error *err)
{
    bool was_there = false;
    bool damaged = err->code == RWKV_ERROR_FORMAT || err->code == RWKV_ERROR_UNSUPPORTED ||
                   err->code == RWKV_ERROR_STATE;
    if (!damaged && !gone) {
        rw_store_note(store, false, err);
        return;
    }
    rw_store_forget_file(store, copy->row, &copy->file, false, &was_there);
    if (was_there) /* else another process has removed it, as it may */
        rw_store_note(store, true, err);
    pthread_mutex_lock(&store->lock);
    struct rw_entry *entry = rw_store_entry(store, search->key, search->tokens, n);
    if (entry && entry->row == copy->row)
        rw_store_set_row(store, entry, 0, NULL, 0);
    pthread_mutex_unlock(&store->lock);
}

/* With the lock held, which is let go. False: it is not there any more, or cannot be read. */
static bool find_on_disk(struct rwkv_store *store, const struct search *search,
                         const struct rw_entry *entry, size_t n)
{
    rwkv_error err = {0};
    struct rw_snapshot *snapshot;
    const struct rw_entry copy = *entry;
    bool gone = false;
    pthread_mutex_unlock(&store->lock);
    if (read_snapshot(store, search, &copy, n, &snapshot, &gone, &err) == RWKV_OK) {
        remember_again(store, search, n, snapshot);
        return true;
    }
    forget(store, search, &copy, n, gone, &err);
    return false;
}

/* The result is counted. */
static void count(struct rwkv_store *store, size_t found)
{
    pthread_mutex_lock(&store->lock);
    *(found ? &store->stats.hits : &store->stats.misses) += 1;
    store->stats.tokens_saved += found;
    pthread_mutex_unlock(&store->lock);
}

rwkv_status rw_store_find(struct rwkv_store *store, struct rwkv_session *session,
                          const rwkv_owner *owner, const int32_t *tokens, size_t n_tokens,
                          size_t *found, rwkv_error *err)
{
    struct search search = {.session = session, .tokens = tokens, .n = n_tokens};
    rwkv_error said = {0};
    size_t n = 0;
    rw_store_key(session, owner, search.key);
    for (bool done = false; !done;) {
        pthread_mutex_lock(&store->lock);
        rwkv_status news = rw_store_news(store, &said);
        struct rw_entry *entry = longest(store, &search);
        n = entry ? entry->node->depth : 0;
        if (!entry) {
            pthread_mutex_unlock(&store->lock);
            done = true;
        } else if (entry->snapshot) {
            RW_TRY(find_in_memory(store, &search, entry, err));
            done = true;
        } else {
            done = find_on_disk(store, &search, entry, n);
            search.n = done ? search.n : n - 1;
        }
        if (news != RWKV_OK)
            rw_store_note(store, false, &said);
    }
    count(store, n);
    *found = n;
    return RWKV_OK;
}

/* --- remembering ------------------------------------------------------------------------------ */

/* Whether these tokens are remembered in memory; they count as used then. */
static bool is_remembered(struct rwkv_store *store, const uint8_t key[RW_STORE_KEY],
                          const int32_t *tokens, size_t n)
{
    pthread_mutex_lock(&store->lock);
    struct rw_entry *entry = rw_store_entry(store, key, tokens, n);
    bool there = entry && entry->snapshot;
    if (there)
        rw_store_use(store, entry);
    pthread_mutex_unlock(&store->lock);
    return there;
}

rwkv_status rw_store_put(struct rwkv_store *store, const struct rwkv_session *session,
                         const rwkv_owner *owner, const int32_t *tokens, size_t n_tokens,
                         rwkv_error *err)
{
    uint8_t key[RW_STORE_KEY];
    size_t size = rw_state_size(session);
    if (!session->has_logits || session->position < n_tokens)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a session that has seen %zu tokens and has logits, found %llu%s",
                       n_tokens, (unsigned long long)session->position,
                       session->has_logits ? "" : " and none");
    if (size > store->options.memory_bytes)
        return rw_fail(err, RWKV_ERROR_MEMORY,
                       "a state of %zu bytes is larger than the store's memory of %llu", size,
                       (unsigned long long)store->options.memory_bytes);
    rw_store_key(session, owner, key);
    if (is_remembered(store, key, tokens, n_tokens))
        return RWKV_OK;
    struct rw_snapshot *snapshot = rw_snapshot_new(size);
    if (!snapshot)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to remember a state of %zu bytes", size);
    rw_state_pack(session, snapshot->state);
    pthread_mutex_lock(&store->lock);
    struct rw_entry *entry = rw_store_add_entry(store, key, tokens, n_tokens);
    if (entry && !entry->snapshot) {
        rw_store_attach(store, entry, snapshot);
        snapshot = NULL;
        rw_store_use(store, entry);
        rw_store_thin(store, entry);
        rw_store_make_room(store, entry);
    }
    pthread_mutex_unlock(&store->lock);
    rw_snapshot_release(snapshot);
    if (!entry)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to remember %zu tokens", n_tokens);
    return RWKV_OK;
}
