/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies inside a GGUF (tokenizer.ggml.model "rwkv"): an array of strings, one for each row
 * of the model, in the escaped form that Python's repr() gives bytes, and an array of types. The
 * type alone tells a token from a placeholder: id 0 is "<s>" (control) in World models but a real
 * byte in byte vocabularies.
 */
#include <string.h>

#include "base/cursor.h"
#include "base/status.h"
#include "text/vocab_int.h"

#define TOKENS_KEY "tokenizer.ggml.tokens"
#define TYPES_KEY "tokenizer.ggml.token_type"

/* --- reading --- */

bool rw_vocab_in_file(const struct rw_file *file)
{
    return rw_file_meta(file, TOKENS_KEY) || rw_file_meta(file, "tokenizer.ggml.model");
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Undo the escapes: \t \n \r, \xhh, and any other character after a backslash for itself. False:
 * cut short. */
static bool unescape(struct rw_bytes text, struct rw_str *out)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c != '\\') {
            rw_str_addc(out, c);
            continue;
        }
        if (++i == text.size)
            return false;
        c = text.data[i];
        if (c == 'x') {
            int high = text.size - i > 2 ? hex_value(text.data[i + 1]) : -1;
            int low = text.size - i > 2 ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            rw_str_addc(out, (char)(high << 4 | low));
            i += 2;
        } else {
            rw_str_addc(out, c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c);
        }
    }
    return true;
}

/* The two arrays, checked to be of the right kinds and of one length. */
static rwkv_status find_arrays(const struct rw_file *file, const struct rw_meta **tokens,
                               const struct rw_meta **types, rwkv_error *err)
{
    struct rw_bytes model = {"none", 4};
    rw_file_meta_string(file, "tokenizer.ggml.model", &model);
    if (model.size != 4 || memcmp(model.data, "rwkv", 4) != 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "%s: tokenizer.ggml.model: wanted rwkv, found %.*s", file->path,
                       (int)RW_MIN(model.size, 64), model.data);
    *tokens = rw_file_meta(file, TOKENS_KEY);
    *types = rw_file_meta(file, TYPES_KEY);
    if (!*tokens || (*tokens)->type != RW_META_ARRAY || (*tokens)->item != RW_META_STRING)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted an array of strings, found %s",
                       file->path, TOKENS_KEY, *tokens ? "another type" : "none");
    if (!*types || (*types)->type != RW_META_ARRAY ||
        ((*types)->item != RW_META_I32 && (*types)->item != RW_META_U32))
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: %s: wanted an array of 32-bit integers, found %s", file->path,
                       TYPES_KEY, *types ? "another type" : "none");
    if ((*types)->count != (*tokens)->count)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: %s: wanted %zu items as in %s, found %zu",
                       file->path, TYPES_KEY, (*tokens)->count, TOKENS_KEY, (*types)->count);
    return RWKV_OK;
}

rwkv_status rw_vocab_from_file(const struct rw_file *file, struct rwkv_vocab **out, rwkv_error *err)
{
    const struct rw_meta *tokens = NULL, *types = NULL;
    RW_TRY(find_arrays(file, &tokens, &types, err));
    struct rw_vocab_builder b = {
        .file = file->path, .unit = TOKENS_KEY ", item", .id_limit = 1 << 24};
    struct rw_str token = {0};
    struct rw_bytes text;
    rwkv_status status = RWKV_OK;
    size_t at = 0;
    for (size_t i = 0; i < types->count && rw_meta_next_string(tokens, &at, &text); i++) {
        if (rw_load_u32(types->items.data + 4 * i) != RW_TOKEN_NORMAL)
            continue;
        rw_str_reset(&token);
        if (!unescape(text, &token)) {
            status = rw_fail(err, RWKV_ERROR_FORMAT,
                             "%s: " TOKENS_KEY ", item %zu: wanted a whole escape, found \"%.*s\"",
                             file->path, i, (int)RW_MIN(text.size, 32), text.data);
            goto done;
        }
        if (token.failed) {
            status = rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a token", file->path);
            goto done;
        }
        RW_GO(rw_vocab_add(&b, i, token.data, token.size, i, err));
    }
    RW_GO(rw_vocab_build(&b, out, err));
done:
    rw_str_fini(&token);
    rw_vocab_builder_fini(&b);
    return status;
}

/* --- writing --- */

/* As repr() writes bytes between its quotes: they are single ones, and a single quote inside is
 * escaped only if there is a double one, too. */
static void escape(const char *bytes, size_t size, struct rw_str *out)
{
    bool both = memchr(bytes, '\'', size) && memchr(bytes, '"', size);
    for (size_t i = 0; i < size; i++) {
        char c = bytes[i];
        if (c == '\\' || (c == '\'' && both))
            rw_str_printf(out, "\\%c", c);
        else if (c == '\t' || c == '\n' || c == '\r')
            rw_str_adds(out, c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r");
        else if (c < 0x20 || c > 0x7e)
            rw_str_printf(out, "\\x%02x", (unsigned)(uint8_t)c);
        else
            rw_str_addc(out, c);
    }
}

enum rw_token_type rw_vocab_gguf_token(const struct rwkv_vocab *vocab, int32_t id,
                                       struct rw_str *text)
{
    size_t size;
    const char *bytes = rw_vocab_token(vocab, id, &size);
    if (size > 0) {
        escape(bytes, size, text);
        return RW_TOKEN_NORMAL;
    }
    if (id == 0) {
        rw_str_adds(text, "<s>");
        return RW_TOKEN_CONTROL;
    }
    rw_str_printf(text, "[PAD%d]", (int)id);
    return RW_TOKEN_UNUSED;
}

rwkv_status rw_vocab_gguf_items(const struct rwkv_vocab *vocab, size_t n_vocab,
                                struct rw_str *tokens, struct rw_str *types, rwkv_error *err)
{
    if (rw_vocab_size(vocab) > n_vocab)
        return rw_fail(err, RWKV_ERROR_MODEL,
                       "vocabulary: wanted ids below %zu, the rows of the model, found %zu",
                       n_vocab, rw_vocab_size(vocab) - 1);
    for (size_t id = 0; id < n_vocab && !tokens->failed; id++) {
        uint8_t number[8] = {0};
        size_t at = tokens->size;
        rw_str_add(tokens, number, 8); /* the length, known only afterwards */
        rw_store_u32(number, rw_vocab_gguf_token(vocab, (int32_t)id, tokens));
        rw_str_add(types, number, 4);
        if (!tokens->failed)
            rw_store_u64(tokens->data + at, tokens->size - at - 8);
    }
    if (tokens->failed || types->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu tokens", n_vocab);
    return RWKV_OK;
}
