/* SPDX-License-Identifier: Apache-2.0 */
#include "text/chat.h"

#include <string.h>

#include "api/api_int.h"
#include "text/splitter.h"

rwkv_status rwkv_think_for_effort(const char *effort, rwkv_think *out, rwkv_error *err)
{
    REQUIRE(effort && out);
    return rw_think_for_effort(effort, out, err);
}

rwkv_status rwkv_chat_render(const rwkv_chat *chat, rwkv_chat_prompt *out, rwkv_error *err)
{
    REQUIRE(chat && (chat->messages || chat->n_messages == 0) && out);
    return rw_chat_prompt(chat, NULL, out, err);
}

rwkv_status rwkv_chat_encode(const rwkv_chat *chat, const rwkv_vocab *vocab, rwkv_chat_prompt *out,
                             rwkv_error *err)
{
    REQUIRE(chat && (chat->messages || chat->n_messages == 0) && vocab && out);
    return rw_chat_prompt(chat, vocab, out, err);
}

void rwkv_chat_prompt_fini(rwkv_chat_prompt *prompt)
{
    rw_chat_prompt_fini(prompt);
}

rwkv_status rwkv_chat_call_schema(const rwkv_chat *chat, int several, char *text, size_t capacity,
                                  size_t *size, rwkv_error *err)
{
    REQUIRE(chat && (text || capacity == 0) && size);
    struct rw_str s = {0};
    rwkv_status status = rw_chat_call_schema(chat, several != 0, &s, err);
    if (status == RWKV_OK) {
        if (capacity)
            memcpy(text, s.data, RW_MIN(s.size + 1, capacity)); /* the terminator, if it fits */
        *size = s.size;
    }
    rw_str_fini(&s);
    return status;
}

rwkv_status rwkv_splitter_new(const char *opening, const rwkv_tool *tools, size_t n_tools,
                              rwkv_piece_fn piece, void *user, rwkv_splitter **out, rwkv_error *err)
{
    REQUIRE(opening && (tools || n_tools == 0) && piece && out);
    return rw_splitter_new(opening, tools, n_tools, piece, user, out, err);
}

void rwkv_splitter_free(rwkv_splitter *splitter)
{
    rw_splitter_free(splitter);
}

rwkv_status rwkv_splitter_push(rwkv_splitter *splitter, const char *text, size_t size,
                               rwkv_error *err)
{
    REQUIRE(splitter && (text || size == 0));
    return rw_splitter_push(splitter, text, size, err);
}

rwkv_status rwkv_splitter_finish(rwkv_splitter *splitter, rwkv_error *err)
{
    REQUIRE(splitter);
    return rw_splitter_finish(splitter, err);
}
