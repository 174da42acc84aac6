/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions of rwkv.h: argument checks and calls down; nothing else. */
#include "rwkv.h"

#include <string.h>

#include "api/api_int.h"
#include "backend/plugin.h"
#include "base/alloc.h"
#include "engine/engine.h"

static const rwkv_model_options defaults;

const char *rwkv_version(void)
{
    return RW_VERSION;
}

rwkv_status rwkv_model_open(const char *path, const rwkv_model_options *options, rwkv_model **out,
                            rwkv_error *err)
{
    struct rw_file *file;
    REQUIRE(path && out);
    RW_TRY(rw_file_open(&file, path, err));
    return rw_model_new(file, options ? options : &defaults, out, err);
}

rwkv_status rwkv_model_open_memory(const void *data, size_t size, const char *name,
                                   const rwkv_model_options *options, rwkv_model **out,
                                   rwkv_error *err)
{
    struct rw_file *file;
    REQUIRE(data && name && out);
    RW_TRY(rw_file_open_memory(&file, data, size, name, err));
    return rw_model_new(file, options ? options : &defaults, out, err);
}

rwkv_status rwkv_model_plan(const char *path, const rwkv_model_options *options,
                            rwkv_model_info *info, rwkv_error *err)
{
    struct rw_file *file;
    REQUIRE(path && info);
    RW_TRY(rw_file_open(&file, path, err));
    return rw_model_plan(file, options ? options : &defaults, info, err);
}

rwkv_status rwkv_gpu_count(size_t *n, rwkv_error *err)
{
    REQUIRE(n);
    return rw_plugin_count(n, err);
}

rwkv_status rwkv_gpu_describe(size_t index, rwkv_gpu *out, rwkv_error *err)
{
    REQUIRE(out);
    return rw_plugin_describe(index, out, err);
}

void rwkv_model_close(rwkv_model *model)
{
    rw_model_release(model);
}

void rwkv_model_get_packing(const rwkv_model *model, rwkv_model_packing *packing)
{
    rw_model_get_packing((struct rwkv_model *)model, packing);
}

void rwkv_model_get_zeros(const rwkv_model *model, rwkv_model_zeros *zeros)
{
    rw_model_get_zeros((struct rwkv_model *)model, zeros);
}

void rwkv_model_get_info(const rwkv_model *model, rwkv_model_info *info)
{
    rw_model_get_info((struct rwkv_model *)model, info);
}

const rwkv_vocab *rwkv_model_vocab(const rwkv_model *model, rwkv_error *err)
{
    return rw_model_vocab((struct rwkv_model *)model, err);
}

rwkv_status rwkv_session_new(rwkv_model *model, rwkv_session **out, rwkv_error *err)
{
    REQUIRE(model && out);
    return rw_session_new(model, out, err);
}

void rwkv_session_free(rwkv_session *session)
{
    rw_session_free(session);
}

rwkv_status rwkv_session_eval(rwkv_session *session, const int32_t *tokens, size_t n_tokens,
                              rwkv_error *err)
{
    return rwkv_session_eval_all(session, tokens, n_tokens, NULL, NULL, err);
}

rwkv_status rwkv_session_eval_all(rwkv_session *session, const int32_t *tokens, size_t n_tokens,
                                  float *logits, float *hidden, rwkv_error *err)
{
    rwkv_segment segment = {session, tokens, n_tokens, logits, hidden};
    return rwkv_segments_eval(&segment, 1, err);
}

rwkv_status rwkv_segments_eval(const rwkv_segment *segments, size_t n_segments, rwkv_error *err)
{
    REQUIRE(segments || n_segments == 0);
    for (size_t i = 0; i < n_segments; i++)
        REQUIRE(segments[i].session && (segments[i].tokens || segments[i].n_tokens == 0));
    return rw_segments_eval(segments, n_segments, err);
}

const float *rwkv_session_logits(const rwkv_session *session)
{
    return session->has_logits ? session->logits : NULL;
}

const float *rwkv_session_hidden(const rwkv_session *session)
{
    return session->has_logits ? session->hidden : NULL;
}

uint64_t rwkv_session_position(const rwkv_session *session)
{
    return session->position;
}

rwkv_model *rwkv_session_model(const rwkv_session *session)
{
    return session->model;
}

void rwkv_session_reset(rwkv_session *session)
{
    rw_session_reset(session);
}

rwkv_status rwkv_session_copy(rwkv_session *to, const rwkv_session *from, rwkv_error *err)
{
    REQUIRE(to && from);
    if (to->model != from->model)
        return rw_fail(err, RWKV_ERROR_STATE, "the sessions are of different models");
    rw_session_copy(to, from);
    return RWKV_OK;
}

size_t rwkv_session_state_size(const rwkv_session *session)
{
    return rw_state_size(session);
}

void rwkv_session_state_write(const rwkv_session *session, void *to)
{
    rw_state_write(session, to);
}

rwkv_status rwkv_session_state_read(rwkv_session *session, const void *from, size_t size,
                                    const char *name, rwkv_error *err)
{
    REQUIRE(session && (from || size == 0));
    return rw_state_read(session, from, size, name ? name : "state", err);
}

rwkv_status rwkv_session_save(const rwkv_session *session, const char *path, rwkv_error *err)
{
    REQUIRE(session && path);
    return rw_state_save(session, path, err);
}

rwkv_status rwkv_session_load(rwkv_session *session, const char *path, rwkv_error *err)
{
    REQUIRE(session && path);
    return rw_state_load(session, path, err);
}

rwkv_status rwkv_session_save_tuned(const rwkv_session *session, const char *path, rwkv_error *err)
{
    REQUIRE(session && path);
    return rw_state_save_tuned(session, path, err);
}

rwkv_status rwkv_session_layer_state(const rwkv_session *session, size_t layer,
                                     rwkv_layer_state *out, rwkv_error *err)
{
    REQUIRE(session && out);
    if (layer >= session->model->info.n_layer)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "layer: wanted 0 to %zu, found %zu",
                       session->model->info.n_layer - 1, layer);
    const struct rw_state_layout *layout = &session->model->rwkv7.layout;
    const float *base;
    /* The copy that this may make is no change of the session. */
    RW_TRY(rw_session_view((rwkv_session *)session, &base, err));
    base += layer * layout->layer;
    *out =
        (rwkv_layer_state){base + layout->att_shift, base + layout->ffn_shift, base + layout->wkv};
    return RWKV_OK;
}

/* --- generation
 * ----------------------------------------------------------------------------------- */

rwkv_status rwkv_generate_tokens(rwkv_session *session, const int32_t *tokens, size_t n_tokens,
                                 const rwkv_generate_options *options, rwkv_text_fn text,
                                 void *user, rwkv_generate_result *result, rwkv_error *err)
{
    static const rwkv_generate_options none;
    REQUIRE(session && (tokens || n_tokens == 0));
    return rw_generate(session, tokens, n_tokens, options ? options : &none, text, user, result,
                       err);
}

rwkv_status rwkv_generate(rwkv_session *session, const char *prompt,
                          const rwkv_generate_options *options, rwkv_text_fn text, void *user,
                          rwkv_generate_result *result, rwkv_error *err)
{
    REQUIRE(session && prompt);
    int32_t *tokens;
    size_t n_tokens;
    RW_TRY(rw_encode_prompt(session->model, prompt, strlen(prompt), &tokens, &n_tokens, err));
    rwkv_status status =
        rwkv_generate_tokens(session, tokens, n_tokens, options, text, user, result, err);
    rw_free(tokens);
    return status;
}
