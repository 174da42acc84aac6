/* SPDX-License-Identifier: Apache-2.0 */
#include "text/call_reader.h"

#include <string.h>

#include <jansson.h>

enum member { OTHER, NAME, ARGUMENTS };

/* Empty a string without forgetting that it failed. */
static void clear(struct rw_call_reader *reader, struct rw_str *str)
{
    reader->failed |= str->failed;
    rw_str_reset(str);
}

static void begin_object(struct rw_call_reader *reader)
{
    reader->name = NULL;
    reader->member = OTHER;
    reader->has_arguments = false;
    clear(reader, &reader->arguments);
}

void rw_call_reader_reset(struct rw_call_reader *reader)
{
    reader->scan = (struct rw_json_scan){0};
    reader->level = 0;
    reader->in_arguments = reader->begun = false;
    reader->n_calls = 0;
    begin_object(reader);
}

void rw_call_reader_fini(struct rw_call_reader *reader)
{
    rw_str_fini(&reader->word);
    rw_str_fini(&reader->arguments);
}

static unsigned end_call(struct rw_call_reader *reader)
{
    reader->begun = false;
    reader->n_calls++;
    return RW_CALL_ENDS;
}

/* The tool of the name that was written, or NULL. */
static const char *find_name(struct rw_call_reader *reader)
{
    struct rw_str quoted = {0};
    rw_str_addc(&quoted, '"');
    rw_str_add(&quoted, reader->word.data, reader->word.size);
    rw_str_addc(&quoted, '"');
    reader->failed |= quoted.failed;
    json_t *name = json_loadb(quoted.failed ? "" : quoted.data, quoted.size, JSON_DECODE_ANY, NULL);
    const char *found = NULL;
    for (size_t i = 0; name && i < reader->n_names && !found; i++)
        if (strcmp(json_string_value(name), reader->names[i]) == 0)
            found = reader->names[i];
    json_decref(name);
    rw_str_fini(&quoted);
    return found;
}

static unsigned step_key(struct rw_call_reader *reader)
{
    const struct rw_str *word = &reader->word;
    bool name = word->size == 4 && memcmp(word->data, "name", 4) == 0;
    bool arguments = word->size == 9 && memcmp(word->data, "arguments", 9) == 0;
    if ((name && reader->name) || (arguments && reader->has_arguments))
        return RW_CALL_BAD;
    reader->member = name ? NAME : arguments ? ARGUMENTS : OTHER;
    return 0;
}

/* A string that is a member's value has ended. */
static unsigned step_string(struct rw_call_reader *reader)
{
    if (reader->member != NAME)
        return 0;
    reader->name = find_name(reader);
    if (!reader->name)
        return RW_CALL_BAD;
    return reader->has_arguments ? RW_CALL_BEGINS | RW_CALL_ARGUMENTS | end_call(reader) : 0u;
}

/* A value, or a key, begins inside a call's object. */
static unsigned step_begin(struct rw_call_reader *reader, enum rw_json_event event, char c)
{
    bool key = event == RW_JSON_QUOTE && reader->scan.key;
    clear(reader, &reader->word);
    if (key || reader->member == OTHER)
        return 0;
    if (reader->member == NAME)
        return event == RW_JSON_QUOTE ? 0 : RW_CALL_BAD;
    if (c != '{')
        return RW_CALL_BAD;
    reader->in_arguments = true;
    rw_str_addc(&reader->arguments, c);
    if (!reader->name)
        return 0;
    reader->begun = true;
    return RW_CALL_BEGINS | RW_CALL_ARGUMENTS;
}

static unsigned step_arguments(struct rw_call_reader *reader, enum rw_json_event event, char c)
{
    unsigned found = 0;
    if (reader->begun) {
        clear(reader, &reader->arguments);
        found = RW_CALL_ARGUMENTS;
    }
    rw_str_addc(&reader->arguments, c);
    if (event != RW_JSON_CLOSE || reader->scan.depth != reader->level)
        return found;
    reader->in_arguments = false;
    reader->has_arguments = true;
    return reader->begun ? found | end_call(reader) : found;
}

/* A bracket was closed outside of arguments. */
static unsigned step_close(struct rw_call_reader *reader)
{
    unsigned depth = reader->scan.depth, over = depth == 0 ? RW_CALL_OVER : 0;
    if (depth + 1 < reader->level) /* the array's */
        return reader->n_calls ? over : (unsigned)RW_CALL_BAD;
    if (depth >= reader->level)
        return 0;
    if (!reader->name)
        return RW_CALL_BAD;
    if (reader->has_arguments)
        return over;
    rw_str_adds(&reader->arguments, "{}");
    return RW_CALL_BEGINS | RW_CALL_ARGUMENTS | end_call(reader) | over;
}

unsigned rw_call_reader_step(struct rw_call_reader *reader, char c)
{
    if (!reader->level && (c == '{' || c == '['))
        reader->level = c == '{' ? 1 : 2;
    bool inside = rw_json_scan_in_string(&reader->scan);
    unsigned before = reader->scan.depth;
    enum rw_json_event event = rw_json_scan_step(&reader->scan, c);
    bool begins = event == RW_JSON_OPEN || event == RW_JSON_QUOTE || event == RW_JSON_SCALAR;
    if (event == RW_JSON_BAD || (begins && !reader->level))
        return RW_CALL_BAD;
    if (reader->in_arguments)
        return step_arguments(reader, event, c);
    if (event == RW_JSON_CLOSE)
        return step_close(reader);
    if (begins && before + 1 == reader->level) {
        begin_object(reader);
        return c == '{' ? 0 : RW_CALL_BAD;
    }
    if (before != reader->level)
        return 0;
    if (begins)
        return step_begin(reader, event, c);
    if (event == RW_JSON_KEY)
        return step_key(reader);
    if (event == RW_JSON_STRING)
        return step_string(reader);
    if (inside)
        rw_str_addc(&reader->word, c);
    return 0;
}
