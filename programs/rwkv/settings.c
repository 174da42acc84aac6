/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <stdbool.h>
#include <string.h>

#include "base/env.h"
#include "base/status.h"
#include "base/str.h"
#include "say.h"
#include "toml.h"

/* Flags are said as in a file: true and false, on and off. */
static const char *flag_value(const char *value)
{
    if (strcmp(value, "true") == 0)
        return "on";
    return strcmp(value, "false") == 0 ? "off" : value;
}

rwkv_status rw_settings_from_environment(const struct rw_option *o, const char *prefix,
                                         rw_setting_fn set, void *user, rwkv_error *err)
{
    for (; o->name; o++) {
        char name[64];
        const char *value = rw_env_setting(prefix, o->name, name, sizeof name);
        if (value && o->kind == RW_OPTION_FLAG)
            value = flag_value(value);
        if (value && set(user, o->name, value, err) != RWKV_OK)
            return rw_fail_within(err, RWKV_ERROR_ARGUMENT, "%s", name);
    }
    return RWKV_OK;
}

/* Whether an option has been given a value: a number that may not be given stands for none. */
static bool has_value(const struct rw_option *o)
{
    if (o->given && !*o->given)
        return false;
    if (o->kind == RW_OPTION_INT)
        return *(const int *)o->to >= o->min;
    if (o->kind == RW_OPTION_SIZE)
        return (double)*(const size_t *)o->to >= o->min;
    return o->kind != RW_OPTION_TEXT || *(const char *const *)o->to;
}

/* What stands behind the equals sign. */
static void add_value(struct rw_str *to, const struct rw_option *o)
{
    switch (o->kind) {
    case RW_OPTION_FLAG:
        rw_str_adds(to, *(const bool *)o->to ? "true" : "false");
        break;
    case RW_OPTION_TEXT:
        rw_toml_add_string(to, *(const char *const *)o->to);
        break;
    case RW_OPTION_INT:
        rw_str_printf(to, "%d", *(const int *)o->to);
        break;
    case RW_OPTION_SIZE:
        rw_str_printf(to, "%zu", *(const size_t *)o->to);
        break;
    case RW_OPTION_U64:
    case RW_OPTION_BYTES:
        rw_str_printf(to, "%llu", (unsigned long long)*(const uint64_t *)o->to);
        break;
    case RW_OPTION_FLOAT:
        rw_str_printf(to, "%.7g", (double)*(const float *)o->to);
        break;
    case RW_OPTION_REAL:
        rw_str_printf(to, "%.15g", *(const double *)o->to);
        break;
    case RW_OPTION_CHOICE:
        rw_toml_add_string(to, o->choices[*(const int *)o->to]);
        break;
    case RW_OPTION_CALL:
        break;
    }
}

void rw_settings_print(const struct rw_option *o)
{
    struct rw_str value = {0};
    for (; o->name; o++) {
        if (o->kind == RW_OPTION_CALL)
            continue;
        rw_str_reset(&value);
        if (has_value(o))
            add_value(&value, o);
        if (value.size > 0)
            rw_outf("%s = %s\n", o->name, value.data);
        else
            rw_outf("# %s\n", o->name);
    }
    rw_str_fini(&value);
}
