/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models of a server: known by name, opened when somebody wants them, closed when nobody has
 * wanted them for a while or their memory is needed. Opening happens in a thread of its own;
 * everything else, and every callback, on the loop's thread.
 *
 *     rw_models_add(models, "goose", "/srv/models/goose.gguf", &err);
 *     want = (struct rw_want){.fn = opened, .user = x};
 *     rw_models_want(models, "goose", &want);      // opened(x, served, NULL), now or later
 *     …
 *     rw_models_release(models, served, keep_seconds);
 */
#ifndef RW_SERVER_MODELS_H
#define RW_SERVER_MODELS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/background.h"
#include "server/fields.h"
#include "server/loop.h"
#include "rwkv.h"
#include "rwkv_batch.h"

struct rw_models;

/* A model in memory. */
struct rw_served {
    char name[RW_MAX_NAME + 1];
    rwkv_model *model;
    const rwkv_vocab *vocab;
    rwkv_model_info info;
    rwkv_batch *batch;     /* stepped by the inference thread alone */
    double opened_seconds; /* that opening took */
};

/* What is known of a name without opening it. */
struct rw_model_entry {
    const char *name;
    const char *path; /* NULL: built in */
    uint64_t bytes;   /* of the file, or all files of a folder */
    double modified;  /* seconds since 1970 UTC */
    bool loaded;
    size_t users;   /* that hold it now */
    double expires; /* when it will be closed, seconds since 1970 UTC; 0: not by time */
};

struct rw_models_options {
    rwkv_model_options model; /* for every one; texts are borrowed until rw_models_free */
    rwkv_batch_options batch;
    const char *folder;  /* nullable: every model file in it is known by its name without ending */
    uint64_t memory;     /* bytes that models may take together, as far as those that are not in
                            use can be closed for it; 0: no limit */
    double keep_seconds; /* how long one that nobody uses stays; < 0: for ever */
    const void *builtin; /* [builtin_bytes] a GGUF in memory, known as "builtin"; or NULL */
    size_t builtin_bytes;
};

rwkv_status rw_models_new(struct rw_models **out, struct rw_loop *loop,
                          struct rw_background *background, const struct rw_models_options *options,
                          rwkv_error *err);
/* After rw_background_free. Nobody may hold a model any more; wants that wait are dropped without a
 * word. NULL is fine. */
void rw_models_free(struct rw_models *models);

/* A model of this name in this file. The first one added is the default. */
rwkv_status rw_models_add(struct rw_models *models, const char *name, const char *path,
                          rwkv_error *err);

/* Look at the folder anew: files that came are known, those that went are not (unless they are in
 * memory). Returns how many models there are. */
size_t rw_models_scan(struct rw_models *models);
/* Number i in the order of names; borrowed until rw_models_scan or the next turn of the loop. */
const struct rw_model_entry *rw_models_at(struct rw_models *models, size_t i);
/* One by its name (NULL: the default; an ending ":latest" is ignored), or NULL. */
const struct rw_model_entry *rw_models_find(struct rw_models *models, const char *name);

/* Somebody who waits for a model. */
struct rw_want {
    /* The model, held until rw_models_release; or NULL, and why. */
    void (*fn)(void *user, struct rw_served *served, const struct rw_api_error *error);
    void *user;
    struct rw_want *next; /* of the implementation */
};

/* Hold a model; `want` is borrowed until its function has been called, which may be at once. Of an
 * unknown name comes 404. */
void rw_models_want(struct rw_models *models, const char *name, struct rw_want *want);

/* One holder fewer. When it is the last, the model stays for keep_seconds (NAN: as the options
 * say). */
void rw_models_release(struct rw_models *models, struct rw_served *served, double keep_seconds);

#endif
