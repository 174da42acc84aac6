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
    *p = (struct rw_progress){label, unit, quiet, isatty(STDERR_FILENO), false, now, now, ""};
}

static struct rw_shown show_amount(const struct rw_progress *p, double n)
{
    return p->unit == RW_PROGRESS_BYTES ? rw_show_bytes((uint64_t)n) : rw_show_count(n);
}

/* "  41 %  2.1 MiB of 5 MiB  96 KiB/s  31 s left", as far as it can be known. */
static void describe(const struct rw_progress *p, double now, uint64_t done, uint64_t total,
                     const char *gap, char to[256])
{
    const char *unit = p->unit == RW_PROGRESS_BYTES ? "" : " tokens";
    double rate = (double)done / (now - p->start);
    double left = done ? (double)(total - done) / rate : 0;
    const char *note_gap = p->note[0] ? gap : "";
    if (total == 0)
        snprintf(to, 256, "%s%s%s%s%s%s/s", show_amount(p, (double)done).text, unit, note_gap,
                 p->note, gap, show_amount(p, rate).text);
    else
        snprintf(to, 256, "%*.0f %%%s%s of %s%s%s%s%s%s%s/s%s%.0f s left", p->terminal ? 3 : 0,
                 100 * (double)done / (double)total, gap, show_amount(p, (double)done).text,
                 show_amount(p, (double)total).text, unit, note_gap, p->note, gap,
                 show_amount(p, rate).text, unit, gap, left);
}

static void show(struct rw_progress *p, double now, uint64_t done, uint64_t total)
{
    char bar[BAR_WIDTH + 1], text[256];
    double part = total ? (double)done / (double)total : 0;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(part * BAR_WIDTH));
    bar[BAR_WIDTH] = 0;
    describe(p, now, done, total, p->terminal ? "  " : ", ", text);
    if (!p->terminal)
        fprintf(stderr, "%s: %s\n", p->label, text);
    else if (total)
        fprintf(stderr, "\r\033[K" NO_WRAP "%s [%s] %s" WRAP, p->label, bar, text);
    else
        fprintf(stderr, "\r\033[K" NO_WRAP "%s  %s" WRAP, p->label, text);
    fflush(stderr);
    p->shown = p->terminal;
    p->last = now;
}

int rw_progress_step(void *progress, uint64_t done, uint64_t total)
{
    struct rw_progress *p = progress;
    double now = rw_env_seconds();
    double pause = !p->terminal ? LINE_PAUSE : p->shown ? BAR_PAUSE : BAR_DELAY;
    if (!p->quiet && (done <= total || total == 0) && now - p->last >= pause)
        show(p, now, done, total);
    if (done >= total && total > 0)
        rw_progress_end(p);
    return rw_interrupted;
}

void rw_progress_end(struct rw_progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
