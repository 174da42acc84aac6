/* SPDX-License-Identifier: Apache-2.0 */
#include "svg.h"

#include <math.h>
#include <stdio.h>

#include "base/status.h"

#define CHART_WIDTH 400.0
#define CHART_HEIGHT 310.0
#define LEFT 58.0 /* of the plot inside a chart */
#define RIGHT 16.0
#define TOP 50.0
#define BOTTOM 48.0
#define HEADER 56.0 /* above the charts: title and subtitle */
#define LEGEND_LINE 20.0
#define LEGEND_WIDTH 200.0 /* of an entry; as many in a line as have room */
#define COLOURS 8
#define TICKS 5

/* Told apart by people who see colours differently; each for a light and a dark background. */
static const char *const colours[COLOURS][2] = {
    {"#0b66b8", "#58a6ff"}, {"#c2500a", "#f5914a"}, {"#0a7f5a", "#3fcf9b"}, {"#a83279", "#f07cbd"},
    {"#6b5b00", "#d6bd3a"}, {"#6d3fc0", "#b596ff"}, {"#a3231f", "#ff7b72"}, {"#4f5b66", "#a9b4c0"},
};

/* --- text ------------------------------------------------------------------------------------- */

static void add_escaped(struct rw_str *to, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<')
            rw_str_adds(to, "&lt;");
        else if (c == '&')
            rw_str_adds(to, "&amp;");
        else if (c == '"')
            rw_str_adds(to, "&quot;");
        else
            rw_str_addc(to, c < 0x20 ? '?' : *text);
    }
}

static void add_text(struct rw_str *to, const char *class, double x, double y, const char *text)
{
    rw_str_printf(to, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    add_escaped(to, text);
    rw_str_adds(to, "</text>\n");
}

/* "50", "2.5k", "1M". */
static void tick_text(char *to, size_t size, double value)
{
    if (value >= 1e6)
        snprintf(to, size, "%gM", value / 1e6);
    else if (value >= 1e4)
        snprintf(to, size, "%gk", value / 1e3);
    else
        snprintf(to, size, "%g", value);
}

static void add_style(struct rw_str *to)
{
    static const char *const plain[2][4] = {{"#ffffff", "#1c2128", "#59636e", "#d9dee3"},
                                            {"#0d1117", "#e6edf3", "#9aa4af", "#2b323b"}};
    rw_str_adds(to, "<style>\ntext{font:12px system-ui,sans-serif}.title{font-size:17px;"
                    "font-weight:600}.name{font-size:14px;font-weight:600}\n"
                    ".middle{text-anchor:middle}.end{text-anchor:end}\n");
    for (size_t dark = 0; dark < 2; dark++) {
        if (dark)
            rw_str_adds(to, "@media (prefers-color-scheme:dark){\n");
        rw_str_printf(to, ".page{fill:%s}text{fill:%s}.soft{fill:%s}.grid{stroke:%s}\n",
                      plain[dark][0], plain[dark][1], plain[dark][2], plain[dark][3]);
        for (size_t i = 0; i < COLOURS; i++)
            rw_str_printf(to, ".c%zu{stroke:%s;fill:%s}", i, colours[i][dark], colours[i][dark]);
        rw_str_adds(to, dark ? "}\n" : "\n");
    }
    rw_str_adds(to, "polyline.line{fill:none;stroke-width:2;stroke-linejoin:round}\n</style>\n");
}

/* --- axes ------------------------------------------------------------------------------------- */

/* Where a chart stands, and what its axes reach to. */
struct frame {
    const struct rw_chart *chart;
    double left, top, width, height; /* of the plot */
    double x_max, y_max, y_step;
};

/* The largest of 1, 2, 5, 10, 20 … that makes at least `ticks` steps to max. */
static double nice_step(double max, double ticks)
{
    double power = pow(10, floor(log10(max / ticks))), most = max / ticks / power;
    return power * (most >= 5 ? 5 : most >= 2 ? 2 : 1);
}

static struct frame frame_of(const struct rw_chart *chart, double left, double top)
{
    struct frame f = {
        chart, left + LEFT, top + TOP, CHART_WIDTH - LEFT - RIGHT, CHART_HEIGHT - TOP - BOTTOM,
        1,     0,           0};
    for (size_t i = 0; i < chart->n_lines; i++)
        for (size_t j = 0; j < chart->lines[i].n; j++) {
            f.x_max = RW_MAX(f.x_max, chart->lines[i].x[j]);
            f.y_max = RW_MAX(f.y_max, chart->lines[i].y[j]);
        }
    if (f.y_max <= 0)
        f.y_max = 1;
    f.y_step = nice_step(f.y_max, TICKS - 1);
    f.y_max = ceil(f.y_max / f.y_step) * f.y_step;
    return f;
}

static double x_at(const struct frame *f, double x)
{
    double part = x / f->x_max;
    if (f->chart->doubling)
        part = f->x_max > 1 ? log2(x) / log2(f->x_max) : 0.5;
    return f->left + f->width * part;
}

static double y_at(const struct frame *f, double y)
{
    return f->top + f->height * (1 - y / f->y_max);
}

static void add_grid(struct rw_str *to, double x1, double y1, double x2, double y2)
{
    rw_str_printf(to, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                  x1, y1, x2, y2);
}

static void add_x_tick(struct rw_str *to, const struct frame *f, double x)
{
    char text[32];
    double at = x_at(f, x), bottom = f->top + f->height;
    tick_text(text, sizeof text, x);
    add_grid(to, at, bottom, at, bottom + 4);
    add_text(to, "soft middle", at, bottom + 18, text);
}

static void add_axes(struct rw_str *to, const struct frame *f)
{
    double bottom = f->top + f->height;
    char text[32];
    for (double y = 0; y <= f->y_max * 1.001; y += f->y_step) {
        add_grid(to, f->left, y_at(f, y), f->left + f->width, y_at(f, y));
        tick_text(text, sizeof text, y);
        add_text(to, "soft end", f->left - 8, y_at(f, y) + 4, text);
    }
    if (f->chart->doubling)
        for (double x = 1; x <= f->x_max; x *= 2)
            add_x_tick(to, f, x);
    else
        for (double step = nice_step(f->x_max, TICKS - 1), x = 0; x <= f->x_max * 1.001; x += step)
            add_x_tick(to, f, x);
    add_text(to, "name", f->left - LEFT + 8, f->top - 30, f->chart->title);
    add_text(to, "soft", f->left - LEFT + 8, f->top - 14, f->chart->y_title);
    add_text(to, "soft middle", f->left + f->width / 2, bottom + 36, f->chart->x_title);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void add_line(struct rw_str *to, const struct frame *f, size_t index)
{
    const struct rw_line *line = &f->chart->lines[index];
    size_t colour = index % COLOURS;
    rw_str_printf(to, "<polyline class=\"line c%zu\" points=\"", colour);
    for (size_t i = 0; i < line->n; i++)
        rw_str_printf(to, "%s%.1f,%.1f", i ? " " : "", x_at(f, line->x[i]), y_at(f, line->y[i]));
    rw_str_adds(to, "\"/>\n");
    for (size_t i = 0; i < line->n; i++) {
        rw_str_printf(to, "<circle class=\"c%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%g ",
                      colour, x_at(f, line->x[i]), y_at(f, line->y[i]), line->x[i]);
        add_escaped(to, f->chart->x_title);
        rw_str_printf(to, ": %.5g ", line->y[i]);
        add_escaped(to, f->chart->y_title);
        rw_str_adds(to, "</title></circle>\n");
    }
}

static void add_legend(struct rw_str *to, const char *const *labels, size_t n, size_t columns)
{
    for (size_t i = 0; i < n; i++) {
        double x = 8 + LEGEND_WIDTH * (double)(i % columns);
        double y = HEADER + LEGEND_LINE * (double)(i / columns);
        rw_str_printf(to,
                      "<rect class=\"c%zu\" x=\"%.1f\" y=\"%.1f\" width=\"16\" height=\"4\" "
                      "rx=\"2\"/>\n",
                      i % COLOURS, x, y + 6);
        add_text(to, "label", x + 24, y + 12, labels[i]);
    }
}

void rw_svg_charts(struct rw_str *to, const char *title, const char *subtitle,
                   const char *const *labels, const struct rw_chart *charts, size_t n_charts)
{
    size_t n_labels = labels ? charts[0].n_lines : 0;
    double width = CHART_WIDTH * (double)n_charts;
    size_t columns = (size_t)(width / LEGEND_WIDTH);
    double top = HEADER + LEGEND_LINE * (double)((n_labels + columns - 1) / columns);
    double height = top + CHART_HEIGHT;
    rw_str_printf(to,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                  "width=\"%.0f\" height=\"%.0f\" role=\"img\">\n<title>",
                  width, height, width, height);
    add_escaped(to, title);
    rw_str_adds(to, "</title>\n");
    add_style(to);
    rw_str_adds(to, "<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
    add_text(to, "title", 8, 24, title);
    add_text(to, "soft", 8, 44, subtitle);
    add_legend(to, labels, n_labels, columns);
    for (size_t i = 0; i < n_charts; i++) {
        struct frame f = frame_of(&charts[i], CHART_WIDTH * (double)i, top);
        add_axes(to, &f);
        for (size_t l = 0; l < charts[i].n_lines; l++)
            add_line(to, &f, l);
    }
    rw_str_adds(to, "</svg>\n");
}
