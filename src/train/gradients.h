/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct rwkv_gradient of rwkv_train.h from the inside: a model's parameters, their gradient, and
 * struct rw_gradient between the two, on a backend of its own.
 */
#ifndef RW_TRAIN_GRADIENTS_H
#define RW_TRAIN_GRADIENTS_H

#include "model/params.h"
#include "rwkv_train.h"

/* The machine to run on. */
struct rw_machine {
    size_t threads;
    unsigned cpu; /* as rw_backend_cpu_new */
};

rwkv_status rw_gradients_plan(const struct rw_params *params, const struct rw_machine *machine,
                              const rwkv_gradient_options *options, rwkv_gradient_memory *out,
                              rwkv_error *err);
/* `params` may be closed afterwards. */
rwkv_status rw_gradients_new(const struct rw_params *params, const struct rw_machine *machine,
                             const rwkv_gradient_options *options, rwkv_gradient **out,
                             rwkv_error *err);
void rw_gradients_free(rwkv_gradient *g);
size_t rw_gradients_state_floats(const rwkv_gradient *g);
rwkv_status rw_gradients_add(rwkv_gradient *g, const rwkv_example *examples, size_t n, double scale,
                             rwkv_error *err);
void rw_gradients_reset(rwkv_gradient *g);
void rw_gradients_result(const rwkv_gradient *g, rwkv_gradient_result *out);
size_t rw_gradients_count(const rwkv_gradient *g);
void rw_gradients_tensor(const rwkv_gradient *g, size_t i, rwkv_gradient_tensor *out);
void rw_gradients_read(const rwkv_gradient *g, size_t i, float *to);
rwkv_status rw_gradients_save(const rwkv_gradient *g, const char *path, rwkv_error *err);

#endif
