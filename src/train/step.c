/* SPDX-License-Identifier: Apache-2.0 */
#include "train/step.h"

#include <math.h>

void rw_step_begin(struct rw_step *s)
{
    s->backend->ops->backward->zero(s->backend, s->gradients, s->parameters->floats);
    s->loss = 0;
}

void rw_step_add(struct rw_step *s, const struct rw_gradient_sequence *sequences, size_t n,
                 uint64_t targets)
{
    rw_gradient_add(s->gradient, s->values, s->gradients, sequences, n, 1 / (float)targets,
                    &s->loss);
}

bool rw_step_end(struct rw_step *s, double rate, uint64_t update, struct rw_step_result *result)
{
    *result = (struct rw_step_result){.loss = s->loss};
    result->norm = rw_optimizer_norm(s->backend, s->parameters, s->gradients);
    if (isfinite(result->loss) && isfinite(result->norm)) {
        const struct rw_optimizer_arrays arrays = {s->values, s->m, s->v, s->gradients};
        rw_optimizer_step(s->backend, s->parameters, &arrays, &s->optimizer, rate, result->norm,
                          update);
        return true;
    }
    result->culprit = rw_optimizer_not_finite(s->backend, s->parameters, s->values);
    result->weights = result->culprit != NULL;
    if (!result->culprit)
        result->culprit = rw_optimizer_not_finite(s->backend, s->parameters, s->gradients);
    return false;
}
