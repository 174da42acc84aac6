/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pickle machine, opcode by opcode: what each makes, and every way to misuse it. All bytes are
 * written by hand here.
 */
#include "pth_make.h"

#include "base/alloc.h"
#include "base/status.h"
#include "formats/pth_int.h"

#define P2 "\x80\2"
#define P4 "\x80\4"

static rwkv_status run(struct rw_pickle *p, const char *bytes, size_t size, rwkv_error *err)
{
    return rw_pickle_run(p, "f", "p", bytes, size, 5, err);
}

/* --- values --- */

static void test_integers(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        int64_t value;
    } cases[] = {
        {BYTES(P2 "K\xff."), 255},
        {BYTES(P2 "M\xfe\xff."), 65534},
        {BYTES(P2 "J\xfe\xff\xff\xff."), -2},
        {BYTES(P2 "J\xff\xff\xff\x7f."), INT32_MAX},
        {BYTES(P2 "\x8a\0."), 0},
        {BYTES(P2 "\x8a\1\x80."), -128},
        {BYTES(P2 "\x8a\2\x80\0."), 128},
        {BYTES(P2 "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), INT64_MAX},
        {BYTES(P2 "\x8b\5\0\0\0\0\0\0\0\1."), (int64_t)1 << 32},
        {BYTES(P4 "\x95\7\0\0\0\0\0\0\0K\5\x94h\0\x86\x30K\7."), 7}, /* FRAME, MEMOIZE, POP */
        {BYTES(P2 "(K\1K\2(1K\3"
                  "1K\4."),
         4},
        {BYTES(P2 "K\1q\x05"
                  "0h\x05."),
         1},
        {BYTES(P2 "K\1r\5\0\0\0"
                  "0j\5\0\0\0."),
         1},
        {BYTES(P2 "K\1"
                  "2"
                  "0."),
         1},
        {BYTES(P2 "(0K\1."), 1}, /* POP of a mark */
        {BYTES(P2 "K\1.K\2."), 1},
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        struct rw_pickle p;
        rwkv_error err = {0};
        if (run(&p, cases[i].bytes, cases[i].size, &err) != RWKV_OK)
            fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(p.result.kind, RW_PICKLE_INT);
        assert_int_equal(p.result.i, cases[i].value);
        rw_pickle_fini(&p);
    }
}

static const struct {
    const char *bytes;
    size_t size;
    enum rw_pickle_kind kind;
    uint32_t n;
} kinds[] = {
    {BYTES(P2 "N."), RW_PICKLE_NONE, 0},
    {BYTES(P2 "\x88."), RW_PICKLE_BOOL, 0},
    {BYTES(P2 "\x89."), RW_PICKLE_BOOL, 0},
    {BYTES(P2 "\x8a\x09"
              "123456789."),
     RW_PICKLE_LONG, 9},
    {BYTES(P2 "\x8b\x09\0\0\0"
              "123456789."),
     RW_PICKLE_LONG, 9},
    {BYTES(P2 "G12345678."), RW_PICKLE_FLOAT, 0},
    {BYTES(P2 TEXT("\2", "ab") "."), RW_PICKLE_STRING, 2},
    {BYTES(P4 "\x8c\3abc."), RW_PICKLE_STRING, 3},
    {BYTES(P4 "\x8d\1\0\0\0\0\0\0\0a."), RW_PICKLE_STRING, 1},
    {BYTES("\x80\3"
           "C\2ab."),
     RW_PICKLE_BYTES, 0},
    {BYTES("\x80\3"
           "B\2\0\0\0ab."),
     RW_PICKLE_BYTES, 0},
    {BYTES(P4 "\x8e\1\0\0\0\0\0\0\0a."), RW_PICKLE_BYTES, 0},
    {BYTES(P2 ")."), RW_PICKLE_TUPLE, 0},
    {BYTES(P2 "K\1\x85."), RW_PICKLE_TUPLE, 1},
    {BYTES(P2 "NN\x86."), RW_PICKLE_TUPLE, 2},
    {BYTES(P2 "NNN\x87."), RW_PICKLE_TUPLE, 3},
    {BYTES(P2 "(t."), RW_PICKLE_TUPLE, 0},
    {BYTES(P2 "(NNNNNNNNNNt."), RW_PICKLE_TUPLE, 10},
    {BYTES(P2 "]K\1a."), RW_PICKLE_LIST, 0},
    {BYTES(P2 "](e."), RW_PICKLE_LIST, 0},
    {BYTES(P2 "}K\1K\2s."), RW_PICKLE_DICT, 0},
    {BYTES(P2 "}(K\1NN" TEXT("\1", "a") "u."), RW_PICKLE_DICT, 0},
    {BYTES(P2 HOOKS "."), RW_PICKLE_DICT, 0},
    {BYTES(P2 HOOKS "}b."), RW_PICKLE_DICT, 0},
    {BYTES(P4 "\x8c\x0b"
              "collections\x8c\x0bOrderedDict\x93)R."),
     RW_PICKLE_DICT, 0},
    {BYTES(P2 "c_codecs\nencode\n" TEXT("\3", "a\xc3\xbf") TEXT("\6", "latin1") "\x86R."),
     RW_PICKLE_BYTES, 0},
    {BYTES(P2 "ctorch\nHalfStorage\n."), RW_PICKLE_GLOBAL, RWKV_DTYPE_F16},
    {BYTES(P2 STORAGE "."), RW_PICKLE_STORAGE, 0},
    {BYTES(P2 TENSOR "."), RW_PICKLE_TENSOR, 0},
    {BYTES(P2 REBUILD "(" STORAGE "K\0))\x89" HOOKS "}tR."), RW_PICKLE_TENSOR, 0},
    {BYTES(P2 "ctorch._utils\n_rebuild_parameter\n" TENSOR "\x88" HOOKS "\x87R."), RW_PICKLE_TENSOR,
     0},
};

static void test_kinds(void **state)
{
    for (size_t i = 0; i < RW_COUNT(kinds); i++) {
        struct rw_pickle p;
        rwkv_error err = {0};
        if (run(&p, kinds[i].bytes, kinds[i].size, &err) != RWKV_OK)
            fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(p.result.kind, kinds[i].kind);
        assert_int_equal(p.result.n, kinds[i].n);
        assert_int_equal(p.used, kinds[i].size);
        assert_string_not_equal(rw_pickle_kind_name(p.result.kind), "nothing");
        rw_pickle_fini(&p);
    }
}

static void test_tensor(void **state)
{
    static const char bytes[] =
        P2 VIEW("K\1", "K\2M\3\0", "\x8a\x05\0\0\0\0\1K\7") "."; /* a stride of 2³² */
    struct rw_pickle p;
    assert_int_equal(run(&p, BYTES(bytes), NULL), RWKV_OK);
    struct rw_pickle_tensor t = rw_torch_tensor(&p, p.result);
    assert_int_equal(t.storage.dtype, RWKV_DTYPE_F32);
    assert_int_equal(t.storage.n_elements, 4);
    assert_int_equal(t.storage.key_size, 1);
    assert_memory_equal(t.storage.key, "0", 1);
    assert_int_equal(t.offset, 1);
    assert_int_equal(t.n_dims, 2);
    assert_int_equal(t.shape[0], 2);
    assert_int_equal(t.shape[1], 3);
    assert_int_equal(t.stride[0], (uint64_t)1 << 32);
    assert_int_equal(t.stride[1], 7);
    rw_pickle_fini(&p);
}

/* --- refusals --- */

struct refusal {
    const char *bytes;
    size_t size;
    const char *message;
};

static void expect_refusals(const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct rw_pickle p;
        rwkv_error err = {0};
        char *copy = malloc(cases[i].size); /* its exact size, for the sanitizers */
        assert_non_null(copy);
        memcpy(copy, cases[i].bytes, cases[i].size);
        assert_int_not_equal(run(&p, copy, cases[i].size, &err), RWKV_OK);
        rw_pickle_fini(&p);
        free(copy);
        if (!strstr(err.message, cases[i].message) || strncmp(err.message, "f: p: ", 6) != 0)
            fail_msg("case %zu: \"%s\" wanted, \"%s\" found", i, cases[i].message, err.message);
    }
}

static void test_refused_opcodes(void **state)
{
    static const struct refusal cases[] = {
        {BYTES("\x80\1N."), "PROTO at byte 0: protocol 2 to 4 wanted, 1 found"},
        {BYTES("\x80\5N."), "protocol 2 to 4 wanted, 5 found"},
        {BYTES("N."), "NONE at byte 0: PROTO wanted first"},
        {BYTES(P2 "I1\n."), "INT at byte 2: 0x49 is not among"},
        {BYTES(P2 "Pabc\n."), "PERSID at byte 2"},
        {BYTES(P2 "cos\nsystem\n."), "\"os.system\" found"},
        {BYTES(P2 "(ios\nsystem\n."), "INST at byte 3"},
        {BYTES(P2 ")\x81."), "NEWOBJ at byte 3"},
        {BYTES(P2 "\x92."), "NEWOBJ_EX"},
        {BYTES(P2 "\x82\1."), "EXT1"},
        {BYTES(P2 "\xff."), "opcode at byte 2: 0xff is not among"},
        {BYTES(P4 "\x96."), "BYTEARRAY8"},
    };
    expect_refusals(cases, RW_COUNT(cases));
}

static void test_cut(void **state)
{
    static const struct refusal cases[] = {
        {BYTES("\x80"), "PROTO at byte 0: its argument reaches beyond"},
        {BYTES(P2), "opcode at byte 2: STOP wanted, the end found"},
        {BYTES(P2 "K"), "BININT1 at byte 2: its argument reaches beyond"},
        {BYTES(P2 "J\1\2\3"), "BININT at byte 2"},
        {BYTES(P2 "\x8a\5"
                  "1234"),
         "an argument of 5 bytes, but only 4 are left"},
        {BYTES(P2 "\x8a"), "LONG1 at byte 2"},
        {BYTES(P2 "\x8b\xff\xff\xff\xff."), "an argument of 4294967295 bytes"},
        {BYTES(P2 "G1234567"), "BINFLOAT"},
        {BYTES(P2 "X\5\0\0"), "BINUNICODE at byte 2: its argument"},
        {BYTES(P4 "\x8d\xff\xff\xff\xff\xff\xff\xff\xff."),
         "an argument of 18446744073709551615 bytes, but only 1 are left"},
        {BYTES(P4 "C\2a"), "SHORT_BINBYTES"},
        {BYTES(P4 "\x95\1\2"), "FRAME"},
        {BYTES(P2 "Nq"), "BINPUT"},
        {BYTES(P2 "h"), "BINGET"},
        {BYTES(P2 "ccollections"), "GLOBAL at byte 2: its argument"},
        {BYTES(P2 "ccollections\nOrderedDict"), "GLOBAL at byte 2: its argument"},
    };
    expect_refusals(cases, RW_COUNT(cases));
}

static void test_stack(void **state)
{
    static const struct refusal cases[] = {
        {BYTES(P2 "."), "STOP at byte 2: 1 value wanted on the stack, fewer found"},
        {BYTES(P2 "(."), "STOP at byte 3: 1 value wanted"},
        {BYTES(P2 "NN."), "one value wanted on the stack, 2 found"},
        {BYTES(P2 "0."), "POP at byte 2: 1 value wanted"},
        {BYTES(P2 "N1."), "POP_MARK at byte 3: no mark"},
        {BYTES(P2 "2."), "DUP"},
        {BYTES(P2 "(2."), "DUP"},
        {BYTES(P2 "q\0."), "BINPUT"},
        {BYTES(P2 "(\x94."), "MEMOIZE"},
        {BYTES(P2 "Nr\xff\xff\xff\xff."),
         "a place in the memo below 4096 wanted, 4294967295 found"},
        {BYTES(P2 "h\0."), "nothing in place 0 of the memo"},
        {BYTES(P2 "Nq\5h\4."), "nothing in place 4 of the memo"},
        {BYTES(P2 "N\x86."), "TUPLE2 at byte 3: 2 values wanted"},
        {BYTES(P2 "N(N\x86."), "TUPLE2"},
        {BYTES(P2 "Nt."), "TUPLE at byte 3: no mark"},
        {BYTES(P2 "Na."), "a list wanted to fill, nothing found"},
        {BYTES(P2 "a."), "APPEND at byte 2: 1 value wanted"},
        {BYTES(P2 "Ne."), "no mark"},
        {BYTES(P2 "}(Ne."), "a list wanted to fill, a dict found"},
        {BYTES(P2 "}Ns."), "a dict wanted to fill, nothing found"},
        {BYTES(P2 "}s."), "SETITEM at byte 3: 2 values wanted"},
        {BYTES(P2 "](NNu."), "a dict wanted to fill, a list found"},
        {BYTES(P2 "}(NNNu."), "pairs wanted, 3 values found"},
        {BYTES(P2 "((NNu."), "a dict wanted to fill, a mark found"},
        {BYTES(P2 "}NNu."), "no mark"},
        {BYTES(P2 "b."), "BUILD at byte 2: 1 value wanted"},
        {BYTES(P2 "}b."), "an OrderedDict wanted, nothing found"},
        {BYTES(P2 "}}b."), "an OrderedDict wanted, a dict found"},
        {BYTES(P2 "N}b."), "an OrderedDict wanted, None found"},
        {BYTES(P2 "Q."), "BINPERSID at byte 2: 1 value wanted"},
        {BYTES(P2 "NR."), "REDUCE at byte 3: 1 value wanted"},
        {BYTES(P2 "R."), "REDUCE"},
        {BYTES(P2 "NNR."), "a global and a tuple wanted, None and None found"},
        {BYTES(P4 "\x93."), "STACK_GLOBAL"},
        {BYTES(P4 "N\x93."), "STACK_GLOBAL"},
        {BYTES(P4 "NN\x93."), "two strings wanted, None and None found"},
        {BYTES(P4 "\x8c\2os\x8c\6system\x93."), "\"os.system\" found"},
    };
    expect_refusals(cases, RW_COUNT(cases));
}

#define ENCODE "c_codecs\nencode\n"
#define LATIN1 TEXT("\6", "latin1")
#define PARAMETER "ctorch._utils\n_rebuild_parameter\n"
#define FULL_HOOKS HOOKS "NNs"

static void test_callables(void **state)
{
    static const struct refusal cases[] = {
        {BYTES(P2 "ctorch\nload\n."), "\"torch.load\" found"},
        {BYTES(P2 "ctorch\nQuantumStorage\n."), "\"torch.QuantumStorage\" found"},
        {BYTES(P2 "ctorch.storage\n_load_from_bytes\n."), "_load_from_bytes"},
        {BYTES(P2 "ctorch\nFloatStorage\n)R."), "a storage class cannot be called"},
        {BYTES(P2 "ccollections\nOrderedDict\n]\x85R."), "OrderedDict: other arguments than ()"},
        {BYTES(P2 ENCODE ")R."), "_codecs.encode: other arguments"},
        {BYTES(P2 ENCODE "N" LATIN1 "\x86R."), "_codecs.encode: other arguments"},
        {BYTES(P2 ENCODE LATIN1 TEXT("\5", "utf-8") "\x86R."), "_codecs.encode: other arguments"},
        {BYTES(P2 ENCODE TEXT("\2", "\xc4\x80") LATIN1 "\x86R."), "_codecs.encode: not bytes"},
        {BYTES(P2 ENCODE TEXT("\1", "\xc3") LATIN1 "\x86R."), "_codecs.encode: not bytes"},
        {BYTES(P2 ENCODE TEXT("\2", "\xc3"
                                    "a") LATIN1 "\x86R."),
         "_codecs.encode: not bytes"},
        {BYTES(P2 PARAMETER ")R."), "_rebuild_parameter: other arguments"},
        {BYTES(P2 PARAMETER "NNN\x87R."), "_rebuild_parameter: other arguments"},
        {BYTES(P2 PARAMETER TENSOR "\x88" FULL_HOOKS "\x87R."), "_rebuild_parameter"},
        {BYTES(P2 REBUILD ")R."), "_rebuild_tensor_v2: other arguments"},
        {BYTES(P2 REBUILD "(NNNNNNtR."), "_rebuild_tensor_v2: other arguments"},
        {BYTES(P2 REBUILD "(" STORAGE "K\0))\x89" FULL_HOOKS "tR."), "without hooks and metadata"},
        {BYTES(P2 REBUILD "(" STORAGE "K\0))\x89" HOOKS "}" TEXT("\3", "neg") "\x88stR."),
         "without hooks and metadata"},
        {BYTES(P2 REBUILD "(" STORAGE "K\0))\x89" HOOKS "NtR."), "without hooks and metadata"},
        {BYTES(P2 VIEW("J\xff\xff\xff\xff", "", "") "."),
         "a tensor's offset: 0 or more wanted, -1"},
        {BYTES(P2 VIEW("K\0", "K\1K\1", "K\1") "."), "as many as sizes wanted (2), 1 found"},
        {BYTES(P2 VIEW("K\0", "NNNNNNNNN", "NNNNNNNNN") "."),
         "at most 8 dimensions wanted, 9 found"},
        {BYTES(P2 VIEW("K\0", "N", "K\1") "."), "a tensor's size"},
        {BYTES(P2 VIEW("K\0", "K\1", "J\0\0\0\x80") "."), "a tensor's stride"},
    };
    expect_refusals(cases, RW_COUNT(cases));
}

static void test_persistent_ids(void **state)
{
    static const struct refusal cases[] = {
        {BYTES(P2 "NQ."), "the id of a storage wanted (5 items"},
        {BYTES(P2 "NNNNN(NNNNNtQ."), "the id of a storage wanted"},
        {BYTES(P2 ID_TO("FloatStorage", KEY_0, CPU, "K\4N") "tQ."), "the id of a storage wanted"},
        {BYTES(P2 ID_TO("FloatStorage", KEY_0, "N", "K\4") "tQ."), "the id of a storage wanted"},
        {BYTES(P2 "(" TEXT("\6", "module") "ctorch\nFloatStorage\n" KEY_0 CPU "K\4tQ."),
         "the id of a storage wanted"},
        {BYTES(P2 "(" TEXT("\7", "storage") ENCODE KEY_0 CPU "K\4tQ."),
         "the id of a storage wanted"},
        {BYTES(P2 ID_TO("FloatStorage", KEY_0, CPU, "J\xff\xff\xff\xff") "tQ."),
         "a storage of 0 or more elements wanted, -1 found"},
    };
    expect_refusals(cases, RW_COUNT(cases));
}

/* --- limits --- */

static void expect_limit(struct rw_str *s, const char *message)
{
    assert_false(s->failed);
    const struct refusal r = {s->data, s->size, message};
    expect_refusals(&r, 1);
    rw_str_fini(s);
}

static void add_times(struct rw_str *s, const char *bytes, size_t size, size_t times)
{
    for (size_t i = 0; i < times; i++)
        rw_str_add(s, bytes, size);
}

static void test_limits(void **state)
{
    struct rw_str s = {0};
    rw_str_adds(&s, P2);
    add_times(&s, "N", 1, ((size_t)1 << 20) + 1);
    expect_limit(&s, "more than 1048576 values on the stack");

    rw_str_adds(&s, P2);
    add_times(&s, "]0", 2, ((size_t)1 << 22) + 1);
    expect_limit(&s, "more than 4194304 values of a kind");

    /* A text given to _codecs.encode again and again: more work than the pickle is long. */
    rw_str_add(&s, BYTES(P2 ENCODE "q\0X\0\x10\0\0"));
    add_times(&s, "a", 1, 4096);
    rw_str_add(&s, BYTES(LATIN1 "\x86q\1R"));
    add_times(&s, "0h\0h\1R", 6, 4);
    expect_limit(&s, "_codecs.encode: not bytes");

    rw_str_add(&s, BYTES(P2 "(" TEXT("\7", "storage") "ctorch\nFloatStorage\nX\1\1\0\0"));
    add_times(&s, "0", 1, 257);
    rw_str_add(&s, BYTES(CPU "K\4tQ."));
    expect_limit(&s, "a storage key of at most 256 bytes wanted, 257 found");

    rw_str_adds(&s, P2);
    rw_str_addc(&s, 'X');
    make_u32(&s, RW_PICKLE_MAX_SIZE - 7);
    char *text = rw_calloc(RW_PICKLE_MAX_SIZE, 1);
    assert_non_null(text);
    rw_str_add(&s, text, RW_PICKLE_MAX_SIZE);
    rw_free(text);
    expect_limit(&s, "STOP wanted, a pickle of more than 64 MiB found");
}

/* A hundred thousand tuples, one in the other, and 2⁶⁰ leaves by sharing. */
static void test_nesting(void **state)
{
    struct rw_str s = {0};
    struct rw_pickle p;
    rw_str_adds(&s, P2 ")");
    add_times(&s, "\x85", 1, 100000);
    add_times(&s, "2\x86", 2, 60);
    rw_str_adds(&s, ".");
    assert_int_equal(run(&p, s.data, s.size, NULL), RWKV_OK);
    assert_int_equal(p.result.kind, RW_PICKLE_TUPLE);
    rw_pickle_fini(&p);
    rw_str_fini(&s);
}

/* Cut anywhere, a good pickle fails and nothing else happens. */
static void test_every_prefix(void **state)
{
    static const char whole[] = P4 "}\x94(" NAMED_W TEXT("\1", "v") TENSOR "u.";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct rw_pickle p;
        char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, whole, n);
        assert_int_not_equal(run(&p, copy, n, NULL), RWKV_OK);
        rw_pickle_fini(&p);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),     cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_tensor),       cmocka_unit_test(test_refused_opcodes),
        cmocka_unit_test(test_cut),          cmocka_unit_test(test_stack),
        cmocka_unit_test(test_callables),    cmocka_unit_test(test_persistent_ids),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
