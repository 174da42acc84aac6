/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server reads of a request's head itself: the first line is a target, the others are
 * fields NAME:VALUE. What is taken must be sound: a path without zero bytes, parameters that are
 * found again, a host in lower case that parses to itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

static void check_target(const char *text)
{
    struct rw_http_target t;
    const char *wrong = rw_http_target_parse(&t, text);
    if (!wrong) {
        check(t.path && (t.path[0] == '/' || strcmp(t.path, "*") == 0));
        check(strlen(t.path) <= strlen(text) + 1);
        check(t.n_parameters <= RW_HTTP_PARAMETERS);
        for (size_t i = 0; i < t.n_parameters; i++) {
            check(strlen(t.parameters[i].name) + strlen(t.parameters[i].value) <= strlen(text));
            check(rw_http_target_query(&t, t.parameters[i].name) != NULL);
        }
    } else {
        check(wrong[0] != 0);
    }
    rw_http_target_fini(&t);
}

static void check_host(const char *text)
{
    struct rw_http_authority a, again;
    if (rw_http_authority_parse(&a, text))
        return;
    check(a.host[0] && strlen(a.host) < sizeof a.host && a.port >= -1 && a.port <= 65535);
    for (const char *p = a.host; *p; p++)
        check(*p > ' ' && *p < 0x7f && (*p < 'A' || *p > 'Z') && !strchr("/@?#\\\"<>[]", *p));
    if (!strchr(a.host, ':')) {
        check(!rw_http_authority_parse(&again, a.host));
        check(strcmp(a.host, again.host) == 0 && again.port == -1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_http_framing f = {0};
    unsigned status = 0;
    char *text = malloc(size + 1), *save = NULL;
    check(text != NULL);
    memcpy(text, data, size);
    text[size] = 0;
    char *line = strtok_r(text, "\n", &save);
    if (line)
        check_target(line);
    while ((line = strtok_r(NULL, "\n", &save))) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = 0;
        check_host(colon + 1);
        rw_http_framing_field(&f, line, colon + 1);
    }
    const char *wrong = rw_http_framing_check(&f, size & 1, &status);
    check(!wrong || status == 400 || status == 501);
    check(wrong || (f.hosts <= 1 && f.lengths + f.encodings <= 1));
    free(text);
    return 0;
}
