/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/json.h"

#include <string.h>

#include "base/status.h"

static rwkv_status fail(const struct rw_json *walk, const char *why, rwkv_error *err)
{
    return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: not JSON at byte %zu: %s", walk->path,
                   walk->place, walk->at, why);
}

static void skip_space(struct rw_json *walk)
{
    while (walk->at < walk->text.size && memchr(" \t\n\r", walk->text.data[walk->at], 4))
        walk->at++;
}

/* The next character that is no space, consumed if it is `c`. */
static bool accept(struct rw_json *walk, char c)
{
    skip_space(walk);
    if (walk->at == walk->text.size || walk->text.data[walk->at] != c)
        return false;
    walk->at++;
    return true;
}

/* From an opening quote to behind the closing one; false: there is none. */
static bool skip_string(struct rw_json *walk)
{
    for (size_t at = walk->at + 1; at < walk->text.size; at++) {
        if (walk->text.data[at] == '\\') {
            at++;
        } else if (walk->text.data[at] == '"') {
            walk->at = at + 1;
            return true;
        }
    }
    return false;
}

static rwkv_status read_key(struct rw_json *walk, json_t **key, rwkv_error *err)
{
    skip_space(walk);
    size_t start = walk->at;
    if (start == walk->text.size || walk->text.data[start] != '"')
        return fail(walk, "wanted a key in quotes", err);
    if (!skip_string(walk))
        return fail(walk, "this quote is never closed", err);
    struct rw_bytes text = {walk->text.data + start, walk->at - start};
    RW_TRY(rw_json_decode(walk, text, key, err));
    if (!accept(walk, ':'))
        return fail(walk, "wanted ':' after a key", err);
    skip_space(walk);
    return RWKV_OK;
}

/* Up to the comma or brace that ends a value. */
static rwkv_status skip_value(struct rw_json *walk, rwkv_error *err)
{
    size_t depth = 1; /* the object being walked */
    while (walk->at < walk->text.size) {
        char c = walk->text.data[walk->at];
        if (depth == 1 && (c == ',' || c == '}'))
            return RWKV_OK;
        if (c == '"') {
            if (!skip_string(walk))
                return fail(walk, "this quote is never closed", err);
            continue;
        }
        if ((c == '{' || c == '[') && ++depth > RW_JSON_MAX_DEPTH)
            return fail(walk, "brackets are nested too deeply", err);
        if ((c == '}' || c == ']') && --depth == 0)
            return fail(walk, "wanted ',' or '}', found ']'", err);
        walk->at++;
    }
    return fail(walk, "wanted ',' or '}', found the end", err);
}

/* To the next member: whether there is one. */
static rwkv_status step(struct rw_json *walk, bool *more, rwkv_error *err)
{
    *more = true;
    if (!walk->inside) {
        if (!accept(walk, '{'))
            return fail(walk, "wanted '{'", err);
        walk->inside = true;
        *more = !accept(walk, '}');
    } else if (accept(walk, '}')) {
        *more = false;
    } else if (!accept(walk, ',')) {
        return fail(walk, "wanted ',' or '}'", err);
    }
    if (*more)
        return RWKV_OK;
    skip_space(walk);
    if (walk->at < walk->text.size)
        return fail(walk, "wanted the end, found something after the object", err);
    return RWKV_OK;
}

rwkv_status rw_json_next(struct rw_json *walk, json_t **key, struct rw_bytes *value,
                         rwkv_error *err)
{
    bool more;
    json_decref(*key);
    *key = NULL;
    RW_TRY(step(walk, &more, err));
    if (!more)
        return RWKV_OK;
    RW_TRY(read_key(walk, key, err));
    size_t start = walk->at;
    RW_TRY(skip_value(walk, err));
    *value = (struct rw_bytes){walk->text.data + start, walk->at - start};
    return RWKV_OK;
}

rwkv_status rw_json_decode(const struct rw_json *walk, struct rw_bytes value, json_t **out,
                           rwkv_error *err)
{
    json_error_t error;
    *out = json_loadb(value.data, value.size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    return *out ? RWKV_OK : fail(walk, error.text, err);
}

rwkv_status rw_json_next_string(struct rw_json *walk, json_t **key, json_t **value, rwkv_error *err)
{
    struct rw_bytes text;
    json_decref(*value);
    *value = NULL;
    RW_TRY(rw_json_next(walk, key, &text, err));
    if (!*key)
        return RWKV_OK;
    if (text.size == 0 || text.data[0] != '"')
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: \"%s\": wanted a string", walk->path,
                       walk->place, json_string_value(*key));
    return rw_json_decode(walk, text, value, err);
}

const char *rw_json_kind(const json_t *value)
{
    if (!value)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return json_integer_value(value) < 0 ? "a negative integer" : "an integer";
    case JSON_REAL:
        return "a number that is no integer";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}
