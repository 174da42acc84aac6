/* SPDX-License-Identifier: Apache-2.0 */
#include "server/report.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "say.h"

#define SHOWN_MODELS 8

/* --- who is there ----------------------------------------------------------------------------- */

static void introduce_models(struct rw_server *s)
{
    size_t n = rw_models_scan(s->models);
    struct rw_str line = {0};
    for (size_t i = 0; i < n && i < SHOWN_MODELS; i++) {
        const struct rw_model_entry *m = rw_models_at(s->models, i);
        rw_str_printf(&line, "%s%s (%s)", i ? ", " : "", m->name, rw_show_bytes(m->bytes).text);
    }
    if (n > SHOWN_MODELS)
        rw_str_printf(&line, " and %zu more", n - SHOWN_MODELS);
    if (s->options.models.memory)
        rw_str_printf(&line, ", in at most %s", rw_show_bytes(s->options.models.memory).text);
    if (!line.failed)
        rw_note("rwkv: models: %s\n", line.data);
    rw_str_fini(&line);
}

static void introduce_states(struct rw_server *s)
{
    rwkv_store_stats stats;
    if (!s->store) {
        rw_note("rwkv: states: none are kept\n");
        return;
    }
    rwkv_store_get_stats(s->store, &stats);
    struct rw_shown memory = rw_show_bytes(stats.memory_limit);
    if (s->options.store.folder)
        rw_note("rwkv: states: in %s of memory and %s of %s\n", memory.text,
                rw_show_bytes(stats.disk_limit).text, s->options.store.folder);
    else
        rw_note("rwkv: states: in %s of memory\n", memory.text);
}

/* Keys that others can read are none. */
static void warn_of_key_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & S_IROTH))
        rw_note("rwkv: warning: every user of this machine can read the keys in %s (mode %03o)\n",
                path, (unsigned)st.st_mode & 0777);
}

static void introduce_access(const struct rw_server *s)
{
    size_t n = rw_auth_keys(s->auth);
    if (n > 0)
        rw_note("rwkv: access: with %s\n", n == 1 ? "the key" : "one of the keys");
    else if (s->options.auth.insecure)
        rw_note("rwkv: access: for all who can reach this address, without a key\n");
    else
        rw_note("rwkv: access: from this machine, without a key\n");
    if (s->options.auth.key_file)
        warn_of_key_file(s->options.auth.key_file);
}

void rw_server_introduce(struct rw_server *s)
{
    rw_note("rwkv: listening on %s\n", rw_http_url(s->http));
    introduce_models(s);
    introduce_states(s);
    introduce_access(s);
}

/* --- settings alone --------------------------------------------------------------------------- */

static rwkv_status check_readable(const char *path, rwkv_error *err)
{
    if (!path || access(path, R_OK) == 0)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_IO, "%s: %s", path, strerror(errno));
}

/* A file or folder that is there, or could be made in the folder it would be in. */
static rwkv_status check_writable(const char *path, rwkv_error *err)
{
    if (!path || access(path, W_OK) == 0)
        return RWKV_OK;
    int failure = errno;
    size_t size = (size_t)(rw_basename(path) - path);
    char *folder = size > 0 ? rw_strndup(path, size) : rw_strdup(".");
    if (!folder)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a path");
    bool can_be_made = failure == ENOENT && access(folder, W_OK | X_OK) == 0;
    rw_free(folder);
    if (can_be_made)
        return RWKV_OK;
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot be written: %s", path, strerror(failure));
}

static rwkv_status check_models(const struct rw_server_options *o, struct rw_models *models,
                                rwkv_error *err)
{
    rwkv_model_info info;
    for (size_t i = 0; i < o->n_named; i++) {
        RW_TRY(rw_models_add(models, o->named[i].name, o->named[i].path, err));
        RW_TRY(rwkv_model_plan(o->named[i].path, &o->models.model, &info, err));
    }
    if (rw_models_scan(models) == 0)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: there is no model in it", o->models.folder);
    return RWKV_OK;
}

rwkv_status rw_server_check(const struct rw_server_options *o, rwkv_error *err)
{
    rwkv_status status;
    struct rw_auth *auth = NULL;
    struct rw_loop *loop = NULL;
    struct rw_models *models = NULL;
    RW_GO(rw_auth_new(&o->auth, &o->http, &auth, err));
    if (!o->http.cert_file != !o->http.key_file)
        RW_GO(rw_fail(err, RWKV_ERROR_ARGUMENT, "TLS needs both --tls-cert and --tls-key"));
    RW_GO(check_readable(o->http.cert_file, err));
    RW_GO(check_readable(o->http.key_file, err));
    RW_GO(check_writable(o->log.file, err));
    RW_GO(check_writable(o->no_store ? NULL : o->store.folder, err));
    RW_GO(rw_loop_new(&loop, err));
    RW_GO(rw_models_new(&models, loop, NULL, &o->models, err));
    RW_GO(check_models(o, models, err));
done:
    rw_models_free(models);
    rw_loop_free(loop);
    rw_auth_free(auth);
    return status;
}
