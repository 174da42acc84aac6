/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a request's JSON, read one by one: type, range and size are checked here, and the
 * first thing that is wrong becomes the answer. A member that is absent or null leaves its output
 * as it was, so outputs begin with their defaults. After a failure nothing is read any more.
 *
 *     struct rw_api_error error = {0};
 *     json_auto_t *root = rw_fields_parse(body, size, &error);
 *     struct rw_fields f = {.object = root, .error = &error};
 *     double temperature = 1;
 *     rw_field_real(&f, "temperature", 0, 2, &temperature);
 *     const json_t *messages = rw_field_list(&f, "messages", 1, RW_MAX_MESSAGES);
 *     for (size_t i = 0; i < json_array_size(messages); i++) {
 *         struct rw_fields message = rw_fields_at(&f, "messages", messages, i);
 *         …
 *     }
 *     if (error.status)
 *         rw_call_fail(call, &error);
 *
 * Members that nobody asks for are ignored. What a request may hold at most stands below, in one
 * place; docs/serving.md shows the same table.
 */
#ifndef RW_SERVER_FIELDS_H
#define RW_SERVER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "rwkv.h"

/* X(name, most, what is counted) */
#define RW_LIMIT_LIST(X)                                                              \
    X(RW_MAX_BODY, 16u << 20, "bytes of a request's body")                            \
    X(RW_MAX_VALUES, 1u << 20, "values in a request's JSON")                          \
    X(RW_MAX_DEPTH, 48, "objects and lists inside one another")                       \
    X(RW_MAX_NAME, 128, "bytes of the name of a model, a state or a tool")            \
    X(RW_MAX_MESSAGES, 4096, "messages of a conversation")                            \
    X(RW_MAX_PARTS, 256, "parts of a message")                                        \
    X(RW_MAX_TOOLS, 128, "tools")                                                     \
    X(RW_MAX_PROMPTS, 256, "prompts of a request, texts to embed, documents to rank") \
    X(RW_MAX_PROMPT_TOKENS, 1u << 20, "tokens of a prompt")                           \
    X(RW_MAX_NEW_TOKENS, 1u << 20, "tokens to generate")                              \
    X(RW_MAX_CHOICES, 32, "choices for a prompt (n)")                                 \
    X(RW_MAX_STOPS, 16, "stop sequences")                                             \
    X(RW_MAX_STOP, 256, "bytes of a stop sequence")                                   \
    X(RW_MAX_BIAS, 1024, "tokens with a bias")                                        \
    X(RW_MAX_LOGPROBS, 20, "alternatives with their log-probability for a token")     \
    X(RW_MAX_GRAMMAR, 128u << 10, "bytes of a grammar or a schema")                   \
    X(RW_MAX_USER, 512, "bytes of the name of a user")

enum rw_limit {
#define RW_LIMIT_ENUM(name, most, what) name = (most),
    RW_LIMIT_LIST(RW_LIMIT_ENUM)
#undef RW_LIMIT_ENUM
};

/* Why a request is refused: the HTTP status (0: it is not) and the members of OpenAI's error. */
struct rw_api_error {
    int status;
    const char *type;  /* "invalid_request_error", …; static storage */
    const char *code;  /* "model_not_found", …; static storage; NULL: null */
    char param[192];   /* "messages[2].content"; "": null */
    char message[512]; /* one line */
};

/* Fill `error`, unless something was wrong before. */
void rw_api_fail(struct rw_api_error *error, int status, const char *type, const char *code,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* What a function of the library says: 400 for arguments and tokens, 503 for memory, else 500. */
void rw_api_fail_with(struct rw_api_error *error, const rwkv_error *err);

/* The object whose members are read, and how to get there from the request: "" or "messages[2]." */
struct rw_fields {
    const json_t *object; /* borrowed; NULL is an empty object */
    char path[160];
    struct rw_api_error *error;
};

/* The request's object, to be released; NULL with an error if it is no JSON, not an object, too
 * deep or too large. An empty body is an empty object. */
json_t *rw_fields_parse(const void *body, size_t size, struct rw_api_error *error);

/* What is wrong with a member, said by whoever reads it: 400, with its path as `param`. */
void rw_field_fail(struct rw_fields *f, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether the member is there, and not null. */
bool rw_field_given(const struct rw_fields *f, const char *name);

/* Each returns whether it stored something. */
bool rw_field_flag(struct rw_fields *f, const char *name, bool *to);
bool rw_field_real(struct rw_fields *f, const char *name, double min, double max, double *to);
bool rw_field_int(struct rw_fields *f, const char *name, int64_t min, int64_t max, int64_t *to);
/* UTF-8 of at most `most` bytes without U+0000, borrowed from the request. */
bool rw_field_text(struct rw_fields *f, const char *name, size_t most, const char **to);
/* A name as models have them: [A-Za-z0-9._:/-]{1,128}, no "..", nothing before or behind a slash
 * missing. */
bool rw_field_name(struct rw_fields *f, const char *name, const char **to);
/* A name as the store has them for states: the same without ':' and '/'. */
bool rw_field_state_name(struct rw_fields *f, const char *name, const char **to);
bool rw_is_name(const char *text);
/* The index of a word in `words` (ended by NULL). */
bool rw_field_word(struct rw_fields *f, const char *name, const char *const *words, int *to);

/* A member that is an object, or a list of `min` to `max` values; NULL if it is not there or
 * something is wrong. */
const json_t *rw_field_object(struct rw_fields *f, const char *name);
const json_t *rw_field_list(struct rw_fields *f, const char *name, size_t min, size_t max);

/* The fields of a member, which is an object or nothing; of an element of a list, which must be an
 * object. */
struct rw_fields rw_fields_in(struct rw_fields *f, const char *name);
struct rw_fields rw_fields_at(struct rw_fields *f, const char *name, const json_t *list, size_t i);

/* "a string", "an integer", …; NULL is nothing. */
const char *rw_kind_of(const json_t *value);

#endif
