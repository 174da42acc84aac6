/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdamW over all parameters of a model, with the groups of the reference trainer and a clip on the
 * norm of the whole gradient.
 *
 *     norm = …;                                        // of all gradients together
 *     if (isfinite(norm))
 *         for (each parameter, or piece of one)
 *             rw_optimizer_update(be, parameter, &arrays, count, &options, rate, norm, updates +
 * 1);
 */
#ifndef RW_TRAIN_OPTIMIZER_H
#define RW_TRAIN_OPTIMIZER_H

#include <stdint.h>

#include "train/parameters.h"

struct rw_optimizer_options {
    double beta1, beta2, eps;
    double decay; /* of the matrices */
    double clip;  /* the largest norm of the gradient; 0: none */
};

/* Arrays of one layout, in memory of the backend. */
struct rw_optimizer_arrays {
    float *values, *m, *v;
    const float *gradients;
};

/* How a parameter is treated: the decay's bias w0 learns at twice the rate, matrices that are not
 * of a low-rank pair decay, everything else neither. */
struct rw_optimizer_group {
    double rate, decay; /* factors of the options' */
};

struct rw_optimizer_group rw_optimizer_group(const struct rw_parameter *parameter);

/* The first tensor of an array that holds a number that is not finite, or NULL. */
const struct rw_parameter *rw_optimizer_not_finite(struct rw_backend *be,
                                                   const struct rw_parameters *parameters,
                                                   const float *array);

/* What gradients are multiplied by: min(1, clip / (norm + 1e-6)). */
double rw_optimizer_clip(double clip, double norm);

/* Update number `update` = 1, 2, … at learning rate `rate`, of `count` numbers of one parameter:
 * arrays point at the first of them. `norm` is that of the whole gradient. */
void rw_optimizer_update(struct rw_backend *be, const struct rw_parameter *parameter,
                         const struct rw_optimizer_arrays *arrays, size_t count,
                         const struct rw_optimizer_options *options, double rate, double norm,
                         uint64_t update);

#endif
