/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema to rules: objects, arrays, strings and numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"
#include "formats/json.h"
#include "text/grammar_schema.h"

#define NAME_MAX_OTHERS 256 /* bytes of a property's name that others must differ from */

rwkv_status rw_schema_count(struct rw_schema *s, const json_t *schema, const char *path,
                            const char *keyword, uint32_t *value)
{
    const json_t *count = json_object_get(schema, keyword);
    if (!count)
        return RWKV_OK;
    double n = json_is_number(count) ? json_number_value(count) : -1;
    if (!(n >= 0 && n == floor(n)))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, keyword,
                              "wanted an integer from 0, found %s", rw_json_kind(count));
    if (n > RW_REPEAT_LIMIT && strncmp(keyword, "min", 3) == 0)
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, keyword,
                              "wanted at most %u, found %g", RW_REPEAT_LIMIT, n);
    *value = n > RW_REPEAT_LIMIT ? RW_REPEAT_FOREVER : (uint32_t)n;
    return RWKV_OK;
}

static uint32_t sequence(struct rw_schema *s, uint32_t a, uint32_t b)
{
    return rw_expr_sequence(&s->rules, (uint32_t[]){a, b}, 2);
}

static uint32_t text(struct rw_schema *s, const char *t)
{
    return rw_expr_string(&s->rules, t);
}

static uint32_t quoted(struct rw_schema *s, uint32_t inside)
{
    return sequence(s, text(s, "\""), sequence(s, inside, text(s, "\"")));
}

/* --- names of other properties --- */

/* Sorted names with their first `at` bytes in common: a name, its beginning read already, that is
 * none of them. Written without escapes, so that it cannot be one of them in disguise. */
static uint32_t other_name(struct rw_schema *s, const char *const *names, size_t n, size_t at)
{
    struct rw_list choices = {0};
    struct rw_range *known = rw_alloc(n + 3, sizeof *known);
    size_t n_known = 3, first = n > 0 && names[0][at] == 0;
    uint32_t any =
        rw_expr_chars(&s->rules, (struct rw_range[]){{0, 31}, {'"', '"'}, {'\\', '\\'}}, 3, true);
    if (!known) {
        s->rules.failed = RWKV_ERROR_MEMORY;
        return RW_EXPR_NONE;
    }
    known[0] = (struct rw_range){0, 31};
    known[1] = (struct rw_range){'"', '"'};
    known[2] = (struct rw_range){'\\', '\\'};
    for (size_t i = first, end; i < n; i = end) {
        size_t size;
        uint32_t code;
        rw_utf8_next((const uint8_t *)names[i] + at, strlen(names[i] + at), &size, &code);
        for (end = i + 1; end < n && strncmp(names[end] + at, names[i] + at, size) == 0;)
            end++;
        known[n_known++] = (struct rw_range){code, code};
        if (code >= ' ' && code != '"' && code != '\\')
            rw_list_add(&s->rules, &choices,
                        sequence(s, rw_expr_text(&s->rules, names[i] + at, size),
                                 other_name(s, names + i, end - i, at + size)));
    }
    uint32_t rest = rw_expr_repeat(&s->rules, any, 0, RW_REPEAT_FOREVER);
    rw_list_add(&s->rules, &choices,
                sequence(s, rw_expr_chars(&s->rules, known, n_known, true), rest));
    if (at > 0 && !first)
        rw_list_add(&s->rules, &choices, RW_EXPR_EMPTY);
    uint32_t expr = rw_expr_choice(&s->rules, choices.items, choices.n);
    rw_list_fini(&choices);
    rw_free(known);
    return expr;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* --- objects --- */

struct property {
    const char *name; /* borrowed */
    uint32_t member;
    bool required;
};

struct properties {
    struct property *list;
    size_t n;
    uint32_t others; /* the members that may follow, with a comma before each; or none */
};

static rwkv_status add_property(struct rw_schema *s, struct properties *all, const char *name,
                                uint32_t value, bool required)
{
    uint32_t key = RW_EXPR_NONE;
    json_t *text_of = json_string(name);
    if (!text_of)
        return rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema");
    rwkv_status status = rw_schema_literal(s, text_of, &key);
    json_decref(text_of);
    uint32_t member = rw_json_member(&s->json, key, value);
    all->list[all->n++] = (struct property){name, member, required};
    return status;
}

static rwkv_status check_lists(struct rw_schema *s, const json_t *schema, const char *path)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    if (properties && !json_is_object(properties))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "properties",
                              "wanted an object, found %s", rw_json_kind(properties));
    if (required && !json_is_array(required))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "required",
                              "wanted a list of names, found %s", rw_json_kind(required));
    for (size_t i = 0; i < json_array_size(required); i++)
        if (!json_is_string(json_array_get(required, i)))
            return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "required", "wanted names, found %s",
                                  rw_json_kind(json_array_get(required, i)));
    return RWKV_OK;
}

/* A set of strings, for asking of each name whether it is required without a search. */
static json_t *set_of(const json_t *list)
{
    json_t *set = json_object();
    for (size_t i = 0; set && i < json_array_size(list); i++)
        json_object_set_new(set, json_string_value(json_array_get(list, i)), json_true());
    return set;
}

/* Those named under properties, in their order, then those that are only required. */
static rwkv_status find_properties(struct rw_schema *s, const json_t *schema, const char *path,
                                   const json_t *required, struct properties *all)
{
    const json_t *others = json_object_get(schema, "additionalProperties");
    const json_t *named = json_object_get(schema, "properties");
    const char *name;
    json_t *value;
    uint32_t expr = RW_EXPR_NONE;
    json_object_foreach((json_t *)named, name, value)
    {
        RW_TRY(rw_schema_rule(s, value, path, "properties", name, &expr));
        RW_TRY(add_property(s, all, name, expr, json_object_get(required, name) != NULL));
    }
    json_object_foreach((json_t *)required, name, value)
    {
        if (json_object_get(named, name))
            continue;
        RW_TRY(rw_schema_rule(s, others ? others : value, path, "", "additionalProperties", &expr));
        RW_TRY(add_property(s, all, name, expr, true));
    }
    return RWKV_OK;
}

/* Members of other names; they come last. */
static rwkv_status find_others(struct rw_schema *s, const json_t *schema, const char *path,
                               struct properties *all)
{
    const json_t *others = json_object_get(schema, "additionalProperties");
    uint32_t value;
    all->others = RW_EXPR_NONE;
    if (json_is_false(others) || (!others && json_object_get(schema, "properties")))
        return RWKV_OK;
    RW_TRY(
        rw_schema_rule(s, others ? others : json_true(), path, "", "additionalProperties", &value));
    const char **names = rw_alloc(all->n, sizeof *names);
    if (!names)
        return rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema");
    rwkv_status status = RWKV_OK;
    for (size_t i = 0; i < all->n && status == RWKV_OK; i++) {
        names[i] = all->list[i].name;
        if (strlen(names[i]) > NAME_MAX_OTHERS)
            status =
                rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, "additionalProperties",
                               "not supported beside names of more than %d bytes", NAME_MAX_OTHERS);
    }
    if (status == RWKV_OK) {
        if (all->n)
            qsort(names, all->n, sizeof *names, compare_names);
        uint32_t name = quoted(s, other_name(s, names, all->n, 0));
        all->others = rw_json_member(&s->json, name, value);
    }
    rw_free(names);
    return status;
}

/* What may come after some members, from property i on: with a comma before each. */
static uint32_t further_members(struct rw_schema *s, const struct properties *all, uint32_t comma,
                                size_t i, uint32_t after)
{
    const struct property *p = &all->list[i];
    uint32_t member = sequence(s, comma, p->member);
    return sequence(s, p->required ? member : rw_expr_optional(&s->rules, member), after);
}

/* Members in order, those that are optional there or not. Two chains from the end: what comes when
 * something came before (a rule for each place, as it is used twice), and what comes when nothing
 * did, up to the first that is required. */
static uint32_t all_members(struct rw_schema *s, const struct properties *all)
{
    struct rw_rules *r = &s->rules;
    uint32_t comma = sequence(s, text(s, ","), rw_json_gap(&s->json));
    uint32_t others = sequence(s, comma, all->others);
    uint32_t after = rw_expr_repeat(r, others, 0, RW_REPEAT_FOREVER);
    uint32_t none_before = rw_expr_optional(r, sequence(s, all->others, after));
    for (size_t i = all->n; i-- > 0;) {
        uint32_t rule = rw_rule_new(r), start = rw_rule_new(r);
        rw_rule_set(r, rule, after);
        after = rw_expr_rule(r, rule);
        uint32_t begin = sequence(s, all->list[i].member, after);
        if (!all->list[i].required)
            begin = rw_expr_choice(r, (uint32_t[]){begin, none_before}, 2);
        rw_rule_set(r, start, begin);
        none_before = rw_expr_rule(r, start);
        after = further_members(s, all, comma, i, after);
    }
    return none_before;
}

rwkv_status rw_schema_object(struct rw_schema *s, const json_t *schema, const char *path,
                             uint32_t *expr)
{
    struct properties all = {0};
    rwkv_status status;
    RW_TRY(check_lists(s, schema, path));
    json_t *required = set_of(json_object_get(schema, "required"));
    size_t most =
        json_object_size(required) + json_object_size(json_object_get(schema, "properties"));
    all.list = rw_alloc(most, sizeof *all.list);
    if (!required || !all.list)
        RW_GO(rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema"));
    RW_GO(find_properties(s, schema, path, required, &all));
    RW_GO(find_others(s, schema, path, &all));
    uint32_t gap = rw_json_gap(&s->json), members = all_members(s, &all);
    *expr = sequence(s, sequence(s, text(s, "{"), gap),
                     sequence(s, members, sequence(s, gap, text(s, "}"))));
done:
    json_decref(required);
    rw_free(all.list);
    return status;
}

/* --- arrays --- */

/* Items of their own for the first places; then the others. From the end: each may be where the
 * array ends, once there are enough. */
static uint32_t prefixed(struct rw_schema *s, const uint32_t *items, uint32_t n, uint32_t other,
                         uint32_t min, uint32_t max)
{
    struct rw_rules *r = &s->rules;
    uint32_t comma = sequence(s, text(s, ","), rw_json_gap(&s->json));
    uint32_t least = min > n ? min - n : 0, rest = RW_EXPR_EMPTY;
    uint32_t most = max == RW_REPEAT_FOREVER ? max : max > n ? max - n : 0;
    if (least > most)
        return RW_EXPR_NONE;
    rest = rw_expr_repeat(r, sequence(s, comma, other), least, most);
    for (uint32_t i = RW_MIN(n, max); i-- > 0;) {
        uint32_t item = sequence(s, i ? sequence(s, comma, items[i]) : items[i], rest);
        uint32_t rule = rw_rule_new(r);
        rw_rule_set(r, rule, i >= min ? rw_expr_optional(r, item) : item);
        rest = rw_expr_rule(r, rule);
    }
    return rest;
}

rwkv_status rw_schema_array(struct rw_schema *s, const json_t *schema, const char *path,
                            uint32_t *expr)
{
    const json_t *prefix = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    const char *keyword = prefix ? "prefixItems" : "items";
    uint32_t min = 0, max = RW_REPEAT_FOREVER, other;
    RW_TRY(rw_schema_count(s, schema, path, "minItems", &min));
    RW_TRY(rw_schema_count(s, schema, path, "maxItems", &max));
    if (!prefix && json_is_array(items)) { /* as it was written before 2020 */
        prefix = items;
        items = NULL;
    }
    if (prefix && !json_is_array(prefix))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, keyword,
                              "wanted a list of schemas, found %s", rw_json_kind(prefix));
    RW_TRY(rw_schema_rule(s, items ? items : json_true(), path, "", "items", &other));
    size_t n = json_array_size(prefix);
    if (n == 0) {
        *expr = rw_json_list(&s->json, "[", "]", other, min, max);
        return RWKV_OK;
    }
    uint32_t *firsts = rw_alloc(n, sizeof *firsts);
    rwkv_status status = RWKV_OK;
    if (!firsts)
        RW_GO(rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema"));
    for (size_t i = 0; i < n; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        RW_GO(rw_schema_rule(s, json_array_get(prefix, i), path, keyword, number, &firsts[i]));
    }
    uint32_t gap = rw_json_gap(&s->json);
    uint32_t inside = prefixed(s, firsts, (uint32_t)n, other, min, max);
    *expr = sequence(s, sequence(s, text(s, "["), gap),
                     sequence(s, inside, sequence(s, gap, text(s, "]"))));
done:
    rw_free(firsts);
    return status;
}

/* --- strings --- */

/* Days as there are in every year. */
#define DATE                                                                                 \
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|" \
    "02-(0[1-9]|1[0-9]|2[0-8]))"
#define TIME                                                                                       \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]" \
    ")"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

/* Formats that are kept to; others say nothing, as the standard has it. */
static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    {"ipv4", "^(" BYTE "\\.){3}" BYTE "$"},
    {"email", "^[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,31})?@(" LABEL "\\.){1,3}[A-Za-z]{2,24}$"},
};

static const char *find_format(const json_t *format)
{
    for (size_t i = 0; json_is_string(format) && i < RW_COUNT(formats); i++)
        if (strcmp(json_string_value(format), formats[i].name) == 0)
            return formats[i].pattern;
    return NULL;
}

rwkv_status rw_schema_string(struct rw_schema *s, const json_t *schema, const char *path,
                             uint32_t *expr)
{
    const json_t *pattern = json_object_get(schema, "pattern");
    const char *format = find_format(json_object_get(schema, "format"));
    uint32_t min = 0, max = RW_REPEAT_FOREVER, inside;
    RW_TRY(rw_schema_count(s, schema, path, "minLength", &min));
    RW_TRY(rw_schema_count(s, schema, path, "maxLength", &max));
    bool bounded = min > 0 || max != RW_REPEAT_FOREVER;
    if (pattern && !json_is_string(pattern))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "pattern",
                              "wanted a regular expression, found %s", rw_json_kind(pattern));
    if (pattern && (format || bounded))
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, "pattern", "not supported beside %s",
                              format ? "format" : "a length");
    if (format && bounded)
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, "format",
                              "not supported beside a length");
    if (!pattern && !format && !bounded) {
        *expr = rw_json_string(&s->json);
        return RWKV_OK;
    }
    if (pattern || format) {
        char place[400];
        snprintf(place, sizeof place, "schema: %.300s/%s", path, pattern ? "pattern" : "format");
        RW_TRY(rw_json_pattern(&s->json, pattern ? json_string_value(pattern) : format,
                               pattern ? json_string_length(pattern) : strlen(format), place,
                               &inside, s->err));
    } else if (max < min) {
        inside = RW_EXPR_NONE;
    } else {
        inside = rw_expr_repeat(&s->rules, rw_json_character(&s->json), min, max);
    }
    *expr = quoted(s, inside);
    return RWKV_OK;
}

/* --- numbers --- */

#define BOUND_MAX 1e18

/* The tighter of a bound and an exclusive one; `sign` is 1 for lower bounds, −1 for upper ones. */
static rwkv_status read_bound(struct rw_schema *s, const json_t *schema, const char *path,
                              const char *keyword, bool excluded, bool whole, int sign,
                              struct rw_bound *bound)
{
    const json_t *value = json_object_get(schema, keyword);
    if (!value)
        return RWKV_OK;
    if (!json_is_number(value))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, keyword, "wanted a number, found %s",
                              rw_json_kind(value));
    double x = json_number_value(value);
    if (x * sign < -BOUND_MAX)
        return RWKV_OK; /* no number that is written is beyond it */
    if (x * sign > BOUND_MAX)
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, keyword,
                              "wanted a number within ±%g, found %g", BOUND_MAX, x);
    if (x != floor(x) && !whole)
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, keyword,
                              "wanted an integer as the bound of a number, found %g", x);
    struct rw_bound found = {true, excluded && x == floor(x),
                             json_is_integer(value) ? json_integer_value(value)
                             : sign > 0             ? (int64_t)ceil(x)
                                                    : (int64_t)floor(x)};
    int64_t tighter = sign > 0 ? found.value - bound->value : bound->value - found.value;
    if (!bound->given || tighter > 0 || (tighter == 0 && found.excluded))
        *bound = found;
    return RWKV_OK;
}

rwkv_status rw_schema_number(struct rw_schema *s, const json_t *schema, const char *path,
                             bool whole, uint32_t *expr)
{
    struct rw_bound low = {0}, high = {0};
    RW_TRY(read_bound(s, schema, path, "minimum", false, whole, 1, &low));
    RW_TRY(read_bound(s, schema, path, "exclusiveMinimum", true, whole, 1, &low));
    RW_TRY(read_bound(s, schema, path, "maximum", false, whole, -1, &high));
    RW_TRY(read_bound(s, schema, path, "exclusiveMaximum", true, whole, -1, &high));
    if (low.given || high.given)
        *expr =
            whole ? rw_json_integers(&s->json, low, high) : rw_json_numbers(&s->json, low, high);
    else
        *expr = whole ? rw_json_integer(&s->json) : rw_json_number(&s->json);
    return RWKV_OK;
}
