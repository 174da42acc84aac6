/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels a set of CPU features gets: the reference, overridden by ever wider vectors. */
#include "kernels/kernels.h"

#include <string.h>

#include "base/cpu.h"
#include "kernels/ref/ref_int.h"

void rw_kernels_ref(struct rw_kernels *kernels)
{
    rw_ref_matvec(kernels);
    rw_ref_matmul(kernels);
    rw_ref_unpack(kernels);
    rw_ref_norm(kernels);
    rw_ref_mix(kernels);
    rw_ref_elementwise(kernels);
    rw_ref_wkv7(kernels);
    rw_ref_product(kernels);
    rw_ref_backward(kernels);
    rw_ref_wkv7_backward(kernels);
    rw_ref_optimizer(kernels);
    rw_ref_probe(kernels);
}

void rw_kernels_init(struct rw_kernels *kernels, unsigned cpu)
{
    memset(kernels, 0, sizeof *kernels);
    rw_kernels_ref(kernels);
#ifdef __x86_64__
    if (cpu & RW_CPU_AVX2)
        rw_kernels_avx2(kernels);
    if (cpu & RW_CPU_AVX_VNNI)
        rw_kernels_avxvnni(kernels);
    if (cpu & RW_CPU_AVX512)
        rw_kernels_avx512(kernels);
    if (cpu & RW_CPU_AVX512_VNNI)
        rw_kernels_avx512vnni(kernels);
    if (cpu & RW_CPU_AVX512_BF16)
        rw_kernels_avx512bf16(kernels);
#elif defined(__aarch64__)
    if (cpu & RW_CPU_NEON)
        rw_kernels_neon(kernels);
    if (cpu & RW_CPU_NEON_DOTPROD)
        rw_kernels_neon_dotprod(kernels);
    if (cpu & RW_CPU_NEON_I8MM)
        rw_kernels_neon_i8mm(kernels);
#endif
}
