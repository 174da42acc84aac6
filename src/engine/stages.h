/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on one backend or several: each stage has some blocks, and the last one the head; what a
 * token has become is carried from one to the next. A session has a part of its state with each.
 */
#ifndef RW_ENGINE_STAGES_H
#define RW_ENGINE_STAGES_H

#include "backend/backend.h"
#include "base/arena.h"
#include "engine/strategy.h"
#include "model/rwkv7.h"

struct rw_stage {
    struct rw_backend *backend; /* of the model */
    size_t first, end;          /* blocks; none if they are equal */
    bool head;
    struct rw_arena host; /* activations, if the backend has the host's memory; and lists */
    float *memory;        /* activations, if not */
    struct rw_rwkv7_scratch scratch;
};

/* A GPU at work for the model. */
struct rw_stage_device {
    int index;
    struct rw_backend *backend;
};

struct rw_stages {
    struct rw_strategy strategy;
    struct rw_place *places; /* [L + 1] */
    struct rw_stage *stages;
    size_t n;
    struct rw_stage_device devices[RW_MAX_STEPS];
    size_t n_devices;
    float *carried; /* [chunk, C], between stages; NULL with one */
};

struct rwkv_model;
struct rwkv_session;

/* What the strategy (NULL: the CPU) asks for: its devices, and their stages without memory. */
rwkv_status rw_stages_open(struct rwkv_model *model, const rwkv_model_options *options,
                           rwkv_error *err);
/* Bytes of the host's memory for activations. */
uint64_t rw_stages_scratch(struct rwkv_model *model);
/* Fails if a device has no room for its layers, activations and the state of one session, or cannot
 * compute the model. Nothing need be loaded. */
rwkv_status rw_stages_check(struct rwkv_model *model, rwkv_error *err);
/* The weights are bound: copy them to their devices and take the memory of activations. */
rwkv_status rw_stages_load(struct rwkv_model *model, rwkv_error *err);
void rw_stages_close(struct rwkv_model *model);

/* The backend of a block, or with L of the head. */
struct rw_backend *rw_stages_backend(const struct rwkv_model *model, size_t block);
/* Whether all states are in the host's memory, as one. */
bool rw_stages_on_host(const struct rwkv_model *model);

/* Evaluate a step's sequences, which are those of `sessions` [n]. An error: a device failed, and
 * what the sessions hold is lost. */
rwkv_status rw_stages_forward(struct rwkv_model *model, struct rw_sequence *sequences,
                              struct rwkv_session *const *sessions, size_t n, rwkv_error *err);

#endif
