/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies as text, read and written, in the format of rwkv_vocab_v20230424.txt: a token a
 * line,
 *
 *     ID LITERAL LENGTH            261 '\n\n' 2            129 b'\x80' 1
 *
 * where LITERAL is a Python string (standing for its UTF-8) or bytes literal as repr() writes them
 * and LENGTH the number of bytes, which is checked. All of Python's escapes are known but \N{name};
 * what Python itself would only warn of is refused. Lines end in LF or CR LF.
 */
#include <string.h>
#include <unistd.h>

#include "base/output.h"
#include "base/status.h"
#include "base/utf8.h"
#include "text/vocab_int.h"

/* One line, and how far it has been read. */
struct line {
    const char *file;
    size_t number; /* from 1 */
    const uint8_t *begin, *at, *end;
};

static rwkv_status fail_line(const struct line *l, const char *wanted, rwkv_error *err)
{
    size_t column = (size_t)(l->at - l->begin) + 1;
    size_t left = (size_t)(l->end - l->at);
    if (left == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: line %zu: wanted %s at byte %zu, found the end of the line", l->file,
                       l->number, wanted, column);
    return rw_fail(err, RWKV_ERROR_FORMAT, "%s: line %zu: wanted %s at byte %zu, found \"%.*s%s\"",
                   l->file, l->number, wanted, column, (int)RW_MIN(left, 20), (const char *)l->at,
                   left > 20 ? "…" : "");
}

/* Take `c` if it comes next. */
static bool take(struct line *l, char c)
{
    if (l->at == l->end || *l->at != (uint8_t)c)
        return false;
    l->at++;
    return true;
}

/* Value of the next character as a digit of `base` (at most 16), which is then taken; -1: it is
 * none. */
static int take_digit(struct line *l, int base)
{
    int value = -1;
    if (l->at < l->end) {
        uint8_t c = *l->at;
        if (c >= '0' && c <= '9')
            value = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = (c | 0x20) - 'a' + 10;
    }
    if (value < 0 || value >= base)
        return -1;
    l->at++;
    return value;
}

static rwkv_status read_number(struct line *l, const char *what, uint64_t *out, rwkv_error *err)
{
    const uint8_t *begin = l->at;
    uint64_t value = 0;
    for (int digit; (digit = take_digit(l, 10)) >= 0;) {
        value = value * 10 + (uint64_t)digit;
        if (value > UINT32_MAX)
            value = UINT32_MAX; /* larger than any limit, whatever follows */
    }
    if (l->at == begin)
        return fail_line(l, what, err);
    *out = value;
    return RWKV_OK;
}

/* Digits of a numeric escape: exactly `n` hexadecimal ones, or up to `n` octal ones. */
static rwkv_status read_code(struct line *l, int base, int n, uint32_t *code, rwkv_error *err)
{
    static const char *const wanted[9] = {[2] = "two hexadecimal digits",
                                          [4] = "four hexadecimal digits",
                                          [8] = "eight hexadecimal digits"};
    const uint8_t *begin = l->at;
    uint32_t value = 0;
    for (int i = 0; i < n; i++) {
        int digit = take_digit(l, base);
        if (digit < 0 && base == 16) {
            l->at = begin;
            return fail_line(l, wanted[n], err);
        }
        if (digit < 0)
            break;
        value = value * (uint32_t)base + (uint32_t)digit;
    }
    *code = value;
    return RWKV_OK;
}

/* An escape, from its backslash. */
static rwkv_status read_escape(struct line *l, bool bytes, struct rw_str *out, rwkv_error *err)
{
    static const char letters[] = "\\'\"abfnrtv";
    static const char values[] = "\\'\"\a\b\f\n\r\t\v";
    const uint8_t *begin = l->at++;
    uint8_t c = l->at < l->end ? *l->at : 0;
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        l->at++;
        rw_str_addc(out, values[letter - letters]);
        return RWKV_OK;
    }
    uint32_t code = 0;
    if (c >= '0' && c <= '7') {
        RW_TRY(read_code(l, 8, 3, &code, err));
    } else if (c == 'x' || (!bytes && (c == 'u' || c == 'U'))) {
        l->at++;
        RW_TRY(read_code(l, 16, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code, err));
    } else {
        l->at = begin;
        return fail_line(l, "a known escape", err);
    }
    if (bytes ? code > 0xff : code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        l->at = begin;
        return fail_line(l, bytes ? "the escape of a byte" : "the escape of a Unicode character",
                         err);
    }
    uint8_t utf8[4] = {(uint8_t)code};
    rw_str_add(out, utf8, bytes ? 1 : rw_utf8_put(code, utf8));
    return RWKV_OK;
}

/* A character that stands for itself. */
static rwkv_status read_plain(struct line *l, bool bytes, struct rw_str *out, rwkv_error *err)
{
    size_t length = 1;
    uint32_t code = *l->at;
    if (code >= 0x80 && bytes)
        return fail_line(l, "ASCII in a bytes literal", err);
    if (code < 0x20)
        return fail_line(l, "a printable character or an escape", err);
    if (rw_utf8_next(l->at, (size_t)(l->end - l->at), &length, &code) != RW_UTF8_CHAR)
        return fail_line(l, "valid UTF-8", err);
    rw_str_add(out, l->at, length);
    l->at += length;
    return RWKV_OK;
}

static rwkv_status read_literal(struct line *l, struct rw_str *out, rwkv_error *err)
{
    const uint8_t *begin = l->at;
    bool bytes = take(l, 'b');
    char quote = take(l, '\'') ? '\'' : take(l, '"') ? '"' : 0;
    if (!quote) {
        l->at = begin;
        return fail_line(l, "a string '…' or b'…'", err);
    }
    while (!take(l, quote)) {
        if (l->at == l->end)
            return fail_line(l, quote == '"' ? "a closing \"" : "a closing '", err);
        if (*l->at == '\\')
            RW_TRY(read_escape(l, bytes, out, err));
        else
            RW_TRY(read_plain(l, bytes, out, err));
    }
    return RWKV_OK;
}

/* The line's token into the builder; `token` is memory used again and again. */
static rwkv_status read_line(struct line *l, struct rw_vocab_builder *b, struct rw_str *token,
                             rwkv_error *err)
{
    uint64_t id = 0, length = 0;
    rw_str_reset(token);
    RW_TRY(read_number(l, "a token's id (a decimal number)", &id, err));
    if (!take(l, ' '))
        return fail_line(l, "a space after the id", err);
    RW_TRY(read_literal(l, token, err));
    if (!take(l, ' '))
        return fail_line(l, "a space after the string", err);
    RW_TRY(read_number(l, "the token's length (a decimal number)", &length, err));
    if (l->at != l->end)
        return fail_line(l, "the end of the line", err);
    if (token->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a token", l->file);
    if (length != token->size)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: line %zu: wanted a string of %llu bytes as the line says, found %zu",
                       l->file, l->number, (unsigned long long)length, token->size);
    return rw_vocab_add(b, id, token->data, token->size, l->number, err);
}

rwkv_status rw_vocab_from_memory(const void *text, size_t size, const char *name,
                                 struct rwkv_vocab **out, rwkv_error *err)
{
    const uint8_t *at = text;
    const uint8_t *end = size ? at + size : at;
    struct rw_vocab_builder b = {.file = name, .unit = "line"};
    struct rw_str token = {0};
    rwkv_status status = RWKV_OK;
    b.id_limit = size < (1 << 24) - 65536 ? 65536 + size : 1 << 24;
    for (size_t number = 1; at < end; number++) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        struct line l = {name, number, at, at, newline ? newline : end};
        at = newline ? newline + 1 : end;
        if (newline && l.end > l.begin && l.end[-1] == '\r')
            l.end--;
        RW_GO(read_line(&l, &b, &token, err));
    }
    RW_GO(rw_vocab_build(&b, out, err));
done:
    rw_str_fini(&token);
    rw_vocab_builder_fini(&b);
    return status;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Characters that Python's repr() would not show as they are, of those that vocabularies hold. */
static bool is_shown(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7f && code <= 0xa0) && code != 0xad &&
           !(code >= 0x2000 && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202f) &&
           code != 0x3000 && code != 0xfeff && code < 0xe0000 && !(code >= 0xe000 && code < 0xf900);
}

static void add_code(struct rw_str *to, uint32_t code)
{
    if (code == '\n' || code == '\r' || code == '\t')
        rw_str_adds(to, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t");
    else if (code < 0x100)
        rw_str_printf(to, "\\x%02x", (unsigned)code);
    else
        rw_str_printf(to, code < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)code);
}

static void add_literal(struct rw_str *to, const uint8_t *bytes, size_t size)
{
    bool text = rw_utf8_valid(bytes, size);
    char quote = memchr(bytes, '\'', size) && !memchr(bytes, '"', size) ? '"' : '\'';
    if (!text)
        rw_str_addc(to, 'b');
    rw_str_addc(to, quote);
    for (size_t at = 0, length = 1; at < size; at += length) {
        uint32_t code = bytes[at];
        if (text)
            rw_utf8_next(bytes + at, size - at, &length, &code);
        if (code == (uint8_t)quote || code == '\\')
            rw_str_printf(to, "\\%c", (char)code);
        else if (text ? is_shown(code) : code >= 0x20 && code < 0x7f)
            rw_str_add(to, bytes + at, length);
        else
            add_code(to, code);
    }
    rw_str_addc(to, quote);
}

rwkv_status rw_vocab_save(const struct rwkv_vocab *vocab, const char *path, bool overwrite,
                          rwkv_error *err)
{
    struct rw_output *output;
    struct rw_str text = {0};
    if (!overwrite && access(path, F_OK) == 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: is there already", path);
    for (size_t id = 0; id < rw_vocab_size(vocab); id++) {
        size_t size;
        const char *bytes = rw_vocab_token(vocab, (int32_t)id, &size);
        if (size == 0)
            continue;
        rw_str_printf(&text, "%zu ", id);
        add_literal(&text, (const uint8_t *)bytes, size);
        rw_str_printf(&text, " %zu\n", size);
    }
    rwkv_status status = text.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", path)
                                     : rw_output_open(&output, path, err);
    if (status == RWKV_OK) {
        status = rw_output_write(output, text.data, text.size, err);
        if (status == RWKV_OK)
            status = rw_output_commit(output, err);
        else
            rw_output_discard(output);
    }
    rw_str_fini(&text);
    return status;
}
