/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grammars by their text. A client sends the same schema with every request: what was made of it,
 * and the masks that were found since, are kept for the next one. Belongs to the loop's thread.
 *
 *     rw_grammars_hold(grammars, RW_GRAMMAR_SCHEMA, text, size, &grammar, &err);
 *     …
 *     rw_grammars_release(grammars, grammar);      // when no sequence uses it any more
 */
#ifndef RW_SERVER_GRAMMARS_H
#define RW_SERVER_GRAMMARS_H

#include <stddef.h>

#include "rwkv.h"
#include "rwkv_grammar.h"

struct rw_grammars;

enum rw_grammar_kind {
    RW_GRAMMAR_OBJECT /* any; of no text */,
    RW_GRAMMAR_SCHEMA,
    RW_GRAMMAR_GBNF
};

/* Keeps at most `kept` grammars that nobody holds: those held last. */
rwkv_status rw_grammars_new(size_t kept, struct rw_grammars **out, rwkv_error *err);
/* Nobody may hold one any more. NULL is fine. */
void rw_grammars_free(struct rw_grammars *grammars);

/* The grammar of a text, made if there is none of it yet. */
rwkv_status rw_grammars_hold(struct rw_grammars *grammars, enum rw_grammar_kind kind,
                             const char *text, size_t size, rwkv_grammar **out, rwkv_error *err);
void rw_grammars_release(struct rw_grammars *grammars, rwkv_grammar *grammar); /* NULL is fine */

#endif
