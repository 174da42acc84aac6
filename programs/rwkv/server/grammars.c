/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grammars.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

struct entry {
    enum rw_grammar_kind kind;
    char *text; /* [size] owned */
    size_t size;
    rwkv_grammar *grammar;
    size_t holders;
    struct entry *next;
};

struct rw_grammars {
    struct entry *first; /* held last */
    size_t kept;
};

rwkv_status rw_grammars_new(size_t kept, struct rw_grammars **out, rwkv_error *err)
{
    struct rw_grammars *g = rw_calloc(1, sizeof *g);
    if (!g)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a list of grammars");
    g->kept = kept;
    *out = g;
    return RWKV_OK;
}

static void free_entry(struct entry *e)
{
    rwkv_grammar_free(e->grammar);
    rw_free(e->text);
    rw_free(e);
}

void rw_grammars_free(struct rw_grammars *g)
{
    while (g && g->first) {
        struct entry *e = g->first;
        g->first = e->next;
        free_entry(e);
    }
    rw_free(g);
}

/* Take it out of the list; NULL if there is none of this text. */
static struct entry *take(struct rw_grammars *g, enum rw_grammar_kind kind, const char *text,
                          size_t size)
{
    for (struct entry **at = &g->first; *at; at = &(*at)->next) {
        struct entry *e = *at;
        if (e->kind != kind || e->size != size || memcmp(e->text, text, size) != 0)
            continue;
        *at = e->next;
        return e;
    }
    return NULL;
}

static rwkv_status make(enum rw_grammar_kind kind, const char *text, size_t size,
                        struct entry **out, rwkv_error *err)
{
    struct entry *e = rw_calloc(1, sizeof *e);
    if (e)
        e->text = rw_strndup(text, size);
    if (!e || !e->text) {
        rw_free(e);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    }
    e->kind = kind;
    e->size = size;
    rwkv_status status = kind == RW_GRAMMAR_OBJECT ? rwkv_grammar_any_object(&e->grammar, err)
                         : kind == RW_GRAMMAR_GBNF
                             ? rwkv_grammar_from_gbnf(text, size, &e->grammar, err)
                             : rwkv_grammar_from_schema(text, size, &e->grammar, err);
    if (status == RWKV_OK)
        *out = e;
    else
        free_entry(e);
    return status;
}

rwkv_status rw_grammars_hold(struct rw_grammars *g, enum rw_grammar_kind kind, const char *text,
                             size_t size, rwkv_grammar **out, rwkv_error *err)
{
    struct entry *e = take(g, kind, text, size);
    if (!e)
        RW_TRY(make(kind, text, size, &e, err));
    e->holders++;
    e->next = g->first;
    g->first = e;
    *out = e->grammar;
    return RWKV_OK;
}

/* Those that nobody holds, beyond the number to keep, go. */
static void drop(struct rw_grammars *g)
{
    size_t unheld = 0;
    for (struct entry **at = &g->first; *at;) {
        struct entry *e = *at;
        unheld += e->holders == 0;
        if (e->holders > 0 || unheld <= g->kept) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free_entry(e);
    }
}

void rw_grammars_release(struct rw_grammars *g, rwkv_grammar *grammar)
{
    for (struct entry *e = g->first; grammar && e; e = e->next)
        if (e->grammar == grammar)
            e->holders--;
    drop(g);
}
