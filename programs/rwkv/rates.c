/* SPDX-License-Identifier: Apache-2.0 */
#include "rates.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "say.h"

rwkv_status rw_rates_begin(struct rw_rates *r, const char *label, size_t every, rwkv_error *err)
{
    *r = (struct rw_rates){.label = label, .every = every};
    r->times = every ? rw_calloc(every, sizeof *r->times) : NULL;
    if (every && !r->times)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the times of %zu tokens", every);
    return RWKV_OK;
}

static int compare_times(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_line(struct rw_rates *r, double now)
{
    qsort(r->times, r->steps, sizeof *r->times, compare_times);
    uint64_t memory = rw_env_memory_peak();
    double median = 1e3 * (double)r->times[r->steps / 2], least = 1e3 * (double)r->times[0];
    rw_note("%s %10llu tokens: %s tokens/s, a token %.4f ms (median), %.4f ms (least), memory %llu "
            "KiB\n",
            r->label, (unsigned long long)r->done,
            rw_show_rate((double)r->timed, now - r->line).text, median, 1e3 * (double)r->times[0],
            (unsigned long long)(memory >> 10));
    if (r->lines++ == 0) {
        r->first_median = median;
        r->first_least = least;
        r->first_memory = memory;
    }
    r->last_median = median;
    r->last_least = least;
    r->last_memory = memory;
}

void rw_rates_add(struct rw_rates *r, size_t tokens)
{
    if (!r->every)
        return;
    double now = rw_env_seconds();
    bool first = r->done == 0;
    r->done += tokens;
    if (first) {
        r->line = r->step = now;
        return;
    }
    r->times[r->steps++] = (float)((now - r->step) / (double)tokens);
    r->timed += tokens;
    r->step = now;
    if (r->done - r->from < r->every)
        return;
    print_line(r, now);
    r->from = r->done;
    r->steps = r->timed = 0;
    r->line = r->step = rw_env_seconds();
}

static double change(double first, double last)
{
    return 100 * (last / first - 1);
}

void rw_rates_end(struct rw_rates *r)
{
    if (r->lines > 1)
        rw_note("%s from the first of %zu lines to the last: time a token %+.2f %% (median), "
                "%+.2f %% (least), memory %+.2f %%\n",
                r->label, r->lines, change(r->first_median, r->last_median),
                change(r->first_least, r->last_least),
                change((double)r->first_memory, (double)r->last_memory));
    rw_free(r->times);
    *r = (struct rw_rates){0};
}
