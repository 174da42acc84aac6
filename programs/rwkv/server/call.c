/* SPDX-License-Identifier: Apache-2.0 */
#include "server/call.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"

/* --- life ------------------------------------------------------------------------------------- */

void rw_call_hold(struct rw_call *call)
{
    call->references++;
}

bool rw_call_waits(const struct rw_call *call)
{
    return call->x && rw_http_status(call->x) == 0;
}

void rw_call_release(struct rw_call *call)
{
    if (--call->references > 0)
        return;
    if (call->free_work)
        call->free_work(call);
    if (call->served)
        rw_models_release(call->server->models, call->served, call->keep_seconds);
    json_decref(call->body);
    rw_free(call->request);
    rw_free(call->unparsed);
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    rw_free(call);
}

/* --- what takes long -------------------------------------------------------------------------- */

#define SMALL ((size_t)64 << 10) /* bytes of a body */

static struct rw_call *call_of(struct rw_task *task)
{
    return (struct rw_call *)((char *)task - offsetof(struct rw_call, task));
}

static void work_aside(struct rw_task *task)
{
    struct rw_call *call = call_of(task);
    call->work_aside(call);
}

static void worked_aside(struct rw_task *task)
{
    struct rw_call *call = call_of(task);
    call->is_aside = false;
    if (rw_call_waits(call))
        call->go_on(call);
    rw_call_release(call);
}

void rw_call_aside(struct rw_call *call, void (*work)(struct rw_call *call),
                   void (*go_on)(struct rw_call *call))
{
    if (call->size <= SMALL) {
        work(call);
        go_on(call);
        return;
    }
    rw_call_hold(call);
    call->is_aside = true;
    call->work_aside = work;
    call->go_on = go_on;
    call->task = (struct rw_task){.work = work_aside, .done = worked_aside};
    rw_background_do(call->server->aside, &call->task);
}

/* --- models ----------------------------------------------------------------------------------- */

static void have_model(void *user, struct rw_served *served, const struct rw_api_error *error)
{
    struct rw_call *call = user;
    call->served = served;
    if (error)
        rw_call_fail(call, error);
    else if (rw_call_waits(call) && call->work_aside)
        rw_call_aside(call, call->work_aside, call->go_on);
    else if (rw_call_waits(call))
        call->go_on(call);
    rw_call_release(call);
}

void rw_call_want_model(struct rw_call *call, const char *name, void (*go_on)(struct rw_call *call))
{
    rw_call_prepare(call, name, NULL, go_on);
}

void rw_call_prepare(struct rw_call *call, const char *name, void (*work)(struct rw_call *call),
                     void (*go_on)(struct rw_call *call))
{
    rw_call_hold(call);
    call->work_aside = work;
    call->go_on = go_on;
    call->want = (struct rw_want){.fn = have_model, .user = call};
    rw_models_want(call->server->models, name, &call->want);
}

/* Sequences of this key's requests. */
static size_t sequences_of(const struct rw_server *server, uint64_t group)
{
    size_t n = 0;
    for (const struct rw_call *call = server->calls; call; call = call->next)
        n += call->group == group ? call->sequences : 0;
    return n;
}

/* More at once than there can ever be: not to be asked again, as 429 says, but in parts. */
static void refuse_for_good(struct rw_call *call, size_t n, size_t most)
{
    static const char *const members[] = {"input", "documents", "n"};
    const char *member = "prompt";
    for (size_t i = 0; i < RW_COUNT(members); i++)
        if (rw_field_given(&call->fields, members[i])) {
            member = members[i];
            break;
        }
    rw_field_fail(&call->fields, member, "wanted at most %zu sequences in a request, found %zu",
                  most, n);
}

void rw_call_queue(struct rw_call *call, size_t n)
{
    struct rw_worker_stats stats;
    const struct rw_server_options *o = &call->server->options;
    size_t most = o->parallel + o->max_queue;
    if (o->max_per_key)
        most = RW_MIN(most, o->max_per_key);
    if (n > most) {
        refuse_for_good(call, n, most);
        return;
    }
    rw_worker_get_stats(call->server->worker, &stats);
    size_t places = o->parallel > stats.working ? o->parallel - stats.working : 0;
    if (stats.waiting + n > places + o->max_queue)
        rw_api_fail(&call->error, 429, "rate_limit_error", "queue_full",
                    "%zu sequences are waiting already", stats.waiting);
    else if (o->max_per_key && sequences_of(call->server, call->group) + n > o->max_per_key)
        rw_api_fail(&call->error, 429, "rate_limit_error", "too_many_requests",
                    "a key may have at most %zu sequences under way", o->max_per_key);
    else
        call->sequences = n;
}

double rw_call_seconds_left(struct rw_call *call)
{
    call->has_jobs = true;
    return call->due > 0 ? RW_MAX(call->due - rw_env_seconds(), 1e-3) : 0;
}

/* --- errors ----------------------------------------------------------------------------------- */

static void add_text(struct rw_json *j, const char *key, const char *text)
{
    if (text && *text)
        rw_json_text(j, key, text);
    else
        rw_json_null(j, key);
}

/* By the path and not by the route: clients of a path that is not there look for their error, too.
 */
static bool is_ollamas(const struct rw_http_exchange *x)
{
    static const char prefix[] = "/api/";
    return strncmp(rw_http_path(x), prefix, sizeof prefix - 1) == 0;
}

static void error_json(bool ollamas, const struct rw_api_error *error, struct rw_json *j)
{
    rw_json_open(j, NULL, RW_JSON_OBJECT, RW_JSON_INLINE);
    if (ollamas) {
        rw_json_text(j, "error", error->message);
    } else {
        rw_json_open(j, "error", RW_JSON_OBJECT, RW_JSON_INLINE);
        rw_json_text(j, "message", error->message);
        rw_json_text(j, "type", error->type);
        add_text(j, "param", error->param);
        add_text(j, "code", error->code);
        rw_json_close(j);
    }
    rw_json_close(j);
}

void rw_error_body(const struct rw_http_exchange *x, const struct rw_api_error *error,
                   struct rw_str *to)
{
    struct rw_json j = {0};
    error_json(is_ollamas(x), error, &j);
    rw_str_fini(to);
    *to = j.text;
}

void rw_call_fail(struct rw_call *call, const struct rw_api_error *error)
{
    struct rw_str body = {0};
    struct rw_http_field fields[] = {
        {"Content-Type", "application/json"}, {NULL, NULL}, {NULL, NULL}};
    if (!call->x)
        return;
    if (error->status == 429 || error->status == 503)
        fields[1] = (struct rw_http_field){"Retry-After", "1"};
    else if (error->status == 401)
        fields[1] = (struct rw_http_field){"WWW-Authenticate", "Bearer"};
    rw_error_body(call->x, error, &body);
    rw_http_reply_str(call->x, (unsigned)error->status, fields, &body);
}

bool rw_call_refused(struct rw_call *call)
{
    if (call->error.status)
        rw_call_fail(call, &call->error);
    return call->error.status != 0;
}

void rw_call_fail_with_state(struct rw_call *call, const rwkv_error *err)
{
    struct rw_api_error error = {0};
    if (err->code == RWKV_ERROR_NOT_FOUND)
        rw_api_fail(&error, 404, "invalid_request_error", "state_not_found", "%s", err->message);
    else if (err->code == RWKV_ERROR_EXISTS)
        rw_api_fail(&error, 409, "invalid_request_error", "state_exists", "%s", err->message);
    else
        rw_api_fail_with(&error, err);
    rw_call_fail(call, &error);
}

/* --- replies ---------------------------------------------------------------------------------- */

void rw_call_json(struct rw_call *call, struct rw_json *json)
{
    static const struct rw_http_field fields[] = {{"Content-Type", "application/json"},
                                                  {NULL, NULL}};
    if (call->x)
        rw_http_reply_str(call->x, 200, fields, &json->text);
    rw_str_fini(&json->text);
}

bool rw_call_stream(struct rw_call *call, const char *type)
{
    /* The last field keeps reverse proxies of the nginx kind from collecting what should flow. */
    const struct rw_http_field fields[] = {{"Content-Type", type},
                                           {"Cache-Control", "no-cache"},
                                           {"X-Accel-Buffering", "no"},
                                           {NULL, NULL}};
    return call->x && rw_http_stream(call->x, 200, fields);
}

/* What cannot be written has filled the client's buffer: it is not reading. */
static void send_text(struct rw_call *call, const struct rw_str *text)
{
    if (call->x && (text->failed || !rw_http_write(call->x, text->data, text->size)))
        rw_http_abort(call->x);
}

void rw_call_send_event(struct rw_call *call, struct rw_json *json)
{
    struct rw_str text = {0};
    text.failed = json->text.failed;
    rw_str_adds(&text, "data: ");
    rw_str_add(&text, json->text.data, json->text.size);
    rw_str_adds(&text, "\n\n");
    send_text(call, &text);
    rw_str_fini(&text);
    rw_str_fini(&json->text);
}

void rw_call_send_line(struct rw_call *call, struct rw_json *json)
{
    rw_str_addc(&json->text, '\n');
    send_text(call, &json->text);
    rw_str_fini(&json->text);
}

void rw_call_send_error(struct rw_call *call, const struct rw_api_error *error)
{
    struct rw_json j = {0};
    if (!call->x)
        return;
    bool ollamas = is_ollamas(call->x);
    error_json(ollamas, error, &j);
    if (ollamas)
        rw_call_send_line(call, &j);
    else
        rw_call_send_event(call, &j);
    rw_call_end(call, NULL);
}

void rw_call_end(struct rw_call *call, const char *last)
{
    if (!call->x)
        return;
    if (last && !rw_http_write(call->x, last, strlen(last)))
        rw_http_abort(call->x);
    else
        rw_http_end(call->x);
}
