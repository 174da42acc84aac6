/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_trainer.h: new models, and whole training runs.
 *
 *     rwkv_train_options options;
 *     rwkv_train_defaults(&options);
 *     options.folder = "run";
 *     options.data = "corpus";                   // corpus.bin, corpus.idx
 *     options.n_layer = 6, options.n_embd = 512, options.n_vocab = 65536;
 *     options.steps = 1000;
 *     rwkv_trainer *trainer;
 *     if (rwkv_trainer_open(&options, &trainer, &err) == RWKV_OK) {
 *         rwkv_trainer_run(trainer, show_event, NULL, &err);
 *         rwkv_trainer_close(trainer);
 *     }
 *
 * A run lives in a folder: `checkpoints/` with the newest of them, the logs (log.jsonl,
 * report.html, TensorBoard's events), and the models it exports. A run that was stopped, or killed
 * at any moment, goes on with `resume` from its newest checkpoint that is whole, and ends with the
 * same weights, to the bit, as if it had not been, on any number of threads.
 */
#ifndef RWKV_TRAINER_H
#define RWKV_TRAINER_H

#include "rwkv.h"
#include "rwkv_file.h"
#include "rwkv_train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- new models ------------------------------------------------------------------------------- */

typedef struct rwkv_init_options {
    size_t n_layer;   /* at least 2 */
    size_t n_embd;    /* a multiple of the head size */
    size_t n_vocab;   /* 0: as the vocabulary has, rounded up to a multiple of 16 */
    size_t n_ffn;     /* 0: 4 n_embd */
    size_t head_size; /* 0: 64 */
    uint64_t seed;
    const char *vocab;     /* as in rwkv_model_options; a .gguf needs one */
    int threads;           /* as in rwkv_model_options; changes the time only */
    int overwrite;         /* zero: refuse when the file exists */
    uint64_t memory_limit; /* as in rwkv_gradient_options */
} rwkv_init_options;

/* Write a model with the initial weights of BlinkDL's trainer, in F32, to a .pth, .safetensors or
 * .gguf, whole or not at all. Low-rank sizes are those of the current formulas; docs/training.md
 * has them, and the distribution of each tensor. */
RWKV_API rwkv_status rwkv_init(const char *path, const rwkv_init_options *options, rwkv_error *err);

/* --- options of a run ------------------------------------------------------------------------- */

typedef enum rwkv_train_schedule {
    RWKV_SCHEDULE_COSINE,
    RWKV_SCHEDULE_LINEAR,
    RWKV_SCHEDULE_CONSTANT,
    RWKV_SCHEDULE_WSD /* constant, and linear over the last decay_steps */
} rwkv_train_schedule;

typedef enum rwkv_train_order {
    RWKV_TRAIN_OFFICIAL, /* BlinkDL's trainer's, by the magic prime */
    RWKV_TRAIN_SHUFFLED  /* every window once an epoch, each epoch shuffled anew */
} rwkv_train_order;

/* When the loss or the gradient is no finite number. */
typedef enum rwkv_on_nan {
    RWKV_NAN_STOP, /* stop before the weights change */
    RWKV_NAN_SKIP  /* leave out the step; stop only if the weights themselves are not finite */
} rwkv_on_nan;

/* Strings are copied. Set by rwkv_train_defaults; those without a word on a default have none. */
typedef struct rwkv_train_options {
    const char *folder;   /* of the run, made if need be */
    int resume;           /* go on from the newest checkpoint in it; zero: it must hold none */
    const char *settings; /* kept in checkpoints, for people; nullable */

    const char *model;      /* begin with its weights; NULL: with new ones of these sizes */
    size_t n_layer, n_embd; /* 0 with `model` */
    size_t n_vocab, n_ffn;  /* 0: as in rwkv_init_options */
    size_t head_size;       /* 0: 64 */
    const char *vocab;      /* nullable: no bits per byte and no samples of text */
    uint64_t seed;          /* 42: of weights, shuffling and samples of text */

    const char *data;       /* a .bin/.idx, without the ending */
    double held_out;        /* 0: share of the data that is validated on, not trained */
    const char *validation; /* other data to validate on, named as `data`, instead; nullable */
    int answers_only;       /* losses are those of answers and of documents without a prompt:
                               rwkv_data.h */
    rwkv_train_order order;
    size_t context;    /* 512: tokens of a sequence */
    size_t batch;      /* 8: sequences at a time … */
    size_t accumulate; /* 1: … and so many times for a step */
    uint64_t steps;    /* exactly one of these three is not 0 */
    uint64_t tokens;
    double epochs;

    rwkv_train_schedule schedule;
    double learning_rate;       /* 6e-4 */
    double learning_rate_final; /* 6e-5 */
    uint64_t warmup;            /* 10 steps */
    uint64_t decay_steps;       /* of WSD; 0: a tenth of all */
    double beta1, beta2, eps;   /* 0.9, 0.99, 1e-18 */
    double weight_decay;        /* 0.1, of matrices */
    double clip;                /* 1: largest norm of the gradient; 0: any */
    double l2wrap;              /* 1e-4 */
    rwkv_on_nan on_nan;

    rwkv_precision precision;
    int checkpoint;        /* as in rwkv_gradient_options */
    int threads;           /* as in rwkv_model_options */
    const char *cpu;       /* as in rwkv_model_options */
    uint64_t memory_limit; /* as in rwkv_gradient_options */

    uint64_t checkpoint_every; /* 500 steps; 0: only when the run stops or ends */
    size_t keep;               /* 3 checkpoints; 0: all */
    uint64_t validate_every;   /* 500 steps, and at the end */
    size_t validate_windows;   /* 0: all that is held out; else the first so many sequences of it */
    uint64_t sample_every;     /* 0 steps: no samples of text */
    const char *prompt;        /* "": what a sample begins with */
    size_t sample_tokens;      /* 64 */
    const char *exports;       /* names in the folder, separated by commas, that end in .pth,
                                  .safetensors or .gguf: written at the end; nullable */
    uint64_t export_every;     /* 0: steps after which they are written too, as NAME-STEP.… */
    rwkv_dtype export_dtype;   /* F32; or BF16 or F16 */

    const volatile int *cancel; /* nullable; not zero: stop within a sequence's time, and save */
} rwkv_train_options;

RWKV_API void rwkv_train_defaults(rwkv_train_options *options);

/* --- a run ------------------------------------------------------------------------------------ */

typedef struct rwkv_trainer rwkv_trainer;

/* What a run will be; bytes and operations. */
typedef struct rwkv_train_plan {
    uint64_t n_parameters;
    size_t n_layer, n_embd, n_vocab, n_ffn, head_size;
    uint64_t step, steps;     /* done before, and in all */
    uint64_t tokens_per_step; /* targets */
    uint64_t tokens;          /* of all steps */
    double epochs;
    uint64_t data_tokens, held_out_tokens; /* those held out may be of other data */
    double data_share;                     /* of the windows of the data that are in the order */
    uint64_t parameters, gradients, moments, activations, work; /* memory, and its sum: */
    uint64_t memory;
    uint64_t memory_available; /* 0: unknown */
    double ops_per_token;      /* 6 a weight outside the embedding, and three passes of the
                                  recurrence; what checkpointing computes again is not counted */
    size_t processes, rank;    /* that train together, and which of them this is: 0, 1, … */
    size_t threads;            /* of this one */
    const char *isa;
} rwkv_train_plan;

typedef enum rwkv_train_event_kind {
    RWKV_TRAIN_STEP,       /* a step is done */
    RWKV_TRAIN_VALIDATION, /* loss and bits_per_byte on what is held out */
    RWKV_TRAIN_SAMPLE,     /* `text`, written by the model */
    RWKV_TRAIN_CHECKPOINT, /* saved */
    RWKV_TRAIN_EXPORT,     /* `text` is the path written */
    RWKV_TRAIN_NOTE        /* `text` is a remark or a warning */
} rwkv_train_event_kind;

/* Numbers that are not known are NaN. Borrowed during the call. */
typedef struct rwkv_train_event {
    rwkv_train_event_kind kind;
    uint64_t step, steps;
    uint64_t tokens;      /* trained on so far */
    uint64_t targets;     /* tokens predicted: of the step, or of all that was validated on */
    double loss;          /* nats a target, before the step's update; NaN where there was none */
    double bits_per_byte; /* of the text */
    double learning_rate;
    double gradient_norm; /* before clipping */
    double tokens_per_second;
    double share_of_peak; /* of the machine's f32 (or bf16) arithmetic, measured now and then */
    double seconds;       /* spent training so far */
    double seconds_left;
    const char *text; /* [text_size], and a terminator */
    size_t text_size;
} rwkv_train_event;

typedef void (*rwkv_train_event_fn)(void *user, const rwkv_train_event *event);

/* Open the data, the vocabulary and the model or the checkpoint, and plan. Memory for training is
 * taken when it runs; refused here where it would be too much. */
RWKV_API rwkv_status rwkv_trainer_open(const rwkv_train_options *options, rwkv_trainer **out,
                                       rwkv_error *err);
RWKV_API void rwkv_trainer_close(rwkv_trainer *trainer); /* NULL is fine */
RWKV_API void rwkv_trainer_get_plan(const rwkv_trainer *trainer, rwkv_train_plan *out);

/* Of processes that train together (started by mpirun; plan.processes): the first failure of any,
 * in all of them; rank 0 gets the message, the others an empty one. To be called by all, before the
 * run, by those who prepare something that can fail. Alone: `status`. */
RWKV_API rwkv_status rwkv_trainer_agree(rwkv_trainer *trainer, rwkv_status status, rwkv_error *err);

/* Train to the end, or until `cancel`, then save: RWKV_OK in both cases, and rwkv_trainer_finished
 * tells them apart. A checkpoint that cannot be written (a full disk) is a note, and training goes
 * on; the last one is an error. Once only. */
RWKV_API rwkv_status rwkv_trainer_run(rwkv_trainer *trainer, rwkv_train_event_fn event, void *user,
                                      rwkv_error *err);
RWKV_API int rwkv_trainer_finished(const rwkv_trainer *trainer);

#ifdef __cplusplus
}
#endif

#endif
