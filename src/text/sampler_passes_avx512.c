/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for AVX-512. */
#include "text/sampler_passes_body.h"

const struct rw_passes rw_passes_avx512 = PASSES;
