/* SPDX-License-Identifier: Apache-2.0 */
/* The values of the codes of IQ4_NL and IQ4_XS; multiplied by the scale of the block. */
#ifndef RW_TENSOR_IQ4_H
#define RW_TENSOR_IQ4_H

#include <stdint.h>

#define RW_IQ4_LEVELS 16

static const int8_t rw_iq4_values[RW_IQ4_LEVELS] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                    1,    13,   25,  38,  53,  69,  89,  113};

#endif
