/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and replies as ordinary clients send and read them, and the sockets listened on. */
#include "server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct server s;

static int begin(void **state)
{
    server_start(&s, NULL);
    return 0;
}

static int finish(void **state)
{
    server_stop(&s);
    return 0;
}

static void is_text(struct reply *r, const char *text)
{
    assert_int_equal(r->status, 200);
    assert_true(r->whole);
    assert_string_equal(r->body, text);
    reply_free(r);
}

/* One connection, many requests, of every kind of method. */
static void test_keep_alive(void **state)
{
    int fd = client_connect(&s);
    char value[256];
    struct reply r = client_ask(fd, "GET", "/hello", "", "");
    assert_string_equal(reply_field(&r, "content-type", value), "text/plain");
    is_text(&r, "hello");
    r = client_ask(fd, "HEAD", "/hello", "", "");
    assert_string_equal(reply_field(&r, "content-length", value), "5");
    is_text(&r, "");
    r = client_ask(fd, "OPTIONS", "/info", "", "");
    is_text(&r, "OPTIONS /info q=- agent=- host=localhost:-1 peer=127.0.0.1");
    r = client_ask(fd, "GET", "/in%66o?q=a%20b+c&q=2", "user-AGENT: t/1\r\n", "");
    is_text(&r, "GET /info q=a b c agent=t/1 host=localhost:-1 peer=127.0.0.1");
    r = client_ask(fd, "POST", "/echo", "", "a body");
    is_text(&r, "a body");
    r = client_ask(fd, "GET", "/nowhere", "", "");
    reply_is_error(&r, 404);
    r = client_ask(fd, "GET", "/hello", "Connection: close\r\n", "");
    is_text(&r, "hello");
    char end;
    assert_int_equal(recv(fd, &end, 1, 0), 0);
    close(fd);
    server_wait(&s, &s.gone, 7);
    assert_int_equal(s.gone_whole, 7);
}

static void test_pipelining(void **state)
{
    int fd = client_connect(&s);
    client_send(fd,
                "GET /delay?ms=20 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /hel");
    struct reply r = client_read(fd, false);
    is_text(&r, "late");
    r = client_read(fd, false);
    is_text(&r, "hello");
    r = client_read(fd, false);
    is_text(&r, "abc");
    client_send(fd, "lo HTTP/1.1\r\nHost: a\r\n\r\n");
    r = client_read(fd, false);
    is_text(&r, "hello");
    close(fd);
}

/* One request's handler replies to another's, whose connection is suspended. */
static void test_reply_from_another_request(void **state)
{
    int held = client_connect(&s), other = client_connect(&s);
    client_send(held, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    server_wait(&s, &s.requests, 1);
    struct reply r = client_ask(other, "GET", "/release", "", "");
    is_text(&r, "hello");
    r = client_read(held, false);
    is_text(&r, "released");
    close(held);
    close(other);
}

static void test_bodies(void **state)
{
    int fd = client_connect(&s);
    client_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    struct reply r = client_read(fd, false);
    is_text(&r, "abcdefg");
    client_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 5\r\n\r\n");
    r = client_read(fd, false);
    assert_int_equal(r.status, 100);
    reply_free(&r);
    client_send(fd, "12345");
    r = client_read(fd, false);
    is_text(&r, "12345");
    close(fd);
}

/* Larger than every buffer in between, both ways; the limit is the route's. */
static void test_large(void **state)
{
    const size_t n = 5 << 20;
    char *body = malloc(n + 1), target[64], value[256];
    assert_non_null(body);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + pattern_at(1, i) % 26 / 2);
    for (size_t i = 0; i < n; i++)
        if (body[i] < 'a')
            body[i] = 'z';
    body[n] = 0;
    int fd = client_connect(&s);
    struct reply r = client_ask(fd, "PUT", "/big", "", body);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.size, n);
    assert_memory_equal(r.body, body, n);
    reply_free(&r);
    snprintf(target, sizeof target, "/large?n=%zu", n);
    r = client_ask(fd, "GET", target, "", "");
    assert_int_equal(r.size, n);
    for (size_t i = 0; i < n; i++)
        if (r.body[i] != pattern_at(0, i))
            fail_msg("byte %zu is wrong", i);
    reply_free(&r);
    r = client_ask(fd, "HEAD", target, "", "");
    snprintf(target, sizeof target, "%zu", n);
    assert_string_equal(reply_field(&r, "content-length", value), target);
    reply_free(&r);
    r = client_ask(fd, "GET", "/hello", "", "");
    is_text(&r, "hello");
    close(fd);
    free(body);
}

static void test_streams(void **state)
{
    int fd = client_connect(&s);
    char value[256];
    struct reply r = client_ask(fd, "GET", "/tick?n=3&ms=1", "", "");
    assert_non_null(reply_field(&r, "transfer-encoding", value));
    is_text(&r, "tick 0\ntick 1\ntick 2\n");
    r = client_ask(fd, "HEAD", "/tick?n=3&ms=1", "", "");
    assert_int_equal(r.status, 200);
    reply_free(&r);
    r = client_ask(fd, "GET", "/hello", "", "");
    is_text(&r, "hello");
    close(fd);
    fd = client_connect(&s); /* HTTP/1.0 has no chunks: until the end of the connection */
    client_send(fd, "GET /tick?n=2&ms=1 HTTP/1.0\r\n\r\n");
    r = client_read(fd, false);
    assert_null(reply_field(&r, "transfer-encoding", value));
    is_text(&r, "tick 0\ntick 1\n");
    close(fd);
}

/* A stream is told of before anything is written to it: the head is not held back. */
static void test_head_of_stream_comes_first(void **state)
{
    int fd = client_connect(&s);
    char head[16] = "";
    client_send(fd, "GET /tick?n=1&ms=600000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(recv(fd, head, 15, MSG_WAITALL), 15);
    assert_string_equal(head, "HTTP/1.1 200 OK");
    close(fd);
    server_wait(&s, &s.gone, 1);
}

static void test_early_replies(void **state)
{
    int fd = client_connect(&s); /* a small body is dropped, and the connection goes on */
    struct reply r = client_ask(fd, "POST", "/denied", "", "some body");
    reply_is_error(&r, 401);
    r = client_ask(fd, "GET", "/denied", "", "");
    reply_is_error(&r, 401);
    r = client_ask(fd, "GET", "/hello", "", "");
    is_text(&r, "hello");
    close(fd);
    fd = client_connect(&s); /* who asks before sending is told not to */
    client_send(fd, "POST /denied HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 500000\r\n\r\n");
    r = client_read(fd, false);
    reply_is_error(&r, 401);
    close(fd);
    server_wait(&s, &s.gone, 4);
    assert_int_equal(s.requests, 1);
}

static const char *own_error(void *user, struct rw_http_exchange *x, unsigned status,
                             const char *message, struct rw_str *body)
{
    assert_non_null(rw_http_path(x));
    rw_str_printf(body, "%u|%s", status, message);
    return "text/x-error";
}

static void test_own_error_form(void **state)
{
    struct server own;
    char value[256];
    server_init(&own, NULL);
    own.handler.error = own_error;
    server_open(&own);
    int fd = client_connect(&own);
    struct reply r = client_ask(fd, "GET", "/nowhere", "", "");
    assert_string_equal(reply_field(&r, "content-type", value), "text/x-error");
    assert_string_equal(r.body, "404|there is no /nowhere");
    reply_free(&r);
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    r = client_read(fd, false);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "400|Host is there more than once");
    reply_free(&r);
    close(fd);
    fd = client_connect(&own);
    r = client_ask(fd, "GET", "http://u@h/hello", "", "");
    assert_int_equal(r.status, 400);
    reply_free(&r);
    close(fd);
    server_stop(&own);
}

static void drain(struct server *server)
{
    rw_http_drain(server->http);
}

static void test_drain(void **state)
{
    int idle = client_connect(&s), busy = client_connect(&s);
    char value[256], end;
    struct reply r = client_ask(idle, "GET", "/hello", "", "");
    is_text(&r, "hello");
    client_send(busy, "GET /delay?ms=50 HTTP/1.1\r\nHost: a\r\n\r\n");
    server_wait(&s, &s.requests, 2);
    server_do(&s, drain);
    assert_int_equal(recv(idle, &end, 1, 0), 0);
    r = client_read(busy, false);
    assert_string_equal(reply_field(&r, "connection", value), "close");
    is_text(&r, "late");
    assert_int_equal(recv(busy, &end, 1, 0), 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)rw_http_port(s.http))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    close(idle);
    close(busy);
}

static void test_close_ends_everything(void **state)
{
    struct server own;
    server_start(&own, NULL);
    int fds[4];
    static const char *const targets[] = {"/hold", "/tick?n=10&ms=600000", "/flood", "/hello"};
    for (int i = 0; i < 4; i++) {
        char request[128];
        fds[i] = client_connect(&own);
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        client_send(fds[i], request);
    }
    server_wait(&own, &own.requests, 4);
    server_stop(&own);
    assert_int_equal(own.gone, 4);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static size_t connections_then;
static unsigned requests_then;

static void sample(struct server *server)
{
    connections_then = rw_http_connections(server->http);
    requests_then = server->requests;
}

static void test_connection_limit(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    options.max_connections = 2;
    server_start(&own, &options);
    int a = client_connect(&own), b = client_connect(&own);
    struct reply r = client_ask(a, "GET", "/hello", "", "");
    is_text(&r, "hello");
    r = client_ask(b, "GET", "/hello", "", "");
    is_text(&r, "hello");
    int c = client_connect(&own); /* by the system; waits there */
    client_send(c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    r = client_ask(a, "GET", "/delay?ms=30", "", "");
    is_text(&r, "late");
    server_do(&own, sample);
    assert_int_equal(requests_then, 3);
    assert_int_equal(connections_then, 2);
    close(b);
    r = client_read(c, false);
    is_text(&r, "hello");
    close(a);
    close(c);
    server_stop(&own);
}

/* Sockets ----------------------------------------------------------------------------------- */

static void cannot_open(const struct rw_http_options *options, const char *reason)
{
    struct rw_http_handler handler = {0};
    struct rw_http *http = NULL;
    struct rw_loop *loop;
    rwkv_error err = {0};
    assert_int_equal(rw_loop_new(&loop, &err), RWKV_OK);
    assert_int_not_equal(rw_http_open(&http, loop, options, &handler, &err), RWKV_OK);
    if (!strstr(err.message, reason))
        fail_msg("'%s' does not say '%s'", err.message, reason);
    rw_loop_free(loop);
}

static void test_unix_socket(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    struct stat st;
    char folder[64], path[128];
    server_mkdir(folder);
    snprintf(path, sizeof path, "%s/s", folder);
    options.unix_path = path;
    /* A stale socket: bound, and its server gone without removing it. */
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&a, sizeof a), 0);
    close(stale);
    server_start(&own, &options);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(strncmp(rw_http_url(own.http), "unix:", 5), 0);
    assert_int_equal(rw_http_port(own.http), 0);
    int fd = client_connect_unix(path);
    struct reply r = client_ask(fd, "GET", "/info", "", "");
    is_text(&r, "GET /info q=- agent=- host=localhost:-1 peer=unix");
    cannot_open(&options, "another server");
    r = client_ask(fd, "GET", "/hello", "", ""); /* and this one was not disturbed */
    is_text(&r, "hello");
    close(fd);
    server_stop(&own);
    assert_int_not_equal(stat(path, &st), 0);
    fclose(fopen(path, "w"));
    cannot_open(&options, "no socket");
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    server_rmdir(folder);
}

/* A client whose own unix socket has a long name: the address is larger than an IP's. */
static void test_unix_client_with_a_name(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    char folder[64], path[128];
    server_mkdir(folder);
    snprintf(path, sizeof path, "%s/s", folder);
    options.unix_path = path;
    server_start(&own, &options);
    struct sockaddr_un a = {.sun_family = AF_UNIX}, to = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/%0*d", folder, (int)(100 - strlen(folder)), 1);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct reply r = client_ask(fd, "GET", "/hello", "", "");
    is_text(&r, "hello");
    close(fd);
    server_stop(&own);
    server_rmdir(folder);
}

static void test_ipv6(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        print_message("no IPv6 here\n");
        if (fd >= 0)
            close(fd);
        skip();
    }
    close(fd);
    options.host = "::";
    server_start(&own, &options);
    assert_int_equal(strncmp(rw_http_url(own.http), "http://[::]:", 12), 0);
    a.sin6_port = htons((uint16_t)rw_http_port(own.http));
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    client_send(fd, "GET /info HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    struct reply r = client_read(fd, false);
    is_text(&r, "GET /info q=- agent=- host=::1:80 peer=::1");
    close(fd);
    fd = client_connect(&own); /* IPv4, too, under its own name */
    r = client_ask(fd, "GET", "/info", "", "");
    is_text(&r, "GET /info q=- agent=- host=localhost:-1 peer=127.0.0.1");
    close(fd);
    server_stop(&own);
}

static void test_cannot_listen(void **state)
{
    struct rw_http_options options = server_options();
    options.port = rw_http_port(s.http);
    cannot_open(&options, "in use");
    options = server_options();
    options.port = 70000;
    cannot_open(&options, "65535");
    options = server_options();
    options.host = "not a host";
    cannot_open(&options, "not a host");
    options.unix_path = "/nowhere/at/all/s";
    cannot_open(&options, "/nowhere/at/all/s");
    options.unix_path = "";
    cannot_open(&options, "107 bytes");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(keep_alive),
        TEST(pipelining),
        TEST(reply_from_another_request),
        TEST(bodies),
        TEST(large),
        TEST(streams),
        TEST(head_of_stream_comes_first),
        TEST(early_replies),
        cmocka_unit_test(test_own_error_form),
        TEST(drain),
        cmocka_unit_test(test_close_ends_everything),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_unix_client_with_a_name),
        cmocka_unit_test(test_ipv6),
        TEST(cannot_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
