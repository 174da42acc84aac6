/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_vocab.h: learn a vocabulary from text, for greedy longest match.
 *
 *     rwkv_vocab_trainer_options options = {.size = 4096};
 *     rwkv_vocab_trainer *trainer;
 *     rwkv_vocab *vocab;
 *     if (rwkv_vocab_trainer_new(&options, &trainer, &err) != 0) …
 *     rwkv_vocab_trainer_keep(trainer, "\n\nUser:", 7, &err);
 *     rwkv_vocab_trainer_add(trainer, text, size, &err);          // each document
 *     rwkv_vocab_trainer_run(trainer, NULL, NULL, &vocab, NULL, &err);
 *     rwkv_vocab_save(vocab, "my_vocab.txt", 0, &err);
 *     rwkv_vocab_trainer_free(trainer);
 *
 * The result has no bytes for id 0, the mark between texts; ids 1 to 256 are the single bytes, so
 * that every text can be encoded and decoded; then come the others, shorter ones first. It is the
 * same for the same text in the same order, whatever the number of threads.
 */
#ifndef RWKV_VOCAB_H
#define RWKV_VOCAB_H

#include "rwkv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A token is made of letters with blanks before them, punctuation with blanks before it, or a run
 * of newlines; digits stand alone. These allow more. An apostrophe counts as a letter. */
typedef enum rwkv_vocab_join {
    RWKV_VOCAB_JOIN_WORDS = 1,      /* several words, with the blanks between them */
    RWKV_VOCAB_JOIN_LINES = 2,      /* newlines next to other characters */
    RWKV_VOCAB_JOIN_DIGITS = 4,     /* several digits, and blanks before them */
    RWKV_VOCAB_JOIN_PUNCTUATION = 8 /* letters next to punctuation */
} rwkv_vocab_join;

typedef struct rwkv_vocab_trainer_options {
    size_t size;        /* ids wanted, id 0 among them: 257 to 2²⁰ */
    size_t longest;     /* bytes of a token at most, 2 to 128; 0: 32 */
    uint64_t min_count; /* times that a token is used at least when it is taken up; 0: 2 */
    unsigned joins;     /* of rwkv_vocab_join */
    uint64_t memory;    /* bytes for the different words of the text; 0: 1 GiB. When there are more,
                           rare ones are forgotten */
    int threads;        /* as in rwkv_model_options */
} rwkv_vocab_trainer_options;

/* What a training found. */
typedef struct rwkv_vocab_training {
    size_t size;              /* ids; less than wanted if no other string saves a token */
    uint64_t text_bytes;      /* of all texts … */
    uint64_t text_tokens;     /* … and their tokens, those of forgotten words left out */
    uint64_t forgotten_bytes; /* of words forgotten for lack of memory */
    uint64_t words;           /* different ones, at the end */
    uint64_t memory;          /* bytes of all tables */
} rwkv_vocab_training;

typedef struct rwkv_vocab_trainer rwkv_vocab_trainer;

RWKV_API rwkv_status rwkv_vocab_trainer_new(const rwkv_vocab_trainer_options *options,
                                            rwkv_vocab_trainer **out, rwkv_error *err);
RWKV_API void rwkv_vocab_trainer_free(rwkv_vocab_trainer *trainer);

/* A token of any bytes, at most 128, that the vocabulary must have; before any text. Copied. */
RWKV_API rwkv_status rwkv_vocab_trainer_keep(rwkv_vocab_trainer *trainer, const void *token,
                                             size_t size, rwkv_error *err);

/* Count the words of a text. Nothing is kept of it but these. */
RWKV_API rwkv_status rwkv_vocab_trainer_add(rwkv_vocab_trainer *trainer, const void *text,
                                            size_t size, rwkv_error *err);

/* Learn. `progress` (nullable) is told of bytes of words gone through, of all that may have to be;
 * it ends early when nothing improves any more. `result` is nullable. The trainer may run again. */
RWKV_API rwkv_status rwkv_vocab_trainer_run(rwkv_vocab_trainer *trainer, rwkv_progress_fn progress,
                                            void *user, rwkv_vocab **out,
                                            rwkv_vocab_training *result, rwkv_error *err);

/* Write a vocabulary in the format of rwkv_vocab_v20230424.txt, whole or not at all. Fails when the
 * file exists and `overwrite` is zero. */
RWKV_API rwkv_status rwkv_vocab_save(const rwkv_vocab *vocab, const char *path, int overwrite,
                                     rwkv_error *err);

#ifdef __cplusplus
}
#endif

#endif
