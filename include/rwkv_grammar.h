/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_grammar.h: say what a generated text may be.
 *
 *     rwkv_grammar *grammar = NULL;
 *     rwkv_generate_options options = {.max_tokens = 200};
 *     const char *schema = "{\"type\": \"object\", \"properties\": {\"age\": {\"type\":
 * \"integer\"}}}"; if (rwkv_grammar_from_schema(schema, strlen(schema), &grammar, &err) != RWKV_OK)
 * … options.grammar = grammar; rwkv_generate(session, prompt, &options, print, NULL, &result,
 * &err); rwkv_grammar_free(grammar);
 *
 * With a grammar in rwkv_generate_options the tokens that would leave it are never chosen: what has
 * been generated is at any moment the beginning of a text of the grammar. Token 0 and stop tokens
 * are chosen only where the text may end, and where nothing else may follow it ends by itself, with
 * RWKV_FINISH_STOP. With RWKV_FINISH_LENGTH it may be cut off. Stop sequences end it anywhere.
 *
 * A grammar is immutable and may be used by many threads at once; it keeps masks of allowed tokens,
 * at most 16 MiB, so that the same grammar used again is faster than one made anew. Grammars work
 * on the bytes of tokens and fit every vocabulary.
 *
 * docs/grammar.md says what of GBNF and of JSON Schema is understood, what is refused, and what it
 * costs.
 */
#ifndef RWKV_GRAMMAR_H
#define RWKV_GRAMMAR_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From GBNF, the notation of llama.cpp: `size` bytes at `text`, at most 1 MiB, borrowed during the
 * call. The text is what the rule `root` describes. Fails with RWKV_ERROR_FORMAT and the line where
 * it is no GBNF, with RWKV_ERROR_UNSUPPORTED for rules that begin with themselves, that no finite
 * text matches, or that are too large. */
RWKV_API rwkv_status rwkv_grammar_from_gbnf(const char *text, size_t size, rwkv_grammar **out,
                                            rwkv_error *err);

/* From a JSON Schema: JSON documents that it allows, all valid, though not all that are. Fails with
 * RWKV_ERROR_FORMAT where it is no JSON or no schema, with RWKV_ERROR_UNSUPPORTED, the keyword and
 * its place, for what is not understood. */
RWKV_API rwkv_status rwkv_grammar_from_schema(const char *json, size_t size, rwkv_grammar **out,
                                              rwkv_error *err);

/* Any JSON object. */
RWKV_API rwkv_status rwkv_grammar_any_object(rwkv_grammar **out, rwkv_error *err);

/* Not before all sequences that use it have finished. */
RWKV_API void rwkv_grammar_free(rwkv_grammar *grammar);

/* How much of `size` bytes at `text` a generated text may begin with: *matched bytes. *whole
 * (nullable) is 1 if they are all of the bytes and such a text may end there, else 0. */
RWKV_API rwkv_status rwkv_grammar_check(const rwkv_grammar *grammar, const char *text, size_t size,
                                        size_t *matched, int *whole, rwkv_error *err);

/* What a grammar is and did so far. */
typedef struct rwkv_grammar_stats {
    size_t states;     /* of its automaton */
    uint64_t masks;    /* asked for: one for each token to be chosen */
    uint64_t found;    /* of them, those that had to be found by walking the vocabulary … */
    double seconds;    /* … and the time that took */
    size_t kept;       /* masks kept now … */
    size_t kept_bytes; /* … and their memory */
} rwkv_grammar_stats;

RWKV_API void rwkv_grammar_get_stats(const rwkv_grammar *grammar, rwkv_grammar_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
