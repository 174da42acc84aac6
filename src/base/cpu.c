/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

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
#endif

unsigned rw_cpu_detect(void)
{
    unsigned mask = 0;
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
#endif
    return mask;
}

unsigned rw_cpu_from_name(const char *name, int *ok)
{
    unsigned have = rw_cpu_detect();
    unsigned want;
    if (!name || strcmp(name, "auto") == 0)
        want = have;
    else if (strcmp(name, "ref") == 0)
        want = 0;
    else if (strcmp(name, "avx2") == 0)
        want = RW_CPU_AVX2;
    else if (strcmp(name, "avx512") == 0)
        want = RW_CPU_AVX2 | RW_CPU_AVX512;
    else
        want = ~0u;
    *ok = (want & ~have) == 0;
    return *ok ? want : 0;
}

const char *rw_cpu_name(unsigned mask)
{
    if (mask & RW_CPU_AVX512)
        return "avx512";
    return mask & RW_CPU_AVX2 ? "avx2" : "ref";
}
