/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools in the chat form: their definitions, what is called, what comes back.
 *
 * Definitions have two forms. Lines such as "- name(city: string, days?: integer)" say which
 * arguments there are and of which types, and nothing else; they are used when that is all that the
 * definitions of all tools say. Otherwise each tool is an object of a JSON array, a line each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/status.h"
#include "text/chat_int.h"
#include "text/json_scan.h"

#define DUMP (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

/* --- checks ----------------------------------------------------------------------------------- */

/* The schema of a tool's arguments as a new reference, an empty object if there is none. */
static rwkv_status parse_parameters(const rwkv_tool *tool, json_t **out, rwkv_error *err)
{
    json_error_t why;
    const char *text = tool->parameters ? tool->parameters : "{}";
    *out = json_loads(text, 0, &why);
    if (!*out)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "tool %s: parameters: byte %d: %s", tool->name,
                       why.position, why.text);
    if (json_is_object(*out))
        return RWKV_OK;
    json_decref(*out);
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "tool %s: parameters: wanted a JSON schema, which is an object, found '%.40s'",
                   tool->name, text);
}

static rwkv_status check_tool(const rwkv_chat *chat, size_t index, rwkv_error *err)
{
    const rwkv_tool *tool = &chat->tools[index];
    json_t *parameters;
    if (!tool->name || !tool->name[0])
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "tool %zu: wanted a name, found %s", index,
                       tool->name ? "an empty one" : "NULL");
    for (size_t i = 0; i < index; i++)
        if (strcmp(chat->tools[i].name, tool->name) == 0)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "two tools of the name %s", tool->name);
    RW_TRY(parse_parameters(tool, &parameters, err));
    json_decref(parameters);
    return RWKV_OK;
}

rwkv_status rw_chat_check_tools(const rwkv_chat *chat, bool *told, rwkv_error *err)
{
    *told = false;
    if ((int)chat->tool_choice < RWKV_TOOL_AUTO || chat->tool_choice > RWKV_TOOL_NAMED)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "no such choice of tools: %d",
                       (int)chat->tool_choice);
    if (chat->n_tools > 0 && !chat->tools)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted %zu tools, found NULL", chat->n_tools);
    bool named = chat->n_tools == 0 || chat->tool_choice != RWKV_TOOL_NAMED;
    for (size_t i = 0; i < chat->n_tools; i++) {
        RW_TRY(check_tool(chat, i, err));
        if (!named && chat->tool_name)
            named = strcmp(chat->tools[i].name, chat->tool_name) == 0;
    }
    if (!named)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "tool_name: wanted the name of a tool, found %s",
                       chat->tool_name ? chat->tool_name : "NULL");
    *told = chat->n_tools > 0 && chat->tool_choice != RWKV_TOOL_NONE;
    return RWKV_OK;
}

/* --- definitions as lines --------------------------------------------------------------------- */

/* Whether the object has no members but those named. */
static bool has_only(json_t *object, const char *const *names, size_t n_names)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (i < n_names && strcmp(key, names[i]) != 0)
            i++;
        if (i == n_names)
            return false;
    }
    return true;
}

/* Whether a name can stand in a line without quotes. */
static bool is_plain(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
            *c != '_' && *c != '-' && *c != '.')
            return false;
    return name[0] != 0;
}

static bool is_required(const json_t *schema, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(schema, "required"), i,
                       item) if (json_is_string(item) &&
                                 strcmp(json_string_value(item), name) == 0) return true;
    return false;
}

static bool add_type(json_t *schema, struct rw_str *out);

/* "a: string, b?: number": the members of an object's schema. */
static bool add_members(json_t *schema, struct rw_str *out)
{
    static const char *const known[] = {"type",     "properties",           "title",
                                        "required", "additionalProperties", "$schema"};
    const char *name;
    json_t *value, *type = json_object_get(schema, "type");
    json_t *properties = json_object_get(schema, "properties");
    if (!has_only(schema, known, RW_COUNT(known)) || (properties && !json_is_object(properties)) ||
        (type && (!json_is_string(type) || strcmp(json_string_value(type), "object") != 0)) ||
        json_is_object(json_object_get(schema, "additionalProperties")))
        return false;
    bool first = true;
    json_object_foreach(properties, name, value)
    {
        if (!is_plain(name))
            return false;
        rw_str_printf(out, "%s%s%s: ", first ? "" : ", ", name,
                      is_required(schema, name) ? "" : "?");
        if (!add_type(value, out))
            return false;
        first = false;
    }
    return true;
}

/* "a" | "b" */
static bool add_choices(const json_t *choices, struct rw_str *out)
{
    size_t i;
    json_t *choice;
    json_array_foreach(choices, i, choice)
    {
        if (!json_is_string(choice))
            return false;
        rw_str_adds(out, i ? " | \"" : "\"");
        rw_str_add_json(out, json_string_value(choice), json_string_length(choice));
        rw_str_addc(out, '"');
    }
    return json_array_size(choices) > 0;
}

static bool add_array_type(json_t *schema, struct rw_str *out)
{
    json_t *items = json_object_get(schema, "items");
    bool choices = json_object_get(items, "enum") != NULL;
    rw_str_adds(out, choices ? "(" : "");
    if (!items)
        rw_str_adds(out, "any");
    else if (!add_type(items, out))
        return false;
    rw_str_adds(out, choices ? ")[]" : "[]");
    return true;
}

/* A type in the manner of TypeScript; false if the schema says more than that can. */
static bool add_type(json_t *schema, struct rw_str *out)
{
    static const char *const known[] = {"type", "enum", "items", "title"};
    static const char *const simple[] = {"string", "number", "integer", "boolean", "null"};
    const char *type = json_string_value(json_object_get(schema, "type"));
    if (!json_is_object(schema))
        return false;
    if (type && strcmp(type, "object") == 0) {
        if (!json_object_get(schema, "properties")) {
            rw_str_adds(out, "object");
            return has_only(schema, known, RW_COUNT(known));
        }
        rw_str_addc(out, '{');
        bool said = add_members(schema, out);
        rw_str_addc(out, '}');
        return said;
    }
    if (!has_only(schema, known, RW_COUNT(known)))
        return false;
    if (json_object_get(schema, "enum"))
        return add_choices(json_object_get(schema, "enum"), out);
    if (type && strcmp(type, "array") == 0)
        return add_array_type(schema, out);
    for (size_t i = 0; type && i < RW_COUNT(simple); i++)
        if (strcmp(type, simple[i]) == 0) {
            rw_str_adds(out, type);
            return true;
        }
    return false;
}

/* The line of a tool; false if a line cannot say all. */
static bool add_line(const rwkv_tool *tool, json_t *parameters, struct rw_str *out)
{
    if ((tool->description && tool->description[0]) || !is_plain(tool->name))
        return false;
    rw_str_printf(out, "- %s(", tool->name);
    bool said = add_members(parameters, out);
    rw_str_adds(out, ")\n");
    return said;
}

/* --- definitions as JSON ---------------------------------------------------------------------- */

static void add_json(struct rw_str *out, const json_t *value)
{
    char *text = json_dumps(value, DUMP);
    if (text)
        rw_str_adds(out, text);
    else
        out->failed = true;
    free(text);
}

/* `prefix`, then the text as a JSON string. */
static void add_string(struct rw_str *out, const char *prefix, const char *text)
{
    rw_str_adds(out, prefix);
    rw_str_addc(out, '"');
    rw_str_add_json(out, text, strlen(text));
    rw_str_addc(out, '"');
}

/* The arguments by name, as the form has them; which are required, if not all are; or the whole
 * schema, if there is more to it. */
static void add_arguments(json_t *schema, struct rw_str *out)
{
    static const char *const usual[] = {"type",     "properties",           "title",  "description",
                                        "required", "additionalProperties", "$schema"};
    json_t *properties = json_object_get(schema, "properties"), *value;
    const char *name;
    bool all = true;
    rw_str_adds(out, ",\"arguments\":");
    if (!has_only(schema, usual, RW_COUNT(usual)) || (properties && !json_is_object(properties))) {
        add_json(out, schema);
        return;
    }
    if (!properties)
        rw_str_adds(out, "{}");
    else
        add_json(out, properties);
    json_object_foreach(properties, name, value) all = all && is_required(schema, name);
    if (all)
        return;
    json_t *required = json_object_get(schema, "required");
    rw_str_adds(out, ",\"required\":");
    if (json_is_array(required))
        add_json(out, required);
    else
        rw_str_adds(out, "[]");
}

static void add_object(const rwkv_tool *tool, json_t *parameters, struct rw_str *out)
{
    add_string(out, "{\"name\":", tool->name);
    if (tool->description && tool->description[0])
        add_string(out, ",\"description\":", tool->description);
    add_arguments(parameters, out);
    rw_str_addc(out, '}');
}

/* Append all tools in one of the forms. *said: whether it could say all. */
static rwkv_status add_all(const rwkv_chat *chat, bool as_json, struct rw_str *out, bool *said,
                           rwkv_error *err)
{
    *said = true;
    for (size_t i = 0; i < chat->n_tools && *said; i++) {
        json_t *parameters;
        RW_TRY(parse_parameters(&chat->tools[i], &parameters, err));
        if (as_json) {
            rw_str_adds(out, i ? ",\n" : "[");
            add_object(&chat->tools[i], parameters, out);
        } else {
            *said = add_line(&chat->tools[i], parameters, out);
        }
        json_decref(parameters);
    }
    return RWKV_OK;
}

rwkv_status rw_chat_add_tools(const rwkv_chat *chat, struct rw_str *out, rwkv_error *err)
{
    bool said;
    rw_str_adds(out, "Tools:\n");
    size_t begin = out->size;
    RW_TRY(add_all(chat, false, out, &said, err));
    if (said)
        return RWKV_OK;
    out->size = begin;
    RW_TRY(add_all(chat, true, out, &said, err));
    rw_str_adds(out, "]\n");
    return RWKV_OK;
}

/* --- calls and what comes back ---------------------------------------------------------------- */

/* JSON as it is, anything else as a string. */
static void add_value(struct rw_str *out, const char *text)
{
    if (rw_json_scan_text(text, strlen(text)))
        rw_chat_add_folded(out, text);
    else
        add_string(out, "", text);
}

static void add_call(const rwkv_tool_call *call, struct rw_str *out)
{
    const char *arguments = call->arguments ? call->arguments : "";
    arguments += strspn(arguments, " \t\r\n");
    add_string(out, "{\"name\":", call->name);
    rw_str_adds(out, ",\"arguments\":");
    if (!arguments[0])
        rw_str_adds(out, "{}");
    else if (arguments[0] == '{')
        add_value(out, arguments);
    else
        add_string(out, "", arguments);
    rw_str_addc(out, '}');
}

void rw_chat_add_calls(const rwkv_message *message, struct rw_str *out)
{
    bool several = message->n_calls > 1;
    rw_str_adds(out, several ? "```json\n[" : "```json\n");
    for (size_t i = 0; i < message->n_calls; i++) {
        rw_str_adds(out, i ? ",\n" : "");
        add_call(&message->calls[i], out);
    }
    rw_str_adds(out, several ? "]\n```" : "\n```");
}

void rw_chat_add_output(const char *text, struct rw_str *out)
{
    add_value(out, text);
}

/* --- the schema of calls ---------------------------------------------------------------------- */

/* References inside a schema are to its own root: move them to where it will stand. */
static bool move_references(json_t *value, const char *base)
{
    const char *key;
    json_t *member;
    size_t i;
    bool moved = true;
    json_array_foreach(value, i, member) moved = moved && move_references(member, base);
    json_object_foreach(value, key, member) moved = moved && move_references(member, base);
    member = json_object_get(value, "$ref");
    if (!json_is_string(member) || json_string_value(member)[0] != '#')
        return moved;
    json_t *target = json_sprintf("#%s%s", base, json_string_value(member) + 1);
    return json_object_set_new(value, "$ref", target) == 0 && moved;
}

static rwkv_status add_call_schema(const rwkv_tool *tool, size_t index, bool several,
                                   struct rw_str *out, rwkv_error *err)
{
    char base[80];
    json_t *parameters;
    snprintf(base, sizeof base, "%s/anyOf/%zu/properties/arguments", several ? "/anyOf/0" : "",
             index);
    RW_TRY(parse_parameters(tool, &parameters, err));
    rw_str_adds(out, index ? "," : "");
    add_string(out, "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":", tool->name);
    rw_str_adds(out, "},\"arguments\":");
    if (json_object_size(parameters) == 0)
        rw_str_adds(out, "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    else if (move_references(parameters, base))
        add_json(out, parameters);
    else
        out->failed = true;
    rw_str_adds(out, "},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}");
    json_decref(parameters);
    return RWKV_OK;
}

rwkv_status rw_chat_call_schema(const rwkv_chat *chat, bool several, struct rw_str *out,
                                rwkv_error *err)
{
    bool told, named = chat->tool_choice == RWKV_TOOL_NAMED;
    size_t n = 0;
    RW_TRY(rw_chat_check_tools(chat, &told, err));
    if (!told)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted tools that may be called, found none");
    rw_str_adds(out, several ? "{\"anyOf\":[{\"anyOf\":[" : "{\"anyOf\":[");
    for (size_t i = 0; i < chat->n_tools; i++)
        if (!named || strcmp(chat->tools[i].name, chat->tool_name) == 0)
            RW_TRY(add_call_schema(&chat->tools[i], n++, several, out, err));
    rw_str_adds(out, "]}");
    if (several)
        rw_str_adds(out,
                    ",{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/anyOf/0\"}}]}");
    if (out->failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the schema of %zu tools",
                       chat->n_tools);
    return RWKV_OK;
}
