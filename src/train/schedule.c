/* SPDX-License-Identifier: Apache-2.0 */
#include "train/schedule.h"

#include <math.h>

#include "base/status.h"

#define PI 3.141592653589793

rwkv_status rw_schedule_check(const struct rw_schedule *s, rwkv_error *err)
{
    if (!(s->peak > 0) || !(s->last >= 0) || !isfinite(s->peak) || !isfinite(s->last))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "learning rate: wanted one above 0 and a last one of at least 0, found %g "
                       "and %g",
                       s->peak, s->last);
    if (s->warmup >= s->steps)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "learning rate: wanted fewer steps of warm-up than the run has, found %llu "
                       "of %llu",
                       (unsigned long long)s->warmup, (unsigned long long)s->steps);
    if (s->kind == RW_SCHEDULE_WSD && (s->decay == 0 || s->decay > s->steps - s->warmup))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "learning rate: wanted 1 to %llu steps of decay, found %llu",
                       (unsigned long long)(s->steps - s->warmup), (unsigned long long)s->decay);
    return RWKV_OK;
}

static double progress(uint64_t step, uint64_t from, uint64_t to)
{
    if (step <= from)
        return 0;
    return step >= to ? 1 : (double)(step - from) / (double)(to - from);
}

double rw_schedule_rate(const struct rw_schedule *s, uint64_t step)
{
    double f = s->last / s->peak, p = progress(step, s->warmup, s->steps), rate = s->peak;
    if (s->kind == RW_SCHEDULE_COSINE)
        rate *= (0.5 + f / 2) + (0.5 - f / 2) * cos(PI * p);
    else if (s->kind == RW_SCHEDULE_LINEAR)
        rate *= 1 - (1 - f) * p;
    else if (s->kind == RW_SCHEDULE_WSD)
        rate *= 1 - (1 - f) * progress(step, s->steps - s->decay, s->steps);
    if (step < s->warmup)
        rate *= 0.01 + 0.99 * (double)step / (double)s->warmup;
    return rate;
}
