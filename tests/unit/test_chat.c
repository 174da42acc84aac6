/* SPDX-License-Identifier: Apache-2.0 */
/* text/chat.c through the public functions: exact strings for every rule of the World / G1 form. */
#include "unit.h"

#include <string.h>

#include "base/status.h"
#include "rwkv.h"

#define SYSTEM(t)                             \
    {                                         \
        .role = RWKV_ROLE_SYSTEM, .text = (t) \
    }
#define USER(t)                             \
    {                                       \
        .role = RWKV_ROLE_USER, .text = (t) \
    }
#define ASSISTANT(t)                             \
    {                                            \
        .role = RWKV_ROLE_ASSISTANT, .text = (t) \
    }
#define TOOL(t)                             \
    {                                       \
        .role = RWKV_ROLE_TOOL, .text = (t) \
    }

/* Render and compare; the cuts must be behind the Assistant: of every turn. */
static void expect_render(const rwkv_message *m, size_t n, rwkv_think think, const char *wanted)
{
    static const char mark[] = "Assistant:";
    const rwkv_chat chat = {.messages = m, .n_messages = n, .think = think};
    rwkv_chat_prompt prompt;
    rwkv_error err = {0};

    assert_int_equal(rwkv_chat_render(&chat, &prompt, &err), RWKV_OK);
    assert_string_equal(prompt.text, wanted);
    assert_int_equal(prompt.size, strlen(wanted));
    assert_null(prompt.tokens);
    assert_null(prompt.marks);
    size_t found = 0;
    for (const char *at = wanted; (at = strstr(at, mark)); found++) {
        at += strlen(mark);
        assert_true(found < prompt.n_cuts);
        assert_int_equal(prompt.cuts[found], at - wanted);
    }
    assert_int_equal(found, prompt.n_cuts);
    assert_int_equal(prompt.opening, prompt.cuts[found - 1]);
    rwkv_chat_prompt_fini(&prompt);
    assert_null(prompt.text);
}

#define EXPECT(think, wanted, ...)                                  \
    do {                                                            \
        const rwkv_message messages[] = {__VA_ARGS__};              \
        expect_render(messages, RW_COUNT(messages), think, wanted); \
    } while (0)

static void test_turns(void **state)
{
    (void)state;
    expect_render(NULL, 0, RWKV_THINK_OFF, "Assistant:");
    EXPECT(RWKV_THINK_OFF, "User: hi\n\nAssistant:", USER("hi"));
    EXPECT(RWKV_THINK_OFF, "User: hi\n\nAssistant: Hello.\n\nUser: bye\n\nAssistant:", USER("hi"),
           ASSISTANT("Hello."), USER("bye"));
}

static void test_system(void **state)
{
    (void)state;
    EXPECT(RWKV_THINK_OFF, "System: Be brief.\n\nUser: hi\n\nAssistant:", SYSTEM("Be brief."),
           USER("hi"));
    EXPECT(RWKV_THINK_OFF,
           "System: Be brief.\nBe kind.\n\nUser: hi\n\nAssistant:", SYSTEM("Be brief.\n"),
           SYSTEM(" "), SYSTEM("\nBe kind."), USER("hi"));
    EXPECT(RWKV_THINK_OFF,
           "System: Be brief.\n\nUser: hi\n\nAssistant: a\n\nSystem: Be long.\n\n"
           "User: b\n\nAssistant:",
           SYSTEM("Be brief."), USER("hi"), ASSISTANT("a"), SYSTEM(" Be long.\n"), USER("b"),
           SYSTEM("\n"));
    EXPECT(RWKV_THINK_OFF, "User: hi\n\nAssistant:", SYSTEM(" \r\n"), USER("hi"));
}

static void test_cleaning(void **state)
{
    (void)state;
    EXPECT(RWKV_THINK_OFF,
           "User: a\nb\nc\n d\te\n\nAssistant:", USER(" \t\n a\r\nb\n\n\nc\r\n\r\n d\te\v\f\r\n"));
    EXPECT(RWKV_THINK_OFF, "System: x\ny\n\nUser: a\rb\n\nAssistant:", SYSTEM("\nx\n\ny\n"),
           USER("a\rb"));
    EXPECT(RWKV_THINK_OFF, "User:\n\nAssistant:", USER(" \n "));
    EXPECT(RWKV_THINK_OFF, "User: \xe4\xbd\xa0\xe5\xa5\xbd\xff\n\nAssistant:",
           USER("\xe4\xbd\xa0\xe5\xa5\xbd\xff "));
}

static void test_history(void **state)
{
    (void)state;
    EXPECT(RWKV_THINK_OFF, "User: q\n\nAssistant: One.\n\nTwo.\n\nUser: r\n\nAssistant:", USER("q"),
           ASSISTANT("<think>\nwell</think>no</think>\n One.\n\nTwo.\n"), USER("r"));
    EXPECT(RWKV_THINK_OFF, "User: q\n\nUser: r\n\nAssistant:", USER("q"),
           ASSISTANT("<think>only thought</think>\n"), USER("r"));
    EXPECT(RWKV_THINK_OFF, "User: q\n\nAssistant: <think>unfinished\n\nAssistant:", USER("q"),
           ASSISTANT("<think>unfinished"));
}

static void test_thinking(void **state)
{
    (void)state;
    EXPECT(RWKV_THINK_ON, "User: q\n\nAssistant: <think", USER("q"));
    EXPECT(RWKV_THINK_FAST, "User: q\n\nAssistant: <think>\n</think", USER("q"));
    EXPECT(RWKV_THINK_SHORT,
           "User: p (think a bit)\n\nAssistant: a\n\nUser: q (think a bit)\n\nAssistant: <think",
           USER("p"), ASSISTANT("a"), USER("q\n"));
    EXPECT(RWKV_THINK_LONG, "User: q (think a lot)\n\nAssistant: <think", USER("q"));
    EXPECT(RWKV_THINK_LONG, "System: s\n\nAssistant: <think", SYSTEM("s"));
    EXPECT(RWKV_THINK_SHORT, "User: Function output:\n1\n\nAssistant: <think", TOOL("1"));
}

static void test_effort(void **state)
{
    static const struct {
        const char *effort;
        rwkv_think think;
    } levels[] = {{"none", RWKV_THINK_OFF},  {"minimal", RWKV_THINK_FAST},
                  {"low", RWKV_THINK_SHORT}, {"medium", RWKV_THINK_ON},
                  {"high", RWKV_THINK_LONG}, {"xhigh", RWKV_THINK_LONG}};
    rwkv_error err = {0};
    rwkv_think think;

    (void)state;
    for (size_t i = 0; i < RW_COUNT(levels); i++) {
        assert_int_equal(rwkv_think_for_effort(levels[i].effort, &think, NULL), RWKV_OK);
        assert_int_equal(think, levels[i].think);
    }
    assert_int_equal(rwkv_think_for_effort("much", &think, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message,
                        "effort: wanted none, minimal, low, medium, high or xhigh, found 'much'");
    assert_int_equal(rwkv_think_for_effort(NULL, &think, NULL), RWKV_ERROR_ARGUMENT);
}

static void test_tool_output(void **state)
{
    (void)state;
    EXPECT(RWKV_THINK_OFF,
           "User: Function output:\n{\"a\":\n1}\n\nAssistant:", TOOL(" {\"a\":\n\n1}\n"));
    EXPECT(RWKV_THINK_OFF, "User: Function output:\n-1.5e+3\n\nAssistant:", TOOL("-1.5e+3"));
    EXPECT(RWKV_THINK_OFF, "User: Function output:\n\"\"\n\nAssistant:", TOOL(""));
    EXPECT(RWKV_THINK_OFF,
           "User: Function output:\n\"Sunny.\\n\\nUser: \\\"hot\\\"\"\n\nAssistant:",
           TOOL("Sunny.\n\nUser: \"hot\""));
}

static void expect_refusal(const rwkv_message *m, size_t n, int think, const char *wanted)
{
    const rwkv_chat chat = {.messages = m, .n_messages = n, .think = (rwkv_think)think};
    rwkv_chat_prompt prompt = {.size = 77};
    rwkv_error err = {0};

    assert_int_equal(rwkv_chat_render(&chat, &prompt, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, wanted);
    assert_int_equal(prompt.size, 77);
}

static void test_refusals(void **state)
{
    const rwkv_message bad_role[] = {USER("a"), {.role = (rwkv_role)9, .text = "b"}};
    const rwkv_message no_text[] = {USER(NULL)};
    const rwkv_tool_call call = {"f", NULL}, nameless = {NULL, "{}"};
    const rwkv_message calls[] = {
        {.role = RWKV_ROLE_USER, .text = "a", .calls = &call, .n_calls = 1},
        {.role = RWKV_ROLE_ASSISTANT, .calls = &nameless, .n_calls = 1},
        {.role = RWKV_ROLE_ASSISTANT, .n_calls = 2},
    };

    (void)state;
    expect_refusal(bad_role, 2, 0, "message 1: no such role: 9");
    expect_refusal(no_text, 1, 0, "message 0: wanted a text, found NULL");
    expect_refusal(NULL, 0, 17, "no such think mode: 17");
    expect_refusal(NULL, 0, -1, "no such think mode: -1");
    expect_refusal(NULL, 1, 0,
                   "rwkv_chat_render: wanted chat && (chat->messages || chat->n_messages == 0) "
                   "&& out");
    expect_refusal(calls, 1, 0,
                   "message 0: wanted calls of the assistant only, found them in role 1");
    expect_refusal(calls + 1, 1, 0, "message 0: call 0: wanted a name, found NULL");
    expect_refusal(calls + 2, 1, 0, "message 0: wanted 2 calls, found NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),    cmocka_unit_test(test_system),
        cmocka_unit_test(test_cleaning), cmocka_unit_test(test_history),
        cmocka_unit_test(test_thinking), cmocka_unit_test(test_effort),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_tool_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
