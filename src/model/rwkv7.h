/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RWKV-7 model: its state, its activations, and the forward pass over a packed batch. rwkv7.c
 * reads like the paper; docs/model.md is the same text in mathematics.
 *
 * Legend: T tokens of the batch, L layers, C channels, H heads of size N, F hidden width of the
 * channel mix, V vocabulary; r receptance, w decay, k key, v value, a and b the two vectors of the
 * state's low-rank change, g gate; S the state matrix [value, key] of a head.
 */
#ifndef RW_MODEL_RWKV7_H
#define RW_MODEL_RWKV7_H

#include "backend/backend.h"
#include "backend/backward.h"
#include "model/weights.h"

#define RW_GROUP_NORM_EPS 64e-5f
#define RW_HEAD_TOKENS 16 /* rows of logits computed at a time when their places are scattered */

/* Where the parts of a layer lie in a state; all in floats. A state is L layers of
 * att_shift [C], ffn_shift [C], S [H, N, N]. */
struct rw_state_layout {
    size_t att_shift, ffn_shift, wkv; /* from the start of the layer */
    size_t layer;                     /* of a whole layer */
    size_t total;
};

struct rw_state_layout rw_rwkv7_state_layout(const struct rw_sizes *sizes);

/* Activations of one step of at most `tokens` tokens. */
struct rw_rwkv7_scratch {
    float *x, *norm;                      /* [T, C] */
    float *mix[6];                        /* [T, C]: inputs of r, w, k, v, a, g */
    float *r, *w, *k, *v, *a, *b, *g, *y; /* [T, C] */
    float *v_first;                       /* [T, C] */
    float *gate;                          /* [T, C] */
    float *hw, *ha, *hv, *hg;             /* [T, rank] */
    float *ffn;                           /* [T, F] */
    float *wanted;                        /* [T, C]: hidden states that logits are made from */
    float *logits;                        /* [RW_HEAD_TOKENS, V] */
    struct rw_span *spans;                /* [T] */
    int32_t *ids;                         /* [T] */
};

/* Shown the products of the blocks before they are computed, with the number of tokens. */
struct rw_observer {
    void (*see)(void *user, const struct rw_matmul *ops, size_t n_ops, size_t n_tokens);
    void *user;
};

struct rw_rwkv7 {
    struct rw_sizes sizes;
    struct rw_state_layout layout;
    struct rw_rwkv7_weights weights;
    size_t first; /* block whose state comes first in the states of sequences */
    size_t rank_w, rank_a, rank_v, rank_g; /* the largest of any block */
    float norm_eps;
    bool no_ln0;
    struct rw_backend *backend;  /* at work */
    enum rw_precision precision; /* of training; else RW_PRECISION_F32: as the weights are */
    struct rw_rwkv7_scratch scratch;
    struct rw_observer observer; /* `see` is NULL: nobody looks */
};

/* What one sequence does in a step. Tokens are valid ids. Outputs that are not wanted are NULL. */
struct rw_sequence {
    const int32_t *tokens;
    size_t count;                     /* ≥ 1 */
    float *state;                     /* advanced by the tokens */
    float *all_logits, *all_hidden;   /* [count, V], [count, C]: of every token; host memory */
    float *last_logits, *last_hidden; /* [V], [C]: of the last */
};

/* Take the activations of `tokens` tokens from arenas (measuring or real) of the backend's memory
 * and of the host's. They may be one. */
void rw_rwkv7_reserve(struct rw_rwkv7 *model, struct rw_arena *memory, struct rw_arena *host,
                      size_t tokens);

/* Evaluate sequences together; the sum of their counts is between 1 and the
 * tokens reserved. */
void rw_rwkv7_forward(struct rw_rwkv7 *model, const struct rw_sequence *sequences, size_t n);

/* The same in parts, of which one backend after the other does some, each with its activations and
 * the sequences' states of its blocks. Pack the batch; embed its tokens into x; go through blocks
 * [begin, end); from x to the outputs. Between backends x and v_first, [T, C], are carried over. */
struct rw_batch rw_rwkv7_pack(struct rw_rwkv7 *model, const struct rw_sequence *sequences,
                              size_t n);
void rw_rwkv7_embed(struct rw_rwkv7 *model, const int32_t *ids, size_t n_tokens);
void rw_rwkv7_blocks(struct rw_rwkv7 *model, const struct rw_batch *batch, size_t begin,
                     size_t end);
void rw_rwkv7_outputs(struct rw_rwkv7 *model, const struct rw_sequence *sequences, size_t n);

#endif
