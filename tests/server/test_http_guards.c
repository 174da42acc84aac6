/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that leave, dawdle, lie or take nothing: each guard of the HTTP layer. */
#include "server.h"

#include <sys/socket.h>

#include <microhttpd.h>

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

static int ask(int fd, const char *target)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    client_send(fd, request);
    return fd;
}

static void is_text(struct reply *r, const char *text)
{
    assert_int_equal(r->status, 200);
    assert_true(r->whole);
    assert_string_equal(r->body, text);
    reply_free(r);
}

/* (a) Clients that leave -------------------------------------------------------------------- */

/* Told once, and by the loop before a timer of a second that began with the request. */
static void expect_gone(struct server *server)
{
    server_wait(server, &server->gone, 1);
    assert_true(server->gone_in_time);
    assert_int_equal(server->gone_whole, 0);
    int fd = client_connect(server); /* and the server is well */
    struct reply r = client_ask(fd, "GET", "/hello", "", "");
    is_text(&r, "hello");
    close(fd);
    server_wait(server, &server->gone, 2);
}

static void test_left_while_waiting(void **state)
{
    int fd = ask(client_connect(&s), "/hold");
    server_wait(&s, &s.requests, 1);
    close(fd);
    expect_gone(&s);
}

static void test_left_with_its_request(void **state)
{
    close(ask(client_connect(&s), "/hold"));
    expect_gone(&s);
}

static void test_left_a_stream(void **state)
{
    char byte;
    int fd = ask(client_connect(&s), "/tick?n=1000000&ms=5");
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close(fd);
    expect_gone(&s);
}

static void test_left_a_silent_stream(void **state)
{
    char byte;
    int fd = ask(client_connect(&s), "/tick?n=1&ms=600000");
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close(fd);
    expect_gone(&s);
}

static void test_reset(void **state)
{
    const struct linger now = {.l_onoff = 1};
    int fd = ask(client_connect(&s), "/hold");
    server_wait(&s, &s.requests, 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    expect_gone(&s);
}

/* Only its sending side is shut: it gets what comes in the time it has, and a stream that goes on.
 */
static void test_half_closed(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    options.half_closed_ms = 60000;
    server_start(&own, &options);
    int fd = ask(client_connect(&own), "/delay?ms=50");
    shutdown(fd, SHUT_WR);
    struct reply r = client_read(fd, false);
    is_text(&r, "late");
    close(fd);
    server_stop(&own);
    options.half_closed_ms = 40;
    server_start(&own, &options);
    fd = ask(client_connect(&own), "/tick?n=30&ms=5");
    shutdown(fd, SHUT_WR);
    r = client_read(fd, false);
    assert_true(r.whole);
    assert_non_null(strstr(r.body, "tick 29\n"));
    reply_free(&r);
    close(fd);
    server_wait(&own, &own.gone, 1);
    assert_int_equal(own.gone_whole, 1);
    fd = ask(client_connect(&own), "/hold"); /* nothing comes for it */
    shutdown(fd, SHUT_WR);
    server_wait(&own, &own.gone, 2);
    close(fd);
    server_stop(&own);
}

/* A unix socket tells the two apart: half closed waits as long as it takes, closed is gone. */
static void test_unix_half_closed(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    char folder[64], path[128];
    server_mkdir(folder);
    snprintf(path, sizeof path, "%s/s", folder);
    options.unix_path = path;
    options.half_closed_ms = 1;
    server_start(&own, &options);
    int fd = ask(client_connect_unix(path), "/delay?ms=100");
    shutdown(fd, SHUT_WR);
    struct reply r = client_read(fd, false);
    is_text(&r, "late");
    close(fd);
    fd = ask(client_connect_unix(path), "/hold");
    server_wait(&own, &own.requests, 2);
    close(fd);
    server_wait(&own, &own.gone, 2);
    assert_true(own.gone_in_time);
    server_stop(&own);
    server_rmdir(folder);
}

/* (b) Slow heads and bodies ----------------------------------------------------------------- */

/* Sends `text`, then a byte every few milliseconds until the server has closed; false if it never
 * did in `most` bytes. */
static bool dawdle(int fd, const char *text, char byte, int most)
{
    client_send(fd, text);
    for (int i = 0; i < most; i++) {
        usleep(5000);
        if (!client_try_send(fd, &byte, 1))
            return true;
    }
    return false;
}

static void test_slow_head(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    options.head_ms = 60;
    server_start(&own, &options);
    int fd = client_connect(&own);
    assert_true(dawdle(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nX: ", 'x', 2000));
    close(fd);
    fd = client_connect(&own); /* slow from the first line on */
    assert_true(dawdle(fd, "G", 'E', 2000));
    close(fd);
    fd = client_connect(&own); /* and in its second request */
    struct reply r = client_ask(fd, "GET", "/hello", "", "");
    is_text(&r, "hello");
    assert_true(dawdle(fd, "GET /hel", 'o', 2000));
    close(fd);
    assert_int_equal(own.requests, 1);
    fd = ask(client_connect(&own), "/delay?ms=200"); /* the handler may take its time */
    r = client_read(fd, false);
    is_text(&r, "late");
    r = client_ask(fd, "GET", "/tick?n=20&ms=10", "", "");
    assert_true(r.whole);
    reply_free(&r);
    close(fd);
    server_stop(&own);
}

static void test_slow_body(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    options.body_ms = 60;
    options.head_ms = 500;
    server_start(&own, &options);
    int fd = client_connect(&own);
    assert_true(
        dawdle(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 'x', 5000));
    close(fd);
    fd = client_connect(&own); /* one that just stops is told why, and closed */
    client_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    struct reply r = client_read(fd, false);
    reply_is_error(&r, 408);
    char end;
    assert_int_equal(recv(fd, &end, 1, 0), 0);
    server_wait(&own, &own.gone, 2);
    assert_int_equal(own.last_status, 408);
    assert_int_equal(own.requests, 0);
    close(fd);
    server_stop(&own);
}

static void test_idle(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    char end;
    options.idle_ms = 50;
    server_start(&own, &options);
    int fresh = client_connect(&own), used = client_connect(&own);
    struct reply r = client_ask(used, "GET", "/hello", "", "");
    is_text(&r, "hello");
    assert_int_equal(recv(fresh, &end, 1, 0), 0);
    assert_int_equal(recv(used, &end, 1, 0), 0);
    close(fresh);
    close(used);
    server_stop(&own);
}

/* (c) Heads that lie ------------------------------------------------------------------------ */

static void test_malformed_heads(void **state)
{
    static const struct {
        const char *head;
        unsigned status;
    } cases[] = {
        {"GET /hello HTTP/1.1\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
        {"GET /hel%6 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /hello%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /hello x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET hello HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET http://u@h/hello HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
         400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n",
         400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n",
         400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc", 501},
        {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        /* A field in two lines could become one that nobody in front of us saw. */
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-: 3\r\n Length\r\n\r\nabc", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nX: 3\r\n y\r\nZ: 1\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = client_connect(&s);
        client_send(fd, cases[i].head);
        struct reply r = client_read(fd, false);
        char end;
#if MHD_VERSION >= 0x01000000 /* refuses some of them itself, in its own words */
        if (r.status != 400 && r.status != cases[i].status)
            fail_msg("%s: %u", cases[i].head, r.status);
        reply_free(&r);
#else
        if (r.status != cases[i].status)
            fail_msg("%s: %u", cases[i].head, r.status);
        reply_is_error(&r, cases[i].status);
#endif
        assert_int_equal(recv(fd, &end, 1, 0), 0);
        close(fd);
    }
    assert_int_equal(s.requests, 0);
    assert_int_equal(s.gone, 0); /* no handler was told of them */
}

/* Refused by libmicrohttpd itself, in its own words; what matters is that they are. */
static void test_hopeless_heads(void **state)
{
    static const char *const heads[] = {
        "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nabc",
        "\r\n\r\nnonsense\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        int fd = client_connect(&s);
        client_send(fd, heads[i]);
        struct reply r = client_read(fd, false);
        if (r.status != 0 && r.status < 400)
            fail_msg("%s: %u", heads[i], r.status);
        reply_free(&r);
        close(fd);
    }
    char *large = malloc(200000);
    assert_non_null(large);
    sprintf(large, "GET /hello HTTP/1.1\r\nHost: a\r\nX: %0150000d\r\n\r\n", 1);
    int fd = client_connect(&s);
    client_try_send(fd, large, strlen(large));
    struct reply r = client_read(fd, false);
    assert_true(r.status == 431 || r.status == 0); /* 0: a reset overtook it */
    reply_free(&r);
    close(fd);
    free(large);
    assert_int_equal(s.requests, 0);
}

/* (d) Bodies that are too large ------------------------------------------------------------- */

static void test_body_limit(void **state)
{
    int fd = client_connect(&s);
    struct reply r = client_ask(fd, "POST", "/small", "", "0123456789");
    is_text(&r, "0123456789");
    r = client_ask(fd, "POST", "/small", "", "0123456789a");
    reply_is_error(&r, 413);
    r = client_ask(fd, "POST", "/echo", "", "the limit is the route's");
    is_text(&r, "the limit is the route's");
    client_send(fd, "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "8\r\n01234567\r\n3\r\n89a\r\n0\r\n\r\n");
    r = client_read(fd, false);
    reply_is_error(&r, 413);
    close(fd);
    fd = client_connect(&s);
    client_send(fd, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n"
                    "Expect: 100-continue\r\n\r\n");
    r = client_read(fd, false);
    reply_is_error(&r, 413);
    close(fd);
    server_wait(&s, &s.gone, 5);
    assert_int_equal(s.requests, 2);
}

static void test_bodies_of_all(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    options.bodies_bytes = 65536; /* some of libmicrohttpd's buffers: it passes on full ones */
    server_start(&own, &options);
    int one = client_connect(&own), two = client_connect(&own);
    char *text = calloc(1, 200001);
    memset(text, 'x', 200000);
    /* One alone may have more. */
    struct reply r = client_ask(one, "POST", "/echo", "", text);
    is_text(&r, text);
    text[60000] = 0;
    client_send(one, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60001\r\n\r\n");
    client_send(one, text);
    r = client_ask(two, "GET", "/hello", "", ""); /* then they have been read */
    is_text(&r, "hello");
    r = client_ask(two, "POST", "/echo", "", text);
    reply_is_error(&r, 503);
    close(two);
    client_send(one, "y");
    r = client_read(one, false);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    two = client_connect(&own);
    r = client_ask(two, "POST", "/echo", "", text);
    is_text(&r, text);
    close(one);
    close(two);
    free(text);
    server_stop(&own);
}

/* A client that first sends everything and then reads gets its 413 all the same. */
static void test_body_limit_of_one_who_does_not_listen(void **state)
{
    const size_t n = 8 << 20;
    char *body = malloc(n);
    assert_non_null(body);
    memset(body, 'x', n);
    for (int chunked = 0; chunked < 2; chunked++) {
        char head[256];
        int fd = client_connect(&s);
        snprintf(head, sizeof head, "POST /small HTTP/1.1\r\nHost: a\r\n%s: %s\r\n\r\n%s",
                 chunked ? "Transfer-Encoding" : "Content-Length", chunked ? "chunked" : "8388608",
                 chunked ? "800000\r\n" : "");
        client_send(fd, head);
        assert_true(client_try_send(fd, body, n));
        struct reply r = client_read(fd, false);
        reply_is_error(&r, 413);
        close(fd);
    }
    free(body);
}

/* (f) Deadlines, and clients that take nothing ---------------------------------------------- */

static void test_deadline(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    options.deadline_ms = 40;
    server_start(&own, &options);
    int fd = ask(client_connect(&own), "/hold");
    struct reply r = client_read(fd, false);
    reply_is_error(&r, 503);
    r = client_ask(fd, "GET", "/hello", "", ""); /* the connection goes on */
    is_text(&r, "hello");
    ask(fd, "/tick?n=1000000&ms=5");
    r = client_read(fd, false);
    assert_int_equal(r.status, 200);
    assert_false(r.whole);
    reply_free(&r);
    close(fd);
    server_wait(&own, &own.gone, 3);
    assert_int_equal(own.gone_whole, 2);
    server_stop(&own);
}

static void say_late(void *user, struct rw_http_exchange *x)
{
    ((struct server *)user)->late++;
    rw_http_write(x, "too late\n", 9);
    rw_http_end(x);
}

static void test_own_deadline(void **state)
{
    struct server own;
    server_init(&own, NULL);
    own.options.deadline_ms = 40;
    own.handler.late = say_late;
    server_open(&own);
    int fd = ask(client_connect(&own), "/tick?n=1000000&ms=600000");
    struct reply r = client_read(fd, false);
    is_text(&r, "too late\n");
    close(fd);
    server_wait(&own, &own.gone, 1);
    assert_int_equal(own.late, 1);
    assert_int_equal(own.gone_whole, 1);
    server_stop(&own);
}

static void give_up(void *user, struct rw_http_exchange *x)
{
    struct server *own = user;
    assert_true(rw_http_buffered(x) >= own->options.buffer_bytes);
    if (++own->stalled == 2)
        rw_http_abort(x);
}

/* The buffer fills, writes are refused, and the owner is asked, more than once. */
static void test_stalled_stream(void **state)
{
    struct server own;
    server_init(&own, NULL);
    own.options.stall_ms = 30;
    own.options.buffer_bytes = 100000;
    own.handler.stalled = give_up;
    server_open(&own);
    int fd = ask(client_connect(&own), "/flood");
    server_wait(&own, &own.gone, 1);
    assert_int_equal(own.stalled, 2);
    assert_true(own.refused_writes > 0);
    assert_int_equal(own.gone_whole, 0);
    close(fd);
    server_stop(&own);
}

/* Without anyone to ask it is dropped; a large reply in one piece as well. */
static void test_stalled_is_dropped(void **state)
{
    struct rw_http_options options = server_options();
    struct server own;
    options.stall_ms = 30;
    server_start(&own, &options);
    int stream = ask(client_connect(&own), "/flood");
    int large = ask(client_connect(&own), "/large?n=33554432");
    server_wait(&own, &own.gone, 2);
    assert_int_equal(own.gone_whole, 0);
    close(stream);
    close(large);
    server_stop(&own);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(left_while_waiting),
        TEST(left_with_its_request),
        TEST(left_a_stream),
        TEST(left_a_silent_stream),
        TEST(reset),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_unix_half_closed),
        cmocka_unit_test(test_slow_head),
        cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_idle),
        TEST(malformed_heads),
        TEST(hopeless_heads),
        TEST(body_limit),
        TEST(bodies_of_all),
        TEST(body_limit_of_one_who_does_not_listen),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_own_deadline),
        cmocka_unit_test(test_stalled_stream),
        cmocka_unit_test(test_stalled_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
