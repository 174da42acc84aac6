/* SPDX-License-Identifier: Apache-2.0 */
/* Finished tasks wait in a list of our own, so that freeing can deliver those the loop did not. */
#include "server/background.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/status.h"

struct queue {
    struct rw_task *first, **end;
};

struct rw_background {
    struct rw_message message; /* there are finished tasks */
    struct rw_loop *loop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct queue waiting, finished;
    bool posted; /* the message is on its way */
    bool stop;
};

static void put(struct queue *q, struct rw_task *task)
{
    task->next = NULL;
    *q->end = task;
    q->end = &task->next;
}

static struct rw_task *take(struct queue *q)
{
    struct rw_task *task = q->first;
    if (task) {
        q->first = task->next;
        if (!q->first)
            q->end = &q->first;
    }
    return task;
}

static void *work(void *user)
{
    struct rw_background *b = user;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        struct rw_task *task = take(&b->waiting);
        if (!task && b->stop)
            break;
        if (!task) {
            pthread_cond_wait(&b->more, &b->lock);
            continue;
        }
        pthread_mutex_unlock(&b->lock);
        task->work(task);
        pthread_mutex_lock(&b->lock);
        put(&b->finished, task);
        if (!b->posted)
            rw_loop_post(b->loop, &b->message);
        b->posted = true;
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static void deliver(struct rw_message *message)
{
    struct rw_background *b = (struct rw_background *)message;
    struct rw_task *task;
    pthread_mutex_lock(&b->lock);
    b->posted = false;
    while ((task = take(&b->finished))) {
        pthread_mutex_unlock(&b->lock);
        task->done(task);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
}

rwkv_status rw_background_new(struct rw_background **out, struct rw_loop *loop, rwkv_error *err)
{
    struct rw_background *b = rw_calloc(1, sizeof *b);
    if (!b)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a thread");
    b->loop = loop;
    b->message.fn = deliver;
    b->waiting.end = &b->waiting.first;
    b->finished.end = &b->finished.first;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->more, NULL);
    if (pthread_create(&b->thread, NULL, work, b) != 0) {
        pthread_cond_destroy(&b->more);
        pthread_mutex_destroy(&b->lock);
        rw_free(b);
        return rw_fail(err, RWKV_ERROR_MEMORY, "cannot start a thread");
    }
    *out = b;
    return RWKV_OK;
}

void rw_background_do(struct rw_background *b, struct rw_task *task)
{
    pthread_mutex_lock(&b->lock);
    put(&b->waiting, task);
    pthread_cond_signal(&b->more);
    pthread_mutex_unlock(&b->lock);
}

void rw_background_free(struct rw_background *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_signal(&b->more);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    deliver(&b->message);
    pthread_cond_destroy(&b->more);
    pthread_mutex_destroy(&b->lock);
    rw_free(b);
}
