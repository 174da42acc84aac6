/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether it gets slower: a line on standard error for every so many tokens, with the time a token
 * takes and the memory used, and at the end the last of them against the first. The first step only
 * starts the clock: it pays for what is read into memory once.
 */
#ifndef RW_PROGRAM_RATES_H
#define RW_PROGRAM_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "rwkv.h"

struct rw_rates {
    const char *label;
    size_t every;  /* tokens a line; 0: none of all this */
    uint64_t done; /* tokens */

    float *times;        /* [every] of the steps since the last line: seconds a token */
    size_t steps, timed; /* since the last line; tokens of the steps */
    uint64_t from;       /* tokens at the last line */
    double line, step;   /* moments: of the last line and step */

    size_t lines;
    double first_median, last_median, first_least, last_least; /* milliseconds */
    uint64_t first_memory, last_memory;
};

rwkv_status rw_rates_begin(struct rw_rates *rates, const char *label, size_t every,
                           rwkv_error *err);
void rw_rates_add(struct rw_rates *rates, size_t tokens); /* a step of so many tokens is done */
void rw_rates_end(struct rw_rates *rates);                /* also of zeros */

#endif
