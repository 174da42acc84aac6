/* SPDX-License-Identifier: Apache-2.0 */
/* The client of server.h: blocking sockets, and replies read as their framing says. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <jansson.h>

static void set_limit(int fd)
{
    struct timeval minute = {.tv_sec = 60};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &minute, sizeof minute), 0);
}

int client_connect(const struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)rw_http_port(s->http))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    set_limit(fd);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

int client_connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    set_limit(fd);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

bool client_try_send(int fd, const void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t done = send(fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR) {
            assert_true(errno == EPIPE || errno == ECONNRESET);
            return false;
        }
        at += done > 0 ? (size_t)done : 0;
    }
    return true;
}

void client_send(int fd, const char *text)
{
    assert_true(client_try_send(fd, text, strlen(text)));
}

/* One byte; false at the end. */
static bool get(int fd, char *c)
{
    ssize_t n;
    do
        n = recv(fd, c, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        assert_int_equal(errno, ECONNRESET); /* EAGAIN: nothing came for a minute */
    return n == 1;
}

/* Up to n bytes; how many there were. */
static size_t get_all(int fd, char *to, size_t n)
{
    size_t at = 0;
    while (at < n) {
        ssize_t done = recv(fd, to + at, n - at, 0);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            assert_int_equal(errno, ECONNRESET);
        if (done <= 0)
            break;
        at += (size_t)done;
    }
    return at;
}

static bool get_line(int fd, char *line, size_t size)
{
    size_t n = 0;
    while (n < size - 1 && get(fd, &line[n]))
        if (line[n++] == '\n')
            break;
    line[n] = 0;
    return n > 0 && line[n - 1] == '\n';
}

static void add(struct reply *r, const char *bytes, size_t n)
{
    r->body = realloc(r->body, r->size + n + 1);
    assert_non_null(r->body);
    memcpy(r->body + r->size, bytes, n);
    r->size += n;
    r->body[r->size] = 0;
}

static void read_length(int fd, struct reply *r, size_t n)
{
    char *bytes = malloc(n + 1);
    assert_non_null(bytes);
    size_t got = get_all(fd, bytes, n);
    add(r, bytes, got);
    free(bytes);
    r->whole = got == n;
}

static void read_chunks(int fd, struct reply *r)
{
    char line[64], end[2];
    while (get_line(fd, line, sizeof line)) {
        size_t n = strtoul(line, NULL, 16);
        if (n == 0) {
            r->whole = get_line(fd, line, sizeof line) && strcmp(line, "\r\n") == 0;
            return;
        }
        read_length(fd, r, n);
        if (!r->whole || get_all(fd, end, 2) != 2)
            break;
        r->whole = false;
    }
    r->whole = false;
}

struct reply client_read(int fd, bool head_only)
{
    struct reply r = {0};
    char line[2048], value[256];
    size_t n = 0;
    r.head = calloc(1, 16384);
    add(&r, "", 0);
    assert_non_null(r.head);
    while (get_line(fd, line, sizeof line)) {
        assert_true(n + strlen(line) < 16384);
        n += (size_t)sprintf(r.head + n, "%s", line);
        if (strcmp(line, "\r\n") == 0)
            break;
    }
    if (sscanf(r.head, "HTTP/1.%*[01] %u", &r.status) != 1)
        return r;
    if (head_only || r.status < 200 || r.status == 204 || r.status == 304) {
        r.whole = true;
    } else if (reply_field(&r, "transfer-encoding", value)) {
        assert_string_equal(value, "chunked");
        read_chunks(fd, &r);
    } else if (reply_field(&r, "content-length", value)) {
        read_length(fd, &r, strtoul(value, NULL, 10));
    } else {
        char c;
        while (get(fd, &c))
            add(&r, &c, 1);
        r.whole = true;
    }
    return r;
}

struct reply client_ask(int fd, const char *method, const char *target, const char *fields,
                        const char *body)
{
    char *text = malloc(strlen(body) + 4096);
    assert_non_null(text);
    int n = snprintf(text, 4096, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, target, fields);
    if (body[0])
        n += sprintf(text + n, "Content-Length: %zu\r\n", strlen(body));
    sprintf(text + n, "\r\n%s", body);
    client_send(fd, text);
    free(text);
    return client_read(fd, strcmp(method, "HEAD") == 0);
}

void reply_free(struct reply *r)
{
    free(r->head);
    free(r->body);
    *r = (struct reply){0};
}

const char *reply_field(const struct reply *r, const char *name, char value[256])
{
    size_t n = strlen(name);
    for (const char *line = strchr(r->head, '\n'); line; line = strchr(line + 1, '\n'))
        if (strncasecmp(line + 1, name, n) == 0 && line[1 + n] == ':')
            return sscanf(line + 2 + n, " %255[^\r]", value) == 1 ? value : NULL;
    return NULL;
}

void reply_is_error(struct reply *r, unsigned status)
{
    char type[256], again[256];
    assert_int_equal(r->status, status);
    assert_true(r->whole);
    assert_non_null(reply_field(r, "content-type", type));
    if (status == 503)
        assert_non_null(reply_field(r, "retry-after", again));
    assert_string_equal(type, "application/json");
    json_t *root = json_loads(r->body, 0, NULL);
    json_t *error = json_object_get(root, "error");
    assert_true(json_is_string(json_object_get(error, "message")));
    assert_string_equal(json_string_value(json_object_get(error, "type")),
                        status >= 500 ? "server_error" : "invalid_request_error");
    assert_true(json_is_null(json_object_get(error, "param")));
    assert_true(json_is_null(json_object_get(error, "code")));
    json_decref(root);
    reply_free(r);
}
