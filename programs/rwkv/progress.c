/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "interrupt.h"
#include "say.h"

#define BAR_WIDTH 16
#define BAR_PAUSE 0.1      /* seconds between two states of the bar */
#define BAR_DELAY 0.5      /* before the first one */
#define LINE_PAUSE 5.0     /* between two lines */
#define NO_WRAP "\033[?7l" /* on a narrow terminal the end is cut off */
#define WRAP "\033[?7h"

void rw_progress_begin(struct rw_progress *p, const char *label, enum rw_progress_unit unit,
                       bool quiet)
{
    double now = rw_env_seconds();
    *p = (struct rw_progress){label, unit, quiet, isatty(STDERR_FILENO), false, now, now};
}

static struct rw_shown show_amount(const struct rw_progress *p, double n)
{
    return p->unit == RW_PROGRESS_BYTES ? rw_show_bytes((uint64_t)n) : rw_show_count(n);
}

static void show(struct rw_progress *p, double now, uint64_t done, uint64_t total)
{
    const char *unit = p->unit == RW_PROGRESS_BYTES ? "" : " tokens";
    double part = total ? (double)done / (double)total : 0;
    double rate = (double)done / (now - p->start);
    double left = done ? (double)(total - done) / rate : 0;
    char bar[BAR_WIDTH + 1];
    size_t full = (size_t)(part * BAR_WIDTH);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', full);
    bar[BAR_WIDTH] = 0;
    if (p->terminal)
        fprintf(stderr, "\r\033[K" NO_WRAP "%s [%s] %3.0f %%  %s of %s%s  %s%s/s  %.0f s left" WRAP,
                p->label, bar, 100 * part, show_amount(p, (double)done).text,
                show_amount(p, (double)total).text, unit, show_amount(p, rate).text, unit, left);
    else
        fprintf(stderr, "%s: %.0f %%, %s of %s%s, %s%s/s, %.0f s left\n", p->label, 100 * part,
                show_amount(p, (double)done).text, show_amount(p, (double)total).text, unit,
                show_amount(p, rate).text, unit, left);
    fflush(stderr);
    p->shown = p->terminal;
    p->last = now;
}

int rw_progress_step(void *progress, uint64_t done, uint64_t total)
{
    struct rw_progress *p = progress;
    double now = rw_env_seconds();
    double pause = !p->terminal ? LINE_PAUSE : p->shown ? BAR_PAUSE : BAR_DELAY;
    if (!p->quiet && done <= total && now - p->last >= pause)
        show(p, now, done, total);
    if (done >= total)
        rw_progress_end(p);
    return rw_interrupted;
}

void rw_progress_end(struct rw_progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
