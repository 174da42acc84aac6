/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors of hand-written bytes: what must be read, and what each refusal says. */
#include "formats.h"

#define NAME "m.safetensors"

/* Length, header, `size` bytes of data 0, 1, 2, … */
static struct rw_str container(const char *header, size_t size)
{
    struct rw_str s = {0};
    put_u64(&s, strlen(header));
    rw_str_adds(&s, header);
    for (size_t i = 0; i < size; i++)
        rw_str_addc(&s, (char)i);
    assert_false(s.failed);
    return s;
}

static struct opened open_header(const char *header, size_t size)
{
    struct rw_str s = container(header, size);
    struct opened o = open_bytes(s.data, s.size, NAME);
    rw_str_fini(&s);
    return o;
}

static void test_reads(void **state)
{
    struct opened o = open_header(
        "{\"__metadata__\":{\"format\":\"pt\",\"k\\u0065y\":\"v\\u00e9\"},"
        "\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[4,16],\"extra\":[{}]}, "
        "\"a\" : {\"shape\":[],\"dtype\":\"F32\",\"data_offsets\":[0,4]},"
        "\"\\u0065mpty\":{\"dtype\":\"F8_E4M3\",\"shape\":[7,0],\"data_offsets\":[16,16]}}  \n",
        16);
    assert_non_null(o.file);
    assert_string_equal(o.file->format->name, "safetensors");
    assert_int_equal(o.file->n_tensors, 3);
    const struct rw_tensor *a = rw_file_find(o.file, "a"), *b = rw_file_find(o.file, "b");
    assert_int_equal(a->dtype, RWKV_DTYPE_F32);
    assert_int_equal(a->n_dims, 0);
    assert_int_equal(a->data[0], 0);
    assert_int_equal(b->dtype, RWKV_DTYPE_F16);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->shape[1], 3);
    assert_int_equal(b->data[0], 4);
    assert_int_equal(rw_tensor_elements(rw_file_find(o.file, "empty")), 0);
    assert_null(rw_file_find(o.file, "c"));
    struct rw_bytes text;
    assert_true(rw_file_meta_string(o.file, "key", &text));
    assert_int_equal(text.size, 3);
    assert_memory_equal(text.data, "v\xc3\xa9", 3);
    close_opened(&o);
}

static void test_reads_nothing(void **state)
{
    struct opened o = open_header("{}", 0);
    assert_non_null(o.file);
    assert_int_equal(o.file->n_tensors, 0);
    close_opened(&o);
}

#define ONE(rest) "{\"a\":{\"dtype\":\"F32\"," rest "}}"
#define GOOD "\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]"

static void test_refuses_entries(void **state)
{
    static const struct {
        const char *header;
        size_t size;
        const char *message;
    } cases[] = {
        {ONE("\"shape\":[1]"), 4, "data_offsets: wanted an array of two, found nothing"},
        {ONE("\"shape\":[1],\"data_offsets\":[0,4,4]"), 4, "found an array of 3"},
        {ONE("\"shape\":[1],\"data_offsets\":[0,4.0]"), 4, "found a number that is no integer"},
        {ONE("\"shape\":[1],\"data_offsets\":[-4,0]"), 4, "found a negative integer"},
        {ONE("\"shape\":[1],\"data_offsets\":[0,true]"), 4, "found a boolean"},
        {ONE("\"shape\":[1],\"data_offsets\":[0,9223372036854775808]"), 4, "too big integer"},
        {ONE("\"shape\":[1],\"data_offsets\":[4,0]"), 4, "found 4 to 0"},
        {ONE("\"shape\":[1],\"data_offsets\":[0,8]"), 4, "in the 4 bytes of data, found 0 to 8"},
        {ONE("\"shape\":[2],\"data_offsets\":[0,4]"), 4, "wanted 8 bytes for its shape, found 4"},
        {ONE("\"shape\":[null],\"data_offsets\":[0,4]"), 4, "shape: wanted integers"},
        {ONE("\"shape\":[{}],\"data_offsets\":[0,4]"), 4, "found an object"},
        {ONE("\"shape\":\"\",\"data_offsets\":[0,4]"), 4, "shape: wanted an array, found a string"},
        {ONE("\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]"), 4, "elements overflows"},
        {ONE("\"shape\":[4611686018427387904],\"data_offsets\":[0,4]"), 4, "bytes overflows"},
        {"{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4,
         "dtype: wanted a string, found nothing"},
        {"{\"a\":[]}", 0, "tensor \"a\": wanted an object, found an array"},
        {"{\"a\":{" GOOD "},\"a\":{" GOOD "}}", 4, "tensor \"a\": occurs twice"},
        {"{\"a\":{" GOOD ",\"dtype\":\"U8\"}}", 4, "duplicate object key"},
        {"{\"a\":{" GOOD "},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}", 7,
         "tensor \"b\": begins at byte 3 of the data, inside \"a\", which ends at 4"},
        {"{\"a\":{" GOOD "},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[5,9]}}", 9,
         "tensor \"b\": wanted its data at byte 4, where the one before ends, found it at 5"},
        {"{\"a\":{" GOOD "}}", 5, "wanted 4 bytes, all in tensors, found 5"},
        {"{}", 1, "wanted 0 bytes, all in tensors, found 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct opened o = open_header(cases[i].header, cases[i].size);
        assert_null(o.file);
        assert_true(failed_with(&o.err, NAME ": ", RWKV_ERROR_FORMAT, cases[i].message));
        close_opened(&o);
    }
}

static void test_refuses_types(void **state)
{
    struct opened o =
        open_header("{\"a\":{\"dtype\":\"F4\",\"shape\":[8],\"data_offsets\":[0,4]}}", 4);
    assert_true(failed_with(&o.err, NAME ": ", RWKV_ERROR_UNSUPPORTED, "found \"F4\""));
    close_opened(&o);
    o = open_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],"
                    "\"data_offsets\":[0,1]}}",
                    1);
    assert_true(failed_with(&o.err, NAME ": ", RWKV_ERROR_UNSUPPORTED,
                            "wanted at most 8 dimensions, found 9"));
    close_opened(&o);
}

static void test_refuses_json(void **state)
{
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"", "wanted a JSON object, found none"},
        {" {}", "wanted a JSON object, found none"},
        {"{", "wanted a key in quotes"},
        {"{a:1}", "wanted a key in quotes"},
        {"{\"a", "this quote is never closed"},
        {"{\"a\\", "this quote is never closed"},
        {"{\"a\"1}", "wanted ':' after a key"},
        {"{\"a\":\"", "this quote is never closed"},
        {"{\"a\":{", "wanted ',' or '}', found the end"},
        {"{\"a\":1]", "wanted ',' or '}', found ']'"},
        {"{\"a\":[}]", "not JSON"},
        {"{\"a\":}", "not JSON"},
        {"{\"a\":{}", "wanted ',' or '}'"},
        {"{\"a\":nil}", "not JSON"},
        {"{\"\\x\":1}", "invalid escape"},
        {"{\"\\u0000\":1}", "not JSON"},
        {"{\"__metadata__\":{},}", "wanted a key in quotes"},
        {"{\"__metadata__\":{}} {}", "found something after the object"},
        {"{\"\xff\":1}", "header: not valid UTF-8"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__: occurs twice"},
        {"{\"__metadata__\":{\"a\":1}}", "__metadata__: \"a\": wanted a string"},
        {"{\"__metadata__\":{\"a\":\"x\" \"y\"}}", "not JSON"},
        {"{\"__metadata__\":{} \"b\":1}", "not JSON"},
        {"{\"__metadata__\":[]}", "__metadata__: not JSON at byte 0: wanted '{'"},
        {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", "metadata \"a\": occurs twice"},
        {"{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", "nested too deeply"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct opened o = open_header(cases[i].header, 0);
        assert_null(o.file);
        assert_true(failed_with(&o.err, NAME ": ", RWKV_ERROR_FORMAT, cases[i].message));
        close_opened(&o);
    }
}

static void test_allows_nesting(void **state)
{
    /* Sixteen brackets inside one another, in a field that nobody reads. */
    struct opened o = open_header("{\"a\":{" GOOD ",\"x\":[[[[[[[[[[[[[[\"]\"]]]]]]]]]]]]]]}}", 4);
    assert_non_null(o.file);
    close_opened(&o);
}

static void test_refuses_lengths(void **state)
{
    static const struct {
        uint64_t length;
        const char *message;
    } cases[] = {
        {0, "wanted a JSON object, found none"},
        {3, "at most 2 bytes, found 3"},
        {(uint64_t)1 << 63, "found 9223372036854775808"},
        {UINT64_MAX, "found 18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_str s = {0};
        put_u64(&s, cases[i].length);
        rw_str_adds(&s, "{}");
        struct opened o = open_bytes(s.data, s.size, NAME);
        assert_true(failed_with(&o.err, NAME ": header: ", RWKV_ERROR_FORMAT, cases[i].message));
        close_opened(&o);
        rw_str_fini(&s);
    }
    struct opened o = open_bytes("1234567", 7, NAME);
    assert_true(failed_with(&o.err, NAME ": header: ", RWKV_ERROR_FORMAT, "found a file of 7"));
    close_opened(&o);
}

static void test_refuses_long_entry(void **state)
{
    struct rw_str header = {0};
    rw_str_adds(&header, "{\"a\":{" GOOD ",\"x\":[0");
    while (header.size < 70000)
        rw_str_adds(&header, ",{}");
    rw_str_adds(&header, "]}}");
    struct opened o = open_header(header.data, 4);
    assert_true(failed_with(&o.err, NAME ": ", RWKV_ERROR_FORMAT, "at most 65536 bytes of JSON"));
    close_opened(&o);
    rw_str_fini(&header);
}

static void test_limits_metadata(void **state)
{
    struct rw_str header = {0};
    rw_str_adds(&header, "{\"__metadata__\":{");
    for (unsigned i = 0; i <= 65536; i++)
        rw_str_printf(&header, "%s\"%x\":\"\"", i ? "," : "", i);
    rw_str_adds(&header, "}}");
    struct opened o = open_header(header.data, 0);
    assert_true(failed_with(&o.err, NAME ": ", RWKV_ERROR_UNSUPPORTED, "more than 65536 members"));
    close_opened(&o);
    rw_str_fini(&header);
}

/* --- models in several files --- */

#define A "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{" GOOD "}}"
#define B "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{" GOOD "}}"
#define INDEX "model.safetensors.index.json"
#define MAP(map) "{\"metadata\":{\"total_size\":8},\"weight_map\":" map "}"

static void write_container(const char *folder, const char *name, const char *header, size_t size)
{
    struct rw_str s = container(header, size);
    write_bytes(folder, name, s.data, s.size);
    rw_str_fini(&s);
}

static void test_reads_shards(void **state)
{
    char folder[64];
    make_folder(folder);
    write_container(folder, "1.safetensors", A, 4);
    write_container(folder, "2.safetensors", B, 4);
    write_text(folder, INDEX, MAP("{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"}"));
    struct rw_file *file = NULL;
    rwkv_error err;
    assert_int_equal(rw_file_open(&file, folder, &err), RWKV_OK);
    assert_int_equal(file->n_tensors, 2);
    assert_int_equal(file->n_maps, 3);
    assert_int_equal(file->n_meta, 1);
    assert_non_null(rw_file_find(file, "a"));
    assert_non_null(rw_file_find(file, "b"));
    rw_file_close(file);
    remove_folder(folder);
}

static void test_refuses_shards(void **state)
{
    static const struct {
        const char *index, *message;
        rwkv_status status;
    } cases[] = {
        {"{}", "wanted a \"weight_map\", found none", RWKV_ERROR_FORMAT},
        {"{\"weight_map\":{},\"weight_map\":{}}", "occurs twice", RWKV_ERROR_FORMAT},
        {"{\"weight_map\":[]}", "weight_map: not JSON", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":1}"), "weight_map: \"a\": wanted a string", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"../1.safetensors\"}"), "found \"../1.safetensors\"", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"..\"}"), "found \"..\"", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"\"}"), "found \"\"", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"/etc/passwd\"}"), "in the same folder", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"missing\"}"), "missing: cannot open", RWKV_ERROR_IO},
        {MAP("{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"}"),
         "wanted \"b\" in 1.safetensors, found it nowhere", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\",\"b\":\"2.safetensors\"}"),
         "wanted \"b\" in 1.safetensors, found it in another file", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"1.safetensors\",\"c\":\"3.safetensors\"}"), "tensor \"a\": occurs twice",
         RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"hole\"}"), "hole: data: wanted 4 bytes", RWKV_ERROR_FORMAT},
        {MAP("{\"a\":\"metadata\"}"), "metadata: __metadata__", RWKV_ERROR_FORMAT},
    };
    char folder[64], path[512];
    make_folder(folder);
    write_container(folder, "1.safetensors", A, 4);
    write_container(folder, "2.safetensors", B, 4);
    write_container(folder, "3.safetensors", A, 4);
    write_container(folder, "hole", A, 5);
    write_container(folder, "metadata", "{\"__metadata__\":{\"a\":[]}}", 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_file *file = NULL;
        rwkv_error err;
        write_text(folder, INDEX, cases[i].index);
        rw_file_open(&file, in_folder(path, folder, INDEX), &err);
        assert_null(file);
        assert_true(failed_with(&err, folder, cases[i].status, cases[i].message));
    }
    remove_folder(folder);
}

static void test_limits_shards(void **state)
{
    char folder[64], path[512], name[16];
    struct rw_str index = {0};
    make_folder(folder);
    rw_str_adds(&index, "{\"weight_map\":{");
    for (int i = 0; i < 1025; i++) {
        rw_str_printf(&index, "%s\"t%d\":\"f%d\"", i ? "," : "", i, i);
        snprintf(name, sizeof name, "f%d", i);
        write_container(folder, name, "{}", 0);
    }
    rw_str_adds(&index, "}}");
    write_text(folder, INDEX, index.data);
    struct rw_file *file = NULL;
    rwkv_error err;
    rw_file_open(&file, in_folder(path, folder, INDEX), &err);
    assert_true(failed_with(&err, folder, RWKV_ERROR_UNSUPPORTED, "more than 1024 files"));
    rw_str_fini(&index);
    remove_folder(folder);
}

static void test_index_in_memory(void **state)
{
    struct opened o = open_bytes("{}", 2, INDEX);
    assert_true(failed_with(&o.err, INDEX, RWKV_ERROR_UNSUPPORTED, "cannot be opened from memory"));
    close_opened(&o);
}

/* --- config.json --- */

static struct rw_file *open_with_config(const char *header, const char *config)
{
    char folder[64], path[512];
    struct rw_file *file = NULL;
    rwkv_error err;
    make_folder(folder);
    write_container(folder, "model.safetensors", header, 4);
    write_text(folder, "config.json", config);
    assert_int_equal(rw_file_open(&file, in_folder(path, folder, "model.safetensors"), &err),
                     RWKV_OK);
    remove_folder(folder);
    return file;
}

static void test_reads_config(void **state)
{
    struct rw_file *file = open_with_config(
        "{\"__metadata__\":{\"config.own\":\"file\"},\"a\":{" GOOD "}}",
        "{\"model_type\":\"rwkv7\",\"hidden_size\":768,\"norm_eps\":1e-05,\"norm_first\":true,"
        "\"norm_bias\":false,\"num_heads\":null,\"value_dim\":[768,{}],\"x\":{\"y\":1},"
        "\"pad\":-1,\"own\":\"config\"}\n");
    uint64_t u;
    double f;
    struct rw_bytes text;
    assert_true(rw_file_meta_string(file, "config.model_type", &text));
    assert_memory_equal(text.data, "rwkv7", 5);
    assert_true(rw_file_meta_u64(file, "config.hidden_size", &u));
    assert_int_equal(u, 768);
    assert_true(rw_file_meta_f64(file, "config.hidden_size", &f));
    assert_true(f == 768);
    assert_true(rw_file_meta_f64(file, "config.norm_eps", &f));
    assert_true(f == 1e-05);
    assert_int_equal(rw_file_meta(file, "config.norm_first")->type, RW_META_BOOL);
    assert_int_equal(rw_file_meta(file, "config.norm_first")->value.u, 1);
    assert_int_equal(rw_file_meta(file, "config.norm_bias")->value.u, 0);
    assert_null(rw_file_meta(file, "config.num_heads"));
    assert_null(rw_file_meta(file, "config.value_dim"));
    assert_null(rw_file_meta(file, "config.x"));
    assert_false(rw_file_meta_u64(file, "config.pad", &u));
    assert_true(rw_file_meta_f64(file, "config.pad", &f));
    assert_true(f == -1);
    assert_true(rw_file_meta_string(file, "config.own", &text));
    assert_memory_equal(text.data, "file", 4);
    rw_file_close(file);
}

/* Not an error of the container, but whoever needs the configuration is told. */
static void test_notes_broken_config(void **state)
{
    struct rw_file *file = open_with_config(A, "{\"hidden_size\":768,\"x\":}");
    struct rw_bytes why;
    assert_null(rw_file_meta(file, "config.hidden_size"));
    assert_true(rw_file_meta_string(file, "config.json", &why));
    assert_non_null(strstr(why.data, "config.json: configuration"));
    rw_file_close(file);
}

/* --- writing --- */

static struct rw_named_tensor tensor(const char *name, rwkv_dtype dtype, size_t n_dims,
                                     const size_t *shape)
{
    struct rw_named_tensor t = {.name = name};
    rw_tensor_init(&t.tensor, dtype, n_dims, shape, NULL);
    return t;
}

static void test_writes(void **state)
{
    char folder[64], path[512];
    rwkv_error err;
    make_folder(folder);
    struct opened in = open_header(
        "{\"__metadata__\":{\"k\\n\":\"\\\"v\\\"\",\"o\":\"\"},"
        "\"z\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[5,5]},"
        "\"a\\u00e9\\\\\":{\"dtype\":\"BF16\",\"shape\":[2,1,2],\"data_offsets\":[5,13]},"
        "\"one\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[13,21]}}",
        21);
    assert_non_null(in.file);
    in_folder(path, folder, "out.safetensors");
    assert_int_equal(write_again(in.file, path, 3, &err), RWKV_OK);
    struct rw_file *out = NULL;
    assert_int_equal(rw_file_open(&out, path, &err), RWKV_OK);
    assert_int_equal(rw_load_u64(out->maps[0].data) % 8, 0);
    assert_same_tensors(in.file, out);
    assert_int_equal(out->n_meta, 2);
    struct rw_bytes text;
    assert_true(rw_file_meta_string(out, "k\n", &text));
    assert_memory_equal(text.data, "\"v\"", 3);
    rw_file_close(out);
    close_opened(&in);
    remove_folder(folder);
}

static void test_writes_only_metadata(void **state)
{
    char folder[64], path[512];
    rwkv_error err;
    struct rw_meta meta[] = {{.key = "n", .type = RW_META_U32, .value.u = 1},
                             {.key = "s", .type = RW_META_STRING, .value.s = {"x", 1}}};
    struct rw_write_plan plan = {.meta = meta, .n_meta = 2};
    struct rw_writer *w;
    struct rw_file *out = NULL;
    make_folder(folder);
    in_folder(path, folder, "out.safetensors");
    assert_int_equal(rw_writer_open(&w, path, &plan, &err), RWKV_OK);
    assert_int_equal(rw_writer_commit(w, &err), RWKV_OK);
    assert_int_equal(rw_file_open(&out, path, &err), RWKV_OK);
    assert_int_equal(out->n_tensors, 0);
    assert_int_equal(out->n_meta, 1);
    rw_file_close(out);
    remove_folder(folder);
}

static void test_refuses_to_write(void **state)
{
    const size_t shape[] = {32};
    char folder[64], path[512];
    make_folder(folder);
    in_folder(path, folder, "out.safetensors");
    const struct {
        struct rw_named_tensor tensor;
        const char *message;
    } cases[] = {
        {tensor("q", RWKV_DTYPE_Q8_0, 1, shape), "safetensors has no type Q8_0"},
        {tensor("\xff", RWKV_DTYPE_F32, 1, shape), "wanted names and texts in UTF-8"},
        {tensor("__metadata__", RWKV_DTYPE_F32, 1, shape), "cannot be called \"__metadata__\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rw_write_plan plan = {.tensors = &cases[i].tensor, .n_tensors = 1};
        struct rw_writer *w = NULL;
        rwkv_error err;
        rw_writer_open(&w, path, &plan, &err);
        assert_null(w);
        assert_true(failed_with(&err, path, err.code, cases[i].message));
        assert_int_not_equal(access(path, F_OK), 0);
    }
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_reads_nothing),
        cmocka_unit_test(test_refuses_entries),
        cmocka_unit_test(test_refuses_types),
        cmocka_unit_test(test_refuses_json),
        cmocka_unit_test(test_allows_nesting),
        cmocka_unit_test(test_refuses_lengths),
        cmocka_unit_test(test_refuses_long_entry),
        cmocka_unit_test(test_limits_metadata),
        cmocka_unit_test(test_reads_shards),
        cmocka_unit_test(test_refuses_shards),
        cmocka_unit_test(test_limits_shards),
        cmocka_unit_test(test_index_in_memory),
        cmocka_unit_test(test_reads_config),
        cmocka_unit_test(test_notes_broken_config),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_writes_only_metadata),
        cmocka_unit_test(test_refuses_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
