/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of the mean loss against float64: every tensor of every NAME.vec.safetensors that has
 * them, with checkpointing and without, which must not show in a bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden/golden.h"
#include "rwkv_train.h"

#define BOUND 1e-4      /* of a tensor's largest gradient */
#define LOSS_BOUND 2e-6 /* of the loss */

struct worst {
    double error;
    char name[64];
    size_t tensors, missing;
};

/* The largest difference in one tensor, relative to the largest number wanted. */
static double tensor_error(rwkv_gradient *gradient, size_t index, const rwkv_gradient_tensor *t,
                           const float *wanted)
{
    double largest = 0, difference;
    float *found = malloc(t->n_elements * sizeof *found);
    if (!found)
        abort();
    rwkv_gradient_read(gradient, index, found);
    for (size_t i = 0; i < t->n_elements; i++)
        largest = fmax(largest, fabs(wanted[i]));
    difference = golden_largest(wanted, found, t->n_elements);
    free(found);
    return largest > 0 ? difference / largest : difference;
}

static struct worst compare(rwkv_gradient *gradient, rwkv_file *vectors)
{
    struct worst worst = {0};
    for (size_t i = 0; i < rwkv_gradient_count(gradient); i++) {
        char name[128];
        size_t n = 0;
        rwkv_gradient_tensor t;
        rwkv_gradient_get_tensor(gradient, i, &t);
        snprintf(name, sizeof name, "grad.%s", t.name);
        float *wanted = golden_floats(vectors, name, &n);
        if (!wanted || n != t.n_elements) {
            worst.missing++;
            free(wanted);
            continue;
        }
        double error = tensor_error(gradient, i, &t, wanted);
        free(wanted);
        worst.tensors++;
        if (!(error <= worst.error)) {
            worst.error = error;
            snprintf(worst.name, sizeof worst.name, "%s", t.name);
        }
    }
    return worst;
}

static bool same_bits(rwkv_gradient *a, rwkv_gradient *b)
{
    bool same = true;
    for (size_t i = 0; same && i < rwkv_gradient_count(a); i++) {
        rwkv_gradient_tensor t;
        rwkv_gradient_get_tensor(a, i, &t);
        float *x = malloc(t.n_elements * sizeof *x), *y = malloc(t.n_elements * sizeof *y);
        if (!x || !y)
            abort();
        rwkv_gradient_read(a, i, x);
        rwkv_gradient_read(b, i, y);
        same = memcmp(x, y, t.n_elements * sizeof *x) == 0;
        free(x);
        free(y);
    }
    return same;
}

static rwkv_gradient *evaluate(rwkv_model *model, const int *tokens, size_t n, int checkpoint,
                               rwkv_error *err)
{
    rwkv_gradient *gradient = NULL;
    rwkv_gradient_options options = {.max_tokens = n, .checkpoint = checkpoint};
    rwkv_example example = {.tokens = tokens, .n_tokens = n};
    if (rwkv_gradient_new(model, &options, &gradient, err) == RWKV_OK)
        rwkv_gradient_add(gradient, &example, 1, 0, err);
    return gradient;
}

static void check(struct golden *g, const char *what, rwkv_model *model, rwkv_file *vectors)
{
    rwkv_error err = {0};
    size_t n_tokens, n_loss;
    int *tokens = golden_ints(vectors, "tokens", &n_tokens);
    float *loss = golden_floats(vectors, "loss", &n_loss);
    rwkv_gradient *plain = evaluate(model, tokens, n_tokens, 0, &err);
    rwkv_gradient *checkpointed = evaluate(model, tokens, n_tokens, 1, &err);
    if (err.code) {
        golden_result(g, false, what, "%s", err.message);
    } else {
        rwkv_gradient_result r;
        rwkv_gradient_get_result(plain, &r);
        struct worst worst = compare(plain, vectors);
        double off = fabs(r.loss - loss[0]);
        bool same = same_bits(plain, checkpointed);
        golden_result(
            g, worst.missing == 0 && worst.error <= BOUND && off <= LOSS_BOUND * loss[0] && same,
            what, "%zu gradients, worst %.1e of %s; loss off by %.1e%s%s", worst.tensors,
            worst.error, worst.name, off, worst.missing ? "; some are not in the vectors" : "",
            same ? "" : "; other bits with checkpointing");
    }
    rwkv_gradient_free(plain);
    rwkv_gradient_free(checkpointed);
    free(tokens);
    free(loss);
}

static void check_file(struct golden *g, const char *folder, const char *name, rwkv_file *vectors)
{
    static const char *const suffixes[] = {".safetensors", ".pth"};
    char path[4096], what[600];
    size_t found = 0;
    for (size_t i = 0; i < 2 && found == 0; i++) {
        snprintf(path, sizeof path, "%s/%s%s", folder, name, suffixes[i]);
        found = access(path, F_OK) == 0;
    }
    for (const char *const *isa = golden_isas(); found && *isa; isa++) {
        rwkv_error err = {0};
        rwkv_model *model;
        rwkv_model_options options = {.cpu = *isa, .vocab = "bytes"};
        snprintf(what, sizeof what, "gradients of %s %s", name, *isa);
        if (rwkv_model_open(path, &options, &model, &err) != RWKV_OK) {
            golden_result(g, false, what, "%s", err.message);
            continue;
        }
        check(g, what, model, vectors);
        rwkv_model_close(model);
    }
    if (!found)
        golden_skip(g, name, "gradients of a model that is not there");
}

void golden_gradients(struct golden *g, const char *folder)
{
    size_t n;
    char **names = golden_names(folder, ".vec.safetensors", &n), path[4096];
    for (size_t i = 0; i < n; i++) {
        rwkv_file *vectors;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (rwkv_file_open(path, &vectors, NULL) != RWKV_OK)
            continue; /* golden_models says so */
        names[i][strlen(names[i]) - strlen(".vec.safetensors")] = 0;
        if (rwkv_file_find(vectors, "grad.emb.weight") != SIZE_MAX)
            check_file(g, folder, names[i], vectors);
        rwkv_file_close(vectors);
    }
    golden_free_names(names, n);
}
