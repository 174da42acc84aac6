/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_chat.h: conversations. Included by rwkv.h; include that.
 *
 * From messages to a prompt in the form that World and G1 models were trained with, and from what
 * the model writes back to thoughts, text and calls of tools. docs/chat.md has the exact texts.
 *
 *     rwkv_chat chat = {.messages = messages, .n_messages = n};
 *     rwkv_chat_prompt prompt;
 *     rwkv_chat_encode(&chat, vocab, &prompt, &err);
 *     rwkv_splitter_new(prompt.text + prompt.opening, NULL, 0, show, user, &splitter, &err);
 *     rwkv_generate_tokens(session, prompt.tokens, prompt.n_tokens, …);  // text to the splitter
 *     rwkv_splitter_finish(splitter, &err);
 *     rwkv_splitter_free(splitter);
 *     rwkv_chat_prompt_fini(&prompt);
 */
#ifndef RWKV_CHAT_H
#define RWKV_CHAT_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where an answer ends, besides at token 0: the model goes on with a question of its own. A blank
 * line alone is no end, for answers have paragraphs. */
#define RWKV_CHAT_STOP "\nUser:"

/* --- what is said ----------------------------------------------------------------------------- */

typedef enum rwkv_role {
    RWKV_ROLE_SYSTEM,
    RWKV_ROLE_USER,
    RWKV_ROLE_ASSISTANT,
    RWKV_ROLE_TOOL /* what a tool gave back */
} rwkv_role;

typedef struct rwkv_tool_call {
    const char *name;
    const char *arguments; /* JSON text of an object; NULL or blank: {} */
} rwkv_tool_call;

typedef struct rwkv_message {
    rwkv_role role;
    const char *text;            /* NULL only in an assistant's message with calls */
    const rwkv_tool_call *calls; /* [n_calls] made by the assistant, after the text */
    size_t n_calls;
} rwkv_message;

/* Something the model may call. */
typedef struct rwkv_tool {
    const char *name;
    const char *description; /* nullable */
    const char *parameters;  /* JSON text: the schema of the object of arguments; nullable: none */
} rwkv_tool;

/* Whether a tool is called. */
typedef enum rwkv_tool_choice {
    RWKV_TOOL_AUTO,     /* as the model decides */
    RWKV_TOOL_NONE,     /* no: the model is not told of the tools */
    RWKV_TOOL_REQUIRED, /* yes: the answer is opened with the fence of a call */
    RWKV_TOOL_NAMED     /* yes, and that of `tool_name` */
} rwkv_tool_choice;

/* How the answer begins. OFF, the default: "Assistant:", which asks for no thought and forbids
 * none. ON: "Assistant: <think". FAST: an empty thought. SHORT, LONG: ON with every user's text
 * followed by " (think a bit)", " (think a lot)". */
typedef enum rwkv_think {
    RWKV_THINK_OFF,
    RWKV_THINK_ON,
    RWKV_THINK_FAST,
    RWKV_THINK_SHORT,
    RWKV_THINK_LONG
} rwkv_think;

/* The mode for a level of effort as APIs name them: none OFF, minimal FAST, low SHORT, medium ON,
 * high and xhigh LONG. */
RWKV_API rwkv_status rwkv_think_for_effort(const char *effort, rwkv_think *out, rwkv_error *err);

/* A conversation up to the answer that is wanted. Everything is borrowed during calls. All zero but
 * the messages: no tools, no thought asked for. */
typedef struct rwkv_chat {
    const rwkv_message *messages; /* [n_messages] */
    size_t n_messages;
    rwkv_think think;
    const rwkv_tool *tools; /* [n_tools] */
    size_t n_tools;
    rwkv_tool_choice tool_choice; /* looked at when there are tools */
    const char *tool_name;        /* with RWKV_TOOL_NAMED */
} rwkv_chat;

/* --- prompts ---------------------------------------------------------------------------------- */

/* What the model reads before it answers. The text is encoded in pieces, cut behind each
 * "Assistant:", because that is where prompts end: so the tokens up to there are the same now and
 * in every later prompt of the conversation, and a state kept after them is found again. */
typedef struct rwkv_chat_prompt {
    char *text; /* [size], and a terminator */
    size_t size;
    size_t opening; /* bytes up to the last "Assistant:" and with it. What follows is how the
                       answer begins: "", " <think", " ```json" … */
    size_t *cuts;   /* [n_cuts] bytes, ascending: where the text is cut; the last is `opening` */
    size_t n_cuts;

    /* Filled by rwkv_chat_encode only. */
    int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    size_t opening_token; /* tokens of the first `opening` bytes: those that later prompts share */
    size_t *marks;        /* [n_marks] tokens, ascending: at every cut, and wherever a turn ends and
                             a token with it. Good places to keep states at. */
    size_t n_marks;
} rwkv_chat_prompt;

/* Render a conversation, ending with the opening of the answer. Blank lines inside the texts of
 * system, user and tools are folded, since a blank line ends a turn; of an assistant's text what
 * follows "</think>" is kept. *out is filled, to be released with rwkv_chat_prompt_fini. Fails for
 * roles, modes and choices there are not, a missing text or name, parameters that are no JSON
 * object, two tools of one name, a `tool_name` that no tool has. */
RWKV_API rwkv_status rwkv_chat_render(const rwkv_chat *chat, rwkv_chat_prompt *out,
                                      rwkv_error *err);

/* Render and encode. */
RWKV_API rwkv_status rwkv_chat_encode(const rwkv_chat *chat, const rwkv_vocab *vocab,
                                      rwkv_chat_prompt *out, rwkv_error *err);

/* Release what a prompt holds; one that is all zero is fine. */
RWKV_API void rwkv_chat_prompt_fini(rwkv_chat_prompt *prompt);

/* The JSON schema of what may stand inside the fence of a call: an object with the name of a tool
 * (of `tool_name`, if that is chosen) and arguments after that tool's schema; with `several`
 * non-zero, that or an array of at least one such object. Stores at most `capacity` bytes,
 * terminated if there is room, and sets *size to the length of the whole text without terminator.
 * Fails as rendering does, and when there are no tools. */
RWKV_API rwkv_status rwkv_chat_call_schema(const rwkv_chat *chat, int several, char *text,
                                           size_t capacity, size_t *size, rwkv_error *err);

/* --- answers ---------------------------------------------------------------------------------- */

/* What a piece of an answer is. Pieces of one kind that follow each other belong together. */
typedef enum rwkv_piece {
    RWKV_PIECE_REASONING, /* of the thought */
    RWKV_PIECE_CONTENT,   /* of the answer's text */
    RWKV_PIECE_CALL,      /* a call begins; the whole name of the tool */
    RWKV_PIECE_ARGUMENTS, /* of the call's arguments, JSON as it was written */
    RWKV_PIECE_CALL_END,  /* the arguments are whole and are a JSON object; no text */
    RWKV_PIECE_CALL_CUT   /* the call broke off inside its arguments, or they are no JSON; the text
                             of the call as it was written, fence included */
} rwkv_piece;

/* Receives pieces as they become certain. `text` is borrowed during the call, not terminated.
 * Non-zero stops: push or finish then fail with RWKV_ERROR_CANCELLED. */
typedef int (*rwkv_piece_fn)(void *user, rwkv_piece piece, const char *text, size_t size);

/* Takes an answer apart while it is written. No part of a marker is ever given out, however it is
 * cut, and nothing else is held back longer than it could be the beginning of one; what only looked
 * like a marker comes out as the text it is. Blanks around thought and text are left out. */
typedef struct rwkv_splitter rwkv_splitter;

/* `opening` (borrowed during the call) is what the prompt already holds of the answer: its text
 * from `opening` on, which is not given out, unless as part of a fence in which there is no call.
 * Calls are those of the tools given (names are copied); without tools every fence is text. */
RWKV_API rwkv_status rwkv_splitter_new(const char *opening, const rwkv_tool *tools, size_t n_tools,
                                       rwkv_piece_fn piece, void *user, rwkv_splitter **out,
                                       rwkv_error *err);
RWKV_API void rwkv_splitter_free(rwkv_splitter *splitter);

/* More of the answer, as rwkv_text_fn receives it. */
RWKV_API rwkv_status rwkv_splitter_push(rwkv_splitter *splitter, const char *text, size_t size,
                                        rwkv_error *err);

/* Calls that an answer may make, for rwkv_generate_options: everything is copied when generating
 * begins. The grammar, made of rwkv_chat_call_schema, then holds inside calls alone. It begins to
 * hold where the answer opens the fence of a call, or, without a fence, where the name of a tool
 * and the bracket of its arguments have come; with the JSON of the call the answer ends
 * (RWKV_FINISH_STOP). Where what a single token brought of a call is already none of the grammar's,
 * the answer goes on without it. */
struct rwkv_call_options {
    const char *opening;    /* what the prompt holds of the answer, as for rwkv_splitter_new */
    const rwkv_tool *tools; /* [n_tools] */
    size_t n_tools;
};

/* The answer is over: give out what was held back. To be called once, after the last push. */
RWKV_API rwkv_status rwkv_splitter_finish(rwkv_splitter *splitter, rwkv_error *err);

#ifdef __cplusplus
}
#endif

#endif
