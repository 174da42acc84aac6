/* SPDX-License-Identifier: Apache-2.0 */
/* rwkv_data_check: every token of a dataset looked at. As in rwkv_data.h; `progress` may be NULL.
 */
#ifndef RW_TRAIN_DATA_CHECK_H
#define RW_TRAIN_DATA_CHECK_H

#include "formats/binidx.h"
#include "rwkv_data.h"

rwkv_status rw_data_check(const struct rw_binidx *data, const struct rwkv_vocab *vocab,
                          int32_t separator, rwkv_progress_fn progress, void *progress_user,
                          rwkv_data_report *report, rwkv_error *err);

#endif
