/* SPDX-License-Identifier: Apache-2.0 */
/*
 * formats/binidx.c and binidx_write.c: the bytes of the format by hand, hostile ones, writing in
 * pieces, both files or none.
 */
#include "formats.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/status.h"
#include "base/alloc.h"
#include "formats/binidx.h"

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

/* An index of hand: type code, sizes, pointers, boundaries. Its fields may then be spoilt. */
struct index {
    uint8_t code;
    size_t n, m;
    int32_t sizes[4];
    int64_t pointers[4];
    int64_t documents[5];
};

static const struct index good = {8, 3, 4, {3, 1, 2}, {0, 6, 8}, {0, 1, 2, 3}};
static const uint16_t tokens[] = {5, 65535, 0, 0, 7, 0};

static struct rw_str index_bytes(const struct index *x)
{
    struct rw_str s = {0};
    rw_str_add(&s, "MMIDIDX\0\0", 9);
    put_u64(&s, 1);
    rw_str_addc(&s, (char)x->code);
    put_u64(&s, x->n);
    put_u64(&s, x->m);
    for (size_t i = 0; i < x->n && i < 4; i++)
        put_u32(&s, (uint32_t)x->sizes[i]);
    for (size_t i = 0; i < x->n && i < 4; i++)
        put_u64(&s, (uint64_t)x->pointers[i]);
    for (size_t i = 0; i < x->m && i < 5; i++)
        put_u64(&s, (uint64_t)x->documents[i]);
    assert_false(s.failed);
    return s;
}

static void write_pair(const struct rw_str *idx, const void *bin, size_t size)
{
    write_bytes(folder, "data.idx", idx->data, idx->size);
    write_bytes(folder, "data.bin", bin, size);
}

static rwkv_status open_data(struct rw_binidx *b, const char *name, rwkv_error *err)
{
    char path[512];
    return rw_binidx_open(b, in_folder(path, folder, name), err);
}

static void expect_refusal(const struct rw_str *idx, const void *bin, size_t size,
                           rwkv_status status, const char *why)
{
    struct rw_binidx b = {0};
    rwkv_error err = {0};
    write_pair(idx, bin, size);
    assert_int_equal(open_data(&b, "data", &err), status);
    if (!strstr(err.message, why))
        fail_msg("wanted '%s' in '%s'", why, err.message);
    assert_non_null(strstr(err.message, "/data."));
}

static void expect_bad_index(const struct index *x, const char *why)
{
    struct rw_str s = index_bytes(x);
    expect_refusal(&s, tokens, sizeof tokens, RWKV_ERROR_FORMAT, why);
    rw_str_fini(&s);
}

/* --- reading --- */

static void test_reads(void **state)
{
    static const char *const names[] = {"data", "data.bin", "data.idx"};
    struct rw_str s = index_bytes(&good);
    (void)state;
    write_pair(&s, tokens, sizeof tokens);
    rw_str_fini(&s);
    for (size_t i = 0; i < 3; i++) {
        struct rw_binidx b;
        int32_t got[6];
        rwkv_error err = {0};
        assert_int_equal(open_data(&b, names[i], &err), RWKV_OK);
        assert_int_equal(b.n_tokens, 6);
        assert_int_equal(b.n_documents, 3);
        assert_int_equal(b.dtype, RWKV_DTYPE_U16);
        assert_int_equal(rw_binidx_document(&b, 0), 0);
        assert_int_equal(rw_binidx_document(&b, 1), 3);
        assert_int_equal(rw_binidx_document(&b, 3), 6);
        assert_int_equal(rw_binidx_read(&b, 0, 6, 65536, got, &err), RWKV_OK);
        for (size_t t = 0; t < 6; t++)
            assert_int_equal(got[t], tokens[t]);
        assert_int_equal(rw_binidx_read(&b, 0, 6, 65535, got, &err), RWKV_ERROR_TOKEN);
        assert_non_null(strstr(err.message, "data.bin: token 1: wanted an id from 0 to 65534, "
                                            "found 65535"));
        rw_binidx_close(&b);
    }
}

/* Every integer type, and the numbers that are no tokens. */
static void test_types(void **state)
{
    static const struct {
        uint8_t code, width;
        const char *bytes;
        int64_t value;
    } cases[] = {
        {1, 1, "\xff", 255},
        {2, 1, "\xff", -1},
        {3, 2, "\x01\x80", -32767},
        {4, 4, "\x70\x11\x01\x00", 70000},
        {5, 8, "\0\0\0\0\1\0\0\0", (int64_t)1 << 32},
        {8, 2, "\x01\x80", 32769},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_str s = index_bytes(&(struct index){cases[i].code, 1, 2, {1}, {0}, {0, 1}});
        struct rw_binidx b;
        int32_t token;
        bool fits = cases[i].value >= 0 && cases[i].value <= INT32_MAX;
        write_pair(&s, cases[i].bytes, cases[i].width);
        assert_int_equal(open_data(&b, "data", NULL), RWKV_OK);
        assert_int_equal(rw_binidx_token(&b, 0), cases[i].value);
        assert_int_equal(rw_binidx_read(&b, 0, 1, (size_t)INT32_MAX + 1, &token, NULL),
                         fits ? RWKV_OK : RWKV_ERROR_TOKEN);
        if (fits)
            assert_int_equal(token, cases[i].value);
        rw_binidx_close(&b);
        rw_str_fini(&s);
    }
}

/* A document may consist of several items, or of none. */
static void test_documents_of_items(void **state)
{
    struct index x = good;
    struct rw_binidx b;
    x.documents[1] = x.documents[2] = 2;
    struct rw_str s = index_bytes(&x);
    (void)state;
    write_pair(&s, tokens, sizeof tokens);
    assert_int_equal(open_data(&b, "data", NULL), RWKV_OK);
    assert_int_equal(b.n_documents, 3);
    assert_int_equal(rw_binidx_document(&b, 1), 4);
    assert_int_equal(rw_binidx_document(&b, 2), 4);
    assert_int_equal(rw_binidx_document(&b, 3), 6);
    rw_binidx_close(&b);
    rw_str_fini(&s);
}

static void test_empty(void **state)
{
    struct rw_str s = index_bytes(&(struct index){.code = 8, .m = 1});
    struct rw_binidx b;
    char fingerprint[65];
    (void)state;
    write_pair(&s, "", 0);
    assert_int_equal(open_data(&b, "data", NULL), RWKV_OK);
    assert_int_equal(b.n_tokens, 0);
    assert_int_equal(b.n_documents, 0);
    assert_int_equal(rw_binidx_document(&b, 0), 0);
    rw_binidx_fingerprint(&b, fingerprint);
    assert_int_equal(strlen(fingerprint), 64);
    rw_binidx_close(&b);
    rw_str_fini(&s);
}

/* --- hostile files --- */

static void test_refuses_headers(void **state)
{
    struct rw_str s = index_bytes(&good);
    (void)state;
    for (size_t n = 0; n < s.size; n++) { /* cut anywhere */
        struct rw_str cut = {.data = s.data, .size = n};
        expect_refusal(&cut, tokens, sizeof tokens, RWKV_ERROR_FORMAT, "data.idx: wanted");
    }
    rw_str_addc(&s, 0);
    expect_refusal(&s, tokens, sizeof tokens, RWKV_ERROR_FORMAT,
                   "wanted 34 + 12 × 3 + 8 × 4 bytes, found 103");
    s.size--;
    s.data[9] = 2;
    expect_refusal(&s, tokens, sizeof tokens, RWKV_ERROR_UNSUPPORTED, "wanted version 1, found 2");
    s.data[0] = 'X';
    expect_refusal(&s, tokens, sizeof tokens, RWKV_ERROR_FORMAT, "beginning with MMIDIDX");
    rw_str_fini(&s);
    for (unsigned code = 0; code < 256; code++) {
        if ((code >= 1 && code <= 5) || code == 8)
            continue;
        s = index_bytes(&(struct index){.code = (uint8_t)code, .m = 1});
        expect_refusal(&s, "", 0, RWKV_ERROR_UNSUPPORTED, "wanted tokens of an integer type");
        rw_str_fini(&s);
    }
}

/* Counts whose bytes overflow or are not there; none may be believed. */
static void test_refuses_counts(void **state)
{
    static const uint64_t counts[] = {4, 1u << 31, UINT64_MAX / 12, UINT64_MAX / 8, UINT64_MAX};
    struct index x = good;
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct rw_str s = index_bytes(&good);
        rw_store_u64(s.data + 18, counts[i]);
        expect_refusal(&s, tokens, sizeof tokens, RWKV_ERROR_FORMAT, "data.idx: wanted 34");
        rw_store_u64(s.data + 18, 3);
        rw_store_u64(s.data + 26, counts[i] + 1);
        expect_refusal(&s, tokens, sizeof tokens, RWKV_ERROR_FORMAT,
                       counts[i] == UINT64_MAX ? "at least one boundary" : "data.idx: wanted 34");
        rw_str_fini(&s);
    }
    x.m = 0;
    expect_bad_index(&x, "wanted at least one boundary of documents, found none");
}

static void test_refuses_items(void **state)
{
    struct index x = good;
    (void)state;
    x.sizes[1] = -1;
    expect_bad_index(&x, "item 1: wanted a size ≥ 0, found -1");
    x = good;
    x.pointers[0] = 2;
    expect_bad_index(&x, "item 0: wanted it to begin at byte 0 of the .bin, behind the one before, "
                         "found 2");
    x = good;
    x.pointers[2] = 6; /* an overlap */
    expect_bad_index(&x, "item 2: wanted it to begin at byte 8");
    x.pointers[2] = INT64_MIN;
    expect_bad_index(&x, "found -9223372036854775808");
    x = good;
    x.sizes[2] = INT32_MAX;
    expect_bad_index(&x, "item 2: wanted it to end by byte 12, where the .bin does, found "
                         "2147483647 tokens of 2 bytes from byte 8 on");
    x = good;
    x.sizes[2] = 1;
    expect_bad_index(&x, "data.bin: wanted 10 bytes, as its .idx says, found 12");
    struct rw_str s = index_bytes(&good);
    expect_refusal(&s, tokens, sizeof tokens - 1, RWKV_ERROR_FORMAT, "item 2: wanted it to end");
    expect_refusal(&s, "", 0, RWKV_ERROR_FORMAT, "item 0: wanted it to end by byte 0");
    rw_str_fini(&s);
}

static void test_refuses_documents(void **state)
{
    struct index x = good;
    (void)state;
    x.documents[0] = 1;
    expect_bad_index(&x, "document boundary 0: wanted an item from 0 to 0, found 1");
    x = good;
    x.documents[1] = 3;
    expect_bad_index(&x, "document boundary 2: wanted an item from 3 to 3, found 2");
    x.documents[1] = 4;
    expect_bad_index(&x, "document boundary 1: wanted an item from 0 to 3, found 4");
    x.documents[1] = -1;
    expect_bad_index(&x, "found -1");
    x = good;
    x.documents[3] = 2;
    expect_bad_index(&x, "document boundary 3: wanted an item from 3 to 3, found 2");
}

static void test_refuses_files(void **state)
{
    struct rw_binidx b;
    rwkv_error err = {0};
    (void)state;
    assert_int_equal(open_data(&b, "nothing", &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "nothing.idx: cannot open"));
    struct rw_str s = index_bytes(&good);
    write_bytes(folder, "half.idx", s.data, s.size);
    rw_str_fini(&s);
    assert_int_equal(open_data(&b, "half", &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "half.bin: cannot open"));
}

/* --- writing --- */

static struct rw_binidx_writer *new_writer(size_t n_vocab)
{
    char path[512];
    struct rw_binidx_writer *w;
    rwkv_error err = {0};
    if (rw_binidx_writer_open(&w, in_folder(path, folder, "out"), n_vocab, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return w;
}

static void add(struct rw_binidx_writer *w, int32_t first, size_t n)
{
    int32_t *list = malloc((n + 1) * sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = first + (int32_t)i;
    assert_int_equal(rw_binidx_writer_add(w, list, n, NULL), RWKV_OK);
    free(list);
}

static bool is_there(const char *name)
{
    char path[512];
    return access(in_folder(path, folder, name), F_OK) == 0;
}

/* What is written is, byte for byte, what the format says and the reader reads. */
static void test_writes(void **state)
{
    char path[512];
    struct rw_map idx, bin;
    struct rw_binidx_writer *w = new_writer(65536);
    struct rw_str wanted = index_bytes(&good);
    (void)state;
    for (size_t i = 0, d = 0; d < good.n; d++) {
        for (int32_t n = 0; n < good.sizes[d]; n++, i++)
            add(w, tokens[i], 1);
        assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    }
    assert_false(is_there("out.bin") || is_there("out.idx"));
    assert_int_equal(rw_binidx_writer_commit(w, NULL), RWKV_OK);
    assert_int_equal(rw_map_open(&idx, in_folder(path, folder, "out.idx"), NULL), RWKV_OK);
    assert_int_equal(rw_map_open(&bin, in_folder(path, folder, "out.bin"), NULL), RWKV_OK);
    assert_int_equal(idx.size, wanted.size);
    assert_memory_equal(idx.data, wanted.data, wanted.size);
    assert_int_equal(bin.size, sizeof tokens);
    assert_memory_equal(bin.data, tokens, sizeof tokens);
    rw_map_close(&idx);
    rw_map_close(&bin);
    rw_str_fini(&wanted);
}

/* Which tokens are of answers, in every range of them. */
static void test_answers(void **state)
{
    static const struct {
        size_t n;
        bool last, answer;
    } pieces[] = {{3, false, false}, {2, true, true},  {4, true, true},   {0, true, true},
                  {0, false, false}, {0, false, true}, {1, false, false}, {2, true, true},
                  {0, false, false}, {3, true, true},  {2, false, false}, {0, true, true},
                  {1, true, true}};
    struct rw_binidx_writer *w = new_writer(65536);
    struct rw_binidx b;
    uint8_t wanted[32], found[32];
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < RW_COUNT(pieces); i++) {
        add(w, (int32_t)n, pieces[i].n);
        assert_int_equal(pieces[i].last ? rw_binidx_writer_end(w, NULL)
                                        : rw_binidx_writer_end_piece(w, NULL),
                         RWKV_OK);
        memset(wanted + n, pieces[i].answer, pieces[i].n);
        n += pieces[i].n;
    }
    assert_int_equal(rw_binidx_writer_commit(w, NULL), RWKV_OK);
    assert_int_equal(open_data(&b, "out", NULL), RWKV_OK);
    assert_int_equal(b.n_items, RW_COUNT(pieces));
    assert_int_equal(b.n_documents, 7);
    assert_int_equal(b.n_tokens, n);
    assert_int_equal(rw_binidx_document(&b, 1), 5);
    for (size_t at = 0; at <= n; at++)
        for (size_t end = at; end <= n; end++) {
            size_t count = 0;
            memset(found, 7, sizeof found);
            assert_int_equal(rw_binidx_answers(&b, at, end - at, found),
                             rw_binidx_answers(&b, at, end - at, NULL));
            for (size_t i = at; i < end; i++)
                count += wanted[i];
            assert_int_equal(rw_binidx_answers(&b, at, end - at, NULL), count);
            assert_memory_equal(found, wanted + at, end - at);
            assert_int_equal(found[end - at], 7);
        }
    rw_binidx_close(&b);
}

/* Large documents in one piece, none, and ids that need more than 16 bits. */
static void test_writes_wide(void **state)
{
    struct rw_binidx_writer *w = new_writer(65537);
    struct rw_binidx b;
    int32_t token;
    (void)state;
    add(w, 50000, 15000);
    add(w, 65000, 537);
    assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    assert_int_equal(rw_binidx_writer_commit(w, NULL), RWKV_OK);
    assert_int_equal(open_data(&b, "out", NULL), RWKV_OK);
    assert_int_equal(b.dtype, RWKV_DTYPE_I32);
    assert_int_equal(b.n_documents, 2);
    assert_int_equal(rw_binidx_document(&b, 1), 15537);
    assert_int_equal(b.n_tokens, 15537);
    for (uint64_t i = 0; i < 15537; i++) {
        assert_int_equal(rw_binidx_read(&b, i, 1, 65537, &token, NULL), RWKV_OK);
        assert_int_equal(token, 50000 + (int32_t)i);
    }
    rw_binidx_close(&b);
}

static void test_whole_or_absent(void **state)
{
    struct rw_binidx_writer *w = new_writer(256);
    struct rw_binidx b;
    struct rlimit old, small;
    rwkv_error err = {0};
    rwkv_status status = RWKV_OK;
    (void)state;
    add(w, 1, 200);
    rw_binidx_writer_discard(w);
    rw_binidx_writer_discard(NULL);
    assert_int_equal(open_data(&b, "out", NULL), RWKV_OK); /* as the test before left it */
    assert_int_equal(b.n_tokens, 15537);
    rw_binidx_close(&b);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1 << 16;
    w = new_writer(256);
    for (size_t i = 0; i < 40; i++) {
        add(w, 0, 255);
        assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    }
    for (size_t i = 0; i < 400; i++)
        add(w, 0, 255);
    assert_int_equal(rw_binidx_writer_end(w, NULL), RWKV_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    status = rw_binidx_writer_commit(w, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "File too large"));
    assert_int_equal(open_data(&b, "out", NULL), RWKV_OK);
    assert_int_equal(b.n_tokens, 15537);
    rw_binidx_close(&b);
}

static void test_fingerprint(void **state)
{
    char path[512], a[65], c[65];
    struct rw_binidx b;
    (void)state;
    assert_int_equal(open_data(&b, "out", NULL), RWKV_OK);
    rw_binidx_fingerprint(&b, a);
    rw_binidx_close(&b);
    FILE *f = fopen(in_folder(path, folder, "out.bin"), "r+b");
    assert_int_equal(fseek(f, 20000, SEEK_SET), 0);
    assert_int_not_equal(fputc(0x55, f), EOF);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(open_data(&b, "out", NULL), RWKV_OK);
    rw_binidx_fingerprint(&b, c);
    rw_binidx_close(&b);
    assert_string_not_equal(a, c);
}

static void test_names(void **state)
{
    static const char *const cases[][2] = {{"a", "a.idx"},         {"a.bin", "a.idx"},
                                           {"a.idx", "a.idx"},     {"d.bin/x", "d.bin/x.idx"},
                                           {"a.txt", "a.txt.idx"}, {"a.bin.bin", "a.bin.idx"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = rw_binidx_path(cases[i][0], ".idx");
        assert_string_equal(path, cases[i][1]);
        rw_free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_documents_of_items),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refuses_headers),
        cmocka_unit_test(test_refuses_counts),
        cmocka_unit_test(test_refuses_items),
        cmocka_unit_test(test_refuses_documents),
        cmocka_unit_test(test_refuses_files),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_writes_wide),
        cmocka_unit_test(test_whole_or_absent),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
