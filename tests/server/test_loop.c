/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: its order, timers, descriptors that change under it, messages, signals. */
#include "unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/rng.h"
#include "server/loop.h"

static struct rw_loop *loop;
static char trace[256];

static int begin(void **state)
{
    trace[0] = 0;
    return rw_loop_new(&loop, NULL);
}

static int finish(void **state)
{
    rw_loop_free(loop);
    loop = NULL;
    return 0;
}

static void note(const char *what)
{
    assert_true(strlen(trace) + strlen(what) < sizeof trace);
    strcat(trace, what);
}

static void run(void)
{
    rwkv_error err = {0};
    assert_int_equal(rw_loop_run(loop, &err), RWKV_OK);
}

static void say(void *user)
{
    note(user);
}

static void say_and_stop(void *user)
{
    note(user);
    rw_loop_stop(loop);
}

/* Timers ------------------------------------------------------------------------------------ */

static void test_timers_in_order(void **state)
{
    struct rw_timer t[5] = {0};
    rw_timer_start(loop, &t[0], 12, 0, say_and_stop, "d");
    rw_timer_start(loop, &t[1], 1, 0, say, "a");
    rw_timer_start(loop, &t[2], 7, 0, say, "c");
    rw_timer_start(loop, &t[3], 4, 0, say, "b");
    rw_timer_start(loop, &t[4], 5, 0, say, "-");
    rw_timer_stop(loop, &t[4]);
    rw_timer_stop(loop, &t[4]); /* not running: fine */
    run();
    assert_string_equal(trace, "abcd");
}

static struct rw_timer repeating, once;
static int repeated;

static void repeat(void *user)
{
    if (++repeated == 3)
        rw_loop_stop(loop);
}

static void test_repetition(void **state)
{
    repeated = 0;
    rw_timer_start(loop, &repeating, 2, 2, repeat, NULL);
    run();
    assert_int_equal(repeated, 3);
    rw_timer_stop(loop, &repeating);
}

static void again(void *user)
{
    if (++repeated < 5)
        rw_timer_start(loop, &once, 0, 0, again, NULL);
}

/* A chain of timers of 0 ms is a turn each, and does not keep a descriptor waiting. */
static void readable(void *user, uint32_t events)
{
    char byte;
    assert_int_equal(read(*(int *)user, &byte, 1), 1);
    assert_true(repeated <= 1);
    rw_loop_stop(loop);
}

static void test_zero_timers_are_fair(void **state)
{
    int ends[2];
    struct rw_watch watch = {0};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(rw_loop_watch(loop, &watch, ends[0], EPOLLIN, readable, &ends[0], NULL), 0);
    repeated = 0;
    rw_timer_start(loop, &once, 0, 0, again, NULL);
    run();
    assert_true(repeated <= 1);
    rw_timer_stop(loop, &once);
    rw_loop_unwatch(loop, &watch);
    close(ends[0]);
    close(ends[1]);
}

/* The heap against a plain search, through random starts and stops. */
static void test_heap(void **state)
{
    enum { COUNT = 200 };
    struct rw_timer t[COUNT] = {0}, *first = NULL;
    struct rw_rng rng;
    uint64_t order = 0;
    rw_rng_init(&rng, 7);
    for (int step = 0; step < 20000; step++) {
        struct rw_timer *one = &t[rw_rng_below(&rng, COUNT)], *least = NULL;
        if (one->running) {
            rw_timers_remove(&first, one);
        } else {
            one->due = rw_rng_below(&rng, 50);
            one->order = order++;
            rw_timers_add(&first, one);
        }
        for (int i = 0; i < COUNT; i++)
            if (t[i].running && (!least || t[i].due < least->due ||
                                 (t[i].due == least->due && t[i].order < least->order)))
                least = &t[i];
        assert_ptr_equal(first, least);
    }
}

/* Descriptors ------------------------------------------------------------------------------- */

static struct rw_watch watches[2];

static void first_withdraws_other(void *user, uint32_t events)
{
    struct rw_watch *other = user;
    note("1");
    rw_loop_unwatch(loop, other);
    rw_loop_stop(loop);
}

/* Both are ready in one turn; whichever is called first makes the other not be called. */
static void test_unwatched_is_not_called(void **state)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rw_loop_watch(loop, &watches[i], ends[i], EPOLLOUT, first_withdraws_other,
                                       &watches[1 - i], NULL),
                         0);
    run();
    assert_string_equal(trace, "1");
    for (int i = 0; i < 2; i++) {
        rw_loop_unwatch(loop, &watches[i]);
        rw_loop_unwatch(loop, &watches[i]); /* not watched: fine */
        close(ends[i]);
    }
}

static void first_changes_other(void *user, uint32_t events)
{
    note("1");
    rw_loop_change(loop, user, 0);
    rw_loop_stop(loop);
}

static void test_changed_is_not_called(void **state)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rw_loop_watch(loop, &watches[i], ends[i], EPOLLOUT, first_changes_other,
                                       &watches[1 - i], NULL),
                         0);
    run();
    assert_string_equal(trace, "1");
    for (int i = 0; i < 2; i++) {
        rw_loop_unwatch(loop, &watches[i]);
        close(ends[i]);
    }
}

static void test_bad_descriptor(void **state)
{
    struct rw_watch watch = {0};
    rwkv_error err = {0};
    assert_int_equal(rw_loop_watch(loop, &watch, -1, EPOLLIN, readable, NULL, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "descriptor -1"));
    assert_false(watch.active);
}

/* Messages ---------------------------------------------------------------------------------- */

struct numbered {
    struct rw_message message;
    unsigned sender, number;
};

enum { SENDERS = 4, EACH = 2000 };
static struct numbered posted[SENDERS][EACH];
static unsigned expected[SENDERS], received;

static void receive(struct rw_message *message)
{
    struct numbered *n = (struct numbered *)message;
    assert_int_equal(n->number, expected[n->sender]++);
    if (++received == SENDERS * EACH)
        rw_loop_stop(loop);
}

static void *send_all(void *user)
{
    unsigned sender = *(unsigned *)user;
    for (unsigned i = 0; i < EACH; i++) {
        posted[sender][i] = (struct numbered){{.fn = receive}, sender, i};
        rw_loop_post(loop, &posted[sender][i].message);
    }
    return NULL;
}

static void test_messages_of_threads(void **state)
{
    pthread_t threads[SENDERS];
    unsigned names[SENDERS];
    received = 0;
    memset(expected, 0, sizeof expected);
    for (unsigned i = 0; i < SENDERS; i++) {
        names[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &names[i]), 0);
    }
    run();
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(received, SENDERS * EACH);
}

static void say_message(struct rw_message *message)
{
    note("m");
}

static void say_descriptor(void *user, uint32_t events)
{
    note("d");
    rw_loop_stop(loop);
}

/* All three are there when the turn begins. */
static void test_order_of_a_turn(void **state)
{
    int ends[2];
    struct rw_watch watch = {0};
    struct rw_timer timer = {0};
    struct rw_message messages[2] = {{.fn = say_message}, {.fn = say_message}};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    rw_timer_start(loop, &timer, 0, 0, say, "t");
    assert_int_equal(rw_loop_watch(loop, &watch, ends[0], EPOLLOUT, say_descriptor, NULL, NULL), 0);
    rw_loop_post(loop, &messages[0]);
    rw_loop_post(loop, &messages[1]);
    run();
    assert_string_equal(trace, "mmdt");
    rw_loop_unwatch(loop, &watch);
    close(ends[0]);
    close(ends[1]);
}

/* Signals ----------------------------------------------------------------------------------- */

static void on_signal(void *user, int signal)
{
    note(signal == SIGTERM ? "T" : signal == SIGINT ? "I" : signal == SIGHUP ? "H" : "?");
    if (strlen(trace) == 3)
        rw_loop_stop(loop);
}

static void test_signals(void **state)
{
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(rw_loop_signals(loop, on_signal, NULL, NULL), RWKV_OK);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
    kill(getpid(), SIGHUP);
    run();
    assert_true(strchr(trace, 'T') && strchr(trace, 'I') && strchr(trace, 'H'));
    rw_loop_free(loop);
    loop = NULL;
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(timers_in_order),       TEST(repetition),
        TEST(zero_timers_are_fair),  TEST(heap),
        TEST(bad_descriptor),        TEST(unwatched_is_not_called),
        TEST(changed_is_not_called), TEST(messages_of_threads),
        TEST(order_of_a_turn),       TEST(signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
