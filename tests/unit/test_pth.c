/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading .pth files: the zip directory with every field spoiled in turn, tensors against their
 * storages, names and nested dicts, the form without zip, and the verdict and checksums of each
 * shared vector.
 */
#include "pth_make.h"

#include <jansson.h>

#include "base/alloc.h"
#include "base/status.h"

/* The last place of a record's signature. */
static uint8_t *record(const struct rw_str *s, const char *signature)
{
    for (size_t at = s->size - 3; at-- > 0;)
        if (memcmp(s->data + at, signature, 4) == 0)
            return (uint8_t *)s->data + at;
    fail_msg("no record %s", signature);
    return NULL;
}

#define LOCAL "PK\3\4"
#define CENTRAL "PK\1\2"
#define END "PK\5\6"
#define END64 "PK\6\6"
#define LOCATOR64 "PK\6\7"

/* --- zip --- */

static void test_good_archives(void **state)
{
    for (int zip64 = 0; zip64 < 2; zip64++) {
        struct rw_str s = make_checkpoint(BYTES(STATE_DICT), zip64);
        struct rw_file *file;
        char *copy;
        assert_int_equal(open_bytes(s.data, s.size, &file, &copy, NULL), RWKV_OK);
        const struct rw_tensor *t = rw_file_find(file, "w");
        assert_non_null(t);
        assert_int_equal(t->dtype, RWKV_DTYPE_F32);
        assert_int_equal(t->n_dims, 1);
        assert_int_equal(t->shape[0], 4);
        assert_memory_equal(t->data, four_floats, sizeof four_floats);
        assert_true(t->data > (uint8_t *)copy && t->data < (uint8_t *)copy + s.size); /* in place */
        assert_string_equal(file->format->name, "pth");
        rw_file_close(file);
        free(copy);
        rw_str_fini(&s);
    }
}

static void test_comment(void **state)
{
    struct rw_str s = make_checkpoint(BYTES(STATE_DICT), false);
    rw_store_u16(record(&s, END) + 20, 30);
    rw_str_add(&s, "PK\5\6 and so on, then PK\5\6 again", 30);
    expect_names(s.data, s.size, "w ");
    rw_str_addc(&s, '!');
    expect_refusal(s.data, s.size, "zip end record: none at the end of the file");
    rw_str_fini(&s);
}

/* Every file cut short is refused. */
static void test_every_prefix(void **state)
{
    for (int zip64 = 0; zip64 < 2; zip64++) {
        struct rw_str s = make_checkpoint(BYTES(STATE_DICT), zip64);
        for (size_t n = 0; n < s.size; n++)
            expect_refusal(s.data, n, "");
        rw_str_fini(&s);
    }
}

/* A field of a record, by its offset, overwritten with so many bytes of `value`. */
struct spoil {
    const char *record;
    size_t at, width;
    uint64_t value;
    const char *message;
};

static void expect_spoiled(const struct spoil *cases, size_t n, bool zip64)
{
    for (size_t i = 0; i < n; i++) {
        struct rw_str s = make_checkpoint(BYTES(STATE_DICT), zip64);
        uint8_t bytes[8];
        rw_store_u64(bytes, cases[i].value);
        memcpy(record(&s, cases[i].record) + cases[i].at, bytes, cases[i].width);
        expect_refusal(s.data, s.size, cases[i].message);
        rw_str_fini(&s);
    }
}

static void test_spoiled_end(void **state)
{
    static const struct spoil cases[] = {
        {END, 0, 1, 'Q', "zip end record: none"},
        {END, 4, 2, 1, "an archive over several disks"},
        {END, 6, 2, 1, "an archive over several disks"},
        {END, 8, 2, 2, "an archive over several disks"},
        {END, 12, 4, 1 << 20, "zip end record: 3 members in 1048576 bytes"},
        {END, 12, 4, 46, "which do not fit"},
        {END, 12, 4, 46 * 3, "zip directory: no whole entry at byte"},
        {END, 16, 4, 1 << 20, "which do not fit"},
        {END, 16, 4, UINT32_MAX, "which do not fit"},
        {END, 20, 2, 1, "zip end record: none"},
    };
    expect_spoiled(cases, RW_COUNT(cases), false);
}

static void test_spoiled_end64(void **state)
{
    static const struct spoil cases[] = {
        /* Without a locator the end record's own numbers count. */
        {LOCATOR64, 0, 1, 'Q', "zip end record: 65535 members in 4294967295 bytes"},
        {LOCATOR64, 8, 8, UINT64_MAX,
         "zip64 locator: no zip64 end record at byte 18446744073709551615"},
        {LOCATOR64, 8, 8, 0, "zip64 locator: no zip64 end record at byte 0"},
        {END64, 16, 4, 1, "zip64 end record: does not agree"},
        {END64, 20, 4, 1, "zip64 end record: does not agree"},
        {END64, 24, 8, 4, "zip64 end record: does not agree"},
        {END64, 32, 8, (uint64_t)1 << 60, "zip64 end record: does not agree"},
        {END64, 40, 8, UINT64_MAX, "which do not fit"},
        {END64, 48, 8, UINT64_MAX, "which do not fit"},
        {END, 12, 4, 46, "zip64 end record: does not agree"},
        {END, 16, 4, 46, "zip64 end record: does not agree"},
    };
    expect_spoiled(cases, RW_COUNT(cases), true);
}

/* The last central header is that of a/version, which nobody reads: its place must hold all the
 * same. */
static void test_spoiled_directory(void **state)
{
    static const struct spoil cases[] = {
        {CENTRAL, 0, 1, 'Q', "zip directory: no whole entry at byte"},
        {CENTRAL, 28, 2, 0xffff, "zip directory: no whole entry"},
        {CENTRAL, 30, 2, 1, "zip directory: no whole entry"},
        {CENTRAL, 32, 2, 1, "zip directory: no whole entry"},
        {CENTRAL, 24, 4, 1, "a/version: stored, but with two different sizes"},
        {CENTRAL, 20, 4, UINT32_MAX, "a/version: its extra fields are damaged"},
        {CENTRAL, 24, 4, UINT32_MAX, "a/version: its extra fields are damaged"},
        {CENTRAL, 42, 4, UINT32_MAX, "a/version: its extra fields are damaged"},
        {CENTRAL, 42, 4, 1 << 20, "a/version: reaches beyond"},
        {CENTRAL, 28, 2, 8, "zip directory: 1 bytes after its 3 entries"},
    };
    expect_spoiled(cases, RW_COUNT(cases), false);

    struct rw_str s = make_checkpoint(BYTES(STATE_DICT), false);
    uint8_t *central = record(&s, CENTRAL), *local = record(&s, LOCAL);
    rw_store_u32(central + 20, 1 << 20);
    rw_store_u32(central + 24, 1 << 20);
    expect_refusal(s.data, s.size, "a/version: reaches beyond");
    rw_store_u32(central + 20, 2);
    rw_store_u32(central + 24, 2);
    rw_store_u32(central + 42, (uint32_t)((char *)local - s.data) + 12); /* fits no header */
    expect_refusal(s.data, s.size, "a/version: reaches beyond");
    rw_str_fini(&s);
}

static void test_spoiled_extra(void **state)
{
    static const struct spoil cases[] = {
        {CENTRAL, 46 + 9 + 2, 2, 100,
         "a/version: its extra fields are damaged"}, /* the first field */
        {CENTRAL, 46 + 9 + 5 + 2, 2, 23, "a/version: its extra fields are damaged"},
        {CENTRAL, 46 + 9 + 5, 2, 2, "a/version: its extra fields are damaged"}, /* another record */
        {CENTRAL, 46 + 9 + 5 + 4, 8, 3, "a/version: stored, but with two different sizes"},
        {CENTRAL, 46 + 9 + 5 + 20, 8, UINT64_MAX, "a/version: reaches beyond"},
    };
    expect_spoiled(cases, RW_COUNT(cases), true);
}

/* Fields that count only for members that are used: here the storage. */
static void test_spoiled_member(void **state)
{
    static const struct part parts[] = {
        {"a/data.pkl", BYTES(STATE_DICT)},
        {"a/data/0", four_floats, sizeof four_floats},
    };
    static const struct spoil cases[] = {
        {CENTRAL, 8, 2, 1, "zip member a/data/0: plain data wanted, encrypted data found"},
        {CENTRAL, 10, 2, 8,
         "zip member a/data/0: data stored plainly (method 0) wanted, method 8 found"},
        {LOCAL, 0, 1, 'Q', "zip member a/data/0: no local header where the directory says"},
        {LOCAL, 26, 2, 7, "zip member a/data/0: its local header has another name"},
        {LOCAL, 30, 1, 'b', "zip member a/data/0: its local header has another name"},
        {LOCAL, 28, 2, 1, "zip member a/data/0: its data reaches into the zip directory"},
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        struct rw_str s = make_zip(parts, RW_COUNT(parts), false);
        uint8_t bytes[8];
        rw_store_u64(bytes, cases[i].value);
        memcpy(record(&s, cases[i].record) + cases[i].at, bytes, cases[i].width);
        expect_refusal(s.data, s.size, cases[i].message);
        rw_str_fini(&s);
    }
}

/* --- archives --- */

static void test_members(void **state)
{
    static const struct {
        struct part extra; /* besides a good checkpoint with the root "a" */
        const char *message;
    } cases[] = {
        {{"a/data/0", "", 0}, "zip member a/data/0: there are two of that name"},
        {{"b/data.pkl", "", 0}, "one zip member NAME/data.pkl wanted, several found"},
        {{"a/constants.pkl", "", 0}, "a TorchScript archive found"},
        {{"a/byteorder", "big", 3}, "zip member byteorder: \"little\" wanted, \"big\" found"},
        {{"a/byteorder", "little", 6}, NULL},
        {{"a/.data/serialization_id", "1", 1}, NULL},
        {{"../../evil", "1", 1}, NULL},
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        const struct part parts[] = {
            {"a/data.pkl", BYTES(STATE_DICT)},
            {"a/data/0", four_floats, sizeof four_floats},
            cases[i].extra,
        };
        struct rw_str s = make_zip(parts, RW_COUNT(parts), false);
        if (cases[i].message)
            expect_refusal(s.data, s.size, cases[i].message);
        else
            expect_names(s.data, s.size, "w ");
        rw_str_fini(&s);
    }
}

static void test_missing_members(void **state)
{
    static const struct part pickle = {"a/data.pkl", BYTES(STATE_DICT)};
    static const struct part no_root = {"data.pkl", BYTES(STATE_DICT)};
    static const struct part small[] = {
        {"a/data.pkl", BYTES(STATE_DICT)},
        {"a/data/0", four_floats, 15},
    };
    struct rw_str s = make_zip(NULL, 0, false);
    expect_refusal(s.data, s.size, "no zip member NAME/data.pkl found");
    rw_str_fini(&s);
    s = make_zip(&no_root, 1, false);
    expect_refusal(s.data, s.size, "no zip member NAME/data.pkl found");
    rw_str_fini(&s);
    s = make_zip(&pickle, 1, false);
    expect_refusal(s.data, s.size, "zip member a/data/0: not there, but a tensor's storage");
    rw_str_fini(&s);
    s = make_zip(small, 2, false);
    expect_refusal(s.data, s.size,
                   "zip member a/data/0: 4 elements of type F32 wanted, 15 bytes found");
    rw_str_fini(&s);

    s = make_checkpoint(BYTES(STATE_DICT), false);
    rw_store_u16(record(&s, CENTRAL) + 46, 0); /* a name that is out of order now: "\0\0version" */
    rw_store_u16(record(&s, LOCAL) + 30, 0);
    expect_names(s.data, s.size, "w ");
    rw_str_fini(&s);
}

static void test_other_files(void **state)
{
    uint8_t tar[512] = {0};
    memcpy(tar + 257, "ustar", 5);
    expect_refusal(tar, sizeof tar, "a PyTorch checkpoint wanted, a tar file found");
    expect_refusal(BYTES("version https://git-lfs.github.com/spec/v1\n"),
                   "the Git LFS pointer to a file found");
    expect_refusal(BYTES("hello"), "neither a zip archive nor a pickle found");
    expect_refusal(BYTES("\x80\2]."), "pickle 1: torch's magic number wanted; this pickle is no "
                                      "checkpoint, a list found");
}

/* --- tensors --- */

#define HUGE_INT "\x8a\x08\0\0\0\0\0\0\0\x40" /* 2⁶² */
#define W(tensor) "\x80\2}" TEXT("\1", "w") tensor "s."

static void test_tensor_bounds(void **state)
{
    static const struct {
        const char *pickle;
        size_t size;
        const char *message; /* NULL: good */
    } cases[] = {
        {BYTES(W(VIEW("K\3", "", ""))), NULL},
        {BYTES(W(VIEW("K\4", "", ""))), "tensor w: reaches element 4 of a storage of 4"},
        {BYTES(W(VIEW("K\0", "K\2K\2", "K\1K\2"))), NULL},
        {BYTES(W(VIEW("K\1", "K\2K\2", "K\1K\2"))), "reaches element 4 of a storage of 4"},
        {BYTES(W(VIEW("K\4", "K\0K\x09", "K\x09K\1"))), NULL}, /* no elements: nothing to reach */
        {BYTES(W(VIEW("K\0", "K\1", HUGE_INT))), NULL},
        {BYTES(W(VIEW("K\0", "K\x64K\x64", "K\0K\0"))), NULL}, /* repeated, but small */
        {BYTES(W(VIEW("K\0", "J\0\0\0\1", "K\0"))),
         "tensor w: repeats elements to more than the size of the file"},
        {BYTES(W(VIEW("K\0", HUGE_INT "K\4", "K\0K\0"))), "its number of elements overflows"},
        {BYTES(W(VIEW("K\0", "K\0" HUGE_INT "K\4", "K\0K\0K\0"))),
         "its number of elements overflows"},
        {BYTES(W(VIEW("K\0", HUGE_INT, "K\0"))), "its number of bytes overflows"},
        {BYTES(W(VIEW("K\0", "K\5", HUGE_INT))), "its strides overflow"},
        {BYTES(W(VIEW("K\0", "K\3K\3K\3", HUGE_INT HUGE_INT "K\1"))), "its strides overflow"},
        {BYTES(W(REBUILD "(" STORAGE_OF("FloatStorage", HUGE_INT) "K\0))\x89" HOOKS "tR")),
         "a/data/0: 4611686018427387904 elements of type F32 wanted, 16 bytes found"},
        {BYTES(W(REBUILD "(" STORAGE_OF("DoubleStorage", "K\2") "K\1))\x89" HOOKS "tR")), NULL},
        {BYTES("\x80\2}" TEXT("\2", "w\xff") TENSOR "s."), "its name is not UTF-8"},
        {BYTES("\x80\2}" TEXT("\2", "w\0") TENSOR "s."), "contains a zero byte"},
        {BYTES("\x80\2}" NAMED_W NAMED_W "."), "tensor \"w\": occurs twice"},
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        struct rw_str s = make_checkpoint(cases[i].pickle, cases[i].size, false);
        if (cases[i].message)
            expect_refusal(s.data, s.size, cases[i].message);
        else
            expect_names(s.data, s.size, "w ");
        rw_str_fini(&s);
    }
}

static void test_view(void **state)
{
    /* [[1, 2], [3, 4]] as its transpose, and its last column */
    static const char pickle[] = "\x80\2}(" TEXT("\1", "t") VIEW("K\0", "K\2K\2", "K\1K\2")
        TEXT("\1", "c") VIEW("K\1", "K\2", "K\2") "u.";
    static const float transposed[] = {1, 3, 2, 4}, column[] = {2, 4};
    struct rw_str s = make_checkpoint(BYTES(pickle), false);
    struct rw_file *file;
    float out[4];
    char *copy;
    assert_int_equal(open_bytes(s.data, s.size, &file, &copy, NULL), RWKV_OK);
    rw_tensor_copy(rw_file_find(file, "t"), 0, 4, out);
    assert_memory_equal(out, transposed, sizeof transposed);
    rw_tensor_copy(rw_file_find(file, "c"), 0, 2, out);
    assert_memory_equal(out, column, sizeof column);
    rw_file_close(file);
    free(copy);
    rw_str_fini(&s);
}

/* --- dicts and names --- */

#define NAMED(n, name) TEXT(n, name) TENSOR
#define LONG_NAME "\1\1\0\0" /* 257 bytes */

static void test_dicts(void **state)
{
    static const struct {
        const char *pickle;
        size_t size;
        const char *names, *message;
    } cases[] = {
        {BYTES("\x80\2}."), "", NULL},
        {BYTES("\x80\2}" TEXT("\1", "n") "K\1s."), "", NULL},
        {BYTES("\x80\2}(" TEXT("\1", "n") "K\1" NAMED("\1", "w") TEXT("\1", "d") "}u."), "w ",
         NULL},
        {BYTES("\x80\2" TENSOR "."), NULL, "data.pkl: a dict of tensors wanted, a tensor found"},
        {BYTES("\x80\2}(K\1N" NAMED("\1", "w") "u."), NULL, "a dict with keys that are no strings"},
        {BYTES("\x80\2}" TEXT("\1", "m") "}" NAMED_W "s."), "w ", NULL},
        {BYTES("\x80\2}(" TEXT("\1", "m") "}" NAMED_W TEXT("\1", "o") "}K\1}ssu."), "w ", NULL},
        {BYTES("\x80\2}(" NAMED("\1", "v") TEXT("\1", "m") "}" NAMED_W "u."), "v ", NULL},
        {BYTES("\x80\2}(" TEXT("\1", "m") "}" NAMED_W TEXT("\1", "e") "}" NAMED_W "u."), NULL,
         "one dict of tensors wanted, several found (\"m\", \"e\")"},
        {BYTES("\x80\2}q\0" TEXT("\1", "m") "h\0s."), "", NULL}, /* a dict in itself */
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        struct rw_str s = make_checkpoint(cases[i].pickle, cases[i].size, false);
        if (cases[i].message)
            expect_refusal(s.data, s.size, cases[i].message);
        else
            expect_names(s.data, s.size, cases[i].names);
        rw_str_fini(&s);
    }
}

static void test_too_many_tensors(void **state)
{
    struct rw_str pickle = {0};
    rw_str_add(&pickle, BYTES("\x80\2" TEXT("\1", "w") "q\0" TENSOR "q\1"
                                                       "00}"));
    for (size_t i = 0; i <= (size_t)1 << 18; i++)
        rw_str_add(&pickle, "h\0h\1s", 5);
    rw_str_addc(&pickle, '.');
    struct rw_str s = make_checkpoint(pickle.data, pickle.size, false);
    expect_refusal(s.data, s.size, "data.pkl: at most 262144 tensors wanted, 262145 found");
    rw_str_fini(&s);
    rw_str_fini(&pickle);
}

static void test_prefixes(void **state)
{
    static const struct {
        const char *pickle;
        size_t size;
        const char *names;
    } cases[] = {
        {BYTES("\x80\2}(" NAMED("\7", "model.a") NAMED("\7", "model.b") "u."), "a b "},
        {BYTES("\x80\2}(" NAMED("\7", "model.a") NAMED("\1", "b") "u."), "model.a b "},
        {BYTES("\x80\2}(" NAMED("\6", "model.") NAMED("\7", "model.b") "u."), "model. model.b "},
        {BYTES("\x80\2}(" NAMED("\x10", "_forward_module.")
                   NAMED("\x11", "_forward_module.a") "u."),
         "_forward_module. _forward_module.a "},
        {BYTES("\x80\2}(" NAMED("\x11", "_forward_module.a") "u."), "a "},
        {BYTES("\x80\2}(" NAMED("\x0e", "module.model.a") TEXT("\1", "n") "Nu."), "a "},
        {BYTES("\x80\2}(" NAMED("\x0e", "model.layers.0") NAMED("\x07", "lm_head") "u."),
         "model.layers.0 lm_head "},
        {BYTES("\x80\2}(" NAMED("\x0e", "model.layers.0") NAMED("\x0c", "model.norm.w") "u."),
         "model.layers.0 model.norm.w "},
        {BYTES("\x80\2}(" NAMED("\x12", "model.embeddings.w") NAMED("\x0c", "model.norm.w") "u."),
         "model.embeddings.w model.norm.w "},
        {BYTES("\x80\2}(" NAMED("\x15", "module.model.layers.0") "u."), "model.layers.0 "},
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        struct rw_str s = make_checkpoint(cases[i].pickle, cases[i].size, false);
        expect_names(s.data, s.size, cases[i].names);
        rw_str_fini(&s);
    }
}

static void test_long_name(void **state)
{
    for (size_t n = 256; n < 258; n++) {
        struct rw_str pickle = {0};
        char name[257];
        memset(name, 'n', sizeof name);
        rw_str_adds(&pickle, "\x80\2}X");
        make_u32(&pickle, n);
        rw_str_add(&pickle, name, n);
        rw_str_add(&pickle, BYTES(TENSOR "s."));
        struct rw_str s = make_checkpoint(pickle.data, pickle.size, false);
        struct rw_file *file = NULL;
        char *copy;
        rwkv_status status = open_bytes(s.data, s.size, &file, &copy, NULL);
        assert_int_equal(status, n == 256 ? RWKV_OK : RWKV_ERROR_FORMAT);
        rw_file_close(file);
        free(copy);
        rw_str_fini(&s);
        rw_str_fini(&pickle);
    }
}

/* --- the form without zip --- */

#define MAGIC "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
#define VERSION "\x80\2M\xe9\3."
#define MACHINE(little) "\x80\2}" TEXT("\x0d", "little_endian") little "s."
#define HEAD MAGIC VERSION MACHINE("\x88")
#define OLD_STORAGE(key, n) ID_TO("FloatStorage", TEXT("\1", key), CPU, n "N") "tQ"
#define OLD_TENSOR(key, n) REBUILD "(" OLD_STORAGE(key, n) "K\0K\4\x85K\1\x85\x89" HOOKS "tR"
#define OLD_DICT "\x80\2}" TEXT("\1", "w") OLD_TENSOR("0", "K\4") "s."
#define KEYS(keys) "\x80\2](" keys "e."
#define FLOATS "\4\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40"

static void test_legacy(void **state)
{
    static const char whole[] = HEAD OLD_DICT KEYS(KEY_0) FLOATS;
    struct rw_file *file;
    char *copy;
    rwkv_error err = {0};
    if (open_bytes(BYTES(whole), &file, &copy, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    assert_memory_equal(rw_file_find(file, "w")->data, four_floats, sizeof four_floats);
    rw_file_close(file);
    free(copy);
    for (size_t n = 0; n < sizeof whole - 1; n++)
        expect_refusal(whole, n, "");

    /* two tensors that share a storage; protocol 4 */
    expect_names(BYTES(HEAD "\x80\4}(" TEXT("\1", "v") OLD_TENSOR("0", "K\4") TEXT("\1", "w")
                           OLD_TENSOR("0", "K\4") "u." KEYS(KEY_0) FLOATS),
                 "v w ");
    expect_names(BYTES(HEAD "\x80\2}." KEYS("")), "");
}

static void test_legacy_refusals(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } cases[] = {
        {BYTES("\x80\2\x8a\x0a"
               "0123456789."),
         "pickle 1: torch's magic number wanted"},
        {BYTES(MAGIC "\x80\2K\1."), "pickle 2: version 1001 wanted"},
        {BYTES(MAGIC VERSION "\x80\2]."), "pickle 3: the facts of a little-endian machine wanted"},
        {BYTES(MAGIC VERSION "\x80\2}."), "pickle 3: the facts of a little-endian machine wanted"},
        {BYTES(MAGIC VERSION MACHINE("\x89")), "pickle 3: the facts of a little-endian machine"},
        {BYTES(HEAD W(VIEW("K\0", "", ""))), "pickle 4: BINPERSID at byte"}, /* 5 items */
        {BYTES(HEAD "\x80\2]." KEYS("")), "pickle 4: a dict of tensors wanted, a list found"},
        {BYTES(HEAD OLD_DICT "\x80\2}."), "pickle 5: a list of storage keys wanted"},
        {BYTES(HEAD OLD_DICT KEYS("K\1")), "pickle 5: a list of storage keys wanted"},
        {BYTES(HEAD OLD_DICT KEYS("")), "pickle 5: 1 storage keys wanted, 0 found"},
        {BYTES(HEAD OLD_DICT KEYS(TEXT("\1", "1")) FLOATS),
         "storage 1: in the list of keys, but not"},
        {BYTES(HEAD OLD_DICT KEYS(TEXT("\2", "00")) FLOATS), "storage 00: in the list of keys"},
        {BYTES(HEAD OLD_DICT KEYS(KEY_0 KEY_0) FLOATS FLOATS),
         "storage 0: twice in the list of keys"},
        {BYTES(HEAD OLD_DICT KEYS(KEY_0) "\4\0\0"), "storage 0: the file ends before it"},
        {BYTES(HEAD OLD_DICT KEYS(KEY_0) "\4\0\0\0\0\0\0\0"
                                         "123456789012345"),
         "storage 0: the file ends inside it"},
        {BYTES(HEAD OLD_DICT KEYS(KEY_0) "\5\0\0\0\0\0\0\0"),
         "storage 0: 4 elements wanted, 5 found"},
        {BYTES(HEAD OLD_DICT KEYS(KEY_0) "\xff\xff\xff\xff\xff\xff\xff\xff"),
         "storage 0: 4 elements wanted, -1 found"},
        {BYTES(HEAD "\x80\2" OLD_STORAGE("0", HUGE_INT) "." KEYS(KEY_0) "\0\0\0\0\0\0\0\x40"),
         "storage 0: the file ends inside it"},
        {BYTES(HEAD "\x80\2" OLD_STORAGE("0", "K\4") OLD_STORAGE("0", "K\3") "0." KEYS(KEY_0)),
         "storage 0: used with two types or sizes"},
    };
    for (size_t i = 0; i < RW_COUNT(cases); i++)
        expect_refusal(cases[i].bytes, cases[i].size, cases[i].message);
}

/* --- shared vectors --- */

static void check_tensor(const struct rw_tensor *t, const char *file, const char *name,
                         json_t *want)
{
    struct rw_sha256 h;
    char hex[65];
    json_t *shape = json_object_get(want, "shape");
    if (!t)
        fail_msg("%s: %s is missing", file, name);
    assert_string_equal(rw_dtype(t->dtype)->name,
                        json_string_value(json_object_get(want, "dtype")));
    assert_int_equal(t->n_dims, json_array_size(shape));
    for (size_t i = 0; i < t->n_dims; i++)
        assert_int_equal(t->shape[i], json_integer_value(json_array_get(shape, i)));
    void *bytes = rw_alloc(rw_tensor_bytes(t), 1);
    assert_non_null(bytes);
    rw_tensor_copy(t, 0, rw_tensor_elements(t), bytes);
    rw_sha256_init(&h);
    rw_sha256_add(&h, bytes, rw_tensor_bytes(t));
    rw_sha256_hex(&h, hex);
    rw_free(bytes);
    assert_string_equal(hex, json_string_value(json_object_get(want, "sha256")));
}

static void check_vector(const char *folder, json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "file"));
    const char *expect = json_string_value(json_object_get(entry, "expect"));
    char path[2048];
    struct rw_file *file;
    rwkv_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    rwkv_status status = rw_file_open(&file, path, &err);
    if (status != RWKV_OK) {
        if (strcmp(expect, "ok") == 0)
            fail_msg("%s", err.message);
        assert_ptr_equal(strstr(err.message, path), err.message);
        assert_null(strchr(err.message, '\n'));
        return;
    }
    if (strcmp(expect, "reject") == 0)
        fail_msg("%s: opened, although it should be refused", path);
    const char *key;
    json_t *want;
    json_object_foreach(json_object_get(entry, "tensors"), key, want)
        check_tensor(rw_file_find(file, key), name, key, want);
    rw_file_close(file);
}

/* The shared vectors or, where they are absent, the same ones in this repository. */
static void test_vectors(void **state)
{
    char folder[1024], path[2048];
    json_error_t error;
    if (access(unit_shared(folder, "vectors/pth"), R_OK) != 0)
        unit_source(folder, "tests/data/pth");
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    json_t *manifest = json_load_file(path, 0, &error), *entry;
    assert_non_null(manifest);
    size_t i, checked = 0;
    json_array_foreach(manifest, i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "format")), "pth") != 0)
            continue;
        check_vector(folder, entry);
        checked++;
    }
    assert_int_not_equal(checked, 0);
    json_decref(manifest);
    assert_int_not_equal(access("PICKLE_WAS_EXECUTED", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_archives),
        cmocka_unit_test(test_comment),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_spoiled_end),
        cmocka_unit_test(test_spoiled_end64),
        cmocka_unit_test(test_spoiled_directory),
        cmocka_unit_test(test_spoiled_extra),
        cmocka_unit_test(test_spoiled_member),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_missing_members),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_tensor_bounds),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_dicts),
        cmocka_unit_test(test_too_many_tensors),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_legacy_refusals),
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
