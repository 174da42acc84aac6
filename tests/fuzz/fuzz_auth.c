/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, hosts and origins: the first line is a list of hosts, the second one of origins, the third
 * a host, the fourth an Origin, the fifth an Authorization, the rest a file of keys. Nobody is let
 * in by a key that is not written there, nor by a host or origin that no list has.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "server/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static const char *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    *text = end ? end + 1 : line + strlen(line);
    if (end)
        *end = 0;
    return line;
}

/* A file without a name on disk, by a path that opens it. */
static int make_file(const char *text, char path[64])
{
    char name[] = "/tmp/rwkv-fuzz-XXXXXX";
    int fd = mkstemp(name);
    check(fd >= 0 && unlink(name) == 0);
    size_t size = strlen(text);
    check(write(fd, text, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void check_keys(const char *file, const char *path, const char *authorization)
{
    rwkv_error err;
    struct rw_auth *auth = NULL;
    struct rw_identity who = {.name = NULL};
    struct rw_http_options http = rw_http_defaults();
    if (rw_auth_new(&(struct rw_auth_options){.key_file = path}, &http, &auth, &err) != RWKV_OK) {
        check(err.message[0] && !strchr(err.message, '\n'));
        return;
    }
    check(rw_auth_keys(auth) > 0);
    if (rw_auth_knows_key(auth, authorization, NULL, &who)) {
        const char *key = authorization + 7 + strspn(authorization + 7, " ");
        check(who.name && who.group > 0 && strlen(key) >= 8 && strstr(file, key) != NULL);
    }
    rw_auth_free(auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    rwkv_error err;
    struct rw_auth *auth = NULL;
    struct rw_http_options http = rw_http_defaults();
    char *copy = malloc(size + 1), *text = copy;
    check(copy != NULL);
    memcpy(copy, data, size);
    copy[size] = 0;
    const char *hosts = next_line(&text), *origins = next_line(&text), *host = next_line(&text);
    const char *origin = next_line(&text), *authorization = next_line(&text);
    const struct rw_auth_options options = {.hosts = hosts, .origins = origins};
    check(rw_auth_new(&options, &http, &auth, &err) == RWKV_OK);
    if (rw_auth_knows_host(auth, host))
        check(strchr(hosts, '*') || strcasestr(hosts, host) || strcasecmp(host, "localhost") == 0 ||
              strspn(host, "0123456789abcdefABCDEF:.") == strlen(host)); /* an address */
    if (rw_auth_knows_origin(auth, origin, NULL))
        check(strchr(origins, '*') || strcasestr(origins, origin));
    rw_auth_free(auth);
    int fd = make_file(text, path);
    check_keys(text, path, authorization);
    check(close(fd) == 0);
    free(copy);
    return 0;
}
