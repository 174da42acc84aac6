/* SPDX-License-Identifier: Apache-2.0 */
#include "train/tokenizing.h"

#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/status.h"
#include "train/lines.h"

/* --- memory ----------------------------------------------------------------------------------- */

void rw_tokenizing_fini(struct rw_tokenizing *t)
{
    for (size_t i = 0; i < t->n_made; i++) {
        rw_free(t->units[i].tokens);
        rw_free(t->units[i].ends);
    }
    rw_free(t->units);
    rw_free(t->joint);
    *t = (struct rw_tokenizing){0};
}

/* The next unit, empty, with the memory it had in an earlier batch. */
static rwkv_status add_unit(struct rw_tokenizing *t, size_t part, size_t begin, size_t end,
                            rwkv_error *err)
{
    if (!rw_grow((void **)&t->units, t->n_units, &t->units_capacity, sizeof *t->units))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for texts");
    struct rw_text_unit *u = &t->units[t->n_units],
                        fresh = {.part = part, .begin = begin, .end = end};
    if (t->n_units < t->n_made) {
        fresh.tokens = u->tokens;
        fresh.tokens_capacity = u->tokens_capacity;
        fresh.ends = u->ends;
        fresh.ends_capacity = u->ends_capacity;
    }
    *u = fresh;
    t->n_units++;
    t->n_made = RW_MAX(t->n_made, t->n_units);
    return RWKV_OK;
}

/* Room for n more tokens. */
static bool reserve(struct rw_text_unit *u, size_t n)
{
    size_t wanted;
    if (!rw_add(u->n_tokens, n, &wanted))
        return false;
    if (wanted <= u->tokens_capacity)
        return true;
    wanted = RW_MAX(wanted, u->tokens_capacity + u->tokens_capacity / 2);
    int32_t *tokens = rw_realloc(u->tokens, wanted, sizeof *tokens);
    if (!tokens)
        return false;
    u->tokens = tokens;
    u->tokens_capacity = wanted;
    return true;
}

/* --- text ------------------------------------------------------------------------------------- */

/* Tokens from the unit's first byte on, as many as begin in it. So many at once that they cannot
 * begin behind it; a text without a token for some byte ends the unit early. */
static void tokenize_text(const struct rw_tokenizing *t, struct rw_text_unit *u)
{
    const struct rw_corpus_part *part = &t->corpus->parts[u->part];
    const char *text = t->corpus->buffer, *zero = memchr(text + u->begin, 0, u->end - u->begin);
    size_t longest = rw_vocab_longest(t->vocab), n = 1;
    bool one_by_one = false; /* to the byte that no token begins with */
    u->stopped = u->begin;
    if (zero) {
        u->failed = true;
        rw_fail(&u->wrong, RWKV_ERROR_FORMAT, "byte %llu: wanted text, found a zero byte",
                (unsigned long long)(part->at + (size_t)(zero - text) - part->begin));
        return;
    }
    while (u->stopped < u->end && n > 0) {
        size_t certain = one_by_one ? 1 : (u->end - u->stopped + longest - 1) / longest;
        size_t at = u->stopped;
        if (!reserve(u, certain)) {
            u->failed = true;
            rw_fail(&u->wrong, RWKV_ERROR_MEMORY, "no memory for its tokens");
            return;
        }
        if (rw_vocab_encode_some(t->vocab, text, part->end, &at, u->tokens + u->n_tokens, certain,
                                 &n, NULL) == RWKV_OK) {
            u->stopped = at;
            u->n_tokens += n;
        } else {
            n = !one_by_one;
            one_by_one = true;
        }
    }
}

static rwkv_status choose_one(struct rw_tokenizing *t, const struct rw_corpus_part *part,
                              size_t *at, rwkv_error *err)
{
    size_t n, from = *at;
    if (!rw_grow((void **)&t->joint, t->n_joint, &t->joint_capacity, sizeof *t->joint))
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for its tokens", part->file->name);
    if (rw_vocab_encode_some(t->vocab, t->corpus->buffer, part->end, at, t->joint + t->n_joint, 1,
                             &n, NULL) != RWKV_OK)
        return rw_fail(err, RWKV_ERROR_TOKEN,
                       "%s: byte %llu: wanted the beginning of a token of the vocabulary, found "
                       "0x%02x",
                       part->file->name, (unsigned long long)(part->at + from - part->begin),
                       (uint8_t)t->corpus->buffer[from]);
    t->n_joint++;
    return RWKV_OK;
}

rwkv_status rw_unit_join(struct rw_tokenizing *t, struct rw_text_unit *u, size_t *at,
                         rwkv_error *err)
{
    const struct rw_corpus_part *part = &t->corpus->parts[u->part];
    size_t begins = u->begin; /* of its token number u->skip */
    assert(*at >= u->begin);
    t->n_joint = u->skip = 0;
    while (*at < u->end) {
        for (; u->skip < u->n_tokens && begins < *at; u->skip++) {
            size_t length;
            rw_vocab_token(t->vocab, u->tokens[u->skip], &length);
            begins += length;
        }
        if (u->skip < u->n_tokens && begins == *at) {
            *at = u->stopped; /* before the end only where no token begins, which is then said */
            return *at < u->end ? choose_one(t, part, at, err) : RWKV_OK;
        }
        RW_TRY(choose_one(t, part, at, err));
    }
    u->skip = u->n_tokens;
    return RWKV_OK;
}

/* --- JSON lines ------------------------------------------------------------------------------- */

/* Append the tokens of a text, and their end. */
static rwkv_status add_text(const struct rw_tokenizing *t, struct rw_text_unit *u,
                            const char *field, const char *text, size_t size, rwkv_error *err)
{
    size_t n = 0;
    if (memchr(text, 0, size))
        return rw_fail(err, RWKV_ERROR_FORMAT, "\"%s\": wanted text without U+0000", field);
    if (!reserve(u, size) ||
        !rw_grow((void **)&u->ends, u->n_ends, &u->ends_capacity, sizeof *u->ends))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for its tokens");
    if (size > 0)
        RW_TRY(rw_vocab_encode(t->vocab, text, size, u->tokens + u->n_tokens, size, &n, err));
    u->n_tokens += n;
    u->ends[u->n_ends++] = u->n_tokens;
    return RWKV_OK;
}

/* All of the document of a line or nothing. */
static rwkv_status add_document(const struct rw_tokenizing *t, struct rw_text_unit *u,
                                const json_t *object, rwkv_error *err)
{
    const char *text, *prompt = NULL;
    size_t size, prompt_size = 0, n_tokens = u->n_tokens, n_ends = u->n_ends;
    rwkv_status status = RWKV_OK;
    RW_TRY(rw_line_text(object, t->field, &text, &size, err));
    if (t->prompt_field)
        RW_TRY(rw_line_text(object, t->prompt_field, &prompt, &prompt_size, err));
    if (size == 0) {
        u->empty++;
        return RWKV_OK;
    }
    if (prompt)
        status = add_text(t, u, t->prompt_field, prompt, prompt_size, err);
    if (status == RWKV_OK)
        status = add_text(t, u, t->field, text, size, err);
    if (status != RWKV_OK) {
        u->n_tokens = n_tokens;
        u->n_ends = n_ends;
        return status;
    }
    u->text_bytes += prompt_size + size;
    return RWKV_OK;
}

static rwkv_status tokenize_line(const struct rw_tokenizing *t, struct rw_text_unit *u,
                                 const char *line, size_t size, rwkv_error *err)
{
    json_auto_t *object = NULL;
    RW_TRY(rw_line_object(line, size, &object, err));
    return add_document(t, u, object, err);
}

static void tokenize_lines(const struct rw_tokenizing *t, struct rw_text_unit *u)
{
    const struct rw_corpus_part *part = &t->corpus->parts[u->part];
    struct rw_lines lines = rw_lines_of(t->corpus, part, u->begin, u->end);
    const char *line;
    size_t size;
    for (; !u->failed && rw_lines_next(&lines, &line, &size); u->lines++) {
        rwkv_error err = {0};
        if (rw_line_is_blank(line, size) || tokenize_line(t, u, line, size, &err) == RWKV_OK)
            continue;
        if (u->skipped == 0) {
            u->wrong = err;
            u->wrong_line = u->lines;
        }
        u->failed = !t->skip_bad || err.code == RWKV_ERROR_MEMORY;
        u->skipped++;
    }
}

/* --- batches ---------------------------------------------------------------------------------- */

/* Where tokens may begin that are certain, whatever follows. */
static size_t certain_text(const struct rw_corpus_part *part, size_t longest)
{
    size_t size = part->end - part->begin;
    if (part->last)
        return part->end;
    return size < longest ? part->begin : part->end - longest + 1;
}

/* The end of the unit that begins at `begin`. */
static size_t unit_end(const struct rw_tokenizing *t, bool lines, size_t begin, size_t end)
{
    const char *text = t->corpus->buffer;
    if (end - begin <= t->piece)
        return end;
    if (!lines)
        return begin + t->piece;
    const char *newline = memchr(text + begin + t->piece, '\n', end - begin - t->piece);
    return newline ? (size_t)(newline + 1 - text) : end;
}

static rwkv_status cut(struct rw_tokenizing *t, struct rw_corpus *c, rwkv_error *err)
{
    t->n_units = 0;
    for (size_t i = 0; i < c->n_parts; i++) {
        struct rw_corpus_part *part = &c->parts[i];
        bool lines = part->file->lines;
        size_t end = lines ? rw_lines_end(c, part) : certain_text(part, rw_vocab_longest(t->vocab));
        for (size_t begin = part->begin, next; begin < end; begin = next) {
            next = unit_end(t, lines, begin, end);
            RW_TRY(add_unit(t, i, begin, next, err));
        }
        part->done = lines ? end : part->begin;
    }
    return RWKV_OK;
}

static void tokenize_unit(void *ctx, size_t piece, size_t thread)
{
    const struct rw_tokenizing *t = ctx;
    struct rw_text_unit *u = &t->units[piece];
    if (t->corpus->parts[u->part].file->lines)
        tokenize_lines(t, u);
    else
        tokenize_text(t, u);
}

rwkv_status rw_tokenize_batch(struct rw_tokenizing *t, struct rw_corpus *corpus,
                              struct rw_pool *pool, rwkv_error *err)
{
    t->corpus = corpus;
    RW_TRY(cut(t, corpus, err));
    rw_pool_each(pool, tokenize_unit, t, t->n_units);
    return RWKV_OK;
}
