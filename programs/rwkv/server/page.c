/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chat page: GET / for browsers, and its files below /page/. Clients of Ollama ask for / too,
 * to see whether a server is there: who does not ask for HTML gets a line of text.
 *
 * What the page may do is nothing but itself: its own scripts and styles, requests to this server,
 * and no markup made from text at all (trusted-types). Text of a model that got past the page's own
 * care would find nothing to run it and nowhere to send to.
 */
#include "server/page.h"

#include <string.h>
#include <strings.h>

#include "server/call.h"

#define INDEX "index.html"
#define POLICY                                                                            \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "       \
    "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; " \
    "require-trusted-types-for 'script'; trusted-types 'none'"

static const struct rw_page_file *find(const char *name)
{
    for (size_t i = 0; i < rw_n_page_files; i++)
        if (strcmp(rw_page_files[i].name, name) == 0)
            return &rw_page_files[i];
    return NULL;
}

/* Whether a tag is among those of an If-None-Match: "a", W/"b", or *. Ours have no commas. */
static bool has_tag(const char *list, const char *tag)
{
    for (size_t size; list && *list; list += size) {
        list += strspn(list, ", \t");
        size = strcspn(list, ", \t");
        const char *one = strncmp(list, "W/", 2) == 0 ? list + 2 : list;
        size_t one_size = size - (size_t)(one - list);
        if ((one_size == 1 && *one == '*') ||
            (one_size == strlen(tag) && memcmp(one, tag, one_size) == 0))
            return true;
    }
    return false;
}

/* no-cache: kept, but asked about each time. A new program may have another page. */
static void reply_file(struct rw_call *call, const struct rw_page_file *file)
{
    const struct rw_http_field fields[] = {
        {"Content-Type", file->type},        {"ETag", file->tag},
        {"Cache-Control", "no-cache"},       {"Vary", "Accept"},
        {"Content-Security-Policy", POLICY}, {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},  {NULL, NULL}};
    if (has_tag(rw_http_header(call->x, "If-None-Match"), file->tag))
        rw_http_reply(call->x, 304, fields, NULL, 0);
    else
        rw_http_reply(call->x, 200, fields, file->data, file->size);
}

/* Whether text/html is among what the client takes; "*" in its place is what all programs say. */
static bool takes_html(const struct rw_call *call)
{
    const char *accept = rw_http_header(call->x, "Accept");
    return accept && strcasestr(accept, "text/html");
}

void rw_get_root(struct rw_call *call)
{
    static const struct rw_http_field fields[] = {
        {"Content-Type", "text/plain; charset=utf-8"}, {"Vary", "Accept"}, {NULL, NULL}};
    static const char running[] = "rwkv.c is running\n";
    if (takes_html(call))
        reply_file(call, find(INDEX));
    else
        rw_http_reply(call->x, 200, fields, running, sizeof running - 1);
}

void rw_get_page(struct rw_call *call)
{
    const struct rw_page_file *file = find(call->rest);
    if (!file)
        rw_api_fail(&call->error, 404, "invalid_request_error", NULL,
                    "the page has no file '%.100s'", call->rest);
    if (!rw_call_refused(call))
        reply_file(call, file);
}
