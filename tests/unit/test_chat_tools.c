/* SPDX-License-Identifier: Apache-2.0 */
/* Tools in the chat form: definitions, calls, the opening of an answer that must be a call, and the
 * schema of calls. */
#include "unit.h"

#include <jansson.h>
#include <string.h>

#include "base/status.h"
#include "rwkv.h"

#define END "Return only a JSON function call.\n\nUser: q\n\nAssistant:"

static const rwkv_message question = {.role = RWKV_ROLE_USER, .text = "q"};

static void expect_chat(const rwkv_chat *chat, const char *wanted)
{
    rwkv_chat_prompt prompt;
    rwkv_error err = {0};

    if (rwkv_chat_render(chat, &prompt, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    assert_string_equal(prompt.text, wanted);
    rwkv_chat_prompt_fini(&prompt);
}

/* What one tool of these parameters is told as, without the frame around it. */
static void expect_tool(const char *parameters, const char *description, const char *wanted)
{
    const rwkv_tool tool = {"f", description, parameters};
    const rwkv_chat chat = {.messages = &question, .n_messages = 1, .tools = &tool, .n_tools = 1};
    char text[1024];

    snprintf(text, sizeof text, "System: Tools:\n%s\n" END, wanted);
    expect_chat(&chat, text);
}

#define OBJECT(properties) "{\"type\":\"object\",\"properties\":{" properties "}"

static void test_lines(void **state)
{
    (void)state;
    expect_tool(NULL, NULL, "- f()");
    expect_tool("{}", "", "- f()");
    expect_tool("{\"type\": \"object\", \"properties\": {}}", NULL, "- f()");
    expect_tool(
        OBJECT(
            "\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"integer\",\"title\":\"B\"}") ",\"require"
                                                                                        "d\":["
                                                                                        "\"a\"],"
                                                                                        "\"addition"
                                                                                        "alProperti"
                                                                                        "es\":"
                                                                                        "false}",
        NULL, "- f(a: string, b?: integer)");
    expect_tool(OBJECT("\"a\":{\"enum\":[\"x\",\"y z\\n\"]},\"b\":{\"type\":\"array\"},"
                       "\"c\":{\"type\":\"array\",\"items\":{\"enum\":[\"x\"]}},"
                       "\"d\":{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":"
                       "{\"type\":\"number\"}}}") ",\"required\":[\"a\",\"b\",\"c\",\"d\"]}",
                NULL, "- f(a: \"x\" | \"y z\\n\", b: any[], c: (\"x\")[], d: number[][])");
    expect_tool(OBJECT("\"a\":{\"type\":\"object\"},\"b\":" OBJECT(
                    "\"c\":{\"type\":\"null\"}") "},"
                                                 "\"d\":{\"type\":\"boolean\"}") "}",
                NULL, "- f(a?: object, b?: {c?: null}, d?: boolean)");
}

/* Whatever a line cannot say makes it JSON. */
static void test_json(void **state)
{
    (void)state;
    expect_tool(NULL, "Does\n\nthings.",
                "[{\"name\":\"f\",\"description\":\"Does\\n\\nthings.\",\"arguments\":{}}]");
    expect_tool(
        OBJECT("\"a\": {\"type\": \"string\", \"description\": \"A.\"}") ",\"required\":[\"a\"]}",
        NULL,
        "[{\"name\":\"f\",\"arguments\":{\"a\":{\"type\":\"string\",\"description\":\"A.\"}}}]");
    expect_tool(
        OBJECT("\"a\":{\"type\":\"number\",\"minimum\":0.1},\"b\":{\"type\":\"string\"}") ",\"requi"
                                                                                          "red\":["
                                                                                          "\"b\"]}",
        NULL,
        "[{\"name\":\"f\",\"arguments\":{\"a\":{\"type\":\"number\",\"minimum\":0.1},"
        "\"b\":{\"type\":\"string\"}},\"required\":[\"b\"]}]");
    expect_tool(
        OBJECT("\"a\":{\"$ref\":\"#/$defs/x\"}") ",\"$defs\":{\"x\":{}}}", NULL,
        "[{\"name\":\"f\",\"arguments\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":"
        "\"#/$defs/x\"}},\"$defs\":{\"x\":{}}}}]");
    expect_tool(OBJECT("\"a b\":{\"type\":\"string\"}") "}", NULL,
                "[{\"name\":\"f\",\"arguments\":{\"a b\":{\"type\":\"string\"}},\"required\":[]}]");
    expect_tool(OBJECT("\"a\":{\"type\":[\"string\",\"null\"]}") ",\"required\":[\"a\"]}", NULL,
                "[{\"name\":\"f\",\"arguments\":{\"a\":{\"type\":[\"string\",\"null\"]}}}]");
    expect_tool("{\"type\":\"object\",\"properties\":7}", NULL,
                "[{\"name\":\"f\",\"arguments\":{\"type\":\"object\",\"properties\":7}}]");
}

static void test_frame(void **state)
{
    const rwkv_message messages[] = {{.role = RWKV_ROLE_SYSTEM, .text = "Be brief.\n\nBe kind."},
                                     {.role = RWKV_ROLE_USER, .text = "q"}};
    const rwkv_tool tools[] = {{.name = "f"}, {.name = "g", .description = "G."}};
    rwkv_chat chat = {.messages = messages, .n_messages = 2, .tools = tools, .n_tools = 1};

    (void)state;
    expect_chat(&chat, "System: Tools:\n- f()\nBe brief.\nBe kind.\n" END);
    chat.n_tools = 2;
    expect_chat(&chat, "System: Tools:\n[{\"name\":\"f\",\"arguments\":{}},\n{\"name\":\"g\","
                       "\"description\":\"G.\",\"arguments\":{}}]\nBe brief.\nBe kind.\n" END);
    chat.tool_choice = RWKV_TOOL_NONE;
    expect_chat(&chat, "System: Be brief.\nBe kind.\n\nUser: q\n\nAssistant:");
}

static void test_choice(void **state)
{
    static const char *const openings[] = {
        [RWKV_THINK_OFF] = END " ```json",
        [RWKV_THINK_ON] = END " <think>\n</think>\n```json",
        [RWKV_THINK_FAST] = END " <think>\n</think>\n```json",
    };
    const rwkv_tool tool = {.name = "f"};
    rwkv_chat chat = {.messages = &question, .n_messages = 1, .tools = &tool, .n_tools = 1};
    char text[256];

    (void)state;
    for (size_t i = 0; i < RW_COUNT(openings); i++) {
        snprintf(text, sizeof text, "System: Tools:\n- f()\n%s", openings[i]);
        chat.think = (rwkv_think)i;
        chat.tool_choice = RWKV_TOOL_REQUIRED;
        expect_chat(&chat, text);
        chat.tool_choice = RWKV_TOOL_NAMED;
        chat.tool_name = "f";
        expect_chat(&chat, text);
    }
    chat.n_tools = 0; /* nothing can be demanded of no tools */
    chat.think = RWKV_THINK_OFF;
    expect_chat(&chat, "User: q\n\nAssistant:");
}

static void test_history(void **state)
{
    const rwkv_tool_call calls[] = {
        {"f", " {\"a\": 1,\n\n\"b\":\"x\"} "}, {"g\n", ""}, {"h", "{\"cut\":"}, {"i", "[1]"}};
    const rwkv_message messages[] = {
        {.role = RWKV_ROLE_USER, .text = "q"},
        {.role = RWKV_ROLE_ASSISTANT, .calls = calls, .n_calls = 1},
        {.role = RWKV_ROLE_TOOL, .text = "{\"x\":1}"},
        {.role = RWKV_ROLE_ASSISTANT,
         .text = "<think>no</think> More.",
         .calls = calls + 1,
         .n_calls = 3},
        {.role = RWKV_ROLE_TOOL, .text = "1"},
        {.role = RWKV_ROLE_TOOL, .text = "2"},
    };
    const rwkv_chat chat = {.messages = messages, .n_messages = RW_COUNT(messages)};

    (void)state;
    expect_chat(&chat, "User: q\n\nAssistant: ```json\n{\"name\":\"f\",\"arguments\":{\"a\": 1,\n"
                       "\"b\":\"x\"}}\n```\n\nUser: Function output:\n{\"x\":1}\n\n"
                       "Assistant: More.\n```json\n[{\"name\":\"g\\n\",\"arguments\":{}},\n"
                       "{\"name\":\"h\",\"arguments\":\"{\\\"cut\\\":\"},\n"
                       "{\"name\":\"i\",\"arguments\":\"[1]\"}]\n```\n\n"
                       "User: Function output:\n1\n\nUser: Function output:\n2\n\nAssistant:");
}

static void expect_refusal(const rwkv_chat *chat, const char *wanted)
{
    rwkv_chat_prompt prompt;
    rwkv_error err = {0};
    size_t size;

    assert_int_equal(rwkv_chat_render(chat, &prompt, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, wanted);
    assert_int_equal(rwkv_chat_call_schema(chat, 0, NULL, 0, &size, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, wanted);
}

static void test_refusals(void **state)
{
    const rwkv_tool nameless = {0}, empty = {.name = ""}, twice[] = {{.name = "f"}, {.name = "f"}};
    const rwkv_tool broken = {.name = "f", .parameters = "{\"a\""};
    const rwkv_tool list = {.name = "f", .parameters = "[]"};
    rwkv_chat chat = {.n_tools = 1};

    (void)state;
    expect_refusal(&chat, "wanted 1 tools, found NULL");
    chat.tools = &nameless;
    expect_refusal(&chat, "tool 0: wanted a name, found NULL");
    chat.tools = &empty;
    expect_refusal(&chat, "tool 0: wanted a name, found an empty one");
    chat.tools = &broken;
    expect_refusal(&chat, "tool f: parameters: byte 4: ':' expected near end of file");
    chat.tools = &list;
    expect_refusal(&chat,
                   "tool f: parameters: wanted a JSON schema, which is an object, found '[]'");
    chat.tools = twice;
    chat.tool_choice = (rwkv_tool_choice)7;
    expect_refusal(&chat, "no such choice of tools: 7");
    chat.tool_choice = RWKV_TOOL_NAMED;
    expect_refusal(&chat, "tool_name: wanted the name of a tool, found NULL");
    chat.tool_name = "g";
    expect_refusal(&chat, "tool_name: wanted the name of a tool, found g");
    chat.n_tools = 2;
    expect_refusal(&chat, "two tools of the name f");
}

/* --- the schema of calls ---------------------------------------------------------------------- */

/* Compare as JSON, and into every smaller room. */
static void expect_schema(const rwkv_chat *chat, int several, const char *wanted)
{
    char text[2048];
    size_t size = 0;
    rwkv_error err = {0};

    if (rwkv_chat_call_schema(chat, several, text, sizeof text, &size, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(wanted));
    json_t *parsed = json_loads(text, 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    for (size_t capacity = 0; capacity <= size + 1; capacity++) {
        memset(text, '#', sizeof text);
        assert_int_equal(rwkv_chat_call_schema(chat, several, text, capacity, &size, NULL), 0);
        assert_memory_equal(text, wanted, RW_MIN(capacity, size + 1));
        assert_int_equal(text[capacity], '#');
    }
}

#define CALL(name, arguments)                                          \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"" name \
    "\"},\"arguments\":" arguments                                     \
    "},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}"
#define NOTHING "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"

static void test_schema(void **state)
{
    const rwkv_tool tools[] = {
        {.name = "f"},
        {.name = "g\"",
         .parameters = "{\"properties\": {\"a\": {\"anyOf\": [{\"$ref\": \"#/$defs/x\"}, "
                       "{\"$ref\": \"http://other\"}]}, \"$ref\": {\"type\": \"string\"}}}"}};
    rwkv_chat chat = {.tools = tools, .n_tools = 2};
    size_t size;
    rwkv_error err = {0};

    (void)state;
#define G(base)                                                                             \
    CALL("g\\\"", "{\"properties\":{\"a\":{\"anyOf\":[{\"$ref\":\"#" base                   \
                  "/properties/arguments/$defs/x\"},{\"$ref\":\"http://other\"}]},\"$ref\"" \
                  ":{\"type\":\"string\"}}}")
    expect_schema(&chat, 0, "{\"anyOf\":[" CALL("f", NOTHING) "," G("/anyOf/1") "]}");
    expect_schema(&chat, 1,
                  "{\"anyOf\":[{\"anyOf\":[" CALL("f", NOTHING) "," G(
                      "/anyOf/0/anyOf/1") "]},"
                                          "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":"
                                          "\"#/anyOf/0\"}}]}");
    chat.tool_choice = RWKV_TOOL_NAMED;
    chat.tool_name = "g\"";
    expect_schema(&chat, 0, "{\"anyOf\":[" G("/anyOf/0") "]}");
    chat.tool_choice = RWKV_TOOL_NONE;
    assert_int_equal(rwkv_chat_call_schema(&chat, 0, NULL, 0, &size, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, "wanted tools that may be called, found none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_json),
        cmocka_unit_test(test_frame),   cmocka_unit_test(test_choice),
        cmocka_unit_test(test_history), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
