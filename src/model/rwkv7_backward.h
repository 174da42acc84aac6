/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RWKV-7 for training: the forward pass of rwkv7.c with everything kept that the way back needs,
 * the loss, and the way back. Parameters are F32, [out, in]; all sums over tokens go on from what
 * the gradients hold. docs/training.md has the formulas and what is kept.
 *
 * Legend: as rwkv7.h; d… is the derivative of the loss by … .
 */
#ifndef RW_MODEL_RWKV7_BACKWARD_H
#define RW_MODEL_RWKV7_BACKWARD_H

#include "backend/backward.h"
#include "model/rwkv7.h"

/* Where the gradient of each weight is added up: as struct rw_rwkv7_weights. v0, v1, v2 of block 0
 * are NULL. */
#define RW_FIELD(field, ...) float *field;

struct rw_rwkv7_block_gradients {
    RW_RWKV7_BLOCK_TENSORS(RW_FIELD)
};

struct rw_rwkv7_gradients {
    RW_RWKV7_MODEL_TENSORS(RW_FIELD)
    struct rw_rwkv7_block_gradients *blocks; /* [L] */
};

#undef RW_FIELD

/* What is kept of one block. */
struct rw_rwkv7_saved {
    float *norm1, *norm2;         /* [T, C]: LN1 and LN2 */
    float *mix[6], *ffn_mix;      /* [T, C]: inputs of r, w, k, v, a, g; of the channel mix */
    float *r, *w, *k, *v, *a, *g; /* [T, C]: before the recurrence changes them */
    float *gate;                  /* [T, C] */
    float *hw, *ha, *hv, *hg;     /* [T, rank] */
    float *z;                     /* [T, C]: what Wo multiplies */
    float *middle;                /* [T, C]: x between time mix and channel mix */
    float *ffn;                   /* [T, F] */
};

/* One text, or a piece of one. */
struct rw_gradient_sequence {
    const int32_t *tokens;  /* [count], valid ids */
    const int32_t *targets; /* [count]; below 0: the token has none */
    size_t count;           /* ≥ 1 */
    const float *initial;   /* [state] the state it begins with; NULL: zeros */
    float *final;  /* [state] gets the state after it; NULL: not wanted; may be `initial` */
    float *dstate; /* [state] in: the derivative of the loss by the state after it; out: by the
                      state it began with. NULL: nothing depends on the one, nobody wants the
                      other */
};

struct rw_rwkv7_training {
    struct rw_rwkv7 forward; /* sizes, weights, backend; its scratch points at what is kept */
    struct rw_rwkv7_gradients gradients;
    size_t max_tokens, max_sequences;
    bool checkpoint; /* one struct rw_rwkv7_saved for all blocks */
    enum rw_precision precision;
    float l2wrap;
    /* Nullable. Told of the way back: the gradients of block l and of all that follows it are
     * final; l = L: those of the norm and the head after the blocks. */
    void (*passed)(void *user, size_t l);
    void *passed_user;

    float **x;                    /* [L + 1] × [T, C]: what goes into each block, and comes out */
    struct rw_rwkv7_saved *saved; /* [L], or [1] */
    float *v_first, *dv_first;    /* [T, C] */
    float *dx;                    /* [T, C] */
    float *dr, *dw, *dk, *dv, *da, *dg, *dgate; /* [T, C] */
    float *work[6];                             /* [T, C] */
    float *dhw, *dha, *dhv, *dhg;               /* [T, rank] */
    float *dffn;                                /* [T, F] */
    float *hidden, *dhidden;                    /* [slice, C] */
    float *logits;                              /* [slice, V] */
    float *states;                              /* [sequences, state] */
    float *zero_state;                          /* [state] */

    /* On the host. */
    struct rw_span *spans;           /* [sequences] */
    struct rw_grad_span *grad_spans; /* [sequences] */
    int32_t *ids, *targets;          /* [T] */
    double *loss;                    /* [slice] */
};

/* Rows of logits made at a time. */
size_t rw_rwkv7_head_slice(const struct rw_sizes *sizes, size_t tokens);

/* Take what `max_tokens` of `max_sequences` want: activations from `kept` (what is saved from the
 * forward pass) and `work`, memory of the backend, the rest from `host`. Measuring or real. */
void rw_rwkv7_training_reserve(struct rw_rwkv7_training *m, struct rw_arena *kept,
                               struct rw_arena *work, struct rw_arena *host);

/* The sum of the losses of `n` sequences, added to *loss. */
void rw_rwkv7_loss(struct rw_rwkv7_training *m, const struct rw_gradient_sequence *sequences,
                   size_t n, double *loss);

/* The same, and `scale` times its gradient. */
void rw_rwkv7_gradient(struct rw_rwkv7_training *m, const struct rw_gradient_sequence *sequences,
                       size_t n, float scale, double *loss);

#endif
