/* SPDX-License-Identifier: Apache-2.0 */
#include "text_in.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "interrupt.h"
#include "rwkv_file.h"

#define TEXT_LIMIT ((size_t)1 << 30) /* a prompt larger than this is a mistake */

void rw_tokens_fini(struct rw_tokens *tokens)
{
    rw_free(tokens->ids);
    *tokens = (struct rw_tokens){0};
}

rwkv_status rw_tokens_add(struct rw_tokens *tokens, int32_t id, rwkv_error *err)
{
    if (!rw_grow((void **)&tokens->ids, tokens->count, &tokens->capacity, sizeof id))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tokens", tokens->count + 1);
    tokens->ids[tokens->count++] = id;
    return RWKV_OK;
}

static rwkv_status read_stream(FILE *f, const char *name, struct rw_str *out, rwkv_error *err)
{
    char buffer[16384];
    size_t n;
    do {
        n = fread(buffer, 1, sizeof buffer, f);
        rw_str_add(out, buffer, n);
        if (out->failed)
            return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for more than %zu bytes", name,
                           out->size);
        if (out->size > TEXT_LIMIT)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted at most %zu bytes, found more",
                           name, TEXT_LIMIT);
    } while (n == sizeof buffer); /* fewer: the end. A terminal would have to say it again. */
    if (rw_interrupted)
        return rw_fail(err, RWKV_ERROR_CANCELLED, "%s: interrupted", name);
    if (ferror(f))
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot read: %s", name, strerror(errno));
    rw_str_add(out, "", 0); /* never NULL */
    return out->failed ? rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", name) : RWKV_OK;
}

rwkv_status rw_read_text(const char *path, struct rw_str *out, rwkv_error *err)
{
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, "standard input", out, err);
    FILE *f = fopen(path, "rbe");
    if (!f)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    rwkv_status status = read_stream(f, path, out, err);
    fclose(f);
    return status;
}

static int is_separator(char c)
{
    return c && strchr(" \t\r\n,;[]", c) != NULL;
}

rwkv_status rw_parse_tokens(const char *name, const char *text, size_t size, struct rw_tokens *out,
                            rwkv_error *err)
{
    for (size_t at = 0; at < size;) {
        if (is_separator(text[at])) {
            at++;
            continue;
        }
        size_t end = at;
        int64_t id = 0;
        while (end < size && text[end] >= '0' && text[end] <= '9' && id <= INT32_MAX)
            id = id * 10 + (text[end++] - '0');
        if (end == at || id > INT32_MAX || (end < size && !is_separator(text[end]))) {
            while (end < size && !is_separator(text[end]) && end - at < 40)
                end++;
            return rw_fail(err, RWKV_ERROR_TOKEN,
                           "%s: byte %zu: wanted a token id from 0 to %d, found '%.*s'", name, at,
                           INT32_MAX, (int)(end - at), text + at);
        }
        RW_TRY(rw_tokens_add(out, (int32_t)id, err));
        at = end;
    }
    return RWKV_OK;
}

static rwkv_status tokens_from_tensor(const char *path, rwkv_file *file, struct rw_tokens *out,
                                      rwkv_error *err)
{
    rwkv_tensor_info t;
    size_t index = rwkv_file_find(file, "tokens");
    if (index == SIZE_MAX)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a tensor 'tokens', found none", path);
    rwkv_file_tensor(file, index, &t);
    bool wide = t.dtype == RWKV_DTYPE_I64;
    if (!wide && t.dtype != RWKV_DTYPE_I32)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: tokens: wanted type I32 or I64, found %s",
                       path, rwkv_dtype_name(t.dtype));
    char *raw = rw_alloc((size_t)t.n_bytes, 1);
    if (!raw)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: tokens: no memory", path);
    rwkv_file_read(file, index, raw);
    rwkv_status status = RWKV_OK;
    for (size_t i = 0; i < (size_t)t.n_elements && status == RWKV_OK; i++) {
        int64_t id = 0;
        int32_t narrow = 0;
        memcpy(wide ? (void *)&id : (void *)&narrow, raw + i * (wide ? 8 : 4), wide ? 8 : 4);
        id = wide ? id : narrow;
        if (id < 0 || id > INT32_MAX)
            status = rw_fail(err, RWKV_ERROR_TOKEN, "%s: tokens: %zu: wanted an id, found %lld",
                             path, i, (long long)id);
        else
            status = rw_tokens_add(out, (int32_t)id, err);
    }
    rw_free(raw);
    return status;
}

rwkv_status rw_read_ids(const char *option, const char *arg, struct rw_tokens *out, rwkv_error *err)
{
    rwkv_status status;
    if (strspn(arg, "0123456789,- ") == strlen(arg)) {
        status = rw_parse_tokens(option, arg, strlen(arg), out, err);
    } else if (rw_has_suffix(arg, ".safetensors")) {
        rwkv_file *file;
        RW_TRY(rwkv_file_open(arg, &file, err));
        status = tokens_from_tensor(arg, file, out, err);
        rwkv_file_close(file);
    } else {
        struct rw_str text = {0};
        status = rw_read_text(arg, &text, err);
        if (status == RWKV_OK)
            status = rw_parse_tokens(arg, text.data, text.size, out, err);
        rw_str_fini(&text);
    }
    if (status == RWKV_OK && out->count == 0)
        status = rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted at least one token id, found none",
                         option);
    return status;
}

rwkv_status rw_encode(const rwkv_vocab *vocab, const char *text, size_t size, struct rw_tokens *out,
                      rwkv_error *err)
{
    size_t n = 0, room;
    if (size == 0)
        return RWKV_OK;
    if (!rw_add(out->count, size, &room))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the tokens of %zu bytes", size);
    int32_t *ids = rw_realloc(out->ids, room, sizeof *ids);
    if (!ids)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the tokens of %zu bytes", size);
    out->ids = ids;
    out->capacity = room;
    RW_TRY(rwkv_vocab_encode(vocab, text, size, ids + out->count, size, &n, err));
    out->count += n;
    return RWKV_OK;
}

rwkv_status rw_text_mark(const rwkv_vocab *vocab, int32_t *mark, rwkv_error *err)
{
    size_t size;
    rwkv_vocab_token(vocab, 0, &size);
    if (size > 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "the prompt is empty, and this vocabulary has no token that begins a text");
    *mark = 0;
    return RWKV_OK;
}
