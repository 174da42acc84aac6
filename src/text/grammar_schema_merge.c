/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas that hold together: references, allOf, and what stands beside anyOf. Two schemas are
 * merged keyword by keyword; where both have schemas of one name for something inside, it gets
 * `allOf` of the two, which is merged when its turn comes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "formats/json.h"
#include "text/grammar_schema.h"

#define DEPTH_MAX 64 /* references and allOf inside one another */

static rwkv_status fail_memory(struct rw_schema *s)
{
    return rw_fail(s->err, RWKV_ERROR_MEMORY, "no memory for a schema");
}

/* Keep a schema that was made here, as long as the root. */
static rwkv_status keep(struct rw_schema *s, json_t *schema, const char *path, const json_t **out)
{
    if (!schema || json_array_append_new(s->made, schema) != 0)
        return fail_memory(s);
    *out = schema;
    if (json_array_size(s->made) > RW_SCHEMA_MERGES)
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, NULL,
                              "more than %d schemas made of others by allOf, anyOf or $ref",
                              RW_SCHEMA_MERGES);
    return RWKV_OK;
}

rwkv_status rw_schema_without(struct rw_schema *s, const json_t *schema, const char *const *names,
                              const char *path, const json_t **out)
{
    json_t *copy = json_copy((json_t *)schema);
    for (; copy && *names; names++)
        json_object_del(copy, *names);
    return keep(s, copy, path, out);
}

/* --- references --- */

/* The step of a JSON pointer at *at, unescaped, into `name`; false: it is too long. */
static bool read_step(const char **at, char *name, size_t size)
{
    size_t n = 0;
    for (; **at && **at != '/'; ++*at) {
        char c = **at;
        if (c == '~' && ((*at)[1] == '0' || (*at)[1] == '1'))
            c = *++*at == '0' ? '~' : '/';
        if (n + 1 == size)
            return false;
        name[n++] = c;
    }
    name[n] = 0;
    return true;
}

rwkv_status rw_schema_resolve(struct rw_schema *s, const json_t *ref, const char *path,
                              const json_t **out)
{
    const char *text = json_string_value(ref);
    const json_t *at = s->root;
    char name[256];
    if (!text || (strcmp(text, "#") != 0 && strncmp(text, "#/", 2) != 0))
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, "$ref",
                              "wanted a place in this schema, \"#/…\", found %.80s",
                              text ? text : rw_json_kind(ref));
    for (const char *c = text + 1; *c == '/' && at;) {
        c++;
        if (!read_step(&c, name, sizeof name))
            at = NULL;
        else if (json_is_array(at))
            at = json_array_get(at, strtoul(name, NULL, 10));
        else
            at = json_object_get(at, name);
    }
    *out = at;
    return at ? RWKV_OK
              : rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "$ref", "there is no %.80s", text);
}

/* --- merging --- */

/* Both, as a schema. */
static json_t *both_of(const json_t *a, const json_t *b)
{
    return json_pack("{s:[O,O]}", "allOf", a, b);
}

static bool is_in(const json_t *list, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), value))
            return true;
    return false;
}

/* Those of `a` that are in `b` as well, or with `all` those of either. */
static json_t *join_lists(const json_t *a, const json_t *b, bool all)
{
    json_t *out = json_array();
    for (size_t i = 0; out && i < json_array_size(a); i++)
        if (all || is_in(b, json_array_get(a, i)))
            json_array_append(out, json_array_get(a, i));
    for (size_t i = 0; out && all && i < json_array_size(b); i++)
        if (!is_in(out, json_array_get(b, i)))
            json_array_append(out, json_array_get(b, i));
    return out;
}

/* The types of both; an integer is a number. */
static json_t *join_types(const json_t *a, const json_t *b)
{
    json_t *x = json_is_array(a) ? json_incref((json_t *)a) : json_pack("[O]", a);
    json_t *y = json_is_array(b) ? json_incref((json_t *)b) : json_pack("[O]", b);
    json_t *number = json_string("number"), *integer = json_string("integer");
    json_t *out = join_lists(x, y, false);
    bool narrow =
        (is_in(x, number) && is_in(y, integer)) || (is_in(x, integer) && is_in(y, number));
    if (out && narrow && !is_in(out, integer))
        json_array_append(out, integer);
    json_decref(x);
    json_decref(y);
    json_decref(number);
    json_decref(integer);
    return out;
}

static json_t *join_properties(const json_t *a, const json_t *b)
{
    json_t *out = json_copy((json_t *)a);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)b, key, value)
    {
        json_t *known = json_object_get(out, key);
        if (known && !json_equal(known, value))
            json_object_set_new(out, key, both_of(known, value));
        else if (!known)
            json_object_set(out, key, value);
    }
    return out;
}

/* One value for a keyword that both have; NULL: there is none, or no memory. */
static json_t *join(const char *key, const json_t *a, const json_t *b)
{
    static const char *const largest[] = {"minItems", "minLength", "minimum", "exclusiveMinimum"};
    static const char *const least[] = {"maxItems", "maxLength", "maximum", "exclusiveMaximum"};
    if (json_equal(a, b))
        return json_incref((json_t *)a);
    for (size_t i = 0; i < RW_COUNT(largest); i++) {
        bool larger = json_number_value(a) > json_number_value(b);
        if (strcmp(key, largest[i]) == 0)
            return json_incref((json_t *)(larger ? a : b));
        if (strcmp(key, least[i]) == 0)
            return json_incref((json_t *)(larger ? b : a));
    }
    if (strcmp(key, "type") == 0)
        return join_types(a, b);
    if (strcmp(key, "properties") == 0 && json_is_object(a) && json_is_object(b))
        return join_properties(a, b);
    if (strcmp(key, "required") == 0)
        return join_lists(a, b, true);
    if (strcmp(key, "enum") == 0)
        return join_lists(a, b, false);
    if (strcmp(key, "items") == 0 || strcmp(key, "additionalProperties") == 0)
        return json_is_array(a) || json_is_array(b) ? NULL : both_of(a, b);
    return NULL;
}

/* Whether all properties of `b` are named in `a`, whose additionalProperties are about others. */
static bool names_all(const json_t *a, const json_t *b)
{
    const json_t *known = json_object_get(a, "properties");
    const char *key;
    json_t *value;
    if (!json_object_get(a, "additionalProperties"))
        return true;
    json_object_foreach(json_object_get(b, "properties"), key,
                        value) if (!json_object_get(known, key)) return false;
    return true;
}

rwkv_status rw_schema_merge(struct rw_schema *s, const json_t *a, const json_t *b, const char *path,
                            const json_t **out)
{
    const char *key;
    json_t *value;
    if (json_is_true(a) || json_is_false(b)) {
        *out = b;
        return RWKV_OK;
    }
    if (json_is_true(b) || json_is_false(a)) {
        *out = a;
        return RWKV_OK;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, NULL,
                              "wanted a schema, an object or true or false, found %s",
                              rw_json_kind(json_is_object(a) ? b : a));
    if (!names_all(a, b) || !names_all(b, a))
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, "additionalProperties",
                              "not supported beside properties of another part of the schema");
    json_t *merged = json_copy((json_t *)a);
    json_object_foreach((json_t *)b, key, value)
    {
        enum rw_keyword about = rw_schema_keyword(key);
        json_t *known = json_object_get(merged, key);
        if (known && (about == RW_KEYWORD_ANNOTATION || about == RW_KEYWORD_PLACE))
            continue;
        json_t *joined = known ? join(key, known, value) : json_incref(value);
        if (!joined) {
            json_decref(merged);
            return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, key,
                                  "two different ones that hold together are not supported");
        }
        json_object_set_new(merged, key, joined);
    }
    return keep(s, merged, path, out);
}

rwkv_status rw_schema_flatten(struct rw_schema *s, const json_t *schema, const char *path,
                              unsigned depth, const json_t **out)
{
    const json_t *ref = json_object_get(schema, "$ref"), *all = json_object_get(schema, "allOf");
    const json_t *part, *whole = schema;
    *out = schema;
    if (!ref && !all)
        return RWKV_OK;
    if (depth > DEPTH_MAX)
        return rw_schema_fail(s, RWKV_ERROR_UNSUPPORTED, path, ref ? "$ref" : "allOf",
                              "consists of itself");
    if (all && !json_is_array(all))
        return rw_schema_fail(s, RWKV_ERROR_FORMAT, path, "allOf", "wanted a list of schemas");
    RW_TRY(rw_schema_without(s, schema, (const char *[]){"$ref", "allOf", NULL}, path, &whole));
    if (ref) {
        RW_TRY(rw_schema_resolve(s, ref, path, &part));
        RW_TRY(rw_schema_flatten(s, part, path, depth + 1, &part));
        RW_TRY(rw_schema_merge(s, whole, part, path, &whole));
    }
    for (size_t i = 0; i < json_array_size(all); i++) {
        RW_TRY(rw_schema_flatten(s, json_array_get(all, i), path, depth + 1, &part));
        RW_TRY(rw_schema_merge(s, whole, part, path, &whole));
    }
    *out = whole;
    return RWKV_OK;
}
