/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report: one page of HTML with curves as SVG inside, which asks for nothing else, runs nothing
 * and is readable on light and dark backgrounds. Its size does not grow with the run: a curve has a
 * bounded number of points, each the mean, the least and the largest of as many values as it takes.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"
#include "train/log_int.h"

#define WIDTH 560.0 /* of a chart */
#define HEIGHT 260.0
#define LEFT 64.0 /* of the plot inside */
#define RIGHT 14.0
#define TOP 34.0
#define BOTTOM 40.0
#define TICKS 5
#define REFRESH 15 /* seconds until a browser loads the page again, while the run goes on */

/* --- curves ----------------------------------------------------------------------------------- */

static void merge(struct rw_curve_point *to, const struct rw_curve_point *from)
{
    to->step = from->step;
    to->sum += from->sum;
    to->min = fmin(to->min, from->min);
    to->max = fmax(to->max, from->max);
    to->n += from->n;
}

void rw_curve_add(struct rw_curve *curve, uint64_t step, double value)
{
    const struct rw_curve_point point = {step, value, value, value, 1};
    if (!isfinite(value))
        return;
    if (curve->n && curve->points[curve->n - 1].n < curve->each) {
        merge(&curve->points[curve->n - 1], &point);
        return;
    }
    if (curve->n == RW_CURVE_POINTS) {
        for (size_t i = 0; i < RW_CURVE_POINTS / 2; i++) {
            curve->points[i] = curve->points[2 * i];
            merge(&curve->points[i], &curve->points[2 * i + 1]);
        }
        curve->n = RW_CURVE_POINTS / 2;
        curve->each = 2 * RW_MAX(curve->each, 1);
    }
    curve->points[curve->n++] = point;
}

static double mean(const struct rw_curve_point *point)
{
    return point->sum / (double)point->n;
}

void rw_log_report_step(struct rw_log_report *report, const struct rw_log_step *r)
{
    report->last = *r;
    rw_curve_add(&report->curves[RW_CURVE_LOSS], r->step, r->loss);
    rw_curve_add(&report->curves[RW_CURVE_BITS], r->step, r->bits_per_byte);
    rw_curve_add(&report->curves[RW_CURVE_LEARNING_RATE], r->step, r->learning_rate);
    rw_curve_add(&report->curves[RW_CURVE_GRADIENT_NORM], r->step, r->gradient_norm);
    rw_curve_add(&report->curves[RW_CURVE_SPEED], r->step, r->tokens_per_second);
}

void rw_log_report_validation(struct rw_log_report *report, const struct rw_log_validation *r)
{
    report->validation = *r;
    report->validated = true;
    rw_curve_add(&report->curves[RW_CURVE_VALIDATION_LOSS], r->step, r->loss);
    rw_curve_add(&report->curves[RW_CURVE_VALIDATION_BITS], r->step, r->bits_per_byte);
}

void rw_log_report_sample(struct rw_log_report *report, const struct rw_log_sample *r)
{
    struct rw_report_sample *s = &report->samples[report->n_samples++ % RW_REPORT_SAMPLES];
    s->step = r->step;
    rw_str_reset(&s->text);
    rw_str_add(&s->text, r->text, RW_MIN(r->size, (size_t)RW_REPORT_SAMPLE_MAX));
    if (r->size > RW_REPORT_SAMPLE_MAX)
        rw_str_adds(&s->text, " …");
}

void rw_log_report_fini(struct rw_log_report *report)
{
    for (size_t i = 0; i < RW_REPORT_SAMPLES; i++)
        rw_str_fini(&report->samples[i].text);
    rw_free(report->title);
    rw_free(report->summary);
}

/* --- text ------------------------------------------------------------------------------------- */

/* Any bytes as text of the page: control characters and what is no UTF-8 become U+FFFD. */
static void add_escaped(struct rw_str *to, const char *text, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        uint32_t code;
        enum rw_utf8_kind kind = rw_utf8_next((const uint8_t *)text + at, size - at, &n, &code);
        if (kind == RW_UTF8_PARTIAL)
            n = size - at;
        if (kind != RW_UTF8_CHAR || (code < 0x20 && code != '\n' && code != '\t') ||
            (code >= 0x7f && code < 0xa0))
            rw_str_adds(to, "\xef\xbf\xbd");
        else if (code == '<' || code == '&' || code == '"')
            rw_str_printf(to, "&#%u;", (unsigned)code);
        else
            rw_str_add(to, text + at, n);
    }
}

static void add_span(struct rw_str *to, double seconds)
{
    uint64_t s = seconds > 0 ? (uint64_t)seconds : 0;
    if (s >= 86400)
        rw_str_printf(to, "%llu d ", (unsigned long long)(s / 86400));
    rw_str_printf(to, "%llu:%02llu:%02llu", (unsigned long long)(s / 3600 % 24),
                  (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60));
}

/* --- charts ----------------------------------------------------------------------------------- */

/* Up to two curves, the first with the band between its least and largest values. */
struct chart {
    const char *title, *unit;
    const struct rw_curve *curves[2];
    bool from_zero; /* the axis begins there */
};

/* Where numbers lie on the page. */
struct frame {
    double first, last;     /* steps */
    double low, high, step; /* values, and between two ticks */
};

static double nice_step(double span, double ticks)
{
    static const double nice[] = {1, 2, 2.5, 5, 10};
    double power = pow(10, floor(log10(span / ticks))), step = power;
    for (size_t i = 0; i < RW_COUNT(nice) && span / step > ticks; i++)
        step = power * nice[i];
    return step;
}

static struct frame frame_of(const struct chart *chart)
{
    struct frame f = {.first = INFINITY, .last = -INFINITY, .low = INFINITY, .high = -INFINITY};
    for (size_t c = 0; c < 2; c++) {
        const struct rw_curve *curve = chart->curves[c];
        for (size_t i = 0; curve && i < curve->n; i++) {
            f.first = fmin(f.first, (double)curve->points[i].step);
            f.last = fmax(f.last, (double)curve->points[i].step);
            f.low = fmin(f.low, mean(&curve->points[i]));
            f.high = fmax(f.high, mean(&curve->points[i]));
        }
    }
    if (chart->from_zero)
        f.low = fmin(f.low, 0);
    if (f.last <= f.first)
        f.last = f.first + 1;
    if (!(f.high - f.low > 1e-9 * fabs(f.high)))
        f.high = f.low + (f.low != 0 ? fabs(f.low) : 1);
    f.step = nice_step(f.high - f.low, TICKS);
    f.low = floor(f.low / f.step) * f.step;
    f.high = ceil(f.high / f.step) * f.step;
    return f;
}

static double x_at(const struct frame *f, uint64_t step)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * ((double)step - f->first) / (f->last - f->first);
}

/* What lies beyond the frame (of the band) is cut off. */
static double y_at(const struct frame *f, double value)
{
    double part = (fmin(fmax(value, f->low), f->high) - f->low) / (f->high - f->low);
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - part);
}

static void add_axes(struct rw_str *to, const struct frame *f)
{
    size_t ticks = (size_t)((f->high - f->low) / f->step + 0.5);
    for (size_t i = 0; i <= ticks; i++) {
        double value = f->low + f->step * (double)i, y = y_at(f, value);
        if (fabs(value) < f->step / 2)
            value = 0;
        rw_str_printf(to, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", LEFT, y, WIDTH - RIGHT);
        rw_str_printf(to, "<text class=\"end\" x=\"%.1f\" y=\"%.1f\">%.6g</text>\n", LEFT - 8,
                      y + 4, value);
    }
    double step = fmax(nice_step(f->last - f->first, TICKS), 1);
    for (double x = ceil(f->first / step) * step; x <= f->last; x += step)
        rw_str_printf(to, "<text class=\"middle\" x=\"%.1f\" y=\"%.1f\">%.0f</text>\n",
                      x_at(f, (uint64_t)x), HEIGHT - BOTTOM + 18, x);
}

static void add_band(struct rw_str *to, const struct frame *f, const struct rw_curve *curve)
{
    rw_str_adds(to, "<polygon class=\"band\" points=\"");
    for (size_t i = 0; i < curve->n; i++)
        rw_str_printf(to, "%.1f,%.1f ", x_at(f, curve->points[i].step),
                      y_at(f, curve->points[i].max));
    for (size_t i = curve->n; i-- > 0;)
        rw_str_printf(to, "%.1f,%.1f ", x_at(f, curve->points[i].step),
                      y_at(f, curve->points[i].min));
    rw_str_adds(to, "\"/>\n");
}

static void add_line(struct rw_str *to, const struct frame *f, const struct rw_curve *curve,
                     size_t colour)
{
    rw_str_printf(to, "<polyline class=\"line c%zu\" points=\"", colour);
    for (size_t i = 0; i < curve->n; i++)
        rw_str_printf(to, "%.1f,%.1f ", x_at(f, curve->points[i].step),
                      y_at(f, mean(&curve->points[i])));
    rw_str_adds(to, "\"/>\n");
    if (curve->n == 0)
        return;
    const struct rw_curve_point *last = &curve->points[curve->n - 1];
    rw_str_printf(to,
                  "<circle class=\"c%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>step %llu: "
                  "%.6g</title></circle>\n",
                  colour, x_at(f, last->step), y_at(f, mean(last)), (unsigned long long)last->step,
                  mean(last));
}

/* Nothing for a chart without a number. */
static void add_chart(struct rw_str *to, const struct chart *chart)
{
    size_t n = chart->curves[0]->n + (chart->curves[1] ? chart->curves[1]->n : 0);
    if (n == 0)
        return;
    struct frame f = frame_of(chart);
    rw_str_printf(to,
                  "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\"><title>%s</title>\n"
                  "<text class=\"name\" x=\"8\" y=\"20\">%s<tspan class=\"soft\"> %s</tspan>",
                  WIDTH, HEIGHT, chart->title, chart->title, chart->unit);
    if (chart->curves[1] && chart->curves[1]->n)
        rw_str_adds(to, "<tspan class=\"c0\"> ● training</tspan>"
                        "<tspan class=\"c1\"> ● validation</tspan>");
    rw_str_adds(to, "</text>\n");
    add_axes(to, &f);
    add_band(to, &f, chart->curves[0]);
    for (size_t i = 0; i < 2; i++)
        if (chart->curves[i])
            add_line(to, &f, chart->curves[i], i);
    rw_str_adds(to, "</svg>\n");
}

/* --- the page --------------------------------------------------------------------------------- */

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--page:#fff;--text:#1c2128;--soft:#59636e;--grid:#d9dee3;"
    "--c0:#0b66b8;--c1:#c2500a}\n"
    "@media (prefers-color-scheme:dark){:root{--page:#0d1117;--text:#e6edf3;--soft:#9aa4af;"
    "--grid:#2b323b;--c0:#58a6ff;--c1:#f5914a}}\n"
    "body{background:var(--page);color:var(--text);font:15px system-ui,sans-serif;margin:2rem auto;"
    "max-width:1180px;padding:0 1rem}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));"
    "gap:1rem}\n"
    "dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem}dt{color:var(--soft);font-size:13px}"
    "dd{margin:0;font-size:19px;font-variant-numeric:tabular-nums}\n"
    "svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--soft)}"
    "svg .name{font-size:14px;font-weight:600;fill:var(--text)}"
    ".soft{font-weight:400;fill:var(--soft);color:var(--soft)}\n"
    ".end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:var(--grid)}"
    ".line{fill:none!important;stroke-width:1.5;stroke-linejoin:round}"
    ".band{fill:var(--c0);opacity:.18}\n"
    "polyline.c0{stroke:var(--c0)}polyline.c1{stroke:var(--c1)}"
    "svg .c0{fill:var(--c0)}svg .c1{fill:var(--c1)}\n"
    "pre{white-space:pre-wrap;border-left:3px solid var(--grid);padding-left:.8rem}\n"
    "</style>\n";

static void add_head(struct rw_str *to, const struct rw_log_report *r, enum rw_run_state state)
{
    rw_str_adds(to, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width\">\n");
    if (state == RW_RUN_GOING)
        rw_str_printf(to, "<meta http-equiv=\"refresh\" content=\"%d\">\n", REFRESH);
    rw_str_adds(to, "<title>");
    add_escaped(to, r->title, strlen(r->title));
    rw_str_adds(to, "</title>\n");
    rw_str_adds(to, style);
    rw_str_adds(to, "</head>\n<body>\n<h1>");
    add_escaped(to, r->title, strlen(r->title));
    rw_str_adds(to, "</h1>\n");
    if (r->summary[0]) {
        rw_str_adds(to, "<pre class=\"soft\">");
        add_escaped(to, r->summary, strlen(r->summary));
        rw_str_adds(to, "</pre>\n");
    }
}

static void add_value(struct rw_str *to, const char *name, const char *format, double value)
{
    if (!isfinite(value))
        return;
    rw_str_printf(to, "<div><dt>%s</dt><dd>", name);
    if (format)
        rw_str_printf(to, format, value);
    else
        add_span(to, value);
    rw_str_adds(to, "</dd></div>\n");
}

static void add_values(struct rw_str *to, const struct rw_log_report *r, enum rw_run_state state)
{
    static const char *const states[] = {"training", "paused", "finished"};
    const struct rw_log_step *last = &r->last;
    rw_str_printf(to, "<dl>\n<div><dt>state</dt><dd>%s</dd></div>\n<div><dt>step</dt><dd>%llu",
                  states[state], (unsigned long long)last->step);
    if (r->total_steps)
        rw_str_printf(to, " of %llu", (unsigned long long)r->total_steps);
    rw_str_adds(to, "</dd></div>\n");
    if (last->step) {
        add_value(to, "tokens", "%.0f", (double)last->tokens);
        add_value(to, "loss", "%.4f", last->loss);
        add_value(to, "bits per byte", "%.4f", last->bits_per_byte);
    }
    if (r->validated) {
        add_value(to, "validation loss", "%.4f", r->validation.loss);
        add_value(to, "validation bits per byte", "%.4f", r->validation.bits_per_byte);
    }
    if (last->step) {
        add_value(to, "tokens a second", "%.0f", last->tokens_per_second);
        add_value(to, "share of peak, %", "%.1f", 100 * last->share_of_peak);
        add_value(to, "time", NULL, last->seconds);
        if (state == RW_RUN_GOING && r->total_steps > last->step)
            add_value(to, "time left, about", NULL,
                      last->seconds / (double)last->step * (double)(r->total_steps - last->step));
    }
    rw_str_adds(to, "</dl>\n");
}

static void add_samples(struct rw_str *to, const struct rw_log_report *r)
{
    size_t n = RW_MIN(r->n_samples, (size_t)RW_REPORT_SAMPLES);
    if (n)
        rw_str_adds(to, "<h2>Samples</h2>\n");
    for (size_t i = 1; i <= n; i++) { /* the newest first */
        const struct rw_report_sample *s = &r->samples[(r->n_samples - i) % RW_REPORT_SAMPLES];
        rw_str_printf(to, "<p class=\"soft\">after step %llu</p>\n<pre>",
                      (unsigned long long)s->step);
        add_escaped(to, s->text.data ? s->text.data : "", s->text.size);
        rw_str_adds(to, "</pre>\n");
    }
}

void rw_log_report_html(const struct rw_log_report *report, enum rw_run_state state,
                        struct rw_str *to)
{
    const struct rw_curve *c = report->curves;
    const struct chart charts[] = {
        {"Loss", "nats a token", {&c[RW_CURVE_LOSS], &c[RW_CURVE_VALIDATION_LOSS]}, false},
        {"Bits per byte", "", {&c[RW_CURVE_BITS], &c[RW_CURVE_VALIDATION_BITS]}, false},
        {"Learning rate", "", {&c[RW_CURVE_LEARNING_RATE]}, true},
        {"Gradient norm", "before clipping", {&c[RW_CURVE_GRADIENT_NORM]}, true},
        {"Speed", "tokens a second", {&c[RW_CURVE_SPEED]}, true},
    };
    add_head(to, report, state);
    add_values(to, report, state);
    rw_str_adds(to, "<div class=\"charts\">\n");
    for (size_t i = 0; i < RW_COUNT(charts); i++)
        add_chart(to, &charts[i]);
    rw_str_adds(to, "</div>\n");
    add_samples(to, report);
    rw_str_adds(to, "</body>\n</html>\n");
}
