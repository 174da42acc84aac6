/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor/convert.c against libggml's values (vectors/dequant), both ways and bit for bit, and
 * against a few values worked out by hand. The vectors are one safetensors file, read here by hand
 * so that this test stands on base and tensor alone.
 */
#include "unit.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/cursor.h"
#include "base/half.h"
#include "base/map.h"
#include "base/status.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

static struct rw_map map;
static json_t *header;

/* Bytes of a tensor of the vectors; *size is set. */
static const uint8_t *vector(const char *type, const char *suffix, size_t *size)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", type, suffix);
    json_t *offsets = json_object_get(json_object_get(header, name), "data_offsets");
    size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
    size_t end = (size_t)json_integer_value(json_array_get(offsets, 1));
    size_t base = 8 + (size_t)rw_load_u64(map.data);

    assert_non_null(offsets);
    assert_true(begin <= end && end <= map.size - base);
    *size = end - begin;
    return map.data + base + begin;
}

static int open_vectors(void **state)
{
    char path[1024];
    rwkv_error err = {0};

    (void)state;
    if (rw_map_open(&map, unit_shared(path, "vectors/dequant/dequant.safetensors"), &err)) {
        printf("%s\n", err.message);
        return -1;
    }
    header = json_loadb((const char *)map.data + 8, (size_t)rw_load_u64(map.data), 0, NULL);
    return header ? 0 : -1;
}

static int close_vectors(void **state)
{
    (void)state;
    json_decref(header);
    rw_map_close(&map);
    return 0;
}

static void check_decoder(rwkv_dtype dtype, const char *raw_suffix, const char *value_suffix)
{
    const char *name = rwkv_dtype_name(dtype);
    size_t raw_size, value_size, size;
    const uint8_t *raw = vector(name, raw_suffix, &raw_size);
    const uint8_t *values = vector(name, value_suffix, &value_size);
    size_t n = value_size / sizeof(float);
    float *got = malloc(value_size);
    uint8_t *shifted = malloc(raw_size + 1);

    assert_true(rw_dtype_size(dtype, n, &size));
    assert_int_equal(size, raw_size);
    memcpy(shifted + 1, raw, raw_size); /* blocks lie at any address */
    assert_true(rw_to_f32(dtype, got, shifted + 1, n));
    if (memcmp(got, values, value_size) != 0)
        fail_msg("%s%s: decoded values differ", name, raw_suffix);
    free(shifted);
    free(got);
}

static void test_decoders(void **state)
{
    (void)state;
    for (int dtype = RWKV_DTYPE_F16; dtype < RWKV_DTYPE_MODEL_COUNT; dtype++) {
        check_decoder((rwkv_dtype)dtype, ".raw", ".f32");
        check_decoder((rwkv_dtype)dtype, ".random_raw", ".random_f32");
    }
}

static void test_encoders(void **state)
{
    static const rwkv_dtype types[] = {RWKV_DTYPE_F16, RWKV_DTYPE_BF16};
    size_t x_size, raw_size;
    const uint8_t *x_bytes = vector("x", "", &x_size);
    float *x = malloc(x_size);

    (void)state;
    memcpy(x, x_bytes, x_size);
    for (size_t i = 0; i < RW_COUNT(types); i++) {
        const uint8_t *raw = vector(rwkv_dtype_name(types[i]), ".raw", &raw_size);
        uint8_t *got = malloc(raw_size);
        assert_true(rw_from_f32(types[i], got, x, x_size / sizeof(float)));
        if (memcmp(got, raw, raw_size) != 0)
            fail_msg("%s: encoded bytes differ", rwkv_dtype_name(types[i]));
        free(got);
    }
    free(x);
}

static void test_by_hand(void **state)
{
    float to[32];
    const uint8_t q4_0[18] = {0x00, 0x38, 0x0f}; /* d = 0.5; element 0 is 15, 16 is 0 */
    const uint8_t q8_0[34] = {0x00, 0x3c, 0xff, 0x80, 0x7f};

    (void)state;
    assert_true(rw_to_f32(RWKV_DTYPE_Q4_0, to, q4_0, 32));
    assert_true(to[0] == 3.5f && to[16] == -4.0f && to[1] == -4.0f);
    assert_true(rw_to_f32(RWKV_DTYPE_Q8_0, to, q8_0, 32));
    assert_true(to[0] == -1.0f && to[1] == -128.0f && to[2] == 127.0f && to[3] == 0.0f);
}

static void test_plain_types(void **state)
{
    float to[2];
    const int64_t i64[] = {-3, (int64_t)1 << 40};
    const int32_t i32[] = {-3, 7};
    const int16_t i16[] = {-3, 7};
    const int8_t i8[] = {-3, 7};
    const uint64_t u64[] = {UINT64_MAX, 7};
    const uint32_t u32[] = {UINT32_MAX, 7};
    const uint16_t u16[] = {UINT16_MAX, 7};
    const uint8_t u8[] = {UINT8_MAX, 7};
    const double f64[] = {0.1, -1e300};

    (void)state;
    assert_true(rw_to_f32(RWKV_DTYPE_I64, to, i64, 2) && to[0] == -3 && to[1] == 0x1p40f);
    assert_true(rw_to_f32(RWKV_DTYPE_I32, to, i32, 2) && to[0] == -3 && to[1] == 7);
    assert_true(rw_to_f32(RWKV_DTYPE_I16, to, i16, 2) && to[0] == -3 && to[1] == 7);
    assert_true(rw_to_f32(RWKV_DTYPE_I8, to, i8, 2) && to[0] == -3 && to[1] == 7);
    assert_true(rw_to_f32(RWKV_DTYPE_U64, to, u64, 2) && to[0] == 0x1p64f && to[1] == 7);
    assert_true(rw_to_f32(RWKV_DTYPE_U32, to, u32, 2) && to[0] == 0x1p32f && to[1] == 7);
    assert_true(rw_to_f32(RWKV_DTYPE_U16, to, u16, 2) && to[0] == 65535 && to[1] == 7);
    assert_true(rw_to_f32(RWKV_DTYPE_U8, to, u8, 2) && to[0] == 255 && to[1] == 7);
    assert_true(rw_to_f32(RWKV_DTYPE_BOOL, to, u8, 2) && to[0] == 1 && to[1] == 1);
    assert_true(rw_to_f32(RWKV_DTYPE_F64, to, f64, 2) && to[0] == 0.1f && to[1] == -INFINITY);
    assert_false(rw_to_f32(RWKV_DTYPE_F8_E4M3, to, u8, 2));
    assert_false(rw_to_f32(RWKV_DTYPE_F8_E5M2, to, u8, 2));
}

static void test_refusals(void **state)
{
    float x[256] = {0};
    uint8_t bytes[1024] = {0};

    (void)state;
    assert_false(rw_to_f32(RWKV_DTYPE_Q8_0, x, bytes, 31));
    assert_false(rw_to_f32(RWKV_DTYPE_Q4_K, x, bytes, 128));
    assert_false(rw_from_f32(RWKV_DTYPE_Q4_0, bytes, x, 32));
    assert_false(rw_from_f32(RWKV_DTYPE_Q4_K, bytes, x, 256));
    assert_false(rw_from_f32(RWKV_DTYPE_I32, bytes, x, 1));
    assert_true(rw_to_f32(RWKV_DTYPE_Q8_0, x, bytes, 0));
    assert_true(rw_from_f32(RWKV_DTYPE_F32, bytes, x, 256));
    assert_memory_equal(bytes, x, sizeof x);
}

/* Encoders take whatever there is. */
static void test_hostile_floats(void **state)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, 0x1p-127f};
    static const rwkv_dtype types[] = {RWKV_DTYPE_F32, RWKV_DTYPE_F16, RWKV_DTYPE_BF16};

    (void)state;
    for (size_t t = 0; t < RW_COUNT(types); t++) {
        for (size_t i = 0; i < RW_COUNT(bad); i++) {
            float x[32] = {1, -1}, back[32];
            uint8_t bytes[128];
            x[i] = bad[i];
            x[31] = bad[(i * 5 + t) % RW_COUNT(bad)];
            assert_true(rw_from_f32(types[t], bytes, x, 32));
            assert_true(rw_to_f32(types[t], back, bytes, 32));
        }
    }
}

/* All 65536 patterns survive the way to float and back, NaN as some NaN. */
static void test_half_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint16_t from = (uint16_t)h, to;
        float f;
        assert_true(rw_to_f32(RWKV_DTYPE_F16, &f, &from, 1));
        assert_true(rw_from_f32(RWKV_DTYPE_F16, &to, &f, 1));
        assert_true(isnan(f) ? (to & 0x7fff) > 0x7c00 : to == from);
        assert_true(rw_to_f32(RWKV_DTYPE_BF16, &f, &from, 1));
        assert_true(rw_from_f32(RWKV_DTYPE_BF16, &to, &f, 1));
        assert_true(isnan(f) ? (to & 0x7fff) > 0x7f80 : to == from);
    }
}

int main(void)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_by_hand),         cmocka_unit_test(test_plain_types),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_hostile_floats),
        cmocka_unit_test(test_half_round_trip),
    };
    const struct CMUnitTest vectors[] = {
        cmocka_unit_test(test_decoders),
        cmocka_unit_test(test_encoders),
    };
    int failed = cmocka_run_group_tests(alone, NULL, NULL);

    if (failed)
        return failed;
    unit_need_shared("vectors/dequant/dequant.safetensors");
    return cmocka_run_group_tests(vectors, open_vectors, close_vectors);
}
