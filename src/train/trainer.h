/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct rwkv_trainer of rwkv_trainer.h from the inside. trainer_open.c finds out what the run will
 * be, trainer.c runs it.
 */
#ifndef RW_TRAIN_TRAINER_H
#define RW_TRAIN_TRAINER_H

#include <stdbool.h>

#include "rwkv_trainer.h"
#include "train/parameters.h"

/* What is done above this layer. */
struct rw_trainer_hooks {
    rw_convert_fn convert;
};

void rw_train_defaults(rwkv_train_options *options);
rwkv_status rw_trainer_open(struct rwkv_trainer **out, const rwkv_train_options *options,
                            const struct rw_trainer_hooks *hooks, rwkv_error *err);
void rw_trainer_close(struct rwkv_trainer *t);
rwkv_status rw_trainer_agree(struct rwkv_trainer *t, rwkv_status status, rwkv_error *err);
void rw_trainer_plan(const struct rwkv_trainer *t, rwkv_train_plan *out);
rwkv_status rw_trainer_run(struct rwkv_trainer *t, rwkv_train_event_fn event, void *user,
                           rwkv_error *err);
bool rw_trainer_finished(const struct rwkv_trainer *t);

/* rwkv_init. `sizes` are those of the options, complete, and `threads` is at least 1. */
rwkv_status rw_init_write(const char *path, const struct rw_sizes *sizes,
                          const rwkv_init_options *options, size_t threads, rw_convert_fn convert,
                          rwkv_error *err);
/* Fill values [floats] with initial weights. */
rwkv_status rw_init_values(float *values, const struct rw_parameters *parameters, uint64_t seed,
                           size_t threads, rwkv_error *err);

#endif
