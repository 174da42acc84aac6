/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a long operation has come, on standard error: a bar with rate and time left on a
 * terminal, a line every few seconds elsewhere, nothing when quiet. It also cancels the operation
 * when the user interrupts. Nothing is shown in the first half second.
 *
 *     struct rw_progress p;
 *     rw_progress_begin(&p, "converting", RW_PROGRESS_BYTES, quiet);
 *     options.progress = rw_progress_step;
 *     options.progress_user = &p;
 *     …
 *     rw_progress_end(&p);
 *
 * A total of 0 is not known: then there is no bar and no estimate, only what has been done.
 */
#ifndef RW_PROGRAM_PROGRESS_H
#define RW_PROGRAM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum rw_progress_unit { RW_PROGRESS_BYTES, RW_PROGRESS_TOKENS };

struct rw_progress {
    const char *label;
    enum rw_progress_unit unit;
    bool quiet;
    bool terminal;
    bool shown;    /* a bar stands on the terminal */
    double start;  /* seconds of the monotonic clock */
    double last;   /* when something was shown, or the start */
    char note[64]; /* what the caller wants to be said besides, set before a step */
};

void rw_progress_begin(struct rw_progress *p, const char *label, enum rw_progress_unit unit,
                       bool quiet);
int rw_progress_step(void *progress, uint64_t done, uint64_t total); /* a rwkv_progress_fn */
void rw_progress_end(struct rw_progress *p);                         /* takes the bar away */

#endif
