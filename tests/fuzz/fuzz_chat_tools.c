/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools as clients send them: lines of the input are in turn a name, a description, parameters, a
 * call's arguments and a tool's output. What is rendered must have the form of turns, with no blank
 * line inside those of system and user; the schema of calls must be JSON; and calls that are
 * rendered must be read again as they were.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/status.h"
#include "base/str.h"
#include "rwkv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES 5

static void check(int ok)
{
    if (!ok)
        abort();
}

/* Cut a copy of the input into strings; the last has all that is left. */
static void cut_lines(char *text, const char *lines[LINES])
{
    for (size_t i = 0; i < LINES; i++) {
        lines[i] = text;
        char *newline = strchr(text, '\n');
        text += strlen(text);
        if (newline && i + 1 < LINES) {
            *newline = 0;
            text = newline + 1;
        }
    }
}

static int collect(void *user, rwkv_piece piece, const char *text, size_t size)
{
    struct rw_str *said = user;
    check(piece != RWKV_PIECE_REASONING && piece != RWKV_PIECE_CALL_CUT);
    rw_str_printf(said, "%d:", (int)piece);
    rw_str_add(said, text, size);
    rw_str_addc(said, '\n');
    return 0;
}

/* The call in the assistant's turn is found by the splitter. */
static void check_call(const rwkv_chat *chat, const rwkv_chat_prompt *prompt)
{
    const rwkv_tool_call *call = chat->messages[1].calls;
    const char *begin = prompt->text + prompt->cuts[0];
    const char *end = strstr(begin, "\n```\n\nUser: Function output:\n");
    struct rw_str said = {0};
    rwkv_splitter *s = NULL;
    check(end != NULL);
    check(rwkv_splitter_new("", chat->tools, 1, collect, &said, &s, NULL) == RWKV_OK);
    check(rwkv_splitter_push(s, begin, (size_t)(end - begin), NULL) == RWKV_OK);
    check(rwkv_splitter_finish(s, NULL) == RWKV_OK);
    rwkv_splitter_free(s);
    json_t *arguments = json_loads(call->arguments, 0, NULL), *name = json_string(call->name);
    if (json_is_object(arguments) && name) {
        check(said.size > 2 && said.data[0] == '0' + RWKV_PIECE_CALL);
        check(strncmp(said.data + 2, call->name, strlen(call->name)) == 0);
    }
    json_decref(arguments);
    json_decref(name);
    rw_str_fini(&said);
}

static void check_prompt(const rwkv_chat *chat)
{
    rwkv_chat_prompt prompt;
    rwkv_error err = {0};
    rwkv_status status = rwkv_chat_render(chat, &prompt, &err);
    check(status == RWKV_OK || err.message[0]);
    if (status != RWKV_OK)
        return;
    check(strncmp(prompt.text, "System: Tools:\n", 15) == 0);
    const char *user = strstr(prompt.text, "\n\n");
    check(user && strncmp(user, "\n\nUser: q\n\nAssistant: ```json\n", 29) == 0);
    const char *output = strstr(prompt.text + prompt.cuts[0], "User: Function output:\n");
    check(output != NULL);
    const char *end = strstr(output, "\n\n");
    check(end && strcmp(end, "\n\nAssistant:") == 0);
    check(prompt.n_cuts == 2 && prompt.opening == prompt.size);
    check_call(chat, &prompt);
    rwkv_chat_prompt_fini(&prompt);
}

static void check_schema(const rwkv_chat *chat, int several)
{
    size_t size = 0;
    if (rwkv_chat_call_schema(chat, several, NULL, 0, &size, NULL) != RWKV_OK)
        return;
    char *text = malloc(size + 1);
    check(text != NULL);
    check(rwkv_chat_call_schema(chat, several, text, size + 1, &size, NULL) == RWKV_OK);
    json_t *schema = json_loadb(text, size, 0, NULL);
    check(json_is_object(schema));
    json_decref(schema);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *lines[LINES];
    char *text = malloc(size + 1);
    check(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    cut_lines(text, lines);
    const rwkv_tool tool = {lines[0], lines[1], lines[2]};
    const rwkv_tool_call call = {lines[0], lines[3]};
    const rwkv_message messages[] = {
        {.role = RWKV_ROLE_USER, .text = "q"},
        {.role = RWKV_ROLE_ASSISTANT, .calls = &call, .n_calls = 1},
        {.role = RWKV_ROLE_TOOL, .text = lines[4]},
    };
    const rwkv_chat chat = {.messages = messages, .n_messages = 3, .tools = &tool, .n_tools = 1};
    check_prompt(&chat);
    check_schema(&chat, 0);
    check_schema(&chat, 1);
    free(text);
    return 0;
}
