/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared containers: every verdict of vectors/pth/manifest.json with the bytes and values of
 * all tensors; and every file of the other folders opens and survives being written again.
 */
#include "formats.h"

#include <math.h>

#include <jansson.h>

#include "base/hash.h"
#include "base/status.h"

/* --- the manifest --- */

static void sha256_of(const struct rw_tensor *t, char hex[65])
{
    struct rw_sha256 hash;
    uint8_t *data = rw_alloc(rw_tensor_bytes(t), 1);
    assert_non_null(data);
    rw_tensor_copy(t, 0, rw_tensor_elements(t), data);
    rw_sha256_init(&hash);
    rw_sha256_add(&hash, data, rw_tensor_bytes(t));
    rw_sha256_hex(&hash, hex);
    rw_free(data);
}

static double sum_of(const struct rw_tensor *t)
{
    size_t n = rw_tensor_elements(t);
    float *values = rw_alloc(n, sizeof *values);
    double sum = 0;
    assert_non_null(values);
    assert_true(rw_tensor_copy_f32(t, 0, n, values));
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i];
    rw_free(values);
    return sum;
}

static bool same_tensor(const struct rw_tensor *t, const json_t *wanted)
{
    const json_t *shape = json_object_get(wanted, "shape");
    const json_t *sum = json_object_get(wanted, "sum");
    char hex[65];
    if (!t ||
        strcmp(rwkv_dtype_name(t->dtype), json_string_value(json_object_get(wanted, "dtype"))))
        return false;
    if (t->n_dims != json_array_size(shape))
        return false;
    for (size_t i = 0; i < t->n_dims; i++)
        if (t->shape[i] != (size_t)json_integer_value(json_array_get(shape, i)))
            return false;
    sha256_of(t, hex);
    if (strcmp(hex, json_string_value(json_object_get(wanted, "sha256"))) != 0)
        return false;
    double s = json_number_value(sum);
    return !json_is_number(sum) || fabs(sum_of(t) - s) <= 1e-6 * (1 + fabs(s));
}

/* The number of things wrong with one case. */
static int check_case(const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "file"));
    const char *expect = json_string_value(json_object_get(item, "expect"));
    const json_t *wanted;
    const char *tensor;
    char path[1024], relative[256];
    struct rw_file *file = NULL;
    rwkv_error err = {0};
    int wrong = 0;
    snprintf(relative, sizeof relative, "vectors/pth/%s", name);
    rw_file_open(&file, unit_shared(path, relative), &err);
    if (strcmp(expect, "either") != 0 && (file != NULL) != (strcmp(expect, "ok") == 0)) {
        print_message("%s: wanted %s, found %s\n", name, expect, file ? "ok" : err.message);
        wrong++;
    }
    if (!file && !rw_has_prefix(err.message, path)) {
        print_message("%s: does not name the file: %s\n", name, err.message);
        wrong++;
    }
    json_object_foreach((json_t *)json_object_get(item, "tensors"), tensor,
                        wanted) if (file && !same_tensor(rw_file_find(file, tensor), wanted))
    {
        print_message("%s: tensor %s is wrong\n", name, tensor);
        wrong++;
    }
    rw_file_close(file);
    return wrong;
}

static void test_manifest(void **state)
{
    char path[1024];
    json_error_t error;
    json_t *cases = json_load_file(unit_shared(path, "vectors/pth/manifest.json"), 0, &error);
    size_t i;
    const json_t *item;
    int wrong = 0;
    assert_non_null(cases);
    json_array_foreach(cases, i, item) wrong += check_case(item);
    json_decref(cases);
    assert_int_equal(wrong, 0);
    assert_int_not_equal(access("PICKLE_WAS_EXECUTED", F_OK), 0);
}

/* --- all other files --- */

/* Open a file, write it again in its own format, and compare. */
static void check_file(const char *path, const char *folder)
{
    struct rw_file *file = NULL, *again = NULL;
    rwkv_error err = {0};
    char copy[512], name[64];
    if (rw_file_open(&file, path, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    snprintf(name, sizeof name, "copy%s", file->format->suffix);
    in_folder(copy, folder, name);
    if (write_again(file, copy, 4096, &err) != RWKV_OK || rw_file_open(&again, copy, &err) != 0)
        fail_msg("%s: written again: %s", path, err.message);
    assert_same_tensors(file, again);
    assert_int_equal(file->n_meta, again->n_meta);
    if (strcmp(file->format->name, "gguf") == 0) { /* what llama.cpp wrote, byte for byte */
        assert_int_equal(file->maps[0].size, again->maps[0].size);
        assert_memory_equal(file->maps[0].data, again->maps[0].data, again->maps[0].size);
    }
    rw_file_close(again);
    rw_file_close(file);
}

static void test_files(void **state)
{
    static const char *const folders[] = {"gguf", "rwkv7", "older", "tiny-real", "dequant"};
    char folder[64];
    size_t n = 0;
    make_folder(folder);
    for (size_t i = 0; i < RW_COUNT(folders); i++) {
        char path[1024], name[64];
        snprintf(name, sizeof name, "vectors/%s", folders[i]);
        DIR *dir = opendir(unit_shared(path, name));
        if (!dir)
            continue; /* tests/data has only a part of the folders */
        for (struct dirent *entry; (entry = readdir(dir));) {
            char file[2048];
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            if (!rw_format_by_suffix(file))
                continue;
            check_file(file, folder);
            n++;
        }
        closedir(dir);
    }
    print_message("%zu files\n", n);
    assert_true(n > 0);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_files),
    };
    unit_need_shared("vectors/pth/manifest.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
