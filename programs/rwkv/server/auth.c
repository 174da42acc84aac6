/* SPDX-License-Identifier: Apache-2.0 */
#include "server/auth.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <nettle/memops.h>
#include <nettle/sha2.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"

#define MAX_KEY_FILE (1u << 20) /* bytes */

struct key {
    struct rw_identity identity;
    char *name; /* owned */
};

struct key_list {
    struct key *list; /* [n] */
    size_t n, capacity;
};

/* Keys that were read anew: requests under way may still show their names. */
struct retired {
    struct key_list list;
    struct retired *next;
};

struct rw_auth {
    const char *key_file; /* NULL: no keys; borrowed */
    struct key_list keys;
    struct retired *retired;
    char **hosts; /* [n_hosts] in lower case; NULL: any */
    size_t n_hosts, hosts_capacity;
    char **origins;
    size_t n_origins, origins_capacity;
    bool any_host, any_origin;
};

static const char *const loopback[] = {"localhost", "127.0.0.1", "::1"};

/* --- lists ------------------------------------------------------------------------------------ */

/* The parts of a list with commas, in lower case, without blanks around them; "*" sets *any. */
static rwkv_status read_list(const char *text, char ***list, size_t *n, size_t *capacity, bool *any,
                             rwkv_error *err)
{
    while (text && *text) {
        size_t size = strcspn(text, ",");
        const char *begin = text;
        text += size + (text[size] == ',');
        while (size > 0 && isspace((unsigned char)*begin)) {
            begin++;
            size--;
        }
        while (size > 0 && isspace((unsigned char)begin[size - 1]))
            size--;
        if (size == 0)
            continue;
        if (size == 1 && *begin == '*') {
            *any = true;
            continue;
        }
        char *part = rw_strndup(begin, size);
        if (!part || !rw_grow((void **)list, *n, capacity, sizeof **list)) {
            rw_free(part);
            return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a list of hosts");
        }
        for (char *c = part; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        (*list)[(*n)++] = part;
    }
    return RWKV_OK;
}

static bool is_in(char *const *list, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(list[i], what) == 0)
            return true;
    return false;
}

static bool is_loopback(const char *host)
{
    unsigned char address[4];
    for (size_t i = 0; i < RW_COUNT(loopback); i++)
        if (strcasecmp(host, loopback[i]) == 0)
            return true;
    /* Not by its beginning: anybody can have a name like 127.0.0.1.example.org. */
    return inet_pton(AF_INET, host, address) == 1 && address[0] == 127;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void hash_key(const char *key, size_t size, rwkv_owner *to)
{
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, size, (const uint8_t *)key);
    sha256_digest(&ctx, sizeof to->id, to->id);
}

/* "NAME KEY", or "KEY", which is then known by its number. */
static rwkv_status add_key(struct key_list *list, const char *line, size_t size, rwkv_error *err)
{
    char number[24];
    size_t name_size = 0, at = 0;
    while (name_size < size && !isspace((unsigned char)line[name_size]))
        name_size++;
    for (at = name_size; at < size && isspace((unsigned char)line[at]);)
        at++;
    bool named = at < size;
    const char *key = named ? line + at : line;
    size_t key_size = named ? size - at : name_size;
    if (memchr(key, ' ', key_size) || memchr(key, '\t', key_size))
        return rw_fail(err, RWKV_ERROR_FORMAT, "more than a name and a key");
    if (key_size < 8)
        return rw_fail(err, RWKV_ERROR_FORMAT, "a key of %zu characters: wanted 8 at least",
                       key_size);
    if (!rw_grow((void **)&list->list, list->n, &list->capacity, sizeof *list->list))
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a key");
    struct key *k = &list->list[list->n];
    *k = (struct key){0};
    snprintf(number, sizeof number, "key-%zu", list->n + 1);
    k->name = named ? rw_strndup(line, name_size) : rw_strdup(number);
    if (!k->name)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a key");
    hash_key(key, key_size, &k->identity.owner);
    k->identity.name = k->name;
    /* The same after the file was read anew. */
    memcpy(&k->identity.group, k->identity.owner.id, sizeof k->identity.group);
    list->n++;
    return RWKV_OK;
}

static void free_keys(struct key_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        rw_free(list->list[i].name);
    rw_free(list->list);
}

static rwkv_status read_keys(struct key_list *list, const char *path, rwkv_error *err)
{
    char *file;
    size_t file_size;
    RW_TRY(rw_read_file(path, MAX_KEY_FILE, &file, &file_size, err));
    const char *text = file, *end = text + file_size;
    rwkv_status status = RWKV_OK;
    for (size_t number = 1; text < end && status == RWKV_OK; number++) {
        const char *next = memchr(text, '\n', (size_t)(end - text));
        size_t size = (size_t)((next ? next : end) - text);
        while (size > 0 && isspace((unsigned char)*text)) {
            text++;
            size--;
        }
        while (size > 0 && isspace((unsigned char)text[size - 1]))
            size--;
        if (size > 0 && *text != '#' && add_key(list, text, size, err) != RWKV_OK)
            status = rw_fail_within(err, RWKV_ERROR_FORMAT, "%s, line %zu", path, number);
        text = next ? next + 1 : end;
    }
    rw_free(file);
    if (status == RWKV_OK && list->n == 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: there is no key in it", path);
    return status;
}

/* --- making one ------------------------------------------------------------------------------- */

rwkv_status rw_auth_new(const struct rw_auth_options *options, const struct rw_http_options *http,
                        struct rw_auth **out, rwkv_error *err)
{
    rwkv_status status;
    if (!options->key_file && !options->insecure && !http->unix_path && !is_loopback(http->host))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "%s can be reached from other machines: give --api-key-file, or --insecure "
                       "to let everyone in",
                       http->host);
    struct rw_auth *a = rw_calloc(1, sizeof *a);
    if (!a)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for keys");
    a->key_file = options->key_file;
    if (a->key_file)
        RW_GO(read_keys(&a->keys, a->key_file, err));
    RW_GO(read_list(options->hosts, &a->hosts, &a->n_hosts, &a->hosts_capacity, &a->any_host, err));
    if (!http->unix_path)
        RW_GO(read_list(http->host, &a->hosts, &a->n_hosts, &a->hosts_capacity, &a->any_host, err));
    RW_GO(read_list(options->origins, &a->origins, &a->n_origins, &a->origins_capacity,
                    &a->any_origin, err));
    *out = a;
    return RWKV_OK;
done:
    rw_auth_free(a);
    return status;
}

void rw_auth_free(struct rw_auth *a)
{
    if (!a)
        return;
    for (struct retired *next, *r = a->retired; r; r = next) {
        next = r->next;
        free_keys(&r->list);
        rw_free(r);
    }
    free_keys(&a->keys);
    for (size_t i = 0; i < a->n_hosts; i++)
        rw_free(a->hosts[i]);
    for (size_t i = 0; i < a->n_origins; i++)
        rw_free(a->origins[i]);
    rw_free(a->hosts);
    rw_free(a->origins);
    rw_free(a);
}

rwkv_status rw_auth_reload(struct rw_auth *a, rwkv_error *err)
{
    rwkv_status status;
    struct key_list fresh = {0};
    if (!a->key_file)
        return RWKV_OK;
    struct retired *old = rw_calloc(1, sizeof *old);
    if (!old)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for keys");
    RW_GO(read_keys(&fresh, a->key_file, err));
    *old = (struct retired){.list = a->keys, .next = a->retired};
    a->retired = old;
    a->keys = fresh;
    return RWKV_OK;
done:
    free_keys(&fresh);
    rw_free(old);
    return status;
}

size_t rw_auth_keys(const struct rw_auth *a)
{
    return a->keys.n;
}

/* --- requests --------------------------------------------------------------------------------- */

/* An address as the Host is no name that somebody else could have let point here. */
static bool is_address(const char *host)
{
    unsigned char buffer[16];
    return inet_pton(AF_INET, host, buffer) == 1 || inet_pton(AF_INET6, host, buffer) == 1;
}

bool rw_auth_knows_host(const struct rw_auth *a, const char *host)
{
    return a->any_host || !*host || is_loopback(host) || is_address(host) ||
           is_in(a->hosts, a->n_hosts, host);
}

bool rw_auth_knows_origin(const struct rw_auth *a, const char *origin, const char *host)
{
    /* That of the page which the request was sent to: scheme://Host. */
    const char *slashes = strstr(origin, "://");
    bool own = host && slashes && strcasecmp(slashes + 3, host) == 0;
    return own || a->any_origin || is_in(a->origins, a->n_origins, origin);
}

const char *rw_auth_origin(const struct rw_auth *a, const struct rw_http_exchange *x)
{
    const char *origin = rw_http_header(x, "Origin"), *host = rw_http_header(x, "Host");
    if (!rw_auth_knows_host(a, rw_http_host(x)))
        host = NULL; /* a page of a name that is made to lead here is not our own */
    return origin && rw_auth_knows_origin(a, origin, host) ? origin : NULL;
}

bool rw_auth_allows(const struct rw_auth *a, const struct rw_http_exchange *x,
                    struct rw_api_error *error)
{
    const char *host = rw_http_host(x);
    if (!rw_auth_knows_host(a, host))
        rw_api_fail(error, 403, "invalid_request_error", "host_not_allowed",
                    "this server is not known as '%.100s'; --allow-host makes it so", host);
    else if (rw_http_header(x, "Origin") && !rw_auth_origin(a, x))
        rw_api_fail(error, 403, "invalid_request_error", "origin_not_allowed",
                    "pages from '%.100s' may not ask; --cors lets them",
                    rw_http_header(x, "Origin"));
    return !error->status;
}

/* Every key is compared, whichever fits, and in constant time: how long it takes says nothing. */
bool rw_auth_knows_key(const struct rw_auth *a, const char *authorization, const char *api_key,
                       struct rw_identity *out)
{
    rwkv_owner hash;
    const struct key *found = NULL;
    const char *key = api_key ? api_key : "";
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        key = authorization + 7 + strspn(authorization + 7, " ");
    hash_key(key, strlen(key), &hash);
    for (size_t i = 0; i < a->keys.n; i++)
        if (memeql_sec(a->keys.list[i].identity.owner.id, hash.id, sizeof hash.id))
            found = &a->keys.list[i];
    if (found)
        *out = found->identity;
    return found != NULL;
}

bool rw_auth_identify(const struct rw_auth *a, const struct rw_http_exchange *x,
                      struct rw_identity *out, struct rw_api_error *error)
{
    const char *authorization = rw_http_header(x, "Authorization");
    const char *api_key = rw_http_header(x, "X-Api-Key");
    *out = (struct rw_identity){.name = ""};
    if (!a->key_file || rw_auth_knows_key(a, authorization, api_key, out))
        return true;
    rw_api_fail(error, 401, "invalid_request_error", "invalid_api_key",
                authorization || api_key ? "this key is not known"
                                         : "this server wants a key: Authorization: Bearer …");
    return false;
}
