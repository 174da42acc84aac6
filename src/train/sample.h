/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from a model that is being trained, by the forward pass that inference uses.
 *
 *     RW_TRY(rw_sampling_new(&s, &parameters, backend, err));
 *     RW_TRY(rw_sampling_text(s, values, vocab, &options, &text, err));
 *     rw_sampling_free(s);
 */
#ifndef RW_TRAIN_SAMPLE_H
#define RW_TRAIN_SAMPLE_H

#include "base/str.h"
#include "text/vocab.h"
#include "train/parameters.h"

struct rw_sampling;

struct rw_sampling_options {
    const char *prompt; /* after token 0, which begins a text */
    size_t tokens;      /* at most, besides the prompt; token 0 ends a text */
    uint64_t seed;
    const volatile int *cancel; /* nullable; not zero: the text may end anywhere */
};

/* `parameters` and `backend`, which is prepared for one token at least, are borrowed. */
rwkv_status rw_sampling_new(struct rw_sampling **out, const struct rw_parameters *parameters,
                            struct rw_backend *backend, rwkv_error *err);
void rw_sampling_free(struct rw_sampling *s); /* NULL is fine */
size_t rw_sampling_bytes(const struct rw_parameters *parameters);

/* Replace `text` by the prompt and what the model writes after it. */
rwkv_status rw_sampling_text(struct rw_sampling *s, const float *values,
                             const struct rwkv_vocab *vocab,
                             const struct rw_sampling_options *options, struct rw_str *text,
                             rwkv_error *err);

#endif
