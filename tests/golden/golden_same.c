/* SPDX-License-Identifier: Apache-2.0 */
/* What must not change a bit: threads, chunks, neighbours in the batch, the container. And what the
 * quantized files must be close to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden/golden.h"
#include "tensor/dtype.h"

#define TOKENS 100

/* Of block types our instruction sets and the peer alike round activations to 8 bits in blocks of
 * 32, which makes nearly all of either's error. Which of the two roundings comes out nearer is
 * chance: ours has from 0.78 to 1.011 of the peer's error on these vectors. */
#define PEER_SLACK 1.05

struct run {
    size_t vocab;
    float *logits; /* [TOKENS, V] */
};

static void fill_tokens(int32_t tokens[TOKENS], size_t vocab)
{
    for (size_t i = 0; i < TOKENS; i++)
        tokens[i] = (int32_t)((i * 7919 + i * i * 31 + 5) % vocab);
}

/* Logits of the same tokens; packed: between two other sequences of other lengths. */
static bool evaluate(const char *path, const char *isa, int threads, size_t chunk, bool packed,
                     struct run *run, rwkv_error *err)
{
    rwkv_model *model;
    rwkv_model_info info;
    rwkv_session *s[3] = {0};
    int32_t tokens[TOKENS];
    rwkv_model_options options = {.threads = threads, .chunk = chunk, .cpu = isa, .vocab = "bytes"};
    if (rwkv_model_open(path, &options, &model, err) != RWKV_OK)
        return false;
    rwkv_model_get_info(model, &info);
    run->vocab = info.n_vocab;
    run->logits = malloc(TOKENS * info.n_vocab * sizeof *run->logits);
    fill_tokens(tokens, info.n_vocab);
    for (size_t i = 0; i < 3; i++)
        if (rwkv_session_new(model, &s[i], err) != RWKV_OK)
            abort();
    if (packed) {
        const rwkv_segment segments[] = {{s[0], tokens + 3, 11, NULL, NULL},
                                         {s[1], tokens, TOKENS, run->logits, NULL},
                                         {s[2], tokens + 50, 37, NULL, NULL}};
        rwkv_segments_eval(segments, 3, err);
    } else {
        rwkv_session_eval_all(s[1], tokens, TOKENS, run->logits, NULL, err);
    }
    for (size_t i = 0; i < 3; i++)
        rwkv_session_free(s[i]);
    rwkv_model_close(model);
    return true;
}

static bool same(const struct run *a, const struct run *b)
{
    return a->vocab == b->vocab &&
           memcmp(a->logits, b->logits, TOKENS * a->vocab * sizeof(float)) == 0;
}

void golden_invariance(struct golden *g, const char *what, const char *path)
{
    static const struct {
        int threads;
        size_t chunk;
        bool packed;
    } ways[] = {{2, 128, false}, {3, 128, false}, {1, 1, false}, {2, 7, false},
                {3, 64, false},  {1, 128, true},  {2, 16, true}};
    for (const char *const *isa = golden_isas(); *isa; isa++) {
        rwkv_error err = {0};
        struct run first = {0}, other = {0};
        size_t different = 0;
        char name[128];
        snprintf(name, sizeof name, "%s %s same bits", what, *isa);
        if (!evaluate(path, *isa, 1, 128, false, &first, &err)) {
            golden_result(g, false, name, "%s", err.message);
            return;
        }
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
            if (!evaluate(path, *isa, ways[i].threads, ways[i].chunk, ways[i].packed, &other,
                          &err) ||
                !same(&first, &other))
                different++;
            free(other.logits);
            other.logits = NULL;
        }
        golden_result(g, different == 0, name,
                      "%zu of 7 ways of threads, chunks and packing differ", different);
        free(first.logits);
    }
}

void golden_containers(struct golden *g, const char *name, const char *model)
{
    static const struct {
        const char *file;
        rwkv_naming naming;
    } outputs[] = {{"model.pth", RWKV_NAMING_AUTO},
                   {"blinkdl.safetensors", RWKV_NAMING_BLINKDL},
                   {"model.safetensors", RWKV_NAMING_HF},
                   {"model.gguf", RWKV_NAMING_AUTO}};
    char what[128], path[4200];
    rwkv_error err = {0};
    struct run first = {0}, other = {0};
    if (!evaluate(model, NULL, 0, 0, false, &first, &err))
        return; /* said elsewhere */
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        rwkv_convert_options options = {
            .naming = outputs[i].naming, .vocab = "bytes", .overwrite = 1};
        snprintf(what, sizeof what, "%s as %s", name, outputs[i].file);
        snprintf(path, sizeof path, "%s/%s", g->temporary, outputs[i].file);
        rwkv_status status = rwkv_convert(model, path, &options, &err);
        if (status == RWKV_ERROR_MODEL && first.vocab < 256 && strstr(err.message, "vocabulary")) {
            golden_skip(g, what,
                        "fewer rows than bytes have values: no vocabulary to put in a GGUF");
            continue;
        }
        bool ok = status == RWKV_OK && evaluate(path, NULL, 0, 0, false, &other, &err) &&
                  same(&first, &other);
        golden_result(g, ok, what, ok ? "same bits" : "%s", err.message);
        free(other.logits);
        other.logits = NULL;
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/config.json", g->temporary);
    unlink(path);
    free(first.logits);
}

static void check_type(struct golden *g, const char *path, const char *what, const char *isa,
                       rwkv_dtype dtype, const float *oracle, const float *peer, const int *tokens,
                       size_t n_tokens)
{
    rwkv_model *model;
    rwkv_session *s = NULL;
    rwkv_model_info info;
    rwkv_error err = {0};
    char name[600];
    rwkv_model_options options = {.cpu = isa};
    snprintf(name, sizeof name, "%s %s", what, isa);
    if (rwkv_model_open(path, &options, &model, &err) != RWKV_OK ||
        rwkv_session_new(model, &s, &err) != RWKV_OK) {
        golden_result(g, false, name, "%s", err.message);
        return;
    }
    rwkv_model_get_info(model, &info);
    size_t n = n_tokens * info.n_vocab;
    float *logits = malloc(n * sizeof *logits);
    rwkv_session_eval_all(s, tokens, n_tokens, logits, NULL, &err);
    double largest = golden_largest(oracle, logits, n);
    double rms = golden_rms(oracle, logits, n), peer_rms = golden_rms(oracle, peer, n);
    double slack = rw_dtype_is_block(dtype) ? PEER_SLACK : 1;
    bool ok = strcmp(isa, "ref") == 0 ? largest <= GOLDEN_BOUND : rms <= slack * peer_rms;
    golden_result(g, ok && err.code == 0, name, "largest %.1e rms %.1e (peer's rms %.1e) %s",
                  largest, rms, peer_rms, err.message);
    free(logits);
    rwkv_session_free(s);
    rwkv_model_close(model);
}

void golden_quantized(struct golden *g, const char *folder, const char *name, rwkv_file *vectors)
{
    size_t n_tokens, n;
    int *tokens = golden_ints(vectors, "tokens", &n_tokens);
    for (rwkv_dtype t = 0; tokens && t < RWKV_DTYPE_MODEL_COUNT; t++) {
        char tensor[64], file[512], path[4096];
        snprintf(file, sizeof file, "%s-%s.gguf", name, rwkv_dtype_name(t));
        snprintf(path, sizeof path, "%s/%s", folder, file);
        snprintf(tensor, sizeof tensor, "logits_f64.%s", rwkv_dtype_name(t));
        float *oracle = golden_floats(vectors, tensor, &n);
        snprintf(tensor, sizeof tensor, "logits.%s", rwkv_dtype_name(t));
        float *peer = golden_floats(vectors, tensor, &n);
        if (oracle && peer && access(path, F_OK) == 0) {
            for (const char *const *isa = golden_isas(); *isa; isa++)
                check_type(g, path, file, *isa, t, oracle, peer, tokens, n_tokens);
            golden_invariance(g, file, path);
        }
        free(oracle);
        free(peer);
    }
    free(tokens);
}
