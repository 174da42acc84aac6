/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we read of a request's head ourselves: the target, the query, Host, and whether the fields
 * that say where the body ends agree. Pure functions of text that may be hostile; RFC 9110 and 9112
 * are followed strictly: what two servers in a row could read in two ways is refused.
 *
 *     struct rw_http_target target;
 *     const char *wrong = rw_http_target_parse(&target, "/v1/models?limit=3");
 *     if (!wrong) … rw_http_target_query(&target, "limit") …        // "3"
 *     rw_http_target_fini(&target);
 *
 *     struct rw_http_framing framing = {0};
 *     for each field: rw_http_framing_field(&framing, name, value);
 *     wrong = rw_http_framing_check(&framing, minor_version, &status);
 */
#ifndef RW_SERVER_HTTP_HEAD_H
#define RW_SERVER_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RW_HTTP_PARAMETERS 64 /* of a query, at most */

/* A host and a port, as in Host and in targets that name one. */
struct rw_http_authority {
    char host[256]; /* in lower case; IPv6 addresses without brackets */
    int port;       /* -1: not given */
};

struct rw_http_target {
    char *path; /* decoded; begins with '/' unless it is "*"; owned with what follows */
    struct {
        const char *name, *value; /* decoded, within path's memory */
    } parameters[RW_HTTP_PARAMETERS];
    size_t n_parameters;
    bool has_authority; /* an absolute target, "http://host/path", which outdoes Host */
    struct rw_http_authority authority;
};

/* NULL, or what is wrong with the target, in words for the client. In any case to be finished.
 * Escapes are decoded once: %2F is a '/' of the path. Refused are escapes that are none, zero bytes
 * however written, and control characters. */
const char *rw_http_target_parse(struct rw_http_target *target, const char *text);
void rw_http_target_fini(struct rw_http_target *target);
/* The value of the first parameter of that name, NULL if there is none. */
const char *rw_http_target_query(const struct rw_http_target *target, const char *name);

/* NULL, or what is wrong with a Host value. */
const char *rw_http_authority_parse(struct rw_http_authority *authority, const char *text);

/* What the fields of a head say about its body and its host. */
struct rw_http_framing {
    unsigned hosts, lengths, encodings; /* how often each was there */
    bool bad_name, bad_length, chunked;
    uint64_t length;  /* of Content-Length */
    const char *host; /* borrowed from the field */
};

void rw_http_framing_field(struct rw_http_framing *f, const char *name, const char *value);
/* NULL, or what is wrong, and the status to answer (400 or 501). `minor` is x of HTTP/1.x. */
const char *rw_http_framing_check(const struct rw_http_framing *f, unsigned minor,
                                  unsigned *status);

#endif
