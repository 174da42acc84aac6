/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include <math.h>
#include <signal.h>

#include "server/api.h"
#include "base/alloc.h"
#include "base/status.h"
#include "server/call.h"
#include "server/confine.h"
#include "server/notify.h"

#define GRAMMARS_KEPT 16 /* that no request uses now */
#define DRAIN_LOOK_MS 20 /* how often is looked whether all requests are over */

/* --- the first model -------------------------------------------------------------------------- */

static void say_ready(struct rw_server *s)
{
    s->ready = true;
    rw_notify_say(s->notify, "READY=1\nSTATUS=listening on %s", rw_http_url(s->http));
}

/* The default model stays until the options' time is over after its last use; it is held once, so
 * that opening it shows. */
static void preloaded(void *user, struct rw_served *served, const struct rw_api_error *error)
{
    struct rw_server *s = user;
    if (error) {
        rw_access_log_note(s->log, "%s", error->message);
        s->failed = true;
        rw_loop_stop(s->loop);
        return;
    }
    say_ready(s);
    rw_access_log_note(s->log, "model %s opened in %.2f s", served->name, served->opened_seconds);
    rw_models_release(s->models, served, NAN);
}

static void preload(struct rw_server *s)
{
    if (!s->options.preload) {
        say_ready(s);
        return;
    }
    s->first = (struct rw_want){.fn = preloaded, .user = s};
    rw_models_want(s->models, NULL, &s->first);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Whether a request is under way that was not refused. */
static bool is_busy(const struct rw_server *s)
{
    for (const struct rw_call *call = s->calls; call; call = call->next)
        if (call->x && call->route && !call->error.status &&
            !(call->route->flags & RW_ROUTE_DRAINING))
            return true;
    return false;
}

/* While something is under way, new requests are told that the server is about to end. */
static void look_whether_done(void *user)
{
    struct rw_server *s = user;
    if (is_busy(s))
        return;
    rw_http_drain(s->http);
    if (rw_http_exchanges(s->http) == 0)
        rw_loop_stop(s->loop);
}

static void out_of_time(void *user)
{
    struct rw_server *s = user;
    rw_access_log_note(s->log, "%zu requests are cut off: the time to finish them is over",
                       rw_http_exchanges(s->http));
    rw_loop_stop(s->loop);
}

/* SIGHUP: the log is opened anew, keys are read anew. */
static void reload(struct rw_server *s)
{
    rwkv_error err;
    rw_notify_say(s->notify, "RELOADING=1");
    if (rw_access_log_reopen(s->log, &err) != RWKV_OK)
        rw_access_log_note(s->log, "SIGHUP: the log goes on where it was: %s", err.message);
    if (rw_auth_reload(s->auth, &err) != RWKV_OK)
        rw_access_log_note(s->log, "SIGHUP: the keys stay as they were: %s", err.message);
    rw_access_log_note(s->log, "SIGHUP: reloaded; there are %zu keys", rw_auth_keys(s->auth));
    rw_notify_say(s->notify, "READY=1");
}

/* A terminal that is closed sends SIGHUP too: it ends a server that has nothing to reload, unless a
 * service manager looks after it. */
static bool can_reload(const struct rw_server *s)
{
    return s->options.log.file || s->options.auth.key_file || rw_notify_is_heard(s->notify);
}

static void on_signal(void *user, int signal)
{
    static const char *const names[] = {
        [SIGHUP] = "SIGHUP", [SIGINT] = "SIGINT", [SIGTERM] = "SIGTERM"};
    struct rw_server *s = user;
    if (signal == SIGHUP && can_reload(s)) {
        reload(s);
        return;
    }
    if (s->draining) {
        rw_loop_stop(s->loop);
        return;
    }
    s->draining = true;
    rw_access_log_note(s->log, "%s: finishing %zu requests", names[signal],
                       rw_http_exchanges(s->http));
    rw_notify_say(s->notify, "STOPPING=1");
    rw_timer_start(s->loop, &s->drain_look, 0, DRAIN_LOOK_MS, look_whether_done, s);
    rw_timer_start(s->loop, &s->drain_end, (uint64_t)(s->options.drain_seconds * 1000), 0,
                   out_of_time, s);
}

/* --- making one ------------------------------------------------------------------------------- */

/* Sockets, the log and keys, which the sandbox leaves as they are. */
static rwkv_status open_outside(struct rw_server *s, rwkv_error *err)
{
    const struct rw_server_options *o = &s->options;
    const struct rw_http_handler handler = rw_api_handler(s);
    RW_TRY(rw_auth_new(&o->auth, &o->http, &s->auth, err));
    RW_TRY(rw_access_log_new(&o->log, &s->log, err));
    RW_TRY(rw_metrics_new(&s->metrics, err));
    RW_TRY(rw_grammars_new(GRAMMARS_KEPT, &s->grammars, err));
    RW_TRY(rw_loop_new(&s->loop, err));
    RW_TRY(rw_loop_signals(s->loop, on_signal, s, err));
    RW_TRY(rw_notify_new(&s->notify, s->loop, err));
    return rw_http_open(&s->http, s->loop, &o->http, &handler, err);
}

/* What has threads: files are limited before they are started. */
static rwkv_status open_parts(struct rw_server *s, rwkv_error *err)
{
    const struct rw_server_options *o = &s->options;
    if (o->sandbox)
        RW_TRY(rw_server_limit_files(s, err));
    if (!o->no_store)
        RW_TRY(rwkv_store_open(&o->store, &s->store, err));
    RW_TRY(rw_background_new(&s->background, s->loop, err));
    RW_TRY(rw_background_new(&s->aside, s->loop, err));
    RW_TRY(rw_models_new(&s->models, s->loop, s->background, &o->models, err));
    for (size_t i = 0; i < o->n_named; i++)
        RW_TRY(rw_models_add(s->models, o->named[i].name, o->named[i].path, err));
    if (rw_models_scan(s->models) == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: there is no model in it",
                       o->models.folder ? o->models.folder : "the list of models");
    const struct rw_worker_options worker = {.store = s->store,
                                             .mark_every = o->mark_every,
                                             .parallel = o->parallel,
                                             .step_tokens = o->models.batch.step_tokens};
    RW_TRY(rw_worker_new(&s->worker, s->loop, &worker, err));
    if (o->sandbox)
        rw_server_limit_calls(s);
    else
        rw_access_log_note(s->log, "sandbox: off");
    return RWKV_OK;
}

rwkv_status rw_server_new(const struct rw_server_options *options, struct rw_server **out,
                          rwkv_error *err)
{
    struct rw_server *s = rw_calloc(1, sizeof *s);
    if (!s)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a server");
    s->options = *options;
    rwkv_status status = open_outside(s, err);
    if (status == RWKV_OK)
        status = open_parts(s, err);
    if (status != RWKV_OK) {
        rw_server_free(s);
        return status;
    }
    preload(s);
    *out = s;
    return RWKV_OK;
}

rwkv_status rw_server_run(struct rw_server *s, rwkv_error *err)
{
    RW_TRY(rw_loop_run(s->loop, err));
    if (s->failed)
        return rw_fail(err, RWKV_ERROR_MODEL, "the model cannot be opened");
    return RWKV_OK;
}

/* The loop has ended, so nothing is delivered any more: calls end by hand. */
static void free_calls(struct rw_server *s)
{
    while (s->calls) {
        s->calls->references = 1;
        rw_call_release(s->calls);
    }
}

void rw_server_free(struct rw_server *s)
{
    if (!s)
        return;
    rw_http_close(s->http);
    rw_worker_free(s->worker);
    rw_background_free(s->aside);
    rw_background_free(s->background);
    free_calls(s);
    rw_models_free(s->models);
    rwkv_store_close(s->store);
    rw_grammars_free(s->grammars);
    rw_metrics_free(s->metrics);
    rw_access_log_free(s->log);
    rw_auth_free(s->auth);
    rw_notify_free(s->notify);
    if (s->loop) {
        rw_timer_stop(s->loop, &s->drain_look);
        rw_timer_stop(s->loop, &s->drain_end);
    }
    rw_loop_free(s->loop);
    rw_free(s);
}
