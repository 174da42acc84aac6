/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* clang 14's __builtin_cpu_supports does not know "f16c". */
static int has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

/* Leaf 7, subleaf 1: compilers of the floor do not know "avxvnni". Its registers are AVX2's, which
 * the system saves. */
static int has_avx_vnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}
#endif

#if defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

static int has(const char *feature)
{
    int yes = 0;
    size_t size = sizeof yes;
    return sysctlbyname(feature, &yes, &size, NULL, 0) == 0 && yes;
}

static unsigned detect_arm(void)
{
    unsigned mask = RW_CPU_NEON;
    if (has("hw.optional.arm.FEAT_DotProd"))
        mask |= RW_CPU_NEON_DOTPROD;
    if ((mask & RW_CPU_NEON_DOTPROD) && has("hw.optional.arm.FEAT_I8MM"))
        mask |= RW_CPU_NEON_I8MM;
    return mask;
}
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static unsigned detect_arm(void)
{
    unsigned mask = RW_CPU_NEON;
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
        mask |= RW_CPU_NEON_DOTPROD;
    if ((mask & RW_CPU_NEON_DOTPROD) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM))
        mask |= RW_CPU_NEON_I8MM;
    return mask;
}
#elif defined(__aarch64__)
static unsigned detect_arm(void)
{
    return RW_CPU_NEON;
}
#endif

unsigned rw_cpu_detect(void)
{
    unsigned mask = 0;
#if defined(__aarch64__)
    mask = detect_arm();
#endif
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
        mask |= RW_CPU_AVX2;
    if (mask && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        mask |= RW_CPU_AVX512;
    if ((mask & RW_CPU_AVX512) && __builtin_cpu_supports("avx512vnni"))
        mask |= RW_CPU_AVX512_VNNI;
    if ((mask & RW_CPU_AVX512) && __builtin_cpu_supports("avx512bf16"))
        mask |= RW_CPU_AVX512_BF16;
    if (mask && has_avx_vnni())
        mask |= RW_CPU_AVX_VNNI;
#endif
    return mask;
}

/* "AuthenticAMD", "GenuineIntel" …; nothing on other architectures. */
static void read_vendor(char vendor[13])
{
    memset(vendor, 0, 13);
#if defined(__x86_64__)
    unsigned most, b, c, d;
    if (__get_cpuid(0, &most, &b, &c, &d)) {
        memcpy(vendor, &b, 4);
        memcpy(vendor + 4, &d, 4);
        memcpy(vendor + 8, &c, 4);
    }
#endif
}

unsigned rw_cpu_worthwhile(unsigned have, const char *vendor)
{
    bool fast_bf16 = strcmp(vendor, "AuthenticAMD") == 0;
    return fast_bf16 ? have : have & ~(unsigned)RW_CPU_AVX512_BF16;
}

/* From the smallest to the best of each architecture. */
static const struct set {
    const char *name;
    unsigned mask;
} sets[] = {
    {"ref", 0},
    {"neon", RW_CPU_NEON},
    {"neon-dotprod", RW_CPU_NEON | RW_CPU_NEON_DOTPROD},
    {"neon-i8mm", RW_CPU_NEON | RW_CPU_NEON_DOTPROD | RW_CPU_NEON_I8MM},
    {"avx2", RW_CPU_AVX2},
    {"avxvnni", RW_CPU_AVX2 | RW_CPU_AVX_VNNI},
    {"avx512", RW_CPU_AVX2 | RW_CPU_AVX512},
    {"avx512vnni", RW_CPU_AVX2 | RW_CPU_AVX512 | RW_CPU_AVX512_VNNI},
    {"avx512bf16", RW_CPU_AVX2 | RW_CPU_AVX512 | RW_CPU_AVX512_VNNI | RW_CPU_AVX512_BF16},
};
#define SETS (sizeof sets / sizeof *sets)

unsigned rw_cpu_from_name(const char *name, int *ok)
{
    unsigned have = rw_cpu_detect();
    unsigned want = ~0u;
    if (!name || strcmp(name, "auto") == 0) {
        char vendor[13];
        read_vendor(vendor);
        want = rw_cpu_worthwhile(have, vendor);
    }
    for (size_t i = 0; name && i < SETS; i++)
        if (strcmp(name, sets[i].name) == 0)
            want = sets[i].mask;
    *ok = (want & ~have) == 0;
    return *ok ? want : 0;
}

const char *rw_cpu_name(unsigned mask)
{
    size_t best = 0;
    for (size_t i = 0; i < SETS; i++)
        if ((sets[i].mask & ~mask) == 0)
            best = i;
    return sets[best].name;
}
