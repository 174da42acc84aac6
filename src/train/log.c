/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log and its lines. log.jsonl is the only file that is read again: on resuming it gives the
 * curves of the report back. Each line goes to the system in one call, so that a kill leaves whole
 * lines and at most one that is torn.
 */
#include "train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/output.h"
#include "base/status.h"
#include "train/log_int.h"

#define STEP_FIELDS 9
#define VALIDATION_FIELDS 4

struct rw_log {
    int fd; /* of log.jsonl */
    char *path, *report_path;
    struct rw_str line;          /* memory used again and again */
    uint64_t validated, sampled; /* steps of the last of each; 0: none */
    struct rw_log_events events;
    struct rw_log_report report;
    double report_seconds, reported; /* between two; time of the last */
};

/* --- records as fields ------------------------------------------------------------------------ */

static void step_fields(const struct rw_log_step *r, struct rw_log_field fields[STEP_FIELDS])
{
    const struct rw_log_field all[STEP_FIELDS] = {
        {"tokens", NULL, (double)r->tokens},
        {"loss", "train/loss", r->loss},
        {"bits_per_byte", "train/bits_per_byte", r->bits_per_byte},
        {"learning_rate", "train/learning_rate", r->learning_rate},
        {"gradient_norm", "train/gradient_norm", r->gradient_norm},
        {"tokens_per_second", "speed/tokens_per_second", r->tokens_per_second},
        {"share_of_peak", "speed/share_of_peak", r->share_of_peak},
        {"seconds", NULL, r->seconds},
        {"time", NULL, r->time},
    };
    memcpy(fields, all, sizeof all);
}

static void validation_fields(const struct rw_log_validation *r,
                              struct rw_log_field fields[VALIDATION_FIELDS])
{
    const struct rw_log_field all[VALIDATION_FIELDS] = {
        {"loss", "validation/loss", r->loss},
        {"bits_per_byte", "validation/bits_per_byte", r->bits_per_byte},
        {"seconds", NULL, r->seconds},
        {"time", NULL, r->time},
    };
    memcpy(fields, all, sizeof all);
}

/* --- lines ------------------------------------------------------------------------------------ */

rwkv_status rw_log_append(int fd, const char *path, const void *bytes, size_t n, rwkv_error *err)
{
    const char *at = bytes;
    off_t before = lseek(fd, 0, SEEK_END);
    for (size_t left = n; left > 0;) {
        ssize_t done = before < 0 ? -1 : write(fd, at, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            rw_fail(err, RWKV_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
            if (before >= 0)
                (void)!ftruncate(fd, before);
            return RWKV_ERROR_IO;
        }
        at += done;
        left -= (size_t)done;
    }
    return RWKV_OK;
}

static void begin_line(struct rw_log *log, const char *kind, uint64_t step)
{
    rw_str_reset(&log->line);
    rw_str_printf(&log->line, "{\"kind\": \"%s\", \"step\": %llu", kind, (unsigned long long)step);
}

/* Whole numbers as such; 15 digits for times, nine for the rest. */
static void add_field(struct rw_log *log, const struct rw_log_field *field)
{
    rw_str_printf(&log->line, ", \"%s\": ", field->key);
    if (!isfinite(field->value))
        rw_str_adds(&log->line, "null");
    else
        rw_str_printf(&log->line, "%.*g",
                      strcmp(field->key, "tokens") == 0 || strcmp(field->key, "time") == 0 ? 15 : 9,
                      field->value);
}

static rwkv_status end_line(struct rw_log *log, rwkv_error *err)
{
    rw_str_adds(&log->line, "}\n");
    if (log->line.failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a line", log->path);
    return rw_log_append(log->fd, log->path, log->line.data, log->line.size, err);
}

static rwkv_status add_line(struct rw_log *log, const char *kind, uint64_t step,
                            const struct rw_log_field *fields, size_t n, rwkv_error *err)
{
    begin_line(log, kind, step);
    for (size_t i = 0; i < n; i++)
        add_field(log, &fields[i]);
    return end_line(log, err);
}

/* --- what an earlier start has left ----------------------------------------------------------- */

static double number(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* A record back into the report. False: it is none. */
static bool replay(struct rw_log *log, const json_t *line, uint64_t step)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const json_t *text = json_object_get(line, "text");
    double tokens = number(line, "tokens");
    if (!kind)
        return false;
    if (strcmp(kind, "step") == 0 && tokens >= 0) {
        const struct rw_log_step record = {.step = step,
                                           .tokens = (uint64_t)tokens,
                                           .loss = number(line, "loss"),
                                           .bits_per_byte = number(line, "bits_per_byte"),
                                           .learning_rate = number(line, "learning_rate"),
                                           .gradient_norm = number(line, "gradient_norm"),
                                           .tokens_per_second = number(line, "tokens_per_second"),
                                           .share_of_peak = number(line, "share_of_peak"),
                                           .seconds = number(line, "seconds"),
                                           .time = number(line, "time")};
        rw_log_report_step(&log->report, &record);
    } else if (strcmp(kind, "validation") == 0) {
        const struct rw_log_validation record = {step, number(line, "loss"),
                                                 number(line, "bits_per_byte"),
                                                 number(line, "seconds"), number(line, "time")};
        rw_log_report_validation(&log->report, &record);
        log->validated = step;
    } else if (strcmp(kind, "sample") == 0 && json_is_string(text)) {
        const struct rw_log_sample record = {
            .step = step, .text = json_string_value(text), .size = json_string_length(text)};
        rw_log_report_sample(&log->report, &record);
        log->sampled = step;
    } else {
        return false;
    }
    return true;
}

/* What is kept of an old log: its beginning, up to the first line that is bad. Good lines that come
 * after it are worth a copy. */
struct repair {
    struct rw_log *log;
    const struct rw_log_options *options;
    struct rw_map map;
    size_t end;             /* of that beginning */
    size_t bad;             /* lines left out */
    rwkv_error first;       /* about the first of them */
    struct rw_output *copy; /* or NULL */
};

enum line { LINE_GOOD, LINE_BAD, LINE_LATER };

static enum line read_line(const struct repair *r, const uint8_t *text, size_t n)
{
    json_t *line = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const json_t *step = json_object_get(line, "step");
    enum line kind = json_is_integer(step) && json_integer_value(step) >= 0 ? LINE_GOOD : LINE_BAD;
    if (kind == LINE_GOOD && (uint64_t)json_integer_value(step) > r->options->resume_step)
        kind = LINE_LATER;
    else if (kind == LINE_GOOD && !replay(r->log, line, (uint64_t)json_integer_value(step)))
        kind = LINE_BAD;
    json_decref(line);
    return kind;
}

static rwkv_status leave_out(struct repair *r, size_t number, const uint8_t *text, size_t n,
                             rwkv_error *err)
{
    int shown = (int)RW_MIN(n, (size_t)40);
    if (number == 1)
        return rw_fail(err, RWKV_ERROR_FORMAT,
                       "%s: line 1: wanted a record of a training run, found \"%.*s\"",
                       r->log->path, shown, (const char *)text);
    if (r->bad++ == 0)
        rw_fail(&r->first, RWKV_ERROR_FORMAT,
                "%s: line %zu is left out, which is no record of a training run: \"%.*s\"",
                r->log->path, number, shown, (const char *)text);
    return RWKV_OK;
}

static rwkv_status keep(struct repair *r, const uint8_t *text, size_t n, rwkv_error *err)
{
    if (r->bad == 0) {
        r->end += n;
        return RWKV_OK;
    }
    if (!r->copy) {
        RW_TRY(rw_output_open(&r->copy, r->log->path, err));
        RW_TRY(rw_output_write(r->copy, r->map.data, r->end, err));
    }
    return rw_output_write(r->copy, text, n, err);
}

/* Read whole lines up to the last of the step that is resumed from. */
static rwkv_status read_lines(struct repair *r, rwkv_error *err)
{
    const uint8_t *at = r->map.data, *end = at + r->map.size, *newline;
    for (size_t number = 1; at < end && (newline = memchr(at, '\n', (size_t)(end - at)));
         number++) {
        size_t n = (size_t)(newline - at);
        enum line kind = read_line(r, at, n);
        if (kind == LINE_LATER)
            break;
        RW_TRY(kind == LINE_BAD ? leave_out(r, number, at, n, err) : keep(r, at, n + 1, err));
        at = newline + 1;
    }
    return RWKV_OK;
}

static void tell(const struct repair *r)
{
    rwkv_error more;
    if (r->bad > 0)
        r->options->note(r->options->user, r->first.message);
    if (r->bad > 1) {
        rw_fail(&more, RWKV_ERROR_FORMAT, "%s: so are %zu lines after it", r->log->path,
                r->bad - 1);
        r->options->note(r->options->user, more.message);
    }
}

/* Leave in log.jsonl what belongs there. */
static rwkv_status repair(struct rw_log *log, const struct rw_log_options *options, rwkv_error *err)
{
    struct repair r = {.log = log, .options = options};
    rwkv_status status = RWKV_OK;
    if (options->resume_step > 0 && access(log->path, F_OK) == 0) {
        RW_TRY(rw_map_open(&r.map, log->path, err));
        status = read_lines(&r, err);
        rw_map_close(&r.map);
    }
    if (status == RWKV_OK && options->note)
        tell(&r);
    if (status != RWKV_OK)
        rw_output_discard(r.copy);
    else if (r.copy)
        status = rw_output_commit(r.copy, err);
    else if (truncate(log->path, (off_t)r.end) != 0 && errno != ENOENT)
        status = rw_fail(err, RWKV_ERROR_IO, "%s: cannot cut to %zu bytes: %s", log->path, r.end,
                         strerror(errno));
    return status;
}

/* --- opening ---------------------------------------------------------------------------------- */

static char *path_in(const char *folder, const char *name)
{
    struct rw_str path = {0};
    rw_str_printf(&path, "%s/%s", folder, name);
    return rw_str_take(&path);
}

static void free_log(struct rw_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    rw_log_events_close(&log->events);
    rw_log_report_fini(&log->report);
    rw_str_fini(&log->line);
    rw_free(log->path);
    rw_free(log->report_path);
    rw_free(log);
}

static rwkv_status open_files(struct rw_log *log, const struct rw_log_options *options,
                              rwkv_error *err)
{
    log->path = path_in(options->folder, "log.jsonl");
    log->report_path = path_in(options->folder, "report.html");
    log->report.title = rw_strdup(options->title);
    log->report.summary = rw_strdup(options->summary ? options->summary : "");
    if (!log->path || !log->report_path || !log->report.title || !log->report.summary)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a log", options->folder);
    RW_TRY(repair(log, options, err));
    log->fd = open(log->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (log->fd < 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot open: %s", log->path, strerror(errno));
    RW_TRY(rw_log_events_open(&log->events, options->folder, options->time,
                              options->resume_step + 1, err));
    rw_folder_sync_path(options->folder);
    return RWKV_OK;
}

rwkv_status rw_log_open(struct rw_log **out, const struct rw_log_options *options, rwkv_error *err)
{
    struct rw_log *log = rw_calloc(1, sizeof *log);
    if (!log)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a log", options->folder);
    log->fd = log->events.fd = -1;
    log->report.total_steps = options->total_steps;
    log->report_seconds = options->report_seconds;
    log->reported = options->time;
    rwkv_status status = open_files(log, options, err);
    if (status != RWKV_OK)
        free_log(log);
    else
        *out = log;
    return status;
}

/* --- keeping ---------------------------------------------------------------------------------- */

static rwkv_status write_report(struct rw_log *log, enum rw_run_state state, rwkv_error *err)
{
    struct rw_str page = {0};
    struct rw_output *output;
    rw_log_report_html(&log->report, state, &page);
    rwkv_status status = page.failed
                             ? rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory", log->report_path)
                             : rw_output_open(&output, log->report_path, err);
    if (status == RWKV_OK) {
        status = rw_output_write(output, page.data, page.size, err);
        if (status == RWKV_OK)
            status = rw_output_commit(output, err);
        else
            rw_output_discard(output);
    }
    rw_str_fini(&page);
    return status;
}

static rwkv_status report_if_due(struct rw_log *log, double time, rwkv_error *err)
{
    if (log->report_seconds <= 0 || time - log->reported < log->report_seconds)
        return RWKV_OK;
    log->reported = time;
    return write_report(log, RW_RUN_GOING, err);
}

static rwkv_status add_numbers(struct rw_log *log, const char *kind, uint64_t step, double time,
                               const struct rw_log_field *fields, size_t n, rwkv_error *err)
{
    RW_TRY(add_line(log, kind, step, fields, n, err));
    RW_TRY(rw_log_events_scalars(&log->events, time, step, fields, n, err));
    return report_if_due(log, time, err);
}

rwkv_status rw_log_step(struct rw_log *log, const struct rw_log_step *record, rwkv_error *err)
{
    struct rw_log_field fields[STEP_FIELDS];
    step_fields(record, fields);
    rw_log_report_step(&log->report, record);
    return add_numbers(log, "step", record->step, record->time, fields, STEP_FIELDS, err);
}

rwkv_status rw_log_validation(struct rw_log *log, const struct rw_log_validation *record,
                              rwkv_error *err)
{
    struct rw_log_field fields[VALIDATION_FIELDS];
    validation_fields(record, fields);
    rw_log_report_validation(&log->report, record);
    RW_TRY(
        add_numbers(log, "validation", record->step, record->time, fields, VALIDATION_FIELDS, err));
    log->validated = record->step;
    return RWKV_OK;
}

rwkv_status rw_log_sample(struct rw_log *log, const struct rw_log_sample *record, rwkv_error *err)
{
    rw_log_report_sample(&log->report, record);
    begin_line(log, "sample", record->step);
    rw_str_adds(&log->line, ", \"text\": \"");
    rw_str_add_json(&log->line, record->text, record->size);
    rw_str_adds(&log->line, "\"");
    add_field(log, &(struct rw_log_field){"seconds", NULL, record->seconds});
    add_field(log, &(struct rw_log_field){"time", NULL, record->time});
    RW_TRY(end_line(log, err));
    log->sampled = record->step;
    RW_TRY(rw_log_events_text(&log->events, record->time, record->step, "sample", record->text,
                              record->size, err));
    return report_if_due(log, record->time, err);
}

bool rw_log_has_validation(const struct rw_log *log, uint64_t step)
{
    return log->validated == step;
}

bool rw_log_has_sample(const struct rw_log *log, uint64_t step)
{
    return log->sampled == step;
}

rwkv_status rw_log_sync(struct rw_log *log, rwkv_error *err)
{
    if (fdatasync(log->fd) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot write: %s", log->path, strerror(errno));
    return RWKV_OK;
}

rwkv_status rw_log_close(struct rw_log *log, bool finished, rwkv_error *err)
{
    if (!log)
        return RWKV_OK;
    rwkv_status status = rw_log_sync(log, err);
    if (status == RWKV_OK)
        status = write_report(log, finished ? RW_RUN_FINISHED : RW_RUN_PAUSED, err);
    free_log(log);
    return status;
}
