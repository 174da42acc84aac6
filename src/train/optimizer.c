/* SPDX-License-Identifier: Apache-2.0 */
#include "train/optimizer.h"

#include <math.h>

struct rw_optimizer_group rw_optimizer_group(const struct rw_parameter *parameter)
{
    if (rw_parameter_id(parameter) == RW_SPEC_w0)
        return (struct rw_optimizer_group){.rate = 2, .decay = 0};
    bool matrix = parameter->spec->kind == RW_KIND_MATRIX;
    return (struct rw_optimizer_group){.rate = 1, .decay = matrix ? 1 : 0};
}

const struct rw_parameter *rw_optimizer_not_finite(struct rw_backend *be,
                                                   const struct rw_parameters *parameters,
                                                   const float *array)
{
    for (size_t i = 0; i < parameters->n; i++) {
        const struct rw_parameter *p = &parameters->list[i];
        if (!isfinite(be->ops->backward->sum_squares(be, array + p->offset, p->count)))
            return p;
    }
    return NULL;
}

double rw_optimizer_clip(double clip, double norm)
{
    return clip > 0 ? fmin(1, clip / (norm + 1e-6)) : 1;
}

void rw_optimizer_update(struct rw_backend *be, const struct rw_parameter *parameter,
                         const struct rw_optimizer_arrays *arrays, size_t count,
                         const struct rw_optimizer_options *options, double rate, double norm,
                         uint64_t update)
{
    struct rw_optimizer_group group = rw_optimizer_group(parameter);
    const struct rw_adamw op = {.p = arrays->values,
                                .m = arrays->m,
                                .v = arrays->v,
                                .g = arrays->gradients,
                                .n = count,
                                .scale = (float)rw_optimizer_clip(options->clip, norm),
                                .lr = (float)(rate * group.rate),
                                .beta1 = options->beta1,
                                .beta2 = options->beta2,
                                .eps = (float)options->eps,
                                .decay = (float)(options->decay * group.decay),
                                .c1 = 1 - pow(options->beta1, (double)update),
                                .c2 = 1 - pow(options->beta2, (double)update)};
    be->ops->backward->adamw(be, &op);
}
