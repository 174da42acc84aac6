/* SPDX-License-Identifier: Apache-2.0 */
/* What the matrix products of Armv8.6 do better than dot products: products of bytes by many
 * tokens. */
#include "kernels/arm/dot_neon.h"
#include "kernels/arm/vec_neon.h"

#define VEC_NAME(name) name##_neon_i8mm

#include "kernels/vec/dot_types.h"
#include "kernels/vec/dot.h"
#include "kernels/vec/dot_matmul.h"
#include "kernels/vec/dot_put.h"
#include "kernels/vec/live.h"
#include "kernels/vec/probe_int8.h"

void rw_kernels_neon_i8mm(struct rw_kernels *kernels)
{
    put_dot(kernels);
    put_live(kernels);
    put_probe_int8(kernels);
}
