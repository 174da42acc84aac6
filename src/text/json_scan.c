/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_scan.h"

#include <string.h>

/* What is expected next. */
enum state {
    VALUE,     /* a value */
    FIRST,     /* a value or the end of an empty array */
    FIRST_KEY, /* a key or the end of an empty object */
    KEY,       /* a key */
    COLON,
    AFTER, /* what follows a value inside a bracket: a comma or the end */
    STRING,
    ESCAPE,
    HEX,
    LITERAL,
    MINUS,     /* a digit, after "-" */
    ZERO,      /* what follows a number's leading 0 */
    WHOLE,     /* more digits, or what may follow them */
    POINT,     /* a digit, after "." */
    FRACTION,  /* more digits, or what may follow them */
    EXPONENT,  /* a sign or a digit, after "e" */
    SIGN,      /* a digit, after the exponent's sign */
    EXPONENTS, /* more digits, or the end */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static enum rw_json_event go(struct rw_json_scan *scan, enum state state, enum rw_json_event event)
{
    scan->state = (uint8_t)state;
    return event;
}

static bool in_object(const struct rw_json_scan *scan)
{
    unsigned top = scan->depth - 1u;
    return scan->depth > 0 && (scan->objects[top / 64] >> top % 64 & 1);
}

static enum rw_json_event open_bracket(struct rw_json_scan *scan, char c)
{
    if (scan->depth == RW_JSON_SCAN_DEPTH)
        return RW_JSON_BAD;
    uint64_t bit = 1ull << scan->depth % 64, *word = &scan->objects[scan->depth / 64];
    *word = c == '{' ? *word | bit : *word & ~bit;
    scan->depth++;
    return go(scan, c == '{' ? FIRST_KEY : FIRST, RW_JSON_OPEN);
}

static enum rw_json_event close_bracket(struct rw_json_scan *scan, char c)
{
    if (scan->depth == 0 || c != (in_object(scan) ? '}' : ']'))
        return RW_JSON_BAD;
    scan->depth--;
    return go(scan, AFTER, RW_JSON_CLOSE);
}

static enum rw_json_event open_string(struct rw_json_scan *scan, bool key)
{
    scan->key = key;
    return go(scan, STRING, RW_JSON_QUOTE);
}

static enum rw_json_event begin_value(struct rw_json_scan *scan, char c)
{
    static const char *const literals[] = {"true", "false", "null"};
    if (c == '{' || c == '[')
        return open_bracket(scan, c);
    if (c == '"')
        return open_string(scan, false);
    if (c == '-')
        return go(scan, MINUS, RW_JSON_SCALAR);
    if (is_digit(c))
        return go(scan, c == '0' ? ZERO : WHOLE, RW_JSON_SCALAR);
    for (unsigned i = 0; i < sizeof literals / sizeof *literals; i++)
        if (c == literals[i][0]) {
            scan->rest = literals[i] + 1;
            return go(scan, LITERAL, RW_JSON_SCALAR);
        }
    return RW_JSON_BAD;
}

static enum rw_json_event after_value(struct rw_json_scan *scan, char c)
{
    if (c == ',' && scan->depth > 0)
        return go(scan, in_object(scan) ? KEY : VALUE, RW_JSON_INSIDE);
    return close_bracket(scan, c);
}

/* Between the parts of a value. */
static enum rw_json_event step_structure(struct rw_json_scan *scan, char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return RW_JSON_INSIDE;
    switch (scan->state) {
    case FIRST:
        return c == ']' ? close_bracket(scan, c) : begin_value(scan, c);
    case FIRST_KEY:
        if (c == '}')
            return close_bracket(scan, c);
        return c == '"' ? open_string(scan, true) : RW_JSON_BAD;
    case KEY:
        return c == '"' ? open_string(scan, true) : RW_JSON_BAD;
    case COLON:
        return c == ':' ? go(scan, VALUE, RW_JSON_INSIDE) : RW_JSON_BAD;
    case AFTER:
        return after_value(scan, c);
    default:
        return begin_value(scan, c);
    }
}

static enum rw_json_event step_string(struct rw_json_scan *scan, char c)
{
    if (scan->state == ESCAPE) {
        scan->digits = 4;
        if (c == 'u')
            return go(scan, HEX, RW_JSON_INSIDE);
        return c && strchr("\"\\/bfnrt", c) ? go(scan, STRING, RW_JSON_INSIDE) : RW_JSON_BAD;
    }
    if (scan->state == HEX) {
        if (!is_hex(c))
            return RW_JSON_BAD;
        return go(scan, --scan->digits ? HEX : STRING, RW_JSON_INSIDE);
    }
    if (c == '"')
        return scan->key ? go(scan, COLON, RW_JSON_KEY) : go(scan, AFTER, RW_JSON_STRING);
    if (c == '\\')
        return go(scan, ESCAPE, RW_JSON_INSIDE);
    return (unsigned char)c < 0x20 ? RW_JSON_BAD : RW_JSON_INSIDE;
}

static enum rw_json_event step_literal(struct rw_json_scan *scan, char c)
{
    if (c != *scan->rest)
        return RW_JSON_BAD;
    scan->rest++;
    return go(scan, *scan->rest ? LITERAL : AFTER, RW_JSON_INSIDE);
}

/* A number ends with the byte that cannot be part of it. */
static enum rw_json_event step_number(struct rw_json_scan *scan, char c)
{
    static const uint8_t after_digit[] = {
        [MINUS] = WHOLE,        [WHOLE] = WHOLE,    [POINT] = FRACTION,     [FRACTION] = FRACTION,
        [EXPONENT] = EXPONENTS, [SIGN] = EXPONENTS, [EXPONENTS] = EXPONENTS};
    enum state state = (enum state)scan->state;
    bool whole = state == ZERO || state == WHOLE;
    if (state == MINUS && c == '0')
        return go(scan, ZERO, RW_JSON_INSIDE);
    if (is_digit(c))
        return state == ZERO ? RW_JSON_BAD
                             : go(scan, (enum state)after_digit[state], RW_JSON_INSIDE);
    if (c == '.' && whole)
        return go(scan, POINT, RW_JSON_INSIDE);
    if ((c == 'e' || c == 'E') && (whole || state == FRACTION))
        return go(scan, EXPONENT, RW_JSON_INSIDE);
    if ((c == '+' || c == '-') && state == EXPONENT)
        return go(scan, SIGN, RW_JSON_INSIDE);
    if (!whole && state != FRACTION && state != EXPONENTS)
        return RW_JSON_BAD;
    scan->state = AFTER;
    return step_structure(scan, c);
}

bool rw_json_scan_in_string(const struct rw_json_scan *scan)
{
    return scan->state >= STRING && scan->state <= HEX;
}

enum rw_json_event rw_json_scan_step(struct rw_json_scan *scan, char c)
{
    if (rw_json_scan_in_string(scan))
        return step_string(scan, c);
    if (scan->state == LITERAL)
        return step_literal(scan, c);
    return scan->state < STRING ? step_structure(scan, c) : step_number(scan, c);
}

bool rw_json_scan_text(const char *text, size_t size)
{
    struct rw_json_scan scan = {0};
    for (size_t i = 0; i < size; i++)
        if (rw_json_scan_step(&scan, text[i]) == RW_JSON_BAD)
            return false;
    /* A blank ends a number; it changes nothing else. */
    return rw_json_scan_step(&scan, ' ') != RW_JSON_BAD && scan.state == AFTER && scan.depth == 0;
}
