/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv chat`: a conversation on the terminal, or one read from a script. Answers go to standard
 * output, all remarks to standard error. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "chat.h"
#include "commands.h"
#include "interrupt.h"
#include "say.h"

void rw_chat_complain(struct rw_chat *chat, const rwkv_error *err)
{
    rw_complain(err);
    chat->failed = true;
}

/* --- turns and branches
 * --------------------------------------------------------------------------- */

static struct rw_turn *behind(struct rw_turn *tip, size_t steps)
{
    while (tip && steps--)
        tip = tip->parent;
    return tip;
}

/* Drop the states that no /undo of any branch can reach, so that memory does not grow with talk. */
static void drop_old_states(struct rw_chat *chat)
{
    struct rw_turn *end = behind(rw_chat_branch(chat)->tip, RW_CHAT_UNDO);
    for (int mark = 1; mark >= 0; mark--) {
        for (size_t i = 0; i < chat->n_branches; i++) {
            struct rw_turn *turn = chat->branches[i].tip;
            for (size_t n = 0; turn && n < RW_CHAT_UNDO; n++, turn = turn->parent)
                turn->kept = mark;
        }
        for (struct rw_turn *old = end; mark && old && old->session; old = old->parent) {
            if (old->kept || old == chat->root)
                continue;
            rwkv_session_free(old->session);
            old->session = NULL;
        }
    }
}

void rw_chat_go_to(struct rw_chat *chat, struct rw_turn *turn)
{
    struct rw_branch *branch = rw_chat_branch(chat);
    rw_turn_release(branch->tip);
    branch->tip = turn;
    drop_old_states(chat);
}

rwkv_status rw_chat_add_branch(struct rw_chat *chat, const char *name, struct rw_turn *tip,
                               rwkv_error *err)
{
    char *copy = rw_strdup(name);
    if (!copy || !rw_grow((void **)&chat->branches, chat->n_branches, &chat->branch_capacity,
                          sizeof *chat->branches)) {
        rw_free(copy);
        rw_turn_release(tip);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for another branch");
    }
    chat->current = chat->n_branches;
    chat->branches[chat->n_branches++] = (struct rw_branch){copy, tip};
    return RWKV_OK;
}

/* --- answers
 * -------------------------------------------------------------------------------------- */

static void on_opening(void *to, const char *text)
{
    struct rw_chat *chat = to;
    rw_view_begin(&chat->view, text);
}

static int on_text(void *to, const char *text, size_t size)
{
    struct rw_chat *chat = to;
    return !rw_view_text(&chat->view, text, size) || rw_out_failed();
}

static void note_rates(const rwkv_generate_result *r)
{
    rw_note("[prompt %zu tokens, %s/s; answer %zu tokens, %s/s; ended by: %s]\n", r->prompt_tokens,
            rw_show_rate((double)r->prompt_tokens, r->prompt_seconds).text, r->generated_tokens,
            rw_show_rate((double)r->generated_tokens, r->generate_seconds).text, rw_finish_name(r));
}

void rw_chat_answer(struct rw_chat *chat, struct rw_turn *parent, const char *user)
{
    rwkv_error err = {0};
    rwkv_generate_result result = {0};
    struct rw_turn *turn;
    struct rw_ask ask = {
        .user = user,
        .system = parent == chat->root ? chat->system : NULL,
        .think = (rwkv_think)chat->think,
        .options = {.max_tokens = chat->max_tokens,
                    .sampler = rw_sampling_options(&chat->sampling),
                    .cancel = &rw_interrupted},
        .opening = on_opening,
        .text = on_text,
        .to = chat,
        .result = &result,
    };
    ask.options.sampler.seed += chat->n_answers++;
    rw_interrupted = 0;
    rwkv_status status = rw_turn_answer(parent, &ask, &turn, &err);
    rw_view_end(&chat->view);
    rw_interrupted = 0;
    if (status == RWKV_OK) {
        rw_chat_go_to(chat, turn);
        if (chat->verbose)
            note_rates(&result);
        if (result.finish == RWKV_FINISH_LENGTH && rw_lines_are_typed(chat->lines))
            rw_note("(stopped after %zu tokens: /set max-tokens N allows more)\n",
                    result.generated_tokens);
    } else if (status == RWKV_ERROR_CANCELLED) {
        rw_note("(stopped before the answer began)\n");
    } else {
        rw_chat_complain(chat, &err);
    }
}

/* --- messages
 * ------------------------------------------------------------------------------------- */

/* Lines up to one that ends with three quotes. */
static enum rw_line read_quoted(struct rw_chat *chat, struct rw_str *message, struct rw_str *line)
{
    for (;;) {
        enum rw_line got = rw_lines_read(chat->lines, "... ", line);
        if (got != RW_LINE_READ)
            return got;
        bool last = rw_has_suffix(line->data, "\"\"\"");
        rw_str_add(message, line->data, line->size - (last ? 3 : 0));
        if (last)
            return RW_LINE_READ;
        rw_str_addc(message, '\n');
    }
}

/* A message: a line, more of them while they end with a backslash, or a block in three quotes. */
static enum rw_line read_message(struct rw_chat *chat, struct rw_str *message, struct rw_str *line)
{
    char prompt[64];
    const char *name = chat->current ? rw_chat_branch(chat)->name : "";
    snprintf(prompt, sizeof prompt, "%.40s> ", name);
    rw_str_reset(message);
    for (;;) {
        enum rw_line got = rw_lines_read(chat->lines, message->size ? "... " : prompt, line);
        if (got != RW_LINE_READ)
            return got;
        if (!message->size && rw_has_prefix(line->data, "\"\"\"")) {
            const char *rest = line->data + 3;
            bool closed = rw_has_suffix(rest, "\"\"\"");
            rw_str_add(message, rest, strlen(rest) - (closed ? 3 : 0));
            if (!closed)
                rw_str_addc(message, '\n');
            return closed ? RW_LINE_READ : read_quoted(chat, message, line);
        }
        bool more = rw_has_suffix(line->data, "\\");
        rw_str_add(message, line->data, line->size - more);
        if (!more)
            return RW_LINE_READ;
        rw_str_addc(message, '\n');
    }
}

/* Two slashes begin a message that begins with one. */
static void handle_message(struct rw_chat *chat, const char *message)
{
    if (message[0] == '/' && message[1] != '/')
        rw_chat_command(chat, message);
    else if (message[strspn(message, " \t\r\n")])
        rw_chat_answer(chat, rw_chat_branch(chat)->tip, message + (message[0] == '/'));
}

static rwkv_status talk(struct rw_chat *chat, rwkv_error *err)
{
    struct rw_str message = {0}, line = {0};
    bool typed = rw_lines_are_typed(chat->lines);
    while (!chat->leave && !rw_out_failed()) {
        enum rw_line got = read_message(chat, &message, &line);
        if (got == RW_LINE_READ && !message.failed) {
            rw_str_add(&message, "", 0); /* never NULL */
            handle_message(chat, message.data);
        } else if (got == RW_LINE_INTERRUPTED && typed) {
            rw_interrupted = 0;
            rw_note("(Ctrl-D ends the conversation)\n");
        } else {
            break;
        }
    }
    bool failed = message.failed || line.failed;
    rw_str_fini(&message);
    rw_str_fini(&line);
    return failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the message") : RWKV_OK;
}

/* --- the command ------------------------------------------------------------------------------ */

static void greet(const struct rw_chat *chat)
{
    char model[160];
    rwkv_model_info info;
    rwkv_model_get_info(chat->model, &info);
    rw_describe_model(&info, model, sizeof model);
    if (!chat->verbose) /* said already */
        rw_note("%s: %s\n", rw_model_name(chat->model_args.path), model);
    rw_note("/help lists the commands, Ctrl-C stops an answer, Ctrl-D ends the conversation.\n");
}

static rwkv_status chat_all(struct rw_chat *chat, rwkv_error *err)
{
    const rwkv_vocab *vocab;
    RW_TRY(rw_check_writable(chat->state_out, err));
    RW_TRY(rw_lines_open(&chat->lines, err));
    RW_TRY(rw_open_model(&chat->model_args, chat->verbose, NULL, &chat->model, err));
    RW_TRY(rw_need_vocab(chat->model, &vocab, err));
    RW_TRY(rw_turn_begin(chat->model, chat->state_in, &chat->root, err));
    RW_TRY(rw_chat_add_branch(chat, "main", rw_turn_hold(chat->root), err));
    if (rw_lines_are_typed(chat->lines))
        greet(chat);
    RW_TRY(talk(chat, err));
    return chat->state_out ? rw_turn_save(rw_chat_branch(chat)->tip, chat->state_out, err)
                           : RWKV_OK;
}

static void chat_fini(struct rw_chat *chat)
{
    for (size_t i = 0; i < chat->n_branches; i++) {
        rw_turn_release(chat->branches[i].tip);
        rw_free(chat->branches[i].name);
    }
    rw_free(chat->branches);
    rw_turn_release(chat->root);
    rw_free(chat->system);
    rwkv_model_close(chat->model);
    rw_lines_close(chat->lines);
    rw_sampling_fini(&chat->sampling);
}

int rw_cmd_chat(int argc, char **argv)
{
    struct rw_chat chat = {.sampling = rw_sampling_for_chat(), .max_tokens = 2048};
    const char *system = NULL;
    const struct rw_option settings[] = {
        RW_SAMPLING_OPTIONS(&chat.sampling),
        {"max-tokens", 'n', RW_OPTION_SIZE, &chat.max_tokens, .min = 1},
        {0}};
    const struct rw_option options[] = {
        RW_PATH_OPTION(&chat.model_args),
        RW_RUNNING_OPTIONS(&chat.model_args),
        RW_SAMPLING_OPTIONS(&chat.sampling),
        {"max-tokens", 'n', RW_OPTION_SIZE, &chat.max_tokens, .min = 1},
        {"system", 0, RW_OPTION_TEXT, &system},
        {"think", 0, RW_OPTION_CHOICE, &chat.think, .choices = rw_think_modes},
        {"state-in", 0, RW_OPTION_TEXT, &chat.state_in},
        {"state-out", 0, RW_OPTION_TEXT, &chat.state_out},
        {"verbose", 'v', RW_OPTION_FLAG, &chat.verbose},
        {0}};
    struct rw_operands operands = {0};
    int status = rw_options_read("chat", options, argc, argv, &operands);
    if (status == RW_OPTIONS_READ) {
        rwkv_error err = {0};
        chat.settings = settings;
        chat.system = system ? rw_strdup(system) : NULL;
        rw_interrupt_catch_all();
        status = chat_all(&chat, &err) ? rw_complain(&err) : RW_EXIT_OK;
        if (chat.failed && chat.lines && !rw_lines_are_typed(chat.lines))
            status = RW_EXIT_FAILURE;
    }
    chat_fini(&chat);
    return status;
}
