/* SPDX-License-Identifier: Apache-2.0 */
#include "server/fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

/* --- errors ----------------------------------------------------------------------------------- */

static void fail(struct rw_api_error *error, int status, const char *type, const char *code,
                 const char *fmt, va_list args)
{
    if (error->status)
        return;
    error->status = status;
    error->type = type;
    error->code = code;
    error->param[0] = 0;
    vsnprintf(error->message, sizeof error->message, fmt, args);
    /* One line, whatever was quoted from the request. */
    for (char *c = error->message; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
}

void rw_api_fail(struct rw_api_error *error, int status, const char *type, const char *code,
                 const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(error, status, type, code, fmt, args);
    va_end(args);
}

void rw_api_fail_with(struct rw_api_error *error, const rwkv_error *err)
{
    switch (err->code) {
    case RWKV_ERROR_ARGUMENT:
    case RWKV_ERROR_TOKEN:
    case RWKV_ERROR_FORMAT:
    case RWKV_ERROR_UNSUPPORTED:
    case RWKV_ERROR_STATE:
        rw_api_fail(error, 400, "invalid_request_error", NULL, "%s", err->message);
        break;
    case RWKV_ERROR_NOT_FOUND:
        rw_api_fail(error, 404, "invalid_request_error", NULL, "%s", err->message);
        break;
    case RWKV_ERROR_EXISTS:
        rw_api_fail(error, 409, "invalid_request_error", NULL, "%s", err->message);
        break;
    case RWKV_ERROR_MEMORY:
        rw_api_fail(error, 503, "server_error", "no_memory", "%s", err->message);
        break;
    default:
        rw_api_fail(error, 500, "server_error", NULL, "%s", err->message);
    }
}

void rw_field_fail(struct rw_fields *f, const char *name, const char *fmt, ...)
{
    va_list args;
    char message[sizeof f->error->message];
    if (f->error->status)
        return;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    rw_api_fail(f->error, 400, "invalid_request_error", NULL, "%s%s: %s", f->path, name, message);
    snprintf(f->error->param, sizeof f->error->param, "%s%s", f->path, name);
}

const char *rw_kind_of(const json_t *value)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",       [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a real number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null"};
    return value ? kinds[json_typeof(value)] : "nothing";
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Count values and depth by brackets and commas outside of strings. Parsed, a text can take forty
 * times its size, so what is too much is refused before. */
static bool is_bearable(const char *text, size_t size, struct rw_api_error *error)
{
    size_t values = 1, depth = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '"') {
            for (i++; i < size && text[i] != '"'; i++)
                i += text[i] == '\\';
        } else if (c == '[' || c == '{') {
            values++;
            depth++;
        } else if (c == ']' || c == '}') {
            depth -= depth > 0;
        } else if (c == ',') {
            values++;
        }
        if (depth > RW_MAX_DEPTH || values > RW_MAX_VALUES) {
            rw_api_fail(error, 400, "invalid_request_error", NULL, "request: more than %d %s",
                        depth > RW_MAX_DEPTH ? RW_MAX_DEPTH : RW_MAX_VALUES,
                        depth > RW_MAX_DEPTH ? "lists and objects inside one another" : "values");
            return false;
        }
    }
    return true;
}

json_t *rw_fields_parse(const void *body, size_t size, struct rw_api_error *error)
{
    json_error_t where;
    if (size == 0)
        return json_object();
    if (!is_bearable(body, size, error))
        return NULL;
    json_t *root = json_loadb(body, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    if (!root) {
        char *quoted = strstr(where.text, " near '");
        if (quoted) /* what the request says: not for the log */
            *quoted = '\0';
        rw_api_fail(error, 400, "invalid_request_error", NULL,
                    "request: wanted JSON, found at line %d, column %d: %s", where.line,
                    where.column, where.text);
        return NULL;
    }
    if (json_is_object(root))
        return root;
    rw_api_fail(error, 400, "invalid_request_error", NULL,
                "request: wanted a JSON object, found %s", rw_kind_of(root));
    json_decref(root);
    return NULL;
}

/* --- members ---------------------------------------------------------------------------------- */

/* The member; NULL if it is absent or null, or something was wrong before. */
static const json_t *member(const struct rw_fields *f, const char *name)
{
    const json_t *value = f->error->status ? NULL : json_object_get(f->object, name);
    return json_is_null(value) ? NULL : value;
}

static const json_t *wanted(struct rw_fields *f, const char *name, bool fits, const json_t *value,
                            const char *what)
{
    if (value && !fits)
        rw_field_fail(f, name, "wanted %s, found %s", what, rw_kind_of(value));
    return value && fits ? value : NULL;
}

bool rw_field_given(const struct rw_fields *f, const char *name)
{
    return member(f, name) != NULL;
}

bool rw_field_flag(struct rw_fields *f, const char *name, bool *to)
{
    const json_t *value = member(f, name);
    value = wanted(f, name, json_is_boolean(value), value, "true or false");
    if (value)
        *to = json_is_true(value);
    return value != NULL;
}

bool rw_field_real(struct rw_fields *f, const char *name, double min, double max, double *to)
{
    const json_t *value = member(f, name);
    value = wanted(f, name, json_is_number(value), value, "a number");
    if (!value)
        return false;
    double x = json_number_value(value);
    if (!(x >= min && x <= max)) {
        rw_field_fail(f, name, "wanted a number from %g to %g, found %g", min, max, x);
        return false;
    }
    *to = x;
    return true;
}

/* Some clients send whole numbers as 5.0. */
static bool whole(const json_t *value, int64_t *to)
{
    if (json_is_integer(value)) {
        *to = json_integer_value(value);
        return true;
    }
    double x = json_real_value(value); /* 0 for what is no real number */
    if (!json_is_real(value) || x != trunc(x) || fabs(x) > 9007199254740992.0)
        return false;
    *to = (int64_t)x;
    return true;
}

bool rw_field_int(struct rw_fields *f, const char *name, int64_t min, int64_t max, int64_t *to)
{
    int64_t x = 0;
    const json_t *value = member(f, name);
    if (!wanted(f, name, whole(value, &x), value, "an integer"))
        return false;
    if (x < min || x > max) {
        rw_field_fail(f, name, "wanted an integer from %lld to %lld, found %lld", (long long)min,
                      (long long)max, (long long)x);
        return false;
    }
    *to = x;
    return true;
}

bool rw_field_text(struct rw_fields *f, const char *name, size_t most, const char **to)
{
    const json_t *value = member(f, name);
    value = wanted(f, name, json_is_string(value), value, "a string");
    if (!value)
        return false;
    size_t size = json_string_length(value);
    if (size > most)
        rw_field_fail(f, name, "wanted at most %zu bytes, found %zu", most, size);
    else if (strlen(json_string_value(value)) != size)
        rw_field_fail(f, name, "wanted text without U+0000");
    else
        *to = json_string_value(value);
    return !f->error->status;
}

/* What stands between slashes. */
static bool is_name_part(const char *part, size_t size)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    return size > 0 && strspn(part, allowed) >= size && part[0] != '.';
}

bool rw_is_name(const char *text)
{
    if (strlen(text) > RW_MAX_NAME)
        return false;
    for (const char *part = text;; part += strcspn(part, "/") + 1) {
        size_t size = strcspn(part, "/");
        if (!is_name_part(part, size))
            return false;
        if (!part[size])
            return true;
    }
}

bool rw_field_name(struct rw_fields *f, const char *name, const char **to)
{
    const char *text = NULL;
    if (!rw_field_text(f, name, RW_MAX_NAME, &text))
        return false;
    if (!rw_is_name(text)) {
        rw_field_fail(f, name, "wanted a name of letters, digits and . _ : - /");
        return false;
    }
    *to = text;
    return true;
}

bool rw_field_state_name(struct rw_fields *f, const char *name, const char **to)
{
    const char *text = NULL;
    if (!rw_field_text(f, name, RW_MAX_NAME, &text))
        return false;
    if (!rw_is_name(text) || strpbrk(text, ":/")) {
        rw_field_fail(f, name, "wanted a name of letters, digits and . _ -");
        return false;
    }
    *to = text;
    return true;
}

bool rw_field_word(struct rw_fields *f, const char *name, const char *const *words, int *to)
{
    const json_t *value = member(f, name);
    value = wanted(f, name, json_is_string(value), value, "a string");
    if (!value)
        return false;
    char list[256] = "";
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], json_string_value(value)) == 0) {
            *to = i;
            return true;
        }
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i]);
    }
    rw_field_fail(f, name, "wanted one of %s, found '%.40s'", list, json_string_value(value));
    return false;
}

const json_t *rw_field_object(struct rw_fields *f, const char *name)
{
    const json_t *value = member(f, name);
    return wanted(f, name, json_is_object(value), value, "an object");
}

const json_t *rw_field_list(struct rw_fields *f, const char *name, size_t min, size_t max)
{
    const json_t *value = member(f, name);
    value = wanted(f, name, json_is_array(value), value, "a list");
    size_t n = json_array_size(value);
    if (value && (n < min || n > max)) {
        rw_field_fail(f, name, "wanted %zu to %zu values, found %zu", min, max, n);
        return NULL;
    }
    return value;
}

/* --- inside ----------------------------------------------------------------------------------- */

struct rw_fields rw_fields_in(struct rw_fields *f, const char *name)
{
    struct rw_fields in = {.object = rw_field_object(f, name), .error = f->error};
    snprintf(in.path, sizeof in.path, "%.100s%.50s.", f->path, name);
    return in;
}

struct rw_fields rw_fields_at(struct rw_fields *f, const char *name, const json_t *list, size_t i)
{
    char element[80];
    const json_t *value = json_array_get(list, i);
    struct rw_fields at = {.error = f->error};
    snprintf(element, sizeof element, "%.40s[%zu]", name, i);
    snprintf(at.path, sizeof at.path, "%.100s%.50s.", f->path, element);
    if (json_is_object(value))
        at.object = value;
    else
        rw_field_fail(f, element, "wanted an object, found %s", rw_kind_of(value));
    return at;
}
