/* SPDX-License-Identifier: Apache-2.0 */
/* The example in http.h's comment, taken from there, compiled and run. */
#include "server.h"

#include <http_example.h> /* made by example.py */

static void stop(struct server *s)
{
    rw_loop_stop(s->loop);
}

static void *run(void *user)
{
    assert_int_equal(rw_loop_run(((struct server *)user)->loop, NULL), RWKV_OK);
    return NULL;
}

static void test_example(void **state)
{
    struct server s;
    rwkv_error err = {0};
    server_init(&s, NULL);
    assert_int_equal(rw_loop_new(&s.loop, &err), RWKV_OK);
    assert_int_equal(serve(s.loop, &s.http, &err), RWKV_OK);
    assert_int_equal(pthread_create(&s.thread, NULL, run, &s), 0);
    int fd = client_connect(&s);
    struct reply r = client_ask(fd, "GET", "/hello?name=R%20W", "", "");
    assert_string_equal(r.body, "Hello, R W");
    reply_free(&r);
    r = client_ask(fd, "GET", "/hello", "", "");
    assert_string_equal(r.body, "Hello, you");
    reply_free(&r);
    r = client_ask(fd, "GET", "/bye", "", "");
    reply_is_error(&r, 404);
    close(fd);
    server_do(&s, stop);
    pthread_join(s.thread, NULL);
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_example)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
