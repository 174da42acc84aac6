/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learning goes in rounds. First the vocabulary grows, a quarter at a time, by the strings that
 * would save most tokens of the text, beyond the size wanted; strings taken up together get in each
 * other's way, so then those that save least are dropped, half of the excess at a time, each time
 * measured anew. After that a share of it is exchanged in the same way, a smaller share each time,
 * until little changes. The best of all rounds is kept.
 *
 * Which strings have a chance and what they save: vocab_score.h. The shares below were tried out on
 * stories and talk, 4,096 and 16,384 tokens: no other choice was better by more than 0.05 %.
 */
#include "text/vocab_train.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/status.h"
#include "text/vocab_int.h"
#include "text/vocab_score.h"

#define SIZE_LIMIT ((size_t)1 << 20)
#define DEFAULT_LONGEST 32
#define LONGEST_LIMIT 128
#define DEFAULT_MEMORY ((uint64_t)1 << 30)

#define GROWTH 0.25   /* of the vocabulary, in a round of growing … */
#define GROWTH_MIN 64 /* … but at least so many tokens */
#define EXCESS 0.5    /* beyond the size wanted, before the first drop */
#define EXCHANGES 12  /* rounds at most */
#define EXCHANGE 0.2  /* of the vocabulary, in the first of them … */
#define DECAY 0.7     /* … and how that shrinks from one to the next */
#define SETTLED 1e-4  /* of the tokens: an exchange that saves less is one of two before the end */

struct token {
    const uint8_t *bytes; /* borrowed: a single byte, a kept token or from the pieces */
    size_t size;
    bool fixed; /* one of the first two */
};

/* Tokens in the order of their bytes, all different. */
struct tokens {
    struct token *list; /* [n] */
    size_t n, capacity;
};

struct rwkv_vocab_trainer {
    rwkv_vocab_trainer_options options;
    uint8_t bytes[256];
    struct tokens kept;       /* bytes owned */
    struct rw_trie kept_trie; /* those of them that cross cuts */
    struct rw_pieces pieces;
    bool begun; /* there is text: nothing more can be kept */

    /* during a run */
    struct rw_pool *pool;
    struct rw_score score;
    struct tokens tokens, best;
    struct rw_trie trie; /* of `tokens`, values are their places in the list */
    uint64_t total, best_total;
    int64_t *losses; /* [n_losses], by place */
    size_t n_losses;
    struct rw_candidate *candidates; /* [batch] */
    size_t batch;
};

/* --- lists of tokens -------------------------------------------------------------------------- */

static int compare_tokens(const void *a, const void *b)
{
    const struct token *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, RW_MIN(x->size, y->size));
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static rwkv_status fail_memory(rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_MEMORY, "no memory to learn a vocabulary");
}

static rwkv_status add_token(struct tokens *tokens, struct token token, rwkv_error *err)
{
    if (!rw_grow((void **)&tokens->list, tokens->n, &tokens->capacity, sizeof token))
        return fail_memory(err);
    tokens->list[tokens->n++] = token;
    return RWKV_OK;
}

static void sort_tokens(struct tokens *tokens)
{
    if (tokens->n)
        qsort(tokens->list, tokens->n, sizeof *tokens->list, compare_tokens);
}

static rwkv_status build_trie(const struct tokens *tokens, struct rw_trie *trie, rwkv_error *err)
{
    struct rw_trie_key *keys = rw_alloc(tokens->n, sizeof *keys);
    if (!keys)
        return fail_memory(err);
    for (size_t i = 0; i < tokens->n; i++)
        keys[i] = (struct rw_trie_key){tokens->list[i].bytes, tokens->list[i].size, (int32_t)i};
    rw_trie_fini(trie);
    bool built = rw_trie_build(trie, keys, tokens->n);
    rw_free(keys);
    return built ? RWKV_OK : fail_memory(err);
}

static rwkv_status rebuild(struct rwkv_vocab_trainer *t, rwkv_error *err)
{
    sort_tokens(&t->tokens);
    return build_trie(&t->tokens, &t->trie, err);
}

/* --- options, kept tokens, text --------------------------------------------------------------- */

static rwkv_status check_options(const rwkv_vocab_trainer_options *o, rwkv_error *err)
{
    if (o->size < 257 || o->size > SIZE_LIMIT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "size: wanted 257 (id 0 and every byte) to %zu ids, found %zu", SIZE_LIMIT,
                       o->size);
    if (o->longest != 0 && (o->longest < 2 || o->longest > LONGEST_LIMIT))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "longest: wanted 2 to %d bytes, found %zu",
                       LONGEST_LIMIT, o->longest);
    if (o->joins & ~15u)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "joins: wanted a sum of 1, 2, 4 and 8, found %u",
                       o->joins);
    if (o->threads < 0 || o->threads > RW_MAX_THREADS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "threads: wanted 0 to %d, found %d",
                       RW_MAX_THREADS, o->threads);
    return RWKV_OK;
}

rwkv_status rw_vocab_trainer_new(const rwkv_vocab_trainer_options *options,
                                 struct rwkv_vocab_trainer **out, rwkv_error *err)
{
    RW_TRY(check_options(options, err));
    struct rwkv_vocab_trainer *t = rw_calloc(1, sizeof *t);
    if (!t)
        return fail_memory(err);
    t->options = *options;
    if (!t->options.longest)
        t->options.longest = DEFAULT_LONGEST;
    if (!t->options.min_count)
        t->options.min_count = 2;
    for (size_t i = 0; i < 256; i++)
        t->bytes[i] = (uint8_t)i;
    t->pieces.memory = options->memory ? options->memory : DEFAULT_MEMORY;
    rw_pieces_init(&t->pieces, options->joins);
    *out = t;
    return RWKV_OK;
}

void rw_vocab_trainer_free(struct rwkv_vocab_trainer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->kept.n; i++)
        rw_free((void *)(uintptr_t)t->kept.list[i].bytes);
    rw_free(t->kept.list);
    rw_trie_fini(&t->kept_trie);
    rw_pieces_fini(&t->pieces);
    rw_free(t);
}

rwkv_status rw_vocab_trainer_keep(struct rwkv_vocab_trainer *t, const void *token, size_t size,
                                  rwkv_error *err)
{
    if (t->begun)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "tokens to keep are wanted before any text");
    if (size == 0 || size > LONGEST_LIMIT)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "a token to keep: wanted 1 to %d bytes, found %zu",
                       LONGEST_LIMIT, size);
    struct token new = {token, size, true};
    for (size_t i = 0; i < t->kept.n; i++)
        if (compare_tokens(&t->kept.list[i], &new) == 0)
            return RWKV_OK;
    if (size == 1) /* all are */
        return RWKV_OK;
    if (257 + t->kept.n + 1 > t->options.size)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "size: wanted room for every byte and %zu tokens to keep, found %zu",
                       t->kept.n + 1, t->options.size);
    char *copy = rw_strndup(token, size);
    if (!copy)
        return fail_memory(err);
    new.bytes = (const uint8_t *)copy;
    rwkv_status status = add_token(&t->kept, new, err);
    if (status != RWKV_OK)
        rw_free(copy);
    return status;
}

/* Before the first text: find the kept tokens that cross cuts. */
static rwkv_status begin(struct rwkv_vocab_trainer *t, rwkv_error *err)
{
    struct tokens crossing = {0};
    rwkv_status status = RWKV_OK;
    if (t->begun)
        return RWKV_OK;
    sort_tokens(&t->kept);
    for (size_t i = 0; i < t->kept.n && status == RWKV_OK; i++)
        if (rw_pieces_cut(&t->pieces, t->kept.list[i].bytes, t->kept.list[i].size))
            status = add_token(&crossing, t->kept.list[i], err);
    if (status == RWKV_OK && crossing.n) {
        status = build_trie(&crossing, &t->kept_trie, err);
        t->pieces.kept = &t->kept_trie;
    }
    rw_free(crossing.list);
    t->begun = status == RWKV_OK;
    return status;
}

rwkv_status rw_vocab_trainer_add(struct rwkv_vocab_trainer *t, const void *text, size_t size,
                                 rwkv_error *err)
{
    RW_TRY(begin(t, err));
    return rw_pieces_add(&t->pieces, text, size, err);
}

/* --- rounds ----------------------------------------------------------------------------------- */

static rwkv_status measure(struct rwkv_vocab_trainer *t, rwkv_error *err)
{
    if (t->tokens.n > t->n_losses) {
        rw_free(t->losses);
        t->n_losses = 0;
        t->losses = rw_alloc(t->tokens.n, sizeof *t->losses);
        if (!t->losses)
            return fail_memory(err);
        t->n_losses = t->tokens.n;
    }
    return rw_score_tokens(&t->score, &t->trie, t->losses, t->tokens.n, &t->total, err);
}

/* Add the best strings, up to a vocabulary of `size` tokens. */
static rwkv_status grow(struct rwkv_vocab_trainer *t, size_t size, rwkv_error *err)
{
    size_t n;
    RW_TRY(rw_score_candidates(&t->score, &t->trie, t->candidates,
                               RW_MIN(size - t->tokens.n, t->batch), &n, err));
    for (size_t i = 0; i < n; i++)
        RW_TRY(add_token(
            &t->tokens, (struct token){t->candidates[i].bytes, t->candidates[i].size, false}, err));
    return rebuild(t, err);
}

struct drop {
    int64_t loss;
    size_t place;
};

static int compare_drops(const void *a, const void *b)
{
    const struct drop *x = a, *y = b;
    if (x->loss != y->loss)
        return x->loss < y->loss ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Drop the n tokens that save least. */
static rwkv_status drop(struct rwkv_vocab_trainer *t, size_t n, rwkv_error *err)
{
    struct tokens *tokens = &t->tokens;
    size_t count = 0, left = 0;
    RW_TRY(measure(t, err));
    struct drop *drops = rw_alloc(tokens->n, sizeof *drops);
    if (!drops)
        return fail_memory(err);
    for (size_t i = 0; i < tokens->n; i++)
        if (!tokens->list[i].fixed)
            drops[count++] = (struct drop){t->losses[i], i};
    if (count)
        qsort(drops, count, sizeof *drops, compare_drops);
    for (size_t i = 0; i < RW_MIN(n, count); i++)
        tokens->list[drops[i].place].size = 0;
    rw_free(drops);
    for (size_t i = 0; i < tokens->n; i++)
        if (tokens->list[i].size)
            tokens->list[left++] = tokens->list[i];
    tokens->n = left;
    return build_trie(tokens, &t->trie, err);
}

static rwkv_status shrink(struct rwkv_vocab_trainer *t, size_t size, size_t rounds, rwkv_error *err)
{
    for (; rounds > 0 && t->tokens.n > size; rounds--) {
        size_t excess = t->tokens.n - size;
        RW_TRY(drop(t, rounds > 1 ? (excess + 1) / 2 : excess, err));
    }
    return RWKV_OK;
}

static rwkv_status keep_best(struct rwkv_vocab_trainer *t, rwkv_error *err)
{
    t->best_total = t->total;
    t->best.n = 0;
    for (size_t i = 0; i < t->tokens.n; i++)
        RW_TRY(add_token(&t->best, t->tokens.list[i], err));
    return RWKV_OK;
}

/* --- the run ---------------------------------------------------------------------------------- */

static size_t grown(size_t n, size_t high)
{
    size_t more = (size_t)((double)n * GROWTH);
    return RW_MIN(n + RW_MAX(more, (size_t)GROWTH_MIN), high);
}

static size_t high_of(size_t size)
{
    return size + (size_t)((double)(size - 256) * EXCESS);
}

/* Passes over the pieces that a run takes at most. */
static uint64_t count_passes(size_t n, size_t size)
{
    uint64_t passes = 3; /* the first drops */
    for (; n < high_of(size); n = grown(n, high_of(size)))
        passes += 2;
    return passes + 1 + EXCHANGES * 5;
}

static rwkv_status start(struct rwkv_vocab_trainer *t, rwkv_error *err)
{
    t->tokens.n = t->best.n = 0;
    for (size_t i = 0; i < 256; i++)
        RW_TRY(add_token(&t->tokens, (struct token){&t->bytes[i], 1, true}, err));
    for (size_t i = 0; i < t->kept.n; i++)
        RW_TRY(add_token(&t->tokens, t->kept.list[i], err));
    return rebuild(t, err);
}

static rwkv_status learn(struct rwkv_vocab_trainer *t, rwkv_error *err)
{
    size_t size = t->options.size - 1, before;
    double share = EXCHANGE;
    RW_TRY(start(t, err));
    t->score.planned = count_passes(t->tokens.n, size) * t->pieces.text.size;
    do {
        before = t->tokens.n;
        RW_TRY(grow(t, grown(before, high_of(size)), err));
    } while (t->tokens.n > before && t->tokens.n < high_of(size));
    RW_TRY(shrink(t, size, 3, err));
    RW_TRY(measure(t, err));
    RW_TRY(keep_best(t, err));
    for (size_t round = 0, idle = 0; round < EXCHANGES && idle < 2; round++, share *= DECAY) {
        uint64_t wanted = (uint64_t)((double)t->best_total * (1 - SETTLED));
        RW_TRY(grow(t, t->tokens.n + (size_t)((double)size * share) + 1, err));
        RW_TRY(shrink(t, size, 2, err));
        RW_TRY(measure(t, err));
        idle = t->total > wanted ? idle + 1 : 0;
        if (t->total < t->best_total || t->tokens.n > t->best.n)
            RW_TRY(keep_best(t, err));
    }
    return RWKV_OK;
}

/* Shorter ones first, as in the World vocabulary. */
static int compare_ids(const void *a, const void *b)
{
    const struct token *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return memcmp(x->bytes, y->bytes, x->size);
}

static rwkv_status make_vocab(struct rwkv_vocab_trainer *t, struct rwkv_vocab **out,
                              rwkv_error *err)
{
    struct rw_vocab_builder b = {.file = "learned", .unit = "token", .id_limit = SIZE_LIMIT};
    rwkv_status status = RWKV_OK;
    qsort(t->best.list, t->best.n, sizeof *t->best.list, compare_ids);
    for (size_t i = 0; i < t->best.n && status == RWKV_OK; i++)
        status = rw_vocab_add(&b, i + 1, t->best.list[i].bytes, t->best.list[i].size, i + 1, err);
    if (status == RWKV_OK)
        status = rw_vocab_build(&b, out, err);
    rw_vocab_builder_fini(&b);
    return status;
}

static void end_run(struct rwkv_vocab_trainer *t)
{
    rw_pool_free(t->pool);
    rw_score_fini(&t->score);
    rw_trie_fini(&t->trie);
    rw_free(t->tokens.list);
    rw_free(t->best.list);
    rw_free(t->losses);
    rw_free(t->candidates);
    t->pool = NULL;
    t->tokens = t->best = (struct tokens){0};
    t->losses = NULL;
    t->n_losses = 0;
    t->candidates = NULL;
}

static rwkv_status begin_run(struct rwkv_vocab_trainer *t, rwkv_progress_fn progress, void *user,
                             rwkv_error *err)
{
    size_t threads = t->options.threads ? (size_t)t->options.threads : rw_pool_default_threads();
    t->pool = rw_pool_new(threads);
    t->score = (struct rw_score){.pieces = &t->pieces,
                                 .pool = t->pool,
                                 .longest = t->options.longest,
                                 .min_count = t->options.min_count,
                                 .progress = progress,
                                 .user = user};
    t->batch = RW_MAX((size_t)((double)t->options.size * (GROWTH + EXCESS)), (size_t)GROWTH_MIN);
    t->candidates = rw_alloc(t->batch, sizeof *t->candidates);
    if (!t->pool || !t->candidates || !rw_score_init(&t->score, t->batch))
        return fail_memory(err);
    return RWKV_OK;
}

rwkv_status rw_vocab_trainer_run(struct rwkv_vocab_trainer *t, rwkv_progress_fn progress,
                                 void *user, struct rwkv_vocab **out, rwkv_vocab_training *result,
                                 rwkv_error *err)
{
    rwkv_status status;
    RW_TRY(begin(t, err));
    RW_GO(begin_run(t, progress, user, err));
    RW_GO(learn(t, err));
    RW_GO(make_vocab(t, out, err));
    if (result)
        *result = (rwkv_vocab_training){
            .size = t->best.n + 1,
            .text_bytes = t->pieces.total_bytes,
            .text_tokens = t->best_total + t->pieces.kept_count,
            .forgotten_bytes = t->pieces.forgotten_bytes,
            .words = t->pieces.n,
            .memory = rw_pieces_memory(&t->pieces) + rw_score_memory(t->batch),
        };
done:
    end_run(t);
    return status;
}
