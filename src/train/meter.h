/* SPDX-License-Identifier: Apache-2.0 */
/* struct rwkv_train_meter of rwkv_bench.h from the inside: steps of training on a timed backend of
 * its own, and on random tokens. */
#ifndef RW_TRAIN_METER_H
#define RW_TRAIN_METER_H

#include "rwkv_bench.h"
#include "train/gradients.h"

/* `params` may be closed afterwards. */
rwkv_status rw_train_meter_new(const struct rw_params *params, const struct rw_machine *machine,
                               const rwkv_train_meter_options *options, rwkv_train_meter **out,
                               rwkv_error *err);
void rw_train_meter_free(rwkv_train_meter *meter);
void rw_train_meter_plan(const rwkv_train_meter *meter, rwkv_train_meter_plan *out);
rwkv_status rw_train_meter_step(rwkv_train_meter *meter, rwkv_train_times *out, rwkv_error *err);
double rw_train_meter_measure(rwkv_train_meter *meter, rwkv_limit limit);

#endif
