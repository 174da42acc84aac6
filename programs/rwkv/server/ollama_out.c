/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ollama_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"

void rw_ollama_time(struct rw_json *j, const char *name, double seconds)
{
    char date[32], text[64];
    time_t whole = (time_t)floor(seconds);
    struct tm tm;
    gmtime_r(&whole, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%09ldZ", date, (long)((seconds - floor(seconds)) * 1e9));
    rw_json_text(j, name, text);
}

void rw_ollama_open(struct rw_json *j, const struct rw_call *call)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    rw_json_text(j, "model", call->served->name);
    rw_ollama_time(j, "created_at", rw_env_time());
}

void rw_ollama_duration(struct rw_json *j, const char *name, double seconds)
{
    rw_json_u64(j, name, (uint64_t)(fmax(seconds, 0) * 1e9));
}

/* Numbers with units, one after the other: "1h30m", "250ms", "-1s"; a number alone is seconds. */
static bool parse_duration(const char *text, double *seconds)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}};
    double sign = *text == '-' ? -1 : 1, sum = 0;
    text += *text == '-' || *text == '+';
    if (!*text)
        return false;
    while (*text) {
        char *end;
        size_t u = 0;
        if (!strchr("0123456789.", *text))
            return false;
        double number = strtod(text, &end);
        if (end == text)
            return false;
        while (u < sizeof units / sizeof units[0] &&
               strncmp(end, units[u].name, strlen(units[u].name)) != 0)
            u++;
        if (u == sizeof units / sizeof units[0] && *end)
            return false;
        sum += number * (*end ? units[u].seconds : 1);
        text = *end ? end + strlen(units[u].name) : end;
    }
    *seconds = sign * sum;
    return true;
}

void rw_ollama_read_keep_alive(struct rw_call *call)
{
    const char *text = NULL;
    struct rw_fields *f = &call->fields;
    if (!json_is_string(json_object_get(f->object, "keep_alive")))
        rw_field_real(f, "keep_alive", -1e9, 1e9, &call->keep_seconds);
    else if (rw_field_text(f, "keep_alive", 64, &text) &&
             !parse_duration(text, &call->keep_seconds))
        rw_field_fail(f, "keep_alive", "wanted a time like \"5m\", found '%s'", text);
}
