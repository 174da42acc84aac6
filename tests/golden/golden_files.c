/* SPDX-License-Identifier: Apache-2.0 */
/* Container files against a manifest of verdicts; rows of block types; the World tokenizer. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden/golden.h"
#include "tensor/convert.h"
#include "tensor/dtype.h"

/* --- manifest.json
 * -------------------------------------------------------------------------------- */

static bool same_shape(const rwkv_tensor_info *info, const json_t *shape)
{
    if (json_array_size(shape) != info->n_dims)
        return false;
    for (size_t i = 0; i < info->n_dims; i++)
        if ((size_t)json_integer_value(json_array_get(shape, i)) != info->shape[i])
            return false;
    return true;
}

static bool right_sum(rwkv_file *file, size_t i, const rwkv_tensor_info *info, double wanted)
{
    float *values = malloc(info->n_elements * sizeof *values + 1);
    double sum = 0;
    if (!values || rwkv_file_read_f32(file, i, values, NULL) != RWKV_OK)
        abort();
    for (size_t k = 0; k < info->n_elements; k++)
        sum += values[k];
    free(values);
    return fabs(sum - wanted) <= 1e-6 * (1 + fabs(wanted));
}

/* NULL if the tensor is as the manifest says, else what is wrong. */
static const char *check_tensor(rwkv_file *file, const char *name, const json_t *wanted)
{
    rwkv_tensor_info info;
    char sha[65];
    size_t i = rwkv_file_find(file, name);
    if (i == SIZE_MAX)
        return "missing";
    rwkv_file_tensor(file, i, &info);
    if (strcmp(rwkv_dtype_name(info.dtype), json_string_value(json_object_get(wanted, "dtype"))) !=
        0)
        return "type";
    if (!same_shape(&info, json_object_get(wanted, "shape")))
        return "shape";
    if (rwkv_file_sha256(file, i, sha, NULL) != RWKV_OK ||
        strcmp(sha, json_string_value(json_object_get(wanted, "sha256"))) != 0)
        return "checksum";
    const json_t *sum = json_object_get(wanted, "sum");
    if (sum && !right_sum(file, i, &info, json_number_value(sum)))
        return "sum";
    return NULL;
}

static void check_entry(struct golden *g, const char *folder, const json_t *entry)
{
    char path[4096];
    rwkv_file *file = NULL;
    rwkv_error err = {0};
    const char *name = json_string_value(json_object_get(entry, "file"));
    const char *expect = json_string_value(json_object_get(entry, "expect"));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    rwkv_status status = rwkv_file_open(path, &file, &err);
    if (status != RWKV_OK) {
        bool said = err.code == status && err.message[0] && !strchr(err.message, '\n');
        golden_result(g, said && strcmp(expect, "ok") != 0, name, "refused: %s", err.message);
        return;
    }
    const char *wrong = NULL, *key, *where = "";
    json_t *wanted;
    json_object_foreach(json_object_get(entry, "tensors"), key, wanted)
    {
        if (!wrong && (wrong = check_tensor(file, key, wanted)))
            where = key;
    }
    golden_result(g, !wrong && strcmp(expect, "reject") != 0, name, "read%s%s %s",
                  wrong ? ": " : "", where, wrong ? wrong : "");
    rwkv_file_close(file);
}

void golden_files(struct golden *g, const char *folder)
{
    char path[4096];
    json_error_t error;
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    json_t *manifest = json_load_file(path, 0, &error);
    size_t i;
    json_t *entry;
    json_array_foreach(manifest, i, entry)
    {
        check_entry(g, folder, entry);
    }
    if (manifest)
        golden_result(g, access("PICKLE_WAS_EXECUTED", F_OK) != 0, "PICKLE_WAS_EXECUTED", "absent");
    json_decref(manifest);
}

/* --- dequant.safetensors
 * -------------------------------------------------------------------------- */

static bool rows_agree(rwkv_file *file, rwkv_dtype t, const char *raw_name, const char *values_name)
{
    char name[64];
    rwkv_tensor_info info;
    size_t n;
    snprintf(name, sizeof name, "%s.%s", rwkv_dtype_name(t), values_name);
    float *wanted = golden_floats(file, name, &n);
    snprintf(name, sizeof name, "%s.%s", rwkv_dtype_name(t), raw_name);
    size_t i = rwkv_file_find(file, name);
    if (!wanted || i == SIZE_MAX) {
        free(wanted);
        return false;
    }
    rwkv_file_tensor(file, i, &info);
    void *raw = malloc(info.n_bytes);
    float *found = malloc(n * sizeof *found);
    rwkv_file_read(file, i, raw);
    size_t bytes;
    bool ok = rw_dtype_size(t, n, &bytes) && bytes == info.n_bytes && rw_to_f32(t, found, raw, n) &&
              memcmp(found, wanted, n * sizeof *found) == 0;
    free(raw);
    free(found);
    free(wanted);
    return ok;
}

void golden_rows(struct golden *g, const char *folder)
{
    char path[4096], name[64];
    rwkv_file *file;
    snprintf(path, sizeof path, "%s/dequant.safetensors", folder);
    if (access(path, F_OK) != 0 || rwkv_file_open(path, &file, NULL) != RWKV_OK)
        return;
    for (rwkv_dtype t = RWKV_DTYPE_F16; t < RWKV_DTYPE_MODEL_COUNT; t++) {
        snprintf(name, sizeof name, "%s.raw", rwkv_dtype_name(t));
        if (rwkv_file_find(file, name) == SIZE_MAX) {
            golden_skip(g, name, "not in the vectors");
            continue;
        }
        golden_result(
            g, rows_agree(file, t, "raw", "f32") && rows_agree(file, t, "random_raw", "random_f32"),
            name, "bit-exact");
    }
    rwkv_file_close(file);
}

/* --- tokenizer
 * ------------------------------------------------------------------------------------ */

static size_t unhex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (char)byte;
    }
    return n;
}

static bool check_line(const rwkv_vocab *vocab, const json_t *line, bool encode)
{
    const char *hex = json_string_value(json_object_get(line, "hex"));
    const json_t *ids = json_object_get(line, "ids");
    size_t n_ids = json_array_size(ids), n_tokens = 0, n_bytes = 0;
    char *bytes = malloc(strlen(hex) / 2 + 1);
    char *decoded = malloc(strlen(hex) / 2 + 1);
    int32_t *wanted = malloc((n_ids + 1) * sizeof *wanted);
    size_t size = unhex(hex, bytes);
    int32_t *tokens = malloc((size + 1) * sizeof *tokens);
    for (size_t i = 0; i < n_ids; i++)
        wanted[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    bool ok = rwkv_vocab_decode(vocab, wanted, n_ids, decoded, size, &n_bytes, NULL) == RWKV_OK &&
              n_bytes == size && memcmp(bytes, decoded, size) == 0;
    if (ok && encode)
        ok = rwkv_vocab_encode(vocab, bytes, size, tokens, size, &n_tokens, NULL) == RWKV_OK &&
             n_tokens == n_ids && memcmp(tokens, wanted, n_ids * sizeof *tokens) == 0;
    free(bytes);
    free(decoded);
    free(wanted);
    free(tokens);
    return ok;
}

static void check_lines(struct golden *g, const char *folder, const char *file,
                        const rwkv_vocab *vocab, bool encode)
{
    char path[4096], *text = NULL;
    size_t capacity = 0, lines = 0, wrong = 0;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "r");
    while (f && getline(&text, &capacity, f) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        lines++;
        if (!line || !check_line(vocab, line, encode))
            wrong++;
        json_decref(line);
    }
    if (f) {
        golden_result(g, lines > 0 && wrong == 0, file, "%zu lines, %zu wrong", lines, wrong);
        fclose(f);
    }
    free(text);
}

void golden_tokenizer(struct golden *g, const char *folder)
{
    char path[4096];
    rwkv_vocab *vocab;
    rwkv_error err = {0};
    snprintf(path, sizeof path, "%s/encode.jsonl", folder);
    if (access(path, F_OK) != 0)
        return;
    snprintf(path, sizeof path, "%s/rwkv_vocab_v20230424.txt", g->shared_data);
    if (access(path, F_OK) != 0) {
        golden_skip(g, "tokenizer", "%s is not there", path);
        return;
    }
    if (rwkv_vocab_open(path, &vocab, &err) != RWKV_OK) {
        golden_result(g, false, "tokenizer", "%s", err.message);
        return;
    }
    check_lines(g, folder, "encode.jsonl", vocab, true);
    check_lines(g, folder, "decode.jsonl", vocab, false);
    rwkv_vocab_free(vocab);
}
