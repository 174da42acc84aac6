/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask, and from where. Keys are kept as SHA-256 and compared in constant time; a key's hash
 * is its owner, to whom states belong. Without keys there is one owner.
 *
 * A page that a user's browser has open elsewhere can reach a server on the user's own machine, by
 * address or by a name of its own that it lets point here. So requests must name a host that the
 * server is known by, and those that browsers mark with an Origin must come from the server's own
 * page or one that --cors allows.
 */
#ifndef RW_SERVER_AUTH_H
#define RW_SERVER_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/fields.h"
#include "server/http.h"
#include "rwkv_store.h"

struct rw_auth;

/* Texts are borrowed during rw_auth_new, but key_file until rw_auth_free. */
struct rw_auth_options {
    const char *key_file; /* a key a line, "NAME KEY" or "KEY"; # begins a comment; NULL: no keys */
    const char *hosts;    /* names by which the server is known, separated by commas, besides
                             loopback and the address it listens on; "*": any */
    const char *origins;  /* origins of other pages that may ask, separated by commas; "*": any */
    bool insecure;        /* listen on other addresses than loopback without keys */
};

/* Who a request came from. */
struct rw_identity {
    rwkv_owner owner;
    uint64_t group;
    const char *name; /* of the key, for logs; "" without keys; lives as long as the rw_auth */
};

/* Refuses to listen where others can reach the server without a key. */
rwkv_status rw_auth_new(const struct rw_auth_options *options, const struct rw_http_options *http,
                        struct rw_auth **out, rwkv_error *err);
void rw_auth_free(struct rw_auth *auth); /* NULL is fine */

/* Read the file of keys again. Requests under way go on with the key they came with. If it fails,
 * the keys are those there were. */
rwkv_status rw_auth_reload(struct rw_auth *auth, rwkv_error *err);
size_t rw_auth_keys(const struct rw_auth *auth); /* how many there are; 0: none is needed */

/* The same questions of texts: of a host in lower case without its port ("": none was named); of an
 * Origin in a request with this Host (nullable); of the fields Authorization and X-Api-Key
 * (nullable), *out is changed where the key is known. */
bool rw_auth_knows_host(const struct rw_auth *auth, const char *host);
bool rw_auth_knows_origin(const struct rw_auth *auth, const char *origin, const char *host);
bool rw_auth_knows_key(const struct rw_auth *auth, const char *authorization, const char *api_key,
                       struct rw_identity *out);

/* Whether the Host and Origin of a request are allowed: else 403. */
bool rw_auth_allows(const struct rw_auth *auth, const struct rw_http_exchange *x,
                    struct rw_api_error *error);
/* The key, in Authorization (Bearer) or X-Api-Key: else 401. */
bool rw_auth_identify(const struct rw_auth *auth, const struct rw_http_exchange *x,
                      struct rw_identity *out, struct rw_api_error *error);
/* The request's Origin, if a page from there may read the reply; else NULL. */
const char *rw_auth_origin(const struct rw_auth *auth, const struct rw_http_exchange *x);

#endif
