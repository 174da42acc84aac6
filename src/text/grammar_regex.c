/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions of JSON Schema's `pattern`, the part of ECMA-262 that describes regular
 * languages: characters, ., classes, \d \w \s and their opposites, groups, |, ? * + {m,n}, lazy or
 * not, ^ at the beginning and $ at the end of an alternative. What is matched is a part of a JSON
 * string: a character that must be escaped there is.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"
#include "text/grammar_json.h"

#define GROUPS_MAX 100

struct regex {
    struct rw_json_rules *json;
    const char *text;
    size_t size, at;
    const char *place;
    unsigned groups;
    rwkv_error *err;
};

struct ranges {
    struct rw_range *list;
    size_t n, capacity;
};

static rwkv_status fail(const struct regex *r, const char *what)
{
    return rw_fail(r->err, RWKV_ERROR_UNSUPPORTED, "%s: regular expression, byte %zu: %s", r->place,
                   r->at, what);
}

static char peek(const struct regex *r)
{
    return r->at < r->size ? r->text[r->at] : 0;
}

static bool accept(struct regex *r, const char *token)
{
    size_t n = strlen(token);
    if (r->size - r->at < n || memcmp(r->text + r->at, token, n) != 0)
        return false;
    r->at += n;
    return true;
}

static rwkv_status add_range(struct regex *r, struct ranges *to, uint32_t low, uint32_t high)
{
    if (!rw_grow((void **)&to->list, to->n, &to->capacity, sizeof *to->list))
        return rw_fail(r->err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    to->list[to->n++] = (struct rw_range){low, high};
    return RWKV_OK;
}

/* --- characters --- */

/* Classes after a backslash, and the ends of lines that . does not match. */
static const struct rw_range digits[] = {{'0', '9'}};
static const struct rw_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct rw_range spaces[] = {
    {'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
    {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
static const struct rw_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

/* Add a class, or all characters outside of it. */
static rwkv_status add_class(struct regex *r, struct ranges *to, const struct rw_range *class,
                             size_t n, bool negated)
{
    uint32_t next = 0;
    for (size_t i = 0; i < n; i++) {
        if (!negated)
            RW_TRY(add_range(r, to, class[i].low, class[i].high));
        else if (class[i].low > next)
            RW_TRY(add_range(r, to, next, class[i].low - 1));
        next = class[i].high + 1;
    }
    return negated ? add_range(r, to, next, 0x10ffff) : RWKV_OK;
}

static rwkv_status read_hex(struct regex *r, unsigned n, uint32_t *code)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    *code = 0;
    for (unsigned i = 0; i < n; i++, r->at++) {
        const char *digit = peek(r) ? strchr(hex, peek(r)) : NULL;
        if (!digit)
            return fail(r, "wanted hexadecimal digits");
        uint32_t value = (uint32_t)(digit - hex);
        *code = *code << 4 | (value < 16 ? value : value - 6);
    }
    if (*code >= 0xd800 && *code < 0xe000)
        return fail(r, "wanted a character, found a surrogate");
    return RWKV_OK;
}

/* What follows a backslash: a class, added to `to`, or one character. */
static rwkv_status read_escape(struct regex *r, struct ranges *to, uint32_t *code, bool *class)
{
    static const char letters[] = "tnvfr0", meant[] = "\t\n\v\f\r";
    char c = peek(r);
    *class = c && strchr("dDwWsS", c);
    r->at++;
    if (c == 'd' || c == 'D')
        return add_class(r, to, digits, RW_COUNT(digits), c == 'D');
    if (c == 'w' || c == 'W')
        return add_class(r, to, words, RW_COUNT(words), c == 'W');
    if (c == 's' || c == 'S')
        return add_class(r, to, spaces, RW_COUNT(spaces), c == 'S');
    if (c == 'x')
        return read_hex(r, 2, code);
    if (c == 'u')
        return read_hex(r, 4, code);
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        *code = (uint8_t)meant[letter - letters];
    } else if (c && strchr("^$\\.*+?()[]{}|/-", c)) {
        *code = (uint8_t)c;
    } else {
        r->at--;
        return fail(r, "this escape is not understood");
    }
    return RWKV_OK;
}

/* One character that stands for itself. */
static rwkv_status read_plain(struct regex *r, uint32_t *code)
{
    size_t size;
    if (r->at == r->size)
        return fail(r, "wanted a character, found the end");
    if (rw_utf8_next((const uint8_t *)r->text + r->at, r->size - r->at, &size, code) !=
        RW_UTF8_CHAR)
        return fail(r, "wanted UTF-8");
    r->at += size;
    return RWKV_OK;
}

static rwkv_status read_member(struct regex *r, struct ranges *to, uint32_t *code, bool *class)
{
    *class = false;
    return accept(r, "\\") ? read_escape(r, to, code, class) : read_plain(r, code);
}

/* After '['. */
static rwkv_status read_class(struct regex *r, uint32_t *expr)
{
    struct ranges ranges = {0};
    bool negated = accept(r, "^");
    rwkv_status status = RWKV_OK;
    while (!accept(r, "]")) {
        uint32_t low = 0, high = 0;
        bool class, also;
        RW_GO(read_member(r, &ranges, &low, &class));
        if (class)
            continue;
        high = low;
        if (peek(r) == '-' && r->at + 1 < r->size && r->text[r->at + 1] != ']') {
            r->at++;
            RW_GO(read_member(r, &ranges, &high, &also));
            if (also || high < low)
                RW_GO(fail(r, "wanted a range from low to high"));
        }
        RW_GO(add_range(r, &ranges, low, high));
    }
    *expr = rw_json_chars(r->json, ranges.list, ranges.n, negated);
done:
    rw_free(ranges.list);
    return status;
}

/* --- parts --- */

static rwkv_status read_alternatives(struct regex *r, bool whole, uint32_t *expr);

static rwkv_status read_group(struct regex *r, uint32_t *expr)
{
    if (peek(r) == '?' && !accept(r, "?:"))
        return fail(r, "of groups that begin with (? only (?: is understood");
    if (++r->groups > GROUPS_MAX)
        return fail(r, "too many groups inside one another");
    RW_TRY(read_alternatives(r, false, expr));
    r->groups--;
    return accept(r, ")") ? RWKV_OK : fail(r, "wanted ')'");
}

static rwkv_status read_part(struct regex *r, uint32_t *expr)
{
    struct ranges ranges = {0};
    uint32_t code = 0;
    bool class = false;
    char c = peek(r);
    if (accept(r, "("))
        return read_group(r, expr);
    if (accept(r, "["))
        return read_class(r, expr);
    if (accept(r, ".")) {
        *expr = rw_json_chars(r->json, line_ends, RW_COUNT(line_ends), true);
        return RWKV_OK;
    }
    if (c && strchr("^$*+?{}]", c))
        return fail(r, "here this character must be escaped");
    rwkv_status status = read_member(r, &ranges, &code, &class);
    if (status == RWKV_OK && !class)
        status = add_range(r, &ranges, code, code);
    if (status == RWKV_OK)
        *expr = rw_json_chars(r->json, ranges.list, ranges.n, false);
    rw_free(ranges.list);
    return status;
}

static rwkv_status read_number(struct regex *r, uint32_t *number)
{
    uint64_t value = 0;
    if (peek(r) < '0' || peek(r) > '9')
        return fail(r, "wanted a number");
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        value = value * 10 + (uint64_t)(peek(r) - '0');
        if (value > RW_REPEAT_LIMIT)
            return fail(r, "too many repetitions");
    }
    *number = (uint32_t)value;
    return RWKV_OK;
}

/* ? * + {m} {m,} {m,n} after a part, each with or without ? behind it. */
static rwkv_status read_repeat(struct regex *r, uint32_t *expr)
{
    uint32_t min = 0, max = RW_REPEAT_FOREVER;
    if (accept(r, "?")) {
        max = 1;
    } else if (accept(r, "+")) {
        min = 1;
    } else if (accept(r, "{")) {
        RW_TRY(read_number(r, &min));
        max = min;
        if (accept(r, ",")) {
            max = RW_REPEAT_FOREVER;
            if (peek(r) != '}')
                RW_TRY(read_number(r, &max));
        }
        if (!accept(r, "}") || max < min)
            return fail(r, "wanted {m}, {m,} or {m,n}");
    } else if (!accept(r, "*")) {
        return RWKV_OK;
    }
    accept(r, "?"); /* how much is taken first changes nothing of what is matched */
    *expr = rw_expr_repeat(r->json->rules, *expr, min, max);
    return RWKV_OK;
}

/* One alternative. That it is anchored at neither end lets anything come before or after it, if it
 * is one of the whole expression. */
static rwkv_status read_alternative(struct regex *r, bool whole, uint32_t *expr)
{
    struct rw_list parts = {0};
    struct rw_rules *rules = r->json->rules;
    rwkv_status status = RWKV_OK;
    uint32_t any = RW_EXPR_EMPTY;
    if (whole)
        any = rw_expr_repeat(rules, rw_json_character(r->json), 0, RW_REPEAT_FOREVER);
    if (whole && !accept(r, "^"))
        rw_list_add(rules, &parts, any);
    bool anchored = false;
    while (r->at < r->size && peek(r) != '|' && peek(r) != ')' && !anchored) {
        uint32_t part = RW_EXPR_EMPTY;
        anchored = whole && accept(r, "$");
        if (anchored)
            break;
        RW_GO(read_part(r, &part));
        RW_GO(read_repeat(r, &part));
        rw_list_add(rules, &parts, part);
    }
    if (anchored && r->at < r->size && peek(r) != '|')
        RW_GO(fail(r, "wanted the end after $"));
    if (whole && !anchored)
        rw_list_add(rules, &parts, any);
    *expr = rw_expr_sequence(rules, parts.items, parts.n);
    status = rw_rules_check(rules, r->err);
done:
    rw_list_fini(&parts);
    return status;
}

static rwkv_status read_alternatives(struct regex *r, bool whole, uint32_t *expr)
{
    struct rw_list choices = {0};
    struct rw_rules *rules = r->json->rules;
    rwkv_status status;
    do {
        uint32_t choice = RW_EXPR_EMPTY;
        RW_GO(read_alternative(r, whole, &choice));
        rw_list_add(rules, &choices, choice);
    } while (accept(r, "|"));
    *expr = rw_expr_choice(rules, choices.items, choices.n);
    status = rw_rules_check(rules, r->err);
done:
    rw_list_fini(&choices);
    return status;
}

rwkv_status rw_json_pattern(struct rw_json_rules *j, const char *pattern, size_t size,
                            const char *place, uint32_t *expr, rwkv_error *err)
{
    struct regex r = {.json = j, .text = pattern, .size = size, .place = place, .err = err};
    RW_TRY(read_alternatives(&r, true, expr));
    return r.at == r.size ? RWKV_OK : fail(&r, "a ')' without its '('");
}
