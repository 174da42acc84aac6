/* SPDX-License-Identifier: Apache-2.0 */
#include "text/grammar_json.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define HEX                 \
    {'0', '9'}, {'a', 'f'}, \
    {                       \
        'A', 'F'            \
    }

static uint32_t sequence(struct rw_json_rules *j, uint32_t a, uint32_t b, uint32_t c)
{
    return rw_expr_sequence(j->rules, (uint32_t[]){a, b, c}, 3);
}

static uint32_t text(struct rw_json_rules *j, const char *s)
{
    return rw_expr_string(j->rules, s);
}

/* One of the characters of a few ranges. */
#define ONE_OF(j, ...)                                          \
    rw_expr_chars((j)->rules, (struct rw_range[]){__VA_ARGS__}, \
                  RW_COUNT(((struct rw_range[]){__VA_ARGS__})), false)

/* Make the rule once; the calls after that only name it. */
static bool is_new(struct rw_json_rules *j, uint32_t *rule)
{
    if (*rule)
        return false;
    *rule = rw_rule_new(j->rules);
    return j->rules->failed == RWKV_OK;
}

uint32_t rw_json_gap(struct rw_json_rules *j)
{
    if (is_new(j, &j->gap)) {
        uint32_t indent = rw_expr_repeat(j->rules, text(j, " "), 0, RW_JSON_INDENT);
        uint32_t line = sequence(j, text(j, "\n"), indent, RW_EXPR_EMPTY);
        rw_rule_set(j->rules, j->gap,
                    rw_expr_choice(j->rules, (uint32_t[]){text(j, " "), line, RW_EXPR_EMPTY}, 3));
    }
    return rw_expr_rule(j->rules, j->gap);
}

/* --- strings --- */

/* What follows \u: any character but U+0000, which programs cannot handle, and surrogates in pairs
 * only. */
static uint32_t unicode_escape(struct rw_json_rules *j)
{
    uint32_t hex = ONE_OF(j, HEX), hex2 = rw_expr_repeat(j->rules, hex, 2, 2);
    uint32_t hex3 = rw_expr_repeat(j->rules, hex, 3, 3);
    uint32_t some = ONE_OF(j, {'1', '9'}, {'a', 'f'}, {'A', 'F'});
    uint32_t d = ONE_OF(j, {'d', 'd'}, {'D', 'D'});
    uint32_t not0[] = {
        sequence(j, ONE_OF(j, {'1', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}), hex3,
                 RW_EXPR_EMPTY),
        sequence(j, d, ONE_OF(j, {'0', '7'}), hex2),
        sequence(j, text(j, "0"), some, hex2),
        sequence(j, text(j, "00"), some, hex),
        sequence(j, text(j, "000"), some, RW_EXPR_EMPTY),
        sequence(j, sequence(j, d, ONE_OF(j, {'8', '9'}, {'a', 'b'}, {'A', 'B'}), hex2),
                 text(j, "\\u"), sequence(j, d, ONE_OF(j, {'c', 'f'}, {'C', 'F'}), hex2))};
    return rw_expr_choice(j->rules, not0, RW_COUNT(not0));
}

uint32_t rw_json_character(struct rw_json_rules *j)
{
    if (is_new(j, &j->character)) {
        struct rw_range special[] = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
        uint32_t raw = rw_expr_chars(j->rules, special, RW_COUNT(special), true);
        uint32_t letter = ONE_OF(j, {'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'},
                                 {'n', 'n'}, {'r', 'r'}, {'t', 't'});
        uint32_t code = sequence(j, text(j, "u"), unicode_escape(j), RW_EXPR_EMPTY);
        uint32_t escape = rw_expr_choice(j->rules, (uint32_t[]){letter, code}, 2);
        rw_rule_set(
            j->rules, j->character,
            rw_expr_choice(
                j->rules, (uint32_t[]){raw, sequence(j, text(j, "\\"), escape, RW_EXPR_EMPTY)}, 2));
    }
    return rw_expr_rule(j->rules, j->character);
}

uint32_t rw_json_string(struct rw_json_rules *j)
{
    if (is_new(j, &j->string)) {
        uint32_t character = rw_json_character(j);
        uint32_t inside = rw_expr_repeat(j->rules, character, 0, RW_REPEAT_FOREVER);
        rw_rule_set(j->rules, j->string, sequence(j, text(j, "\""), inside, text(j, "\"")));
    }
    return rw_expr_rule(j->rules, j->string);
}

/* The escape of a character that needs one. */
static uint32_t escaped(struct rw_json_rules *j, uint32_t code)
{
    static const char codes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *known = memchr(codes, (int)code, sizeof codes - 1);
    char out[8];
    if (known)
        snprintf(out, sizeof out, "\\%c", letters[known - codes]);
    else
        snprintf(out, sizeof out, "\\u%04x", (unsigned)code);
    return text(j, out);
}

/* Those of the characters that stand for themselves in a string. */
static uint32_t raw_chars(struct rw_json_rules *j, const struct rw_range *ranges, size_t n,
                          bool negated)
{
    static const struct rw_range raw[] = {{' ', '!'}, {'#', '['}, {']', 0x10ffff}};
    static const struct rw_range special[] = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
    struct rw_range *chosen = rw_alloc(3 * n + 3, sizeof *chosen);
    size_t n_chosen = 0;
    if (!chosen) {
        j->rules->failed = RWKV_ERROR_MEMORY;
        return RW_EXPR_NONE;
    }
    for (size_t i = 0; i < n; i++) {
        if (negated)
            chosen[n_chosen++] = ranges[i];
        for (size_t k = 0; k < 3 && !negated; k++)
            chosen[n_chosen++] = (struct rw_range){RW_MAX(ranges[i].low, raw[k].low),
                                                   RW_MIN(ranges[i].high, raw[k].high)};
    }
    for (size_t k = 0; k < 3 && negated; k++)
        chosen[n_chosen++] = special[k];
    uint32_t expr = rw_expr_chars(j->rules, chosen, n_chosen, negated);
    rw_free(chosen);
    return expr;
}

uint32_t rw_json_chars(struct rw_json_rules *j, const struct rw_range *ranges, size_t n,
                       bool negated)
{
    uint32_t choices[36];
    size_t n_choices = 0;
    for (uint32_t code = 1; code <= '\\'; code++) {
        bool within = false;
        if (code >= 0x20 && code != '"' && code != '\\')
            continue;
        for (size_t i = 0; i < n; i++)
            within |= code >= ranges[i].low && code <= ranges[i].high;
        if (within != negated)
            choices[n_choices++] = escaped(j, code);
    }
    choices[n_choices++] = raw_chars(j, ranges, n, negated);
    return rw_expr_choice(j->rules, choices, n_choices);
}

/* --- numbers --- */

static uint32_t whole(struct rw_json_rules *j)
{
    uint32_t more = rw_expr_repeat(j->rules, ONE_OF(j, {'0', '9'}), 0, RW_JSON_DIGITS - 1);
    return sequence(j, ONE_OF(j, {'1', '9'}), more, RW_EXPR_EMPTY);
}

uint32_t rw_json_integer(struct rw_json_rules *j)
{
    if (is_new(j, &j->integer)) {
        uint32_t some =
            sequence(j, rw_expr_optional(j->rules, text(j, "-")), whole(j), RW_EXPR_EMPTY);
        rw_rule_set(j->rules, j->integer,
                    rw_expr_choice(j->rules, (uint32_t[]){text(j, "0"), some}, 2));
    }
    return rw_expr_rule(j->rules, j->integer);
}

uint32_t rw_json_number(struct rw_json_rules *j)
{
    if (is_new(j, &j->number)) {
        struct rw_rules *r = j->rules;
        uint32_t digit = ONE_OF(j, {'0', '9'});
        uint32_t begin = rw_expr_choice(r, (uint32_t[]){text(j, "0"), whole(j)}, 2);
        uint32_t fraction =
            sequence(j, text(j, "."), rw_expr_repeat(r, digit, 1, RW_JSON_DIGITS), RW_EXPR_EMPTY);
        uint32_t power = sequence(j, ONE_OF(j, {'e', 'e'}, {'E', 'E'}),
                                  rw_expr_optional(r, ONE_OF(j, {'+', '+'}, {'-', '-'})),
                                  rw_expr_repeat(r, digit, 1, 2));
        uint32_t end =
            sequence(j, rw_expr_optional(r, fraction), rw_expr_optional(r, power), RW_EXPR_EMPTY);
        rw_rule_set(j->rules, j->number,
                    sequence(j, rw_expr_optional(r, text(j, "-")), begin, end));
    }
    return rw_expr_rule(j->rules, j->number);
}

/* --- values --- */

uint32_t rw_json_member(struct rw_json_rules *j, uint32_t key, uint32_t value)
{
    uint32_t colon =
        sequence(j, text(j, ":"), rw_expr_optional(j->rules, text(j, " ")), RW_EXPR_EMPTY);
    return sequence(j, key, colon, value);
}

uint32_t rw_json_list(struct rw_json_rules *j, const char *open, const char *close, uint32_t item,
                      uint32_t min, uint32_t max)
{
    struct rw_rules *r = j->rules;
    uint32_t gap = rw_json_gap(j);
    if (max == 0 || max < min)
        return max < min ? RW_EXPR_NONE : sequence(j, text(j, open), gap, text(j, close));
    uint32_t further = sequence(j, text(j, ","), gap, item);
    uint32_t least = min > 0 ? min - 1 : 0, most = max == RW_REPEAT_FOREVER ? max : max - 1;
    uint32_t items = sequence(j, item, rw_expr_repeat(r, further, least, most), gap);
    if (min == 0)
        items = rw_expr_optional(r, items);
    return sequence(j, text(j, open), gap, sequence(j, items, text(j, close), RW_EXPR_EMPTY));
}

uint32_t rw_json_object(struct rw_json_rules *j)
{
    if (is_new(j, &j->object)) {
        uint32_t member = rw_json_member(j, rw_json_string(j), rw_json_value(j));
        rw_rule_set(j->rules, j->object, rw_json_list(j, "{", "}", member, 0, RW_REPEAT_FOREVER));
    }
    return rw_expr_rule(j->rules, j->object);
}

uint32_t rw_json_array(struct rw_json_rules *j)
{
    if (is_new(j, &j->array))
        rw_rule_set(j->rules, j->array,
                    rw_json_list(j, "[", "]", rw_json_value(j), 0, RW_REPEAT_FOREVER));
    return rw_expr_rule(j->rules, j->array);
}

uint32_t rw_json_value(struct rw_json_rules *j)
{
    if (is_new(j, &j->value)) {
        uint32_t choices[] = {rw_json_object(j), rw_json_array(j), rw_json_string(j),
                              rw_json_number(j), text(j, "true"),  text(j, "false"),
                              text(j, "null")};
        rw_rule_set(j->rules, j->value, rw_expr_choice(j->rules, choices, RW_COUNT(choices)));
    }
    return rw_expr_rule(j->rules, j->value);
}
