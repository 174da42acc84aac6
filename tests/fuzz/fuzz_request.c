/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of requests that generate: the first byte says by which API, the rest is the JSON. What is
 * refused must be said in one line with a status of its own; what is taken must be within all
 * limits, and its conversation must be one that can be rendered, or refused for what it says.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/generate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void check_error(const struct rw_api_error *e)
{
    check(e->status >= 400 && e->status < 600 && e->type && e->message[0]);
    check(strlen(e->message) < sizeof e->message && !strchr(e->message, '\n'));
}

static void check_sampling(const rwkv_sampler_options *s)
{
    check(isfinite(s->temperature) && s->temperature >= 0 && s->top_p >= 0 && s->top_p <= 1);
    check(s->top_k >= 0 && s->min_p >= 0 && s->min_p <= 1 && s->penalty_decay >= 0);
    check(s->n_bias <= RW_MAX_BIAS && isfinite(s->presence) && isfinite(s->frequency));
    for (size_t i = 0; i < s->n_bias; i++)
        check(s->bias[i].token >= 0 && s->bias[i].bias <= 100);
}

static void check_taken(const struct rw_gen *gen)
{
    check_sampling(&gen->options.sampler);
    check(gen->n >= 1 && gen->n <= RW_MAX_CHOICES);
    check(gen->options.max_tokens <= RW_MAX_NEW_TOKENS);
    check(gen->options.n_stop <= RW_MAX_STOPS + 1);
    for (size_t i = 0; i < gen->options.n_stop; i++)
        check(gen->options.stop[i][0] && strlen(gen->options.stop[i]) <= RW_MAX_STOP);
    check(!gen->model || rw_is_name(gen->model));
    check(!gen->state || rw_is_name(gen->state));
    check(!gen->options.calls || gen->options.grammar);
}

static void render(struct rw_gen *gen)
{
    rwkv_error err = {RWKV_OK, ""};
    rwkv_chat_prompt prompt;
    if (gen->conversation.chat.n_messages == 0)
        return;
    if (rwkv_chat_render(&gen->conversation.chat, &prompt, &err) == RWKV_OK) {
        check(prompt.opening <= prompt.size && !memchr(prompt.text, 0, prompt.size));
        rwkv_chat_prompt_fini(&prompt);
    } else {
        check(err.message[0] && !strchr(err.message, '\n'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rw_gen_format format = {.end = NULL};
    rwkv_error err;
    struct rw_server server = {.options = {.max_tokens = 100}};
    struct rw_call call = {.server = &server, .keep_seconds = NAN};
    if (size == 0)
        return 0;
    check(rw_grammars_new(0, &server.grammars, &err) == RWKV_OK);
    call.fields.error = &call.error;
    call.body = rw_fields_parse(data + 1, size - 1, &call.error);
    call.fields.object = call.body;
    check((call.body != NULL) == (call.error.status == 0));
    struct rw_gen *gen = call.body ? rw_gen_new(&call, &format, "fuzz-") : NULL;
    if (gen) {
        gen->chat = data[0] & 1;
        if (gen->chat)
            rw_conversation_read(&gen->conversation, &call.fields);
        rw_gen_read(gen);
        if (gen->chat)
            rw_gen_constrain_call(gen);
        if (!call.error.status) {
            check_taken(gen);
            render(gen);
        }
    }
    if (call.error.status)
        check_error(&call.error);
    if (gen)
        call.free_work(&call);
    json_decref(call.body);
    rw_grammars_free(server.grammars);
    return 0;
}
