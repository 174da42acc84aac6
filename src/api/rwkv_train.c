/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv_train.h: argument checks and calls down; nothing else. */
#include "rwkv_train.h"

#include "api/api_int.h"
#include "base/cpu.h"
#include "engine/engine.h"
#include "train/gradients.h"

/* --- gradients -------------------------------------------------------------------------------- */

static struct rw_machine machine_of(const rwkv_model *model)
{
    int ok;
    return (struct rw_machine){(size_t)model->info.threads, rw_cpu_from_name(model->info.cpu, &ok)};
}

rwkv_status rwkv_gradient_plan(const rwkv_model *model, const rwkv_gradient_options *options,
                               rwkv_gradient_memory *out, rwkv_error *err)
{
    REQUIRE(model && options && out);
    struct rw_machine machine = machine_of(model);
    return rw_gradients_plan(&model->params, &machine, options, out, err);
}

rwkv_status rwkv_gradient_new(const rwkv_model *model, const rwkv_gradient_options *options,
                              rwkv_gradient **out, rwkv_error *err)
{
    REQUIRE(model && options && out);
    struct rw_machine machine = machine_of(model);
    return rw_gradients_new(&model->params, &machine, options, out, err);
}

void rwkv_gradient_free(rwkv_gradient *gradient)
{
    rw_gradients_free(gradient);
}

size_t rwkv_gradient_state_size(const rwkv_gradient *gradient)
{
    return rw_gradients_state_floats(gradient);
}

rwkv_status rwkv_gradient_add(rwkv_gradient *gradient, const rwkv_example *examples, size_t n,
                              double scale, rwkv_error *err)
{
    REQUIRE(gradient && (examples || n == 0));
    for (size_t i = 0; i < n; i++)
        REQUIRE(examples[i].tokens);
    return rw_gradients_add(gradient, examples, n, scale, err);
}

void rwkv_gradient_reset(rwkv_gradient *gradient)
{
    rw_gradients_reset(gradient);
}

void rwkv_gradient_get_result(const rwkv_gradient *gradient, rwkv_gradient_result *out)
{
    rw_gradients_result(gradient, out);
}

size_t rwkv_gradient_count(const rwkv_gradient *gradient)
{
    return rw_gradients_count(gradient);
}

void rwkv_gradient_get_tensor(const rwkv_gradient *gradient, size_t index,
                              rwkv_gradient_tensor *out)
{
    rw_gradients_tensor(gradient, index, out);
}

void rwkv_gradient_read(const rwkv_gradient *gradient, size_t index, float *to)
{
    rw_gradients_read(gradient, index, to);
}

rwkv_status rwkv_gradient_save(const rwkv_gradient *gradient, const char *path, rwkv_error *err)
{
    REQUIRE(gradient && path);
    return rw_gradients_save(gradient, path, err);
}
