/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers between bounds as expressions over their digits. Numbers of one length between a and b
 * differ first at some digit: before it they are fixed, behind it free but for those that begin as
 * a or as b do.
 */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "text/grammar_json.h"

#define DIGITS 20 /* of a uint64_t, and a terminator */

static uint32_t sequence(struct rw_rules *r, uint32_t a, uint32_t b)
{
    return rw_expr_sequence(r, (uint32_t[]){a, b}, 2);
}

static uint32_t choice(struct rw_rules *r, uint32_t a, uint32_t b)
{
    return rw_expr_choice(r, (uint32_t[]){a, b}, 2);
}

static uint32_t digit(struct rw_rules *r, char low, char high)
{
    return rw_expr_chars(r, &(struct rw_range){(uint8_t)low, (uint8_t)high}, 1, false);
}

static uint32_t digits(struct rw_rules *r, size_t n)
{
    return n ? rw_expr_repeat(r, digit(r, '0', '9'), (uint32_t)n, (uint32_t)n) : RW_EXPR_EMPTY;
}

/* Of as many digits as `low`, and at least it; `first` is the digit to begin at. */
static uint32_t at_least(struct rw_rules *r, const char *low)
{
    if (!*low)
        return RW_EXPR_EMPTY;
    uint32_t equal = sequence(r, rw_expr_text(r, low, 1), at_least(r, low + 1));
    if (*low == '9')
        return equal;
    return choice(r, equal,
                  sequence(r, digit(r, (char)(*low + 1), '9'), digits(r, strlen(low) - 1)));
}

static uint32_t at_most(struct rw_rules *r, const char *high)
{
    if (!*high)
        return RW_EXPR_EMPTY;
    uint32_t equal = sequence(r, rw_expr_text(r, high, 1), at_most(r, high + 1));
    if (*high == '0')
        return equal;
    return choice(r, equal,
                  sequence(r, digit(r, '0', (char)(*high - 1)), digits(r, strlen(high) - 1)));
}

/* Both of one length, low ≤ high. */
static uint32_t between(struct rw_rules *r, const char *low, const char *high)
{
    size_t same = 0, n = strlen(low);
    while (same < n && low[same] == high[same])
        same++;
    uint32_t begin = rw_expr_text(r, low, same);
    if (same == n)
        return begin;
    low += same;
    high += same;
    uint32_t lowest = sequence(r, rw_expr_text(r, low, 1), at_least(r, low + 1));
    uint32_t highest = sequence(r, rw_expr_text(r, high, 1), at_most(r, high + 1));
    uint32_t ends = choice(r, lowest, highest);
    if (low[0] + 1 < high[0])
        ends = choice(r, ends,
                      sequence(r, digit(r, (char)(low[0] + 1), (char)(high[0] - 1)),
                               digits(r, n - same - 1)));
    return sequence(r, begin, ends);
}

/* Whole numbers from low to high without a sign; none if low > high. */
static uint32_t magnitudes(struct rw_rules *r, uint64_t low, uint64_t high)
{
    uint32_t all = RW_EXPR_NONE;
    while (low <= high) {
        char first[DIGITS + 1], last[DIGITS + 1];
        snprintf(first, sizeof first, "%llu", (unsigned long long)low);
        snprintf(last, sizeof last, "%llu", (unsigned long long)high);
        bool more = strlen(last) > strlen(first);
        if (more) {
            memset(last, '9', strlen(first));
            last[strlen(first)] = 0;
        }
        all = choice(r, all, between(r, first, last));
        if (!more)
            break;
        for (low = 1; strlen(first) > 0; first[strlen(first) - 1] = 0)
            low *= 10;
    }
    return all;
}

/* The bounds of what is below zero, as magnitudes: from *low to *high; false: nothing is. `most`
 * stands for infinity. */
struct side {
    uint64_t low, high;
    bool low_excluded, high_excluded;
};

#define MOST 999999999999999ull /* of RW_JSON_DIGITS digits */

/* The part of a range that is not negative, or with `negative` the magnitudes of that which is. */
static bool side_of(struct rw_bound low, struct rw_bound high, bool negative, struct side *out)
{
    if (negative) {
        struct rw_bound turned = low;
        low = high;
        high = turned;
        low.value = -low.value;
        high.value = -high.value;
    }
    *out = (struct side){0, MOST, negative, false}; /* zero has no sign */
    if (high.given && (high.value < 0 || (high.value == 0 && (high.excluded || negative))))
        return false;
    if (high.given) {
        out->high = (uint64_t)high.value;
        out->high_excluded = high.excluded;
    }
    if (low.given && low.value >= 0) {
        out->low = (uint64_t)low.value;
        out->low_excluded = low.excluded || (negative && low.value == 0);
    }
    if (!high.given && out->low > MOST)
        out->high = out->low;
    return out->low <= out->high;
}

static uint32_t whole_side(struct rw_rules *r, struct rw_bound low, struct rw_bound high,
                           bool negative)
{
    struct side s;
    if (!side_of(low, high, negative, &s))
        return RW_EXPR_NONE;
    if (s.high_excluded && s.high == 0)
        return RW_EXPR_NONE;
    return magnitudes(r, s.low + s.low_excluded, s.high - s.high_excluded);
}

uint32_t rw_json_integers(struct rw_json_rules *j, struct rw_bound low, struct rw_bound high)
{
    struct rw_rules *r = j->rules;
    uint32_t minus = sequence(r, rw_expr_string(r, "-"), whole_side(r, low, high, true));
    return choice(r, whole_side(r, low, high, false), minus);
}

/* Numbers with a fraction: whole part n from low to high − 1 and any fraction, high and a fraction
 * of zeros; where low is excluded, it needs a fraction that is not zero. */
static uint32_t real_side(struct rw_rules *r, struct rw_bound low, struct rw_bound high,
                          bool negative)
{
    struct side s;
    if (!side_of(low, high, negative, &s))
        return RW_EXPR_NONE;
    uint32_t any = rw_expr_repeat(r, digit(r, '0', '9'), 1, RW_JSON_DIGITS);
    uint32_t fraction = rw_expr_optional(r, sequence(r, rw_expr_string(r, "."), any));
    uint32_t zeros = rw_expr_repeat(r, rw_expr_string(r, "0"), 0, RW_JSON_DIGITS - 1);
    uint32_t some = sequence(r, digit(r, '1', '9'),
                             rw_expr_repeat(r, digit(r, '0', '9'), 0, RW_JSON_DIGITS - 1));
    uint32_t above = sequence(r, rw_expr_string(r, "."), sequence(r, zeros, some));
    uint32_t all = RW_EXPR_NONE;
    if (s.low_excluded && s.low < s.high)
        all = sequence(r, magnitudes(r, s.low, s.low), above);
    uint64_t from = s.low + s.low_excluded;
    if (from < s.high)
        all = choice(r, all, sequence(r, magnitudes(r, from, s.high - 1), fraction));
    if (from <= s.high && !s.high_excluded) {
        uint32_t zero = rw_expr_repeat(r, rw_expr_string(r, "0"), 1, RW_JSON_DIGITS);
        uint32_t point = rw_expr_optional(r, sequence(r, rw_expr_string(r, "."), zero));
        all = choice(r, all, sequence(r, magnitudes(r, s.high, s.high), point));
    }
    return all;
}

uint32_t rw_json_numbers(struct rw_json_rules *j, struct rw_bound low, struct rw_bound high)
{
    struct rw_rules *r = j->rules;
    uint32_t minus = sequence(r, rw_expr_string(r, "-"), real_side(r, low, high, true));
    return choice(r, real_side(r, low, high, false), minus);
}
