/* SPDX-License-Identifier: Apache-2.0 */
/* What all containers share: finding the file, choosing the format, names, and the common writer.
 */
#include "formats.h"

static const char SAFETENSORS[] = "\x3e\0\0\0\0\0\0\0"
                                  "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}"
                                  "         \1\2\3\4";

static void refuse(const char *path, rwkv_status status, const char *message)
{
    struct rw_file *file = NULL;
    rwkv_error err;
    assert_int_equal(rw_file_open(&file, path, &err), status);
    assert_null(file);
    assert_true(failed_with(&err, path, status, message));
}

static void test_unknown(void **state)
{
    char folder[64], path[512];
    make_folder(folder);
    write_text(folder, "page", "<html>\n<body>");
    refuse(in_folder(path, folder, "page"), RWKV_ERROR_FORMAT,
           "not a .pth, .safetensors or .gguf file: starts with 3c 68 74 6d 6c 3e 0a 3c "
           "(\"<html>.<\")");
    write_text(folder, "short", "x");
    refuse(in_folder(path, folder, "short"), RWKV_ERROR_FORMAT, "starts with 78 (\"x\")");
    write_text(folder, "empty", "");
    refuse(in_folder(path, folder, "empty"), RWKV_ERROR_FORMAT, "found an empty file");
    remove_folder(folder);
}

/* Bytes that no format knows are read as what the name promises, for a message about that. */
static void test_suffix(void **state)
{
    struct opened o = open_bytes("nothing known", 13, "a.gguf");
    assert_true(failed_with(&o.err, "a.gguf: ", RWKV_ERROR_FORMAT, "wanted \"GGUF\""));
    close_opened(&o);
    o = open_bytes("nothing known", 13, "a.safetensors");
    assert_true(failed_with(&o.err, "a.safetensors: ", RWKV_ERROR_FORMAT, "header: "));
    close_opened(&o);
    o = open_bytes("", 0, "a.gguf");
    assert_true(failed_with(&o.err, "a.gguf: ", RWKV_ERROR_FORMAT, "found an empty file"));
    close_opened(&o);
    o = open_bytes(SAFETENSORS, sizeof SAFETENSORS - 1, "misnamed.gguf");
    assert_non_null(o.file);
    assert_string_equal(o.file->format->name, "safetensors");
    close_opened(&o);
}

static void test_folder(void **state)
{
    char folder[64], path[512];
    struct rw_file *file = NULL;
    rwkv_error err;
    make_folder(folder);
    refuse(folder, RWKV_ERROR_IO, "model.safetensors.index.json or model.safetensors, found");
    refuse(in_folder(path, folder, "missing"), RWKV_ERROR_IO, "cannot open: No such file");
    write_bytes(folder, "model.safetensors", SAFETENSORS, sizeof SAFETENSORS - 1);
    assert_int_equal(rw_file_open(&file, folder, &err), RWKV_OK);
    assert_string_equal(file->path, in_folder(path, folder, "model.safetensors"));
    rw_file_close(file);
    assert_int_equal(rw_file_open(&file, in_folder(path, folder, ""), &err), RWKV_OK);
    rw_file_close(file);
    write_text(folder, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"model.safetensors\"}}");
    assert_int_equal(rw_file_open(&file, folder, &err), RWKV_OK);
    assert_int_equal(file->n_maps, 2);
    rw_file_close(file);
    remove_folder(folder);
}

static void test_no_permission(void **state)
{
    char folder[64], path[512];
    if (geteuid() == 0)
        skip(); /* root may read everything */
    make_folder(folder);
    write_text(folder, "secret", "GGUF");
    assert_int_equal(chmod(in_folder(path, folder, "secret"), 0), 0);
    refuse(path, RWKV_ERROR_IO, "cannot open: Permission denied");
    remove_folder(folder);
}

static void test_close_nothing(void **state)
{
    rw_file_close(NULL);
    rw_writer_discard(NULL);
}

/* --- names --- */

static void test_finds_names(void **state)
{
    struct rw_file file = {.path = "f"};
    struct rw_tensor t;
    char name[16];
    rw_tensor_init(&t, RWKV_DTYPE_U8, 0, NULL, "x");
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%u", i * 7919 % 1000);
        assert_int_equal(rw_file_add_tensor(&file, name, strlen(name), &t, NULL), RWKV_OK);
    }
    assert_int_equal(rw_file_build_index(&file, NULL), RWKV_OK);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%u", i);
        assert_string_equal(file.tensors[rw_file_find_index(&file, name)].name, name);
    }
    assert_int_equal(rw_file_find_index(&file, "t1000"), SIZE_MAX);
    assert_int_equal(rw_file_find_index(&file, ""), SIZE_MAX);
    assert_null(rw_file_meta(&file, "t1"));
    assert_int_equal(rw_file_add_meta(&file, "t1", 2, (struct rw_meta){.type = RW_META_U8}, NULL),
                     RWKV_OK);
    assert_int_equal(rw_file_build_index(&file, NULL), RWKV_OK);
    assert_non_null(rw_file_meta(&file, "t1"));
    assert_int_equal(rw_file_keep(&file, NULL, NULL), RWKV_ERROR_MEMORY);
    for (size_t i = 0; i < file.n_strings; i++)
        rw_free(file.strings[i]);
    rw_free(file.strings);
    rw_free(file.tensors);
    rw_free(file.meta);
    rw_free(file.index);
}

/* --- the common writer --- */

static struct rw_writer *open_writer(const char *path, const struct rw_write_plan *plan)
{
    struct rw_writer *w = NULL;
    rwkv_error err;
    assert_int_equal(rw_writer_open(&w, path, plan, &err), RWKV_OK);
    return w;
}

static void refuse_plan(const char *path, const struct rw_write_plan *plan, const char *message)
{
    struct rw_writer *w = NULL;
    rwkv_error err;
    rw_writer_open(&w, path, plan, &err);
    assert_null(w);
    assert_true(failed_with(&err, path, RWKV_ERROR_ARGUMENT, message));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_refuses_plans(void **state)
{
    const size_t row[] = {1, 48}, huge[] = {(size_t)1 << 40, (size_t)1 << 40},
                 wide[] = {(size_t)1 << 62};
    struct rw_named_tensor tensors[2] = {{.name = "a"}, {.name = "a"}};
    struct rw_write_plan plan = {.tensors = tensors, .n_tensors = 2};
    char folder[64], path[512];
    make_folder(folder);
    refuse_plan(in_folder(path, folder, "out.txt"), &plan,
                "wanted a name that ends in .pth, .safetensors or .gguf");
    refuse_plan(in_folder(path, folder, "out.gguf"), &plan, "tensor \"a\": would be written twice");
    plan.n_tensors = 1;
    rw_tensor_init(&tensors[0].tensor, RWKV_DTYPE_Q8_0, 2, row, NULL);
    refuse_plan(path, &plan, "wanted rows of a multiple of 32 elements for type Q8_0, found 48");
    rw_tensor_init(&tensors[0].tensor, RWKV_DTYPE_F32, 2, huge, NULL);
    refuse_plan(path, &plan, "its size overflows");
    rw_tensor_init(&tensors[0].tensor, RWKV_DTYPE_F32, 1, wide, NULL);
    refuse_plan(path, &plan, "its size overflows");
    remove_folder(folder);
}

/* A file appears whole with commit, and not at all with discard; an older one stays until then. */
/* What a caller of the library may get wrong. */
static void test_refuses_arguments(void **state)
{
    (void)state;
    static const float one = 1;
    static const struct {
        rwkv_write_tensor tensor;
        const char *message;
    } cases[] = {
        {{NULL, RWKV_DTYPE_F32, 1, {1}, &one}, "tensor 0: wanted a name, found NULL"},
        {{"w", RWKV_DTYPE_F32, 9, {1}, &one}, "wanted at most 8 dimensions, found 9"},
        {{"w", (rwkv_dtype)99, 1, {1}, &one}, "no such type: 99"},
        {{"w", RWKV_DTYPE_F32, 1, {1}, NULL}, "wanted 4 bytes, found NULL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rwkv_error err = {0};
        assert_int_equal(rwkv_file_write("nowhere.pth", &cases[i].tensor, 1, &err),
                         RWKV_ERROR_ARGUMENT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s", err.message);
        assert_int_not_equal(access("nowhere.pth", F_OK), 0);
    }
}

static void test_whole_or_absent(void **state)
{
    const size_t shape[] = {4}, none[] = {0};
    struct rw_named_tensor tensors[] = {{.name = "n"}, {.name = "a"}, {.name = "m"}};
    struct rw_write_plan plan = {.tensors = tensors, .n_tensors = 3};
    char folder[64], path[512];
    rwkv_error err;
    struct stat st;
    make_folder(folder);
    in_folder(path, folder, "out.safetensors");
    rw_tensor_init(&tensors[0].tensor, RWKV_DTYPE_U8, 1, none, NULL);
    rw_tensor_init(&tensors[1].tensor, RWKV_DTYPE_U8, 1, shape, NULL);
    rw_tensor_init(&tensors[2].tensor, RWKV_DTYPE_U8, 1, none, NULL);
    struct rw_writer *w = open_writer(path, &plan);
    assert_int_equal(rw_writer_data(w, "12", 2, &err), RWKV_OK);
    rw_writer_discard(w);
    assert_int_not_equal(access(path, F_OK), 0);
    write_text(folder, "out.safetensors", "old");
    w = open_writer(path, &plan);
    assert_int_equal(rw_writer_data(w, "12", 2, &err), RWKV_OK);
    assert_int_equal(rw_writer_data(w, "34", 2, &err), RWKV_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 3);
    assert_int_equal(rw_writer_commit(w, &err), RWKV_OK);
    struct rw_file *file = NULL;
    assert_int_equal(rw_file_open(&file, path, &err), RWKV_OK);
    assert_memory_equal(rw_file_find(file, "a")->data, "1234", 4);
    rw_file_close(file);
    remove_folder(folder);
}

static void test_cannot_create(void **state)
{
    struct rw_write_plan plan = {0};
    struct rw_writer *w = NULL;
    rwkv_error err;
    assert_int_equal(rw_writer_open(&w, "/nowhere/to/be/found.gguf", &plan, &err), RWKV_ERROR_IO);
    assert_null(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),         cmocka_unit_test(test_suffix),
        cmocka_unit_test(test_folder),          cmocka_unit_test(test_no_permission),
        cmocka_unit_test(test_close_nothing),   cmocka_unit_test(test_finds_names),
        cmocka_unit_test(test_refuses_plans),   cmocka_unit_test(test_refuses_arguments),
        cmocka_unit_test(test_whole_or_absent), cmocka_unit_test(test_cannot_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
