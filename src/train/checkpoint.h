/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: everything a training run needs to go on as if it had never stopped, in one file
 * that is written whole or not at all. It is a safetensors file with the weights under their usual
 * names, so it can be run and converted as any model, and three tensors more:
 *
 *     training.state   U8: text; first a line with a checksum of the rest, then "name value" lines,
 *                      an empty line, and the run's settings as the user wrote them
 *     training.m, .v   F32: the moments of AdamW, in the layout of struct rw_parameters
 *
 * All of it is covered by checksums. A run keeps its newest checkpoints in a folder:
 *
 *     RW_TRY(rw_checkpoint_save(folder, keep, &parameters, &arrays, &state, settings, note, user,
 *                               err));
 *     …
 *     RW_TRY(rw_checkpoint_latest(&c, folder, note, user, err));  // the newest that is whole
 *     RW_TRY(rw_parameters_init(&parameters, &c->params, err));
 *     RW_TRY(rw_checkpoint_weights(c, &parameters, values, err));
 *     rw_checkpoint_moment(c, c->m, m);
 *     rw_checkpoint_close(c);
 */
#ifndef RW_TRAIN_CHECKPOINT_H
#define RW_TRAIN_CHECKPOINT_H

#include <stdint.h>

#include "train/parameters.h"

struct rw_training_state {
    uint64_t step;         /* steps done */
    uint64_t updates;      /* of them, those that changed the weights */
    uint64_t tokens;       /* trained on so far */
    uint64_t milliseconds; /* spent training so far */
    /* What says which samples a step takes; the step is the place in the data. */
    uint64_t context, batch, windows, order, seed;
    char data[65], vocab[65]; /* fingerprints; empty: none */
};

/* Arrays in the layout of the parameters, memory of the host. */
struct rw_checkpoint_arrays {
    float *values, *m, *v;
};

struct rw_checkpoint {
    char *path;
    struct rw_file *file;
    struct rw_params params; /* the weights */
    struct rw_training_state state;
    const struct rw_tensor *m, *v;
};

rwkv_status rw_checkpoint_write(const char *path, const struct rw_parameters *parameters,
                                const struct rw_checkpoint_arrays *arrays,
                                const struct rw_training_state *state, const char *settings,
                                rwkv_error *err);

/* Map a checkpoint and check all of it. Fails with RWKV_ERROR_FORMAT and what is wrong. */
rwkv_status rw_checkpoint_open(struct rw_checkpoint **out, const char *path, rwkv_error *err);
/* Copy its arrays out, `parameters` being laid out from its params: the weights, and a moment,
 * which is c->m or c->v. */
rwkv_status rw_checkpoint_weights(const struct rw_checkpoint *c,
                                  const struct rw_parameters *parameters, float *to,
                                  rwkv_error *err);
void rw_checkpoint_moment(const struct rw_checkpoint *c, const struct rw_tensor *moment, float *to);
void rw_checkpoint_close(struct rw_checkpoint *c); /* NULL is fine */

/* --- the newest ones of a run ----------------------------------------------------------------- */

/* Told of a checkpoint that was passed over, or could not be removed, and why. */
typedef void (*rw_checkpoint_note)(void *user, const char *message);

/* Write FOLDER/step-N.safetensors, then remove all but the `keep` newest; 0: keep all. On failure
 * those that were there are untouched; one that cannot be removed is no failure. */
rwkv_status rw_checkpoint_save(const char *folder, size_t keep,
                               const struct rw_parameters *parameters,
                               const struct rw_checkpoint_arrays *arrays,
                               const struct rw_training_state *state, const char *settings,
                               rw_checkpoint_note note, void *user, rwkv_error *err);

/* Remove what a process killed while it wrote a checkpoint may have left: files of temporary names.
 * Only while no other process writes there. */
void rw_checkpoint_sweep(const char *folder);

/* Open the newest checkpoint of the folder that is whole. *out is NULL when the folder holds none
 * at all or does not exist; when there are some but none is whole, it fails. */
rwkv_status rw_checkpoint_latest(struct rw_checkpoint **out, const char *folder,
                                 rw_checkpoint_note note, void *user, rwkv_error *err);

#endif
