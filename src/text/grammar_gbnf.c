/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading GBNF, the notation of llama.cpp's grammars (its grammars/README.md): rules `name ::= …`
 * of texts in quotes, characters in brackets, `.`, names, groups, choices by `|`, and ? * + {m,n}.
 * A rule ends where the next one begins, so lines may be broken anywhere.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"
#include "text/grammar_int.h"

#define GROUPS_MAX 100 /* parentheses inside one another */

struct name {
    const char *text; /* in the source, not terminated */
    size_t size;
    size_t line; /* where it was seen first */
};

struct reader {
    const char *text;
    size_t size, at, line;
    struct rw_rules rules;
    struct name *names; /* [rules.n_rules] */
    size_t names_capacity;
    uint32_t *table; /* [table_size] rules by the hash of their name, + 1 */
    size_t table_size;
    unsigned groups;
    char shown[64]; /* a name for a message */
    rwkv_error *err;
};

static rwkv_status fail(struct reader *r, const char *wanted)
{
    char found[40] = "the end";
    size_t size;
    uint32_t code;
    if (r->at < r->size && rw_utf8_next((const uint8_t *)r->text + r->at, r->size - r->at, &size,
                                        &code) == RW_UTF8_CHAR)
        snprintf(found, sizeof found, "'%.*s'", (int)size, r->text + r->at);
    else if (r->at < r->size)
        snprintf(found, sizeof found, "the byte 0x%02x", (uint8_t)r->text[r->at]);
    return rw_fail(r->err, RWKV_ERROR_FORMAT, "grammar: line %zu: wanted %s, found %s", r->line,
                   wanted, found);
}

/* --- characters of the source --- */

static char peek(const struct reader *r)
{
    return r->at < r->size ? r->text[r->at] : 0;
}

static bool accept(struct reader *r, char c)
{
    if (r->at == r->size || r->text[r->at] != c)
        return false;
    r->at++;
    return true;
}

static void skip_blanks(struct reader *r)
{
    for (; r->at < r->size; r->at++) {
        char c = r->text[r->at];
        if (c == '#')
            while (r->at + 1 < r->size && r->text[r->at + 1] != '\n')
                r->at++;
        else if (!strchr(" \t\r\n", c) || !c)
            return;
        r->line += c == '\n';
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* The name here and, if ::= follows, a rule begins. */
static size_t name_size(const struct reader *r)
{
    size_t n = 0;
    while (r->at + n < r->size && is_name(r->text[r->at + n]))
        n++;
    return n;
}

static bool at_rule(const struct reader *r)
{
    struct reader ahead = *r;
    size_t n = name_size(r);
    ahead.at += n;
    skip_blanks(&ahead);
    return n > 0 && ahead.size - ahead.at >= 3 && memcmp(ahead.text + ahead.at, "::=", 3) == 0;
}

/* `digits` hexadecimal digits. */
static rwkv_status read_hex(struct reader *r, unsigned digits, uint32_t *code)
{
    *code = 0;
    for (unsigned i = 0; i < digits; i++) {
        static const char hex[] = "0123456789abcdefABCDEF";
        const char *digit = peek(r) ? strchr(hex, peek(r)) : NULL;
        if (!digit)
            return fail(r, "a hexadecimal digit");
        uint32_t value = (uint32_t)(digit - hex);
        *code = *code << 4 | (value < 16 ? value : value - 6);
        r->at++;
    }
    if (*code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
        return rw_fail(r->err, RWKV_ERROR_FORMAT,
                       "grammar: line %zu: wanted a character up to U+10FFFF, found U+%04X",
                       r->line, (unsigned)*code);
    return RWKV_OK;
}

/* One character of a text in quotes or brackets. */
static rwkv_status read_char(struct reader *r, uint32_t *code)
{
    size_t size;
    if (r->at == r->size)
        return fail(r, "a character");
    if (!accept(r, '\\')) {
        if (rw_utf8_next((const uint8_t *)r->text + r->at, r->size - r->at, &size, code) !=
            RW_UTF8_CHAR)
            return fail(r, "UTF-8");
        r->line += *code == '\n';
        r->at += size;
        return RWKV_OK;
    }
    static const char letters[] = "nrt\\\"[]-^", meant[] = "\n\r\t\\\"[]-^";
    const char *letter = peek(r) ? strchr(letters, peek(r)) : NULL;
    if (letter) {
        *code = (uint8_t)meant[letter - letters];
        r->at++;
        return RWKV_OK;
    }
    if (accept(r, 'x'))
        return read_hex(r, 2, code);
    if (accept(r, 'u'))
        return read_hex(r, 4, code);
    if (accept(r, 'U'))
        return read_hex(r, 8, code);
    return fail(r, "n, r, t, x, u, U, \\, \", [, ], - or ^ after a backslash");
}

/* --- names --- */

static bool widen_table(struct reader *r)
{
    size_t size = r->table_size ? r->table_size * 2 : 64;
    uint32_t *table = rw_calloc(size, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < r->rules.n_rules; i++) {
        size_t at = rw_hash(r->names[i].text, r->names[i].size) & (size - 1);
        while (table[at])
            at = (at + 1) & (size - 1);
        table[at] = (uint32_t)i + 1;
    }
    rw_free(r->table);
    r->table = table;
    r->table_size = size;
    return true;
}

/* The rule of the name here, which is passed; a new one if there is none yet. */
static rwkv_status read_name(struct reader *r, uint32_t *rule)
{
    const char *text = r->text + r->at;
    size_t n = name_size(r), count = r->rules.n_rules;
    if ((count + 1) * 2 > r->table_size && !widen_table(r))
        return rw_fail(r->err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    r->at += n;
    size_t at = rw_hash(text, n) & (r->table_size - 1);
    for (; r->table[at]; at = (at + 1) & (r->table_size - 1)) {
        const struct name *name = &r->names[r->table[at] - 1];
        if (name->size == n && memcmp(name->text, text, n) == 0) {
            *rule = r->table[at] - 1;
            return RWKV_OK;
        }
    }
    if (!rw_grow((void **)&r->names, count, &r->names_capacity, sizeof *r->names))
        return rw_fail(r->err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    r->names[count] = (struct name){text, n, r->line};
    *rule = rw_rule_new(&r->rules);
    RW_TRY(rw_rules_check(&r->rules, r->err));
    r->table[at] = *rule + 1;
    return RWKV_OK;
}

/* --- what a rule consists of --- */

static rwkv_status read_text(struct reader *r, uint32_t *expr)
{
    struct rw_str text = {0};
    rwkv_status status = RWKV_OK;
    while (status == RWKV_OK && !accept(r, '"')) {
        uint32_t code;
        uint8_t bytes[4];
        if (r->at == r->size)
            status = fail(r, "'\"'");
        else
            status = read_char(r, &code);
        if (status == RWKV_OK)
            rw_str_add(&text, bytes, rw_utf8_put(code, bytes));
    }
    if (status == RWKV_OK && text.failed)
        status = rw_fail(r->err, RWKV_ERROR_MEMORY, "no memory for a grammar");
    if (status == RWKV_OK)
        *expr = rw_expr_text(&r->rules, text.data, text.size);
    rw_str_fini(&text);
    return status;
}

static rwkv_status read_chars(struct reader *r, uint32_t *expr)
{
    struct rw_range *ranges = NULL;
    size_t n = 0, capacity = 0;
    bool negated = accept(r, '^');
    rwkv_status status = RWKV_OK;
    while (status == RWKV_OK && !accept(r, ']')) {
        struct rw_range range;
        RW_GO(r->at == r->size ? fail(r, "']'") : read_char(r, &range.low));
        range.high = range.low;
        if (r->at + 1 < r->size && r->text[r->at] == '-' && r->text[r->at + 1] != ']') {
            r->at++;
            RW_GO(read_char(r, &range.high));
        }
        if (range.high < range.low)
            status = rw_fail(r->err, RWKV_ERROR_FORMAT,
                             "grammar: line %zu: wanted a range from low to high, found U+%04X to "
                             "U+%04X",
                             r->line, (unsigned)range.low, (unsigned)range.high);
        else if (!rw_grow((void **)&ranges, n, &capacity, sizeof *ranges))
            status = rw_fail(r->err, RWKV_ERROR_MEMORY, "no memory for a grammar");
        else
            ranges[n++] = range;
    }
    if (status == RWKV_OK)
        *expr = rw_expr_chars(&r->rules, ranges, n, negated);
done:
    rw_free(ranges);
    return status;
}

static rwkv_status read_number(struct reader *r, uint32_t *number)
{
    uint64_t value = 0;
    if (peek(r) < '0' || peek(r) > '9')
        return fail(r, "a number");
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        value = value * 10 + (uint64_t)(peek(r) - '0');
        if (value > RW_REPEAT_LIMIT)
            return rw_fail(r->err, RWKV_ERROR_UNSUPPORTED,
                           "grammar: line %zu: wanted at most %u repetitions, found more", r->line,
                           RW_REPEAT_LIMIT);
    }
    skip_blanks(r);
    *number = (uint32_t)value;
    return RWKV_OK;
}

/* {m}, {m,}, {,n} or {m,n}, after the brace. */
static rwkv_status read_times(struct reader *r, uint32_t *min, uint32_t *max)
{
    *min = 0;
    skip_blanks(r);
    if (peek(r) != ',')
        RW_TRY(read_number(r, min));
    *max = *min;
    if (accept(r, ',')) {
        skip_blanks(r);
        *max = RW_REPEAT_FOREVER;
        if (peek(r) != '}')
            RW_TRY(read_number(r, max));
    }
    if (!accept(r, '}'))
        return fail(r, "'}'");
    if (*max < *min)
        return rw_fail(r->err, RWKV_ERROR_FORMAT,
                       "grammar: line %zu: wanted {least,most}, found {%u,%u}", r->line,
                       (unsigned)*min, (unsigned)*max);
    return RWKV_OK;
}

static rwkv_status read_choices(struct reader *r, uint32_t *expr);

/* A part without its repetition; false in *found: there is none here. */
static rwkv_status read_part(struct reader *r, uint32_t *expr, bool *found)
{
    uint32_t rule = 0;
    *found = true;
    if (accept(r, '"'))
        return read_text(r, expr);
    if (accept(r, '['))
        return read_chars(r, expr);
    if (accept(r, '.')) {
        *expr = rw_expr_chars(&r->rules, NULL, 0, true);
        return RWKV_OK;
    }
    if (accept(r, '(')) {
        if (++r->groups > GROUPS_MAX)
            return rw_fail(r->err, RWKV_ERROR_UNSUPPORTED,
                           "grammar: line %zu: more than %d parentheses inside one another",
                           r->line, GROUPS_MAX);
        RW_TRY(read_choices(r, expr));
        r->groups--;
        return accept(r, ')') ? RWKV_OK : fail(r, "')'");
    }
    *found = name_size(r) > 0 && !at_rule(r);
    if (*found) {
        RW_TRY(read_name(r, &rule));
        *expr = rw_expr_rule(&r->rules, rule);
    }
    return RWKV_OK;
}

static rwkv_status read_repeats(struct reader *r, uint32_t *expr)
{
    /* llama.cpp lets several follow one another; each repeats what the ones before made. */
    for (unsigned count = 0;; count++) {
        uint32_t min = 0, max = RW_REPEAT_FOREVER;
        skip_blanks(r);
        if (accept(r, '?'))
            max = 1;
        else if (accept(r, '+'))
            min = 1;
        else if (accept(r, '{'))
            RW_TRY(read_times(r, &min, &max));
        else if (!accept(r, '*'))
            return RWKV_OK;
        if (count == GROUPS_MAX)
            return fail(r, "fewer repetitions of one part");
        *expr = rw_expr_repeat(&r->rules, *expr, min, max);
    }
}

static rwkv_status read_sequence(struct reader *r, uint32_t *expr)
{
    struct rw_list parts = {0};
    rwkv_status status;
    for (;;) {
        uint32_t part = RW_EXPR_EMPTY;
        bool found;
        skip_blanks(r);
        RW_GO(read_part(r, &part, &found));
        if (!found)
            break;
        RW_GO(read_repeats(r, &part));
        rw_list_add(&r->rules, &parts, part);
    }
    *expr = rw_expr_sequence(&r->rules, parts.items, parts.n);
    status = rw_rules_check(&r->rules, r->err);
done:
    rw_list_fini(&parts);
    return status;
}

static rwkv_status read_choices(struct reader *r, uint32_t *expr)
{
    struct rw_list choices = {0};
    rwkv_status status;
    do {
        uint32_t choice = RW_EXPR_EMPTY;
        RW_GO(read_sequence(r, &choice));
        rw_list_add(&r->rules, &choices, choice);
    } while (accept(r, '|'));
    *expr = rw_expr_choice(&r->rules, choices.items, choices.n);
    status = rw_rules_check(&r->rules, r->err);
done:
    rw_list_fini(&choices);
    return status;
}

/* --- rules --- */

static const char *name_of(const void *reader, uint32_t rule)
{
    struct reader *r = (struct reader *)reader;
    snprintf(r->shown, sizeof r->shown, "%.*s", (int)RW_MIN(r->names[rule].size, (size_t)60),
             r->names[rule].text);
    return r->shown;
}

static rwkv_status read_rule(struct reader *r)
{
    uint32_t rule = 0, expr = RW_EXPR_EMPTY;
    if (!at_rule(r))
        return fail(r, "a rule: name ::= …");
    size_t line = r->line;
    RW_TRY(read_name(r, &rule));
    if (r->rules.rules[rule] != RW_RULE_UNDEFINED)
        return rw_fail(r->err, RWKV_ERROR_FORMAT,
                       "grammar: line %zu: rule '%s' has been defined before", line,
                       name_of(r, rule));
    skip_blanks(r);
    r->at += strlen("::=");
    RW_TRY(read_choices(r, &expr));
    rw_rule_set(&r->rules, rule, expr);
    skip_blanks(r);
    return r->at == r->size || at_rule(r) ? RWKV_OK : fail(r, "the next part or rule");
}

static rwkv_status read_rules(struct reader *r, uint32_t *root)
{
    size_t n = RW_RULE_UNDEFINED;
    skip_blanks(r);
    while (r->at < r->size)
        RW_TRY(read_rule(r));
    for (size_t i = 0; i < r->rules.n_rules; i++) {
        if (r->rules.rules[i] == RW_RULE_UNDEFINED)
            return rw_fail(r->err, RWKV_ERROR_FORMAT, "grammar: line %zu: there is no rule '%s'",
                           r->names[i].line, name_of(r, (uint32_t)i));
        if (r->names[i].size == 4 && memcmp(r->names[i].text, "root", 4) == 0)
            n = i;
    }
    *root = (uint32_t)n;
    return n == RW_RULE_UNDEFINED
               ? rw_fail(r->err, RWKV_ERROR_FORMAT,
                         "grammar: wanted a rule 'root', found none among %zu", r->rules.n_rules)
               : RWKV_OK;
}

rwkv_status rw_grammar_from_gbnf(const char *text, size_t size, struct rwkv_grammar **out,
                                 rwkv_error *err)
{
    rwkv_status status;
    uint32_t root = 0;
    struct reader r = {.text = text, .size = size, .line = 1, .err = err};
    if (size > RW_GRAMMAR_TEXT_LIMIT)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "grammar: wanted at most %zu bytes, found %zu",
                       RW_GRAMMAR_TEXT_LIMIT, size);
    rw_rules_init(&r.rules);
    RW_GO(read_rules(&r, &root));
    RW_GO(rw_rules_check(&r.rules, err));
    RW_GO(rw_grammar_new(&r.rules, root, name_of, &r, out, err));
done:
    rw_rules_fini(&r.rules);
    rw_free(r.names);
    rw_free(r.table);
    return status;
}
