/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/output.h"
#include "base/status.h"
#include "say.h"
#include "toml.h"
#include "train.h"

static const char *const schedules[] = {"cosine", "linear", "constant", "wsd", NULL};
static const char *const orders[] = {"official", "shuffled", NULL};
static const char *const on_nans[] = {"stop", "skip", NULL};
static const char *const precisions[] = {"f32", "bf16", NULL};
static const char *const export_types[] = {"f32", "bf16", "f16", NULL};

/* Options that are no settings of a run: they are not kept. */
static const char *const passing[] = {"out", "resume", "plan", "json", "quiet", "print-every"};
/* Settings that are names of files. */
static const char *const paths[] = {"model", "vocab", "data", "validation"};

static bool is_among(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void make_table(struct rw_train *t)
{
    rwkv_train_options *o = &t->options;
    const struct rw_option table[] = {
        {"out", 'o', RW_OPTION_TEXT, &t->out},
        {"resume", 0, RW_OPTION_TEXT, &t->resume},
        {"model", 'm', RW_OPTION_TEXT, &o->model},
        {"layers", 0, RW_OPTION_SIZE, &o->n_layer, 0, 1024},
        {"embd", 0, RW_OPTION_SIZE, &o->n_embd, 0, 65536},
        {"vocab-size", 0, RW_OPTION_SIZE, &o->n_vocab, 0, 1 << 20},
        {"head-size", 0, RW_OPTION_SIZE, &o->head_size, 0, 512},
        {"ffn", 0, RW_OPTION_SIZE, &o->n_ffn, 0, 1 << 20},
        {"vocab", 0, RW_OPTION_TEXT, &o->vocab},
        {"seed", 0, RW_OPTION_U64, &o->seed},
        {"data", 0, RW_OPTION_TEXT, &o->data},
        {"held-out", 0, RW_OPTION_REAL, &o->held_out, 0, 0.999},
        {"validation", 0, RW_OPTION_TEXT, &o->validation},
        {"answers-only", 0, RW_OPTION_FLAG, &t->answers_only},
        {"order", 0, RW_OPTION_CHOICE, &t->order, .choices = orders},
        {"ctx", 0, RW_OPTION_SIZE, &o->context, 1, 1 << 20},
        {"batch", 'b', RW_OPTION_SIZE, &o->batch, 1, 1 << 20},
        {"accumulate", 0, RW_OPTION_SIZE, &o->accumulate, 1, 1 << 20},
        {"steps", 0, RW_OPTION_U64, &o->steps},
        {"tokens", 0, RW_OPTION_U64, &o->tokens},
        {"epochs", 0, RW_OPTION_REAL, &o->epochs, 0, 1e9},
        {"schedule", 0, RW_OPTION_CHOICE, &t->schedule, .choices = schedules},
        {"lr", 0, RW_OPTION_REAL, &o->learning_rate, 0, 1e30},
        {"lr-final", 0, RW_OPTION_REAL, &o->learning_rate_final, 0, 1e30},
        {"warmup", 0, RW_OPTION_U64, &o->warmup},
        {"decay-steps", 0, RW_OPTION_U64, &o->decay_steps},
        {"beta1", 0, RW_OPTION_REAL, &o->beta1, 0, 0.999999},
        {"beta2", 0, RW_OPTION_REAL, &o->beta2, 0, 0.999999},
        {"eps", 0, RW_OPTION_REAL, &o->eps, 1e-37, 1},
        {"weight-decay", 0, RW_OPTION_REAL, &o->weight_decay, 0, 1e6},
        {"clip", 0, RW_OPTION_REAL, &o->clip, 0, 1e30},
        {"l2wrap", 0, RW_OPTION_REAL, &o->l2wrap, 0, 1},
        {"on-nan", 0, RW_OPTION_CHOICE, &t->on_nan, .choices = on_nans},
        {"precision", 0, RW_OPTION_CHOICE, &t->precision, .choices = precisions},
        {"grad-checkpoint", 0, RW_OPTION_FLAG, &t->grad_checkpoint},
        {"threads", 't', RW_OPTION_INT, &o->threads, 0, 256},
        {"cpu", 0, RW_OPTION_TEXT, &o->cpu},
        {"memory-limit", 0, RW_OPTION_BYTES, &o->memory_limit},
        {"checkpoint-every", 0, RW_OPTION_U64, &o->checkpoint_every},
        {"keep", 0, RW_OPTION_SIZE, &o->keep},
        {"validate-every", 0, RW_OPTION_U64, &o->validate_every},
        {"validate-windows", 0, RW_OPTION_SIZE, &o->validate_windows},
        {"sample-every", 0, RW_OPTION_U64, &o->sample_every},
        {"prompt", 0, RW_OPTION_TEXT, &o->prompt},
        {"sample-tokens", 0, RW_OPTION_SIZE, &o->sample_tokens},
        {"export", 0, RW_OPTION_TEXT, &o->exports},
        {"export-every", 0, RW_OPTION_U64, &o->export_every},
        {"export-type", 0, RW_OPTION_CHOICE, &t->export_type, .choices = export_types},
        {"print-every", 0, RW_OPTION_SIZE, &t->print_every, 1},
        {"plan", 0, RW_OPTION_FLAG, &t->plan},
        {"json", 0, RW_OPTION_FLAG, &t->json},
        {"quiet", 'q', RW_OPTION_FLAG, &t->quiet},
        {0}};
    _Static_assert(RW_COUNT(table) <= RW_TRAIN_OPTIONS, "RW_TRAIN_OPTIONS is too small");
    memcpy(t->table, table, sizeof table);
    for (size_t i = 0; i < RW_COUNT(table); i++)
        t->table[i].given = &t->given[i];
}

static void set_defaults(struct rw_train *t)
{
    rwkv_train_defaults(&t->options);
    t->out = t->resume = NULL;
    t->schedule = t->order = t->on_nan = t->precision = t->export_type = 0;
    t->answers_only = t->grad_checkpoint = t->plan = t->json = t->quiet = false;
    t->print_every = 10;
    memset(t->given, 0, sizeof t->given);
}

void rw_train_init(struct rw_train *t)
{
    *t = (struct rw_train){0};
    set_defaults(t);
    make_table(t);
}

void rw_train_fini(struct rw_train *t)
{
    for (size_t i = 0; i < t->n_strings; i++)
        rw_str_fini(&t->strings[i]);
    rw_str_fini(&t->settings);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A setting of the file: texts are kept, as options only borrow them. */
static rwkv_status set(void *user, const char *name, const char *value, rwkv_error *err)
{
    struct rw_train *t = user;
    const struct rw_option *o = t->table;
    while (o->name && strcmp(o->name, name) != 0)
        o++;
    if (o->name && is_among(name, passing, RW_COUNT(passing)))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "'%s' is for the command line only", name);
    if (o->name && *o->given)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "'%s' stands here twice", name);
    if (o->name && o->kind == RW_OPTION_TEXT) {
        struct rw_str *kept = &t->strings[t->n_strings++];
        rw_str_adds(kept, value);
        if (kept->failed)
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory");
        value = kept->data ? kept->data : "";
    }
    return rw_option_set(t->table, name, value, err);
}

static bool *given(struct rw_train *t, const char *name)
{
    size_t i = 0;
    while (strcmp(t->table[i].name, name) != 0)
        i++;
    return &t->given[i];
}

/* A length on the command line replaces that of the file. */
static void settle_lengths(struct rw_train *t)
{
    bool steps = *given(t, "steps"), tokens = *given(t, "tokens"), epochs = *given(t, "epochs");
    if (!steps && !tokens && !epochs)
        return;
    t->options.steps = steps ? t->options.steps : 0;
    t->options.tokens = tokens ? t->options.tokens : 0;
    t->options.epochs = epochs ? t->options.epochs : 0;
}

static rwkv_status read_file(struct rw_train *t, const char *config, const char *resume,
                             rwkv_error *err)
{
    struct rw_str path = {0};
    if (config)
        return rw_toml_read(config, set, t, err);
    rw_str_printf(&path, "%s/config.toml", resume);
    rwkv_status status = path.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory")
                                     : rw_toml_read(path.data, set, t, err);
    rw_str_fini(&path);
    return status;
}

/* The settings of a run name its data and vocabulary by their whole paths. */
static rwkv_status check_place(struct rw_train *t, const char *name, const char *path,
                               const char *ending, rwkv_error *err)
{
    struct rw_str file = {0};
    rwkv_status status = RWKV_OK;
    if (!path || strcmp(path, "bytes") == 0 || *given(t, name))
        return RWKV_OK;
    rw_str_printf(&file, "%s%s", path, ending);
    if (!file.failed && access(file.data, F_OK) != 0)
        status =
            rw_fail(err, RWKV_ERROR_IO,
                    "%s: %s; where it is now can be said by --%s (%s/config.toml has its place "
                    "when the run was last started)",
                    file.data, strerror(errno), name, t->resume);
    rw_str_fini(&file);
    return status;
}

static rwkv_status check_places(struct rw_train *t, rwkv_error *err)
{
    if (!t->resume)
        return RWKV_OK;
    RW_TRY(check_place(t, "data", t->options.data, ".idx", err));
    RW_TRY(check_place(t, "validation", t->options.validation, ".idx", err));
    return check_place(t, "vocab", t->options.vocab, "", err);
}

static void finish(struct rw_train *t)
{
    static const rwkv_dtype types[] = {RWKV_DTYPE_F32, RWKV_DTYPE_BF16, RWKV_DTYPE_F16};
    rwkv_train_options *o = &t->options;
    o->folder = t->resume ? t->resume : t->out;
    o->resume = t->resume != NULL;
    o->schedule = (rwkv_train_schedule)t->schedule;
    o->order = (rwkv_train_order)t->order;
    o->on_nan = (rwkv_on_nan)t->on_nan;
    o->precision = (rwkv_precision)t->precision;
    o->checkpoint = t->grad_checkpoint;
    o->answers_only = t->answers_only;
    o->export_dtype = types[t->export_type];
}

static rwkv_status check(const struct rw_train *t, const char *config, rwkv_error *err)
{
    if (t->resume && t->out)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "--resume goes on in the folder it names: wanted "
                       "no --out with it");
    if (t->resume && config)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "--resume reads the settings in its folder: "
                       "wanted no other file, found '%s'",
                       config);
    if (!t->resume && !t->out)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted --out or --resume");
    return RWKV_OK;
}

int rw_train_read(struct rw_train *t, int argc, char **argv)
{
    struct rw_operands operands = {.wanted = "one file of settings", .max = 1};
    rwkv_error err = {0};
    rwkv_status done = RWKV_OK;
    char **copy = rw_calloc((size_t)argc + 1, sizeof *copy);
    if (!copy) {
        rw_fail(&err, RWKV_ERROR_MEMORY, "no memory");
        return rw_complain(&err);
    }
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    int status = rw_options_read("train", t->table, argc, argv, &operands);
    const char *config = operands.count ? operands.list[0] : NULL, *resume = t->resume;
    if (status == RW_OPTIONS_READ && check(t, config, &err) != RWKV_OK)
        status = rw_complain_usage("train", &err);
    if (status == RW_OPTIONS_READ) {
        set_defaults(t);
        if (config || resume)
            done = read_file(t, config, resume, &err);
        if (done != RWKV_OK)
            status = rw_complain(&err);
    }
    if (status == RW_OPTIONS_READ) {
        memset(t->given, 0, sizeof t->given);
        status = rw_options_read("train", t->table, argc, copy, &operands);
        settle_lengths(t);
    }
    if (status == RW_OPTIONS_READ && check_places(t, &err) != RWKV_OK)
        status = rw_complain(&err);
    finish(t);
    rw_free(copy);
    return status;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void add_path(struct rw_str *to, const char *path)
{
    char folder[PATH_MAX];
    struct rw_str whole = {0};
    bool file = path[0] != '/' && strcmp(path, "bytes") != 0;
    if (file && getcwd(folder, sizeof folder))
        rw_str_printf(&whole, "%s/%s", folder, path);
    else
        rw_str_adds(&whole, path);
    rw_toml_add_string(to, whole.data ? whole.data : "");
    to->failed = to->failed || whole.failed;
    rw_str_fini(&whole);
}

static void add_real(struct rw_str *to, double x)
{
    char text[40];
    int digits = 1;
    do
        snprintf(text, sizeof text, "%.*g", digits++, x);
    while (strtod(text, NULL) != x && digits < 18);
    rw_str_adds(to, text);
}

/* The value of an option as a file has it; false: it is not set. */
static bool add_value(struct rw_str *to, const struct rw_option *o)
{
    const char *text = NULL;
    switch (o->kind) {
    case RW_OPTION_FLAG:
        rw_str_adds(to, *(bool *)o->to ? "true" : "false");
        return true;
    case RW_OPTION_TEXT:
        text = *(const char **)o->to;
        if (text && is_among(o->name, paths, RW_COUNT(paths)))
            add_path(to, text);
        else if (text)
            rw_toml_add_string(to, text);
        return text != NULL;
    case RW_OPTION_INT:
        rw_str_printf(to, "%d", *(int *)o->to);
        return true;
    case RW_OPTION_SIZE:
        rw_str_printf(to, "%zu", *(size_t *)o->to);
        return true;
    case RW_OPTION_U64:
    case RW_OPTION_BYTES:
        rw_str_printf(to, "%llu", (unsigned long long)*(uint64_t *)o->to);
        return true;
    case RW_OPTION_REAL:
        add_real(to, *(double *)o->to);
        return true;
    case RW_OPTION_CHOICE:
        rw_toml_add_string(to, o->choices[*(int *)o->to]);
        return true;
    case RW_OPTION_FLOAT:
    case RW_OPTION_CALL:
        break;
    }
    return false;
}

rwkv_status rw_train_render(struct rw_train *t, rwkv_error *err)
{
    rw_str_reset(&t->settings);
    rw_str_adds(&t->settings, "# The settings of this run; `rwkv train --resume` reads them.\n");
    for (const struct rw_option *o = t->table; o->name; o++) {
        size_t start = t->settings.size;
        if (is_among(o->name, passing, RW_COUNT(passing)))
            continue;
        rw_str_printf(&t->settings, "%s = ", o->name);
        if (!add_value(&t->settings, o) && !t->settings.failed)
            t->settings.data[t->settings.size = start] = 0;
        else
            rw_str_addc(&t->settings, '\n');
    }
    return t->settings.failed ? rw_fail(err, RWKV_ERROR_MEMORY, "no memory") : RWKV_OK;
}

rwkv_status rw_train_keep(const struct rw_train *t, rwkv_error *err)
{
    struct rw_str path = {0};
    struct rw_output *o = NULL;
    rwkv_status status;
    RW_TRY(rw_folder_make(t->options.folder, err));
    rw_str_printf(&path, "%s/config.toml", t->options.folder);
    if (path.failed)
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory"));
    RW_GO(rw_output_open(&o, path.data, err));
    RW_GO(rw_output_write(o, t->settings.data, t->settings.size, err));
    status = rw_output_commit(o, err);
    o = NULL;
done:
    rw_output_discard(o);
    rw_str_fini(&path);
    return status;
}
