/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor and the operating system offer. Values are bits of one mask. */
#ifndef RW_BASE_CPU_H
#define RW_BASE_CPU_H

enum rw_cpu_bits {
    RW_CPU_AVX2 = 1 << 0,   /* AVX2, FMA and F16C */
    RW_CPU_AVX512 = 1 << 1, /* AVX-512 F, BW, VL, DQ (and all of AVX2's) */
    RW_CPU_AVX512_VNNI = 1 << 2,
    RW_CPU_AVX512_BF16 = 1 << 3
};

/* Everything this machine has. */
unsigned rw_cpu_detect(void);

/* The mask that a name stands for on this machine: "auto" (or NULL), "ref", "avx2", "avx512".
 * Returns 0 and stores false in *ok for an unknown name or an instruction set this machine lacks.
 */
unsigned rw_cpu_from_name(const char *name, int *ok);

/* "ref", "avx2", "avx512": the name of a mask. */
const char *rw_cpu_name(unsigned mask);

#endif
