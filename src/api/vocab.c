/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"
#include "text/vocab.h"
#include "text/vocab_train.h"

rwkv_status rwkv_vocab_open(const char *path, rwkv_vocab **out, rwkv_error *err)
{
    if (!path || !out)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "rwkv_vocab_open: path or out is NULL");
    return rw_vocab_open(path, out, err);
}

void rwkv_vocab_free(rwkv_vocab *vocab)
{
    rw_vocab_release(vocab);
}

size_t rwkv_vocab_size(const rwkv_vocab *vocab)
{
    return rw_vocab_size(vocab);
}

size_t rwkv_vocab_longest(const rwkv_vocab *vocab)
{
    return rw_vocab_longest(vocab);
}

const char *rwkv_vocab_token(const rwkv_vocab *vocab, int32_t id, size_t *size)
{
    return rw_vocab_token(vocab, id, size);
}

rwkv_status rwkv_vocab_encode(const rwkv_vocab *vocab, const char *text, size_t size,
                              int32_t *tokens, size_t capacity, size_t *n_tokens, rwkv_error *err)
{
    if (!vocab || (!text && size) || (!tokens && capacity) || !n_tokens)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "rwkv_vocab_encode: vocab, text, tokens or n_tokens is NULL");
    return rw_vocab_encode(vocab, text, size, tokens, capacity, n_tokens, err);
}

rwkv_status rwkv_vocab_encode_some(const rwkv_vocab *vocab, const char *text, size_t size,
                                   size_t *at, int32_t *tokens, size_t capacity, size_t *n_tokens,
                                   rwkv_error *err)
{
    if (!vocab || (!text && size) || !at || (!tokens && capacity) || !n_tokens)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "rwkv_vocab_encode_some: vocab, text, at, tokens or n_tokens is NULL");
    return rw_vocab_encode_some(vocab, text, size, at, tokens, capacity, n_tokens, err);
}

rwkv_status rwkv_vocab_decode(const rwkv_vocab *vocab, const int32_t *tokens, size_t n_tokens,
                              char *text, size_t capacity, size_t *size, rwkv_error *err)
{
    if (!vocab || (!tokens && n_tokens) || (!text && capacity) || !size)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "rwkv_vocab_decode: vocab, tokens, text or size is NULL");
    return rw_vocab_decode(vocab, tokens, n_tokens, text, capacity, size, err);
}

/* --- rwkv_vocab.h ----------------------------------------------------------------------------- */

rwkv_status rwkv_vocab_trainer_new(const rwkv_vocab_trainer_options *options,
                                   rwkv_vocab_trainer **out, rwkv_error *err)
{
    REQUIRE(options && out);
    return rw_vocab_trainer_new(options, out, err);
}

void rwkv_vocab_trainer_free(rwkv_vocab_trainer *trainer)
{
    rw_vocab_trainer_free(trainer);
}

rwkv_status rwkv_vocab_trainer_keep(rwkv_vocab_trainer *trainer, const void *token, size_t size,
                                    rwkv_error *err)
{
    REQUIRE(trainer && token);
    return rw_vocab_trainer_keep(trainer, token, size, err);
}

rwkv_status rwkv_vocab_trainer_add(rwkv_vocab_trainer *trainer, const void *text, size_t size,
                                   rwkv_error *err)
{
    REQUIRE(trainer && (text || size == 0));
    return rw_vocab_trainer_add(trainer, text, size, err);
}

rwkv_status rwkv_vocab_trainer_run(rwkv_vocab_trainer *trainer, rwkv_progress_fn progress,
                                   void *user, rwkv_vocab **out, rwkv_vocab_training *result,
                                   rwkv_error *err)
{
    REQUIRE(trainer && out);
    return rw_vocab_trainer_run(trainer, progress, user, out, result, err);
}

rwkv_status rwkv_vocab_save(const rwkv_vocab *vocab, const char *path, int overwrite,
                            rwkv_error *err)
{
    REQUIRE(vocab && path);
    return rw_vocab_save(vocab, path, overwrite != 0, err);
}
