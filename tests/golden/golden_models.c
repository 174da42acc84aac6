/* SPDX-License-Identifier: Apache-2.0 */
/* Models against float64 oracles: logits, hidden states, states half-way and at the end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden/golden.h"
#include "rwkv_evaluate.h"

#define LOSS_BOUND 2e-6 /* of a loss */

/* The largest difference of one layer's part of the state, or 0 if the vectors do not have it. */
static double part_error(rwkv_file *vectors, const char *prefix, size_t layer, const char *part,
                         const float *found)
{
    char name[64];
    size_t n;
    snprintf(name, sizeof name, "%s.%zu.%s", prefix, layer, part);
    float *wanted = golden_floats(vectors, name, &n);
    double error = wanted ? golden_largest(wanted, found, n) : 0;
    free(wanted);
    return error;
}

static double state_error(rwkv_file *vectors, const char *prefix, rwkv_session *s)
{
    rwkv_model_info info;
    double largest = 0;
    rwkv_model_get_info(rwkv_session_model(s), &info);
    for (size_t l = 0; l < info.n_layer; l++) {
        rwkv_layer_state state;
        rwkv_session_layer_state(s, l, &state, NULL);
        const struct {
            const char *part;
            const float *found;
        } parts[] = {
            {"att_shift", state.att_shift}, {"ffn_shift", state.ffn_shift}, {"wkv", state.wkv}};
        for (size_t i = 0; i < 3; i++) {
            double error = part_error(vectors, prefix, l, parts[i].part, parts[i].found);
            if (!(error <= largest))
                largest = error;
        }
    }
    return largest;
}

/* One container on one instruction set. */
static void check_model(struct golden *g, const char *what, rwkv_model *model, rwkv_file *vectors)
{
    rwkv_model_info info;
    rwkv_session *s = NULL;
    rwkv_error err = {0};
    size_t n_tokens, n_logits, n_hidden = 0;
    int *tokens = golden_ints(vectors, "tokens", &n_tokens);
    float *wanted = golden_floats(vectors, "logits_f64", &n_logits);
    if (!wanted)
        wanted = golden_floats(vectors, "logits", &n_logits);
    float *wanted_hidden = golden_floats(vectors, "hidden", &n_hidden);
    rwkv_model_get_info(model, &info);
    float *logits = malloc(n_tokens * info.n_vocab * sizeof *logits);
    float *hidden = malloc(n_tokens * info.n_embd * sizeof *hidden);
    if (!logits || !hidden || !tokens || !wanted || n_logits != n_tokens * info.n_vocab ||
        rwkv_session_new(model, &s, &err) != RWKV_OK) {
        golden_result(g, false, what, "vectors do not fit the model %s", err.message);
    } else {
        size_t half = n_tokens / 2;
        rwkv_session_eval_all(s, tokens, half, logits, hidden, &err);
        double middle = state_error(vectors, "state_mid", s);
        rwkv_session_eval_all(s, tokens + half, n_tokens - half, logits + half * info.n_vocab,
                              hidden + half * info.n_embd, &err);
        double end = state_error(vectors, "state", s);
        double spread = golden_deviation(wanted, n_logits);
        double e_logits = golden_largest(wanted, logits, n_logits);
        double e_hidden = wanted_hidden ? golden_largest(wanted_hidden, hidden, n_hidden) : 0;
        double bound = GOLDEN_BOUND * spread;
        golden_result(g,
                      err.code == 0 && e_logits <= bound && e_hidden <= bound && middle <= bound &&
                          end <= bound,
                      what, "logits %.1e hidden %.1e state_mid %.1e state %.1e (bound %.1e) %s",
                      e_logits, e_hidden, middle, end, bound, err.message);
    }
    rwkv_session_free(s);
    free(tokens);
    free(wanted);
    free(wanted_hidden);
    free(logits);
    free(hidden);
}

/* The mean loss of the tokens that come next, against the one stored and against one computed here
 * from the reference's logits. */
static void check_loss(struct golden *g, const char *what, rwkv_model *model, rwkv_file *vectors)
{
    size_t n_tokens, n_logits, n_loss;
    int *tokens = golden_ints(vectors, "tokens", &n_tokens);
    float *logits = golden_floats(vectors, "logits", &n_logits);
    float *stored = golden_floats(vectors, "loss", &n_loss);
    size_t v = n_logits / n_tokens;
    double wanted = 0;
    for (size_t t = 0; t + 1 < n_tokens; t++) {
        double sum = 0;
        for (size_t i = 0; i < v; i++)
            sum += exp(logits[t * v + i]);
        wanted += (log(sum) - logits[t * v + (size_t)tokens[t + 1]]) / (double)(n_tokens - 1);
    }
    rwkv_evaluator *e = NULL;
    rwkv_evaluation r = {0};
    rwkv_error err = {0};
    if (rwkv_evaluator_new(model, NULL, &e, &err) == RWKV_OK &&
        rwkv_evaluator_feed(e, tokens, n_tokens, &err) == RWKV_OK)
        rwkv_evaluator_result(e, &r);
    double error = fabs(r.loss.mean - wanted);
    double from_stored = stored ? fabs(r.loss.mean - stored[0]) : 0;
    golden_result(g,
                  r.scored == n_tokens - 1 && error <= LOSS_BOUND * wanted &&
                      from_stored <= LOSS_BOUND * wanted,
                  what, "loss %.6f: off by %.1e from the logits', %.1e from the stored %s",
                  r.loss.mean, error, from_stored, err.message);
    rwkv_evaluator_free(e);
    free(tokens);
    free(logits);
    free(stored);
}

static void check_container(struct golden *g, const char *folder, const char *file,
                            rwkv_file *vectors)
{
    char path[4096], what[600];
    rwkv_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, file);
    for (const char *const *isa = golden_isas(); *isa; isa++) {
        rwkv_model *model;
        rwkv_model_options options = {.cpu = *isa, .vocab = "bytes"};
        snprintf(what, sizeof what, "%s %s", file, *isa);
        rwkv_status status = rwkv_model_open(path, &options, &model, &err);
        if (status == RWKV_ERROR_UNSUPPORTED) {
            golden_skip(g, file, "%s", strstr(err.message, "wanted"));
            return;
        }
        if (status != RWKV_OK) {
            golden_result(g, false, what, "%s", err.message);
            return;
        }
        check_model(g, what, model, vectors);
        check_loss(g, what, model, vectors);
        rwkv_model_close(model);
    }
    golden_invariance(g, file, path);
}

static bool has(rwkv_file *file, const char *name)
{
    return rwkv_file_find(file, name) != SIZE_MAX;
}

static void check_vectors(struct golden *g, const char *folder, const char *name,
                          rwkv_file *vectors)
{
    static const char *const suffixes[] = {".pth", ".safetensors", ".gguf"};
    char file[512], path[4096];
    size_t found = 0;
    for (size_t i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s%s", name, suffixes[i]);
        snprintf(path, sizeof path, "%s/%s", folder, file);
        if (access(path, F_OK) != 0 || !has(vectors, "logits"))
            continue;
        check_container(g, folder, file, vectors);
        if (found++ == 0)
            golden_containers(g, name, path);
    }
    golden_quantized(g, folder, name, vectors);
    if (found == 0 && has(vectors, "logits"))
        golden_skip(g, name, "no model of that name");
}

void golden_models(struct golden *g, const char *folder)
{
    size_t n;
    char **names = golden_names(folder, ".vec.safetensors", &n), path[4096];
    for (size_t i = 0; i < n; i++) {
        rwkv_file *vectors;
        rwkv_error err = {0};
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (rwkv_file_open(path, &vectors, &err) != RWKV_OK) {
            golden_result(g, false, names[i], "%s", err.message);
            continue;
        }
        names[i][strlen(names[i]) - strlen(".vec.safetensors")] = 0;
        check_vectors(g, folder, names[i], vectors);
        rwkv_file_close(vectors);
    }
    golden_free_names(names, n);
}
