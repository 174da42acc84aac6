/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts of base/: errors, strings, cursors, memory, hashes, 16-bit floats, random
 * numbers. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/cpu.h"
#include "base/cursor.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/str.h"

static void test_messages(void **state)
{
    rwkv_error err = {0};
    char longest[1000];

    (void)state;
    assert_int_equal(rw_fail(&err, RWKV_ERROR_IO, "%s: %d", "a\nb\x01\xff", 7), RWKV_ERROR_IO);
    assert_int_equal(err.code, RWKV_ERROR_IO);
    assert_string_equal(err.message, "a?b??: 7");
    assert_int_equal(rw_fail_within(&err, RWKV_ERROR_FORMAT, "file %s", "f"), RWKV_ERROR_FORMAT);
    assert_string_equal(err.message, "file f: a?b??: 7");
    assert_int_equal(rw_fail(NULL, RWKV_ERROR_MEMORY, "unheard"), RWKV_ERROR_MEMORY);
    /* Cut to fit, but never within a character: 1 + 2 × 249 bytes are all that fits of these. */
    for (size_t i = 1; i + 2 < sizeof longest; i += 2)
        memcpy(longest + i, "é", 3);
    longest[0] = 'x';
    rw_fail(&err, RWKV_ERROR_IO, "%s", longest);
    assert_int_equal(strlen(err.message), 499);
    assert_string_equal(rwkv_status_name(RWKV_OK), "ok");
    assert_string_equal(rwkv_status_name(RWKV_ERROR_CANCELLED), "cancelled");
    assert_string_equal(rwkv_status_name((rwkv_status)-100), "unknown");
}

static void test_strings(void **state)
{
    struct rw_str s = {0};
    char *taken;

    (void)state;
    for (int i = 0; i < 1000; i++)
        rw_str_printf(&s, "%d,", i);
    assert_int_equal(s.size, strlen(s.data));
    assert_non_null(strstr(s.data, "998,999,"));
    rw_str_reset(&s);
    rw_str_adds(&s, "ab");
    rw_str_addc(&s, 'c');
    rw_str_add(&s, "\0d", 2);
    assert_int_equal(s.size, 5);
    assert_memory_equal(s.data, "abc\0d", 6);
    rw_str_reset(&s);
    rw_str_add_json(&s, "\"\\\n\x01é\xff\xc3", 8);
    assert_string_equal(s.data, "\\\"\\\\\\n\\u0001é\xef\xbf\xbd\xef\xbf\xbd");
    rw_str_reset(&s);
    for (size_t i = 0; i < 4; i++) {
        rw_str_add_f32(&s, (const float[]){1e-5f, 64e-5f, -3, 0x1.fffffep127f}[i]);
        rw_str_addc(&s, ' ');
    }
    assert_string_equal(s.data, "1e-05 0.00064 -3 3.4028235e+38 ");
    taken = rw_str_take(&s);
    assert_non_null(taken);
    assert_null(s.data);
    rw_free(taken);
    taken = rw_str_take(&s); /* nothing was added: the empty string */
    assert_string_equal(taken, "");
    rw_free(taken);
    rw_str_add(&s, "x", SIZE_MAX - 2); /* more than there can be */
    assert_true(s.failed);
    rw_str_adds(&s, "more");
    assert_null(rw_str_take(&s));
    assert_true(rw_has_prefix("blocks.0", "blocks.") && !rw_has_prefix("bl", "blocks."));
    assert_true(rw_has_suffix("a.pth", ".pth") && !rw_has_suffix("pth", ".pth"));
    assert_string_equal(rw_basename("/a/b"), "b");
    assert_string_equal(rw_basename("b"), "b");
    assert_true(rw_hash("", 0) == 0xcbf29ce484222325u && rw_hash("a", 1) == 0xaf63dc4c8601ec8cu);
}

static void test_cursor(void **state)
{
    const uint8_t data[] = {1, 2, 0, 3, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0, 0, 0x80, 0x3f};
    struct rw_cursor c = rw_cursor_make(data, sizeof data);

    (void)state;
    assert_int_equal(rw_cursor_u8(&c), 1);
    assert_int_equal(rw_cursor_u16(&c), 2);
    assert_int_equal(rw_cursor_u32(&c), 3);
    assert_int_equal(rw_cursor_i32(&c), -2);
    assert_true(rw_cursor_f32(&c) == 1.0f);
    assert_int_equal(rw_cursor_left(&c), 0);
    assert_false(c.failed);
    assert_int_equal(rw_cursor_u8(&c), 0);
    assert_true(c.failed);
    rw_cursor_seek(&c, 0);
    assert_true(c.failed); /* failure stays */
    c = rw_cursor_make(data, sizeof data);
    assert_null(rw_cursor_bytes(&c, UINT64_MAX));
    assert_true(c.failed);
    assert_int_equal(rw_cursor_u64(&c), 0);
    c = rw_cursor_make(data, sizeof data);
    rw_cursor_seek(&c, 7);
    assert_true(rw_cursor_i64(&c) == 0x3f800000fffffffe);
    rw_cursor_seek(&c, sizeof data);
    assert_false(c.failed);
    rw_cursor_seek(&c, sizeof data + 1);
    assert_true(c.failed);
}

static void test_memory(void **state)
{
    struct rw_arena arena = {0};
    size_t capacity = 0, count = 0;
    int *array = NULL;
    void *p;

    (void)state;
    assert_null(rw_alloc(SIZE_MAX, 2));
    assert_null(rw_calloc(SIZE_MAX, 2));
    assert_null(rw_alloc_aligned(SIZE_MAX, 1));
    p = rw_alloc_aligned(3, 5);
    assert_true(p && (uintptr_t)p % RW_ALIGN == 0);
    rw_free(p);
    for (; count < 1000; count++) {
        assert_true(rw_grow((void **)&array, count, &capacity, sizeof *array));
        array[count] = (int)count;
    }
    assert_int_equal(array[999], 999);
    rw_free(array);
    for (int pass = 0; pass < 2; pass++) { /* the first only measures */
        uint8_t *a = rw_arena_take(&arena, 3, 1), *b = rw_arena_take(&arena, 100, 4);
        assert_int_equal(arena.used, 64 + 448);
        if (pass == 0) {
            assert_true(!a && !b);
            assert_true(rw_arena_init(&arena, arena.used));
        } else {
            assert_int_equal(b - a, 64);
            assert_int_equal(b[399], 0);
        }
    }
    rw_arena_fini(&arena);
}

static void test_hashes(void **state)
{
    struct rw_sha256 h;
    char hex[65];

    (void)state;
    rw_sha256_init(&h);
    rw_sha256_add(&h, "ab", 2);
    rw_sha256_add(&h, "c", 1);
    rw_sha256_hex(&h, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(rw_crc32(rw_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
}

static void test_halves(void **state)
{
    (void)state;
    assert_true(rw_f16_to_f32(0x3c00) == 1.0f && rw_f16_to_f32(0xfbff) == -65504.0f);
    assert_true(rw_f16_to_f32(1) == 0x1p-24f && isinf(rw_f16_to_f32(0x7c00)));
    assert_int_equal(rw_f32_to_f16(65519.9f), 0x7bff);
    assert_int_equal(rw_f32_to_f16(65520.0f), 0x7c00); /* a tie: to even, infinity */
    assert_int_equal(rw_f32_to_f16(0x1p-25f), 0);      /* a tie: to even, zero */
    assert_int_equal(rw_f32_to_f16(nextafterf(0x1p-25f, 1)), 1);
    assert_int_equal(rw_f32_to_f16(-0.0f), 0x8000);
    assert_true(isnan(rw_f16_to_f32(rw_f32_to_f16(NAN))));
    assert_int_equal(rw_f32_to_bf16(1.00390625f), 0x3f80); /* a tie: to even */
    assert_int_equal(rw_f32_to_bf16(1.01171875f), 0x3f82);
    assert_true(isnan(rw_bf16_to_f32(rw_f32_to_bf16(rw_bits_to_f32(0x7f800001)))));
}

static void test_random_numbers(void **state)
{
    struct rw_rng a, b;
    double mean = 0, square = 0;
    const int n = 100000;

    (void)state;
    rw_rng_init(&a, 42);
    rw_rng_init(&b, 42);
    for (int i = 0; i < 100; i++)
        assert_true(rw_rng_u64(&a) == rw_rng_u64(&b));
    for (int i = 0; i < n; i++) {
        double u = rw_rng_uniform(&a), x = rw_rng_normal(&a);
        assert_true(u >= 0 && u < 1 && isfinite(x));
        assert_true(rw_rng_below(&a, 7) < 7);
        mean += x / n;
        square += x * x / n;
    }
    assert_int_equal(rw_rng_below(&a, 1), 0);
    assert_true(fabs(mean) < 0.02 && fabs(square - 1) < 0.03);
}

static void test_cpu_names(void **state)
{
    int ok;

    (void)state;
    assert_int_equal(rw_cpu_from_name("ref", &ok), 0);
    assert_true(ok);
    assert_int_equal(rw_cpu_from_name(NULL, &ok) & ~rw_cpu_detect(), 0);
    assert_true(ok);
    assert_int_equal(rw_cpu_worthwhile(~0u, "AuthenticAMD"), ~0u);
    assert_int_equal(rw_cpu_worthwhile(~0u, "GenuineIntel"), ~(unsigned)RW_CPU_AVX512_BF16);
    assert_int_equal(rw_cpu_from_name("quantum", &ok), 0);
    assert_false(ok);
    assert_string_equal(rw_cpu_name(0), "ref");
    assert_string_equal(rw_cpu_name(RW_CPU_AVX2), "avx2");
    assert_string_equal(rw_cpu_name(RW_CPU_AVX2 | RW_CPU_AVX_VNNI), "avxvnni");
    assert_string_equal(rw_cpu_name(RW_CPU_AVX2 | RW_CPU_AVX512), "avx512");
    assert_string_equal(rw_cpu_name(RW_CPU_AVX2 | RW_CPU_AVX_VNNI | RW_CPU_AVX512), "avx512");
    assert_string_equal(rw_cpu_name(~0u), "avx512bf16");
    for (int i = 0; i < 6; i++) { /* the mask of a name has that name */
        static const char *const names[] = {"ref",    "avx2",       "avxvnni",
                                            "avx512", "avx512vnni", "avx512bf16"};
        unsigned mask = rw_cpu_from_name(names[i], &ok);
        assert_string_equal(rw_cpu_name(mask), ok ? names[i] : "ref");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),       cmocka_unit_test(test_strings),
        cmocka_unit_test(test_cursor),         cmocka_unit_test(test_memory),
        cmocka_unit_test(test_hashes),         cmocka_unit_test(test_halves),
        cmocka_unit_test(test_random_numbers), cmocka_unit_test(test_cpu_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
