/* SPDX-License-Identifier: Apache-2.0 */
#include "json_out.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "say.h"

static void new_line(struct rw_json *j)
{
    rw_str_addc(&j->text, '\n');
    for (unsigned i = 0; i < j->depth; i++)
        rw_str_adds(&j->text, "  ");
}

/* What stands before a value: separator, line break, key. */
static void begin(struct rw_json *j, const char *key)
{
    if (j->depth == 0)
        return;
    bool lines = j->level[j->depth - 1].form == RW_JSON_LINES;
    if (j->level[j->depth - 1].filled)
        rw_str_adds(&j->text, lines ? "," : ", ");
    if (lines)
        new_line(j);
    j->level[j->depth - 1].filled = true;
    if (!key)
        return;
    rw_str_addc(&j->text, '"');
    rw_str_add_json(&j->text, key, strlen(key));
    rw_str_adds(&j->text, "\": ");
}

void rw_json_open(struct rw_json *j, const char *key, enum rw_json_container container,
                  enum rw_json_form form)
{
    assert(j->depth < RW_JSON_DEPTH);
    begin(j, key);
    j->level[j->depth].container = container;
    j->level[j->depth].form = form;
    j->level[j->depth].filled = false;
    j->depth++;
    rw_str_addc(&j->text, container == RW_JSON_OBJECT ? '{' : '[');
}

void rw_json_close(struct rw_json *j)
{
    assert(j->depth > 0);
    j->depth--;
    if (j->level[j->depth].form == RW_JSON_LINES && j->level[j->depth].filled)
        new_line(j);
    rw_str_addc(&j->text, j->level[j->depth].container == RW_JSON_OBJECT ? '}' : ']');
}

void rw_json_bytes(struct rw_json *j, const char *key, const char *bytes, size_t n)
{
    begin(j, key);
    rw_str_addc(&j->text, '"');
    rw_str_add_json(&j->text, bytes, n);
    rw_str_addc(&j->text, '"');
}

void rw_json_text(struct rw_json *j, const char *key, const char *text)
{
    rw_json_bytes(j, key, text, strlen(text));
}

void rw_json_u64(struct rw_json *j, const char *key, uint64_t value)
{
    begin(j, key);
    rw_str_printf(&j->text, "%llu", (unsigned long long)value);
}

void rw_json_bool(struct rw_json *j, const char *key, bool value)
{
    begin(j, key);
    rw_str_adds(&j->text, value ? "true" : "false");
}

void rw_json_real(struct rw_json *j, const char *key, double value)
{
    begin(j, key);
    if (isfinite(value))
        rw_str_printf(&j->text, "%.9g", value);
    else
        rw_str_adds(&j->text, "null");
}

void rw_json_null(struct rw_json *j, const char *key)
{
    begin(j, key);
    rw_str_adds(&j->text, "null");
}

void rw_json_raw(struct rw_json *j, const char *key, const char *json, size_t n)
{
    begin(j, key);
    size_t start = j->text.size;
    rw_str_add(&j->text, json, n);
    for (size_t i = start; i < j->text.size; i++)
        if (j->text.data[i] == '\n' || j->text.data[i] == '\r')
            j->text.data[i] = ' ';
}

rwkv_status rw_json_print(struct rw_json *j, rwkv_error *err)
{
    rwkv_status status = RWKV_OK;
    assert(j->depth == 0);
    if (j->text.failed)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the JSON text");
    else
        rw_outf("%s\n", j->text.data);
    rw_str_fini(&j->text);
    return status;
}
