/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker_int.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"

#define PARALLEL 32

/* --- jobs ------------------------------------------------------------------------------------- */

void rw_job_init(struct rw_job *job, enum rw_job_kind kind, struct rw_served *served)
{
    memset(job, 0, sizeof *job);
    job->kind = kind;
    job->served = served;
    job->n = 1;
    job->logprobs = -1;
    atomic_init(&job->cancelled, false);
}

static void free_work(struct rw_job *job)
{
    struct rw_job_work *work = job->work;
    if (!work)
        return;
    rwkv_session_free(work->session);
    rwkv_session_free(work->reader.session);
    rw_free(work->reader.tokens);
    for (size_t i = 0; i < job->n; i++) {
        rwkv_session_free(work->choices[i].session);
        rw_free(work->choices[i].tokens);
    }
    rw_free(work->sum);
    rw_free(work);
    job->work = NULL;
}

void rw_job_fini(struct rw_job *job)
{
    free_work(job);
    rwkv_session_free(job->from);
    rw_free(job->tokens);
    rw_free(job->marks);
    job->from = NULL;
    job->tokens = NULL;
    job->marks = NULL;
}

static struct rw_job_work *new_work(struct rw_job *job)
{
    struct rw_job_work *work = rw_calloc(1, sizeof *work + job->n * sizeof work->choices[0]);
    if (!work)
        return NULL;
    work->submitted = rw_env_seconds();
    work->reader.job = job;
    work->reader.index = SIZE_MAX;
    work->left = job->n;
    for (size_t i = 0; i < job->n; i++) {
        work->choices[i].job = job;
        work->choices[i].index = i;
    }
    return work;
}

/* --- telling ---------------------------------------------------------------------------------- */

/* On the loop's thread. */
static void deliver(struct rw_message *message)
{
    struct rw_worker *w = (struct rw_worker *)message;
    struct rw_told *told;
    pthread_mutex_lock(&w->lock);
    told = w->told;
    w->told = NULL;
    w->told_end = &w->told;
    w->posted = false;
    pthread_mutex_unlock(&w->lock);
    while (told) {
        struct rw_told *next = told->next;
        struct rw_job *job = told->job;
        bool over = told->event.kind == RW_JOB_OVER;
        if (over || !atomic_load(&job->cancelled))
            job->event(job, &told->event);
        else
            rwkv_session_free(told->event.session);
        if (!over)
            rw_free(told);
        told = next;
    }
}

static void say(struct rw_worker *w, struct rw_told *told)
{
    told->next = NULL;
    *w->said_end = told;
    w->said_end = &told->next;
}

/* Let the loop know what was said. Many events at once: were the loop woken by the first, the two
 * threads would get in each other's way at every one that follows. */
static void pass_on(struct rw_worker *w)
{
    if (!w->said)
        return;
    pthread_mutex_lock(&w->lock);
    *w->told_end = w->said;
    w->told_end = w->said_end;
    if (!w->posted)
        rw_loop_post(w->loop, &w->message);
    w->posted = true;
    pthread_mutex_unlock(&w->lock);
    w->said = NULL;
    w->said_end = &w->said;
}

void rw_job_tell(struct rw_worker *w, struct rw_job *job, const struct rw_job_event *event)
{
    size_t top = event->n_top * sizeof *event->top, vector = event->size * sizeof *event->vector;
    struct rw_told *told = rw_calloc(1, sizeof *told + top + vector + event->text_size);
    rwkv_error err;
    if (!told) {
        rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for what a job has to say");
        rwkv_session_free(event->session);
        rw_job_end_with(w, job, &err);
        return;
    }
    char *to = (char *)(told + 1);
    told->job = job;
    told->event = *event;
    if (top)
        told->event.top = memcpy(to, event->top, top);
    if (vector)
        told->event.vector = memcpy(to + top, event->vector, vector);
    told->event.text = to + top + vector;
    if (event->text_size)
        memcpy(to + top + vector, event->text, event->text_size);
    say(w, told);
}

void rw_job_end(struct rw_worker *w, struct rw_job *job, const struct rw_api_error *error)
{
    (void)w;
    if (job->work->stage == RW_STAGE_OVER)
        return;
    job->work->stage = RW_STAGE_OVER;
    if (error)
        job->work->error = *error;
    rw_job_leave_batch(job);
}

void rw_job_end_with(struct rw_worker *w, struct rw_job *job, const rwkv_error *err)
{
    struct rw_api_error error = {0};
    rw_api_fail_with(&error, err);
    rw_job_end(w, job, &error);
}

/* --- places ----------------------------------------------------------------------------------- */

static size_t sequences_of(const struct rw_active *a, uint64_t group)
{
    size_t n = 0;
    for (const struct rw_job *job = a->working; job; job = job->next)
        n += job->group == group ? job->n : 0;
    return n;
}

static uint64_t began_of(const struct rw_active *a, uint64_t group)
{
    for (size_t i = 0; i < RW_RECENT_GROUPS; i++)
        if (a->recent[i].began && a->recent[i].group == group)
            return a->recent[i].began;
    return 0;
}

/* Note that a job of this group begins; the group that is longest ago is forgotten. */
static void note_begin(struct rw_active *a, uint64_t group)
{
    struct rw_recent *to = &a->recent[0];
    for (size_t i = 0; i < RW_RECENT_GROUPS; i++) {
        struct rw_recent *r = &a->recent[i];
        if (r->began && r->group == group) {
            to = r;
            break;
        }
        if (r->began < to->began)
            to = r;
    }
    *to = (struct rw_recent){group, ++a->n_began};
}

/* Where the next one hangs: of the groups with the fewest sequences at work, the one that was begun
 * longest ago; of its jobs, the first. */
static struct rw_job **choose(struct rw_active *a)
{
    struct rw_job **best = &a->waiting;
    size_t fewest = SIZE_MAX;
    uint64_t earliest = UINT64_MAX;
    for (struct rw_job **at = &a->waiting; *at; at = &(*at)->next) {
        size_t n = sequences_of(a, (*at)->group);
        uint64_t began = began_of(a, (*at)->group);
        if (n < fewest || (n == fewest && began < earliest)) {
            fewest = n;
            earliest = began;
            best = at;
        }
    }
    return best;
}

/* From waiting to working. */
static void move_count(struct rw_worker *w, size_t n)
{
    pthread_mutex_lock(&w->lock);
    w->stats.waiting -= n;
    w->stats.working += n;
    pthread_mutex_unlock(&w->lock);
}

static void fill_places(struct rw_worker *w, struct rw_active *a)
{
    size_t places = w->options.parallel ? w->options.parallel : PARALLEL;
    while (a->waiting) {
        struct rw_job **at = choose(a), *job = *at;
        if (a->sequences > 0 && a->sequences + job->n > places)
            return;
        *at = job->next;
        job->next = a->working;
        a->working = job;
        a->sequences += job->n;
        note_begin(a, job->group);
        move_count(w, job->n);
        rw_job_begin(w, job);
    }
}

/* --- ends ------------------------------------------------------------------------------------- */

/* A job that its user cancelled, or that is late before it is in the batch, which looks at the
 * clock itself. */
static void look_for_end(struct rw_worker *w, struct rw_job *job, double now)
{
    struct rw_api_error error = {0};
    if (atomic_load(&job->cancelled)) {
        rw_job_end(w, job, NULL);
    } else if (job->timeout > 0 && now > job->work->submitted + job->timeout &&
               !rw_job_is_in_batch(job)) {
        rw_api_fail(&error, 503, "server_error", "deadline_exceeded", "not done after %g seconds",
                    job->timeout);
        rw_job_end(w, job, &error);
    }
}

static void tell_over(struct rw_worker *w, struct rw_job *job)
{
    struct rw_told *told = &job->work->over;
    told->job = job;
    told->event = (struct rw_job_event){.kind = RW_JOB_OVER};
    if (job->work->error.status)
        told->event.error = &job->work->error;
    say(w, told);
}

/* Take out those that are over. */
static void drop_over(struct rw_worker *w, struct rw_active *a, struct rw_job **list, bool working)
{
    while (*list) {
        struct rw_job *job = *list;
        if (job->work->stage != RW_STAGE_OVER || rw_job_is_in_batch(job)) {
            list = &job->next;
            continue;
        }
        *list = job->next;
        if (working)
            a->sequences -= job->n;
        pthread_mutex_lock(&w->lock);
        *(working ? &w->stats.working : &w->stats.waiting) -= job->n;
        pthread_mutex_unlock(&w->lock);
        tell_over(w, job);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static struct rw_active *active_of(struct rw_worker *w, struct rw_served *served)
{
    struct rw_active *a = w->active;
    while (a && a->served != served)
        a = a->next;
    if (a)
        return a;
    a = rw_calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->served = served;
    a->next = w->active;
    w->active = a;
    return a;
}

/* Jobs that came in go to their models, behind those that wait there. */
static void sort_incoming(struct rw_worker *w, struct rw_job *job)
{
    while (job) {
        struct rw_job *next = job->next;
        struct rw_active *a = active_of(w, job->served);
        job->next = NULL;
        if (a) {
            struct rw_job **end = &a->waiting;
            while (*end)
                end = &(*end)->next;
            *end = job;
        } else {
            rwkv_error err;
            rw_fail(&err, RWKV_ERROR_MEMORY, "no memory for a job");
            rw_job_end_with(w, job, &err);
            pthread_mutex_lock(&w->lock);
            w->stats.waiting -= job->n;
            pthread_mutex_unlock(&w->lock);
            tell_over(w, job);
        }
        job = next;
    }
}

static void count_step(struct rw_worker *w, const rwkv_batch_stats *s)
{
    size_t bucket = 0;
    while (bucket + 1 < RW_COUNT(w->stats.batch_sizes) && (size_t)1 << bucket < s->working)
        bucket++;
    pthread_mutex_lock(&w->lock);
    w->stats.steps++;
    w->stats.step_sequences += s->working;
    w->stats.prompt_tokens += s->prompt_tokens;
    w->stats.generated_tokens += s->generated_tokens;
    w->stats.batch_sizes[bucket]++;
    pthread_mutex_unlock(&w->lock);
}

/* A step of the batch; how many tokens may be evaluated beside it, for what is no generating: where
 * answers are streaming, what the step left of its own, or a few. */
static size_t step_batch(struct rw_worker *w, struct rw_active *a)
{
    rwkv_error err = {RWKV_OK, ""};
    rwkv_batch_event event;
    rwkv_batch_stats stats;
    size_t chunk = a->served->info.chunk;
    if (rwkv_batch_count(a->served->batch) == 0)
        return chunk;
    if (rwkv_batch_step(a->served->batch, &stats, &err) != RWKV_OK) {
        for (struct rw_job *job = a->working; job; job = job->next)
            rw_job_end_with(w, job, &err);
        return chunk;
    }
    count_step(w, &stats);
    while (rwkv_batch_next(a->served->batch, &event))
        rw_job_take(w, &event);
    pass_on(w);
    if (stats.generated_tokens == 0)
        return chunk;
    size_t most = w->options.step_tokens ? w->options.step_tokens : chunk;
    size_t used = stats.prompt_tokens + stats.generated_tokens;
    return used + RW_BESIDE < most ? most - used : RW_BESIDE;
}

/* One turn for one model: each kind of work gets a bounded piece. */
static void work_for(struct rw_worker *w, struct rw_active *a)
{
    double now = rw_env_seconds();
    for (struct rw_job *job = a->waiting; job; job = job->next)
        look_for_end(w, job, now);
    for (struct rw_job *job = a->working; job; job = job->next)
        look_for_end(w, job, now);
    drop_over(w, a, &a->waiting, false);
    if (!a->waiting && !a->working)
        return; /* nobody holds the model for us any more */
    fill_places(w, a);
    size_t room = step_batch(w, a);
    for (struct rw_job *job = a->working; job; job = job->next)
        if (job->work->stage == RW_STAGE_SCORING) {
            rw_job_score_slice(w, job, room);
            break;
        }
    rw_jobs_embed_slice(w, a, room);
    drop_over(w, a, &a->working, true);
}

static void work_once(struct rw_worker *w)
{
    double start = rw_env_seconds();
    for (struct rw_active **at = &w->active; *at;) {
        struct rw_active *a = *at;
        work_for(w, a);
        pass_on(w);
        if (a->waiting || a->working) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        rw_free(a);
    }
    pthread_mutex_lock(&w->lock);
    w->stats.busy_seconds += rw_env_seconds() - start;
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *user)
{
    struct rw_worker *w = user;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        while (!w->stop && !w->incoming && !w->active)
            pthread_cond_wait(&w->more, &w->lock);
        bool stop = w->stop;
        struct rw_job *incoming = w->incoming;
        w->incoming = NULL;
        w->incoming_end = &w->incoming;
        pthread_mutex_unlock(&w->lock);
        sort_incoming(w, incoming);
        pass_on(w);
        if (stop)
            return NULL;
        work_once(w);
    }
}

/* --- from the loop's thread ------------------------------------------------------------------- */

rwkv_status rw_worker_new(struct rw_worker **out, struct rw_loop *loop,
                          const struct rw_worker_options *options, rwkv_error *err)
{
    struct rw_worker *w = rw_calloc(1, sizeof *w);
    if (!w)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a thread");
    w->loop = loop;
    w->options = *options;
    w->message.fn = deliver;
    w->incoming_end = &w->incoming;
    w->told_end = &w->told;
    w->said_end = &w->said;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        pthread_cond_destroy(&w->more);
        pthread_mutex_destroy(&w->lock);
        rw_free(w);
        return rw_fail(err, RWKV_ERROR_MEMORY, "cannot start a thread");
    }
    *out = w;
    return RWKV_OK;
}

void rw_worker_submit(struct rw_worker *w, struct rw_job *job)
{
    job->next = NULL;
    job->work = new_work(job);
    if (!job->work) {
        struct rw_api_error error = {0};
        rw_api_fail(&error, 503, "server_error", NULL, "no memory for a job");
        job->event(job, &(struct rw_job_event){.kind = RW_JOB_OVER, .error = &error});
        return;
    }
    pthread_mutex_lock(&w->lock);
    *w->incoming_end = job;
    w->incoming_end = &job->next;
    w->stats.waiting += job->n;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

void rw_worker_cancel(struct rw_worker *w, struct rw_job *job)
{
    (void)
        w; /* the thread looks at every job in every turn, and does not sleep while there are any */
    atomic_store(&job->cancelled, true);
}

void rw_worker_get_stats(struct rw_worker *w, struct rw_worker_stats *stats)
{
    pthread_mutex_lock(&w->lock);
    *stats = w->stats;
    pthread_mutex_unlock(&w->lock);
}

static void drop_all(struct rw_job *list)
{
    while (list) {
        struct rw_job *next = list->next;
        free_work(list);
        list = next;
    }
}

void rw_worker_free(struct rw_worker *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    while (w->told) {
        struct rw_told *told = w->told;
        w->told = told->next;
        rwkv_session_free(told->event.session);
        if (told->event.kind != RW_JOB_OVER)
            rw_free(told);
    }
    while (w->active) {
        struct rw_active *a = w->active;
        w->active = a->next;
        drop_all(a->working);
        drop_all(a->waiting);
        rw_free(a);
    }
    rw_free(w->logits);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    rw_free(w);
}
