/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prompts as tokens: what states are found again by. Random conversations grow turn by turn, with
 * every think mode and with tools; the tokens of each prompt, up to the "Assistant:" it ends with,
 * must be those that every later prompt begins with. With the byte vocabulary, a small one whose
 * tokens reach across the cuts, and the World vocabulary where it is present.
 */
#include "unit.h"

#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "base/str.h"
#include "rwkv.h"
#include "text/vocab.h"

#define TURNS 12

static struct rwkv_vocab *vocabs[3];
static size_t n_vocabs;

/* All bytes, and tokens that would be taken across cuts and ends of turns if nothing prevented
 * it. */
static struct rwkv_vocab *make_vocab(void)
{
    static const char *const long_tokens[] = {"Assistant: ", ": ", "\\n\\nUser:", "\\n\\n", "User"};
    struct rw_str text = {0};
    struct rwkv_vocab *vocab = NULL;
    int id = 1;

    for (int byte = 0; byte < 256; byte++)
        rw_str_printf(&text, "%d b'\\x%02x' 1\n", id++, byte);
    for (size_t i = 0; i < RW_COUNT(long_tokens); i++) {
        size_t size = strlen(long_tokens[i]);
        for (const char *c = long_tokens[i]; *c; c++)
            size -= *c == '\\';
        rw_str_printf(&text, "%d '%s' %zu\n", id++, long_tokens[i], size);
    }
    assert_int_equal(rw_vocab_from_memory(text.data, text.size, "made", &vocab, NULL), RWKV_OK);
    rw_str_fini(&text);
    return vocab;
}

static int open_vocabs(void **state)
{
    char path[1024];

    (void)state;
    assert_int_equal(rw_vocab_bytes(&vocabs[n_vocabs++], NULL), RWKV_OK);
    vocabs[n_vocabs++] = make_vocab();
    if (access(unit_shared(path, "data/" RW_VOCAB_FILE_NAME), R_OK) == 0)
        assert_int_equal(rw_vocab_open(path, &vocabs[n_vocabs++], NULL), RWKV_OK);
    else
        printf("without the World vocabulary: %s is absent\n", path);
    return 0;
}

static int free_vocabs(void **state)
{
    (void)state;
    while (n_vocabs > 0)
        rw_vocab_release(vocabs[--n_vocabs]);
    return 0;
}

/* --- what an encoded prompt must be ----------------------------------------------------------- */

/* The bytes of the first tokens. */
static size_t bytes_of(const rwkv_vocab *vocab, const int32_t *tokens, size_t n)
{
    size_t sum = 0, size;
    for (size_t i = 0; i < n; i++) {
        rwkv_vocab_token(vocab, tokens[i], &size);
        sum += size;
    }
    return sum;
}

static void check_prompt(const rwkv_vocab *vocab, const rwkv_chat_prompt *p)
{
    size_t size = 0, cut = 0;
    char *back = malloc(p->size + 1);

    assert_non_null(back);
    assert_int_equal(
        rwkv_vocab_decode(vocab, p->tokens, p->n_tokens, back, p->size + 1, &size, NULL), RWKV_OK);
    assert_int_equal(size, p->size);
    assert_memory_equal(back, p->text, size);
    free(back);
    assert_int_equal(bytes_of(vocab, p->tokens, p->opening_token), p->opening);
    for (size_t i = 0; i < p->n_marks; i++) {
        size_t at = bytes_of(vocab, p->tokens, p->marks[i]);
        assert_true(i == 0 || p->marks[i] > p->marks[i - 1]);
        if (cut < p->n_cuts && p->cuts[cut] == at)
            cut++;
        else
            assert_memory_equal(p->text + at - 2, "\n\n", 2);
    }
    assert_int_equal(cut, p->n_cuts); /* every cut is a mark */
    assert_int_equal(p->marks[p->n_marks - 1], p->opening_token);
}

static void test_boundaries(void **state)
{
    const rwkv_message messages[] = {{.role = RWKV_ROLE_SYSTEM, .text = "s"},
                                     {.role = RWKV_ROLE_USER, .text = "a"},
                                     {.role = RWKV_ROLE_ASSISTANT, .text = "b"},
                                     {.role = RWKV_ROLE_USER, .text = "c"}};
    static const size_t of_bytes[] = {11, 20, 30, 34, 43, 53};
    const rwkv_chat chat = {.messages = messages, .n_messages = 4, .think = RWKV_THINK_ON};
    rwkv_chat_prompt p;

    (void)state;
    assert_int_equal(rwkv_chat_encode(&chat, vocabs[0], &p, NULL), RWKV_OK);
    assert_int_equal(p.n_marks, RW_COUNT(of_bytes));
    assert_memory_equal(p.marks, of_bytes, sizeof of_bytes);
    assert_int_equal(p.opening_token, 53);
    assert_int_equal(p.n_tokens, 53 + strlen(" <think"));
    rwkv_chat_prompt_fini(&p);
    /* Where a token reaches across the end of a turn, the end is no mark and nothing is cut. */
    assert_int_equal(rwkv_chat_encode(&chat, vocabs[1], &p, NULL), RWKV_OK);
    check_prompt(vocabs[1], &p);
    assert_int_equal(p.n_marks, 4); /* two cuts, and the ends before "Assistant:" */
    rwkv_chat_prompt_fini(&p);
}

static void test_world(void **state)
{
    static const int32_t wanted[] = {24281, 59};
    const rwkv_message messages[] = {{.role = RWKV_ROLE_USER, .text = "Hello."},
                                     {.role = RWKV_ROLE_ASSISTANT, .text = "Hi!"},
                                     {.role = RWKV_ROLE_USER, .text = "So?"}};
    const rwkv_chat chat = {.messages = messages, .n_messages = 3};
    rwkv_chat_prompt p;
    int32_t whole[64];
    size_t n = 0;

    (void)state;
    if (n_vocabs < 3)
        skip();
    assert_int_equal(rwkv_chat_encode(&chat, vocabs[2], &p, NULL), RWKV_OK);
    assert_int_equal(rwkv_vocab_encode(vocabs[2], p.text, p.size, whole, 64, &n, NULL), RWKV_OK);
    assert_int_equal(n, p.n_tokens); /* the cuts change nothing of the split that was trained */
    assert_memory_equal(whole, p.tokens, n * sizeof *whole);
    assert_memory_equal(p.tokens, wanted, sizeof wanted);
    assert_int_equal(p.n_marks, 5);
    assert_int_equal(p.tokens[p.marks[0] - 1], 261);
    rwkv_chat_prompt_fini(&p);
}

/* --- conversations that grow ------------------------------------------------------------------ */

static const char *pick_text(struct rw_rng *rng)
{
    static const char *const texts[] = {
        "Hello.",
        " What is 2 + 2?\n\n",
        "a\r\n\r\nb\n\n\nc",
        "User: x\n\nAssistant: y",
        "Assistant:",
        "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x81\n",
        "{\"x\": [1, 2]}",
        ": ",
        "```json\n{\"name\":\"f\",\"arguments\":{}}\n```",
        "\xf0\x9f\x98\x80\xff\x80",
        "<think>Hm.\n\n</think>\nOne.\n\nTwo.",
        "System: no",
    };
    return texts[rw_rng_below(rng, RW_COUNT(texts))];
}

static const rwkv_tool_call calls[] = {{"f", "{\"a\":\n\n1}"}, {"g", NULL}};

/* What follows an answer, and the answer before it. */
static size_t add_turn(struct rw_rng *rng, rwkv_message *messages, size_t n, bool tools)
{
    if (n == 0 && rw_rng_below(rng, 2))
        messages[n++] = (rwkv_message){.role = RWKV_ROLE_SYSTEM, .text = pick_text(rng)};
    bool called = false;
    if (n > 0 && messages[n - 1].role != RWKV_ROLE_SYSTEM) {
        called = tools && rw_rng_below(rng, 2);
        messages[n] = (rwkv_message){.role = RWKV_ROLE_ASSISTANT,
                                     .text = called && rw_rng_below(rng, 2) ? NULL : pick_text(rng),
                                     .calls = calls,
                                     .n_calls = called ? 1 + rw_rng_below(rng, 2) : 0};
        n++;
    }
    if (rw_rng_below(rng, 8) == 0 && n > 0)
        messages[n++] = (rwkv_message){.role = RWKV_ROLE_SYSTEM, .text = pick_text(rng)};
    messages[n++] = (rwkv_message){.role = called ? RWKV_ROLE_TOOL : RWKV_ROLE_USER,
                                   .text = rw_rng_below(rng, 9) ? pick_text(rng) : ""};
    return n;
}

/* One conversation; every prompt is compared with the one before it. */
static void grow(struct rw_rng *rng, const rwkv_vocab *vocab, rwkv_think think)
{
    static const rwkv_tool tools[] = {{.name = "f", .description = "F."}, {.name = "g"}};
    rwkv_message messages[4 * TURNS];
    rwkv_chat_prompt before = {0}, now;
    rwkv_chat chat = {.messages = messages, .think = think, .tools = tools};
    chat.n_tools = rw_rng_below(rng, 3);
    for (int turn = 0; turn < TURNS; turn++) {
        rwkv_error err = {0};
        chat.n_messages = add_turn(rng, messages, chat.n_messages, chat.n_tools > 0);
        chat.tool_choice = rw_rng_below(rng, 2) ? RWKV_TOOL_REQUIRED : RWKV_TOOL_AUTO;
        if (rwkv_chat_encode(&chat, vocab, &now, &err) != RWKV_OK)
            fail_msg("%s", err.message);
        check_prompt(vocab, &now);
        if (before.tokens) {
            assert_true(now.n_tokens >= before.opening_token);
            assert_memory_equal(now.tokens, before.tokens,
                                before.opening_token * sizeof *now.tokens);
            for (size_t i = 0; i < before.n_marks; i++)
                assert_int_equal(now.marks[i], before.marks[i]);
        }
        rwkv_chat_prompt_fini(&before);
        before = now;
    }
    rwkv_chat_prompt_fini(&before);
}

static void test_growing(void **state)
{
    struct rw_rng rng;

    (void)state;
    rw_rng_init(&rng, 11);
    for (size_t v = 0; v < n_vocabs; v++)
        for (int think = RWKV_THINK_OFF; think <= RWKV_THINK_LONG; think++)
            for (int round = 0; round < 40; round++)
                grow(&rng, vocabs[v], (rwkv_think)think);
}

/* The tokens go on through the answer that was generated, if it was split as texts are. */
static void test_through_answers(void **state)
{
    static const char answer[] = " One, two.\n\nThree!";
    const rwkv_message messages[] = {{.role = RWKV_ROLE_USER, .text = "Count."},
                                     {.role = RWKV_ROLE_ASSISTANT, .text = answer},
                                     {.role = RWKV_ROLE_USER, .text = "More."}};
    rwkv_chat chat = {.messages = messages, .n_messages = 1};

    (void)state;
    for (size_t v = 0; v < n_vocabs; v++) {
        rwkv_chat_prompt first, second;
        int32_t tokens[64];
        size_t n = 0;
        chat.n_messages = 1;
        assert_int_equal(rwkv_chat_encode(&chat, vocabs[v], &first, NULL), RWKV_OK);
        chat.n_messages = 3;
        assert_int_equal(rwkv_chat_encode(&chat, vocabs[v], &second, NULL), RWKV_OK);
        assert_int_equal(rwkv_vocab_encode(vocabs[v], answer, strlen(answer), tokens, 64, &n, NULL),
                         RWKV_OK);
        assert_memory_equal(second.tokens, first.tokens, first.n_tokens * sizeof *tokens);
        assert_memory_equal(second.tokens + first.n_tokens, tokens, n * sizeof *tokens);
        rwkv_chat_prompt_fini(&first);
        rwkv_chat_prompt_fini(&second);
    }
}

static void test_failure(void **state)
{
    const rwkv_message message = {.role = RWKV_ROLE_USER, .text = "\xff"};
    const rwkv_chat chat = {.messages = &message, .n_messages = 1};
    static const char text[] = "1 'U' 1\n";
    struct rwkv_vocab *vocab;
    rwkv_chat_prompt p = {.size = 77};
    rwkv_error err = {0};

    (void)state;
    assert_int_equal(rw_vocab_from_memory(text, strlen(text), "one", &vocab, NULL), RWKV_OK);
    assert_int_equal(rwkv_chat_encode(&chat, vocab, &p, &err), RWKV_ERROR_TOKEN);
    assert_int_equal(p.size, 77);
    assert_int_equal(rwkv_chat_encode(&chat, NULL, &p, &err), RWKV_ERROR_ARGUMENT);
    rw_vocab_release(vocab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundaries), cmocka_unit_test(test_world),
        cmocka_unit_test(test_growing),    cmocka_unit_test(test_through_answers),
        cmocka_unit_test(test_failure),
    };
    return cmocka_run_group_tests(tests, open_vocabs, free_vocabs);
}
