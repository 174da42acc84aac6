/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The learning rate of each step. With f = last / peak, w steps of warm-up, n steps in all and
 * p = clamp((k − w) / (n − w), 0, 1), step k = 0, 1, … has peak times
 *
 *     cosine     (1 + f)/2 + (1 − f)/2 · cos(πp)
 *     linear     1 − (1 − f) p
 *     constant   1
 *     wsd        1, and over the last d steps 1 − (1 − f)·(k − (n − d))/d   (warm-up, stable,
 * decay)
 *
 * times 0.01 + 0.99 k/w while k < w. Step n and those after it have the rate of the end.
 */
#ifndef RW_TRAIN_SCHEDULE_H
#define RW_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "rwkv.h"

enum rw_schedule_kind {
    RW_SCHEDULE_COSINE,
    RW_SCHEDULE_LINEAR,
    RW_SCHEDULE_CONSTANT,
    RW_SCHEDULE_WSD
};

struct rw_schedule {
    enum rw_schedule_kind kind;
    double peak, last;
    uint64_t steps, warmup;
    uint64_t decay; /* of WSD only */
};

/* Rates above 0, more steps than warm-up (and decay) take. */
rwkv_status rw_schedule_check(const struct rw_schedule *schedule, rwkv_error *err);

double rw_schedule_rate(const struct rw_schedule *schedule, uint64_t step);

#endif
