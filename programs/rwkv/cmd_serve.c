/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `rwkv serve`: docs/cli/serve.md is its contract. Settings come from the environment, then from
 * the file of --config, then from the command line; the last word counts.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "builtin.h"
#include "commands.h"
#include "open_model.h"
#include "options.h"
#include "sampling.h"
#include "say.h"
#include "server/report.h"
#include "server/server.h"
#include "settings.h"
#include "toml.h"

#define MAX_MODELS 64
#define SERVE_OPTIONS 64
#define NO_SETTINGS 2 /* options at the front of the table, --config and --check */

enum { FROM_NOWHERE, FROM_ENVIRONMENT, FROM_FILE, FROM_LINE };

static const char *const log_forms[] = {"text", "json", "off", NULL};

struct serve {
    struct rw_server_options options;
    struct rw_model_args model_args; /* how models run */
    struct rw_sampling sampling;
    struct rw_named_model named[MAX_MODELS];
    char **strings; /* [n_strings] owned texts */
    size_t n_strings, strings_capacity;
    const char *config;
    float keep_alive, head_timeout, body_timeout, stall_timeout, idle_timeout, request_timeout;
    float drain_timeout;
    int port, log_form;
    size_t max_connections;
    uint64_t max_state;
    bool share_states, lazy, quiet, no_sandbox, check;
    int source, models_source; /* where settings are read from, and where those models are from */
    struct rw_option table[SERVE_OPTIONS];
};

/* --- values ----------------------------------------------------------------------------------- */

/* Keep a text that is ours; NULL in is a failure to make it. */
static rwkv_status keep(struct serve *s, char *text, const char **out, rwkv_error *err)
{
    if (!text ||
        !rw_grow((void **)&s->strings, s->n_strings, &s->strings_capacity, sizeof *s->strings)) {
        rw_free(text);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a setting");
    }
    *out = s->strings[s->n_strings++] = text;
    return RWKV_OK;
}

/* The file's name without folder and ending. */
static char *name_after(const char *path)
{
    const char *base = rw_basename(path), *dot = strrchr(base, '.');
    return rw_strndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

/* [NAME=]FILE */
static rwkv_status parse_model(void *to, const char *value, rwkv_error *err)
{
    struct serve *s = to;
    const char *equals = strchr(value, '=');
    if (s->models_source != s->source)
        s->options.n_named = 0; /* what counts more replaces all of what counts less */
    s->models_source = s->source;
    struct rw_named_model *model = &s->named[s->options.n_named];
    if (s->options.n_named == MAX_MODELS)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted at most %d models", MAX_MODELS);
    model->path = equals ? equals + 1 : value;
    char *name = equals ? rw_strndup(value, (size_t)(equals - value)) : name_after(value);
    RW_TRY(keep(s, name, &model->name, err));
    s->options.n_named++;
    return RWKV_OK;
}

static void make_table(struct serve *s)
{
    struct rw_server_options *o = &s->options;
    const struct rw_option table[] = {
        {"config", 0, RW_OPTION_TEXT, &s->config},
        {"check", 0, RW_OPTION_FLAG, &s->check},
        {"model", 'm', RW_OPTION_CALL, s, .parse = parse_model},
        {"models", 0, RW_OPTION_TEXT, &o->models.folder},
        {"models-memory", 0, RW_OPTION_BYTES, &o->models.memory},
        {"keep-alive", 0, RW_OPTION_FLOAT, &s->keep_alive, -1, 1e9},
        {"lazy", 0, RW_OPTION_FLAG, &s->lazy},
        {"host", 0, RW_OPTION_TEXT, &o->http.host},
        {"port", 'p', RW_OPTION_INT, &s->port, 0, 65535},
        {"unix", 0, RW_OPTION_TEXT, &o->http.unix_path},
        {"tls-cert", 0, RW_OPTION_TEXT, &o->http.cert_file},
        {"tls-key", 0, RW_OPTION_TEXT, &o->http.key_file},
        {"api-key-file", 0, RW_OPTION_TEXT, &o->auth.key_file},
        {"insecure", 0, RW_OPTION_FLAG, &o->auth.insecure},
        {"allow-host", 0, RW_OPTION_TEXT, &o->auth.hosts},
        {"cors", 0, RW_OPTION_TEXT, &o->auth.origins},
        {"parallel", 0, RW_OPTION_SIZE, &o->parallel, 1, 1024},
        {"max-queue", 0, RW_OPTION_SIZE, &o->max_queue, 0, 1 << 20},
        {"max-per-key", 0, RW_OPTION_SIZE, &o->max_per_key, 0, 1 << 20},
        {"max-tokens", 'n', RW_OPTION_SIZE, &o->max_tokens, 0, RW_MAX_NEW_TOKENS},
        {"max-connections", 0, RW_OPTION_SIZE, &s->max_connections, 1, 1 << 20},
        {"max-state", 0, RW_OPTION_BYTES, &s->max_state},
        {"step-tokens", 0, RW_OPTION_SIZE, &o->models.batch.step_tokens, 0, 4096},
        {"state-cache", 0, RW_OPTION_BYTES, &o->store.memory_bytes},
        {"state-dir", 0, RW_OPTION_TEXT, &o->store.folder},
        {"state-disk", 0, RW_OPTION_BYTES, &o->store.disk_bytes},
        {"share-states", 0, RW_OPTION_FLAG, &s->share_states},
        {"no-state-cache", 0, RW_OPTION_FLAG, &o->no_store},
        {"mark-every", 0, RW_OPTION_SIZE, &o->mark_every, 1, RW_MAX_PROMPT_TOKENS},
        {"request-timeout", 0, RW_OPTION_FLOAT, &s->request_timeout, 0, 1e9},
        {"drain-timeout", 0, RW_OPTION_FLOAT, &s->drain_timeout, 0, 1e6},
        {"head-timeout", 0, RW_OPTION_FLOAT, &s->head_timeout, 0, 1e6},
        {"body-timeout", 0, RW_OPTION_FLOAT, &s->body_timeout, 0, 1e6},
        {"stall-timeout", 0, RW_OPTION_FLOAT, &s->stall_timeout, 0, 1e6},
        {"idle-timeout", 0, RW_OPTION_FLOAT, &s->idle_timeout, 0, 1e6},
        {"log", 0, RW_OPTION_CHOICE, &s->log_form, .choices = log_forms},
        {"log-file", 0, RW_OPTION_TEXT, &o->log.file},
        {"log-prompts", 0, RW_OPTION_FLAG, &o->log.prompts},
        {"no-sandbox", 0, RW_OPTION_FLAG, &s->no_sandbox},
        {"quiet", 'q', RW_OPTION_FLAG, &s->quiet},
        RW_RUNNING_OPTIONS(&s->model_args),
        RW_SAMPLING_OPTIONS(&s->sampling),
        {0}};
    _Static_assert(RW_COUNT(table) <= SERVE_OPTIONS, "SERVE_OPTIONS is too small");
    memcpy(s->table, table, sizeof table);
}

static void set_defaults(struct serve *s)
{
    *s = (struct serve){.keep_alive = 300,
                        .request_timeout = 0,
                        .drain_timeout = 30,
                        .head_timeout = 10,
                        .body_timeout = 60,
                        .stall_timeout = 30,
                        .idle_timeout = 75,
                        .port = 8080,
                        .max_connections = 4096,
                        .max_state = (uint64_t)1 << 30,
                        .sampling = rw_sampling_for_chat()};
    s->options = (struct rw_server_options){.http = rw_http_defaults(),
                                            .parallel = 32,
                                            .max_queue = 256,
                                            .max_tokens = 4096,
                                            .mark_every = 1024,
                                            .store.memory_bytes = (uint64_t)1 << 30,
                                            .store.disk_bytes = (uint64_t)16 << 30};
}

/* --- from elsewhere --------------------------------------------------------------------------- */

/* A setting from elsewhere than the command line, whose text has to be kept. */
static rwkv_status set(void *user, const char *name, const char *value, rwkv_error *err)
{
    struct serve *s = user;
    const char *kept;
    RW_TRY(keep(s, rw_strdup(value), &kept, err));
    return rw_option_set(s->table, name, kept, err);
}

static rwkv_status set_from_file(void *user, const char *name, const char *value, rwkv_error *err)
{
    if (strcmp(name, "config") == 0 || strcmp(name, "check") == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "'%s' has no place in a file of settings", name);
    return set(user, name, value, err);
}

/* RWKV_SERVE_MAX_QUEUE for --max-queue; then the file, which may be named there or in argv. */
static rwkv_status read_elsewhere(struct serve *s, const char *config, rwkv_error *err)
{
    s->source = FROM_ENVIRONMENT;
    RW_TRY(rw_settings_from_environment(s->table, "RWKV_SERVE_", set, s, err));
    s->source = FROM_FILE;
    config = config ? config : s->config;
    return config ? rw_toml_read(config, set_from_file, s, err) : RWKV_OK;
}

/* --- running ---------------------------------------------------------------------------------- */

static uint64_t milliseconds(float seconds)
{
    return (uint64_t)((double)seconds * 1000);
}

static void fill_options(struct serve *s)
{
    struct rw_server_options *o = &s->options;
    o->http.port = (unsigned)s->port;
    o->http.max_connections = (unsigned)s->max_connections;
    o->http.head_ms = milliseconds(s->head_timeout);
    o->http.body_ms = milliseconds(s->body_timeout);
    o->http.stall_ms = milliseconds(s->stall_timeout);
    o->http.idle_ms = milliseconds(s->idle_timeout);
    o->log.form = s->quiet ? RW_LOG_OFF : (enum rw_log_form)s->log_form;
    o->models.model = s->model_args.options;
    o->models.keep_seconds = (double)s->keep_alive;
    o->models.batch.max_sequences = o->parallel;
    o->named = s->named;
    if (o->n_named == 0 && !o->models.folder) {
        o->models.builtin = rw_builtin_model;
        o->models.builtin_bytes = rw_builtin_model_size;
    }
    o->store.share = s->share_states;
    o->max_state_bytes = (size_t)s->max_state;
    o->request_seconds = (double)s->request_timeout;
    o->drain_seconds = (double)s->drain_timeout;
    o->sandbox = !s->no_sandbox;
    o->preload = !s->lazy;
    struct rw_sampling sampling = s->sampling; /* which gets a seed here */
    o->has_seed = sampling.has_seed;
    o->sampler = o->chat_sampler = rw_sampling_options(&sampling);
}

/* As lines for a file of settings. */
static void show_settings(const struct serve *s)
{
    for (size_t i = 0; i < s->options.n_named; i++) {
        struct rw_str model = {0}, line = {0};
        rw_str_printf(&model, "%s=%s", s->named[i].name, s->named[i].path);
        rw_toml_add_string(&line, model.failed ? "" : model.data);
        if (!line.failed)
            rw_outf("model = %s\n", line.data);
        rw_str_fini(&model);
        rw_str_fini(&line);
    }
    rw_settings_print(s->table + NO_SETTINGS);
}

static rwkv_status run(struct serve *s, rwkv_error *err)
{
    struct rw_server *server = NULL;
    const char *strategy = s->model_args.options.strategy;
    fill_options(s);
    if (strategy && strstr(strategy, "cuda") && s->options.sandbox)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "--strategy '%s': the sandbox lets nobody use a GPU: wanted --no-sandbox "
                       "with it",
                       strategy);
    if (s->check) {
        RW_TRY(rw_server_check(&s->options, err));
        show_settings(s);
        return RWKV_OK;
    }
    RW_TRY(rw_server_new(&s->options, &server, err));
    if (!s->quiet)
        rw_server_introduce(server);
    rwkv_status status = rw_server_run(server, err);
    rw_server_free(server);
    return status;
}

static void serve_fini(struct serve *s)
{
    for (size_t i = 0; i < s->n_strings; i++)
        rw_free(s->strings[i]);
    rw_free(s->strings);
    rw_sampling_fini(&s->sampling);
}

/* The command line is read twice: for --config first, and at last for what counts most. */
static int read_settings(struct serve *s, int argc, char **argv)
{
    struct rw_operands operands = {0};
    rwkv_error err = {0};
    char **copy = rw_calloc((size_t)argc + 1, sizeof *copy);
    if (!copy) {
        rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for the command line");
        return rw_complain(&err);
    }
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    int status = rw_options_read("serve", s->table, argc, copy, &operands);
    rw_free(copy);
    if (status != RW_OPTIONS_READ)
        return status;
    const char *config = s->config;
    serve_fini(s);
    set_defaults(s);
    make_table(s);
    if (read_elsewhere(s, config, &err) != RWKV_OK)
        return rw_complain_usage("serve", &err);
    s->source = FROM_LINE;
    return rw_options_read("serve", s->table, argc, argv, &operands);
}

int rw_cmd_serve(int argc, char **argv)
{
    static struct serve s; /* the table points into it */
    rwkv_error err = {0};
    set_defaults(&s);
    make_table(&s);
    int status = read_settings(&s, argc, argv);
    if (status == RW_OPTIONS_READ)
        status = rw_out_end(run(&s, &err) ? rw_complain(&err) : RW_EXIT_OK);
    serve_fini(&s);
    return status;
}
