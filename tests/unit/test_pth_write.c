/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing .pth files: read back here, then by torch if Debian's python3-torch is there (with
 * weights_only, which refuses whatever is not plain data), which writes them again in every form it
 * knows, for our reader.
 */
#include "unit.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "formats/format.h"

static char folder[] = "/tmp/rwkv-pth-XXXXXX";

static int make_folder(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    closedir(dir);
    return rmdir(folder);
}

static const char *in_folder(char path[512], const char *name)
{
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

/* --- a set of tensors --- */

static const struct {
    const char *name;
    rwkv_dtype dtype;
    size_t n_dims, shape[RWKV_MAX_DIMS];
} samples[] = {
    {"emb.weight", RWKV_DTYPE_F32, 2, {10, 8}},
    {"blocks.0.att.x_r", RWKV_DTYPE_BF16, 3, {1, 1, 8}},
    {"blocks.0.ln1.weight", RWKV_DTYPE_F16, 1, {300}},
    {"scalar", RWKV_DTYPE_F64, 0, {0}},
    {"empty", RWKV_DTYPE_F32, 3, {3, 0, 2}},
    {"ids", RWKV_DTYPE_I64, 1, {5}},
    {"i32", RWKV_DTYPE_I32, 1, {3}},
    {"i16", RWKV_DTYPE_I16, 1, {3}},
    {"i8", RWKV_DTYPE_I8, 1, {3}},
    {"u8", RWKV_DTYPE_U8, 2, {3, 70000}},
    {"mask", RWKV_DTYPE_BOOL, 1, {7}},
    {"n\xc3\xa4me", RWKV_DTYPE_F32, 1, {1}},
    {"empty at the end", RWKV_DTYPE_F16, 1, {0}},
};
#define N_SAMPLES RW_COUNT(samples)

/* The bytes of a sample: small numbers, which are good values of every type. */
static uint8_t *sample_bytes(size_t i, size_t n)
{
    uint8_t *bytes = rw_alloc(n, 1);
    assert_non_null(bytes);
    for (size_t k = 0; k < n; k++)
        bytes[k] = (uint8_t)(samples[i].dtype == RWKV_DTYPE_BOOL ? k % 2 : (k * 7 + i) % 60);
    return bytes;
}

static void sample_plan(struct rw_named_tensor plan[N_SAMPLES])
{
    for (size_t i = 0; i < N_SAMPLES; i++) {
        plan[i].name = samples[i].name;
        rw_tensor_init(&plan[i].tensor, samples[i].dtype, samples[i].n_dims, samples[i].shape,
                       NULL);
    }
}

static void write_samples(const char *path)
{
    struct rw_named_tensor tensors[N_SAMPLES];
    const struct rw_write_plan plan = {.tensors = tensors, .n_tensors = N_SAMPLES};
    struct rw_writer *w;
    rwkv_error err = {0};
    sample_plan(tensors);
    if (rw_writer_open(&w, path, &plan, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < N_SAMPLES; i++) {
        size_t n = rw_tensor_bytes(&tensors[i].tensor), first = n / 3; /* in two pieces */
        uint8_t *bytes = sample_bytes(i, n);
        assert_int_equal(rw_writer_data(w, bytes, first, &err), RWKV_OK);
        assert_int_equal(rw_writer_data(w, bytes + first, n - first, &err), RWKV_OK);
        rw_free(bytes);
    }
    if (rw_writer_commit(w, &err) != RWKV_OK)
        fail_msg("%s", err.message);
}

static void check_samples(const char *path)
{
    struct rw_file *file;
    rwkv_error err = {0};
    if (rw_file_open(&file, path, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(file->n_tensors, N_SAMPLES);
    for (size_t i = 0; i < N_SAMPLES; i++) {
        const struct rw_tensor *t = rw_file_find(file, samples[i].name);
        if (!t)
            fail_msg("%s: %s is missing", path, samples[i].name);
        assert_int_equal(t->dtype, samples[i].dtype);
        assert_int_equal(t->n_dims, samples[i].n_dims);
        assert_memory_equal(t->shape, samples[i].shape, t->n_dims * sizeof *t->shape);
        size_t n = rw_tensor_bytes(t);
        uint8_t *wanted = sample_bytes(i, n), *found = rw_alloc(n, 1);
        assert_non_null(found);
        rw_tensor_copy(t, 0, rw_tensor_elements(t), found);
        if (memcmp(wanted, found, n) != 0)
            fail_msg("%s: %s: other bytes", path, samples[i].name);
        rw_free(wanted);
        rw_free(found);
    }
    rw_file_close(file);
}

/* --- tests --- */

static void test_round_trip(void **state)
{
    char path[512];
    write_samples(in_folder(path, "samples.pth"));
    check_samples(path);

    struct rw_file *file; /* every tensor's data is aligned in the file */
    assert_int_equal(rw_file_open(&file, path, NULL), RWKV_OK);
    for (size_t i = 0; i < file->n_tensors; i++)
        if (rw_tensor_elements(&file->tensors[i].tensor) > 0)
            assert_int_equal((size_t)(file->tensors[i].tensor.data - file->maps[0].data) % 64, 0);
    rw_file_close(file);
}

/* Of every member the local header and the directory have the checksum of its data. */
static void test_checksums(void **state)
{
    char path[512];
    struct rw_map map;
    write_samples(in_folder(path, "checksums.pth"));
    assert_int_equal(rw_map_open(&map, path, NULL), RWKV_OK);
    size_t n = rw_load_u16(map.data + map.size - 12), at = rw_load_u32(map.data + map.size - 6);
    assert_int_equal(n, N_SAMPLES + 3);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *central = map.data + at;
        const uint8_t *local = map.data + rw_load_u32(central + 42);
        const uint8_t *data = local + 30 + rw_load_u16(local + 26) + rw_load_u16(local + 28);
        assert_memory_equal(central, "PK\1\2", 4);
        assert_memory_equal(local, "PK\3\4", 4);
        assert_memory_equal(local + 14, central + 16, 12); /* checksum and sizes */
        assert_int_equal(rw_load_u32(local + 14), rw_crc32(0, data, rw_load_u32(central + 20)));
        assert_int_equal((size_t)(data - map.data) % 64, 0);
        at += 46 + rw_load_u16(central + 28) + rw_load_u16(central + 30);
    }
    assert_int_equal(at, map.size - 22);
    rw_map_close(&map);
}

/* More members than 16 bits count. */
static void test_many_members(void **state)
{
    enum { MANY = 70000 };
    struct rw_named_tensor *tensors = rw_calloc(MANY, sizeof *tensors);
    char(*names)[16] = rw_calloc(MANY, sizeof *names), path[512];
    const struct rw_write_plan plan = {.tensors = tensors, .n_tensors = MANY};
    struct rw_writer *w;
    struct rw_file *file;
    rwkv_error err = {0};
    assert_true(tensors && names);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "t%zu", i);
        tensors[i].name = names[i];
        rw_tensor_init(&tensors[i].tensor, RWKV_DTYPE_U8, 1, (const size_t[]){i % 2}, NULL);
    }
    if (rw_writer_open(&w, in_folder(path, "many.pth"), &plan, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(rw_writer_data(w, &(uint8_t){(uint8_t)i}, i % 2, &err), RWKV_OK);
    assert_int_equal(rw_writer_commit(w, &err), RWKV_OK);
    if (rw_file_open(&file, path, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(file->n_tensors, MANY);
    assert_int_equal(*rw_file_find(file, "t69999")->data, 69999 & 255);
    rw_file_close(file);
    rw_free(tensors);
    rw_free(names);
}

static void test_no_tensors(void **state)
{
    const struct rw_write_plan plan = {0};
    struct rw_writer *w;
    struct rw_file *file;
    char path[512];
    assert_int_equal(rw_writer_open(&w, in_folder(path, "none.pth"), &plan, NULL), RWKV_OK);
    assert_int_equal(rw_writer_commit(w, NULL), RWKV_OK);
    assert_int_equal(rw_file_open(&file, path, NULL), RWKV_OK);
    assert_int_equal(file->n_tensors, 0);
    rw_file_close(file);
}

static void expect_refusal(const char *name, rwkv_dtype dtype, size_t size, const char *message)
{
    struct rw_named_tensor tensor = {.name = name};
    const struct rw_write_plan plan = {.tensors = &tensor, .n_tensors = 1};
    struct rw_writer *w;
    rwkv_error err = {0};
    char path[512];
    rw_tensor_init(&tensor.tensor, dtype, 1, &size, NULL);
    assert_int_not_equal(rw_writer_open(&w, in_folder(path, "refused.pth"), &plan, &err), RWKV_OK);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" wanted, \"%s\" found", message, err.message);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_refusals(void **state)
{
    char name[258] = {0};
    memset(name, 'n', sizeof name - 1);
    expect_refusal("w", RWKV_DTYPE_Q8_0, 32, "tensor w: a type that torch has wanted, Q8_0 found");
    expect_refusal("w", RWKV_DTYPE_U16, 1, "tensor w: a type that torch has wanted, U16 found");
    expect_refusal(name, RWKV_DTYPE_F32, 1, "a name of at most 256 bytes wanted");
}

#define PYTHON "/usr/bin/python3"

static void test_torch(void **state)
{
    char script[1024], path[512];
    struct rw_str command = {0};
    if (system(PYTHON " -c 'import torch' 2>/dev/null") != 0) {
        print_message("skipped: " PYTHON " has no torch\n");
        skip();
    }
    write_samples(in_folder(path, "ours.pth"));
    rw_str_printf(&command, PYTHON " '%s' '%s' '%s'",
                  unit_source(script, "tests/unit/pth_torch.py"), path, folder);
    assert_false(command.failed);
    assert_int_equal(system(command.data), 0);
    rw_str_fini(&command);

    size_t checked = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (strncmp(e->d_name, "torch-", 6) != 0)
            continue;
        check_samples(in_folder(path, e->d_name));
        checked++;
    }
    closedir(dir);
    assert_int_equal(checked, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_many_members), cmocka_unit_test(test_no_tensors),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_torch),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
