/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of JSON as expressions. Blanks are bounded, since models that write JSON tend to go on
 * writing blanks: nothing, one, or a newline with up to RW_JSON_INDENT blanks where a document may
 * be broken; nothing or one after a colon; none elsewhere.
 */
#ifndef RW_TEXT_GRAMMAR_JSON_H
#define RW_TEXT_GRAMMAR_JSON_H

#include "text/grammar_expr.h"

#define RW_JSON_INDENT 32
#define RW_JSON_DIGITS 15 /* at most, of an integer and behind the point: doubles hold them */

/* Rules that are made when they are wanted first; 0, which is the root's number: not yet. */
struct rw_json_rules {
    struct rw_rules *rules;
    uint32_t gap, character, string, integer, number, value, object, array;
};

uint32_t rw_json_gap(struct rw_json_rules *j);       /* blanks where a document may be broken */
uint32_t rw_json_character(struct rw_json_rules *j); /* one, in a string */
uint32_t rw_json_string(struct rw_json_rules *j);
uint32_t rw_json_integer(struct rw_json_rules *j);
uint32_t rw_json_number(struct rw_json_rules *j);
uint32_t rw_json_value(struct rw_json_rules *j);
uint32_t rw_json_object(struct rw_json_rules *j);
uint32_t rw_json_array(struct rw_json_rules *j);

/* One of some characters, or with `negated` any other, as it may stand in a string: raw or, where
 * it must be, escaped. */
uint32_t rw_json_chars(struct rw_json_rules *j, const struct rw_range *ranges, size_t n,
                       bool negated);

/* `key`, a colon, and a value: both expressions. */
uint32_t rw_json_member(struct rw_json_rules *j, uint32_t key, uint32_t value);

/* `open` and `close` around min to max of `item`. */
uint32_t rw_json_list(struct rw_json_rules *j, const char *open, const char *close, uint32_t item,
                      uint32_t min, uint32_t max);

/* Numbers between bounds (grammar_number.c). A bound that is absent has no `given`. */
struct rw_bound {
    bool given, excluded;
    int64_t value;
};

uint32_t rw_json_integers(struct rw_json_rules *j, struct rw_bound low, struct rw_bound high);
uint32_t rw_json_numbers(struct rw_json_rules *j, struct rw_bound low, struct rw_bound high);

/* A string that a regular expression matches (grammar_regex.c); the expression is without quotes.
 * Fails with what is not understood, after "place: ". */
rwkv_status rw_json_pattern(struct rw_json_rules *j, const char *pattern, size_t size,
                            const char *place, uint32_t *expr, rwkv_error *err);

#endif
