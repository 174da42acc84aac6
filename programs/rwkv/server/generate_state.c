/* SPDX-License-Identifier: Apache-2.0 */
/* States before and after generating, in the background: they are read from and synced to disk. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "server/generate.h"
#include "server/ids.h"

struct state_task {
    struct rw_task task;
    struct rw_gen *gen;
    rwkv_session *session;
    rwkv_error err;
};

/* Hold the call until the task is done. */
static void begin(struct rw_gen *gen, rwkv_session *session, void (*work)(struct rw_task *),
                  void (*done)(struct rw_task *))
{
    struct state_task *t = rw_calloc(1, sizeof *t);
    if (!t) {
        rwkv_session_free(session);
        rw_api_fail(&gen->error, 503, "server_error", "no_memory", "no memory for a state");
        return;
    }
    t->task = (struct rw_task){.work = work, .done = done};
    t->gen = gen;
    t->session = session;
    rw_call_hold(gen->call);
    rw_background_do(gen->call->server->background, &t->task);
}

static void finish(struct state_task *t)
{
    struct rw_call *call = t->gen->call;
    rw_free(t);
    rw_call_release(call);
}

/* --- to begin with ---------------------------------------------------------------------------- */

static void load(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_call *call = t->gen->call;
    if (rwkv_session_new(call->served->model, &t->session, &t->err) == RWKV_OK)
        rwkv_store_load(call->server->store, t->session, &call->owner, t->gen->state, &t->err);
}

static void loaded(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_gen *gen = t->gen;
    if (t->err.code) {
        rwkv_session_free(t->session);
        rw_call_fail_with_state(gen->call, &t->err);
    } else if (rw_call_waits(gen->call)) {
        rw_gen_submit(gen, t->session);
    } else {
        rwkv_session_free(t->session);
    }
    finish(t);
}

void rw_gen_load_state(struct rw_gen *gen)
{
    begin(gen, NULL, load, loaded);
    if (gen->error.status)
        rw_call_fail(gen->call, &gen->error);
}

/* --- to keep ---------------------------------------------------------------------------------- */

static void save(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_call *call = t->gen->call;
    const rwkv_store_save_options options = {.seconds = t->gen->state_seconds};
    rwkv_store_save(call->server->store, t->session, &call->owner, t->gen->state_id, &options,
                    &t->err);
}

static void saved(struct rw_task *task)
{
    struct state_task *t = (struct state_task *)task;
    struct rw_gen *gen = t->gen;
    rwkv_session_free(t->session);
    gen->saving = false;
    if (t->err.code) {
        gen->state_id[0] = 0;
        rw_api_fail_with(&gen->error, &t->err);
    }
    if (gen->jobs_left == 0)
        rw_gen_end(gen);
    finish(t);
}

void rw_gen_save_state(struct rw_gen *gen, rwkv_session *session)
{
    if (!gen->state_id[0])
        rw_make_id("state-", gen->state_id, sizeof gen->state_id);
    gen->saving = true;
    begin(gen, session, save, saved);
    gen->saving = !gen->error.status;
}
