/* SPDX-License-Identifier: Apache-2.0 */
#include "train/step.h"

#include <math.h>

#include "base/status.h"

void rw_step_begin(struct rw_step *s)
{
    s->backend->ops->backward->zero(s->backend, s->gradients, s->parameters->floats);
    s->loss = s->bytes = 0;
    s->stop = s->last = false;
}

static void on_passed(void *shards, size_t at)
{
    rw_shards_final(shards, at);
}

void rw_step_add(struct rw_step *s, const struct rw_gradient_sequence *sequences, size_t n,
                 uint64_t targets, bool last)
{
    if (last) {
        rw_shards_begin(s->shards, s->gradients);
        rw_gradient_watch(s->gradient, on_passed, s->shards);
    }
    rw_gradient_add(s->gradient, s->values, s->gradients, sequences, n, 1 / (float)targets,
                    &s->loss);
    rw_gradient_watch(s->gradient, NULL, NULL);
    s->last = last;
}

static const struct rw_parameter *find_culprit(struct rw_step *s, bool *weights)
{
    const struct rw_parameters *p = s->parameters;
    const struct rw_parameter *culprit = rw_optimizer_not_finite(s->backend, p, s->values);
    double first = (double)rw_shards_not_finite(s->shards, s->backend, s->gradients);
    size_t all = (size_t)rw_comm_least(s->comm, first);
    *weights = culprit != NULL;
    return culprit || all == p->n ? culprit : &p->list[all];
}

bool rw_step_end(struct rw_step *s, double rate, uint64_t update, struct rw_step_result *result)
{
    if (!s->last) /* the others wait for our part, whatever it is worth */
        rw_shards_begin(s->shards, s->gradients);
    rw_shards_end(s->shards);
    double squares = rw_shards_squares(s->shards, s->backend, s->gradients);
    double sums[] = {s->loss, squares, s->bytes, s->stop};
    rw_comm_sum(s->comm, sums, RW_COUNT(sums));
    *result = (struct rw_step_result){
        .loss = sums[0], .norm = sqrt(sums[1]), .bytes = sums[2], .stopped = sums[3] > 0};
    if (result->stopped)
        return false;
    if (isfinite(result->loss) && isfinite(result->norm)) {
        const struct rw_optimizer_arrays arrays = {s->values, s->m, s->v, s->gradients};
        rw_shards_update(s->shards, s->backend, &arrays, &s->optimizer, rate, result->norm, update);
        return true;
    }
    result->culprit = find_culprit(s, &result->weights);
    return false;
}
