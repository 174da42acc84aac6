/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies learned from text: what they hold, that any bytes come back, that threads do not
 * matter, that they beat byte pairs learned from the same words, and what pieces a text is cut
 * into.
 */
#include "unit.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/str.h"
#include "rwkv_vocab.h"
#include "text/vocab_pieces.h"
#include "text/vocab_train.h"

#define BYTE_PAIRS 400 /* merges, of the comparison */

/* --- a sample: the project's own documentation --- */

static char *sample;
static size_t sample_size;

static int read_sample(void **state)
{
    static const char *const names[] = {"docs/model.md", "docs/architecture.md",
                                        "docs/quantization.md", "docs/cli/run.md",
                                        "docs/cli/bench.md"};
    struct rw_str all = {0};
    char path[1024], *text;
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (rw_read_file(unit_source(path, names[i]), 1 << 22, &text, &size, NULL) != RWKV_OK)
            return -1;
        rw_str_add(&all, text, size);
        rw_free(text);
    }
    sample_size = all.size;
    sample = rw_str_take(&all);
    return sample ? 0 : -1;
}

static int free_sample(void **state)
{
    (void)state;
    rw_free(sample);
    return 0;
}

static rwkv_vocab *learn(rwkv_vocab_trainer_options options, const char *const *kept,
                         const char *text, size_t size, rwkv_vocab_training *result)
{
    rwkv_vocab_trainer *trainer;
    rwkv_vocab *vocab = NULL;
    rwkv_error err = {0};

    assert_int_equal(rwkv_vocab_trainer_new(&options, &trainer, &err), RWKV_OK);
    for (; kept && *kept; kept++)
        assert_int_equal(rwkv_vocab_trainer_keep(trainer, *kept, strlen(*kept), &err), RWKV_OK);
    assert_int_equal(rwkv_vocab_trainer_add(trainer, text, size, &err), RWKV_OK);
    if (rwkv_vocab_trainer_run(trainer, NULL, NULL, &vocab, result, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    rwkv_vocab_trainer_free(trainer);
    return vocab;
}

static size_t count(const rwkv_vocab *vocab, const char *text, size_t size)
{
    size_t n;
    assert_int_equal(rwkv_vocab_encode(vocab, text, size, NULL, 0, &n, NULL), RWKV_OK);
    return n;
}

static bool has(const rwkv_vocab *vocab, const char *token)
{
    return count(vocab, token, strlen(token)) == 1;
}

/* --- what it holds --- */

static void test_contents(void **state)
{
    static const char *const kept[] = {"\n\nUser:", "Assistant:", "zzqqzz", "a", "a", NULL};
    rwkv_vocab_training result;
    rwkv_vocab *vocab =
        learn((rwkv_vocab_trainer_options){.size = 1000}, kept, sample, sample_size, &result);
    size_t size, before = 0, tokens;

    (void)state;
    assert_int_equal(rwkv_vocab_size(vocab), 1000);
    assert_int_equal(result.size, 1000);
    assert_int_equal(result.text_bytes, sample_size);
    assert_int_equal(result.forgotten_bytes, 0);
    tokens = count(vocab, sample, sample_size);
    assert_int_equal(result.text_tokens, tokens); /* pieces are what the whole text is cut into */
    rwkv_vocab_token(vocab, 0, &size);
    assert_int_equal(size, 0);
    for (int32_t id = 1; id < 1000; id++) {
        const char *bytes = rwkv_vocab_token(vocab, id, &size);
        if (id <= 256)
            assert_true(size == 1 && (uint8_t)*bytes == id - 1);
        assert_true(size >= before && size > 0);
        before = size;
        for (size_t i = 0; i < size && size > 1; i++) /* digits stand alone */
            assert_false(bytes[i] >= '0' && bytes[i] <= '9');
    }
    for (size_t i = 0; kept[i]; i++)
        assert_true(has(vocab, kept[i]));
    assert_true(has(vocab, " the"));
    assert_false(has(vocab, "the "));
    assert_false(has(vocab, "12"));
    assert_false(has(vocab, ".\n"));
    rwkv_vocab_free(vocab);
}

static void test_round_trip(void **state)
{
    rwkv_vocab *vocab =
        learn((rwkv_vocab_trainer_options){.size = 700}, NULL, sample, sample_size, NULL);
    struct rw_rng rng;
    char text[512], back[512];
    int32_t tokens[512];

    (void)state;
    rw_rng_init(&rng, 7);
    for (int round = 0; round < 2000; round++) {
        size_t n = rw_rng_below(&rng, sizeof text), n_tokens, size;
        size_t from = rw_rng_below(&rng, sample_size - n);
        for (size_t i = 0; i < n; i++)
            text[i] = round % 2 ? sample[from + i] : (char)rw_rng_u64(&rng);
        assert_int_equal(rwkv_vocab_encode(vocab, text, n, tokens, 512, &n_tokens, NULL), RWKV_OK);
        assert_int_equal(rwkv_vocab_decode(vocab, tokens, n_tokens, back, 512, &size, NULL),
                         RWKV_OK);
        assert_int_equal(size, n);
        assert_memory_equal(back, text, n);
    }
    rwkv_vocab_free(vocab);
}

static void expect_same(const rwkv_vocab *a, const rwkv_vocab *b)
{
    assert_int_equal(rwkv_vocab_size(a), rwkv_vocab_size(b));
    for (size_t id = 0; id < rwkv_vocab_size(a); id++) {
        size_t n, m;
        const char *x = rwkv_vocab_token(a, (int32_t)id, &n);
        const char *y = rwkv_vocab_token(b, (int32_t)id, &m);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
    }
}

static void test_threads(void **state)
{
    rwkv_vocab_trainer_options options = {.size = 600, .threads = 1};
    size_t size = sample_size / 4;
    rwkv_vocab *one = learn(options, NULL, sample, size, NULL);

    (void)state;
    for (int threads = 2; threads <= 3; threads++) {
        options.threads = threads;
        rwkv_vocab *other = learn(options, NULL, sample, size, NULL);
        expect_same(one, other);
        rwkv_vocab_free(other);
    }
    rwkv_vocab_free(one);
}

/* Written and read, it is the same. */
static void test_save(void **state)
{
    static const char *const kept[] = {"'\"\\\n", "\xe4\xb8", "\xc3\xa9\x7f", "\xe2\x80\xa8", "'",
                                       "it's",    NULL};
    rwkv_vocab *vocab = learn((rwkv_vocab_trainer_options){.size = 400}, kept, sample,
                              sample_size / 8, NULL),
               *back;
    char path[64];
    rwkv_error err = {0};

    (void)state;
    snprintf(path, sizeof path, "/tmp/rwkv-vocab-%ld.txt", (long)getpid());
    unlink(path);
    assert_int_equal(rwkv_vocab_save(vocab, path, 0, &err), RWKV_OK);
    assert_int_equal(rwkv_vocab_save(vocab, path, 0, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, ": is there already"));
    assert_int_equal(rwkv_vocab_save(vocab, path, 1, &err), RWKV_OK);
    if (rwkv_vocab_open(path, &back, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    expect_same(vocab, back);
    rwkv_vocab_free(back);
    rwkv_vocab_free(vocab);
    unlink(path);
}

/* --- byte pairs, to compare with --- */

struct word {
    uint16_t tokens[RW_PIECE_MAX];
    size_t n;
    uint64_t count;
};

static uint64_t pair_counts[256 + BYTE_PAIRS][256 + BYTE_PAIRS];

/* The tokens that byte pair encoding needs after so many merges. */
static uint64_t byte_pairs(struct word *words, size_t n)
{
    uint64_t total = 0;
    for (uint16_t merge = 0; merge < BYTE_PAIRS; merge++) {
        uint16_t first = 0, second = 0;
        memset(pair_counts, 0, sizeof pair_counts);
        for (size_t w = 0; w < n; w++)
            for (size_t i = 1; i < words[w].n; i++) {
                uint16_t a = words[w].tokens[i - 1], b = words[w].tokens[i];
                pair_counts[a][b] += words[w].count;
                if (pair_counts[a][b] > pair_counts[first][second]) {
                    first = a;
                    second = b;
                }
            }
        for (size_t w = 0; w < n; w++) {
            size_t m = 0;
            for (size_t i = 0; i < words[w].n; i++) {
                bool both = i + 1 < words[w].n && words[w].tokens[i] == first &&
                            words[w].tokens[i + 1] == second;
                words[w].tokens[m++] = both ? (uint16_t)(256 + merge) : words[w].tokens[i];
                i += both;
            }
            words[w].n = m;
        }
    }
    for (size_t w = 0; w < n; w++)
        total += words[w].count * words[w].n;
    return total;
}

static void test_better_than_byte_pairs(void **state)
{
    rwkv_vocab *vocab = learn((rwkv_vocab_trainer_options){.size = 257 + BYTE_PAIRS}, NULL, sample,
                              sample_size, NULL);
    struct rw_pieces pieces = {.memory = 1 << 28};

    (void)state;
    rw_pieces_init(&pieces, 0);
    assert_int_equal(rw_pieces_add(&pieces, (const uint8_t *)sample, sample_size, NULL), RWKV_OK);
    struct word *words = rw_calloc(pieces.n, sizeof *words);
    assert_non_null(words);
    for (size_t i = 0; i < pieces.n; i++) {
        words[i].n = pieces.list[i].size;
        words[i].count = pieces.list[i].count;
        for (size_t b = 0; b < words[i].n; b++)
            words[i].tokens[b] = rw_piece_text(&pieces, i)[b];
    }
    size_t ours = count(vocab, sample, sample_size);
    uint64_t theirs = byte_pairs(words, pieces.n);
    if (!(ours < theirs * 98 / 100))
        fail_msg("%zu tokens, byte pairs %llu", ours, (unsigned long long)theirs);
    rw_free(words);
    rw_pieces_fini(&pieces);
    rwkv_vocab_free(vocab);
}

/* --- little text, little memory, several words --- */

static void test_little_text(void **state)
{
    static const char text[] = " banana banana cabana cabana 111 111";
    rwkv_vocab_training result;
    rwkv_vocab *vocab =
        learn((rwkv_vocab_trainer_options){.size = 1000}, NULL, text, sizeof text - 1, &result);

    (void)state;
    assert_true(rwkv_vocab_size(vocab) < 1000);
    assert_int_equal(rwkv_vocab_size(vocab), result.size);
    assert_true(has(vocab, " cabana"));
    assert_int_equal(count(vocab, text, sizeof text - 1), 4 + 8);
    rwkv_vocab_free(vocab);
    vocab = learn((rwkv_vocab_trainer_options){.size = 300}, NULL, "", 0, &result);
    assert_int_equal(rwkv_vocab_size(vocab), 257); /* the bytes are always there */
    rwkv_vocab_free(vocab);
}

static void test_little_memory(void **state)
{
    rwkv_vocab_training result;
    rwkv_vocab *vocab = learn((rwkv_vocab_trainer_options){.size = 400, .memory = 40000}, NULL,
                              sample, sample_size, &result);

    (void)state;
    assert_true(result.forgotten_bytes > 0 && result.forgotten_bytes < sample_size);
    assert_int_equal(rwkv_vocab_size(vocab), 400);
    assert_true(has(vocab, " the")); /* what is frequent stays */
    rwkv_vocab_free(vocab);
}

static void test_joins(void **state)
{
    static const char text[] = "of the 2024\nof the 2024\nof the 2024\n(of the) (of the) x";
    rwkv_vocab *vocab;

    (void)state;
    vocab = learn((rwkv_vocab_trainer_options){.size = 400, .joins = RWKV_VOCAB_JOIN_WORDS}, NULL,
                  text, sizeof text - 1, NULL);
    assert_true(has(vocab, "of the"));
    assert_false(has(vocab, "of th")); /* several words are whole words */
    rwkv_vocab_free(vocab);
    vocab = learn((rwkv_vocab_trainer_options){.size = 400, .joins = RWKV_VOCAB_JOIN_DIGITS}, NULL,
                  text, sizeof text - 1, NULL);
    assert_true(has(vocab, " 2024"));
    rwkv_vocab_free(vocab);
    vocab = learn((rwkv_vocab_trainer_options){.size = 400, .joins = 15}, NULL, text,
                  sizeof text - 1, NULL);
    assert_true(rwkv_vocab_longest(vocab) > 8);
    rwkv_vocab_free(vocab);
    /* Whole characters, or parts of one, and never the end of one with the beginning of the next */
    static const char accents[] = "\xc3\xa9\xc3\xa8 \xc3\xa9\xc3\xa8 \xc3\xa9\xc3\xa8";
    vocab =
        learn((rwkv_vocab_trainer_options){.size = 300}, NULL, accents, sizeof accents - 1, NULL);
    assert_true(has(vocab, "\xc3\xa9\xc3\xa8"));
    assert_false(has(vocab, "\xa9\xc3"));
    rwkv_vocab_free(vocab);
}

/* --- pieces --- */

static void expect_pieces(unsigned joins, const char *text, const char *wanted)
{
    struct rw_pieces pieces = {.memory = 1 << 20};
    struct rw_str found = {0};

    rw_pieces_init(&pieces, joins);
    assert_int_equal(rw_pieces_add(&pieces, (const uint8_t *)text, strlen(text), NULL), RWKV_OK);
    for (size_t i = 0; i < pieces.n; i++) {
        rw_str_add(&found, rw_piece_text(&pieces, i), pieces.list[i].size);
        rw_str_printf(&found, "%llu|", (unsigned long long)pieces.list[i].count);
    }
    assert_string_equal(found.data, wanted);
    rw_str_fini(&found);
    rw_pieces_fini(&pieces);
}

static void test_pieces(void **state)
{
    (void)state;
    expect_pieces(0, "Don't stop, don't stop.", "Don't1| stop2|,1| don't1|.1|");
    expect_pieces(0, "a 12\n\n b\tc", "a1| 1|11|21|\n\n1| b1|\tc1|");
    expect_pieces(0, "\"Hi!\" he  said...", "\"1|Hi1|!\"1| he1|  said1|...1|");
    expect_pieces(0,
                  "\xe2\x80\x9cgr\xc3\xb6\xc3\x9f"
                  "er\xe2\x80\x9d\xff\x01",
                  "\xe2\x80\x9c"
                  "1|gr\xc3\xb6\xc3\x9f"
                  "er1|\xe2\x80\x9d"
                  "1|\xff"
                  "1|\x01"
                  "1|");
    expect_pieces(RW_JOIN_WORDS, "of the cat, or", "of the cat1|, or1|");
    expect_pieces(RW_JOIN_DIGITS, "in 2024", "in1| 20241|");
    expect_pieces(RW_JOIN_PUNCTUATION, "it. (it)", "it.1| (it)1|");
    expect_pieces(RW_JOIN_LINES, "a.\nb", "a1|.\nb1|");
}

/* --- what is refused, and stopping --- */

static int stop(void *user, uint64_t done, uint64_t total)
{
    size_t *calls = user;
    assert_true(done <= total);
    return ++*calls == 5;
}

static void test_refusals(void **state)
{
    static const struct {
        rwkv_vocab_trainer_options options;
        const char *message;
    } cases[] = {
        {{.size = 256}, "size: wanted 257 (id 0 and every byte) to 1048576 ids, found 256"},
        {{.size = 300, .longest = 1}, "longest: wanted 2 to 128 bytes, found 1"},
        {{.size = 300, .joins = 16}, "joins: wanted a sum of 1, 2, 4 and 8, found 16"},
        {{.size = 300, .threads = 257}, "threads: wanted 0 to 256, found 257"},
    };
    rwkv_vocab_trainer_options options = {.size = 258};
    rwkv_vocab_trainer *trainer;
    rwkv_vocab *vocab = NULL;
    rwkv_error err = {0};
    size_t calls = 0;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(rwkv_vocab_trainer_new(&cases[i].options, &trainer, &err),
                         RWKV_ERROR_ARGUMENT);
        assert_string_equal(err.message, cases[i].message);
    }
    assert_int_equal(rwkv_vocab_trainer_new(NULL, &trainer, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_vocab_trainer_new(&options, &trainer, &err), RWKV_OK);
    assert_int_equal(rwkv_vocab_trainer_keep(trainer, "", 0, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_vocab_trainer_keep(trainer, "ab", 2, &err), RWKV_OK);
    assert_int_equal(rwkv_vocab_trainer_keep(trainer, "cd", 2, &err), RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message,
                        "size: wanted room for every byte and 2 tokens to keep, found 258");
    assert_int_equal(rwkv_vocab_trainer_add(trainer, sample, sample_size, &err), RWKV_OK);
    assert_int_equal(rwkv_vocab_trainer_keep(trainer, "ef", 2, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_vocab_trainer_run(trainer, stop, &calls, &vocab, NULL, &err),
                     RWKV_ERROR_CANCELLED);
    assert_null(vocab);
    assert_int_equal(calls, 5);
    assert_int_equal(rwkv_vocab_trainer_run(trainer, NULL, NULL, &vocab, NULL, &err), RWKV_OK);
    assert_int_equal(rwkv_vocab_size(vocab), 258); /* once more, to the end */
    rwkv_vocab_free(vocab);
    rwkv_vocab_trainer_free(trainer);
    rwkv_vocab_trainer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_better_than_byte_pairs),
        cmocka_unit_test(test_little_text),
        cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, read_sample, free_sample);
}
