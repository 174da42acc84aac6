/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of tokens as samples of ctx + 1 tokens for training (inputs are the first ctx, targets
 * the last ctx), with a share at its end held out for validation.
 *
 *     struct rw_dataset_options options = {.ctx = 512, .batch = 16, .n_vocab = 65536,
 *                                          .held_out = 0.01};
 *     struct rw_dataset *data;
 *     RW_TRY(rw_dataset_open(&data, "corpus", &options, err));
 *     for (uint64_t step = 0; …; step++)
 *         for (size_t i = 0; i < 16; i++)
 *             RW_GO(rw_dataset_sample(data, step, i, tokens, NULL, err)); // tokens [513]
 *     rw_dataset_close(data);
 *
 * Sample i of step s is a pure function of the options, s and i: a run that goes on after a stop
 * needs nothing but the number of its step, and processes that share a batch nothing but their i.
 * A dataset may be read by many threads at once.
 *
 * The stream has n tokens. With a held-out share of x it ends in W = max(1, floor(n·x/ctx)) windows
 * of ctx tokens, and the token before them, of which training reads none; so each window has the
 * ctx + 1 tokens it needs.
 */
#ifndef RW_TRAIN_DATASET_H
#define RW_TRAIN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_dataset;

enum rw_dataset_order {
    RW_ORDER_OFFICIAL, /* by the magic prime; the seed changes nothing */
    RW_ORDER_SHUFFLED  /* every window once an epoch, each epoch in an order of its own */
};

struct rw_dataset_options {
    size_t ctx;        /* tokens of a sample, at least 1 */
    size_t batch;      /* samples a step, in all processes together; at least 1 */
    size_t n_vocab;    /* tokens must be below; at most 2³¹ */
    double held_out;   /* share of the stream, 0 ≤ x < 1 */
    bool answers;      /* prompts are no targets: rw_binidx_answers */
    bool all_held_out; /* nothing is trained on: every window there is, from the first token on */
    enum rw_dataset_order order;
    uint64_t seed; /* of RW_ORDER_SHUFFLED */
};

struct rw_dataset_info {
    uint64_t n_tokens, n_documents; /* in the files */
    uint64_t train_tokens;          /* of them, from the first on, for training */
    uint64_t windows;               /* samples an epoch: different ones, every window there is or,
                                       in the official order, the magic prime */
    uint64_t held_out;              /* windows for validation */
    double share;                   /* of training's windows that are in the order; less than 0.9
                                       is worth a warning: the official trainer refuses it */
    char fingerprint[65];           /* of both files: rw_binidx_fingerprint */
};

/* Open what rwkv data build wrote, or any other .bin/.idx. Fails where the tokens for one sample
 * are missing, or for the smallest prime of the official order: 3·ctx tokens; or where only answers
 * are to be trained on and there are none, or no prompts. */
rwkv_status rw_dataset_open(struct rw_dataset **out, const char *path,
                            const struct rw_dataset_options *options, rwkv_error *err);
void rw_dataset_close(struct rw_dataset *data); /* NULL is fine */

const struct rw_dataset_info *rw_dataset_info(const struct rw_dataset *data);

/* Where sample i of a step begins in the stream. With N processes of micro-batch M, sample m of
 * process r in micro-batch j of a step is i = (j·M + m)·N + r, as in the official trainer, whose
 * order this is in every respect where `batch` divides 40320. i may be larger than the batch. */
uint64_t rw_dataset_start(const struct rw_dataset *data, uint64_t step, uint64_t i);

/* Its ctx + 1 tokens, and, unless NULL, targets [ctx]: those behind the first, or −1 where one is
 * not to be learned. */
rwkv_status rw_dataset_sample(const struct rw_dataset *data, uint64_t step, uint64_t i,
                              int32_t *tokens, int32_t *targets, rwkv_error *err);

/* The same of window w < held_out, in the order of the stream. */
rwkv_status rw_dataset_held_out(const struct rw_dataset *data, uint64_t w, int32_t *tokens,
                                int32_t *targets, rwkv_error *err);

/* Targets of a step, of all samples of the batch together. */
uint64_t rw_dataset_step_targets(const struct rw_dataset *data, uint64_t step);

#endif
