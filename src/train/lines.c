/* SPDX-License-Identifier: Apache-2.0 */
#include "train/lines.h"

#include <string.h>

#include <jansson.h>

#include "base/status.h"

size_t rw_lines_end(const struct rw_corpus *corpus, const struct rw_corpus_part *part)
{
    const char *begin = corpus->buffer + part->begin;
    const char *newline = memrchr(begin, '\n', part->end - part->begin);
    if (part->last)
        return part->end;
    return newline ? (size_t)(newline + 1 - corpus->buffer) : part->begin;
}

struct rw_lines rw_lines_of(const struct rw_corpus *corpus, const struct rw_corpus_part *part,
                            size_t begin, size_t end)
{
    return (struct rw_lines){corpus->buffer, begin, end, part->first && begin == part->begin};
}

bool rw_lines_next(struct rw_lines *lines, const char **line, size_t *size)
{
    const char *begin = lines->text + lines->at;
    if (lines->at == lines->end)
        return false;
    const char *newline = memchr(begin, '\n', lines->end - lines->at);
    const char *end = newline ? newline : lines->text + lines->end;
    lines->at = (size_t)((newline ? newline + 1 : end) - lines->text);
    if (lines->first && end - begin >= 3 && memcmp(begin, "\xef\xbb\xbf", 3) == 0)
        begin += 3;
    lines->first = false;
    *line = begin;
    *size = (size_t)(end - begin);
    return true;
}

bool rw_line_is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!memchr(" \t\r", line[i], 3))
            return false;
    return true;
}

static const char *kind_of(const json_t *value)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    return value ? kinds[json_typeof(value)] : "nothing";
}

rwkv_status rw_line_object(const char *line, size_t size, struct json_t **object, rwkv_error *err)
{
    json_error_t error;
    json_auto_t *value =
        json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (!value)
        return rw_fail(err, RWKV_ERROR_FORMAT, "not JSON at byte %d: %s", error.position,
                       error.text);
    if (!json_is_object(value))
        return rw_fail(err, RWKV_ERROR_FORMAT, "wanted an object, found %s", kind_of(value));
    *object = json_incref(value);
    return RWKV_OK;
}

rwkv_status rw_line_text(const struct json_t *object, const char *field, const char **text,
                         size_t *n, rwkv_error *err)
{
    const json_t *value = json_object_get(object, field);
    if (!json_is_string(value))
        return rw_fail(err, RWKV_ERROR_FORMAT, "wanted a string as \"%s\", found %s", field,
                       kind_of(value));
    *text = json_string_value(value);
    *n = json_string_length(value);
    return RWKV_OK;
}
