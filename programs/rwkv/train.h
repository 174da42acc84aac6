/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of `rwkv train` share. train_config.c reads and writes the settings of a run,
 * which are options of the command line and lines of a TOML file by the same names; train_view.c
 * shows how the run comes along.
 */
#ifndef RW_PROGRAM_TRAIN_H
#define RW_PROGRAM_TRAIN_H

#include <stdbool.h>

#include "base/str.h"
#include "options.h"
#include "rwkv_trainer.h"

#define RW_TRAIN_OPTIONS 64 /* at most */

struct rw_train {
    rwkv_train_options options;
    const char *out, *resume;
    int schedule, order, on_nan, precision, export_type; /* of the choices below */
    bool answers_only, grad_checkpoint;
    bool plan, json, quiet;
    size_t print_every;
    struct rw_option table[RW_TRAIN_OPTIONS];
    bool given[RW_TRAIN_OPTIONS]; /* on the command line */
    struct rw_str strings[RW_TRAIN_OPTIONS];
    size_t n_strings; /* values of the file */
    struct rw_str settings;
};

/* --- train_config.c --- */

/* All settings at their defaults, and the table of options that changes them. */
void rw_train_init(struct rw_train *t);
void rw_train_fini(struct rw_train *t);

/* Read the command line, the file it names, and the command line again, which counts for more.
 * Returns as rw_options_read. */
int rw_train_read(struct rw_train *t, int argc, char **argv);

/* The settings as such a file, paths absolute, in t->settings. */
rwkv_status rw_train_render(struct rw_train *t, rwkv_error *err);
/* Write them to config.toml in the run's folder, which is made. */
rwkv_status rw_train_keep(const struct rw_train *t, rwkv_error *err);

/* --- train_view.c --- */

void rw_train_show_plan(const struct rw_train *t, const rwkv_train_plan *plan);
void rw_train_show_event(void *train, const rwkv_train_event *event); /* a rwkv_train_event_fn */

#endif
