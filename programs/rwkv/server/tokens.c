/* SPDX-License-Identifier: Apache-2.0 */
/* /tokenize, /detokenize, /tokenizer_info. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "server/call.h"
#include "text_in.h"

/* The mark between texts, as other tools write it. */
#define END_OF_TEXT "<|endoftext|>"

static const char *model_of(struct rw_call *call)
{
    const char *model = NULL;
    rw_field_name(&call->fields, "model", &model);
    return model;
}

/* The reply is built aside, and then sent. */

static void free_reply(struct rw_call *call)
{
    struct rw_json *j = call->work;
    rw_str_fini(&j->text);
    rw_free(j);
}

static void send_reply(struct rw_call *call)
{
    if (!rw_call_refused(call))
        rw_call_json(call, call->work);
}

static void want_model(struct rw_call *call, const char *model, void (*build)(struct rw_call *call))
{
    call->work = rw_calloc(1, sizeof(struct rw_json));
    call->free_work = call->work ? free_reply : NULL;
    if (!call->work)
        rw_api_fail(&call->error, 503, "server_error", "no_memory", "no memory for a reply");
    if (!rw_call_refused(call))
        rw_call_prepare(call, model, build, send_reply);
}

/* --- text to tokens --------------------------------------------------------------------------- */

static const char *text_of(struct rw_call *call)
{
    const char *text = NULL;
    struct rw_fields *f = &call->fields;
    if (!rw_field_text(f, "content", RW_MAX_BODY, &text) &&
        !rw_field_text(f, "prompt", RW_MAX_BODY, &text))
        rw_field_fail(f, "content", "wanted a text, found nothing");
    return text;
}

/* The ids of a text; END_OF_TEXT is the token 0, where that has no text of its own. */
static void encode(struct rw_call *call, const char *text, struct rw_tokens *to)
{
    rwkv_error err;
    int32_t mark;
    const rwkv_vocab *vocab = call->served->vocab;
    bool marks = rw_text_mark(vocab, &mark, &err) == RWKV_OK;
    for (;;) {
        const char *next = marks ? strstr(text, END_OF_TEXT) : NULL;
        size_t size = next ? (size_t)(next - text) : strlen(text);
        if (rw_encode(vocab, text, size, to, &err) != RWKV_OK ||
            (next && rw_tokens_add(to, mark, &err) != RWKV_OK)) {
            rw_api_fail_with(&call->error, &err);
            return;
        }
        if (!next)
            return;
        text = next + strlen(END_OF_TEXT);
    }
}

static void tokenize(struct rw_call *call)
{
    struct rw_json *j = call->work;
    struct rw_tokens tokens = {0};
    encode(call, text_of(call), &tokens);
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_open(j, "tokens", RW_JSON_ARRAY, RW_JSON_INLINE);
    for (size_t i = 0; i < tokens.count; i++)
        rw_json_u64(j, NULL, (uint64_t)tokens.ids[i]);
    rw_json_close(j);
    rw_json_u64(j, "count", tokens.count);
    rw_json_close(j);
    rw_tokens_fini(&tokens);
}

void rw_tokenize(struct rw_call *call)
{
    const char *model = model_of(call);
    text_of(call);
    want_model(call, model, tokenize);
}

/* --- tokens to text --------------------------------------------------------------------------- */

static void detokenize(struct rw_call *call)
{
    struct rw_str text = {0};
    struct rw_json *j = call->work;
    struct rw_fields *f = &call->fields;
    const json_t *list = rw_field_list(f, "tokens", 0, RW_MAX_PROMPT_TOKENS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t size;
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || (size_t)value >= call->served->info.n_vocab) {
            rw_field_fail(f, "tokens", "wanted ids from 0 to %zu, found something else at %zu",
                          call->served->info.n_vocab - 1, i);
            break;
        }
        const char *bytes = rwkv_vocab_token(call->served->vocab, (int32_t)value, &size);
        rw_str_add(&text, bytes, size);
    }
    if (text.failed)
        rw_api_fail(&call->error, 503, "server_error", "no_memory", "no memory for a text");
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_bytes(j, "content", text.data ? text.data : "", text.size);
    rw_json_bytes(j, "prompt", text.data ? text.data : "", text.size);
    rw_json_close(j);
    rw_str_fini(&text);
}

void rw_detokenize(struct rw_call *call)
{
    const char *model = model_of(call);
    if (!rw_field_given(&call->fields, "tokens"))
        rw_field_fail(&call->fields, "tokens", "wanted a list of ids, found nothing");
    want_model(call, model, detokenize);
}

/* --- the vocabulary --------------------------------------------------------------------------- */

static void tokenizer(struct rw_call *call)
{
    rwkv_error err;
    int32_t mark;
    struct rw_json j = {0};
    const struct rw_served *served = call->served;
    bool marks = rw_text_mark(served->vocab, &mark, &err) == RWKV_OK;
    rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(&j, "tokenizer_class", "rwkv");
    rw_json_text(&j, "name", served->info.vocab);
    rw_json_u64(&j, "vocab_size", served->info.n_vocab);
    rw_json_u64(&j, "longest_token", rwkv_vocab_longest(served->vocab));
    if (marks) {
        rw_json_text(&j, "eos_token", END_OF_TEXT);
        rw_json_u64(&j, "eos_token_id", (uint64_t)mark);
    } else {
        rw_json_null(&j, "eos_token");
        rw_json_null(&j, "eos_token_id");
    }
    rw_json_null(&j, "bos_token");
    rw_json_null(&j, "pad_token");
    rw_json_null(&j, "chat_template");
    rw_json_close(&j);
    rw_call_json(call, &j);
}

void rw_get_tokenizer(struct rw_call *call)
{
    rw_call_want_model(call, rw_http_query(call->x, "model"), tokenizer);
}
