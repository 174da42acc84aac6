/* SPDX-License-Identifier: Apache-2.0 */
/* What the dot products of Armv8.2 do better than NEON: products of bytes. */
#include "kernels/arm/dot_neon.h"
#include "kernels/arm/vec_neon.h"

#define VEC_NAME(name) name##_neon_dotprod

#include "kernels/vec/dot_types.h"
#include "kernels/vec/dot.h"
#include "kernels/vec/dot_matmul.h"
#include "kernels/vec/dot_put.h"
#include "kernels/vec/live.h"
#include "kernels/vec/probe_int8.h"

void rw_kernels_neon_dotprod(struct rw_kernels *kernels)
{
    put_dot(kernels);
    put_live(kernels);
    put_probe_int8(kernels);
}
