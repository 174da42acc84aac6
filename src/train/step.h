/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of training: the gradient of its micro-batches, its norm, and the update.
 *
 *     rw_step_begin(&step);
 *     for (each micro-batch)
 *         rw_step_add(&step, sequences, n, targets_of_the_step, it_is_the_last);
 *     if (rw_step_end(&step, rate, update, &result))
 *         update++;
 *     else
 *         …;                                        // nothing changed: result.culprit says why
 *
 * In a group of processes each adds its own sequences, and all of them begin, add at least once or
 * stop, and end. The result is the same in all.
 */
#ifndef RW_TRAIN_STEP_H
#define RW_TRAIN_STEP_H

#include "train/gradient.h"
#include "train/shards.h"

struct rw_step {
    struct rw_backend *backend;
    const struct rw_parameters *parameters;
    struct rw_gradient *gradient;
    struct rw_comm *comm;
    struct rw_shards *shards;
    float *values, *gradients; /* arrays in the layout of the parameters */
    float *m, *v;              /* of the own share of them */
    struct rw_optimizer_options optimizer;
    double loss, bytes; /* sums of this process so far; bytes are the caller's to count */
    bool stop;          /* it wants the step left out */
    bool last;          /* it is through with its last sequences */
};

struct rw_step_result {
    double loss; /* sum over the targets */
    double norm; /* of the gradient, before it is clipped */
    double bytes;
    bool stopped; /* a process wanted it so: everything is as it was */
    /* If one of them is not finite: the first tensor to blame, the weights before the gradients,
     * and which it was; NULL: the loss alone. */
    const struct rw_parameter *culprit;
    bool weights;
};

void rw_step_begin(struct rw_step *step);
void rw_step_add(struct rw_step *step, const struct rw_gradient_sequence *sequences, size_t n,
                 uint64_t targets, bool last);
/* Update number `update` = 1, 2, … at learning rate `rate`. False: something is not finite, and
 * weights and moments are as they were. */
bool rw_step_end(struct rw_step *step, double rate, uint64_t update, struct rw_step_result *result);

#endif
