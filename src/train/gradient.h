/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of a model's loss: forward, loss and backward of a few sequences at a time, added to
 * an array of gradients. Memory is planned before it is taken and none is taken afterwards.
 *
 *     struct rw_gradient_options options = {.sequences = 4, .tokens = 4 * 512};
 *     struct rw_gradient *g;
 *     rw_gradient_plan(&plan, &parameters, backend, &options);          // how much that will be
 *     RW_TRY(rw_gradient_new(&g, &parameters, backend, &options, err));
 *     backend->ops->backward->zero(backend, gradients, parameters.floats);
 *     for (each micro-batch of the step)
 *         rw_gradient_add(g, values, gradients, sequences, n, 1 / targets_of_the_step, &loss);
 *     loss / targets_of_the_step is the mean; gradients [floats] are its derivative
 *     rw_gradient_free(g);
 *
 * One step gives the same bits in one micro-batch or in several (if none is cut within a sequence),
 * with checkpointing or without, on any number of threads.
 *
 * All arrays of f32 are memory of the backend; ids and sums are the host's. What is said of a
 * sequence stands at struct rw_gradient_sequence, model/rwkv7_backward.h.
 */
#ifndef RW_TRAIN_GRADIENT_H
#define RW_TRAIN_GRADIENT_H

#include "backend/backward.h"
#include "train/parameters.h"

struct rw_gradient;

struct rw_gradient_options {
    size_t sequences;            /* at most, in one call */
    size_t tokens;               /* at most, of all sequences of one call together */
    bool checkpoint;             /* keep the input of each block only and compute the rest again */
    enum rw_precision precision; /* of the products */
    float l2wrap;                /* as struct rw_cross_entropy; 0: none */
};

/* Bytes beyond the arrays of parameters. */
struct rw_gradient_plan {
    uint64_t saved;   /* activations kept from the forward pass */
    uint64_t work;    /* other activations, logits and states */
    uint64_t scratch; /* inside the backend */
    uint64_t total;
};

/* Floats of a state: n_layer × (2 C + C N), as rw_rwkv7_state_layout has them. */
size_t rw_gradient_state_floats(const struct rw_parameters *parameters);

void rw_gradient_plan(struct rw_gradient_plan *plan, const struct rw_parameters *parameters,
                      const struct rw_backend *backend, const struct rw_gradient_options *options);

/* `parameters` and `backend` are borrowed until the end. Fails for want of memory, or
 * RWKV_ERROR_UNSUPPORTED where the backend cannot train. */
rwkv_status rw_gradient_new(struct rw_gradient **out, const struct rw_parameters *parameters,
                            struct rw_backend *backend, const struct rw_gradient_options *options,
                            rwkv_error *err);
void rw_gradient_free(struct rw_gradient *g); /* NULL is fine */

/* Add scale × the derivative of the sum of all targets' losses by the parameters at `values` to
 * `gradients`, and the sum of these losses itself to *loss, in the order of tokens. L2Wrap changes
 * the derivative only. NaN and infinities pass through: look at the loss. */
void rw_gradient_add(struct rw_gradient *g, const float *values, float *gradients,
                     const struct rw_gradient_sequence *sequences, size_t n, float scale,
                     double *loss);

/* Operations a token: a product and a sum for each weight outside the embedding, forward and for
 * both derivatives, and three times the nine an element of the states' matrices that the recurrence
 * takes. What checkpointing computes again is not counted. */
double rw_gradient_ops(const struct rw_parameters *parameters);

/* Told while rw_gradient_add is on its way back: what it adds to at or after `at` floats of the
 * array of gradients does not change any more. `at` falls from call to call. */
typedef void (*rw_gradient_passed_fn)(void *user, size_t at);

/* Whom the following calls of rw_gradient_add tell; NULL: nobody. */
void rw_gradient_watch(struct rw_gradient *g, rw_gradient_passed_fn passed, void *user);

/* The sum of losses alone, for validation: as above without a backward pass. `dstate` is not looked
 * at. */
void rw_gradient_loss(struct rw_gradient *g, const float *values,
                      const struct rw_gradient_sequence *sequences, size_t n, double *loss);

#endif
