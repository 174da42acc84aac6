/* SPDX-License-Identifier: Apache-2.0 */
/* text/chat.c through the public function: exact strings for every rule of the World / G1 form. */
#include "unit.h"

#include <string.h>

#include "base/status.h"
#include "rwkv.h"

#define SYSTEM(t)           \
    {                       \
        RWKV_ROLE_SYSTEM, t \
    }
#define USER(t)           \
    {                     \
        RWKV_ROLE_USER, t \
    }
#define ASSISTANT(t)           \
    {                          \
        RWKV_ROLE_ASSISTANT, t \
    }

/* Render and compare, whole and into every smaller room. */
static void expect_render(const rwkv_message *m, size_t n, rwkv_think think, const char *wanted)
{
    char text[512];
    size_t size = 0, length = strlen(wanted);
    rwkv_error err = {0};

    assert_int_equal(rwkv_chat_render(m, n, think, text, sizeof text, &size, &err), RWKV_OK);
    assert_string_equal(text, wanted);
    assert_int_equal(size, length);
    for (size_t capacity = 0; capacity <= length + 1; capacity++) {
        memset(text, '#', sizeof text);
        size = 0;
        assert_int_equal(rwkv_chat_render(m, n, think, text, capacity, &size, NULL), RWKV_OK);
        assert_int_equal(size, length);
        assert_memory_equal(text, wanted, capacity > length ? length + 1 : capacity);
        assert_int_equal(text[capacity], '#');
    }
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

static void test_system_comes_first(void **state)
{
    (void)state;
    EXPECT(RWKV_THINK_OFF, "System: Be brief.\n\nUser: hi\n\nAssistant:", SYSTEM("Be brief."),
           USER("hi"));
    EXPECT(RWKV_THINK_OFF, "System: Be long.\n\nUser: hi\n\nAssistant: a\n\nUser: b\n\nAssistant:",
           SYSTEM("Be brief."), USER("hi"), ASSISTANT("a"), SYSTEM(" Be long.\n"), USER("b"));
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
           "User: p\n\nAssistant: a\n\nUser: q (think a bit)\n\nAssistant: <think", USER("p"),
           ASSISTANT("a"), USER("q\n"));
    EXPECT(RWKV_THINK_LONG, "User: q (think a lot)\n\nAssistant: <think", USER("q"));
    EXPECT(RWKV_THINK_LONG, "System: s\n\nAssistant: <think", SYSTEM("s"));
}

static void expect_refusal(const rwkv_message *m, size_t n, int think, const char *wanted)
{
    char text[8] = "before";
    size_t size = 77;
    rwkv_error err = {0};

    assert_int_equal(rwkv_chat_render(m, n, (rwkv_think)think, text, sizeof text, &size, &err),
                     RWKV_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, wanted));
    assert_string_equal(text, "before");
    assert_int_equal(size, 77);
}

static void test_refusals(void **state)
{
    const rwkv_message bad_role[] = {USER("a"), {(rwkv_role)9, "b"}};
    const rwkv_message no_text[] = {USER(NULL)};

    (void)state;
    expect_refusal(bad_role, 2, 0, "message 1: no such role: 9");
    expect_refusal(no_text, 1, 0, "message 0: wanted a text, found NULL");
    expect_refusal(NULL, 0, 17, "no such think mode: 17");
    expect_refusal(NULL, 0, -1, "no such think mode: -1");
    expect_refusal(NULL, 1, 0, "NULL");
    assert_int_equal(rwkv_chat_render(NULL, 0, RWKV_THINK_OFF, NULL, 0, NULL, NULL),
                     RWKV_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),    cmocka_unit_test(test_system_comes_first),
        cmocka_unit_test(test_cleaning), cmocka_unit_test(test_history),
        cmocka_unit_test(test_thinking), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
