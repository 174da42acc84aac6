/* SPDX-License-Identifier: Apache-2.0 */
/* Training runs against float64: NAME.run.safetensors, from the weights in NAME.init.safetensors.
 * The recipe is that of the README beside the vectors. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "golden/golden.h"
#include "train/schedule.h"
#include "train/step.h"

#define LOSS_BOUND 1e-3   /* of every step */
#define WEIGHT_BOUND 1e-3 /* of a tensor's largest change */
#define WARMUP 5          /* steps */
#define NORM_BOUND 5e-3   /* relative: f32 keeps it to about 1e-3 */

struct run {
    struct rw_backend *backend;
    struct rw_file *file;
    struct rw_params params;
    struct rw_parameters parameters;
    struct rw_step step;
    float *initial; /* the weights it began with */
    size_t steps, batch, context;
    int32_t *tokens; /* [steps, batch, context + 1] */
    double worst_loss, worst_norm, worst_rate;
};

static rwkv_status open_run(struct run *r, const char *init, rwkv_error *err)
{
    const struct rw_gradient_options options = {
        .sequences = r->batch, .tokens = r->batch * r->context, .l2wrap = 1e-4f};
    rwkv_status status = rw_backend_cpu_new(&r->backend, 0, rw_cpu_detect(), err);
    if (status == RWKV_OK)
        status = rw_file_open(&r->file, init, err);
    if (status == RWKV_OK)
        status = rw_params_open(&r->params, r->file, err);
    if (status == RWKV_OK)
        status = rw_parameters_init(&r->parameters, &r->params, err);
    if (status != RWKV_OK)
        return status;
    float **arrays[] = {&r->step.values, &r->step.gradients, &r->step.m, &r->step.v, &r->initial};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        *arrays[i] = r->backend->ops->alloc(r->backend, r->parameters.floats);
    r->step.backend = r->backend;
    r->step.parameters = &r->parameters;
    r->step.optimizer = (struct rw_optimizer_options){
        .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-18, .decay = 0.1, .clip = 1};
    status = rw_comm_open(&r->step.comm, err);
    if (status == RWKV_OK)
        status = rw_shards_new(&r->step.shards, &r->parameters, r->step.comm, 0, err);
    if (status == RWKV_OK)
        status = rw_parameters_load(&r->parameters, &r->params, r->step.values, err);
    memcpy(r->initial, r->step.values, r->parameters.floats * sizeof(float));
    return status == RWKV_OK
               ? rw_gradient_new(&r->step.gradient, &r->parameters, r->backend, &options, err)
               : status;
}

static void close_run(struct run *r)
{
    float *arrays[] = {r->step.values, r->step.gradients, r->step.m, r->step.v, r->initial};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        if (arrays[i])
            r->backend->ops->release(r->backend, arrays[i]);
    rw_gradient_free(r->step.gradient);
    rw_shards_free(r->step.shards);
    rw_comm_close(r->step.comm);
    rw_parameters_fini(&r->parameters);
    rw_params_close(&r->params);
    rw_file_close(r->file);
    if (r->backend)
        r->backend->ops->free(r->backend);
    free(r->tokens);
}

/* One update; false: something was not finite. */
static bool train(struct run *r, size_t s, double rate, double *loss, double *norm)
{
    struct rw_gradient_sequence sequences[64];
    struct rw_step_result result;
    uint64_t targets = r->batch * r->context;
    for (size_t i = 0; i < r->batch; i++) {
        const int32_t *row = r->tokens + (s * r->batch + i) * (r->context + 1);
        sequences[i] =
            (struct rw_gradient_sequence){.tokens = row, .targets = row + 1, .count = r->context};
    }
    rw_step_begin(&r->step);
    rw_step_add(&r->step, sequences, r->batch, targets, true);
    bool done = rw_step_end(&r->step, rate, s + 1, &result);
    *loss = result.loss / (double)targets;
    *norm = result.norm;
    return done;
}

static bool train_all(struct run *r, const float *losses, const float *norms, const float *rates)
{
    const struct rw_schedule schedule = {.kind = RW_SCHEDULE_COSINE,
                                         .peak = 2e-3,
                                         .last = 2e-4,
                                         .steps = r->steps,
                                         .warmup = WARMUP};
    for (size_t s = 0; s < r->steps; s++) {
        double loss, norm, rate = rw_schedule_rate(&schedule, s);
        if (!train(r, s, rate, &loss, &norm))
            return false;
        r->worst_loss = fmax(r->worst_loss, fabs(loss - losses[s]));
        r->worst_norm = fmax(r->worst_norm, fabs(norm / norms[s] - 1));
        r->worst_rate = fmax(r->worst_rate, fabs(rate / rates[s] - 1));
    }
    return true;
}

/* The largest difference of a tensor from its final values, in its largest change, of all tensors;
 * infinite where one is missing. */
static double compare(const struct run *r, rwkv_file *vectors, char name[64])
{
    double worst = 0;
    for (size_t i = 0; i < r->parameters.n; i++) {
        const struct rw_parameter *p = &r->parameters.list[i];
        char final[64];
        size_t n = 0;
        snprintf(final, sizeof final, "final.%s", p->name);
        float *wanted = golden_floats(vectors, final, &n);
        float *found = malloc(p->count * sizeof *found), *before = malloc(p->count * sizeof *found);
        if (!found || !before)
            abort();
        struct rw_tensor view = rw_parameters_view(&r->parameters, p, r->step.values);
        rw_tensor_copy(&view, 0, p->count, found);
        view = rw_parameters_view(&r->parameters, p, r->initial);
        rw_tensor_copy(&view, 0, p->count, before);
        double error = INFINITY;
        if (wanted && n == p->count)
            error = golden_largest(wanted, found, n) / golden_largest(wanted, before, n);
        if (!(error <= worst)) {
            worst = error;
            snprintf(name, 64, "%s", p->name);
        }
        free(wanted);
        free(found);
        free(before);
    }
    return worst;
}

/* The lengths of the run, from the shape of its tokens. */
static bool read_tokens(struct run *r, rwkv_file *vectors)
{
    size_t i = rwkv_file_find(vectors, "tokens"), n;
    rwkv_tensor_info info;
    if (i == SIZE_MAX)
        return false;
    rwkv_file_tensor(vectors, i, &info);
    if (info.n_dims != 3 || info.shape[1] > 64 || info.shape[2] < 2)
        return false;
    r->steps = info.shape[0];
    r->batch = info.shape[1];
    r->context = info.shape[2] - 1;
    r->tokens = golden_ints(vectors, "tokens", &n);
    return true;
}

static void check(struct golden *g, const char *what, const char *init, rwkv_file *vectors)
{
    struct run r = {0};
    rwkv_error err = {0};
    size_t n[3] = {0};
    char name[64] = "";
    float *losses = golden_floats(vectors, "loss", &n[0]);
    float *norms = golden_floats(vectors, "grad_norm", &n[1]);
    float *rates = golden_floats(vectors, "lr", &n[2]);
    bool good = read_tokens(&r, vectors) && n[0] == r.steps && n[1] == r.steps && n[2] == r.steps &&
                r.steps > WARMUP;
    if (!good) {
        golden_result(g, false, what,
                      "wanted tokens, and loss, grad_norm and lr of as many steps, "
                      "more than %d",
                      WARMUP);
    } else if (open_run(&r, init, &err) != RWKV_OK) {
        golden_result(g, false, what, "%s", err.message);
    } else if (!train_all(&r, losses, norms, rates)) {
        golden_result(g, false, what, "a loss or a gradient is not finite");
    } else {
        double weights = compare(&r, vectors, name);
        golden_result(g,
                      r.worst_loss <= LOSS_BOUND && weights <= WEIGHT_BOUND &&
                          r.worst_norm <= NORM_BOUND && r.worst_rate <= 1e-6,
                      what, "%zu steps: losses off by %.1e, norms by %.1e, weights by %.1e of %s",
                      r.steps, r.worst_loss, r.worst_norm, weights, name);
    }
    close_run(&r);
    free(losses);
    free(norms);
    free(rates);
}

void golden_training(struct golden *g, const char *folder)
{
    size_t n;
    char **names = golden_names(folder, ".run.safetensors", &n);
    for (size_t i = 0; i < n; i++) {
        char path[4096], init[4096];
        rwkv_file *vectors = NULL;
        rwkv_error err = {0};
        int stem = (int)(strlen(names[i]) - strlen(".run.safetensors"));
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        snprintf(init, sizeof init, "%s/%.*s.init.safetensors", folder, stem, names[i]);
        if (rwkv_file_open(path, &vectors, &err) != RWKV_OK)
            golden_result(g, false, names[i], "%s", err.message);
        else
            check(g, names[i], init, vectors);
        rwkv_file_close(vectors);
    }
    golden_free_names(names, n);
}
