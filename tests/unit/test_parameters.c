/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters in flat arrays: the same numbers from every container, written as they were read; and
 * the public interface of gradients on top of them. */
#include "models.h"

#include <math.h>

#include "base/alloc.h"
#include "base/status.h"
#include "rwkv_train.h"
#include "train/parameters.h"

struct loaded {
    struct rw_parameters p;
    float *values;
};

static void load(struct loaded *m, const char *path)
{
    struct rw_file *file;
    struct rw_params params;
    rwkv_error err = {0};
    if (rw_file_open(&file, path, &err) || rw_params_open(&params, file, &err) ||
        rw_parameters_init(&m->p, &params, &err))
        fail_msg("%s", err.message);
    m->values = rw_alloc_aligned(m->p.floats, sizeof *m->values);
    assert_non_null(m->values);
    assert_int_equal(rw_parameters_load(&m->p, &params, m->values, &err), RWKV_OK);
    rw_params_close(&params);
    rw_file_close(file);
}

static void unload(struct loaded *m)
{
    rw_free(m->values);
    rw_parameters_fini(&m->p);
}

static void assert_equal(const struct loaded *a, const struct loaded *b)
{
    assert_int_equal(a->p.n, b->p.n);
    assert_int_equal(a->p.floats, b->p.floats);
    assert_memory_equal(a->values, b->values, a->p.floats * sizeof *a->values);
}

static const struct rw_parameter *find(const struct rw_parameters *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->list[i].name, name) == 0)
            return &p->list[i];
    return NULL;
}

/* Offsets grow by whole lines, gaps are zeros, nothing is left out but block 0's value mix. */
static void layout(void **unused)
{
    char path[1024];
    struct loaded m;
    size_t at = 0, count = 0;
    (void)unused;
    load(&m, unit_source(path, SMALL_F32));
    for (size_t i = 0; i < m.p.n; i++) {
        const struct rw_parameter *one = &m.p.list[i];
        assert_int_equal(one->offset, (at + RW_PARAMETER_ALIGN - 1) & ~(size_t)15);
        for (; at < one->offset; at++)
            assert_true(m.values[at] == 0);
        assert_int_equal(one->count, one->rows * one->cols);
        at += one->count;
        count += one->count;
    }
    assert_int_equal(count, m.p.count);
    assert_int_equal(m.p.n, 69);
    assert_string_equal(m.p.list[0].name, "emb.weight");
    assert_string_equal(m.p.list[m.p.n - 1].name, "head.weight");
    assert_null(find(&m.p, "blocks.0.att.v0"));
    const struct rw_parameter *w1 = find(&m.p, "blocks.1.att.w1");
    assert_int_equal(w1->rows, 32);
    assert_int_equal(w1->cols, 128);
    assert_int_equal(rw_parameter_id(w1), RW_SPEC_w1);
    unload(&m);
}

/* Low-rank halves lie [out, in], whichever way they were stored. */
static void orientation(void **unused)
{
    char path[1024];
    struct loaded m;
    struct tensors t = {0};
    (void)unused;
    load(&m, unit_source(path, SMALL_F32));
    tensors_read(&t, SMALL_F32);
    const rwkv_write_tensor *stored = tensors_find(&t, "blocks.1.att.w1"); /* [C, rank] */
    const struct rw_parameter *one = find(&m.p, "blocks.1.att.w1");
    const float *file = stored->data, *mine = m.values + one->offset;
    assert_int_equal(stored->shape[0], one->cols);
    for (size_t o = 0; o < one->rows; o++)
        for (size_t i = 0; i < one->cols; i++)
            assert_true(mine[o * one->cols + i] == file[i * one->rows + o]);
    tensors_free(&t);
    unload(&m);
}

static void round_trip(const char *from, const char *suffix)
{
    char path[1024], out[1024];
    struct loaded m, again;
    rwkv_error err = {0};
    load(&m, unit_source(path, from));
    snprintf(out, sizeof out, "/tmp/rwkv-parameters-%ld%s", (long)getpid(), suffix);
    if (rw_parameters_save(&m.p, m.values, out, RWKV_DTYPE_F32, &err))
        fail_msg("%s", err.message);
    load(&again, out);
    assert_equal(&m, &again);
    unlink(out);
    unload(&again);
    unload(&m);
}

static void saved_and_loaded(void **unused)
{
    (void)unused;
    round_trip(SMALL_F32, ".safetensors");
    round_trip(SMALL_F32, ".pth");
    round_trip(SMALL_F16, ".pth");
    round_trip(SMALL_GGUF, ".safetensors");
}

/* A GGUF, which stores low-rank halves the other way, holds the same model. */
static void containers(void **unused)
{
    char path[1024];
    struct loaded a, b;
    (void)unused;
    load(&a, unit_source(path, SMALL_F16));
    load(&b, unit_source(path, SMALL_GGUF));
    assert_equal(&a, &b);
    unload(&a);
    unload(&b);
}

static void refused(void **unused)
{
    char path[1024];
    struct loaded m;
    rwkv_error err = {0};
    (void)unused;
    load(&m, unit_source(path, SMALL_F16));
    assert_int_equal(rw_parameters_save(&m.p, m.values, "/tmp/x.pth", RWKV_DTYPE_Q8_0, &err),
                     RWKV_ERROR_ARGUMENT);
    assert_string_equal(err.message, "/tmp/x.pth: type: wanted F32, F16 or BF16, found Q8_0");
    m.p.no_ln0 = true;
    assert_int_equal(rw_parameters_save(&m.p, m.values, "/tmp/x.pth", RWKV_DTYPE_F32, &err),
                     RWKV_ERROR_UNSUPPORTED);
    m.p.no_ln0 = false;
    m.p.norm_eps = 1e-6f;
    assert_int_equal(rw_parameters_save(&m.p, m.values, "/tmp/x.pth", RWKV_DTYPE_F32, &err),
                     RWKV_ERROR_UNSUPPORTED);
    unload(&m);

    struct rw_params params;
    const struct rw_ranks ranks = {32, 32, 32, 32};
    const struct rw_sizes huge = {
        .n_layer = 1, .n_embd = SIZE_MAX / 4, .n_vocab = 256, .n_ffn = 64, .head_size = 64};
    assert_int_equal(rw_params_make(&params, &huge, &ranks, RWKV_DTYPE_F32, &err), RWKV_OK);
    assert_int_equal(rw_parameters_init(&m.p, &params, &err), RWKV_ERROR_ARGUMENT);
    rw_params_close(&params);
}

/* --- rwkv_train.h ----------------------------------------------------------------------------- */

static rwkv_gradient *new_gradient(rwkv_model *model, size_t tokens, size_t sequences)
{
    rwkv_gradient *g;
    rwkv_error err = {0};
    const rwkv_gradient_options options = {.max_tokens = tokens, .max_sequences = sequences};
    if (rwkv_gradient_new(model, &options, &g, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return g;
}

/* Means over calls, resetting, and the state in between. */
static void public_interface(void **unused)
{
    static const int32_t tokens[] = {5, 9, 70, 3, 127, 0, 44};
    rwkv_model *model = open_model(SMALL_F16, &(rwkv_model_options){.threads = 2});
    rwkv_gradient *g = new_gradient(model, 7, 2);
    rwkv_gradient_result whole, parts;
    rwkv_gradient_tensor head;
    rwkv_error err = {0};
    const size_t last = rwkv_gradient_count(g) - 1;
    float *state = calloc(rwkv_gradient_state_size(g), sizeof *state);
    float *a = malloc(128 * 64 * sizeof *a), *b = malloc(128 * 64 * sizeof *b);
    (void)unused;
    rwkv_model_close(model); /* no longer needed */
    assert_true(state && a && b);
    const rwkv_example all = {.tokens = tokens, .n_tokens = 7};
    assert_int_equal(rwkv_gradient_add(g, &all, 1, 0, &err), RWKV_OK);
    rwkv_gradient_get_result(g, &whole);
    rwkv_gradient_get_tensor(g, last, &head);
    rwkv_gradient_read(g, last, a);
    assert_int_equal(whole.targets, 6);
    assert_true(whole.loss > 1 && whole.norm > head.norm && head.norm > 0);
    assert_string_equal(head.name, "head.weight");
    assert_int_equal(head.n_elements, 128 * 64);

    rwkv_gradient_reset(g);
    rwkv_gradient_get_result(g, &parts);
    assert_true(parts.loss == 0 && parts.norm == 0 && parts.targets == 0);
    /* The head's gradient does not come through the state. */
    const rwkv_example first = {
        .tokens = tokens, .targets = tokens + 1, .n_tokens = 4, .final = state};
    const rwkv_example second = {.tokens = tokens + 4, .n_tokens = 3, .initial = state};
    assert_int_equal(rwkv_gradient_add(g, &first, 1, 1 / 6.0, &err), RWKV_OK);
    assert_int_equal(rwkv_gradient_add(g, &second, 1, 1 / 6.0, &err), RWKV_OK);
    rwkv_gradient_get_result(g, &parts);
    rwkv_gradient_read(g, last, b);
    assert_int_equal(parts.targets, 6);
    assert_true(parts.loss == whole.loss);
    assert_memory_equal(a, b, 128 * 64 * sizeof *a);
    rwkv_gradient_free(g);
    free(state);
    free(a);
    free(b);
}

static void assert_refuses(rwkv_gradient *g, const rwkv_example *examples, size_t n,
                           rwkv_status code, const char *message)
{
    rwkv_error err = {0};
    assert_int_equal(rwkv_gradient_add(g, examples, n, 0, &err), code);
    assert_string_equal(err.message, message);
}

static void public_errors(void **unused)
{
    static const int32_t tokens[] = {1, 2, 3, 128, -1};
    static const int32_t none[] = {-1, -1}, beyond[] = {1, 200};
    rwkv_model *model = open_model(SMALL_F16, NULL);
    rwkv_gradient *g = new_gradient(model, 4, 2);
    rwkv_gradient_result r;
    rwkv_error err = {0};
    (void)unused;
    const rwkv_example two[] = {{.tokens = tokens, .n_tokens = 3},
                                {.tokens = tokens, .n_tokens = 2},
                                {.tokens = tokens, .n_tokens = 1}};
    assert_refuses(g, two, 2, RWKV_ERROR_ARGUMENT, "wanted at most 4 tokens together, found more");
    assert_refuses(g, two, 3, RWKV_ERROR_ARGUMENT, "wanted at most 2 sequences together, found 3");
    assert_refuses(g, two, 0, RWKV_ERROR_ARGUMENT, "wanted a token to predict, found none");
    assert_refuses(g, &(rwkv_example){.tokens = tokens}, 1, RWKV_ERROR_ARGUMENT,
                   "wanted at least one token, found none");
    assert_refuses(g, &(rwkv_example){.tokens = tokens, .n_tokens = 4}, 1, RWKV_ERROR_TOKEN,
                   "token 3: wanted an id of 0 to 127, found 128");
    assert_refuses(g, &(rwkv_example){.tokens = tokens + 4, .n_tokens = 1}, 1, RWKV_ERROR_TOKEN,
                   "token 0: wanted an id of 0 to 127, found -1");
    assert_refuses(g, &(rwkv_example){.tokens = tokens, .targets = beyond, .n_tokens = 2}, 1,
                   RWKV_ERROR_TOKEN, "target 1: wanted an id of 0 to 127, found 200");
    assert_refuses(g, &(rwkv_example){.tokens = tokens, .targets = none, .n_tokens = 2}, 1,
                   RWKV_ERROR_ARGUMENT, "wanted a token to predict, found none");
    rwkv_gradient_get_result(g, &r);
    assert_true(r.targets == 0 && r.norm == 0);
    rwkv_gradient_free(g);
    g = NULL;
    static const rwkv_gradient_options wrong[] = {
        {.max_tokens = 0},
        {.max_tokens = SIZE_MAX},
        {.max_tokens = 4, .max_sequences = 5},
        {.max_tokens = 4, .precision = (rwkv_precision)2},
        {.max_tokens = 4, .l2wrap = -1},
        {.max_tokens = 4, .l2wrap = NAN},
    };
    for (size_t i = 0; i < RW_COUNT(wrong); i++)
        assert_int_equal(rwkv_gradient_new(model, &wrong[i], &g, &err), RWKV_ERROR_ARGUMENT);
    const rwkv_gradient_options little = {.max_tokens = 4, .memory_limit = 1000};
    assert_int_equal(rwkv_gradient_new(model, &little, &g, &err), RWKV_ERROR_MEMORY);
    assert_int_equal(rwkv_gradient_new(NULL, &little, &g, &err), RWKV_ERROR_ARGUMENT);
    rwkv_model_close(model);
    rwkv_gradient_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout),           cmocka_unit_test(orientation),
        cmocka_unit_test(saved_and_loaded), cmocka_unit_test(containers),
        cmocka_unit_test(refused),          cmocka_unit_test(public_interface),
        cmocka_unit_test(public_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
