/* SPDX-License-Identifier: Apache-2.0 */
/* What a line of `rwkv chat` that begins with a slash does. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "chat.h"
#include "say.h"

/* A command. `rest` is what stands after its name, without blanks around it; "" if nothing does. */
typedef rwkv_status (*command_fn)(struct rw_chat *chat, const char *rest, rwkv_error *err);

static rwkv_status do_reset(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    rw_chat_go_to(chat, rw_turn_hold(chat->root));
    rw_note("(a new conversation)\n");
    return RWKV_OK;
}

static rwkv_status do_undo(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    struct rw_turn *tip = rw_chat_branch(chat)->tip;
    if (!tip->parent)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "/undo: this is the beginning");
    /* The turn that becomes the last one must be one that can itself be answered anew. */
    struct rw_turn *to = tip->parent;
    if (!to->session || (to->parent && !to->parent->session))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "/undo: only the last %d turns can be taken back",
                       RW_CHAT_UNDO - 2);
    rw_chat_go_to(chat, rw_turn_hold(to));
    rw_note("(the last message and its answer are taken back)\n");
    return RWKV_OK;
}

static rwkv_status do_regen(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    struct rw_turn *tip = rw_chat_branch(chat)->tip;
    if (!tip->parent)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "/regen: there is no answer yet");
    tip = rw_turn_hold(tip); /* its text is needed until the new answer stands in its place */
    rw_chat_answer(chat, tip->parent, tip->user);
    rw_turn_release(tip);
    return RWKV_OK;
}

static rwkv_status do_save(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    if (!rest[0])
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "/save: wanted FILE, found nothing");
    RW_TRY(rw_turn_save(rw_chat_branch(chat)->tip, rest, err));
    rw_note("(saved in %s)\n", rest);
    return RWKV_OK;
}

static rwkv_status do_load(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    struct rw_turn *turn;
    if (!rest[0])
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "/load: wanted FILE, found nothing");
    RW_TRY(rw_turn_begin(chat->model, rest, &turn, err));
    rw_chat_go_to(chat, turn);
    rw_note("(loaded from %s)\n", rest);
    return RWKV_OK;
}

static void list_branches(const struct rw_chat *chat)
{
    for (size_t i = 0; i < chat->n_branches; i++) {
        size_t turns = 0;
        for (const struct rw_turn *t = chat->branches[i].tip; t->parent; t = t->parent)
            turns++;
        rw_note("%c %s: %zu turn%s\n", i == chat->current ? '*' : ' ', chat->branches[i].name,
                turns, turns == 1 ? "" : "s");
    }
}

static rwkv_status do_branch(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    if (!rest[0]) {
        list_branches(chat);
        return RWKV_OK;
    }
    for (size_t i = 0; i < chat->n_branches; i++) {
        if (strcmp(chat->branches[i].name, rest) == 0) {
            chat->current = i;
            rw_note("(in branch %s)\n", rest);
            return RWKV_OK;
        }
    }
    const char *from = rw_chat_branch(chat)->name;
    rw_note("(branch %s begins here, in %s)\n", rest, from);
    return rw_chat_add_branch(chat, rest, rw_turn_hold(rw_chat_branch(chat)->tip), err);
}

static rwkv_status do_system(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    char *text = rest[0] ? rw_strdup(rest) : NULL;
    if (rest[0] && !text)
        return rw_fail(err, RWKV_ERROR_MEMORY, "/system: no memory");
    rw_free(chat->system);
    chat->system = text;
    rw_chat_go_to(chat, rw_turn_hold(chat->root));
    rw_note("(a new conversation, with%s a system text)\n", text ? "" : "out");
    return RWKV_OK;
}

static rwkv_status do_think(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    const struct rw_option think[] = {
        {"think", 0, RW_OPTION_CHOICE, &chat->think, .choices = rw_think_modes}, {0}};
    if (rest[0])
        RW_TRY(rw_option_set(think, "think", rest, err));
    rw_note("(think: %s)\n", rw_think_modes[chat->think]);
    return RWKV_OK;
}

static void note_setting(const struct rw_option *o)
{
    switch (o->kind) {
    case RW_OPTION_FLAG:
        rw_note("  %-14s %s\n", o->name, *(const bool *)o->to ? "on" : "off");
        break;
    case RW_OPTION_INT:
        rw_note("  %-14s %d\n", o->name, *(const int *)o->to);
        break;
    case RW_OPTION_SIZE:
        rw_note("  %-14s %zu\n", o->name, *(const size_t *)o->to);
        break;
    case RW_OPTION_U64:
        rw_note("  %-14s %llu\n", o->name, *(const unsigned long long *)o->to);
        break;
    case RW_OPTION_FLOAT:
        rw_note("  %-14s %g\n", o->name, (double)*(const float *)o->to);
        break;
    case RW_OPTION_REAL:
        rw_note("  %-14s %g\n", o->name, *(const double *)o->to);
        break;
    case RW_OPTION_CHOICE:
        rw_note("  %-14s %s\n", o->name, o->choices[*(const int *)o->to]);
        break;
    case RW_OPTION_TEXT:
    case RW_OPTION_BYTES:
    case RW_OPTION_CALL:
        break; /* lists have no one value */
    }
}

static rwkv_status do_set(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    char name[32];
    size_t n = strcspn(rest, " \t=");
    if (n == 0) {
        for (const struct rw_option *o = chat->settings; o->name; o++)
            note_setting(o);
        return RWKV_OK;
    }
    if (n >= sizeof name)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "/set: wanted NAME VALUE, found '%s'", rest);
    memcpy(name, rest, n);
    name[n] = 0;
    const char *value = rest + n + strspn(rest + n, " \t=");
    rwkv_status status = rw_option_set(chat->settings, name, value[0] ? value : NULL, err);
    return status ? rw_fail_within(err, status, "/set") : RWKV_OK;
}

static rwkv_status do_quit(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    chat->leave = true;
    return RWKV_OK;
}

static rwkv_status do_help(struct rw_chat *chat, const char *rest, rwkv_error *err);

static const struct command {
    const char *name; /* with its slash */
    command_fn run;
    const char *operand;
    const char *text;
} commands[] = {
    {"/help", do_help, "", "this list"},
    {"/reset", do_reset, "", "begin a new conversation"},
    {"/regen", do_regen, "", "answer the last message anew"},
    {"/undo", do_undo, "", "take back the last message and its answer"},
    {"/save", do_save, "FILE", "save the conversation's state"},
    {"/load", do_load, "FILE", "go on from a saved state"},
    {"/branch", do_branch, "[NAME]", "list branches; go to one, or begin it here"},
    {"/system", do_system, "[TEXT]", "begin anew with (or without) a system text"},
    {"/think", do_think, "[MODE]", "off, on, fast, short or long"},
    {"/set", do_set, "[NAME VALUE]", "list or change settings: temp, top-p, max-tokens, ..."},
    {"/quit", do_quit, "", "end the conversation, as Ctrl-D does"},
};

static rwkv_status do_help(struct rw_chat *chat, const char *rest, rwkv_error *err)
{
    for (size_t i = 0; i < RW_COUNT(commands); i++)
        rw_note("  %-8s%-14s%s\n", commands[i].name, commands[i].operand, commands[i].text);
    rw_note("A line that ends with \\ goes on; \"\"\" begins and ends a block of lines.\n"
            "A message that begins with / is written with two of them.\n");
    return RWKV_OK;
}

static const struct command *find(const char *name, size_t n)
{
    for (size_t i = 0; i < RW_COUNT(commands); i++)
        if (strlen(commands[i].name) == n && memcmp(commands[i].name, name, n) == 0)
            return &commands[i];
    return NULL;
}

static rwkv_status fail_unknown(const char *typed, rwkv_error *err)
{
    const char *names[RW_COUNT(commands) + 1] = {NULL};
    for (size_t i = 0; i < RW_COUNT(commands); i++)
        names[i] = commands[i].name;
    const char *meant = rw_suggest(typed, names);
    if (meant)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "unknown command '%s': did you mean '%s'?", typed,
                       meant);
    return rw_fail(err, RWKV_ERROR_ARGUMENT, "unknown command '%s' (/help lists them)", typed);
}

void rw_chat_command(struct rw_chat *chat, const char *line)
{
    rwkv_error err = {0};
    rwkv_status status;
    size_t n = strcspn(line, " \t\n");
    char *copy = rw_strdup(line + n + strspn(line + n, " \t\n"));
    char *name = rw_strndup(line, n);
    const struct command *command = find(line, n);
    if (!copy || !name) {
        status = rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for a command");
    } else if (!command) {
        status = fail_unknown(name, &err);
    } else {
        size_t end = strlen(copy);
        while (end > 0 && strchr(" \t\r\n", copy[end - 1]))
            end--;
        copy[end] = 0;
        status = command->run(chat, copy, &err);
    }
    if (status != RWKV_OK)
        rw_chat_complain(chat, &err);
    rw_free(name);
    rw_free(copy);
}
