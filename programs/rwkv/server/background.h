/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for what takes long and must not hold up the loop: opening models, reading and writing
 * files. Tasks are done one after the other.
 *
 *     struct opening { struct rw_task task; … };
 *     opening->task = (struct rw_task){.work = open_it, .done = opened};
 *     rw_background_do(background, &opening->task);
 *
 * `work` runs in the thread, `done` afterwards on the loop's thread.
 */
#ifndef RW_SERVER_BACKGROUND_H
#define RW_SERVER_BACKGROUND_H

#include "server/loop.h"
#include "rwkv.h"

struct rw_background;

struct rw_task {
    void (*work)(struct rw_task *task);
    void (*done)(struct rw_task *task); /* may free the task */
    struct rw_task *next;
};

rwkv_status rw_background_new(struct rw_background **out, struct rw_loop *loop, rwkv_error *err);
/* When the loop has ended: waits for all tasks, and calls `done` for those not delivered yet. NULL
 * is fine. */
void rw_background_free(struct rw_background *background);
/* The task is borrowed until `done` is called. */
void rw_background_do(struct rw_background *background, struct rw_task *task);

#endif
