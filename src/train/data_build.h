/* SPDX-License-Identifier: Apache-2.0 */
/* rwkv_data_build: texts to .bin/.idx. As in rwkv_data.h, but for what may be NULL: only
 * o->progress. */
#ifndef RW_TRAIN_DATA_BUILD_H
#define RW_TRAIN_DATA_BUILD_H

#include "rwkv_data.h"

rwkv_status rw_data_build(const char *out, const char *const *inputs, size_t n_inputs,
                          const struct rwkv_vocab *vocab, const rwkv_data_options *o,
                          rwkv_data_stats *stats, rwkv_error *err);

#endif
