/* SPDX-License-Identifier: Apache-2.0 */
/* A rendered conversation as tokens: piece by piece between the cuts, with the tokens' places of
 * cuts and of ends of turns. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "text/chat_int.h"
#include "text/vocab.h"

/* What is filled along the text. */
struct encoder {
    const rwkv_vocab *vocab;
    const struct rw_chat_text *from;
    rwkv_chat_prompt *to;
    size_t turn; /* the next end of a turn to look for */
};

/* A token ends here, `at` bytes into the text. */
static void note_end(struct encoder *e, size_t at, bool cut)
{
    const struct rw_places *turns = &e->from->turns;
    while (e->turn < turns->n && turns->at[e->turn] < at)
        e->turn++;
    if (cut || (e->turn < turns->n && turns->at[e->turn] == at))
        e->to->marks[e->to->n_marks++] = e->to->n_tokens;
}

/* Encode the piece that ends at byte `end`. */
static rwkv_status encode_piece(struct encoder *e, size_t begin, size_t end, bool cut,
                                rwkv_error *err)
{
    rwkv_chat_prompt *to = e->to;
    size_t n = 0, size;
    RW_TRY(rw_vocab_encode(e->vocab, to->text + begin, end - begin, to->tokens + to->n_tokens,
                           end - begin, &n, err));
    for (size_t i = 0, at = begin; i < n; i++) {
        rw_vocab_token(e->vocab, to->tokens[to->n_tokens], &size);
        at += size;
        to->n_tokens++;
        note_end(e, at, cut && at == end);
    }
    return RWKV_OK;
}

static rwkv_status encode(struct encoder *e, rwkv_error *err)
{
    rwkv_chat_prompt *to = e->to;
    size_t begin = 0;
    to->tokens = rw_alloc(to->size, sizeof *to->tokens);
    to->marks = rw_alloc(to->n_cuts + e->from->turns.n, sizeof *to->marks);
    if (!to->tokens || !to->marks)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the tokens of %zu bytes", to->size);
    for (size_t i = 0; i < to->n_cuts; i++) {
        RW_TRY(encode_piece(e, begin, to->cuts[i], true, err));
        begin = to->cuts[i];
    }
    to->opening_token = to->n_tokens;
    return encode_piece(e, begin, to->size, false, err);
}

rwkv_status rw_chat_prompt(const rwkv_chat *chat, const rwkv_vocab *vocab, rwkv_chat_prompt *out,
                           rwkv_error *err)
{
    struct rw_chat_text text = {0};
    rwkv_chat_prompt prompt = {0};
    struct encoder encoder = {vocab, &text, &prompt, 0};
    rwkv_status status = rw_chat_write(chat, &text, err);
    if (status == RWKV_OK) {
        prompt.size = text.text.size;
        prompt.text = rw_str_take(&text.text);
        prompt.cuts = text.cuts.at;
        prompt.n_cuts = text.cuts.n;
        prompt.opening = prompt.cuts[prompt.n_cuts - 1];
        text.cuts.at = NULL;
        if (vocab)
            status = encode(&encoder, err);
    }
    rw_chat_text_fini(&text);
    if (status == RWKV_OK)
        *out = prompt;
    else
        rw_chat_prompt_fini(&prompt);
    return status;
}

void rw_chat_prompt_fini(rwkv_chat_prompt *prompt)
{
    rw_free(prompt->text);
    rw_free(prompt->cuts);
    rw_free(prompt->tokens);
    rw_free(prompt->marks);
    *prompt = (rwkv_chat_prompt){0};
}
