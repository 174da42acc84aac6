/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv_bench.h: argument checks and calls down; nothing else. */
#include "rwkv_bench.h"

#include "api/api_int.h"
#include "base/cpu.h"
#include "engine/engine.h"
#include "train/meter.h"

rwkv_status rwkv_random_model_write(const char *path, const rwkv_random_model *shape,
                                    rwkv_error *err)
{
    REQUIRE(path && shape);
    return rw_random_model_write(path, shape, err);
}

rwkv_status rwkv_meter_new(rwkv_model *model, rwkv_meter **out, rwkv_error *err)
{
    REQUIRE(model && out);
    return rw_meter_new(model, out, err);
}

void rwkv_meter_free(rwkv_meter *meter)
{
    rw_meter_free(meter);
}

double rwkv_meter_measure(rwkv_meter *meter, rwkv_limit limit)
{
    return rw_meter_measure(meter, limit);
}

/* --- training --------------------------------------------------------------------------------- */

rwkv_status rwkv_train_meter_new(const rwkv_model *model, const rwkv_train_meter_options *options,
                                 rwkv_train_meter **out, rwkv_error *err)
{
    int ok;
    REQUIRE(model && options && out);
    REQUIRE((unsigned)options->precision <= RWKV_PRECISION_BF16);
    const struct rw_machine machine = {(size_t)model->info.threads,
                                       rw_cpu_from_name(model->info.cpu, &ok)};
    return rw_train_meter_new(&model->params, &machine, options, out, err);
}

void rwkv_train_meter_free(rwkv_train_meter *meter)
{
    rw_train_meter_free(meter);
}

void rwkv_train_meter_get_plan(const rwkv_train_meter *meter, rwkv_train_meter_plan *out)
{
    rw_train_meter_plan(meter, out);
}

rwkv_status rwkv_train_meter_step(rwkv_train_meter *meter, rwkv_train_times *out, rwkv_error *err)
{
    REQUIRE(meter && out);
    return rw_train_meter_step(meter, out, err);
}

double rwkv_train_meter_measure(rwkv_train_meter *meter, rwkv_limit limit)
{
    return rw_train_meter_measure(meter, limit);
}
