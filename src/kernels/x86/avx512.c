/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of AVX-512 F, BW, VL and DQ. */
#include "kernels/x86/dot_avx512.h"
#include "kernels/x86/vec_avx512.h"

#define VEC_NAME(name) name##_avx512

/* In the order of their needs: wkv7 uses matvec, norm and math, and its way back wkv7. */
#include "kernels/vec/math.h"
#include "kernels/vec/matvec.h"
#include "kernels/vec/dot_types.h"
#include "kernels/vec/dot.h"
#include "kernels/vec/dot_matmul.h"
#include "kernels/vec/dot_put.h"
#include "kernels/vec/live.h"
#include "kernels/vec/live_plain.h"
#include "kernels/vec/unpack.h"
#include "kernels/vec/matmul.h"
#include "kernels/vec/norm.h"
#include "kernels/vec/mix.h"
#include "kernels/vec/elementwise.h"
#include "kernels/vec/wkv7.h"
#include "kernels/vec/wkv7_backward.h"
#include "kernels/vec/backward.h"
#include "kernels/vec/product.h"
#include "kernels/vec/optimizer.h"
#include "kernels/vec/probe.h"
#include "kernels/vec/probe_int8.h"

void rw_kernels_avx512(struct rw_kernels *kernels)
{
    put_matvec(kernels);
    put_dot(kernels);
    put_live(kernels);
    put_live_plain(kernels);
    put_unpack(kernels);
    put_matmul(kernels);
    put_norm(kernels);
    put_mix(kernels);
    put_elementwise(kernels);
    put_wkv7(kernels);
    put_wkv7_backward(kernels);
    put_backward(kernels);
    put_product(kernels);
    put_optimizer(kernels);
    put_probe(kernels);
    put_probe_int8(kernels);
}
