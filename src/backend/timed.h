/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend in front of another one that counts the time spent in each kind of operation
 * (rwkv_train_work), so that who wants to know it pays for it and nobody else.
 *
 *     struct rw_backend *timed;
 *     RW_TRY(rw_backend_timed_new(&timed, inner, err));        // owns `inner` from here on
 *     …                                                        // work with `timed`
 *     seconds = rw_backend_timed_seconds(timed)[RWKV_TRAIN_RECURRENCE];
 *     timed->ops->free(timed);
 *
 * Times are those of the calls: of a backend whose operations return when they are done.
 */
#ifndef RW_BACKEND_TIMED_H
#define RW_BACKEND_TIMED_H

#include "backend/backend.h"

/* `inner` is freed with it, and when this fails. */
rwkv_status rw_backend_timed_new(struct rw_backend **out, struct rw_backend *inner,
                                 rwkv_error *err);

/* Seconds spent since the beginning or the last reset: [RWKV_TRAIN_WORKS]. */
const double *rw_backend_timed_seconds(const struct rw_backend *timed);
void rw_backend_timed_reset(struct rw_backend *timed);

#endif
