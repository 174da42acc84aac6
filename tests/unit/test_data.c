/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_data.h, and what is behind it: texts cut into pieces and batches of any size become the
 * tokens of the whole; JSON lines; folders; what is refused; the whole way to the files and back.
 */
#include "formats.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/status.h"
#include "rwkv_data.h"
#include "text/vocab.h"
#include "train/corpus.h"
#include "train/tokenizing.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    make_folder(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

static struct rwkv_vocab *new_vocab(const char *lines)
{
    struct rwkv_vocab *vocab;
    rwkv_error err = {0};
    if (rw_vocab_from_memory(lines, strlen(lines), "test", &vocab, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return vocab;
}

/* --- pieces and batches --- */

/* Tokens of one text, gathered as data_build does. */
struct gathered {
    int32_t tokens[4096];
    size_t n;
};

static void gather(struct gathered *g, const int32_t *tokens, size_t n)
{
    assert_true(n <= 4096 - g->n);
    if (n)
        memcpy(g->tokens + g->n, tokens, n * sizeof *tokens);
    g->n += n;
}

static rwkv_status tokenize_in_pieces(const struct rwkv_vocab *vocab, const char *path,
                                      size_t batch, size_t piece, struct rw_pool *pool,
                                      struct gathered *g, rwkv_error *err)
{
    struct rw_tokenizing t = {.vocab = vocab, .field = "text", .piece = piece};
    struct rw_corpus c;
    rwkv_status status;
    g->n = 0;
    assert_int_equal(rw_corpus_open(&c, &path, 1, RWKV_DATA_TEXT, batch, NULL), RWKV_OK);
    for (;;) {
        RW_GO(rw_corpus_next(&c, err));
        if (c.n_parts == 0 && c.ended)
            break;
        RW_GO(rw_tokenize_batch(&t, &c, pool, err));
        for (size_t i = 0; i < t.n_units; i++) {
            struct rw_text_unit *u = &t.units[i];
            RW_GO(rw_unit_join(&t, u, &c.parts[u->part].done, err));
            gather(g, t.joint, t.n_joint);
            gather(g, u->tokens + u->skip, u->n_tokens - u->skip);
        }
    }
done:
    rw_tokenizing_fini(&t);
    rw_corpus_close(&c);
    return status;
}

static void expect_pieces(const struct rwkv_vocab *vocab, const char *text, size_t size,
                          struct rw_pool *pool)
{
    static struct gathered g;
    static const size_t batches[] = {1, 7, 64, 333, 100000}, pieces[] = {1, 2, 5, 32, 100000};
    char path[512];
    int32_t wanted[4096];
    size_t n;
    write_bytes(folder, "text", text, size);
    assert_int_equal(rw_vocab_encode(vocab, text, size, wanted, 4096, &n, NULL), RWKV_OK);
    for (size_t b = 0; b < RW_COUNT(batches); b++)
        for (size_t p = 0; p < RW_COUNT(pieces); p++) {
            rwkv_error err = {0};
            rwkv_status status = tokenize_in_pieces(vocab, in_folder(path, folder, "text"),
                                                    batches[b], pieces[p], pool, &g, &err);
            if (status != RWKV_OK)
                fail_msg("%s", err.message);
            assert_int_equal(g.n, n);
            assert_memory_equal(g.tokens, wanted, n * sizeof *wanted);
        }
}

/* Vocabularies in which pieces agree at once, late, or never: "aaa" from another beginning. */
static void test_pieces(void **state)
{
    static const char *const vocabs[] = {
        "1 'a' 1\n2 'b' 1\n3 'ab' 2\n", "1 'a' 1\n2 'b' 1\n3 'aaa' 3\n4 'aaaaaaa' 7\n5 'bab' 3\n",
        "1 'ab' 2\n2 'a' 1\n3 'b' 1\n4 'abababababab' 12\n",
        "1 'a' 1\n2 'ba' 2\n", /* no token for b: texts begin with a and have no bb */
    };
    struct rw_pool *pool = rw_pool_new(3);
    struct rw_rng rng;
    char text[600];
    (void)state;
    rw_rng_init(&rng, 7);
    for (size_t v = 0; v < RW_COUNT(vocabs); v++) {
        struct rwkv_vocab *vocab = new_vocab(vocabs[v]);
        for (size_t round = 0; round < 6; round++) {
            for (size_t i = 0; i < sizeof text; i++) {
                bool b = i > 0 && i + 1 < sizeof text && text[i - 1] == 'a' && round > 0 &&
                         rw_rng_below(&rng, 1 + round) > 0;
                text[i] = b ? 'b' : 'a';
            }
            size_t size = rw_rng_below(&rng, sizeof text);
            text[size] = 'a';
            expect_pieces(vocab, text, size + 1, pool);
        }
        rw_vocab_release(vocab);
    }
    rw_pool_free(pool);
}

/* A byte that no token begins with is named by its place in the file, whatever the pieces. */
static void test_pieces_without_token(void **state)
{
    static const size_t pieces[] = {1, 3, 50, 1000};
    static struct gathered g;
    struct rwkv_vocab *vocab = new_vocab("1 'a' 1\n2 'aaaaa' 5\n3 'ba' 2\n");
    struct rw_pool *pool = rw_pool_new(1);
    char path[512], text[100];
    (void)state;
    memset(text, 'a', sizeof text);
    text[20] = 'b';
    text[73] = text[74] = 'b';
    write_bytes(folder, "text", text, sizeof text);
    for (size_t p = 0; p < RW_COUNT(pieces); p++)
        for (size_t batch = 1; batch < 200; batch += 33) {
            rwkv_error err = {0};
            assert_int_equal(tokenize_in_pieces(vocab, in_folder(path, folder, "text"), batch,
                                                pieces[p], pool, &g, &err),
                             RWKV_ERROR_TOKEN);
            assert_non_null(strstr(err.message, "text: byte 73: wanted the beginning of a token of "
                                                "the vocabulary, found 0x62"));
        }
    rw_vocab_release(vocab);
    rw_pool_free(pool);
}

/* --- the whole way --- */

static struct rwkv_vocab *bytes;

static rwkv_status build(const char *const *inputs, size_t n, rwkv_data_options *o,
                         rwkv_data_stats *stats, rwkv_error *err)
{
    char out[512], paths[8][512];
    const char *list[8];
    for (size_t i = 0; i < n; i++)
        list[i] = in_folder(paths[i], folder, inputs[i]);
    o->overwrite = 1;
    return rwkv_data_build(in_folder(out, folder, "out"), list, n, bytes, o, stats, err);
}

/* All documents of OUT, as text with '|' for the separator; freed by the caller. */
static char *read_back(void)
{
    char path[512], *text;
    rwkv_data *data;
    rwkv_data_info info;
    rwkv_error err = {0};
    if (rwkv_data_open(in_folder(path, folder, "out"), &data, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    rwkv_data_get_info(data, &info);
    int32_t *tokens = malloc((info.tokens + 1) * sizeof *tokens);
    text = malloc(info.tokens + 1);
    assert_int_equal(rwkv_data_read(data, 0, info.tokens, tokens, &err), RWKV_OK);
    for (size_t i = 0; i < info.tokens; i++)
        text[i] = tokens[i] ? (char)tokens[i] : '|';
    text[info.tokens] = 0;
    free(tokens);
    rwkv_data_close(data);
    return text;
}

static void expect_text(const char *wanted)
{
    char *text = read_back();
    assert_string_equal(text, wanted);
    free(text);
}

static void test_builds(void **state)
{
    static const char *const inputs[] = {"b.jsonl", "a.txt", "d"};
    char path[512];
    rwkv_data_stats stats;
    rwkv_data_options o = {.threads = 2};
    rwkv_error err = {0};
    (void)state;
    write_text(
        folder, "b.jsonl",
        "\xef\xbb\xbf{\"text\": \"one\\n\\u00e9\"}\r\n\n  \t\n{\"id\": [1, {}], \"text\":\"\"}\n"
        "{\"text\":\"two\"}");
    write_text(folder, "a.txt", "three\n");
    assert_int_equal(mkdir(in_folder(path, folder, "d"), 0700), 0);
    assert_int_equal(mkdir(in_folder(path, folder, "d/b"), 0700), 0);
    write_text(folder, "d/c", "six");
    write_text(folder, "d/b/z.ndjson", "{\"text\":\"four\"}\n{\"text\":\"five\"}\n");
    write_text(folder, "d/b/.hidden", "not this");
    write_text(folder, "d/empty", "");
    if (build(inputs, 3, &o, &stats, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    expect_text("one\n\xc3\xa9|two|three\n|four|five|six|");
    assert_int_equal(stats.files, 5);
    assert_int_equal(stats.documents, 6);
    assert_int_equal(stats.tokens, 32);
    assert_int_equal(stats.text_bytes, 26);
    assert_int_equal(stats.empty, 2);
    assert_int_equal(stats.skipped, 0);
    o.separator = RWKV_DATA_NO_SEPARATOR;
    assert_int_equal(build(inputs + 1, 2, &o, &stats, NULL), RWKV_OK);
    expect_text("three\nfourfivesix");
    o.separator = '+';
    o.format = RWKV_DATA_TEXT;
    assert_int_equal(build(inputs + 2, 1, &o, NULL, NULL), RWKV_OK);
    expect_text("{\"text\":\"four\"}\n{\"text\":\"five\"}\n+six+");
    o.format = RWKV_DATA_LINES;
    assert_int_equal(build(inputs + 1, 1, &o, NULL, &err), RWKV_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "a.txt: line 1: not JSON at byte "));
    assert_int_equal(unlink(in_folder(path, folder, "d/b/.hidden")), 0);
    remove_folder(in_folder(path, folder, "d/b"));
    remove_folder(in_folder(path, folder, "d"));
}

/* Enough lines for many units, of which some are wrong: counted, and the first one named. */
static void test_many_lines(void **state)
{
    static const char *const inputs[] = {"many"};
    struct rw_str text = {0}, wanted = {0};
    rwkv_data_stats stats;
    rwkv_error err = {0};
    (void)state;
    for (int i = 0; i < 20000; i++) {
        bool wrong = i % 5000 == 4567;
        rw_str_printf(&text, wrong ? "{\"t\": %d}\n" : "{\"t\": \"number %d\", \"x\": null}\n", i);
        if (!wrong)
            rw_str_printf(&wanted, "number %d|", i);
    }
    write_bytes(folder, "many", text.data, text.size);
    for (int threads = 1; threads <= 3; threads++) {
        rwkv_data_options o = {
            .format = RWKV_DATA_LINES, .field = "t", .threads = threads, .skip_bad = 1};
        assert_int_equal(build(inputs, 1, &o, &stats, NULL), RWKV_OK);
        expect_text(wanted.data);
        assert_int_equal(stats.skipped, 4);
        assert_non_null(strstr(stats.first_skipped, "many: line 4568: wanted a string as \"t\", "
                                                    "found a number"));
        o.skip_bad = 0;
        assert_int_equal(build(inputs, 1, &o, &stats, &err), RWKV_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "many: line 4568: wanted a string as \"t\""));
    }
    rw_str_fini(&text);
    rw_str_fini(&wanted);
}

static void expect_wrong_line(const char *line, const char *why)
{
    static const char *const inputs[] = {"x.jsonl"};
    rwkv_data_options o = {.threads = 1};
    rwkv_error err = {0};
    char text[256];
    snprintf(text, sizeof text, "{\"text\": \"ok\"}\n%s\n", line);
    write_text(folder, "x.jsonl", text);
    assert_int_equal(build(inputs, 1, &o, NULL, &err), RWKV_ERROR_FORMAT);
    if (!strstr(err.message, "x.jsonl: line 2: ") || !strstr(err.message, why))
        fail_msg("wanted '%s' in '%s'", why, err.message);
}

static void test_wrong_lines(void **state)
{
    (void)state;
    expect_wrong_line("{\"text\": \"x\"", "not JSON at byte ");
    expect_wrong_line("{\"text\": \"x\"} x", "not JSON at byte ");
    expect_wrong_line("{\"text\": \"\xff\"}", "not JSON at byte ");
    expect_wrong_line("{\"text\": \"a\", \"text\": \"b\"}", "duplicate object key");
    expect_wrong_line("\"text\"", "wanted an object, found a string");
    expect_wrong_line("[]", "wanted an object, found a list");
    expect_wrong_line("{\"texts\": \"x\"}", "wanted a string as \"text\", found nothing");
    expect_wrong_line("{\"text\": null}", "wanted a string as \"text\", found null");
    expect_wrong_line("{\"text\": \"a\\u0000b\"}", "\"text\": wanted text without U+0000");
}

static int cancel(void *user, uint64_t done, uint64_t total)
{
    uint64_t *told = user;
    told[0] = done;
    told[1] = total;
    return 1;
}

static void test_refusals(void **state)
{
    static const char *const zero[] = {"zero"}, *const none[] = {"none"}, *const good[] = {"good"};
    char path[512];
    const char *list[] = {path};
    rwkv_data_options o = {.threads = 1};
    rwkv_error err = {0};
    uint64_t told[2];
    (void)state;
    write_text(folder, "good", "before");
    assert_int_equal(build(good, 1, &o, NULL, NULL), RWKV_OK);
    write_bytes(folder, "zero", "abc\0d", 5);
    assert_int_equal(build(zero, 1, &o, NULL, &err), RWKV_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "zero: byte 3: wanted text, found a zero byte"));
    assert_int_equal(build(none, 1, &o, NULL, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "none: cannot open"));
    write_text(folder, "none", "");
    assert_int_equal(build(none, 1, &o, NULL, &err), RWKV_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "wanted at least one document, found none"));
    o.progress = cancel;
    o.progress_user = told;
    assert_int_equal(build(good, 1, &o, NULL, &err), RWKV_ERROR_CANCELLED);
    assert_int_equal(told[0], 6);
    assert_int_equal(told[1], 6);
    in_folder(path, folder, "good");
    char out[512];
    o = (rwkv_data_options){.threads = 1};
    assert_int_equal(
        rwkv_data_build(in_folder(out, folder, "out.idx"), list, 1, bytes, &o, NULL, &err),
        RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "out.bin: is there already"));
    o.separator = -2;
    assert_int_equal(rwkv_data_build(out, list, 1, bytes, &o, NULL, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_data_build(out, list, 0, bytes, NULL, NULL, &err), RWKV_ERROR_ARGUMENT);
    expect_text("before|"); /* through all of this */
}

/* --- looking at it --- */

static void test_check(void **state)
{
    static const char *const inputs[] = {"x.jsonl"};
    struct rwkv_vocab *vocab = new_vocab("97 'a' 1\n98 'b' 1\n99 'c' 1\n100 'dddd' 4\n");
    rwkv_data_options o = {.threads = 1};
    rwkv_data_report r;
    rwkv_data *data;
    char path[512];
    (void)state;
    write_text(folder, "x.jsonl", "{\"text\":\"abba\"}\n{\"text\":\"dad\"}\n");
    assert_int_equal(build(inputs, 1, &o, NULL, NULL), RWKV_OK);
    assert_int_equal(rwkv_data_open(in_folder(path, folder, "out"), &data, NULL), RWKV_OK);
    assert_int_equal(rwkv_data_check(data, vocab, 0, NULL, NULL, &r, NULL), RWKV_OK);
    assert_int_equal(r.foreign, 0);
    assert_int_equal(r.open, 0);
    assert_int_equal(r.distinct, 4);
    assert_int_equal(r.text_bytes, 4 + 9);
    assert_int_equal(rwkv_data_check(data, vocab, 'd', NULL, NULL, &r, NULL), RWKV_OK);
    assert_int_equal(r.foreign, 2); /* the zeros */
    assert_int_equal(r.foreign_at, 4);
    assert_int_equal(r.foreign_in, 0);
    assert_int_equal(r.foreign_number, 0);
    assert_int_equal(r.open, 2);
    assert_int_equal(rwkv_data_check(data, vocab, RWKV_DATA_NO_SEPARATOR, NULL, NULL, &r, NULL),
                     RWKV_OK);
    assert_int_equal(r.open, 0);
    assert_int_equal(r.foreign, 2);
    assert_int_equal(rwkv_data_document(data, 1), 5);
    assert_int_equal(rwkv_data_document(data, 2), 9);
    assert_int_equal(rwkv_data_read(data, 5, 5, NULL, NULL), RWKV_ERROR_ARGUMENT);
    rwkv_data_close(data);
    rwkv_data_close(NULL);
    rw_vocab_release(vocab);
    assert_int_equal(rwkv_data_prime(1498226207, 512), 2926181);
    assert_int_equal(rwkv_data_prime(100, 0), 0);
}

/* Of what is larger than 256 MiB a part is looked at: the end, for one. The file has holes, and
 * takes up next to nothing. */
static void test_fingerprint_of_large_files(void **state)
{
    const uint64_t n = ((uint64_t)256 << 20) + 12345;
    struct rw_str idx = {0};
    char path[512], before[65], after[65];
    rwkv_data *data;
    (void)state;
    rw_str_add(&idx, "MMIDIDX\0\0\1\0\0\0\0\0\0\0\1", 18);
    put_u64(&idx, 1);
    put_u64(&idx, 2);
    put_u32(&idx, (uint32_t)n);
    put_u64(&idx, 0);
    put_u64(&idx, 0);
    put_u64(&idx, 1);
    write_bytes(folder, "out.idx", idx.data, idx.size);
    write_text(folder, "out.bin", "");
    assert_int_equal(truncate(in_folder(path, folder, "out.bin"), (off_t)n), 0);
    assert_int_equal(rwkv_data_open(path, &data, NULL), RWKV_OK);
    rwkv_data_fingerprint(data, before);
    rwkv_data_close(data);
    FILE *f = fopen(path, "r+b");
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    assert_int_not_equal(fputc(1, f), EOF);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rwkv_data_open(path, &data, NULL), RWKV_OK);
    rwkv_data_fingerprint(data, after);
    rwkv_data_close(data);
    assert_string_not_equal(before, after);
    rw_str_fini(&idx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),      cmocka_unit_test(test_pieces_without_token),
        cmocka_unit_test(test_builds),      cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_wrong_lines), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_check),       cmocka_unit_test(test_fingerprint_of_large_files),
    };
    if (rw_vocab_bytes(&bytes, NULL) != RWKV_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    rw_vocab_release(bytes);
    return failed;
}
