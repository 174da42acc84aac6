/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for AVX2. */
#include "text/sampler_passes_body.h"

const struct rw_passes rw_passes_avx2 = PASSES;
