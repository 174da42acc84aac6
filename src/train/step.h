/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of training: the gradient of its micro-batches, its norm, and the update.
 *
 *     rw_step_begin(&step);
 *     for (each micro-batch)
 *         rw_step_add(&step, sequences, n, targets_of_the_step);
 *     if (rw_step_end(&step, rate, update, &result))
 *         update++;
 *     else
 *         …;                                        // nothing changed: result.culprit says why
 */
#ifndef RW_TRAIN_STEP_H
#define RW_TRAIN_STEP_H

#include "train/gradient.h"
#include "train/optimizer.h"

struct rw_step {
    struct rw_backend *backend;
    const struct rw_parameters *parameters;
    struct rw_gradient *gradient;
    float *values, *gradients, *m, *v; /* arrays in the layout of the parameters */
    struct rw_optimizer_options optimizer;
    double loss; /* sum so far */
};

struct rw_step_result {
    double loss; /* sum over the targets */
    double norm; /* of the gradient, before it is clipped */
    /* If one of them is not finite: the first tensor to blame, the weights before the gradients,
     * and which it was; NULL: the loss alone. */
    const struct rw_parameter *culprit;
    bool weights;
};

void rw_step_begin(struct rw_step *step);
void rw_step_add(struct rw_step *step, const struct rw_gradient_sequence *sequences, size_t n,
                 uint64_t targets);
/* Update number `update` = 1, 2, … at learning rate `rate`. False: something is not finite, and
 * weights and moments are as they were. */
bool rw_step_end(struct rw_step *step, double rate, uint64_t update, struct rw_step_result *result);

#endif
