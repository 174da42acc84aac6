/* SPDX-License-Identifier: Apache-2.0 */
#include "open_model.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/env.h"
#include "base/output.h"
#include "base/status.h"
#include "builtin.h"
#include "say.h"

rwkv_status rw_model_operand(struct rw_model_args *args, const struct rw_operands *operands,
                             rwkv_error *err)
{
    if (operands->count && args->path)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted one MODEL, found two: '%s' and '%s'",
                       args->path, operands->list[0]);
    if (operands->count)
        args->path = operands->list[0];
    return RWKV_OK;
}

rwkv_status rw_parse_cpu(void *to, const char *value, rwkv_error *err)
{
    int ok;
    rw_cpu_from_name(value, &ok);
    if (!ok)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted " RW_CPU_NAMES ", as far as this machine has it (best: %s), "
                       "found '%s'",
                       rw_cpu_name(rw_cpu_detect()), value);
    *(const char **)to = value;
    return RWKV_OK;
}

static rwkv_status parse_choice(int *to, const char *value, rwkv_error *err)
{
    static const char *const names[] = {"auto", "on", "off"};
    for (size_t i = 0; i < RW_COUNT(names); i++)
        if (strcmp(value, names[i]) == 0) {
            *to = (int)i;
            return RWKV_OK;
        }
    return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted auto, on or off, found '%s'", value);
}

static_assert(RWKV_ZEROS_ON == 1 && RWKV_ZEROS_OFF == 2, "in this order");
rwkv_status rw_parse_zeros(void *to, const char *value, rwkv_error *err)
{
    int choice;
    RW_TRY(parse_choice(&choice, value, err));
    *(rwkv_zeros *)to = (rwkv_zeros)choice;
    return RWKV_OK;
}

static_assert(RWKV_PACKING_ON == 1 && RWKV_PACKING_OFF == 2, "in this order");
rwkv_status rw_parse_pack(void *to, const char *value, rwkv_error *err)
{
    int choice;
    RW_TRY(parse_choice(&choice, value, err));
    *(rwkv_packing *)to = (rwkv_packing)choice;
    return RWKV_OK;
}

const char *rw_model_name(const char *path)
{
    return path ? path : "built-in model";
}

rwkv_status rw_open_model(const struct rw_model_args *args, bool announce, double *seconds,
                          rwkv_model **out, rwkv_error *err)
{
    rwkv_model_info info;
    if (announce && args->path) {
        RW_TRY(rwkv_model_plan(args->path, &args->options, &info, err));
        rw_note_plan(args->path, &info);
    }
    double start = rw_env_seconds();
    if (args->path)
        RW_TRY(rwkv_model_open(args->path, &args->options, out, err));
    else
        RW_TRY(rwkv_model_open_memory(rw_builtin_model, rw_builtin_model_size, rw_model_name(NULL),
                                      &args->options, out, err));
    if (seconds)
        *seconds = rw_env_seconds() - start;
    if (announce && !args->path) {
        rwkv_model_get_info(*out, &info);
        rw_note_plan(NULL, &info);
    }
    return RWKV_OK;
}

rwkv_status rw_need_vocab(const rwkv_model *model, const rwkv_vocab **out, rwkv_error *err)
{
    rwkv_error why = {0};
    *out = rwkv_model_vocab(model, &why);
    if (!*out)
        return rw_fail(err, why.code ? why.code : RWKV_ERROR_MODEL, "%s", why.message);
    return RWKV_OK;
}

rwkv_status rw_open_vocab(const struct rw_model_args *args, struct rw_opened_vocab *out,
                          rwkv_error *err)
{
    if (args->options.vocab) {
        RW_TRY(rwkv_vocab_open(args->options.vocab, &out->of_file, err));
        out->vocab = out->of_file;
        return RWKV_OK;
    }
    RW_TRY(rw_open_model(args, false, NULL, &out->model, err));
    return rw_need_vocab(out->model, &out->vocab, err);
}

void rw_close_vocab(struct rw_opened_vocab *v)
{
    rwkv_vocab_free(v->of_file);
    rwkv_model_close(v->model);
}

rwkv_status rw_load_state(rwkv_session *session, const char *path, rwkv_error *err)
{
    return path ? rwkv_session_load(session, path, err) : RWKV_OK;
}

rwkv_status rw_save_state(const rwkv_session *session, const char *path, rwkv_error *err)
{
    if (!path)
        return RWKV_OK;
    return rw_has_suffix(path, ".pth") ? rwkv_session_save_tuned(session, path, err)
                                       : rwkv_session_save(session, path, err);
}

rwkv_status rw_check_writable(const char *path, rwkv_error *err)
{
    struct rw_output *output;
    if (!path)
        return RWKV_OK;
    RW_TRY(rw_output_open(&output, path, err));
    rw_output_discard(output);
    return RWKV_OK;
}

void rw_describe_model(const rwkv_model_info *info, char *to, size_t size)
{
    snprintf(to, size, "RWKV-%d, %zu layer%s of %zu channels, %s parameters, mostly %s",
             info->version, info->n_layer, info->n_layer == 1 ? "" : "s", info->n_embd,
             rw_show_count((double)info->n_params).text, rwkv_dtype_name(info->dtype));
}

void rw_note_plan(const char *path, const rwkv_model_info *info)
{
    char model[160];
    rw_describe_model(info, model, sizeof model);
    rw_note("model    %s: %s\n", rw_model_name(path), model);
    rw_note("weights  %s used where they lie in the file, %s of small vectors widened\n",
            rw_show_bytes(info->file_bytes).text, rw_show_bytes(info->private_bytes).text);
    rw_note("state    %s, whatever the length of the text\n",
            rw_show_bytes(info->state_bytes).text);
    rw_note("scratch  %s for %zu tokens at once\n", rw_show_bytes(info->scratch_bytes).text,
            info->chunk);
    rw_note("in all   %s\n", rw_show_bytes(info->file_bytes + info->private_bytes +
                                           info->state_bytes + info->scratch_bytes)
                                 .text);
}

static double share_of_zeros(const rwkv_model_zeros *z)
{
    return z->inputs ? (double)z->zeros / (double)z->inputs : 0;
}

void rw_describe_zeros(const rwkv_model_zeros *zeros, char *to, size_t size)
{
    snprintf(to, size, "%.0f %% of the channel mix; skipped in %zu layer%s, copied to %s",
             100 * share_of_zeros(zeros), zeros->layers, zeros->layers == 1 ? "" : "s",
             rw_show_bytes(zeros->bytes).text);
}

void rw_json_zeros(struct rw_json *j, const rwkv_model_zeros *zeros)
{
    rw_json_open(j, "zeros", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_real(j, "share", share_of_zeros(zeros));
    rw_json_u64(j, "layers", zeros->layers);
    rw_json_u64(j, "bytes", zeros->bytes);
    rw_json_close(j);
}

void rw_describe_packing(const rwkv_model_packing *packing, char *to, size_t size)
{
    snprintf(to, size, "%zu matri%s, copied to %s", packing->matrices,
             packing->matrices == 1 ? "x" : "ces", rw_show_bytes(packing->bytes).text);
}

void rw_json_packing(struct rw_json *j, const rwkv_model_packing *packing)
{
    rw_json_open(j, "packing", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "matrices", packing->matrices);
    rw_json_u64(j, "bytes", packing->bytes);
    rw_json_close(j);
}

void rw_json_plan(struct rw_json *j, const rwkv_model_info *info)
{
    rw_json_u64(j, "version", (uint64_t)info->version);
    rw_json_text(j, "format", info->format);
    rw_json_u64(j, "layers", info->n_layer);
    rw_json_u64(j, "channels", info->n_embd);
    rw_json_u64(j, "vocabulary_size", info->n_vocab);
    rw_json_u64(j, "heads", info->n_head);
    rw_json_u64(j, "head_size", info->head_size);
    rw_json_u64(j, "ffn_size", info->n_ffn);
    rw_json_open(j, "ranks", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "w", info->rank_w);
    rw_json_u64(j, "a", info->rank_a);
    rw_json_u64(j, "v", info->rank_v);
    rw_json_u64(j, "g", info->rank_g);
    rw_json_close(j);
    rw_json_u64(j, "parameters", info->n_params);
    rw_json_text(j, "type", rwkv_dtype_name(info->dtype));
    rw_json_open(j, "memory", RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_u64(j, "file_bytes", info->file_bytes);
    rw_json_u64(j, "private_bytes", info->private_bytes);
    rw_json_u64(j, "state_bytes", info->state_bytes);
    rw_json_u64(j, "scratch_bytes", info->scratch_bytes);
    rw_json_u64(j, "zeros_bytes", info->zeros_bytes);
    rw_json_u64(j, "packed_bytes", info->packed_bytes);
    rw_json_close(j);
    rw_json_u64(j, "token_bytes", info->token_bytes);
    rw_json_u64(j, "token_flops", info->token_flops);
    rw_json_u64(j, "chunk", info->chunk);
    rw_json_text(j, "cpu", info->cpu ? info->cpu : "");
    rw_json_text(j, "vocabulary", info->vocab);
    if (info->fingerprint[0])
        rw_json_text(j, "fingerprint", info->fingerprint);
}
