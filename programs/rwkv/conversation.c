/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state after an answer has seen the very tokens that were generated, thoughts and the next
 * "User:" included. That is kept as it is, since reading an answer again costs time, except where
 * it matters: thoughts do not belong in the history (RWKV-LM, RWKV7-G1x-templates.txt), and a saved
 * state should not end inside a turn. Then the turn is read again from its parent's state in its
 * plain form.
 */
#include "conversation.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "open_model.h"
#include "sampling.h"
#include "text_in.h"

static const char *const stops[] = {RW_CHAT_STOP};

struct rw_turn *rw_turn_hold(struct rw_turn *turn)
{
    turn->references++;
    return turn;
}

void rw_turn_release(struct rw_turn *turn)
{
    while (turn && --turn->references == 0) {
        struct rw_turn *parent = turn->parent;
        rwkv_session_free(turn->session);
        rw_free(turn->system);
        rw_free(turn->user);
        rw_free(turn->answer);
        rw_free(turn);
        turn = parent;
    }
}

static rwkv_status new_turn(rwkv_model *model, struct rw_turn *parent, struct rw_turn **out,
                            rwkv_error *err)
{
    struct rw_turn *turn = rw_calloc(1, sizeof *turn);
    if (!turn)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for another turn");
    turn->references = 1;
    rwkv_status status = rwkv_session_new(model, &turn->session, err);
    if (status == RWKV_OK && parent) {
        turn->parent = rw_turn_hold(parent);
        status = rwkv_session_copy(turn->session, parent->session, err);
    }
    if (status == RWKV_OK)
        *out = turn;
    else
        rw_turn_release(turn);
    return status;
}

rwkv_status rw_turn_begin(rwkv_model *model, const char *state, struct rw_turn **out,
                          rwkv_error *err)
{
    struct rw_turn *turn;
    RW_TRY(new_turn(model, NULL, &turn, err));
    rwkv_status status = rw_load_state(turn->session, state, err);
    if (status == RWKV_OK)
        *out = turn;
    else
        rw_turn_release(turn);
    return status;
}

/* Append messages in the chat form, ending with the opening of an answer. *opening: where the
 * answer itself begins in the text. */
static rwkv_status render(const rwkv_message *messages, size_t n, rwkv_think think,
                          struct rw_str *to, size_t *opening, rwkv_error *err)
{
    const rwkv_chat chat = {.messages = messages, .n_messages = n, .think = think};
    rwkv_chat_prompt prompt;
    RW_TRY(rwkv_chat_render(&chat, &prompt, err));
    *opening = to->size + prompt.opening;
    rw_str_add(to, prompt.text, prompt.size);
    rwkv_chat_prompt_fini(&prompt);
    return to->failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the text of a turn")
                      : RWKV_OK;
}

/* What the model reads before it answers, given how the text so far ends. */
static rwkv_status render_question(const struct rw_turn *parent, const struct rw_ask *ask,
                                   struct rw_str *to, size_t *opening, rwkv_error *err)
{
    rwkv_message messages[2];
    size_t n = 0;
    if (ask->system)
        messages[n++] = (rwkv_message){.role = RWKV_ROLE_SYSTEM, .text = ask->system};
    messages[n++] = (rwkv_message){.role = RWKV_ROLE_USER, .text = ask->user};
    if (parent->edge == RW_EDGE_OPEN)
        rw_str_adds(to, "\n\n");
    RW_TRY(render(messages, n, ask->think, to, opening, err));
    if (parent->edge == RW_EDGE_USER) {
        size_t said = strlen("User:");
        to->size -= said;
        *opening -= said;
        memmove(to->data, to->data + said, to->size + 1);
    }
    return RWKV_OK;
}

static rwkv_status evaluate(rwkv_session *session, const char *text, size_t size, rwkv_error *err)
{
    const rwkv_vocab *vocab;
    struct rw_tokens tokens = {0};
    RW_TRY(rw_need_vocab(rwkv_session_model(session), &vocab, err));
    rwkv_status status = rw_encode(vocab, text, size, &tokens, err);
    if (status == RWKV_OK)
        status = rwkv_session_eval(session, tokens.ids, tokens.count, err);
    rw_tokens_fini(&tokens);
    return status;
}

/* Make `session` the state after the turn in its plain form: no thought, ended by a blank line. */
static rwkv_status read_plainly(const struct rw_turn *turn, rwkv_session *session, rwkv_error *err)
{
    struct rw_str text = {0};
    struct rw_ask ask = {.user = turn->user, .system = turn->system, .think = RWKV_THINK_OFF};
    struct rw_str answer = {0};
    const rwkv_message said = {.role = RWKV_ROLE_ASSISTANT, .text = turn->answer};
    size_t mark = strlen("Assistant:"), opening;
    rwkv_status status;
    RW_GO(render_question(turn->parent, &ask, &text, &opening, err));
    RW_GO(render(&said, 1, RWKV_THINK_OFF, &answer, &opening, err));
    /* Both end with the opening of an answer: the second one's takes the place of the first's. */
    text.size -= mark;
    rw_str_add(&text, answer.data, answer.size - mark);
    if (text.failed)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the text of a turn"));
    RW_GO(rwkv_session_copy(session, turn->parent->session, err));
    status = evaluate(session, text.data, text.size, err);
done:
    rw_str_fini(&answer);
    rw_str_fini(&text);
    return status;
}

/* Collects the answer on its way to the caller. */
struct listener {
    const struct rw_ask *ask;
    struct rw_str *answer;
};

static int listen(void *user, const char *text, size_t size)
{
    struct listener *l = user;
    rw_str_add(l->answer, text, size);
    return l->ask->text(l->ask->to, text, size) || l->answer->failed;
}

static rwkv_status generate(struct rw_turn *turn, const struct rw_ask *ask, struct rw_str *answer,
                            rwkv_error *err)
{
    struct rw_str question = {0};
    struct rw_tokens tokens = {0};
    struct listener listener = {ask, answer};
    const rwkv_vocab *vocab;
    rwkv_generate_options options = ask->options;
    rwkv_status status;
    size_t opening;
    options.stop = stops;
    options.n_stop = RW_COUNT(stops);
    RW_GO(rw_need_vocab(rwkv_session_model(turn->session), &vocab, err));
    RW_GO(render_question(turn->parent, ask, &question, &opening, err));
    rw_str_adds(answer, question.data + opening);
    ask->opening(ask->to, question.data + opening);
    RW_GO(rw_encode(vocab, question.data, question.size, &tokens, err));
    status = rwkv_generate_tokens(turn->session, tokens.ids, tokens.count, &options, listen,
                                  &listener, ask->result, err);
done:
    rw_tokens_fini(&tokens);
    rw_str_fini(&question);
    return status;
}

/* Keep what was said. */
static rwkv_status remember(struct rw_turn *turn, const struct rw_ask *ask, struct rw_str *answer,
                            rwkv_error *err)
{
    turn->system = ask->system ? rw_strdup(ask->system) : NULL;
    turn->user = rw_strdup(ask->user);
    turn->answer = rw_str_take(answer);
    if (!turn->user || !turn->answer || (ask->system && !turn->system))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the text of a turn");
    return RWKV_OK;
}

rwkv_status rw_turn_answer(struct rw_turn *parent, const struct rw_ask *ask, struct rw_turn **out,
                           rwkv_error *err)
{
    struct rw_turn *turn;
    struct rw_str answer = {0};
    rwkv_status status;
    RW_TRY(new_turn(rwkv_session_model(parent->session), parent, &turn, err));
    RW_GO(generate(turn, ask, &answer, err));
    const rwkv_generate_result *result = ask->result;
    if (result->finish == RWKV_FINISH_CALLER && result->generated_tokens == 0)
        RW_GO(rw_fail(err, RWKV_ERROR_CANCELLED, "stopped before the answer began"));
    RW_GO(remember(turn, ask, &answer, err));
    bool stopped = result->finish == RWKV_FINISH_STOP && !result->ended_by_eos;
    turn->edge = stopped ? RW_EDGE_USER : RW_EDGE_OPEN;
    if (strstr(turn->answer, "</think>")) {
        RW_GO(read_plainly(turn, turn->session, err));
        turn->edge = RW_EDGE_CLEAN;
    }
    *out = turn;
done:
    rw_str_fini(&answer);
    if (status != RWKV_OK)
        rw_turn_release(turn);
    return status;
}

rwkv_status rw_turn_save(const struct rw_turn *turn, const char *path, rwkv_error *err)
{
    rwkv_session *session;
    if (turn->edge == RW_EDGE_CLEAN)
        return rw_save_state(turn->session, path, err);
    RW_TRY(rwkv_session_new(rwkv_session_model(turn->session), &session, err));
    rwkv_status status = read_plainly(turn, session, err);
    if (status == RWKV_OK)
        status = rw_save_state(session, path, err);
    rwkv_session_free(session);
    return status;
}
