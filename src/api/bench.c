/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv_bench.h: argument checks and calls down; nothing else. */
#include "rwkv_bench.h"

#include "api/api_int.h"
#include "engine/engine.h"

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
