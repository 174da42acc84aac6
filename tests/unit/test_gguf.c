/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF of hand-written bytes: every type of metadata, every check, split models, writing. */
#include "formats.h"

#include "formats/gguf_int.h"

#define NAME "m.gguf"

static void put_text(struct rw_str *s, const char *text)
{
    put_u64(s, strlen(text));
    rw_str_adds(s, text);
}

static void put_head(struct rw_str *s, uint64_t n_tensors, uint64_t n_meta)
{
    rw_str_adds(s, "GGUF");
    put_u32(s, 3);
    put_u64(s, n_tensors);
    put_u64(s, n_meta);
}

static void put_key(struct rw_str *s, const char *key, uint32_t type)
{
    put_text(s, key);
    put_u32(s, type);
}

static void put_array(struct rw_str *s, const char *key, uint32_t item, uint64_t count)
{
    put_key(s, key, RW_META_ARRAY);
    put_u32(s, item);
    put_u64(s, count);
}

/* The description of a tensor of two dimensions, ne1 rows of ne0 elements. */
static void put_info(struct rw_str *s, const char *name, uint64_t ne0, uint64_t ne1, uint32_t type,
                     uint64_t offset)
{
    put_text(s, name);
    put_u32(s, 2);
    put_u64(s, ne0);
    put_u64(s, ne1);
    put_u32(s, type);
    put_u64(s, offset);
}

static void pad(struct rw_str *s, size_t alignment)
{
    while (s->size % alignment)
        rw_str_addc(s, 0);
}

/* `size` bytes 0, 1, 2, … behind the padding. */
static void put_data(struct rw_str *s, size_t size)
{
    pad(s, 32);
    for (size_t i = 0; i < size; i++)
        rw_str_addc(s, (char)i);
}

static struct opened open_str(struct rw_str *s)
{
    assert_false(s->failed);
    struct opened o = open_bytes(s->data, s->size, NAME);
    rw_str_fini(s);
    return o;
}

/* Opening fails, saying `message`. */
static void refuse(struct rw_str *s, rwkv_status status, const char *message)
{
    struct opened o = open_str(s);
    assert_null(o.file);
    assert_true(failed_with(&o.err, NAME ": ", status, message));
    close_opened(&o);
}

/* --- metadata --- */

static void put_all_types(struct rw_str *s)
{
    put_head(s, 0, 16);
    put_key(s, "u8", RW_META_U8);
    rw_str_addc(s, (char)0xfe);
    put_key(s, "i8", RW_META_I8);
    rw_str_addc(s, (char)0xfe);
    put_key(s, "u16", RW_META_U16);
    rw_str_add(s, "\xfe\xff", 2);
    put_key(s, "i16", RW_META_I16);
    rw_str_add(s, "\xfe\xff", 2);
    put_key(s, "u32", RW_META_U32);
    put_u32(s, 0xfffffffe);
    put_key(s, "i32", RW_META_I32);
    put_u32(s, 0xfffffffe);
    put_key(s, "f32", RW_META_F32);
    put_u32(s, 0x3fc00000); /* 1.5 */
    put_key(s, "bool", RW_META_BOOL);
    rw_str_addc(s, 1);
    put_key(s, "string", RW_META_STRING);
    put_text(s, "text");
    put_key(s, "u64", RW_META_U64);
    put_u64(s, UINT64_MAX - 1);
    put_key(s, "i64", RW_META_I64);
    put_u64(s, UINT64_MAX - 1);
    put_key(s, "f64", RW_META_F64);
    put_u64(s, 0xbff8000000000000); /* -1.5 */
    put_array(s, "strings", RW_META_STRING, 3);
    put_text(s, "one");
    put_text(s, "");
    put_text(s, "three");
    put_array(s, "numbers", RW_META_I16, 2);
    rw_str_add(s, "\1\0\xff\xff", 4);
    put_array(s, "flags", RW_META_BOOL, 3);
    rw_str_add(s, "\0\1\1", 3);
    put_array(s, "none", RW_META_U64, 0);
}

static void check_numbers(const struct rw_file *file)
{
    assert_int_equal(rw_file_meta(file, "u8")->value.u, 0xfe);
    assert_int_equal(rw_file_meta(file, "i8")->value.i, -2);
    assert_int_equal(rw_file_meta(file, "u16")->value.u, 0xfffe);
    assert_int_equal(rw_file_meta(file, "i16")->value.i, -2);
    assert_int_equal(rw_file_meta(file, "u32")->value.u, 0xfffffffe);
    assert_int_equal(rw_file_meta(file, "i32")->value.i, -2);
    assert_int_equal(rw_file_meta(file, "u64")->value.u, UINT64_MAX - 1);
    assert_int_equal(rw_file_meta(file, "i64")->value.i, -2);
    assert_int_equal(rw_file_meta(file, "bool")->value.u, 1);
    assert_true(rw_file_meta(file, "f32")->value.f == 1.5);
    assert_true(rw_file_meta(file, "f64")->value.f == -1.5);
}

static void check_arrays(const struct rw_file *file)
{
    static const char *const wanted[] = {"one", "", "three"};
    const struct rw_meta *strings = rw_file_meta(file, "strings");
    const struct rw_meta *numbers = rw_file_meta(file, "numbers");
    struct rw_bytes text;
    size_t at = 0;
    assert_int_equal(strings->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(rw_meta_next_string(strings, &at, &text));
        assert_int_equal(text.size, strlen(wanted[i]));
        assert_memory_equal(text.data, wanted[i], text.size);
    }
    assert_false(rw_meta_next_string(strings, &at, &text));
    at = 0;
    assert_false(rw_meta_next_string(numbers, &at, &text));
    assert_false(rw_meta_next_string(rw_file_meta(file, "string"), &at, &text));
    assert_int_equal(numbers->item, RW_META_I16);
    assert_int_equal(numbers->count, 2);
    assert_int_equal(rw_load_u16(numbers->items.data + 2), 0xffff);
    assert_int_equal(rw_file_meta(file, "flags")->items.size, 3);
    assert_int_equal(rw_file_meta(file, "none")->count, 0);
}

static void test_reads_metadata(void **state)
{
    struct rw_str s = {0};
    put_all_types(&s);
    struct opened o = open_str(&s);
    assert_non_null(o.file);
    assert_string_equal(o.file->format->name, "gguf");
    assert_int_equal(o.file->n_meta, 16);
    check_numbers(o.file);
    check_arrays(o.file);
    close_opened(&o);
}

static void test_typed_lookups(void **state)
{
    struct rw_str s = {0};
    put_all_types(&s);
    struct opened o = open_str(&s);
    uint64_t u;
    double f;
    struct rw_bytes text;
    assert_non_null(o.file);
    assert_true(rw_file_meta_u64(o.file, "u8", &u));
    assert_int_equal(u, 0xfe);
    assert_true(rw_file_meta_u64(o.file, "u64", &u));
    assert_false(rw_file_meta_u64(o.file, "i64", &u)); /* negative */
    assert_false(rw_file_meta_u64(o.file, "bool", &u));
    assert_false(rw_file_meta_u64(o.file, "f32", &u));
    assert_false(rw_file_meta_u64(o.file, "absent", &u));
    assert_true(rw_file_meta_f64(o.file, "f32", &f));
    assert_true(rw_file_meta_f64(o.file, "u16", &f));
    assert_true(f == 0xfffe);
    assert_true(rw_file_meta_f64(o.file, "i32", &f));
    assert_true(f == -2);
    assert_false(rw_file_meta_f64(o.file, "string", &f));
    assert_false(rw_file_meta_f64(o.file, "absent", &f));
    assert_true(rw_file_meta_string(o.file, "string", &text));
    assert_memory_equal(text.data, "text", 4);
    assert_false(rw_file_meta_string(o.file, "u8", &text));
    assert_false(rw_file_meta_string(o.file, "absent", &text));
    close_opened(&o);
}

/* Every beginning of a good file is refused: each read is bounded. */
static void test_refuses_beginnings(void **state)
{
    struct rw_str s = {0};
    put_all_types(&s);
    for (size_t n = 1; n < s.size; n++) {
        struct opened o = open_bytes(s.data, n, NAME);
        assert_null(o.file);
        assert_int_equal(o.err.code, RWKV_ERROR_FORMAT);
        close_opened(&o);
    }
    rw_str_fini(&s);
}

static void test_refuses_head(void **state)
{
    static const struct {
        const char *magic;
        uint32_t version;
        uint64_t n_tensors, n_meta;
        rwkv_status status;
        const char *message;
    } cases[] = {
        {"GGUE", 3, 0, 0, RWKV_ERROR_FORMAT, "wanted \"GGUF\""},
        {"GGUF", 1, 0, 0, RWKV_ERROR_UNSUPPORTED, "wanted 2 or 3, found 1"},
        {"GGUF", 0, 0, 0, RWKV_ERROR_UNSUPPORTED, "wanted 2 or 3, found 0"},
        {"GGUF", 4, 0, 0, RWKV_ERROR_UNSUPPORTED, "wanted 2 or 3, found 4"},
        {"GGUF", 3u << 24, 0, 0, RWKV_ERROR_UNSUPPORTED, "big-endian"},
        {"GGUF", 3, (uint64_t)1 << 60, 0, RWKV_ERROR_FORMAT, "number of tensors: wanted at most 0"},
        {"GGUF", 3, 0, UINT64_MAX, RWKV_ERROR_FORMAT, "number of metadata: wanted at most 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_str s = {0};
        rw_str_adds(&s, cases[i].magic);
        put_u32(&s, cases[i].version);
        put_u64(&s, cases[i].n_tensors);
        put_u64(&s, cases[i].n_meta);
        refuse(&s, cases[i].status, cases[i].message);
    }
}

static void test_reads_version_2(void **state)
{
    struct rw_str s = {0};
    put_head(&s, 0, 0);
    s.data[4] = 2;
    struct opened o = open_str(&s);
    assert_non_null(o.file);
    close_opened(&o);
}

static void test_refuses_values(void **state)
{
    struct rw_str s = {0};
    put_head(&s, 0, 1);
    put_key(&s, "k", 13);
    put_u64(&s, 0);
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": wanted a type below 13, found 13");

    put_head(&s, 0, 1);
    put_key(&s, "k", RW_META_BOOL);
    rw_str_addc(&s, 7);
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": wanted a boolean 0 or 1, found 7");

    put_head(&s, 0, 1);
    put_key(&s, "k", RW_META_STRING);
    put_u64(&s, (uint64_t)1 << 63);
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": wanted more than the");

    put_head(&s, 0, 1);
    put_key(&s, "", RW_META_U8);
    rw_str_addc(&s, 7);
    refuse(&s, RWKV_ERROR_FORMAT, "key of metadata: wanted 1 to 65535 bytes, found 0");

    put_head(&s, 0, 1);
    put_u64(&s, 2);
    rw_str_add(&s, "a\0", 2);
    put_u32(&s, RW_META_U8);
    rw_str_addc(&s, 7);
    refuse(&s, RWKV_ERROR_FORMAT, "contains a zero byte");

    put_head(&s, 0, 2);
    for (int i = 0; i < 2; i++) {
        put_key(&s, "k", RW_META_U8);
        rw_str_addc(&s, 7);
    }
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": occurs twice");
}

static void test_refuses_arrays(void **state)
{
    struct rw_str s = {0};
    put_head(&s, 0, 1);
    put_array(&s, "k", RW_META_ARRAY, 0);
    refuse(&s, RWKV_ERROR_UNSUPPORTED, "metadata \"k\": arrays of arrays");

    put_head(&s, 0, 1);
    put_array(&s, "k", 99, 0);
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": items: wanted a type below 13, found 99");

    put_head(&s, 0, 1);
    put_array(&s, "k", RW_META_U64, (uint64_t)1 << 61); /* × 8 overflows to 0 */
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": wanted at most 0 items");

    put_head(&s, 0, 1);
    put_array(&s, "k", RW_META_STRING, 1);
    put_u64(&s, 1);
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": wanted more than the 0 bytes left");

    put_head(&s, 0, 1);
    put_array(&s, "k", RW_META_BOOL, 2);
    rw_str_add(&s, "\1\2", 2);
    refuse(&s, RWKV_ERROR_FORMAT, "metadata \"k\": wanted booleans 0 and 1");
}

static void put_alignment(struct rw_str *s, uint32_t type, uint32_t value)
{
    put_head(s, 1, 1);
    put_key(s, "general.alignment", type);
    put_u32(s, value);
    put_info(s, "t", 8, 1, 0, 0);
}

static void test_alignment(void **state)
{
    static const struct {
        enum rw_meta_type type;
        uint32_t value;
        const char *message;
    } cases[] = {
        {RW_META_U32, 0, "found u32 0"},
        {RW_META_U32, 48, "found u32 48"},
        {RW_META_U32, 1u << 31, "found u32 2147483648"},
        {RW_META_I32, 32, "found another type"},
    };
    struct rw_str s = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_alignment(&s, cases[i].type, cases[i].value);
        put_data(&s, 32);
        refuse(&s, RWKV_ERROR_FORMAT, cases[i].message);
    }
    put_alignment(&s, RW_META_U32, 4096);
    pad(&s, 4096);
    size_t start = s.size;
    put_data(&s, 32);
    struct opened o = open_str(&s);
    assert_non_null(o.file);
    assert_ptr_equal(rw_file_find(o.file, "t")->data, o.file->maps[0].data + start);
    close_opened(&o);
}

/* --- tensors --- */

static void test_reads_tensors(void **state)
{
    struct rw_str s = {0};
    put_head(&s, 3, 0);
    put_info(&s, "late", 3, 2, 0, 64); /* not in the order of the data, with a hole */
    put_info(&s, "early", 32, 1, 8, 0);
    put_text(&s, "deep");
    put_u32(&s, 4);
    for (uint64_t i = 1; i <= 4; i++)
        put_u64(&s, i);
    put_u32(&s, 24); /* I8 */
    put_u64(&s, 128);
    put_data(&s, 128 + 24);
    struct opened o = open_str(&s);
    assert_non_null(o.file);
    const struct rw_tensor *late = rw_file_find(o.file, "late"),
                           *early = rw_file_find(o.file, "early"),
                           *deep = rw_file_find(o.file, "deep");
    assert_int_equal(late->dtype, RWKV_DTYPE_F32);
    assert_int_equal(late->shape[0], 2);
    assert_int_equal(late->shape[1], 3);
    assert_int_equal(late->data[0], 64);
    assert_int_equal(early->dtype, RWKV_DTYPE_Q8_0);
    assert_int_equal(early->data[0], 0);
    assert_int_equal(deep->n_dims, 4);
    assert_int_equal(deep->shape[0], 4);
    assert_int_equal(deep->shape[3], 1);
    assert_int_equal(deep->data[23], 128 + 23);
    close_opened(&o);
}

static void test_refuses_tensors(void **state)
{
    static const struct {
        uint64_t ne0, ne1;
        uint32_t type;
        uint64_t offset;
        rwkv_status status;
        const char *message;
    } cases[] = {
        {8, 0, 0, 0, RWKV_ERROR_FORMAT, "wanted sizes in 1 … 2^63-1, found 0"},
        {8, UINT64_MAX, 0, 0, RWKV_ERROR_FORMAT, "found 18446744073709551615"},
        {8, (uint64_t)1 << 62, 0, 0, RWKV_ERROR_FORMAT, "the number of elements overflows"},
        {1, (uint64_t)1 << 62, 0, 0, RWKV_ERROR_FORMAT, "the number of bytes overflows"},
        {33, 1, 2, 0, RWKV_ERROR_FORMAT,
         "wanted rows of a multiple of 32 elements for type Q4_0, found 33"},
        {8, 1, 999, 0, RWKV_ERROR_FORMAT, "wanted a known element type, found number 999"},
        {256, 1, 16, 0, RWKV_ERROR_UNSUPPORTED, "elements of type IQ2_XXS are not supported"},
        {256, 1, 34, 0, RWKV_ERROR_UNSUPPORTED, "type TQ1_0"},
        {32, 1, 39, 0, RWKV_ERROR_UNSUPPORTED, "type MXFP4"},
        {32, 1, 4, 0, RWKV_ERROR_UNSUPPORTED, "type Q4_2"},
        {8, 1, 0, 4, RWKV_ERROR_FORMAT, "wanted an offset that is a multiple of 32, found 4"},
        {8, 1, 0, 64, RWKV_ERROR_FORMAT, "wanted 32 bytes at offset 64, found 32 bytes of data"},
        {8, 1, 0, (uint64_t)1 << 63, RWKV_ERROR_FORMAT, "found 32 bytes of data in all"},
        {9, 1, 0, 0, RWKV_ERROR_FORMAT, "wanted 36 bytes at offset 0, found 32 bytes of data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_str s = {0};
        put_head(&s, 1, 0);
        put_info(&s, "t", cases[i].ne0, cases[i].ne1, cases[i].type, cases[i].offset);
        put_data(&s, 32);
        refuse(&s, cases[i].status, cases[i].message);
    }
}

static void test_refuses_names(void **state)
{
    struct rw_str s = {0};
    put_head(&s, 1, 0);
    put_info(&s, "0123456789012345678901234567890123456789012345678901234567890123", 8, 1, 0, 0);
    put_data(&s, 32);
    refuse(&s, RWKV_ERROR_FORMAT, "wanted a name of at most 63 bytes, found 64");

    put_head(&s, 2, 0);
    put_info(&s, "t", 8, 1, 0, 0);
    put_info(&s, "t", 8, 1, 0, 32);
    put_data(&s, 64);
    refuse(&s, RWKV_ERROR_FORMAT, "tensor \"t\": occurs twice");

    put_head(&s, 2, 0);
    put_info(&s, "a", 16, 1, 0, 0);
    put_info(&s, "b", 8, 1, 0, 32);
    put_data(&s, 64);
    refuse(&s, RWKV_ERROR_FORMAT, "tensor \"b\": begins at byte 32 of the data, inside \"a\"");

    put_head(&s, 1, 0);
    put_text(&s, "t");
    put_u32(&s, 5);
    put_data(&s, 64);
    refuse(&s, RWKV_ERROR_FORMAT, "tensor \"t\": wanted 1 to 4 dimensions, found 5");
}

static void test_refuses_cut_tensors(void **state)
{
    struct rw_str s = {0};
    put_head(&s, 1, 0);
    put_info(&s, "t", 8, 1, 0, 0);
    put_data(&s, 32);
    for (size_t n = 1; n < s.size; n++) {
        struct opened o = open_bytes(s.data, n, NAME);
        assert_null(o.file);
        assert_int_equal(o.err.code, RWKV_ERROR_FORMAT);
        close_opened(&o);
    }
    rw_str_fini(&s);
}

/* --- split models --- */

/* Part `no` of `count` with one tensor, and `total` tensors promised unless 0. */
static void write_part(const char *folder, const char *name, unsigned no, unsigned count,
                       unsigned total, const char *tensor)
{
    struct rw_str s = {0};
    put_head(&s, 1, total ? 3 : 2);
    put_key(&s, "split.no", RW_META_U16);
    rw_str_addc(&s, (char)no);
    rw_str_addc(&s, 0);
    put_key(&s, "split.count", RW_META_U16);
    rw_str_addc(&s, (char)count);
    rw_str_addc(&s, 0);
    if (total) {
        put_key(&s, "split.tensors.count", RW_META_I32);
        put_u32(&s, total);
    }
    put_info(&s, tensor, 8, 1, 0, 0);
    put_data(&s, 32);
    write_bytes(folder, name, s.data, s.size);
    rw_str_fini(&s);
}

static void test_reads_split(void **state)
{
    char folder[64], path[512];
    struct rw_file *file = NULL;
    rwkv_error err;
    make_folder(folder);
    write_part(folder, "m-00001-of-00003.gguf", 0, 3, 3, "a");
    write_part(folder, "m-00002-of-00003.gguf", 1, 3, 3, "b");
    write_part(folder, "m-00003-of-00003.gguf", 2, 3, 0, "c");
    in_folder(path, folder, "m-00001-of-00003.gguf");
    assert_int_equal(rw_file_open(&file, path, &err), RWKV_OK);
    assert_int_equal(file->n_tensors, 3);
    assert_int_equal(file->n_maps, 3);
    assert_int_equal(file->n_meta, 3);
    assert_non_null(rw_file_find(file, "c"));
    /* Written again it is one file, which says nothing of parts. */
    struct rw_file *whole = NULL;
    in_folder(path, folder, "whole.gguf");
    assert_int_equal(write_again(file, path, 7, &err), RWKV_OK);
    assert_int_equal(rw_file_open(&whole, path, &err), RWKV_OK);
    assert_same_tensors(file, whole);
    assert_int_equal(whole->n_meta, 0);
    rw_file_close(whole);
    rw_file_close(file);
    remove_folder(folder);
}

static void test_refuses_split(void **state)
{
    static const struct {
        const char *open, *message;
        rwkv_status status;
    } cases[] = {
        {"m-00002-of-00003.gguf", "this is part 2 of 3", RWKV_ERROR_UNSUPPORTED},
        {"renamed.gguf", "a name that ends in -00001-of-00003.gguf", RWKV_ERROR_FORMAT},
        {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf: cannot open", RWKV_ERROR_IO},
        {"swapped-00001-of-00002.gguf", "wanted part 2 of 2, found part 2 of 3", RWKV_ERROR_FORMAT},
        {"total-00001-of-00002.gguf", "wanted 5 tensors in 2 files, found 2", RWKV_ERROR_FORMAT},
        {"same-00001-of-00002.gguf", "tensor \"a\": occurs twice", RWKV_ERROR_FORMAT},
    };
    char folder[64], path[512];
    make_folder(folder);
    write_part(folder, "m-00001-of-00003.gguf", 0, 3, 3, "a");
    write_part(folder, "m-00002-of-00003.gguf", 1, 3, 3, "b");
    write_part(folder, "renamed.gguf", 0, 3, 3, "a");
    write_part(folder, "swapped-00001-of-00002.gguf", 0, 2, 2, "a");
    write_part(folder, "swapped-00002-of-00002.gguf", 1, 3, 2, "b");
    write_part(folder, "total-00001-of-00002.gguf", 0, 2, 5, "a");
    write_part(folder, "total-00002-of-00002.gguf", 1, 2, 5, "b");
    write_part(folder, "same-00001-of-00002.gguf", 0, 2, 2, "a");
    write_part(folder, "same-00002-of-00002.gguf", 1, 2, 2, "a");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_file *file = NULL;
        rwkv_error err;
        rw_file_open(&file, in_folder(path, folder, cases[i].open), &err);
        assert_null(file);
        assert_true(failed_with(&err, folder, cases[i].status, cases[i].message));
    }
    remove_folder(folder);
}

static void test_split_in_memory(void **state)
{
    struct rw_str s = {0};
    put_head(&s, 0, 1);
    put_key(&s, "split.count", RW_META_U16);
    rw_str_add(&s, "\2\0", 2);
    refuse(&s, RWKV_ERROR_UNSUPPORTED, "a model in 2 files cannot be opened from memory");
}

/* --- writing --- */

static void test_writes_metadata(void **state)
{
    char folder[64], path[512];
    struct rw_str s = {0};
    rwkv_error err;
    make_folder(folder);
    put_all_types(&s);
    struct opened in = open_str(&s);
    assert_non_null(in.file);
    assert_int_equal(write_again(in.file, in_folder(path, folder, "out.gguf"), 1, &err), RWKV_OK);
    struct rw_file *out = NULL;
    assert_int_equal(rw_file_open(&out, path, &err), RWKV_OK);
    assert_int_equal(out->n_meta, in.file->n_meta);
    check_numbers(out);
    check_arrays(out);
    /* Byte for byte, as we write what we read, but for the padding at the end. */
    assert_memory_equal(out->maps[0].data, in.file->maps[0].data, in.file->maps[0].size);
    rw_file_close(out);
    close_opened(&in);
    remove_folder(folder);
}

/* What llama.cpp demands: each offset is the sum of the padded sizes before it, all data padded. */
static void test_writes_tensors(void **state)
{
    const size_t shape[] = {2, 1, 1, 8}, rows[] = {3, 32}, one[] = {1};
    struct rw_named_tensor tensors[3] = {{.name = "x"}, {.name = "a"}, {.name = "s"}};
    struct rw_meta meta[] = {{.key = "general.alignment", .type = RW_META_U32, .value.u = 64}};
    struct rw_write_plan plan = {tensors, 3, meta, 1};
    char folder[64], path[512];
    uint8_t data[128] = {1, 2, 3};
    struct rw_writer *w;
    struct rw_file *out = NULL;
    rwkv_error err;
    make_folder(folder);
    in_folder(path, folder, "out.gguf");
    rw_tensor_init(&tensors[0].tensor, RWKV_DTYPE_BF16, 4, shape, NULL);
    rw_tensor_init(&tensors[1].tensor, RWKV_DTYPE_Q4_0, 2, rows, NULL);
    rw_tensor_init(&tensors[2].tensor, RWKV_DTYPE_F32, 0, one, NULL);
    assert_int_equal(rw_writer_open(&w, path, &plan, &err), RWKV_OK);
    assert_int_equal(rw_writer_data(w, data, 32, &err), RWKV_OK);
    assert_int_equal(rw_writer_data(w, data, 0, &err), RWKV_OK);
    assert_int_equal(rw_writer_data(w, data, 54, &err), RWKV_OK);
    assert_int_equal(rw_writer_data(w, data, 4, &err), RWKV_OK);
    assert_int_equal(rw_writer_commit(w, &err), RWKV_OK);
    assert_int_equal(rw_file_open(&out, path, &err), RWKV_OK);
    const struct rw_tensor *x = rw_file_find(out, "x"), *a = rw_file_find(out, "a"),
                           *one_element = rw_file_find(out, "s");
    assert_int_equal((x->data - out->maps[0].data) % 32, 0);
    assert_int_equal(a->data - x->data, 32);
    assert_int_equal(one_element->data - a->data, 64);
    assert_int_equal(out->maps[0].data + out->maps[0].size - one_element->data, 32);
    assert_int_equal(x->shape[0], 2);
    assert_int_equal(x->shape[3], 8);
    assert_int_equal(one_element->n_dims, 1);
    assert_int_equal(out->n_meta, 0);
    rw_file_close(out);
    remove_folder(folder);
}

static void test_refuses_to_write(void **state)
{
    static const struct {
        const char *name;
        rwkv_dtype dtype;
        size_t n_dims, shape[5];
        const char *message;
    } cases[] = {
        {"t", RWKV_DTYPE_U8, 1, {32}, "GGUF has no type U8"},
        {"t", RWKV_DTYPE_F32, 5, {1, 1, 1, 1, 1}, "at most 4 dimensions, found 5"},
        {"t", RWKV_DTYPE_F32, 2, {0, 32}, "GGUF has no tensors without elements"},
        {"0123456789012345678901234567890123456789012345678901234567890123",
         RWKV_DTYPE_F32,
         1,
         {32},
         "a name of at most 63 bytes, found 64"},
    };
    char folder[64], path[512];
    make_folder(folder);
    in_folder(path, folder, "out.gguf");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_named_tensor tensor = {.name = cases[i].name};
        struct rw_write_plan plan = {.tensors = &tensor, .n_tensors = 1};
        struct rw_writer *w = NULL;
        rwkv_error err;
        rw_tensor_init(&tensor.tensor, cases[i].dtype, cases[i].n_dims, cases[i].shape, NULL);
        rw_writer_open(&w, path, &plan, &err);
        assert_null(w);
        assert_true(failed_with(&err, path, RWKV_ERROR_UNSUPPORTED, cases[i].message));
        assert_int_not_equal(access(path, F_OK), 0);
    }
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_metadata),     cmocka_unit_test(test_typed_lookups),
        cmocka_unit_test(test_refuses_beginnings), cmocka_unit_test(test_refuses_head),
        cmocka_unit_test(test_reads_version_2),    cmocka_unit_test(test_refuses_values),
        cmocka_unit_test(test_refuses_arrays),     cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_reads_tensors),      cmocka_unit_test(test_refuses_tensors),
        cmocka_unit_test(test_refuses_names),      cmocka_unit_test(test_refuses_cut_tensors),
        cmocka_unit_test(test_reads_split),        cmocka_unit_test(test_refuses_split),
        cmocka_unit_test(test_split_in_memory),    cmocka_unit_test(test_writes_metadata),
        cmocka_unit_test(test_writes_tensors),     cmocka_unit_test(test_refuses_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
