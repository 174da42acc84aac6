/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line charts side by side as one SVG that needs nothing else: readable on light and dark
 * backgrounds (it follows the reader's preference), values shown when pointed at. Both axes begin
 * at zero, or at 1 where x doubles from tick to tick.
 *
 *     const struct rw_line line = {x, y, n};
 *     const struct rw_chart chart = {"Generating", "sessions", "tokens/s", true, &line, 1};
 *     rw_svg_charts(&text, "model.gguf", "2 threads", NULL, &chart, 1);
 */
#ifndef RW_PROGRAM_SVG_H
#define RW_PROGRAM_SVG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct rw_line {
    const double *x, *y; /* [n], x increasing */
    size_t n;
};

struct rw_chart {
    const char *title, *x_title, *y_title;
    bool doubling;               /* the x axis is logarithmic, to base 2 */
    const struct rw_line *lines; /* line i has the same colour in every chart */
    size_t n_lines;
};

/* `labels`: the names of the lines, or NULL when there is one without. */
void rw_svg_charts(struct rw_str *to, const char *title, const char *subtitle,
                   const char *const *labels, const struct rw_chart *charts, size_t n_charts);

#endif
