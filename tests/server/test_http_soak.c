/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many at once. Hundreds of streams with random pieces and pauses, some of whose clients leave in
 * the middle, each of the others complete and exact: a connection that is ready and skipped would
 * never end. And a thousand idle connections, which cost memory and nothing else.
 */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STREAMS = 100, ROUNDS = 2, MEASURE = 0 };
#else
enum { STREAMS = 400, ROUNDS = 3, MEASURE = 1 };
#endif
enum { IDLE = 1000, BYTES = 20000 };

struct stream {
    int fd;
    unsigned seed;
    size_t n, leaves_at; /* bytes of the body; where it leaves, beyond n: not at all */
    size_t got, in_chunk;
    char line[512];
    size_t line_size;
    bool in_body, done;
};

static void ask(struct stream *t, unsigned seed)
{
    char request[128];
    int fd = t->fd;
    *t = (struct stream){.fd = fd, .seed = seed, .n = 1 + seed * 7919 % BYTES};
    t->leaves_at = seed % 10 == 3 ? t->n / 2 : SIZE_MAX;
    snprintf(request, sizeof request, "GET /pattern?seed=%u&n=%zu HTTP/1.1\r\nHost: a\r\n\r\n",
             seed, t->n);
    client_send(fd, request);
}

/* A line of the head, or of the framing of chunks. */
static void take_line(struct stream *t)
{
    t->line[t->line_size] = 0;
    t->line_size = 0;
    if (!t->in_body) {
        t->in_body = strcmp(t->line, "\r\n") == 0;
        return;
    }
    if (strcmp(t->line, "\r\n") == 0) { /* after a chunk, and at the very end */
        t->done = t->got == t->n && t->in_chunk == SIZE_MAX;
        return;
    }
    t->in_chunk = strtoul(t->line, NULL, 16);
    if (t->in_chunk == 0)
        t->in_chunk = SIZE_MAX; /* the last */
}

static void take(struct stream *t, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_false(t->done);
        if (t->in_body && t->in_chunk > 0 && t->in_chunk != SIZE_MAX) {
            assert_int_equal(bytes[i], pattern_at(t->seed, t->got));
            t->got++;
            t->in_chunk--;
        } else {
            assert_true(t->line_size < sizeof t->line - 1);
            t->line[t->line_size++] = bytes[i];
            if (bytes[i] == '\n')
                take_line(t);
        }
    }
}

/* Reads what there is; true when this stream is over. */
static bool read_some(struct stream *t)
{
    char bytes[4096];
    ssize_t n = recv(t->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    assert_true(n > 0);
    take(t, bytes, (size_t)n);
    return t->done || t->got >= t->leaves_at;
}

static void test_streams(void **state)
{
    static struct stream streams[STREAMS];
    struct pollfd polls[STREAMS];
    struct server s;
    unsigned asked = 0, left = 0;
    server_start(&s, NULL);
    for (int i = 0; i < STREAMS; i++)
        streams[i].fd = client_connect(&s);
    for (int round = 0; round < ROUNDS; round++) {
        size_t open = STREAMS;
        for (int i = 0; i < STREAMS; i++) {
            ask(&streams[i], asked++);
            polls[i] = (struct pollfd){.fd = streams[i].fd, .events = POLLIN};
        }
        while (open > 0) {
            assert_true(poll(polls, STREAMS, 60000) > 0); /* 0: one was forgotten */
            for (int i = 0; i < STREAMS; i++) {
                if (!polls[i].revents || !read_some(&streams[i]))
                    continue;
                if (!streams[i].done) { /* leaves; another takes its place in the next round */
                    close(streams[i].fd);
                    streams[i].fd = client_connect(&s);
                    left++;
                }
                polls[i].fd = -1;
                open--;
            }
        }
    }
    server_wait(&s, &s.gone, asked);
    /* Of one that left, all may have been sent before it was known. */
    assert_true(s.gone_whole >= asked - left);
    assert_true(left > 0);
    for (int i = 0; i < STREAMS; i++)
        close(streams[i].fd);
    server_stop(&s);
    assert_int_equal(s.gone, asked);
}

static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t all = 0, pages = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &all, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double loop_seconds(struct server *s)
{
    clockid_t clock;
    struct timespec t;
    assert_int_equal(pthread_getcpuclockid(s->thread, &clock), 0);
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Half have asked something before. Where files are scarce, fewer. */
static void test_idle(void **state)
{
    static int fds[IDLE];
    struct rlimit files;
    struct server s;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int count = files.rlim_cur > 2 * IDLE + 100 ? IDLE : (int)(files.rlim_cur - 100) / 2;
    server_start(&s, NULL);
    size_t before = resident();
    for (int i = 0; i < count; i++) {
        fds[i] = client_connect(&s);
        if (i % 2 == 0) {
            struct reply r = client_ask(fds[i], "GET", "/hello", "", "");
            assert_int_equal(r.status, 200);
            reply_free(&r);
        }
    }
    size_t each = (resident() - before) / (size_t)count;
    print_message("%d idle connections: %zu bytes each\n", count, each);
    if (MEASURE)
        assert_true(each < 48 << 10); /* libmicrohttpd's 32 KiB, if it used all, and ours */
    /* A loop that is asleep uses no time, however slow the machine; one that spins uses all. */
    double spent = loop_seconds(&s);
    usleep(300000);
    assert_true(loop_seconds(&s) - spent < 0.1);
    int fd = client_connect(&s);
    struct reply r = client_ask(fd, "GET", "/hello", "", "");
    assert_int_equal(r.status, 200);
    reply_free(&r);
    close(fd);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
