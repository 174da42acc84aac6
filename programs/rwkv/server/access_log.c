/* SPDX-License-Identifier: Apache-2.0 */
#include "server/access_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "server/call.h"

struct rw_access_log {
    struct rw_access_log_options options;
    FILE *file;
};

rwkv_status rw_access_log_new(const struct rw_access_log_options *options,
                              struct rw_access_log **out, rwkv_error *err)
{
    struct rw_access_log *log = rw_calloc(1, sizeof *log);
    if (!log)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a log");
    log->options = *options;
    log->file = options->file ? fopen(options->file, "ae") : stderr;
    if (!log->file) {
        rw_free(log);
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot be written: %s", options->file,
                       strerror(errno));
    }
    setvbuf(log->file, NULL, _IOLBF, 0);
    *out = log;
    return RWKV_OK;
}

void rw_access_log_free(struct rw_access_log *log)
{
    if (log && log->options.file)
        fclose(log->file);
    rw_free(log);
}

rwkv_status rw_access_log_reopen(struct rw_access_log *log, rwkv_error *err)
{
    if (!log->options.file)
        return RWKV_OK;
    FILE *file = fopen(log->options.file, "ae");
    if (!file)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot be written: %s", log->options.file,
                       strerror(errno));
    setvbuf(file, NULL, _IOLBF, 0);
    fclose(log->file);
    log->file = file;
    return RWKV_OK;
}

static void format_time(char to[40])
{
    double now = rw_env_time();
    time_t whole = (time_t)now;
    struct tm tm;
    gmtime_r(&whole, &tm);
    size_t n = strftime(to, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(to + n, 40 - n, ".%03dZ", (int)((now - (double)whole) * 1000));
}

static void put(struct rw_access_log *log, const struct rw_str *line)
{
    if (!line->failed)
        fwrite(line->data, 1, line->size, log->file);
}

/* --- requests --------------------------------------------------------------------------------- */

static void add_json(const struct rw_call *call, const char *time, struct rw_json *j)
{
    const struct rw_http_exchange *x = call->x;
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "time", time);
    rw_json_text(j, "id", call->id);
    rw_json_text(j, "peer", rw_http_peer(x));
    rw_json_text(j, "key", call->key_name ? call->key_name : "");
    rw_json_text(j, "method", rw_http_method(x));
    rw_json_text(j, "path", rw_http_path(x));
    rw_json_u64(j, "status", rw_http_status(x));
    rw_json_bool(j, "whole", rw_http_whole(x));
    rw_json_u64(j, "bytes", rw_http_sent(x));
    rw_json_real(j, "seconds", rw_env_seconds() - call->start);
    if (call->served)
        rw_json_text(j, "model", call->served->name);
    if (call->prompt_tokens || call->generated_tokens) {
        rw_json_u64(j, "prompt_tokens", call->prompt_tokens);
        rw_json_u64(j, "cached_tokens", call->cached_tokens);
        rw_json_u64(j, "generated_tokens", call->generated_tokens);
        rw_json_real(j, "queue_seconds", call->queue_seconds);
        rw_json_real(j, "first_token_seconds", call->first_token_seconds);
    }
    if (call->finish)
        rw_json_text(j, "finish", call->finish);
    if (!call->is_aside && call->error.status)
        rw_json_text(j, "error", call->error.message);
    if (call->request)
        rw_json_bytes(j, "request", call->request, call->size);
    rw_json_close(j);
    rw_str_addc(&j->text, '\n');
}

static void add_text(const struct rw_call *call, const char *time, struct rw_str *line)
{
    const struct rw_http_exchange *x = call->x;
    rw_str_printf(line, "%s %s %s %s \"%s ", time, call->id, rw_http_peer(x),
                  call->key_name && *call->key_name ? call->key_name : "-", rw_http_method(x));
    rw_str_add_json(line, rw_http_path(x), strlen(rw_http_path(x)));
    rw_str_printf(line, "\" %u%s %.3f s", rw_http_status(x), rw_http_whole(x) ? "" : " cut off",
                  rw_env_seconds() - call->start);
    if (call->prompt_tokens || call->generated_tokens)
        rw_str_printf(line, ", %zu prompt tokens (%zu cached), %zu generated", call->prompt_tokens,
                      call->cached_tokens, call->generated_tokens);
    if (call->finish)
        rw_str_printf(line, ", %s", call->finish);
    if (!call->is_aside && call->error.status) {
        rw_str_adds(line, ": ");
        rw_str_add_json(line, call->error.message, strlen(call->error.message));
    }
    rw_str_addc(line, '\n');
    if (!call->request)
        return;
    rw_str_printf(line, "%s request \"", call->id);
    rw_str_add_json(line, call->request, call->size);
    rw_str_adds(line, "\"\n");
}

void rw_access_log_call(struct rw_access_log *log, const struct rw_call *call)
{
    char time[40];
    struct rw_json j = {0};
    if (log->options.form == RW_LOG_OFF)
        return;
    format_time(time);
    if (log->options.form == RW_LOG_JSON)
        add_json(call, time, &j);
    else
        add_text(call, time, &j.text);
    put(log, &j.text);
    rw_str_fini(&j.text);
}

void rw_access_log_note(struct rw_access_log *log, const char *fmt, ...)
{
    va_list args;
    char text[600], time[40];
    struct rw_json j = {0};
    if (log->options.form == RW_LOG_OFF)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    format_time(time);
    if (log->options.form == RW_LOG_JSON) {
        rw_json_open(&j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_text(&j, "time", time);
        rw_json_text(&j, "note", text);
        rw_json_close(&j);
        rw_str_addc(&j.text, '\n');
    } else {
        rw_str_printf(&j.text, "%s %s\n", time, text);
    }
    put(log, &j.text);
    rw_str_fini(&j.text);
}
