/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry is closed, being opened (its wants wait in a list) or open. Opening has two tasks: the
 * plan, which tells the memory, and then, when there is room for it, the opening. A model that is
 * closed leaves its entry at once and is freed by the background thread.
 */
#include "server/models.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "base/str.h"

struct entry {
    struct rw_task task; /* first; while opening */
    struct rw_models *models;
    struct rw_model_entry about;
    char name[RW_MAX_NAME + 1];
    char *path;       /* NULL: built in */
    bool from_folder; /* and so gone when its file is */
    bool seen;        /* a mark of the scan */

    bool opening;
    struct rw_want *wants;    /* in their order */
    struct rw_served *served; /* NULL: not open */
    uint64_t memory;          /* that it takes, or will take, by its plan */
    uint64_t used;            /* when it was released last: a number that grows */
    struct rw_timer timer;    /* closes it */

    struct rw_served *made; /* by the task, */
    rwkv_error err;         /* or why not */
};

struct rw_models {
    struct rw_loop *loop;
    struct rw_background *background;
    struct rw_models_options options;
    struct entry **list; /* [n] in the order of names */
    size_t n, capacity;
    struct entry *first; /* the default; NULL: none was added */
    uint64_t clock;
};

/* --- served models ---------------------------------------------------------------------------- */

static void free_served(struct rw_served *served)
{
    if (!served)
        return;
    rwkv_batch_free(served->batch);
    rwkv_model_close(served->model);
    rw_free(served);
}

static rwkv_status open_model(const struct entry *e, rwkv_model **out, rwkv_error *err)
{
    const struct rw_models_options *o = &e->models->options;
    if (e->path)
        return rwkv_model_open(e->path, &o->model, out, err);
    return rwkv_model_open_memory(o->builtin, o->builtin_bytes, e->name, &o->model, out, err);
}

/* In the background thread. */
static rwkv_status make_served(struct entry *e, rwkv_error *err)
{
    rwkv_status status;
    double start = rw_env_seconds();
    struct rw_served *served = rw_calloc(1, sizeof *served);
    if (!served)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a model");
    snprintf(served->name, sizeof served->name, "%s", e->name);
    RW_GO(open_model(e, &served->model, err));
    served->vocab = rwkv_model_vocab(served->model, err);
    if (!served->vocab) {
        status = err->code;
        goto done;
    }
    RW_GO(rwkv_batch_new(served->model, &e->models->options.batch, &served->batch, err));
    rwkv_model_get_info(served->model, &served->info);
    served->opened_seconds = rw_env_seconds() - start;
    e->made = served;
    return RWKV_OK;
done:
    free_served(served);
    return status;
}

struct closing {
    struct rw_task task;
    struct rw_served *served;
};

static void close_in_background(struct rw_task *task)
{
    free_served(((struct closing *)task)->served);
}

static void closed(struct rw_task *task)
{
    rw_free(task);
}

static void close_entry(struct entry *e)
{
    struct closing *c = rw_calloc(1, sizeof *c);
    rw_timer_stop(e->models->loop, &e->timer);
    if (c) {
        c->task = (struct rw_task){.work = close_in_background, .done = closed};
        c->served = e->served;
        rw_background_do(e->models->background, &c->task);
    } else {
        free_served(e->served);
    }
    e->served = NULL;
    e->about.loaded = false;
    e->about.expires = 0;
}

/* --- the list --------------------------------------------------------------------------------- */

static int compare(const void *name, const void *entry)
{
    return strcmp(name, (*(struct entry *const *)entry)->name);
}

static struct entry *find(const struct rw_models *m, const char *name)
{
    struct entry **at = m->n ? bsearch(name, m->list, m->n, sizeof *m->list, compare) : NULL;
    return at ? *at : NULL;
}

static void free_entry(struct entry *e)
{
    if (!e)
        return;
    rw_timer_stop(e->models->loop, &e->timer);
    free_served(e->served);
    rw_free(e->path);
    rw_free(e);
}

static struct entry *new_entry(struct rw_models *m, const char *name, const char *path)
{
    struct entry *e = rw_calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->models = m;
    snprintf(e->name, sizeof e->name, "%s", name);
    e->path = path ? rw_strdup(path) : NULL;
    e->about.name = e->name;
    e->about.path = e->path;
    if ((path && !e->path) || !rw_grow((void **)&m->list, m->n, &m->capacity, sizeof *m->list)) {
        free_entry(e);
        return NULL;
    }
    size_t at = m->n++;
    for (; at > 0 && strcmp(m->list[at - 1]->name, name) > 0; at--)
        m->list[at] = m->list[at - 1];
    m->list[at] = e;
    return e;
}

/* Size and time of a file, or of what lies directly in a folder; false: nothing there. */
static bool measure(const char *path, uint64_t *bytes, double *modified)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    *bytes = (uint64_t)st.st_size;
    *modified = (double)st.st_mtim.tv_sec;
    DIR *dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (!dir)
        return true;
    *bytes = 0;
    for (const struct dirent *d; (d = readdir(dir));)
        if (fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            *bytes += (uint64_t)st.st_size;
    closedir(dir);
    return true;
}

rwkv_status rw_models_add(struct rw_models *m, const char *name, const char *path, rwkv_error *err)
{
    if (!rw_is_name(name))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "'%s': wanted a name of at most %d letters, digits and . _ : - /", name,
                       RW_MAX_NAME);
    if (find(m, name))
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "there is a model of the name %s already", name);
    struct entry *e = new_entry(m, name, path);
    if (!e)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the list of models");
    e->about.bytes = path ? 0 : m->options.builtin_bytes;
    if (path && !measure(path, &e->about.bytes, &e->about.modified))
        return rw_fail(err, RWKV_ERROR_IO, "%s: no such file", path);
    if (!m->first)
        m->first = e;
    return RWKV_OK;
}

/* The name under which a file of the folder is known: without its ending, which must be that of a
 * model. Parts of a model in several files have none. */
static bool name_of_file(const char *file, bool folder, char name[RW_MAX_NAME + 1])
{
    static const char *const endings[] = {".gguf", ".safetensors", ".pth"};
    size_t size = strlen(file);
    if (strstr(file, "-of-0"))
        return false;
    for (size_t i = 0; !folder && i < RW_COUNT(endings); i++)
        if (rw_has_suffix(file, endings[i])) {
            size -= strlen(endings[i]);
            folder = true;
        }
    if (!folder || size > RW_MAX_NAME)
        return false;
    snprintf(name, RW_MAX_NAME + 1, "%.*s", (int)size, file);
    return rw_is_name(name);
}

static void look_at_file(struct rw_models *m, int folder, const char *file)
{
    struct stat st;
    char name[RW_MAX_NAME + 1];
    struct rw_str path = {0};
    if (fstatat(folder, file, &st, 0) != 0 || !name_of_file(file, S_ISDIR(st.st_mode), name))
        return;
    rw_str_printf(&path, "%s/%s", m->options.folder, file);
    struct entry *e = path.failed ? NULL : find(m, name);
    if (S_ISDIR(st.st_mode) && !path.failed) {
        /* Only folders as they are published: with a configuration. */
        struct rw_str config = {0};
        rw_str_printf(&config, "%s/config.json", path.data);
        bool is_model = !config.failed && access(config.data, R_OK) == 0;
        rw_str_fini(&config);
        if (!is_model)
            goto done;
    }
    if (!e && !path.failed) {
        e = new_entry(m, name, path.data);
        if (e)
            e->from_folder = true;
    }
    if (e && e->from_folder && strcmp(e->path, path.data) == 0)
        e->seen = measure(path.data, &e->about.bytes, &e->about.modified);
done:
    rw_str_fini(&path);
}

size_t rw_models_scan(struct rw_models *m)
{
    DIR *dir = m->options.folder ? opendir(m->options.folder) : NULL;
    size_t left = 0;
    for (size_t i = 0; i < m->n; i++)
        m->list[i]->seen = !m->list[i]->from_folder;
    for (const struct dirent *d; dir && (d = readdir(dir));)
        look_at_file(m, dirfd(dir), d->d_name);
    if (dir)
        closedir(dir);
    for (size_t i = 0; i < m->n; i++) {
        struct entry *e = m->list[i];
        if (e->seen || e->served || e->opening)
            m->list[left++] = e;
        else
            free_entry(e);
    }
    m->n = left;
    return left;
}

const struct rw_model_entry *rw_models_at(struct rw_models *m, size_t i)
{
    return &m->list[i]->about;
}

static struct entry *look_up(struct rw_models *m, const char *name)
{
    static const char latest[] = ":latest";
    char plain[RW_MAX_NAME + 1];
    if (!name || !*name)
        return m->first ? m->first : m->n > 0 ? m->list[0] : NULL;
    struct entry *e = find(m, name);
    size_t size = strlen(name);
    if (!e && rw_has_suffix(name, latest) && size <= RW_MAX_NAME) {
        snprintf(plain, sizeof plain, "%.*s", (int)(size - strlen(latest)), name);
        e = find(m, plain);
    }
    return e;
}

const struct rw_model_entry *rw_models_find(struct rw_models *m, const char *name)
{
    struct entry *e = look_up(m, name);
    return e ? &e->about : NULL;
}

/* --- opening ---------------------------------------------------------------------------------- */

static struct rw_served *hold(struct entry *e)
{
    rw_timer_stop(e->models->loop, &e->timer);
    e->about.expires = 0;
    e->about.users++;
    return e->served;
}

/* Tell all who wait; their functions may want and release models. */
static void answer(struct entry *e, const struct rw_api_error *error)
{
    struct rw_want *want = e->wants;
    e->wants = NULL;
    for (struct rw_want *w = want; w && !error; w = w->next)
        hold(e); /* all at once, that none of them closes it for the others */
    while (want) {
        struct rw_want *next = want->next;
        want->fn(want->user, error ? NULL : e->served, error);
        want = next;
    }
}

static void refuse(struct entry *e, int status, const char *code, const char *message)
{
    struct rw_api_error error = {0};
    rw_api_fail(&error, status, "server_error", code, "model %s: %s", e->name, message);
    e->opening = false;
    answer(e, &error);
}

static void opened(struct rw_task *task)
{
    struct entry *e = (struct entry *)task;
    if (!e->made) {
        refuse(e, 500, "model_not_opened", e->err.message);
        return;
    }
    e->opening = false;
    e->served = e->made;
    e->made = NULL;
    e->about.loaded = true;
    answer(e, NULL);
}

static void open_in_background(struct rw_task *task)
{
    struct entry *e = (struct entry *)task;
    make_served(e, &e->err);
}

/* Close models that nobody uses, the longest unused first, until there is room for `bytes`. */
static bool make_room(struct rw_models *m, uint64_t bytes)
{
    for (;;) {
        uint64_t taken = 0;
        struct entry *oldest = NULL;
        for (size_t i = 0; i < m->n; i++) {
            struct entry *e = m->list[i];
            taken += e->served ? e->memory : 0;
            if (e->served && e->about.users == 0 && (!oldest || e->used < oldest->used))
                oldest = e;
        }
        if (!m->options.memory || (taken < m->options.memory && bytes <= m->options.memory - taken))
            return true;
        if (!oldest)
            return false;
        close_entry(oldest);
    }
}

static void planned(struct rw_task *task)
{
    struct entry *e = (struct entry *)task;
    if (e->err.code) {
        refuse(e, 500, "model_not_opened", e->err.message);
    } else if (!make_room(e->models, e->memory)) {
        refuse(e, 503, "no_memory", "no room for it beside the models in use");
    } else {
        e->task = (struct rw_task){.work = open_in_background, .done = opened};
        rw_background_do(e->models->background, &e->task);
    }
}

static void plan_in_background(struct rw_task *task)
{
    struct entry *e = (struct entry *)task;
    rwkv_model_info info;
    e->err = (rwkv_error){RWKV_OK, ""};
    if (e->path && rwkv_model_plan(e->path, &e->models->options.model, &info, &e->err) == RWKV_OK)
        e->memory = info.file_bytes + info.private_bytes + info.scratch_bytes;
}

void rw_models_want(struct rw_models *m, const char *name, struct rw_want *want)
{
    struct rw_api_error error = {0};
    struct entry *e = look_up(m, name);
    if (!e && m->options.folder) {
        rw_models_scan(m); /* perhaps it has just come */
        e = look_up(m, name);
    }
    if (!e) {
        rw_api_fail(&error, 404, "invalid_request_error", "model_not_found",
                    name ? "there is no model '%.128s'" : "there is no model%s", name ? name : "");
        want->fn(want->user, NULL, &error);
        return;
    }
    if (e->served) {
        want->fn(want->user, hold(e), NULL);
        return;
    }
    struct rw_want **end = &e->wants;
    while (*end)
        end = &(*end)->next;
    *end = want;
    want->next = NULL;
    if (e->opening)
        return;
    e->opening = true;
    e->memory = e->about.bytes; /* here, for looking at the folder may change what is known */
    e->task = (struct rw_task){.work = plan_in_background, .done = planned};
    rw_background_do(m->background, &e->task);
}

/* --- holding ---------------------------------------------------------------------------------- */

static void expire(void *user)
{
    close_entry(user);
}

void rw_models_release(struct rw_models *m, struct rw_served *served, double keep_seconds)
{
    struct entry *e = find(m, served->name);
    if (--e->about.users > 0)
        return;
    double keep = isnan(keep_seconds) ? m->options.keep_seconds : keep_seconds;
    e->used = ++m->clock;
    if (keep < 0 || keep > 1e9)
        return;
    e->about.expires = rw_env_time() + keep;
    rw_timer_start(m->loop, &e->timer, (uint64_t)(keep * 1000), 0, expire, e);
}

/* --- all -------------------------------------------------------------------------------------- */

rwkv_status rw_models_new(struct rw_models **out, struct rw_loop *loop,
                          struct rw_background *background, const struct rw_models_options *options,
                          rwkv_error *err)
{
    struct rw_models *m = rw_calloc(1, sizeof *m);
    if (!m)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the list of models");
    m->loop = loop;
    m->background = background;
    m->options = *options;
    *out = m;
    rwkv_status status = RWKV_OK;
    if (options->builtin)
        status = rw_models_add(m, "builtin", NULL, err);
    if (status == RWKV_OK)
        rw_models_scan(m);
    if (status != RWKV_OK)
        rw_models_free(m);
    return status;
}

void rw_models_free(struct rw_models *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++)
        free_entry(m->list[i]);
    rw_free(m->list);
    rw_free(m);
}
