/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_line.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/status.h"

struct rw_line *rw_line_new(uint64_t number, uint64_t end)
{
    struct rw_line *line = rw_calloc(1, sizeof *line);
    if (line) {
        line->number = number;
        line->end = end;
    }
    return line;
}

void rw_line_free(struct rw_line *line)
{
    if (!line)
        return;
    rw_free(line->id);
    rw_str_fini(&line->prompt);
    rw_str_fini(&line->text);
    rw_stops_fini(&line->stops);
    rw_free(line);
}

/* --- values ----------------------------------------------------------------------------------- */

static const char *kind_of(const json_t *value)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",       [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a real number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null"};
    return value ? kinds[json_typeof(value)] : "nothing";
}

/* The member of that name; null is as good as nothing. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static rwkv_status get_float(const json_t *object, const char *key, double min, double max,
                             float *to, rwkv_error *err)
{
    const json_t *value = member(object, key);
    if (!value)
        return RWKV_OK;
    if (!json_is_number(value))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted a number, found %s", key,
                       kind_of(value));
    double x = json_number_value(value);
    if (!(x >= min && x <= max))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: wanted a number from %g to %g, found %g", key,
                       min, max, x);
    *to = (float)x;
    return RWKV_OK;
}

/* *given tells whether there is one. */
static rwkv_status get_whole(const json_t *object, const char *key, int64_t min, int64_t max,
                             int64_t *to, bool *given, rwkv_error *err)
{
    const json_t *value = member(object, key);
    *given = value != NULL;
    if (!value)
        return RWKV_OK;
    if (!json_is_integer(value))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted an integer, found %s", key,
                       kind_of(value));
    *to = json_integer_value(value);
    if (*to < min || *to > max)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s: wanted an integer from %lld to %lld, found "
                       "%lld",
                       key, (long long)min, (long long)max, (long long)*to);
    return RWKV_OK;
}

/* A string that can be handed on terminated. */
static rwkv_status check_text(const json_t *value, const char *key, rwkv_error *err)
{
    if (!json_is_string(value))
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: wanted a string, found %s", key,
                       kind_of(value));
    if (strlen(json_string_value(value)) != json_string_length(value))
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: wanted text without U+0000", key);
    return RWKV_OK;
}

/* --- stop sequences --------------------------------------------------------------------------- */

static rwkv_status add_stop(struct rw_stops *stops, const char *text, rwkv_error *err)
{
    if (!*text)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "stop: wanted some text, found an empty string");
    if (!rw_grow((void **)&stops->list, stops->count, &stops->capacity, sizeof *stops->list))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    stops->list[stops->count] = rw_strdup(text);
    if (!stops->list[stops->count])
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
    stops->count++;
    return RWKV_OK;
}

/* The line's own, a string or a list, in place of the command line's. */
static rwkv_status get_stops(struct rw_line *line, const json_t *request,
                             const struct rw_stops *defaults, rwkv_error *err)
{
    const json_t *value = member(request, "stop");
    if (!value)
        for (size_t i = 0; i < defaults->count; i++)
            RW_TRY(add_stop(&line->stops, defaults->list[i], err));
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *stop = json_array_get(value, i);
            RW_TRY(check_text(stop, "stop", err));
            RW_TRY(add_stop(&line->stops, json_string_value(stop), err));
        }
    } else if (value) {
        RW_TRY(check_text(value, "stop", err));
        RW_TRY(add_stop(&line->stops, json_string_value(value), err));
    }
    return line->chat ? add_stop(&line->stops, RW_CHAT_STOP, err) : RWKV_OK;
}

/* --- the prompt ------------------------------------------------------------------------------- */

static rwkv_status get_message(const json_t *value, rwkv_message *to, rwkv_error *err)
{
    static const char *const roles[] = {[RWKV_ROLE_SYSTEM] = "system",
                                        [RWKV_ROLE_USER] = "user",
                                        [RWKV_ROLE_ASSISTANT] = "assistant"};
    if (!json_is_object(value))
        return rw_fail(err, RWKV_ERROR_FORMAT, "messages: wanted objects, found %s",
                       kind_of(value));
    const json_t *role = member(value, "role"), *content = member(value, "content");
    RW_TRY(check_text(role, "role", err));
    RW_TRY(check_text(content, "content", err));
    to->text = json_string_value(content);
    for (size_t i = 0; i < RW_COUNT(roles); i++)
        if (strcmp(json_string_value(role), roles[i]) == 0) {
            to->role = (rwkv_role)i;
            return RWKV_OK;
        }
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "role: wanted system, user or assistant, found '%.40s'",
                   json_string_value(role));
}

static rwkv_status get_think(const json_t *request, int *think, rwkv_error *err)
{
    const json_t *value = member(request, "think");
    if (!value)
        return RWKV_OK;
    RW_TRY(check_text(value, "think", err));
    for (int i = 0; rw_think_modes[i]; i++)
        if (strcmp(json_string_value(value), rw_think_modes[i]) == 0) {
            *think = i;
            return RWKV_OK;
        }
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "think: wanted off, on, fast, short or long, found '%.40s'",
                   json_string_value(value));
}

/* Render the messages; what the answer begins with becomes the beginning of its text. */
static rwkv_status render(struct rw_line *line, const rwkv_message *messages, size_t n, int think,
                          rwkv_error *err)
{
    const rwkv_chat chat = {.messages = messages, .n_messages = n, .think = (rwkv_think)think};
    rwkv_chat_prompt prompt;
    RW_TRY(rwkv_chat_render(&chat, &prompt, err));
    rw_str_add(&line->prompt, prompt.text, prompt.size);
    rw_str_adds(&line->text, prompt.text + prompt.opening);
    rwkv_chat_prompt_fini(&prompt);
    return RWKV_OK;
}

static rwkv_status get_messages(struct rw_line *line, const json_t *request, const json_t *list,
                                int think, rwkv_error *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "messages: wanted a list of messages, found %s",
                       json_is_array(list) ? "an empty one" : kind_of(list));
    RW_TRY(get_think(request, &think, err));
    rwkv_message *messages = rw_calloc(n, sizeof *messages);
    if (!messages)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu messages", n);
    rwkv_status status = RWKV_OK;
    for (size_t i = 0; i < n && status == RWKV_OK; i++)
        status = get_message(json_array_get(list, i), &messages[i], err);
    if (status == RWKV_OK)
        status = render(line, messages, n, think, err);
    rw_free(messages);
    line->chat = true;
    return status;
}

static rwkv_status get_prompt(struct rw_line *line, const json_t *request, int think,
                              rwkv_error *err)
{
    const json_t *prompt = member(request, "prompt"), *messages = member(request, "messages");
    if (!prompt == !messages)
        return rw_fail(err, RWKV_ERROR_FORMAT, "wanted prompt or messages, found %s",
                       prompt ? "both" : "neither");
    if (messages)
        RW_TRY(get_messages(line, request, messages, think, err));
    else if (!json_is_string(prompt))
        return rw_fail(err, RWKV_ERROR_FORMAT, "prompt: wanted a string, found %s",
                       kind_of(prompt));
    else
        rw_str_add(&line->prompt, json_string_value(prompt), json_string_length(prompt));
    return line->prompt.failed || line->text.failed
               ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the prompt")
               : RWKV_OK;
}

/* --- the line --------------------------------------------------------------------------------- */

static rwkv_status get_sampling(struct rw_line *line, const json_t *request, rwkv_error *err)
{
    struct rw_sampling *s = &line->sampling;
    int64_t whole = 0;
    bool given;
    RW_TRY(get_float(request, "temperature", 0, 100, &s->temperature, err));
    RW_TRY(get_float(request, "top_p", 0, 1, &s->top_p, err));
    RW_TRY(get_float(request, "min_p", 0, 1, &s->min_p, err));
    RW_TRY(get_float(request, "typical_p", 0, 1, &s->typical_p, err));
    RW_TRY(get_float(request, "presence", -100, 100, &s->presence, err));
    RW_TRY(get_float(request, "frequency", -100, 100, &s->frequency, err));
    RW_TRY(get_float(request, "penalty_decay", 0, 1, &s->penalty_decay, err));
    RW_TRY(get_whole(request, "top_k", 0, INT32_MAX, &whole, &given, err));
    if (given)
        s->top_k = (int)whole;
    RW_TRY(get_whole(request, "seed", 0, INT64_MAX, &whole, &given, err));
    s->seed = given ? (uint64_t)whole : s->seed + line->number - 1;
    s->has_seed = true;
    RW_TRY(get_whole(request, "max_tokens", 1, INT64_MAX, &whole, &given, err));
    if (given)
        line->max_tokens = (size_t)whole;
    return RWKV_OK;
}

static rwkv_status get_id(struct rw_line *line, const json_t *request, rwkv_error *err)
{
    const json_t *id = json_object_get(request, "id");
    if (!id)
        return RWKV_OK;
    char *text = json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT);
    line->id = text ? rw_strdup(text) : NULL;
    free(text);
    return line->id ? RWKV_OK : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the id");
}

rwkv_status rw_line_parse(struct rw_line *line, const char *json, size_t size,
                          const struct rw_line_defaults *defaults, rwkv_error *err)
{
    json_error_t why;
    rwkv_status status;
    json_t *request = json_loadb(json, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!request)
        return rw_fail(err, RWKV_ERROR_FORMAT, "byte %d: %s", why.position, why.text);
    line->sampling = defaults->sampling;
    line->max_tokens = defaults->max_tokens;
    if (!json_is_object(request))
        RW_GO(rw_fail(err, RWKV_ERROR_FORMAT, "wanted an object, found %s", kind_of(request)));
    RW_GO(get_id(line, request, err));
    RW_GO(get_prompt(line, request, defaults->think, err));
    RW_GO(get_sampling(line, request, err));
    RW_GO(get_stops(line, request, &defaults->stops, err));
done:
    json_decref(request);
    return status;
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void rw_line_write(const struct rw_line *line, struct rw_str *to)
{
    const rwkv_generate_result *r = &line->result;
    rw_str_printf(to, "{\"line\": %llu", (unsigned long long)line->number);
    if (line->id)
        rw_str_printf(to, ", \"id\": %s", line->id);
    if (line->err.code) {
        rw_str_adds(to, ", \"error\": \"");
        rw_str_add_json(to, line->err.message, strlen(line->err.message));
        rw_str_adds(to, "\"}\n");
        return;
    }
    size_t from = 0;
    while (line->chat && from < line->text.size && is_blank(line->text.data[from]))
        from++;
    rw_str_adds(to, ", \"text\": \"");
    if (line->text.size > from)
        rw_str_add_json(to, line->text.data + from, line->text.size - from);
    rw_str_printf(to, "\", \"finish\": \"%s\", \"tokens\": {\"prompt\": %zu, \"generated\": %zu}",
                  rw_finish_name(r), r->prompt_tokens, r->generated_tokens);
    rw_str_printf(to, ", \"seed\": %llu}\n", (unsigned long long)line->sampling.seed);
}
