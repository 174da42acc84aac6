/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/str.h"
#include "commands.h"
#include "say.h"

/* --- values ----------------------------------------------------------------------------------- */

bool rw_parse_u64(const char *text, uint64_t *out)
{
    uint64_t n = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
            return false;
    }
    *out = n;
    return true;
}

static rwkv_status parse_whole(const struct rw_option *o, const char *value, uint64_t limit,
                               uint64_t *out, rwkv_error *err)
{
    uint64_t max = o->max > 0 ? (uint64_t)o->max : limit;
    if (rw_parse_u64(value, out) && *out >= (uint64_t)o->min && *out <= max)
        return RWKV_OK;
    if (o->max > 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "wanted a whole number from %.0f to %.0f, found '%s'", o->min, o->max,
                       value);
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "wanted a whole number from %.0f up to %llu, found '%s'", o->min,
                   (unsigned long long)limit, value);
}

static rwkv_status parse_real(const struct rw_option *o, const char *value, double *out,
                              rwkv_error *err)
{
    char *end = NULL;
    double x = strtod(value, &end);
    bool number = end != value && !*end && strchr("+-.0123456789", value[0]);
    if (!number || !(x >= o->min && x <= o->max))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted a number from %g to %g, found '%s'",
                       o->min, o->max, value);
    *out = x;
    return RWKV_OK;
}

static rwkv_status parse_bytes(const char *value, uint64_t *out, rwkv_error *err)
{
    static const char units[] = "KMGT";
    size_t n = strlen(value);
    unsigned shift = 0;
    const char *unit = n ? strchr(units, value[n - 1] & ~0x20) : NULL;
    char digits[32];
    if (unit && *unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        n--;
    }
    uint64_t number = 0;
    if (n < sizeof digits) {
        memcpy(digits, value, n);
        digits[n] = 0;
        if (rw_parse_u64(digits, &number) && number <= UINT64_MAX >> shift) {
            *out = number << shift;
            return RWKV_OK;
        }
    }
    return rw_fail(err, RWKV_ERROR_ARGUMENT,
                   "wanted a number of bytes such as 500M or 4G, found '%s'", value);
}

static rwkv_status parse_choice(const struct rw_option *o, const char *value, int *out,
                                rwkv_error *err)
{
    struct rw_str all = {0};
    for (int i = 0; o->choices[i]; i++)
        if (strcmp(o->choices[i], value) == 0) {
            *out = i;
            return RWKV_OK;
        }
    for (int i = 0; o->choices[i]; i++)
        rw_str_printf(&all, "%s%s", i == 0 ? "" : o->choices[i + 1] ? ", " : " or ", o->choices[i]);
    rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted %s, found '%s'", all.data ? all.data : "", value);
    rw_str_fini(&all);
    return RWKV_ERROR_ARGUMENT;
}

static rwkv_status parse_value(const struct rw_option *o, const char *value, rwkv_error *err)
{
    uint64_t n = 0;
    double real = 0;
    switch (o->kind) {
    case RW_OPTION_FLAG:
        if (value && strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted on or off, found '%s'", value);
        *(bool *)o->to = !value || strcmp(value, "on") == 0;
        break;
    case RW_OPTION_TEXT:
        *(const char **)o->to = value;
        break;
    case RW_OPTION_INT:
        RW_TRY(parse_whole(o, value, INT32_MAX, &n, err));
        *(int *)o->to = (int)n;
        break;
    case RW_OPTION_SIZE:
        RW_TRY(parse_whole(o, value, SIZE_MAX, &n, err));
        *(size_t *)o->to = (size_t)n;
        break;
    case RW_OPTION_U64:
        RW_TRY(parse_whole(o, value, UINT64_MAX, o->to, err));
        break;
    case RW_OPTION_BYTES:
        RW_TRY(parse_bytes(value, o->to, err));
        break;
    case RW_OPTION_FLOAT:
        RW_TRY(parse_real(o, value, &real, err));
        *(float *)o->to = (float)real;
        break;
    case RW_OPTION_REAL:
        RW_TRY(parse_real(o, value, o->to, err));
        break;
    case RW_OPTION_CHOICE:
        RW_TRY(parse_choice(o, value, o->to, err));
        break;
    case RW_OPTION_CALL:
        RW_TRY(o->parse(o->to, value, err));
        break;
    }
    if (o->given)
        *o->given = true;
    return RWKV_OK;
}

/* --- suggestions ------------------------------------------------------------------------------ */

#define SUGGEST_MAX 32 /* longer words are not compared */

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b. */
static size_t edits(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t d[SUGGEST_MAX + 1][SUGGEST_MAX + 1];
    if (n > SUGGEST_MAX || m > SUGGEST_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = RW_MIN(best, RW_MIN(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = RW_MIN(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    return d[n][m];
}

const char *rw_suggest(const char *typed, const char *const *names)
{
    const char *best = NULL;
    size_t best_edits = strlen(typed) / 3 + 1; /* so many would be guessing */
    for (; *names; names++) {
        size_t n = strlen(typed) >= 2 && rw_has_prefix(*names, typed) ? 0 : edits(typed, *names);
        if (n < best_edits && n < strlen(*names)) {
            best = *names;
            best_edits = n;
        }
    }
    return best;
}

static rwkv_status fail_unknown(const struct rw_option *options, const char *typed,
                                const char *dashes, rwkv_error *err)
{
    const char *names[128] = {"help"};
    size_t n = 1;
    for (; options->name && n + 1 < RW_COUNT(names); options++)
        names[n++] = options->name;
    const char *meant = rw_suggest(typed, names);
    if (meant)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "unknown option '%s%s': did you mean '%s%s'?",
                       dashes, typed, dashes, meant);
    return rw_fail(err, RWKV_ERROR_ARGUMENT, "unknown option '%s%s'", dashes, typed);
}

/* --- the command line ------------------------------------------------------------------------- */

/* The arguments still to be read. */
struct line {
    const struct rw_option *options;
    char **argv;
    int argc;
    int at;
    bool help;
};

static const struct rw_option help_option = {"help", 'h', RW_OPTION_FLAG, NULL};

static const struct rw_option *find_long(const struct rw_option *options, const char *name,
                                         size_t n)
{
    for (; options->name; options++)
        if (strlen(options->name) == n && memcmp(options->name, name, n) == 0)
            return options;
    return n == 4 && memcmp(name, "help", 4) == 0 ? &help_option : NULL;
}

static const struct rw_option *find_short(const struct rw_option *options, char letter)
{
    for (; options->name; options++)
        if (options->letter == letter)
            return options;
    return letter == 'h' ? &help_option : NULL;
}

/* Take the option's value, `inside` its argument or the next one, and store it. */
static rwkv_status take(struct line *line, const struct rw_option *o, const char *shown,
                        int shown_n, const char *inside, rwkv_error *err)
{
    const char *value = inside;
    if (o == &help_option) {
        line->help = true;
        return RWKV_OK;
    }
    if (o->kind != RW_OPTION_FLAG && !value) {
        if (line->at == line->argc)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "option '%.*s' needs a value", shown_n, shown);
        value = line->argv[line->at++];
    }
    rwkv_status status = parse_value(o, value, err);
    return status ? rw_fail_within(err, status, "option '%.*s'", shown_n, shown) : RWKV_OK;
}

static rwkv_status read_long(struct line *line, const char *arg, rwkv_error *err)
{
    const char *name = arg + 2;
    const char *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const struct rw_option *o = find_long(line->options, name, n);
    if (!o) {
        char typed[128];
        size_t shown = RW_MIN(n, sizeof typed - 1);
        memcpy(typed, name, shown);
        typed[shown] = 0;
        return fail_unknown(line->options, typed, "--", err);
    }
    if (equals && o->kind == RW_OPTION_FLAG)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "option '--%s' takes no value", o->name);
    return take(line, o, arg, (int)n + 2, equals ? equals + 1 : NULL, err);
}

static rwkv_status read_short(struct line *line, const char *arg, rwkv_error *err)
{
    for (const char *c = arg + 1; *c; c++) {
        const struct rw_option *o = find_short(line->options, *c);
        char shown[3] = {'-', *c, 0};
        if (!o)
            return rw_fail(err, RWKV_ERROR_ARGUMENT, "unknown option '-%c'", *c);
        if (o->kind != RW_OPTION_FLAG)
            return take(line, o, shown, 2, c[1] ? c + 1 : NULL, err);
        RW_TRY(take(line, o, shown, 2, NULL, err));
    }
    return RWKV_OK;
}

/* Read everything; operands are gathered at the front of argv. */
static rwkv_status read_line(struct line *line, struct rw_operands *operands, rwkv_error *err)
{
    bool only_operands = false;
    operands->list = line->argv + 1;
    operands->count = 0;
    while (line->at < line->argc) {
        char *arg = line->argv[line->at++];
        if (only_operands || arg[0] != '-' || !arg[1])
            operands->list[operands->count++] = arg;
        else if (strcmp(arg, "--") == 0)
            only_operands = true;
        else if (arg[1] == '-')
            RW_TRY(read_long(line, arg, err));
        else
            RW_TRY(read_short(line, arg, err));
    }
    return RWKV_OK;
}

static rwkv_status check_operands(const struct rw_operands *o, rwkv_error *err)
{
    if (o->count >= o->min && o->count <= o->max)
        return RWKV_OK;
    if (o->max == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted only options, found '%s'", o->list[0]);
    if (o->count < o->min)
        return o->count == 0
                   ? rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted %s, found nothing", o->wanted)
                   : rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted %s, found only '%s'", o->wanted,
                             o->list[0]);
    return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted only %s, found one more: '%s'", o->wanted,
                   o->list[o->max]);
}

int rw_options_read(const char *command, const struct rw_option *options, int argc, char **argv,
                    struct rw_operands *operands)
{
    rwkv_error err;
    struct line line = {options, argv, argc, 1, false};
    rwkv_status status = read_line(&line, operands, &err);
    if (status == RWKV_OK && line.help)
        return rw_help_page(command);
    if (status == RWKV_OK)
        status = check_operands(operands, &err);
    return status == RWKV_OK ? RW_OPTIONS_READ : rw_complain_usage(command, &err);
}

rwkv_status rw_option_set(const struct rw_option *options, const char *name, const char *value,
                          rwkv_error *err)
{
    const struct rw_option *o = find_long(options, name, strlen(name));
    if (!o || o == &help_option)
        return fail_unknown(options, name, "", err);
    if (!value && o->kind != RW_OPTION_FLAG)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "'%s' needs a value", name);
    rwkv_status status = parse_value(o, value, err);
    return status ? rw_fail_within(err, status, "'%s'", name) : RWKV_OK;
}
