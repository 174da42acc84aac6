/* SPDX-License-Identifier: Apache-2.0 */
/* The server of server.h: its routes, its thread, and what tests may know of it. */
#include "server.h"

#include <dirent.h>
#include <time.h>

#include "base/rng.h"

/* What a route keeps with an exchange. */
struct job {
    struct server *s;
    struct rw_http_exchange *x;
    struct rw_timer timer, second;
    struct rw_rng rng;
    unsigned seed;
    size_t at, n;
    uint64_t ms;
    bool second_passed;
};

static void count(struct server *s, unsigned *counter)
{
    pthread_mutex_lock(&s->mutex);
    ++*counter;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

char pattern_at(unsigned seed, size_t i)
{
    return (char)((i * 2654435761u + seed * 40503u) >> 13);
}

static size_t number(struct rw_http_exchange *x, const char *name, size_t otherwise)
{
    const char *value = rw_http_query(x, name);
    return value ? strtoul(value, NULL, 10) : otherwise;
}

static void second_passed(void *user)
{
    struct job *job = user;
    job->second_passed = true;
}

static struct job *job_new(struct server *s, struct rw_http_exchange *x)
{
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->s = s;
    job->x = x;
    job->seed = (unsigned)number(x, "seed", 0);
    job->n = number(x, "n", 0);
    job->ms = number(x, "ms", 0);
    rw_rng_init(&job->rng, job->seed);
    rw_timer_start(s->loop, &job->second, 1000, 0, second_passed, job);
    rw_http_set_user(x, job);
    return job;
}

static void reply_text(struct rw_http_exchange *x, const char *text)
{
    const struct rw_http_field fields[] = {{"Content-Type", "text/plain"}, {NULL, NULL}};
    assert_true(rw_http_reply(x, 200, fields, text, strlen(text)));
    assert_false(rw_http_reply(x, 200, fields, text, strlen(text))); /* once */
    assert_false(rw_http_stream(x, 200, fields));
    assert_false(rw_http_write(x, text, strlen(text)));
}

/* Routes ------------------------------------------------------------------------------------ */

static void send_info(struct rw_http_exchange *x)
{
    struct rw_str text = {0};
    const char *query = rw_http_query(x, "q"), *agent = rw_http_header(x, "user-agent");
    rw_str_printf(&text, "%s %s q=%s agent=%s host=%s:%d peer=%s", rw_http_method(x),
                  rw_http_path(x), query ? query : "-", agent ? agent : "-", rw_http_host(x),
                  rw_http_host_port(x), rw_http_peer(x));
    assert_true(rw_http_reply_str(x, 200, NULL, &text));
    assert_null(text.data);
}

static void send_large(struct rw_http_exchange *x)
{
    struct rw_str text = {0};
    size_t n = number(x, "n", 0);
    for (size_t i = 0; i < n; i++)
        rw_str_addc(&text, pattern_at(0, i));
    assert_true(rw_http_reply_str(x, 200, NULL, &text));
}

static void delayed(void *user)
{
    struct job *job = user;
    reply_text(job->x, "late");
}

static void tick(void *user)
{
    struct job *job = user;
    char line[32];
    if (job->at == job->n) {
        rw_timer_stop(job->s->loop, &job->timer);
        rw_http_end(job->x);
        return;
    }
    snprintf(line, sizeof line, "tick %zu\n", job->at++);
    rw_http_write(job->x, line, strlen(line));
}

/* Fills the buffer, again and again. */
static void flood(void *user)
{
    struct job *job = user;
    char block[4096] = {0};
    while (rw_http_write(job->x, block, sizeof block))
        ;
    count(job->s, &job->s->refused_writes);
}

static void send_piece(void *user)
{
    struct job *job = user;
    char piece[8192];
    size_t most = rw_rng_below(&job->rng, 8) == 0 ? sizeof piece : 200;
    size_t n = (size_t)rw_rng_below(&job->rng, most) + 1;
    n = n < job->n - job->at ? n : job->n - job->at;
    for (size_t i = 0; i < n; i++)
        piece[i] = pattern_at(job->seed, job->at + i);
    if (rw_http_write(job->x, piece, n))
        job->at += n;
    if (job->at < job->n)
        rw_timer_start(job->s->loop, &job->timer, rw_rng_below(&job->rng, 4), 0, send_piece, job);
    else
        rw_http_end(job->x);
}

static void on_head(void *user, struct rw_http_exchange *x)
{
    if (strcmp(rw_http_path(x), "/denied") == 0)
        assert_true(rw_http_error(x, 401, "denied: %s", "no key"));
    else if (strcmp(rw_http_path(x), "/small") == 0)
        rw_http_limit_body(x, 10);
    else if (strcmp(rw_http_path(x), "/big") == 0)
        rw_http_limit_body(x, 64 << 20);
}

/* Streams; false: no such route. */
static bool begin_stream(struct server *s, struct rw_http_exchange *x)
{
    const char *path = rw_http_path(x);
    void (*fn)(void *user) = strcmp(path, "/tick") == 0      ? tick
                             : strcmp(path, "/pattern") == 0 ? send_piece
                             : strcmp(path, "/flood") == 0   ? flood
                                                             : NULL;
    if (!fn)
        return false;
    struct job *job = job_new(s, x);
    assert_true(rw_http_stream(x, 200, NULL));
    rw_timer_start(s->loop, &job->timer, fn == flood ? 5 : job->ms, fn == flood ? 5 : job->ms, fn,
                   job);
    return true;
}

static void on_request(void *user, struct rw_http_exchange *x)
{
    struct server *s = user;
    const char *path = rw_http_path(x);
    size_t size;
    count(s, &s->requests);
    if (strcmp(path, "/hello") == 0) {
        reply_text(x, "hello");
    } else if (strcmp(path, "/info") == 0) {
        send_info(x);
    } else if (strcmp(path, "/large") == 0) {
        send_large(x);
    } else if (strcmp(path, "/hold") == 0) {
        job_new(s, x);
        s->held = x;
    } else if (strcmp(path, "/release") == 0) {
        reply_text(s->held, "released");
        reply_text(x, "hello");
    } else if (strcmp(path, "/delay") == 0) {
        struct job *job = job_new(s, x);
        rw_timer_start(s->loop, &job->timer, job->ms, 0, delayed, job);
    } else if (strcmp(path, "/echo") == 0 || strcmp(path, "/small") == 0 ||
               strcmp(path, "/big") == 0) {
        const char *body = rw_http_body(x, &size);
        assert_true(rw_http_reply(x, 200, NULL, body, size));
    } else if (!begin_stream(s, x)) {
        assert_true(rw_http_error(x, 404, "there is no %s", path));
    }
}

static void on_gone(void *user, struct rw_http_exchange *x)
{
    struct server *s = user;
    struct job *job = rw_http_user(x);
    /* Too late for everything, and harmless. */
    assert_false(rw_http_reply(x, 200, NULL, "", 0));
    assert_false(rw_http_write(x, "x", 1));
    rw_http_end(x);
    rw_http_abort(x);
    pthread_mutex_lock(&s->mutex);
    s->gone++;
    s->gone_whole += rw_http_whole(x);
    s->last_status = rw_http_status(x);
    s->gone_in_time = !job || !job->second_passed;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    if (job) {
        rw_timer_stop(s->loop, &job->timer);
        rw_timer_stop(s->loop, &job->second);
        rw_http_set_user(x, NULL);
        free(job);
    }
}

/* The server -------------------------------------------------------------------------------- */

struct rw_http_options server_options(void)
{
    struct rw_http_options options = rw_http_defaults();
    options.port = 0;
    return options;
}

void server_init(struct server *s, const struct rw_http_options *options)
{
    *s = (struct server){.options = options ? *options : server_options()};
    s->handler = (struct rw_http_handler){
        .user = s, .head = on_head, .request = on_request, .gone = on_gone};
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
}

static void *run(void *user)
{
    struct server *s = user;
    rwkv_error err = {0};
    assert_int_equal(rw_loop_run(s->loop, &err), RWKV_OK);
    return NULL;
}

void server_open(struct server *s)
{
    rwkv_error err = {0};
    assert_int_equal(rw_loop_new(&s->loop, &err), RWKV_OK);
    if (rw_http_open(&s->http, s->loop, &s->options, &s->handler, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
    s->running = true;
}

void server_start(struct server *s, const struct rw_http_options *options)
{
    server_init(s, options);
    server_open(s);
}

struct errand {
    struct rw_message message;
    struct server *s;
    void (*fn)(struct server *s);
    bool done;
};

static void do_errand(struct rw_message *message)
{
    struct errand *e = (struct errand *)message;
    e->fn(e->s);
    pthread_mutex_lock(&e->s->mutex);
    e->done = true;
    pthread_cond_broadcast(&e->s->changed);
    pthread_mutex_unlock(&e->s->mutex);
}

void server_do(struct server *s, void (*fn)(struct server *s))
{
    struct errand e = {.message.fn = do_errand, .s = s, .fn = fn};
    rw_loop_post(s->loop, &e.message);
    pthread_mutex_lock(&s->mutex);
    while (!e.done)
        pthread_cond_wait(&s->changed, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
}

void server_wait(struct server *s, const unsigned *counter, unsigned n)
{
    struct timespec limit;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    pthread_mutex_lock(&s->mutex);
    while (*counter < n && !late)
        late = pthread_cond_timedwait(&s->changed, &s->mutex, &limit);
    unsigned is = *counter;
    pthread_mutex_unlock(&s->mutex);
    assert_int_equal(is, n);
}

static void stop(struct server *s)
{
    rw_loop_stop(s->loop);
}

void server_stop(struct server *s)
{
    if (s->running) {
        server_do(s, stop);
        pthread_join(s->thread, NULL);
    }
    rw_http_close(s->http);
    rw_loop_free(s->loop);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->changed);
}

void server_mkdir(char path[64])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, 64, "%s/rwkv-server-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    assert_non_null(mkdtemp(path));
}

void server_rmdir(const char *path)
{
    DIR *folder = opendir(path);
    char name[512];
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));) {
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            unlink(name);
    }
    closedir(folder);
    assert_int_equal(rmdir(path), 0);
}
