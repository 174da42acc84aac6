/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema to rules: the queue of schemas, and what a schema says as a whole. */
#include "text/grammar_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "formats/json.h"
#include "text/grammar_int.h"

enum type { T_NULL, T_BOOLEAN, T_OBJECT, T_ARRAY, T_STRING, T_NUMBER, T_INTEGER, N_TYPES };

static const char *const type_names[N_TYPES] = {"null",   "boolean", "object", "array",
                                                "string", "number",  "integer"};
#define ALL_TYPES ((1u << N_TYPES) - 1 - (1u << T_INTEGER)) /* an integer is a number */

static const struct {
    const char *name;
    enum rw_keyword about;
} keywords[] = {
    {"type", RW_KEYWORD_GENERAL},
    {"enum", RW_KEYWORD_GENERAL},
    {"const", RW_KEYWORD_GENERAL},
    {"anyOf", RW_KEYWORD_GENERAL},
    {"oneOf", RW_KEYWORD_GENERAL},
    {"allOf", RW_KEYWORD_GENERAL},
    {"$ref", RW_KEYWORD_GENERAL},
    {"properties", RW_KEYWORD_OBJECT},
    {"required", RW_KEYWORD_OBJECT},
    {"additionalProperties", RW_KEYWORD_OBJECT},
    {"items", RW_KEYWORD_ARRAY},
    {"prefixItems", RW_KEYWORD_ARRAY},
    {"minItems", RW_KEYWORD_ARRAY},
    {"maxItems", RW_KEYWORD_ARRAY},
    {"minLength", RW_KEYWORD_STRING},
    {"maxLength", RW_KEYWORD_STRING},
    {"pattern", RW_KEYWORD_STRING},
    {"format", RW_KEYWORD_STRING},
    {"minimum", RW_KEYWORD_NUMBER},
    {"maximum", RW_KEYWORD_NUMBER},
    {"exclusiveMinimum", RW_KEYWORD_NUMBER},
    {"exclusiveMaximum", RW_KEYWORD_NUMBER},
    {"$defs", RW_KEYWORD_PLACE},
    {"definitions", RW_KEYWORD_PLACE},
    {"title", RW_KEYWORD_ANNOTATION},
    {"description", RW_KEYWORD_ANNOTATION},
    {"default", RW_KEYWORD_ANNOTATION},
    {"example", RW_KEYWORD_ANNOTATION},
    {"examples", RW_KEYWORD_ANNOTATION},
    {"deprecated", RW_KEYWORD_ANNOTATION},
    {"readOnly", RW_KEYWORD_ANNOTATION},
    {"writeOnly", RW_KEYWORD_ANNOTATION},
    {"discriminator", RW_KEYWORD_ANNOTATION},
    {"contentEncoding", RW_KEYWORD_ANNOTATION},
    {"contentMediaType", RW_KEYWORD_ANNOTATION},
    {"$schema", RW_KEYWORD_ANNOTATION},
    {"$id", RW_KEYWORD_ANNOTATION},
    {"id", RW_KEYWORD_ANNOTATION},
    {"$comment", RW_KEYWORD_ANNOTATION},
};

enum rw_keyword rw_schema_keyword(const char *name)
{
    for (size_t i = 0; i < RW_COUNT(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return keywords[i].about;
    return rw_has_prefix(name, "x-") ? RW_KEYWORD_ANNOTATION : RW_KEYWORD_NONE;
}

bool rw_schema_asserts(const json_t *schema)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        enum rw_keyword about = rw_schema_keyword(key);
        if (about != RW_KEYWORD_ANNOTATION && about != RW_KEYWORD_PLACE)
            return true;
    }
    return json_is_false(schema);
}

rwkv_status rw_schema_fail(struct rw_schema *s, rwkv_status code, const char *path,
                           const char *keyword, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return rw_fail(s->err, code, "schema: %.300s%s%.60s: %s", path, keyword ? "/" : "",
                   keyword ? keyword : "", what);
}

/* --- the queue -------------------------------------------------------------------------------- */

static size_t slot_of(const struct rw_schema *s, const json_t *schema)
{
    uint64_t h = (uint64_t)(uintptr_t)schema * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32) & (s->table_size - 1);
}

static bool widen_table(struct rw_schema *s)
{
    if ((s->n_items + 1) * 2 <= s->table_size)
        return true;
    uint32_t *table = rw_calloc(s->table_size ? s->table_size * 2 : 64, sizeof *table);
    if (!table)
        return false;
    rw_free(s->table);
    s->table = table;
    s->table_size = s->table_size ? s->table_size * 2 : 64;
    for (size_t i = 0; i < s->n_items; i++) {
        size_t at = slot_of(s, s->items[i].schema);
        while (table[at])
            at = (at + 1) & (s->table_size - 1);
        table[at] = (uint32_t)i + 1;
    }
    return true;
}

/* path/place/name, the name as a JSON pointer has it; NULL: no memory. */
static char *join_path(const char *path, const char *place, const char *name)
{
    struct rw_str out = {0};
    rw_str_adds(&out, path);
    if (name) {
        rw_str_printf(&out, "/%s%s", place, *place ? "/" : "");
        for (const char *c = name; *c; c++) {
            if (*c == '~' || *c == '/')
                rw_str_adds(&out, *c == '~' ? "~0" : "~1");
            else
                rw_str_addc(&out, *c);
        }
    }
    return rw_str_take(&out);
}

rwkv_status rw_schema_rule(struct rw_schema *s, const json_t *schema, const char *path,
                           const char *place, const char *name, uint32_t *expr)
{
    if (!widen_table(s))
        return rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema");
    size_t at = slot_of(s, schema);
    /* true and false are one object each, wherever they stand */
    for (; s->table[at]; at = (at + 1) & (s->table_size - 1))
        if (s->items[s->table[at] - 1].schema == schema) {
            *expr = rw_expr_rule(&s->rules, s->items[s->table[at] - 1].rule);
            return RWKV_OK;
        }
    char *joined = join_path(path, place, name);
    if (!joined || !rw_grow((void **)&s->items, s->n_items, &s->items_capacity, sizeof *s->items)) {
        rw_free(joined);
        return rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema");
    }
    uint32_t rule = rw_rule_new(&s->rules);
    s->items[s->n_items++] = (struct rw_schema_item){schema, rule, joined};
    s->table[at] = (uint32_t)s->n_items;
    *expr = rw_expr_rule(&s->rules, rule);
    return rw_rules_check(&s->rules, s->err);
}

/* --- a schema --------------------------------------------------------------------------------- */

static rwkv_status check_keywords(struct rw_schema *s, const json_t *schema, const char *path)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        bool off = json_is_false(value) &&
                   (strcmp(key, "uniqueItems") == 0 || strcmp(key, "nullable") == 0);
        if (rw_schema_keyword(key) == RW_KEYWORD_NONE && !off)
            return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, key,
                                  "this keyword is not supported");
    }
    return RWKV_OK;
}

static rwkv_status add_type(struct rw_schema *s, const json_t *name, const char *path,
                            unsigned *types)
{
    const char *text = json_is_string(name) ? json_string_value(name) : "";
    for (unsigned i = 0; i < N_TYPES; i++)
        if (strcmp(text, type_names[i]) == 0) {
            *types |= 1u << i;
            return RWKV_OK;
        }
    return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "type",
                          "wanted the name of a type or a list of them, found %s%s%.40s",
                          json_is_string(name) ? "'" : "", *text ? text : rw_json_kind(name),
                          json_is_string(name) ? "'" : "");
}

/* Bits of the types: those named or else those that the keywords are about, or else all. */
static rwkv_status find_types(struct rw_schema *s, const json_t *schema, const char *path,
                              unsigned *types)
{
    static const unsigned of_keyword[] = {[RW_KEYWORD_OBJECT] = 1u << T_OBJECT,
                                          [RW_KEYWORD_ARRAY] = 1u << T_ARRAY,
                                          [RW_KEYWORD_STRING] = 1u << T_STRING,
                                          [RW_KEYWORD_NUMBER] = 1u << T_NUMBER};
    const json_t *type = json_object_get(schema, "type");
    const char *key;
    json_t *value;
    *types = 0;
    for (size_t i = 0; i < json_array_size(type); i++)
        RW_TRY(add_type(s, json_array_get(type, i), path, types));
    if (type)
        return json_is_array(type) ? RWKV_OK : add_type(s, type, path, types);
    json_object_foreach((json_t *)schema, key, value) *types |= of_keyword[rw_schema_keyword(key)];
    if (*types == 0)
        *types = ALL_TYPES;
    return RWKV_OK;
}

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return 1u << T_OBJECT;
    case JSON_ARRAY:
        return 1u << T_ARRAY;
    case JSON_STRING:
        return 1u << T_STRING;
    case JSON_INTEGER:
        return 1u << T_INTEGER | 1u << T_NUMBER;
    case JSON_REAL:
        return 1u << T_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return 1u << T_BOOLEAN;
    default:
        return 1u << T_NULL;
    }
}

rwkv_status rw_schema_literal(struct rw_schema *s, const json_t *value, uint32_t *expr)
{
    /* Reals as short as they can be. */
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (text && !json_equal(back, value)) {
        free(text);
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    }
    json_decref(back);
    if (!text)
        return rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema");
    *expr = rw_expr_string(&s->rules, text);
    free(text);
    return RWKV_OK;
}

/* enum and const: the values of a type that is allowed. */
static rwkv_status build_values(struct rw_schema *s, const json_t *schema, const char *path,
                                uint32_t *expr)
{
    const json_t *values = json_object_get(schema, "enum"), *one = json_object_get(schema, "const");
    const char *key;
    json_t *ignored;
    unsigned types = ALL_TYPES;
    struct rw_list choices = {0};
    rwkv_status status = RWKV_OK;
    if (values && !json_is_array(values))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "enum", "wanted a list, found %s",
                              rw_json_kind(values));
    json_object_foreach(
        (json_t *)schema, key,
        ignored) if (rw_schema_keyword(key) >=
                     RW_KEYWORD_OBJECT) return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, key,
                                                              "not supported beside enum or const");
    if (json_object_get(schema, "type"))
        RW_TRY(find_types(s, schema, path, &types));
    for (size_t i = 0; i < (values ? json_array_size(values) : 1); i++) {
        const json_t *value = values ? json_array_get(values, i) : one;
        uint32_t literal = RW_EXPR_NONE;
        if (!(type_of(value) & types) || (one && !json_equal(one, value)))
            continue;
        RW_GO(rw_schema_literal(s, value, &literal));
        rw_list_add(&s->rules, &choices, literal);
    }
    *expr = rw_expr_choice(&s->rules, choices.items, choices.n);
done:
    rw_list_fini(&choices);
    return status;
}

static rwkv_status build_type(struct rw_schema *s, const json_t *schema, const char *path,
                              enum type type, uint32_t *expr)
{
    switch (type) {
    case T_NULL:
        *expr = rw_expr_string(&s->rules, "null");
        return RWKV_OK;
    case T_BOOLEAN:
        *expr = rw_expr_choice(
            &s->rules,
            (uint32_t[]){rw_expr_string(&s->rules, "true"), rw_expr_string(&s->rules, "false")}, 2);
        return RWKV_OK;
    case T_OBJECT:
        return rw_schema_object(s, schema, path, expr);
    case T_ARRAY:
        return rw_schema_array(s, schema, path, expr);
    case T_STRING:
        return rw_schema_string(s, schema, path, expr);
    case T_NUMBER:
    case T_INTEGER:
    default:
        return rw_schema_number(s, schema, path, type == T_INTEGER, expr);
    }
}

static rwkv_status build_types(struct rw_schema *s, const json_t *schema, const char *path,
                               uint32_t *expr)
{
    uint32_t choices[N_TYPES];
    unsigned types;
    size_t n = 0;
    RW_TRY(find_types(s, schema, path, &types));
    if (types & 1u << T_NUMBER)
        types &= ~(1u << T_INTEGER);
    for (unsigned i = 0; i < N_TYPES; i++)
        if (types & 1u << i)
            RW_TRY(build_type(s, schema, path, (enum type)i, &choices[n++]));
    *expr = rw_expr_choice(&s->rules, choices, n);
    return RWKV_OK;
}

/* anyOf, and oneOf as anyOf: what else the schema says holds for each. */
static rwkv_status build_any(struct rw_schema *s, const json_t *schema, const char *path,
                             const char *keyword, uint32_t *expr)
{
    const json_t *list = json_object_get(schema, keyword), *rest, *branch;
    struct rw_list choices = {0};
    rwkv_status status = RWKV_OK;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, keyword, "wanted a list of schemas");
    RW_TRY(rw_schema_without(s, schema, (const char *[]){keyword, NULL}, path, &rest));
    for (size_t i = 0; i < json_array_size(list); i++) {
        char number[24];
        uint32_t choice = RW_EXPR_NONE;
        branch = json_array_get(list, i);
        snprintf(number, sizeof number, "%zu", i);
        if (rw_schema_asserts(rest)) {
            RW_GO(rw_schema_flatten(s, branch, path, 0, &branch));
            RW_GO(rw_schema_merge(s, rest, branch, path, &branch));
        }
        RW_GO(rw_schema_rule(s, branch, path, keyword, number, &choice));
        rw_list_add(&s->rules, &choices, choice);
    }
    *expr = rw_expr_choice(&s->rules, choices.items, choices.n);
done:
    rw_list_fini(&choices);
    return status;
}

/* A reference with nothing beside it that matters is the other's rule, so that it may be inside
 * itself; anything else that holds together is merged. */
static rwkv_status build_joined(struct rw_schema *s, const json_t *schema, const char *path,
                                uint32_t *expr)
{
    const json_t *ref = json_object_get(schema, "$ref"), *all = json_object_get(schema, "allOf");
    const json_t *rest, *target;
    RW_TRY(rw_schema_without(s, schema, (const char *[]){"$ref", "allOf", NULL}, path, &rest));
    if (!rw_schema_asserts(rest) && ref && !all) {
        RW_TRY(rw_schema_resolve(s, ref, path, &target));
        return rw_schema_rule(s, target, json_string_value(ref), NULL, NULL, expr);
    }
    if (!rw_schema_asserts(rest) && !ref && json_array_size(all) == 1)
        return rw_schema_rule(s, json_array_get(all, 0), path, "allOf", "0", expr);
    RW_TRY(rw_schema_flatten(s, schema, path, 0, &target));
    return rw_schema_rule(s, target, path, NULL, NULL, expr);
}

static rwkv_status build(struct rw_schema *s, const json_t *schema, const char *path,
                         uint32_t *expr)
{
    *expr = RW_EXPR_NONE;
    if (json_is_false(schema))
        return RWKV_OK;
    if (json_is_true(schema)) {
        *expr = rw_json_value(&s->json);
        return RWKV_OK;
    }
    if (!json_is_object(schema))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, NULL,
                              "wanted a schema, an object or true or false, found %s",
                              rw_json_kind(schema));
    RW_TRY(check_keywords(s, schema, path));
    if (json_object_get(schema, "$ref") || json_object_get(schema, "allOf"))
        return build_joined(s, schema, path, expr);
    const json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
    if (any && one)
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, "oneOf",
                              "not supported beside anyOf");
    if (any || one)
        return build_any(s, schema, path, any ? "anyOf" : "oneOf", expr);
    if (json_object_get(schema, "enum") || json_object_get(schema, "const"))
        return build_values(s, schema, path, expr);
    return build_types(s, schema, path, expr);
}

/* --- all of it -------------------------------------------------------------------------------- */

static const char *name_of(const void *schema, uint32_t rule)
{
    const struct rw_schema *s = schema;
    for (size_t i = 0; i < s->n_items; i++)
        if (s->items[i].rule == rule)
            return s->items[i].path;
    return "#";
}

/* The root, which is rule 0: blanks may be in front, as models that chat begin with one. */
static void build_root(struct rw_rules *r, struct rw_json_rules *j, uint32_t root, uint32_t value)
{
    rw_rule_set(r, root, rw_expr_sequence(r, (uint32_t[]){rw_json_gap(j), value}, 2));
}

static rwkv_status build_all(struct rw_schema *s)
{
    uint32_t root = rw_rule_new(&s->rules), value = RW_EXPR_NONE;
    RW_TRY(rw_rules_check(&s->rules, s->err));
    RW_TRY(rw_schema_rule(s, s->root, "#", NULL, NULL, &value));
    build_root(&s->rules, &s->json, root, value);
    while (s->n_done < s->n_items) {
        uint32_t expr = RW_EXPR_NONE;
        struct rw_schema_item item = s->items[s->n_done++];
        RW_TRY(build(s, item.schema, item.path, &expr));
        RW_TRY(rw_rules_check(&s->rules, s->err));
        rw_rule_set(&s->rules, item.rule, expr);
    }
    return RWKV_OK;
}

rwkv_status rw_grammar_from_schema(const char *text, size_t size, struct rwkv_grammar **out,
                                   rwkv_error *err)
{
    rwkv_status status;
    json_error_t why;
    struct rw_schema s = {.err = err};
    if (size > RW_GRAMMAR_TEXT_LIMIT)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "schema: wanted at most %zu bytes, found %zu",
                       RW_GRAMMAR_TEXT_LIMIT, size);
    rw_rules_init(&s.rules);
    s.json.rules = &s.rules;
    s.root = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!s.root)
        RW_GO(rw_fail(err, RWKV_ERROR_FORMAT, "schema: line %d: %s", why.line, why.text));
    s.made = json_array();
    if (!s.made)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a schema"));
    RW_GO(build_all(&s));
    RW_GO(rw_rules_check(&s.rules, err));
    RW_GO(rw_grammar_new(&s.rules, 0, name_of, &s, out, err));
done:
    rw_rules_fini(&s.rules);
    for (size_t i = 0; i < s.n_items; i++)
        rw_free(s.items[i].path);
    rw_free(s.items);
    rw_free(s.table);
    json_decref(s.made);
    json_decref(s.root);
    return status;
}

rwkv_status rw_grammar_any_object(struct rwkv_grammar **out, rwkv_error *err)
{
    struct rw_rules rules;
    rw_rules_init(&rules);
    struct rw_json_rules json = {.rules = &rules};
    const struct rw_schema none = {0};
    uint32_t root = rw_rule_new(&rules);
    rwkv_status status = rw_rules_check(&rules, err);
    if (status == RWKV_OK) {
        uint32_t object = rw_json_object(&json);
        build_root(&rules, &json, root, object);
        status = rw_rules_check(&rules, err);
    }
    if (status == RWKV_OK)
        status = rw_grammar_new(&rules, root, name_of, &none, out, err);
    rw_rules_fini(&rules);
    return status;
}
