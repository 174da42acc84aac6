/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints, and what happens to every request before and after them. */
#include "server/api.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "server/call.h"

static const struct rw_route routes[] = {
    {"GET", "/health", RW_ROUTE_OPEN | RW_ROUTE_DRAINING, rw_get_health},
    {"GET", "/metrics", RW_ROUTE_DRAINING, rw_get_metrics},
    {"GET", "/", RW_ROUTE_OPEN, rw_get_root},
    {"GET", "/page/{}", RW_ROUTE_OPEN, rw_get_page},

    {"GET", "/v1/models", 0, rw_list_models},
    {"GET", "/v1/models/{}", 0, rw_get_model},
    {"POST", "/v1/completions", 0, rw_complete},
    {"POST", "/v1/chat/completions", 0, rw_complete_chat},
    {"POST", "/v1/embeddings", 0, rw_embed},
    {"POST", "/v1/rerank", 0, rw_rerank},

    {"POST", "/tokenize", 0, rw_tokenize},
    {"POST", "/detokenize", 0, rw_detokenize},
    {"GET", "/tokenizer_info", 0, rw_get_tokenizer},

    {"GET", "/v1/states", 0, rw_list_states},
    {"POST", "/v1/states", 0, rw_make_state},
    {"POST", "/v1/states/{}/fork", 0, rw_fork_state},
    {"GET", "/v1/states/{}", 0, rw_get_state},
    {"PUT", "/v1/states/{}", RW_ROUTE_RAW_BODY | RW_ROUTE_LARGE_BODY, rw_put_state},
    {"DELETE", "/v1/states/{}", 0, rw_delete_state},

    {"GET", "/api/version", 0, rw_get_version},
    {"GET", "/api/tags", 0, rw_ollama_tags},
    {"GET", "/api/ps", 0, rw_ollama_ps},
    {"POST", "/api/show", 0, rw_ollama_show},
    {"POST", "/api/generate", 0, rw_ollama_generate},
    {"POST", "/api/chat", 0, rw_ollama_chat},
    {"POST", "/api/embed", 0, rw_ollama_embed},
    {"POST", "/api/embeddings", 0, rw_ollama_embeddings},
};

/* --- routes ----------------------------------------------------------------------------------- */

/* Whether a path has the form of a pattern; {} takes one part, at the pattern's end all the rest.
 * *rest is where it begins, *size how long it is. */
static bool matches(const char *pattern, const char *path, const char **rest, size_t *size)
{
    const char *hole = strstr(pattern, "{}");
    *rest = NULL;
    *size = 0;
    if (!hole)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(hole - pattern);
    const char *after = hole + 2;
    if (strncmp(pattern, path, before) != 0)
        return false;
    *rest = path + before;
    *size = strlen(*rest);
    if (*after) {
        size_t tail = strlen(after);
        if (*size <= tail || strcmp(*rest + *size - tail, after) != 0)
            return false;
        *size -= tail;
    }
    return *size > 0 && (!*after || !memchr(*rest, '/', *size));
}

/* The method by whose routes a request is served: HEAD gets what GET would. */
static const char *method_of(const char *method)
{
    return strcmp(method, "HEAD") == 0 ? "GET" : method;
}

const struct rw_route *rw_route_find(const char *method, const char *path, const char **rest,
                                     size_t *size, char allowed[64])
{
    size_t n = 0;
    allowed[0] = 0;
    for (size_t i = 0; i < RW_COUNT(routes); i++) {
        const struct rw_route *route = &routes[i];
        if (!matches(route->path, path, rest, size))
            continue;
        if (strcmp(route->method, method_of(method)) == 0)
            return route;
        if (!strstr(allowed, route->method))
            n += (size_t)snprintf(allowed + n, 64 - n, "%s%s", n ? ", " : "", route->method);
        if (strcmp(route->method, "GET") == 0)
            n += (size_t)snprintf(allowed + n, 64 - n, ", HEAD");
    }
    return NULL;
}

/* --- the head --------------------------------------------------------------------------------- */

/* By what the client calls it, for a proxy may have a name for it already. */
static void name_call(struct rw_call *call, uint64_t number)
{
    const char *given = rw_http_header(call->x, "X-Request-Id");
    if (given && strlen(given) < sizeof call->id && rw_is_name(given))
        snprintf(call->id, sizeof call->id, "%s", given);
    else
        snprintf(call->id, sizeof call->id, "req-%llu", (unsigned long long)number);
}

/* Whatever the reply is, it says which request it is to, and which pages may read it. */
static void add_fields(struct rw_call *call)
{
    const char *origin = rw_auth_origin(call->server->auth, call->x);
    rw_http_add_field(call->x, "X-Request-Id", call->id);
    rw_http_add_field(call->x, "Vary", "Origin");
    if (call->server->draining)
        rw_http_add_field(call->x, "Connection", "close");
    if (!origin)
        return;
    rw_http_add_field(call->x, "Access-Control-Allow-Origin", origin);
    rw_http_add_field(call->x, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
}

static struct rw_call *new_call(struct rw_server *server, struct rw_http_exchange *x)
{
    struct rw_call *call = rw_calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->server = server;
    call->x = x;
    call->references = 1;
    call->start = rw_env_seconds();
    call->keep_seconds = NAN;
    call->fields.error = &call->error;
    name_call(call, ++server->last_call);
    call->next = server->calls;
    call->link = &server->calls;
    if (call->next)
        call->next->link = &call->next;
    server->calls = call;
    rw_http_set_user(x, call);
    return call;
}

/* What is said of every request to a path we have, before its body is read. */
static void look_at_head(struct rw_call *call)
{
    struct rw_server *server = call->server;
    const struct rw_route *route = call->route;
    struct rw_identity who;
    if (!(route->flags & RW_ROUTE_OPEN)) {
        if (!rw_auth_identify(server->auth, call->x, &who, &call->error))
            return;
        call->owner = who.owner;
        call->group = who.group;
        call->key_name = who.name;
    }
    if (server->draining && !(route->flags & RW_ROUTE_DRAINING))
        rw_api_fail(&call->error, 503, "server_error", "shutting_down",
                    "the server is about to end");
    size_t large = server->options.max_state_bytes;
    rw_http_limit_body(call->x, route->flags & RW_ROUTE_LARGE_BODY ? large : RW_MAX_BODY);
}

/* The answer to a browser that asks whether a page from elsewhere may. */
static void answer_preflight(struct rw_call *call, const char *allowed)
{
    const char *wanted = rw_http_header(call->x, "Access-Control-Request-Headers");
    struct rw_http_field fields[] = {
        {"Allow", allowed},
        {rw_auth_origin(call->server->auth, call->x) ? "Access-Control-Allow-Methods" : NULL,
         allowed},
        {"Access-Control-Allow-Headers",
         wanted ? wanted : "Authorization, Content-Type, X-Api-Key"},
        {"Access-Control-Max-Age", "3600"},
        {NULL, NULL}};
    rw_http_reply(call->x, 204, fields, NULL, 0);
}

static void head(void *user, struct rw_http_exchange *x)
{
    struct rw_server *server = user;
    char allowed[64];
    const char *rest;
    size_t size;
    struct rw_call *call = new_call(server, x);
    if (!call) {
        rw_http_error(x, 503, "no memory for a request");
        return;
    }
    add_fields(call);
    call->route = rw_route_find(rw_http_method(x), rw_http_path(x), &rest, &size, allowed);
    /* First, for preflights and for what is not there, too. */
    if (!rw_auth_allows(server->auth, x, &call->error)) {
        rw_call_refused(call);
        return;
    }
    if (call->route) {
        if (rest && size < sizeof call->rest)
            memcpy(call->rest, rest, size);
        look_at_head(call);
        if (rest && size >= sizeof call->rest)
            rw_api_fail(&call->error, 404, "invalid_request_error", NULL, "no name is that long");
    } else if (allowed[0] && strcmp(rw_http_method(x), "OPTIONS") == 0) {
        answer_preflight(call, allowed);
    } else if (allowed[0]) {
        struct rw_http_field fields[] = {{"Allow", allowed}, {NULL, NULL}};
        rw_http_error_fields(x, 405, fields, "this path has other methods");
    } else {
        rw_api_fail(&call->error, 404, "invalid_request_error", NULL, "there is no %.200s here",
                    rw_http_path(x));
    }
    rw_call_refused(call);
}

/* --- the body, and the end -------------------------------------------------------------------- */

static void parse(struct rw_call *call)
{
    call->body = rw_fields_parse(call->unparsed, call->size, &call->error);
    call->fields.object = call->body;
}

static void dispatch(struct rw_call *call)
{
    if (call->server->options.log.prompts)
        call->request = call->unparsed;
    else
        rw_free(call->unparsed);
    call->unparsed = NULL;
    if (!rw_call_refused(call))
        call->route->fn(call);
}

static void request(void *user, struct rw_http_exchange *x)
{
    (void)user;
    struct rw_call *call = rw_http_user(x);
    double seconds = call->server->options.request_seconds;
    if (seconds > 0) {
        call->due = rw_env_seconds() + seconds;
        rw_http_set_deadline(x, (uint64_t)RW_MAX(seconds * 1e3, 1));
    }
    if (call->route->flags & RW_ROUTE_RAW_BODY) {
        dispatch(call);
        return;
    }
    call->unparsed = rw_http_take_body(x, &call->size);
    rw_call_aside(call, parse, dispatch);
}

/* It waits for a model, a state or the thread for large requests: jobs have their own clock. What
 * has been begun in the background is done to its end. */
static void late(void *user, struct rw_http_exchange *x)
{
    struct rw_call *call = rw_http_user(x);
    struct rw_server *server = user;
    struct rw_api_error error = {0};
    if (call->has_jobs)
        return;
    rw_api_fail(&error, 503, "server_error", "deadline_exceeded", "not done after %g seconds",
                server->options.request_seconds);
    rw_call_fail(call, &error);
}

static void gone(void *user, struct rw_http_exchange *x)
{
    struct rw_server *server = user;
    struct rw_call *call = rw_http_user(x);
    if (!call)
        return;
    rw_metrics_request(server->metrics, call->route ? call->route->path : "other",
                       rw_http_status(x));
    rw_metrics_time(server->metrics, RW_TIMING_REQUEST, rw_env_seconds() - call->start);
    rw_access_log_call(server->log, call);
    call->x = NULL;
    if (call->left && !call->is_aside)
        call->left(call);
    rw_call_release(call);
}

static const char *error_body(void *user, struct rw_http_exchange *x, unsigned status,
                              const char *message, struct rw_str *body)
{
    (void)user;
    struct rw_api_error error = {0};
    rw_api_fail(&error, (int)status, status < 500 ? "invalid_request_error" : "server_error", NULL,
                "%s", message);
    rw_error_body(x, &error, body);
    return "application/json";
}

struct rw_http_handler rw_api_handler(struct rw_server *server)
{
    return (struct rw_http_handler){.user = server,
                                    .head = head,
                                    .request = request,
                                    .gone = gone,
                                    .late = late,
                                    .error = error_body};
}
