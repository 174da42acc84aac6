/* SPDX-License-Identifier: Apache-2.0 */
/* Small models for unit tests: those committed, and variations of them written to a temporary file.
 */
#ifndef UNIT_MODELS_H
#define UNIT_MODELS_H

#include <string.h>

#include "rwkv.h"
#include "rwkv_file.h"
#include "unit.h"

#define SMALL_F16 "tests/data/rwkv7/long-f16.safetensors"  /* L 2, C 64, V 128 */
#define SMALL_F32 "tests/data/rwkv7/small-f32.safetensors" /* L 2, C 128, V 256 */
#define SMALL_GGUF "tests/data/gguf/long-f16-F16.gguf"     /* with a vocabulary */

/* All tensors of a file, to be changed and written elsewhere. */
struct tensors {
    rwkv_write_tensor items[256];
    char names[256][96];
    size_t n;
};

static inline void tensors_read(struct tensors *t, const char *name)
{
    char path[1024];
    rwkv_file *f;
    rwkv_error err = {0};
    if (rwkv_file_open(unit_source(path, name), &f, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    t->n = rwkv_file_count(f);
    for (size_t i = 0; i < t->n; i++) {
        rwkv_tensor_info info;
        rwkv_file_tensor(f, i, &info);
        snprintf(t->names[i], sizeof t->names[i], "%s", info.name);
        void *data = malloc(info.n_bytes + 1);
        rwkv_file_read(f, i, data);
        t->items[i] = (rwkv_write_tensor){t->names[i], info.dtype, info.n_dims, {0}, data};
        memcpy(t->items[i].shape, info.shape, sizeof info.shape);
    }
    rwkv_file_close(f);
}

static inline rwkv_write_tensor *tensors_find(struct tensors *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->items[i].name, name) == 0)
            return &t->items[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static inline void tensors_drop(struct tensors *t, const char *name)
{
    rwkv_write_tensor *item = tensors_find(t, name);
    free((void *)item->data);
    *item = t->items[--t->n];
}

/* Write to a temporary file with that ending; its path, to be unlinked, is put in `path`. */
static inline void tensors_write(const struct tensors *t, const char *suffix, char path[1024])
{
    rwkv_error err = {0};
    snprintf(path, 1024, "/tmp/rwkv-test-%ld%s", (long)getpid(), suffix);
    if (rwkv_file_write(path, t->items, t->n, &err) != RWKV_OK)
        fail_msg("%s", err.message);
}

static inline void tensors_free(struct tensors *t)
{
    for (size_t i = 0; i < t->n; i++)
        free((void *)t->items[i].data);
    t->n = 0;
}

static inline rwkv_model *open_model(const char *name, const rwkv_model_options *options)
{
    char path[1024];
    rwkv_model *m = NULL;
    rwkv_error err = {0};
    if (rwkv_model_open(unit_source(path, name), options, &m, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return m;
}

static inline rwkv_session *new_session(rwkv_model *model)
{
    rwkv_session *s = NULL;
    assert_int_equal(rwkv_session_new(model, &s, NULL), RWKV_OK);
    return s;
}

/* A session's state as bytes, to be freed. */
static inline uint8_t *bytes_of(const rwkv_session *s)
{
    uint8_t *bytes = malloc(rwkv_session_state_size(s));
    rwkv_session_state_write(s, bytes);
    return bytes;
}

/* With the same logits. */
static inline void assert_same(const rwkv_session *a, const rwkv_session *b)
{
    uint8_t *x = bytes_of(a), *y = bytes_of(b);
    assert_int_equal(rwkv_session_state_size(a), rwkv_session_state_size(b));
    assert_memory_equal(x, y, rwkv_session_state_size(a));
    free(x);
    free(y);
}

#endif
