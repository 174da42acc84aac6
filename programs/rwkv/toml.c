/* SPDX-License-Identifier: Apache-2.0 */
#include "toml.h"

#include <ctype.h>
#include <string.h>

#include "base/status.h"
#include "base/utf8.h"
#include "text_in.h"

#define MAX_NAME 64 /* bytes */

/* Letters after a backslash, and what they mean. */
static const char letters[] = "\"\\ntrbf", meant[] = "\"\\\n\t\r\b\f";

struct line {
    const char *at, *end;
    char name[MAX_NAME];
    struct rw_str value;
};

static rwkv_status fail(const char *wanted, const struct line *line, rwkv_error *err)
{
    if (line->at == line->end)
        return rw_fail(err, RWKV_ERROR_FORMAT, "wanted %s, found the end of the line", wanted);
    size_t n = RW_MIN((size_t)(line->end - line->at), (size_t)20);
    return rw_fail(err, RWKV_ERROR_FORMAT, "wanted %s, found '%.*s'", wanted, (int)n, line->at);
}

static void skip_blanks(struct line *line)
{
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t'))
        line->at++;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static rwkv_status read_name(struct line *line, rwkv_error *err)
{
    const char *start = line->at;
    if (*start == '[')
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "tables ([...]) are not used here: wanted only "
                       "lines 'name = value'");
    while (line->at < line->end && is_name(*line->at))
        line->at++;
    size_t n = (size_t)(line->at - start);
    if (n == 0 || n >= MAX_NAME)
        return fail("a name", line, err);
    memcpy(line->name, start, n);
    line->name[n] = 0;
    skip_blanks(line);
    if (line->at == line->end || *line->at != '=')
        return fail("'=' after the name", line, err);
    line->at++;
    skip_blanks(line);
    return RWKV_OK;
}

/* What follows \u or \U: so many hexadecimal digits that are a character. */
static rwkv_status read_code(struct line *line, size_t digits, rwkv_error *err)
{
    uint32_t code = 0;
    uint8_t bytes[4];
    size_t n = 0;
    for (; n < digits && line->at + n < line->end && isxdigit((unsigned char)line->at[n]); n++) {
        char c = (char)tolower((unsigned char)line->at[n]);
        code = code << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (n < digits || code == 0 || code > 0x10ffff || surrogate)
        return fail("the code of a character after \\u or \\U", line, err);
    rw_str_add(&line->value, bytes, rw_utf8_put(code, bytes));
    line->at += digits;
    return RWKV_OK;
}

/* What follows a backslash inside "quotes". */
static rwkv_status read_escape(struct line *line, rwkv_error *err)
{
    const char *found = line->at < line->end ? strchr(letters, *line->at) : NULL;
    if (line->at < line->end && (*line->at == 'u' || *line->at == 'U'))
        return read_code(line, *line->at++ == 'u' ? 4 : 8, err);
    if (!found || !*found)
        return fail("one of \\\" \\\\ \\n \\t \\r \\b \\f \\u \\U", line, err);
    rw_str_addc(&line->value, meant[found - letters]);
    line->at++;
    return RWKV_OK;
}

static rwkv_status read_string(struct line *line, rwkv_error *err)
{
    char quote = *line->at++;
    while (line->at < line->end && *line->at != quote) {
        char c = *line->at++;
        if (c == '\\' && quote == '"')
            RW_TRY(read_escape(line, err));
        else
            rw_str_addc(&line->value, c);
    }
    if (line->at == line->end)
        return rw_fail(err, RWKV_ERROR_FORMAT, "the string does not end on its line");
    line->at++;
    return RWKV_OK;
}

/* A number, true or false. Underscores between digits are left out, as TOML has them. */
static rwkv_status read_word(struct line *line, rwkv_error *err)
{
    const char *start = line->at;
    for (; line->at < line->end && (is_name(*line->at) || strchr("+.", *line->at)); line->at++)
        if (*line->at != '_')
            rw_str_addc(&line->value, *line->at);
    size_t n = (size_t)(line->at - start);
    bool on = n == 4 && memcmp(start, "true", 4) == 0;
    bool off = n == 5 && memcmp(start, "false", 5) == 0;
    line->at = start;
    if (!on && !off && (n == 0 || !strchr("+-.0123456789", *start)))
        return fail("a string in quotes, a number, true or false", line, err);
    line->at = start + n;
    if (on || off) {
        rw_str_reset(&line->value);
        rw_str_adds(&line->value, on ? "on" : "off");
    }
    return RWKV_OK;
}

static rwkv_status read_value(struct line *line, rwkv_error *err)
{
    bool string = line->at < line->end && (*line->at == '"' || *line->at == '\'');
    rw_str_reset(&line->value);
    rw_str_adds(&line->value, "");
    RW_TRY(string ? read_string(line, err) : read_word(line, err));
    skip_blanks(line);
    if (line->at < line->end && *line->at != '#')
        return fail("the end of the line", line, err);
    return line->value.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory") : RWKV_OK;
}

static rwkv_status read_line(struct line *line, rw_toml_fn set, void *user, rwkv_error *err)
{
    if (line->end > line->at && line->end[-1] == '\r')
        line->end--;
    skip_blanks(line);
    if (line->at == line->end || *line->at == '#')
        return RWKV_OK;
    RW_TRY(read_name(line, err));
    RW_TRY(read_value(line, err));
    return set(user, line->name, line->value.data, err);
}

rwkv_status rw_toml_read(const char *path, rw_toml_fn set, void *user, rwkv_error *err)
{
    struct rw_str text = {0};
    struct line line = {0};
    rwkv_status status = rw_read_text(path, &text, err);
    size_t number = 1;
    const char *at = text.data;
    for (; status == RWKV_OK && at && at < text.data + text.size; number++) {
        line.at = at;
        line.end = memchr(at, '\n', (size_t)(text.data + text.size - at));
        at = line.end ? line.end + 1 : text.data + text.size;
        line.end = line.end ? line.end : at;
        status = read_line(&line, set, user, err);
        if (status != RWKV_OK)
            rw_fail_within(err, status, "%s:%zu", path, number);
    }
    rw_str_fini(&line.value);
    rw_str_fini(&text);
    return status;
}

void rw_toml_add_string(struct rw_str *to, const char *text)
{
    rw_str_addc(to, '"');
    for (; *text; text++) {
        const char *escape = strchr(meant, *text);
        if (escape)
            rw_str_printf(to, "\\%c", letters[escape - meant]);
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            rw_str_printf(to, "\\u%04X", (unsigned)*text);
        else
            rw_str_addc(to, *text);
    }
    rw_str_addc(to, '"');
}
