/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for a server on this machine, and what becomes of it:
 *
 *     serve_load PORT STREAMS TOKENS IDLE BIAS
 *
 * STREAMS answers of TOKENS tokens each are asked for at once and read as fast as they come, while
 * IDLE connections stay open after a request each, and /health is asked every few milliseconds.
 * BIAS is the logit_bias of all requests. Prints one JSON object. Rates and times between tokens
 * are of the time in which all streams run: from the last one's first token to the first one's
 * last. Prompts differ, so nothing is cached.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "reply.h"

#define MAX_STREAMS 256
#define MAX_IDLE 3000
#define HEALTH_EVERY 0.01 /* seconds from one request for /health to the next */

struct times {
    double *at; /* [n] seconds */
    size_t n, capacity;
};

struct stream {
    int fd;
    struct reply reply;
    double asked;
    struct times pieces;       /* when text came */
    unsigned long long tokens; /* as the server counts them at the end */
};

struct health {
    int fd;
    struct reply reply;
    double asked; /* 0: nothing is under way */
    double next;  /* when to ask again */
    struct times asks, took;
};

static struct stream streams[MAX_STREAMS];
static struct health health;
static unsigned short port;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "serve_load: %s: %s\n", what, why);
    exit(1);
}

static void note(struct times *t, double seconds)
{
    if (!rw_grow((void **)&t->at, t->n, &t->capacity, sizeof *t->at))
        fail("times", "no memory");
    t->at[t->n++] = seconds;
}

/* --- requests --------------------------------------------------------------------------------- */

static int dial(void)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("connect", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void ask(int fd, const char *method, const char *path, const char *body)
{
    char text[4096];
    int n = snprintf(text, sizeof text,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     method, path, strlen(body), body);
    if (n >= (int)sizeof text || send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        fail("send", strerror(errno));
}

/* Read what is there. */
static void take(int fd, struct reply *reply)
{
    char bytes[1 << 14];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n <= 0)
        fail("read", n == 0 ? "the server closed the connection" : strerror(errno));
    if (!reply_push(reply, bytes, (size_t)n))
        fail("reply", reply->wrong);
    if (reply->status != 0 && reply->status != 200) {
        fprintf(stderr, "serve_load: status %d: %.*s\n", reply->status, (int)n, bytes);
        exit(1);
    }
}

static void ignore_line(void *user, const char *line)
{
}

/* A connection that has had its reply, and could be used again. */
static void stay_idle(void)
{
    static struct reply reply = {.line = ignore_line};
    int fd = dial();
    ask(fd, "GET", "/health", "");
    reply_again(&reply);
    while (!reply.whole)
        take(fd, &reply);
}

/* --- streams ---------------------------------------------------------------------------------- */

/* Whether an event has text. */
static bool has_text(const char *line)
{
    const char *text = strstr(line, "\"text\":");
    if (!text)
        return false;
    text += strlen("\"text\":");
    text += strspn(text, " ");
    return text[0] == '"' && text[1] != '"';
}

static void take_event(void *user, const char *line)
{
    struct stream *s = user;
    const char *count = strstr(line, "\"completion_tokens\":");
    if (count)
        s->tokens = strtoull(count + strlen("\"completion_tokens\":"), NULL, 10);
    else if (has_text(line))
        note(&s->pieces, rw_env_seconds());
}

static void begin_stream(struct stream *s, size_t i, size_t tokens, const char *bias)
{
    char body[3072];
    int n = snprintf(body, sizeof body,
                     "{\"prompt\": \"%zu. Once upon a time, in a land far away, there lived\", "
                     "\"max_tokens\": %zu, \"seed\": %zu, \"logit_bias\": %s, \"stream\": true, "
                     "\"stream_options\": {\"include_usage\": true}}",
                     i, tokens, i, bias);
    if (n >= (int)sizeof body)
        fail("BIAS", "this is too long");
    s->fd = dial();
    s->reply = (struct reply){.line = take_event, .user = s};
    s->asked = rw_env_seconds();
    ask(s->fd, "POST", "/v1/completions", body);
}

/* --- /health ---------------------------------------------------------------------------------- */

static void ask_health(double now)
{
    if (health.asked > 0 || now < health.next)
        return;
    reply_again(&health.reply);
    health.asked = now;
    health.next = now + HEALTH_EVERY;
    ask(health.fd, "GET", "/health", "");
}

static void take_health(void)
{
    take(health.fd, &health.reply);
    if (!health.reply.whole)
        return;
    note(&health.asks, health.asked);
    note(&health.took, rw_env_seconds() - health.asked);
    health.asked = 0;
}

/* Read everything until all streams have ended. */
static void watch(size_t n)
{
    struct pollfd fds[MAX_STREAMS + 1];
    size_t running = n;
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = streams[i].fd, .events = POLLIN};
    fds[n] = (struct pollfd){.fd = health.fd, .events = POLLIN};
    while (running > 0) {
        ask_health(rw_env_seconds());
        if (poll(fds, n + 1, (int)(HEALTH_EVERY * 1000)) < 0)
            fail("poll", strerror(errno));
        if (fds[n].revents)
            take_health();
        for (size_t i = 0; i < n; i++) {
            if (!fds[i].revents)
                continue;
            take(fds[i].fd, &streams[i].reply);
            if (!streams[i].reply.whole)
                continue;
            close(fds[i].fd);
            fds[i].fd = -1; /* poll passes it over */
            running--;
        }
    }
}

/* --- what became of it ------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const struct times *t, double q)
{
    return t->n ? t->at[(size_t)(q * (double)(t->n - 1) + 0.5)] : 0;
}

static void print_times(const char *name, struct times *t)
{
    if (t->n)
        qsort(t->at, t->n, sizeof *t->at, compare);
    printf(", \"%s\": {\"count\": %zu, \"p50\": %.6f, \"p95\": %.6f, \"p99\": %.6f, \"max\": %.6f}",
           name, t->n, quantile(t, 0.5), quantile(t, 0.95), quantile(t, 0.99), quantile(t, 1));
}

static void report(size_t n, size_t idle)
{
    struct times first = {0}, between = {0}, probes = {0};
    double begin = 0, end = 1e300, tokens = 0, seconds;
    for (size_t i = 0; i < n; i++) {
        const struct times *t = &streams[i].pieces;
        if (t->n < 2)
            fail("a stream", "wanted pieces of text, found hardly any");
        note(&first, t->at[0] - streams[i].asked);
        begin = t->at[0] > begin ? t->at[0] : begin;
        end = t->at[t->n - 1] < end ? t->at[t->n - 1] : end;
    }
    for (size_t i = 0; i < n; i++) {
        /* Bytes of a character may be held back until it is whole: some tokens have no piece. */
        const struct times *t = &streams[i].pieces;
        double weight = (double)streams[i].tokens / (double)t->n;
        for (size_t k = 1; k < t->n; k++)
            if (t->at[k] > begin && t->at[k] <= end) {
                tokens += weight;
                note(&between, t->at[k] - t->at[k - 1]);
            }
    }
    for (size_t i = 0; i < health.asks.n; i++)
        if (health.asks.at[i] >= begin && health.asks.at[i] <= end)
            note(&probes, health.took.at[i]);
    seconds = end > begin ? end - begin : 0;
    printf("{\"streams\": %zu, \"idle\": %zu, \"tokens\": %.0f, \"seconds\": %.6f, \"rate\": %.3f",
           n, idle, tokens, seconds, seconds > 0 ? tokens / seconds : 0);
    print_times("first_token", &first);
    print_times("between_tokens", &between);
    print_times("health", &probes);
    printf("}\n");
    rw_free(first.at);
    rw_free(between.at);
    rw_free(probes.at);
}

static size_t number(const char *text, const char *what, size_t min, size_t max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (!*text || *end || n < min || n > max) {
        fprintf(stderr, "serve_load: %s: wanted %zu to %zu, found '%s'\n", what, min, max, text);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    const struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
    if (argc != 6) {
        fprintf(stderr, "usage: serve_load PORT STREAMS TOKENS IDLE BIAS\n");
        return 2;
    }
    port = (unsigned short)number(argv[1], "PORT", 1, 65535);
    size_t n = number(argv[2], "STREAMS", 1, MAX_STREAMS);
    size_t tokens = number(argv[3], "TOKENS", 2, 100000);
    size_t idle = number(argv[4], "IDLE", 0, MAX_IDLE);
    if (idle > 500 && setrlimit(RLIMIT_NOFILE, &files) != 0)
        fail("limit of open files", strerror(errno));
    for (size_t i = 0; i < idle; i++)
        stay_idle();
    health.fd = dial();
    health.reply.line = ignore_line;
    for (size_t i = 0; i < n; i++)
        begin_stream(&streams[i], i, tokens, argv[5]);
    watch(n);
    report(n, idle);
    for (size_t i = 0; i < n; i++)
        rw_free(streams[i].pieces.at);
    rw_free(health.asks.at);
    rw_free(health.took.at);
    return 0;
}
