/* SPDX-License-Identifier: Apache-2.0 */
#include "text/chat.h"

#include <string.h>

#include "base/status.h"

/* A piece of a string. */
struct span {
    const char *at;
    size_t size;
};

/* What the answer begins with, and what is added to the last user's text. */
struct mode {
    const char *opening;
    const char *hint;
};

static const struct mode modes[] = {
    [RWKV_THINK_OFF] = {"Assistant:", ""},
    [RWKV_THINK_ON] = {"Assistant: <think", ""},
    [RWKV_THINK_FAST] = {"Assistant: <think>\n</think", ""},
    [RWKV_THINK_SHORT] = {"Assistant: <think", " (think a bit)"},
    [RWKV_THINK_LONG] = {"Assistant: <think", " (think a lot)"},
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span strip(const char *text)
{
    struct span s = {text, strlen(text)};
    while (s.size > 0 && is_blank(s.at[0])) {
        s.at++;
        s.size--;
    }
    while (s.size > 0 && is_blank(s.at[s.size - 1]))
        s.size--;
    return s;
}

/* Append with CR LF as LF and several LF as one. */
static void add_folded(struct rw_str *out, struct span s)
{
    char last = 0;
    for (size_t i = 0; i < s.size; i++) {
        char c = s.at[i];
        bool crlf = c == '\r' && i + 1 < s.size && s.at[i + 1] == '\n';
        if (crlf || (c == '\n' && last == '\n'))
            continue;
        rw_str_addc(out, c);
        last = c;
    }
}

/* What follows the last "</think>", or all. */
static const char *answer_of(const char *text)
{
    static const char mark[] = "</think>";
    for (const char *next; (next = strstr(text, mark));)
        text = next + strlen(mark);
    return text;
}

static void add_system(struct rw_str *out, const char *text)
{
    struct span s = strip(text);
    if (s.size == 0)
        return;
    rw_str_adds(out, "System: ");
    add_folded(out, s);
    rw_str_adds(out, "\n\n");
}

static void add_user(struct rw_str *out, const char *text, const char *hint)
{
    struct span s = strip(text);
    rw_str_adds(out, "User:");
    if (s.size > 0)
        rw_str_addc(out, ' ');
    add_folded(out, s);
    rw_str_adds(out, hint);
    rw_str_adds(out, "\n\n");
}

static void add_assistant(struct rw_str *out, const char *text)
{
    struct span s = strip(answer_of(text));
    if (s.size == 0)
        return;
    rw_str_adds(out, "Assistant: ");
    rw_str_add(out, s.at, s.size);
    rw_str_adds(out, "\n\n");
}

/* Check all messages; *system and *user are the last ones of their roles, or n. */
static rwkv_status survey(const rwkv_message *messages, size_t n, size_t *system, size_t *user,
                          rwkv_error *err)
{
    *system = *user = n;
    for (size_t i = 0; i < n; i++) {
        if (!messages[i].text)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "message %zu: wanted a text, found NULL", i);
        switch (messages[i].role) {
        case RWKV_ROLE_SYSTEM:
            *system = i;
            break;
        case RWKV_ROLE_USER:
            *user = i;
            break;
        case RWKV_ROLE_ASSISTANT:
            break;
        default:
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "message %zu: no such role: %d", i,
                           (int)messages[i].role);
        }
    }
    return RWKV_OK;
}

rwkv_status rw_chat_render(const rwkv_message *messages, size_t n_messages, rwkv_think think,
                           struct rw_str *out, rwkv_error *err)
{
    size_t system, user;
    if ((int)think < 0 || (size_t)think >= RW_COUNT(modes))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "no such think mode: %d", (int)think);
    RW_TRY(survey(messages, n_messages, &system, &user, err));
    if (system < n_messages)
        add_system(out, messages[system].text);
    for (size_t i = 0; i < n_messages; i++) {
        if (messages[i].role == RWKV_ROLE_USER)
            add_user(out, messages[i].text, i == user ? modes[think].hint : "");
        else if (messages[i].role == RWKV_ROLE_ASSISTANT)
            add_assistant(out, messages[i].text);
    }
    rw_str_adds(out, modes[think].opening);
    if (out->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the text of %zu messages",
                       n_messages);
    return RWKV_OK;
}
