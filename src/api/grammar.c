/* SPDX-License-Identifier: Apache-2.0 */
#include "rwkv_grammar.h"

#include "api/api_int.h"
#include "text/grammar.h"

rwkv_status rwkv_grammar_from_gbnf(const char *text, size_t size, rwkv_grammar **out,
                                   rwkv_error *err)
{
    REQUIRE(text != NULL);
    REQUIRE(out != NULL);
    return rw_grammar_from_gbnf(text, size, out, err);
}

rwkv_status rwkv_grammar_from_schema(const char *json, size_t size, rwkv_grammar **out,
                                     rwkv_error *err)
{
    REQUIRE(json != NULL);
    REQUIRE(out != NULL);
    return rw_grammar_from_schema(json, size, out, err);
}

rwkv_status rwkv_grammar_any_object(rwkv_grammar **out, rwkv_error *err)
{
    REQUIRE(out != NULL);
    return rw_grammar_any_object(out, err);
}

void rwkv_grammar_free(rwkv_grammar *grammar)
{
    rw_grammar_free(grammar);
}

rwkv_status rwkv_grammar_check(const rwkv_grammar *grammar, const char *text, size_t size,
                               size_t *matched, int *whole, rwkv_error *err)
{
    REQUIRE(grammar != NULL);
    REQUIRE(text != NULL || size == 0);
    REQUIRE(matched != NULL);
    return rw_grammar_check(grammar, text, size, matched, whole, err);
}

void rwkv_grammar_get_stats(const rwkv_grammar *grammar, rwkv_grammar_stats *stats)
{
    rw_grammar_get_stats(grammar, stats);
}
