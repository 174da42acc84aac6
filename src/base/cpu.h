/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor and the operating system offer. Values are bits of one mask. */
#ifndef RW_BASE_CPU_H
#define RW_BASE_CPU_H

enum rw_cpu_bits {
    RW_CPU_AVX2 = 1 << 0,   /* AVX2, FMA and F16C */
    RW_CPU_AVX512 = 1 << 1, /* AVX-512 F, BW, VL, DQ (and all of AVX2's) */
    RW_CPU_AVX512_VNNI = 1 << 2,
    RW_CPU_AVX512_BF16 = 1 << 3,
    RW_CPU_AVX_VNNI = 1 << 4, /* the dot products of bytes without AVX-512 */
    RW_CPU_NEON = 1 << 8,     /* every 64-bit ARM */
    RW_CPU_NEON_DOTPROD = 1 << 9,
    RW_CPU_NEON_I8MM = 1 << 10 /* matrix products of bytes */
};

/* The names of this architecture, for messages. */
#if defined(__aarch64__)
#define RW_CPU_NAMES "auto, ref, neon, neon-dotprod or neon-i8mm"
#else
#define RW_CPU_NAMES "auto, ref, avx2, avxvnni, avx512, avx512vnni or avx512bf16"
#endif

/* Everything this machine has. */
unsigned rw_cpu_detect(void);

/* What of `have` is worth using on a processor of this vendor. AVX-512 BF16 multiplies twice as
 * fast as f32 on AMD's (Zen 4, Zen 5) but no faster on Intel's, where exact products in f32 are the
 * better choice. */
unsigned rw_cpu_worthwhile(unsigned have, const char *vendor);

/* The mask that a name stands for: "auto" (or NULL) is all that is worthwhile, the others are what
 * processors of one generation have. Returns 0 and stores false in *ok for an unknown name or an
 * instruction set this machine lacks. */
unsigned rw_cpu_from_name(const char *name, int *ok);

/* The name of the largest such set within a mask. */
const char *rw_cpu_name(unsigned mask);

#endif
