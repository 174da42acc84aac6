/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vocabularies learned from text, for greedy longest match: see rwkv_vocab.h, whose functions these
 * are, and vocab_score.h for what is measured.
 */
#ifndef RW_TEXT_VOCAB_TRAIN_H
#define RW_TEXT_VOCAB_TRAIN_H

#include "rwkv_vocab.h"
#include "text/vocab.h"

rwkv_status rw_vocab_trainer_new(const rwkv_vocab_trainer_options *options,
                                 struct rwkv_vocab_trainer **out, rwkv_error *err);
void rw_vocab_trainer_free(struct rwkv_vocab_trainer *trainer);
rwkv_status rw_vocab_trainer_keep(struct rwkv_vocab_trainer *trainer, const void *token,
                                  size_t size, rwkv_error *err);
rwkv_status rw_vocab_trainer_add(struct rwkv_vocab_trainer *trainer, const void *text, size_t size,
                                 rwkv_error *err);
rwkv_status rw_vocab_trainer_run(struct rwkv_vocab_trainer *trainer, rwkv_progress_fn progress,
                                 void *user, struct rwkv_vocab **out, rwkv_vocab_training *result,
                                 rwkv_error *err);

#endif
