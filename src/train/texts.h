/* SPDX-License-Identifier: Apache-2.0 */
/* Documents as they are, for what needs texts and no tokens: rwkv_data_texts of rwkv_data.h. */
#ifndef RW_TRAIN_TEXTS_H
#define RW_TRAIN_TEXTS_H

#include "rwkv_data.h"

rwkv_status rw_texts_each(const char *const *inputs, size_t n_inputs,
                          const rwkv_data_options *options, rwkv_data_text_fn text, void *user,
                          rwkv_error *err);

#endif
